//! The journeys of ARCHITECTURE.md, end to end: shipped programs, real kernel events, real TLS.
//!
//! Each test starts a collector and an agent of its own. It asks the REST API what a responder would
//! ask, and waits for the answer; it never waits for a time.

use std::process::Stdio;

use akwatch_tests::fleet::{Fleet, shown};
use akwatch_tests::plant;
use anyhow::{Context as _, Result};
use tokio::process::Command;

#[tokio::test]
async fn a_key_in_a_file_arrives_paired_moves_with_edits_and_goes() -> Result<()> {
    let fleet = Fleet::start().await?;
    let file = fleet.watched.join("app/.env");
    let pair = plant::tencent();
    let lines = format!(
        "TENCENTCLOUD_SECRET_ID={}\nTENCENTCLOUD_SECRET_KEY={}\n",
        pair.id, pair.secret
    );
    plant::write(&file, &lines)?;

    let row = fleet.wait_state(&pair.id, &shown(&file), "present").await?;
    assert_eq!(row["confidence"], "paired");
    assert_eq!(row["kind"], "access-key-pair");
    assert_eq!(row["provider"], "tencent");
    assert_eq!(row["location"]["line"], 2);
    assert_eq!(row["location"]["field"], "TENCENTCLOUD_SECRET_KEY");
    assert_eq!(row["reach"]["mode"], "0644");
    assert_eq!(row["why_new"], "place-changed");
    let reference = row["ref"].clone();

    plant::write(&file, &format!("# first\n# second\n{lines}"))?;
    let rows = fleet
        .wait_findings("the line to move", &pair.id, |rows| {
            rows.len() == 1 && rows[0]["location"]["line"] == 4
        })
        .await?;
    assert_eq!(
        rows[0]["ref"], reference,
        "an edit above the key is the same finding"
    );

    plant::write(&file, "TENCENTCLOUD_REGION=ap-guangzhou\n")?;
    let row = fleet.wait_state(&pair.id, &shown(&file), "gone").await?;
    assert_eq!(row["presence"]["proof"], "reread");

    plant::write(&file, &lines)?;
    let row = fleet.wait_state(&pair.id, &shown(&file), "present").await?;
    assert_eq!(
        (&row["ref"], &row["returns"]),
        (&reference, &1.into()),
        "present again"
    );

    std::fs::remove_file(&file)?;
    let row = fleet.wait_state(&pair.id, &shown(&file), "gone").await?;
    assert_eq!(row["presence"]["proof"], "removed");
    fleet.stop().await
}

#[tokio::test]
async fn a_process_and_its_restart_are_one_finding_until_it_ends() -> Result<()> {
    let fleet = Fleet::start().await?;
    let pair = plant::alibaba();
    let start = || {
        Command::new("sleep")
            .arg("3600")
            .env("ALIBABA_CLOUD_ACCESS_KEY_ID", &pair.id)
            .env("ALIBABA_CLOUD_ACCESS_KEY_SECRET", &pair.secret)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
    };
    let mut first = start()?;
    let pid = first.id().context("it runs")?;
    let path = format!("/proc/{pid}/environ");
    let row = fleet.wait_state(&pair.id, &path, "present").await?;
    assert_eq!(row["location"]["field"], "ALIBABA_CLOUD_ACCESS_KEY_SECRET");
    assert_eq!(row["location"]["pid"], pid);

    let mut second = start()?;
    first.kill().await?;
    let pid = second.id().context("it runs")?;
    let path = format!("/proc/{pid}/environ");
    let again = fleet.wait_state(&pair.id, &path, "present").await?;
    assert_eq!(
        again["ref"], row["ref"],
        "a restarted process is the same finding"
    );
    assert_eq!(again["returns"], 0);

    second.kill().await?;
    let rows = fleet
        .wait_findings("the process to have ended", &pair.id, |rows| {
            rows.len() == 1 && rows[0]["state"] == "gone"
        })
        .await?;
    assert_eq!(rows[0]["presence"]["proof"], "ended");
    fleet.stop().await
}

#[tokio::test]
async fn a_typed_command_arrives_with_its_line_and_goes_when_the_history_is_cleaned() -> Result<()>
{
    use std::io::Write as _;
    let fleet = Fleet::start().await?;
    let history = fleet.watched.join("home/.bash_history");
    std::fs::create_dir_all(history.parent().context("a directory")?)?;
    std::fs::write(&history, "ls\ncd /srv\n")?;
    let pair = plant::aws();
    let mut open = std::fs::File::options().append(true).open(&history)?;
    writeln!(
        open,
        "AWS_ACCESS_KEY_ID={} AWS_SECRET_ACCESS_KEY={} aws s3 ls",
        pair.id, pair.secret
    )?;

    let row = fleet
        .wait_state(&pair.id, &shown(&history), "present")
        .await?;
    assert_eq!(row["location"]["type"], "history");
    assert_eq!(row["location"]["line"], 3);
    std::fs::write(&history, "ls\ncd /srv\n")?;
    fleet.wait_state(&pair.id, &shown(&history), "gone").await?;
    fleet.stop().await
}

/// A long history that a shell keeps open: typed lines arrive, of which alone is read what is new, and
/// a rewritten history is read whole.
#[tokio::test]
async fn a_long_history_is_read_by_what_is_typed_and_whole_when_it_is_rewritten() -> Result<()> {
    use std::io::Write as _;
    let fleet = Fleet::start().await?;
    let history = fleet.watched.join("app/.bash_history");
    std::fs::create_dir_all(history.parent().context("a directory")?)?;
    let filler = "cd /srv && ls -l\n".repeat(20_000);
    let (first, second) = (plant::aws(), plant::tencent());
    let line = |pair: &plant::Pair| format!("deploy --id {} --secret {}\n", pair.id, pair.secret);
    std::fs::write(&history, format!("{filler}{}", line(&first)))?;
    let path = shown(&history);
    fleet.wait_state(&first.id, &path, "present").await?;

    let mut open = std::fs::File::options().append(true).open(&history)?;
    writeln!(open, "ls")?;
    write!(open, "{}", line(&second))?;
    let row = fleet.wait_state(&second.id, &path, "present").await?;
    assert_eq!(row["location"]["line"], 20_003);
    fleet.wait_state(&first.id, &path, "present").await?;

    std::fs::write(&history, format!("{filler}{filler}{}", line(&second)))?;
    fleet.wait_state(&first.id, &path, "gone").await?;
    fleet.wait_state(&second.id, &path, "present").await?;
    fleet.stop().await
}

#[tokio::test]
async fn the_same_key_in_three_places_is_one_credential() -> Result<()> {
    let fleet = Fleet::start().await?;
    let pair = plant::aws();
    let yaml = fleet.watched.join("conf/app.yml");
    plant::write(
        &yaml,
        &format!(
            "s3:\n  accessKey: {}\n  secretKey: {}\n",
            pair.id, pair.secret
        ),
    )?;
    let ini = fleet.watched.join("home/.aws/credentials");
    plant::write(
        &ini,
        &format!(
            "[default]\naws_access_key_id = {}\naws_secret_access_key = {}\n",
            pair.id, pair.secret
        ),
    )?;
    let json = fleet.watched.join("conf/key.json");
    plant::write(
        &json,
        &format!(
            r#"{{"accessKeyId":"{}","secretAccessKey":"{}"}}"#,
            pair.id, pair.secret
        ),
    )?;
    fleet
        .wait_findings("three places", &pair.id, |rows| {
            rows.len() == 3 && rows.iter().all(|row| row["state"] == "present")
        })
        .await?;
    let page = fleet
        .rest
        .get(&format!("credentials?id={}", pair.id))
        .await?;
    assert_eq!(page["total"], 1, "{page}");
    let row = &page["rows"][0];
    assert_eq!(row["places"]["present"], 3);
    assert_eq!(row["verdict"], "exposed");
    let (status, holders) = fleet
        .rest
        .post("who-holds", &serde_json::json!({ "secret": pair.secret }))
        .await?;
    assert_eq!(status, 200, "{holders}");
    assert_eq!(
        holders["places"].as_array().map(Vec::len),
        Some(3),
        "{holders}"
    );
    fleet.stop().await
}
