//! The package on a real systemd: installed, enrolled, upgraded, downgraded, killed, rebooted, removed
//! and purged, with a collector outside that says what it hears.
//!
//! The deb is made from the program that the other tests use: how it was compiled differs from what
//! ships, what the package does is the same.

use std::path::{Path, PathBuf};
use std::process::Command;

use akwatch_tests::collector::Collector;
use akwatch_tests::machine::{self, Machine, Tree, succeed};
use akwatch_tests::plant::{self, Pair};
use akwatch_tests::rest::Rest;
use akwatch_tests::{program, wait};
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

const ROLES: [&str; 4] = ["agent", "marker", "detector", "reporter"];
const OLD: &str = "0.1.0-1";
const NEW: &str = "0.1.1-1";

/// Makes the deb of the agent under this version.
fn deb(directory: &Path, version: &str) -> Result<PathBuf> {
    succeed(
        Command::new(program::path("xtask")?)
            .args(["dist", "--debug-deb", "--package-version", version, "--out"])
            .arg(directory),
    )?;
    Ok(directory.join(format!("akwatch-agent_{version}_amd64.deb")))
}

/// Puts a deb where the machine finds it.
fn bring(tree: &Tree, deb: &Path) -> Result<()> {
    let name = deb.file_name().context("a name")?.to_string_lossy();
    std::fs::copy(deb, tree.inside(&format!("/{name}")))?;
    Ok(())
}

fn configure(tree: &Tree, collector: &Collector) -> Result<()> {
    let text = format!("[collector]\nurls = [{:?}]\n", collector.agents);
    tree.write("/etc/akwatch/agent.d/collector.toml", &text)
}

fn env(pair: &Pair) -> String {
    format!(
        "TENCENTCLOUD_SECRET_ID={}\nTENCENTCLOUD_SECRET_KEY={}\n",
        pair.id, pair.secret
    )
}

async fn all_roles_run(machine: &Machine) -> Result<()> {
    for role in ROLES {
        let script = format!("systemctl is-active --quiet akwatch-{role}.service");
        machine.until(&script).await?;
    }
    machine
        .until("akwatch-agent status | grep -q '^roles .*watcher up' && ! akwatch-agent status | grep -q DOWN")
        .await
}

/// The finding of `pair` at a path or, without one, in a process, once it is in `state`.
async fn finding(rest: &Rest, pair: &Pair, path: Option<&str>, state: &str) -> Result<Value> {
    let what = format!("the key at {path:?} to be {state}");
    wait::until(&what, async || {
        let rows = rest.findings_of(&pair.id).await?;
        Ok(rows.into_iter().find(|row| {
            let there = match path {
                Some(path) => row["location"]["path"] == path,
                None => row["origin"]["unit"].is_string(),
            };
            there && row["presence"]["state"] == state
        }))
    })
    .await
}

/// The one host that the collector knows.
async fn only_host(rest: &Rest) -> Result<String> {
    let hosts = rest.get("hosts").await?;
    ensure!(hosts["total"] == 1, "{hosts}");
    let id = hosts["rows"][0]["id"].as_str();
    Ok(id.context("an id")?.to_owned())
}

/// A new key in a file arrives: the whole line works.
async fn works(machine: &Machine, rest: &Rest, name: &str) -> Result<()> {
    let (pair, path) = (plant::tencent(), format!("/srv/app/{name}.env"));
    machine.tree().write(&path, &env(&pair))?;
    finding(rest, &pair, Some(&path), "present").await?;
    Ok(())
}

/// Not enrolled: nothing runs, nothing has failed since that time, nothing is about to be tried again, and
/// the host says how to go on.
fn is_quiet(machine: &Machine, since: &str) -> Result<()> {
    let failed = machine.run("systemctl list-units --failed --plain --no-legend 'akwatch-*'")?;
    ensure!(failed.trim().is_empty(), "{failed}");
    let state = machine.run("systemctl is-active akwatch-agent.service || true")?;
    ensure!(state.trim() == "inactive", "{state}");
    let enabled = machine.run("systemctl is-enabled akwatch-agent.service akwatch-enroll.path")?;
    ensure!(!enabled.contains("disabled"), "{enabled}");
    let said = machine.run("akwatch-agent status 2>&1 && exit 1 || true")?;
    ensure!(
        said.contains("not enrolled") && said.contains("akwatch-agent enroll"),
        "{said}"
    );
    for role in ROLES {
        let unit = format!("systemctl show --property=SubState --value akwatch-{role}.service");
        let state = machine.run(&unit)?;
        ensure!(state.trim() == "dead", "{role}: {state}");
    }
    let errors = machine.run(&format!(
        "journalctl --quiet --no-pager --priority=err --unit='akwatch-*' --since={since}"
    ))?;
    ensure!(errors.is_empty(), "{errors}");
    Ok(())
}

/// Retired, the host is as quiet as one that was never enrolled; enrolled anew, it works again.
async fn retires_and_returns(machine: &Machine, rest: &Rest, collector: &Collector) -> Result<()> {
    let since = format!("@{}", machine.run("date +%s")?.trim());
    machine.run("akwatch-agent retire")?;
    machine
        .until("! pgrep --full '[a]kwatch-agent role' && ! systemctl list-units --plain --no-legend --state=activating,deactivating 'akwatch-*' | grep .")
        .await?;
    is_quiet(machine, &since)?;
    let bootstrap = collector.bootstrap().await?;
    machine.run_with("akwatch-agent enroll", &format!("{bootstrap}\n"))?;
    all_roles_run(machine).await?;
    works(machine, rest, "returned").await
}

/// A key in a file, in a service by its environment file, and in root's history arrive, and go.
async fn keys_come_and_go(machine: &Machine, rest: &Rest) -> Result<()> {
    let (file, service, typed) = (plant::tencent(), plant::tencent(), plant::tencent());
    let tree = machine.tree();
    tree.write("/srv/app/.env", &env(&file))?;
    tree.write("/opt/shop/shop.env", &env(&service))?;
    tree.write(
        "/etc/systemd/system/shop.service",
        "[Service]\nEnvironmentFile=/opt/shop/shop.env\nExecStart=/usr/bin/sleep infinity\n",
    )?;
    machine.run("systemctl daemon-reload && systemctl start shop.service")?;
    let line = format!(
        "tccli configure set secretId {} secretKey {}\n",
        typed.id, typed.secret
    );
    tree.write("/root/.bash_history", &line)?;

    finding(rest, &file, Some("/srv/app/.env"), "present").await?;
    finding(rest, &typed, Some("/root/.bash_history"), "present").await?;
    finding(rest, &service, Some("/opt/shop/shop.env"), "present").await?;
    let held = finding(rest, &service, None, "present").await?;
    ensure!(held["origin"]["unit"] == "shop.service", "{held}");
    ensure!(held["cause"]["path"] == "/opt/shop/shop.env", "{held}");

    tree.write("/srv/app/.env", "MOVED=1\n")?;
    tree.write("/root/.bash_history", "ls\n")?;
    tree.write("/opt/shop/shop.env", "MOVED=1\n")?;
    finding(rest, &service, Some("/opt/shop/shop.env"), "gone").await?;
    let still = finding(rest, &service, None, "present").await?;
    ensure!(
        still["origin"]["unit"] == "shop.service",
        "the process still holds it"
    );
    machine.run("systemctl restart shop.service")?;
    finding(rest, &service, None, "gone").await?;
    finding(rest, &file, Some("/srv/app/.env"), "gone").await?;
    finding(rest, &typed, Some("/root/.bash_history"), "gone").await?;
    Ok(())
}

/// A new version while the agent runs, and back to the old one: same host, nothing forgotten.
async fn up_and_down(machine: &Machine, rest: &Rest, host: &str) -> Result<()> {
    let watcher = "systemctl show --property=MainPID --value akwatch-agent.service";
    for version in [NEW, OLD] {
        let before = machine.run(watcher)?;
        machine.run(&format!(
            "dpkg --install /akwatch-agent_{version}_amd64.deb 2>&1"
        ))?;
        all_roles_run(machine).await?;
        ensure!(
            machine.run(watcher)? != before,
            "the old program still runs"
        );
        works(machine, rest, version).await?;
        ensure!(only_host(rest).await? == host, "it enrolled anew");
        let status = machine.run("akwatch-agent status")?;
        ensure!(!status.contains("set aside"), "{status}");
    }
    // Whoever stopped the agent does not find it running after an upgrade.
    machine.run("systemctl stop akwatch-agent.service")?;
    machine.run(&format!(
        "dpkg --install /akwatch-agent_{NEW}_amd64.deb 2>&1"
    ))?;
    let state = machine.run("systemctl is-active akwatch-agent.service || true")?;
    ensure!(state.trim() == "inactive", "{state}");
    machine.run("systemctl start akwatch-agent.service")?;
    all_roles_run(machine).await
}

/// Removed, it leaves what it knows; installed again, it goes on; retired, it is quiet; purged, it leaves
/// nothing.
async fn goes(machine: &Machine, rest: &Rest, collector: &Collector, host: &str) -> Result<()> {
    machine.run("dpkg --remove akwatch-agent 2>&1")?;
    machine.run("! pgrep --full '[a]kwatch-agent role'")?;
    machine.run("test ! -e /usr/bin/akwatch-agent && test -e /etc/akwatch/agent.toml")?;
    machine.run("test -e /var/lib/akwatch-agent/identity/host.json")?;
    machine.run(&format!(
        "dpkg --install /akwatch-agent_{NEW}_amd64.deb 2>&1"
    ))?;
    all_roles_run(machine).await?;
    works(machine, rest, "again").await?;
    ensure!(only_host(rest).await? == host, "it enrolled anew");
    retires_and_returns(machine, rest, collector).await?;

    machine.run("dpkg --purge akwatch-agent 2>&1")?;
    machine.run("! pgrep --full '[a]kwatch-agent role'")?;
    let left = machine.run(
        "find / -xdev -not -path '/proc/*' -not -path '/var/lib/dpkg/*' -not -path '/var/log/*' \
         -name '*akwatch*' -not -name '*.deb' || true",
    )?;
    ensure!(left.trim().is_empty(), "purged, and left:\n{left}");
    let failed = machine.run("systemctl list-units --failed --plain --no-legend 'akwatch-*'")?;
    ensure!(failed.trim().is_empty(), "{failed}");
    Ok(())
}

#[tokio::test]
async fn the_package_lives_through_everything_that_happens_to_a_host() -> Result<()> {
    if !machine::are_possible() {
        return Ok(());
    }
    let directory = tempfile::tempdir()?;
    let debs = [deb(directory.path(), OLD)?, deb(directory.path(), NEW)?];
    succeed(
        Command::new("lintian")
            .args(["--fail-on", "error"])
            .arg(&debs[0]),
    )?;
    let collector = Collector::start(&directory.path().join("collector")).await?;
    let _story = collector.story();
    let rest = collector.rest().await?;
    let tree = Tree::copy(&machine::base()?, "installed")?;
    for deb in &debs {
        bring(&tree, deb)?;
    }
    let mut machine = Machine::boot(tree).await?;
    machine.run(&format!(
        "dpkg --install /akwatch-agent_{OLD}_amd64.deb 2>&1"
    ))?;
    is_quiet(&machine, "@0")?;

    configure(machine.tree(), &collector)?;
    let bootstrap = collector.bootstrap().await?;
    machine.run_with("akwatch-agent enroll", &format!("{bootstrap}\n"))?;
    all_roles_run(&machine).await?;
    let host = only_host(&rest).await?;
    keys_come_and_go(&machine, &rest).await?;
    up_and_down(&machine, &rest, &host).await?;

    machine.run("systemctl kill --kill-who=main --signal=KILL akwatch-agent.service")?;
    machine
        .until("test $(systemctl show --property=NRestarts --value akwatch-agent.service) -ge 1")
        .await?;
    all_roles_run(&machine).await?;
    works(&machine, &rest, "killed").await?;

    machine.reboot().await?;
    all_roles_run(&machine).await?;
    works(&machine, &rest, "rebooted").await?;
    ensure!(only_host(&rest).await? == host, "it enrolled anew");
    goes(&machine, &rest, &collector, &host).await
}

/// An image is made of an enrolled host; each machine that starts from it enrolls as itself, without
/// anybody at hand.
#[tokio::test]
async fn three_machines_of_one_image_enroll_as_three_hosts() -> Result<()> {
    if !machine::are_possible() {
        return Ok(());
    }
    let directory = tempfile::tempdir()?;
    let deb = deb(directory.path(), OLD)?;
    let collector = Collector::start(&directory.path().join("collector")).await?;
    let _story = collector.story();
    let rest = collector.rest().await?;
    let tree = Tree::copy(&machine::base()?, "image")?;
    bring(&tree, &deb)?;
    configure(&tree, &collector)?;
    let mut machine = Machine::boot(tree).await?;
    machine.run(&format!(
        "dpkg --install /akwatch-agent_{OLD}_amd64.deb 2>&1"
    ))?;
    let leave = "umask 077; cat > /etc/akwatch/enroll.d/string.bootstrap";
    machine.run_with(leave, &collector.bootstrap().await?)?;
    all_roles_run(&machine).await?;
    // The agent starts at once; the string is deleted after that.
    machine
        .until("test ! -e /etc/akwatch/enroll.d/string.bootstrap")
        .await?;

    let refused = machine.run("akwatch-agent image-prepare 2>&1 && exit 1 || true")?;
    ensure!(refused.contains("stop it first"), "{refused}");
    machine.run("systemctl stop akwatch-agent.service akwatch-agent.path akwatch-enroll.path")?;
    machine.run("akwatch-agent image-prepare && truncate --size=0 /etc/machine-id")?;
    let output = collector
        .command(&["enrollment-token", "create", "--uses", "3"])
        .await?;
    let string = output
        .split_whitespace()
        .find(|word| word.starts_with("akwatch1:"));
    machine.run_with(leave, string.context("a bootstrap string")?)?;
    machine.power_off().await?;

    let mut clones = Vec::new();
    for name in ["one", "two", "three"] {
        clones.push(Machine::boot(Tree::copy(&machine.tree().root(), name)?).await?);
    }
    for clone in &clones {
        all_roles_run(clone).await?;
        clone
            .until("test -z \"$(ls /etc/akwatch/enroll.d)\"")
            .await?;
    }
    wait::until("four hosts", async || {
        let hosts = rest.get("hosts").await?;
        Ok((hosts["total"] == 4).then_some(()))
    })
    .await
}
