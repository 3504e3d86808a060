//! `explain`: how the agent sees one file or one process.
//!
//! Configuration and host are looked at here, with the privileges of who asks; what was read and found
//! is the running agent's word. Without one, what can be said is said, and what cannot is named. What
//! is asked about is never read.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use akwatch_proto::finding::{
    Cause, Finding, GoneProof, Presence, PresenceState, UnknownWhy, cause_of,
};
use akwatch_proto::place::{Location, WrittenBy};
use akwatch_proto::text::escape;
use akwatch_proto::time::Time;
use anyhow::Context as _;
use serde::Serialize;

use crate::cli::{ExplainArgs, TROUBLE};
use crate::config::Config;
use crate::control::ControlError;
use crate::coverage::slug;
use crate::host::Root;
use crate::host::runtime::Container;
use crate::output;

mod file;
mod process;

/// Columns before what is said.
const INDENT: usize = 13;

/// Everything that is said.
#[derive(Debug, Serialize)]
struct Explained {
    /// What was asked about, escaped.
    asked: String,
    /// Facts, in the order in which a person wants them.
    facts: Vec<Fact>,
    /// What the agent holds of it; none where no agent could be asked.
    findings: Option<Vec<Held>>,
}

#[derive(Debug, Serialize)]
struct Fact {
    about: &'static str,
    says: String,
}

impl Fact {
    fn of(about: &'static str, says: impl AsRef<str>) -> Fact {
        Fact {
            about,
            says: escape(says.as_ref().as_bytes()),
        }
    }
}

/// A finding, and where a process has it from.
#[derive(Debug, Serialize)]
struct Held {
    #[serde(flatten)]
    finding: Finding,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<Cause>,
}

/// What is asked about.
enum Asked {
    File(PathBuf),
    Process(i32),
}

/// What an explanation draws on.
struct Sight<'a> {
    config: Config,
    root: Arc<Root>,
    runtime: &'a Path,
    /// The agent's own directories.
    own: Vec<PathBuf>,
}

/// Explains. Exit 0 when nothing is present there, 1 when something is, 2 when the agent did not say.
///
/// # Errors
/// When the name cannot be made absolute, or the output cannot be written.
pub fn run(args: &ExplainArgs) -> anyhow::Result<ExitCode> {
    let paths = &args.paths;
    let config = Config::load(&paths.config);
    let refused = config.as_ref().err().map(ToString::to_string);
    let sight = Sight {
        config: config.unwrap_or_else(|_| Config::built_in()),
        root: Arc::new(Root::live()?),
        runtime: &paths.runtime,
        own: vec![paths.state.clone(), paths.runtime.clone()],
    };
    let mut explained = match asked(&args.what)? {
        Asked::File(path) => file::explain(&sight, &path)?,
        Asked::Process(pid) => process::explain(&sight, pid)?,
    };
    if let Some(why) = refused {
        let says = format!("not read, so what is built in is told: {why}");
        explained.facts.insert(0, Fact::of("settings", says));
    }
    if args.json {
        output::json(&explained)?;
    } else {
        output::write(&render(&explained, crate::sense::now()))?;
    }
    let is_present = |held: &Held| held.finding.presence.state() == PresenceState::Present;
    // Without the agent's word nobody can say that nothing is there.
    Ok(ExitCode::from(explained.findings.map_or(TROUBLE, |held| {
        u8::from(held.iter().any(is_present))
    })))
}

/// A number is a process, `/proc/NUMBER` too; everything else is a file.
fn asked(what: &OsStr) -> anyhow::Result<Asked> {
    let pid = |text: &str| text.parse::<i32>().ok().filter(|&pid| pid > 0);
    let path = std::path::absolute(what)
        .with_context(|| format!("cannot name {}", escape(what.as_bytes())))?;
    let in_proc = path.strip_prefix("/proc").ok().and_then(|rest| {
        let first = rest.iter().next()?.to_str()?;
        pid(first)
    });
    Ok(match what.to_str().and_then(pid).or(in_proc) {
        Some(pid) => Asked::Process(pid),
        None => Asked::File(path),
    })
}

/// What the agent said, or why it did not.
fn agents_word(error: &ControlError) -> Fact {
    Fact::of(
        "agent",
        format!("what it read and found is not known: {error}"),
    )
}

fn render(explained: &Explained, now: Time) -> String {
    let mut text = format!("{}\n", explained.asked);
    for fact in &explained.facts {
        let _ = write!(text, "{:<INDENT$}", fact.about);
        output::wrap(&mut text, INDENT, &fact.says);
    }
    let Some(findings) = &explained.findings else {
        return text;
    };
    if findings.is_empty() {
        let _ = writeln!(text, "{:<INDENT$}none", "findings");
    }
    for held in findings {
        let _ = write!(text, "{:<INDENT$}", "finding");
        output::wrap(&mut text, INDENT, &escape(line(held, now).as_bytes()));
    }
    text
}

/// A container by its workload, id, image and pod.
fn contained(container: &Container) -> String {
    let mut text = escape(&container.name);
    if container.id != container.name {
        let _ = write!(text, ", id {}", escape(&container.id));
    }
    if let Some(image) = &container.image {
        let _ = write!(text, ", from the image {}", escape(image));
    }
    if let Some(pod) = &container.pod {
        let (namespace, name) = (escape(&pod.namespace), escape(&pod.name));
        let _ = write!(text, ", in the pod {namespace}/{name}");
    }
    text
}

/// Who wrote a finding, in words.
fn written(by: &WrittenBy) -> String {
    let mut text = format!("written by {}", by.exe);
    if let Some(script) = &by.script {
        let _ = write!(text, " running {script}");
    }
    let _ = write!(text, ", as {}", by.user);
    for (what, name) in [
        ("logged in as", &by.login),
        ("of the unit", &by.unit),
        ("in the container", &by.container),
    ] {
        if let Some(name) = name {
            let _ = write!(text, ", {what} {name}");
        }
    }
    text
}

/// One finding in one line.
fn line(held: &Held, now: Time) -> String {
    let finding = &held.finding;
    let ago = |at: Time| output::seconds(u64::try_from(now.since(at) / 1000).unwrap_or(0));
    let presence = match &finding.presence {
        Presence::Present { since } => format!("PRESENT for {}", ago(*since)),
        Presence::Gone { at, proof } => {
            let how = match proof {
                GoneProof::Reread => "read again",
                GoneProof::Removed => "removed",
                GoneProof::Ended => "ended",
                _ => "proven",
            };
            format!("gone since {} ({how})", ago(*at))
        }
        Presence::Unknown { since, why } => {
            format!("unknown since {} ({})", ago(*since), because(*why))
        }
    };
    let mut text = format!("{presence}: {}", finding.rule);
    for part in [
        finding
            .credential_id
            .as_ref()
            .map(|id| id.as_str().to_owned()),
        finding.preview.as_ref().map(ToString::to_string),
        Some(spot(finding)).filter(|spot| !spot.is_empty()),
        finding
            .spot
            .typed
            .map(|at| format!("typed {} ago", ago(at))),
        finding.written_by.as_ref().map(written),
        Some(format!("last read {} ago", ago(finding.last_verified))),
    ]
    .into_iter()
    .flatten()
    {
        text.push_str(", ");
        text.push_str(&part);
    }
    match (&held.cause, finding.presence.state()) {
        (Some(cause), PresenceState::Present) => {
            let _ = write!(text, "; it has it from {}:{}", cause.path, cause.line);
        }
        (Some(cause), _) => {
            let _ = write!(text, "; it had it from {}:{}", cause.path, cause.line);
        }
        (None, _) => {}
    }
    text
}

fn spot(finding: &Finding) -> String {
    let at = Location::of(&finding.key.place, &finding.spot, &finding.origin);
    let mut text = String::new();
    if at.place_type == "process" {
        text.push_str(at.path.as_str());
    } else if at.line > 0 {
        let _ = write!(text, "line {}", at.line);
    }
    for member in &at.inside {
        let _ = write!(text, " in {member}");
    }
    if let Some(field) = &at.field {
        let _ = write!(text, " ({field})");
    }
    text.trim_start().to_owned()
}

fn because(why: UnknownWhy) -> &'static str {
    match why {
        UnknownWhy::RuleRemoved => "rule-removed",
        UnknownWhy::RecordLost => "record-lost",
        other => slug(other),
    }
}

/// The findings in a fitting order, each with its cause among all of them.
fn held(findings: Vec<Finding>, all: &[Finding]) -> Vec<Held> {
    let mut held: Vec<Held> = findings
        .into_iter()
        .map(|finding| Held {
            cause: cause_of(&finding, all),
            finding,
        })
        .collect();
    held.sort_by_key(|one| (one.finding.presence.state(), one.finding.spot.line));
    held
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_a_process_and_all_else_a_file() {
        for (what, pid) in [
            ("123", Some(123)),
            ("/proc/7/environ", Some(7)),
            ("./123", None),
            ("0", None),
            ("/proc/self/environ", None),
            ("/etc/passwd", None),
        ] {
            match asked(OsStr::new(what)).unwrap() {
                Asked::Process(number) => assert_eq!(Some(number), pid, "{what}"),
                Asked::File(path) => assert!(pid.is_none() && path.is_absolute(), "{what}"),
            }
        }
    }
}
