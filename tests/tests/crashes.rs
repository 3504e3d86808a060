//! What was accepted is durable and reaches the console exactly once, whoever is killed when.

use akwatch_tests::fleet::{Fleet, shown};
use akwatch_tests::plant::{self, Pair};
use akwatch_tests::{rest::Rest, wait};
use anyhow::{Context as _, Result};

/// Writes one file with a pair.
fn plant_one(fleet: &Fleet, number: usize) -> Result<Pair> {
    let pair = plant::tencent();
    let text = format!("secret_id = {}\nsecret_key = {}\n", pair.id, pair.secret);
    plant::write(&fleet.watched.join(format!("{number}.ini")), &text)?;
    Ok(pair)
}

/// Waits until each pair has exactly one present finding.
async fn wait_all(rest: &Rest, pairs: &[Pair]) -> Result<()> {
    for pair in pairs {
        let mut last = Vec::new();
        wait::until("each planted key exactly once", async || {
            last = rest.findings_of(&pair.id).await?;
            Ok((last.len() == 1 && last[0]["state"] == "present").then_some(()))
        })
        .await
        .with_context(|| format!("{last:#?}"))?;
    }
    Ok(())
}

#[tokio::test]
async fn a_collector_killed_while_agents_report_loses_and_doubles_nothing() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    let mut pairs = Vec::new();
    for round in 0..3 {
        for number in 0..10 {
            pairs.push(plant_one(&fleet, round * 10 + number)?);
        }
        // Killed as soon as the first of this round has arrived: the rest is under way.
        let first = &pairs[round * 10].id;
        fleet
            .wait_findings("the first to arrive", first, |rows| !rows.is_empty())
            .await?;
        fleet.collector = fleet.collector.crash_and_restart().await?;
    }
    fleet.rest = fleet.collector.rest().await?;
    wait_all(&fleet.rest, &pairs).await?;
    fleet.stop().await
}

#[tokio::test]
async fn an_agent_killed_while_it_writes_comes_back_with_what_it_knew() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    let mut pairs = Vec::new();
    for round in 0..3 {
        for number in 0..10 {
            pairs.push(plant_one(&fleet, round * 10 + number)?);
        }
        let first = &pairs[round * 10].id;
        fleet
            .wait_findings("the first to arrive", first, |rows| !rows.is_empty())
            .await?;
        fleet.agent = fleet.agent.crash_and_restart().await?;
        fleet.agent.wait_watching().await?;
    }
    wait_all(&fleet.rest, &pairs).await?;
    // Removed while nobody watched: found out after the start, not taken for granted.
    let file = fleet.watched.join("0.ini");
    fleet.agent.check_running()?;
    std::fs::remove_file(&file)?;
    fleet
        .wait_state(&pairs[0].id, &shown(&file), "gone")
        .await?;
    fleet.stop().await
}
