//! Containers beyond gzip, tar and zip: each made by the program or library that makes the real ones,
//! read, damaged and bounded.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use akwatch_proto::credential::CredentialId;
use akwatch_proto::place::Encoding;

use super::unwrapping::{check, config, gzip, tar, zip};
use super::{detector, findings, outline, sample, scan_bytes};
use crate::content::{Format, Part, Position};
use crate::rule::RuleSet;
use crate::scan::{Detector, Limits, Scan, UnreadWhy};

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

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 3).unwrap()
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
    for (name, packed) in [
        ("app.yml.bz2", bzip2(bytes)),
        ("app.yml.xz", xz(bytes, 6)),
        ("app.yml.zst", zstd(bytes)),
        ("app.yml.zst", [zstd(b"a: b\n"), zstd(bytes)].concat()),
    ] {
        let line = if packed.len() > zstd(bytes).len() + 8 && name.ends_with("zst") {
            5
        } else {
            4
        };
        let scan = scan_bytes(name, Format::Guess, &packed);
        check(&scan, &secret, line, &[], &[Encoding::Compressed]);
    }
    let archive = tar(&[("etc/app.yml", bytes)]);
    for packed in [bzip2(&archive), xz(&archive, 6), zstd(&archive)] {
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
    let scan = scan_bytes("a.xz", Format::Guess, &xz(text.as_bytes(), 9));
    assert_eq!(
        scan.unread.first().map(|unread| unread.why),
        Some(UnreadWhy::Limit)
    );
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

/// A database made by SQLite itself.
fn database(statements: &[&str]) -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.db");
    let database = rusqlite::Connection::open(&path).unwrap();
    for statement in statements {
        database.execute_batch(statement).unwrap();
    }
    drop(database);
    std::fs::read(path).unwrap()
}

#[test]
fn rows_of_a_database_are_objects_of_their_columns() {
    let (one, two) = (sample("aws.access-key", 16), sample("aws.access-key", 17));
    let filler: String = (0..400)
        .map(|n| {
            format!(
                "INSERT INTO sites(name, note) VALUES('site {n}', '{}');",
                "x".repeat(n)
            )
        })
        .collect();
    let insert = |made: &crate::sample::Sample| {
        format!(
            "INSERT INTO sites(name, access_key, secret_key) VALUES('s3', '{}', '{}');",
            made.id, made.secret
        )
    };
    for encoding in ["UTF-8", "UTF-16le", "UTF-16be"] {
        let bytes = database(&[
            &format!("PRAGMA encoding = '{encoding}'; PRAGMA page_size = 1024;"),
            "CREATE TABLE sites(id INTEGER PRIMARY KEY, \"name\" TEXT NOT NULL, note TEXT, [access_key] TEXT, secret_key VARCHAR(10,2), UNIQUE(id, name));",
            &filler,
            &insert(&one),
            &insert(&two),
        ]);
        let scan = scan_bytes("panel.db", Format::Guess, &bytes);
        assert!(scan.unread.is_empty(), "{:?}", scan.unread);
        assert_eq!(scan.read, [bytes.len() as u64]);
        let found = findings(&scan);
        assert_eq!(found.len(), 2, "{encoding} {:#?}", outline(&scan));
        for (found, (made, row)) in found.iter().zip([(&one, 401), (&two, 402)]) {
            assert!(
                found
                    .secret
                    .as_ref()
                    .is_some_and(|told| told.expose() == made.secret.as_bytes())
            );
            assert_eq!(
                found.id.as_ref().map(CredentialId::as_str),
                Some(made.id.as_str())
            );
            assert_eq!(found.spot.inside, [b"sites".to_vec()]);
            assert_eq!(found.spot.field.as_deref(), Some(&b"secret_key"[..]));
            assert_eq!(found.spot.line, row);
        }
    }
}

#[test]
fn a_row_on_overflow_pages_and_a_deleted_row_are_read() {
    let (kept, deleted) = (sample("aws.access-key", 18), sample("aws.access-key", 19));
    let text = |made: &crate::sample::Sample, filler: usize| {
        format!(
            "{}[default]\naws_access_key_id = {}\naws_secret_access_key = {}\n",
            "# nothing here\n".repeat(filler),
            made.id,
            made.secret
        )
    };
    let bytes = database(&[
        "PRAGMA secure_delete = 0;",
        "CREATE TABLE files(path TEXT, content TEXT); CREATE TABLE old(content TEXT);",
        &format!(
            "INSERT INTO files VALUES('credentials', '{}');",
            text(&kept, 900)
        ),
        &format!("INSERT INTO old VALUES('{}');", text(&deleted, 200)),
        "DROP TABLE old;",
    ]);
    let scan = scan_bytes("a.sqlite", Format::Guess, &bytes);
    let found = findings(&scan);
    assert_eq!(found.len(), 2, "{:#?}", outline(&scan));
    let inside = |made: &crate::sample::Sample| {
        found
            .iter()
            .find(|found| {
                found
                    .secret
                    .as_ref()
                    .is_some_and(|told| told.expose() == made.secret.as_bytes())
            })
            .map(|found| found.spot.inside.clone())
    };
    assert_eq!(inside(&kept), Some(vec![b"files".to_vec()]));
    assert_eq!(inside(&deleted), Some(vec![b"(deleted)".to_vec()]));
}

#[test]
fn a_damaged_database_ends_and_is_named() {
    let made = sample("aws.access-key", 20);
    let bytes = database(&[
        "PRAGMA page_size = 512; CREATE TABLE a(access_key TEXT, secret_key TEXT);",
        &format!("INSERT INTO a VALUES('{}', '{}');", made.id, made.secret).repeat(60),
    ]);
    for at in (100..bytes.len()).step_by(61) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0xff;
        let scan = scan_bytes("a.db", Format::Guess, &damaged);
        assert!(scan.work < 4 << 20);
    }
    let scan = scan_bytes("a.db", Format::Guess, &bytes[..bytes.len() - 512]);
    assert_eq!(
        scan.unread.first().map(|unread| unread.why),
        Some(UnreadWhy::Damaged)
    );
}

fn git(directory: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args([
            "-c",
            "user.name=a",
            "-c",
            "user.email=a@example.com",
            "-c",
            "init.defaultBranch=main",
        ])
        .args(arguments)
        .current_dir(directory)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("HOME", directory)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

fn files(directory: &Path, ending: &str) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, ending));
        } else if path.to_string_lossy().ends_with(ending) {
            found.push(std::fs::read(path).unwrap());
        }
    }
    found
}

#[test]
fn what_was_removed_from_a_work_tree_is_found_in_its_objects() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    git(path, &["init", "-q"]);
    let filler: String = (0..4000)
        .map(|n| format!("option.{n}: value number {n}\n"))
        .collect();
    let (text, secret) = config(21);
    let write = |middle: &str| {
        let (before, after) = filler.split_at(filler.len() / 2);
        std::fs::write(path.join("app.yml"), format!("{before}{middle}{after}")).unwrap();
        git(path, &["add", "."]);
        git(path, &["commit", "-q", "-m", "change"]);
    };
    write("\n");
    write(&format!("\n{text}"));
    let blob = git(path, &["rev-parse", "HEAD:app.yml"]);
    write("\n# nothing\n");
    let loose = files(&path.join(".git/objects"), "");
    let found: Vec<Scan> = loose
        .iter()
        .map(|bytes| scan_bytes("objects/aa/bb", Format::Guess, bytes))
        .filter(|scan| !findings(scan).is_empty())
        .collect();
    assert_eq!(found.len(), 1);
    let told = findings(&found[0]);
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].spot.encoding, [Encoding::Compressed]);
    let line = told[0].spot.line;

    git(path, &["repack", "-q", "-a", "-d", "-f", "--depth=50"]);
    let packs = files(&path.join(".git/objects/pack"), ".pack");
    assert_eq!(packs.len(), 1);
    let scan = scan_bytes("a.pack", Format::Guess, &packs[0]);
    assert!(scan.unread.is_empty(), "{:?}", scan.unread);
    assert_eq!(scan.read, [packs[0].len() as u64]);
    check(
        &scan,
        &secret,
        line,
        &[&format!("blob {}", blob.trim())],
        &[],
    );
}

#[test]
fn a_damaged_pack_ends_and_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    git(path, &["init", "-q"]);
    for n in 0..20 {
        let lines: String = (0..200)
            .map(|line| format!("{line} {}\n", line * n))
            .collect();
        std::fs::write(path.join("a.txt"), lines).unwrap();
        git(path, &["add", "."]);
        git(path, &["commit", "-q", "-m", "change"]);
    }
    git(path, &["repack", "-q", "-a", "-d"]);
    let pack = files(&path.join(".git/objects/pack"), ".pack").remove(0);
    for at in (12..pack.len()).step_by(97) {
        let mut damaged = pack.clone();
        damaged[at] ^= 0x55;
        let scan = scan_bytes("a.pack", Format::Guess, &damaged);
        assert!(scan.work < 64 << 20);
    }
    let scan = scan_bytes("a.pack", Format::Guess, &pack[..pack.len() / 2]);
    assert_eq!(
        scan.unread.first().map(|unread| unread.why),
        Some(UnreadWhy::Damaged)
    );
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
fn any_damage_ends_without_a_panic() {
    let (text, _) = config(25);
    let bytes = text.as_bytes();
    let whole = [
        bzip2(bytes),
        xz(bytes, 6),
        zstd(bytes),
        ar(&[("a", bytes), ("b", bytes)]),
        cpio(&[("a", bytes)]),
        rpm(&gzip(&cpio(&[("a", bytes)]))),
        wxapkg(&[("/a", bytes)]),
        zip(&[("a", bytes)]),
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
