//! Documents stay true: links lead somewhere, promises name tests that exist.

use std::path::Path;

use super::{Fault, Files};

/// Checks every Markdown file, the lock file of the console and the specification.
pub(super) fn check(files: &Files, faults: &mut Vec<Fault>) {
    for (path, text) in files.ending("md") {
        links(files, path, text, faults);
    }
    for (path, text) in &files.files {
        if path.ends_with("package-lock.json") && text.contains("\"resolved\"") {
            faults.push(Fault {
                file: path.clone(),
                line: None,
                what: "records download addresses: install with omit-lockfile-registry-resolved"
                    .to_owned(),
            });
        }
        if path == Path::new("SPECIFICATION.md") {
            promises(files, path, text, faults);
        }
    }
}

/// Every relative link leads to a file of the clone.
fn links(files: &Files, path: &Path, text: &str, faults: &mut Vec<Fault>) {
    let directory = path.parent().unwrap_or(Path::new(""));
    for (index, line) in text.lines().enumerate() {
        for target in line
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            let target = target.split('#').next().unwrap_or_default();
            if target.is_empty() || target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            if !files.root.join(directory).join(target).exists() {
                faults.push(Fault {
                    file: path.into(),
                    line: Some(index + 1),
                    what: format!("the link to {target} leads nowhere"),
                });
            }
        }
    }
}

/// A promise's last column names its proof: `path::test`, a command, or *pending*.
fn promises(files: &Files, path: &Path, text: &str, faults: &mut Vec<Fault>) {
    for (index, line) in text.lines().enumerate() {
        let Some(row) = line.strip_prefix("| ") else {
            continue;
        };
        for proof in row
            .split('`')
            .skip(1)
            .step_by(2)
            .filter(|word| word.contains("::"))
        {
            let (file, test) = proof.split_once("::").unwrap_or((proof, ""));
            let found = files
                .files
                .iter()
                .find(|(candidate, _)| candidate == Path::new(file))
                .is_some_and(|(_, text)| text.contains(test));
            if !found {
                faults.push(Fault {
                    file: path.into(),
                    line: Some(index + 1),
                    what: format!("names the proof {proof}, which does not exist"),
                });
            }
        }
    }
}
