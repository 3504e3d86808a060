//! Keys of ciphers in a window of source code.

use super::*;

use crate::judge::cipher;
use crate::syntax::array::{self, Array};

/// Such keys of one window. Stops: a file of nothing else, such as the vectors of a test.
const MOST: usize = 256;

impl Scanner<'_> {
    /// Keys as arrays of bytes and as hexadecimal, wherever the sieve has seen something or not.
    pub(super) fn cipher_keys(&mut self, region: &Region, text: &[u8]) {
        if !region.code {
            return;
        }
        let arrays = array::find(text).map(|found| (array::told(&found.bytes), found));
        let strings = array::keys(text).map(|found| (text[found.range.clone()].to_vec(), found));
        let found: Vec<(Vec<u8>, Array)> = arrays.take(MOST).chain(strings.take(MOST)).collect();
        if found.is_empty() || is_binary(region.format, text) {
            return;
        }
        let lines = Lines::of(text, region.line);
        let judge = self.judge(region, false, true);
        for (told, mut array) in found {
            let told = Zeroizing::new(told);
            let path = join(&region.path, &text[array.name.clone()]);
            let line = |_| lines.number(array.range.start);
            let value = Value {
                path: &path,
                bytes: &told,
                scope: region.scope,
                encoding: &region.encoding,
                sure: true,
                loose: false,
                spoken: 0,
                order: region.offset + array.range.start as u64,
                line: &line,
                member: &region.member,
            };
            let around = cipher::around(text, &(array.name.start..array.range.end));
            judge.cipher_key(&value, &array.bytes, around, &mut self.candidates);
            array.bytes.zeroize();
        }
    }
}
