//! A file: which pattern covers it, what keeps it from being read, what the agent says.

use std::fs::File;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use akwatch_detect::places;
use akwatch_ledger::reading::FileState;
use akwatch_proto::text::escape;
use rustix::fs::OFlags;
use rustix::io::Errno;

use super::{Explained, Fact, Sight, agents_word, held};
use crate::config::{Glob, GlobSet};
use crate::control::{self, FileStanding};
use crate::host::mounts::SkipWhy;
use crate::host::runtime;
use crate::open::{Opener, companions, is_delivered};
use crate::output::{bytes, seconds};
use crate::sense::watch_set::{Covered, WatchSet, is_bulk, is_history};

pub(super) fn explain(sight: &Sight<'_>, path: &Path) -> anyhow::Result<Explained> {
    let accounts = sight.root.accounts();
    let homes: Vec<PathBuf> = accounts
        .homes()
        .iter()
        .map(|home| home.path.clone())
        .collect();
    let set = WatchSet::new(&sight.config, &homes, sight.own.clone())?;
    let covered = set.covers(path);
    let mut facts = vec![Fact::of("watched", watched(sight, &homes, path, covered))];
    // Before the file itself is touched: its filesystem may hang.
    let mounts = sight.root.mounts_again();
    let mount = mounts.around(path);
    let skipped = mount.and_then(|mount| mounts.skipped(&mount.point));
    if let Some(mount) = mount {
        let kind = String::from_utf8_lossy(&mount.kind).into_owned();
        facts.push(Fact::of("filesystem", on(&mount.point, &kind, skipped)));
    }
    sight.root.name(set.named());
    let (says, state) = look(&sight.root, path);
    facts.push(Fact::of("file", says));
    if let Some((container, inside)) = runtime::of_layer(&sight.root, path) {
        let inside = escape(inside.as_os_str().as_bytes());
        let whose = super::contained(&container);
        facts.push(Fact::of("in a container", format!("{inside} of {whose}")));
    }
    facts.extend(manner(sight, path, state.as_ref()).map(|says| Fact::of("read", says)));
    facts.extend(beside(sight, &homes, path)?.map(|says| Fact::of("beside", says)));
    let findings = match control::file(sight.runtime, path, state) {
        Ok(standing) => {
            facts.push(Fact::of("agent", said(&standing, covered)));
            Some(held(standing.findings, &[]))
        }
        Err(why) => {
            facts.push(agents_word(&why));
            None
        }
    };
    Ok(Explained {
        asked: escape(path.as_os_str().as_bytes()),
        facts,
        findings,
    })
}

fn covers(glob: &Glob, homes: &[PathBuf], path: &Path) -> bool {
    GlobSet::new([glob], homes).is_ok_and(|set| set.covers(path))
}

/// Whether a path is watched, and by which word of whom.
fn watched(sight: &Sight<'_>, homes: &[PathBuf], path: &Path, covered: Covered) -> String {
    let config = &sight.config;
    let which = |globs: &[Glob]| {
        let found = globs.iter().find(|glob| covers(glob, homes, path));
        found.map_or_else(String::new, |glob| format!(" ({:?})", glob.as_str()))
    };
    match covered {
        Covered::Own => "no: it is the agent's own".to_owned(),
        Covered::Denied => format!("no: `deny.paths` names it{}", which(&config.deny.paths)),
        Covered::Excluded => {
            format!(
                "no: `watch.exclude` names it{}",
                which(&config.watch.exclude)
            )
        }
        Covered::Outside => {
            let above = path.parent().unwrap_or(path).display();
            format!(
                "no: neither what is built in nor `watch.include` names it; \
                 include = [\"{above}/**\"] in [watch] would"
            )
        }
        Covered::Yes => yes(sight, homes, path, &which(&config.watch.include)),
    }
}

fn yes(sight: &Sight<'_>, homes: &[PathBuf], path: &Path, included: &str) -> String {
    if !included.is_empty() {
        return format!("yes: `watch.include` names it{included}");
    }
    let raw = path.as_os_str().as_bytes();
    let built_in = places::watch_set().iter().filter(|entry| !entry.in_home());
    if let Some(entry) = built_in.into_iter().find(|entry| entry.covers(raw)) {
        return format!("yes: {} is built in", entry.glob);
    }
    let home = homes.iter().filter(|home| path.starts_with(home));
    if let Some(home) = home.max_by_key(|home| home.as_os_str().len()) {
        return format!("yes: it lies in the home {}", home.display());
    }
    let scanned = sight
        .config
        .first_scan
        .paths
        .iter()
        .find(|tree| path.starts_with(tree));
    match scanned {
        Some(tree) => format!(
            "by scans alone: `first_scan.paths` names {}; changes are seen by the next rescan",
            tree.display()
        ),
        None => "yes".to_owned(),
    }
}

fn on(point: &Path, kind: &str, skipped: Option<SkipWhy>) -> String {
    let at = format!("{kind}, mounted at {}", point.display());
    match skipped {
        None => at,
        Some(SkipWhy::Pseudo) => format!("{at}: a kernel interface, which holds no files"),
        Some(SkipWhy::Network) => {
            format!("{at}: another host's or program's, not read unless `watch.include` names it")
        }
        Some(SkipWhy::Overlay) => {
            format!("{at}: a merged view, whose layers are read where they lie")
        }
        Some(SkipWhy::Bind) => {
            format!("{at}: a second name of a tree that is read under its first")
        }
    }
}

/// What lies at the path, and its state where it is a file.
fn look(root: &crate::host::Root, path: &Path) -> (String, Option<FileState>) {
    let not_looked_at = |why: &str| (format!("not looked at, since {why}"), None);
    let found = match root.open_guarded(path, OFlags::PATH | OFlags::NOFOLLOW) {
        Ok(found) => File::from(found),
        Err(Errno::NOENT) => return ("not there".to_owned(), None),
        Err(Errno::XDEV) => return not_looked_at("a filesystem on the way may never answer"),
        Err(Errno::LOOP) => return not_looked_at("a link of somebody else's is on the way"),
        Err(why) => return (format!("cannot be looked at by this user: {why}"), None),
    };
    let meta = match found.metadata() {
        Ok(meta) => meta,
        Err(why) => return (format!("cannot be looked at by this user: {why}"), None),
    };
    let kind = meta.file_type();
    if kind.is_symlink() {
        let target = rustix::fs::readlinkat(&found, "", Vec::new()).unwrap_or_default();
        let target = PathBuf::from(std::ffi::OsString::from_vec(target.into_bytes()));
        let says = format!(
            "a symbolic link to {}; it is not followed, what it leads to is watched under its own name",
            target.display()
        );
        return (says, None);
    }
    if kind.is_dir() {
        return ("a directory".to_owned(), None);
    }
    if !kind.is_file() {
        let what = if kind.is_fifo() {
            "a FIFO"
        } else if kind.is_socket() {
            "a socket"
        } else {
            "a device"
        };
        return (format!("{what}, never opened"), None);
    }
    let accounts = root.accounts();
    let name = |name: Vec<u8>| String::from_utf8_lossy(&name).into_owned();
    let says = format!(
        "{}, mode {:04o}, {}:{}",
        bytes(meta.size()),
        meta.mode() & 0o7777,
        name(accounts.user(meta.uid())),
        name(accounts.group(meta.gid()))
    );
    let nanoseconds =
        |seconds: i64, nanos: i64| seconds.saturating_mul(1_000_000_000).saturating_add(nanos);
    let state = FileState {
        dev: meta.dev(),
        ino: meta.ino(),
        size: meta.size(),
        ctime_ns: nanoseconds(meta.ctime(), meta.ctime_nsec()),
        mtime_ns: nanoseconds(meta.mtime(), meta.mtime_nsec()),
    };
    (says, Some(state))
}

/// What is asked for the password of a keystore, and what is not, and why.
fn beside(sight: &Sight<'_>, homes: &[PathBuf], path: &Path) -> anyhow::Result<Option<String>> {
    if !companions::is_keystore(path.as_os_str().as_bytes()) {
        return Ok(None);
    }
    let deny = GlobSet::new(&sight.config.deny.paths, homes)?;
    let excluded = GlobSet::new(&sight.config.watch.exclude, homes)?;
    let opener = Opener::new(Arc::clone(&sight.root), deny).without(excluded);
    let Ok((_, stat)) = opener.regular_file(path) else {
        return Ok(None);
    };
    let beside = opener.beside(path, &stat);
    let tried: Vec<String> = beside
        .companions
        .iter()
        .map(|one| shown(&one.path))
        .collect();
    let mut says = match tried.is_empty() {
        true => "nothing is asked for its password".to_owned(),
        false => format!("asked for its password: {}", tried.join(", ")),
    };
    let more = beside.left_out.len().saturating_sub(companions::MOST);
    for (path, why) in beside.left_out.iter().take(companions::MOST) {
        says.push_str(&format!("; not {} ({why})", shown(path)));
    }
    if more > 0 {
        says.push_str(&format!("; nor {more} more"));
    }
    Ok(Some(says))
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// How such a file is read, where that is not as any other.
fn manner(sight: &Sight<'_>, path: &Path, state: Option<&FileState>) -> Option<String> {
    let watch = &sight.config.watch;
    if is_history(path) {
        let says = "a history: what is appended is read as it is typed";
        return Some(if watch.history {
            says.to_owned()
        } else {
            "a history, and `watch.history` is false: not read".to_owned()
        });
    }
    if is_delivered(path) {
        let says = "handed over by a secret store: an inventory, without a score";
        return Some(says.to_owned());
    }
    if let Some(bulk) = path.ancestors().skip(1).find(|above| is_bulk(above)) {
        return Some(format!(
            "below {}, which programs fill in bulk: read by scans, last, and live where whole \
             filesystems are marked",
            bulk.display()
        ));
    }
    let size = state?.size;
    (size > watch.max_file_bytes).then(|| {
        format!(
            "larger than `watch.max_file_bytes` ({}): by scans alone",
            bytes(watch.max_file_bytes)
        )
    })
}

/// What the running agent says of it.
fn said(standing: &FileStanding, covered: Covered) -> String {
    let mut says = match (standing.read, standing.waiting) {
        (_, true) => "it waits to be read".to_owned(),
        (Some(true), false) => "read in its present state, with the rules in force".to_owned(),
        (Some(false), false) if covered == Covered::Yes => {
            "not remembered as read in its present state, as when it changed only just before it was \
             read; the next rescan looks again"
                .to_owned()
        }
        _ => "nothing is read there".to_owned(),
    };
    if let Some(why) = &standing.not_read {
        says.push_str(&format!("; it could not be read: {why}"));
    }
    if let Some((why, left)) = &standing.set_aside {
        let left = seconds(*left);
        says.push_str(&format!("; set aside, tried again in {left}: {why}"));
    }
    says
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::host::Root;

    fn check(toml: &str, path: &str, words: &str) {
        let text = format!("[collector]\nurls = [\"https://c.example\"]\n{toml}");
        let config = Config::from_texts(&[(PathBuf::from("agent.toml"), text)]).unwrap();
        let nowhere = tempfile::tempdir().unwrap();
        let sight = Sight {
            config,
            root: Arc::new(Root::live().unwrap()),
            runtime: nowhere.path(),
            own: vec![PathBuf::from("/var/lib/akwatch-agent")],
        };
        let explained = explain(&sight, Path::new(path)).unwrap();
        assert_eq!(explained.facts[0].about, "watched");
        let says = &explained.facts[0].says;
        assert!(says.contains(words), "{path}: {says}");
        assert!(explained.findings.is_none(), "nobody could be asked");
    }

    #[test]
    fn the_pattern_that_decides_is_named() {
        check("", "/etc/app/app.yml", "/etc/** is built in");
        check("", "/usr/bin/ls", "include = [\"/usr/bin/**\"]");
        check("", "/var/lib/akwatch-agent/x", "the agent's own");
        check(
            "[watch]\nexclude = [\"/etc/app\"]",
            "/etc/app/a",
            "names it (\"/etc/app\")",
        );
        check(
            "[deny]\npaths = [\"/etc/*.key\"]",
            "/etc/a.key",
            "`deny.paths` names it",
        );
        check(
            "[watch]\ninclude = [\"/mnt/*/a\"]",
            "/mnt/x/a",
            "`watch.include` names it",
        );
        check(
            "[first_scan]\npaths = [\"/mnt\"]",
            "/mnt/x/a",
            "by scans alone",
        );
    }

    #[test]
    fn what_is_no_file_is_said() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::live().unwrap();
        let at = |name: &str| directory.path().join(name);
        std::os::unix::fs::symlink("/etc/passwd", at("link")).unwrap();
        std::fs::write(at("file"), "x").unwrap();
        for (name, words, is_file) in [
            ("link", "a symbolic link to /etc/passwd", false),
            ("", "a directory", false),
            ("none", "not there", false),
            ("file", "1 B, mode 0", true),
        ] {
            let (says, state) = look(&root, &at(name));
            assert!(
                says.contains(words) && state.is_some() == is_file,
                "{name}: {says}"
            );
        }
    }
}
