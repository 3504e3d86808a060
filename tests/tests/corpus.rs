//! What is found in our own labelled corpus may only rise.
//!
//! The figures are in `tests/corpus/ratchet.toml`. To see what was missed:
//! `cargo xtask bench detect --corpus --misses`; to raise them: `--raise`.

use akwatch_tests::corpus::{Corpus, SEED, ratchet, score};
use anyhow::{Result, ensure};

#[test]
fn recall_precision_and_pairs_of_each_family_hold_the_ratchet() -> Result<()> {
    let score = score::measure(&Corpus::generate(SEED))?;
    let lost = ratchet::lost(&ratchet::committed()?, &score);
    ensure!(lost.is_empty(), "below the ratchet:\n{}", lost.join("\n"));
    Ok(())
}
