//! The verbs of `akwatch-server`, and how their failures are told: what failed, why, what to do.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use akwatch_proto::people::{NewApiToken, NewEnrollmentToken, Role};
use anyhow::{Context as _, Result, anyhow};
use clap::{Args, Parser, Subcommand, ValueEnum};
use tracing_subscriber::EnvFilter;

use crate::config::Config;
use crate::local::{self, Verb};
use crate::{agents, document, people, run};

/// The akwatch collector.
#[derive(Parser)]
#[command(name = "akwatch-server", version, about, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Args)]
struct Place {
    /// The configuration; without it /etc/akwatch/server.toml, if there is one.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The state directory, instead of the configuration's.
    #[arg(long, global = true, value_name = "DIR")]
    state: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Command {
    /// Run the collector until SIGTERM or SIGINT.
    Run {
        #[command(flatten)]
        place: Place,
        /// Write one line of JSON here when both listeners accept.
        #[arg(long, value_name = "FILE")]
        ready_file: Option<PathBuf>,
    },
    /// Let hosts in.
    EnrollmentToken {
        #[command(subcommand)]
        command: EnrollmentToken,
        #[command(flatten)]
        place: Place,
    },
    /// Print the one-time link by which an administrator signs in for the first time, or again
    /// after all passwords were lost. Good for one hour.
    FirstSignIn {
        #[command(flatten)]
        place: Place,
    },
    /// Let programs in.
    ApiToken {
        #[command(subcommand)]
        command: ApiToken,
        #[command(flatten)]
        place: Place,
    },
    /// The audit log.
    Audit {
        #[command(subcommand)]
        command: Audit,
        #[command(flatten)]
        place: Place,
    },
    /// Print the OpenAPI document of a listener.
    Openapi {
        /// Whose.
        listener: Listener,
    },
}

#[derive(Subcommand)]
enum EnrollmentToken {
    /// Create a token and print its bootstrap string, once.
    Create {
        /// How many hosts may use it.
        #[arg(long, default_value_t = 1)]
        uses: u32,
        /// Seconds that it lives: 60 to 2592000.
        #[arg(long, default_value_t = 3600)]
        seconds: u32,
        /// A label that every host enrolled with it gets; labels grant scope.
        #[arg(long, value_name = "KEY=VALUE", value_parser = label)]
        label: Vec<(String, String)>,
        /// For people.
        #[arg(long)]
        note: Option<String>,
    },
}

#[derive(Subcommand)]
enum Audit {
    /// Verify that no entry was changed, removed or slipped in; print the newest hash.
    Verify,
}

#[derive(Subcommand)]
enum ApiToken {
    /// Create a token and print its value, once.
    Create {
        /// For people.
        #[arg(long)]
        name: String,
        /// What it may do.
        #[arg(long)]
        role: RoleName,
        /// Days that it lives: 1 to 365.
        #[arg(long, default_value_t = 90)]
        days: u32,
        /// Only hosts with this label; repeated, hosts with one of them. Without it, the fleet.
        #[arg(long, value_name = "KEY=VALUE", value_parser = label)]
        label: Vec<(String, String)>,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum RoleName {
    Viewer,
    Responder,
    Admin,
    Auditor,
}

#[derive(Clone, Copy, ValueEnum)]
enum Listener {
    Agents,
    People,
}

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match dispatch(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let mut stderr = std::io::stderr().lock();
            let _ = writeln!(stderr, "akwatch-server: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(command: Command) -> Result<()> {
    match command {
        Command::Run { place, ready_file } => {
            log();
            let config = place.load()?;
            runtime(true)?.block_on(run::run(config, ready_file.as_deref()))
        }
        Command::EnrollmentToken {
            command:
                EnrollmentToken::Create {
                    uses,
                    seconds,
                    label,
                    note,
                },
            place,
        } => {
            let labels: BTreeMap<String, String> = label.into_iter().collect();
            ask(
                &place,
                Verb::EnrollmentToken(NewEnrollmentToken {
                    uses: Some(uses),
                    seconds: Some(seconds),
                    labels,
                    note,
                }),
            )
        }
        Command::FirstSignIn { place } => ask(&place, Verb::FirstSignIn),
        Command::ApiToken {
            command:
                ApiToken::Create {
                    name,
                    role,
                    days,
                    label,
                },
            place,
        } => ask(
            &place,
            Verb::ApiToken(NewApiToken {
                name,
                role: role.into(),
                labels: label.into_iter().collect(),
                days: Some(days),
            }),
        ),
        Command::Audit {
            command: Audit::Verify,
            place,
        } => ask(&place, Verb::VerifyAudit),
        Command::Openapi { listener } => {
            let document = match listener {
                Listener::Agents => agents::document(),
                Listener::People => people::document(),
            };
            print(&document::text(&document))
        }
    }
}

impl Place {
    fn load(&self) -> Result<Config> {
        Ok(Config::load(self.config.as_deref(), self.state.as_deref())?)
    }
}

/// Has a verb carried out, by the running collector or else here, and prints its one line.
fn ask(place: &Place, verb: Verb) -> Result<()> {
    let config = place.load()?;
    let line = runtime(false)?.block_on(local::ask(&config, verb))?;
    print(&format!("{}\n", *line))
}

fn print(text: &str) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
        .context("cannot write the answer")
}

fn runtime(many: bool) -> Result<tokio::runtime::Runtime> {
    let mut builder = if many {
        tokio::runtime::Builder::new_multi_thread()
    } else {
        tokio::runtime::Builder::new_current_thread()
    };
    builder
        .enable_all()
        .build()
        .context("cannot start the runtime")
}

fn log() {
    let filter = EnvFilter::try_from_env("AKWATCH_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .init();
}

fn label(text: &str) -> Result<(String, String)> {
    text.split_once('=')
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .ok_or_else(|| anyhow!("a label has the form KEY=VALUE"))
}

impl From<RoleName> for Role {
    fn from(name: RoleName) -> Role {
        match name {
            RoleName::Viewer => Role::Viewer,
            RoleName::Responder => Role::Responder,
            RoleName::Admin => Role::Admin,
            RoleName::Auditor => Role::Auditor,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_verbs_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_place_may_stand_behind_the_verb() {
        let args = [
            "akwatch-server",
            "api-token",
            "create",
            "--name",
            "x",
            "--role",
            "viewer",
            "--state",
            "/s",
        ];
        let cli = Cli::try_parse_from(args).unwrap();
        let Command::ApiToken { place, .. } = cli.command else {
            panic!("another verb")
        };
        assert_eq!(place.state, Some(PathBuf::from("/s")));
    }
}
