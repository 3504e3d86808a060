//! The web console's files: embedded when the program is built with the feature `console`.
//!
//! `index.html` gets a fresh nonce with every answer and a policy that runs nothing without it.
//! Files whose names carry a hash may be kept forever, everything else is asked for again. Without
//! the feature one page says how to build it, so that no test needs Node.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::refusal::Refusal;

/// What `index.html` holds where the nonce goes.
#[cfg(feature = "console")]
const PLACEHOLDER: &str = "__CSP_NONCE__";

/// Serves the console: its files, and its page for every other address that a browser opens.
pub async fn serve(request: Request) -> Response {
    let path = request.uri().path();
    let reading = matches!(*request.method(), Method::GET | Method::HEAD);
    if !reading || path.starts_with("/api/") {
        return Refusal::not_found("call").into_response();
    }
    if let Some(response) = file(path, request.headers()) {
        return response;
    }
    let html = request
        .headers()
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.contains("text/html"));
    if html {
        page()
    } else {
        Refusal::not_found("file").into_response()
    }
}

fn page() -> Response {
    let nonce = crate::domain::grants::secret(22);
    let policy = format!(
        "default-src 'none'; script-src 'self' 'nonce-{n}'; style-src 'self' 'nonce-{n}'; \
         img-src 'self' data:; font-src 'self'; connect-src 'self'; manifest-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        n = *nonce
    );
    let (status, html) = html(&nonce);
    let mut response = (status, html).into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/html; charset=utf-8"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

#[cfg(not(feature = "console"))]
fn html(nonce: &str) -> (StatusCode, String) {
    let page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>akwatch</title>\
         <style nonce=\"{nonce}\">body{{font:16px/1.5 sans-serif;max-width:40em;margin:4em auto;\
         padding:0 1em}}</style><h1>akwatch</h1><p>This collector was built without its console. \
         The REST interface under <code>/api/v1</code> and the command line <code>akwatch</code> \
         work.</p><p>To build it: <code>npm ci &amp;&amp; npm run build</code> in \
         <code>server/console</code>, then <code>cargo build -p akwatch-server --features console\
         </code>.</p></html>\n"
    );
    (StatusCode::OK, page)
}

#[cfg(not(feature = "console"))]
fn file(_path: &str, _headers: &HeaderMap) -> Option<Response> {
    None
}

#[cfg(feature = "console")]
use embedded::{file, html};

#[cfg(feature = "console")]
mod embedded {
    use super::{HeaderMap, HeaderValue, IntoResponse, PLACEHOLDER, Response, StatusCode, header};

    use rust_embed::RustEmbed;

    #[derive(RustEmbed)]
    #[folder = "console/dist"]
    struct Files;

    /// The files' names.
    #[cfg(test)]
    pub(super) fn names() -> impl Iterator<Item = String> {
        Files::iter().map(std::borrow::Cow::into_owned)
    }

    pub(super) fn html(nonce: &str) -> (StatusCode, String) {
        match Files::get("index.html") {
            Some(file) => {
                let text = String::from_utf8_lossy(&file.data).replace(PLACEHOLDER, nonce);
                (StatusCode::OK, text)
            }
            None => (
                StatusCode::NOT_FOUND,
                "The console was built without its page.".to_owned(),
            ),
        }
    }

    pub(super) fn file(path: &str, headers: &HeaderMap) -> Option<Response> {
        let name = path
            .strip_prefix('/')
            .filter(|name| !name.is_empty() && *name != "index.html")?;
        let file = Files::get(name)?;
        let tag = format!(
            "\"{}\"",
            data_encoding::HEXLOWER.encode(&file.metadata.sha256_hash()[..16])
        );
        let known = headers
            .get(header::IF_NONE_MATCH)
            .is_some_and(|seen| seen.as_bytes() == tag.as_bytes());
        let mut response = if known {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            file.data.into_owned().into_response()
        };
        let keep = if name.starts_with("assets/") {
            "public, max-age=31536000, immutable"
        } else {
            "no-cache"
        };
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(keep));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind(name)));
        if let Ok(tag) = HeaderValue::from_str(&tag) {
            headers.insert(header::ETAG, tag);
        }
        Some(response)
    }

    fn kind(name: &str) -> &'static str {
        match name.rsplit('.').next().unwrap_or_default() {
            "html" => "text/html; charset=utf-8",
            "js" | "mjs" => "text/javascript; charset=utf-8",
            "css" => "text/css; charset=utf-8",
            "svg" => "image/svg+xml",
            "png" => "image/png",
            "ico" => "image/x-icon",
            "json" | "map" => "application/json",
            "webmanifest" => "application/manifest+json",
            "woff2" => "font/woff2",
            "txt" => "text/plain; charset=utf-8",
            _ => "application/octet-stream",
        }
    }
}

#[cfg(feature = "console")]
#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};

    use super::*;

    async fn fetch(path: &str, accept: &str, known: Option<HeaderValue>) -> Response {
        let mut request = Request::builder().uri(path).header(header::ACCEPT, accept);
        if let Some(tag) = known {
            request = request.header(header::IF_NONE_MATCH, tag);
        }
        serve(request.body(Body::empty()).unwrap()).await
    }

    #[tokio::test]
    async fn the_page_stands_for_every_address_and_carries_its_nonce() {
        for path in ["/", "/credentials/cr_1?tab=2", "/index.html"] {
            let response = fetch(path, "text/html", None).await;
            let policy = response.headers()[header::CONTENT_SECURITY_POLICY]
                .to_str()
                .unwrap();
            let nonce = policy
                .split("'nonce-")
                .nth(1)
                .unwrap()
                .split('\'')
                .next()
                .unwrap();
            let nonce = nonce.to_owned();
            let page = to_bytes(response.into_body(), 1 << 20).await.unwrap();
            let page = String::from_utf8(page.into()).unwrap();
            assert!(
                page.contains(&nonce) && !page.contains(PLACEHOLDER),
                "{path}"
            );
        }
    }

    #[tokio::test]
    async fn a_hashed_file_is_kept_and_a_missing_one_is_not_the_page() {
        let name = embedded::names()
            .find(|name| name.ends_with(".js"))
            .unwrap();
        let response = fetch(&format!("/{name}"), "*/*", None).await;
        assert_eq!(response.status(), StatusCode::OK);
        let headers = response.headers();
        assert!(
            headers[header::CACHE_CONTROL]
                .to_str()
                .unwrap()
                .contains("immutable")
        );
        assert!(
            headers[header::CONTENT_TYPE]
                .to_str()
                .unwrap()
                .starts_with("text/javascript")
        );
        let tag = headers[header::ETAG].clone();
        let again = fetch(&format!("/{name}"), "*/*", Some(tag)).await;
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
        for path in ["/assets/none.js", "/../Cargo.toml", "/api/v1/none"] {
            let response = fetch(path, "*/*", None).await;
            assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
        }
    }
}
