//! How much more the ledger may keep: its file has a size that it should not pass, and pages inside it
//! that nobody uses any more.
//!
//! Pages are written anew before the old ones are free, so the file of a ledger that was once full stays
//! as large when its findings are forgotten. What is free inside it is counted only where the file has no
//! room left, and seldom: counting walks over every page.

use std::time::{Duration, Instant};

use redb::WriteTransaction;

use crate::error::Fault;

/// Time between two counts of what is free inside the file. Stops: a full ledger that is walked over with
/// each commit.
const COUNT: Duration = Duration::from_secs(10 * 60);

/// What is left, in bytes.
#[derive(Debug)]
pub(crate) struct Room {
    /// The size that the file should not pass.
    most: u64,
    /// When it was last counted, and what was free inside then and has not been taken since.
    counted: Option<(Instant, u64)>,
    /// Whether something could not be kept since anything was last forgotten.
    pub(crate) is_short: bool,
}

impl Room {
    pub(crate) fn of(most: u64) -> Room {
        Room {
            most,
            counted: None,
            is_short: false,
        }
    }

    /// Bytes that new findings may take now. Beyond its size a ledger keeps what it has, and takes
    /// nothing new; an eighth stays for what is known to change.
    pub(crate) fn left(&mut self, file: u64, transaction: &WriteTransaction) -> Result<u64, Fault> {
        let beyond = (self.most / 8 * 7).saturating_sub(file);
        if beyond > self.most / 16 {
            return Ok(beyond);
        }
        let inside = match self.counted {
            Some((at, inside)) if at.elapsed() < COUNT => inside,
            _ => {
                let stats = transaction.stats()?;
                let used = stats.allocated_pages() * stats.page_size() as u64;
                // What is free may lie in pieces that a large value does not fit.
                let inside = file.saturating_sub(used) / 2;
                self.counted = Some((Instant::now(), inside));
                inside
            }
        };
        Ok(if file > self.most { 0 } else { beyond + inside })
    }

    /// Whether the file is as large as it may be, and a quarter of it is known to be free.
    pub(crate) fn is_worth_compacting(&self, file: u64) -> bool {
        let free = self.counted.map_or(0, |(_, inside)| 2 * inside);
        file > self.most / 16 * 13 && free > file / 4
    }

    /// What was counted does not hold any more.
    pub(crate) fn count_anew(&mut self) {
        self.counted = None;
    }

    /// So many bytes were taken, and so many given up: their pages are free with the next commits, which
    /// a count at once would not see.
    pub(crate) fn change(&mut self, taken: u64, freed: u64) {
        if let Some((_, inside)) = &mut self.counted {
            *inside = inside.saturating_sub(taken) + freed / 2;
        }
    }
}
