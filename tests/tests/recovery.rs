//! What comes back: damaged files, a collector that was away, hosts that fall silent or are closed.
//!
//! Nothing that was accepted may be lost, nothing may be counted twice, and *gone* may only be said
//! of what was read again.

use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use akwatch_tests::agent::Agent;
use akwatch_tests::collector::Collector;
use akwatch_tests::fleet::{self, Fleet, NO_FIRST_SCAN, shown};
use akwatch_tests::plant::{self, Pair};
use akwatch_tests::wait;
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

/// Writes one file with a pair.
fn plant_one(fleet: &Fleet, name: &str) -> Result<(PathBuf, Pair)> {
    let pair = plant::tencent();
    let file = fleet.watched.join(name);
    plant::write(
        &file,
        &format!("SECRET_ID={}\nSECRET_KEY={}\n", pair.id, pair.secret),
    )?;
    Ok((file, pair))
}

/// Waits until each pair has exactly one finding, in `state`.
async fn wait_each(fleet: &Fleet, planted: &[(PathBuf, Pair)], state: &str) -> Result<()> {
    wait_rows(fleet, planted, state).await.map(drop)
}

async fn wait_rows(fleet: &Fleet, planted: &[(PathBuf, Pair)], state: &str) -> Result<Vec<Value>> {
    let mut rows = Vec::new();
    for (file, pair) in planted {
        rows.push(fleet.wait_state(&pair.id, &shown(file), state).await?);
    }
    Ok(rows)
}

/// A file of the watcher's own.
fn watchers(fleet: &Fleet, name: &str) -> PathBuf {
    let state = fleet.directory.path().join("agent/state/watcher");
    state.join(name)
}

/// Flips bits in every kilobyte of a file.
fn damage(path: &Path) -> Result<()> {
    let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
    ensure!(!bytes.is_empty(), "{} is empty", path.display());
    let file = std::fs::File::options().write(true).open(path)?;
    for at in (0..bytes.len()).step_by(512) {
        file.write_all_at(&[!bytes[at]], at as u64)?;
    }
    Ok(())
}

/// The only host that the collector knows.
async fn host(fleet: &Fleet) -> Result<Value> {
    let hosts = fleet.rest.get("hosts").await?;
    ensure!(hosts["total"] == 1, "{hosts}");
    Ok(hosts["rows"][0].clone())
}

async fn wait_host(fleet: &Fleet, state: &str) -> Result<String> {
    wait::until(&format!("the host to be {state}"), async || {
        let host = host(fleet).await?;
        let id = host["id"].as_str().map(str::to_owned);
        Ok(id.filter(|_| host["state"] == state))
    })
    .await
}

#[tokio::test]
async fn a_damaged_ledger_is_set_aside_and_everything_is_read_again() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    let mut planted = Vec::new();
    for number in 0..5 {
        planted.push(plant_one(&fleet, &format!("{number}.env"))?);
    }
    wait_each(&fleet, &planted, "present").await?;
    fleet.agent.pause().await?;
    let ledger = watchers(&fleet, "ledger.redb");
    damage(&ledger)?;
    // Of these only the collector still knows: it asks, and is answered by what is there to be read.
    let removed = planted.split_off(3);
    let edited = planted.split_off(2);
    for (file, _) in &removed {
        std::fs::remove_file(file)?;
    }
    plant::write(&edited[0].0, "REGION=ap-guangzhou\n")?;
    fleet.agent = Agent::run(&fleet.directory.path().join("agent"))?;

    for (these, proof) in [(&removed, "removed"), (&edited, "reread")] {
        for (file, pair) in these {
            let row = fleet.wait_state(&pair.id, &shown(file), "gone").await?;
            assert_eq!(row["presence"]["proof"], proof, "{row:#}");
        }
    }
    wait_each(&fleet, &planted, "present").await?;
    let lost = fleet.agent.status().await?["record_lost"].to_string();
    assert!(lost.contains("redb"), "{lost}");
    ensure!(watchers(&fleet, "ledger.redb.damaged-1").exists());
    // It goes on in the new one.
    let after = plant_one(&fleet, "after.env")?;
    wait_each(&fleet, &[after], "present").await?;
    fleet.stop().await
}

#[tokio::test]
async fn what_is_written_while_no_agent_runs_is_found_at_its_start() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    fleet.agent.pause().await?;
    let meanwhile = plant_one(&fleet, "meanwhile.env")?;
    fleet.agent = Agent::run(&fleet.directory.path().join("agent"))?;
    wait_each(&fleet, &[meanwhile], "present").await?;
    fleet.stop().await
}

#[tokio::test]
async fn a_damaged_index_hides_nothing_that_changed_meanwhile() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    let removed = plant_one(&fleet, "removed.env")?;
    let edited = plant_one(&fleet, "edited.env")?;
    let kept = plant_one(&fleet, "kept.env")?;
    let planted = [removed, edited, kept];
    wait_each(&fleet, &planted, "present").await?;
    fleet.agent.pause().await?;
    damage(&watchers(&fleet, "read-index"))?;
    let [removed, edited, kept] = planted;
    std::fs::remove_file(&removed.0)?;
    plant::write(&edited.0, "REGION=ap-guangzhou\n")?;
    fleet.agent = Agent::run(&fleet.directory.path().join("agent"))?;

    wait_each(&fleet, &[removed, edited], "gone").await?;
    wait_each(&fleet, &[kept], "present").await?;
    fleet.stop().await
}

#[tokio::test]
async fn what_happens_while_the_collector_is_away_arrives_when_it_is_back() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    let before = plant_one(&fleet, "before.env")?;
    let planted = [before];
    wait_each(&fleet, &planted, "present").await?;
    let directory = fleet.directory.path().join("collector");
    let address = fleet
        .collector
        .agents
        .trim_start_matches("https://")
        .to_owned();
    fleet.collector.pause().await?;

    let [before] = planted;
    std::fs::remove_file(&before.0)?;
    let meanwhile = plant_one(&fleet, "meanwhile.env")?;
    let mut last = Value::Null;
    wait::until("the agent to say so and to keep what it has", async || {
        last = fleet.agent.status().await?;
        // At first it may say that an answer under way broke off.
        let why = last["delivery"]["outage"].as_str().unwrap_or_default();
        let said = why.contains(&address) && why.contains("cannot be reached");
        let kept = last["unsent"].as_u64() >= Some(2);
        Ok((said && kept).then_some(()))
    })
    .await
    .with_context(|| format!("{last:#}"))?;
    fleet.collector = Collector::start(&directory).await?;
    fleet.rest = fleet.collector.rest().await?;
    wait_each(&fleet, &[before], "gone").await?;
    wait_each(&fleet, &[meanwhile], "present").await?;
    fleet.stop().await
}

/// A fleet whose host is heard every second, enrolled and not yet started.
async fn enrolled_only() -> Result<(tempfile::TempDir, PathBuf, Collector)> {
    let (directory, watched) = fleet::directory()?;
    let collector = directory.path().join("collector");
    std::fs::create_dir_all(&collector)?;
    std::fs::write(
        collector.join("server.toml"),
        "heartbeat_seconds = 1\n\n[listen]\nagents = \"127.0.0.1:0\"\npeople = \"127.0.0.1:0\"\n",
    )?;
    let collector = Collector::start(&collector).await?;
    let agent = directory.path().join("agent");
    Agent::configure(&agent, &collector.agents, &[&watched], NO_FIRST_SCAN)?;
    Agent::enroll(&agent, &collector.bootstrap().await?).await?;
    Ok((directory, watched, collector))
}

#[tokio::test]
async fn a_host_is_pending_live_silent_live_again_and_retired() -> Result<()> {
    let (directory, watched, collector) = enrolled_only().await?;
    let rest = collector.rest().await?;
    let hosts = rest.get("hosts").await?;
    assert_eq!(hosts["rows"][0]["state"], "pending", "{hosts}");
    let home = directory.path().join("agent");
    let agent = Agent::run(&home)?;
    let mut fleet = Fleet {
        directory,
        watched,
        collector,
        agent,
        rest,
    };
    let id = wait_host(&fleet, "live").await?;
    let planted = [plant_one(&fleet, "a.env")?];
    wait_each(&fleet, &planted, "present").await?;

    fleet.agent.pause().await?;
    wait_host(&fleet, "silent").await?;
    wait_each(&fleet, &planted, "unknown").await?;
    fleet.agent = Agent::run(&home)?;
    wait_host(&fleet, "live").await?;
    wait_each(&fleet, &planted, "present").await?;

    let (status, told) = fleet
        .rest
        .post(&format!("hosts/{id}/retire"), &Value::Null)
        .await?;
    assert_eq!(status, 204, "{told}");
    wait_host(&fleet, "retired").await?;
    wait_each(&fleet, &planted, "unknown").await?;
    let page = fleet.rest.get("hosts?state=live").await?;
    assert_eq!(page["total"], 0, "{page}");
    let (status, told) = fleet
        .rest
        .post(&format!("hosts/{id}/retire"), &Value::Null)
        .await?;
    assert_eq!((status, &told["code"]), (409, &"conflict".into()), "{told}");
    // What the agent says is not heard any more; it says why, and goes on watching.
    wait::until("the agent to be told", async || {
        let status = fleet.agent.status().await?;
        let outage = status["delivery"]["outage"].as_str().unwrap_or_default();
        Ok(outage.contains("retired").then_some(()))
    })
    .await?;
    fleet.stop().await
}

#[tokio::test]
async fn a_host_retires_itself_once_its_collector_has_confirmed_that() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    let planted = [plant_one(&fleet, "a.env")?];
    wait_each(&fleet, &planted, "present").await?;
    let home = fleet.directory.path().join("agent");
    let keys =
        ["identity/key.pem", "watcher/fleet-key.json"].map(|key| home.join("state").join(key));
    let directory = fleet.directory.path().join("collector");
    fleet.collector.pause().await?;
    let refused = fleet.agent.retire().await.expect_err("nobody confirmed it");
    let refused = format!("{refused:#}");
    assert!(refused.contains("this host was not retired"), "{refused}");
    ensure!(keys.iter().all(|key| key.exists()), "it has to try again");

    fleet.collector = Collector::start(&directory).await?;
    fleet.rest = fleet.collector.rest().await?;
    let told = wait::until("the collector to close this host", async || {
        Ok(fleet.agent.retire().await.ok())
    })
    .await?;
    assert!(told.contains("is retired"), "{told}");
    ensure!(!keys.iter().any(|key| key.exists()), "its keys are removed");
    wait_host(&fleet, "retired").await?;
    for row in wait_rows(&fleet, &planted, "unknown").await? {
        assert_eq!(row["presence"]["why"], "host-retired", "{row:#}");
    }
    // It has nothing to watch for, and ends by itself; a next start is a host that nobody has enrolled.
    wait::until("the agent to end", async || {
        Ok(fleet.agent.check_running().is_err().then_some(()))
    })
    .await?;
    fleet.agent = Agent::run(&home)?;
    wait::until("the agent to say that it is not enrolled", async || {
        Ok(fleet
            .agent
            .log_end()
            .contains("is not enrolled")
            .then_some(()))
    })
    .await?;
    fleet.collector.stop().await
}

#[tokio::test]
async fn a_person_asks_for_a_rescan_and_the_host_is_walked() -> Result<()> {
    let fleet = Fleet::start().await?;
    let id = host(&fleet).await?["id"]
        .as_str()
        .map(str::to_owned)
        .context("an id")?;
    let walked = async || {
        let status = fleet.agent.status().await?;
        status["scan"]["files"].as_u64().context("files")
    };
    assert_eq!(walked().await?, 0, "without a first scan nothing is walked");
    let (status, told) = fleet
        .rest
        .post(&format!("hosts/{id}/rescan"), &Value::Null)
        .await?;
    assert_eq!(status, 202, "{told}");
    wait::until("the host to be walked", async || {
        Ok((walked().await? > 0).then_some(()))
    })
    .await?;
    fleet.stop().await
}
