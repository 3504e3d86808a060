//! The files beside a keystore, opened with it to be asked for its password.
//!
//! A server's keystore stands in a directory with the file that says how to open it, or one directory
//! below. Those files are places of their own and are read on their own; here they are opened for one
//! question, whether one of them holds the keystore's password, so that a key is told as what it is to
//! whoever can read both.
//!
//! The answer must not tell a stranger what a file holds that the stranger cannot read: who puts a
//! keystore of their own beside a file of root's chooses its password, and would learn whether it
//! stands there. So a companion is root's or the keystore's owner's, and one that the keystore's owner
//! can read without help. Directories are listed, and files opened, as far as a bound: whoever fills a
//! directory with a million names costs what the bound costs.

use std::ffi::OsStr;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use akwatch_ledger::reading::FileState;
use rustix::fs::{FileType, OFlags, RawDir, Stat};
use rustix::io::Errno;

use super::{Opener, Refusal, is_fresh, state_of};
use crate::host::{Accounts, open_in, reach};

/// Companions of one keystore.
pub const MOST: usize = 8;
/// Those of them that come from the directory above.
const MOST_ABOVE: usize = 3;
/// Bytes of the largest.
pub const LARGEST: u64 = 256 << 10;
/// Entries of a directory that are looked at.
const ENTRIES: usize = 16_384;
/// Names of those that are kept.
const NAMES: usize = 1_024;
/// Files of a directory that are looked at, of which some are another's, too large or unreadable.
const TRIED: usize = 32;
/// Bytes of entries asked for at once.
const LISTED: usize = 32 << 10;

/// Endings of names of keystores.
const KEYSTORES: [&str; 11] = [
    "bcfks",
    "bks",
    "jceks",
    "jks",
    "keystore",
    "ks",
    "p12",
    "pfx",
    "pkcs12",
    "truststore",
    "uber",
];
/// Endings of copies, behind those.
const COPIES: [&str; 7] = ["bak", "backup", "old", "orig", "prev", "save", "1"];
/// Parts of names of files that hold a password and little else.
const SECRETS: [&str; 5] = ["pass", "pwd", "cred", "secret", "phrase"];
/// Endings of files that hold settings, the likelier ones first.
const SETTINGS: [&str; 28] = [
    "properties",
    "yml",
    "yaml",
    "xml",
    "conf",
    "env",
    "json",
    "toml",
    "ini",
    "sh",
    "cfg",
    "cnf",
    "config",
    "configuration",
    "options",
    "opts",
    "settings",
    "service",
    "gradle",
    "kts",
    "bat",
    "cmd",
    "ps1",
    "js",
    "py",
    "rb",
    "php",
    "txt",
];

/// A file beside a keystore, open.
#[derive(Debug)]
pub struct Companion {
    /// Its path.
    pub path: PathBuf,
    /// The file.
    pub file: OwnedFd,
    /// Its bytes.
    pub size: u64,
    /// Whether it lies in the directory above, where it counts if it names the keystore.
    pub above: bool,
}

/// What lies beside a keystore.
#[derive(Debug, Default)]
pub struct Beside {
    /// What was opened, the likeliest first.
    pub companions: Vec<Companion>,
    /// What may hold its password and was not opened, and why.
    pub left_out: Vec<(PathBuf, &'static str)>,
}

/// What the directory that was listed last holds, and the one above: they may hold more keystores.
pub(super) type Listings = [Option<Listing>; 2];

/// The names of a directory that may be companions', the likeliest first, as it was in a state.
pub(super) struct Listing {
    state: FileState,
    names: Arc<Vec<Vec<u8>>>,
    cut: bool,
}

/// Whether a path is named as keystores are.
#[must_use]
pub fn is_keystore(path: &[u8]) -> bool {
    let name = path.rsplit(|&byte| byte == b'/').next().unwrap_or(path);
    let mut parts = name.rsplit(|&byte| byte == b'.' || byte == b'~');
    let known = |part: &[u8], words: &[&str]| {
        let mut words = words.iter();
        words.any(|word| part.eq_ignore_ascii_case(word.as_bytes()))
    };
    // Nearly every name is none for its length alone.
    let Some(last) = parts.next().filter(|last| last.len() <= 10) else {
        return false;
    };
    known(last, &KEYSTORES)
        || ((last.is_empty() || known(last, &COPIES))
            && parts.next().is_some_and(|part| known(part, &KEYSTORES)))
}

/// How likely it is by its name that a file holds the password of a keystore beside it, the likeliest
/// first; none where it is nothing of the kind.
#[must_use]
pub fn likelihood(store: &Path, name: &[u8]) -> Option<usize> {
    let rank = rank(name)?;
    let stem = stem(store.file_name().unwrap_or_default().as_bytes());
    let same = !stem.is_empty() && stem.eq_ignore_ascii_case(self::stem(name));
    Some(if same { 0 } else { 1 + rank })
}

fn stem(name: &[u8]) -> &[u8] {
    let end = name
        .iter()
        .rposition(|&byte| byte == b'.')
        .filter(|&at| at > 0);
    &name[..end.unwrap_or(name.len())]
}

fn rank(name: &[u8]) -> Option<usize> {
    if is_keystore(name) {
        return None;
    }
    let lower = name.to_ascii_lowercase();
    let ending = lower.rsplit(|&byte| byte == b'.').next().unwrap_or(&lower);
    let setting = SETTINGS.iter().position(|word| ending == word.as_bytes());
    // A program or a certificate is none, whatever it is called.
    const NEVER: [&[u8]; 16] = [
        b"pem", b"crt", b"cer", b"der", b"csr", b"key", b"pub", b"jar", b"war", b"class", b"so",
        b"gz", b"zip", b"log", b"html", b"md",
    ];
    if NEVER.contains(&ending) {
        return None;
    }
    let secret = SECRETS
        .iter()
        .any(|word| memchr::memmem::find(&lower, word.as_bytes()).is_some());
    if secret {
        return Some(0);
    }
    if lower.starts_with(b".env") {
        return Some(1);
    }
    setting.map(|at| 2 + at)
}

impl Opener {
    /// Opens what lies beside the keystore at `path`, whose state is `store`. What cannot be opened is
    /// left out: it says nothing of the keystore.
    #[must_use]
    pub fn beside(&self, path: &Path, store: &Stat) -> Beside {
        let mut beside = Beside::default();
        let Some(directory) = path.parent() else {
            return beside;
        };
        let above = directory.parent().filter(|above| *above != Path::new("/"));
        let mut found = self.companions_in(directory, path, store, false, &mut beside.left_out);
        let upper = above.map_or_else(Vec::new, |above| {
            self.companions_in(above, path, store, true, &mut beside.left_out)
        });
        let room = MOST - upper.len();
        for one in found.drain(room.min(found.len())..) {
            beside.left_out.push((one.path, "too-many"));
        }
        beside.companions = found;
        beside.companions.extend(upper);
        beside
    }

    fn companions_in(
        &self,
        directory: &Path,
        store_at: &Path,
        store: &Stat,
        above: bool,
        left_out: &mut Vec<(PathBuf, &'static str)>,
    ) -> Vec<Companion> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NONBLOCK;
        let opened = self.root.open_guarded(directory, flags);
        let opened = opened.and_then(|open| Ok((rustix::fs::fstat(&open)?, open)));
        let Ok((state, open)) = opened else {
            left_out.push((directory.to_owned(), "unreadable"));
            return Vec::new();
        };
        let accounts = self.root.accounts();
        let acl = reach::has_acl(open.as_fd());
        let asker = Asker {
            accounts: &accounts,
            owner: store.st_uid,
            passes: may(&accounts, store.st_uid, &state, acl, 0o1),
        };
        let (names, cut) = self.names_in(&open, &state, above);
        let named_so = |name: &&Vec<u8>| likelihood(store_at, name) == Some(0);
        let others = names.iter().filter(|name| !named_so(name));
        let mut likely = names.iter().filter(named_so).chain(others);
        let most = if above { MOST_ABOVE } else { MOST };
        let mut companions = Vec::new();
        for name in likely.by_ref().take(TRIED) {
            let path = directory.join(OsStr::from_bytes(name));
            if companions.len() >= most {
                left_out.push((path, "too-many"));
                continue;
            }
            match self.companion(&open, name, &path, &asker) {
                Ok(Some((file, size))) => companions.push(Companion {
                    path,
                    file,
                    size,
                    above,
                }),
                Ok(None) => {}
                Err(why) => left_out.push((path, why)),
            }
        }
        if cut || likely.next().is_some() {
            left_out.push((directory.to_owned(), "too-many"));
        }
        companions
    }

    /// The names of a directory that may be companions', the likeliest first, and whether there may be
    /// more.
    fn names_in(&self, open: &OwnedFd, stat: &Stat, above: bool) -> (Arc<Vec<Vec<u8>>>, bool) {
        let state = state_of(stat);
        let mut listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner);
        let [own, upper] = &mut *listed;
        let last = if above { upper } else { own };
        let listing = match last.take() {
            Some(listing) if listing.state == state => listing,
            _ => list(open, state),
        };
        let told = (Arc::clone(&listing.names), listing.cut);
        // What comes to a directory now need not show in its state.
        if !is_fresh(&listing.state, crate::sense::now()) {
            *last = Some(listing);
        }
        told
    }

    /// Opens a companion; none where it is empty or gone.
    fn companion(
        &self,
        directory: &OwnedFd,
        name: &[u8],
        path: &Path,
        asker: &Asker<'_>,
    ) -> Result<Option<(OwnedFd, u64)>, &'static str> {
        if self.deny.covers(path) || self.excluded.covers(path) {
            return Err("denied-by-configuration");
        }
        let name = Path::new(OsStr::from_bytes(name));
        let bare = match open_in(directory.as_fd(), name, OFlags::PATH) {
            Ok(bare) => bare,
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP) => return Err(Refusal::SymbolicLink.slug()),
            Err(Errno::XDEV) => return Err("mounted"),
            Err(_) => return Err("unreadable"),
        };
        let stat = rustix::fs::fstat(&bare).map_err(|_| "unreadable")?;
        self.check_kind(&stat, bare.as_fd())
            .map_err(|why| why.slug())?;
        let size = u64::try_from(stat.st_size).unwrap_or(0);
        if size == 0 {
            return Ok(None);
        }
        if size > LARGEST {
            return Err("too-large");
        }
        if !asker.may_learn(&stat, false) {
            return Err("another-owner");
        }
        let file = self.reopen(&bare).map_err(|why| why.slug())?;
        if !asker.may_learn(&stat, reach::has_acl(file.as_fd())) {
            return Err("another-owner");
        }
        Ok(Some((file, size)))
    }
}

fn list(open: &OwnedFd, state: FileState) -> Listing {
    let mut buffer = vec![MaybeUninit::uninit(); LISTED];
    let mut entries = RawDir::new(open, &mut buffer);
    let (mut names, mut seen, mut cut) = (Vec::new(), 0, false);
    while let Some(Ok(entry)) = entries.next() {
        seen += 1;
        if seen > ENTRIES || names.len() >= NAMES {
            cut = true;
            break;
        }
        let name = entry.file_name().to_bytes();
        let kind = entry.file_type();
        if matches!(kind, FileType::RegularFile | FileType::Unknown) && rank(name).is_some() {
            names.push(name.to_vec());
        }
    }
    names.sort_by_cached_key(|name| (rank(name), name.clone()));
    Listing {
        state,
        names: Arc::new(names),
        cut,
    }
}

/// Whoever may have chosen a keystore's password: its owner.
struct Asker<'a> {
    accounts: &'a Accounts,
    owner: u32,
    /// Whether the owner can pass through the directory.
    passes: bool,
}

impl Asker<'_> {
    /// Whether a file may be asked for the keystore's password: it is root's or the keystore's owner's,
    /// so that no stranger guesses in it, and that owner can read it without help.
    fn may_learn(&self, file: &Stat, acl: bool) -> bool {
        match file.st_uid {
            same if same == self.owner => true,
            0 => self.passes && may(self.accounts, self.owner, file, acl, 0o4),
            _ => false,
        }
    }
}

/// Whether a user's permission bits allow that; a list that says more than they do allows nothing, since
/// it may say less.
fn may(accounts: &Accounts, user: u32, stat: &Stat, acl: bool, bit: u32) -> bool {
    let bits = if stat.st_uid == user {
        stat.st_mode >> 6
    } else if acl {
        0
    } else if accounts.is_in_group(user, stat.st_gid) {
        stat.st_mode >> 3
    } else {
        stat.st_mode
    };
    bits & bit != 0
}

#[cfg(test)]
pub(crate) mod tests;
