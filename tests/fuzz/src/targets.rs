//! The targets and the promises.

use std::cell::RefCell;

use akwatch_detect::repository::{Ask, ObjectId, Step, Tracer, Wanted};
use akwatch_detect::{
    Detector, Format, Limits, Match, Part, Position, RuleSet, Scan, Source, Unreadable,
};
use akwatch_proto::credential::Kind;

use crate::{encode, packs};

/// The shortest secret that may be told: DESIGN's floor for a named password.
const SHORTEST: usize = 8;

/// One target: its name, and what is done with the bytes.
pub type Target = (&'static str, fn(&[u8]));

/// Every target. A name is also that of its file in `fuzz_targets/`.
pub const TARGETS: &[Target] = &[
    ("guess", |data| part("notes", Format::Guess, data)),
    ("text", |data| part("main.py", Format::Text, data)),
    ("environ", |data| {
        part("/proc/1/environ", Format::Environ, data);
    }),
    ("argv", |data| part("/proc/1/cmdline", Format::Argv, data)),
    ("dotenv", |data| part(".env", Format::Dotenv, data)),
    ("ini", |data| part("app.ini", Format::Ini, data)),
    ("properties", |data| {
        part("app.properties", Format::Properties, data);
    }),
    ("yaml", |data| part("app.yml", Format::Yaml, data)),
    ("json", |data| part("app.json", Format::Json, data)),
    ("toml", |data| part("app.toml", Format::Toml, data)),
    ("xml", |data| part("app.xml", Format::Xml, data)),
    ("shell", |data| part("run.sh", Format::Shell, data)),
    ("crontab", |data| part("crontab", Format::Crontab, data)),
    ("notes", |data| part("notes.txt", Format::Notes, data)),
    ("bash_history", |data| {
        part("/root/.bash_history", Format::BashHistory, data);
    }),
    ("zsh_history", |data| {
        part("/root/.zsh_history", Format::ZshHistory, data);
    }),
    ("fish_history", |data| {
        part("fish_history", Format::FishHistory, data);
    }),
    ("client_history", |data| {
        let names = [
            ".mysql_history",
            ".psql_history",
            ".python_history",
            ".viminfo",
            ".rediscli_history",
            "ConsoleHost_history.txt",
        ];
        part(names[data.len() % names.len()], Format::Guess, data);
    }),
    ("code", |data| {
        let names = [
            "a.php",
            "a.go",
            "a.java",
            "a.js",
            "a.sql",
            "a.tf",
            "a.ipynb",
            "a.csv",
            "nginx.conf",
            "Dockerfile",
            "app.service",
            "crontab",
        ];
        part(names[data.len() % names.len()], Format::Guess, data);
    }),
    ("base64", |data| encoded(data, encode::base64)),
    ("hex", |data| encoded(data, encode::hex)),
    ("runs", runs),
    ("percent", |data| encoded(data, encode::percent)),
    ("unicode", |data| encoded(data, encode::unicode)),
    ("octal", |data| encoded(data, encode::octal)),
    ("quoted_printable", |data| {
        encoded(data, encode::quoted_printable);
    }),
    ("utf16", |data| {
        part("a.txt", Format::Guess, &encode::utf16(data));
    }),
    ("gbk", |data| {
        part(
            "a.ini",
            Format::Guess,
            &[b"; \xca\xfd\xbe\xdd\xbf\xe2\xc3\xdc\xc2\xeb\n", data].concat(),
        );
    }),
    ("gzip", |data| {
        headed("a.gz", b"\x1f\x8b\x08\0\0\0\0\0\0\x03", data);
    }),
    ("bzip2", |data| headed("a.bz2", b"BZh91AY&SY", data)),
    ("lzma", |data| {
        headed(
            "a.lzma",
            b"]\0\0\x80\0\xff\xff\xff\xff\xff\xff\xff\xff\0",
            data,
        );
    }),
    ("xz", |data| {
        headed("a.xz", b"\xfd7zXZ\0\0\x04\xe6\xd6\xb4\x46", data);
    }),
    ("zstd", |data| headed("a.zst", b"\x28\xb5\x2f\xfd", data)),
    ("tar", |data| part("a.tar", Format::Guess, data)),
    ("zip", |data| headed("a.zip", b"PK\x03\x04", data)),
    ("deb", |data| headed("a.deb", b"!<arch>\n", data)),
    ("rpm", |data| {
        headed("a.rpm", b"\xed\xab\xee\xdb\x03\0\0\0", data);
    }),
    ("sqlite", |data| headed("a.db", b"SQLite format 3\0", data)),
    ("sqlite_log", |data| {
        let wal = b"\x37\x7f\x06\x82\x00\x2d\xe2\x18\x00\x00\x02\x00";
        let journal = b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7\xff\xff\xff\xff\0\0\0\0\0\0\0\x02\0\0\x02\0\0\0\x02\0";
        match data.len() % 2 {
            0 => headed("a.db-wal", wal, data),
            _ => headed("a.db-journal", journal, data),
        }
    }),
    ("git_loose", |data| {
        part(
            "/r/.git/objects/ab/0123456789abcdef0123456789abcdef012345",
            Format::Guess,
            data,
        );
    }),
    ("git_pack", |data| {
        headed("/r/.git/objects/pack/pack-0.pack", b"PACK\0\0\0\x02", data);
    }),
    ("git_bundle", |data| {
        headed("a.bundle", b"# v2 git bundle\n\nPACK\0\0\0\x02", data);
    }),
    ("repository", repository),
    ("pdf", |data| headed("a.pdf", b"%PDF-1.4\n", data)),
    ("pdf_lzw", |data| {
        let head = format!(
            "%PDF-1.4\n1 0 obj\n<</Filter/LZWDecode/Length {}",
            data.len()
        );
        let file = [
            head.as_bytes(),
            b">>stream\n",
            data,
            b"\nendstream\nendobj\n",
        ]
        .concat();
        part("a.pdf", Format::Guess, &file);
    }),
    ("plist", |data| headed("a.plist", b"bplist00", data)),
    ("core", |data| {
        headed(
            "core.1",
            b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x04\0",
            data,
        );
    }),
    ("wxapkg", |data| headed("a.wxapkg", b"\xbe\0\0\0\0", data)),
    ("sources", sources),
    ("names", names),
    ("rule_packs", packs::compile),
    ("floors", packs::read_out),
];

/// Runs the target of that name.
///
/// # Panics
/// When there is none, or a promise is broken.
pub fn run(name: &str, data: &[u8]) {
    let target = TARGETS.iter().find(|(known, _)| *known == name);
    let (_, run) = target.unwrap_or_else(|| panic!("no target is called {name:?}"));
    run(data);
}

/// Bounds small enough for thousands of inputs a second.
#[must_use]
pub fn limits() -> Limits {
    Limits {
        bytes: 1 << 20,
        unwrapped: 1 << 20,
        ..Limits::default()
    }
}

thread_local! {
    static DETECTOR: RefCell<Detector> = RefCell::new(Detector::new(RuleSet::builtin(), limits()));
}

/// Scans `data` as one part and checks the promises.
fn part(name: &str, format: Format, data: &[u8]) {
    let bytes = data.to_vec();
    let part = Part {
        name: name.as_bytes(),
        format,
        start: Position::default(),
        source: &bytes,
    };
    DETECTOR.with_borrow_mut(|detector| {
        let scan = detector.scan(&[part]);
        check(&scan, data);
        // Twice is twice the price: one input in eight.
        if data.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte)) % 8 == 0 {
            let again = detector.scan(&[Part {
                name: name.as_bytes(),
                format,
                start: Position::default(),
                source: &bytes,
            }]);
            assert!(
                digest(&scan) == digest(&again),
                "the same input gave another output"
            );
        }
    });
}

fn headed(name: &str, head: &[u8], data: &[u8]) {
    if data.starts_with(head) {
        part(name, Format::Guess, data);
    } else {
        part(name, Format::Guess, &[head, data].concat());
    }
}

/// Encoded data where a value stands, alone and in a line.
fn encoded(data: &[u8], encode: fn(&[u8]) -> String) {
    let text = encode(data);
    let (name, format, text) = match data.len() % 3 {
        0 => ("a.yaml", Format::Yaml, format!("content: {text}\n")),
        1 => ("a.json", Format::Json, format!("{{\"k\": \"{text}\"}}\n")),
        _ => ("a.log", Format::Text, text),
    };
    part(name, format, text.as_bytes());
}

/// An encoded text that is longer than a window, with the data before it, at its end and behind it.
fn runs(data: &[u8]) {
    const WINDOW: usize = 512 << 10;
    let mut held = b"name = value\n".repeat(WINDOW * 3 / 4 / 13);
    held.extend_from_slice(data);
    let mut text = match data.len() % 2 {
        0 => encode::base64(&held),
        _ => encode::hex(&held),
    };
    if data.len().is_multiple_of(3) {
        let lines: Vec<_> = text
            .as_bytes()
            .chunks(76)
            .map(String::from_utf8_lossy)
            .collect();
        text = lines.join("\n");
    }
    let text = [data, b" ", text.as_bytes(), b" ", data].concat();
    part("a.txt", Format::Guess, &text);
}

/// A repository of which every file is `data`, but for an index that leads into the pack. Nothing in it
/// is what its name says, so no commit may ever be named, and it has to come to an end.
fn repository(data: &[u8]) {
    let mut id = [0; 20];
    let named = data.len().min(20);
    id[..named].copy_from_slice(&data[..named]);
    let mut index = b"\xfftOc\0\0\0\x02".to_vec();
    for first in 0..=255_u8 {
        index.extend(u32::from(first >= id[0]).to_be_bytes());
    }
    index.extend(id);
    index.extend([0; 8]); // a checksum, and where it lies: at the beginning
    let files: Vec<Vec<u8>> = [
        "HEAD",
        "config",
        "packed-refs",
        "shallow",
        "refs/heads/main",
        "logs/refs/remotes/origin/main",
        "objects/pack/pack-0.idx",
        "objects/pack/pack-0.pack",
    ]
    .map(|name| name.as_bytes().to_vec())
    .to_vec();
    let wanted = [
        Wanted::Path {
            path: b"conf/.env".to_vec(),
            secrets: 1,
        },
        Wanted::Object(ObjectId(id)),
    ];
    let mut tracer = Tracer::new(files, true, &wanted);
    for _ in 0..100_000 {
        match tracer.step() {
            Step::More => {}
            Step::Ask(Ask::File(6)) => tracer.give(Some(Box::new(index.clone()))),
            Step::Ask(_) => tracer.give(Some(Box::new(data.to_vec()))),
            Step::Scan { .. } => panic!("a file whose name is not its content's was believed"),
            Step::Done => {
                let traced = tracer.finish();
                let mut traces = traced.traces.iter().flatten();
                assert!(
                    traces.all(|trace| trace.commit.is_none()),
                    "a commit was named"
                );
                return;
            }
        }
    }
    panic!("it does not end");
}

/// What holds for every answer.
///
/// # Panics
/// When it does not.
pub fn check(scan: &Scan, data: &[u8]) {
    let shown = format!("{scan:?}");
    let lines = 1 + data
        .iter()
        .filter(|byte| matches!(byte, b'\n' | b'\r'))
        .count();
    assert!(
        scan.matches.len() <= limits().matches,
        "more matches than the limit"
    );
    assert!(
        scan.read.iter().all(|read| *read <= data.len() as u64),
        "more was read than there is"
    );
    for found in &scan.matches {
        let spot = &found.spot;
        assert!(
            spot.line >= 1 && spot.end_line >= spot.line,
            "lines are not in order"
        );
        if spot.inside.is_empty() && spot.encoding.is_empty() {
            assert!(spot.end_line as usize <= lines, "a line beyond the end");
        }
        secrets(found, scan, &shown, data.len());
    }
}

fn secrets(found: &Match, scan: &Scan, shown: &str, length: usize) {
    assert!(
        found.secret.is_some() || found.kind == Kind::Reference,
        "no secret, and no reference"
    );
    for secret in found.secret.iter().chain(&found.also) {
        let bytes = secret.expose();
        if found.spot.inside.is_empty() && found.spot.encoding.is_empty() {
            assert!(bytes.len() <= length, "a secret longer than the input");
        }
        // One value may be taken for an id in one place and for a secret in another: ids are shown,
        // and what leaves a host is cleaned of every secret of its job afterwards.
        let mut ids = scan.matches.iter().filter_map(|other| other.id.as_ref());
        let public = ids.any(|id| {
            let (id, text) = (id.as_str(), String::from_utf8_lossy(bytes));
            id.contains(text.as_ref()) || text.contains(id)
        });
        if let (Ok(text), false) = (std::str::from_utf8(bytes), public)
            && text.len() >= 2 * SHORTEST
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
        {
            assert!(!shown.contains(text), "a secret in a debug output");
        }
    }
    if let Some(secret) = &found.secret {
        assert!(secret.len() >= SHORTEST, "a secret below the floor");
    }
}

/// What of a match must be equal for equal inputs: what it is, its lines, its id, its secret.
type Row = (String, u32, u32, Option<String>, Vec<u8>);

/// The rows of an answer.
fn digest(scan: &Scan) -> Vec<Row> {
    let row = |found: &Match| {
        let secret = found.secret.as_ref().map(|secret| secret.expose().to_vec());
        (
            format!(
                "{} {:?} {:?}",
                found.rule, found.confidence, found.spot.field
            ),
            found.spot.line,
            found.spot.end_line,
            found.id.as_ref().map(ToString::to_string),
            secret.unwrap_or_default(),
        )
    };
    scan.matches.iter().map(row).collect()
}

/// A source that gives its bytes in pieces of any size, and at last an error.
struct Uneven<'a> {
    bytes: &'a [u8],
    step: usize,
    breaks: bool,
}

impl Source for Uneven<'_> {
    fn len(&self) -> Option<u64> {
        None
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> Result<usize, Unreadable> {
        let at = usize::try_from(at).unwrap_or(usize::MAX);
        let Some(rest) = self.bytes.get(at..).filter(|rest| !rest.is_empty()) else {
            return if self.breaks { Err(Unreadable) } else { Ok(0) };
        };
        let count = rest.len().min(into.len()).min(self.step);
        into[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }
}

/// Two parts, read in pieces: what is found does not depend on how the bytes come.
fn sources(data: &[u8]) {
    let (head, rest) = data.split_at(data.len().min(2));
    let step = 1 + usize::from(head.first().copied().unwrap_or(0));
    let uneven = Uneven {
        bytes: rest,
        step,
        breaks: head.get(1).is_some_and(|byte| byte % 2 == 1),
    };
    let whole = rest.to_vec();
    let of = |source| Part {
        name: b"app.yml",
        format: Format::Guess,
        start: Position::default(),
        source,
    };
    DETECTOR.with_borrow_mut(|detector| {
        let pieces = detector.scan(&[of(&uneven)]);
        let at_once = detector.scan(&[of(&whole)]);
        check(&pieces, rest);
        if !uneven.breaks {
            assert!(
                digest(&pieces) == digest(&at_once),
                "pieces gave another output"
            );
        }
        let both = detector.scan(&[of(&whole), of(&uneven)]);
        assert!(
            both.matches.iter().all(|found| found.part < 2),
            "a part that was not given"
        );
    });
}

/// Names are cleaned without breaking: ranges in order, inside the name, not overlapping.
fn names(data: &[u8]) {
    DETECTOR.with_borrow_mut(|detector| {
        let mut end = 0;
        for (range, _) in detector.secrets_in_name(data) {
            assert!(
                range.start >= end && range.start < range.end,
                "ranges overlap"
            );
            assert!(range.end <= data.len(), "a range beyond the name");
            end = range.end;
        }
    });
    let _ = akwatch_detect::places::format_of(data);
    let _ = akwatch_detect::places::is_history(data);
}
