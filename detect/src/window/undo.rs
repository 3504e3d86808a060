//! Undoes what a window's values are wrapped in, where that takes more than one look.

use std::hash::BuildHasher as _;
use std::ops::Range;

use super::*;

impl Scanner<'_> {
    /// A value that percent-escapes held, and what an address in it is given. Both may hold the same
    /// again, which is read once: of addresses in one another there are twice as many ways to each.
    pub(super) fn address(&mut self, region: &Region, value: &Value<'_>, judge: &Judge<'_>) {
        let outermost = self.undone.is_none();
        let name = value.path.rsplit(|&b| b == b'.').next().unwrap_or_default();
        let undone = self.undone.get_or_insert_default();
        let held = undone.hasher().hash_one((name, value.bytes));
        if undone.insert(held) {
            self.value(region, value, judge, true);
            syntax::text::held(value.path, value.bytes, |path, part| {
                let bytes = &value.bytes[part];
                let again = Value {
                    path,
                    bytes,
                    ..*value
                };
                self.value(region, &again, judge, true);
            });
        }
        if outermost {
            self.undone = None;
        }
    }

    /// Long encoded runs, whether a field led to them or none: something that stands in one as it is, or
    /// was found in a part of one, says nothing of the rest.
    pub(super) fn wrapped(
        &mut self,
        region: &Region,
        text: &[u8],
        hits: &[Hit],
        lines: &Lines,
        before: usize,
    ) {
        for hit in hits {
            let Hit::Wrapped(range) = hit else { continue };
            let order = region.offset + range.start as u64;
            let line = |_| lines.number(range.start);
            let value = Value {
                path: &region.path,
                bytes: &text[range.clone()],
                scope: region.scope,
                encoding: &region.encoding,
                sure: false,
                loose: true,
                spoken: &|| 0,
                order,
                line: &line,
                member: &region.member,
            };
            let here = order..region.offset + range.end as u64;
            let known = self.candidates.len();
            let seen = self.candidates[before..]
                .iter()
                .any(|found| here.contains(&found.order));
            self.wrapped_in(region, text, range, &value, seen);
            if seen && self.candidates.len() > known {
                let mut fresh = self.candidates.split_off(known);
                let seen = &self.candidates[before..];
                fresh.retain(|found| {
                    !seen
                        .iter()
                        .any(|seen| here.contains(&seen.order) && seen.value == found.value)
                });
                self.candidates.append(&mut fresh);
            }
        }
    }

    /// Undoes the run that stands at `range` of `text`, of which something may have been `seen`.
    fn wrapped_in(
        &mut self,
        region: &Region,
        text: &[u8],
        range: &Range<usize>,
        value: &Value<'_>,
        seen: bool,
    ) {
        let judge = self.judge(region, false, true);
        let bytes = value.bytes;
        // A string of several pieces.
        let quote = range.start.checked_sub(1).map_or(0, |before| text[before]);
        let joined = literal::is_quote(quote)
            .then(|| literal::joined(text, range, quote))
            .flatten();
        let whole = joined.as_ref().map_or(bytes, |(_, whole)| whole);
        let armoured = inline::is_armoured(text, range.start);
        if let Some(key) = der::wrapped(whole).filter(|_| !armoured) {
            if !seen {
                let before = self.candidates.len();
                self.unarmoured(value, before, key);
            }
            return;
        }
        let store = Value {
            bytes: whole,
            ..*value
        };
        if !seen && self.store_value(region, &store) {
            return;
        }
        let (encoding, decoded) = match judge.unwrapped(bytes) {
            _ if bytes.contains(&b'\\') => (Encoding::Escaped, inline::unescape(bytes)),
            Some(found) => found,
            None => match inline::base64(bytes) {
                Some(decoded) if stream::is_container(&decoded) => (Encoding::Base64, decoded),
                _ => return,
            },
        };
        let decoded = Zeroizing::new(decoded);
        self.decoded(region, value, &judge, encoding, &decoded);
    }
}
