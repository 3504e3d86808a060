//! Tells words from chance: how often two letters follow each other in the words people use.
//!
//! A value beside a name such as `token` is a credential when a machine made it and nothing when a
//! person wrote it: `retry-policy-name` has the length and the alphabet of a key. What differs is which
//! letters stand side by side. The table is made when it is first asked for, from a list of plain words
//! in this repository; there is no model file, and nothing here says what a value is by itself.

use std::sync::OnceLock;

/// Words of source code, configuration and people's passwords, and the syllables of pinyin.
const WORDS: &str = include_str!("../../rules/words.txt");

/// For each pair of letters, tenths of bits by which a word has it more often than chance.
type Table = [i8; 26 * 26];

/// Pairs below this number say nothing.
const FEWEST_PAIRS: i32 = 6;

fn table() -> &'static Table {
    static TABLE: OnceLock<Table> = OnceLock::new();
    TABLE.get_or_init(|| {
        // One of each, so that a pair that no word has is rare and not impossible.
        let mut counts = [1_u32; 26 * 26];
        for word in WORDS.split_ascii_whitespace() {
            for pair in word.as_bytes().windows(2) {
                if let Some(at) = place(pair[0], pair[1]) {
                    counts[at] += 4;
                }
            }
        }
        let total: u32 = counts.iter().sum();
        counts.map(|count| tenths_of_bits(count * 676, total))
    })
}

/// The logarithm of `part / whole`, in tenths of bits from -40 to 40.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "counts of a few thousand pairs fit a float, and what is clamped fits a byte"
)]
fn tenths_of_bits(part: u32, whole: u32) -> i8 {
    let bits = (part as f32 / whole as f32).log2();
    (bits * 10.0).round().clamp(-40.0, 40.0) as i8
}

fn place(a: u8, b: u8) -> Option<usize> {
    let (a, b) = (a.to_ascii_lowercase(), b.to_ascii_lowercase());
    (a.is_ascii_lowercase() && b.is_ascii_lowercase())
        .then(|| usize::from(a - b'a') * 26 + usize::from(b - b'a'))
}

/// Hundredths of bits for each pair of letters by which `value` is more like words than like chance; none
/// where too few letters stand together to tell.
pub(crate) fn wordiness(value: &[u8]) -> Option<i32> {
    let table = table();
    let (mut sum, mut pairs) = (0_i32, 0_i32);
    for pair in value.windows(2) {
        if let Some(at) = place(pair[0], pair[1]) {
            sum += i32::from(table[at]);
            pairs += 1;
        }
    }
    (pairs >= FEWEST_PAIRS).then(|| sum * 10 / pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: &str, words: bool) {
        let score = wordiness(value.as_bytes());
        assert_eq!(
            score.is_some_and(|score| score > 0),
            words,
            "{value} {score:?}"
        );
    }

    #[test]
    fn words_are_told_from_chance() {
        check("retry-policy-name", true);
        check("thisIsMyApplicationToken", true);
        check("com.acme.billing.InvoiceService", true);
        check("woshiyonghumima", true);
        check("lpkkzebayjqkklsqznmvzebfnddhipxfgg", false);
        check("kT9fQzLxWvBnRmHd", false);
        check("a1b2", false);
    }
}
