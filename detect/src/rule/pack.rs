//! Reads rule packs: TOML in, compiled rules and named faults out.
//!
//! Here stand the floors that a pack cannot lower: a shape needs either a fixed part that says what
//! it is or a name beside it, and a secret is never shorter than the protocol allows.

use akwatch_proto::credential::{Kind, Provider, PublicPrefix, RuleId};
use akwatch_proto::limits;
use serde::Deserialize;

use super::name::{Names, RawNames};
use super::{Engine, Pattern, ProofKind, Rule, RuleFault, Shape};

pub(super) const NAMES: &str = include_str!("../../rules/names.toml");
pub(super) const BUILTIN: [(&str, &str); 15] = [
    ("cloud.toml", include_str!("../../rules/cloud.toml")),
    ("tokens.toml", include_str!("../../rules/tokens.toml")),
    (
        "source-hosts.toml",
        include_str!("../../rules/source-hosts.toml"),
    ),
    ("chat.toml", include_str!("../../rules/chat.toml")),
    ("payments.toml", include_str!("../../rules/payments.toml")),
    ("models.toml", include_str!("../../rules/models.toml")),
    (
        "monitoring.toml",
        include_str!("../../rules/monitoring.toml"),
    ),
    ("platforms.toml", include_str!("../../rules/platforms.toml")),
    ("identity.toml", include_str!("../../rules/identity.toml")),
    ("business.toml", include_str!("../../rules/business.toml")),
    ("services.toml", include_str!("../../rules/services.toml")),
    ("keys.toml", include_str!("../../rules/keys.toml")),
    ("azure.toml", include_str!("../../rules/azure.toml")),
    ("gcp.toml", include_str!("../../rules/gcp.toml")),
    ("stores.toml", include_str!("../../rules/stores.toml")),
];

/// Bytes of one pack: a pack is compiled in the detector's memory.
const LARGEST_PACK: usize = 1 << 20;
/// Bytes of a word that says whose a value is, at most.
const LONGEST_WORD: usize = 64;
/// Bytes that are looked at before a secret.
const LONGEST_BEHIND: usize = 32;
/// Fixed bytes that a shape needs to be found without a name beside it, and that a marker has.
const FEWEST_LITERAL_BYTES: usize = 2;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPack {
    #[serde(default)]
    rule: Vec<toml::Value>,
    #[serde(default)]
    service: Vec<RawService>,
    #[serde(default)]
    defaults: Defaults,
}

/// What the short forms of one pack have in common.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Defaults {
    source: Option<String>,
    remedy: Option<String>,
}

/// Examples and look-alikes of every short form: each shape of the rule is put into them.
const EXAMPLES: [&str; 3] = [
    "KEY={secret}\n",
    "{\"credential\": \"{secret}\"}\n",
    "curl -H 'X-Key: {secret}' https://api.example.com/\n",
];
const LOOK_ALIKES: [&str; 2] = ["KEY={short}\n", "KEY={masked}\n"];
/// The same where a word beside the value decides.
const WORD_EXAMPLES: [&str; 2] = [
    "{word}_api_key = \"{secret}\"\n",
    "{\"{word}_auth_token\": \"{secret}\"}\n",
];
const WORD_LOOK_ALIKES: [&str; 2] = ["{word}_api_key = \"{masked}\"\n", "trace = \"{secret}\"\n"];

/// The short form: a token by its shape, or by its service's word and its shape.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RawService {
    id: String,
    about: Option<String>,
    #[serde(default)]
    words: Vec<String>,
    patterns: Vec<String>,
    source: Option<String>,
    remedy: Option<String>,
    proof: Option<String>,
    marker: Option<String>,
    #[serde(default)]
    look_alikes: Vec<String>,
}

impl RawService {
    /// The long form of the same. Without words the shape must speak for itself.
    fn rule(self, defaults: &Defaults) -> RawRule {
        let provider = self.id.split('.').next().unwrap_or_default().to_owned();
        let by_word = !self.words.is_empty();
        let owned = |texts: &'static [&'static str]| texts.iter().map(|&text| text.to_owned());
        let (examples, look_alikes) = if by_word {
            (&WORD_EXAMPLES[..], &WORD_LOOK_ALIKES[..])
        } else {
            (&EXAMPLES[..], &LOOK_ALIKES[..])
        };
        RawRule {
            about: self.about.unwrap_or_else(|| match by_word {
                true => format!("Key of {provider}, by the name beside it and its form."),
                false => format!("Token of {provider}."),
            }),
            provider: Some(provider),
            id: self.id,
            kind: Kind::Token,
            source: self
                .source
                .or_else(|| defaults.source.clone())
                .unwrap_or_default(),
            remedy: self
                .remedy
                .or_else(|| defaults.remedy.clone())
                .unwrap_or_else(|| "service-token".to_owned()),
            by_word,
            words: self.words,
            proof: self.proof,
            engine: None,
            marker: self.marker,
            behind: None,
            id_part: RawShape::default(),
            secret_part: RawShape {
                patterns: self.patterns,
                names: Vec::new(),
            },
            token_part: RawShape::default(),
            short_form: true,
            examples: owned(examples).collect(),
            look_alikes: owned(look_alikes).chain(self.look_alikes).collect(),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RawRule {
    id: String,
    /// The id's first word, where it is left out.
    provider: Option<String>,
    kind: Kind,
    about: String,
    source: String,
    remedy: String,
    #[serde(default)]
    words: Vec<String>,
    /// The secret has no beginning of its own: one of `words` must stand in its key.
    #[serde(default)]
    by_word: bool,
    #[serde(default)]
    proof: Option<String>,
    #[serde(default)]
    engine: Option<String>,
    #[serde(default)]
    marker: Option<String>,
    /// What is written right before the secret without being part of it.
    #[serde(default)]
    behind: Option<String>,
    #[serde(default)]
    id_part: RawShape,
    #[serde(default)]
    secret_part: RawShape,
    #[serde(default)]
    token_part: RawShape,
    #[serde(skip)]
    short_form: bool,
    #[serde(default)]
    examples: Vec<String>,
    #[serde(default)]
    look_alikes: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawShape {
    #[serde(default)]
    patterns: Vec<String>,
    #[serde(default)]
    names: Vec<String>,
}

/// A rule and what the set keeps beside it.
pub(super) struct Compiled {
    pub(super) rule: Rule,
    pub(super) engine: Option<Engine>,
    pub(super) marker: Option<String>,
}

/// The words for names that come with this program.
pub(super) fn names() -> Names {
    let raw: RawNames = toml::from_str(NAMES).expect("invariant: the embedded names are tested");
    Names::new(&raw)
}

/// Reads one pack. Only a `trusted` one, which is part of this program, may name an engine.
pub(super) fn read(
    name: &str,
    text: &str,
    trusted: bool,
    faults: &mut Vec<RuleFault>,
) -> Vec<Compiled> {
    let mut fault = |rule: Option<String>, why: String| {
        faults.push(RuleFault {
            pack: name.to_owned(),
            rule,
            why,
        });
    };
    if text.len() > LARGEST_PACK {
        fault(
            None,
            format!(
                "the pack has {} bytes; {LARGEST_PACK} are allowed",
                text.len()
            ),
        );
        return Vec::new();
    }
    let pack: RawPack = match toml::from_str(text) {
        Ok(pack) => pack,
        Err(error) => {
            fault(
                None,
                format!(
                    "the pack is not TOML of the documented form: {}",
                    error.message()
                ),
            );
            return Vec::new();
        }
    };
    let mut compiled = Vec::new();
    for service in pack.service {
        let id = service.id.clone();
        match compile(service.rule(&pack.defaults), trusted) {
            Ok(rule) => compiled.push(rule),
            Err(why) => fault(Some(id), why),
        }
    }
    for value in pack.rule {
        let id = value
            .get("id")
            .and_then(toml::Value::as_str)
            .map(str::to_owned);
        let rule = RawRule::deserialize(value)
            .map_err(|error| error.message().to_owned())
            .and_then(|raw| compile(raw, trusted));
        match rule {
            Ok(rule) => compiled.push(rule),
            Err(why) => fault(id, why),
        }
    }
    compiled
}

fn compile(raw: RawRule, trusted: bool) -> Result<Compiled, String> {
    let id = RuleId::parse(&raw.id).map_err(|error| error.to_string())?;
    let named = raw.provider.as_deref();
    let provider = named.unwrap_or_else(|| raw.id.split('.').next().unwrap_or_default());
    let provider = Provider::parse(provider).map_err(|error| error.to_string())?;
    let engine = raw.engine.as_deref().map(engine_named).transpose()?;
    if engine.is_some() && !trusted {
        return Err("only the program's own rules name an engine".to_owned());
    }
    let proof = raw.proof.as_deref().map(proof_named).transpose()?;
    let public = shape(&raw.id_part)?;
    let secret = shape(&raw.secret_part)?;
    let token = shape(&raw.token_part)?;
    let fewest = if trusted { 1 } else { FEWEST_LITERAL_BYTES };
    if raw
        .marker
        .as_ref()
        .is_some_and(|marker| marker.len() < fewest)
    {
        return Err(format!("a marker has at least {fewest} bytes"));
    }
    if let Some(behind) = &raw.behind
        && (raw.marker.is_none() || behind.is_empty() || behind.len() > LONGEST_BEHIND)
    {
        return Err(format!(
            "`behind` has at most {LONGEST_BEHIND} bytes, and the rule has a marker"
        ));
    }
    check_words(&raw.words)?;
    if engine.is_none() {
        if secret.patterns.is_empty() {
            return Err("the rule has no pattern for its secret".to_owned());
        }
        if raw.by_word && raw.words.is_empty() {
            return Err("a rule by word has a word".to_owned());
        }
        let alone = public.patterns.is_empty() && !raw.by_word;
        check_secret(&secret, alone, raw.marker.as_deref())?;
    }
    let prefix = if public.patterns.is_empty() {
        common_anchor(&secret)
    } else {
        None
    };
    Ok(Compiled {
        engine,
        marker: raw.marker,
        rule: Rule {
            id,
            provider,
            kind: raw.kind,
            words: raw.words,
            by_word: raw.by_word,
            behind: raw.behind,
            proof,
            public,
            secret,
            token,
            prefix,
            remedy: raw.remedy,
            about: raw.about,
            source: raw.source,
            short_form: raw.short_form,
            examples: raw.examples,
            look_alikes: raw.look_alikes,
        },
    })
}

/// A word without a letter would stand everywhere.
fn check_words(words: &[String]) -> Result<(), String> {
    let says =
        |word: &String| word.chars().any(char::is_alphanumeric) && word.len() <= LONGEST_WORD;
    if words.iter().all(says) {
        return Ok(());
    }
    Err(format!(
        "each of `words` has a letter or a digit, and at most {LONGEST_WORD} bytes"
    ))
}

/// The floor: no shape may fit short or arbitrary text.
fn check_secret(secret: &Shape, alone: bool, marker: Option<&str>) -> Result<(), String> {
    for pattern in &secret.patterns {
        if pattern.shortest() < limits::SHORTEST_SECRET {
            return Err(format!(
                "a secret has at least {} characters; write a longer shape",
                limits::SHORTEST_SECRET
            ));
        }
        if pattern.longest() > limits::LONGEST_SECRET {
            return Err(format!(
                "a secret has at most {} bytes",
                limits::LONGEST_SECRET
            ));
        }
        if alone
            && (pattern.literal_bytes() < marker.map_or(FEWEST_LITERAL_BYTES, str::len)
                || (pattern.anchor().len() < FEWEST_LITERAL_BYTES
                    && marker.is_none()
                    && pattern.run_before_literal().is_none()))
        {
            return Err(format!(
                "a secret without an id needs a fixed beginning of {FEWEST_LITERAL_BYTES} characters, a marker, or a long run of letters and digits before a separator"
            ));
        }
    }
    Ok(())
}

fn shape(raw: &RawShape) -> Result<Shape, String> {
    Ok(Shape {
        patterns: raw
            .patterns
            .iter()
            .map(|text| Pattern::parse(text))
            .collect::<Result<_, _>>()?,
        names: raw.names.clone(),
    })
}

/// The beginning that all shapes of a secret share, if it is worth showing.
fn common_anchor(shape: &Shape) -> Option<PublicPrefix> {
    let first = shape.patterns.first()?.anchor();
    let common = shape.patterns.iter().fold(first.len(), |length, pattern| {
        let same = first
            .iter()
            .zip(pattern.anchor())
            .take_while(|(a, b)| a == b)
            .count();
        length.min(same)
    });
    let text = std::str::from_utf8(&first[..common.min(limits::PREVIEW_PREFIX)]).ok()?;
    PublicPrefix::parse(text).ok()
}

fn engine_named(name: &str) -> Result<Engine, String> {
    Ok(match name {
        "named-password" => Engine::NamedPassword,
        "named-secret" => Engine::NamedSecret,
        "named-token" => Engine::NamedToken,
        "oci-key" => Engine::OciKey,
        "password-hash" => Engine::PasswordHash,
        "private-key" => Engine::PrivateKey,
        "service-account" => Engine::ServiceAccount,
        "signed-address" => Engine::SignedAddress,
        "url-password" => Engine::UrlPassword,
        _ => return Err(format!("no engine is called `{name}`")),
    })
}

fn proof_named(name: &str) -> Result<ProofKind, String> {
    Ok(match name {
        "atlassian" => ProofKind::Atlassian,
        "aws-account" => ProofKind::AwsAccount,
        "azure-signature" => ProofKind::AzureSignature,
        "base64-json" => ProofKind::Base64Json,
        "base64-number" => ProofKind::Base64Number,
        "chance" => ProofKind::Chance,
        "confluent" => ProofKind::Confluent,
        "crc32-base62" => ProofKind::Crc32Base62,
        "crc32-body-hex" => ProofKind::Crc32BodyHex,
        "crc32-hex" => ProofKind::Crc32Hex,
        "gitlab-routable" => ProofKind::GitlabRoutable,
        "jwt" => ProofKind::Jwt,
        "macaroon" => ProofKind::Macaroon,
        "volcengine" => ProofKind::Volcengine,
        _ => return Err(format!("no proof is called `{name}`")),
    })
}
