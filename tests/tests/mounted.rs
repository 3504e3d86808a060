//! Filesystems that come later, and events that the kernel lost: nothing is missed for it. The tests take
//! turns: what is written to a filesystem goes into the queue of every agent that has marked it.

use std::path::{Path, PathBuf};

use akwatch_tests::agent::Agent;
use akwatch_tests::fleet::{Fleet, shown};
use akwatch_tests::plant::{self, Pair};
use akwatch_tests::turn;
use anyhow::{Context as _, Result, ensure};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

/// The kernel's own limit on events that wait: fanotify(7).
const QUEUE: usize = 16_384;

fn text(pair: &Pair) -> String {
    format!("SECRET_ID={}\nSECRET_KEY={}\n", pair.id, pair.secret)
}

/// A mount that goes with the test.
struct Mounted(PathBuf);

impl Mounted {
    /// Mounts a filesystem in memory.
    fn memory(at: &Path) -> Result<Mounted> {
        std::fs::create_dir_all(at)?;
        let none = MsFlags::empty();
        mount(Some("tmpfs"), at, Some("tmpfs"), none, None::<&str>)?;
        Ok(Mounted(at.to_owned()))
    }

    /// Moves it: another name first, and then only that.
    fn move_to(self, at: &Path) -> Result<Mounted> {
        std::fs::create_dir_all(at)?;
        let (bind, none) = (MsFlags::MS_BIND, None::<&str>);
        mount(Some(&self.0), at, none, bind, none)?;
        Ok(Mounted(at.to_owned()))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = umount2(&self.0, MntFlags::MNT_DETACH);
    }
}

/// What the agent says of its coverage of files.
async fn coverage(agent: &Agent) -> Result<Value> {
    let status = agent.status().await?;
    let sources = status["coverage"]["sources"].as_array();
    let mut files = sources.into_iter().flatten();
    let files = files.find(|one| one["source"] == "files");
    files.cloned().context("no files in the coverage")
}

async fn overflows(agent: &Agent) -> Result<u64> {
    let files = coverage(agent).await?;
    files["overflowed"]
        .as_u64()
        .context("no count of overflows")
}

#[tokio::test]
async fn a_filesystem_that_is_mounted_later_is_read_and_watched_at_once() -> Result<()> {
    let _turn = turn::take().await;
    if !nix::unistd::geteuid().is_root() {
        return Ok(()); // nobody else mounts anything
    }
    let fleet = Fleet::start_walking().await?;
    fleet.agent.wait_walked().await?;
    let [inside, later, after] = [plant::tencent(), plant::tencent(), plant::tencent()];
    // It holds a key before it comes: no event tells of that.
    let elsewhere = Mounted::memory(&fleet.directory.path().join("elsewhere"))?;
    std::fs::create_dir(elsewhere.0.join("app"))?;
    std::fs::write(elsewhere.0.join("app/.env"), text(&inside))?;
    let data = elsewhere.move_to(&fleet.watched.join("data"))?;
    let file = data.0.join("app/.env");
    let row = fleet
        .wait_state(&inside.id, &shown(&file), "present")
        .await?;
    assert_eq!(row["why_new"], "host-new", "{row:#}");
    // From now on it is watched as everything is.
    let other = data.0.join("app/later.env");
    std::fs::write(&other, text(&later))?;
    fleet
        .wait_state(&later.id, &shown(&other), "present")
        .await?;
    // So it is where it was moved to, although it was marked under another name.
    let data = data.move_to(&fleet.watched.join("moved"))?;
    let moved = shown(&data.0.join("app/.env"));
    let is = |row: &Value, state: &str| row["state"] == state && row["location"]["path"] == *moved;
    fleet
        .wait_findings("what it held to be there", &inside.id, |rows| {
            rows.iter().any(|row| is(row, "present"))
        })
        .await?;
    // What is written after it was walked over only an event tells.
    let another = data.0.join("app/after.env");
    std::fs::write(&another, text(&after))?;
    fleet
        .wait_state(&after.id, &shown(&another), "present")
        .await?;
    // Nobody can say what is on it once it is away.
    drop(data);
    fleet
        .wait_findings("what it held to be unknown", &inside.id, |rows| {
            rows.len() == 2 && rows.iter().any(|row| is(row, "unknown"))
        })
        .await?;
    fleet
        .wait_state(&after.id, &shown(&another), "unknown")
        .await?;
    fleet.stop().await
}

/// Whether a process holds a descriptor of this kind: `anon_inode:[fanotify]`, `anon_inode:inotify`.
fn holds(pid: Pid, kind: &str) -> bool {
    let open = std::fs::read_dir(format!("/proc/{pid}/fd"));
    let mut open = open.into_iter().flatten().flatten();
    open.any(|fd| {
        std::fs::read_link(fd.path()).is_ok_and(|link| link.to_string_lossy().contains(kind))
    })
}

/// The process that reads the kernel's queue: the marker, which made it, has no inotify.
fn watcher_of(agent: &Agent) -> Result<Pid> {
    let supervisor = agent.pid()?;
    let mut all = vec![supervisor];
    let children = format!("/proc/{supervisor}/task/{supervisor}/children");
    for child in std::fs::read_to_string(children)?.split_ascii_whitespace() {
        all.push(Pid::from_raw(child.parse()?));
    }
    let reads = |pid: &Pid| holds(*pid, ":[fanotify]") && holds(*pid, ":inotify");
    all.into_iter().find(reads).context("nobody reads marks")
}

#[tokio::test]
async fn what_happens_while_the_kernels_queue_overflows_is_found_by_a_rescan() -> Result<()> {
    let _turn = turn::take().await;
    let fleet = Fleet::start_walking().await?;
    fleet.agent.wait_walked().await?;
    let mechanism = coverage(&fleet.agent).await?["mechanism"].clone();
    if !mechanism
        .as_str()
        .is_some_and(|by| by.starts_with("fanotify"))
    {
        return fleet.stop().await; // no marks here, and so no such queue
    }
    let watcher = watcher_of(&fleet.agent)?;
    let before = overflows(&fleet.agent).await?;
    let noise = fleet.directory.path().join("noise");
    std::fs::create_dir(&noise)?;
    let pair = plant::tencent();
    let file = fleet.watched.join("lost.env");
    // The reader stands still; the queue is everybody's on that filesystem, and fills up.
    kill(watcher, Signal::SIGSTOP)?;
    let filled =
        (0..QUEUE + 1000).try_for_each(|number| std::fs::write(noise.join(number.to_string()), ""));
    let written = std::fs::write(&file, text(&pair));
    kill(watcher, Signal::SIGCONT)?;
    filled?;
    written?;
    fleet.wait_state(&pair.id, &shown(&file), "present").await?;
    let after = overflows(&fleet.agent).await?;
    ensure!(
        after > before,
        "an overflow is counted: {before}, then {after}"
    );
    fleet.stop().await
}
