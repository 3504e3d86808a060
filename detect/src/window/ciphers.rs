//! Keys of ciphers in a window of source code.

use std::cell::LazyCell;

use super::*;

use crate::judge::cipher;
use crate::syntax::array;

/// Such keys that are told of one window. Stops: a file of nothing else, such as the vectors of a test.
const MOST: usize = 256;

impl Scanner<'_> {
    /// Keys as arrays of bytes and as hexadecimal, wherever the sieve has seen something or not.
    pub(super) fn cipher_keys(&mut self, region: &Region, text: &[u8], sifted: Sifted) {
        if !region.code || is_binary(region.format, text) {
            return;
        }
        let remarks = array::remarks(text);
        let arrays = array::find(text, &remarks).map(|found| (array::told(&found.bytes), found));
        // The shortest key has thirty-two digits.
        let digits = if sifted.digits { text } else { &[] };
        let strings = array::keys(digits).map(|found| (text[found.range.clone()].to_vec(), found));
        let numbered = if sifted.numbered { text } else { &[] };
        let escaped = array::escaped(numbered).map(|found| (array::told(&found.bytes), found));
        let lines = LazyCell::new(|| Lines::of(text, region.line));
        let judge = self.judge(region, false, true);
        let before = self.candidates.len();
        for (told, mut array) in arrays.chain(strings).chain(escaped) {
            let told = Zeroizing::new(told);
            if self.candidates.len() - before >= MOST {
                self.too_many = true;
                array.bytes.zeroize();
                return;
            }
            let path = join(&region.path, &text[array.name.clone()]);
            let line = |_| lines.number(array.range.start);
            let value = Value {
                path: &path,
                bytes: &told,
                scope: region.scope,
                encoding: &region.encoding,
                sure: true,
                loose: false,
                spoken: &|| 0,
                order: region.offset + array.range.start as u64,
                line: &line,
                member: &region.member,
            };
            let around = cipher::around(text, &(array.name.start..array.range.end));
            judge.cipher_key(&value, &array.bytes, around, &mut self.candidates);
            array.bytes.zeroize();
        }
        self.too_many |= remarks.get() == 0;
    }
}
