//! The agent on each kernel that Debian ships, on machines of their own: only under
//! `cargo xtask test --slow`. What a container cannot show is shown here: limits that the kernel enforces,
//! a real reboot, and the rung of every kernel. docs/reference/platforms.md holds what comes of it.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::{Mutex, OnceLock};

use akwatch_tests::emulated::{self, Disk, Kernel};
use akwatch_tests::machine::{self, Tree};
use akwatch_tests::plant;
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

/// What the operator says on every kernel.
const SAID: [&str; 14] = [
    "enrolled",
    "roles run",
    "found: in a file",
    "found: in a process",
    "enforced: processor",
    "enforced: memory, slowed down",
    "enforced: memory, ended",
    "limits: no role was ended",
    "rung: inotify",
    "found: by inotify",
    "rebooted: roles run",
    "rebooted: found",
    "rebooted: nothing forgotten",
    "done",
];

/// What the slice's unit asks for, as the kernel holds it.
const LIMITS: [&str; 7] = [
    "limit memory.high: 67108864",
    "limit memory.max: 100663296",
    "limit memory.swap.max: 0",
    "limit cpu.max: 100000 100000",
    "limit cpu.weight: 20",
    "limit io.weight: default 20",
    "limit pids.max: 64",
];

/// Walls that the kernels of a suite do not have.
fn missing_walls(kernel: &Kernel) -> &'static [&'static str] {
    match kernel.suite {
        "bullseye" => &[
            "detector.landlock",
            "detector.landlock-ports",
            "reporter.landlock",
            "reporter.landlock-ports",
        ],
        "bookworm" => &["detector.landlock-ports", "reporter.landlock-ports"],
        _ => &[],
    }
}

/// How files are heard of: before 5.13 the kernel gives no handles of files on a tmpfs.
fn files(kernel: &Kernel) -> &'static str {
    match kernel.suite {
        "bullseye" => "fanotify+inotify",
        _ => "fanotify",
    }
}

/// A tree with the shipped programs, and the operator as a unit of it.
fn prepared() -> Result<Tree> {
    let tree = Tree::copy(&machine::base()?, "emulated")?;
    machine::place(&tree.root())?;
    let mut script = include_str!("kernels/operator.sh").to_owned();
    for number in ["", "2", "3", "4"] {
        let pair = plant::tencent();
        script = script
            .replace(&format!("@ID{number}@"), &pair.id)
            .replace(&format!("@SECRET{number}@"), &pair.secret);
    }
    tree.write("/operator.sh", &script)?;
    std::fs::set_permissions(
        tree.inside("/operator.sh"),
        std::fs::Permissions::from_mode(0o755),
    )?;
    tree.write(
        "/etc/systemd/system/operator.service",
        "[Unit]\nAfter=multi-user.target\n[Service]\nType=simple\nExecStart=/operator.sh\n",
    )?;
    let wants = tree.inside("/etc/systemd/system/multi-user.target.wants");
    std::fs::create_dir_all(&wants)?;
    std::os::unix::fs::symlink(
        "/etc/systemd/system/operator.service",
        wants.join("operator.service"),
    )?;
    Ok(tree)
}

fn check(kernel: &Kernel, said: &str) -> Result<()> {
    let has = |line: &str| said.lines().any(|one| one.trim() == line);
    for line in SAID.iter().chain(&LIMITS) {
        ensure!(
            has(line),
            "{line:?} is missing on {}:\n{said}",
            kernel.release
        );
    }
    ensure!(has(&format!("kernel: {}", kernel.release)), "{said}");
    let status = said.lines().find_map(|line| line.strip_prefix("status: "));
    let status: Value = serde_json::from_str(status.context("a status")?)?;
    let coverage = &status["coverage"];
    let mechanism = |wanted: &str| {
        let sources = coverage["sources"].as_array().into_iter().flatten();
        let mut of = sources.filter(|source| source["source"] == wanted);
        of.next().map(|source| source["mechanism"].clone())
    };
    ensure!(
        mechanism("files") == Some(files(kernel).into()),
        "{status:#}"
    );
    let processes = mechanism("processes");
    ensure!(processes == Some("exec-events+sweep".into()), "{status:#}");
    let walls = coverage["missing_walls"].as_array().into_iter().flatten();
    let walls: Vec<&str> = walls.filter_map(Value::as_str).collect();
    ensure!(
        walls == missing_walls(kernel),
        "{}: {walls:?}",
        kernel.release
    );
    Ok(())
}

/// One machine at a time: each has as many processors as this computer.
fn limits_hold_a_reboot_loses_nothing_and_the_rung_is_what_is_said(
    suite: &'static str,
) -> Result<()> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    static DISK: OnceLock<Disk> = OnceLock::new();
    if std::env::var_os("AKWATCH_SLOW_TESTS").is_none() || !emulated::are_possible() {
        return Ok(()); // named in CONTRIBUTING.md: minutes for each kernel
    }
    let _guard = ONE_AT_A_TIME.lock();
    let disk = match DISK.get() {
        Some(disk) => disk,
        None => {
            let made = Disk::of(&prepared()?)?;
            DISK.get_or_init(|| made)
        }
    };
    let kernel = emulated::kernel(suite)?;
    check(&kernel, &disk.errand(&kernel)?)
}

#[test]
fn on_the_kernel_of_debian_11() -> Result<()> {
    limits_hold_a_reboot_loses_nothing_and_the_rung_is_what_is_said("bullseye")
}

#[test]
fn on_the_kernel_of_debian_12() -> Result<()> {
    limits_hold_a_reboot_loses_nothing_and_the_rung_is_what_is_said("bookworm")
}

#[test]
fn on_the_kernel_of_debian_13() -> Result<()> {
    limits_hold_a_reboot_loses_nothing_and_the_rung_is_what_is_said("trixie")
}

#[test]
fn on_the_newest_kernel_that_debian_has_backported() -> Result<()> {
    limits_hold_a_reboot_loses_nothing_and_the_rung_is_what_is_said("trixie-backports")
}
