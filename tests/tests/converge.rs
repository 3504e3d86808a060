//! Whatever happens to clocks, lines and collectors: in the end the collector's set is the agent's.
//!
//! Real programs, real TLS; only the wall clock is moved, beneath the programs
//! ([`Clock`](akwatch_tests::clock::Clock)). Each test changes files and processes while the thing is
//! wrong, puts nothing right by hand, and ends with the same question: does the collector show of this
//! host exactly what its agent holds, each finding once, down to the moment of its presence?

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use akwatch_tests::agent::Agent;
use akwatch_tests::clock::{Clock, DAY_MS};
use akwatch_tests::collector::Collector;
use akwatch_tests::fleet::{self, shown};
use akwatch_tests::line::{Line, State};
use akwatch_tests::plant::{self, Pair};
use akwatch_tests::rest::Rest;
use akwatch_tests::{process, sets, wait};
use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

/// How long a state may take to come true. After an outage the agent waits up to five minutes before
/// it tries again: that is to spread a fleet, and no test shortens it.
const PATIENCE: Duration = Duration::from_secs(600);

/// A host and its collector, each with a clock of its own.
struct Scene {
    watched: PathBuf,
    collector: Collector,
    agent: Agent,
    rest: Rest,
    here: Clock,
    there: Clock,
    /// Removed when dropped: after those who write there.
    directory: tempfile::TempDir,
}

impl Scene {
    async fn start() -> Result<Scene> {
        Scene::start_over(async |url| Ok(url.to_owned())).await
    }

    /// Starts both; the agent reaches the collector at the address that `way` gives.
    async fn start_over(way: impl AsyncFnOnce(&str) -> Result<String>) -> Result<Scene> {
        let (directory, watched) = fleet::directory_alone()?;
        let clock = |name: &str| {
            let own = directory.path().join(name);
            std::fs::create_dir_all(&own)?;
            Clock::make(&own)
        };
        let (here, there) = (clock("clock-here")?, clock("clock-there")?);
        let home = Collector::configured(&directory.path().join("collector"), fleet::BEATING)?;
        let collector = Collector::start_by(&home, &there).await?;
        let url = way(&collector.agents).await?;
        let agent = directory.path().join("agent");
        Agent::configure(&agent, &url, &[&watched], fleet::ALONE)?;
        Agent::enroll(&agent, &collector.bootstrap().await?).await?;
        let token = collector.api_token("converge", "admin").await?;
        let rest = Rest::at_any_time(&collector.people, &token)?;
        let mut agent = Agent::run_by(&agent, &here.around())?;
        agent.wait_heard(&rest).await?;
        agent.wait_watching().await?;
        Ok(Scene {
            directory,
            watched,
            collector,
            agent,
            rest,
            here,
            there,
        })
    }

    fn agents(&self) -> PathBuf {
        self.directory.path().join("agent")
    }

    /// Writes a pair into a file of that name, over what is there.
    fn write(&self, name: &str) -> Result<Planted> {
        let (file, pair) = (self.watched.join(name), plant::tencent());
        let text = format!("SECRET_ID={}\nSECRET_KEY={}\n", pair.id, pair.secret);
        // In place: the temporary name that a careful program renames may be seen as well.
        std::fs::write(&file, &text)?;
        Ok(Planted { file, pair })
    }

    /// Waits until each has one finding in its state, and then until both hold the same.
    async fn settle(&self, expected: &[(&Planted, &str)]) -> Result<()> {
        for (planted, state) in expected {
            let mut last = Vec::new();
            let what = format!("{} to be {state}", planted.file.display());
            wait::within(PATIENCE, &what, async || {
                last = self.rest.findings_of(&planted.pair.id).await?;
                let one = last.len() == 1 && last[0]["state"] == *state;
                Ok(one.then_some(()))
            })
            .await
            .with_context(|| format!("{last:#?}\n{}", self.agent.log_end()))?;
        }
        let all = sets::wait_equal(&self.agent, &self.rest, &self.watched).await?;
        ensure!(all > 0, "nothing is held");
        Ok(())
    }

    async fn restart_agent(&mut self) -> Result<()> {
        self.agent.pause().await?;
        self.start_agent().await
    }

    async fn start_agent(&mut self) -> Result<()> {
        self.agent = Agent::run_by(&self.agents(), &self.here.around())?;
        self.agent.wait_watching().await
    }

    async fn restart_collector(&mut self) -> Result<()> {
        self.collector.pause().await?;
        self.start_collector().await
    }

    async fn start_collector(&mut self) -> Result<()> {
        let home = self.collector.directory().to_path_buf();
        self.collector = Collector::start_by(&home, &self.there).await?;
        Ok(())
    }

    /// The one host, as people see it.
    async fn host(&self) -> Result<Value> {
        let hosts = self.rest.get("hosts").await?;
        ensure!(hosts["total"] == 1, "{hosts}");
        Ok(hosts["rows"][0].clone())
    }

    /// The one host, explained.
    async fn detail(&self) -> Result<Value> {
        let host = self.host().await?;
        let id = host["id"].as_str().context("an id")?;
        self.rest.get(&format!("hosts/{id}")).await
    }

    /// Waits until the host was heard a few times by the clock of now, and looked for in between: it is
    /// live, whatever its collector's clock did.
    async fn heard_again(&self) -> Result<()> {
        let began = std::time::Instant::now();
        let mut beats = std::collections::BTreeSet::new();
        wait::until("the host to be heard again", async || {
            let host = self.host().await?;
            ensure!(host["state"] != "retired", "{host}");
            if host["state"] == "live" {
                beats.insert(host["last_heard"].as_i64());
            }
            // The collector looks for silence every five seconds.
            let looked = began.elapsed() > Duration::from_secs(7);
            Ok((looked && beats.len() > 2).then_some(()))
        })
        .await
        .with_context(|| self.agent.log_end())
    }

    /// Waits until the collector sees the agent's clock so many milliseconds ahead, to a minute: the
    /// clock was really moved.
    async fn wait_ahead(&self, ahead_ms: i64) -> Result<()> {
        wait::until("the moved clock to be seen", async || {
            let detail = self.detail().await?;
            let ahead = detail["clock_ahead_ms"].as_i64().context("its clock")?;
            Ok((ahead.abs_diff(ahead_ms) < 60_000).then_some(()))
        })
        .await
        .with_context(|| self.agent.log_end())
    }

    async fn stop(self) -> Result<()> {
        self.agent.stop().await?;
        self.collector.stop().await
    }
}

/// A pair in a file.
struct Planted {
    file: PathBuf,
    pair: Pair,
}

/// A process that holds a pair in its environment.
struct Holder {
    child: Child,
    pair: Pair,
}

impl Holder {
    fn start() -> Result<Holder> {
        let pair = plant::tencent();
        let child = Command::new("sleep")
            .arg("600")
            .env("TENCENTCLOUD_SECRET_ID", &pair.id)
            .env("TENCENTCLOUD_SECRET_KEY", &pair.secret)
            .stdin(Stdio::null())
            .spawn()?;
        Ok(Holder { child, pair })
    }

    /// Ends it; what it held is then looked for under this name.
    fn end(mut self) -> Result<Planted> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(Planted {
            file: PathBuf::from("an environment"),
            pair: self.pair.clone(),
        })
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The agent's clock jumps while it runs, and is wrong when it starts: 30 days ahead, then 30 days late
/// (60 days back at once), then right again. Files and processes come, change and go meanwhile.
#[tokio::test]
async fn the_hosts_clock_jumps_thirty_days_ahead_back_and_right_again() -> Result<()> {
    let mut scene = Scene::start().await?;
    let (kept, first) = (scene.write("kept.env")?, scene.write("a.env")?);
    let held = Holder::start()?;
    scene
        .settle(&[(&kept, "present"), (&first, "present")])
        .await?;

    scene.here.set(30 * DAY_MS)?;
    std::fs::remove_file(&first.file)?;
    let second = scene.write("b.env")?;
    scene
        .settle(&[(&first, "gone"), (&second, "present"), (&kept, "present")])
        .await?;
    scene.wait_ahead(30 * DAY_MS).await?;
    let ahead = Holder::start()?;
    let seen = Planted {
        file: PathBuf::from("an environment of the future"),
        pair: ahead.pair.clone(),
    };
    scene.settle(&[(&seen, "present")]).await?;

    scene.here.set(-30 * DAY_MS)?;
    let (held, ahead) = (held.end()?, ahead.end()?);
    let edited = scene.write("b.env")?;
    scene
        .settle(&[(&second, "gone"), (&edited, "present"), (&kept, "present")])
        .await?;
    scene.settle(&[(&held, "gone"), (&ahead, "gone")]).await?;
    scene.wait_ahead(-30 * DAY_MS).await?;

    scene.agent.pause().await?;
    let meanwhile = scene.write("meanwhile.env")?;
    std::fs::remove_file(&kept.file)?;
    scene.start_agent().await?;
    scene
        .settle(&[(&meanwhile, "present"), (&kept, "gone")])
        .await?;

    scene.here.set(0)?;
    std::fs::remove_file(&meanwhile.file)?;
    let last = scene.write("last.env")?;
    scene
        .settle(&[(&meanwhile, "gone"), (&last, "present")])
        .await?;
    scene.wait_ahead(0).await?;
    scene.restart_agent().await?;
    scene.settle(&[(&last, "present")]).await?;
    scene.stop().await
}

/// The collector's clock does the same: it runs, is restarted, and its own certificate is of another
/// month than the host believes. The host is made to come and go, and is not retired by that; it dies
/// after a collector that was ahead was put right, and is called silent all the same.
#[tokio::test]
async fn the_collectors_clock_jumps_thirty_days_ahead_back_and_right_again() -> Result<()> {
    let mut scene = Scene::start().await?;
    Agent::make_ephemeral(&scene.agents())?;
    scene.restart_agent().await?;
    wait::until("the host to be called ephemeral", async || {
        Ok((scene.detail().await?["facts"]["ephemeral"] == true).then_some(()))
    })
    .await?;
    let mut before = scene.write("a.env")?;
    scene.settle(&[(&before, "present")]).await?;
    for days in [30, -30, 0] {
        scene.there.set(days * DAY_MS)?;
        scene.heard_again().await?;
        let running = scene.write("running.env")?;
        std::fs::remove_file(&before.file)?;
        scene
            .settle(&[(&before, "gone"), (&running, "present")])
            .await?;
        scene.restart_collector().await?;
        std::fs::remove_file(&running.file)?;
        let restarted = scene.write("restarted.env")?;
        scene
            .settle(&[(&running, "gone"), (&restarted, "present")])
            .await?;
        scene.restart_agent().await?;
        scene.settle(&[(&restarted, "present")]).await?;
        before = restarted;
    }
    // A collector that starts ahead, and is put right while it runs.
    scene.there.set(30 * DAY_MS)?;
    scene.restart_collector().await?;
    scene.heard_again().await?;
    scene.there.set(0)?;
    scene.agent.pause().await?;
    wait::until("the dead host to be silent", async || {
        Ok((scene.host().await?["state"] == "silent").then_some(()))
    })
    .await?;
    let rows = scene.rest.findings_of(&before.pair.id).await?;
    ensure!(rows[0]["state"] == "unknown", "{rows:#?}");
    scene.collector.stop().await
}

/// A host is suspended for so long that its certificate has ended, and changed while it slept (its
/// disk was mounted elsewhere). Everybody else's clock went on.
#[tokio::test]
async fn a_host_that_slept_past_the_end_of_its_certificate_is_heard_again() -> Result<()> {
    let mut scene = Scene::start().await?;
    let (kept, removed) = (scene.write("kept.env")?, scene.write("removed.env")?);
    scene
        .settle(&[(&kept, "present"), (&removed, "present")])
        .await?;
    let certificate = scene.agents().join("state/identity/cert.pem");
    let before = std::fs::read_to_string(&certificate)?;

    let all = process::descendants(scene.agent.pid()?.as_raw());
    // A helper of a role that was still listed may have ended.
    let signal = |signal: Signal| {
        for pid in &all {
            let _ = kill(Pid::from_raw(*pid), signal);
        }
    };
    signal(Signal::SIGSTOP);
    // Connections do not outlast such a sleep; the collector does, by a restart.
    for clock in [&scene.here, &scene.there] {
        clock.set(20 * DAY_MS)?;
    }
    scene.restart_collector().await?;
    std::fs::remove_file(&removed.file)?;
    let woken = scene.write("woken.env")?;
    signal(Signal::SIGCONT);

    scene
        .settle(&[(&kept, "present"), (&removed, "gone"), (&woken, "present")])
        .await?;
    let after = std::fs::read_to_string(&certificate)?;
    ensure!(after != before, "the certificate is the same");
    scene.stop().await
}

/// The collector is away for a week: longer than certificates live. Files change every day, and the
/// agent is restarted in between.
#[tokio::test]
async fn a_collector_that_was_away_for_a_week_hears_everything() -> Result<()> {
    let mut scene = Scene::start().await?;
    let kept = scene.write("kept.env")?;
    let mut daily = scene.write("daily.env")?;
    scene
        .settle(&[(&kept, "present"), (&daily, "present")])
        .await?;
    scene.collector.pause().await?;
    let mut edited = Vec::new();
    let mut added = Vec::new();
    for day in 1..=8 {
        for clock in [&scene.here, &scene.there] {
            clock.set(day * DAY_MS)?;
        }
        let next = scene.write("daily.env")?;
        edited.push(std::mem::replace(&mut daily, next));
        added.push(scene.write(&format!("day-{day}.env"))?);
        if day == 4 {
            scene.restart_agent().await?;
        }
        let all = 2 + edited.len() + added.len();
        wait::until("the day to be in the ledger", async || {
            let held = scene.agent.findings()?;
            let ids = [&daily, &added[added.len() - 1]].map(|planted| &planted.pair.id);
            let there = |id: &String| {
                let mut of_id = held.iter().filter_map(|one| one.credential_id.as_ref());
                of_id.any(|held| held.as_str() == id)
            };
            Ok((held.len() >= all && ids.into_iter().all(there)).then_some(()))
        })
        .await
        .with_context(|| scene.agent.log_end())?;
    }
    scene.start_collector().await?;
    let gone = edited.iter().map(|one| (one, "gone"));
    let here = added
        .iter()
        .chain([&kept, &daily])
        .map(|one| (one, "present"));
    let expected: Vec<(&Planted, &str)> = gone.chain(here).collect();
    scene.settle(&expected).await?;
    scene.stop().await
}

/// The collector's state comes back from a backup: what it acknowledged since is forgotten, and the
/// certificate of its host, renewed since, unknown.
#[tokio::test]
async fn a_collector_restored_from_an_old_backup_learns_it_all_again() -> Result<()> {
    let mut scene = Scene::start().await?;
    let (kept, edited) = (scene.write("kept.env")?, scene.write("edited.env")?);
    let removed = scene.write("removed.env")?;
    scene
        .settle(&[
            (&kept, "present"),
            (&edited, "present"),
            (&removed, "present"),
        ])
        .await?;
    let state = scene.collector.directory().join("state");
    let backup = scene.directory.path().join("backup");
    scene.collector.pause().await?;
    copy(&state, &backup)?;
    scene.start_collector().await?;

    // A week later: renewed, and much has changed.
    let certificate = scene.agents().join("state/identity/cert.pem");
    let before = std::fs::read_to_string(&certificate)?;
    for clock in [&scene.here, &scene.there] {
        clock.set(6 * DAY_MS)?;
    }
    scene.restart_agent().await?;
    wait::until("the certificate to be renewed", async || {
        Ok((std::fs::read_to_string(&certificate)? != before).then_some(()))
    })
    .await
    .with_context(|| scene.agent.log_end())?;
    let again = scene.write("edited.env")?;
    std::fs::remove_file(&removed.file)?;
    let came_and_went = scene.write("came-and-went.env")?;
    scene.settle(&[(&came_and_went, "present")]).await?;
    std::fs::remove_file(&came_and_went.file)?;
    let added = scene.write("added.env")?;
    let expected = [
        (&kept, "present"),
        (&edited, "gone"),
        (&again, "present"),
        (&removed, "gone"),
        (&came_and_went, "gone"),
        (&added, "present"),
    ];
    scene.settle(&expected).await?;
    rescan(&scene).await?;

    scene.collector.pause().await?;
    std::fs::remove_dir_all(&state)?;
    copy(&backup, &state)?;
    scene.start_collector().await?;
    // Tokens of people that came since are forgotten too; this one is older.
    scene.settle(&expected).await?;
    let last = scene.write("last.env")?;
    scene.settle(&[(&last, "present")]).await?;
    // What people ask for from now on is heard: its serial is above those of before.
    rescan(&scene).await?;
    scene.stop().await
}

/// Asks for a rescan as a person would, and waits until the host has carried it out.
async fn rescan(scene: &Scene) -> Result<()> {
    let serial = async || {
        let status = scene.agent.status().await?;
        let serial = status["delivery"]["directive_serial"].as_u64();
        serial.context("a serial")
    };
    let before = serial().await?;
    let id = scene.host().await?["id"]
        .as_str()
        .map(str::to_owned)
        .context("an id")?;
    let (status, told) = scene
        .rest
        .post(&format!("hosts/{id}/rescan"), &Value::Null)
        .await?;
    ensure!(status == 202, "{status}: {told}");
    wait::until("the directive to be opened", async || {
        Ok((serial().await? > before).then_some(()))
    })
    .await
    .with_context(|| scene.agent.log_end())
}

/// A host that was enrolled after the backup is unknown to the database that comes back.
#[tokio::test]
async fn a_host_enrolled_after_the_backup_is_there_again() -> Result<()> {
    let mut scene = Scene::start().await?;
    let home = scene.collector.directory().to_path_buf();
    let planted = scene.write("a.env")?;
    scene.settle(&[(&planted, "present")]).await?;
    scene.collector.pause().await?;
    // The backup of a collector that had no host: all but its database is as it was.
    for entry in std::fs::read_dir(home.join("state"))? {
        let path = entry?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if name.contains(".db") || name.contains("sqlite") {
            std::fs::remove_file(&path)?;
        }
    }
    scene.start_collector().await?;
    let token = scene.collector.api_token("converge", "admin").await?;
    scene.rest = Rest::at_any_time(&scene.collector.people, &token)?;
    scene.settle(&[(&planted, "present")]).await?;
    scene.stop().await
}

/// The line breaks and stalls again and again, at seeded moments, also between a report and its answer.
#[tokio::test]
async fn a_line_that_breaks_again_and_again_loses_and_doubles_nothing() -> Result<()> {
    let mut line = None;
    let scene = Scene::start_over(async |url| {
        let made = Line::to(url).await?;
        let url = made.url.clone();
        line = Some(made);
        Ok(url)
    })
    .await?;
    let line = line.context("a line")?;
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = |below: u64| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed % below
    };
    let (mut present, mut gone): (Vec<Planted>, Vec<Planted>) = (Vec::new(), Vec::new());
    for round in 0..60 {
        match next(3) {
            0 if !present.is_empty() => {
                let index = usize::try_from(next(present.len() as u64))?;
                let one = present.remove(index);
                std::fs::remove_file(&one.file)?;
                gone.push(one);
            }
            _ => present.push(scene.write(&format!("{round}.env"))?),
        }
        let state = if next(4) == 0 {
            State::Stalled
        } else {
            State::Cut
        };
        line.set(State::Whole);
        tokio::time::sleep(Duration::from_millis(next(60))).await;
        line.set(state);
        tokio::time::sleep(Duration::from_millis(next(20))).await;
        line.set(State::Cut); // a stalled connection would be waited for
    }
    line.set(State::Whole);
    let expected: Vec<(&Planted, &str)> = present.iter().map(|one| (one, "present")).collect();
    scene.settle(&expected).await?;
    // What came and went unseen is nowhere; what was seen is gone, once.
    for one in &gone {
        let mut rows = Vec::new();
        wait::until("what was removed to be gone", async || {
            rows = scene.rest.findings_of(&one.pair.id).await?;
            let gone = rows.iter().all(|row| row["state"] == "gone");
            Ok(gone.then_some(()))
        })
        .await
        .with_context(|| format!("{}: {rows:#?}", shown(&one.file)))?;
        ensure!(rows.len() <= 1, "{}: {rows:#?}", shown(&one.file));
    }
    scene.stop().await
}

/// Copies a directory, owners and modes kept, as a backup does.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let done = Command::new("cp")
        .args(["-a", "--"])
        .args([from, to])
        .status()?;
    ensure!(done.success(), "cp {} {}", from.display(), to.display());
    Ok(())
}
