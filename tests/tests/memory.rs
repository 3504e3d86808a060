//! What content leaves in memory: nothing, a moment after it was handled, in any role.
//!
//! The canary asks the same of what outlives a role; this asks the roles that see content themselves.

use std::io::Write as _;
use std::process::Stdio;
use std::time::Duration;

use akwatch_tests::fleet::Fleet;
use akwatch_tests::plant::{self, Pair};
use akwatch_tests::search::{Escape, Searcher};
use akwatch_tests::{process, wait};
use anyhow::{Context as _, Result, ensure};
use nix::unistd::Pid;
use tokio::process::Command;

/// How long a role may take to wipe what it handled: two quiet seconds, and another job's time.
const PATIENCE: Duration = wait::DEADLINE;

/// The roles that content passes through, and those that it must never reach.
const ROLES: [&str; 4] = ["watcher", "detector", "reporter", "marker"];

#[tokio::test]
async fn nothing_of_a_secret_stays_in_the_memory_of_any_role() -> Result<()> {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("left out: only root may read the memory of others");
        return Ok(());
    }
    let fleet = Fleet::start_beating(|_| Ok(())).await?;
    let (in_file, in_process) = (plant::tencent(), plant::aws());
    let (in_zip, in_yaml) = (plant::tencent(), plant::tencent());
    let secrets = [
        (
            "of the file".to_owned(),
            in_file.secret.clone().into_bytes(),
        ),
        (
            "of the process".to_owned(),
            in_process.secret.clone().into_bytes(),
        ),
        (
            "of the archive".to_owned(),
            in_zip.secret.clone().into_bytes(),
        ),
        (
            "behind base64".to_owned(),
            in_yaml.secret.clone().into_bytes(),
        ),
    ];
    let searcher = Searcher::new(&secrets)?;
    write(&fleet, &in_file, &in_zip, &in_yaml)?;
    let mut holder = Command::new("sleep")
        .arg("600")
        .env("AWS_ACCESS_KEY_ID", &in_process.id)
        .env("AWS_SECRET_ACCESS_KEY", &in_process.secret)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    for id in [&in_file.id, &in_process.id, &in_zip.id, &in_yaml.id] {
        fleet
            .wait_findings("both to be found", id, |rows| !rows.is_empty())
            .await?;
    }
    // The searcher sees what is there: this process holds both.
    let own = i32::try_from(std::process::id())?;
    ensure!(!searcher.search(&process::memory(own)?).is_empty());
    let supervisor = fleet.agent.pid()?;
    for role in ROLES {
        holds_nothing(&fleet, supervisor, role, &searcher).await?;
    }
    holder.kill().await?;
    fleet.stop().await
}

/// A plain file, one in an archive and one behind base64.
fn write(fleet: &Fleet, in_file: &Pair, in_zip: &Pair, in_yaml: &Pair) -> Result<()> {
    let text = |pair: &Pair| format!("SECRET_ID={}\nSECRET_KEY={}\n", pair.id, pair.secret);
    plant::write(&fleet.watched.join("app.env"), &text(in_file))?;
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    archive.start_file("conf/app.env", zip::write::SimpleFileOptions::default())?;
    archive.write_all((text(in_zip) + &"# filler\n".repeat(2000)).as_bytes())?;
    std::fs::write(
        fleet.watched.join("app.zip"),
        archive.finish()?.into_inner(),
    )?;
    let encoded = data_encoding::BASE64.encode(text(in_yaml).as_bytes());
    let yaml = format!("kind: Secret\ndata:\n  app.env: {encoded}\n");
    plant::write(&fleet.watched.join("secret.yaml"), &yaml)?;
    Ok(())
}

/// Waits until nothing of the secrets is in the memory of a role, which is undumpable and locked.
async fn holds_nothing(
    fleet: &Fleet,
    supervisor: Pid,
    role: &str,
    searcher: &Searcher,
) -> Result<()> {
    let pid = process::role(supervisor, role)?;
    ensure!(!process::dumpable(pid)?, "{role} can be dumped");
    if ["watcher", "detector"].contains(&role) {
        // Where the limit on locked memory is finite a role locks nothing, and says so.
        let locked = process::status(pid, "VmLck")?;
        let status = fleet.agent.status().await?;
        let missing = status["coverage"]["missing_walls"].to_string();
        let said = missing.contains(&format!("{role}.locked-memory"));
        ensure!(
            locked.starts_with("0 ") == said,
            "{role}: {locked}, {missing}"
        );
    }
    let mut left: Vec<Escape> = Vec::new();
    wait::within(
        PATIENCE,
        &format!("the {role} to hold nothing"),
        async || {
            tokio::time::sleep(Duration::from_millis(200)).await;
            let memory = process::memory(pid)?;
            ensure!(
                memory.len() > 100_000,
                "the memory of the {role} was not read"
            );
            left = searcher.search(&memory);
            Ok(left.is_empty().then_some(()))
        },
    )
    .await
    .with_context(|| format!("{left:#?}"))?;
    Ok(())
}
