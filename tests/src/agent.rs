//! An agent on this machine, enrolled with a real collector.

use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use akwatch_proto::finding::Finding;
use anyhow::{Context, Result};
use serde_json::Value;

use crate::collector::Collector;
use crate::program::{Running, answer};
use crate::{process, wait};

/// A running agent and its directories.
#[derive(Debug)]
pub struct Agent {
    directory: PathBuf,
    running: Running,
}

impl Agent {
    /// Enrolls an agent whose files lie in `directory` and starts it. `watched` is added to the
    /// default watch set.
    ///
    /// # Errors
    /// When it cannot be enrolled or started.
    pub async fn start(
        directory: &Path,
        collector: &Collector,
        watched: &[&Path],
        more: &str,
    ) -> Result<Agent> {
        Agent::configure(directory, &collector.agents, watched, more)?;
        let bootstrap = collector.bootstrap().await?;
        let paths = Paths::of(directory);
        answer(
            "akwatch-agent",
            &paths.with("enroll"),
            Some(&format!("{bootstrap}\n")),
        )
        .await?;
        Agent::run(directory)
    }

    /// Writes the configuration: `watched` directories beyond the default set, `more` TOML.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn configure(directory: &Path, url: &str, watched: &[&Path], more: &str) -> Result<()> {
        std::fs::create_dir_all(directory)?;
        let globs: Vec<String> = watched
            .iter()
            .map(|path| format!("{}/**", path.display()))
            .collect();
        let config =
            format!("[collector]\nurls = [{url:?}]\n\n[watch]\ninclude = {globs:?}\n\n{more}\n");
        std::fs::write(directory.join("agent.toml"), config)?;
        Ok(())
    }

    /// Has its configuration say that the host is made to come and go.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn make_ephemeral(directory: &Path) -> Result<()> {
        let path = directory.join("agent.toml");
        let config = std::fs::read_to_string(&path)?;
        std::fs::write(&path, format!("ephemeral = true\n{config}"))?;
        Ok(())
    }

    /// Enrolls with a bootstrap string, on an existing configuration.
    ///
    /// # Errors
    /// When the agent's `enroll` fails, with what it said.
    pub async fn enroll(directory: &Path, bootstrap: &str) -> Result<()> {
        let paths = Paths::of(directory);
        answer(
            "akwatch-agent",
            &paths.with("enroll"),
            Some(&format!("{bootstrap}\n")),
        )
        .await?;
        Ok(())
    }

    /// Starts an agent that was enrolled before.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn run(directory: &Path) -> Result<Agent> {
        Agent::run_by(directory, &[])
    }

    /// As [`Agent::run`], with words before its command line: a [clock](crate::clock::Clock) of its
    /// own.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn run_by(directory: &Path, before: &[String]) -> Result<Agent> {
        let paths = Paths::of(directory);
        let running = Running::start_by(
            "akwatch-agent",
            &paths.with("run"),
            &directory.join("agent.log"),
            before,
            None,
        )?;
        Ok(Agent {
            directory: directory.to_path_buf(),
            running,
        })
    }

    /// What `akwatch-agent status --json` says, once it listens.
    ///
    /// # Errors
    /// When the agent does not answer.
    pub async fn status(&self) -> Result<Value> {
        let paths = Paths::of(&self.directory);
        let mut args = paths.with("status");
        args.push("--json");
        let mut refused = None;
        let text = wait::until("the agent to answer", async || {
            self.running.pid()?;
            match answer("akwatch-agent", &args, None).await {
                Ok(text) => Ok(Some(text)),
                Err(error) => {
                    refused = Some(error);
                    Ok(None)
                }
            }
        })
        .await
        .with_context(|| format!("{refused:?}\n{}", self.log_end()))?;
        serde_json::from_str(&text).with_context(|| format!("status is not JSON: {text}"))
    }

    /// Waits until the walk over everything has ended and nothing waits to be read.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn wait_walked(&self) -> Result<()> {
        wait::until("the walk to end", async || {
            let status = self.status().await?;
            let scan = &status["scan"];
            let idle = scan["waiting"] == 0 && scan["in_flight"] == 0 && scan["running"].is_null();
            Ok((idle && scan["first_done"] == true).then_some(()))
        })
        .await
    }

    /// What `akwatch-agent retire` says.
    ///
    /// # Errors
    /// When the host is not retired.
    pub async fn retire(&self) -> Result<String> {
        let paths = Paths::of(&self.directory);
        answer("akwatch-agent", &paths.with("retire"), None).await
    }

    /// What a verb of its command line says.
    ///
    /// # Errors
    /// When it fails.
    pub async fn command(&self, verb: &str, more: &[&str]) -> Result<String> {
        let paths = Paths::of(&self.directory);
        let mut args = paths.with(verb);
        args.extend(more);
        answer("akwatch-agent", &args, None).await
    }

    /// Every finding that its ledger holds, asked over its socket.
    ///
    /// # Errors
    /// When the agent does not answer.
    pub fn findings(&self) -> Result<Vec<Finding>> {
        let socket = UnixStream::connect(self.directory.join("run/control.sock"))
            .context("the agent does not listen")?;
        socket.set_read_timeout(Some(wait::DEADLINE))?;
        (&socket).write_all(b"\"findings\"\n")?;
        let mut answer: Value = serde_json::from_reader(&socket)?;
        let findings = answer["findings"].take();
        Ok(serde_json::from_value(findings)?)
    }

    /// Waits until the agent's processes are up and it has been heard by its collector.
    ///
    /// # Errors
    /// When it ends or is not heard.
    pub async fn wait_heard(&mut self, rest: &crate::rest::Rest) -> Result<()> {
        wait::until("the agent to be heard", async || {
            self.running.check_running()?;
            let hosts = rest.get("hosts").await?;
            let live = hosts["rows"].as_array().is_some_and(|rows| {
                rows.iter()
                    .any(|row| row["state"] == "live" && !row["last_heard"].is_null())
            });
            Ok(live.then_some(()))
        })
        .await
        .with_context(|| self.running.log_end())
    }

    /// Waits until it watches files as they change: what is written before that is the next walk's
    /// business, and tests have none.
    ///
    /// # Errors
    /// When it ends or does not.
    pub async fn wait_watching(&mut self) -> Result<()> {
        wait::until("the agent to watch files", async || {
            self.running.check_running()?;
            let status = self.status().await?;
            let sources = status["coverage"]["sources"].as_array();
            let watching = sources.into_iter().flatten().any(|source| {
                source["source"] == "files"
                    && ["fanotify", "inotify"]
                        .iter()
                        .any(|live| source["mechanism"] == *live)
            });
            Ok(watching.then_some(()))
        })
        .await
        .with_context(|| self.running.log_end())
    }

    /// Its supervisor's process id.
    ///
    /// # Errors
    /// When it has ended.
    pub fn pid(&self) -> Result<nix::unistd::Pid> {
        self.running.pid()
    }

    /// The end of its log, for a failure's message.
    #[must_use]
    pub fn log_end(&self) -> String {
        self.running.log_end()
    }

    /// Fails, with the end of its log, when it has ended by itself.
    ///
    /// # Errors
    /// When it has.
    pub fn check_running(&mut self) -> Result<()> {
        self.running.check_running()
    }

    /// Asks it to stop.
    ///
    /// # Errors
    /// When it does not.
    pub async fn stop(mut self) -> Result<()> {
        self.pause().await
    }

    /// Asks it to stop; another is started in its place later.
    ///
    /// # Errors
    /// When it does not.
    pub async fn pause(&mut self) -> Result<()> {
        self.running.stop().await.map(|_| ())
    }

    /// Ends its supervisor as a crash would, waits until the kernel has ended its roles, and starts
    /// it again on the same state: a service manager starts nothing beside the remains either.
    ///
    /// # Errors
    /// When it does not come back.
    pub async fn crash_and_restart(self) -> Result<Agent> {
        let directory = self.directory.clone();
        let roles: Vec<(i32, Vec<String>)> = process::descendants(self.pid()?.as_raw())
            .into_iter()
            .map(|pid| (pid, process::cmdline(pid)))
            .filter(|(_, words)| !words.is_empty()) // has ended before, and is not reaped yet
            .collect();
        self.running.kill().await?;
        wait::until("the killed agent's roles to end", async || {
            let left = roles
                .iter()
                .any(|(pid, words)| process::cmdline(*pid) == *words);
            Ok((!left).then_some(()))
        })
        .await?;
        Agent::run(&directory)
    }
}

struct Paths {
    config: String,
    state: String,
    runtime: String,
}

impl Paths {
    fn of(directory: &Path) -> Paths {
        let path = |name: &str| directory.join(name).to_string_lossy().into_owned();
        Paths {
            config: path("agent.toml"),
            state: path("state"),
            runtime: path("run"),
        }
    }

    fn with<'a>(&'a self, verb: &'a str) -> Vec<&'a str> {
        vec![
            verb,
            "--config",
            &self.config,
            "--state",
            &self.state,
            "--runtime",
            &self.runtime,
        ]
    }
}
