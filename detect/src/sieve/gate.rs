//! One bit for each hash of four bytes: what is asked before a table is.

/// A set of four-byte words that may say yes to a word that is not in it, never no to one that is.
#[derive(Debug)]
pub(crate) struct Gate(Box<[u64; 1024]>);

impl Gate {
    pub(crate) fn new() -> Gate {
        Gate(Box::new([0; 1024]))
    }

    #[inline(always)]
    const fn hash(word: u32) -> usize {
        (word.wrapping_mul(0x9E37_79B1) >> 16) as usize
    }

    /// Adds a word.
    pub(crate) fn mark(&mut self, word: [u8; 4]) {
        let hash = Gate::hash(u32::from_le_bytes(word));
        self.0[hash >> 6] |= 1 << (hash & 63);
    }

    /// Whether the word whose first byte is the lowest may be in the set.
    #[inline(always)]
    pub(crate) fn has(&self, word: u32) -> bool {
        let hash = Gate::hash(word);
        self.0[hash >> 6] >> (hash & 63) & 1 == 1
    }
}
