//! Where shapes begin: an index over the rules that costs the same for ten shapes and ten thousand.
//!
//! A shape with a literal beginning is found where a run of letters and digits begins, by its first
//! three bytes and, since common words share those, a fourth. Nearly every shape also begins with at
//! least [`LONG`] bytes of which tokens are made, so that short words need not be asked about at all.
//! What is not of that kind is searched as a literal, or else costs the short words their exemption.

use super::gate::Gate;
use super::markers::Markers;
use super::masks::is_token;
use crate::rule::{Anchor, Half, Pattern, Rule};

/// Bytes of [`is_token`] that a run must have from where a shape may begin.
pub(super) const LONG: usize = 15;
/// Literals that are searched: more would make their search slow.
const MOST_SEARCHED: usize = 48;
/// Bytes of such a literal, at least.
const SHORTEST_SEARCHED: usize = 4;

/// The index.
#[derive(Debug)]
pub(crate) struct Anchors {
    three: Gate,
    four: Gate,
    /// Beginnings of only two bytes.
    two: Gate,
    /// By the hash of three bytes, the next free place taken: the bytes, and the shapes that begin so.
    slots: Vec<Option<([u8; 3], Vec<Anchor>)>>,
    markers: Markers,
    /// Shapes that begin with a long run of letters and digits, by its length.
    runs: Vec<(usize, Anchor)>,
    /// Some shape can begin in a short run and is too short to be searched.
    short_runs: bool,
}

impl Anchors {
    /// Indexes `rules`, of which some are found by a `marker`.
    pub(crate) fn new(rules: &[Rule], markers: &[(String, u16)]) -> Anchors {
        let mut anchors = Anchors {
            three: Gate::new(),
            four: Gate::new(),
            two: Gate::new(),
            slots: Vec::new(),
            markers: Markers::new(),
            runs: Vec::new(),
            short_runs: false,
        };
        let mut known: std::collections::BTreeMap<[u8; 3], Vec<Anchor>> = Default::default();
        for (number, rule) in (0..).zip(rules) {
            // Without its word beside it such a shape says nothing.
            if !rule.by_word {
                for (anchor, pattern) in shapes(number, rule) {
                    for key in pattern.beginnings() {
                        known.entry(key).or_default().push(anchor);
                    }
                    let marked = markers.iter().any(|(literal, of)| {
                        *of == number && pattern.offset_of(literal.as_bytes()).is_some()
                    });
                    anchors.mark(anchor, pattern, marked);
                    let run = pattern
                        .run_before_literal()
                        .filter(|_| !marked && !rule.is_pair());
                    anchors.runs.extend(run.map(|length| (length, anchor)));
                }
            }
        }
        for (literal, number) in markers {
            let secrets = shapes(*number, &rules[usize::from(*number)])
                .filter(|(anchor, _)| anchor.half == Half::Secret);
            let places = secrets
                .filter_map(|(anchor, shape)| Some((anchor, shape.offset_of(literal.as_bytes())?)))
                .collect();
            anchors.markers.add(literal.as_bytes(), places);
        }
        anchors.markers.compile();
        anchors
            .slots
            .resize_with((known.len() * 2).next_power_of_two(), || None);
        for (key, shapes) in known {
            let place = anchors.place(key);
            anchors.slots[place] = Some((key, shapes));
        }
        anchors
    }

    fn mark(&mut self, anchor: Anchor, pattern: &Pattern, marked: bool) {
        for [a, b, c] in pattern.beginnings() {
            self.three.mark([a, b, c, 0]);
        }
        for key in pattern.longer_beginnings() {
            self.four.mark(key);
        }
        let literal = pattern.anchor();
        if let [a, b] = literal {
            self.two.mark([*a, *b, 0, 0]);
        }
        let begins = literal.first().is_some_and(u8::is_ascii_alphanumeric);
        if marked || !begins || pattern.run_of(is_token) >= LONG {
            return;
        }
        let searched = pattern
            .longest_literal()
            .filter(|(_, literal)| literal.len() >= SHORTEST_SEARCHED)
            .filter(|_| self.markers.count() < MOST_SEARCHED);
        match searched {
            Some((offset, literal)) => self.markers.add(literal, vec![(anchor, offset)]),
            // Where any printable byte may stand, one of a token nearly always does.
            None => {
                let may_run = pattern.run_of(|byte| byte.is_ascii_graphic()) >= LONG;
                self.short_runs |= !(may_run && literal.iter().copied().all(is_token));
            }
        }
    }

    /// Whether some shape may begin with these bytes, the first the lowest.
    pub(crate) fn may_begin(&self, word: u32) -> bool {
        self.may_begin_soon(word) && self.three.has(word & 0x00ff_ffff)
    }

    /// The same with less to do and a little less certain.
    #[inline(always)]
    pub(super) fn may_begin_soon(&self, word: u32) -> bool {
        self.four.has(word) | self.two.has(word & 0xffff)
    }

    /// The shapes that begin with these bytes.
    pub(crate) fn at(&self, key: [u8; 3]) -> &[Anchor] {
        match self.slots.get(self.place(key)) {
            Some(Some((_, shapes))) => shapes,
            _ => &[],
        }
    }

    /// Where `key` is, or would be.
    fn place(&self, key: [u8; 3]) -> usize {
        let mask = self.slots.len().wrapping_sub(1);
        let word = u32::from_le_bytes([key[0], key[1], key[2], 0]);
        let mut at = (word.wrapping_mul(0x9E37_79B1) >> 12) as usize & mask;
        while matches!(self.slots.get(at), Some(Some((known, _))) if *known != key) {
            at = (at + 1) & mask;
        }
        at
    }

    /// Shapes that begin with a long run of letters and digits, and how long it is.
    pub(super) fn runs(&self) -> &[(usize, Anchor)] {
        &self.runs
    }

    pub(super) fn markers(&self) -> &Markers {
        &self.markers
    }

    /// Starts of runs that are asked about even when the run is short: all or none.
    #[inline(always)]
    pub(super) fn short_runs(&self) -> u64 {
        u64::from(self.short_runs).wrapping_neg()
    }
}

fn shapes(number: u16, rule: &Rule) -> impl Iterator<Item = (Anchor, &Pattern)> {
    [Half::Id, Half::Secret, Half::Token]
        .into_iter()
        .flat_map(move |half| {
            let anchor = move |pattern| Anchor {
                rule: number,
                half,
                pattern,
            };
            (0..).map(anchor).zip(&rule.shape(half).patterns)
        })
}

#[cfg(test)]
mod tests {
    use crate::rule::RuleSet;

    #[test]
    fn no_rule_of_the_program_has_short_words_asked_about() {
        let rules = RuleSet::builtin();
        assert_eq!(
            rules.anchors().short_runs(),
            0,
            "a shape begins in a short run and is too short to be searched"
        );
        assert!(rules.anchors().markers().count() < super::MOST_SEARCHED / 2);
    }
}
