//! What every source file keeps to: it says why it exists, stays small, leaves nothing switched off.

use std::path::Path;

use super::{Fault, Files};

/// Lines of a file before its tests; more needs a reason in its head.
const PRODUCTION_LINES: usize = 800;
/// The words with which a longer file gives its reason.
const LONGER_BECAUSE: &str = "Longer than 800 lines because";

/// What no source may contain, and what to do instead.
const NEVER: &[(&str, &str)] = &[
    (
        "#[ignore",
        "a test that is switched off proves nothing: mend it, or move it behind --slow",
    ),
    ("todo!(", "write it, or answer with an explicit error"),
    (
        "unimplemented!(",
        "write it, or answer with an explicit error",
    ),
    ("FIXME", "mend it, or write an issue"),
    ("test.skip(", "a test that is switched off proves nothing"),
    ("it.skip(", "a test that is switched off proves nothing"),
    (".only(", "runs one test and hides the others"),
];

/// Checks every Rust and TypeScript source.
pub(super) fn check(files: &Files, faults: &mut Vec<Fault>) {
    for (path, text) in files.ending("rs") {
        rust(path, text, faults);
        never(path, text, faults);
    }
    for ending in ["ts", "tsx"] {
        for (path, text) in files.ending(ending) {
            never(path, text, faults);
            let head = text.trim_start();
            if !head.starts_with("//") && !head.starts_with("/*") {
                faults.push(Fault {
                    file: path.into(),
                    line: Some(1),
                    what: "does not open with a comment that says why it exists".to_owned(),
                });
            }
        }
    }
}

fn rust(path: &Path, text: &str, faults: &mut Vec<Fault>) {
    let name = path.to_string_lossy();
    let mut fault = |what: String| {
        faults.push(Fault {
            file: path.into(),
            line: Some(1),
            what,
        });
    };
    if !text.starts_with("//!") {
        fault("does not open with `//!` saying why it exists".to_owned());
    }
    let production = text
        .lines()
        .take_while(|line| !line.starts_with("#[cfg(test)]"))
        .count();
    if production > PRODUCTION_LINES && !text.contains(LONGER_BECAUSE) {
        fault(format!(
            "has {production} lines before its tests, more than {PRODUCTION_LINES}: split it, or say \
             \"{LONGER_BECAUSE} …\" in its head"
        ));
    }
    let crate_root = name.ends_with("src/lib.rs") || name.ends_with("src/main.rs");
    if crate_root && !name.starts_with("agent/sys/") && !text.contains("#![forbid(unsafe_code)]") {
        fault("is a crate's root without `#![forbid(unsafe_code)]`".to_owned());
    }
}

fn never(path: &Path, text: &str, faults: &mut Vec<Fault>) {
    if path.starts_with("xtask/src/tidy") {
        return; // the list itself
    }
    for (index, line) in text.lines().enumerate() {
        for (word, instead) in NEVER {
            if line.contains(word) {
                faults.push(Fault {
                    file: path.into(),
                    line: Some(index + 1),
                    what: format!("contains `{word}`: {instead}"),
                });
            }
        }
    }
}
