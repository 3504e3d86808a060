//! Which files an OS package brought, and what their content was: so that a test key in a language's
//! library is recorded as the vendor's sample that it is, and not as a leak.
//!
//! dpkg keeps the MD5 of every file that a package holds (`info/PACKAGE.md5sums`) and of every
//! configuration file (`status`), as deb-md5sums(5) and dpkg-query(1) say. That is enough here: it
//! tells a file that nobody touched from one that somebody did, and who can forge it is root. The
//! database is asked only about a file in which something was found, and below the root that is read.
//! rpm keeps the digests of its packages' files in a database, of which [`rpm`] reads one
//! form. Without a record a file is nobody's, and its findings count.

use std::path::Path;

use std::os::unix::ffi::OsStrExt;

use md5::{Digest as _, Md5};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::{Root, rpm};

/// A file's content, as packages' records know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sums {
    /// As dpkg and older packages of rpm have it.
    pub md5: [u8; 16],
    /// As rpm has it.
    pub sha256: [u8; 32],
}

/// What a package's record says of a file's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// Its MD5.
    Md5([u8; 16]),
    /// Its SHA-256.
    Sha256([u8; 32]),
}

impl Recorded {
    /// Whether the content is what was recorded.
    #[must_use]
    pub fn fits(self, sums: &Sums) -> bool {
        match self {
            Recorded::Md5(sum) => sum == sums.md5,
            Recorded::Sha256(sum) => sum == sums.sha256,
        }
    }
}

/// Where dpkg keeps its record.
const INFO: &str = "/var/lib/dpkg/info";
const STATUS: &str = "/var/lib/dpkg/status";

/// Packages that are asked. A large desktop has 5,000.
const PACKAGES: usize = 65_536;

/// Bytes of one file of the record; a kernel's headers take 2 MB.
const RECORD: usize = 64 << 20;

/// Bytes of a file that is compared with its record.
pub const LARGEST: u64 = 64 << 20;

/// Trees that packages fill.
const TREES: [&str; 9] = [
    "/usr", "/lib", "/lib32", "/lib64", "/bin", "/sbin", "/opt", "/etc", "/boot",
];

/// Whether a package may own a file of this name: a question to the name alone.
#[must_use]
pub fn may_own(path: &Path) -> bool {
    let local = path.starts_with("/usr/local");
    !local && TREES.iter().any(|tree| path.starts_with(tree))
}

/// What the content of each path was when its package was installed; none where no package says. The
/// record is read once for all of them.
#[must_use]
pub fn recorded(root: &Root, paths: &[&Path]) -> Vec<Option<Recorded>> {
    let mut sums = by_dpkg(root, paths);
    let missing = |sum: &Option<Recorded>, path: &Path| sum.is_none() && may_own(path);
    if !sums.iter().zip(paths).any(|(sum, path)| missing(sum, path)) {
        return sums;
    }
    let Some(mut record) = rpm::Record::open(root) else {
        return sums;
    };
    for (sum, path) in sums.iter_mut().zip(paths) {
        if missing(sum, path) {
            *sum = by_rpm(&mut record, path);
        }
    }
    sums
}

fn by_rpm(record: &mut rpm::Record, path: &Path) -> Option<Recorded> {
    let name = path.file_name()?.as_bytes();
    let directory = path.parent()?.as_os_str().as_bytes();
    let other = match directory.strip_prefix(b"/usr") {
        Some(short) => short.to_vec(),
        None => [b"/usr", directory].concat(),
    };
    let mut named = [directory.to_vec(), other].into_iter();
    named.find_map(|mut directory| {
        directory.push(b'/');
        record.digest(&directory, name)
    })
}

fn by_dpkg(root: &Root, paths: &[&Path]) -> Vec<Option<Recorded>> {
    let mut sums = vec![None; paths.len()];
    let mut files = Vec::new();
    let mut status = None;
    for (at, path) in paths.iter().enumerate() {
        let path = path.to_str().filter(|path| !path.contains('\n'));
        let Some(path) = path.filter(|path| may_own(Path::new(path))) else {
            continue;
        };
        if path.starts_with("/etc/") {
            let read = || root.read(Path::new(STATUS), RECORD).unwrap_or_default();
            sums[at] = conffile(status.get_or_insert_with(read), path);
        } else if let Some(name) = path.strip_prefix('/') {
            // A package may name a file by the directory that is a link into /usr nowadays, or by
            // that one.
            let other = match name.strip_prefix("usr/") {
                Some(short) => short.to_owned(),
                None => format!("usr/{name}"),
            };
            files.push((at, [name.to_owned(), other]));
        }
    }
    if files.is_empty() {
        return sums;
    }
    for file in root.list(Path::new(INFO), 4 * PACKAGES).unwrap_or_default() {
        let Some(file) = std::str::from_utf8(&file)
            .ok()
            .filter(|file| file.ends_with(".md5sums"))
        else {
            continue;
        };
        let Ok(record) = root.read(&Path::new(INFO).join(file), RECORD) else {
            continue;
        };
        files.retain(|(at, names)| {
            sums[*at] = names.iter().find_map(|name| listed(&record, name));
            sums[*at].is_none()
        });
        if files.is_empty() {
            break;
        }
    }
    sums
}

/// The sums of everything that `read` gives.
///
/// # Errors
/// What `read` fails with.
pub fn sum<E>(mut read: impl FnMut(&mut [u8]) -> Result<usize, E>) -> Result<Sums, E> {
    let (mut md5, mut sha256) = (Md5::new(), Sha256::new());
    let mut buffer = zeroize::Zeroizing::new(vec![0; 64 << 10]);
    loop {
        match read(&mut buffer)? {
            0 => {
                return Ok(Sums {
                    md5: md5.finalize().into(),
                    sha256: sha256.finalize().into(),
                });
            }
            count => {
                md5.update(&buffer[..count]);
                sha256.update(&buffer[..count]);
            }
        }
    }
}

/// The sum of `name` in lines of `SUM  NAME`.
fn listed(sums: &[u8], name: &str) -> Option<Recorded> {
    let line = format!("  {name}\n");
    let at = memchr::memmem::find(sums, line.as_bytes())?;
    parse(sums.get(at.checked_sub(32)?..at)?)
}

/// The sum of `path` in lines of ` PATH SUM`, and not of one that is obsolete.
fn conffile(status: &[u8], path: &str) -> Option<Recorded> {
    let line = format!("\n {path} ");
    let at = memchr::memmem::find(status, line.as_bytes())? + line.len();
    let sum = status.get(at..at + 32)?;
    let ends = status.get(at + 32) == Some(&b'\n');
    ends.then(|| parse(sum)).flatten()
}

fn parse(hex: &[u8]) -> Option<Recorded> {
    let sum = data_encoding::HEXLOWER.decode(hex).ok()?;
    sum.try_into().ok().map(Recorded::Md5)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A root whose package `tool` holds `/usr/share/tool/key`, `/lib/tool.so` and `/etc/tool.conf`, each
    /// of this content.
    fn fixture(content: &[u8]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        let put = |path: &str, text: String| {
            let path = directory.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let hex = data_encoding::HEXLOWER.encode(&Md5::digest(content));
        put(
            "var/lib/dpkg/info/other.md5sums",
            format!("{hex}  usr/bin/other\n"),
        );
        put(
            "var/lib/dpkg/info/tool.md5sums",
            format!("{hex}  lib/tool.so\n{hex}  usr/share/tool/key\n"),
        );
        put(
            "var/lib/dpkg/status",
            format!("Package: tool\nConffiles:\n /etc/tool.conf {hex}\n /etc/old {hex} obsolete\n"),
        );
        directory
    }

    fn check(path: &str, expected: bool) {
        let directory = fixture(b"content");
        let root = Root::at(directory.path()).unwrap();
        let sum = Recorded::Md5(Md5::digest(b"content").into());
        let paths = [Path::new("/usr/bin/none"), Path::new(path)];
        let found = recorded(&root, &paths);
        assert_eq!(found, [None, expected.then_some(sum)], "{path}");
    }

    #[test]
    fn files_and_configuration_of_packages_are_known_by_either_name() {
        check("/usr/share/tool/key", true);
        check("/lib/tool.so", true);
        check("/usr/lib/tool.so", true);
        check("/etc/tool.conf", true);
    }

    #[test]
    fn what_no_package_brought_is_nobodys() {
        check("/usr/share/tool/ke", false);
        check("/usr/share/tool/key2", false);
        check("/share/tool/key", false);
        check("/etc/old", false);
        check("/etc/tool.conf2", false);
        check("/usr/local/share/tool/key", false);
        check("/home/app/lib/tool.so", false);
    }

    #[test]
    fn a_sum_is_of_the_whole() {
        let mut parts = [&b"con"[..], b"tent", b""].into_iter();
        let read = |into: &mut [u8]| -> Result<usize, ()> {
            let part = parts.next().unwrap();
            into[..part.len()].copy_from_slice(part);
            Ok(part.len())
        };
        let sums = Sums {
            md5: Md5::digest(b"content").into(),
            sha256: Sha256::digest(b"content").into(),
        };
        assert_eq!(sum(read), Ok(sums));
        assert!(Recorded::Md5(sums.md5).fits(&sums) && Recorded::Sha256(sums.sha256).fits(&sums));
        assert!(!Recorded::Md5([0; 16]).fits(&sums) && !Recorded::Sha256([0; 32]).fits(&sums));
    }
}
