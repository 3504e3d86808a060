//! What is larger than a window, below another root, or known and not opened.

use akwatch_proto::place::Encoding;

use super::unwrapping::{check, config, gzip, tar, zip};
use super::{findings, outline, sample, scan_bytes};
use crate::content::Format;
use crate::scan::UnreadWhy;
use crate::unwrap::inline::{to_base64, to_hex};

/// Bytes that no compression makes smaller.
fn noise(size: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let next = |_| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        state.to_be_bytes()[0]
    };
    (0..size).map(next).collect()
}

#[test]
fn encoded_archives_larger_than_a_window_are_read_to_their_end() {
    let (text, secret) = config(90);
    for size in [200_000, 390_000, 700_000, 1_500_000] {
        let noise = noise(size);
        let archives = [
            zip(&[("noise", &noise), ("app.yml", text.as_bytes())]),
            gzip(&tar(&[("noise", &noise), ("app.yml", text.as_bytes())])),
        ];
        for archive in archives {
            let base64 = String::from_utf8(to_base64(&archive)).unwrap();
            let lines: Vec<&str> = base64
                .as_bytes()
                .chunks(76)
                .map(|line| std::str::from_utf8(line).unwrap())
                .collect();
            let filler = "# a line of a comment\n".repeat(9000);
            let mail = "From: a@acme.cn\nMIME-Version: 1.0\nContent-Type: application/zip\nContent-Transfer-Encoding: base64\n\n";
            let layouts = [
                (
                    "a.json",
                    format!("{{\"a\": 1, \"body\": \"{base64}\", \"b\": 2}}"),
                    Encoding::Base64,
                ),
                (
                    "a.yaml",
                    format!("{filler}data:\n  a.zip: {base64}\n  b: c\n"),
                    Encoding::Base64,
                ),
                (
                    "a.yaml",
                    format!("data:\n  a.zip: |\n    {}\n", lines.join("\n    ")),
                    Encoding::Base64,
                ),
                (
                    "a.eml",
                    format!("{mail}{}\n", lines.join("\n")),
                    Encoding::Base64,
                ),
                (
                    "a.sh",
                    format!("#!/bin/sh\necho {base64} | base64 -d > a.zip\n"),
                    Encoding::Base64,
                ),
                (
                    "a.conf",
                    format!("blob = {}\n", String::from_utf8(to_hex(&archive)).unwrap()),
                    Encoding::Hex,
                ),
            ];
            for (name, text, encoding) in layouts {
                let scan = scan_bytes(name, Format::Guess, text.as_bytes());
                check(&scan, &secret, 4, &["app.yml"], &[encoding]);
            }
        }
    }
}

#[test]
fn what_stands_around_a_long_run_keeps_its_lines_and_its_pair() {
    let made = sample("tencent.access-key", 91);
    let base64 = String::from_utf8(to_base64(&gzip(&noise(900_000)))).unwrap();
    let text = format!(
        "{{\n\"secretId\": \"{}\",\n\"body\": \"{base64}\",\n\"secretKey\": \"{}\"\n}}\n",
        made.id, made.secret
    );
    let scan = scan_bytes("a.json", Format::Guess, text.as_bytes());
    check(&scan, &made.secret, 4, &[], &[]);
    assert_eq!(
        findings(&scan)[0].spot.field.as_deref(),
        Some(&b"secretKey"[..])
    );
    let lines = base64.as_bytes().chunks(76).collect::<Vec<_>>();
    let text = [
        &b"Content-Transfer-Encoding: base64\n\n"[..],
        &lines.join(&b'\n'),
        format!("\n\nsecretId: {}\nsecretKey: {}\n", made.id, made.secret).as_bytes(),
    ]
    .concat();
    let scan = scan_bytes("a.txt", Format::Guess, &text);
    let line = u32::try_from(lines.len()).unwrap() + 5;
    check(&scan, &made.secret, line, &[], &[]);
}

/// Full lines of base64 have no padding that would say that they end.
#[test]
fn a_line_below_a_long_run_is_read() {
    let made = sample("github.token", 94);
    let content = format!("{:56}\n", "a line of a text").repeat(12_000);
    let base64 = to_base64(content.as_bytes());
    let lines = base64.chunks(76).collect::<Vec<_>>().join(&b'\n');
    let password = "Gx7kP9qLm2ZtR4";
    for (line, secret) in [
        (format!("DB_PASSWORD={password}"), password),
        (made.secret.clone(), &made.secret),
    ] {
        let text = [
            &b"Content-Transfer-Encoding: base64\n\n"[..],
            &lines,
            format!("\n{line}\nmore of it\n").as_bytes(),
        ]
        .concat();
        let scan = scan_bytes("a.txt", Format::Guess, &text);
        let found = findings(&scan);
        assert_eq!(found.len(), 1, "{:#?}", outline(&scan));
        let told = found[0].secret.as_ref().map(|told| told.expose().to_vec());
        assert_eq!(told.as_deref(), Some(secret.as_bytes()));
        assert_eq!(found[0].spot.line, 12_003);
        assert!(scan.unread.is_empty(), "{:?}", scan.unread);
    }
}

/// A dump that was cut: what its last window holds was decoded before the error came.
#[test]
fn what_is_encoded_in_a_cut_archive_is_read_to_the_cut() {
    let (text, secret) = config(95);
    let hex = |size| String::from_utf8(to_hex(&noise(size))).unwrap();
    let filler = |size| {
        hex(size)
            .as_bytes()
            .chunks(64)
            .collect::<Vec<_>>()
            .join(&b'\n')
    };
    let content = [
        &filler(100_000)[..],
        b"\n",
        text.as_bytes(),
        &filler(130_000),
    ]
    .concat();
    let base64 = String::from_utf8(to_base64(&content)).unwrap();
    let whole = gzip(format!("data:\n  a: {base64}\n").as_bytes());
    let scan = scan_bytes("a.yaml.gz", Format::Guess, &whole[..whole.len() / 10 * 9]);
    let found = findings(&scan);
    assert_eq!(found.len(), 1, "{:#?}", outline(&scan));
    let told = found[0].secret.as_ref().map(|told| told.expose().to_vec());
    assert_eq!(told.as_deref(), Some(secret.as_bytes()));
    assert!(!scan.unread.is_empty());
}

#[test]
fn escapes_longer_than_a_window_are_said_not_to_be_read() {
    let (text, secret) = config(92);
    let octal = |text: &str| {
        text.bytes()
            .map(|b| format!("\\{b:03o}"))
            .collect::<String>()
    };
    let filler = "# a line of a comment\n".repeat(4000);
    let whole = format!("printf '{}'\n", octal(&(filler.clone() + &text)));
    let scan = scan_bytes("a.sh", Format::Guess, whole.as_bytes());
    assert_eq!(findings(&scan).len(), 1, "{:#?}", outline(&scan));
    assert!(scan.unread.is_empty(), "{:?}", scan.unread);
    let found = findings(&scan)[0].secret.as_ref().unwrap();
    assert_eq!(found.expose(), secret.as_bytes());
    let long = format!("printf '{}'\n", octal(&(filler.repeat(5) + &text)));
    let scan = scan_bytes("a.sh", Format::Guess, long.as_bytes());
    assert!(
        scan.unread
            .iter()
            .any(|unread| unread.why == UnreadWhy::Limit)
    );
}

#[test]
fn what_a_parser_leaves_out_is_a_limit() {
    let commands = "true;".repeat(20_000);
    let words = " -e A=b".repeat(3000);
    let wide = format!("{}secret\n", "a,".repeat(600));
    for (name, text) in [
        ("a.sh", format!("#!/bin/sh\n{commands}\n")),
        ("b.sh", format!("#!/bin/sh\ndocker run{words} image\n")),
        ("a.csv", wide),
        (
            "redis.conf",
            format!("requirepass {}\n", "x ".repeat(20_000)),
        ),
    ] {
        let scan = scan_bytes(name, Format::Guess, text.as_bytes());
        let why: Vec<_> = scan.unread.iter().map(|unread| unread.why).collect();
        assert_eq!(why, [UnreadWhy::Limit], "{name}");
    }
}

#[test]
fn a_message_in_base64_is_undone_as_a_whole() {
    let (text, secret) = config(93);
    let body = to_base64(text.as_bytes());
    let body = body.chunks(76).collect::<Vec<_>>().join(&b'\n');
    for end in ["\n", "\r\n"] {
        let head = [
            "From: a@acme.cn",
            "Subject: keys",
            "MIME-Version: 1.0",
            "Content-Type: text/plain; charset=\"utf-8\"",
            "Content-Transfer-Encoding: base64",
            "",
            "",
        ];
        let text = [head.join(end).as_bytes(), &body, end.as_bytes()].concat();
        let scan = scan_bytes("a.eml", Format::Guess, &text);
        check(&scan, &secret, 7, &[], &[Encoding::Base64]);
    }
}

#[test]
fn archives_of_before_posix_are_read() {
    let (text, secret) = config(94);
    let mut header = [0_u8; 512];
    header[..10].copy_from_slice(b"etc/app.yml".first_chunk::<10>().unwrap());
    header[10] = b'l';
    for (at, field) in [
        (100, "0000644\0".to_owned()),
        (108, "0000000\0".to_owned()),
        (116, "0000000\0".to_owned()),
        (124, format!("{:011o}\0", text.len())),
        (136, "14000000000\0".to_owned()),
        (148, "        ".to_owned()),
    ] {
        header[at..at + field.len()].copy_from_slice(field.as_bytes());
    }
    let sum: u32 = header.iter().map(|&b| u32::from(b)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut archive = [&header[..], text.as_bytes()].concat();
    archive.resize(archive.len().div_ceil(512) * 512 + 1024, 0);
    let scan = scan_bytes("a.tar", Format::Guess, &archive);
    check(&scan, &secret, 4, &["etc/app.yml"], &[]);
}

#[test]
fn what_lies_below_another_root_is_written_as_below_ours() {
    for (path, format) in [
        ("etc/cron.d/backup", Format::Crontab),
        ("./etc/cron.d/backup", Format::Crontab),
        (
            "/var/lib/docker/overlay2/0a/diff/etc/cron.d/backup",
            Format::Crontab,
        ),
        ("/backup/www1/var/spool/cron/root", Format::Crontab),
        ("sosreport-a/etc/supervisor/conf.d/app.conf", Format::Unit),
        ("rootfs/proc/1/environ", Format::Environ),
        ("/mnt/notes/etcetera/cron.d/backup", Format::Guess),
    ] {
        assert_eq!(crate::places::format_of(path.as_bytes()), format, "{path}");
    }
}

#[test]
fn arguments_on_several_lines_of_a_cell_are_one_calls() {
    let made = sample("alibaba.access-key", 95);
    let lines = [
        "import oss2\n".to_owned(),
        format!("auth = oss2.Auth('{}',\n", made.id),
        format!("                 '{}')\n", made.secret),
    ];
    let notebook = serde_json::json!({"cells": [{"cell_type": "code", "source": lines}]});
    let text = serde_json::to_string_pretty(&notebook).unwrap();
    let line = text
        .lines()
        .position(|line| line.contains(&made.secret))
        .unwrap()
        + 1;
    let scan = scan_bytes("a.ipynb", Format::Guess, text.as_bytes());
    check(&scan, &made.secret, u32::try_from(line).unwrap(), &[], &[]);
}

#[test]
fn a_literal_section_is_a_value_of_its_element() {
    let made = sample("aws.access-key", 96);
    let text = format!(
        "<configuration>\n<property><name>fs.s3a.access.key</name><value>{}</value></property>\n\
         <property><name>fs.s3a.secret.key</name><value><![CDATA[\n{}\n]]></value></property>\n</configuration>\n",
        made.id, made.secret
    );
    let scan = scan_bytes("core-site.xml", Format::Guess, text.as_bytes());
    check(&scan, &made.secret, 4, &[], &[]);
    let field = findings(&scan)[0].spot.field.clone();
    assert_eq!(field.as_deref(), Some(&b"fs.s3a.secret.key"[..]));
}

#[test]
fn a_block_is_part_of_the_path_of_what_it_holds() {
    let (text, secret) = config(97);
    let text = format!(
        "data:\n  app.yml: |\n    {}\n",
        text.trim_end().replace('\n', "\n    ")
    );
    let scan = scan_bytes("a.yaml", Format::Guess, text.as_bytes());
    check(&scan, &secret, 6, &[], &[]);
    let field = findings(&scan)[0].spot.field.clone();
    assert_eq!(field.as_deref(), Some(&b"data.app.yml.cos.secretKey"[..]));
}

#[test]
fn what_is_known_and_not_opened_is_named() {
    let (text, secret) = config(98);
    for mark in [
        &b"7z\xbc\xaf\x27\x1c"[..],
        b"Rar!\x1a\x07\x01\0",
        b"hsqs\x07\0\0\0",
        b"ISc(\x6c\0\x60\x01",
        b"LZIP\x01",
        b"\x04\x22\x4d\x18",
        b"\x89LZO\0\r\n\x1a\n",
        b"MSCF\0\0\0\0",
        b"xar!\0\x1c",
        b"\x1f\x9d\x90",
    ] {
        let bytes = [mark, &noise(4000)].concat();
        let scan = scan_bytes("a", Format::Guess, &bytes);
        let why: Vec<_> = scan.unread.iter().map(|unread| unread.why).collect();
        assert_eq!(why, [UnreadWhy::Unsupported], "{mark:?}");
        let scan = scan_bytes("a.tar", Format::Guess, &tar(&[("x/a", &bytes)]));
        assert_eq!(scan.unread[0].inside, [b"x/a".to_vec()]);
    }
    // A text may begin with the letters of some.
    for word in ["sqsh -U sa", "hsqs", "ISc(", "-rom1fs-", "KDMV", "vhdxfile"] {
        let text = format!("{word}\nexport DB_PASSWORD=Gx7kP9qLm2ZtR4\n");
        for name in ["a", "/root/.bash_history"] {
            let scan = scan_bytes(name, Format::Guess, text.as_bytes());
            assert_eq!(findings(&scan).len(), 1, "{word}: {:#?}", outline(&scan));
            assert!(scan.unread.is_empty(), "{word}: {:?}", scan.unread);
        }
    }
    // Of an image what is stored plainly is read all the same.
    let mut image = vec![0; 0x8000];
    image.extend_from_slice(b"\x01CD001\x01\0");
    image.resize(0xa000, 0);
    image.extend_from_slice(text.as_bytes());
    image.resize(0xa800, 0);
    let scan = scan_bytes("seed.iso", Format::Guess, &image);
    assert_eq!(scan.unread[0].why, UnreadWhy::Unsupported);
    let found = findings(&scan);
    assert_eq!(found.len(), 1, "{:#?}", outline(&scan));
    assert_eq!(
        found[0].secret.as_ref().unwrap().expose(),
        secret.as_bytes()
    );
}

#[test]
fn a_release_in_a_package_in_a_release_is_within_the_depth() {
    let (text, secret) = config(99);
    let release = |bytes: &[u8]| {
        let chart = serde_json::json!({"chart": {"files": [{"name": "a", "data": String::from_utf8(to_base64(bytes)).unwrap()}]}});
        let twice = to_base64(&to_base64(&gzip(chart.to_string().as_bytes())));
        serde_json::json!({"kind": "Secret", "data": {"release": String::from_utf8(twice).unwrap()}}).to_string()
    };
    let inner = release(text.as_bytes());
    let package = gzip(&tar(&[("opt/release.json", inner.as_bytes())]));
    let outer = release(&zip(&[("a.tgz", &package)]));
    let scan = scan_bytes("release.json", Format::Guess, outer.as_bytes());
    let found = findings(&scan);
    assert_eq!(found.len(), 1, "{:#?} {:?}", outline(&scan), scan.unread);
    assert_eq!(
        found[0].secret.as_ref().unwrap().expose(),
        secret.as_bytes()
    );
    assert!(scan.unread.is_empty(), "{:?}", scan.unread);
}

#[test]
fn a_stream_of_zlib_in_base64_is_undone() {
    let (text, secret) = config(100);
    for filler in [0, 200] {
        let text = format!("{}{text}", "# a line of a comment\n".repeat(filler));
        let base64 = String::from_utf8(to_base64(&super::pdf::zlib(text.as_bytes()))).unwrap();
        for line in [
            format!("payload: {base64}\n"),
            format!("x = decode('{base64}')\n"),
        ] {
            let scan = scan_bytes("a.yaml", Format::Guess, line.as_bytes());
            let found = findings(&scan);
            assert_eq!(found.len(), 1, "{:#?} {:?}", outline(&scan), scan.unread);
            assert_eq!(
                found[0].secret.as_ref().unwrap().expose(),
                secret.as_bytes()
            );
        }
    }
}
