//! The files that a systemd unit is made of and that it names: where a service's environment may come
//! from.
//!
//! They are facts beside a process's finding, so that the cause can be derived where findings are
//! read. They are named, never read for secrets on the unit's behalf: each is watched, or not, under
//! its own path. A user's units lie where that user may put anything: what is no plain file, or lies
//! behind a link to somebody else's, is not looked at.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use akwatch_proto::limits;

use super::Root;

/// Units whose files are cached.
const UNITS: usize = 2048;
/// Bytes of one unit file.
const UNIT_FILE: usize = 1 << 20;
/// Drop-ins read of one unit.
const DROP_INS: usize = 64;

/// Where the system's systemd looks, most important first (`systemd.unit(5)`).
const SYSTEM: [&str; 7] = [
    "/etc/systemd/system",
    "/run/systemd/system",
    "/run/systemd/transient",
    "/run/systemd/generator",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];
/// Where a user's systemd looks, beside `~/.config/systemd/user`.
const USER: [&str; 4] = [
    "/etc/systemd/user",
    "/run/systemd/user",
    "/usr/local/lib/systemd/user",
    "/usr/lib/systemd/user",
];

/// Files by unit, and by home for users' units.
pub(crate) type Cache = HashMap<(Vec<u8>, Option<PathBuf>), Vec<Vec<u8>>>;

/// The fragment, the drop-ins and the environment files of `unit`, raw, at most
/// [`limits::UNIT_FILES`]. `home` is given for a unit of that user's own systemd.
#[must_use]
pub fn files_of(root: &Root, unit: &[u8], home: Option<&Path>) -> Vec<Vec<u8>> {
    if unit.contains(&b'/') || unit.is_empty() {
        return Vec::new();
    }
    let key = (unit.to_vec(), home.map(Path::to_owned));
    if let Some(files) = root
        .units
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .get(&key)
    {
        return files.clone();
    }
    let files = find(root, unit, home);
    let mut cached = root.units.lock().unwrap_or_else(PoisonError::into_inner);
    if cached.len() >= UNITS {
        cached.clear();
    }
    cached.insert(key, files.clone());
    files
}

fn find(root: &Root, unit: &[u8], home: Option<&Path>) -> Vec<Vec<u8>> {
    let directories: Vec<PathBuf> = match home {
        Some(home) => std::iter::once(home.join(".config/systemd/user"))
            .chain(USER.map(PathBuf::from))
            .collect(),
        None => SYSTEM.map(PathBuf::from).to_vec(),
    };
    let names: Vec<Vec<u8>> = std::iter::once(unit.to_vec())
        .chain(template_of(unit))
        .collect();
    let mut files = Vec::new();
    let mut texts = Vec::new();
    let mut fragment = false;
    for name in &names {
        for directory in &directories {
            let path = directory.join(OsStr::from_bytes(name));
            if !fragment && let Ok(text) = root.read_guarded(&path, UNIT_FILE) {
                fragment = true;
                files.push(path.into_os_string().into_vec());
                texts.push(text);
            }
            let mut drop_ins = directory.join(OsStr::from_bytes(name)).into_os_string();
            drop_ins.push(".d");
            add_drop_ins(root, Path::new(&drop_ins), &mut files, &mut texts);
        }
    }
    for text in &texts {
        for named in environment_files(text, unit) {
            if !files.contains(&named) {
                files.push(named);
            }
        }
    }
    files.truncate(limits::UNIT_FILES);
    files
}

fn add_drop_ins(root: &Root, directory: &Path, files: &mut Vec<Vec<u8>>, texts: &mut Vec<Vec<u8>>) {
    let entries = root.entries(directory).into_iter().flatten();
    let entries = entries.take(DROP_INS).filter_map(Result::ok);
    let mut paths: Vec<PathBuf> = entries.map(|(path, _)| path).collect();
    paths.retain(|path| path.as_os_str().as_bytes().ends_with(b".conf"));
    paths.sort();
    for path in paths {
        if let Ok(text) = root.read_guarded(&path, UNIT_FILE) {
            files.push(path.into_os_string().into_vec());
            texts.push(text);
        }
    }
}

/// `app@eu.service` is made of `app@.service`.
fn template_of(unit: &[u8]) -> Option<Vec<u8>> {
    let at = unit.iter().position(|&byte| byte == b'@')?;
    let dot = unit.iter().rposition(|&byte| byte == b'.')?;
    let template = [unit.get(..=at)?, unit.get(dot..)?].concat();
    (template != unit).then_some(template)
}

/// What `EnvironmentFile=` names: absolute paths, a leading `-` dropped, `%i %p %n %N %%` filled in.
/// An empty value clears what came before (`systemd.exec(5)`).
fn environment_files(text: &[u8], unit: &[u8]) -> Vec<Vec<u8>> {
    let mut named = Vec::new();
    for line in text.split(|&byte| byte == b'\n') {
        let line = line.trim_ascii();
        let Some(value) = line.strip_prefix(b"EnvironmentFile") else {
            continue;
        };
        let Some(value) = value.trim_ascii_start().strip_prefix(b"=") else {
            continue;
        };
        let value = value.trim_ascii();
        if value.is_empty() {
            named.clear();
            continue;
        }
        let value = value.strip_prefix(b"-").unwrap_or(value);
        if let Some(path) = fill_in(value, unit).filter(|path| path.starts_with(b"/")) {
            named.push(path);
        }
    }
    named
}

fn fill_in(value: &[u8], unit: &[u8]) -> Option<Vec<u8>> {
    let stem = unit
        .iter()
        .rposition(|&byte| byte == b'.')
        .map_or(unit, |dot| &unit[..dot]);
    let (prefix, instance) = match stem.iter().position(|&byte| byte == b'@') {
        Some(at) => (&stem[..at], &stem[at + 1..]),
        None => (stem, &b""[..]),
    };
    let mut out = Vec::new();
    let mut rest = value.iter();
    while let Some(&byte) = rest.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        match rest.next()? {
            b'i' | b'I' => out.extend_from_slice(instance),
            b'p' | b'P' => out.extend_from_slice(prefix),
            b'n' => out.extend_from_slice(unit),
            b'N' => out.extend_from_slice(stem),
            b'%' => out.push(b'%'),
            // A specifier that depends on more than the unit's name is not guessed.
            _ => return None,
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_units_files_and_what_they_name() {
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str, text: &str| {
            let file = dir.path().join(path);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        };
        at(
            "usr/lib/systemd/system/app@.service",
            "[Service]\nEnvironmentFile=-/etc/app/%i.env\nEnvironmentFile = /etc/app/%H\n",
        );
        at(
            "etc/systemd/system/app@.service.d/10.conf",
            "[Service]\nEnvironmentFile=/srv/app.env\n",
        );
        at(
            "etc/systemd/system/app@eu.service.d/20.conf",
            "[Service]\nEnvironment=A=b\n",
        );
        at(
            "etc/systemd/system/app@eu.service.d/readme",
            "EnvironmentFile=/no\n",
        );
        let root = Root::at(dir.path()).unwrap();
        let files: Vec<String> = files_of(&root, b"app@eu.service", None)
            .into_iter()
            .map(|file| String::from_utf8(file).unwrap())
            .collect();
        assert_eq!(
            files,
            [
                "/etc/systemd/system/app@eu.service.d/20.conf",
                "/etc/systemd/system/app@.service.d/10.conf",
                "/usr/lib/systemd/system/app@.service",
                "/srv/app.env",
                "/etc/app/eu.env",
            ]
        );
        assert!(files_of(&root, b"../../etc/passwd", None).is_empty());
        assert!(files_of(&root, b"none.service", None).is_empty());
    }

    #[test]
    fn an_empty_value_clears_the_list() {
        let text = b"EnvironmentFile=/a\nEnvironmentFile=\nEnvironmentFile=/b\nEnvironmentFiles=/c";
        assert_eq!(environment_files(text, b"x.service"), [b"/b".to_vec()]);
    }
}
