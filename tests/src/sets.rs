//! What an agent holds in files beside what its collector shows of them: in the end the two must be one
//! set. Of processes, which other tests start and end all the time on the same host, each test says
//! itself what it expects.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use akwatch_proto::finding::Finding;
use akwatch_proto::place::{Location, Place};
use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::agent::Agent;
use crate::rest::Rest;
use crate::wait;

/// How long that may take: after an outage an agent waits up to five minutes before it tries again.
const PATIENCE: Duration = Duration::from_secs(600);

/// A finding by everything that people are shown of it: place, rule, id, presence with its moments and
/// proof, and how often it came back.
type Row = String;

fn of_agent(finding: &Finding) -> Result<Row> {
    let location = Location::of(&finding.key.place, &finding.spot, &finding.origin);
    row(
        &serde_json::to_value(location)?,
        &serde_json::to_value(&finding.rule)?,
        &serde_json::to_value(&finding.presence)?,
        &serde_json::to_value(finding.returns)?,
        &serde_json::to_value(finding.first_seen)?,
    )
}

fn of_collector(shown: &Value) -> Result<Row> {
    row(
        &shown["location"],
        &shown["rule"],
        &shown["presence"],
        &shown["returns"],
        &shown["first_seen"],
    )
}

fn row(
    location: &Value,
    rule: &Value,
    presence: &Value,
    returns: &Value,
    first_seen: &Value,
) -> Result<Row> {
    let mut location = location.clone();
    // A pid is refreshed in place and told with the next change.
    if let Some(fields) = location.as_object_mut() {
        fields.remove("pid");
    }
    let all = serde_json::json!([location, rule, presence, returns, first_seen]);
    serde_json::to_string(&all).context("writing a row")
}

/// Waits until the collector shows of its one host, below a directory, exactly what its agent holds
/// there, each finding once. Gives the number. What other tests write at the same time is none of this
/// one's, and never at rest.
///
/// # Errors
/// When that does not come true: with what only one of them has.
pub async fn wait_equal(agent: &Agent, rest: &Rest, below: &Path) -> Result<usize> {
    let mut difference = String::new();
    wait::within(
        PATIENCE,
        "collector and agent to hold the same",
        async || {
            let Ok(held) = agent.findings() else {
                "the agent does not answer".clone_into(&mut difference);
                return Ok(None);
            };
            let shown = rest.findings().await?;
            let held = held.iter().filter(|finding| match &finding.key.place {
                Place::File { path, .. } => Path::new(path.as_str()).starts_with(below),
                _ => false,
            });
            let shown = shown.iter().filter(|row| {
                let path = row["location"]["path"].as_str().unwrap_or_default();
                row["location"]["type"] == "file" && Path::new(path).starts_with(below)
            });
            let held: Vec<Row> = held.map(of_agent).collect::<Result<_>>()?;
            let shown: Vec<Row> = shown.map(of_collector).collect::<Result<_>>()?;
            let only = |these: &[Row], those: &[Row]| -> Vec<Row> {
                let those: BTreeSet<&Row> = those.iter().collect();
                let only = these.iter().filter(|row| !those.contains(row));
                only.cloned().collect()
            };
            let (unsent, unshown) = (only(&held, &shown), only(&shown, &held));
            difference = format!(
                "agent's alone: {unsent:#?}\ncollector's alone: {unshown:#?}\n{} against {}",
                held.len(),
                shown.len()
            );
            let same = unsent.is_empty() && unshown.is_empty() && held.len() == shown.len();
            Ok(same.then_some(held.len()))
        },
    )
    .await
    .or_else(|error| bail!("{error:#}\n{difference}\n{}", agent.log_end()))
}
