//! Files made to stop what reads them: to panic, to take its memory, to take its time. The bounds are
//! counted from outside, in what is read of the source, never by the meter that sets them.

use std::cell::Cell;

use super::pdf::{flate, pdf, text};
use crate::content::{Format, Part, Position, Source, Unreadable};
use crate::rule::RuleSet;
use crate::scan::{Detector, Limits, Scan, UnreadWhy};

/// Bytes of which it is counted how many were read.
struct Counted<'b> {
    bytes: &'b [u8],
    /// Bytes that it says it has, and those that it has.
    length: usize,
    read: Cell<u64>,
}

impl<'b> Counted<'b> {
    fn of(bytes: &'b [u8]) -> Counted<'b> {
        Counted {
            bytes,
            length: bytes.len(),
            read: Cell::new(0),
        }
    }
}

impl Source for Counted<'_> {
    fn len(&self) -> Option<u64> {
        Some(self.length as u64)
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> Result<usize, Unreadable> {
        let count = self.bytes.read_at(at, into)?;
        self.read.set(self.read.get() + count as u64);
        Ok(count)
    }
}

fn scan(name: &str, source: &dyn Source, unwrapped: u64) -> Scan {
    let limits = Limits {
        unwrapped,
        ..Limits::default()
    };
    Detector::new(RuleSet::builtin(), limits).scan(&[Part {
        name: name.as_bytes(),
        format: Format::Guess,
        start: Position::default(),
        source,
    }])
}

fn has(scan: &Scan, why: UnreadWhy) -> bool {
    scan.unread.iter().any(|unread| unread.why == why)
}

/// The budget ends amid the objects of a stream, after the catalogue was named.
#[test]
fn packed_objects_that_were_named_are_there() {
    let catalog = "<</Type/Catalog/Pages 2 0 R>>";
    let pairs = format!("7 0 {}", format!("8 {} ", catalog.len() + 1).repeat(90));
    let large = format!("[{}]", "/a ".repeat(20_000));
    let packed = format!("{pairs}{catalog} {large}");
    let dictionary = format!("/Type/ObjStm/N 91/First {}", pairs.len());
    let bytes = pdf(&[flate(&dictionary, packed.as_bytes())]);
    for unwrapped in [200 << 10, 1 << 20] {
        let scan = scan("a.pdf", &bytes, unwrapped);
        assert!(has(&scan, UnreadWhy::Limit), "{:?}", scan.unread);
    }
}

/// A file that has less than it said: it was cut between the question and the answer.
#[test]
fn a_file_that_shrinks_ends_where_it_ends() {
    let page = text("<</Type/Page/Contents 2 0 R>>");
    let whole = pdf(&[page, flate("", &[b'x'; 4000]), text(&"% \n".repeat(8000))]);
    for end in (0..whole.len()).step_by(61) {
        for more in [1, 40, 9000, 900_000] {
            let mut source = Counted::of(&whole[..end]);
            source.length += more;
            let scan = scan("a.pdf", &source, 1 << 20);
            let said = has(&scan, UnreadWhy::Unreadable);
            assert!(said || end < 5, "{end} of {more} more: {:?}", scan.unread);
        }
    }
}

/// A name that is written before each of the strings below it is no longer than names are.
#[test]
fn a_long_name_is_not_written_before_every_string() {
    let strings = format!("<</{}[{}]>>", "K".repeat(100_000), "(a)".repeat(20_000));
    let whole = scan("a.pdf", &pdf(&[text(&strings)]), 256 << 20);
    assert!(whole.work < 32 << 20, "{} bytes of work", whole.work);
}
