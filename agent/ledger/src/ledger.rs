//! Opening a ledger, and the transactions that it consists of.

use std::fs::{File, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use akwatch_proto::digest::SetDigest;
use akwatch_proto::finding::{Finding, FindingKey, UnknownWhy};
use akwatch_proto::git::Git;
use akwatch_proto::time::Time;
use redb::WriteTransaction;
use uuid::Uuid;

use crate::apply::{Changes, Draft};
use crate::delivery::InFlight;
use crate::error::{Fault, LedgerError};
use crate::format::Meta;
use crate::in_force::InForce;
use crate::index::{Belief, Index, Need, PathKey, Remembered};
use crate::instance::{COUNTER_BLOCK, InstanceFile, Numbers, REVISION_BLOCK};
use crate::presence::Checks;
use crate::reading::{FileState, Reading};
use crate::reserve::Reserve;
use crate::room::Room;
use crate::shelf::{Medium, Shelf, Unusable, write_meta};

/// How long findings that are gone are kept after the collector knows, in milliseconds: 30 days.
pub const KEEP_GONE_MS: i64 = 30 * 24 * 60 * 60 * 1000;

/// Locked by the one process that has the ledger open.
const LOCK: &str = "lock";

/// Heartbeats between two attempts to reserve more counters.
const COUNTER_AGAIN: u64 = 16;

/// Bytes of disk that a finding takes, its part of indexes and free pages included.
const FINDING_BYTES: u64 = 1342;

/// Bytes of one slot of the read-index.
const SLOT_BYTES: u64 = 64;

/// How a ledger is opened.
#[derive(Clone, Debug)]
pub struct Options {
    /// `/proc/sys/kernel/random/boot_id`: process ids and device numbers hold for one boot.
    pub boot_id: String,
    /// Bytes of redb's cache.
    pub cache_bytes: usize,
    /// Files that the read-index can remember, at 64 bytes of sparse file each; rounded up to a
    /// multiple of 16.
    pub index_slots: u64,
    /// Findings that are kept, gone ones included. Stops: a host that is filled with generated keys
    /// until the disk is full; a finding takes about 1.3 KB.
    pub most_findings: u64,
    /// Bytes of disk that the ledger's file may take before no new finding is kept. Stops: names made
    /// to be as long as a path may be.
    pub most_bytes: u64,
    /// Bytes of a damaged file that is set aside instead of being removed.
    pub most_aside: u64,
}

impl Options {
    /// The defaults: 4 MiB of cache, 1,048,576 files, 200,000 findings.
    #[must_use]
    pub fn new(boot_id: impl Into<String>) -> Options {
        Options {
            boot_id: boot_id.into(),
            cache_bytes: 2 * 1024 * 1024,
            index_slots: 1 << 20,
            most_findings: 200_000,
            most_bytes: 256 << 20,
            most_aside: 48 << 20,
        }
    }

    /// The same within so many bytes of disk for everything that lies in the directory: two thirds for
    /// the ledger, a sixth for the index, an eighth for a damaged ledger, the rest for the reserve and
    /// what is small.
    #[must_use]
    pub fn within(self, disk_bytes: u64) -> Options {
        let most_bytes = disk_bytes / 3 * 2;
        Options {
            index_slots: (disk_bytes / 6 / SLOT_BYTES).min(self.index_slots),
            most_findings: most_bytes / 8 * 7 / FINDING_BYTES,
            most_bytes,
            most_aside: disk_bytes / 8,
            ..self
        }
    }
}

/// The ledger was damaged and started anew: everything that it knew is unknown until it is read
/// again. To be stated in coverage; the collector sees another digest and asks for everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordLost {
    /// Where the damaged file lies now, if it was not too large to be kept.
    pub set_aside: PathBuf,
    /// What did not fit.
    pub what: String,
}

/// What this host holds. One process, one thread; calls that write return when it is durable.
///
/// Calls that only read take `&mut self` too, because a medium that failed is opened again first.
#[derive(Debug)]
pub struct Ledger {
    pub(crate) shelf: Shelf,
    pub(crate) meta: Meta,
    pub(crate) in_force: InForce,
    pub(crate) in_flight: Vec<InFlight>,
    checks: Checks,
    most_findings: u64,
    room: Room,
    numbers: InstanceFile,
    counter: u64,
    index: Index,
    reserve: Reserve,
    /// What opening could not write, because there was no room for it.
    pub(crate) begins: Option<Beginning>,
    lost: Option<RecordLost>,
    put_back: bool,
    _lock: File,
}

/// How a ledger is begun: with which state, and whether the host was booted since.
#[derive(Clone, Debug)]
pub(crate) struct Beginning {
    meta: Meta,
    rebooted: bool,
}

impl Ledger {
    /// Takes the ledger in `directory` without opening it: for who removes it whole. None where there is
    /// none. It is held until what is given back is dropped.
    ///
    /// # Errors
    /// When another process holds it, or the file system refuses.
    pub fn hold(directory: &Path) -> Result<Option<Held>, LedgerError> {
        let path = directory.join(LOCK);
        let failed = |source: io::Error| LedgerError::Directory {
            step: "locking",
            path: path.clone(),
            source,
        };
        match path.symlink_metadata() {
            Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(why) => return Err(failed(why)),
            // Whose directory it is may not be who asks: nothing is written, no link followed.
            Ok(found) if !found.is_file() => {
                return Err(failed(io::ErrorKind::InvalidInput.into()));
            }
            Ok(_) => {}
        }
        let mut lock = File::open(&path).map_err(failed)?;
        take(&mut lock, directory, failed)?;
        Ok(Some(Held { _lock: lock }))
    }

    /// Opens the ledger in `directory`, which is made if need be.
    ///
    /// A damaged file is set aside by renaming and a new one begun; [`lost`](Ledger::lost) says so.
    ///
    /// # Errors
    /// When another process holds it, a newer program wrote it, or the file system refuses.
    pub fn open(directory: &Path, options: &Options) -> Result<Ledger, LedgerError> {
        Ledger::open_on(directory, options, Medium::File)
    }

    pub(crate) fn open_on(
        directory: &Path,
        options: &Options,
        medium: Medium,
    ) -> Result<Ledger, LedgerError> {
        std::fs::create_dir_all(directory).map_err(|source| LedgerError::Directory {
            step: "creating",
            path: directory.to_owned(),
            source,
        })?;
        let lock = lock(directory)?;
        let (mut numbers, numbers_known) = InstanceFile::open(directory)?;
        let mut shelf = Shelf::new(directory, options, medium);
        let (before, lost) = open_or_set_aside(&mut shelf)?;
        let belief = Belief {
            instance: before
                .as_ref()
                .map_or(numbers.numbers.instance, |meta| meta.instance),
            boot_id: options.boot_id.clone(),
            generation: before.as_ref().map_or(0, |meta| meta.generation),
            revision: before.as_ref().map_or(0, |meta| meta.revision),
        };
        let put_back = before
            .as_ref()
            .is_some_and(|before| before.generation < numbers.numbers.generation);
        let meta = begin_meta(before.as_ref(), &numbers.numbers, &options.boot_id);
        if !numbers_known {
            // The number in the ledger outlasts a lost file, and the other way round.
            numbers.numbers.instance = meta.instance;
        }
        let mut reserve = Reserve::open(directory);
        let counter = numbers.numbers.counter_ceiling;
        let raised = Numbers {
            instance: meta.instance,
            counter_ceiling: counter + COUNTER_BLOCK,
            revision_ceiling: numbers
                .numbers
                .revision_ceiling
                .max(meta.revision + REVISION_BLOCK),
            generation: numbers.numbers.generation,
        };
        // A new ledger must be written; one that is there serves on a full disk, too.
        let may_wait = before.is_some() && numbers_known;
        with_room(&mut reserve, || numbers.raise(raised))
            .or_else(|error| waits(may_wait, error))?;
        let rebooted = before
            .as_ref()
            .is_some_and(|before| before.boot_id != options.boot_id);
        let beginning = Beginning { meta, rebooted };
        let begun = with_room(&mut reserve, || begin(&mut shelf, &beginning));
        let begins = match begun {
            Ok(()) => None,
            Err(error) => waits(may_wait, error).map(|()| Some(beginning.clone()))?,
        };
        let meta = beginning.meta;
        if begins.is_none() {
            with_room(&mut reserve, || numbers.opened(meta.generation))
                .or_else(|error| waits(may_wait, error))?;
        }
        let index = Index::open(directory, options.index_slots, &belief, meta.generation);
        Ok(Ledger {
            shelf,
            meta,
            in_force: InForce::nothing(),
            in_flight: Vec::new(),
            checks: Checks::default(),
            most_findings: options.most_findings,
            room: Room::of(options.most_bytes),
            numbers,
            counter,
            index,
            reserve,
            begins,
            lost,
            put_back,
            _lock: lock,
        })
    }

    /// Keeps room for a disk that fills up, if there is any; says whether there is.
    pub fn keep_reserve(&mut self) -> bool {
        if !self.reserve.is_kept() {
            self.reserve.keep();
        }
        self.reserve.is_kept()
    }

    /// Whether there is room on a disk that fills up: without it the disk is full, or was a moment ago.
    #[must_use]
    pub fn has_reserve(&self) -> bool {
        self.reserve.is_kept()
    }

    /// What was lost when the ledger was opened.
    #[must_use]
    pub fn lost(&self) -> Option<&RecordLost> {
        self.lost.as_ref()
    }

    /// Whether the ledger was put back from an older copy: what it held since is lost, and the
    /// collector is told everything again.
    #[must_use]
    pub fn put_back(&self) -> bool {
        self.put_back
    }

    /// The state directory's own number, made once.
    #[must_use]
    pub fn instance(&self) -> Uuid {
        self.meta.instance
    }

    /// The last revision given out.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.meta.revision
    }

    /// The last revision that the collector acknowledged.
    #[must_use]
    pub fn acknowledged(&self) -> u64 {
        self.meta.acknowledged
    }

    /// The digest of what the collector has acknowledged: for the heartbeat.
    #[must_use]
    pub fn digest(&self) -> SetDigest {
        self.meta.digest
    }

    /// A number that is higher than every one before, over restarts and a damaged ledger: for the
    /// heartbeat. Where the next ones cannot be reserved it still rises within this run.
    pub fn counter(&mut self) -> u64 {
        self.counter += 1;
        if self.counter + COUNTER_BLOCK / 2 > self.numbers.numbers.counter_ceiling
            && self.counter.is_multiple_of(COUNTER_AGAIN)
        {
            let numbers = Numbers {
                counter_ceiling: self.counter + COUNTER_BLOCK,
                ..self.numbers.numbers
            };
            // Tried again soon, long before those that are reserved come to their end.
            let _ = with_room(&mut self.reserve, || self.numbers.raise(numbers));
        }
        self.counter
    }

    /// What readings are made with: until this is set, nothing can be called gone. Change it in
    /// place for new rules, keys, policy or limits.
    pub fn in_force(&mut self) -> &mut InForce {
        &mut self.in_force
    }

    /// Makes readings part of the truth, in one durable transaction: all of them or none.
    ///
    /// Readings of processes that were made during a sweep are committed before or together with
    /// the sweep's own, in that order. A commit that changes nothing writes nothing.
    ///
    /// # Errors
    /// When not all of it could be made durable: then it is committed again.
    pub fn commit(&mut self, readings: &[Reading]) -> Result<Changes, LedgerError> {
        let checks = self.checks;
        let (mut changes, mut next) = (Changes::default(), 0);
        loop {
            let (more, reached) = self.write("committing readings", |draft, meta, in_force| {
                let reached = draft.apply_some(meta, readings, next, in_force, checks)?;
                Ok((std::mem::take(&mut draft.changes), reached))
            })?;
            changes.add(more);
            next = reached;
            if next == readings.len() {
                break;
            }
        }
        changes.revision = self.meta.revision;
        self.room.is_short |= changes.not_kept > 0;
        Ok(changes)
    }

    /// Makes unknown every finding that is not gone and for which `concerns` holds: a rule that was
    /// removed, a path that policy no longer covers, a sensor that went down a rung.
    ///
    /// # Errors
    /// As for [`commit`](Ledger::commit).
    pub fn unknown_where(
        &mut self,
        why: UnknownWhy,
        at: Time,
        mut concerns: impl FnMut(&Finding) -> bool,
    ) -> Result<Changes, LedgerError> {
        let mut changes = self.write("marking findings unknown", |draft, meta, _| {
            draft.make_unknown(meta, &mut concerns, why, at)?;
            Ok(std::mem::take(&mut draft.changes))
        })?;
        changes.revision = self.meta.revision;
        Ok(changes)
    }

    /// Notes what Git says of findings; none where they lie in no repository any more. What was pushed
    /// stays pushed. Findings that are not held are passed over.
    ///
    /// # Errors
    /// As for [`commit`](Ledger::commit).
    pub fn note_git(&mut self, said: &[(FindingKey, Option<Git>)]) -> Result<Changes, LedgerError> {
        let mut changes = self.write("noting what Git says", |draft, meta, _| {
            for (key, git) in said {
                draft.note_git(meta, key, git.as_ref())?;
            }
            Ok(std::mem::take(&mut draft.changes))
        })?;
        changes.revision = self.meta.revision;
        Ok(changes)
    }

    /// Forgets findings that have been gone for [`KEEP_GONE_MS`] and that the collector knows to be
    /// gone. Says how many. Where there was no room for what was found, every one that the collector knows
    /// to be gone makes way.
    ///
    /// # Errors
    /// As for [`commit`](Ledger::commit).
    pub fn forget_gone(&mut self, now: Time) -> Result<usize, LedgerError> {
        let keep = if self.room.is_short { 0 } else { KEEP_GONE_MS };
        let before = now.plus(1 - keep);
        let forgotten = self.write("forgetting what is long gone", |draft, meta, _| {
            draft.forget_gone(meta, before)
        })?;
        self.room.is_short = false;
        let file = self.shelf.disk_bytes();
        if self.room.is_worth_compacting(file) {
            self.compact()?;
        }
        Ok(forgotten)
    }

    /// Gives back to the disk what is free inside the file: as many bytes may be written as it holds.
    fn compact(&mut self) -> Result<(), LedgerError> {
        let compacted = self.shelf.compact();
        compacted.map_err(|fault| self.failed("compacting", fault))?;
        self.room.count_anew();
        Ok(())
    }

    /// Whether something was not kept since anything was last forgotten.
    #[must_use]
    pub fn is_short(&self) -> bool {
        self.room.is_short
    }

    /// Whether and how a file must be read.
    #[must_use]
    pub fn need(&self, path: PathKey, state: &FileState, rules_version: &str) -> Need {
        self.index.need(path, state, rules_version)
    }

    /// Whether everything that a file at this path held on this device was known once, by these rules.
    #[must_use]
    pub fn was_known(&self, path: PathKey, device: u64, rules_version: &str) -> bool {
        self.index.was_known(path, device, rules_version)
    }

    /// Remembers that a file was read: only after the commit of what it held has returned. A cache:
    /// what cannot be remembered is read again.
    pub fn remember(&mut self, path: PathKey, remembered: &Remembered<'_>) {
        self.index.remember(path, remembered, self.meta.revision);
    }

    /// Forgets that a file was read.
    pub fn forget(&mut self, path: PathKey) {
        self.index.forget(path);
    }

    /// Forgets of every file that it was read: for limits that were raised or policy that widened.
    pub fn forget_all(&mut self) {
        self.index.forget_all();
    }

    /// One transaction: all or nothing, and nothing when it changes nothing. Without room it is tried
    /// once more in what was kept.
    pub(crate) fn write<T>(
        &mut self,
        step: &'static str,
        mut change: impl FnMut(&mut Draft<'_>, &mut Meta, &InForce) -> Result<T, Fault>,
    ) -> Result<T, LedgerError> {
        match self.write_once(step, &mut change) {
            Err(error) if error.is_full() && self.reserve.give_up() => {
                self.write_once(step, &mut change)
            }
            written => written,
        }
    }

    fn write_once<T>(
        &mut self,
        step: &'static str,
        change: &mut impl FnMut(&mut Draft<'_>, &mut Meta, &InForce) -> Result<T, Fault>,
    ) -> Result<T, LedgerError> {
        self.reopen_if_closed(step)?;
        self.begin_if_waiting()?;
        let mut meta = self.meta.clone();
        let disk_bytes = self.shelf.disk_bytes();
        let result = self.shelf.begin().and_then(|transaction| {
            let room = self.room.left(disk_bytes, &transaction)?;
            let (value, dirty) = {
                let mut draft = Draft::open(&transaction, self.most_findings, room)?;
                let value = change(&mut draft, &mut meta, &self.in_force)?;
                self.room.change(room - draft.room, draft.freed);
                (value, draft.dirty)
            };
            if dirty || meta != self.meta {
                finish(transaction, &meta, &mut self.numbers)?;
            } else {
                transaction.abort()?;
            }
            Ok(value)
        });
        match result {
            Ok(value) => {
                self.meta = meta;
                Ok(value)
            }
            Err(fault) => Err(self.failed(step, fault)),
        }
    }

    /// Writes what opening had no room for.
    fn begin_if_waiting(&mut self) -> Result<(), LedgerError> {
        let Some(beginning) = self.begins.clone() else {
            return Ok(());
        };
        begin(&mut self.shelf, &beginning)?;
        self.meta = beginning.meta;
        self.begins = None;
        self.numbers.opened(self.meta.generation)
    }

    /// One look.
    pub(crate) fn read<T>(
        &mut self,
        step: &'static str,
        look: impl FnOnce(&redb::ReadTransaction) -> Result<T, Fault>,
    ) -> Result<T, LedgerError> {
        self.reopen_if_closed(step)?;
        self.shelf
            .read(look)
            .map_err(|fault| self.failed(step, fault))
    }

    /// After a failure the database is opened again, so that the next call finds it usable and the
    /// state in memory is the one on disk.
    fn failed(&mut self, step: &'static str, fault: Fault) -> LedgerError {
        if !matches!(fault, Fault::Beside(_)) {
            self.shelf.close();
            // If this fails too, the next call tries again and says why.
            let _ = self.reopen_if_closed(step);
        }
        fault.within(step, &self.shelf.path)
    }

    fn reopen_if_closed(&mut self, step: &'static str) -> Result<(), LedgerError> {
        if !self.shelf.is_closed() {
            return Ok(());
        }
        match self.shelf.open() {
            Ok(Some(meta)) => {
                self.meta = meta;
                Ok(())
            }
            Ok(None) => {
                self.shelf.close();
                Err(self.damaged("it is empty".to_owned()))
            }
            Err(Unusable::Damaged(what)) => Err(self.damaged(what)),
            Err(Unusable::Error(LedgerError::Medium { path, source, .. })) => {
                Err(LedgerError::Medium { step, path, source })
            }
            Err(Unusable::Error(error)) => Err(error),
        }
    }

    fn damaged(&self, what: String) -> LedgerError {
        LedgerError::Damaged {
            path: self.shelf.path.clone(),
            what,
        }
    }

    #[cfg(test)]
    pub(crate) fn leave_out(&mut self, check: &'static str) {
        self.checks.without = Some(check);
    }
}

/// Writes the state and makes everything durable. Revisions beyond the reserved ones are reserved
/// first, so that none is ever given out twice.
fn finish(
    transaction: WriteTransaction,
    meta: &Meta,
    numbers: &mut InstanceFile,
) -> Result<(), Fault> {
    if meta.revision > numbers.numbers.revision_ceiling {
        numbers.raise(Numbers {
            revision_ceiling: meta.revision + REVISION_BLOCK,
            ..numbers.numbers
        })?;
    }
    write_meta(&transaction, meta)?;
    transaction.commit()?;
    Ok(())
}

fn open_or_set_aside(shelf: &mut Shelf) -> Result<(Option<Meta>, Option<RecordLost>), LedgerError> {
    let what = match shelf.open() {
        Ok(meta) => return Ok((meta, None)),
        Err(Unusable::Error(error)) => return Err(error),
        Err(Unusable::Damaged(what)) => what,
    };
    let set_aside = shelf.set_aside()?;
    match shelf.open() {
        Ok(meta) => Ok((meta, Some(RecordLost { set_aside, what }))),
        Err(Unusable::Error(error)) => Err(error),
        Err(Unusable::Damaged(what)) => Err(LedgerError::Damaged {
            path: shelf.path.clone(),
            what,
        }),
    }
}

/// The state with which this opening begins.
fn begin_meta(before: Option<&Meta>, numbers: &Numbers, boot_id: &str) -> Meta {
    match before {
        Some(meta) if meta.generation < numbers.generation => Meta {
            boot_id: boot_id.to_owned(),
            generation: numbers.generation + 1,
            // An acknowledgement that the collector never gave makes it ask for everything.
            revision: numbers.revision_ceiling.max(meta.revision),
            acknowledged: numbers.revision_ceiling.max(meta.revision),
            ..meta.clone()
        },
        Some(meta) => Meta {
            boot_id: boot_id.to_owned(),
            generation: meta.generation + 1,
            ..meta.clone()
        },
        None => Meta {
            instance: numbers.instance,
            boot_id: boot_id.to_owned(),
            generation: 1,
            // Above everything that a lost ledger may have given out.
            revision: numbers.revision_ceiling,
            acknowledged: numbers.revision_ceiling,
            round: 0,
            resync: None,
            digest: SetDigest::default(),
        },
    }
}

/// Writes the state with which a run begins. The next call opens a file whose medium failed again.
fn begin(shelf: &mut Shelf, beginning: &Beginning) -> Result<(), LedgerError> {
    if shelf.is_closed() {
        match shelf.open() {
            Ok(_) => {}
            Err(Unusable::Error(error)) => return Err(error),
            Err(Unusable::Damaged(what)) => {
                let path = shelf.path.clone();
                return Err(LedgerError::Damaged { path, what });
            }
        }
    }
    let begun = write_beginning(shelf, beginning);
    begun.map_err(|fault| {
        if !matches!(fault, Fault::Beside(_)) {
            shelf.close();
        }
        fault.within("opening", &shelf.path)
    })
}

fn write_beginning(shelf: &Shelf, beginning: &Beginning) -> Result<(), Fault> {
    let transaction = shelf.begin()?;
    {
        let mut draft = Draft::open(&transaction, 0, 0)?;
        if beginning.rebooted {
            draft.forget_holders()?;
        }
    }
    write_meta(&transaction, &beginning.meta)?;
    transaction.commit()?;
    crate::instance::sync_directory_of(&shelf.path).map_err(|source| {
        Fault::Beside(LedgerError::Directory {
            step: "syncing the directory of",
            path: shelf.path.clone(),
            source,
        })
    })
}

/// Tries once more in what was kept, where there is no room.
fn with_room<T>(
    reserve: &mut Reserve,
    mut write: impl FnMut() -> Result<T, LedgerError>,
) -> Result<T, LedgerError> {
    match write() {
        Err(error) if error.is_full() && reserve.give_up() => write(),
        written => written,
    }
}

/// Lets what only lacks room wait, if it may.
fn waits(may_wait: bool, error: LedgerError) -> Result<(), LedgerError> {
    if may_wait && error.is_full() {
        Ok(())
    } else {
        Err(error)
    }
}

/// A ledger that nobody opens meanwhile.
#[derive(Debug)]
pub struct Held {
    _lock: File,
}

/// Takes the directory's lock and writes this process's id into it.
fn lock(directory: &Path) -> Result<File, LedgerError> {
    let path = directory.join(LOCK);
    let failed = |source: io::Error| LedgerError::Directory {
        step: "locking",
        path: path.clone(),
        source,
    };
    let mut file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(failed)?;
    take(&mut file, directory, failed)?;
    // The lock counts, the number is for people: a full disk has no room for it.
    let _ = file
        .set_len(0)
        .and_then(|()| writeln!(file, "{}", std::process::id()));
    Ok(file)
}

/// Takes the lock of an open file of `directory`.
fn take(
    file: &mut File,
    directory: &Path,
    failed: impl Fn(io::Error) -> LedgerError,
) -> Result<(), LedgerError> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            let holder = match file.take(32).read_to_string(&mut text) {
                Ok(_) if text.trim().parse::<u32>().is_ok() => format!("process {}", text.trim()),
                _ => "another process".to_owned(),
            };
            Err(LedgerError::InUse {
                path: directory.to_owned(),
                holder,
            })
        }
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}
