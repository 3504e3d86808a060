//! Agent and collector on one real systemd, booted in a container: only under `cargo xtask test --slow`.
//! What the agent's package does is in `installed.rs`, and is tested each time.
//!
//! A copy of a Debian tree is booted with the shipped programs
//! and units installed where a package would put them, and a unit of its own that plays the
//! operator: it starts the collector, enrolls, starts the agent, plants a key, asks the command line
//! for it, and writes what it sees to a file that the test reads.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use akwatch_tests::control_group::ControlGroup;
use akwatch_tests::machine;
use akwatch_tests::plant;
use anyhow::{Context as _, Result, bail};

#[test]
fn the_units_start_find_a_key_and_stop_on_a_real_systemd() -> Result<()> {
    if std::env::var_os("AKWATCH_SLOW_TESTS").is_none() {
        return Ok(()); // named in CONTRIBUTING.md: needs minutes, root and debootstrap
    }
    let tree = tempfile::Builder::new()
        .prefix("akwatch-nspawn.")
        .tempdir()?;
    let root = tree.path().join("root");
    run(Command::new("cp")
        .arg("-a")
        .arg(machine::base()?)
        .arg(&root))?;
    machine::place(&root)?;
    let pair = plant::tencent();
    operator(&root, &pair)?;
    let name = tree.path().file_name().unwrap_or_default();
    boot(&root, &name.to_string_lossy())?;
    let log = std::fs::read_to_string(root.join("operator.log")).unwrap_or_default();
    for line in [
        "collector: active",
        "watcher: active",
        "marker: active",
        "detector: active",
        "reporter: active",
        "found: present",
        "removed: gone",
        "restarted: active",
        "told: how it stands",
        "watchdog: 3min",
        "member: may ask",
        "stranger: may not ask",
        "doctor: nothing wrong",
        "wrong: refused",
        "after it: active",
        "right: taken over",
        "done",
    ] {
        assert!(
            log.lines().any(|said| said == line),
            "{line:?} is not in:\n{log}"
        );
    }
    Ok(())
}

fn run(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("starting {command:?}"))?;
    if !status.success() {
        bail!("{command:?} ended with {status}");
    }
    Ok(())
}

/// The operator's unit and script.
fn operator(root: &Path, pair: &plant::Pair) -> Result<()> {
    let script = include_str!("systemd/operator.sh")
        .replace("@ID@", &pair.id)
        .replace("@SECRET@", &pair.secret);
    let path = root.join("operator.sh");
    std::fs::write(&path, script)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;
    let units = root.join("etc/systemd/system");
    std::fs::write(
        units.join("operator.service"),
        "[Service]\nType=oneshot\nExecStart=/operator.sh\nExecStopPost=/bin/systemctl poweroff\n\
         StandardOutput=file:/operator.log\nStandardError=file:/operator.log\n",
    )?;
    std::fs::create_dir_all(units.join("multi-user.target.wants"))?;
    std::os::unix::fs::symlink(
        "/etc/systemd/system/operator.service",
        units.join("multi-user.target.wants/operator.service"),
    )?;
    Ok(())
}

/// Boots the tree and waits until it has powered itself off.
fn boot(root: &Path, name: &str) -> Result<()> {
    let group = ControlGroup::make(name)?;
    let quoted = |word: &String| format!("'{}'", word.replace('\'', "'\\''"));
    let words = machine::nspawn(root, name, &group);
    let container: Vec<String> = words.iter().map(quoted).collect();
    let mut command = Command::new("timeout");
    command
        .args(["-s", "KILL", "240", "script", "-qc"])
        .args([container.join(" ").as_str(), "/dev/null"])
        .envs([machine::UNIFIED])
        .stdin(std::process::Stdio::null());
    let output = command.output().context("starting the container")?;
    drop(group);
    machine::forget(root, name);
    if !output.status.success() {
        let log = std::fs::read_to_string(root.join("operator.log")).unwrap_or_default();
        bail!(
            "the container ended with {}:\n{}\noperator:\n{log}",
            output.status,
            String::from_utf8_lossy(&output.stdout)
        );
    }
    Ok(())
}
