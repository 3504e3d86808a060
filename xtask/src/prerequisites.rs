//! What must be on the machine, and the command that puts it there.
//!
//! `up` and `smoke` name what is missing and change nothing; `test` installs it, because a machine
//! that runs the tests is there for that.

use std::process::Command;

use anyhow::{Result, bail};
use nix::sys::statvfs::statvfs;

use crate::build::{self, step};

/// What a cold build of every program and test writes, measured 2.9 GB, and as much again to work in.
const ROOM: u64 = 4 << 30;

/// One program that has to be found on the path.
struct Needed {
    program: &'static str,
    why: &'static str,
    install: &'static str,
}

const FOR_BUILD: &[Needed] = &[
    Needed {
        program: "cc",
        why: "builds the C parts of SQLite, zstd and TLS",
        install: "apt-get install gcc",
    },
    Needed {
        program: "node",
        why: "builds the console",
        install: "install Node.js 20 or later",
    },
    Needed {
        program: "npm",
        why: "installs the console's packages by lock file",
        install: "install Node.js 20 or later, with npm",
    },
    Needed {
        program: "git",
        why: "lists the files that belong to the clone",
        install: "apt-get install git",
    },
];

/// Debian packages of the tests, by the program that shows them installed.
const FOR_TESTS: &[(&str, &str)] = &[
    ("/usr/bin/chromium", "chromium"),
    ("/usr/share/fonts/opentype/noto", "fonts-noto-cjk"),
    ("/usr/share/fonts/truetype/liberation", "fonts-liberation"),
    ("/usr/bin/rpmbuild", "rpm"),
    ("/usr/bin/lintian", "lintian"),
    ("/usr/sbin/debootstrap", "debootstrap"),
    ("/usr/bin/systemd-nspawn", "systemd-container"),
    ("/usr/bin/ansible-playbook", "ansible-core"),
    ("/usr/bin/mandoc", "mandoc"),
    ("/usr/bin/zsh", "zsh"),
    ("/usr/bin/fish", "fish"),
    ("/usr/bin/cloud-init", "cloud-init"),
];

/// Debian packages of the slow tests: machines under emulation.
const FOR_SLOW_TESTS: &[(&str, &str)] = &[
    ("/usr/bin/qemu-system-x86_64", "qemu-system-x86"),
    ("/usr/bin/cpio", "cpio"),
    ("/usr/sbin/mkfs.ext4", "e2fsprogs"),
    ("/usr/bin/xz", "xz-utils"),
];

/// Debian packages that make the trees around our own packages.
const FOR_DIST: &[(&str, &str)] = &[
    ("/usr/bin/apt-ftparchive", "apt-utils"),
    ("/usr/bin/createrepo_c", "createrepo-c"),
    ("/usr/bin/readelf", "binutils"),
];

/// Fails naming everything that is missing and how to get it.
pub(crate) fn check_build() -> Result<()> {
    let missing: Vec<String> = FOR_BUILD
        .iter()
        .filter(|needed| !on_path(needed.program))
        .map(|needed| format!("  {} ({}): {}", needed.program, needed.why, needed.install))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    bail!("this machine lacks:\n{}", missing.join("\n"));
}

/// Says how much room there is where that may be too little: a full disk fails in the middle of the
/// tests, under another name. A directory that is built already needs less, so this refuses nothing.
pub(crate) fn say_room() {
    let target = build::target();
    let Some(there) = target.ancestors().find(|directory| directory.exists()) else {
        return;
    };
    if let Ok(disk) = statvfs(there) {
        let free = disk.blocks_available().saturating_mul(disk.fragment_size());
        if free < ROOM {
            eprintln!(
                "xtask: {} MB are free at {}; a cold build of the tests takes up to {} MB",
                free >> 20,
                there.display(),
                ROOM >> 20
            );
        }
    }
}

/// Installs the Debian packages that the tests need and that are not there yet.
pub(crate) fn install_for_tests() -> Result<()> {
    install("the tests", FOR_TESTS)
}

/// Installs what the slow tests need beyond that.
pub(crate) fn install_for_slow_tests() -> Result<()> {
    install("the slow tests", FOR_SLOW_TESTS)
}

/// Installs what makes the trees around packages.
pub(crate) fn install_for_dist() -> Result<()> {
    install("the packages", FOR_DIST)
}

fn install(who: &str, packages: &[(&str, &'static str)]) -> Result<()> {
    let missing: Vec<&str> = packages
        .iter()
        .filter(|(shows, _)| !std::path::Path::new(shows).exists())
        .map(|(_, package)| *package)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let install = format!(
        "apt-get install -y --no-install-recommends {}",
        missing.join(" ")
    );
    if !on_path("apt-get") || !nix::unistd::geteuid().is_root() {
        bail!("{who} need packages that are not installed; as root: {install}");
    }
    step(
        "apt-get update",
        Command::new("apt-get").args(["update", "-qq"]),
    )?;
    step(
        &install,
        Command::new("apt-get")
            .args(["install", "-y", "-qq", "--no-install-recommends"])
            .args(&missing)
            .env("DEBIAN_FRONTEND", "noninteractive"),
    )
}

fn on_path(program: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|path| {
        std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
    })
}
