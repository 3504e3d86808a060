//! A collector on loopback: embedded store, built-in authority, real TLS.

use std::path::{Path, PathBuf};

use akwatch_proto::agent::Bootstrap;
use anyhow::{Context, Result};
use serde_json::Value;

use crate::clock::Clock;
use crate::program::{Running, answer};
use crate::rest::Rest;
use crate::wait;

/// A running collector and its state directory.
#[derive(Debug)]
pub struct Collector {
    directory: PathBuf,
    running: Running,
    /// Where agents connect.
    pub agents: String,
    /// Where people connect.
    pub people: String,
    /// The authority's certificate, PEM.
    pub authority: PathBuf,
}

impl Collector {
    /// Starts a collector whose files lie in `directory`, on two free ports.
    ///
    /// # Errors
    /// When it does not get ready.
    pub async fn start(directory: &Path) -> Result<Collector> {
        std::fs::create_dir_all(directory)?;
        let config = directory.join("server.toml");
        if !config.exists() {
            let text = "[listen]\nagents = \"127.0.0.1:0\"\npeople = \"127.0.0.1:0\"\n";
            std::fs::write(&config, text)?;
        }
        Collector::run(directory, None).await
    }

    /// Writes a configuration with these lines before its listeners; gives the directory back.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn configured(directory: &Path, lines: &str) -> Result<PathBuf> {
        std::fs::create_dir_all(directory)?;
        let listen = "[listen]\nagents = \"127.0.0.1:0\"\npeople = \"127.0.0.1:0\"\n";
        let config = directory.join("server.toml");
        std::fs::write(config, format!("{lines}\n\n{listen}"))?;
        Ok(directory.to_path_buf())
    }

    /// Starts one that was started before, by a clock of its own.
    ///
    /// # Errors
    /// When it does not get ready.
    pub async fn start_by(directory: &Path, clock: &Clock) -> Result<Collector> {
        Collector::run(directory, Some(clock)).await
    }

    async fn run(directory: &Path, clock: Option<&Clock>) -> Result<Collector> {
        let ready = directory.join("ready.json");
        std::fs::remove_file(&ready).ok();
        let mut running = Running::start_by(
            "akwatch-server",
            &[
                "run",
                "--config",
                text(&directory.join("server.toml")),
                "--state",
                text(&directory.join("state")),
                "--ready-file",
                text(&ready),
            ],
            &directory.join("collector.log"),
            &[],
            clock.map(Clock::environment),
        )?;
        let line: Value = wait::until("the collector to be ready", async || {
            running.check_running()?;
            match std::fs::read_to_string(&ready) {
                Ok(line) => Ok(Some(serde_json::from_str(&line)?)),
                Err(_) => Ok(None),
            }
        })
        .await?;
        let field = |name: &str| {
            line[name]
                .as_str()
                .map(str::to_owned)
                .with_context(|| format!("{name} in {line}"))
        };
        let (agents, people) = (field("agents")?, field("people")?);
        let authority = PathBuf::from(field("ca")?);
        // A collector that starts again keeps its ports, as one with a configuration does.
        let address = |url: &str| url.trim_start_matches("https://").to_owned();
        let config = directory.join("server.toml");
        let before = std::fs::read_to_string(&config)?;
        let head = before.split("[listen]").next().unwrap_or_default();
        std::fs::write(
            &config,
            format!(
                "{head}[listen]\nagents = {:?}\npeople = {:?}\n",
                address(&agents),
                address(&people)
            ),
        )?;
        Ok(Collector {
            directory: directory.to_path_buf(),
            running,
            agents,
            people,
            authority,
        })
    }

    /// Runs a verb of the collector's own command line on its state.
    ///
    /// # Errors
    /// When it fails.
    pub async fn command(&self, verb: &[&str]) -> Result<String> {
        let config = self.directory.join("server.toml");
        let state = self.directory.join("state");
        let mut args: Vec<&str> = verb.to_vec();
        args.extend(["--config", text(&config), "--state", text(&state)]);
        Ok(answer("akwatch-server", &args, None)
            .await?
            .trim()
            .to_owned())
    }

    /// A fresh bootstrap string, good for one host.
    ///
    /// # Errors
    /// When the collector gives none.
    pub async fn bootstrap(&self) -> Result<String> {
        let output = self.command(&["enrollment-token", "create"]).await?;
        output
            .lines()
            .map(str::trim)
            .find(|line| line.parse::<Bootstrap>().is_ok())
            .map(str::to_owned)
            .with_context(|| format!("no bootstrap string in: {output}"))
    }

    /// A fresh API token.
    ///
    /// # Errors
    /// When the collector gives none.
    pub async fn api_token(&self, name: &str, role: &str) -> Result<String> {
        let output = self
            .command(&["api-token", "create", "--name", name, "--role", role])
            .await?;
        output
            .split_whitespace()
            .find(|word| word.starts_with("akw_"))
            .map(str::to_owned)
            .with_context(|| "the collector printed no API token".to_owned())
    }

    /// A client of its REST API with an administrator's token.
    ///
    /// # Errors
    /// When the token or the client cannot be made.
    pub async fn rest(&self) -> Result<Rest> {
        let token = self.api_token("end-to-end", "admin").await?;
        Rest::new(&self.people, &std::fs::read(&self.authority)?, &token)
    }

    /// Its files: configuration, state, log.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Its process id.
    ///
    /// # Errors
    /// When it has ended.
    pub fn pid(&self) -> Result<nix::unistd::Pid> {
        self.running.pid()
    }

    /// Tells its log when dropped, after the machines of a test have told how they stand: of a test that
    /// passes, nothing of that is shown.
    #[must_use]
    pub fn story(&self) -> Story {
        Story(self.directory.join("collector.log"))
    }

    /// The end of its log, for a failure's message.
    #[must_use]
    pub fn log_end(&self) -> String {
        self.running.log_end()
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

    /// Ends it as a crash would and starts it again on the same state and ports.
    ///
    /// # Errors
    /// When it does not come back.
    pub async fn crash_and_restart(self) -> Result<Collector> {
        let directory = self.directory.clone();
        self.running.kill().await?;
        Collector::run(&directory, None).await
    }
}

/// A log that is told when dropped.
#[derive(Debug)]
pub struct Story(PathBuf);

impl Drop for Story {
    fn drop(&mut self) {
        let log = std::fs::read_to_string(&self.0).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let end = &lines[lines.len().saturating_sub(200)..];
        println!("the collector's log:\n{}", end.join("\n"));
    }
}

fn text(path: &Path) -> &str {
    path.to_str()
        .expect("invariant: the harness makes its own paths, which are UTF-8")
}
