//! `rules check`: would this rule file be taken, and do its own examples hold?
//!
//! The same compiler as the detector's; nothing is installed and no host is read.

use std::fmt::Write as _;
use std::io::Read;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use akwatch_detect::{RulePack, RuleSet};
use akwatch_proto::text::escape;
use anyhow::{Context, bail};

use crate::output;

/// Bytes of a rule file, as of a signed pack.
const PACK: usize = akwatch_proto::limits::SIGNED_PAYLOAD;
/// Fills the examples: the same every time, so that a fault can be looked at again.
const SEED: u64 = 1;

/// Compiles `file`, runs its rules' examples and look-alikes and says what is not as it should be.
/// Exit 0 when nothing is, else 1.
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
    output::write(&report)?;
    Ok(ExitCode::from(u8::from(!sound)))
}

fn check(name: &str, toml: String) -> (String, bool) {
    let pack = RulePack {
        name: name.to_owned(),
        toml,
    };
    let (rules, mut faults) = RuleSet::compile(&[pack]);
    let rules = Arc::new(rules);
    let set_aside = faults.len();
    faults.extend(rules.check_examples(SEED));
    let mut report = String::new();
    for (number, fault) in faults.iter().enumerate() {
        let rule = fault.rule.as_deref().map_or("the file", |rule| rule);
        let (rule, why) = (escape(rule.as_bytes()), escape(fault.why.as_bytes()));
        let verdict = if number < set_aside {
            "set aside: "
        } else {
            ""
        };
        let _ = writeln!(report, "{name}: {rule}: {verdict}{why}");
    }
    if faults.is_empty() {
        let count = rules.ids().count();
        let _ = writeln!(
            report,
            "{name}: {count} rules, every example as it says; version {}",
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
    fn the_programs_own_rules_are_sound() {
        let own = include_str!("../../detect/rules/cloud.toml");
        let (report, sound) = check("cloud.toml", own.to_owned());
        assert!(
            sound && report.contains("every example as it says"),
            "{report}"
        );
    }

    #[test]
    fn an_example_that_does_not_match_is_named() {
        let own = include_str!("../../detect/rules/cloud.toml");
        let (_, rest) = own.split_once("examples = [").unwrap();
        let wrong = own.replacen(rest, &format!("\"nothing\\n\",{rest}"), 1);
        let (report, sound) = check("mine.toml", wrong);
        assert!(!sound && report.contains("example 1: no match"), "{report}");
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
