//! A disk that is full: the agent goes on reading and says since when it cannot keep what it reads.
//!
//! Its state lies on a small filesystem of its own, which the test fills and empties.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use akwatch_tests::fleet::{Fleet, shown};
use akwatch_tests::plant::{self, Pair};
use akwatch_tests::{sets, wait};
use anyhow::{Context as _, Result, ensure};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use serde_json::Value;

/// A filesystem in memory.
struct Disk(PathBuf);

impl Disk {
    fn make(at: &Path) -> Result<Disk> {
        std::fs::create_dir_all(at)?;
        let size = Some("size=12m,mode=755");
        mount(Some("tmpfs"), at, Some("tmpfs"), MsFlags::empty(), size)
            .with_context(|| at.display().to_string())?;
        Ok(Disk(at.to_owned()))
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }

    /// Writes until there is no room, not even for what was given up meanwhile.
    fn fill(&self) -> Result<()> {
        let path = self.filler();
        let mut file = std::fs::File::options()
            .create(true)
            .append(true)
            .open(path)?;
        for size in [64 * 1024, 4096, 512, 1] {
            let bytes = vec![b'x'; size];
            while file.write_all(&bytes).is_ok() {}
        }
        Ok(())
    }

    fn empty(&self) -> Result<()> {
        Ok(std::fs::remove_file(self.filler())?)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = umount2(&self.0, MntFlags::MNT_DETACH);
    }
}

struct Scene {
    /// Unmounted before the directory goes that it is mounted in.
    disk: Disk,
    fleet: Fleet,
}

impl Scene {
    async fn start() -> Result<Scene> {
        let mut disk = None;
        let fleet = Fleet::start_beating(|agent| {
            disk = Some(Disk::make(&agent.join("state"))?);
            Ok(())
        })
        .await?;
        let disk = disk.context("a disk")?;
        Ok(Scene { fleet, disk })
    }

    fn plant(&self, name: &str) -> Result<(PathBuf, Pair)> {
        let (file, pair) = (self.fleet.watched.join(name), plant::tencent());
        let text = format!("SECRET_ID={}\nSECRET_KEY={}\n", pair.id, pair.secret);
        std::fs::write(&file, &text)?;
        Ok((file, pair))
    }

    async fn wait_present(&self, planted: &[(PathBuf, Pair)]) -> Result<()> {
        for (file, pair) in planted {
            let shown = shown(file);
            self.fleet.wait_state(&pair.id, &shown, "present").await?;
        }
        Ok(())
    }

    /// Waits until a reading waits for room, or this one has found it; whether one waits.
    async fn waits_or_holds(&self, pair: &Pair) -> Result<bool> {
        let agent = &self.fleet.agent;
        wait::until("what was planted to be kept, or to wait", async || {
            let status = agent.status().await?;
            if status["coverage"]["record"]["waiting"].as_u64() > Some(0) {
                return Ok(Some(true));
            }
            let held = agent.findings()?;
            let mut ids = held.iter().filter_map(|one| one.credential_id.as_ref());
            Ok(ids.any(|id| id.as_str() == pair.id).then_some(false))
        })
        .await
    }

    /// What the collector was told of the agent's record.
    async fn told(&self) -> Result<(Value, Value)> {
        let hosts = self.fleet.rest.get("hosts").await?;
        let host = &hosts["rows"][0];
        let id = host["id"].as_str().context("an id")?;
        let detail = self.fleet.rest.get(&format!("hosts/{id}")).await?;
        Ok((
            detail["coverage"]["record"].clone(),
            host["last_heard"].clone(),
        ))
    }

    /// Waits until the collector knows that readings wait, and why.
    async fn wait_told(&self) -> Result<Value> {
        let mut last = Value::Null;
        wait::until("the collector to be told of the full disk", async || {
            let (record, heard) = self.told().await?;
            last.clone_from(&record);
            let known = record["why"] == "disk-full" && record["waiting"].as_u64() > Some(0);
            Ok(known.then_some(heard))
        })
        .await
        .with_context(|| format!("{last}\n{}", self.fleet.agent.log_end()))?;
        Ok(last)
    }
}

#[tokio::test]
async fn an_agent_on_a_full_disk_goes_on_says_since_when_and_catches_up() -> Result<()> {
    let mut scene = Scene::start().await?;
    let before = scene.plant("before.env")?;
    scene.wait_present(std::slice::from_ref(&before)).await?;

    // The disk fills up: what is found is kept in the room that was kept for that, and reported.
    scene.disk.fill()?;
    let first = scene.plant("first.env")?;
    scene.wait_present(std::slice::from_ref(&first)).await?;

    // That room is taken as well, by whatever fills the disk.
    let mut waiting = Vec::new();
    let mut number = 0;
    let told = loop {
        scene.disk.fill()?;
        for _ in 0..20 {
            waiting.push(scene.plant(&format!("waiting-{number}.env"))?);
            number += 1;
        }
        let (_, last) = waiting.last().context("one was planted")?;
        if scene.waits_or_holds(last).await? {
            break scene.wait_told().await?;
        }
        ensure!(number < 2000, "the disk is never full");
    };
    ensure!(told["since"].as_i64() > Some(0), "{told}");
    let (_, heard) = scene.told().await?;
    wait::until("another heartbeat", async || {
        Ok((scene.told().await?.1 != heard).then_some(()))
    })
    .await?;
    let text = scene.fleet.agent.status().await?;
    assert_eq!(
        text["coverage"]["record"]["since"], told["since"],
        "it stays"
    );

    // A restart needs no room either, and it goes on reading.
    scene.fleet.agent = scene.fleet.agent.crash_and_restart().await?;
    scene.fleet.agent.wait_watching().await?;
    waiting.push(scene.plant("after-the-restart.env")?);
    std::fs::remove_file(&before.0)?;
    scene.wait_told().await?;

    scene.disk.empty()?;
    waiting.push(first);
    scene.wait_present(&waiting).await?;
    let (file, pair) = &before;
    let fleet = &scene.fleet;
    fleet.wait_state(&pair.id, &shown(file), "gone").await?;
    wait::until("the trouble to be over", async || {
        Ok(scene.told().await?.0.is_null().then_some(()))
    })
    .await?;
    sets::wait_equal(&fleet.agent, &fleet.rest, &fleet.watched).await?;
    let Scene { fleet, disk } = scene;
    let Fleet {
        agent,
        collector,
        directory,
        ..
    } = fleet;
    agent.stop().await?;
    collector.stop().await?;
    drop(disk);
    Ok(directory.close()?) // nothing is left
}
