//! The written parts of a sparse file, one after another.
//!
//! A `lastlog` of a host with large user numbers is a terabyte of nothing. Holes hold no secret and
//! no line break, so leaving all but a block of each out changes neither what is found nor its line.

use std::os::fd::BorrowedFd;

use akwatch_detect::{Source, Unreadable};
use rustix::fs::{SeekFrom, Stat};
use rustix::io::Errno;

use crate::examine::Bytes;

/// Files below this size are read with their holes.
const SMALLEST: u64 = 1 << 20;
/// Bytes of a hole that are kept, so that what lies on both sides does not run together.
const KEPT: u64 = 4096;
/// Written parts of one file. Stops: a file of a million holes.
const PARTS: usize = 1 << 16;

/// A sparse file without its holes.
pub(super) struct Sparse<'a> {
    /// For each written part: where it begins here, where in the file, and its length.
    parts: Vec<(u64, u64, u64)>,
    bytes: Bytes<'a>,
    length: u64,
    /// Whether all written parts are in it.
    pub(super) whole: bool,
}

impl<'a> Sparse<'a> {
    /// The written parts of `file`, when less than half of it is written.
    pub(super) fn of(file: BorrowedFd<'a>, stat: &Stat) -> Option<Sparse<'a>> {
        let size = u64::try_from(stat.st_size).unwrap_or(0);
        let written = u64::try_from(stat.st_blocks)
            .unwrap_or(0)
            .saturating_mul(512);
        if size < SMALLEST || written >= size / 2 {
            return None;
        }
        let mut sparse = Sparse {
            parts: Vec::new(),
            bytes: Bytes::file(file, 0, size),
            length: 0,
            whole: true,
        };
        let mut at = 0;
        while at < size {
            let start = match rustix::fs::seek(file, SeekFrom::Data(at)) {
                Ok(start) => start,
                Err(Errno::NXIO) => break, // only a hole is left
                Err(_) => return None,
            };
            let end = rustix::fs::seek(file, SeekFrom::Hole(start))
                .ok()?
                .min(size);
            if end <= start || sparse.parts.len() >= PARTS {
                sparse.whole = false;
                break;
            }
            let length = (end + KEPT).min(size) - start;
            sparse.parts.push((sparse.length, start, length));
            sparse.length += length;
            at = start + length;
        }
        Some(sparse)
    }
}

impl Source for Sparse<'_> {
    fn len(&self) -> Option<u64> {
        Some(self.length)
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> Result<usize, Unreadable> {
        let mut filled = 0;
        while filled < into.len() {
            let here = at + filled as u64;
            let after = self.parts.partition_point(|&(begin, _, _)| begin <= here);
            let Some(&(begin, offset, length)) =
                after.checked_sub(1).and_then(|i| self.parts.get(i))
            else {
                break;
            };
            let within = here - begin;
            let room = usize::try_from(length.saturating_sub(within)).unwrap_or(usize::MAX);
            let count = room.min(into.len() - filled);
            if count == 0 {
                break;
            }
            let read = self
                .bytes
                .read_at(offset + within, &mut into[filled..filled + count])?;
            filled += read;
            if read < count {
                break;
            }
        }
        Ok(filled)
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::os::unix::fs::FileExt;

    use super::*;

    #[test]
    fn holes_are_left_out_and_lines_are_not() {
        let file = tempfile::tempfile().unwrap();
        let size = 10 << 30;
        file.set_len(size).unwrap();
        file.write_all_at(b"first\n", 0).unwrap();
        file.write_all_at(b"\nmiddle\n", 5 << 30).unwrap();
        file.write_all_at(b"end", size - 3).unwrap();
        let stat = rustix::fs::fstat(&file).unwrap();
        let sparse = Sparse::of(file.as_fd(), &stat).expect("it is sparse");
        assert!(sparse.whole);
        let length = sparse.len().unwrap();
        assert!(length < 1 << 20, "{length} bytes are left");
        let mut all = vec![0; usize::try_from(length).unwrap()];
        assert_eq!(sparse.read_at(0, &mut all), Ok(all.len()));
        let text: Vec<u8> = all.iter().copied().filter(|&byte| byte != 0).collect();
        assert_eq!(text, b"first\n\nmiddle\nend");
        let mut tail = [0; 8];
        assert_eq!(sparse.read_at(length - 3, &mut tail), Ok(3));
        assert_eq!(sparse.read_at(length, &mut tail), Ok(0));
    }

    #[test]
    fn a_full_file_is_not_sparse() {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(&vec![1; 2 << 20], 0).unwrap();
        let stat = rustix::fs::fstat(&file).unwrap();
        assert!(Sparse::of(file.as_fd(), &stat).is_none());
    }
}
