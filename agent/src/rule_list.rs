//! `rules list` and `rules show`: what is looked for.
//!
//! The rules that come with this program; the version is the one that `status` and the console show
//! while they are in force.

use std::fmt::Write as _;
use std::process::ExitCode;

use akwatch_detect::{RuleDescription, RuleSet};
use akwatch_proto::text::escape;
use anyhow::bail;
use serde::Serialize;

use crate::cli::{RulesListArgs, RulesShowArgs};
use crate::output;

/// One rule as it is written.
#[derive(Serialize)]
struct Listed<'a> {
    id: &'a str,
    provider: &'a str,
    kind: String,
    about: &'a str,
    source: &'a str,
    remedy: &'a str,
}

impl<'a> Listed<'a> {
    fn of(rule: RuleDescription<'a>) -> Listed<'a> {
        let kind = serde_json::to_value(rule.kind).unwrap_or_default();
        Listed {
            id: rule.id.as_str(),
            provider: rule.provider.as_str(),
            kind: kind.as_str().unwrap_or_default().to_owned(),
            about: rule.about,
            source: rule.source,
            remedy: rule.remedy,
        }
    }
}

#[derive(Serialize)]
struct List<'a> {
    version: String,
    rules: Vec<Listed<'a>>,
}

/// Writes every rule, or those whose id, provider or words hold what is asked for.
///
/// # Errors
/// When the output cannot be written.
pub fn list(args: &RulesListArgs) -> anyhow::Result<ExitCode> {
    let rules = RuleSet::builtin();
    let asked = args.about.as_deref().unwrap_or_default().to_lowercase();
    let holds = |rule: &Listed<'_>| {
        [rule.id, rule.provider, rule.about, &rule.kind]
            .iter()
            .any(|text| text.to_lowercase().contains(&asked))
    };
    let list = List {
        version: rules.version().to_string(),
        rules: rules.describe().map(Listed::of).filter(holds).collect(),
    };
    if args.json {
        output::json(&list)?;
    } else {
        output::write(&table(&list))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn table(list: &List<'_>) -> String {
    let width = |of: fn(&Listed<'_>) -> usize| list.rules.iter().map(of).max().unwrap_or(0);
    let (id, kind) = (width(|rule| rule.id.len()), width(|rule| rule.kind.len()));
    let mut text = String::new();
    for rule in &list.rules {
        let _ = writeln!(
            text,
            "{:<id$}  {:<kind$}  {}",
            rule.id,
            rule.kind,
            escape(rule.about.as_bytes())
        );
    }
    let count = output::counted(list.rules.len() as u64, "rule", "rules");
    let _ = writeln!(text, "\n{count}, version {}", list.version);
    text
}

/// Writes one rule.
///
/// # Errors
/// When there is none of that name, or the output cannot be written.
pub fn show(args: &RulesShowArgs) -> anyhow::Result<ExitCode> {
    let rules = RuleSet::builtin();
    let found = rules.describe().find(|rule| rule.id.as_str() == args.id);
    let Some(rule) = found.map(Listed::of) else {
        bail!(
            "there is no rule {}; `akwatch-agent rules list` names them",
            escape(args.id.as_bytes())
        );
    };
    if args.json {
        output::json(&rule)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut text = String::new();
    for (about, says) in [
        ("rule", rule.id),
        ("issued by", rule.provider),
        ("kind", &rule.kind),
        ("what", rule.about),
        ("known from", rule.source),
        ("remedy", rule.remedy),
    ] {
        let _ = write!(text, "{about:<12}");
        output::wrap(&mut text, 12, &escape(says.as_bytes()));
    }
    output::write(&text)?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_is_listed_in_columns() {
        let rules = RuleSet::builtin();
        let list = List {
            version: rules.version().to_string(),
            rules: rules.describe().map(Listed::of).collect(),
        };
        let text = table(&list);
        assert_eq!(text.lines().count(), rules.ids().count() + 2);
        let column = |line: &str| line.find("  ").map(|at| line[at..].trim_start().len());
        assert!(text.lines().take(10).all(|line| column(line).is_some()));
        assert!(
            list.rules
                .iter()
                .all(|rule| !rule.about.is_empty() && !rule.kind.is_empty())
        );
    }
}
