//! What this host holds, and what the collector has yet to hear.
//!
//! The ledger is the one durable truth of an agent. It keeps findings (redacted: no secret can be in
//! it), each with the revision of its last change; what is unsent is whatever is newer than the
//! acknowledged revision. It decides presence: *gone* is written in one function, from a [`Reading`]
//! whose extent is [`Extent::Whole`] or [`Extent::Absent`]. It reads no clock, opens no place and
//! knows no rule: the watcher says what was read and [what is in force](InForce).
//!
//! # On disk
//!
//! One directory, one process at a time (an advisory lock on `lock`, which names the holder):
//!
//! | file | what | when lost or damaged |
//! |---|---|---|
//! | `ledger.redb` | findings, revisions, what processes hold, the state | set aside as `ledger.redb.damaged-N`; the host is read anew, the collector asks for everything |
//! | `instance` | the directory's number, ceilings for revision and counter, and how often the ledger was opened | the collector sees a clone or a restored host, as it should |
//! | `read-index` | which files were read in which state: a cache | everything is read again |
//! | `reserve` | 1 MiB of no meaning, given up when the disk is full | made again when there is room |
//! | `lock` | advisory lock; the holder's pid | made again |
//!
//! `ledger.redb`, format 1, has five tables. Values are JSON.
//!
//! | table | key | value |
//! |---|---|---|
//! | `meta` | `format`, `state` | the format's number; instance, boot, generation, revision, acknowledged revision, round and id of the full list under way, digest |
//! | `finding` | group (16 bytes) and hash of the finding's key (16 bytes) | the finding as it is reported, and since when it was present without a break, limits it was read under, the process that lends it its attributes, the state that the collector acknowledged |
//! | `revision` | revision (8 bytes) | the finding's row; one entry for each finding, at its last change |
//! | `asked` | group (16 bytes) and hash of the place (16 bytes) | a place that the collector asked for after a full list, the rules that matter, and the answer until the collector has it |
//! | `holder` | pid and start time (12 bytes) | which findings that process holds, and why it may hold more |
//!
//! A group is what is read together: a tag (1 file, 2 history, 3 process) and 15 bytes of
//! SHA-256 over the outer place, so that one range holds all findings of one reading. Each commit is
//! one redb transaction, synced before it returns; redb's pages carry checksums, and every opening
//! checks all of them.
//!
//! **A disk that is full, or fails.** A transaction that could not be made durable is as if it had not
//! been tried; the file is opened again by the next call, and the caller tries again. On a full disk the
//! reserve is given up first. A ledger can be opened on a full disk: what opening writes (the next
//! generation, ceilings) is then written by the first transaction that succeeds. Of the numbers that
//! could not be reserved only the counter of heartbeats is used meanwhile; a run after this one may use
//! the same again, which the collector takes for a restored state, and asks for everything.
//!
//! `read-index` has a head of 4096 bytes and then slots of 64 bytes, little-endian, sixteen to a
//! bucket; the file is sparse and never grows beyond its slots. The head is `AKWIDX1\n`, then the
//! ledger's instance (16), a hash of the boot id (16), the ledger's generation (8), the highest
//! ledger revision at which something was remembered (8), the number of slots (8), and a check (8).
//! A slot is: hash of the path (8), device (8), inode (8), size (8), ctime (8), tail mark (8), hash
//! of the rule set's version (4), lines (4; all bits set where not everything in the file is known), fold
//! of the mtime (4), check (4). An index that does
//! not name this ledger, this boot and a generation and revision that the ledger has reached was
//! copied from elsewhere or from another time, and is started anew.

#![forbid(unsafe_code)]

mod apply;
mod asked;
mod delivery;
mod error;
#[cfg(test)]
mod faults;
mod format;
mod in_force;
mod index;
mod instance;
mod ledger;
mod observed;
#[cfg(test)]
mod power;
mod presence;
mod query;
pub mod reading;
mod reserve;
mod room;
mod shelf;
#[cfg(test)]
mod tests;

pub use apply::{Changes, GONE_PER_PLACE, VERIFIED_GRAIN_MS};
pub use delivery::Batch;
pub use error::LedgerError;
pub use in_force::{InForce, ReadLimits};
pub use index::{Need, PathKey, Remembered, TailMark};
pub use ledger::{Held, KEEP_GONE_MS, Ledger, Options, RecordLost};
pub use query::{Query, Totals};
pub use reading::{Extent, FileState, Observed, ProcessInstance, Reading, ReadingSubject};
