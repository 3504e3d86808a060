//! The table of keys in the documentation, generated from the types which read the files.
//! `AKWATCH_BLESS=1` writes it; without it the two are compared.

use std::fmt::Write as _;
use std::path::Path;

use schemars::schema_for;
use serde_json::Value as Json;

use super::show::{REFERENCE, SAMPLE, in_force};
use super::{Config, RawConfig};

const BEGIN: &str = "<!-- keys: generated from the types; AKWATCH_BLESS=1 cargo test -p akwatch-agent writes them -->\n";
const END: &str = "<!-- end of keys -->\n";

/// A key as the types have it.
struct Key {
    table: String,
    name: String,
    does: String,
}

impl Key {
    /// The key with its table.
    fn whole(&self) -> String {
        match self.table.as_str() {
            "" => self.name.clone(),
            table => format!("{table}.{}", self.name),
        }
    }
}

/// The words of a description, in one line.
fn words(of: &Json) -> String {
    let text = of["description"].as_str().unwrap_or_default();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Every key, in the order of the types.
fn keys() -> Vec<Key> {
    let schema = schema_for!(RawConfig).to_value();
    let tables = schema["properties"].as_object().unwrap();
    let mut keys = Vec::new();
    for (table, of) in tables {
        let name = of["$ref"].as_str().and_then(|name| name.rsplit('/').next());
        let Some(fields) = name.and_then(|name| schema["$defs"][name]["properties"].as_object())
        else {
            if of["additionalProperties"].is_null() {
                // A key above all tables.
                keys.push(Key {
                    table: String::new(),
                    name: table.clone(),
                    does: words(of),
                });
                continue;
            }
            // Names that an operator chooses.
            keys.push(Key {
                table: table.clone(),
                name: "NAME".to_owned(),
                does: words(of),
            });
            continue;
        };
        for (name, field) in fields {
            keys.push(Key {
                table: table.clone(),
                name: name.clone(),
                does: words(field),
            });
        }
    }
    // JSON has no order; what is shown has.
    let shown = shown_keys();
    let place = |key: &Key| {
        let name = key.whole();
        shown
            .iter()
            .position(|shown| *shown == name)
            .unwrap_or(usize::MAX)
    };
    keys.sort_by_key(place);
    keys
}

fn shown_keys() -> Vec<String> {
    let shown = in_force(&Config::built_in(), &[]).into_iter();
    shown.map(|entry| entry.key).collect()
}

/// What holds where a key is not set.
fn default_of(key: &Key) -> String {
    let built_in = in_force(&Config::built_in(), &[]);
    let name = key.whole();
    match built_in.into_iter().find(|entry| entry.key == name) {
        Some(entry) if name != "collector.urls" => entry
            .value
            .map_or_else(|| "none".to_owned(), |value| format!("`{value}`")),
        Some(_) => "none; required".to_owned(),
        None => "none".to_owned(),
    }
}

fn table() -> String {
    let mut text = "| key | default | what it does |\n|---|---|---|\n".to_owned();
    for key in keys() {
        let _ = writeln!(
            text,
            "| `{}` | {} | {} |",
            key.whole(),
            default_of(&key),
            key.does
        );
    }
    text
}

fn document(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../docs/reference")
        .join(name)
}

#[test]
fn the_reference_is_generated_from_the_types() {
    let (before, rest) = REFERENCE
        .split_once(BEGIN)
        .expect("the mark where the keys begin");
    let (_, after) = rest.split_once(END).expect("the mark where they end");
    let current = format!("{before}{BEGIN}{}{END}{after}", table());
    if std::env::var_os("AKWATCH_BLESS").is_some() {
        std::fs::write(document("agent-configuration.md"), current).unwrap();
        return;
    }
    assert!(
        current == REFERENCE,
        "docs/reference/agent-configuration.md is not current: {BEGIN}"
    );
}

#[test]
fn the_sample_is_read_and_says_nothing_until_a_line_is_uncommented() {
    let load = |text: String| Config::from_texts(&[("agent.toml".into(), text)]);
    assert!(
        load(SAMPLE.to_owned())
            .unwrap_err()
            .to_string()
            .contains("urls is not set")
    );
    let set = SAMPLE.replace("#urls = ", "urls = ");
    let (config, built_in) = (load(set).unwrap(), Config::built_in());
    let values = |config: &Config| {
        let keys = in_force(config, &[]).into_iter();
        keys.filter(|entry| entry.key != "collector.urls")
            .collect::<Vec<_>>()
    };
    assert_eq!(values(&config), values(&built_in));
}

#[test]
fn every_key_of_the_types_is_shown() {
    let shown = shown_keys();
    for key in keys() {
        let name = key.whole();
        assert!(
            key.table == "labels" || shown.contains(&name),
            "{name} is not shown"
        );
        assert!(!key.does.is_empty(), "{name} has no words");
    }
}
