//! Undoes what a window's values are wrapped in, where that takes more than one look.

use std::hash::BuildHasher as _;

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
}
