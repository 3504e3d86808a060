//! A pause: nothing is read, heartbeats go on, people are told, it ends by itself, and what happened
//! meanwhile is looked at.

use std::process::Stdio;

use akwatch_tests::agent::Agent;
use akwatch_tests::collector::Collector;
use akwatch_tests::fleet::{self, Fleet, shown};
use akwatch_tests::plant::{self, Pair};
use akwatch_tests::{program, sets, wait};
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tokio::process::Command;

/// What the collector shows of the one host.
async fn told(fleet: &Fleet) -> Result<Value> {
    let hosts = fleet.rest.get("hosts").await?;
    let id = hosts["rows"][0]["id"].as_str().context("an id")?;
    fleet.rest.get(&format!("hosts/{id}")).await
}

async fn wait_rung(fleet: &Fleet, paused: bool) -> Result<Value> {
    let mut last = Value::Null;
    wait::until(
        "the collector to know of the pause or its end",
        async || {
            last = told(fleet).await?["coverage"].clone();
            Ok(((last["rung"] == "paused") == paused).then(|| last.clone()))
        },
    )
    .await
    .with_context(|| format!("{last:#}"))
}

fn plant_one(fleet: &Fleet, name: &str) -> Result<Pair> {
    let pair = plant::tencent();
    let text = format!("SECRET_ID={}\nSECRET_KEY={}\n", pair.id, pair.secret);
    plant::write(&fleet.watched.join(name), &text)?;
    Ok(pair)
}

/// Bytes that the agent has read so far, once a change waits to be looked at and nothing is under way.
async fn read(fleet: &Fleet) -> Result<u64> {
    wait::until("a change to wait, and nothing else", async || {
        let status = fleet.agent.status().await?;
        let scan = &status["scan"];
        let waits = scan["waiting"].as_u64() > Some(0) && scan["in_flight"] == 0;
        let bytes = status["cost"]["bytes_read"].as_u64();
        Ok(waits.then_some(bytes.context("bytes read")?))
    })
    .await
}

/// Waits until an event waits to be looked at, and sees that two heartbeats later it still does.
async fn nothing_is_read(fleet: &Fleet, id: &str) -> Result<()> {
    let before = read(fleet).await?;
    for _ in 0..2 {
        let heard = told(fleet).await?["host"]["last_heard"].clone();
        wait::until("another heartbeat", async || {
            Ok((told(fleet).await?["host"]["last_heard"] != heard).then_some(()))
        })
        .await?;
    }
    ensure!(read(fleet).await? == before, "something was read");
    ensure!(fleet.rest.findings_of(id).await?.is_empty(), "it was found");
    Ok(())
}

#[tokio::test]
async fn a_paused_agent_reads_nothing_says_so_and_catches_up() -> Result<()> {
    let mut fleet = Fleet::start_beating(|_| Ok(())).await?;
    let before = plant_one(&fleet, "before.env")?;
    let there = |name: &str| shown(&fleet.watched.join(name));
    fleet
        .wait_state(&before.id, &there("before.env"), "present")
        .await?;

    let said = fleet.agent.command("pause", &["--for", "2h"]).await?;
    ensure!(said.contains("paused until"), "{said}");
    let coverage = wait_rung(&fleet, true).await?;
    let reason = coverage["rung_reason"].as_str().unwrap_or_default();
    ensure!(reason.starts_with("until 2"), "{coverage:#}");
    for source in coverage["sources"].as_array().context("sources")? {
        assert_eq!(source["covered"], "unknown", "{source:#}");
    }
    let status = fleet.agent.command("status", &[]).await?;
    ensure!(status.contains("paused: until 2"), "{status}");

    let meanwhile = plant_one(&fleet, "meanwhile.env")?;
    std::fs::remove_file(fleet.watched.join("before.env"))?;
    let held = plant::tencent();
    let mut holder = Command::new("sleep")
        .arg("600")
        .env("TENCENTCLOUD_SECRET_ID", &held.id)
        .env("TENCENTCLOUD_SECRET_KEY", &held.secret)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    nothing_is_read(&fleet, &meanwhile.id).await?;
    ensure!(fleet.rest.findings_of(&held.id).await?.is_empty());

    // A restart does not end it.
    fleet.agent.pause().await?;
    fleet.agent = Agent::run(&fleet.directory.path().join("agent"))?;
    fleet.agent.wait_watching().await?;
    wait_rung(&fleet, true).await?;
    ensure!(fleet.rest.findings_of(&meanwhile.id).await?.is_empty());

    let said = fleet.agent.command("resume", &[]).await?;
    ensure!(said.contains("reads again"), "{said}");
    let there = |name: &str| shown(&fleet.watched.join(name));
    fleet
        .wait_state(&meanwhile.id, &there("meanwhile.env"), "present")
        .await?;
    fleet
        .wait_state(&before.id, &there("before.env"), "gone")
        .await?;
    fleet
        .wait_findings("the process that was started meanwhile", &held.id, |rows| {
            rows.len() == 1 && rows[0]["state"] == "present"
        })
        .await?;
    wait_rung(&fleet, false).await?;
    let said = fleet.agent.command("resume", &[]).await?;
    ensure!(said.contains("not paused"), "{said}");
    holder.kill().await?;
    sets::wait_equal(&fleet.agent, &fleet.rest, &fleet.watched).await?;
    fleet.stop().await
}

#[tokio::test]
async fn a_pause_ends_by_itself() -> Result<()> {
    let fleet = Fleet::start_beating(|_| Ok(())).await?;
    // Long enough to be seen, whatever else the machine does.
    fleet.agent.command("pause", &["--for", "20s"]).await?;
    let meanwhile = plant_one(&fleet, "meanwhile.env")?;
    wait_rung(&fleet, true).await?;
    ensure!(fleet.rest.findings_of(&meanwhile.id).await?.is_empty());
    let path = shown(&fleet.watched.join("meanwhile.env"));
    fleet.wait_state(&meanwhile.id, &path, "present").await?;
    let status = fleet.agent.status().await?;
    ensure!(status["paused_until"].is_null(), "{status:#}");
    fleet.stop().await
}

/// A fleet whose host carries `env=prod`, with `more` in the agent's configuration.
async fn labelled(more: &str) -> Result<Fleet> {
    let (directory, watched) = fleet::directory_alone()?;
    let collector = Collector::configured(&directory.path().join("collector"), fleet::BEATING)?;
    let collector = Collector::start(&collector).await?;
    let rest = collector.rest().await?;
    let made = ["enrollment-token", "create", "--label", "env=prod"];
    let made = collector.command(&made).await?;
    let bootstrap = made
        .split_whitespace()
        .find(|word| word.starts_with("akwatch1:"));
    let home = directory.path().join("agent");
    let more = format!("{}{more}", fleet::ALONE);
    Agent::configure(&home, &collector.agents, &[&watched], &more)?;
    Agent::enroll(&home, bootstrap.context("a bootstrap string")?).await?;
    let mut agent = Agent::run(&home)?;
    agent.wait_heard(&rest).await?;
    agent.wait_watching().await?;
    Ok(Fleet {
        directory,
        watched,
        collector,
        agent,
        rest,
    })
}

/// Asks as a person would on the command line; what it answers.
async fn ask(fleet: &Fleet, arguments: &[&str]) -> Result<String> {
    let token = fleet.collector.api_token("pausing", "responder").await?;
    let output = Command::new(program::path("akwatch")?)
        .args(arguments)
        .env_clear()
        .env("XDG_CONFIG_HOME", fleet.directory.path())
        .env("AKWATCH_URL", &fleet.collector.people)
        .env("AKWATCH_CA", &fleet.collector.authority)
        .env("AKWATCH_TOKEN", token)
        .stdin(Stdio::null())
        .output()
        .await?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "{said}");
    Ok(String::from_utf8(output.stdout)?)
}

/// Waits until the host has answered what it was asked last.
async fn wait_outcome(fleet: &Fleet, what: &str, outcome: &str) -> Result<()> {
    let mut last = Value::Null;
    wait::until("the host's answer", async || {
        last = told(fleet).await?["asked"].clone();
        let there = last["what"] == what && last["outcome"] == outcome;
        Ok(there.then_some(()))
    })
    .await
    .with_context(|| format!("{last:#}"))
}

#[tokio::test]
async fn hosts_of_a_label_are_paused_by_their_collector_and_read_again() -> Result<()> {
    let fleet = labelled("").await?;
    let elsewhere = json!({ "hosts": { "labels": { "env": "test" } }, "seconds": 600 });
    let (status, _) = fleet.rest.post("hosts/pause", &elsewhere).await?;
    assert_eq!(status, 404, "no host carries that label");
    let nothing = json!({ "hosts": {}, "seconds": 600 });
    let (status, said) = fleet.rest.post("hosts/pause", &nothing).await?;
    assert_eq!(status, 400, "{said}");
    for seconds in [0, 86_401] {
        let wrong = json!({ "hosts": { "labels": { "env": "prod" } }, "seconds": seconds });
        let (status, said) = fleet.rest.post("hosts/pause", &wrong).await?;
        assert_eq!(status, 400, "{said}");
    }

    let prod = ["hosts", "pause", "--label", "env=prod", "--for", "10m"];
    let said = ask(&fleet, &prod).await?;
    ensure!(said.starts_with("1 host asked to pause"), "{said}");
    wait_outcome(&fleet, "pause", "done").await?;
    let coverage = wait_rung(&fleet, true).await?;
    for source in coverage["sources"].as_array().context("sources")? {
        assert_eq!(source["covered"], "unknown", "{source:#}");
    }
    let meanwhile = plant_one(&fleet, "meanwhile.env")?;
    nothing_is_read(&fleet, &meanwhile.id).await?;

    let said = ask(&fleet, &["hosts", "resume", "--label", "env=prod"]).await?;
    ensure!(said.starts_with("1 host asked to read again"), "{said}");
    wait_outcome(&fleet, "resume", "done").await?;
    let path = shown(&fleet.watched.join("meanwhile.env"));
    fleet.wait_state(&meanwhile.id, &path, "present").await?;
    wait_rung(&fleet, false).await?;

    let audit = fleet.rest.get("audit").await?;
    for action in ["pause-host", "resume-host"] {
        let rows = audit["rows"].as_array().context("rows")?;
        let entry = rows.iter().find(|row| row["action"] == action);
        let entry = entry.with_context(|| format!("{action} in {audit:#}"))?;
        let actor = entry["actor"].as_str().unwrap_or_default();
        ensure!(actor.starts_with("token:"), "{entry:#}");
    }
    fleet.stop().await
}

#[tokio::test]
async fn a_pause_that_the_collector_asks_for_ends_by_itself_and_a_host_may_refuse_it() -> Result<()>
{
    let fleet = labelled("").await?;
    let id = told(&fleet).await?["host"]["id"].clone();
    let soon = json!({ "hosts": { "host": id }, "seconds": 20 });
    let (status, asked) = fleet.rest.post("hosts/pause", &soon).await?;
    assert_eq!((status, &asked), (202, &json!({ "hosts": 1 })));
    wait_rung(&fleet, true).await?;
    wait_rung(&fleet, false).await?;
    fleet.stop().await?;

    let fleet = labelled("\n[deny]\npauses = true\n").await?;
    let prod = json!({ "hosts": { "labels": { "env": "prod" } }, "seconds": 600 });
    let (status, _) = fleet.rest.post("hosts/pause", &prod).await?;
    assert_eq!(status, 202);
    wait_outcome(&fleet, "pause", "refused").await?;
    let pair = plant_one(&fleet, "read.env")?;
    let path = shown(&fleet.watched.join("read.env"));
    fleet.wait_state(&pair.id, &path, "present").await?;
    ensure!(told(&fleet).await?["coverage"]["rung"] != "paused");
    fleet.stop().await
}
