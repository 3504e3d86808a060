//! The file sensor on hosts as they are: files with several names, and a filesystem that never answers.

use std::fs::File;
use std::path::{Path, PathBuf};

use akwatch_tests::fleet::{Fleet, NO_FIRST_SCAN, shown};
use akwatch_tests::plant::{self, Pair};
use akwatch_tests::skip::skip;
use akwatch_tests::wait;
use anyhow::{Context as _, Result};
use serde_json::Value;
use tokio::process::Command;

/// Trees of this machine that the tests do not look at: a rescan reads all that is watched.
const ELSEWHERE: &str =
    "exclude = [\"/etc\", \"/home\", \"/opt\", \"/root\", \"/srv\", \"/usr\", \"/var\"]\n\n";

fn text(pair: &Pair) -> String {
    format!("SECRET_ID={}\nSECRET_KEY={}\n", pair.id, pair.secret)
}

fn plant_at(file: &Path) -> Result<Pair> {
    let pair = plant::tencent();
    plant::write(file, &text(&pair))?;
    Ok(pair)
}

/// A mount that ends with the test.
struct Mount(PathBuf);

impl Mount {
    /// None where this user may not mount.
    async fn make(at: &Path, arguments: &[&str], fuse: Option<&File>) -> Result<Option<Mount>> {
        std::fs::create_dir_all(at)?;
        let mut mount = Command::new("mount");
        mount.args(arguments).arg(at);
        if let Some(fuse) = fuse {
            mount.stdin(fuse.try_clone()?);
        }
        let done = mount.output().await.context("mount")?;
        Ok(done.status.success().then(|| Mount(at.to_owned())))
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Lazily: what never answers cannot be asked whether it is busy.
        let done = std::process::Command::new("umount")
            .arg("-l")
            .arg(&self.0)
            .status();
        assert!(done.is_ok_and(|status| status.success()), "still mounted");
    }
}

/// The kernel's end of a filesystem in user space, of which the other end never says a word: whoever
/// asks it anything waits for ever.
async fn never_answering(at: &Path) -> Result<Option<(Mount, File)>> {
    let Ok(fuse) = File::options().read(true).write(true).open("/dev/fuse") else {
        return Ok(None);
    };
    let options = "fd=0,rootmode=40000,user_id=0,group_id=0";
    let arguments = ["-i", "-t", "fuse", "-o", options, "never-answers"];
    let mount = Mount::make(at, &arguments, Some(&fuse)).await?;
    Ok(mount.map(|mount| (mount, fuse)))
}

async fn files_of(fleet: &Fleet) -> Result<Value> {
    let status = fleet.agent.status().await?;
    let sources = status["coverage"]["sources"].as_array().cloned();
    let mut sources = sources.into_iter().flatten();
    sources
        .find(|source| source["source"] == "files")
        .context("files")
}

#[tokio::test]
async fn a_filesystem_that_never_answers_stops_nothing_but_what_lies_below_it() -> Result<()> {
    let fleet = Fleet::start_with(&format!("{ELSEWHERE}{NO_FIRST_SCAN}")).await?;
    let covered = fleet.watched.join("home/.env");
    let pair = plant_at(&covered)?;
    fleet
        .wait_state(&pair.id, &shown(&covered), "present")
        .await?;
    let Some((mount, fuse)) = never_answering(&fleet.watched.join("home")).await? else {
        skip("it takes /dev/fuse, and a user who may mount it");
        return fleet.stop().await;
    };
    // The table of mounts is looked at from time to time; nobody can say what lies below then.
    let row = fleet
        .wait_state(&pair.id, &shown(&covered), "unknown")
        .await?;
    assert_eq!(row["presence"]["why"], "unreadable");
    // A person asks for everything: the walk passes by, and says so.
    let hosts = fleet.rest.get("hosts").await?;
    let id = hosts["rows"][0]["id"].as_str().context("an id")?.to_owned();
    let (status, told) = fleet
        .rest
        .post(&format!("hosts/{id}/rescan"), &Value::Null)
        .await?;
    assert_eq!(status, 202, "{told}");
    wait::until("a walk to pass it by", async || {
        let files = files_of(&fleet).await?;
        let reasons = files["not_read"].as_array().cloned();
        let mut reasons = reasons.into_iter().flatten();
        Ok(reasons
            .any(|one| one["why"] == "network-filesystem")
            .then_some(()))
    })
    .await?;
    let beside = fleet.watched.join("beside/.env");
    let other = plant_at(&beside)?;
    fleet
        .wait_state(&other.id, &shown(&beside), "present")
        .await?;
    drop(mount);
    drop(fuse);
    let row = fleet
        .wait_state(&pair.id, &shown(&covered), "present")
        .await?;
    assert_eq!(row["returns"], 0, "{row:#}");
    fleet.stop().await
}

#[tokio::test]
async fn a_file_with_two_names_is_read_again_under_both() -> Result<()> {
    let fleet = Fleet::start().await?;
    let (one, other) = (
        fleet.watched.join("one.env"),
        fleet.watched.join("d/other.env"),
    );
    let pair = plant_at(&one)?;
    fleet.wait_state(&pair.id, &shown(&one), "present").await?;
    std::fs::create_dir_all(other.parent().context("a directory")?)?;
    std::fs::hard_link(&one, &other)?;
    let both = |state: &'static str| {
        move |rows: &[Value]| rows.len() == 2 && rows.iter().all(|row| row["state"] == state)
    };
    fleet
        .wait_findings("both names", &pair.id, both("present"))
        .await?;
    // Written through one name: no event tells of the other.
    std::fs::write(&other, "REGION=ap-guangzhou\n")?;
    fleet
        .wait_findings("neither to hold it", &pair.id, both("gone"))
        .await?;
    std::fs::write(&one, text(&pair))?;
    fleet
        .wait_findings("both to hold it again", &pair.id, both("present"))
        .await?;
    fleet.stop().await
}
