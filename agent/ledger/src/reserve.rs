//! Room that is kept for the ledger on a disk that fills up.
//!
//! A file of real bytes beside the ledger. When a write fails because the disk is full the file is
//! given up and the write tried again: what is found on a full disk is durable for a while yet, and an
//! agent that starts on one can say so. It is made again when there is room. That it is missing is the
//! sign of a disk that is full or was a moment ago.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

const NAME: &str = "reserve";

/// Bytes kept: some 800 findings, or a state and all notes beside it many times over.
const BYTES: usize = 1024 * 1024;

/// The file.
#[derive(Debug)]
pub(crate) struct Reserve {
    path: PathBuf,
    kept: bool,
}

impl Reserve {
    /// Looks for the file; makes it if there is room.
    pub(crate) fn open(directory: &Path) -> Reserve {
        let mut reserve = Reserve {
            path: directory.join(NAME),
            kept: false,
        };
        reserve.keep();
        reserve
    }

    /// Makes the file if it is missing and there is room.
    pub(crate) fn keep(&mut self) {
        let whole = |meta: std::fs::Metadata| meta.len() == BYTES as u64;
        self.kept = std::fs::metadata(&self.path).is_ok_and(whole) || self.make().is_ok();
        if !self.kept {
            self.remove(); // half of one would fill the disk the more
        }
    }

    fn make(&self) -> io::Result<()> {
        let mut file = File::create(&self.path)?;
        // Not zeros: a filesystem that compresses or leaves holes would keep no room for those.
        let mut word = 0x9e37_79b9_7f4a_7c15_u64;
        let mut bytes = Vec::with_capacity(BYTES);
        while bytes.len() < BYTES {
            word ^= word << 13;
            word ^= word >> 7;
            word ^= word << 17;
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        file.write_all(&bytes)?;
        file.sync_all()
    }

    /// Whether room is kept.
    pub(crate) fn is_kept(&self) -> bool {
        self.kept
    }

    /// Gives the room up; false when there was none.
    pub(crate) fn give_up(&mut self) -> bool {
        self.kept = false;
        self.remove()
    }

    fn remove(&self) -> bool {
        std::fs::remove_file(&self.path).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_kept_given_up_once_and_made_again() {
        let directory = tempfile::tempdir().unwrap();
        let mut reserve = Reserve::open(directory.path());
        assert!(reserve.is_kept());
        assert!(reserve.give_up());
        assert!(!reserve.give_up());
        assert!(!reserve.is_kept());
        reserve.keep();
        assert!(reserve.is_kept());
        // A torn one is made whole.
        std::fs::write(directory.path().join(NAME), b"half").unwrap();
        assert!(Reserve::open(directory.path()).is_kept());
        let length = std::fs::metadata(directory.path().join(NAME))
            .unwrap()
            .len();
        assert_eq!(length, BYTES as u64);
    }
}
