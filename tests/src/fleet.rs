//! A collector and one agent in a directory of their own, for one test.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;
use tempfile::TempDir;

use crate::agent::Agent;
use crate::collector::Collector;
use crate::rest::Rest;
use crate::wait;

/// A running collector and agent.
#[derive(Debug)]
pub struct Fleet {
    /// What the agent watches beyond its default set.
    pub watched: PathBuf,
    /// The collector.
    pub collector: Collector,
    /// The agent.
    pub agent: Agent,
    /// A client of the collector.
    pub rest: Rest,
    /// Removed when dropped: after those who write there.
    pub directory: TempDir,
}

/// Tests look at what changes while they run, not at the machine that runs them.
pub const NO_FIRST_SCAN: &str = "[first_scan]\nenabled = false\n";

/// What a collector's configuration says so that hosts are heard every second.
pub const BEATING: &str = "heartbeat_seconds = 1";

/// What an agent's configuration says so that it watches its test's own files alone, with a first scan
/// left out: whatever else a machine is doing costs such a test no time. Continues `[watch]`.
pub const ALONE: &str = "exclude = [\"/dev/**\", \"/etc/**\", \"/home/**\", \"/opt/**\", \"/root/**\", \
    \"/srv/**\", \"/tmp/**\", \"/usr/**\", \"/var/**\", \"/run/akwatch-test.*/agent/**\", \
    \"/run/akwatch-test.*/collector/**\"]\n\n[first_scan]\nenabled = false\n";

impl Fleet {
    /// Starts both and waits until the agent has been heard.
    ///
    /// # Errors
    /// When one of them does not come up.
    pub async fn start() -> Result<Fleet> {
        Fleet::start_with(NO_FIRST_SCAN).await
    }

    /// As [`Fleet::start`], with `more` TOML in the agent's configuration.
    ///
    /// # Errors
    /// As [`Fleet::start`].
    pub async fn start_with(more: &str) -> Result<Fleet> {
        let (directory, watched) = directory()?;
        let collector = Collector::start(&directory.path().join("collector")).await?;
        let rest = collector.rest().await?;
        let mut agent = Agent::start(
            &directory.path().join("agent"),
            &collector,
            &[&watched],
            more,
        )
        .await?;
        agent.wait_heard(&rest).await?;
        Ok(Fleet {
            directory,
            watched,
            collector,
            agent,
            rest,
        })
    }

    /// As [`Fleet::start`], with a heartbeat a second, so that both sides compare what they hold often.
    /// `prepare` may do something to the agent's directory before it is enrolled.
    ///
    /// # Errors
    /// As [`Fleet::start`].
    pub async fn start_beating(prepare: impl FnOnce(&Path) -> Result<()>) -> Result<Fleet> {
        Fleet::start_alone(ALONE, prepare).await
    }

    /// As [`Fleet::start_beating`], with an agent that walks over its test's own files when it starts.
    ///
    /// # Errors
    /// As [`Fleet::start`].
    pub async fn start_walking() -> Result<Fleet> {
        let walking = ALONE.replace("\n[first_scan]\nenabled = false\n", "");
        Fleet::start_alone(&walking, |_| Ok(())).await
    }

    async fn start_alone(more: &str, prepare: impl FnOnce(&Path) -> Result<()>) -> Result<Fleet> {
        let (directory, watched) = directory_alone()?;
        let collector = Collector::configured(&directory.path().join("collector"), BEATING)?;
        let collector = Collector::start(&collector).await?;
        let rest = collector.rest().await?;
        let agent = directory.path().join("agent");
        prepare(&agent)?;
        let mut agent = Agent::start(&agent, &collector, &[&watched], more).await?;
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

    /// Waits until the findings of `id` satisfy `condition`; gives them.
    ///
    /// # Errors
    /// When they do not in time: with what is there, and the ends of both logs.
    pub async fn wait_findings(
        &self,
        what: &str,
        id: &str,
        condition: impl Fn(&[Value]) -> bool,
    ) -> Result<Vec<Value>> {
        let mut last = Vec::new();
        wait::until(what, async || {
            last = self.rest.findings_of(id).await?;
            Ok(condition(&last).then(|| last.clone()))
        })
        .await
        .with_context(|| {
            format!(
                "shown: {last:#?}\nagent:\n{}\ncollector:\n{}",
                self.agent.log_end(),
                self.collector.log_end()
            )
        })
    }

    /// Waits until `id` has exactly one finding and it is in `state` at `path`.
    ///
    /// # Errors
    /// As [`Fleet::wait_findings`].
    pub async fn wait_state(&self, id: &str, path: &str, state: &str) -> Result<Value> {
        let what = format!("one finding at {path} to be {state}");
        let rows = self
            .wait_findings(&what, id, |rows| {
                rows.len() == 1 && rows[0]["state"] == state && rows[0]["location"]["path"] == path
            })
            .await?;
        rows.into_iter().next().context("invariant: one row")
    }

    /// Stops both in order.
    ///
    /// # Errors
    /// When one of them does not stop.
    pub async fn stop(self) -> Result<()> {
        self.agent.stop().await?;
        self.collector.stop().await
    }
}

/// A directory that every role can reach, and the watched one inside it.
///
/// # Errors
/// When it cannot be made.
pub fn directory() -> Result<(TempDir, PathBuf)> {
    let directory = tempfile::Builder::new().prefix("akwatch-test.").tempdir()?;
    std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755))?;
    let watched = directory.path().canonicalize()?.join("watched");
    std::fs::create_dir_all(&watched)?;
    Ok((directory, watched))
}

/// As [`directory`], where no agent looks by itself: for one that is configured [`ALONE`].
///
/// # Errors
/// When it cannot be made.
pub fn directory_alone() -> Result<(TempDir, PathBuf)> {
    let directory = tempfile::Builder::new()
        .prefix("akwatch-test.")
        .tempdir_in("/run")?;
    std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755))?;
    let watched = directory.path().canonicalize()?.join("watched");
    std::fs::create_dir_all(&watched)?;
    Ok((directory, watched))
}

/// A path as the collector shows it.
#[must_use]
pub fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
