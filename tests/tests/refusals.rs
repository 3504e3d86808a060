//! Bad input: each gets a clear message that names it and the next step, and nothing is lost.

use std::path::Path;

use akwatch_tests::agent::Agent;
use akwatch_tests::collector::Collector;
use akwatch_tests::fleet::{self, Fleet, NO_FIRST_SCAN, shown};
use akwatch_tests::{plant, program};
use anyhow::{Context as _, Result};

/// The message of something that must fail, on one line and in lower case.
fn refusal<T>(outcome: Result<T>) -> Result<String> {
    match outcome {
        Ok(_) => anyhow::bail!("was accepted"),
        Err(error) => Ok(format!("{error:#}").replace('\n', " ").to_lowercase()),
    }
}

/// Fails unless `message` has all `words`.
fn says(message: &str, words: &[&str]) {
    for word in words {
        assert!(message.contains(word), "{word:?} is not in: {message}");
    }
}

async fn enroll(directory: &Path, url: &str, bootstrap: &str) -> Result<()> {
    Agent::configure(directory, url, &[], NO_FIRST_SCAN)?;
    Agent::enroll(directory, bootstrap).await
}

#[tokio::test]
async fn a_bootstrap_string_is_good_once_and_only_for_its_authority() -> Result<()> {
    let (directory, _) = fleet::directory()?;
    let collector = Collector::start(&directory.path().join("collector")).await?;
    let agent = |name: &str| directory.path().join(name);

    let mistyped = refusal(enroll(&agent("a"), &collector.agents, "akwatch1:abc").await)?;
    says(&mistyped, &["bootstrap"]);

    let bootstrap = collector.bootstrap().await?;
    let (rest, _) = bootstrap.rsplit_once(':').context("a pin")?;
    let impostor = format!("{rest}:{}", "ab".repeat(32));
    says(
        &refusal(enroll(&agent("b"), &collector.agents, &impostor).await)?,
        &["authority"],
    );

    enroll(&agent("c"), &collector.agents, &bootstrap).await?;
    says(
        &refusal(enroll(&agent("d"), &collector.agents, &bootstrap).await)?,
        &["used"],
    );
    says(
        &refusal(
            enroll(
                &agent("c"),
                &collector.agents,
                &collector.bootstrap().await?,
            )
            .await,
        )?,
        &["already"],
    );

    let nobody = refusal(
        enroll(
            &agent("e"),
            "https://127.0.0.1:1",
            &collector.bootstrap().await?,
        )
        .await,
    )?;
    says(&nobody, &["127.0.0.1:1"]);
    collector.stop().await
}

#[tokio::test]
async fn unknown_configuration_keys_are_named() -> Result<()> {
    let (directory, _) = fleet::directory()?;
    let agent = directory.path().join("agent");
    Agent::configure(
        &agent,
        "https://127.0.0.1:7443",
        &[],
        "[wacth]\ninclude = []\n",
    )?;
    says(
        &refusal(Agent::enroll(&agent, "x").await)?,
        &["wacth", "agent.toml"],
    );

    let config = directory.path().join("server.toml");
    std::fs::write(&config, "[listne]\nagents = \"127.0.0.1:0\"\n")?;
    let state = directory.path().join("state");
    let args = [
        "run",
        "--config",
        &shown(&config),
        "--state",
        &shown(&state),
    ];
    says(
        &refusal(program::answer("akwatch-server", &args, None).await)?,
        &["listne", "server.toml"],
    );
    Ok(())
}

#[tokio::test]
async fn a_port_in_use_is_named() -> Result<()> {
    let (directory, _) = fleet::directory()?;
    let taken = std::net::TcpListener::bind("127.0.0.1:0")?;
    let address = taken.local_addr()?.to_string();
    let config = directory.path().join("server.toml");
    std::fs::write(
        &config,
        format!("[listen]\nagents = \"{address}\"\npeople = \"127.0.0.1:0\"\n"),
    )?;
    let state = directory.path().join("state");
    let args = [
        "run",
        "--config",
        &shown(&config),
        "--state",
        &shown(&state),
    ];
    says(
        &refusal(program::answer("akwatch-server", &args, None).await)?,
        &[&address, "in use"],
    );
    Ok(())
}

#[tokio::test]
async fn two_agents_on_one_state_directory_are_told_apart() -> Result<()> {
    let fleet = Fleet::start().await?;
    let second = Agent::run(&fleet.directory.path().join("agent"));
    let mut second = second?;
    let message = akwatch_tests::wait::until("the second agent to give up", async || {
        Ok(second
            .check_running()
            .err()
            .map(|error| format!("{error:#}").to_lowercase()))
    })
    .await?;
    says(&message, &["state"]);
    // The first goes on.
    let pair = plant::tencent();
    let file = fleet.watched.join("a.env");
    plant::write(
        &file,
        &format!("SECRET_ID={}\nSECRET_KEY={}\n", pair.id, pair.secret),
    )?;
    fleet.wait_state(&pair.id, &shown(&file), "present").await?;
    fleet.stop().await
}

#[tokio::test]
async fn hostile_files_neither_stop_the_agent_nor_hide_others() -> Result<()> {
    use std::os::unix::ffi::OsStrExt as _;
    let fleet = Fleet::start().await?;
    let watched = &fleet.watched;
    nix::unistd::mkfifo(&watched.join("fifo.env"), nix::sys::stat::Mode::S_IRWXU)?;
    let _socket = std::os::unix::net::UnixListener::bind(watched.join("socket.env"))?;
    std::os::unix::fs::symlink("loop.env", watched.join("loop.env"))?;
    std::os::unix::fs::symlink("/dev/zero", watched.join("zero.env"))?;
    std::fs::File::create(watched.join("sparse.env"))?.set_len(10 << 30)?;
    let strange = watched.join(std::ffi::OsStr::from_bytes(b"\xff\x1b[2J\n.env"));
    let pair = plant::tencent();
    let text = format!("SECRET_ID={}\nSECRET_KEY={}\n", pair.id, pair.secret);
    std::fs::write(&strange, &text)?;
    let rows = fleet
        .wait_findings("the file with a strange name", &pair.id, |rows| {
            rows.len() == 1
        })
        .await?;
    let path = rows[0]["location"]["path"].as_str().unwrap_or_default();
    assert!(
        path.contains("\\xff") && !path.contains('\u{1b}') && !path.contains('\n'),
        "{path}"
    );
    let after = plant::tencent();
    let file = watched.join("after.env");
    plant::write(
        &file,
        &format!("SECRET_ID={}\nSECRET_KEY={}\n", after.id, after.secret),
    )?;
    fleet
        .wait_state(&after.id, &shown(&file), "present")
        .await?;
    fleet.stop().await
}
