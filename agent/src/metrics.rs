//! `metrics`: how the running agent stands, in Prometheus' text format.
//!
//! On request, to standard output: for node_exporter's textfile directory, a cron job or a script. The
//! agent opens no port for it. Every name is in the one list below, with what it means.

use std::fmt::Write as _;
use std::process::ExitCode;

use akwatch_proto::coverage::{Covered, SourceCoverage};
use akwatch_proto::time::Time;

use crate::cli::{MetricsArgs, TROUBLE};
use crate::control::{self, Status};
use crate::output;

/// Every metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Metric {
    Up,
    Info,
    RoleUp,
    Findings,
    Unsent,
    Answered,
    Acknowledged,
    Outage,
    CertificateEnds,
    ClockAhead,
    SourceCovered,
    SourceRead,
    SourceWaiting,
    SourceOverflowed,
    SourceRaced,
    NotRead,
    Rung,
    WallsMissing,
    RulesSetAside,
    SetAside,
    Cpu,
    BytesRead,
    PeakResident,
    NetworkBytes,
}

/// Its name, its type, and what it means.
type Told = (Metric, &'static str, &'static str, &'static str);

/// What each is called.
const TOLD: [Told; 24] = [
    (
        Metric::Up,
        "akwatch_up",
        "gauge",
        "Whether the agent answers.",
    ),
    (
        Metric::Info,
        "akwatch_info",
        "gauge",
        "Version, host and rules, as labels.",
    ),
    (
        Metric::RoleUp,
        "akwatch_role_up",
        "gauge",
        "Whether a role is linked and ready.",
    ),
    (
        Metric::Findings,
        "akwatch_findings",
        "gauge",
        "Findings by presence.",
    ),
    (
        Metric::Unsent,
        "akwatch_findings_unsent",
        "gauge",
        "Findings that the collector has yet to hear of.",
    ),
    (
        Metric::Answered,
        "akwatch_collector_answered_timestamp_seconds",
        "gauge",
        "When the collector last answered.",
    ),
    (
        Metric::Acknowledged,
        "akwatch_collector_acknowledged_timestamp_seconds",
        "gauge",
        "When the collector last acknowledged a report.",
    ),
    (
        Metric::Outage,
        "akwatch_collector_outage",
        "gauge",
        "Whether something does not arrive.",
    ),
    (
        Metric::CertificateEnds,
        "akwatch_certificate_ends_timestamp_seconds",
        "gauge",
        "When this host's certificate ends.",
    ),
    (
        Metric::ClockAhead,
        "akwatch_clock_ahead_seconds",
        "gauge",
        "How far this host's clock is ahead of the collector's.",
    ),
    (
        Metric::SourceCovered,
        "akwatch_source_covered",
        "gauge",
        "How well a source is covered: 1 whole, 0.5 in part, 0 unknown.",
    ),
    (
        Metric::SourceRead,
        "akwatch_source_read_total",
        "counter",
        "Places read.",
    ),
    (
        Metric::SourceWaiting,
        "akwatch_source_waiting",
        "gauge",
        "Places that wait.",
    ),
    (
        Metric::SourceOverflowed,
        "akwatch_source_overflowed_total",
        "counter",
        "Overflows of the kernel's queue; each is followed by a rescan.",
    ),
    (
        Metric::SourceRaced,
        "akwatch_source_raced_total",
        "counter",
        "Places that changed or ended before they could be read.",
    ),
    (
        Metric::NotRead,
        "akwatch_not_read",
        "gauge",
        "Places that are not read, by reason.",
    ),
    (
        Metric::Rung,
        "akwatch_rung",
        "gauge",
        "What the budget allows, as a label.",
    ),
    (
        Metric::WallsMissing,
        "akwatch_walls_missing",
        "gauge",
        "Walls of the sandbox that this host lacks.",
    ),
    (
        Metric::RulesSetAside,
        "akwatch_rules_set_aside",
        "gauge",
        "Rules set aside.",
    ),
    (
        Metric::SetAside,
        "akwatch_places_set_aside",
        "gauge",
        "Places set aside by name.",
    ),
    (
        Metric::Cpu,
        "akwatch_cpu_seconds_total",
        "counter",
        "CPU seconds of all roles.",
    ),
    (
        Metric::BytesRead,
        "akwatch_read_bytes_total",
        "counter",
        "Bytes read from places.",
    ),
    (
        Metric::PeakResident,
        "akwatch_peak_resident_bytes",
        "gauge",
        "Peak resident memory of all roles.",
    ),
    (
        Metric::NetworkBytes,
        "akwatch_network_bytes_total",
        "counter",
        "Bytes of bodies to collectors and back.",
    ),
];

impl Metric {
    fn told(self) -> Told {
        let told = TOLD.into_iter().find(|(metric, ..)| *metric == self);
        told.expect("invariant: a test finds each in the list")
    }
}

/// Asks the agent and writes its answer. Exit 0 when it answered; without one `akwatch_up 0` and 2.
///
/// # Errors
/// When the output cannot be written.
pub fn run(args: &MetricsArgs) -> anyhow::Result<ExitCode> {
    match control::status(&args.runtime) {
        Ok(status) => {
            output::write(&render(&status))?;
            Ok(ExitCode::SUCCESS)
        }
        Err(_) => {
            let mut page = Page::default();
            page.put(Metric::Up, &[], "0");
            output::write(&page.text)?;
            Ok(ExitCode::from(TROUBLE))
        }
    }
}

/// A page in the text format.
#[derive(Default)]
struct Page {
    text: String,
    told: Vec<Metric>,
}

impl Page {
    fn put(&mut self, metric: Metric, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        let (_, name, kind, means) = metric.told();
        if !self.told.contains(&metric) {
            self.told.push(metric);
            let _ = writeln!(self.text, "# HELP {name} {means}\n# TYPE {name} {kind}");
        }
        self.text.push_str(name);
        for (number, (label, of)) in labels.iter().enumerate() {
            let before = if number == 0 { '{' } else { ',' };
            let _ = write!(self.text, "{before}{label}=\"{}\"", quoted(of));
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
        let _ = writeln!(self.text, " {value}");
    }

    fn at(&mut self, metric: Metric, at: Option<Time>) {
        if let Some(at) = at {
            self.put(metric, &[], at.seconds());
        }
    }
}

/// A label's value, as the text format wants it.
fn quoted(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

fn render(status: &Status) -> String {
    let mut page = Page::default();
    page.put(Metric::Up, &[], 1);
    let host = status.host.to_string();
    let info = [
        ("version", status.version.as_str()),
        ("host", host.as_str()),
        ("rules", status.coverage.rules.as_str()),
    ];
    page.put(Metric::Info, &info, 1);
    for role in &status.roles {
        page.put(Metric::RoleUp, &[("role", &role.role)], u8::from(role.up));
    }
    for (presence, count) in [
        ("present", status.present),
        ("gone", status.gone),
        ("unknown", status.unknown),
    ] {
        page.put(Metric::Findings, &[("presence", presence)], count);
    }
    page.put(Metric::Unsent, &[], status.unsent);
    let delivery = &status.delivery;
    page.at(Metric::Answered, delivery.answered);
    page.at(Metric::Acknowledged, delivery.acknowledged);
    page.put(Metric::Outage, &[], u8::from(delivery.outage.is_some()));
    page.at(Metric::CertificateEnds, delivery.certificate_ends);
    if let Some(ahead) = delivery.clock_ahead_ms {
        page.put(Metric::ClockAhead, &[], thousandths(ahead));
    }
    coverage(status, &mut page);
    let cost = &status.cost;
    let cpu = i64::try_from(cost.cpu_ms).unwrap_or(i64::MAX);
    page.put(Metric::Cpu, &[], thousandths(cpu));
    page.put(Metric::BytesRead, &[], cost.bytes_read);
    page.put(
        Metric::PeakResident,
        &[],
        cost.peak_rss_kib.saturating_mul(1024),
    );
    page.put(Metric::NetworkBytes, &[], cost.network_bytes);
    page.text
}

/// One number of a source.
type Count = fn(&SourceCoverage) -> u64;

fn coverage(status: &Status, page: &mut Page) {
    let sources = &status.coverage.sources;
    for source in sources {
        let covered = match source.covered {
            Covered::Whole => "1",
            Covered::Partly => "0.5",
            _ => "0",
        };
        let labels = [
            ("source", source.source.as_str()),
            ("mechanism", source.mechanism.as_str()),
        ];
        page.put(Metric::SourceCovered, &labels, covered);
    }
    let counts: [(Metric, Count); 4] = [
        (Metric::SourceRead, |source| source.read),
        (Metric::SourceWaiting, |source| source.waiting),
        (Metric::SourceOverflowed, |source| source.overflowed),
        (Metric::SourceRaced, |source| source.raced),
    ];
    for (metric, of) in counts {
        for source in sources {
            page.put(metric, &[("source", &source.source)], of(source));
        }
    }
    for source in sources {
        for not_read in &source.not_read {
            let labels = [
                ("source", source.source.as_str()),
                ("why", not_read.why.as_str()),
            ];
            page.put(Metric::NotRead, &labels, not_read.count);
        }
    }
    let rung = serde_json::to_value(status.coverage.rung).unwrap_or_default();
    page.put(
        Metric::Rung,
        &[("rung", rung.as_str().unwrap_or("unknown"))],
        1,
    );
    page.put(
        Metric::WallsMissing,
        &[],
        status.coverage.missing_walls.len(),
    );
    page.put(Metric::RulesSetAside, &[], status.rules_set_aside.len());
    page.put(Metric::SetAside, &[], status.scan.set_aside);
}

/// Milliseconds as seconds.
fn thousandths(milliseconds: i64) -> String {
    let sign = if milliseconds < 0 { "-" } else { "" };
    let whole = milliseconds.unsigned_abs();
    format!("{sign}{}.{:03}", whole / 1000, whole % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_metric_is_introduced_once_and_labels_cannot_break_out() {
        let mut page = Page::default();
        page.put(Metric::RoleUp, &[("role", "a\"} 1\nx{y=\"")], 1);
        page.put(Metric::RoleUp, &[("role", "b")], 0);
        assert_eq!(page.text.lines().count(), 4);
        assert_eq!(page.text.matches("# TYPE").count(), 1);
        assert!(
            page.text.ends_with("akwatch_role_up{role=\"b\"} 0\n"),
            "{}",
            page.text
        );
    }

    #[test]
    fn each_metric_is_named_once() {
        let names: std::collections::BTreeSet<&str> = TOLD.iter().map(|told| told.1).collect();
        assert_eq!(names.len(), TOLD.len());
        assert_eq!(TOLD[TOLD.len() - 1].0, Metric::NetworkBytes);
        for (at, told) in TOLD.iter().enumerate() {
            assert_eq!(
                told.0 as usize, at,
                "the list is in the order of the type, without a gap"
            );
        }
    }

    #[test]
    fn milliseconds_become_seconds() {
        assert_eq!([thousandths(-90_001), thousandths(7)], ["-90.001", "0.007"]);
    }
}
