//! Ways to bring the agent to many hosts: the Ansible role, run against machines with a real systemd, and
//! what the DaemonSet's container does on its node.

use std::path::{Path, PathBuf};
use std::process::Command;

use akwatch_tests::collector::Collector;
use akwatch_tests::machine::{self, Machine, Tree, succeed};
use akwatch_tests::rest::Rest;
use akwatch_tests::{plant, program, wait};
use anyhow::{Context as _, Result, ensure};

fn packaging(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../packaging")
        .join(name)
}

/// A bootstrap string that serves `uses` hosts.
async fn bootstrap(collector: &Collector, uses: &str) -> Result<String> {
    let create = ["enrollment-token", "create", "--uses", uses];
    let output = collector.command(&create).await?;
    let mut words = output.split_whitespace();
    let string = words.find(|word| word.starts_with("akwatch1:"));
    Ok(string.context("a bootstrap string")?.to_owned())
}

async fn hosts(rest: &Rest, count: u64) -> Result<()> {
    wait::until("every host to be live", async || {
        let hosts = rest.get("hosts?state=live").await?;
        Ok((hosts["total"] == count).then_some(()))
    })
    .await
}

/// Runs the role; what Ansible counted of each host at the end.
fn play(directory: &Path) -> Result<String> {
    let output = succeed(
        Command::new("ansible-playbook")
            .args([
                "--inventory",
                "hosts.yml",
                "--extra-vars",
                "@vars.json",
                "play.yml",
            ])
            .current_dir(directory)
            .env("ANSIBLE_ROLES_PATH", packaging("ansible/roles"))
            .env("ANSIBLE_LOCAL_TEMP", directory.join("tmp"))
            .env("ANSIBLE_HOME", directory.join("home"))
            .env("ANSIBLE_PIPELINING", "1")
            .env("ANSIBLE_NOCOLOR", "1")
            .env("LC_ALL", "C.UTF-8"),
    )?;
    let (_, counted) = output.split_once("PLAY RECAP").context("no recap")?;
    Ok(counted.to_owned())
}

/// The tasks of the role, each with its lines.
fn tasks() -> Result<Vec<String>> {
    let role = packaging("ansible/roles/akwatch_agent/tasks/main.yml");
    let text = std::fs::read_to_string(role)?;
    let mut tasks: Vec<String> = Vec::new();
    for line in text.lines() {
        match tasks.last_mut() {
            Some(task) if !line.trim_start().starts_with("- name: ") => {
                task.push_str(line);
                task.push('\n');
            }
            _ => tasks.push(format!("{line}\n")),
        }
    }
    Ok(tasks)
}

/// Whoever can put a file under the package's name, or change it there, chooses what root installs.
#[test]
fn the_ansible_role_installs_from_where_nobody_else_can_write() -> Result<()> {
    let tasks = tasks()?;
    let which = |words: &str| tasks.iter().find(|task| task.contains(words));
    let makes = which("ansible.builtin.tempfile:").context("made nowhere")?;
    ensure!(makes.contains("state: directory"), "{makes}");
    ensure!(makes.contains("register: akwatch_agent_staging"), "{makes}");
    let own = "\"{{ akwatch_agent_staging.path }}/{{ akwatch_agent_package_file | basename }}\"";
    for module in [
        "copy:\n        src: \"{{ akwatch_agent_package_file }}\"",
        "apt:",
        "dnf:",
    ] {
        let task = which(&format!("ansible.builtin.{module}"));
        let task = task.with_context(|| format!("no {module}"))?;
        ensure!(task.contains(own), "{task}");
    }
    let removes = tasks.iter().rposition(|task| {
        task.contains("state: absent") && task.contains("{{ akwatch_agent_staging.path }}")
    });
    let always = tasks.iter().position(|task| task.contains("\n  always:\n"));
    ensure!(
        always.is_some() && removes > always,
        "{always:?} {removes:?}"
    );
    ensure!(which("/tmp").is_none(), "everybody writes there");
    Ok(())
}

#[tokio::test]
async fn the_ansible_role_enrolls_three_hosts_and_changes_nothing_twice() -> Result<()> {
    if std::env::var_os("AKWATCH_SLOW_TESTS").is_none() || !machine::are_possible() {
        return Ok(()); // three machines, two plays: minutes
    }
    let directory = tempfile::tempdir()?;
    let here = directory.path();
    succeed(
        Command::new(program::path("xtask")?)
            .args([
                "dist",
                "--debug-deb",
                "--package-version",
                "0.1.0-1",
                "--out",
            ])
            .arg(here),
    )?;
    let collector = Collector::start(&here.join("collector")).await?;
    let _story = collector.story();
    let rest = collector.rest().await?;
    let mut machines = Vec::new();
    let mut inventory = String::from("all:\n  hosts:\n");
    for name in ["web", "db", "cache"] {
        let machine = Machine::boot(Tree::copy(&machine::base()?, name)?).await?;
        inventory.push_str(&format!(
            "    {name}:\n      ansible_connection: ssh\n      ansible_ssh_executable: {}\n      \
             ansible_ssh_transfer_method: piped\n      ansible_python_interpreter: /usr/bin/python3\n",
            machine.door()?.display()
        ));
        machines.push(machine);
    }
    std::fs::write(here.join("hosts.yml"), inventory)?;
    std::fs::write(
        here.join("play.yml"),
        "- hosts: all\n  gather_facts: false\n  roles: [akwatch_agent]\n",
    )?;
    let vars = serde_json::json!({
        "akwatch_agent_collectors": [collector.agents],
        "akwatch_agent_package_file": here.join("akwatch-agent_0.1.0-1_amd64.deb"),
        "akwatch_agent_bootstrap": bootstrap(&collector, "3").await?,
        "akwatch_agent_configuration": "[labels]\nteam = \"shop\"",
        "akwatch_agent_enrollment_seconds": 300,
    });
    std::fs::write(here.join("vars.json"), vars.to_string())?;

    // A stranger was there first, under the package's name.
    let theirs = "/var/tmp/akwatch-agent_0.1.0-1_amd64.deb";
    for machine in &machines {
        machine.run(&format!(
            "echo theirs > {theirs} && chown 65534 {theirs} && chmod 666 {theirs}"
        ))?;
    }
    let counted = play(here).with_context(|| {
        let journals = machines.iter().map(Machine::journal);
        journals.collect::<Vec<_>>().join("\n\n")
    })?;
    ensure!(counted.matches("failed=0").count() == 3, "{counted}");
    hosts(&rest, 3).await?;
    for machine in &machines {
        machine
            .until("test -z \"$(ls /etc/akwatch/enroll.d)\"")
            .await?;
        machine.run(&format!("test \"$(cat {theirs})\" = theirs"))?;
        machine.run("test -z \"$(find /tmp /var/tmp -name 'akwatch-agent.*')\"")?;
        machine
            .until("systemctl is-active --quiet akwatch-reporter.service")
            .await?;
    }
    let counted = play(here)?;
    ensure!(counted.matches("changed=0").count() == 3, "{counted}");
    Ok(())
}

/// What `run-on-node` reads where the image has it: in a mount namespace of its own, as a container.
const CONTAINER: &str = "mount --bind /image/akwatch-agent /usr/bin/akwatch-agent && \
    mount --bind /image /mnt && mount -t tmpfs none /srv && exec /image/run-on-node";

#[tokio::test]
async fn the_container_runs_the_agent_on_its_node() -> Result<()> {
    if !machine::are_possible() {
        return Ok(());
    }
    let directory = tempfile::tempdir()?;
    let collector = Collector::start(&directory.path().join("collector")).await?;
    let _story = collector.story();
    let rest = collector.rest().await?;
    let tree = Tree::copy(&machine::base()?, "node")?;
    let url = format!("[collector]\nurls = [{:?}]\n", collector.agents);
    tree.write("/etc/akwatch-config/agent.toml", &url)?;
    let string = bootstrap(&collector, "1").await?;
    tree.write("/etc/akwatch-bootstrap/bootstrap", &string)?;
    // The node has an empty file where the image has the program: what runs came from the image.
    tree.write("/usr/bin/akwatch-agent", "")?;
    std::fs::create_dir(tree.inside("/image"))?;
    for program in [
        program::path("akwatch-agent")?,
        packaging("container/run-on-node"),
    ] {
        program::copy(&program, &tree.inside("/image"))?;
    }
    let machine = Machine::boot(tree).await?;
    machine.run(&format!(
        "systemd-run --quiet --unit=pod --property=Restart=always --property=RestartSec=1 \
         unshare --mount --propagation=private /bin/sh -ec '{CONTAINER}'"
    ))?;
    hosts(&rest, 1).await?;

    // Planted on the node, below a directory that the container has covered.
    let arrives = async |name: &str| -> Result<()> {
        let (pair, path) = (plant::tencent(), format!("/srv/{name}/.env"));
        machine.tree().write(
            &path,
            &format!("SECRET_ID={}\nSECRET_KEY={}\n", pair.id, pair.secret),
        )?;
        wait::until("a key on the node to arrive", async || {
            let rows = rest.findings_of(&pair.id).await?;
            Ok(rows
                .iter()
                .any(|row| row["location"]["path"] == path)
                .then_some(()))
        })
        .await
    };
    arrives("first").await?;
    // A pod that is replaced is the same host.
    machine.run(
        "rm /etc/akwatch-bootstrap/bootstrap && systemctl kill --signal=KILL pod.service || true",
    )?;
    arrives("second").await?;
    ensure!(rest.get("hosts").await?["total"] == 1, "it enrolled anew");
    Ok(())
}
