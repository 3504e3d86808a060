//! `cargo xtask dist`: what a person installs.
//!
//! Programs that run on a glibc of 2014 and newer, as deb and rpm; beside them an apt and a yum tree, a
//! bill of materials, checksums, and all of it in one file for who has no network. Nothing is published
//! or signed here: a key that signs packages does not lie where they are built.

mod tools;
mod tree;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, bail};
use clap::{Args, ValueEnum};

use crate::build::{self, root, step};
use crate::{console, prerequisites};
use tools::Tools;

/// The oldest glibc that the programs run with: RHEL 8 has 2.28, Ubuntu 20.04 has 2.31.
const GLIBC: &str = "2.17";
/// The goal of the agent's program.
const AGENT_BYTES: u64 = 15_000_000;

/// What is to be made.
#[derive(Args)]
pub(crate) struct Options {
    /// For which processor
    #[arg(long, value_enum, default_value_t = Arch::X86_64)]
    arch: Arch,
    /// Only this package, `akwatch-agent`, `akwatch-server` or `akwatch`; may be given again
    #[arg(long, value_name = "NAME", value_parser = ["akwatch-agent", "akwatch-server", "akwatch"])]
    package: Vec<String>,
    /// Where the packages go
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Only debs (the agent's, unless packages are named), of debug programs that are built already: for
    /// the tests
    #[arg(long)]
    debug_deb: bool,
    /// The version that the package names, instead of the workspace's
    #[arg(long, value_name = "VERSION", requires = "debug_deb")]
    package_version: Option<String>,
}

/// A processor that packages are made for.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Arch {
    #[value(name = "x86_64")]
    X86_64,
    #[value(name = "aarch64")]
    Aarch64,
}

impl Arch {
    fn target(self) -> &'static str {
        match self {
            Arch::X86_64 => "x86_64-unknown-linux-gnu",
            Arch::Aarch64 => "aarch64-unknown-linux-gnu",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Arch::X86_64 => "x86_64",
            Arch::Aarch64 => "aarch64",
        }
    }
}

/// A program that is packaged.
struct Product {
    package: &'static str,
    directory: &'static str,
    features: Option<&'static str>,
}

const PRODUCTS: [Product; 3] = [
    Product {
        package: "akwatch-agent",
        directory: "agent",
        features: None,
    },
    Product {
        package: "akwatch-server",
        directory: "server",
        features: Some("console"),
    },
    Product {
        package: "akwatch",
        directory: "server/ctl",
        features: None,
    },
];

/// Makes what `options` say.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let out = options
        .out
        .clone()
        .unwrap_or_else(|| build::target().join("packages").join(options.arch.name()));
    fs::create_dir_all(&out).with_context(|| format!("making {}", out.display()))?;
    let tools = Tools::ready()?;
    if options.debug_deb {
        return debug_debs(&tools, options, &out);
    }
    prerequisites::check_build()?;
    tools.for_target(options.arch.target())?;
    let chosen = |product: &&Product| {
        let all = options.package.is_empty();
        all || options.package.iter().any(|name| name == product.package)
    };
    let products: Vec<&Product> = PRODUCTS.iter().filter(chosen).collect();
    if products.iter().any(|product| product.features.is_some()) {
        console::build()?;
    }
    for product in &products {
        tools.build(product, options.arch)?;
        let program = program(product, options.arch);
        check(product, &program)?;
        tools.deb(product, options.arch, &out)?;
        tools.rpm(product, options.arch, &out)?;
    }
    tools.bills(&products, options.arch, &out)?;
    tree::write(&out)?;
    println!("{}", out.display());
    Ok(ExitCode::SUCCESS)
}

/// Installs what the tests make their package with.
pub(crate) fn prepare() -> Result<()> {
    Tools::ready().map(drop)
}

/// The debs of the programs that the tests use: what they install differs from what ships in how the
/// program was compiled, not in what the package does.
fn debug_debs(tools: &Tools, options: &Options, out: &Path) -> Result<ExitCode> {
    let agent = [PRODUCTS[0].package.to_owned()];
    let packages = match &options.package[..] {
        [] => &agent[..],
        named => named,
    };
    // cargo-deb strips every build of a package into one file: of two at a time one would be empty.
    let lock = build::target().join("debug-deb.lock");
    let lock = fs::File::create(&lock).with_context(|| format!("creating {}", lock.display()))?;
    lock.lock().context("waiting for another package's build")?;
    for package in packages {
        let mut command = tools.cargo("deb");
        // gzip itself compresses: the unoptimised tool would take minutes.
        command.args(["--no-build", "--strip", "--quiet"]);
        command.args(["--fast", "-Z", "gz", "--compress-system"]);
        command.args(["--package", package, "--profile", "dev", "--output"]);
        command.arg(out);
        if let Some(version) = &options.package_version {
            command.args(["--deb-version", version]);
        }
        step(&format!("deb of {package} (debug)"), &mut command)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Where the programs are built: apart, so that no test's build is thrown away.
fn directory() -> PathBuf {
    build::target().join("dist")
}

fn program(product: &Product, arch: Arch) -> PathBuf {
    let directory = directory().join(arch.target()).join("dist");
    directory.join(product.package)
}

/// Says the size, and refuses a program that old hosts could not start.
fn check(product: &Product, program: &Path) -> Result<()> {
    let bytes = fs::metadata(program)
        .with_context(|| format!("looking at {}", program.display()))?
        .len();
    let over = product.package == "akwatch-agent" && bytes > AGENT_BYTES;
    eprintln!(
        "── {}: {:.2} MB{}",
        product.package,
        f64::from(u32::try_from(bytes / 1000)?) / 1000.0,
        if over {
            ", more than its goal of 15 MB"
        } else {
            ""
        }
    );
    // Not objdump, which reads programs of its own processor only.
    let symbols = Command::new("readelf")
        .args(["--version-info", "--wide"])
        .arg(program)
        .output()
        .context("readelf, of binutils")?;
    let symbols = String::from_utf8_lossy(&symbols.stdout).into_owned();
    let newest = symbols
        .split_whitespace()
        .filter_map(|word| word.strip_prefix("GLIBC_"))
        .filter_map(version)
        .max();
    let Some(newest) = newest else {
        bail!("{} names no version of glibc", program.display());
    };
    if Some(newest) > version(GLIBC) {
        bail!("{} needs glibc {}.{}", product.package, newest.0, newest.1);
    }
    Ok(())
}

/// The first two numbers of a version.
fn version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split('.').map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

impl Tools {
    fn build(&self, product: &Product, arch: Arch) -> Result<()> {
        let mut command = self.cargo("zigbuild");
        command.args([
            "--locked",
            "--profile",
            "dist",
            "--package",
            product.package,
        ]);
        command.arg("--target");
        command.arg(format!("{}.{GLIBC}", arch.target()));
        command.arg("--target-dir").arg(directory());
        if let Some(features) = product.features {
            command.args(["--features", features]);
        }
        step(
            &format!("build {} ({})", product.package, arch.name()),
            &mut command,
        )
    }

    fn deb(&self, product: &Product, arch: Arch, out: &Path) -> Result<()> {
        let mut command = self.cargo("deb");
        command.args(["--no-build", "--no-strip", "--compress-system", "--quiet"]);
        command.args(["--profile", "dist"]);
        command.args(["--package", product.package, "--target", arch.target()]);
        command.arg("--output").arg(out);
        command.env("CARGO_TARGET_DIR", directory());
        step(&format!("deb of {}", product.package), &mut command)
    }

    fn rpm(&self, product: &Product, arch: Arch, out: &Path) -> Result<()> {
        let mut command = self.cargo("generate-rpm");
        command.args(["--package", product.directory, "--profile", "dist"]);
        command.args(["--target", arch.target(), "--auto-req", "builtin"]);
        // The rpm of every distribution reads gzip, and the tool, unoptimised, writes it in seconds.
        command.args(["--payload-compress", "gzip"]);
        command.arg("--target-dir").arg(directory());
        command.arg("--output").arg(out);
        step(&format!("rpm of {}", product.package), &mut command)
    }

    /// A bill of materials in CycloneDX of each program.
    fn bills(&self, products: &[&Product], arch: Arch, out: &Path) -> Result<()> {
        const NAME: &str = "bill-of-materials";
        for product in products {
            let mut command = self.cargo("cyclonedx");
            command.args(["--quiet", "--format", "json", "--target", arch.target()]);
            command.args(["--override-filename", NAME, "--manifest-path"]);
            command.arg(root().join(product.directory).join("Cargo.toml"));
            step(
                &format!("bill of materials of {}", product.package),
                &mut command,
            )?;
            let there = root().join(product.directory).join(format!("{NAME}.json"));
            let bill = fs::read_to_string(&there)
                .with_context(|| format!("reading {}", there.display()))?;
            // It names our own crates by where they lie, which is nobody's business.
            let bill = bill.replace(&root().display().to_string(), "/akwatch");
            fs::write(out.join(format!("{}.cdx.json", product.package)), bill)?;
        }
        // It writes one into every crate that a program is made of.
        for manifest in tools::manifests()? {
            let there = manifest.with_file_name(format!("{NAME}.json"));
            match fs::remove_file(&there) {
                Err(why) if why.kind() != std::io::ErrorKind::NotFound => return Err(why.into()),
                _ => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_number() {
        assert!(version("2.9") < version("2.17") && version("2.17.1") == version(GLIBC));
        assert_eq!(version("PRIVATE"), None);
    }

    /// What a package would install that does not exist is found when it is built: not by a person.
    #[test]
    fn every_asset_of_every_package_exists() {
        for product in &PRODUCTS {
            let directory = root().join(product.directory);
            let manifest = fs::read_to_string(directory.join("Cargo.toml")).unwrap();
            let manifest: toml::Value = toml::from_str(&manifest).unwrap();
            let metadata = &manifest["package"]["metadata"];
            let deb = metadata["deb"]["assets"].as_array().unwrap().iter();
            let deb = deb.map(|asset| directory.join(asset[0].as_str().unwrap()));
            let rpm = metadata["generate-rpm"]["assets"]
                .as_array()
                .unwrap()
                .iter();
            let rpm = rpm.map(|asset| root().join(asset["source"].as_str().unwrap()));
            for path in deb.chain(rpm) {
                let built = path.components().any(|part| part.as_os_str() == "target");
                let there = match path.to_str().and_then(|path| path.split_once("/*.")) {
                    Some((directory, ending)) => !tree::ending(Path::new(directory), ending)
                        .unwrap()
                        .is_empty(),
                    None => path.is_file(),
                };
                assert!(built || there, "{}", path.display());
            }
        }
    }

    /// Both sorts of package bring the same files, but for what only one of them has a place for.
    #[test]
    fn deb_and_rpm_install_the_same_units() {
        for product in &PRODUCTS {
            let directory = root().join(product.directory);
            let manifest = fs::read_to_string(directory.join("Cargo.toml")).unwrap();
            let manifest: toml::Value = toml::from_str(&manifest).unwrap();
            let metadata = &manifest["package"]["metadata"];
            let name = |path: &str| {
                let path = Path::new(path);
                path.file_name().unwrap().to_string_lossy().into_owned()
            };
            let deb = metadata["deb"]["assets"].as_array().unwrap().iter();
            let mut deb: Vec<_> = deb
                .map(|asset| name(asset[0].as_str().unwrap()))
                .filter(|name| name != "copyright")
                .collect();
            let rpm = metadata["generate-rpm"]["assets"]
                .as_array()
                .unwrap()
                .iter();
            let mut rpm: Vec<_> = rpm
                .map(|asset| name(asset["source"].as_str().unwrap()))
                .filter(|name| name != "LICENSE" && !name.ends_with(".preset"))
                .collect();
            deb.sort();
            rpm.sort();
            assert_eq!(deb, rpm, "{}", product.package);
        }
    }
}
