//! Who wrote what: the processes that the kernel names with writes, looked at while they live.
//!
//! A process is looked at once a batch, and what is known of it is kept for the next batch, as long as
//! it is the same. Of a file that two processes wrote before it is read nobody can say which of them
//! wrote what, so neither is named.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use akwatch_ledger::reading::{FileState, ProcessInstance};
use akwatch_sys::fanotify::{CLOSE_WRITE, CREATE, MOVED_TO};
use rustix::fs::Stat;

use crate::host::Root;
use crate::host::writer::{Look, Writer};
use crate::open::state_of;

/// Processes looked at in one batch, each some 50 µs. Stops: a storm of writes by as many processes.
const LOOKS: usize = 64;

/// Processes that are kept from batch to batch.
const KEPT: usize = 256;

/// Files that were created and are not yet closed.
const CREATED: usize = 256;

/// How long after its creation of a file a process that has ended may still be the one that closed it:
/// within this time no pid comes round again for that very file.
const ENDED_WITHIN: Duration = Duration::from_secs(1);

/// Who wrote a file, and how far that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hand {
    /// Which process.
    pub instance: ProcessInstance,
    /// What it is.
    pub writer: Arc<Writer>,
    /// The file's state when the write was told: in another one, somebody else has written since.
    pub state: FileState,
    /// The process made the file or moved it here: nothing in it was here before.
    pub whole: bool,
    /// The file has no other name through which it may have been written without being told here.
    pub alone: bool,
}

/// A file that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Which file.
    pub path: PathBuf,
    /// By whom; none where nobody can say.
    pub hand: Option<Hand>,
}

/// What one batch says of a file.
#[derive(Clone, Debug, Default)]
pub(super) struct Touch {
    /// Who wrote it; 0 for nobody yet.
    pid: i32,
    look: Option<Look>,
    whole: bool,
    /// Somebody wrote it that is not known, or several did.
    unknown: bool,
}

struct Created {
    pid: i32,
    look: Option<Look>,
    at: Instant,
}

/// The processes of one sensor.
#[derive(Default)]
pub(super) struct Hands {
    batch: HashMap<i32, Option<Look>>,
    kept: HashMap<i32, Look>,
    created: HashMap<PathBuf, Created>,
}

impl Hands {
    /// A new batch begins: who lived in the last one may have ended.
    pub(super) fn begin(&mut self) {
        self.batch.clear();
    }

    /// A file was created: whoever did that lives now, and may have ended by the time it is closed.
    pub(super) fn created(&mut self, root: &Root, path: &Path, pid: i32) {
        if self.created.len() >= CREATED {
            self.created.clear();
        }
        let look = self.look(root, pid);
        let at = Instant::now();
        self.created
            .insert(path.to_owned(), Created { pid, look, at });
    }

    /// A file was written, made or moved here by `pid`.
    pub(super) fn touched(
        &mut self,
        root: &Root,
        path: &Path,
        (mask, pid): (u64, i32),
        touch: &mut Touch,
    ) {
        if mask & (CLOSE_WRITE | MOVED_TO | CREATE) == 0 {
            return; // it left this name: nobody wrote anything
        }
        let created = self.created.remove(path);
        let begins = mask & (MOVED_TO | CREATE) != 0;
        let strange = created.as_ref().is_some_and(|created| created.pid != pid);
        touch.unknown |= pid <= 0 || (touch.pid != 0 && touch.pid != pid) || (strange && !begins);
        touch.pid = pid;
        touch.whole |= begins || (created.is_some() && !strange);
        let then = created.filter(|created| !strange && created.at.elapsed() < ENDED_WITHIN);
        touch.look = self
            .look(root, pid)
            .or_else(|| then.and_then(|created| created.look))
            .or_else(|| touch.look.take());
    }

    fn look(&mut self, root: &Root, pid: i32) -> Option<Look> {
        if let Some(look) = self.batch.get(&pid) {
            return look.clone();
        }
        if pid <= 0 || self.batch.len() >= LOOKS {
            return None;
        }
        let look = Look::at(root, pid, self.kept.get(&pid));
        if self.kept.len() >= KEPT {
            self.kept.clear();
        }
        match &look {
            Some(look) => drop(self.kept.insert(pid, look.clone())),
            None => drop(self.kept.remove(&pid)),
        }
        self.batch.insert(pid, look.clone());
        look
    }
}

/// Whether nobody but this user may have opened a file for writing. The kernel names who closed it last:
/// a descriptor that was handed to another process is closed by that one, which wrote nothing.
fn is_own(stat: &Stat, uid: u32) -> bool {
    stat.st_uid == uid && stat.st_mode & 0o022 == 0
}

impl Touch {
    /// Whose hand it was, if that can be said of the file as it is now.
    pub(super) fn hand(self, root: &Root, path: &Path) -> Option<Hand> {
        let look = self.look.filter(|_| !self.unknown)?;
        let stat = root.look(path).ok()?;
        let state = state_of(&stat);
        if !self.whole && !is_own(&stat, look.writer.uid) {
            return None;
        }
        look.began_before(&state).then_some(Hand {
            instance: look.instance,
            writer: look.writer,
            state,
            whole: self.whole,
            alone: stat.st_nlink == 1,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_file_that_others_may_write_was_written_by_nobody_who_can_be_named() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("app.env");
        std::fs::write(&file, "").unwrap();
        let own = nix::unistd::geteuid().as_raw();
        for (mode, uid, owned) in [
            (0o644, own, true),
            (0o600, own, true),
            (0o644, own + 1, false),
            (0o664, own, false),
            (0o646, own, false),
        ] {
            std::fs::set_permissions(&file, PermissionsExt::from_mode(mode)).unwrap();
            let stat = rustix::fs::stat(&file).unwrap();
            assert_eq!(is_own(&stat, uid), owned, "{mode:o} of {uid}");
        }
    }
}
