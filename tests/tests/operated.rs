//! What people on a host ask the agent: each verb against a running agent, and where there is none.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use akwatch_tests::fleet::Fleet;
use akwatch_tests::{program, wait};
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

/// A user that owns nothing here.
const NOBODY: u32 = 65_534;

/// A verb of the agent's program, on the agent whose files lie in `directory`.
fn verb(directory: &Path, words: &[&str]) -> Result<Command> {
    let mut command = Command::new(program::path("akwatch-agent")?);
    command.args(words);
    for (flag, name) in [
        ("--config", "agent.toml"),
        ("--state", "state"),
        ("--runtime", "run"),
    ] {
        command.arg(flag).arg(directory.join(name));
    }
    Ok(command)
}

fn ended(output: &Output, code: i32) -> Result<()> {
    ensure!(
        output.status.code() == Some(code),
        "{}, not {code}:\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

/// The answer of a verb that speaks JSON and ends with `code`.
fn json(mut command: Command, code: i32) -> Result<Value> {
    let output = command.arg("--json").output()?;
    ended(&output, code)?;
    serde_json::from_slice(&output.stdout).context("its output is not JSON")
}

/// How one check of `doctor` stands.
fn standing<'a>(doctor: &'a Value, check: &str) -> Result<&'a str> {
    let checks = doctor["checks"].as_array().context("no checks")?;
    let one = checks.iter().find(|one| one["check"] == check);
    one.and_then(|one| one["standing"].as_str())
        .with_context(|| format!("{check:?} is not in {doctor:#}"))
}

#[tokio::test]
async fn the_doctor_finds_a_working_agent_sound_and_names_what_breaks() -> Result<()> {
    let fleet = Fleet::start().await?;
    let directory = fleet.directory.path().join("agent");
    let ask = || -> Result<Value> {
        let output = verb(&directory, &["doctor", "--network", "--json"])?.output()?;
        serde_json::from_slice(&output.stdout).context("its output is not JSON")
    };
    let mut last = Value::Null;
    wait::until("an agent that the doctor calls sound", async || {
        last = ask()?;
        Ok((last["sound"] == true).then_some(()))
    })
    .await
    .with_context(|| format!("{last:#}"))?;
    for check in [
        "configuration",
        "enrollment",
        "certificate",
        "agent",
        "collector",
        "clock",
        "ledger",
        "hidepid",
        "mounts it sees",
        "network: name",
        "network: tcp",
        "network: proxy",
        "network: tls issuer",
        "network: certificate",
        "network: clock",
    ] {
        ensure!(standing(&last, check)? == "good", "{check}: {last:#}");
    }
    // How well this machine can be watched is not for a test to say, but it is to be told.
    for check in [
        "kernel",
        "privileges",
        "file events",
        "process events",
        "coverage",
        "budget",
        "walls",
    ] {
        standing(&last, check)?;
    }
    fleet.collector.stop().await?;
    let away = json(verb(&directory, &["doctor", "--network"])?, 1)?;
    ensure!(standing(&away, "network: name")? == "good", "{away:#}");
    ensure!(standing(&away, "network: tcp")? == "wrong", "{away:#}");
    ensure!(standing(&away, "network: clock")? == "untried", "{away:#}");
    fleet.agent.stop().await?;
    let stopped = json(verb(&directory, &["doctor"])?, 1)?;
    ensure!(standing(&stopped, "agent")? == "wrong", "{stopped:#}");
    ensure!(standing(&stopped, "certificate")? == "good", "{stopped:#}");
    std::fs::write(directory.join("agent.toml"), "[watch]\nhistry = true\n")?;
    let output = verb(&directory, &["doctor"])?.output()?;
    ended(&output, 1)?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(
        text.contains("agent.toml:2: watch.histry") && text.contains("fix: "),
        "{text}"
    );
    Ok(())
}

#[tokio::test]
async fn root_and_members_of_the_agents_group_may_ask_and_nobody_else() -> Result<()> {
    let fleet = Fleet::start().await?;
    let directory = fleet.directory.path().join("agent");
    let ask = |uid: u32, gid: u32| -> Result<Output> {
        let mut status = verb(&directory, &["status", "--json"])?;
        status.uid(uid).gid(gid);
        status
            .output()
            .context("starting a program as another user")
    };
    let own = nix::unistd::geteuid().as_raw();
    if own != 0 {
        return Ok(()); // nobody else can be asked for
    }
    ended(&ask(0, 0)?, 0)?;
    let socket = directory.join("run/control.sock");
    let meta = std::fs::metadata(&socket)?;
    ensure!(meta.mode() & 0o777 == 0o660, "{:o}", meta.mode());
    ended(&ask(NOBODY, meta.gid())?, 0)?;
    for round in ["by the socket's mode", "by the agent"] {
        let refused = ask(NOBODY, NOBODY)?;
        ended(&refused, 2).context(round)?;
        let why = String::from_utf8_lossy(&refused.stderr);
        ensure!(
            why.contains("may not ask") || why.contains("members of its group"),
            "{round}: {why}"
        );
        // Whatever somebody makes of the mode, the agent looks for itself.
        std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o666))?;
    }
    fleet.stop().await
}

#[tokio::test]
async fn without_an_agent_or_a_reader_a_verb_ends_with_a_word_or_in_silence() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let status = verb(directory.path(), &["status"])?.output()?;
    ended(&status, 2)?;
    let why = String::from_utf8_lossy(&status.stderr).into_owned();
    ensure!(why.contains("no agent is running"), "{why}");
    for words in [&["doctor"][..], &["doctor", "--json"]] {
        let mut command = verb(directory.path(), words)?;
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        drop(child.stdout.take()); // as `head` does, once it has read enough
        let output = child.wait_with_output()?;
        ensure!(
            output.status.code() == Some(141) && output.stderr.is_empty(),
            "{words:?}: {}, {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}
