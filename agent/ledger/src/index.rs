//! The read-index: which files were read in which state, so that an unchanged one is not read again.
//!
//! A cache in a flat file, one or two small reads a question and no memory of its own. It is never
//! believed more than the ledger: see the crate's text for its layout and for when it is started
//! anew. Keys are 64 bits of a hash; two paths that share them only push each other out, since a
//! file is skipped only when device, inode, size, ctime and mtime are the remembered ones as well.
//! Every failure of it means *read the file*.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::reading::FileState;

const NAME: &str = "read-index";
const MAGIC: &[u8; 8] = b"AKWIDX1\n";
const HEAD: u64 = 4096;
const HEAD_USED: usize = 72;
const SLOT: usize = 64;
/// Slots among which a path chooses: one read fetches them all.
const WAYS: usize = 16;
const BUCKET: usize = WAYS * SLOT;
/// In the place of a file's lines: it was read to its end, and still not everything in it is known.
const NOT_ALL_KNOWN: u32 = u32::MAX;

/// A path as the index knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PathKey(u64);

impl PathKey {
    /// Of a path's raw bytes.
    #[must_use]
    pub fn of(path: &[u8]) -> PathKey {
        PathKey(hash64(b"akwatch path v1\0", &[path]))
    }
}

/// What the last bytes before a remembered end were: a keyed hash made by whoever read them.
///
/// Keyed, because an unkeyed hash of the end of a file would let its holder test guesses of what
/// stands there. The ledger only compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TailMark(pub u64);

/// What is remembered of a file that was read to its end.
#[derive(Clone, Debug)]
pub struct Remembered<'a> {
    /// Its state, equal before and after the read.
    pub state: FileState,
    /// The rule set that it was read with.
    pub rules_version: &'a str,
    /// Line breaks up to its end, for the line numbers of what is appended.
    pub lines: u32,
    /// The mark of its last bytes; without one, growth means reading it whole.
    pub tail: Option<TailMark>,
    /// Whether everything in it is known: no member was left unread, no match left out.
    pub all_known: bool,
}

/// How a file must be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// It was read in this very state with these rules.
    Skip,
    /// It has grown since. What was appended is enough if the bytes before `from` still have the
    /// mark; if they have not, it is [`Need::Whole`].
    Tail {
        /// The size that was read before.
        from: u64,
        /// Line breaks before `from`.
        lines: u32,
        /// What the bytes just before `from` must hash to.
        mark: TailMark,
    },
    /// From its first byte.
    Whole,
}

/// What an index must name to be believed.
#[derive(Clone, Debug)]
pub(crate) struct Belief {
    pub(crate) instance: Uuid,
    pub(crate) boot_id: String,
    pub(crate) generation: u64,
    pub(crate) revision: u64,
}

/// The file; without one everything is read.
#[derive(Debug)]
pub(crate) struct Index {
    file: Option<File>,
    head: Head,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Head {
    instance: Uuid,
    boot: [u8; 16],
    generation: u64,
    revision: u64,
    slots: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Slot {
    path: u64,
    dev: u64,
    ino: u64,
    size: u64,
    ctime: i64,
    /// 0 when there is none.
    mark: u64,
    rules: u32,
    lines: u32,
    mtime: u32,
}

impl Index {
    /// Opens the index, or starts it anew when it is not to be believed, and stamps it with the
    /// ledger's new generation.
    pub(crate) fn open(directory: &Path, slots: u64, belief: &Belief, generation: u64) -> Index {
        let slots = slots.div_ceil(WAYS as u64).max(1) * WAYS as u64;
        let boot = hash128(b"akwatch boot v1\0", belief.boot_id.as_bytes());
        let head = Head {
            instance: belief.instance,
            boot,
            generation,
            revision: belief.revision,
            slots,
        };
        let file = open_believed(directory, belief, boot, &head).ok();
        Index { file, head }
    }

    pub(crate) fn need(&self, path: PathKey, state: &FileState, rules: &str) -> Need {
        let Some((_, slot)) = self.find(path) else {
            return Need::Whole;
        };
        let same_rules = slot.rules == hash32(rules);
        let same_file = slot.dev == state.dev && slot.ino == state.ino;
        if !same_rules || !same_file {
            return Need::Whole;
        }
        let unchanged = slot.size == state.size
            && slot.ctime == state.ctime_ns
            && slot.mtime == fold(state.mtime_ns);
        if unchanged {
            return Need::Skip;
        }
        if state.size > slot.size && slot.size > 0 && slot.mark != 0 {
            return Need::Tail {
                from: slot.size,
                lines: slot.lines,
                mark: TailMark(slot.mark),
            };
        }
        Need::Whole
    }

    /// Whether a file at this path, on this device, was once read with these rules so that everything in
    /// it was known, whatever became of it since.
    pub(crate) fn was_known(&self, path: PathKey, device: u64, rules: &str) -> bool {
        self.find(path).is_some_and(|(_, slot)| {
            slot.rules == hash32(rules) && slot.dev == device && slot.lines != NOT_ALL_KNOWN
        })
    }

    pub(crate) fn remember(&mut self, path: PathKey, what: &Remembered<'_>, revision: u64) {
        let slot = Slot {
            path: path.0,
            dev: what.state.dev,
            ino: what.state.ino,
            size: what.state.size,
            ctime: what.state.ctime_ns,
            mark: what.tail.map_or(0, |mark| mark.0),
            rules: hash32(what.rules_version),
            lines: if what.all_known {
                what.lines.min(NOT_ALL_KNOWN - 1)
            } else if what.tail.is_none() {
                NOT_ALL_KNOWN
            } else {
                what.lines // of what is appended to nobody asks
            },
            mtime: fold(what.state.mtime_ns),
        };
        if self.write_slot(path, Some(slot), revision).is_err() {
            // A disk that is full: what cannot be remembered must at least not be wrong.
            self.forget(path);
        }
    }

    pub(crate) fn forget(&mut self, path: PathKey) {
        if self.find(path).is_some() && self.write_slot(path, None, self.head.revision).is_err() {
            // Better no index than one that says *unchanged* of what must be read.
            self.file = None;
        }
    }

    pub(crate) fn forget_all(&mut self) {
        let emptied = self
            .file
            .as_ref()
            .is_some_and(|file| start_anew(file, &self.head).is_ok());
        if !emptied {
            self.file = None;
        }
    }

    fn bucket(&self, path: PathKey) -> u64 {
        HEAD + (path.0 % (self.head.slots / WAYS as u64)) * BUCKET as u64
    }

    fn read_bucket(&self, path: PathKey) -> Option<[u8; BUCKET]> {
        let file = self.file.as_ref()?;
        let mut bucket = [0; BUCKET];
        file.read_exact_at(&mut bucket, self.bucket(path)).ok()?;
        Some(bucket)
    }

    fn find(&self, path: PathKey) -> Option<(usize, Slot)> {
        let bucket = self.read_bucket(path)?;
        (0..WAYS).find_map(|way| {
            let slot = Slot::read(&bucket[way * SLOT..(way + 1) * SLOT])?;
            (slot.path == path.0).then_some((way, slot))
        })
    }

    fn write_slot(&mut self, path: PathKey, slot: Option<Slot>, revision: u64) -> io::Result<()> {
        let at = self.bucket(path);
        let Some(file) = self.file.as_ref() else {
            return Ok(());
        };
        let mut bucket = [0; BUCKET];
        file.read_exact_at(&mut bucket, at)?;
        if revision > self.head.revision {
            self.head.revision = revision;
            file.write_all_at(&self.head.bytes(), 0)?;
        }
        let ways = || (0..WAYS).map(|way| Slot::read(&bucket[way * SLOT..(way + 1) * SLOT]));
        let own = ways().position(|slot| slot.is_some_and(|slot| slot.path == path.0));
        let free = ways().position(|slot| slot.is_none());
        // Whoever is pushed out is read again; which one does not matter, so a hash chooses.
        let victim = usize::try_from(path.0 >> 60).unwrap_or(0) % WAYS;
        let way = own.or(free).unwrap_or(victim);
        let bytes = slot.map_or([0; SLOT], |slot| slot.bytes());
        file.write_all_at(&bytes, at + (way * SLOT) as u64)
    }
}

/// Opens the file; empties it unless its head is one that this ledger wrote in this boot.
fn open_believed(
    directory: &Path,
    belief: &Belief,
    boot: [u8; 16],
    head: &Head,
) -> io::Result<File> {
    let file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(directory.join(NAME))?;
    let believed = Head::read(&file).is_some_and(|found| {
        found.instance == belief.instance
            && found.boot == boot
            && found.generation == belief.generation
            && found.revision <= belief.revision
            && found.slots == head.slots
    }) && file.metadata()?.len() == head.length();
    if believed {
        file.write_all_at(&head.bytes(), 0)?;
    } else {
        start_anew(&file, head)?;
    }
    Ok(file)
}

fn start_anew(file: &File, head: &Head) -> io::Result<()> {
    file.set_len(0)?;
    file.set_len(head.length())?;
    file.write_all_at(&head.bytes(), 0)
}

impl Head {
    fn length(&self) -> u64 {
        HEAD + self.slots * SLOT as u64
    }

    fn bytes(&self) -> [u8; HEAD_USED] {
        let mut bytes = [0; HEAD_USED];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..24].copy_from_slice(self.instance.as_bytes());
        bytes[24..40].copy_from_slice(&self.boot);
        bytes[40..48].copy_from_slice(&self.generation.to_le_bytes());
        bytes[48..56].copy_from_slice(&self.revision.to_le_bytes());
        bytes[56..64].copy_from_slice(&self.slots.to_le_bytes());
        let check = hash64(b"akwatch index head v1\0", &[&bytes[..64]]);
        bytes[64..].copy_from_slice(&check.to_le_bytes());
        bytes
    }

    fn read(file: &File) -> Option<Head> {
        let mut bytes = [0; HEAD_USED];
        file.read_exact_at(&mut bytes, 0).ok()?;
        let head = Head {
            instance: Uuid::from_slice(&bytes[8..24]).ok()?,
            boot: bytes[24..40].try_into().ok()?,
            generation: u64::from_le_bytes(bytes[40..48].try_into().ok()?),
            revision: u64::from_le_bytes(bytes[48..56].try_into().ok()?),
            slots: u64::from_le_bytes(bytes[56..64].try_into().ok()?),
        };
        (head.bytes() == bytes).then_some(head)
    }
}

impl Slot {
    fn bytes(&self) -> [u8; SLOT] {
        let mut bytes = [0; SLOT];
        bytes[..8].copy_from_slice(&self.path.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.dev.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.ino.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.size.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.ctime.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.mark.to_le_bytes());
        bytes[48..52].copy_from_slice(&self.rules.to_le_bytes());
        bytes[52..56].copy_from_slice(&self.lines.to_le_bytes());
        bytes[56..60].copy_from_slice(&self.mtime.to_le_bytes());
        let check = low32(hash64(b"akwatch index slot v1\0", &[&bytes[..60]]));
        bytes[60..].copy_from_slice(&check.to_le_bytes());
        bytes
    }

    /// A slot that was written whole; none for an empty or a torn one.
    fn read(bytes: &[u8]) -> Option<Slot> {
        let word = |at: usize| Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
        let half = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
        if bytes.iter().all(|byte| *byte == 0) {
            return None;
        }
        let slot = Slot {
            path: word(0)?,
            dev: word(8)?,
            ino: word(16)?,
            size: word(24)?,
            ctime: i64::from_le_bytes(bytes.get(32..40)?.try_into().ok()?),
            mark: word(40)?,
            rules: half(48)?,
            lines: half(52)?,
            mtime: half(56)?,
        };
        (slot.bytes() == bytes).then_some(slot)
    }
}

fn hash64(context: &[u8], parts: &[&[u8]]) -> u64 {
    let mut hash = Sha256::new();
    hash.update(context);
    for part in parts {
        hash.update(part);
    }
    let hash = hash.finalize();
    u64::from_le_bytes(hash[..8].try_into().expect("invariant: 8 of 32 bytes"))
}

fn hash128(context: &[u8], part: &[u8]) -> [u8; 16] {
    let mut hash = Sha256::new();
    hash.update(context);
    hash.update(part);
    hash.finalize()[..16]
        .try_into()
        .expect("invariant: 16 of 32 bytes")
}

fn hash32(text: &str) -> u32 {
    low32(hash64(b"akwatch rules v1\0", &[text.as_bytes()]))
}

fn fold(nanoseconds: i64) -> u32 {
    let bits = u64::from_le_bytes(nanoseconds.to_le_bytes());
    low32(bits ^ (bits >> 32))
}

fn low32(number: u64) -> u32 {
    u32::try_from(number & 0xffff_ffff).expect("invariant: 32 bits")
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATE: FileState = FileState {
        dev: 1,
        ino: 2,
        size: 100,
        ctime_ns: 5_000_000_001,
        mtime_ns: 5_000_000_000,
    };

    fn belief(revision: u64) -> Belief {
        Belief {
            instance: Uuid::from_u128(7),
            boot_id: "boot-a".to_owned(),
            generation: 3,
            revision,
        }
    }

    fn remembered(state: FileState) -> Remembered<'static> {
        Remembered {
            state,
            rules_version: "r1",
            lines: 4,
            tail: Some(TailMark(9)),
            all_known: true,
        }
    }

    fn index(directory: &Path) -> Index {
        Index::open(directory, 64, &belief(10), 4)
    }

    /// Remembers [`STATE`] and says what is needed for `state` under `rules`.
    fn check(state: FileState, rules: &str, expected: Need) {
        let directory = tempfile::tempdir().unwrap();
        let mut index = index(directory.path());
        let path = PathKey::of(b"/etc/app.env");
        assert_eq!(index.need(path, &STATE, "r1"), Need::Whole);
        index.remember(path, &remembered(STATE), 10);
        assert_eq!(index.need(path, &state, rules), expected);
        assert_eq!(
            index.need(PathKey::of(b"/other"), &state, rules),
            Need::Whole
        );
    }

    #[test]
    fn only_the_very_same_state_is_skipped() {
        check(STATE, "r1", Need::Skip);
        check(STATE, "r2", Need::Whole);
        check(
            FileState {
                ctime_ns: 6,
                ..STATE
            },
            "r1",
            Need::Whole,
        );
        check(
            FileState {
                mtime_ns: 6,
                ..STATE
            },
            "r1",
            Need::Whole,
        );
        check(FileState { ino: 3, ..STATE }, "r1", Need::Whole);
        check(FileState { size: 99, ..STATE }, "r1", Need::Whole);
    }

    #[test]
    fn growth_is_a_tail_of_the_same_file_only() {
        let grown = FileState {
            size: 150,
            ctime_ns: 6,
            ..STATE
        };
        let tail = Need::Tail {
            from: 100,
            lines: 4,
            mark: TailMark(9),
        };
        check(grown, "r1", tail);
        check(FileState { ino: 3, ..grown }, "r1", Need::Whole);
        check(FileState { dev: 3, ..grown }, "r1", Need::Whole);
        check(grown, "r2", Need::Whole);
    }

    #[test]
    fn an_index_of_another_ledger_boot_or_time_is_not_believed() {
        let path = PathKey::of(b"/etc/app.env");
        let reopened = |change: &dyn Fn(&mut Belief)| {
            let directory = tempfile::tempdir().unwrap();
            index(directory.path()).remember(path, &remembered(STATE), 12);
            let mut later = belief(12);
            later.generation = 4;
            change(&mut later);
            Index::open(directory.path(), 64, &later, 5).need(path, &STATE, "r1")
        };
        assert_eq!(reopened(&|_| {}), Need::Skip);
        assert_eq!(reopened(&|b| b.boot_id = "boot-b".to_owned()), Need::Whole);
        assert_eq!(reopened(&|b| b.instance = Uuid::from_u128(8)), Need::Whole);
        assert_eq!(reopened(&|b| b.generation = 3), Need::Whole);
        assert_eq!(reopened(&|b| b.revision = 11), Need::Whole);
    }

    #[test]
    fn damage_means_reading_again() {
        let path = PathKey::of(b"/etc/app.env");
        for (at, length) in [
            (0, None),
            (60, None),
            (HEAD, None),
            (HEAD + 70, None),
            (0, Some(10)),
        ] {
            let directory = tempfile::tempdir().unwrap();
            // One bucket, so that the path's slot is the first.
            Index::open(directory.path(), 16, &belief(10), 4).remember(
                path,
                &remembered(STATE),
                10,
            );
            let file = File::options()
                .read(true)
                .write(true)
                .open(directory.path().join(NAME))
                .unwrap();
            let mut byte = [0];
            file.read_exact_at(&mut byte, at).unwrap();
            file.write_all_at(&[byte[0] ^ 0x40], at).unwrap();
            if let Some(length) = length {
                file.set_len(length).unwrap();
            }
            let mut later = belief(10);
            later.generation = 4;
            let mut index = Index::open(directory.path(), 16, &later, 5);
            let need = index.need(path, &STATE, "r1");
            // Byte 70 of the bucket belongs to an empty second slot.
            let expected = if at == HEAD + 70 {
                Need::Skip
            } else {
                Need::Whole
            };
            assert_eq!(need, expected, "byte {at}");
            index.remember(path, &remembered(STATE), 11);
            assert_eq!(index.need(path, &STATE, "r1"), Need::Skip);
        }
    }

    #[test]
    fn it_never_grows_and_forgets_on_request() {
        let directory = tempfile::tempdir().unwrap();
        let mut index = index(directory.path());
        for number in 0..1000_u32 {
            let path = PathKey::of(&number.to_le_bytes());
            index.remember(path, &remembered(STATE), 10);
            assert_eq!(index.need(path, &STATE, "r1"), Need::Skip);
        }
        let length = std::fs::metadata(directory.path().join(NAME))
            .unwrap()
            .len();
        assert_eq!(length, HEAD + 64 * SLOT as u64);
        let path = PathKey::of(&999_u32.to_le_bytes());
        index.forget(path);
        assert_eq!(index.need(path, &STATE, "r1"), Need::Whole);
        index.remember(path, &remembered(STATE), 10);
        index.forget_all();
        assert_eq!(index.need(path, &STATE, "r1"), Need::Whole);
    }
}
