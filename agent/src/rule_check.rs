//! `rules check`: would this rule file be taken, and do its own examples hold?
//!
//! The same compiler as the detector's; nothing is installed and no host is read.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::path::Path;
use std::process::ExitCode;

use akwatch_detect::{RulePack, RuleSet};
use akwatch_proto::text::escape;
use anyhow::{Context, bail};

/// Bytes of a rule file, as of a signed pack.
const PACK: usize = akwatch_proto::limits::SIGNED_PAYLOAD;

/// Compiles `file` and says which of its rules were set aside. Exit 0 when none was, else 1.
///
/// # Errors
/// When the file cannot be read or is too large.
pub fn run(file: &Path) -> anyhow::Result<ExitCode> {
    let shown = escape(file.as_os_str().as_encoded_bytes());
    let mut text = String::new();
    std::fs::File::open(file)
        .and_then(|open| open.take(PACK as u64 + 1).read_to_string(&mut text))
        .with_context(|| format!("cannot read the rule file {shown}"))?;
    if text.len() > PACK {
        bail!("{shown} is larger than {PACK} bytes, which is more than a rule pack may be");
    }
    let (report, sound) = check(&shown, text);
    std::io::stdout()
        .write_all(report.as_bytes())
        .context("cannot write to standard output")?;
    Ok(ExitCode::from(u8::from(!sound)))
}

fn check(name: &str, toml: String) -> (String, bool) {
    let pack = RulePack {
        name: name.to_owned(),
        toml,
    };
    let (rules, faults) = RuleSet::compile(&[pack]);
    let mut report = String::new();
    for fault in &faults {
        let rule = fault.rule.as_deref().map_or("the file", |rule| rule);
        let (rule, why) = (escape(rule.as_bytes()), escape(fault.why.as_bytes()));
        let _ = writeln!(report, "{name}: {rule}: set aside: {why}");
    }
    if faults.is_empty() {
        let _ = writeln!(
            report,
            "{name}: sound; compiled as version {}",
            rules.version()
        );
    }
    (report, faults.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_no_rule_file_says_so() {
        let (report, sound) = check("mine.toml", "rule = \x1b[".to_owned());
        assert!(
            !sound && report.starts_with("mine.toml: the file: set aside:"),
            "{report}"
        );
        assert!(!report.contains('\x1b'), "{report}");
    }

    #[test]
    fn a_missing_file_is_trouble() {
        let missing = tempfile::tempdir().unwrap().path().join("none.toml");
        let message = format!("{:#}", run(&missing).unwrap_err());
        assert!(
            message.contains("none.toml") && message.contains("cannot read"),
            "{message}"
        );
    }
}
