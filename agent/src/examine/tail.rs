//! Where reading begins in a file that is appended to, and the mark by which the next reading knows
//! that nothing else happened to it.
//!
//! A history of a megabyte grows by a line; reading that line is enough, if the bytes before it are
//! the same. Their mark is a keyed hash of the file's head, of the last bytes before its end, and of
//! where that was: without the key a mark tells nobody what stands there. A file that was truncated,
//! rotated or written anew has another mark, or another inode, and is read whole. What is changed in
//! place far from both ends goes unnoticed until the place is revisited, which is daily: then a
//! finding is *present* for too long, never *gone* by mistake. A tail begins some lines early, so that
//! an id and its secret that were typed one after the other are still seen together.

use akwatch_detect::{Match, Source};
use akwatch_proto::credential::Confidence;
use zeroize::Zeroizing;

use super::Bytes;
use crate::job::{Content, PartHeader};
use crate::redact::FingerprintKey;

/// Bytes at the head and before the end that a mark speaks for.
const MARKED: u64 = 4096;

/// Where reading of a part begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Start {
    /// Offset of the first byte.
    pub(super) offset: u64,
    /// Line breaks before it.
    pub(super) lines: u32,
    /// The first line that was not read before.
    fresh: u32,
}

impl Start {
    /// Whether a match is to be told: what lies in the lines that were read before is known already,
    /// and seen without what stands above it. Only a pair that the new lines complete is news.
    pub(super) fn keeps(&self, found: &Match) -> bool {
        self.offset == 0
            || found.spot.end_line >= self.fresh
            || found.confidence == Confidence::Paired
    }
}

/// Where to begin in `part`: at a line's start a little before what was appended, or at 0.
pub(super) fn start(part: &PartHeader, content: &Content, key: &FingerprintKey) -> Start {
    let whole = Start::default();
    let (Some(appended), Content::File(_)) = (part.appended, content) else {
        return whole;
    };
    if appended.from == 0 || appended.from > part.expected {
        return whole;
    }
    let bytes = Bytes::of(part, content, 0);
    if mark(&bytes, appended.from, key) != Some(appended.mark) {
        return whole;
    }
    let Some((at, above)) = last_bytes(&bytes, appended.from) else {
        return whole;
    };
    let Some(first) = memchr::memchr(b'\n', &above) else {
        return whole;
    };
    let kept = &above[first + 1..];
    let breaks = u32::try_from(memchr::memchr_iter(b'\n', kept).count()).unwrap_or(u32::MAX);
    let Some(lines) = appended.lines.checked_sub(breaks) else {
        return whole;
    };
    Start {
        offset: at + first as u64 + 1,
        lines,
        fresh: appended.lines.saturating_add(1),
    }
}

/// The mark of a part's end; 0 for one that is not appended to, or could not be read.
pub(super) fn end_mark(part: &PartHeader, content: &Content, key: &FingerprintKey) -> u64 {
    if part.appended.is_none() {
        return 0;
    }
    let bytes = Bytes::of(part, content, 0);
    mark(&bytes, part.expected, key).unwrap_or(0)
}

fn mark(bytes: &Bytes<'_>, end: u64, key: &FingerprintKey) -> Option<u64> {
    let head = stretch(bytes, 0, end.min(MARKED))?;
    let (_, last) = last_bytes(bytes, end)?;
    // 0 says that there is none.
    Some(key.mark(&[&end.to_le_bytes(), &head, &last]).max(1))
}

/// The bytes before `end` that a mark speaks for, and where they begin.
fn last_bytes(bytes: &Bytes<'_>, end: u64) -> Option<(u64, Zeroizing<Vec<u8>>)> {
    let at = end.saturating_sub(MARKED);
    Some((at, stretch(bytes, at, end - at)?))
}

fn stretch(bytes: &Bytes<'_>, at: u64, length: u64) -> Option<Zeroizing<Vec<u8>>> {
    let mut into = Zeroizing::new(vec![0; usize::try_from(length).ok()?]);
    let read = bytes.read_at(at, &mut into).ok()?;
    (read == into.len()).then_some(into)
}
