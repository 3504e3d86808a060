//! What a host says is bounded and made harmless before anybody believes it.
//!
//! Counts beyond a limit of the wire are refused, because they come from no agent of ours. Names
//! that a host claims of itself are cut and escaped instead: an odd host name must not keep a host
//! from being watched.

use akwatch_proto::agent::{CheckIn, Heartbeat, HostFacts, RefusalCode, Report};
use akwatch_proto::coverage::Coverage;
use akwatch_proto::finding::{Finding, Proof};
use akwatch_proto::limits;
use akwatch_proto::place::Place;
use akwatch_proto::text;

use crate::refusal::Refusal;

/// Characters of a claimed name.
const NAME: usize = 256;
/// Outcomes in one check-in.
const OUTCOMES: usize = 4 * limits::DIRECTIVES;

/// Checks a report.
///
/// # Errors
/// When it exceeds a limit, or holds what no agent of this version sends.
pub fn report(report: &Report) -> Result<(), Refusal> {
    count(
        "findings",
        report.findings.len(),
        limits::FINDINGS_PER_REPORT,
    )?;
    for finding in &report.findings {
        self::finding(finding, report.upto)?;
    }
    for answer in &report.answers {
        count("epochs", answer.epochs.len(), limits::EPOCHS)?;
    }
    count("answers", report.answers.len(), limits::REREAD_PLACES)
}

fn finding(finding: &Finding, upto: u64) -> Result<(), Refusal> {
    count("proofs", finding.proof.len(), limits::PROOFS_PER_FINDING)?;
    count(
        "unit files",
        finding.origin.unit_files.len(),
        limits::UNIT_FILES,
    )?;
    // What agents send: a layer may be a compression and the encoding around it.
    count(
        "encodings",
        finding.spot.encoding.len(),
        2 * limits::INSIDE_DEPTH,
    )?;
    let remotes = finding.git.as_ref().map_or(0, |git| git.remotes.len());
    count("remotes", remotes, limits::GIT_REMOTES)?;
    match &finding.key.place {
        Place::File { inside, .. } => count("members", inside.len(), limits::INSIDE_DEPTH)?,
        Place::Unknown => {
            return Err(Refusal::new(
                RefusalCode::Version,
                "The report holds a kind of place that this collector does not know.",
            )
            .hint("Upgrade the collector before its agents."));
        }
        Place::Process { .. } | Place::History { .. } => {}
    }
    if finding.revision > upto {
        return Err(malformed("a finding's revision lies above `upto`"));
    }
    let octal = |mode: &String| mode.len() == 4 && mode.bytes().all(|b| (b'0'..=b'7').contains(&b));
    if !finding.reach.mode.as_ref().is_none_or(octal) {
        return Err(malformed("a mode is not four octal digits"));
    }
    for proof in &finding.proof {
        if let Proof::Account { id, .. } = proof
            && (id.len() > limits::SLUG || !id.bytes().all(|b| b.is_ascii_alphanumeric()))
        {
            return Err(malformed("an account is not a number or word"));
        }
    }
    Ok(())
}

/// Checks a heartbeat, and makes the names in it harmless.
///
/// # Errors
/// When it exceeds a limit.
pub fn heartbeat(heartbeat: &mut Heartbeat) -> Result<(), Refusal> {
    coverage(&mut heartbeat.coverage)?;
    heartbeat.facts.as_mut().map_or(Ok(()), facts)
}

fn coverage(coverage: &mut Coverage) -> Result<(), Refusal> {
    count("sources", coverage.sources.len(), limits::COVERAGE_SOURCES)?;
    count(
        "missing walls",
        coverage.missing_walls.len(),
        limits::COVERAGE_REASONS,
    )?;
    clean(&mut coverage.rules, NAME);
    if let Some(reason) = &mut coverage.rung_reason {
        clean(reason, NAME);
    }
    for wall in &mut coverage.missing_walls {
        clean(wall, NAME);
    }
    count(
        "set aside",
        coverage.set_aside.len(),
        limits::SET_ASIDE_NAMED,
    )?;
    for aside in &mut coverage.set_aside {
        clean(&mut aside.kind, limits::SLUG);
        clean(&mut aside.why, NAME);
    }
    if let Some(trouble) = &mut coverage.record {
        clean(&mut trouble.why, limits::SLUG);
    }
    for source in &mut coverage.sources {
        count("reasons", source.not_read.len(), limits::COVERAGE_REASONS)?;
        clean(&mut source.source, limits::SLUG);
        clean(&mut source.mechanism, limits::SLUG);
        for not_read in &mut source.not_read {
            clean(&mut not_read.why, limits::SLUG);
        }
    }
    Ok(())
}

/// Checks a host's facts, and makes the names in them harmless.
///
/// # Errors
/// When they exceed a limit.
pub fn facts(facts: &mut HostFacts) -> Result<(), Refusal> {
    count("addresses", facts.addresses.len(), limits::ADDRESSES)?;
    count("labels", facts.labels.len(), limits::LABELS)?;
    for name in [
        &mut facts.hostname,
        &mut facts.machine,
        &mut facts.os,
        &mut facts.kernel,
        &mut facts.architecture,
        &mut facts.time_zone,
        &mut facts.agent,
    ]
    .into_iter()
    .chain(&mut facts.addresses)
    {
        clean(name, NAME);
    }
    if let Some(cloud) = &mut facts.cloud {
        for name in [
            &mut cloud.provider,
            &mut cloud.account,
            &mut cloud.region,
            &mut cloud.zone,
            &mut cloud.instance,
        ] {
            clean(name, NAME);
        }
    }
    facts.labels = std::mem::take(&mut facts.labels)
        .into_iter()
        .map(|(mut key, mut value)| {
            clean(&mut key, limits::SLUG);
            clean(&mut value, limits::LABEL_VALUE);
            (key, value)
        })
        .collect();
    Ok(())
}

/// Checks a check-in.
///
/// # Errors
/// When it exceeds a limit.
pub fn check_in(check_in: &CheckIn) -> Result<(), Refusal> {
    count("outcomes", check_in.outcomes.len(), OUTCOMES)
}

fn clean(name: &mut String, limit: usize) {
    if name.len() > limit || name.chars().any(text::is_hostile) {
        *name = text::cut(&text::escape(name.as_bytes()), limit);
    }
}

fn count(what: &str, found: usize, limit: usize) -> Result<(), Refusal> {
    if found <= limit {
        return Ok(());
    }
    Err(Refusal::new(
        RefusalCode::TooLarge,
        format!("There are {found} {what}; at most {limit} are taken at once."),
    ))
}

fn malformed(why: &str) -> Refusal {
    Refusal::new(RefusalCode::Malformed, format!("Not understood: {why}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claimed_names_are_made_harmless_not_refused() {
        let mut facts = HostFacts {
            hostname: "web\u{1b}[2J".to_owned(),
            os: "x".repeat(5000),
            ..HostFacts::default()
        };
        facts
            .labels
            .insert("a\nb".to_owned(), "\u{202e}".to_owned());
        super::facts(&mut facts).unwrap();
        assert_eq!(facts.hostname, "web\\u{1b}[2J");
        assert!(facts.os.len() <= NAME);
        assert_eq!(facts.labels["a\\u{a}b"], "\\u{202e}");
        facts.addresses = vec![String::new(); limits::ADDRESSES + 1];
        assert_eq!(
            super::facts(&mut facts).unwrap_err().code(),
            RefusalCode::TooLarge
        );
    }
}
