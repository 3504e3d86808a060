//! Containers beyond gzip, tar and zip: each made by the program or library that makes the real ones,
//! read, damaged and bounded.

use std::io::Write as _;

use akwatch_proto::place::Encoding;

use super::unwrapping::{check, config, gzip, tar, zip};
use super::{detector, findings, outline, sample, scan_bytes};
use crate::content::{Format, Part, Position};
use crate::rule::RuleSet;
use crate::scan::{Detector, Limits, UnreadWhy};
use crate::unwrap::fuel::Fuel;

fn bzip2(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn xz(bytes: &[u8], preset: u32) -> Vec<u8> {
    let options = lzma_rust2::XzOptions::with_preset(preset);
    let mut encoder = lzma_rust2::XzWriter::new(Vec::new(), options).unwrap();
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn lzma(bytes: &[u8], preset: u32) -> Vec<u8> {
    let options = lzma_rust2::LzmaOptions::with_preset(preset);
    let mut encoder = lzma_rust2::LzmaWriter::new_use_header(Vec::new(), &options, None).unwrap();
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 3).unwrap()
}

/// As the strongest levels write it: the window that is asked for is that of the level, not of the text.
fn zstd_long(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(27).unwrap();
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn pad(text: &mut Vec<u8>, to: usize) {
    text.resize(text.len().div_ceil(to) * to, 0);
}

fn ar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = b"!<arch>\n".to_vec();
    for (name, bytes) in members {
        let header = format!(
            "{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n",
            0,
            0,
            0,
            100_644,
            bytes.len()
        );
        out.extend_from_slice(header.as_bytes());
        out.extend_from_slice(bytes);
        if bytes.len() % 2 == 1 {
            out.push(b'\n');
        }
    }
    out
}

fn cpio(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    let end: (&str, &[u8]) = ("TRAILER!!!", b"");
    for (name, bytes) in members.iter().chain([&end]) {
        let fields = [
            1,
            0o100_644,
            0,
            0,
            1,
            0,
            bytes.len(),
            0,
            0,
            0,
            0,
            name.len() + 1,
            0,
        ];
        out.extend_from_slice(b"070701");
        for field in fields {
            out.extend_from_slice(format!("{field:08x}").as_bytes());
        }
        out.extend_from_slice(name.as_bytes());
        out.push(0);
        pad(&mut out, 4);
        out.extend_from_slice(bytes);
        pad(&mut out, 4);
    }
    out
}

fn rpm(payload: &[u8]) -> Vec<u8> {
    let mut out = vec![0xed, 0xab, 0xee, 0xdb, 3, 0];
    out.resize(96, 0);
    for store in [&b"signature"[..], b"header's texts"] {
        out.extend_from_slice(&[0x8e, 0xad, 0xe8, 1, 0, 0, 0, 0, 0, 0, 0, 1]);
        out.extend_from_slice(&u32::try_from(store.len()).unwrap().to_be_bytes());
        out.extend_from_slice(&[0; 16]);
        out.extend_from_slice(store);
        if out.len() < 160 {
            pad(&mut out, 8);
        }
    }
    out.extend_from_slice(payload);
    out
}

fn wxapkg(files: &[(&str, &[u8])]) -> Vec<u8> {
    let number = |value: usize| u32::try_from(value).unwrap().to_be_bytes();
    let names: usize = files.iter().map(|(name, _)| name.len() + 12).sum();
    let mut out = vec![0xbe];
    out.extend_from_slice(&[0; 12]);
    out.push(0xed);
    out.extend_from_slice(&number(files.len()));
    let mut at = 18 + names;
    for (name, bytes) in files {
        out.extend_from_slice(&number(name.len()));
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(&number(at));
        out.extend_from_slice(&number(bytes.len()));
        at += bytes.len();
    }
    for (_, bytes) in files {
        out.extend_from_slice(bytes);
    }
    out
}

#[test]
fn every_compression_is_undone() {
    let (text, secret) = config(11);
    let bytes = text.as_bytes();
    for (name, packed, line) in [
        ("app.yml.bz2", bzip2(bytes), 4),
        ("app.yml.xz", xz(bytes, 6), 4),
        ("app.yml.lzma", lzma(bytes, 6), 4),
        ("app.yml.zst", zstd(bytes), 4),
        ("app.yml.zst", zstd_long(bytes), 4),
        ("app.yml.zst", [zstd(b"a: b\n"), zstd(bytes)].concat(), 5),
        (
            "app.yml.zst",
            [zstd_long(b"a: b\n"), zstd(bytes)].concat(),
            5,
        ),
    ] {
        let scan = scan_bytes(name, Format::Guess, &packed);
        check(&scan, &secret, line, &[], &[Encoding::Compressed]);
    }
    let archive = tar(&[("etc/app.yml", bytes)]);
    for packed in [
        bzip2(&archive),
        xz(&archive, 6),
        lzma(&archive, 6),
        zstd(&archive),
    ] {
        let found = scan_bytes("a.tar", Format::Guess, &packed);
        assert_eq!(findings(&found).len(), 1);
        assert_eq!(findings(&found)[0].spot.inside, [b"etc/app.yml".to_vec()]);
    }
}

#[test]
fn a_frame_between_frames_is_skipped() {
    let (text, secret) = config(12);
    let mut packed = vec![0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4];
    packed.extend(zstd(text.as_bytes()));
    let scan = scan_bytes("app.yml.zst", Format::Guess, &packed);
    check(&scan, &secret, 4, &[], &[Encoding::Compressed]);
}

#[test]
fn a_window_that_would_take_the_hosts_memory_is_named() {
    let (text, _) = config(13);
    let mut packed = zstd(text.as_bytes());
    // Single segment off, and a window of 2 GiB (RFC 8878, 3.1.1.1.2).
    packed[4] &= !0x20;
    packed[5] = 21 << 3;
    let scan = scan_bytes("a.zst", Format::Guess, &packed);
    assert_eq!(
        scan.unread.first().map(|unread| unread.why),
        Some(UnreadWhy::Limit)
    );
    for (name, packed) in [
        ("a.xz", xz(text.as_bytes(), 9)),
        ("a.lzma", lzma(text.as_bytes(), 9)),
        // What fills the window that it asks for.
        ("a.zst", zstd_long(&vec![b'a'; 17 << 20])),
    ] {
        let scan = scan_bytes(name, Format::Guess, &packed);
        assert_eq!(
            scan.unread.first().map(|unread| unread.why),
            Some(UnreadWhy::Limit),
            "{name}"
        );
    }
}

#[test]
fn an_extension_of_a_browser_is_a_zip_behind_a_header() {
    let (text, secret) = config(14);
    let packed = zip(&[("app.yml", text.as_bytes())]);
    // Version 2 has the lengths of a key and a signature, version 3 that of one header.
    for header in [
        &b"Cr24\x02\0\0\0\x04\0\0\0\x02\0\0\0keysi"[..],
        b"Cr24\x03\0\0\0\x05\0\0\0heads",
    ] {
        let extension = [header, &packed].concat();
        let scan = scan_bytes("a.crx", Format::Guess, &extension);
        check(&scan, &secret, 4, &["app.yml"], &[]);
    }
}

#[test]
fn packages_of_systems_name_their_members() {
    let (text, secret) = config(14);
    let bytes = text.as_bytes();
    let content = tar(&[("./etc/app.yml", bytes)]);
    let deb = ar(&[
        ("debian-binary", b"2.0\n"),
        (
            "control.tar.xz",
            &xz(&tar(&[("./control", b"Package: a\n")]), 6),
        ),
        ("data.tar.zst", &zstd(&content)),
    ]);
    let scan = scan_bytes("a.deb", Format::Guess, &deb);
    assert!(scan.unread.is_empty(), "{:?}", scan.unread);
    let found = findings(&scan);
    assert_eq!(found.len(), 1, "{:#?}", outline(&scan));
    assert_eq!(
        found[0].spot.inside,
        [b"data.tar.zst".to_vec(), b"./etc/app.yml".to_vec()]
    );
    assert_eq!(found[0].spot.line, 4);
    for payload in [
        gzip(&cpio(&[("./etc/app.yml", bytes)])),
        zstd(&cpio(&[("./x", b"odd"), ("./etc/app.yml", bytes)])),
    ] {
        let scan = scan_bytes("a.rpm", Format::Guess, &rpm(&payload));
        assert!(scan.unread.is_empty(), "{:?}", scan.unread);
        let found = findings(&scan);
        assert_eq!(found.len(), 1, "{:#?}", outline(&scan));
        assert_eq!(found[0].spot.inside, [b"./etc/app.yml".to_vec()]);
        assert!(
            found[0]
                .secret
                .as_ref()
                .is_some_and(|told| told.expose() == secret.as_bytes())
        );
    }
}

#[test]
fn a_mini_programs_package_is_read() {
    let made = sample("tencent.access-key", 15);
    let script = format!(
        "define(\"app.js\", function(){{ const c = {{ SecretId: \"{}\", SecretKey: \"{}\" }}; }});\n",
        made.id, made.secret
    );
    let package = wxapkg(&[
        ("/app-config.json", b"{}"),
        ("/app-service.js", script.as_bytes()),
    ]);
    let scan = scan_bytes("1.wxapkg", Format::Guess, &package);
    check(&scan, &made.secret, 1, &["/app-service.js"], &[]);
}

#[test]
fn texts_in_gbk_are_read_with_their_names() {
    let made = sample("tencent.access-key", 22);
    let text = format!(
        "# 腾讯云的密钥，不要外传\n# 生产环境\nsecretId: {}\nsecretKey: {}\n",
        made.id, made.secret
    );
    let (bytes, _, failed) = encoding_rs::GB18030.encode(&text);
    assert!(!failed);
    let scan = scan_bytes("app.yml", Format::Guess, &bytes);
    check(&scan, &made.secret, 4, &[], &[Encoding::Gbk]);
    let latin = b"# caf\xe9 na\xefve, d\xe9j\xe0 vu, entr\xe9e, r\xe9sum\xe9\nkey: value\n";
    let scan = scan_bytes("a.yml", Format::Guess, latin);
    assert!(scan.unread.is_empty());
}

#[test]
fn a_text_in_another_character_set_is_read_to_its_end() {
    let made = sample("tencent.access-key", 30);
    let filler: String = (0..60_000)
        .map(|n| format!("说明.{n} = 第 {n} 行，没有密钥\n"))
        .collect();
    for odd in 0..3 {
        let text = format!(
            "# 密钥{}\n{filler}secretId = {}\nsecretKey = {}\n",
            "x".repeat(odd),
            made.id,
            made.secret
        );
        let gbk = encoding_rs::GB18030.encode(&text).0.into_owned();
        let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        for (bytes, encoding) in [
            (gbk, Encoding::Gbk),
            ([&[0xff, 0xfe], wide.as_slice()].concat(), Encoding::Utf16),
        ] {
            assert!(bytes.len() > 3 * crate::unwrap::stream::WINDOW);
            let scan = scan_bytes("app.properties", Format::Guess, &bytes);
            check(&scan, &made.secret, 60_003, &[], &[encoding]);
            assert_eq!(scan.read, [bytes.len() as u64]);
        }
    }
}

#[test]
fn quoted_printable_is_the_same_wherever_a_read_ends() {
    let quoted = b"a=3Db=\r\nc=\nd=zz=4 e=E4=BD=A0=";
    let whole = "a=bcd=zz=4 e你=".as_bytes();
    struct Slowly<'a>(&'a [u8], usize);
    impl std::io::Read for Slowly<'_> {
        fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
            let count = self.1.min(into.len()).min(self.0.len());
            into[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }
    for step in 1..quoted.len() {
        let mut undone = Vec::new();
        let input = Fuel::new(u64::MAX).meter(Slowly(quoted, step));
        std::io::Read::read_to_end(
            &mut crate::unwrap::charset::quoted_printable(input),
            &mut undone,
        )
        .unwrap();
        assert_eq!(undone, whole, "{step} bytes at once");
    }
}

#[test]
fn a_quoted_printable_message_is_undone() {
    let made = sample("aws.access-key", 23);
    let quoted = made.secret.replace('=', "=3D");
    let (front, back) = quoted.split_at(20);
    let message = format!(
        "From: a@example.com\r\nSubject: keys\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\naws_access_key_id=3D{}\r\naws_secret_access_key=3D{front}=\r\n{back}\r\n",
        made.id
    );
    let scan = scan_bytes("a.eml", Format::Guess, message.as_bytes());
    check(&scan, &made.secret, 8, &[], &[Encoding::QuotedPrintable]);
}

#[test]
fn a_zip_is_read_where_it_lies_whatever_its_size() {
    let (text, secret) = config(24);
    let noise: Vec<u8> = (0..20_u32 << 20)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    let mut writer = ::zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let stored = ::zip::write::SimpleFileOptions::default()
        .compression_method(::zip::CompressionMethod::Stored);
    writer.start_file("noise.bin", stored).unwrap();
    writer.write_all(&noise).unwrap();
    writer.start_file("etc/app.yml", stored).unwrap();
    writer.write_all(text.as_bytes()).unwrap();
    let bytes = writer.finish().unwrap().into_inner();
    let scan = scan_bytes("a.zip", Format::Guess, &bytes);
    check(&scan, &secret, 4, &["etc/app.yml"], &[]);
    assert_eq!(scan.read, [bytes.len() as u64]);
    // Inside something else it would have to be held: named, not read.
    let scan = scan_bytes("a.tar", Format::Guess, &tar(&[("a.zip", &bytes)]));
    assert_eq!(
        scan.unread.first().map(|unread| unread.why),
        Some(UnreadWhy::Limit)
    );
}

#[test]
fn a_directory_of_any_size_is_read_up_to_its_bound() {
    let (text, secret) = config(38);
    let name = |n: usize| format!("{n}{}", "x".repeat(60_000));
    let names: Vec<String> = (0..90).map(name).collect();
    let mut members: Vec<(&str, &[u8])> = vec![("app.yml", text.as_bytes())];
    members.extend(names.iter().map(|name| (name.as_str(), &b"x"[..])));
    let scan = scan_bytes("a.zip", Format::Guess, &zip(&members));
    check(&scan, &secret, 4, &["app.yml"], &[]);
    let why: Vec<_> = scan.unread.iter().map(|unread| unread.why).collect();
    assert_eq!(why, [UnreadWhy::Limit]);
    // One that has to be searched for among what looks like its entries.
    let mut searched = b"PK\x03\x04".to_vec();
    searched.extend(b"PK\x01\x02".repeat(2 << 20));
    searched.extend(b"PK\x05\x06\0\0\0\0\x01\0\x01\0\x2e\0\0\0\x03\0\0\0\0\0");
    let scan = scan_bytes("a.zip", Format::Guess, &searched);
    let why: Vec<_> = scan.unread.iter().map(|unread| unread.why).collect();
    assert_eq!(why, [UnreadWhy::Limit]);
}

#[test]
fn members_whose_decoder_has_no_bound_of_memory_are_named() {
    let (text, secret) = config(41);
    for method in [14, 95] {
        let mut archive = zip(&[("a", b"x"), ("app.yml", text.as_bytes())]);
        // LZMA and xz (APPNOTE 4.4.5), in both of the first member's headers.
        archive[8] = method;
        let central = memchr::memmem::find(&archive, b"PK\x01\x02").unwrap();
        archive[central + 10] = method;
        let scan = scan_bytes("a.zip", Format::Guess, &archive);
        check(&scan, &secret, 4, &["app.yml"], &[]);
        let unread = &scan.unread[0];
        assert_eq!(
            (unread.why, unread.inside.as_slice(), scan.unread.len()),
            (UnreadWhy::Unsupported, &[b"a".to_vec()][..], 1)
        );
    }
}

#[test]
fn members_of_one_name_are_all_read() {
    let (one, two) = (config(39), config(40));
    let mut archive = zip(&[
        ("app1.yml", one.0.as_bytes()),
        ("app2.yml", two.0.as_bytes()),
    ]);
    let places: Vec<usize> = memchr::memmem::find_iter(&archive, "app2").collect();
    for at in places {
        archive[at + 3] = b'1';
    }
    let scan = scan_bytes("a.zip", Format::Guess, &archive);
    let found = findings(&scan);
    assert_eq!(found.len(), 2, "{:#?}", outline(&scan));
}

#[test]
fn bombs_of_every_compression_end_at_their_bounds() {
    let limits = Limits {
        unwrapped: 1 << 20,
        ..Limits::default()
    };
    let spaces = vec![b' '; 32 << 20];
    for bomb in [bzip2(&spaces), xz(&spaces, 1), zstd(&spaces)] {
        let part = Part {
            name: b"a",
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
    }
}

#[test]
fn what_is_passed_over_inside_something_else_counts() {
    let (text, _) = config(42);
    let limits = Limits {
        unwrapped: 1 << 20,
        ..Limits::default()
    };
    let spaces = vec![b' '; 8 << 20];
    let scan = |bytes: &[u8], limits: Limits| {
        let bytes = bytes.to_vec();
        Detector::new(RuleSet::builtin(), limits).scan(&[Part {
            name: b"a",
            format: Format::Guess,
            start: Position::default(),
            source: &bytes,
        }])
    };
    // What is read of the first member ends the archive.
    let mut members: Vec<(String, &[u8])> = vec![("first".to_owned(), &spaces)];
    members.extend((0..50).map(|n| (format!("m{n}"), text.as_bytes())));
    let members: Vec<(&str, &[u8])> = members.iter().map(|(n, b)| (n.as_str(), *b)).collect();
    // What has no content that is read, as a label or a directory, is passed over.
    let mut labelled = tar(&[("label", &spaces), ("app.yml", text.as_bytes())]);
    labelled[156] = b'V';
    labelled[148..156].fill(b' ');
    let sum: u32 = labelled[..512].iter().map(|&b| u32::from(b)).sum();
    labelled[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut directory = cpio(&[("d", &spaces), ("app.yml", text.as_bytes())]);
    directory[14..22].copy_from_slice(b"000041ed");
    for (archive, what) in [
        (tar(&members), "tar"),
        (ar(&members), "ar"),
        (cpio(&members), "cpio"),
        (labelled, "a label"),
        (directory, "a directory"),
    ] {
        let packed = gzip(&archive);
        let scanned = scan(&packed, limits);
        assert!(findings(&scanned).is_empty(), "{what}");
        assert!(scanned.unread.len() <= 2, "{what}: {:?}", scanned.unread);
        let limited = |unread: &crate::scan::Unread| unread.why == UnreadWhy::Limit;
        assert!(scanned.unread.iter().any(limited), "{what}");
        assert!(!findings(&scan(&packed, Limits::default())).is_empty());
        assert!(scan(&packed, Limits::default()).unread.is_empty());
    }
}

#[test]
fn a_library_for_linkers_is_read_as_one_text() {
    let text = format!("token {}\n", sample("github.token", 93).secret);
    let piece = format!("\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x01\0{text}");
    let inside = |archive: &[u8]| {
        let scanned = scan_bytes("x", Format::Guess, archive);
        assert!(!findings(&scanned).is_empty() && scanned.unread.is_empty());
        let first = scanned.matches.into_iter().next();
        first.map(|found| found.spot.inside)
    };
    for table in ["/", "/SYM64/", "__.SYMDEF SORTED"] {
        let library = ar(&[(table, b"\0\0\0\0"), ("a.o/", piece.as_bytes())]);
        assert_eq!(inside(&library), Some(vec![]), "{table}");
    }
    let package = ar(&[("debian-binary", b"2.0\n"), ("a.o/", text.as_bytes())]);
    assert_eq!(inside(&package), Some(vec![b"a.o".to_vec()]));
}

#[test]
fn what_lies_beside_the_pieces_of_a_library_is_opened() {
    let (text, secret) = config(94);
    let archive = gzip(&tar(&[("app.yml", text.as_bytes())]));
    let package = ar(&[("c.yml/", text.as_bytes())]);
    for table in ["/", "/SYM64/", "__.SYMDEF", "#1/20"] {
        for piece in [
            &b"\x7fELF\x02\x01\x01\0\x01\0"[..],
            b"\x64\x86\0\0",
            b"\xcf\xfa\xed\xfe\x01",
        ] {
            let begin: Vec<(&str, &[u8])> =
                vec![(table, b"__.SYMDEF SORTED\0\0\0\0\0\x01"), ("a.o/", piece)];
            for (name, bytes, inside) in [
                ("c.tgz/", &archive[..], &["c.tgz", "app.yml"][..]),
                ("c.yml/", text.as_bytes(), &["c.yml"]),
                ("c.deb/", &package, &["c.deb", "c.yml"]),
            ] {
                let members = [&begin[..], &[(name, bytes), ("b.o/", piece)]].concat();
                let scan = scan_bytes("libx.a", Format::Guess, &ar(&members));
                check(&scan, &secret, 4, inside, &[]);
                assert!(scan.unread.is_empty(), "{:?}", scan.unread);
            }
        }
    }
    // Names of more than sixteen bytes, and the pieces' own text.
    let long = format!("{}.yml/\n", "x".repeat(40));
    let library = ar(&[
        ("/", b"\0\0\0\0"),
        ("//", long.as_bytes()),
        ("/0", text.as_bytes()),
    ]);
    let name = long.trim_end_matches("/\n");
    check(
        &scan_bytes("libx.a", Format::Guess, &library),
        &secret,
        4,
        &[name],
        &[],
    );
    // A table's name says nothing of what it holds.
    for table in ["/", "//"] {
        let scan = scan_bytes("libx.a", Format::Guess, &ar(&[(table, &archive)]));
        check(&scan, &secret, 4, &[table, "app.yml"], &[]);
    }
    // What is cut is said.
    let mut cut = ar(&[
        ("/", b"\0\0\0\0"),
        ("a.o/", b"\x7fELF\x02\x01\x01\0\x01\0\0\0"),
    ]);
    cut.truncate(cut.len() - 4);
    let scan = scan_bytes("libx.a", Format::Guess, &cut);
    assert!(
        scan.unread
            .iter()
            .any(|unread| unread.why == UnreadWhy::Damaged)
    );
}

/// A core file's beginning and `memory` behind it.
fn core(memory: &[u8]) -> Vec<u8> {
    let mut out = b"\x7fELF\x02\x01\x01".to_vec();
    out.resize(16, 0);
    out.extend_from_slice(&[4, 0, 62, 0]);
    out.resize(64, 0);
    out.extend_from_slice(memory);
    out
}

#[test]
fn texts_of_a_dump_keep_their_names_and_their_neighbours() {
    let (one, two) = (
        sample("tencent.access-key", 90),
        sample("aws.access-key", 91),
    );
    let noise = |length: usize| -> Vec<u8> {
        (0..length)
            .map(|n| u8::try_from((n * 131) >> 3 & 0x7f).unwrap() | 0x80)
            .collect()
    };
    let wide = |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
    for pad in 4000..4100 {
        let memory = [
            noise(pad),
            format!(
                "SHELL=/bin/sh\0SECRETID={}\0A=b\0SECRETKEY={}\0TERM=vt100\0\0",
                one.id, one.secret
            )
            .into_bytes(),
            noise(500),
            wide(&format!("aws_access_key_id={}", two.id)),
            vec![0, 0],
            wide(&format!("aws_secret_access_key={}", two.secret)),
            noise(3),
        ]
        .concat();
        let scan = scan_bytes("core.1", Format::Guess, &core(&memory));
        let found = findings(&scan);
        assert_eq!(found.len(), 2, "{pad}: {:#?}", outline(&scan));
        for (found, made) in found.iter().zip([&one, &two]) {
            let told = found.secret.as_ref().map(|told| told.expose().to_vec());
            assert_eq!(told.as_deref(), Some(made.secret.as_bytes()), "{pad}");
            assert!(found.id.is_some(), "{pad}: {:#?}", outline(&scan));
        }
        assert!(scan.unread.is_empty(), "{:?}", scan.unread);
    }
    // Halves of different things are not paired.
    let apart = [
        format!("secretId={}\0", one.id).into_bytes(),
        noise(4000),
        format!("secretKey={}\0", two.secret).into_bytes(),
    ];
    let scan = scan_bytes("core.1", Format::Guess, &core(&apart.concat()));
    assert!(findings(&scan).iter().all(|found| found.id.is_none()));
    // A text without an end.
    let long = format!(
        "{} token={} ",
        "word ".repeat(10_000),
        sample("github.token", 92).secret
    );
    for ends in ["", "\0\x01"] {
        let memory = [long.as_bytes(), ends.as_bytes()].concat();
        let scan = scan_bytes("core.1", Format::Guess, &core(&memory));
        assert_eq!(findings(&scan).len(), 1, "{:#?}", outline(&scan));
        assert_eq!(findings(&scan)[0].spot.line, 1);
    }
}

#[test]
fn any_damage_ends_without_a_panic() {
    let (text, _) = config(25);
    let bytes = text.as_bytes();
    let whole = [
        bzip2(bytes),
        xz(bytes, 6),
        lzma(bytes, 1),
        zstd(bytes),
        zstd_long(bytes),
        ar(&[("a", bytes), ("b", bytes)]),
        cpio(&[("a", bytes)]),
        rpm(&gzip(&cpio(&[("a", bytes)]))),
        wxapkg(&[("/a", bytes)]),
        zip(&[("a", bytes)]),
        core(bytes),
    ];
    let mut detector = detector();
    for container in whole {
        for at in 0..container.len() {
            for damaged in [container[..at].to_vec(), {
                let mut flipped = container.clone();
                flipped[at] ^= 0xff;
                flipped
            }] {
                detector.scan(&[Part {
                    name: b"a",
                    format: Format::Guess,
                    start: Position::default(),
                    source: &damaged,
                }]);
            }
        }
    }
}
