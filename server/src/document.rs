//! What the two OpenAPI documents have in common: title, refusals, ways to authenticate.
//!
//! Every operation may be refused, always with the same body, so the refusals are written here
//! once and not at each handler.

use akwatch_proto::agent::Refused;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{
    Components, ContentBuilder, Info, License, OpenApi, Ref, ResponseBuilder, SecurityRequirement,
};
use utoipa::{PartialSchema as _, ToSchema};

/// The people's document: `open` needs no sign-in, `closed` does.
#[must_use]
pub fn people(open: OpenApi, mut closed: OpenApi) -> OpenApi {
    for operation in operations(&mut closed) {
        operation.security = Some(vec![
            SecurityRequirement::new("session", Vec::<String>::new()),
            SecurityRequirement::new("token", Vec::<String>::new()),
        ]);
        refusals(operation, &["401", "403"]);
    }
    let mut document = closed.merge_from(open);
    document.info = info(
        "akwatch: the people's interface",
        "Lists answer pages and take `cursor` and `limit`. A refusal is always a `Refused` body.",
    );
    for operation in operations(&mut document) {
        refusals(operation, &["400", "429", "500"]);
    }
    let components = document.components.get_or_insert_with(Components::new);
    components.add_security_scheme(
        "session",
        SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::with_description(
            "__Host-akwatch",
            "Set by signing in. Unsafe calls from another origin are refused.",
        ))),
    );
    let mut bearer = Http::new(HttpAuthScheme::Bearer);
    bearer.description = Some("An API token, `akw_…`.".to_owned());
    components.add_security_scheme("token", SecurityScheme::Http(bearer));
    refused_schema(components);
    document
}

/// The agents' document.
#[must_use]
pub fn agents(mut document: OpenApi) -> OpenApi {
    document.info = info(
        "akwatch: the agents' interface",
        "HTTPS with mutual TLS; bodies may be compressed with zstd (`Content-Encoding: zstd`). \
         Calls under `mutualTLS` need a certificate that this collector issued. A refusal is \
         always a `Refused` body.",
    );
    for operation in operations(&mut document) {
        refusals(operation, &["400", "413", "429", "500"]);
    }
    let components = document.components.get_or_insert_with(Components::new);
    components.add_security_scheme(
        "mutualTLS",
        SecurityScheme::MutualTls {
            description: Some("The host's certificate.".to_owned()),
            deprecated: None,
            extensions: None,
        },
    );
    refused_schema(components);
    document
}

/// The document as it is committed: pretty JSON with a line end.
///
/// # Panics
/// Never: the document's types serialize.
#[must_use]
pub fn text(document: &OpenApi) -> String {
    let mut text = document
        .to_pretty_json()
        .expect("invariant: a document serializes");
    text.push('\n');
    text
}

fn info(title: &str, description: &str) -> Info {
    let mut info = Info::new(title, "1");
    info.description = Some(description.to_owned());
    let mut license = License::new("Apache-2.0");
    license.identifier = Some("Apache-2.0".to_owned());
    info.license = Some(license);
    info
}

fn operations(document: &mut OpenApi) -> impl Iterator<Item = &mut Operation> {
    document.paths.paths.values_mut().flat_map(|item| {
        [
            item.get.as_mut(),
            item.post.as_mut(),
            item.put.as_mut(),
            item.patch.as_mut(),
            item.delete.as_mut(),
        ]
        .into_iter()
        .flatten()
    })
}

fn refusals(operation: &mut Operation, statuses: &[&str]) {
    for status in statuses {
        let response = ResponseBuilder::new()
            .description(match *status {
                "400" => "The call is not as it must be.",
                "401" => "Nobody is signed in.",
                "403" => "The role does not allow it.",
                "413" => "A limit of the wire was exceeded.",
                "429" => "Too much at once; `Retry-After` says when.",
                _ => "The fault is the collector's.",
            })
            .content(
                "application/json",
                ContentBuilder::new()
                    .schema(Some(Ref::from_schema_name("Refused")))
                    .build(),
            )
            .build();
        operation
            .responses
            .responses
            .entry((*status).to_owned())
            .or_insert_with(|| response.into());
    }
}

fn refused_schema(components: &mut Components) {
    let mut schemas = vec![(Refused::name().into_owned(), Refused::schema())];
    Refused::schemas(&mut schemas);
    for (name, schema) in schemas {
        components.schemas.entry(name).or_insert(schema);
    }
}
