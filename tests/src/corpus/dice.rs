//! Numbers that are the same everywhere for a seed, and what is drawn with them.
//!
//! A part of the corpus draws from a fork named after it, so that adding one part leaves the bytes of
//! all others as they were. Nothing here is fit for keys that protect anything.

/// Lower-case letters.
pub const LOWER: &str = "abcdefghijklmnopqrstuvwxyz";
/// Upper-case letters.
pub const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
/// Digits.
pub const DIGITS: &str = "0123456789";
/// Lower-case hexadecimal digits.
pub const HEX: &str = "0123456789abcdef";
/// Letters of both cases and digits.
pub const ALNUM: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
/// The alphabet of base64.
pub const BASE64: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/// The alphabet of base64 as URLs use it.
pub const BASE64URL: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
/// The alphabet of base32.
pub const BASE32: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
/// Upper-case letters and digits.
pub const UPNUM: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
/// Lower-case letters and digits.
pub const LOWNUM: &str = "abcdefghijklmnopqrstuvwxyz0123456789";

/// A source of numbers (SplitMix64, public domain).
#[derive(Clone, Debug)]
pub struct Dice {
    seed: u64,
    state: u64,
}

impl Dice {
    /// Starts from a seed.
    #[must_use]
    pub fn new(seed: u64) -> Dice {
        Dice { seed, state: seed }
    }

    /// A source of its own for the part called `name`: the same however much was drawn here.
    #[must_use]
    pub fn fork(&self, name: &str) -> Dice {
        let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Dice::new(self.seed.rotate_left(17) ^ hash)
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.number() % bound.max(1) as u64).unwrap_or(0)
    }

    /// A number from `low` to `high`, both included.
    pub fn within(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high - low + 1)
    }

    /// True once in `times`.
    pub fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// One of `all`.
    ///
    /// # Panics
    /// When `all` is empty.
    pub fn one<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    /// The same things in another order.
    pub fn shuffle<T>(&mut self, all: &mut [T]) {
        for last in (1..all.len()).rev() {
            let other = self.below(last + 1);
            all.swap(last, other);
        }
    }

    /// `length` characters of `alphabet`.
    pub fn text(&mut self, alphabet: &str, length: usize) -> String {
        let alphabet = alphabet.as_bytes();
        (0..length)
            .map(|_| char::from(alphabet[self.below(alphabet.len())]))
            .collect()
    }

    /// `length` bytes.
    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length)
            .map(|_| self.number().to_le_bytes()[3])
            .collect()
    }

    /// A UUID of version 4.
    pub fn uuid(&mut self) -> String {
        format!(
            "{}-{}-4{}-{}{}-{}",
            self.text(HEX, 8),
            self.text(HEX, 4),
            self.text(HEX, 3),
            self.text("89ab", 1),
            self.text(HEX, 3),
            self.text(HEX, 12)
        )
    }

    /// Text after a pattern: `{20:w}` stands for twenty characters of the class `w`, `{3-9:d}` for three to
    /// nine; all else stands for itself.
    ///
    /// Classes: `a` lower, `A` upper, `l` both, `d` digits, `x` and `X` hexadecimal, `n` lower and digits, `N`
    /// upper and digits, `w` letters and digits, `b` base64 for URLs, `B` base64, `T` base32, `u` a
    /// UUID.
    ///
    /// # Panics
    /// When the pattern has a class or a count that is none: patterns are constants.
    pub fn pattern(&mut self, pattern: &str) -> String {
        let mut text = String::new();
        let mut rest = pattern;
        while let Some((before, after)) = rest.split_once('{') {
            text.push_str(before);
            let (inner, tail) = after.split_once('}').expect("invariant: a closed brace");
            rest = tail;
            if inner == "u" {
                text.push_str(&self.uuid());
                continue;
            }
            let (count, class) = inner.split_once(':').expect("invariant: count:class");
            let number = |text: &str| text.parse().expect("invariant: a count");
            let count = match count.split_once('-') {
                Some((low, high)) => self.within(number(low), number(high)),
                None => number(count),
            };
            text.push_str(&self.text(class_of(class), count));
        }
        text + rest
    }
}

fn class_of(name: &str) -> &'static str {
    match name {
        "a" => LOWER,
        "A" => UPPER,
        "l" => "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
        "d" => DIGITS,
        "x" => HEX,
        "X" => "0123456789ABCDEF",
        "n" => LOWNUM,
        "N" => UPNUM,
        "w" => ALNUM,
        "b" => BASE64URL,
        "B" => BASE64,
        "T" => BASE32,
        other => panic!("no class of characters is called {other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fork_does_not_depend_on_what_was_drawn() {
        let mut drawn = Dice::new(7);
        let fresh = drawn.clone();
        drawn.number();
        assert_eq!(drawn.fork("web").number(), fresh.fork("web").number());
        assert_ne!(fresh.fork("web").number(), fresh.fork("ci").number());
    }

    #[test]
    fn patterns_say_counts_and_classes() {
        let text = Dice::new(1).pattern("ab-{4:d}.{2-2:X}");
        assert_eq!(text.len(), 10);
        assert!(text.starts_with("ab-") && text[3..7].bytes().all(|byte| byte.is_ascii_digit()));
    }
}
