//! What files made to be slow or large cost, counted by the system and not by the detector's own meter:
//! the memory that the process has ever had, and its time on a processor beside that of a plain text.
//!
//! One test, since what is counted is the process's.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)] // a test that cannot go on says so by ending

use std::io::Write as _;

use akwatch_detect::content::{Format, Part, Position};
use akwatch_detect::rule::RuleSet;
use akwatch_detect::scan::{Detector, Limits};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Bytes that may be unwrapped.
const BUDGET: u64 = 8 << 20;
/// How many times what a text of that size costs a file may cost.
const TIMES: u64 = 6;
/// KiB that the process may ever have.
const MEMORY: u64 = 192 << 10;

/// The most memory that this process has had, in KiB.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    number.unwrap().parse().unwrap()
}

/// This thread's time on a processor, in the system's ticks.
fn time() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
    let fields = stat.rsplit(')').next().unwrap().split_whitespace();
    fields
        .skip(11)
        .take(2)
        .map(|n| n.parse::<u64>().unwrap())
        .sum()
}

fn cost(name: &str, bytes: &[u8]) -> u64 {
    let limits = Limits {
        unwrapped: BUDGET,
        ..Limits::default()
    };
    let before = time();
    Detector::new(RuleSet::builtin(), limits).scan(&[Part {
        name: name.as_bytes(),
        format: Format::Guess,
        start: Position::default(),
        source: &bytes.to_vec(),
    }]);
    time() - before
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn flate(number: u32, dictionary: &str, data: &[u8]) -> Vec<u8> {
    let data = zlib(data);
    let head = format!(
        "{number} 0 obj\n<<{dictionary}/Filter/FlateDecode/Length {}>>stream\n",
        data.len()
    );
    [head.as_bytes(), &data, b"\nendstream\nendobj\n"].concat()
}

/// One page of `contents`, with a font that `page` and `more` may describe.
fn page(font: &str, contents: &str, more: &[Vec<u8>]) -> Vec<u8> {
    let page = format!("<</Type/Page/Contents 4 0 R/Resources<</Font<</F {font}>>>>>>");
    let packed = format!("3 0 {page}");
    let mut out = b"%PDF-1.7\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n".to_vec();
    out.extend_from_slice(b"2 0 obj<</Type/Pages/Kids[3 0 R]>>endobj\n");
    out.extend(flate(9, "/Type/ObjStm/N 1/First 4", packed.as_bytes()));
    out.extend(flate(4, "", contents.as_bytes()));
    out.extend(more.concat());
    out
}

fn low(number: usize, bits: u8) -> u8 {
    u8::try_from(number & usize::from(bits)).unwrap()
}

/// What begins an object of a pack.
fn head(kind: u8, size: usize) -> Vec<u8> {
    let mut size = size;
    let mut out = vec![kind << 4 | low(size, 15)];
    size >>= 4;
    while size > 0 {
        *out.last_mut().unwrap() |= 0x80;
        out.push(low(size, 0x7f));
        size >>= 7;
    }
    out
}

/// How far back the base of a delta lies.
fn back(by: usize) -> Vec<u8> {
    let mut out = vec![low(by, 0x7f)];
    let mut by = by >> 7;
    while by > 0 {
        by -= 1;
        out.insert(0, 0x80 | low(by, 0x7f));
        by >>= 7;
    }
    out
}

/// A pack of a first object and `count` deltas upon what `base` says, from where each begins and where
/// the one before it did.
fn pack(first: &[u8], count: usize, base: &dyn Fn(usize, usize) -> usize) -> Vec<u8> {
    let objects = u32::try_from(count + 1).unwrap().to_be_bytes();
    let mut out = [b"PACK\0\0\0\x02", &objects[..], first].concat();
    let delta = zlib(b"\x01\x01");
    let mut before = 12;
    for _ in 0..count {
        let at = out.len();
        out.extend([head(6, 2), back(at - base(at, before)), delta.clone()].concat());
        before = at;
    }
    out
}

/// A property list whose list names in turn two objects that lie far apart.
fn wide_plist() -> Vec<u8> {
    let far = [&[0][..], &[0; 20_000]].concat();
    let mut out = b"bplist00".to_vec();
    let mut offsets = Vec::new();
    for _ in 0..2 {
        offsets.push(out.len());
        out.extend_from_slice(&far);
    }
    offsets.push(out.len());
    let count = 1_u32 << 20;
    out.extend(
        [
            &[0xaf, 0x12][..],
            &count.to_be_bytes(),
            &[0, 1].repeat(1 << 19),
        ]
        .concat(),
    );
    let table = out.len() as u64;
    for at in offsets {
        out.extend((at as u64).to_be_bytes());
    }
    out.extend([0, 0, 0, 0, 0, 0, 8, 1]);
    for number in [3, 2, table] {
        out.extend(number.to_be_bytes());
    }
    out
}

/// Fields of a message that each hold a stream of nothing.
fn streams() -> Vec<u8> {
    field(b"").repeat(40_000)
}

/// The same in each of such fields.
fn streams_of_streams() -> Vec<u8> {
    field(&field(b"").repeat(4000)).repeat(4000)
}

fn field(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(content).unwrap();
    let stream = encoder.finish().unwrap();
    let length = match stream.len() {
        short @ ..0x80 => vec![low(short, 0x7f)],
        long => vec![0x80 | low(long, 0x7f), low(long >> 7, 0x7f)],
    };
    [&[0x12][..], &length, &stream].concat()
}

/// Texts whose values, remarks and names lie within each other's reach.
/// A window of many values, and behind it runs of base64 that each window's end cuts.
fn runs() -> Vec<u8> {
    let run = STANDARD.encode("a line of a text\n".repeat(900));
    let before = "\"k\":[1],".repeat(25_000);
    let runs = format!("\"r\":\"{run}\",").repeat(250);
    format!("{{\"password\":\"\",{before}{runs}").into_bytes()
}

fn texts() -> [(&'static str, Vec<u8>); 10] {
    let below = |open: &str, value: &str| {
        let keys = format!("{{\"{}\":", "k".repeat(180)).repeat(700);
        let values = value.repeat(360_000 / value.len());
        format!("{keys}{{\"db_password\":\"x8Kw2mLq9vTz\",\"a\":{open}{values}").into_bytes()
    };
    [
        ("names below names.json", below("{", "\"a\":\"b\",")),
        ("values below names.json", below("[", "1,")),
        (
            "values in values.txt",
            format!(
                "password=hunter2xyzz {}&amp;amp;amp;amp;c=1}}\n",
                "abcdef(${".repeat(800)
            )
            .into_bytes(),
        ),
        (
            "one remark.c",
            format!("{}\\{}x\n", "[//".repeat(340), "\n".repeat(1000))
                .repeat(64)
                .into_bytes(),
        ),
        (
            "names on a line.json",
            format!("{{{}}}", "\"a7\":\"the password: x\",".repeat(12_000)).into_bytes(),
        ),
        (
            "armour in armour.txt",
            "%20H4sI".repeat(149_000).into_bytes(),
        ),
        (
            "remarks in remarks.c",
            "[//\\\n".repeat(200_000).into_bytes(),
        ),
        ("streams of nothing.bin", streams()),
        ("streams of streams.bin", streams_of_streams()),
        ("runs behind values.json", runs()),
    ]
}

#[test]
fn no_file_costs_much_more_than_a_text_of_its_budget() {
    let plain =
        "name: value-1, \"key\": [\"some\", 12], password=\"${NOTHING}\"\n".repeat((8 << 20) / 60);
    let usual = cost("a.txt", plain.as_bytes()).max(1);
    let ranges = "<0000><ffff><0041> ".repeat(4000);
    let wide = format!("[{}]", "0 4095 1 ".repeat(20_000));
    let fonts = [
        b"5 0 obj<</Subtype/Type0/ToUnicode 6 0 R/DescendantFonts[7 0 R]>>endobj\n".to_vec(),
        flate(6, "", format!("{ranges} endbfrange").as_bytes()),
        format!("7 0 obj<</W{wide}>>endobj\n").into_bytes(),
    ];
    let inline = format!("<</Subtype/TrueType/X[{}]>>", "/a ".repeat(150_000));
    let operand = format!("[{}] ", "/a".repeat(120_000));
    let unfinished = "8 0 ".repeat(400);
    let unfinished = flate(
        1,
        &format!("/Type/ObjStm/N 400/First {}", unfinished.len()),
        format!("{unfinished}({}", "x".repeat(3 << 20)).as_bytes(),
    );
    // An object that only looks like one, among the bytes of another that is stored as it is.
    let mut stored = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::none());
    let fake = [head(3, 8 << 20), vec![0xff; 40]].concat();
    stored.write_all(&fake).unwrap();
    let stored = [head(3, fake.len()), stored.finish().unwrap()].concat();
    let inside = 12 + memchr::memmem::find(&stored, &fake).unwrap();
    let unknown = [head(7, 2), vec![7; 20], zlib(b"\x01\x01")].concat();
    let name = format!(
        "1 0 obj<</{}[{}]>>endobj\n",
        "K".repeat(200_000),
        "(a)".repeat(80_000)
    );
    let digit = format!("!{}", " ".repeat(6 << 20));
    let ascii = [
        b"1 0 obj<</Filter[/FlateDecode/ASCII85Decode]>>stream\n".to_vec(),
        zlib(digit.as_bytes()),
        b"\nendstream".to_vec(),
    ];
    let pdf = |objects: &[u8]| [b"%PDF-1.7\n", objects].concat();
    let mut said = String::new();
    let files = [
        (
            "fonts written out.pdf",
            page(&inline, &"/F 1 Tf ".repeat(2000), &[]),
        ),
        (
            "ranges of codes.pdf",
            page("5 0 R", "BT /F 1 Tf (a) Tj ET", &fonts),
        ),
        ("operands.pdf", page("5 0 R", &operand.repeat(150), &[])),
        ("no end.pdf", pdf(&unfinished)),
        ("long name.pdf", pdf(name.as_bytes())),
        ("one digit.pdf", pdf(&ascii.concat())),
        (
            "no beginning.pack",
            pack(&unknown, 12_000, &|_, before| before),
        ),
        ("claims.pack", pack(&stored, 8000, &|_, _| inside)),
        ("to and fro.plist", wide_plist()),
    ];
    let keys = "secret_key = dBjftJeZ4CVPmB92K27uhbUJU1p1rwWr\n".repeat(50);
    let names = ["/oss", "/etc"].map(|part| part.repeat(64 << 10));
    let named = names
        .each_ref()
        .map(|name| (name.as_str(), keys.clone().into_bytes()));
    for (what, bytes) in files.into_iter().chain(texts()).chain(named) {
        let took = cost(what, &bytes);
        said += &format!("{what:.24}: {took} of {usual}, {} KiB\n", memory());
        assert!(took <= usual * TIMES && memory() <= MEMORY, "{said}");
    }
    eprint!("{said}");
}
