//! Keystores on a host whose agent runs: what lies beside one opens it, also when it comes or goes later.

use std::path::Path;

use akwatch_proto::finding::{Finding, Proof};
use akwatch_proto::place::Place;
use akwatch_tests::fleet::{Fleet, shown};
use akwatch_tests::{plant, wait};
use anyhow::{Context as _, Result, ensure};

/// The findings at a path.
fn found_at(fleet: &Fleet, path: &Path) -> Result<Vec<Finding>> {
    let mut found = fleet.agent.findings()?;
    let path = shown(path);
    found.retain(
        |one| matches!(&one.key.place, Place::File { path: at, .. } if at.as_str() == path),
    );
    Ok(found)
}

/// Waits until the keystore at `path` is told as open, or as shut.
async fn wait_open(fleet: &Fleet, path: &Path, open: bool) -> Result<Finding> {
    let what = format!("{} to be open: {open}", path.display());
    wait::until(&what, async || {
        let found = found_at(fleet, path)?;
        ensure!(found.len() < 2, "two findings of one keystore");
        let said = |one: &Finding| {
            let opened = one.proof.contains(&Proof::Checksum { holds: true });
            opened == open && one.proof.contains(&Proof::Encrypted) != open
        };
        Ok(found.into_iter().find(said))
    })
    .await
    .with_context(|| fleet.agent.log_end())
}

#[tokio::test]
async fn a_password_that_comes_beside_a_keystore_opens_it_until_it_goes() -> Result<()> {
    let fleet = Fleet::start().await?;
    let directory = fleet.watched.join("app/conf");
    std::fs::create_dir_all(&directory)?;
    let store = directory.join("server.jks");
    // Too short to be a finding of its own.
    std::fs::write(&store, plant::keystore("tiger"))?;
    let shut = wait_open(&fleet, &store, false).await?;

    let beside = directory.join("application.properties");
    plant::write(&beside, "server.ssl.key-store-password=tiger\n")?;
    let open = wait_open(&fleet, &store, true).await?;
    ensure!(open.key == shut.key, "it is another finding");
    ensure!(
        found_at(&fleet, &beside)?.is_empty(),
        "no place but its own"
    );

    plant::write(&beside, "server.ssl.key-store-password=${STORE_PASSWORD}\n")?;
    wait_open(&fleet, &store, false).await?;

    // One directory above, where it names the keystore.
    let above = fleet.watched.join("app/start.sh");
    let line = "exec java -Djavax.net.ssl.keyStore=conf/server.jks -Djavax.net.ssl.keyStorePassword=tiger -jar app.jar\n";
    plant::write(&above, line)?;
    wait_open(&fleet, &store, true).await?;
    std::fs::remove_file(&above)?;
    wait_open(&fleet, &store, false).await?;
    fleet.stop().await
}
