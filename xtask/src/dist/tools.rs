//! The programs that make packages: installed once below `target/`, by version.
//!
//! cargo-deb and cargo-generate-rpm read what each package holds from its manifest; cargo-zigbuild links
//! against the symbols of an old glibc; cargo-cyclonedx writes down what a program is made of.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::build::{self, cargo, root, step};

/// Crates, by the version that was tried. Unoptimised: they are built faster than they save.
const CRATES: [(&str, &str); 3] = [
    ("cargo-deb", "3.8.0"),
    ("cargo-generate-rpm", "0.21.1"),
    ("cargo-cyclonedx", "0.5.9"),
];
/// From PyPI, where the compiler and linker in it come built.
const WHEELS: [&str; 2] = ["cargo-zigbuild==0.24.0", "ziglang==0.17.1"];

/// Where they are.
pub(super) struct Tools {
    directory: PathBuf,
}

impl Tools {
    /// The one that every package needs; the others come with the first package that is built for others.
    pub(super) fn ready() -> Result<Tools> {
        let tools = Tools {
            directory: build::target().join("tools"),
        };
        tools.install("cargo-deb")?;
        Ok(tools)
    }

    /// All of them, and what compiles for `target`.
    pub(super) fn for_target(&self, target: &str) -> Result<()> {
        for (name, _) in CRATES {
            self.install(name)?;
        }
        let zig = self.directory.join("python/bin/cargo-zigbuild");
        if !zig.exists() {
            let python = self.directory.join("python");
            step(
                "python3 -m venv",
                Command::new("python3").args(["-m", "venv"]).arg(&python),
            )?;
            step(
                "pip install cargo-zigbuild",
                Command::new(python.join("bin/pip"))
                    .args(["install", "--quiet"])
                    .args(WHEELS),
            )?;
        }
        let installed = Command::new("rustup")
            .args(["target", "list", "--installed"])
            .output()
            .context("rustup, which brings the standard library of other processors")?;
        let installed = String::from_utf8_lossy(&installed.stdout).into_owned();
        if !installed.lines().any(|line| line == target) {
            step(
                "rustup target add",
                Command::new("rustup").args(["target", "add", target]).current_dir(root()),
            )
            .with_context(|| {
                format!(
                    "packages for {target} are built on any machine by cargo-zigbuild; it needs the \
                     standard library of that target: rustup target add {target}"
                )
            })?;
        }
        Ok(())
    }

    /// A cargo command that finds them.
    pub(super) fn cargo(&self, verb: &str) -> Command {
        let mut path = OsString::from(self.directory.join("bin"));
        path.push(":");
        path.push(self.directory.join("python/bin"));
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        let mut command = cargo(&[verb]);
        command.env("PATH", path);
        command
    }

    fn install(&self, name: &str) -> Result<()> {
        let program = self.directory.join("bin").join(name);
        // Two tests that make their packages at once would build it into the same files.
        let lock = self.directory.join("lock");
        std::fs::create_dir_all(&self.directory)?;
        let lock =
            std::fs::File::create(&lock).with_context(|| format!("creating {}", lock.display()))?;
        lock.lock().context("waiting for another one's install")?;
        if program.exists() {
            return Ok(());
        }
        let version = CRATES.iter().find(|(known, _)| *known == name);
        let Some((_, version)) = version else {
            bail!("no version of {name} was tried");
        };
        let arguments = [
            "install",
            "--quiet",
            "--locked",
            "--debug",
            "--version",
            version,
        ];
        let mut command = cargo(&arguments);
        command.arg("--root").arg(&self.directory);
        command.env("CARGO_TARGET_DIR", self.directory.join("build"));
        step(&format!("cargo install {name}"), command.arg(name))
    }
}

/// The manifests of the workspace.
pub(super) fn manifests() -> Result<Vec<PathBuf>> {
    let text = std::fs::read_to_string(root().join("Cargo.toml"))?;
    let workspace: toml::Value = toml::from_str(&text)?;
    let members = workspace["workspace"]["members"].as_array();
    let members = members.context("a workspace with members")?.iter();
    let paths = members.filter_map(toml::Value::as_str);
    Ok(paths
        .map(|member| root().join(Path::new(member)).join("Cargo.toml"))
        .collect())
}
