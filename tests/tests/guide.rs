//! docs/guide/install.md, followed to the letter on three machines with a real systemd: what a reader types
//! is taken from the page, so that a page which no longer leads there fails here.

use std::io::Write as _;
use std::process::Command;
use std::time::Instant;

use akwatch_tests::machine::{self, Machine, Network, Tree, succeed};
use akwatch_tests::{program, wait};
use anyhow::{Context as _, Result, ensure};

/// What the page promises: three hosts.
const HOSTS: [&str; 3] = ["one", "two", "three"];

/// The blocks of commands below the heading that begins like this, each as a script.
fn blocks(page: &str, heading: &str) -> Result<Vec<String>> {
    let section = page
        .split("\n## ")
        .find(|section| section.starts_with(heading))
        .with_context(|| format!("a section {heading:?}"))?;
    let blocks = section.split("```console\n").skip(1);
    let script = |block: &str| {
        let text = block.split("```").next().unwrap_or_default();
        // A prompt begins a command; what has none goes on with the one before.
        let lines = text
            .lines()
            .map(|line| line.strip_prefix("# ").unwrap_or(line));
        lines.map(|line| format!("{line}\n")).collect()
    };
    Ok(blocks.map(script).collect())
}

/// The word of an output that begins like this.
fn word(output: &str, begins: &str) -> Result<String> {
    let mut words = output.split_whitespace();
    let found = words.find(|word| word.starts_with(begins));
    Ok(found
        .with_context(|| format!("{begins} in {output}"))?
        .to_owned())
}

/// A machine on which the packages lie, and where the collector's name leads to loopback.
async fn boot(name: &str, debs: &std::path::Path, network: Network) -> Result<Machine> {
    let tree = Tree::copy(&machine::base()?, name)?;
    for deb in std::fs::read_dir(debs)? {
        let deb = deb?;
        std::fs::copy(deb.path(), tree.root().join(deb.file_name()))?;
    }
    tree.write(
        "/etc/hosts",
        &format!("127.0.0.1 localhost akwatch.example {name}\n"),
    )?;
    Machine::boot_in(tree, network).await
}

/// Section 1: gives the token of the command line and the bootstrap string.
fn collector(machine: &Machine, page: &str) -> Result<(String, String)> {
    let [install, configure, let_in] = &blocks(page, "1. The collector")?[..] else {
        anyhow::bail!("section 1 has another number of blocks");
    };
    machine.run(install)?;
    machine.run("systemctl is-active --quiet akwatch-server")?;
    machine.run(configure)?;
    let said = machine.run(let_in)?;
    ensure!(
        said.contains("https://akwatch.example:8443/#/first-sign-in?token="),
        "{said}"
    );
    Ok((word(&said, "akw_")?, word(&said, "akwatch1:")?))
}

/// Section 2, on one host.
async fn host(machine: &Machine, page: &str, bootstrap: &str) -> Result<()> {
    let [install, enroll, look] = &blocks(page, "2. Each host")?[..] else {
        anyhow::bail!("section 2 has another number of blocks");
    };
    machine.run(install)?;
    let quiet = machine.run("akwatch-agent status 2>&1 && exit 1 || true")?;
    ensure!(quiet.contains("akwatch-agent enroll"), "{quiet}");
    machine.run_with(enroll, &format!("{bootstrap}\n"))?;
    machine.until(look).await
}

/// Section 3: a key on the second host, seen on the first one, until it is gone.
async fn see(machines: &[Machine], page: &str, token: &str) -> Result<()> {
    let [plant, ask, remove] = &blocks(page, "3. See it work")?[..] else {
        anyhow::bail!("section 3 has another number of blocks");
    };
    machines[1]
        .until("akwatch-agent status | grep -q '^files.*notify'")
        .await?;
    machines[1].run(plant)?;
    let ask = |state: &str| -> Result<Option<()>> {
        let said = machines[0].run_with(ask, &format!("{token}\n"))?;
        let row = |line: &&str| line.contains("/srv/try/.env") && line.contains("two");
        let there = said
            .lines()
            .find(row)
            .is_some_and(|line| line.contains(state));
        let hosts = HOSTS.iter().all(|host| said.contains(host));
        Ok((there && hosts).then_some(()))
    };
    wait::until("the key to be listed", async || ask("present")).await?;
    machines[1].run(remove)?;
    wait::until("the key to be gone", async || ask("gone")).await
}

#[tokio::test]
async fn a_reader_installs_on_three_hosts_in_ten_minutes() -> Result<()> {
    if !machine::are_possible() {
        return Ok(());
    }
    let debs = tempfile::tempdir()?;
    let mut dist = Command::new(program::path("xtask")?);
    dist.args(["dist", "--debug-deb", "--out"]).arg(debs.path());
    for package in ["akwatch-agent", "akwatch-server", "akwatch"] {
        dist.args(["--package", package]);
    }
    succeed(&mut dist)?;
    for entry in std::fs::read_dir(debs.path())? {
        succeed(
            Command::new("lintian")
                .args(["--fail-on", "error"])
                .arg(entry?.path()),
        )?;
    }
    let page = std::fs::read_to_string(
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/guide/install.md"),
    )?;
    // A network of their own, so that the ports of the page are free.
    let mut machines = vec![boot(HOSTS[0], debs.path(), Network::Own).await?];
    for name in &HOSTS[1..] {
        let network = machines[0].network();
        machines.push(boot(name, debs.path(), network).await?);
    }
    let begun = Instant::now();
    let (token, bootstrap) = collector(&machines[0], &page)?;
    for machine in &machines {
        host(machine, &page, &bootstrap).await?;
    }
    see(&machines, &page, &token).await?;
    let seconds = begun.elapsed().as_secs();
    let mut said = std::io::stderr();
    Ok(writeln!(said, "three hosts, in {seconds} of 600 s")?)
}
