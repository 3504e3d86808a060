//! Literals that are searched everywhere, all in one pass: what shapes hold that have no beginning of
//! their own, beginnings that are too short or too odd for the gates, and how private keys begin.

use aho_corasick::packed::{self, Searcher};
use aho_corasick::{AhoCorasick, Input, Span};
use memchr::memmem::Finder;

use crate::judge::{jwk, putty};
use crate::rule::Anchor;
use crate::unwrap::inline;

/// A literal and what may hold it.
#[derive(Debug)]
pub(super) struct Marker {
    literal: Vec<u8>,
    /// Where the piece of it begins that is searched.
    piece: usize,
    /// The shapes that hold it, each with its place in them; none for a key and for armour.
    pub(super) shapes: Vec<(Anchor, usize)>,
}

impl Marker {
    /// Whether it is how a private key begins.
    pub(super) fn is_key(&self) -> bool {
        KEYS.contains(&self.literal.as_slice())
    }
}

/// All of them.
#[derive(Debug)]
pub(super) struct Markers {
    known: Vec<Marker>,
    search: Search,
    /// Those too short for that: each costs a pass.
    short: Vec<(Finder<'static>, Marker)>,
}

#[derive(Debug)]
enum Search {
    /// Many bytes at once; for some dozens of literals, on processors with vectors.
    Packed(Searcher),
    Automaton(AhoCorasick),
    Nothing,
}

/// Bytes that are compared at once in the search for all.
const TOGETHER: usize = 3;
/// How a PEM's first line begins.
const PEM: &[u8] = b"-----BEG";
/// How private keys begin, or what they say of themselves.
const KEYS: [&[u8]; 4] = [PEM, jwk::KEY_TYPE, jwk::RSA_VALUE, putty::BEGINNING];

impl Markers {
    pub(super) fn new() -> Markers {
        let mut markers = Markers {
            known: Vec::new(),
            search: Search::Nothing,
            short: Vec::new(),
        };
        for armour in KEYS.into_iter().chain(inline::ARMOURS) {
            markers.add(armour, Vec::new());
        }
        markers
    }

    pub(super) fn count(&self) -> usize {
        self.known.len()
    }

    pub(super) fn add(&mut self, literal: &[u8], shapes: Vec<(Anchor, usize)>) {
        let short = self.short.iter_mut().map(|(_, known)| known);
        let mut all = self.known.iter_mut().chain(short);
        if let Some(known) = all.find(|known| known.literal == literal) {
            known.shapes.extend(shapes);
            return;
        }
        let marker = Marker {
            literal: literal.to_vec(),
            piece: rarest(literal),
            shapes,
        };
        if literal.len() < TOGETHER {
            let finder = Finder::new(literal).into_owned();
            self.short.push((finder, marker));
        } else {
            self.known.push(marker);
        }
    }

    /// To be called when all are added.
    pub(super) fn compile(&mut self) {
        let pieces = || self.known.iter().map(|known| &known.literal[known.piece..]);
        self.search = match packed::Config::new().builder().extend(pieces()).build() {
            Some(searcher) => Search::Packed(searcher),
            None => AhoCorasick::new(pieces()).map_or(Search::Nothing, Search::Automaton),
        };
    }

    /// Calls `found` for each place of each literal in `text`.
    pub(super) fn each(&self, text: &[u8], mut found: impl FnMut(&Marker, usize)) {
        let mut from = 0;
        while let Some(at) = self.next(text, from) {
            for marker in &self.known {
                if let Some(start) = at.checked_sub(marker.piece)
                    && text[start..].starts_with(&marker.literal)
                {
                    found(marker, start);
                }
            }
            from = at + 1;
        }
        for (finder, marker) in &self.short {
            finder.find_iter(text).for_each(|at| found(marker, at));
        }
    }

    fn next(&self, text: &[u8], from: usize) -> Option<usize> {
        let span = Span {
            start: from,
            end: text.len(),
        };
        match &self.search {
            Search::Packed(searcher) => searcher.find_in(text, span).map(|found| found.start()),
            Search::Automaton(automaton) => automaton
                .find(Input::new(text).span(span))
                .map(|found| found.start()),
            Search::Nothing => None,
        }
    }
}

/// Where the piece of `literal` begins whose first bytes are the rarest in texts: what is found too
/// often makes the search slow.
fn rarest(literal: &[u8]) -> usize {
    let weight = |byte: &u8| match byte {
        b'a' | b'e' | b'i' | b'n' | b'o' | b'r' | b's' | b't' => 5,
        b'a'..=b'z' | b'-' | b'.' | b'/' | b'_' | b' ' => 3,
        b'0'..=b'9' | b':' | b'=' => 2,
        _ => 1,
    };
    let starts = 0..=literal.len().saturating_sub(TOGETHER);
    starts
        .min_by_key(|&at| literal[at..].iter().take(TOGETHER).map(weight).sum::<u32>())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_literal_is_found_at_every_place() {
        let literals: [&[u8]; 4] = [b"Q~", b".atlasv1.", b"atlas", b"xoxd-"];
        let mut markers = Markers::new();
        for literal in literals {
            markers.add(literal, Vec::new());
        }
        markers.compile();
        for literal in literals.into_iter().chain([PEM]) {
            for pad in 0..80 {
                let text = [&vec![b' '; pad][..], literal, &vec![b'-'; 80 - pad]].concat();
                let mut found = Vec::new();
                markers.each(&text, |marker, at| found.push((marker.literal.clone(), at)));
                assert!(found.contains(&(literal.to_vec(), pad)), "{pad}");
            }
        }
    }
}
