//! Where a history begins: refs, as they are and as their logs say they were, each by what reaching a
//! commit from it says.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::ObjectId;
use super::config::{Config, filled, matched};
use crate::content::Source;

/// Refs that are read. Stops: a packed-refs of a gigabyte.
const REFS: usize = 65_536;
/// Bytes of a name.
const NAME: usize = 1024;
/// Remotes that are told apart, one bit each.
const REMOTES: usize = 32;

/// What it says of a commit that a ref reaches it, the most telling first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    /// A remote-tracking ref, as it is or was: a remote has it.
    Remote,
    /// A tag, or anything else that is neither a branch nor a remote's.
    Other,
    /// A branch whose upstream is gone.
    UpstreamGone,
    /// A branch, the work tree's own commit, a stash: nothing beyond this host.
    Local,
    /// Where one of those was once.
    Unreferenced,
}

pub(super) const CLASSES: [Class; 5] = [
    Class::Remote,
    Class::Other,
    Class::UpstreamGone,
    Class::Local,
    Class::Unreferenced,
];

/// Where walking begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Tip {
    pub(super) class: Class,
    pub(super) id: ObjectId,
    /// One bit for each remote that has it.
    pub(super) remotes: u32,
}

/// All refs of a repository, as they are read.
#[derive(Debug, Default)]
pub(super) struct Refs {
    direct: BTreeMap<Vec<u8>, ObjectId>,
    logged: BTreeSet<(Vec<u8>, ObjectId)>,
    /// Commits at which a shallow history ends.
    pub(super) shallow: HashSet<ObjectId>,
    /// There are more than are kept.
    pub(super) cut: bool,
}

impl Refs {
    /// Takes a ref's own file, which outranks the packed one of that name.
    pub(super) fn take_loose(&mut self, name: &[u8], text: &[u8]) {
        // `ref: refs/heads/main`: that one is read by its own name.
        if let Some(id) = text.get(..40).and_then(ObjectId::parse) {
            self.insert(name, id, true);
        }
    }

    /// Takes `packed-refs`.
    pub(super) fn take_packed(&mut self, text: &dyn Source) {
        self.lines(text, |refs, line| {
            // `# pack-refs with: …` and `^peeled` are no refs.
            if let Some((id, name)) = line.split_at_checked(40)
                && let (Some(id), Some(name)) = (ObjectId::parse(id), name.strip_prefix(b" "))
            {
                refs.insert(name, id, false);
            }
        });
    }

    /// Takes `shallow`.
    pub(super) fn take_shallow(&mut self, text: &dyn Source) {
        self.lines(text, |refs, line| {
            if let Some(id) = ObjectId::parse(line) {
                if refs.shallow.len() < REFS {
                    refs.shallow.insert(id);
                } else {
                    refs.cut = true;
                }
            }
        });
    }

    /// Takes the log of a ref: each line begins with where it was and where it went.
    pub(super) fn take_log(&mut self, name: &[u8], text: &dyn Source) {
        let name = name.to_vec();
        self.lines(text, |refs, line| {
            let ids = [line.get(..40), line.get(41..81)];
            for id in ids.into_iter().flatten().filter_map(ObjectId::parse) {
                if id == ObjectId::default() {
                    continue;
                }
                if refs.logged.len() < REFS {
                    refs.logged.insert((name.clone(), id));
                } else {
                    refs.cut = true;
                }
            }
        });
    }

    fn insert(&mut self, name: &[u8], id: ObjectId, outranks: bool) {
        if name.len() > NAME || (self.direct.len() >= REFS && !self.direct.contains_key(name)) {
            self.cut = true;
        } else if outranks {
            self.direct.insert(name.to_vec(), id);
        } else {
            self.direct.entry(name.to_vec()).or_insert(id);
        }
    }

    /// Calls `take` with each line; one that is longer than any could be is cut.
    fn lines(&mut self, text: &dyn Source, mut take: impl FnMut(&mut Refs, &[u8])) {
        const LINE: usize = NAME + 128;
        const READ: u64 = 32 << 20;
        let (mut line, mut chunk, mut at) = (Vec::new(), [0_u8; 4096], 0);
        loop {
            let count = match text.read_at(at, &mut chunk) {
                Ok(count) if at < READ => count,
                Ok(0) => 0,
                _ => {
                    self.cut = true;
                    0
                }
            };
            at += count as u64;
            let mut rest = &chunk[..count];
            while let Some(end) = memchr::memchr(b'\n', rest) {
                line.extend_from_slice(&rest[..end]);
                line.truncate(LINE);
                take(self, &line);
                line.clear();
                rest = &rest[end + 1..];
            }
            line.extend_from_slice(rest);
            line.truncate(LINE);
            if count == 0 {
                take(self, &line);
                return;
            }
        }
    }

    /// Whether some ref is a remote's.
    pub(super) fn any_tracking(&self, config: &Config) -> bool {
        self.direct
            .keys()
            .any(|name| tracking(name, config).is_some())
    }

    /// Where walking begins, the most telling first; and the remotes, those of the configuration and
    /// then those that only their refs remember.
    pub(super) fn tips(&self, config: &Config) -> (Vec<Tip>, Vec<Vec<u8>>) {
        let mut remotes: Vec<Vec<u8>> = config
            .remotes
            .iter()
            .map(|remote| remote.name.clone())
            .collect();
        let mut tips = BTreeSet::new();
        for (name, id) in &self.direct {
            let (class, bits) = self.class(name, config, &mut remotes);
            tips.insert(Tip {
                class,
                id: *id,
                remotes: bits,
            });
        }
        for (name, id) in &self.logged {
            let (class, bits) = match self.class(name, config, &mut remotes) {
                (Class::Remote, bits) => (Class::Remote, bits),
                _ if name == b"refs/stash" => (Class::Local, 0),
                _ => (Class::Unreferenced, 0),
            };
            tips.insert(Tip {
                class,
                id: *id,
                remotes: bits,
            });
        }
        (tips.into_iter().collect(), remotes)
    }

    fn class(&self, name: &[u8], config: &Config, remotes: &mut Vec<Vec<u8>>) -> (Class, u32) {
        if let Some(remote) = tracking(name, config) {
            let known = remotes.iter().position(|known| known == remote);
            let number = known.unwrap_or_else(|| {
                remotes.push(remote.to_vec());
                remotes.len() - 1
            });
            let bit = if number < REMOTES { 1 << number } else { 0 };
            return (Class::Remote, bit);
        }
        let class = match name.strip_prefix(b"refs/heads/") {
            Some(branch) if self.upstream_is_gone(branch, config) => Class::UpstreamGone,
            Some(_) => Class::Local,
            None if matches!(name, b"HEAD" | b"refs/stash") => Class::Local,
            None => Class::Other,
        };
        (class, 0)
    }

    /// Whether a branch had a tracking ref that is not there any more. A remote of which nothing was
    /// ever fetched or pushed has none to lose.
    fn upstream_is_gone(&self, branch: &[u8], config: &Config) -> bool {
        let branch = config.branches.iter().find(|one| one.name == branch);
        let Some(branch) = branch.filter(|branch| !branch.merge.is_empty()) else {
            return false;
        };
        let remote = config.remotes.iter().find(|one| one.name == branch.remote);
        let Some(remote) = remote else {
            // The remote itself was removed, and its refs with it; `.` is this repository.
            return !branch.remote.is_empty() && branch.remote != b".";
        };
        let to = remote
            .fetch
            .iter()
            .find_map(|(from, to)| matched(from, &branch.merge).map(|star| filled(to, star)));
        let ever = self
            .direct
            .keys()
            .any(|name| tracking(name, config) == Some(remote.name.as_slice()));
        to.is_some_and(|to| ever && !self.direct.contains_key(&to))
    }
}

/// The remote whose ref this is.
fn tracking<'a>(name: &'a [u8], config: &'a Config) -> Option<&'a [u8]> {
    let configured = config.remotes.iter().find(|remote| {
        let mut specs = remote.fetch.iter();
        specs.any(|(_, to)| matched(to, name).is_some())
    });
    if let Some(remote) = configured {
        return Some(&remote.name);
    }
    let rest = name.strip_prefix(b"refs/remotes/")?;
    let named = config
        .remotes
        .iter()
        .filter(|remote| {
            rest.strip_prefix(remote.name.as_slice())
                .is_some_and(|rest| rest.starts_with(b"/"))
        })
        .max_by_key(|remote| remote.name.len());
    match named {
        Some(remote) => Some(&remote.name),
        None => rest.split(|&byte| byte == b'/').next(),
    }
}
