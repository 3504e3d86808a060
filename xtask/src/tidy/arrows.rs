//! Who may depend on whom: the arrows between crates, and those between modules.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};

use super::{Fault, Files};

/// The allowed arrows between our own crates. What is not here is a fault.
const CRATES: &[(&str, &[&str])] = &[
    ("akwatch-proto", &[]),
    ("akwatch-detect", &["akwatch-proto"]),
    ("akwatch-ledger", &["akwatch-proto"]),
    ("akwatch-sys", &[]),
    (
        "akwatch-agent",
        &[
            "akwatch-proto",
            "akwatch-detect",
            "akwatch-ledger",
            "akwatch-sys",
        ],
    ),
    ("akwatch-store", &["akwatch-proto"]),
    (
        "akwatch-server",
        &["akwatch-proto", "akwatch-store", "akwatch-detect"],
    ),
    ("akwatch", &["akwatch-proto"]),
    ("akwatch-tests", &["akwatch-proto"]),
    ("akwatch-fuzz", &["akwatch-proto", "akwatch-detect"]),
    ("xtask", &[]),
];

/// Crates of others that only some of ours may use.
const ONLY: &[(&str, &[&str])] = &[
    ("sqlx", &["akwatch-store"]),
    ("libc", &["akwatch-sys"]),
    ("redb", &["akwatch-ledger"]),
    ("axum", &["akwatch-server"]),
];

/// Words that must not stand in the code of a module: the arrows inside a crate.
const MODULES: &[(&str, &[&str], &str)] = &[
    (
        "detect/src/",
        &[
            "std::fs",
            "std::net",
            "std::time",
            "std::env",
            "std::process",
            "tokio::",
            "tracing::",
        ],
        "the detector does no I/O and knows no clock",
    ),
    (
        "agent/src/detector.rs",
        &["tracing::", "println!", "eprintln!"],
        "what has no voice leaks nothing",
    ),
    (
        "agent/src/reporter",
        &["akwatch_ledger", "akwatch_detect"],
        "the reporter knows no finding's meaning",
    ),
    (
        "agent/src/sense/",
        &["akwatch_detect::Detector", "akwatch_detect::scan"],
        "sensors never parse content",
    ),
    (
        "agent/ledger/src/",
        &["akwatch_detect"],
        "the ledger knows no rule",
    ),
    (
        "server/src/domain",
        &[
            "axum",
            "sqlx",
            "crate::refusal",
            "crate::people",
            "crate::agents",
        ],
        "decisions know neither HTTP nor SQL, nor who asks for them",
    ),
    (
        "server/src/people",
        &["akwatch_store"],
        "people's handlers reach the store through the domain",
    ),
    (
        "server/src/agents",
        &["akwatch_store"],
        "agents' handlers reach the store through the domain",
    ),
    (
        "proto/src/",
        &["std::fs", "std::net", "SystemTime"],
        "the contract does no I/O and reads no clock",
    ),
    (
        "tests/",
        &[
            "akwatch_detect",
            "akwatch_ledger",
            "akwatch_store",
            "akwatch_sys",
        ],
        "end-to-end tests link nothing of ours but proto",
    ),
];

/// Fuzz targets lie beside the end-to-end tests, in a crate of their own that links the detector.
const FUZZ: &str = "tests/fuzz/";

/// The one way to build a [`SafeText`] from bytes of a host, and who may call it.
const REDACTION: (&str, &[&str]) = (
    "danger_already_redacted",
    &[
        "proto/src/place.rs",
        "agent/src/examine.rs",
        "agent/src/redact.rs",
    ],
);

/// Checks manifests and modules.
pub(super) fn check(files: &Files, faults: &mut Vec<Fault>) -> Result<()> {
    let allowed: BTreeMap<&str, &[&str]> = CRATES.iter().copied().collect();
    for (path, text) in files.ending("toml") {
        if path.file_name().is_some_and(|name| name == "Cargo.toml")
            && path != Path::new("Cargo.toml")
        {
            manifest(path, text, &allowed, faults)?;
        }
    }
    for (path, text) in files.ending("rs") {
        modules(path, text, faults);
    }
    Ok(())
}

fn manifest(
    path: &Path,
    text: &str,
    allowed: &BTreeMap<&str, &[&str]>,
    faults: &mut Vec<Fault>,
) -> Result<()> {
    let table: toml::Table = text
        .parse()
        .with_context(|| format!("parsing {}", path.display()))?;
    let mut fault = |what: String| {
        faults.push(Fault {
            file: path.into(),
            line: None,
            what,
        });
    };
    let name = table
        .get("package")
        .and_then(|package| package.get("name"))
        .and_then(toml::Value::as_str)
        .unwrap_or_default();
    let Some(own) = allowed.get(name) else {
        fault(format!(
            "crate {name:?} is not in the list of arrows in xtask/src/tidy/arrows.rs"
        ));
        return Ok(());
    };
    if table
        .get("lints")
        .and_then(|lints| lints.get("workspace"))
        .is_none()
    {
        fault("has no `[lints] workspace = true`".to_owned());
    }
    for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
        let Some(entries) = table.get(section).and_then(toml::Value::as_table) else {
            continue;
        };
        for dependency in entries.keys() {
            if allowed.contains_key(dependency.as_str()) && !own.contains(&dependency.as_str()) {
                fault(format!("{name} may not depend on {dependency}"));
            }
            if let Some((_, only)) = ONLY.iter().find(|(other, _)| other == dependency)
                && section == "dependencies"
                && !only.contains(&name)
            {
                fault(format!("{dependency} belongs to {} alone", only.join(", ")));
            }
        }
    }
    Ok(())
}

fn modules(path: &Path, text: &str, faults: &mut Vec<Fault>) {
    let name = path.to_string_lossy();
    for (index, line) in text.lines().enumerate() {
        let code = line.trim_start();
        if code.starts_with("//") {
            continue;
        }
        if code.starts_with("#[cfg(test)]") {
            break; // tests below may reach further
        }
        let mut fault = |what: String| {
            faults.push(Fault {
                file: path.into(),
                line: Some(index + 1),
                what,
            });
        };
        for (place, words, why) in MODULES {
            if !name.starts_with(place) || name.starts_with(FUZZ) {
                continue;
            }
            for word in words.iter().filter(|word| code.contains(**word)) {
                fault(format!("`{word}` is not allowed here: {why}"));
            }
        }
        let (word, may) = REDACTION;
        if code.contains(word)
            && !may.contains(&name.as_ref())
            && !name.starts_with("xtask/")
            && !name.starts_with("proto/tests/")
            && !name.ends_with("/tests.rs")
        {
            fault(format!(
                "`{word}` may be called only in {}",
                may[1..].join(", ")
            ));
        }
    }
}
