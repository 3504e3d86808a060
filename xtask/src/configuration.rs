//! The default configuration files of the packages, made from the types that read them.
//!
//! `RawConfig` of the agent and of the collector say each key once, with its doc comment, its type and
//! its default; what the packages install in `/etc/akwatch` says the same in TOML, every key commented
//! out. So a file that nobody has touched changes nothing, and an upgrade brings the new comments.

use anyhow::{Context, Result, bail};

use crate::build::root;

/// A file that is made, and the source that it is made from.
struct Made {
    file: &'static str,
    source: &'static str,
    head: &'static str,
}

const MADE: [Made; 2] = [
    Made {
        file: "packaging/agent.toml",
        source: "agent/src/config.rs",
        head: "The akwatch agent. Every key is here with its default; what you set belongs in \
               agent.d/*.toml beside this file, which later wins, so that upgrades never ask. No key \
               holds a secret. The whole reference: docs/reference/agent-configuration.md.",
    },
    Made {
        file: "packaging/server.toml",
        source: "server/src/config.rs",
        head: "The akwatch collector. Every key is here with its default. No key holds a secret.",
    },
];

/// Columns of a comment.
const WIDTH: usize = 98;

/// Writes the files anew.
pub(crate) fn write() -> Result<()> {
    for made in &MADE {
        std::fs::write(root().join(made.file), made.text()?)?;
    }
    Ok(())
}

impl Made {
    fn text(&self) -> Result<String> {
        let source = std::fs::read_to_string(root().join(self.source))
            .with_context(|| format!("reading {}", self.source))?;
        let mut text = comment(self.head);
        table(&source, "RawConfig", None, &mut text).with_context(|| self.source.to_owned())?;
        Ok(text)
    }
}

/// A field of a struct that serde reads.
#[derive(Debug, PartialEq)]
struct Key {
    name: String,
    kind: String,
    doc: String,
}

/// Writes the keys of one struct, then the tables in it: TOML has no way back to the level above.
fn table(source: &str, name: &str, title: Option<&str>, text: &mut String) -> Result<()> {
    let keys = keys(source, name)?;
    if let Some(title) = title {
        text.push_str(&format!("[{title}]\n"));
    }
    let (tables, plain): (Vec<&Key>, Vec<&Key>) = keys
        .iter()
        .partition(|key| key.kind.starts_with("Raw") || key.kind.starts_with("BTreeMap"));
    for (number, key) in plain.iter().enumerate() {
        if number > 0 || title.is_none() {
            text.push('\n');
        }
        text.push_str(&comment(&key.doc));
        text.push_str(&format!("#{} = {}\n", key.name, value(key)?));
    }
    for key in tables {
        text.push('\n');
        text.push_str(&comment(&key.doc));
        if key.kind.starts_with("Raw") {
            table(source, &key.kind, Some(&key.name), text)?;
        } else {
            let example = quoted(&key.doc).find(|word| word.contains(" = "));
            let example = example.with_context(|| format!("{}: no example", key.name))?;
            text.push_str(&format!("#[{}]\n#{example}\n", key.name));
        }
    }
    Ok(())
}

/// The value that a commented line shows: the default; where there is none, the example.
fn value(key: &Key) -> Result<String> {
    if let Some((_, after)) = key.doc.split_once("Default") {
        let after = after.trim_start_matches([':', ' ']);
        if let Some(word) = after
            .strip_prefix('`')
            .and_then(|rest| rest.split('`').next())
        {
            return Ok(format!("{word:?}"));
        }
        let word = after.split([' ', '.', ':', ',']).next().unwrap_or_default();
        if word == "true" || word == "false" || word.parse::<u64>().is_ok() {
            return Ok(word.to_owned());
        }
    }
    let required = key.doc.contains("without a default");
    if key.kind.contains("Vec<") && !required {
        return Ok("[]".to_owned());
    }
    let example =
        quoted(&key.doc).find(|word| word.starts_with(['"', '[']) || word.contains("://"));
    match example {
        Some(word) if word.starts_with(['"', '[']) => Ok(word.to_owned()),
        Some(word) => Ok(format!("{word:?}")),
        None => bail!(
            "{} has neither a default nor an example in its comment",
            key.name
        ),
    }
}

/// What stands between backquotes.
fn quoted(doc: &str) -> impl Iterator<Item = &str> {
    doc.split('`').skip(1).step_by(2)
}

/// The public fields of `name`, in order, with their doc comments joined.
fn keys(source: &str, name: &str) -> Result<Vec<Key>> {
    let head = format!("pub struct {name} {{");
    let (_, after) = source
        .split_once(&head)
        .with_context(|| format!("no {head}"))?;
    let (body, _) = after.split_once("\n}").context("a struct without an end")?;
    let mut keys = Vec::new();
    let mut doc = String::new();
    for line in body.lines().map(str::trim) {
        if let Some(words) = line.strip_prefix("///") {
            if !doc.is_empty() {
                doc.push(' ');
            }
            doc.push_str(words.trim());
        } else if let Some(field) = line.strip_prefix("pub ") {
            let (name, kind) = field.split_once(": ").context("a field without a type")?;
            keys.push(Key {
                name: name.to_owned(),
                kind: kind.trim_end_matches(',').to_owned(),
                doc: std::mem::take(&mut doc),
            });
        }
    }
    Ok(keys)
}

/// Wraps a text into lines of comment.
fn comment(text: &str) -> String {
    let mut lines = String::new();
    let mut line = String::from("#");
    for word in text.split_whitespace() {
        if line.len() + 1 + word.len() > WIDTH && line.len() > 1 {
            lines.push_str(&line);
            lines.push('\n');
            line = String::from("#");
        }
        line.push(' ');
        line.push_str(word);
    }
    lines.push_str(&line);
    lines.push('\n');
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "/// All.\npub struct RawConfig {\n    /// A name. Default: `akwatch`.\n    \
        pub name: Option<String>,\n    /// Where.\n    #[serde(default)]\n    pub listen: RawListen,\n}\n\
        pub struct RawListen {\n    /// Bytes. Default 64 (few).\n    pub most: Option<u32>,\n    \
        /// Nothing to go by.\n    pub odd: Option<String>,\n}\n";

    #[test]
    fn the_files_of_the_packages_are_what_the_types_say() {
        if std::env::var_os("AKWATCH_BLESS").is_some() {
            write().unwrap();
        }
        for made in &MADE {
            let there = std::fs::read_to_string(root().join(made.file)).unwrap_or_default();
            assert_eq!(there, made.text().unwrap(), "cargo xtask gen");
        }
    }

    /// A file that is installed names its tables, so that one key alone can be uncommented, and says
    /// nothing; with every mark of a comment before a key taken away it is TOML that names each key once.
    #[test]
    fn a_sample_says_nothing_and_every_key_is_toml() {
        for made in &MADE {
            let text = made.text().unwrap();
            assert!(
                text.lines()
                    .all(|line| line.is_empty() || line.starts_with(['#', '[']))
            );
            let bare: String = text
                .lines()
                .map(|line| line.strip_prefix('#').unwrap_or(line))
                .filter(|line| !line.starts_with(' '))
                .map(|line| format!("{line}\n"))
                .collect();
            let table: toml::Table = toml::from_str(&bare).unwrap();
            assert!(table.len() > 3, "{bare}");
        }
    }

    #[test]
    fn a_key_without_default_and_example_is_refused() {
        let mut text = String::new();
        let error = table(SOURCE, "RawConfig", None, &mut text).unwrap_err();
        assert!(error.to_string().starts_with("odd has neither"), "{error}");
        assert!(
            text.contains("# A name. Default: `akwatch`.\n#name = \"akwatch\"\n"),
            "{text}"
        );
        assert!(
            text.contains("[listen]\n# Bytes. Default 64 (few).\n#most = 64\n"),
            "{text}"
        );
    }
}
