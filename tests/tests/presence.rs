//! Each way to fake *gone*, tried on a running agent: what is still there is never called gone, what
//! nobody can say is unknown with its reason, and what starts again is the same finding.
//!
//! Short environments are in `reading.rs`, damaged files in `recovery.rs`; a removed rule and a file
//! that is replaced while it is read are tried on the watcher, and lowered limits on the ledger, which
//! decides them.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use akwatch_proto::finding::Presence;
use akwatch_tests::agent::Agent;
use akwatch_tests::fleet::{Fleet, NO_FIRST_SCAN, shown};
use akwatch_tests::plant::{self, Pair};
use akwatch_tests::wait;
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tokio::process::{Child, Command};

/// Times that a service starts again, and that a job runs.
const TIMES: usize = 100;

fn text(pair: &Pair) -> String {
    format!("SECRET_ID={}\nSECRET_KEY={}\n", pair.id, pair.secret)
}

fn plant_one(fleet: &Fleet, name: &str) -> Result<(PathBuf, Pair)> {
    let pair = plant::tencent();
    let file = fleet.watched.join(name);
    plant::write(&file, &text(&pair))?;
    Ok((file, pair))
}

async fn wait_each(fleet: &Fleet, planted: &[(PathBuf, Pair)], state: &str) -> Result<Vec<Value>> {
    let mut rows = Vec::new();
    for (file, pair) in planted {
        rows.push(fleet.wait_state(&pair.id, &shown(file), state).await?);
    }
    Ok(rows)
}

/// Waits until the collector has been told everything and holds what the agent holds.
async fn wait_agreed(fleet: &Fleet) -> Result<()> {
    wait::until("everything to be told", async || {
        let status = fleet.agent.status().await?;
        let told = status["unsent"] == 0 && status["delivery"]["outage"].is_null();
        Ok(told.then_some(()))
    })
    .await
}

fn home(fleet: &Fleet) -> PathBuf {
    fleet.directory.path().join("agent")
}

/// Starts the agent again with `more` TOML.
fn run_with(fleet: &mut Fleet, more: &str) -> Result<()> {
    let (home, watched) = (home(fleet), fleet.watched.clone());
    Agent::configure(&home, &fleet.collector.agents, &[&watched], more)?;
    fleet.agent = Agent::run(&home)?;
    Ok(())
}

/// Copies a directory with its modes and owners, as a backup does.
async fn copy(from: &Path, to: &Path) -> Result<()> {
    let done = Command::new("cp").arg("-a").args([from, to]).status().await;
    ensure!(done.context("cp")?.success(), "cp -a failed");
    Ok(())
}

#[tokio::test]
async fn an_excluded_path_is_unknown_whatever_happens_there_until_it_is_looked_at_again()
-> Result<()> {
    let mut fleet = Fleet::start().await?;
    let planted = [
        plant_one(&fleet, "app/kept.env")?,
        plant_one(&fleet, "app/edited.env")?,
        plant_one(&fleet, "app/removed.env")?,
    ];
    wait_each(&fleet, &planted, "present").await?;
    fleet.agent.pause().await?;
    let exclude = format!("exclude = [{:?}]\n", shown(&fleet.watched.join("app")));
    run_with(&mut fleet, &format!("{exclude}{NO_FIRST_SCAN}"))?;
    wait_each(&fleet, &planted, "unknown").await?;
    // Nobody looks, so nobody can say, whatever happens there.
    std::fs::write(&planted[1].0, "REGION=ap-guangzhou\n")?;
    std::fs::remove_file(&planted[2].0)?;
    let beside = [plant_one(&fleet, "beside.env")?];
    wait_each(&fleet, &beside, "present").await?;
    for row in wait_each(&fleet, &planted, "unknown").await? {
        assert_eq!(row["presence"]["why"], "path-excluded", "{row:#}");
    }
    fleet.agent.pause().await?;
    run_with(&mut fleet, NO_FIRST_SCAN)?;
    let [kept, edited, removed] = planted;
    let kept = wait_each(&fleet, &[kept], "present").await?;
    assert_eq!(kept[0]["returns"], 0, "it never went: {kept:#?}");
    let edited = wait_each(&fleet, &[edited], "gone").await?;
    assert_eq!(edited[0]["presence"]["proof"], "reread");
    let removed = wait_each(&fleet, &[removed], "gone").await?;
    assert_eq!(removed[0]["presence"]["proof"], "removed");
    fleet.stop().await
}

#[tokio::test]
async fn a_state_restored_from_a_copy_is_not_believed() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    let before = [
        plant_one(&fleet, "kept.env")?,
        plant_one(&fleet, "edited.env")?,
        plant_one(&fleet, "removed.env")?,
    ];
    wait_each(&fleet, &before, "present").await?;
    wait_agreed(&fleet).await?;
    fleet.agent.pause().await?;
    let (state, snapshot) = (
        home(&fleet).join("state"),
        fleet.directory.path().join("snapshot"),
    );
    copy(&state, &snapshot).await?;

    // What the copy knows nothing of.
    fleet.agent = Agent::run(&home(&fleet))?;
    let [kept, edited, removed] = before;
    std::fs::remove_file(&removed.0)?;
    let later = [plant_one(&fleet, "later.env")?];
    wait_each(&fleet, &later, "present").await?;
    wait_each(&fleet, std::slice::from_ref(&removed), "gone").await?;
    wait_agreed(&fleet).await?;
    fleet.agent.pause().await?;
    std::fs::remove_dir_all(&state)?;
    copy(&snapshot, &state).await?;
    plant::write(&edited.0, "REGION=ap-guangzhou\n")?;
    fleet.agent = Agent::run(&home(&fleet))?;

    let (edited, removed, kept) = ([edited], [removed], [kept]);
    let as_it_is = async |fleet: &Fleet| -> Result<()> {
        let gone = wait_each(fleet, &edited, "gone").await?;
        assert_eq!(gone[0]["presence"]["proof"], "reread");
        wait_each(fleet, &removed, "gone").await?;
        for still in [&kept, &later] {
            for row in wait_each(fleet, still, "present").await? {
                assert_eq!(row["returns"], 0, "{row:#}");
            }
        }
        Ok(())
    };
    as_it_is(&fleet).await?;
    let after = [plant_one(&fleet, "after.env")?];
    wait_each(&fleet, &after, "present").await?;
    // What was so for a moment, before the copy was compared, is so when both sides agree.
    wait_agreed(&fleet).await?;
    as_it_is(&fleet).await?;
    fleet.stop().await
}

/// The ledger alone is put back, and with it what was reported; the index, which says what was read,
/// is newer than it.
#[tokio::test]
async fn an_index_that_is_newer_than_its_ledger_hides_nothing() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    let first = [plant_one(&fleet, "first.env")?];
    wait_each(&fleet, &first, "present").await?;
    wait_agreed(&fleet).await?;
    fleet.agent.pause().await?;
    let watcher = home(&fleet).join("state/watcher");
    let ledger = fleet.directory.path().join("older.redb");
    copy(&watcher.join("ledger.redb"), &ledger).await?;
    fleet.agent = Agent::run(&home(&fleet))?;
    let later = [plant_one(&fleet, "later.env")?];
    let row = wait_each(&fleet, &later, "present").await?;
    wait_agreed(&fleet).await?;
    fleet.agent.pause().await?;
    std::fs::remove_file(watcher.join("ledger.redb"))?;
    copy(&ledger, &watcher.join("ledger.redb")).await?;
    fleet.agent = Agent::run(&home(&fleet))?;
    // The agent itself has to know of it again, without anything happening to the file; and of whatever
    // else lies on this host.
    wait::until("the agent to hold both", async || {
        let held = fleet.agent.findings().unwrap_or_default(); // it may not listen yet
        let present = |pair: &Pair| {
            held.iter().any(|one| {
                let id = one.credential_id.as_ref();
                id.is_some_and(|id| id.as_str() == pair.id)
                    && matches!(one.presence, Presence::Present { .. })
            })
        };
        let both = present(&first[0].1) && present(&later[0].1);
        Ok(both.then_some(()))
    })
    .await?;
    wait_agreed(&fleet).await?;
    let again = wait_each(&fleet, &later, "present").await?;
    assert_eq!(again[0]["ref"], row[0]["ref"]);
    assert_eq!(again[0]["returns"], 0);
    fleet.stop().await
}

#[tokio::test]
async fn a_wiped_record_makes_nothing_gone_that_is_there_or_cannot_be_looked_at() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    let kept = [plant_one(&fleet, "kept.env")?];
    let removed = [plant_one(&fleet, "removed.env")?];
    let excluded = [plant_one(&fleet, "app/excluded.env")?];
    for planted in [&kept, &removed, &excluded] {
        wait_each(&fleet, planted, "present").await?;
    }
    wait_agreed(&fleet).await?;
    fleet.agent.pause().await?;
    let watcher = home(&fleet).join("state/watcher");
    for name in ["ledger.redb", "read-index"] {
        std::fs::remove_file(watcher.join(name)).with_context(|| name.to_owned())?;
    }
    std::fs::remove_file(&removed[0].0)?;
    let exclude = format!("exclude = [{:?}]\n", shown(&fleet.watched.join("app")));
    run_with(&mut fleet, &format!("{exclude}{NO_FIRST_SCAN}"))?;
    let row = wait_each(&fleet, &removed, "gone").await?;
    assert_eq!(row[0]["presence"]["proof"], "removed");
    wait_each(&fleet, &kept, "present").await?;
    wait_each(&fleet, &excluded, "unknown").await?;
    wait_agreed(&fleet).await?;
    wait_each(&fleet, &excluded, "unknown").await?;
    fleet.stop().await
}

/// A program that holds a pair in its environment.
fn holder(pair: &Pair, seconds: &str) -> Result<Child> {
    Command::new("sleep")
        .arg(seconds)
        .env("ALIBABA_CLOUD_ACCESS_KEY_ID", &pair.id)
        .env("ALIBABA_CLOUD_ACCESS_KEY_SECRET", &pair.secret)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .context("sleep")
}

/// What a person would be alerted of: how often the finding appeared in its credential's timeline as
/// new, and as come back.
async fn appearances(fleet: &Fleet, row: &Value) -> Result<(usize, usize)> {
    let credential = row["credential"].as_str().context("a credential")?;
    let shown = fleet.rest.get(&format!("credentials/{credential}")).await?;
    let timeline = shown["timeline"].as_array().context("a timeline")?.clone();
    let count = |what: &str| {
        let ours = timeline.iter().filter(|one| one["finding"] == row["ref"]);
        ours.filter(|one| one["what"] == what).count()
    };
    Ok((count("present"), count("present-again")))
}

#[tokio::test]
async fn a_service_restarted_a_hundred_times_is_one_finding_and_one_alert() -> Result<()> {
    let fleet = Fleet::start().await?;
    let pair = plant::alibaba();
    let mut running = holder(&pair, "3600")?;
    let pid = running.id().context("it runs")?;
    let path = format!("/proc/{pid}/environ");
    let first = fleet.wait_state(&pair.id, &path, "present").await?;
    for _ in 0..TIMES {
        let next = holder(&pair, "3600")?;
        running.kill().await?;
        running = next;
    }
    let pid = running.id().context("it runs")?;
    let path = format!("/proc/{pid}/environ");
    let last = fleet.wait_state(&pair.id, &path, "present").await?;
    assert_eq!(last["ref"], first["ref"]);
    assert_eq!(last["returns"], 0, "it was never gone: {last:#}");
    assert_eq!(appearances(&fleet, &last).await?, (1, 0), "{last:#}");
    running.kill().await?;
    fleet
        .wait_findings("the service to have ended", &pair.id, |rows| {
            rows.len() == 1 && rows[0]["state"] == "gone"
        })
        .await?;
    fleet.stop().await
}

#[tokio::test]
async fn a_job_that_runs_a_hundred_times_is_one_finding_and_one_alert() -> Result<()> {
    let fleet = Fleet::start().await?;
    let pair = plant::alibaba();
    for _ in 0..TIMES {
        let status = holder(&pair, "0.02")?.wait().await?;
        ensure!(status.success());
    }
    // Whether it runs at this moment is no matter: it is one, and it was news once. Between two runs it may
    // have been seen to be gone: then it came back, which is counted, and each time is told as that.
    let mut last = Value::Null;
    wait::until("the job to be one finding with its returns", async || {
        let mut jobs = fleet.rest.findings_of(&pair.id).await?;
        jobs.retain(|row| row["location"]["type"] == "process");
        ensure!(jobs.len() <= 1, "{jobs:#?}");
        let Some(job) = jobs.pop() else {
            return Ok(None);
        };
        let (new, again) = appearances(&fleet, &job).await?;
        ensure!(new <= 1, "{job:#}");
        let told = new == 1 && job["returns"] == again;
        last = job;
        Ok(told.then_some(()))
    })
    .await
    .with_context(|| format!("{last:#}"))?;
    fleet.stop().await
}

#[tokio::test]
async fn a_file_that_is_edited_while_its_process_runs_says_that_the_process_still_holds_it()
-> Result<()> {
    let fleet = Fleet::start().await?;
    let pair = plant::alibaba();
    let file = fleet.watched.join("service.env");
    let lines = format!(
        "ALIBABA_CLOUD_ACCESS_KEY_ID={}\nALIBABA_CLOUD_ACCESS_KEY_SECRET={}\n",
        pair.id, pair.secret
    );
    plant::write(&file, &lines)?;
    let mut service = holder(&pair, "3600")?;
    let of = |rows: &[Value], kind: &str| {
        rows.iter()
            .find(|row| row["location"]["type"] == kind && row["kind"] != "reference")
            .cloned()
            .unwrap_or_default()
    };
    let path = shown(&file);
    let rows = fleet
        .wait_findings("file and process", &pair.id, |rows| {
            of(rows, "process")["cause"]["path"] == path.as_str()
        })
        .await?;
    assert!(of(&rows, "process")["cause"]["gone"].is_null(), "{rows:#?}");
    plant::write(&file, "REGION=cn-hangzhou\n")?;
    let rows = fleet
        .wait_findings("the file to be gone", &pair.id, |rows| {
            of(rows, "file")["state"] == "gone"
        })
        .await?;
    let (process, edited) = (of(&rows, "process"), of(&rows, "file"));
    assert_eq!(process["state"], "present");
    assert_eq!(process["cause"]["path"], path.as_str(), "{process:#}");
    assert_eq!(process["cause"]["gone"], true, "{process:#}");
    assert_eq!(
        edited["held_by"]["workload"],
        process["location"]["workload"]
    );
    assert_eq!(
        edited["held_by"]["pid"].as_u64(),
        service.id().map(u64::from)
    );

    service.kill().await?;
    let rows = fleet
        .wait_findings("the process to have ended", &pair.id, |rows| {
            of(rows, "process")["state"] == "gone"
        })
        .await?;
    assert!(of(&rows, "file")["held_by"].is_null(), "{rows:#?}");
    fleet.stop().await
}

/// A program of two threads: the first ends once its standard input says something or ends.
const FIRST_THREAD_ENDS: &str = "#include <pthread.h>\n#include <unistd.h>\n\
    static void *stay(void *with) { for (;;) pause(); return with; }\n\
    int main(void) { pthread_t other; char byte; pthread_create(&other, 0, stay, 0);\n\
    if (read(0, &byte, 1) >= 0) pthread_exit(0); return 1; }\n";

fn two_threads(directory: &Path) -> Result<std::path::PathBuf> {
    let (source, program) = (directory.join("threads.c"), directory.join("threads"));
    std::fs::write(&source, FIRST_THREAD_ENDS)?;
    let built = std::process::Command::new("cc")
        .args(["-pthread", "-o"])
        .args([&program, &source])
        .status()
        .context("cc")?;
    ensure!(built.success(), "cc: {built}");
    Ok(program)
}

/// Such a process shows itself as ended, in every file of its own, while it runs and holds its secrets.
#[tokio::test]
async fn a_process_whose_first_thread_has_ended_is_not_gone() -> Result<()> {
    let fleet = Fleet::start().await?;
    let program = two_threads(fleet.directory.path())?;
    let (early, late) = (plant::alibaba(), plant::alibaba());
    let start = |pair: &Pair, input: Stdio| {
        Command::new(&program)
            .env("ALIBABA_CLOUD_ACCESS_KEY_ID", &pair.id)
            .env("ALIBABA_CLOUD_ACCESS_KEY_SECRET", &pair.secret)
            .stdin(input)
            .kill_on_drop(true)
            .spawn()
            .context("threads")
    };
    let mut process = start(&late, Stdio::piped())?;
    let path = format!("/proc/{}/environ", process.id().context("it runs")?);
    fleet.wait_state(&late.id, &path, "present").await?;
    drop(process.stdin.take());
    // Its first thread has ended before it is seen, or soon after.
    let mut other = start(&early, Stdio::null())?;
    let of_other = format!("/proc/{}/environ", other.id().context("it runs")?);
    fleet.wait_state(&early.id, &of_other, "present").await?;
    // Two that end show that there were sweeps since.
    for _ in 0..2 {
        let pair = plant::alibaba();
        let mut short = holder(&pair, "3600")?;
        let path = format!("/proc/{}/environ", short.id().context("it runs")?);
        fleet.wait_state(&pair.id, &path, "present").await?;
        short.kill().await?;
        fleet.wait_state(&pair.id, &path, "gone").await?;
    }
    fleet.wait_state(&late.id, &path, "present").await?;
    fleet.wait_state(&early.id, &of_other, "present").await?;
    process.kill().await?;
    other.kill().await?;
    fleet.wait_state(&late.id, &path, "gone").await?;
    fleet.wait_state(&early.id, &of_other, "gone").await?;
    fleet.stop().await
}
