//! The verbs of `akwatch-agent` and how each ends.
//!
//! This file says what can be typed and calls the module that does it; it decides nothing else. No
//! argument here ever takes a secret: arguments are readable by every process of the host.

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use akwatch_proto::agent::LONGEST_PAUSE_SECONDS;
use akwatch_proto::time::Time;
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::control::Resumed;
use crate::output;

/// Where the configuration is, unless told otherwise.
pub const CONFIG: &str = "/etc/akwatch/agent.toml";
/// Where identity and ledger are, unless told otherwise.
pub const STATE: &str = "/var/lib/akwatch-agent";
/// Where sockets are, unless told otherwise.
pub const RUNTIME: &str = "/run/akwatch-agent";

/// Exit code of trouble: a place named on the command line that could not be read, a bad argument.
pub const TROUBLE: u8 = 2;

/// Finds credentials lying in plaintext on this host and tells a collector, without ever letting a
/// secret off the host.
#[derive(Debug, Parser)]
#[command(name = "akwatch-agent", version, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Scan by hand: the same engine in one process, without network or privileges. Exit 0 clean,
    /// 1 findings, 2 trouble.
    Scan(ScanArgs),
    /// Run the agent: the watcher, which starts the other roles unless systemd has.
    Run(RunArgs),
    /// Run one role; started by `run` and by the systemd units.
    #[command(hide = true)]
    Role(RoleArgs),
    /// Enroll this host with a collector, once; the bootstrap string is read from standard input or
    /// a file, never from arguments.
    Enroll(EnrollArgs),
    /// Retire this host: the collector closes it, with its findings not verified, and its identity is
    /// removed from this machine. Needs the running agent and its collector.
    Retire(RetireArgs),
    /// Remove this host's identity and all that the agent knows, before an image is made of this
    /// machine: each host that starts from the image then enrolls as itself.
    ImagePrepare(ImagePrepareArgs),
    /// What the running agent watches, holds and has yet to report.
    Status(StatusArgs),
    /// Have the running agent read nothing for a while: heartbeats go on, what it watches is shown as
    /// paused and unknown, and it ends by itself.
    Pause(PauseArgs),
    /// End the pause that was asked for on this host; one that the collector asked for goes on.
    Resume(ResumeArgs),
    /// Check what keeps the agent from working, from seeing everything or from telling its collector,
    /// and say what to do. Exit 0 when nothing is wrong, 1 when something is.
    Doctor(DoctorArgs),
    /// Before an agent is installed: what this host gives it, what the first scan would read and how
    /// long that takes, and which neighbours will notice. Exit 0 when an agent can work here, 1 when it
    /// cannot.
    Preflight(PreflightArgs),
    /// Say how the agent sees a file or a process: whether it is watched and why, whether it was read,
    /// what was found there, and where a process has it from. Exit 0 when nothing is present there, 1
    /// when something is, 2 when no agent could be asked.
    Explain(ExplainArgs),
    /// Check, show and describe the configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Show what is looked for; work with rule files.
    #[command(subcommand)]
    Rules(RulesCommand),
    /// Write how the running agent stands in Prometheus' text format. Exit 0 when it answered, else
    /// 2 with `akwatch_up 0`.
    Metrics(MetricsArgs),
    /// Write a completion script for a shell.
    Completions(CompletionsArgs),
    /// Write the manual page, or all pages into a directory.
    #[command(hide = true)]
    Man(ManArgs),
}

/// Verbs on the configuration.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Read it as the agent would. Exit 0 when it is right, 1 when it is not: with file, line, key and
    /// what is allowed.
    Check(ConfigFile),
    /// Write what is in force, and which file says so.
    Show(ConfigFile),
    /// Write what there is to set, what it does and what holds without it.
    Reference(ConfigReferenceArgs),
}

/// Which configuration, and how it is written.
#[derive(Clone, Debug, Args)]
pub struct ConfigFile {
    /// Configuration file; `agent.d/*.toml` beside it is read after it.
    #[arg(long, value_name = "FILE", default_value = CONFIG)]
    pub config: PathBuf,
    /// Write JSON.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `config reference`.
#[derive(Clone, Debug, Args)]
pub struct ConfigReferenceArgs {
    /// Write a configuration file with every key commented out.
    #[arg(long)]
    pub toml: bool,
}

/// Verbs on rules and rule files.
#[derive(Debug, Subcommand)]
pub enum RulesCommand {
    /// Write the rules that come with this program.
    List(RulesListArgs),
    /// Write one of them: what it finds, where its form is known from, what to do.
    Show(RulesShowArgs),
    /// Compile a rule file and run the examples in it. Exit 0 when all is as they say, 1 when a rule
    /// was set aside or an example fails, 2 trouble.
    Check {
        /// A rule file in TOML.
        file: PathBuf,
    },
}

/// Where the agent's files are.
#[derive(Clone, Debug, Args)]
pub struct Paths {
    /// Configuration file; `agent.d/*.toml` beside it is read after it.
    #[arg(long, value_name = "FILE", default_value = CONFIG)]
    pub config: PathBuf,
    /// Directory of identity and ledger.
    #[arg(long, value_name = "DIR", default_value = STATE)]
    pub state: PathBuf,
    /// Directory of sockets.
    #[arg(long, value_name = "DIR", default_value = RUNTIME)]
    pub runtime: PathBuf,
}

/// Arguments of `scan`.
#[derive(Clone, Debug, Args)]
pub struct ScanArgs {
    /// Treat DIR as another host's root: a mounted disk, a container's root.
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// How findings are written.
    #[arg(long, value_enum, default_value_t = OutputFormat::Text)]
    pub format: OutputFormat,
    /// Leave out findings below this confidence.
    #[arg(long, value_name = "C", value_enum, default_value_t = MinConfidence::Contextual)]
    pub min_confidence: MinConfidence,
    /// Write the secrets themselves, too. Whoever sees the output then holds them.
    #[arg(long)]
    pub reveal: bool,
    /// What to read; with --root, as that host names it. Default: with --root all of DIR, else what
    /// the agent watches on this host.
    #[arg(value_name = "PATH")]
    pub paths: Vec<OsString>,
}

/// How `scan` writes findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// For people.
    Text,
    /// One JSON array.
    Json,
    /// One JSON object a line, as soon as it is found.
    Jsonl,
    /// SARIF 2.1.0, without snippets.
    Sarif,
}

/// The lowest confidence that `scan` prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum MinConfidence {
    /// Everything: vendors' samples, hashes and failed proofs, too.
    Unknown,
    /// A value beside a name that says what it is, and better.
    Contextual,
    /// A value whose own format says what it is, and better.
    Strong,
    /// Id and secret found together, and better.
    Paired,
    /// Only what was verified offline.
    Proven,
}

/// Arguments of `run`.
#[derive(Clone, Debug, Args)]
pub struct RunArgs {
    /// Where the agent's files are.
    #[command(flatten)]
    pub paths: Paths,
}

/// Arguments of `role`.
#[derive(Clone, Debug, Args)]
pub struct RoleArgs {
    /// Which role.
    #[arg(value_enum)]
    pub role: RoleName,
    /// Where the agent's files are.
    #[command(flatten)]
    pub paths: Paths,
}

/// The roles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RoleName {
    /// Opens places and keeps the ledger.
    Watcher,
    /// Places the kernel's marks.
    Marker,
    /// Sees secrets; nothing else.
    Detector,
    /// Talks to the collector; nothing else.
    Reporter,
}

/// Arguments of `enroll`.
#[derive(Clone, Debug, Args)]
pub struct EnrollArgs {
    /// Where the agent's files are.
    #[command(flatten)]
    pub paths: Paths,
    /// A 0600 file that holds the bootstrap string and is deleted after use; default: standard
    /// input.
    #[arg(long, value_name = "FILE")]
    pub bootstrap_file: Option<PathBuf>,
    /// Try each `*.bootstrap` file of this directory, without anybody at hand. Exit 3 when none can
    /// ever serve.
    #[arg(long, value_name = "DIR", conflicts_with = "bootstrap_file")]
    pub directory: Option<PathBuf>,
}

/// Arguments of `image-prepare`.
#[derive(Clone, Debug, Args)]
pub struct ImagePrepareArgs {
    /// Where the agent's files are.
    #[command(flatten)]
    pub paths: Paths,
}

/// Arguments of `retire`.
#[derive(Clone, Debug, Args)]
pub struct RetireArgs {
    /// Where the agent's files are.
    #[command(flatten)]
    pub paths: Paths,
}

/// Arguments of `status`.
#[derive(Clone, Debug, Args)]
pub struct StatusArgs {
    /// Where the agent's files are.
    #[command(flatten)]
    pub paths: Paths,
    /// Write JSON.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `pause`.
#[derive(Clone, Debug, Args)]
pub struct PauseArgs {
    /// Where the agent's files are.
    #[command(flatten)]
    pub paths: Paths,
    /// For how long: a number and s, m or h; a day at most.
    #[arg(long = "for", value_name = "TIME", default_value = "1h", value_parser = seconds)]
    pub length: u32,
}

/// Arguments of `resume`.
#[derive(Clone, Debug, Args)]
pub struct ResumeArgs {
    /// Where the agent's files are.
    #[command(flatten)]
    pub paths: Paths,
}

/// Arguments of `doctor`.
#[derive(Clone, Debug, Args)]
pub struct DoctorArgs {
    /// Where the agent's files are.
    #[command(flatten)]
    pub paths: Paths,
    /// Also walk the way to each collector: name, TCP, proxy, TLS issuer, certificate, clock.
    #[arg(long)]
    pub network: bool,
    /// Write JSON.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `explain`.
#[derive(Clone, Debug, Args)]
pub struct ExplainArgs {
    /// Where the agent's files are.
    #[command(flatten)]
    pub paths: Paths,
    /// Write JSON.
    #[arg(long)]
    pub json: bool,
    /// A file, or the number of a process (`./123` is a file).
    #[arg(value_name = "PATH|PID")]
    pub what: OsString,
}

/// Arguments of `preflight`.
#[derive(Clone, Debug, Args)]
pub struct PreflightArgs {
    /// The configuration that the agent is to have; what is built in where there is none.
    #[arg(long, value_name = "FILE", default_value = CONFIG)]
    pub config: PathBuf,
    /// Write JSON.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `metrics`.
#[derive(Clone, Debug, Args)]
pub struct MetricsArgs {
    /// Directory of sockets.
    #[arg(long, value_name = "DIR", default_value = RUNTIME)]
    pub runtime: PathBuf,
}

/// Arguments of `rules list`.
#[derive(Clone, Debug, Args)]
pub struct RulesListArgs {
    /// Write JSON.
    #[arg(long)]
    pub json: bool,
    /// Only rules whose name, issuer, kind or description holds this.
    #[arg(value_name = "WORD")]
    pub about: Option<String>,
}

/// Arguments of `rules show`.
#[derive(Clone, Debug, Args)]
pub struct RulesShowArgs {
    /// Write JSON.
    #[arg(long)]
    pub json: bool,
    /// A rule's name: `tencent.access-key`.
    #[arg(value_name = "RULE")]
    pub id: String,
}

/// Arguments of `completions`.
#[derive(Clone, Debug, Args)]
pub struct CompletionsArgs {
    /// Which shell.
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

/// Arguments of `man`.
#[derive(Clone, Debug, Args)]
pub struct ManArgs {
    /// Write a file for each verb here.
    #[arg(long, value_name = "DIR")]
    pub directory: Option<PathBuf>,
}

/// Parses the command line, does what it says and returns the exit code.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(wrong) => {
            // A closed pipe behind `--help` is nobody's mistake.
            let _ = wrong.print();
            return ExitCode::from(if wrong.use_stderr() { TROUBLE } else { 0 });
        }
    };
    match run(&cli.command) {
        Ok(code) => code,
        // Whoever closed the pipe, `head` for one, has read enough.
        Err(why) if output::is_closed(&why) => ExitCode::from(output::CLOSED),
        Err(why) => {
            let _ = writeln!(std::io::stderr(), "akwatch-agent: {why:#}");
            ExitCode::from(TROUBLE)
        }
    }
}

/// A length of time in words, as seconds.
fn seconds(text: &str) -> Result<u32, String> {
    let digits = text.trim_end_matches(|unit: char| unit.is_ascii_alphabetic());
    let each = match &text[digits.len()..] {
        "s" => Some(1),
        "m" => Some(60),
        "h" => Some(3600),
        _ => None,
    };
    let number = digits.parse::<u32>().ok().zip(each);
    number
        .and_then(|(number, each)| number.checked_mul(each))
        .filter(|seconds| (1..=LONGEST_PAUSE_SECONDS).contains(seconds))
        .ok_or_else(|| "a number and s, m or h, from 1s to 24h: 90s, 30m, 2h".to_owned())
}

/// A moment as this host's people write it.
fn local(moment: Time) -> impl std::fmt::Display {
    let moment = jiff::Timestamp::from_second(moment.seconds()).unwrap_or_default();
    let moment = moment.to_zoned(jiff::tz::TimeZone::system());
    moment.strftime("%Y-%m-%d %H:%M:%S %Z").to_string()
}

/// What became of a pause, in words.
fn resumed(resumed: Resumed) -> String {
    let was = if resumed.was_paused {
        "the pause that was asked for here is over"
    } else {
        "it was not paused from here"
    };
    match (resumed.still_until, resumed.was_paused) {
        (Some(until), _) => format!(
            "{was}; its collector has it read nothing until {}: `pauses = true` in [deny] refuses that, \
             from the next reload on",
            local(until)
        ),
        (None, true) => "it reads again; what changed meanwhile comes first".to_owned(),
        (None, false) => "it was not paused".to_owned(),
    }
}

fn say(line: &str) -> anyhow::Result<ExitCode> {
    writeln!(std::io::stdout(), "{line}")?;
    Ok(ExitCode::SUCCESS)
}

fn run(command: &Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Scan(args) => crate::scan::run(args),
        Command::Run(RunArgs { paths }) => {
            akwatch_sys::memory::keep_little();
            crate::supervise::run(&paths.config, &paths.state, &paths.runtime)
        }
        Command::Role(RoleArgs { role, paths }) => {
            akwatch_sys::memory::keep_little();
            crate::role::enter((*role).into(), &paths.config, &paths.state, &paths.runtime)
        }
        Command::Enroll(args) => crate::enroll::command(args),
        Command::Retire(args) => crate::retire::run(args),
        Command::ImagePrepare(args) => crate::image::run(args),
        Command::Status(args) => crate::status::run(args),
        Command::Pause(args) => {
            let until = crate::control::pause(&args.paths.runtime, args.length)?;
            say(&format!(
                "paused until {}; `akwatch-agent resume` ends it",
                local(until)
            ))
        }
        Command::Resume(args) => say(&resumed(crate::control::resume(&args.paths.runtime)?)),
        Command::Doctor(args) => crate::doctor::run(args),
        Command::Explain(args) => crate::explain::run(args),
        Command::Preflight(args) => crate::preflight::run(args),
        Command::Metrics(args) => crate::metrics::run(args),
        Command::Rules(RulesCommand::List(args)) => crate::rule_list::list(args),
        Command::Rules(RulesCommand::Show(args)) => crate::rule_list::show(args),
        Command::Completions(args) => crate::commands::completions(args),
        Command::Man(args) => crate::commands::man(args),
        Command::Config(ConfigCommand::Check(args)) => crate::config::show::check(args),
        Command::Config(ConfigCommand::Show(args)) => crate::config::show::show(args),
        Command::Config(ConfigCommand::Reference(args)) => crate::config::show::reference(args),
        Command::Rules(RulesCommand::Check { file }) => crate::rule_check::run(file),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn lengths_of_time_are_bounded_and_named() {
        for (text, expected) in [("90s", 90), ("30m", 1800), ("24h", 86_400)] {
            assert_eq!(seconds(text), Ok(expected), "{text}");
        }
        for text in [
            "",
            "0s",
            "25h",
            "1",
            "h",
            "1d",
            "-1h",
            "1.5h",
            "99999999999h",
        ] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }

    #[test]
    fn paths_have_the_packages_defaults() {
        let cli = Cli::try_parse_from(["akwatch-agent", "run"]).unwrap();
        let Command::Run(args) = cli.command else {
            panic!("not run");
        };
        assert_eq!(args.paths.config, PathBuf::from(CONFIG));
        assert_eq!(args.paths.state, PathBuf::from(STATE));
        assert_eq!(args.paths.runtime, PathBuf::from(RUNTIME));
    }
}
