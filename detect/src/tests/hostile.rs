//! Files made to stop what reads them: to panic, to take its memory, to take its time. The bounds are
//! counted from outside, in what is read of the source, never by the meter that sets them.

use std::cell::Cell;

use super::pdf::{flate, pdf, stream, text, zlib};
use super::unwrapping::{config, gzip, tar, zip};
use super::{findings, outline};
use crate::content::{Format, Part, Position, Source, Unreadable};
use crate::rule::RuleSet;
use crate::scan::{Detector, Limits, Match, Scan, UnreadWhy};
use crate::unwrap::inline;

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

/// A stream of DEFLATE that ends, and holds so many blocks of nothing.
fn empty_blocks(count: usize) -> Vec<u8> {
    [
        b"\0\0\0\xff\xff".repeat(count).as_slice(),
        b"\x01\0\0\xff\xff",
    ]
    .concat()
}

/// A zip of so many entries in its directory, all of the same bytes.
fn same_bytes(entries: u16, deflated: &[u8]) -> Vec<u8> {
    let sizes = [u32::try_from(deflated.len()).unwrap(), 0];
    let sizes = sizes.map(u32::to_le_bytes).concat();
    // A version, no flags, the method, a date, a sum of nothing.
    let about = [b"\x14\0\0\0\x08\0\0\0\0\0\0\0\0\0".as_slice(), &sizes].concat();
    let name = b"\x05\0\0\0";
    let mut out = [b"PK\x03\x04", about.as_slice(), name, b"a.txt", deflated].concat();
    let start = u32::try_from(out.len()).unwrap();
    let entry = [
        b"PK\x01\x02\x14\0",
        about.as_slice(),
        name,
        &[0; 14],
        b"a.txt",
    ]
    .concat();
    let directory = entry.repeat(usize::from(entries));
    out.extend_from_slice(&directory);
    out.extend_from_slice(b"PK\x05\x06\0\0\0\0");
    out.extend_from_slice(&[entries.to_le_bytes(), entries.to_le_bytes()].concat());
    let size = u32::try_from(directory.len()).unwrap();
    out.extend_from_slice(&[size.to_le_bytes(), start.to_le_bytes()].concat());
    out.extend_from_slice(&[0, 0]);
    out
}

/// Each of these makes megabytes on its way to nothing: what is looked at is less than a KiB.
#[test]
fn what_gives_nothing_costs_what_it_takes() {
    const MADE: usize = 4 << 20;
    let blocks = empty_blocks(MADE / 5);
    let gz = [b"\x1f\x8b\x08\0\0\0\0\0\0\xff", blocks.as_slice(), &[0; 8]].concat();
    let zlib_of_nothing = [b"\x78\x9c", blocks.as_slice(), &[0, 0, 0, 1]].concat();
    let tags = "<a/>".repeat(MADE / 4);
    let slides = ("ppt/slides/slide1.xml", tags.as_bytes());
    let types = ("[Content_Types].xml", &b"<Types/>"[..]);
    let mut core = vec![0; MADE];
    core[..18].copy_from_slice(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x04\0");
    let marks = b"\xff\xfe".repeat(MADE / 2);
    let empty: Vec<(&str, &[u8])> = vec![("a", &b""[..]); MADE / 512];
    let twice = "[/FlateDecode/FlateDecode]";
    for (name, bytes) in [
        (
            "filters.pdf",
            pdf(&[stream("", twice, &zlib(&zlib_of_nothing))]),
        ),
        ("deck.pptx", zip(&[types, slides])),
        ("same.zip", same_bytes(200, &empty_blocks(MADE / 1000))),
        ("empty.gz", gzip(&gz)),
        ("core.gz", gzip(&core)),
        ("marks.gz", gzip(&marks)),
        ("members.tar.gz", gzip(&tar(&empty))),
    ] {
        let small = scan(name, &bytes, (MADE / 2) as u64);
        assert!(has(&small, UnreadWhy::Limit), "{name}: {:?}", small.unread);
        let said = has(&small, UnreadWhy::Damaged);
        assert!(!said, "{name}: {:?}", small.unread);
        // It is the budget that ends it, and nothing else.
        let large = scan(name, &bytes, 8 * MADE as u64);
        assert_eq!(large.unread, [], "{name}");
    }
}

/// Each of these addresses holds the next: what is in one is found from two sides, and undone once.
#[test]
fn addresses_in_one_another_do_not_take_all_there_is() {
    let (text, secret) = config(97);
    let archive = inline::to_base64(&gzip(text.as_bytes()));
    let archive = String::from_utf8(archive).unwrap();
    let mut address = "http://a?x=http".to_owned();
    for _ in 0..14 {
        let inner = address.replace('%', "%25").replace(':', "%3A");
        address = format!("http://a?x={}", inner.replace('/', "%2F"));
    }
    let file = format!("callback_password={address}\nblob={archive}\n");
    let scan = scan("a.env", &file.into_bytes(), 1 << 20);
    let told = |found: &&Match| {
        let held = found.secret.as_ref();
        held.is_some_and(|held| held.expose() == secret.as_bytes())
    };
    let found = findings(&scan);
    assert!(found.iter().any(told), "{:#?}", outline(&scan));
    assert!(!has(&scan, UnreadWhy::Limit), "{:?}", scan.unread);
}

/// What a file has is read once for nothing, whatever it is wrapped in.
#[test]
fn a_file_is_read_once_within_any_budget() {
    let text = "nothing to see here\n".repeat(100_000);
    let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let budget = text.len() as u64 + (64 << 10);
    for (name, bytes) in [("a.txt", wide), ("a.gz", gzip(text.as_bytes()))] {
        assert_eq!(scan(name, &bytes, budget).unread, [], "{name}");
    }
}

/// What is left out of a PDF is said: an object that is too deep or too large takes its stream along.
#[test]
fn objects_that_are_not_read_are_said() {
    let stream = |dictionary: String| flate(&dictionary, b"nothing to see");
    let arrays = |depth: usize| format!("/A{}{}", "[".repeat(depth), "]".repeat(depth));
    let numbers = |count: usize| format!("/A[{}]", "1 ".repeat(count));
    let blanks = |count: usize| [" ".repeat(count).as_bytes(), &stream(String::new())].concat();
    let packed = |object: String| {
        let inner = format!("7 0 {object}");
        flate("/Type/ObjStm/N 1/First 4", inner.as_bytes())
    };
    for (object, limited) in [
        (stream(arrays(8)), false),
        (stream(arrays(40)), true),
        (stream(numbers(50_000)), false),
        (stream(numbers(300_000)), true),
        (blanks(100_000), false),
        (blanks(600_000), true),
        (packed(format!("<<{}>>", arrays(8))), false),
        (packed(format!("<<{}>>", arrays(40))), true),
        (packed(format!("<<{}>>", numbers(300_000))), true),
    ] {
        let scan = scan("a.pdf", &pdf(&[object]), 256 << 20);
        assert_eq!(has(&scan, UnreadWhy::Limit), limited, "{:?}", scan.unread);
    }
}

/// A tar whose first member is of this kind, under a sum that holds.
fn of_kind(mut bytes: Vec<u8>, kind: u8, more: bool) -> Vec<u8> {
    bytes[156] = kind;
    bytes[482] = u8::from(more);
    bytes[148..156].fill(b' ');
    let sum: u32 = bytes[..512].iter().map(|&b| u32::from(b)).sum();
    bytes[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    bytes
}

/// What a member is called, and of what kind it is said to be, does not hide what it holds.
#[test]
fn members_of_odd_kinds_are_read() {
    let (text, secret) = config(61);
    let plain = tar(&[("a.env", text.as_bytes())]);
    // The rest of a map of holes lies between the header and the content.
    let mut mapped = of_kind(plain.clone(), b'S', true);
    mapped.splice(512..512, [0; 512]);
    let mut twice = of_kind(plain.clone(), b'S', true);
    twice.splice(512..512, [[0; 504].as_slice(), &[1], &[0; 519]].concat());
    for (name, bytes) in [
        ("sparse.tar", of_kind(plain.clone(), b'S', false)),
        ("mapped.tar", mapped),
        ("mapped twice.tar", twice),
        ("unknown.tar", of_kind(plain, b'~', false)),
        ("directory.zip", zip(&[("a.env/", text.as_bytes())])),
    ] {
        let scan = scan(name, &bytes, 1 << 20);
        let found = findings(&scan);
        assert_eq!(found.len(), 1, "{name}: {:#?}", outline(&scan));
        let told = found[0].secret.as_ref().map(|told| told.expose().to_vec());
        assert_eq!(told.as_deref(), Some(secret.as_bytes()), "{name}");
        assert_eq!(scan.unread, [], "{name}");
    }
}

/// A NUL does not make a text a program.
#[test]
fn names_count_in_texts_that_have_a_nul() {
    let line = "DB_PASSWORD=Yk8#wq2Lm5vT\n";
    let filler = "# nothing to see in this line\n".repeat(100);
    let nuls = "\0".repeat(200);
    for (name, text, expected) in [
        ("app.env", format!("{line}\0"), 1),
        ("app.env", format!("{line}{nuls}"), 1),
        ("app.env", format!("A=1\0\n{line}"), 1),
        ("a", format!("{line}\0\0\0"), 1),
        ("a", format!("{filler}{line}{filler}\0\n{filler}"), 1),
        ("a", format!("\0\x01\0\x02{line}\0\x03\x04{filler}"), 0),
    ] {
        let scan = scan(name, &text.clone().into_bytes(), 1 << 20);
        let found = findings(&scan).len();
        assert_eq!(found, expected, "{name}: {text:?}: {:#?}", outline(&scan));
    }
}
