//! `status`: how the running agent stands, for people or as JSON.
//!
//! Everything comes from the agent's own answer; nothing is asked of the host here. What is not
//! watched is said as plainly as what is.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use akwatch_proto::coverage::{Covered, Rung, SourceCoverage};
use akwatch_proto::text::escape;
use akwatch_proto::time::Time;
use serde::Serialize;

use crate::cli::StatusArgs;
use crate::control::{self, ControlError, Cost, Status};
use crate::identity;
use crate::output;
use crate::role::IDENTITY_DIRECTORY;
use crate::sense::measured::Sensing;
use crate::sense::strict::Standing;

/// A clock that is off by less is not worth a word.
const CLOCK_MS: i64 = 5_000;

/// Asks the agent and writes its answer. Exit 0 when it answered.
///
/// # Errors
/// When no agent answers, or the output cannot be written.
pub fn run(args: &StatusArgs) -> anyhow::Result<ExitCode> {
    let status = control::status(&args.paths.runtime)
        .map_err(|error| not_running(error, &args.paths.state))?;
    if args.json {
        output::json(&status)?;
    } else {
        output::write(&render(&status, crate::sense::now()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Why nobody answers: a host that is not enrolled is told how to be.
fn not_running(error: ControlError, state: &Path) -> anyhow::Error {
    match identity::absent(&state.join(IDENTITY_DIRECTORY)) {
        Ok(()) => anyhow::anyhow!(
            "this host is not enrolled, so nothing is watched. Set `urls` of [collector] in \
             /etc/akwatch/agent.d/collector.toml, have a bootstrap string made by the collector \
             (`akwatch-server enrollment-token create`) and give it to `akwatch-agent enroll` on its \
             standard input"
        ),
        Err(_) => error.into(),
    }
}

fn render(status: &Status, now: Time) -> String {
    let mut text = String::new();
    let mut row = |name: &str, value: &str| {
        let _ = writeln!(text, "{name:<10}  {}", escape(value.as_bytes()));
    };
    row(
        "agent",
        &format!("{}, host {}", status.version, status.host),
    );
    let roles = status.roles.iter().map(|role| {
        let state = if role.up { "up" } else { "DOWN" };
        format!("{} {state}", role.role)
    });
    row("roles", &joined(roles));
    row(
        "findings",
        &format!(
            "{} present, {} gone, {} unknown; {} not yet reported",
            status.present, status.gone, status.unknown, status.unsent
        ),
    );
    row("collector", &collector(status, now));
    if let Some(identity) = identity(status, now) {
        row("identity", &identity);
    }
    row("walks", &walks(status));
    let rung = match (status.coverage.rung, &status.coverage.rung_reason) {
        (Rung::Full, _) => String::new(),
        (rung, Some(why)) => format!("; {}: {why}", word(&rung)),
        (rung, None) => format!("; {}", word(&rung)),
    };
    row("rules", &format!("version {}{rung}", status.coverage.rules));
    for (rule, why) in &status.rules_set_aside {
        row("", &format!("{rule} was set aside: {why}"));
    }
    for source in &status.coverage.sources {
        row(&source.source, &covered(source));
        for not_read in &source.not_read {
            let example = not_read
                .example
                .as_ref()
                .map(|name| format!(", for example {name}"));
            let example = example.unwrap_or_default();
            row(
                "",
                &format!("not read: {} {}{example}", not_read.count, not_read.why),
            );
        }
    }
    for line in set_aside(status, now) {
        row("set aside", &line);
    }
    if !status.coverage.missing_walls.is_empty() {
        row(
            "walls",
            &format!("missing: {}", status.coverage.missing_walls.join(", ")),
        );
    }
    for line in records(status, now) {
        row("record", &line);
    }
    row("sensors", &sensing(&status.sensing));
    if let Some(standing) = &status.strict {
        row("strict", &strict(standing));
    }
    row("cost", &cost(&status.cost));
    text
}

fn cost(cost: &Cost) -> String {
    format!(
        "{} ms of CPU and {} read in {}; peak {}; {} sent and received",
        cost.cpu_ms,
        output::bytes(cost.bytes_read),
        output::seconds(cost.seconds),
        output::bytes(cost.peak_rss_kib << 10),
        output::bytes(cost.network_bytes)
    )
}

fn collector(status: &Status, now: Time) -> String {
    let delivery = &status.delivery;
    let mut text = match (delivery.linked, delivery.answered) {
        (false, _) => "no reporter is linked".to_owned(),
        (true, None) => "has not answered since this agent started".to_owned(),
        (true, Some(at)) => format!("answered {} ago", ago(now, at)),
    };
    if let Some(at) = delivery.acknowledged {
        let _ = write!(text, ", acknowledged a report {} ago", ago(now, at));
    }
    if let Some(why) = &delivery.outage {
        text.push_str("; ");
        text.push_str(why);
    }
    text
}

/// What there is to say of this host's certificate and clock, if anything.
fn identity(status: &Status, now: Time) -> Option<String> {
    let delivery = &status.delivery;
    let certificate = delivery.certificate_ends.map(|at| match at.since(now) {
        ..=0 => format!("certificate ENDED {} ago", ago(now, at)),
        _ => format!("certificate holds for {} more", ago(at, now)),
    });
    let off = |ahead: &i64| ahead.saturating_abs() >= CLOCK_MS;
    let clock = delivery.clock_ahead_ms.filter(off).map(|ahead| {
        let way = if ahead > 0 { "ahead of" } else { "behind" };
        let by = ago(Time(ahead.saturating_abs()), Time(0));
        format!("clock {by} {way} the collector's")
    });
    let parts: Vec<String> = certificate.into_iter().chain(clock).collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}

/// How long ago, in words.
fn ago(now: Time, at: Time) -> String {
    output::seconds(u64::try_from(now.since(at) / 1000).unwrap_or(0))
}

fn walks(status: &Status) -> String {
    let scan = &status.scan;
    let mut text = match &scan.running {
        Some(walk) if scan.waits_for_hours => {
            format!("{walk} waits for its hours, {} files so far", scan.files)
        }
        Some(walk) => format!("{walk} under way, {} files so far", scan.files),
        None if scan.first_done => {
            format!("first scan done; {} files in the last walk", scan.files)
        }
        None => "first scan not done".to_owned(),
    };
    let _ = write!(
        text,
        "; {} waiting, {} with the detector",
        scan.waiting, scan.in_flight
    );
    if scan.set_aside > 0 {
        let _ = write!(text, ", {} set aside", scan.set_aside);
    }
    text
}

fn covered(source: &SourceCoverage) -> String {
    let how_well = match source.covered {
        Covered::Whole => "whole",
        Covered::Partly => "in part",
        _ => "unknown",
    };
    let mut text = format!("by {}, {how_well}; {} read", source.mechanism, source.read);
    for (count, what) in [
        (source.waiting, "waiting"),
        (source.overflowed, "overflows"),
        (source.raced, "raced"),
    ] {
        if count > 0 {
            let _ = write!(text, ", {count} {what}");
        }
    }
    text
}

/// The places that are set aside, by name. Rules stand with the rules.
fn set_aside(status: &Status, now: Time) -> Vec<String> {
    let places = status.coverage.set_aside.iter();
    places
        .filter(|aside| aside.kind != "rule")
        .map(|aside| {
            let again = match aside.until.map(|until| until.since(now)) {
                Some(left @ 1..) => format!("in {}", ago(Time(left), Time(0))),
                _ => "now".to_owned(),
            };
            let times = output::counted(aside.times.into(), "time", "times");
            let (kind, name, why) = (&aside.kind, &aside.name, &aside.why);
            format!("{kind} {name}: {why}, {times}; tried again {again}")
        })
        .collect()
}

/// What is wrong with the record, and what was.
fn records(status: &Status, now: Time) -> Vec<String> {
    let trouble = status.coverage.record.as_ref().map(|trouble| {
        let minutes = now.since(trouble.since).max(0) / 60_000;
        let (why, waiting) = (&trouble.why, trouble.waiting);
        format!("{why} for {minutes} min; {waiting} readings wait to be kept")
    });
    let lost = status.record_lost.as_ref();
    let lost = lost.map(|why| format!("the earlier one was set aside: {why}"));
    trouble.into_iter().chain(lost).collect()
}

fn sensing(sensing: &Sensing) -> String {
    let mut text = String::new();
    if sensing.captured + sensing.missed > 0 {
        let _ = write!(
            text,
            "{} programs captured as they started, 99 of 100 within {} µs; {} missed; ",
            sensing.captured, sensing.capture_p99_us, sensing.missed
        );
    }
    let _ = write!(
        text,
        "last sweep of {} took {} µs of CPU",
        sensing.swept, sensing.sweep_us
    );
    text
}

fn strict(standing: &Standing) -> String {
    let mut text = match (&standing.off, &standing.why) {
        (None, _) => "on".to_owned(),
        (Some(_), Some(why)) => format!("OFF: {why}"),
        (Some(slug), None) => format!("OFF: {slug}"),
    };
    let Standing {
        held,
        late,
        not_held,
        captured,
        ..
    } = standing;
    let _ = write!(
        text,
        "; {} ({captured} captured by this sensor, the rest by the one of executions), {late} went on \
         late, {not_held} were too many to wait",
        output::counted(*held, "program waited", "programs waited")
    );
    text
}

fn joined(parts: impl Iterator<Item = String>) -> String {
    let parts: Vec<String> = parts.collect();
    parts.join(", ")
}

fn word(value: &impl Serialize) -> String {
    serde_json::to_value(value)
        .ok()
        .and_then(|value| value.as_str().map(str::to_owned))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use akwatch_proto::agent::HostId;
    use akwatch_proto::coverage::{Coverage, NotRead, RecordTrouble, SetAside};
    use akwatch_proto::place::SafeText;

    use super::*;
    use crate::control::{Delivery, Progress, RoleState};

    fn sensed() -> Sensing {
        Sensing {
            captured: 7,
            missed: 1,
            capture_p50_us: 56,
            capture_p99_us: 160,
            sweeps: 3,
            swept: 200,
            sweep_us: 3000,
        }
    }

    fn files() -> SourceCoverage {
        SourceCoverage {
            source: "files".to_owned(),
            mechanism: "inotify".to_owned(),
            covered: Covered::Partly,
            last_verified: None,
            read: 12,
            waiting: 3,
            not_read: vec![NotRead {
                why: "permission-denied".to_owned(),
                count: 2,
                example: None,
            }],
            overflowed: 0,
            raced: 0,
        }
    }

    fn status() -> Status {
        Status {
            version: "0.1.0".to_owned(),
            host: HostId::from_u128(7),
            roles: vec![
                RoleState {
                    role: "detector".to_owned(),
                    up: true,
                },
                RoleState {
                    role: "reporter".to_owned(),
                    up: false,
                },
            ],
            coverage: Coverage {
                rules: "r1".to_owned(),
                rung: Rung::Reduced,
                rung_reason: Some("pressure".to_owned()),
                sources: vec![files()],
                missing_walls: vec!["landlock".to_owned()],
                record: Some(RecordTrouble {
                    since: Time(4_000 - 3 * 60_000),
                    why: "disk-full".to_owned(),
                    waiting: 7,
                }),
                set_aside: vec![SetAside {
                    kind: "file".to_owned(),
                    name: SafeText::from_program("/srv/slow"),
                    why: "took-too-long".to_owned(),
                    times: 2,
                    until: Some(Time(4_000 + 90_000)),
                }],
            },
            present: 4,
            gone: 1,
            unknown: 0,
            unsent: 2,
            paused_until: None,
            record_lost: None,
            delivery: Delivery {
                linked: true,
                answered: Some(Time(1_000)),
                acknowledged: Some(Time(500)),
                clock_ahead_ms: Some(-90_000),
                certificate_ends: Some(Time(30 * 86_400_000)),
                outage: Some("refused\u{1b}[2J".to_owned()),
                directive_serial: 0,
            },
            scan: Progress {
                running: None,
                waits_for_hours: false,
                first_done: false,
                files: 0,
                waiting: 3,
                in_flight: 1,
                set_aside: 0,
            },
            rules_set_aside: Vec::new(),
            cost: Cost {
                cpu_ms: 5,
                bytes_read: 1 << 21,
                peak_rss_kib: 2048,
                network_bytes: 9 << 10,
                seconds: 9,
            },
            sensing: sensed(),
            strict: None,
        }
    }

    #[test]
    fn what_is_missing_is_said() {
        let text = render(&status(), Time(4_000));
        for part in [
            "detector up, reporter DOWN",
            "4 present, 1 gone, 0 unknown; 2 not yet reported",
            "answered 3 s ago, acknowledged a report 3 s ago; refused\\u{1b}[2J",
            "certificate holds for 29 days more; clock 90 s behind the collector's",
            "first scan not done; 3 waiting",
            "version r1; reduced: pressure",
            "by inotify, in part; 12 read, 3 waiting",
            "not read: 2 permission-denied",
            "missing: landlock",
            "set aside   file /srv/slow: took-too-long, 2 times; tried again in 90 s",
            "disk-full for 3 min; 7 readings wait to be kept",
            "2.0 MiB read in 9 s; peak 2.0 MiB; 9.0 KiB sent and received",
            "7 programs captured as they started, 99 of 100 within 160 µs; 1 missed",
            "last sweep of 200 took 3000 µs of CPU",
        ] {
            assert!(text.contains(part), "{part:?} is not in\n{text}");
        }
    }
}
