//! `config`: is it right, what is in force and which file says so, what there is to set.
//!
//! What is in force is what the agent would run with if it started now; a running one keeps what it
//! began with until it is reloaded or restarted. The reference is the page of the documentation, whose
//! list of keys is generated from the types that read the files.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use akwatch_proto::text::escape;
use serde::Serialize;
use toml::Value;

use super::{Config, drop_ins};
use crate::cli::{ConfigFile, ConfigReferenceArgs};
use crate::doctor::checked;
use crate::output;

/// The page of the documentation.
pub(super) const REFERENCE: &str = include_str!("../../../docs/reference/agent-configuration.md");
/// Every key, commented out, with its default: the file that packages install.
pub(super) const SAMPLE: &str = include_str!("../../../packaging/agent.toml");

/// Columns before the comment that names a value's file.
const INDENT: usize = 40;

/// What a check says.
#[derive(Serialize)]
struct Verdict {
    sound: bool,
    files: Vec<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    found: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<String>,
    /// What is not wrong and may not be meant.
    notes: Vec<String>,
}

/// One key in force.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct InForce {
    /// `table.key`.
    pub(super) key: String,
    /// What holds; none where it is not set and has no default.
    pub(super) value: Option<Value>,
    /// The file that says so; none for a default.
    pub(super) set_in: Option<PathBuf>,
}

/// `config check`: exit 0 when the configuration is right, 1 when it is not.
///
/// # Errors
/// When the output cannot be written.
pub fn check(args: &ConfigFile) -> anyhow::Result<ExitCode> {
    let verdict = judge(&args.config);
    if args.json {
        output::json(&verdict)?;
    } else {
        let mut text = String::new();
        if let Some(found) = &verdict.found {
            let _ = writeln!(text, "{}", escape(found.as_bytes()));
            if let Some(fix) = &verdict.fix {
                let _ = writeln!(text, "  fix: {}", escape(fix.as_bytes()));
            }
        } else {
            let count = verdict.files.len() as u64;
            let files = output::counted(count, "file", "files");
            let _ = writeln!(text, "sound; {files} read");
        }
        for note in &verdict.notes {
            let _ = writeln!(text, "note: {}", escape(note.as_bytes()));
        }
        output::write(&text)?;
    }
    Ok(ExitCode::from(u8::from(!verdict.sound)))
}

fn judge(main: &Path) -> Verdict {
    let texts = Config::texts(main);
    let config = match &texts {
        Ok(texts) => Config::from_texts(texts).map_err(|why| why.to_string()),
        Err(why) => Err(why.to_string()),
    };
    let mut notes = passed_over(main);
    if let Ok(config) = &config {
        notes.extend(
            [
                ("watch.include", &config.watch.include),
                ("deny.paths", &config.deny.paths),
            ]
            .into_iter()
            .flat_map(|(key, globs)| globs.iter().map(move |glob| (key, glob)))
            .filter(|(_, glob)| glob.bases(&[]).iter().any(|base| !base.exists()))
            .map(|(key, glob)| format!("{key} names {}, where nothing is yet", glob.as_str())),
        );
    }
    let told = config.as_ref().err().map(|why| checked::split(why));
    Verdict {
        sound: config.is_ok(),
        found: told.map(|(found, _)| found.to_owned()),
        fix: told.and_then(|(_, fix)| fix.map(str::to_owned)),
        files: texts
            .map(|texts| texts.into_iter().map(|(file, _)| file).collect())
            .unwrap_or_default(),
        notes,
    }
}

/// Files beside the drop-ins that look as if they were meant to be read.
fn passed_over(main: &Path) -> Vec<String> {
    let read = drop_ins(main).unwrap_or_default();
    let entries = std::fs::read_dir(main.with_file_name("agent.d"));
    let mut others: Vec<String> = entries
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| !read.contains(path))
        .map(|path| {
            format!(
                "{} is not read: only names that end in .toml are",
                path.display()
            )
        })
        .collect();
    others.sort();
    others
}

/// `config show`: what is in force, and which file says so.
///
/// # Errors
/// When the configuration is wrong, or the output cannot be written.
pub fn show(args: &ConfigFile) -> anyhow::Result<ExitCode> {
    let texts = Config::texts(&args.config)?;
    let config = Config::from_texts(&texts)?;
    let keys = in_force(&config, &texts);
    if args.json {
        #[derive(Serialize)]
        struct Shown {
            files: Vec<PathBuf>,
            keys: Vec<InForce>,
        }
        let files = texts.into_iter().map(|(file, _)| file).collect();
        output::json(&Shown { files, keys })?;
    } else {
        output::write(&render(&keys))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn render(keys: &[InForce]) -> String {
    let mut text = String::new();
    let mut table = "";
    for entry in keys {
        let (of, name) = entry.key.split_once('.').unwrap_or(("", &entry.key));
        if of != table {
            let before = if text.is_empty() { "" } else { "\n" };
            let _ = writeln!(text, "{before}[{of}]");
            table = of;
        }
        let said = match &entry.value {
            Some(value) => format!("{name} = {value}"),
            None => format!("# {name} is not set"),
        };
        let said = escape(said.as_bytes());
        match &entry.set_in {
            Some(file) => {
                let file = escape(file.as_os_str().as_encoded_bytes());
                let _ = writeln!(text, "{said:<INDENT$} # {file}");
            }
            None if entry.value.is_some() => {
                let _ = writeln!(text, "{said:<INDENT$} # default");
            }
            None => {
                let _ = writeln!(text, "{said}");
            }
        }
    }
    text
}

/// Every key as it holds, with the last file that sets it.
pub(super) fn in_force(config: &Config, texts: &[(PathBuf, String)]) -> Vec<InForce> {
    let tables: Vec<(&PathBuf, toml::Table)> = texts
        .iter()
        .filter_map(|(file, text)| Some((file, text.parse().ok()?)))
        .collect();
    let set_in = |key: &str| -> Option<PathBuf> {
        let sets = |(_, text): &&(&PathBuf, toml::Table)| {
            let Some((table, name)) = key.split_once('.') else {
                return text.contains_key(key);
            };
            let table = text.get(table).and_then(Value::as_table);
            table.is_some_and(|table| table.contains_key(name))
        };
        tables.iter().rfind(sets).map(|(file, _)| (*file).clone())
    };
    values(config)
        .into_iter()
        .map(|(key, value)| InForce {
            set_in: set_in(&key),
            key,
            value,
        })
        .collect()
}

/// Every key with what holds. A test holds this list against the types that read the files.
fn values(config: &Config) -> Vec<(String, Option<Value>)> {
    fn list(items: impl IntoIterator<Item = String>) -> Option<Value> {
        Some(Value::Array(items.into_iter().map(Value::String).collect()))
    }
    let globs = |globs: &[super::Glob]| list(globs.iter().map(|glob| glob.as_str().to_owned()));
    let user =
        |user: &Option<super::UserRef>| user.as_ref().map(|user| Value::String(user.to_string()));
    let (collector, watch, roles) = (&config.collector, &config.watch, &config.roles);
    let bytes = |count| Some(Value::Integer(i64::try_from(count).unwrap_or(i64::MAX)));
    let flag = |value| Some(Value::Boolean(value));
    let paths = |paths: &[PathBuf]| list(paths.iter().map(|path| path.display().to_string()));
    let mut all: Vec<(String, Option<Value>)> = vec![
        ("ephemeral", flag(config.ephemeral)),
        (
            "collector.urls",
            list(collector.urls.iter().map(ToString::to_string)),
        ),
        (
            "collector.proxy",
            collector
                .proxy
                .as_ref()
                .map(|proxy| Value::String(proxy.url().to_string())),
        ),
        (
            "collector.use_environment_proxy",
            flag(collector.use_environment_proxy),
        ),
        ("watch.include", globs(&watch.include)),
        ("watch.exclude", globs(&watch.exclude)),
        ("watch.max_file_bytes", bytes(watch.max_file_bytes)),
        ("watch.history", flag(watch.history)),
        ("watch.processes", flag(watch.processes)),
        ("processes.strict", flag(config.processes.strict)),
        (
            "processes.strict_files",
            paths(&config.processes.strict_files),
        ),
        ("first_scan.enabled", flag(config.first_scan.enabled)),
        ("first_scan.paths", paths(&config.first_scan.paths)),
        (
            "first_scan.hours",
            list(config.first_scan.hours.iter().map(ToString::to_string)),
        ),
        (
            "budget.scan_bytes_per_second",
            bytes(config.budget.scan_bytes_per_second),
        ),
        ("budget.disk_bytes", bytes(config.budget.disk_bytes)),
        ("roles.watcher", user(&roles.watcher)),
        ("roles.marker", user(&roles.marker)),
        ("roles.detector", user(&roles.detector)),
        ("roles.reporter", user(&roles.reporter)),
        ("deny.paths", globs(&config.deny.paths)),
        ("deny.hunts", flag(config.deny.hunts)),
        ("deny.pauses", flag(config.deny.pauses)),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value))
    .collect();
    all.extend(config.labels.iter().map(|(name, value)| {
        (
            format!("labels.{}", name.0),
            Some(Value::String(value.0.clone())),
        )
    }));
    all
}

/// `config reference`: what there is to set.
///
/// # Errors
/// When the output cannot be written.
pub fn reference(args: &ConfigReferenceArgs) -> anyhow::Result<ExitCode> {
    output::write(if args.toml { SAMPLE } else { REFERENCE })?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(texts: &[(&str, &str)]) -> Vec<(PathBuf, String)> {
        let file = |(name, text): &(&str, &str)| (PathBuf::from(name), (*text).to_owned());
        texts.iter().map(file).collect()
    }

    #[test]
    fn the_last_file_that_sets_a_key_is_named() {
        let texts = files(&[
            (
                "agent.toml",
                "[collector]\nurls = [\"https://a:1\"]\n[watch]\nhistory = true\n",
            ),
            (
                "agent.d/10.toml",
                "[watch]\nhistory = false\n[labels]\nenv = \"prod\"\n",
            ),
        ]);
        let keys = in_force(&Config::from_texts(&texts).unwrap(), &texts);
        let text = render(&keys);
        for line in [
            "urls = [\"https://a:1\"]                   # agent.toml",
            "history = false                          # agent.d/10.toml",
            "processes = true                         # default",
            "env = \"prod\"                             # agent.d/10.toml",
            "# proxy is not set",
        ] {
            assert!(
                text.lines().any(|said| said == line),
                "{line:?} is not in\n{text}"
            );
        }
        // What is shown can be read again, and says the same.
        let again = files(&[("agent.toml", &text)]);
        let config = Config::from_texts(&again).unwrap();
        let values = |keys: Vec<InForce>| keys.into_iter().map(|one| one.value).collect::<Vec<_>>();
        assert_eq!(values(in_force(&config, &again)), values(keys));
    }

    #[test]
    fn a_check_names_line_key_and_remedy_and_what_is_passed_over() {
        let directory = tempfile::tempdir().unwrap();
        let main = directory.path().join("agent.toml");
        std::fs::create_dir(directory.path().join("agent.d")).unwrap();
        std::fs::write(directory.path().join("agent.d/10.conf"), "").unwrap();
        std::fs::write(&main, "[collector]\nurls = [\"http://a\"]\n").unwrap();
        let verdict = judge(&main);
        assert!(!verdict.sound);
        let found = verdict.found.unwrap();
        assert!(
            found.contains("agent.toml:2: collector.urls") && found.contains("not https"),
            "{found}"
        );
        assert_eq!(
            verdict.fix.as_deref(),
            Some("allowed is https://HOST[:PORT]")
        );
        assert!(
            verdict.notes[0].contains("10.conf is not read"),
            "{:?}",
            verdict.notes
        );
        let text =
            "[collector]\nurls = [\"https://a\"]\n[watch]\ninclude = [\"/no/such/place/**\"]\n";
        std::fs::write(&main, text).unwrap();
        let verdict = judge(&main);
        assert!(verdict.sound && verdict.found.is_none());
        assert!(
            verdict.notes[1].contains("/no/such/place/**"),
            "{:?}",
            verdict.notes
        );
    }
}
