//! Packs of Git objects made by hand: what Git itself would not write.

#![allow(clippy::cast_possible_truncation)] // a format takes the low bits of numbers

use std::io::Write as _;

use super::unwrapping::{config, gzip};
use super::{findings, outline};
use crate::content::{Format, Part, Position};
use crate::rule::RuleSet;
use crate::scan::{Detector, Limits, Scan, UnreadWhy};

const BLOB: u8 = 3;
const OFFSET_DELTA: u8 = 6;

/// A pack of files, and of deltas upon such by their number.
#[derive(Default)]
struct Pack {
    bytes: Vec<u8>,
    starts: Vec<usize>,
}

impl Pack {
    fn add(&mut self, kind: u8, size: usize, base: &[u8], content: &[u8]) {
        self.starts.push(self.bytes.len() + 12);
        let mut first = kind << 4 | (size & 15) as u8;
        let mut rest = size >> 4;
        while rest > 0 {
            self.bytes.push(first | 0x80);
            first = (rest & 0x7f) as u8;
            rest >>= 7;
        }
        self.bytes.push(first);
        self.bytes.extend_from_slice(base);
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(content).unwrap();
        self.bytes.extend(encoder.finish().unwrap());
    }

    fn blob(&mut self, content: &[u8]) -> usize {
        self.add(BLOB, content.len(), &[], content);
        self.starts.len() - 1
    }

    /// A delta upon the object of number `base`, which has `from` bytes and becomes one of `to`.
    fn delta(&mut self, base: usize, from: usize, to: usize, steps: &[u8]) -> usize {
        let mut back = self.bytes.len() + 12 - self.starts[base];
        let mut offset = vec![(back & 0x7f) as u8];
        while back >> 7 > 0 {
            back = (back >> 7) - 1;
            offset.insert(0, (back & 0x7f) as u8 | 0x80);
        }
        let delta = [&length(from), &length(to), steps].concat();
        self.add(OFFSET_DELTA, delta.len(), &offset, &delta);
        self.starts.len() - 1
    }

    fn scan(&self, limits: Limits) -> Scan {
        let count = u32::try_from(self.starts.len()).unwrap().to_be_bytes();
        let bytes = [b"PACK\0\0\0\x02", &count[..], &self.bytes].concat();
        Detector::new(RuleSet::builtin(), limits).scan(&[Part {
            name: b"a.pack",
            format: Format::Guess,
            start: Position::default(),
            source: &bytes,
        }])
    }
}

fn length(mut value: usize) -> Vec<u8> {
    let mut out = Vec::new();
    while value > 0x7f {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
    out
}

/// Copies `size` bytes from `at` of the base.
fn copy(at: usize, size: usize) -> Vec<u8> {
    let (at, size) = (at.to_le_bytes(), size.to_le_bytes());
    [&[0xff][..], &at[..4], &size[..3]].concat()
}

/// Brings `text`.
fn bring(text: &[u8]) -> Vec<u8> {
    let pieces = text.chunks(100);
    pieces
        .flat_map(|piece| [&[piece.len() as u8], piece].concat())
        .collect()
}

#[test]
fn what_a_delta_brings_is_read_where_it_stands() {
    let (text, secret) = config(60);
    let half = 1_500_000;
    for line in ["x\n", "option = value\n", "\n", "one long line "] {
        let base = line.repeat(2 * half / line.len());
        let half = half / line.len() * line.len();
        let mut pack = Pack::default();
        let number = pack.blob(base.as_bytes());
        // What makes room for it: the base has to be made again.
        for n in 0..if line == "x\n" { 28 } else { 0 } {
            pack.blob(&vec![n; 1 << 20]);
        }
        let text = format!("\n{text}");
        let steps = [
            copy(0, half),
            bring(text.as_bytes()),
            copy(half, base.len() - half),
        ];
        let to = base.len() + text.len();
        pack.delta(number, base.len(), to, &steps.concat());
        let scan = pack.scan(Limits::default());
        let found = findings(&scan);
        assert_eq!(found.len(), 1, "{:#?} {:?}", outline(&scan), scan.unread);
        assert!(
            found[0]
                .secret
                .as_ref()
                .is_some_and(|told| told.expose() == secret.as_bytes())
        );
        let before = base[..half].matches('\n').count();
        assert_eq!(found[0].spot.line as usize, before + 5);
        assert!(scan.unread.is_empty(), "{:?}", scan.unread);
    }
}

#[test]
fn a_container_that_a_delta_makes_is_opened_as_a_whole() {
    let (text, secret) = config(61);
    let mut state = 1_u64;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 56) as u8 | 0x80
    })
    .take(80_000)
    .collect();
    let packed = gzip(&[&noise, &b"\n"[..], text.as_bytes()].concat());
    assert!(packed.len() > 48 << 10);
    let mut pack = Pack::default();
    let number = pack.blob(&packed[100..]);
    let steps = [bring(&packed[..100]), copy(0, packed.len() - 100)].concat();
    pack.delta(number, packed.len() - 100, packed.len(), &steps);
    let scan = pack.scan(Limits::default());
    let found = findings(&scan);
    assert_eq!(found.len(), 1, "{:#?} {:?}", outline(&scan), scan.unread);
    assert!(
        found[0]
            .secret
            .as_ref()
            .is_some_and(|told| told.expose() == secret.as_bytes())
    );
}

#[test]
fn what_a_pack_makes_is_bounded() {
    let limits = Limits {
        unwrapped: 1 << 20,
        ..Limits::default()
    };
    let size = 512 << 10;
    let mut copies = Pack::default();
    let number = copies.blob(&vec![b'x'; size]);
    for _ in 0..100 {
        copies.delta(number, size, size, &copy(0, size));
    }
    let mut empty = Pack::default();
    for _ in 0..20_000 {
        empty.blob(b"");
    }
    for (pack, what) in [(copies, "copies"), (empty, "empty files")] {
        let scan = pack.scan(limits);
        let why: Vec<_> = scan.unread.iter().map(|unread| unread.why).collect();
        assert_eq!(why, [UnreadWhy::Limit], "{what}");
    }
}
