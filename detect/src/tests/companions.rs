//! Keystores and the files beside them: what opens one, what is told of the others, what it costs.

use akwatch_proto::credential::Kind;
use akwatch_proto::finding::Proof;
use hmac::{Hmac, KeyInit, Mac};
use sha1::{Digest, Sha1};

use super::keys::{CERTIFICATE, SHROUDED, bytes, element, java_store, pkcs12};
use super::{detector, findings, outline};
use crate::content::{Companion, Format, Part, Position, Source, Unreadable};
use crate::scan::{Scan, UnreadWhy};

const PASSWORD: &str = "Copper4711x";

fn part<'a>(name: &'a str, source: &'a dyn Source) -> Part<'a> {
    Part {
        name: name.as_bytes(),
        format: Format::Guess,
        start: Position::default(),
        source,
    }
}

/// Scans a store with one file beside it, which is one directory above where `above` says so.
fn scan_with(store: &[u8], beside: (&str, &str), above: bool) -> Scan {
    let store = store.to_vec();
    let text = beside.1.as_bytes().to_vec();
    let companion = Companion {
        part: part(beside.0, &text),
        above,
    };
    detector().scan_beside(&[part("/opt/app/conf/server.p12", &store)], &[companion])
}

/// Whether a store with that password is told as open; it is told once in any case, and nothing else is.
#[track_caller]
fn opens(password: &str, name: &str, text: &str) -> bool {
    let store = pkcs12(SHROUDED, password, 2048);
    is_open(&scan_with(&store, (name, text), false))
}

#[track_caller]
fn is_open(scan: &Scan) -> bool {
    let found = findings(scan);
    assert_eq!(found.len(), 1, "{:#?}", outline(scan));
    assert_eq!(found[0].kind, Kind::PrivateKey);
    let open = found[0].proof.contains(&Proof::Checksum { holds: true });
    assert_ne!(open, found[0].proof.contains(&Proof::Encrypted));
    open
}

#[test]
fn a_file_beside_a_keystore_opens_it() {
    for (name, text) in [
        (
            "application.properties",
            "server.ssl.key-store=classpath:server.p12\nserver.ssl.key-store-password=Copper4711x\n",
        ),
        (
            "application.yml",
            "server:\n  ssl:\n    key-store: server.p12\n    key-store-password: Copper4711x\n",
        ),
        (
            "server.xml",
            "<Server><Service><Connector port=\"8443\"><SSLHostConfig><Certificate certificateKeystoreFile=\"conf/server.p12\" certificateKeystorePassword=\"Copper4711x\"/></SSLHostConfig></Connector></Service></Server>\n",
        ),
        (
            "server.properties",
            "listeners=SSL://:9093\nssl.keystore.location=/etc/kafka/server.p12\nssl.keystore.password=Copper4711x\n",
        ),
        ("kafka_keystore_creds", "Copper4711x\n"),
        ("keystore.pass", "Copper4711x"),
        ("password.txt", "Copper4711x\r\n"),
        (".env", "PORT=8443\nKEYSTORE_PASSWORD=Copper4711x\n"),
        (
            "start.sh",
            "#!/bin/sh\nexec java -Djavax.net.ssl.keyStorePassword=Copper4711x -jar app.jar\n",
        ),
        (
            "build.gradle",
            "android {\n    signingConfigs {\n        release {\n            storeFile file(\"server.p12\")\n            storePassword \"Copper4711x\"\n        }\n    }\n}\n",
        ),
        (
            "config.json",
            "{\"tls\": {\"pfx\": \"server.p12\", \"passphrase\": \"Copper4711x\"}}\n",
        ),
        ("secret.yaml", "data:\n  password: Q29wcGVyNDcxMXg=\n"),
        (
            "application.yaml",
            "server.ssl.key-store-password: ${STORE_PASSWORD:Copper4711x}\n",
        ),
        (
            "docker-compose.yml",
            "services:\n  app:\n    environment:\n      - KEYSTORE_PASS=Copper4711x\n",
        ),
    ] {
        assert!(opens(PASSWORD, name, text), "{name}");
        assert!(!opens("Copper4712x", name, text), "{name}");
    }
}

#[test]
fn words_too_short_or_too_common_for_a_finding_are_tried() {
    for password in [
        "tiger",
        "1234",
        "test",
        "mypassword",
        "P@ssw0rd",
        "letmein!",
    ] {
        let setting = format!("server.ssl.key-store-password={password}\n");
        assert!(opens(password, "application.properties", &setting));
        assert!(opens(password, "store.pass", password));
    }
    assert!(opens("two words", "store.pass", "two words\n"));
}

#[test]
fn a_file_above_is_looked_into_where_it_names_the_keystore() {
    let store = pkcs12(SHROUDED, PASSWORD, 2048);
    let names =
        "ssl.keystore.location=/opt/app/conf/server.p12\nssl.keystore.password=Copper4711x\n";
    assert!(is_open(&scan_with(&store, ("app.properties", names), true)));
    let other = names.replace("server.p12", "other.p12");
    let scan = scan_with(&store, ("app.properties", &other), true);
    assert!(!is_open(&scan));
}

/// A source that gives nothing.
struct Broken;

impl Source for Broken {
    fn len(&self) -> Option<u64> {
        Some(100)
    }

    fn read_at(&self, _: u64, _: &mut [u8]) -> Result<usize, Unreadable> {
        Err(Unreadable)
    }
}

#[test]
fn of_what_lies_beside_nothing_is_told() {
    let store = pkcs12(SHROUDED, PASSWORD, 2048);
    let token = super::sample("aws.access-key", 7);
    let text = format!(
        "aws_access_key_id={}\naws_secret_access_key={}\nother_password=Zinc8822kkQ\n",
        token.id, token.secret
    );
    let alone = text.clone().into_bytes();
    assert!(!findings(&detector().scan(&[part(".env", &alone)])).is_empty());
    let scan = scan_with(&store, (".env", &text), false);
    assert!(!is_open(&scan));
    assert_eq!(scan.read, [store.len() as u64]);
    // Neither are its damage and what it hides.
    let damaged = b"\x1f\x8b\x08\x00nothing that unpacks".to_vec();
    let sources: [&dyn Source; 2] = [&damaged, &Broken];
    for source in sources {
        let companion = Companion {
            part: part("pass.gz", source),
            above: false,
        };
        let scan = detector().scan_beside(&[part("server.p12", &store)], &[companion]);
        assert!(!is_open(&scan) && scan.unread.is_empty() && !scan.too_many);
    }
    // Where there is no keystore, nothing is even read.
    let companion = Companion {
        part: part("a.properties", &Broken),
        above: false,
    };
    let text = b"port=1\n".to_vec();
    let scan = detector().scan_beside(&[part("x.jks", &text)], &[companion]);
    assert!(scan.matches.is_empty() && scan.unread.is_empty());
    assert_eq!(scan.read, [7]);
}

#[test]
fn the_subject_is_the_same_open_or_shut() {
    let store = java_store(0xfe, 1, 1, PASSWORD);
    let open = scan_with(&store, ("store.pass", PASSWORD), false);
    let shut = scan_with(&store, ("store.pass", "other"), false);
    assert!(is_open(&open) && !is_open(&shut));
    let value = |scan: &Scan| scan.matches[0].secret.as_ref().unwrap().expose().to_vec();
    assert_eq!(value(&open), value(&shut));
}

#[test]
fn guessing_with_what_lies_beside_costs_what_it_may_and_is_counted() {
    // A step is counted as the 64 bytes that it takes.
    const MOST_WORK: u64 = 64 * 400_000;
    let store = pkcs12(SHROUDED, PASSWORD, u16::MAX >> 1);
    let many: String = (0..20_000)
        .map(|n| format!("k{n}.password=Zinc{n}kk\n"))
        .collect();
    let text = many.into_bytes();
    let companions: Vec<Companion<'_>> = (0..50)
        .map(|_| Companion {
            part: part("a.properties", &text),
            above: false,
        })
        .collect();
    let scan = detector().scan_beside(&[part("server.p12", &store)], &companions);
    assert!(!is_open(&scan));
    let alone = detector().scan(&[part("server.p12", &store)]).work;
    assert!(
        alone > 64 * 100_000,
        "what was guessed is not counted: {alone}"
    );
    // Eight files of a quarter of a mebibyte, each read a few times.
    assert!(
        scan.work < MOST_WORK + 8 * (256 << 10) * 16,
        "{}",
        scan.work
    );
}

/// Bouncy Castle's BKS, whose last entry is of the kind `entry`: 1 is a certificate, 4 a private key.
fn bks(version: u8, entry: u8, password: &str) -> Vec<u8> {
    let salt = bytes(20);
    let mut store = vec![0, 0, 0, version, 0, 0, 0, 20];
    store.extend(&salt);
    store.extend([0, 0, 4, 7]);
    for kind in [1, entry] {
        store.extend([kind, 0, 1, b'k', 0, 0, 1, 0x8b, 0, 0, 0, 0]);
        store.extend([0, 0, 0, u8::from(kind != 1)]);
        store.extend([0, 5]);
        store.extend(b"X.509\0\0\0\x10");
        store.extend(bytes(16));
        if kind != 1 {
            store.extend([0, 0, 2, 88]);
            store.extend(bytes(600));
        }
    }
    store.push(0);
    let mut units: Vec<u8> = password.encode_utf16().flat_map(u16::to_be_bytes).collect();
    units.extend([0, 0]);
    let repeat = |part: &[u8]| -> Vec<u8> {
        let whole = part.len().div_ceil(64) * 64;
        part.iter().copied().cycle().take(whole).collect()
    };
    let mut key = Sha1::digest([vec![3; 64], repeat(&salt), repeat(&units)].concat());
    for _ in 1..0x407 {
        key = Sha1::digest(key);
    }
    let mut mac = Hmac::<Sha1>::new_from_slice(&key).unwrap();
    mac.update(&store[32..]);
    store.extend(mac.finalize().into_bytes());
    store
}

#[test]
fn keystores_of_bouncy_castle_are_opened_or_said_to_be_shut() {
    const KEY: u8 = 4;
    let store = bks(2, KEY, PASSWORD);
    assert!(is_open(&scan_with(&store, ("store.pass", PASSWORD), false)));
    assert!(!is_open(&scan_with(&store, ("store.pass", "other"), false)));
    // The MAC of the first version is good for nothing.
    let first = bks(1, KEY, PASSWORD);
    assert!(!is_open(&scan_with(
        &first,
        ("store.pass", PASSWORD),
        false
    )));
    let trust = detector().scan(&[part("trust.bks", &bks(2, 1, PASSWORD))]);
    assert!(trust.matches.is_empty() && trust.unread.is_empty());
    let uber = [&first[..32], &bytes(900)].concat();
    is_unread("a.uber", &uber, UnreadWhy::Encrypted);
    is_unread("a.bks", &store[..100], UnreadWhy::Damaged);
}

/// Bouncy Castle's own form, as far as it can be read without its password.
fn bouncy_castles() -> Vec<u8> {
    let pbes2 = [6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 5, 13];
    let hmac = [6, 8, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 2, 11];
    let pbkdf2 = [6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 5, 12];
    let algorithm = element(0x30, &[&pbes2[..], &element(0x30, &bytes(40))].concat());
    let held = element(0x30, &[algorithm, element(4, &bytes(900))].concat());
    let derived = element(0x30, &[&pbkdf2[..], &element(0x30, &bytes(30))].concat());
    let check = [element(0x30, &hmac), derived, element(4, &bytes(64))].concat();
    element(0x30, &[held, element(0x30, &check)].concat())
}

#[track_caller]
fn is_unread(name: &str, store: &[u8], why: UnreadWhy) {
    let store = store.to_vec();
    let scan = detector().scan(&[part(name, &store)]);
    assert!(scan.matches.is_empty(), "{name}: {:#?}", outline(&scan));
    let said: Vec<UnreadWhy> = scan.unread.iter().map(|unread| unread.why).collect();
    assert_eq!(said, [why], "{name}");
}

#[test]
fn stores_of_which_nobody_can_say_what_they_hold_are_said_to_be_unread() {
    is_unread("app.bcfks", &bouncy_castles(), UnreadWhy::Encrypted);
    // All bags in one that is encrypted: keys and certificates look the same.
    let mut shut = pkcs12(CERTIFICATE, PASSWORD, 2048);
    let data = [6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 1];
    let at = shut
        .windows(data.len())
        .rposition(|part| part == data)
        .unwrap();
    shut[at + data.len() - 1] = 6;
    is_unread("app.p12", &shut, UnreadWhy::Encrypted);
    let whole = java_store(0xfe, 3, 1, PASSWORD);
    is_unread("cut.jks", &whole[..90], UnreadWhy::Damaged);
    let mut newer = whole.clone();
    newer[7] = 9;
    is_unread("newer.jks", &newer, UnreadWhy::Unsupported);
    let mut long = java_store(0xfe, 3, 1, PASSWORD);
    long.resize(600 << 10, 0);
    is_unread("long.jks", &long, UnreadWhy::Limit);
    // A bag of Java's for the key of a cipher is a key.
    const SECRET: u8 = 5;
    let secret = pkcs12(SECRET, PASSWORD, 2048);
    assert!(!is_open(&detector().scan(&[part("app.p12", &secret)])));
    // What only begins alike is nothing of the kind.
    for other in [bytes(300), element(0x30, &element(0x30, &bytes(200)))] {
        let scan = detector().scan(&[part("other.der", &other)]);
        assert!(scan.unread.is_empty() && scan.matches.is_empty());
    }
}
