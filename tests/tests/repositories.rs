//! A secret in a Git repository from the work tree to the remote: shipped programs, real `git`.

use std::path::{Path, PathBuf};

use akwatch_tests::agent::Agent;
use akwatch_tests::fleet::{Fleet, shown};
use akwatch_tests::plant;
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tokio::process::Command;

async fn git(within: &Path, arguments: &[&str]) -> Result<String> {
    let output = Command::new("git")
        .args(["-c", "init.defaultBranch=main", "-c", "gc.auto=0"])
        .args(["-c", "user.name=N", "-c", "user.email=n@x.example"])
        .args(arguments)
        .current_dir(within)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .await
        .context("git")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "git {arguments:?}: {said}");
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// Waits until the one finding at `path` says this of Git.
async fn wait_git(fleet: &Fleet, id: &str, path: &Path, state: &str) -> Result<Value> {
    let path = shown(path);
    let at = |row: &&Value| row["location"]["path"] == path.as_str();
    let what = format!("the finding at {path} to be {state}");
    let rows = fleet
        .wait_findings(&what, id, |rows| {
            rows.iter().filter(at).count() == 1
                && rows
                    .iter()
                    .filter(at)
                    .all(|row| row["git"]["state"] == state)
        })
        .await?;
    rows.iter().find(at).cloned().context("invariant: one row")
}

/// A repository with a remote, which it has not pushed to.
async fn repository(fleet: &Fleet) -> Result<PathBuf> {
    let app = fleet.watched.join("app");
    std::fs::create_dir_all(&app)?;
    let hub = shown(&fleet.directory.path().join("hub.git"));
    git(&fleet.watched, &["init", "-q", "--bare", &hub]).await?;
    git(&app, &["init", "-q"]).await?;
    git(&app, &["remote", "add", "origin", &hub]).await?;
    Ok(app)
}

#[tokio::test]
async fn what_is_pushed_while_no_agent_runs_is_seen_when_one_does() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    let app = repository(&fleet).await?;
    let (pair, file) = (plant::alibaba(), app.join("app.ini"));
    let text = format!(
        "[default]\naccess_key_id = {}\naccess_key_secret = {}\n",
        pair.id, pair.secret
    );
    plant::write(&file, &text)?;
    wait_git(&fleet, &pair.id, &file, "not-pushed").await?;
    fleet.agent.pause().await?;
    git(&app, &["add", "-A"]).await?;
    git(&app, &["commit", "-q", "-m", "c"]).await?;
    git(&app, &["push", "-q", "origin", "HEAD:refs/heads/main"]).await?;
    fleet.agent = Agent::run(&fleet.directory.path().join("agent"))?;
    wait_git(&fleet, &pair.id, &file, "pushed").await?;
    fleet.stop().await
}

#[tokio::test]
async fn a_committed_secret_is_not_pushed_until_it_is_and_stays_the_same_finding() -> Result<()> {
    let fleet = Fleet::start().await?;
    let app = repository(&fleet).await?;
    let (pair, token) = (plant::tencent(), plant::random("abcdef0123456789", 24));
    let file = app.join("conf/.env");
    let lines = format!(
        "TENCENTCLOUD_SECRET_ID={}\nTENCENTCLOUD_SECRET_KEY={}\n",
        pair.id, pair.secret
    );
    plant::write(&file, &lines)?;
    let row = wait_git(&fleet, &pair.id, &file, "not-pushed").await?;
    let reference = row["ref"].clone();
    assert!(row["git"].get("commit").is_none(), "{row}");

    git(&app, &["add", "-A"]).await?;
    git(&app, &["commit", "-q", "-m", "c"]).await?;
    let commit = git(&app, &["rev-parse", "HEAD"]).await?;
    let authored: i64 = git(&app, &["log", "-1", "--format=%at"]).await?.parse()?;
    let committed = |rows: &[Value]| {
        let mut of = rows.iter().filter(|row| row["ref"] == reference);
        of.any(|row| row["git"]["commit"] == commit.as_str())
    };
    let rows = fleet
        .wait_findings("the commit to be named", &pair.id, committed)
        .await?;
    let row = rows.iter().find(|row| row["ref"] == reference).unwrap();
    assert_eq!(row["git"]["state"], "not-pushed");
    assert_eq!(row["git"]["authored"], authored * 1000);

    // Where it goes is shown by its host, without what opens that.
    git(&app, &["push", "-q", "origin", "HEAD:refs/heads/main"]).await?;
    let url = format!("https://deploy:{token}@git.example.org/acme/app.git");
    git(&app, &["remote", "set-url", "origin", &url]).await?;
    let shown_as = |rows: &[Value]| {
        rows.iter().any(|row| {
            row["ref"] == reference
                && row["git"]["state"] == "pushed"
                && row["git"]["remotes"][0]["address"] == "git.example.org/acme/app"
        })
    };
    let rows = fleet
        .wait_findings("it to be pushed", &pair.id, shown_as)
        .await?;
    let row = rows.iter().find(|row| row["ref"] == reference).unwrap();
    assert_eq!(
        (&row["state"], &row["returns"]),
        (&"present".into(), &0.into())
    );
    assert_eq!(row["git"]["commit"], commit.as_str());
    let all = fleet.rest.get("findings?limit=1000").await?.to_string();
    assert!(!all.contains(&token[..8]), "{all}");

    // Removed from the file it is gone from there, and was pushed all the same.
    plant::write(&file, "TENCENTCLOUD_REGION=ap-guangzhou\n")?;
    let gone = |rows: &[Value]| {
        let mut of = rows.iter().filter(|row| row["ref"] == reference);
        of.any(|row| row["state"] == "gone" && row["git"]["state"] == "pushed")
    };
    fleet.wait_findings("it to be gone", &pair.id, gone).await?;
    fleet.stop().await
}
