//! Lists: hosts, credentials, findings; their filters have the names of the interface's queries.

use akwatch_proto::finding::{Cause, PresenceState};
use akwatch_proto::people::{AuditEntry, CredentialRow, FindingRow, HostRow, Page};
use akwatch_proto::time::Time;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::ask::Ask;
use crate::one::host_id;
use crate::rest::{Filter, Rest};
use crate::show::{self, Output};
use crate::trouble::Trouble;
use crate::words;

/// How much of a list is wanted.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Amount {
    /// Order, as the interface names it; `-` means descending.
    #[arg(long, value_name = "KEY", allow_hyphen_values = true)]
    sort: Option<String>,
    /// Rows, at most.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
}

/// Filters of the host list.
#[derive(Clone, Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Hosts {
    /// What they are asked, instead of being listed.
    #[command(subcommand)]
    pub(crate) ask: Option<Ask>,
    /// pending, live, silent, retired; separated by commas.
    #[arg(long)]
    state: Option<String>,
    /// Part of the name, an address, or a host id.
    #[arg(long)]
    q: Option<String>,
    /// whole, partly, unknown; separated by commas.
    #[arg(long)]
    covered: Option<String>,
    #[command(flatten)]
    amount: Amount,
}

/// Filters of the audit log.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Audit {
    /// Part of who, what or on what.
    #[arg(long)]
    q: Option<String>,
    /// Only this action: `sign-in`, `decide`, `who-holds`, …
    #[arg(long)]
    action: Option<String>,
    /// Rows, at most.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
}

/// Filters of the credential list.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Credentials {
    /// Verdicts, separated by commas; `open` is all but closed.
    #[arg(long)]
    verdict: Option<String>,
    /// Providers, separated by commas.
    #[arg(long)]
    provider: Option<String>,
    /// Kinds, separated by commas.
    #[arg(long)]
    kind: Option<String>,
    /// present, gone, unknown; separated by commas.
    #[arg(long)]
    presence: Option<String>,
    /// A range: `70..`, `40..69`.
    #[arg(long)]
    score: Option<String>,
    /// On this host, by id, or by name if no other host has it.
    #[arg(long)]
    host: Option<String>,
    /// The exact access key id.
    #[arg(long)]
    id: Option<String>,
    #[command(flatten)]
    amount: Amount,
}

/// Filters of findings, for the list and for the export.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct FindingFilters {
    /// present, gone, unknown; separated by commas.
    #[arg(long)]
    presence: Option<String>,
    /// On this host, by id, or by name if no other host has it.
    #[arg(long)]
    host: Option<String>,
    /// Of this credential, by its reference.
    #[arg(long)]
    credential: Option<String>,
    /// The exact access key id.
    #[arg(long)]
    id: Option<String>,
    /// Providers, separated by commas.
    #[arg(long)]
    provider: Option<String>,
    /// Rules, separated by commas.
    #[arg(long)]
    rule: Option<String>,
    /// Kinds, separated by commas.
    #[arg(long)]
    kind: Option<String>,
    /// At least: contextual, strong, paired, proven.
    #[arg(long)]
    confidence: Option<String>,
    /// file, process, history; separated by commas.
    #[arg(long = "type", value_name = "TYPE")]
    place_type: Option<String>,
    /// Part of the path, unit or user.
    #[arg(long)]
    q: Option<String>,
    /// What Git says: pushed, not-pushed, unknown; separated by commas.
    #[arg(long)]
    pushed: Option<String>,
    /// First seen since: `7d`, `24h`, `30m`, or an instant like 2026-03-04T03:12:45Z.
    #[arg(long, value_parser = since)]
    since: Option<Time>,
}

/// The list of findings.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Findings {
    #[command(flatten)]
    filters: FindingFilters,
    #[command(flatten)]
    amount: Amount,
}

impl Amount {
    fn filters(&self, mut filters: Vec<Filter>) -> Vec<Filter> {
        filters.extend(self.sort.clone().map(|sort| ("sort", sort)));
        filters
    }
}

impl FindingFilters {
    /// As the interface's query; a host's name becomes its id.
    ///
    /// # Errors
    /// When no host, or more than one, is called so.
    pub(crate) async fn filters(&self, rest: &Rest) -> Result<Vec<Filter>, Trouble> {
        Ok(given(&[
            ("presence", &self.presence),
            ("host", &named(rest, self.host.as_deref()).await?),
            ("credential", &self.credential),
            ("id", &self.id),
            ("provider", &self.provider),
            ("rule", &self.rule),
            ("kind", &self.kind),
            ("confidence", &self.confidence),
            ("type", &self.place_type),
            ("q", &self.q),
            ("pushed", &self.pushed),
            ("since", &self.since.map(|since| since.0.to_string())),
        ]))
    }
}

/// The id of a host that is given by id or by name.
async fn named(rest: &Rest, host: Option<&str>) -> Result<Option<String>, Trouble> {
    match host {
        Some(name) => Ok(Some(host_id(rest, name).await?.to_string())),
        None => Ok(None),
    }
}

fn given(filters: &[(&'static str, &Option<String>)]) -> Vec<Filter> {
    filters
        .iter()
        .filter_map(|(name, value)| (*value).clone().map(|value| (*name, value)))
        .collect()
}

/// The host list.
pub(crate) async fn hosts(rest: &Rest, asked: &Hosts, output: Output) -> Result<(), Trouble> {
    let filters = given(&[
        ("state", &asked.state),
        ("q", &asked.q),
        ("covered", &asked.covered),
    ]);
    let filters = asked.amount.filters(filters);
    let page: Page<HostRow> = rest.list("hosts", &filters, asked.amount.limit).await?;
    const HEADINGS: [&str; 11] = [
        "score",
        "host",
        "state",
        "coverage",
        "credentials",
        "present",
        "unknown",
        "os",
        "agent",
        "last heard",
        "id",
    ];
    let rows: Vec<_> = page.rows.iter().map(host_row).collect();
    listed(output, &page, &HEADINGS, &rows, "host")
}

fn host_row(row: &HostRow) -> Vec<String> {
    vec![
        words::score(row.score),
        row.name.clone(),
        words::word(&row.state),
        words::word(&row.covered),
        row.credentials.to_string(),
        row.places.present.to_string(),
        row.places.unknown.to_string(),
        row.os.clone(),
        row.agent.clone(),
        words::time_or_never(row.last_heard),
        row.id.to_string(),
    ]
}

/// The audit log.
pub(crate) async fn audit(rest: &Rest, asked: &Audit, output: Output) -> Result<(), Trouble> {
    const HEADINGS: [&str; 7] = ["number", "time", "who", "from", "what", "on what", "result"];
    let filters = given(&[("q", &asked.q), ("action", &asked.action)]);
    let page: Page<AuditEntry> = rest.list("audit", &filters, asked.limit).await?;
    let rows: Vec<Vec<String>> = page
        .rows
        .iter()
        .map(|entry| {
            vec![
                entry.number.to_string(),
                words::time(entry.time),
                entry.actor.clone(),
                entry.from.clone().unwrap_or_default(),
                entry.action.clone(),
                entry.object.clone(),
                entry.result.clone(),
            ]
        })
        .collect();
    show::rows(output, &page, &HEADINGS, &rows)?;
    if output != Output::Json && rows.is_empty() {
        show::remark("No entry matches.");
    } else if output != Output::Json && page.next.is_some() {
        show::remark(&format!(
            "{} of {}; --limit shows more.",
            rows.len(),
            words::entries(page.total)
        ));
    }
    Ok(())
}

/// The credential list.
pub(crate) async fn credentials(
    rest: &Rest,
    asked: &Credentials,
    output: Output,
) -> Result<(), Trouble> {
    let filters = given(&[
        ("verdict", &asked.verdict),
        ("provider", &asked.provider),
        ("kind", &asked.kind),
        ("presence", &asked.presence),
        ("score", &asked.score),
        ("host", &named(rest, asked.host.as_deref()).await?),
        ("id", &asked.id),
    ]);
    let filters = asked.amount.filters(filters);
    let page: Page<CredentialRow> = rest
        .list("credentials", &filters, asked.amount.limit)
        .await?;
    let rows: Vec<_> = page.rows.iter().map(credential_row).collect();
    listed(output, &page, &CREDENTIAL, &rows, "credential")
}

const CREDENTIAL: [&str; 13] = [
    "verdict",
    "score",
    "credential",
    "provider",
    "kind",
    "hosts",
    "present",
    "unknown",
    "gone",
    "disposition",
    "expires",
    "last seen",
    "ref",
];

fn credential_row(row: &CredentialRow) -> Vec<String> {
    vec![
        words::verdict(row.verdict).to_owned(),
        words::score(row.score),
        words::credential(row),
        row.provider.to_string(),
        words::word(&row.kind),
        row.hosts.to_string(),
        row.places.present.to_string(),
        row.places.unknown.to_string(),
        row.places.gone.to_string(),
        words::word(&row.disposition),
        words::expiry(row.expires, Timestamp::now()),
        words::time(row.last_seen),
        row.reference.to_string(),
    ]
}

/// The list of findings.
pub(crate) async fn findings(rest: &Rest, asked: &Findings, output: Output) -> Result<(), Trouble> {
    let filters = asked.amount.filters(asked.filters.filters(rest).await?);
    let page: Page<FindingRow> = rest.list("findings", &filters, asked.amount.limit).await?;
    let rows: Vec<_> = page.rows.iter().map(finding_row).collect();
    listed(output, &page, &FINDING, &rows, "finding")
}

/// Headings of findings.
pub(crate) const FINDING: [&str; 10] = [
    "score",
    "presence",
    "credential",
    "host",
    "location",
    "confidence",
    "readable by",
    "git",
    "rule",
    "last verified",
];

/// One finding under [`FINDING`].
pub(crate) fn finding_row(row: &FindingRow) -> Vec<String> {
    let mut location = words::location(&row.location);
    location.push_str(
        &row.cause
            .as_ref()
            .map_or_else(String::new, |cause| from(cause, row.state)),
    );
    if row.location.place_type == "file"
        && let Some(container) = &row.origin.container
    {
        let container = words::safe(container.as_str());
        location.push_str(&format!(" (in the container {container})"));
    }
    if let Some(at) = row.location.typed {
        location.push_str(&format!(" (typed {})", words::time(at)));
    }
    if let Some(by) = &row.written_by {
        location.push_str(&format!(" (written by {})", words::writer(by)));
    }
    if let Some(holder) = &row.held_by {
        let holder = words::location(holder);
        location.push_str(&format!(" (process still holds it: {holder})"));
    }
    vec![
        words::score(row.score),
        words::presence(&row.presence),
        words::credential_of(row),
        row.host_name.clone(),
        location,
        words::confidence(row.confidence),
        words::readable_by(row),
        row.git.as_ref().map_or_else(String::new, words::git),
        row.rule.to_string(),
        words::time(row.last_verified),
    ]
}

/// Where a process has its key from. A file that was edited is named only while the process still holds
/// the key.
fn from(cause: &Cause, process: PresenceState) -> String {
    let path = words::safe(cause.path.as_str());
    match (cause.gone, process) {
        (false, _) => format!(" ← {path}:{}", cause.line),
        (true, PresenceState::Present) => {
            format!(" ← {path} (edited; restart it, it still holds the key)")
        }
        (true, _) => String::new(),
    }
}

fn listed<T: Serialize>(
    output: Output,
    page: &Page<T>,
    headings: &[&str],
    rows: &[Vec<String>],
    noun: &str,
) -> Result<(), Trouble> {
    show::rows(output, page, headings, rows)?;
    if output == Output::Json {
        return Ok(());
    }
    if rows.is_empty() {
        show::remark(&format!(
            "No {noun} matches. `akwatch hosts` shows which hosts are not read whole: unknown is not clean."
        ));
    } else if page.next.is_some() {
        show::remark(&format!(
            "{} of {} {noun}s; --limit shows more.",
            rows.len(),
            page.total
        ));
    }
    Ok(())
}

/// Reads `7d`, `24h`, `30m` or an instant.
fn since(text: &str) -> Result<Time, String> {
    let form =
        || "is neither like 7d, 24h or 30m nor an instant like 2026-03-04T03:12:45Z".to_owned();
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Ok(Time(instant.as_millisecond()));
    }
    let unit = text.chars().last().ok_or_else(form)?;
    let number: i64 = text
        .strip_suffix(unit)
        .unwrap_or_default()
        .parse()
        .map_err(|_| form())?;
    let hours = match unit {
        'd' => number.checked_mul(24).map(SignedDuration::from_hours),
        'h' => Some(SignedDuration::from_hours(number)),
        'm' => Some(SignedDuration::from_mins(number)),
        _ => None,
    };
    let ago = hours
        .filter(|_| (0..=1_000_000).contains(&number))
        .ok_or_else(form)?;
    Timestamp::now()
        .checked_sub(ago)
        .map(|instant| Time(instant.as_millisecond()))
        .map_err(|_| form())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edited_file_is_named_only_while_its_process_holds_the_key() {
        let cause = |gone| Cause {
            path: akwatch_proto::place::SafeText::from_program("/etc/app.env"),
            line: 3,
            gone,
        };
        for state in [
            PresenceState::Present,
            PresenceState::Gone,
            PresenceState::Unknown,
        ] {
            assert_eq!(from(&cause(false), state), " ← /etc/app.env:3");
            let held = from(&cause(true), state).contains("still holds");
            assert_eq!(held, state == PresenceState::Present);
        }
    }

    #[test]
    fn since_is_an_age_or_an_instant() {
        assert_eq!(since("1970-01-01T00:00:01Z"), Ok(Time(1000)));
        let day = since("1d").unwrap();
        assert!(Timestamp::now().as_millisecond() - day.0 >= 86_400_000);
        for bad in ["", "d", "7", "7y", "-7d", "99999999999999d", "é"] {
            assert!(since(bad).is_err(), "{bad}");
        }
    }
}
