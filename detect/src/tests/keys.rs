//! Private keys without PEM's armour: told once, proven where that can be, and nothing that is public.

use akwatch_proto::credential::{Confidence, Kind};
use akwatch_proto::finding::Proof;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use sha1::{Digest, Sha1};
use sha2::Sha256;

use super::{findings, outline, scan_bytes};
use crate::content::Format;
use crate::sample::Seed;

pub(super) fn bytes(length: usize) -> Vec<u8> {
    let mut seed = Seed(41 + length as u64);
    (0..length)
        .map(|_| u8::try_from(seed.next_number() >> 23 & 0xff).expect("a byte"))
        .collect()
}

pub(super) fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let head = match length {
        0..=0x7f => vec![tag, u8::try_from(length).unwrap()],
        0x80..=0xff => vec![tag, 0x81, u8::try_from(length).unwrap()],
        _ => vec![
            tag,
            0x82,
            u8::try_from(length >> 8).unwrap(),
            u8::try_from(length & 0xff).unwrap(),
        ],
    };
    [&head[..], content].concat()
}

/// RSA in PKCS #1, of numbers that are none.
fn rsa() -> Vec<u8> {
    let numbers = [128, 3, 127, 64, 64, 64, 64, 64];
    let mut content = vec![2, 1, 0];
    for length in numbers {
        let mut number = bytes(length);
        number[0] = 0x5a;
        content.extend(element(2, &number));
    }
    element(0x30, &content)
}

/// Ed25519 in PKCS #8.
fn ed25519() -> Vec<u8> {
    let held = element(4, &element(4, &bytes(32)));
    let content = [&[2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70][..], &held].concat();
    element(0x30, &content)
}

/// One private key and nothing else, with `confidence`.
#[track_caller]
fn check(file: &str, content: &[u8], confidence: Confidence) {
    check_kind(file, content, Kind::PrivateKey, confidence);
}

#[track_caller]
fn check_kind(file: &str, content: &[u8], kind: Kind, confidence: Confidence) {
    let scan = scan_bytes(file, Format::Guess, content);
    let found = findings(&scan);
    assert_eq!(found.len(), 1, "{file}: {:#?}", outline(&scan));
    assert_eq!(found[0].kind, kind, "{file}: {:#?}", outline(&scan));
    assert_eq!(
        found[0].confidence,
        confidence,
        "{file}: {:#?}",
        outline(&scan)
    );
}

#[track_caller]
fn nothing(file: &str, content: &[u8]) {
    let scan = scan_bytes(file, Format::Guess, content);
    assert!(findings(&scan).is_empty(), "{file}: {:#?}", outline(&scan));
}

#[test]
fn keys_without_armour_are_told_by_their_structure() {
    for der in [rsa(), ed25519()] {
        let text = STANDARD.encode(&der);
        check("key.der", &der, Confidence::Proven);
        check(
            "a.env",
            format!("SIGNING={text}\n").as_bytes(),
            Confidence::Proven,
        );
        check(
            "a.env",
            format!("PRIVATE_KEY={text}\n").as_bytes(),
            Confidence::Proven,
        );
        check(
            "a.json",
            format!("{{\"rsa\": \"{text}\"}}\n").as_bytes(),
            Confidence::Proven,
        );
        check(
            "notes.txt",
            format!("the key\n{text}\n").as_bytes(),
            Confidence::Proven,
        );
    }
    let text = STANDARD.encode(rsa());
    let lines: Vec<&str> = text
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    let java = format!("decode(\n    \"{}\");\n", lines.join("\"+\n    \""));
    check("A.java", java.as_bytes(), Confidence::Proven);
    let xml = format!("<data>\n  {}\n</data>\n", lines.join("\n  "));
    check("a.xml", xml.as_bytes(), Confidence::Proven);
}

/// RSA of 1024 bits as Microsoft's providers export it, of numbers that are none.
fn csp_blob(kind: u8, magic: &[u8; 4]) -> Vec<u8> {
    let head = [kind, 2, 0, 0, 0, 0x24, 0, 0];
    let bits = 1024_u32.to_le_bytes();
    [
        &head[..],
        magic,
        &bits,
        &[1, 0, 1, 0],
        &bytes(1024 / 16 * 9),
    ]
    .concat()
}

#[test]
fn a_strong_names_key_is_told_and_its_public_half_is_not() {
    let blob = csp_blob(7, b"RSA2");
    assert_eq!(blob.len(), 596);
    check("App.snk", &blob, Confidence::Proven);
    let text = STANDARD.encode(&blob);
    let call = format!("rsa.ImportCspBlob(Convert.FromBase64String(\"{text}\"));\n");
    check("A.cs", call.as_bytes(), Confidence::Proven);
    let env = format!("SIGNING_BLOB={text}\n");
    check("a.env", env.as_bytes(), Confidence::Proven);
    nothing("App.snk", &csp_blob(6, b"RSA1")[..160]);
    nothing("App.snk", &blob[..500]);
    nothing("App.snk", &[&blob[..20], &[0; 576]].concat());
}

#[test]
fn what_is_public_or_cut_is_no_key() {
    let numbers = [&element(2, &bytes(128))[..], &[2, 3, 1, 0, 1]].concat();
    let public = STANDARD.encode(element(0x30, &numbers));
    nothing("a.env", format!("SIGNING={public}\n").as_bytes());
    let cut = STANDARD.encode(&rsa()[..200]);
    nothing("notes.txt", format!("the key\n{cut}\n").as_bytes());
    // What has armour is one key, not two.
    let lines: Vec<String> = STANDARD
        .encode(rsa())
        .as_bytes()
        .chunks(64)
        .map(|line| String::from_utf8_lossy(line).into_owned())
        .collect();
    let pem = |before: &str| {
        let label = "RSA PRIVATE KEY";
        let inner: Vec<String> = lines.iter().map(|line| format!("{before}{line}")).collect();
        format!(
            "{before}-----BEGIN {label}-----\n{}\n{before}-----END {label}-----\n",
            inner.join("\n")
        )
    };
    check("a.pem", pem("").as_bytes(), Confidence::Proven);
    check(
        "build.log",
        pem("2026-04-26 12:36:01 ").as_bytes(),
        Confidence::Proven,
    );
}

#[test]
fn a_key_that_a_program_puts_together_is_that_key() {
    let base64 = STANDARD.encode(rsa());
    let lines = |before: &str, after: &str| {
        let mut text = format!("{before}-----BEGIN RSA PRIVATE KEY-----{after}");
        for line in base64.as_bytes().chunks(64) {
            text.push_str(before);
            text.push_str(std::str::from_utf8(line).unwrap());
            text.push_str(after);
        }
        text + before + "-----END RSA PRIVATE KEY-----\"\n"
    };
    let plain = lines("", "\n").replace("-----\"", "-----");
    let whole = scan_bytes("a.pem", Format::Guess, plain.as_bytes());
    let secret = |scan: &crate::scan::Scan| {
        let found = findings(scan);
        assert_eq!(found.len(), 1, "{:?}", outline(scan));
        found[0].secret.as_ref().unwrap().expose().to_vec()
    };
    for (file, text) in [
        ("Key.java", lines("    + \"", "\\n\"\n")),
        ("key.js", lines("  \"", "\\n\" +\n")),
        (
            "key.py",
            lines("    '", "\\n'\n").replace("-----\"", "-----'"),
        ),
        ("key.c", lines("    \"", "\\r\\n\"\n")),
    ] {
        let scan = scan_bytes(file, Format::Guess, text.as_bytes());
        assert!(secret(&scan) == secret(&whole), "{file} {text}");
    }
}

#[test]
fn line_ends_that_were_escaped_again_are_no_part_of_a_key() {
    let text = STANDARD.encode(ed25519());
    let (one, rest) = text.split_at(28);
    let (two, three) = rest.split_at(20);
    let plain =
        format!("-----BEGIN PRIVATE KEY-----\n{one}\n{two}\n{three}\n-----END PRIVATE KEY-----");
    for end in [
        "\\r\\n",
        "\\\\n",
        "\\\\r\\\\n",
        "\\r\\r\\n\\n",
        "\\\\\n",
        "\\\\\\\\n",
    ] {
        let written = plain.replace('\n', end);
        let scan = scan_bytes(
            "a.c",
            Format::Guess,
            format!("char pk[] = \"{written}\";\n").as_bytes(),
        );
        let found = findings(&scan);
        assert_eq!(found.len(), 1, "{end}: {:#?}", outline(&scan));
        assert_eq!(found[0].confidence, Confidence::Proven, "{end}");
        let told = found[0].secret.as_ref().map(|told| told.expose().to_vec());
        assert_eq!(told.as_deref(), Some(plain.as_bytes()), "{end}");
    }
}

fn number(length: usize) -> String {
    URL_SAFE_NO_PAD.encode(bytes(length))
}

#[test]
fn web_keys_are_private_by_one_member() {
    let rsa = format!(
        "\"kty\": \"RSA\", \"e\": \"AQAB\", \"n\": \"{}\"",
        number(256)
    );
    let curve = format!(
        "\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"{}\",\"y\":\"{}\"",
        number(32),
        number(32)
    );
    for public in [&rsa, &curve] {
        nothing(
            "jwks.json",
            format!("{{\"keys\": [{{{public}}}]}}").as_bytes(),
        );
    }
    let private = format!("{{\"keys\": [{{{rsa}, \"d\": \"{}\"}}]}}", number(255));
    check("jwks.json", private.as_bytes(), Confidence::Proven);
    let private = format!("{{{curve},\"d\":\"{}\"}}", number(32));
    check("key.json", private.as_bytes(), Confidence::Proven);
    let inner = private.replace('"', "\\\"");
    check(
        "a.env",
        format!("SIGNER=\"{inner}\"\n").as_bytes(),
        Confidence::Proven,
    );
    let wrong = format!("{{{curve},\"d\":\"{}\"}}", number(24));
    check("key.json", wrong.as_bytes(), Confidence::Contextual);
    let symmetric = format!("{{\"kty\":\"oct\",\"k\":\"{}\"}}", number(32));
    check("key.json", symmetric.as_bytes(), Confidence::Contextual);
}

#[test]
fn rsa_values_of_dotnet_are_private_by_one_element() {
    let part =
        |name: &str, length: usize| format!("<{name}>{}</{name}>", STANDARD.encode(bytes(length)));
    let public = format!("{}<Exponent>AQAB</Exponent>", part("Modulus", 128));
    nothing(
        "k.xml",
        format!("<RSAKeyValue>{public}</RSAKeyValue>").as_bytes(),
    );
    let private = format!("<RSAKeyValue>{public}{}</RSAKeyValue>", part("D", 128));
    check("k.txt", private.as_bytes(), Confidence::Proven);
}

/// A `.ppk` of bytes that are no key, with its MAC.
fn putty(version: u8, encryption: &str) -> String {
    let (public, private) = (bytes(51), bytes(36));
    let parts: [&[u8]; 5] = [
        b"ssh-ed25519",
        encryption.as_bytes(),
        b"ops@bastion",
        &public,
        &private,
    ];
    let mut message = Vec::new();
    for part in parts {
        message.extend(u32::try_from(part.len()).unwrap().to_be_bytes());
        message.extend(part);
    }
    let mac: Vec<u8> = match version {
        2 => Hmac::<Sha1>::new_from_slice(&Sha1::digest(b"putty-private-key-file-mac-key"))
            .unwrap()
            .chain_update(&message)
            .finalize()
            .into_bytes()
            .to_vec(),
        _ => Hmac::<Sha256>::new_from_slice(b"")
            .unwrap()
            .chain_update(&message)
            .finalize()
            .into_bytes()
            .to_vec(),
    };
    let mac: String = mac.iter().map(|byte| format!("{byte:02x}")).collect();
    let lines = |half: &[u8]| {
        let text = STANDARD.encode(half);
        let lines: Vec<String> = text
            .as_bytes()
            .chunks(64)
            .map(|l| String::from_utf8_lossy(l).into_owned())
            .collect();
        (lines.len(), lines.join("\r\n"))
    };
    let (public_lines, public) = lines(&public);
    let (private_lines, private) = lines(&private);
    format!(
        "PuTTY-User-Key-File-{version}: ssh-ed25519\r\nEncryption: {encryption}\r\nComment: ops@bastion\r\nPublic-Lines: {public_lines}\r\n{public}\r\nPrivate-Lines: {private_lines}\r\n{private}\r\nPrivate-MAC: {mac}\r\n"
    )
}

#[test]
fn putty_keys_are_proven_by_their_mac() {
    for version in [2, 3] {
        let plain = putty(version, "none");
        check("id.ppk", plain.as_bytes(), Confidence::Proven);
        let broken = plain.replace("ops@bastion", "ops@bastiom");
        check("id.ppk", broken.as_bytes(), Confidence::Contextual);
        let sealed = putty(version, "aes256-cbc");
        check("id.ppk", sealed.as_bytes(), Confidence::Proven);
        let scan = scan_bytes("id.ppk", Format::Guess, sealed.as_bytes());
        assert!(findings(&scan)[0].proof.contains(&Proof::Encrypted));
    }
}

/// A store in one of Java's own forms, whose last entry is of the kind `entry`: 1 is a private key, 2 a
/// certificate, 3 a secret key.
pub(super) fn java_store(magic: u8, certificates: u8, entry: u8, password: &str) -> Vec<u8> {
    let mut store = match magic {
        0xfe => vec![0xfe, 0xed, 0xfe, 0xed],
        _ => vec![magic; 4],
    };
    store.extend([0, 0, 0, 2, 0, 0, 0, certificates + 1]);
    for number in 0..certificates {
        store.extend([0, 0, 0, 2, 0, 2, b'c', b'0' + number]);
        store.extend([0, 0, 1, 0x8b, 0, 0, 0, 0, 0, 5]);
        store.extend(b"X.509\0\0\0\x10");
        store.extend(bytes(16));
    }
    store.extend([0, 0, 0, entry]);
    store.extend([0, 1, b'k', 0, 0, 1, 0x8b, 0, 0, 0, 0]);
    store.extend(bytes(600));
    let mut digest = Sha1::new();
    for unit in password.encode_utf16() {
        digest.update(unit.to_be_bytes());
    }
    digest.update(b"Mighty Aphrodite");
    digest.update(&store);
    store.extend(digest.finalize());
    store
}

/// A PKCS #12 file with a bag of the kind `bag`, sealed with SHA-256 as OpenSSL and keytool do.
pub(super) fn pkcs12(bag: u8, password: &str, rounds: u16) -> Vec<u8> {
    let kind = [6, 11, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 12, 10, 1, bag];
    let held = element(0xa0, &element(0x30, &bytes(300)));
    let bags = element(0x30, &element(0x30, &[&kind[..], &held].concat()));
    let data = [6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 1];
    let holding = |content: &[u8]| {
        let content = element(0xa0, &element(4, content));
        element(0x30, &[&data[..], &content].concat())
    };
    let safe = element(0x30, &holding(&bags));
    let salt = bytes(20);
    let mut units: Vec<u8> = password.encode_utf16().flat_map(u16::to_be_bytes).collect();
    units.extend([0, 0]);
    let repeat = |part: &[u8]| -> Vec<u8> {
        let whole = part.len().div_ceil(64) * 64;
        part.iter().copied().cycle().take(whole).collect()
    };
    let mut key = Sha256::digest([vec![3; 64], repeat(&salt), repeat(&units)].concat());
    for _ in 1..rounds {
        key = Sha256::digest(key);
    }
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
    mac.update(&safe);
    let mac = mac.finalize().into_bytes();
    let sha256 = [0x30, 13, 6, 9, 0x60, 0x86, 0x48, 1, 101, 3, 4, 2, 1, 5, 0];
    let info = element(0x30, &[&sha256[..], &element(4, &mac)].concat());
    let rounds = element(2, &rounds.to_be_bytes());
    let seal = element(0x30, &[info, element(4, &salt), rounds].concat());
    element(0x30, &[&[2, 1, 3][..], &holding(&safe), &seal].concat())
}

pub(super) const SHROUDED: u8 = 2;
pub(super) const CERTIFICATE: u8 = 3;

#[track_caller]
fn is_sealed(file: &str, content: &[u8], sealed: bool) {
    let scan = scan_bytes(file, Format::Guess, content);
    let found = findings(&scan);
    let key = found.iter().find(|found| found.kind == Kind::PrivateKey);
    let key = key.unwrap_or_else(|| panic!("{file}: {:#?}", outline(&scan)));
    assert_eq!(key.confidence, Confidence::Proven);
    assert_eq!(key.proof.contains(&Proof::Encrypted), sealed, "{file}");
    let opened = key.proof.contains(&Proof::Checksum { holds: true });
    assert_eq!(opened, !sealed, "{file}");
}

#[test]
fn keystores_with_a_known_password_are_told() {
    let known = [
        ("app.jks", java_store(0xfe, 0, 1, "changeit")),
        ("app.jks", java_store(0xfe, 3, 1, "changeme")),
        ("app.jceks", java_store(0xce, 1, 3, "changeit")),
        ("app.p12", pkcs12(SHROUDED, "changeit", 2048)),
        ("app.pfx", pkcs12(SHROUDED, "password", 1)),
    ];
    for (file, store) in known {
        check_kind(file, &store, Kind::Password, Confidence::Proven);
    }
    // Where the password is too short to be told, the key is what lies open.
    is_sealed("open.p12", &pkcs12(SHROUDED, "", 2048), false);
    is_sealed("debug.jks", &java_store(0xfe, 0, 1, "android"), false);
    // Trust stores hold what everybody may read.
    nothing("cacerts", &java_store(0xfe, 2, 2, "changeit"));
    nothing("cacerts", &pkcs12(CERTIFICATE, "changeit", 100));
}

#[test]
fn keystores_with_a_password_of_their_own_are_keys_under_a_password() {
    for store in [
        java_store(0xfe, 1, 1, "Copper4711!"),
        java_store(0xce, 0, 3, "Copper4711!"),
        pkcs12(SHROUDED, "Copper4711!", 2048),
    ] {
        is_sealed("app.store", &store, true);
        let text = format!("data:\n  keystore: {}\n", STANDARD.encode(&store));
        is_sealed("secret.yaml", text.as_bytes(), true);
    }
    // A cut one cannot be verified, and still holds its key.
    let cut = pkcs12(SHROUDED, "changeit", 2048);
    is_sealed("app.p12", &cut[..cut.len() - 40], true);
}

#[test]
fn a_keystore_is_open_when_its_password_lies_beside_it() {
    let store = pkcs12(SHROUDED, "Copper4711x", 2048);
    let text = format!(
        "data:\n  store.p12: {}\n  password: {}\n",
        STANDARD.encode(&store),
        STANDARD.encode("Copper4711x"),
    );
    is_sealed("secret.yaml", text.as_bytes(), false);
    is_sealed(
        "secret.yaml",
        text.replace(&STANDARD.encode("Copper4711x"), "Copper4712x")
            .as_bytes(),
        true,
    );
    let setting = b"server.ssl.key-store-password=Copper4711x\n";
    for settings_first in [true, false] {
        let mut archive = tar_of("BOOT-INF/server.p12", &store);
        let settings = tar_of("BOOT-INF/application.properties", setting);
        if settings_first {
            archive = [settings, archive].concat();
        } else {
            archive.extend(settings);
        }
        archive.resize(archive.len() + 1024, 0);
        is_sealed("app.tar", &archive, false);
    }
}

/// A member of a tar file.
fn tar_of(name: &str, content: &[u8]) -> Vec<u8> {
    let mut head = vec![0; 512];
    head[..name.len()].copy_from_slice(name.as_bytes());
    head[100..107].copy_from_slice(b"0000644");
    head[124..135].copy_from_slice(format!("{:011o}", content.len()).as_bytes());
    head[156] = b'0';
    head[257..263].copy_from_slice(b"ustar\0");
    head[148..156].fill(b' ');
    let sum: u32 = head.iter().map(|&byte| u32::from(byte)).sum();
    head[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    head.extend(content);
    head.resize(head.len().div_ceil(512) * 512, 0);
    head
}

#[test]
fn a_store_that_is_slow_to_open_keeps_no_other_closed() {
    let slow = pkcs12(SHROUDED, "Copper4711x", u16::MAX >> 1);
    let mut archive = Vec::new();
    for number in 0..8 {
        archive.extend(tar_of(&format!("{number}.p12"), &slow));
    }
    archive.extend(tar_of("z.p12", &pkcs12(SHROUDED, "changeit", 1024)));
    archive.resize(archive.len() + 1024, 0);
    let scan = scan_bytes("many.tar", Format::Guess, &archive);
    let found = findings(&scan);
    assert!(found.iter().any(|found| found.kind == Kind::Password));
}

#[test]
fn guessing_passwords_of_stores_has_a_bound() {
    // Each takes as many rounds as a scan spends on all.
    let store = pkcs12(SHROUDED, "Copper4711x", u16::MAX >> 1);
    let mut archive = Vec::new();
    for number in 0..200 {
        archive.extend(tar_of(&format!("{number}.p12"), &store));
    }
    archive.resize(archive.len() + 1024, 0);
    let scan = scan_bytes("many.tar", Format::Guess, &archive);
    let stores = scan
        .matches
        .iter()
        .filter(|found| found.kind == Kind::PrivateKey);
    assert_eq!(stores.count(), 200);
}
