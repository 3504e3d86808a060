//! What is wrapped is found, named by its members and encodings, within bounds.

use std::io::Write;

use akwatch_proto::place::Encoding;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use super::{detector, findings, outline, sample, scan_bytes};
use crate::content::{Format, Part, Position};
use crate::rule::RuleSet;
use crate::scan::{Detector, Limits, Scan, UnreadWhy};

pub(super) fn config(seed: u64) -> (String, String) {
    let made = sample("tencent.access-key", seed);
    let text = format!(
        "# live\ncos:\n  secretId: {}\n  secretKey: {}\n",
        made.id, made.secret
    );
    (text, made.secret)
}

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(super) fn tar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, bytes) in members {
        let mut header = [0_u8; 512];
        header[..name.len()].copy_from_slice(name.as_bytes());
        header[100..108].copy_from_slice(b"0000644\0");
        header[124..136].copy_from_slice(format!("{:011o}\0", bytes.len()).as_bytes());
        header[156] = b'0';
        header[257..263].copy_from_slice(b"ustar\0");
        header[148..156].fill(b' ');
        let sum: u32 = header.iter().map(|&b| u32::from(b)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        out.extend_from_slice(&header);
        out.extend_from_slice(bytes);
        out.resize(out.len().div_ceil(512) * 512, 0);
    }
    out.resize(out.len() + 1024, 0);
    out
}

pub(super) fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in members {
        writer
            .start_file(*name, zip::write::SimpleFileOptions::default())
            .unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

pub(super) fn check(scan: &Scan, secret: &str, line: u32, inside: &[&str], encoding: &[Encoding]) {
    let found = findings(scan);
    assert_eq!(found.len(), 1, "{:#?} {:?}", outline(scan), scan.unread);
    let found = found[0];
    assert!(
        found
            .secret
            .as_ref()
            .is_some_and(|told| told.expose() == secret.as_bytes())
    );
    assert!(found.id.is_some(), "{:#?}", outline(scan));
    assert_eq!(found.spot.line, line, "{:#?}", outline(scan));
    let members: Vec<_> = found
        .spot
        .inside
        .iter()
        .map(|name| String::from_utf8_lossy(name))
        .collect();
    assert_eq!(members, inside);
    assert_eq!(found.spot.encoding, encoding);
}

#[test]
fn archives_name_their_members() {
    let (text, secret) = config(1);
    let text = text.as_bytes();
    let scan = scan_bytes("a.yml.gz", Format::Guess, &gzip(text));
    check(&scan, &secret, 4, &[], &[Encoding::Compressed]);
    let archive = tar(&[("etc/a", b"nothing"), ("etc/app.yml", text)]);
    check(
        &scan_bytes("a.tar", Format::Guess, &archive),
        &secret,
        4,
        &["etc/app.yml"],
        &[],
    );
    check(
        &scan_bytes("a.tgz", Format::Guess, &gzip(&archive)),
        &secret,
        4,
        &["etc/app.yml"],
        &[],
    );
    let member = gzip(text);
    check(
        &scan_bytes(
            "a.tgz",
            Format::Guess,
            &gzip(&tar(&[("app.yml.gz", &member)])),
        ),
        &secret,
        4,
        &["app.yml.gz"],
        &[Encoding::Compressed],
    );
    let jar = zip(&[
        ("a.class", b"\xca\xfe\xba\xbe"),
        ("WEB-INF/application.yml", text),
    ]);
    check(
        &scan_bytes("a.jar", Format::Guess, &jar),
        &secret,
        4,
        &["WEB-INF/application.yml"],
        &[],
    );
    let nested = tar(&[("lib/a.jar", &jar), ("b", b"x")]);
    let scan = scan_bytes("b.tar.gz", Format::Guess, &gzip(&nested));
    check(
        &scan,
        &secret,
        4,
        &["lib/a.jar", "WEB-INF/application.yml"],
        &[],
    );
}

#[test]
fn encodings_inside_a_text_keep_its_lines() {
    let (text, secret) = config(2);
    let wrapped = STANDARD.encode(&text);
    let outer = format!("kind: Secret\ndata:\n  app.yml: {wrapped}\n");
    check(
        &scan_bytes("s.yaml", Format::Guess, outer.as_bytes()),
        &secret,
        3,
        &[],
        &[Encoding::Base64],
    );
    let twice = format!("data:\n  app.yml: {}\n", STANDARD.encode(&wrapped));
    check(
        &scan_bytes("s.yaml", Format::Guess, twice.as_bytes()),
        &secret,
        2,
        &[],
        &[Encoding::Base64; 2],
    );
    let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
    check(
        &scan_bytes("a.txt", Format::Guess, format!("x\n{hex}\n").as_bytes()),
        &secret,
        2,
        &[],
        &[Encoding::Hex],
    );
    let url = URL_SAFE_NO_PAD.encode(&text);
    check(
        &scan_bytes(
            "a.json",
            Format::Guess,
            format!("{{\"c\":\"{url}\"}}").as_bytes(),
        ),
        &secret,
        1,
        &[],
        &[Encoding::Base64],
    );
    let zipped = STANDARD.encode(gzip(text.as_bytes()));
    let scan = scan_bytes(
        "a.json",
        Format::Guess,
        format!("{{\"release\":\"{zipped}\"}}").as_bytes(),
    );
    check(
        &scan,
        &secret,
        1,
        &[],
        &[Encoding::Base64, Encoding::Compressed],
    );
}

#[test]
fn kubernetes_secrets_are_decoded_value_by_value_and_paired() {
    for rule in [
        "tencent.access-key",
        "aws.access-key",
        "alibaba.access-key",
        "volcengine.access-key",
    ] {
        let made = sample(rule, 7);
        let (id, secret) = (STANDARD.encode(&made.id), STANDARD.encode(&made.secret));
        let text = format!(
            "apiVersion: v1\nkind: Secret\ndata:\n  access_key_id: {id}\n  secret_key: {secret}\n"
        );
        let scan = scan_bytes("s.yaml", Format::Guess, text.as_bytes());
        check(&scan, &made.secret, 5, &[], &[Encoding::Base64]);
        assert_eq!(
            findings(&scan)[0].spot.field.as_deref(),
            Some(&b"data.secret_key"[..])
        );
    }
}

#[test]
fn wide_characters_are_read_in_both_orders() {
    let (text, secret) = config(3);
    for (mark, little) in [(true, true), (true, false), (false, true), (false, false)] {
        let units = mark
            .then_some(0xfeff)
            .into_iter()
            .chain(text.encode_utf16());
        let bytes: Vec<u8> = units
            .flat_map(|unit: u16| {
                if little {
                    unit.to_le_bytes()
                } else {
                    unit.to_be_bytes()
                }
            })
            .collect();
        check(
            &scan_bytes("a.yml", Format::Guess, &bytes),
            &secret,
            4,
            &[],
            &[Encoding::Utf16],
        );
    }
}

#[test]
fn what_cannot_be_read_is_named() {
    let (text, _) = config(4);
    let whole = gzip(&text.repeat(50).into_bytes());
    let scan = scan_bytes("a.gz", Format::Guess, &whole[..whole.len() / 2]);
    assert_eq!(
        scan.unread.first().map(|unread| unread.why),
        Some(UnreadWhy::Damaged)
    );
    let scan = scan_bytes(
        "a.7z",
        Format::Guess,
        b"7z\xbc\xaf\x27\x1c\x00\x04 and what follows",
    );
    assert_eq!(
        scan.unread.first().map(|unread| unread.why),
        Some(UnreadWhy::Unsupported)
    );
    let mut archive = zip(&[("a.txt", b"x"), ("b.txt", text.as_bytes())]);
    // The encrypted bit of the first member, in both of its headers.
    archive[6] |= 1;
    let central = memchr::memmem::find(&archive, b"PK\x01\x02").unwrap();
    archive[central + 8] |= 1;
    let scan = scan_bytes("a.zip", Format::Guess, &archive);
    assert_eq!(scan.unread.len(), 1);
    assert_eq!(
        (scan.unread[0].why, scan.unread[0].inside.as_slice()),
        (UnreadWhy::Encrypted, &[b"a.txt".to_vec()][..])
    );
    assert_eq!(findings(&scan).len(), 1, "the other member is read");
}

#[test]
fn bombs_and_deep_nesting_end_at_their_bounds() {
    let limits = Limits {
        unwrapped: 1 << 20,
        ..Limits::default()
    };
    let bomb = gzip(&vec![b' '; 64 << 20]);
    let part = Part {
        name: b"a.gz",
        format: Format::Guess,
        start: Position::default(),
        source: &bomb,
    };
    let scan = Detector::new(RuleSet::builtin(), limits).scan(&[part]);
    assert_eq!(
        scan.unread.first().map(|unread| unread.why),
        Some(UnreadWhy::Limit)
    );
    assert!(scan.work < 8 << 20, "{} bytes of work", scan.work);
    let mut nested = config(5).0.into_bytes();
    for _ in 0..Limits::default().depth + 2 {
        nested = gzip(&nested);
    }
    let scan = scan_bytes("a.gz", Format::Guess, &nested);
    assert_eq!(
        scan.unread.first().map(|unread| unread.why),
        Some(UnreadWhy::Limit)
    );
}

#[test]
fn a_limit_of_bytes_is_told() {
    let limits = Limits {
        bytes: 100,
        ..Limits::default()
    };
    let text = vec![b'x'; 1000];
    let part = Part {
        name: b"a",
        format: Format::Text,
        start: Position::default(),
        source: &text,
    };
    let scan = Detector::new(RuleSet::builtin(), limits).scan(&[part]);
    assert_eq!((scan.read.as_slice(), scan.unread.len()), (&[100][..], 1));
    let scan = detector().scan(&[Part {
        name: b"a",
        format: Format::Text,
        start: Position::default(),
        source: &text,
    }]);
    assert_eq!((scan.read.as_slice(), scan.unread.len()), (&[1000][..], 0));
}

#[test]
fn what_is_written_out_in_escapes_is_read() {
    let made = sample("tencent.access-key", 41);
    let text = format!(
        "[cos]\nsecret_id = {}\nsecret_key = {}\n",
        made.id, made.secret
    );
    let each = |write: &dyn Fn(u8) -> String| text.bytes().map(write).collect::<String>();
    let odd = |write: &dyn Fn(u8) -> String| {
        each(&|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
            _ => write(byte),
        })
    };
    let octal = |byte: u8| format!("\\{byte:03o}");
    let long = |byte: u8| format!("\\0{byte:03o}");
    let hex = |byte: u8| format!("\\x{byte:02x}");
    let unicode = |byte: u8| format!("\\u{:04x}", u32::from(byte));
    let percent = |byte: u8| format!("%{byte:02X}");
    for (name, text) in [
        ("a.sh", format!("printf '{}' > /etc/x\n", each(&octal))),
        ("a.sh", format!("echo -e '{}' > /etc/x\n", each(&long))),
        ("a.py", format!("open('x').write(b'{}')\n", each(&hex))),
        ("a.json", format!("{{\"text\": \"{}\"}}\n", each(&unicode))),
        ("a.json", format!("{{\"text\": \"{}\"}}\n", odd(&unicode))),
        ("a.js", format!("save(\"{}\");\n", odd(&unicode))),
        (
            "a.log",
            format!("POST /x?file=a&text={} HTTP/1.1\n", odd(&percent)),
        ),
    ] {
        let scan = scan_bytes(name, Format::Guess, text.as_bytes());
        let found = findings(&scan);
        let whole = |found: &&crate::scan::Match| {
            let secret = found.secret.as_ref();
            found.id.is_some() && secret.is_some_and(|s| s.expose() == made.secret.as_bytes())
        };
        assert!(
            found.len() == 1 && found.iter().all(whole),
            "{name} {text} {:?}",
            outline(&scan)
        );
    }
}

#[test]
fn a_container_in_any_armour_is_opened() {
    let (text, secret) = config(43);
    let packed = gzip(text.as_bytes());
    let wide: Vec<u8> = [0xff, 0xfe]
        .into_iter()
        .chain(text.encode_utf16().flat_map(u16::to_le_bytes))
        .collect();
    let hex: String = packed.iter().map(|byte| format!("{byte:02x}")).collect();
    let zstd = zstd::encode_all(text.as_bytes(), 3).unwrap();
    for (name, text) in [
        (
            "a.json",
            format!("{{\"body\": \"{}\"}}\n", URL_SAFE_NO_PAD.encode(&packed)),
        ),
        (
            "a.json",
            format!("{{\"body\": \"{}\"}}\n", URL_SAFE_NO_PAD.encode(&zstd)),
        ),
        (
            "a.log",
            format!("GET /x?state={} HTTP/1.1\n", URL_SAFE_NO_PAD.encode(&zstd)),
        ),
        ("a.conf", format!("blob = {hex}\n")),
        ("a.yml", format!("content: {}\n", STANDARD.encode(&wide))),
    ] {
        let scan = scan_bytes(name, Format::Guess, text.as_bytes());
        let found = findings(&scan);
        let whole = |found: &&crate::scan::Match| {
            let told = found.secret.as_ref();
            found.id.is_some() && told.is_some_and(|told| told.expose() == secret.as_bytes())
        };
        assert!(
            found.len() == 1 && found.iter().all(whole),
            "{name} {text} {:?} {:?}",
            outline(&scan),
            scan.unread
        );
    }
}

#[test]
fn compressed_fields_of_a_message_are_read() {
    let (text, secret) = config(61);
    let stream = gzip(text.as_bytes());
    let length = u8::try_from(stream.len() & 0x7f).unwrap() | 0x80;
    let more = u8::try_from(stream.len() >> 7).unwrap();
    let message = [
        &[0x0a, 4, b'b', b'l', b'o', b'b', 0x12, length, more][..],
        &stream,
        &[0x18, 1],
    ]
    .concat();
    let scan = scan_bytes("state.pb", Format::Guess, &message);
    let found = findings(&scan);
    assert_eq!(found.len(), 1, "{:#?}", outline(&scan));
    let told = found[0].secret.as_ref().unwrap();
    assert_eq!(told.expose(), secret.as_bytes());
    assert_eq!(found[0].spot.encoding, [Encoding::Compressed]);

    // Fields inside fields end at the deepest nesting, and a mark alone is no stream.
    let mut nested = message;
    for _ in 0..40 {
        let stream = gzip(&nested);
        let length = u8::try_from(stream.len() & 0x7f).unwrap() | 0x80;
        let more = u8::try_from(stream.len() >> 7).unwrap();
        nested = [&[0x12, length, more][..], &stream].concat();
    }
    assert!(findings(&scan_bytes("deep.pb", Format::Guess, &nested)).is_empty());
    let marks = [0x12, 60, 0x1f, 0x8b, 8].repeat(50_000);
    assert!(findings(&scan_bytes("marks.pb", Format::Guess, &marks)).is_empty());
}
