//! Bytes that can be read at any offset: what zip, SQLite and Git packs need.
//!
//! A file is read where it lies, through its source; what lies inside something else has to be held,
//! up to a bound, and is wiped.

use std::io::{Error, ErrorKind, Read, Seek, SeekFrom};

use zeroize::Zeroizing;

use super::fuel::Fuel;
use super::stream;
use crate::content::Source;
use crate::scan::UnreadWhy;
use crate::window::{Region, Scanner};

/// Bytes of a container that is held in memory because it lies inside something else. Stops: a
/// nested archive that takes the host's memory.
const LARGEST_HELD: usize = 16 << 20;

/// Bytes that a reader which goes back and forth holds, and those that it reads where it has come to:
/// as it goes on it reads more at once, so that one which goes to and fro does not read a file for each
/// of its bytes.
const STRETCH: usize = 8 << 10;
const FIRST: usize = 256;

/// Bytes that are set aside for something whose size is only claimed. Stops: eight megabytes for each
/// object of ten bytes.
const CLAIMED: usize = 64 << 10;

/// Reads up to `most` bytes behind what is `held`. Memory is taken as they come, and what was held is
/// wiped wherever it was.
pub(crate) fn read_up_to(
    input: &mut dyn Read,
    most: u64,
    held: &mut Zeroizing<Vec<u8>>,
) -> std::io::Result<()> {
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let end = held.len().saturating_add(most);
    while held.len() < end {
        let more = end - held.len();
        if held.len() == held.capacity() {
            make_room(held, more.min(CLAIMED.max(held.len())));
        }
        let room = more.min(held.capacity() - held.len());
        let before = held.len();
        input.take(room as u64).read_to_end(held)?;
        if held.len() - before < room {
            break;
        }
    }
    Ok(())
}

/// Makes room for `more` bytes behind what is `held`, which is wiped where it was.
pub(crate) fn make_room(held: &mut Zeroizing<Vec<u8>>, more: usize) {
    if held.capacity() - held.len() >= more {
        return;
    }
    let size = held.len().saturating_add(more);
    let mut larger = Zeroizing::new(Vec::with_capacity(size.max(held.capacity())));
    larger.extend_from_slice(held);
    *held = larger;
}

/// Bytes with random access. Each read of them is charged, for they may be read again and again.
pub(crate) struct Bytes<'a> {
    place: Place<'a>,
    fuel: Fuel,
}

enum Place<'a> {
    /// Those of a part, read where they lie.
    Source(&'a dyn Source, u64),
    /// Those of a member of something else.
    Held(Zeroizing<Vec<u8>>),
}

impl<'r> Bytes<'r> {
    /// The stream that begins with `head` and goes on with `rest`; its source where it has one.
    /// Nothing, and said, when it would have to be held and is too large or damaged.
    pub(crate) fn of(
        scanner: &mut Scanner<'r>,
        region: &Region,
        opened: &mut stream::Opened<'_>,
    ) -> Option<Bytes<'r>> {
        if region.depth == 0
            && region.offset == 0
            && let Some(source) = scanner.source
            && let Some(length) = source
                .len()
                .filter(|&length| length <= scanner.limits.bytes)
        {
            scanner.covered = true;
            return Some(Bytes {
                place: Place::Source(source, length),
                fuel: scanner.fuel.clone(),
            });
        }
        let mut held = Zeroizing::new(Vec::with_capacity(opened.head.len()));
        held.extend_from_slice(opened.head);
        if !opened.end {
            let room = LARGEST_HELD.saturating_sub(held.len()) as u64 + 1;
            if opened.rest.take(room).read_to_end(&mut held).is_err() {
                scanner.skipped(&region.member, UnreadWhy::Damaged);
                return None;
            }
        }
        scanner.fuel.burn_held(held.len() as u64);
        if held.len() > LARGEST_HELD {
            scanner.skipped(&region.member, UnreadWhy::Limit);
            return None;
        }
        Some(Bytes {
            place: Place::Held(held),
            fuel: scanner.fuel.clone(),
        })
    }

    /// How many there are.
    pub(crate) fn len(&self) -> u64 {
        match &self.place {
            Place::Source(_, length) => *length,
            Place::Held(held) => held.len() as u64,
        }
    }

    /// Fills `into` from `at`; whether there were enough.
    pub(crate) fn exact(&self, at: u64, into: &mut [u8]) -> bool {
        self.from(at).read_exact(into).is_ok()
    }

    /// A reader from `at` to the end.
    pub(crate) fn from(&self, at: u64) -> At<'_> {
        At { bytes: self, at }
    }

    /// A reader for a directory of at most `fuel` bytes, or for so many bytes searched for it: it
    /// goes back and forth, and fails when they are used up.
    pub(crate) fn fueled(&self, fuel: u64) -> Fueled<'_> {
        Fueled {
            input: self.from(0),
            held: Zeroizing::default(),
            start: 0,
            fuel,
        }
    }
}

/// A reader of [`Bytes`].
pub(crate) struct At<'a> {
    bytes: &'a Bytes<'a>,
    at: u64,
}

impl Read for At<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let rest = self.bytes.len().saturating_sub(self.at);
        let room = into.len().min(usize::try_from(rest).unwrap_or(usize::MAX));
        let into = &mut into[..room];
        self.bytes.fuel.check()?;
        let count = match &self.bytes.place {
            Place::Source(source, _) => source
                .read_at(self.at, into)
                .map_err(|_| Error::from(ErrorKind::Other))?
                .min(room),
            Place::Held(held) => held.as_slice().read_at(self.at, into).unwrap_or_default(),
        };
        self.at += count as u64;
        self.bytes.fuel.fetch(count as u64);
        Ok(count)
    }
}

impl Seek for At<'_> {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        let to = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.bytes.len().checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = to.ok_or(Error::from(ErrorKind::InvalidInput))?;
        Ok(self.at)
    }
}

/// A reader of [`Bytes`] that holds the stretch which it is in, and ends when its fuel has.
pub(crate) struct Fueled<'a> {
    input: At<'a>,
    held: Zeroizing<Vec<u8>>,
    /// Where what is held begins.
    start: u64,
    fuel: u64,
}

impl Fueled<'_> {
    /// Bytes that may be read from here on.
    pub(crate) fn refuel(&mut self, fuel: u64) {
        self.fuel = fuel;
    }
}

impl Read for Fueled<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        self.fuel = self
            .fuel
            .checked_sub(into.len() as u64)
            .ok_or(Error::from(ErrorKind::QuotaExceeded))?;
        let at = self.input.at;
        let inside = |start: u64, held: &[u8]| {
            let from = usize::try_from(at.checked_sub(start)?).ok()?;
            held.get(from..)
                .filter(|rest| !rest.is_empty())
                .map(|_| from)
        };
        let from = match inside(self.start, &self.held) {
            Some(from) => from,
            None => {
                let goes_on = at == self.start + self.held.len() as u64;
                let stretch = if goes_on { self.held.len() * 2 } else { 0 };
                self.held.resize(stretch.clamp(FIRST, STRETCH), 0);
                let count = self.input.read(&mut self.held)?;
                self.held.truncate(count);
                self.start = at;
                0
            }
        };
        let count = into.len().min(self.held.len() - from);
        into[..count].copy_from_slice(&self.held[from..from + count]);
        self.input.at = at + count as u64;
        self.input.bytes.fuel.take(count as u64);
        Ok(count)
    }
}

impl Seek for Fueled<'_> {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        self.input.seek(to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_taken_as_bytes_come() {
        for (there, claimed) in [(0, 8 << 20), (10, 8 << 20), (500_000, 8 << 20), (300, 200)] {
            let input = vec![7; there];
            let mut held = Zeroizing::new(vec![1, 2, 3]);
            read_up_to(&mut input.as_slice(), claimed, &mut held).unwrap();
            let expected = there.min(usize::try_from(claimed).unwrap());
            assert_eq!(held.len(), 3 + expected);
            assert!(held.starts_with(&[1, 2, 3]) && held[3..].iter().all(|&b| b == 7));
            let most = (2 * held.len()).max(CLAIMED) + CLAIMED;
            assert!(held.capacity() <= most, "{} for {there}", held.capacity());
        }
    }
}
