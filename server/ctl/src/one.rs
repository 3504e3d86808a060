//! One host, one credential, who holds a key, the export, signing in.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Read as _};
use std::path::PathBuf;

use akwatch_proto::agent::HostId;
use akwatch_proto::coverage::Coverage;
use akwatch_proto::credential::CredentialId;
use akwatch_proto::finding::Proof;
use akwatch_proto::limits;
use akwatch_proto::people::{
    CredentialDetail, CredentialRef, CredentialRow, Decision, FindingRow, Holders, HostDetail,
    HostRow, HostState, Me, Page, Score, TimelineEntry, WhoHolds,
};
use jiff::Timestamp;
use serde::Serialize;
use zeroize::Zeroizing;

use crate::account::{Account, Flags, checked_token, checked_url};
use crate::lists::{FINDING, FindingFilters, finding_row};
use crate::rest::Rest;
use crate::show::{self, Output, table};
use crate::trouble::Trouble;
use crate::words::{self, safe};

/// Findings shown with a host.
const SHOWN: u32 = 100;

/// Checks an account and saves it.
pub(crate) async fn login(flags: &Flags, url: Option<String>) -> Result<(), Trouble> {
    let url = url.or_else(|| flags.url.clone()).ok_or_else(|| {
        Trouble::Usage(
            "which collector? `akwatch login https://COLLECTOR:8443 --ca ca.pem`".to_owned(),
        )
    })?;
    let authority = match &flags.ca {
        Some(path) => Some(std::fs::read(path).map_err(|source| Trouble::File {
            step: "read",
            path: path.clone(),
            source,
        })?),
        None => None,
    };
    let token = match &flags.token_file {
        Some(path) => read_file(path)?,
        None => from_person("API token (not shown): ", 1024)?,
    };
    let token = checked_token(&token)?;
    let rest = Rest::new(Account {
        url: checked_url(&url)?,
        authority,
        token,
    })?;
    let me: Me = rest.get("me", &[]).await?;
    let path = rest.account().save()?;
    show::remark(&format!(
        "Signed in to {} as {} ({}); saved in {}.",
        safe(&me.collector),
        safe(&me.name),
        words::word(&me.role),
        path.display()
    ));
    Ok(())
}

fn read_file(path: &PathBuf) -> Result<Zeroizing<String>, Trouble> {
    std::fs::read_to_string(path)
        .map(Zeroizing::new)
        .map_err(|source| Trouble::File {
            step: "read",
            path: path.clone(),
            source,
        })
}

/// A secret from a person: typed without echo, or piped in.
fn from_person(prompt: &str, limit: usize) -> Result<Zeroizing<String>, Trouble> {
    if std::io::stdin().is_terminal() {
        return Ok(Zeroizing::new(rpassword::prompt_password(prompt)?));
    }
    // Allocated once: a growing buffer would leave copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(limit + 1));
    let most = u64::try_from(limit + 1).unwrap_or(u64::MAX);
    std::io::stdin().lock().take(most).read_to_end(&mut bytes)?;
    if bytes.len() > limit {
        return Err(Trouble::Usage(format!(
            "standard input has more than {limit} bytes"
        )));
    }
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| Trouble::Usage("standard input is not UTF-8".to_owned()))?;
    Ok(Zeroizing::new(text.to_owned()))
}

/// A host with its findings, for JSON.
#[derive(Serialize)]
struct HostShown {
    #[serde(flatten)]
    detail: HostDetail,
    findings: Page<FindingRow>,
}

/// Reads `KEY=VALUE`.
pub(crate) fn label(text: &str) -> Result<(String, String), String> {
    let (key, value) = text
        .split_once('=')
        .ok_or("a label is written KEY=VALUE, such as env=prod")?;
    Ok((key.to_owned(), value.to_owned()))
}

/// Gives a host these labels, and shows those that it has then.
pub(crate) async fn label_host(
    rest: &Rest,
    name: &str,
    labels: Vec<(String, String)>,
    output: Output,
) -> Result<(), Trouble> {
    let id = host_id(rest, name).await?;
    let labels: BTreeMap<String, String> = labels.into_iter().collect();
    let body = serde_json::to_vec(&labels)
        .map_err(|_| Trouble::Usage("the labels cannot be written".to_owned()))?;
    let given: BTreeMap<String, String> = rest.put(&format!("hosts/{id}/labels"), body).await?;
    let rows: Vec<Vec<String>> = given
        .iter()
        .map(|(key, value)| vec![key.clone(), value.clone()])
        .collect();
    show::rows(output, &given, &["label", "value"], &rows)
}

/// Has a certificate refused from now on.
pub(crate) async fn revoke_certificate(rest: &Rest, serial: &str) -> Result<(), Trouble> {
    if serial.is_empty() || !serial.bytes().all(|one| one.is_ascii_hexdigit()) {
        return Err(Trouble::Usage(
            "a serial number is hex, as `akwatch audit --action renew-certificate` shows it"
                .to_owned(),
        ));
    }
    let path = format!("certificates/{}/revoke", serial.to_ascii_lowercase());
    rest.command(&path).await
}

/// How a host stands, and what comes of that if it is made to come and go.
fn stands(state: HostState, ephemeral: bool) -> String {
    let ephemeral = match (ephemeral, state) {
        (false, _) => "",
        (true, HostState::Retired) => ", ephemeral",
        (true, _) => ", ephemeral (retired after an hour of silence)",
    };
    format!("{}{ephemeral}", words::word(&state))
}

/// One host: score, coverage, findings.
pub(crate) async fn host(rest: &Rest, name: &str, output: Output) -> Result<(), Trouble> {
    let id = host_id(rest, name).await?;
    let detail: HostDetail = rest.get(&format!("hosts/{id}"), &[]).await?;
    let filters = [("host", id.to_string())];
    let findings: Page<FindingRow> = rest.list("findings", &filters, SHOWN).await?;
    let rows: Vec<Vec<String>> = findings.rows.iter().map(finding_row).collect();
    if output != Output::Table {
        return show::rows(output, &HostShown { detail, findings }, &FINDING, &rows);
    }
    let mut out = String::new();
    let host = &detail.host;
    out.push_str(&format!(
        "{}   {} · {} · coverage {} · last heard {}\n",
        safe(&host.name),
        words::score(detail.score.value),
        stands(host.state, detail.facts.ephemeral),
        words::word(&host.covered),
        words::time_or_never(host.last_heard),
    ));
    let facts = &detail.facts;
    let agent = match facts.agent.as_str() {
        "" => String::new(),
        version => format!("agent {version}"),
    };
    let facts = [&facts.os, &facts.kernel, &facts.architecture, &agent];
    let facts: Vec<String> = facts
        .iter()
        .filter(|text| !text.is_empty())
        .map(|text| safe(text))
        .collect();
    out.push_str(&format!("{} · id {}\n", facts.join(" · "), host.id));
    out.push_str(&lines(&detail.score));
    out.push_str(&coverage(&detail));
    out.push('\n');
    if rows.is_empty() {
        out.push_str("No finding in what was read.\n");
    } else {
        out.push_str(&table(&FINDING, &rows));
    }
    if findings.next.is_some() {
        out.push_str(&format!(
            "{} of {}; all by: akwatch findings --host {id} --limit {}\n",
            rows.len(),
            findings.total,
            findings.total
        ));
    }
    show::text(&out)
}

pub(crate) async fn host_id(rest: &Rest, name: &str) -> Result<HostId, Trouble> {
    if let Ok(id) = name.parse() {
        return Ok(id);
    }
    let filters = [("q", name.to_owned())];
    let page: Page<HostRow> = rest.list("hosts", &filters, limits::PAGE_ROWS).await?;
    let named: Vec<&HostRow> = page.rows.iter().filter(|row| row.name == name).collect();
    match named.as_slice() {
        [row] => Ok(row.id),
        [] => Err(Trouble::Missing(format!(
            "no host is called {}; see `akwatch hosts`",
            safe(name)
        ))),
        many => Err(Trouble::Missing(format!(
            "{} hosts are called {}; give the id that `akwatch hosts --q {}` shows",
            many.len(),
            safe(name),
            safe(name)
        ))),
    }
}

fn lines(score: &Score) -> String {
    let mut out = String::new();
    for line in &score.lines {
        out.push_str(&format!("  {:+4}  {}\n", line.points, safe(&line.because)));
    }
    out
}

/// What is set aside on a host, by name.
fn set_aside(coverage: &Coverage) -> String {
    let mut out = String::new();
    for aside in &coverage.set_aside {
        let again = match aside.until {
            Some(until) => format!("tried again {}", words::time(until)),
            None => "tried again when the rules change".to_owned(),
        };
        out.push_str(&format!(
            "Set aside: {} {} ({}); {again}\n",
            safe(&aside.kind),
            safe(aside.name.as_str()),
            safe(&aside.why).replace('-', " "),
        ));
    }
    out
}

fn coverage(detail: &HostDetail) -> String {
    let Some(coverage) = &detail.coverage else {
        return "\nNot heard yet: nothing is known of what lies there.\n".to_owned();
    };
    const HEADINGS: [&str; 6] = [
        "source",
        "mechanism",
        "covered",
        "read",
        "waiting",
        "not read",
    ];
    let rows: Vec<Vec<String>> = coverage
        .sources
        .iter()
        .map(|source| {
            let not_read: Vec<String> = source
                .not_read
                .iter()
                .map(|not_read| format!("{} {}", not_read.count, not_read.why.replace('-', " ")))
                .collect();
            vec![
                source.source.clone(),
                source.mechanism.clone(),
                words::word(&source.covered),
                source.read.to_string(),
                source.waiting.to_string(),
                if not_read.is_empty() {
                    "-".to_owned()
                } else {
                    not_read.join(", ")
                },
            ]
        })
        .collect();
    let mut out = format!("\n{}", table(&HEADINGS, &rows));
    out.push_str(&set_aside(coverage));
    if !coverage.missing_walls.is_empty() {
        let walls: Vec<String> = coverage
            .missing_walls
            .iter()
            .map(|wall| safe(wall))
            .collect();
        out.push_str(&format!(
            "Walls that this host lacks: {}\n",
            walls.join(", ")
        ));
    }
    if let Some(trouble) = &coverage.record {
        out.push_str(&format!(
            "Record: {} since {}; {} readings wait to be kept\n",
            safe(&trouble.why),
            words::time(trouble.since),
            trouble.waiting
        ));
    }
    if let Some(reason) = &coverage.rung_reason {
        out.push_str(&format!(
            "Rung: {} ({})\n",
            words::word(&coverage.rung),
            safe(reason)
        ));
    }
    out
}

/// One credential: verdict, score, places, history.
pub(crate) async fn credential(rest: &Rest, name: &str, output: Output) -> Result<(), Trouble> {
    let reference = credential_ref(rest, name).await?;
    let detail: CredentialDetail = rest.get(&format!("credentials/{reference}"), &[]).await?;
    let rows: Vec<Vec<String>> = detail.places.iter().map(finding_row).collect();
    if output != Output::Table {
        return show::rows(output, &detail, &FINDING, &rows);
    }
    let row = &detail.credential;
    let mut out = headline(row);
    out.push_str(&ends(&detail.proof, Timestamp::now()));
    out.push_str(&decided(&detail.decision));
    out.push_str(&lines(&detail.score));
    if detail.references > 0 {
        out.push_str(&format!(
            "Its id is used without its secret in {}.\n",
            words::count(detail.references, "place")
        ));
    }
    out.push('\n');
    out.push_str(&table(&FINDING, &rows));
    if !detail.timeline.is_empty() {
        const HEADINGS: [&str; 5] = ["time", "what", "host", "place", "why"];
        let rows: Vec<Vec<String>> = detail
            .timeline
            .iter()
            .take(20)
            .map(|entry| {
                vec![
                    words::time(entry.time),
                    entry.what.clone(),
                    entry.host_name.clone().unwrap_or_default(),
                    entry
                        .place
                        .as_ref()
                        .map(ToString::to_string)
                        .unwrap_or_default(),
                    because(entry),
                ]
            })
            .collect();
        out.push_str(&format!("\n{}", table(&HEADINGS, &rows)));
    }
    show::text(&out)
}

/// The last column of a history: the agents' reason, or the person's decision and note.
fn because(entry: &TimelineEntry) -> String {
    let parts = [
        entry.why.as_ref().map(|why| why.replace('-', " ")),
        entry.person.as_ref().map(|person| format!("by {person}")),
        entry.note.clone(),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    parts.join(" · ")
}

/// When a temporary credential ends, or that it has; nothing of one that says no end.
fn ends(proof: &[Proof], now: Timestamp) -> String {
    match Proof::expiry(proof) {
        Some(at) if at.0 <= now.as_millisecond() => format!("EXPIRED at {}\n", words::time(at)),
        Some(at) => format!("Expires at {}\n", words::time(at)),
        None => String::new(),
    }
}

/// Who decided what, when and why; nothing when nobody has.
fn decided(decision: &Decision) -> String {
    let (Some(by), Some(at)) = (&decision.by, decision.at) else {
        return String::new();
    };
    let mut out = format!(
        "{} by {} at {}",
        words::disposition(decision.disposition),
        safe(by),
        words::time(at)
    );
    if let Some(until) = decision.until {
        out.push_str(&format!(", until {}", words::time(until)));
    }
    if let Some(note) = &decision.note {
        out.push_str(&format!(": {}", safe(note)));
    }
    out.push('\n');
    out
}

fn headline(row: &CredentialRow) -> String {
    format!(
        "{}   {} · {} · {} {} · {} present, {} unknown, {} gone on {} · {}\n",
        words::credential(row),
        words::verdict(row.verdict),
        words::score(row.score),
        row.provider,
        words::word(&row.kind).replace('-', " "),
        row.places.present,
        row.places.unknown,
        row.places.gone,
        words::count(row.hosts, "host"),
        row.reference,
    )
}

pub(crate) async fn credential_ref(rest: &Rest, name: &str) -> Result<CredentialRef, Trouble> {
    if name.starts_with("cr_")
        && let Ok(reference) = CredentialRef::parse(name)
    {
        return Ok(reference);
    }
    let page: Page<CredentialRow> = rest
        .list("credentials", &[("id", name.to_owned())], 2)
        .await?;
    page.rows.into_iter().next().map(|row| row.reference).ok_or_else(|| {
        Trouble::Missing(format!(
            "no credential has the id {}; `akwatch who-holds` also finds places that only refer to it",
            safe(name)
        ))
    })
}

/// Who holds a key: by its id, or by the secret itself from standard input.
pub(crate) async fn who_holds(rest: &Rest, asked: &str, output: Output) -> Result<(), Trouble> {
    let body = if asked == "-" {
        let secret = from_person("Secret (not shown): ", limits::PASTED_SECRET)?;
        let question = WhoHolds {
            id: None,
            secret: Some(secret.trim().to_owned()),
        };
        let body = serde_json::to_vec(&question);
        drop(question.secret.map(Zeroizing::new));
        body
    } else {
        if asked.contains(['/', '+', '=', ' ', '\n']) {
            return Err(Trouble::Usage(
                "this looks like a secret and not like an id: anybody on this machine may have read \
                 it in the process list. Ask with `akwatch who-holds -` and paste it"
                    .to_owned(),
            ));
        }
        let id = CredentialId::parse(asked).map_err(|error| Trouble::Usage(error.to_string()))?;
        serde_json::to_vec(&WhoHolds {
            id: Some(id),
            secret: None,
        })
    };
    let body = body.map_err(|_| Trouble::Usage("the question cannot be written".to_owned()))?;
    let holders: Holders = rest.post("who-holds", body).await?;
    let rows: Vec<Vec<String>> = holders.places.iter().map(finding_row).collect();
    if output != Output::Table {
        return show::rows(output, &holders, &FINDING, &rows);
    }
    let mut out = holders.credential.as_ref().map_or(String::new(), headline);
    out.push_str(&format!("In {}.", words::count(rows.len() as u64, "place"),));
    if holders.hosts_without > 0 {
        let hosts = words::count(holders.hosts_without, "other host");
        out.push_str(&format!(" Not on {hosts}, read whole."));
    }
    if holders.hosts_unknown > 0 {
        let hosts = words::count(holders.hosts_unknown, "host");
        out.push_str(&format!(
            " Of {hosts} nobody can say: unknown is not clean."
        ));
    }
    out.push('\n');
    if !rows.is_empty() {
        out.push_str(&format!("\n{}", table(&FINDING, &rows)));
    }
    show::text(&out)
}

/// Every finding that matches, as the collector streams it.
pub(crate) async fn export(
    rest: &Rest,
    filters: &FindingFilters,
    output: Output,
) -> Result<(), Trouble> {
    let format = if output == Output::Csv {
        "csv"
    } else {
        "jsonl"
    };
    let mut filters = filters.filters(rest).await?;
    filters.push(("format", format.to_owned()));
    let mut stream = rest.stream("export/findings", &filters).await?;
    loop {
        match stream.chunk().await {
            Ok(Some(part)) => show::bytes_out(&part)?,
            Ok(None) => return Ok(()),
            Err(error) => return Err(rest.unreachable(&error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_that_is_made_to_come_and_go_is_said_to_be() {
        assert_eq!(stands(HostState::Silent, false), "silent");
        assert!(stands(HostState::Silent, true).starts_with("silent, ephemeral (retired after"));
        assert_eq!(stands(HostState::Retired, true), "retired, ephemeral");
    }

    #[test]
    fn a_temporary_credential_says_when_it_ends_and_that_it_has() {
        let now = Timestamp::from_millisecond(1_800_000_000_000).unwrap();
        let told = |after: i64| {
            let at = akwatch_proto::time::Time(1_800_000_000_000 + after);
            ends(&[Proof::Expires { at }], now)
        };
        assert!(told(1).starts_with("Expires at 2027-01-1"));
        assert!(told(0).starts_with("EXPIRED at 2027-01-1"));
        assert_eq!(ends(&[Proof::Encrypted], now), "");
    }
}
