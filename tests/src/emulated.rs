//! A machine of its own under emulation (qemu, TCG): what a container cannot give. Control groups that
//! limit, a real reboot, and the kernels that Debian's releases ship, from 5.10 to its newest backport.
//!
//! Kernels are taken from the package archive that the tests' Debian tree was made from, once, below
//! `target/`. Each machine boots one of them on a disk that is a copy of a prepared tree, has two
//! processors, no network but loopback, and two serial lines: its console, and what the operator inside says.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;

use crate::machine::{self, Tree, succeed};
use crate::program;

/// Suites of the archive whose kernels are tried, oldest first.
pub const SUITES: [&str; 4] = ["bullseye", "bookworm", "trixie", "trixie-backports"];

/// How long a machine may take over its whole errand: two to five minutes on an idle computer.
const ERRAND: Duration = Duration::from_secs(1500);

/// Drivers of the disk, in the order in which they need each other; a kernel has some of them built in.
const DRIVERS: [&str; 6] = [
    "virtio.ko",
    "virtio_ring.ko",
    "virtio_pci_legacy_dev.ko",
    "virtio_pci_modern_dev.ko",
    "virtio_pci.ko",
    "virtio_blk.ko",
];

/// The first program that runs: loads the drivers, then hands over to the disk's own.
const FIRST: &str = "#!/bin/busybox sh
/bin/busybox mkdir -p /dev /new
/bin/busybox mount -t devtmpfs devtmpfs /dev
for module in /drivers/*; do /bin/busybox insmod $module; done
until /bin/busybox mount -t ext4 /dev/vda /new 2>/dev/null; do /bin/busybox sleep 1; done
exec /bin/busybox switch_root /new /sbin/init
";

/// A kernel, ready to boot.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// The suite that it is from.
    pub suite: &'static str,
    /// Its release, as `uname -r` says it.
    pub release: String,
    directory: PathBuf,
}

/// Whether machines can be emulated here; says on standard error why not.
#[must_use]
pub fn are_possible() -> bool {
    let needed = [
        "/usr/bin/qemu-system-x86_64",
        "/usr/bin/cpio",
        "/usr/sbin/mkfs.ext4",
    ];
    let missing = needed.iter().find(|program| !Path::new(program).exists());
    if let Some(missing) = missing {
        use std::io::Write as _;
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: no machine can be emulated: {missing} is not installed; \
             `cargo xtask test --slow` installs it"
        );
    }
    missing.is_none() && machine::are_possible()
}

/// The kernel of one of [`SUITES`], fetched once.
///
/// # Errors
/// When it cannot be fetched.
pub fn kernel(suite: &'static str) -> Result<Kernel> {
    let target = program::path("akwatch-agent")?;
    let target = target.parent().and_then(Path::parent);
    let directory = target
        .context("a target directory")?
        .join("kernels")
        .join(suite);
    let release = directory.join("release");
    if !release.exists() {
        fetch(suite, &directory).with_context(|| format!("fetching the kernel of {suite}"))?;
    }
    Ok(Kernel {
        suite,
        release: fs::read_to_string(release)?,
        directory,
    })
}

/// A tree whose `apt` knows every suite.
fn archive_of_all() -> Result<Tree> {
    let tree = Tree::copy(&machine::base()?, "archive")?;
    let own = fs::read_to_string(tree.inside("/etc/apt/sources.list"))?;
    let all: String = SUITES
        .iter()
        .map(|suite| own.replace("bookworm", suite))
        .collect();
    tree.write("/etc/apt/sources.list", &all)?;
    inside(&tree, "apt-get -q update")?;
    Ok(tree)
}

fn inside(tree: &Tree, script: &str) -> Result<String> {
    succeed(
        Command::new("chroot")
            .arg(tree.root())
            .args(["/bin/sh", "-ec", script]),
    )
}

/// Writes the packages of a kernel below `/fetched`, unpacked, and says its release. Newer ones have the
/// kernel itself and its drivers in packages of their own.
const UNPACK: &str = r#"
rm -rf /fetched
mkdir /fetched
cd /fetched
version=$(apt-cache madison linux-image-cloud-amd64 | grep -F ' @SUITE@/' | head -n 1 | cut -d '|' -f 2 | tr -d ' ')
name=$(apt-cache show linux-image-cloud-amd64=$version | sed -n 's/^Depends:.* \(linux-image-[0-9][^ ,]*\).*/\1/p' | head -n 1)
release=${name#linux-image-}
for other in linux-binary-$release linux-modules-$release; do
    if apt-cache show $other >/dev/null 2>&1; then name="$name $other"; fi
done
apt-get -q download $name busybox-static >/dev/null 2>&1
for package in *.deb; do dpkg-deb -x $package .; rm $package; done
echo $release
"#;

/// Takes kernel, drivers and the program that loads them out of the packages.
fn fetch(suite: &'static str, directory: &Path) -> Result<()> {
    let archive = archive_of_all()?;
    let packages = inside(&archive, &UNPACK.replace("@SUITE@", suite))?;
    let release = packages.trim().to_owned();
    let from = archive.inside("/fetched");
    let initial = archive.inside("/initial");
    fs::remove_dir_all(&initial).ok();
    for directory in ["bin", "drivers"] {
        fs::create_dir_all(initial.join(directory))?;
    }
    let busybox = ["bin/busybox", "usr/bin/busybox"].map(|path| from.join(path));
    let busybox = busybox
        .iter()
        .find(|path| path.exists())
        .context("busybox")?;
    fs::copy(busybox, initial.join("bin/busybox"))?;
    for (number, driver) in DRIVERS.iter().enumerate() {
        let found = succeed(
            Command::new("find")
                .arg(&from)
                .args(["-name", &format!("{driver}*")]),
        )?;
        let Some(found) = found.lines().next() else {
            continue; // built in, or not there before some release
        };
        let to = initial.join(format!("drivers/{number}-{driver}"));
        let unpack = if found.ends_with(".xz") {
            "xz -dc"
        } else {
            "cat"
        };
        let copy = format!("{unpack} '{found}' > '{}'", to.display());
        succeed(Command::new("sh").args(["-ec", &copy]))?;
    }
    archive.write("/initial/init", FIRST)?;
    fs::create_dir_all(directory)?;
    let pack = format!(
        "chmod 755 init bin/busybox && find . | cpio --quiet -o -H newc | gzip > '{}'",
        directory.join("initial").display()
    );
    succeed(
        Command::new("sh")
            .args(["-ec", &pack])
            .current_dir(&initial),
    )?;
    let image = succeed(Command::new("find").arg(&from).args(["-name", "vmlinuz*"]))?;
    let image = image.lines().next().context("a kernel in its packages")?;
    fs::copy(image, directory.join("kernel"))?;
    Ok(fs::write(directory.join("release"), release)?)
}

/// A disk that machines start from.
#[derive(Debug)]
pub struct Disk {
    directory: TempDir,
}

impl Disk {
    /// A disk that holds a tree.
    ///
    /// # Errors
    /// When there is no room.
    pub fn of(tree: &Tree) -> Result<Disk> {
        let directory = tempfile::Builder::new().prefix("akwatch-disk.").tempdir()?;
        succeed(
            Command::new("/usr/sbin/mkfs.ext4")
                .args(["-q", "-O", "^metadata_csum_seed", "-d"])
                .arg(tree.root())
                .arg(directory.path().join("disk"))
                .arg("2G"),
        )?;
        Ok(Disk { directory })
    }

    /// Boots `kernel` on a copy of this disk, and gives what the operator inside said on the second
    /// serial line until the machine switched itself off. It may reboot meanwhile.
    ///
    /// # Errors
    /// When it does not end in time, with both lines.
    pub fn errand(&self, kernel: &Kernel) -> Result<String> {
        let directory = tempfile::Builder::new()
            .prefix("akwatch-emulated.")
            .tempdir()?;
        let path = |name: &str| directory.path().join(name);
        succeed(
            Command::new("cp")
                .args(["--sparse=always", "--reflink=auto"])
                .arg(self.directory.path().join("disk"))
                .arg(path("disk")),
        )?;
        let line = |name: &str| format!("file:{}", path(name).display());
        let mut machine = Command::new("qemu-system-x86_64")
            .args([
                "-machine",
                "q35,accel=tcg",
                "-cpu",
                "max",
                "-smp",
                "2",
                "-m",
                "1024",
            ])
            .args(["-display", "none", "-nic", "none", "-kernel"])
            .arg(kernel.directory.join("kernel"))
            .arg("-initrd")
            .arg(kernel.directory.join("initial"))
            .args([
                "-append",
                "console=ttyS0 quiet panic=-1 systemd.show_status=no",
            ])
            .arg("-drive")
            .arg(format!(
                "file={},if=virtio,format=raw,cache=unsafe",
                path("disk").display()
            ))
            .args(["-serial", &line("console"), "-serial", &line("operator")])
            .stdin(Stdio::null())
            .stdout(File::create(path("emulator"))?)
            .stderr(File::create(path("emulator.err"))?)
            .spawn()
            .context("starting qemu-system-x86_64")?;
        let begun = Instant::now();
        let said = || fs::read_to_string(path("operator")).unwrap_or_default();
        let status = loop {
            if let Some(status) = machine.try_wait()? {
                break status;
            }
            if begun.elapsed() > ERRAND {
                machine.kill()?;
                break machine.wait()?;
            }
            // Nothing but its end is waited for, and that has a deadline.
            std::thread::park_timeout(Duration::from_millis(200));
        };
        let said = said().replace('\r', "");
        if !status.success() {
            let console = fs::read(path("console")).unwrap_or_default();
            let console = String::from_utf8_lossy(&console).into_owned();
            let console = &console[console.len().saturating_sub(4000)..];
            bail!(
                "{} {}: the machine ended with {status}; it said:\n{said}\nconsole:\n{console}",
                kernel.suite,
                kernel.release
            );
        }
        Ok(said)
    }
}
