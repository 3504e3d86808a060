//! Whatever the names, nothing that leaves holds a window of a secret.

use std::sync::Arc;

use akwatch_detect::{Limits, RawSpot, RuleSet, Secret};
use akwatch_proto::credential::{Confidence, CredentialId, Kind, Provider, PublicPrefix};
use proptest::prelude::*;

use super::*;

fn detector() -> Detector {
    Detector::new(RuleSet::builtin(), Limits::default())
}

fn key() -> FingerprintKey {
    let epoch = Epoch::parse("7").unwrap();
    FingerprintKey::of_fleet(&FleetKey::new(epoch, &[9; 32])).unwrap()
}

fn a_match(secret: Option<&[u8]>, id: Option<&str>) -> Match {
    Match {
        rule: RuleId::parse("demo.key").unwrap(),
        provider: Provider::parse("demo").unwrap(),
        kind: Kind::SecretKey,
        secret: secret.map(|secret| Secret::new(secret.to_vec())),
        also: Vec::new(),
        id: id.map(|id| CredentialId::parse(id).unwrap()),
        confidence: Confidence::Strong,
        proof: Vec::new(),
        prefix: None,
        scheme: Scheme::Hmac,
        part: 0,
        spot: RawSpot::default(),
    }
}

/// Cleans `name` in a job where `secret` was matched.
fn cleaned(secret: &[u8], name: &[u8]) -> String {
    let (mut detector, key) = (detector(), key());
    let matches = [a_match(Some(secret), None)];
    let mut redactor = Redactor::new(&mut detector, &key, &matches);
    redactor.name(name).as_str().to_owned()
}

const SECRET: &[u8] = b"q7Zk0Vb9Xw2Lm5Rt8Yc1";

#[track_caller]
fn check_cleaned(name: &str, expected: &str) {
    let clean = cleaned(SECRET, name.as_bytes());
    let tag = key().tag(name.as_bytes());
    assert_eq!(clean, expected.replace('*', &format!("‹demo.key~{tag}›")));
}

#[test]
fn a_secret_in_a_name_is_replaced_in_every_form() {
    check_cleaned("/etc/app.yml", "/etc/app.yml");
    check_cleaned("/tmp/q7Zk0Vb9Xw2Lm5Rt8Yc1.txt", "/tmp/*.txt");
    check_cleaned("/tmp/Q7ZK0VB9XW2LM5RT8YC1", "/tmp/*");
    check_cleaned("pre-Vb9Xw2Lm-post", "pre-*-post");
    check_cleaned("pre-Vb9Xw2-post", "pre-Vb9Xw2-post");
    check_cleaned("a=q7Zk0Vb9Xw2Lm5Rt8Yc1&b=q7Zk0Vb9Xw2Lm5Rt8Yc1", "a=*&b=*");
    check_cleaned("/x/%71%37Zk0Vb9Xw%32Lm5Rt8Yc1", "/x/*");
    let hex = data_encoding::HEXLOWER.encode(SECRET);
    check_cleaned(&format!("/x.{hex}.y"), "/x.*.y");
    check_cleaned(&format!("/x.0{hex}.y"), "/x.0*.y");
}

#[test]
fn base64_is_found_at_every_alignment() {
    for before in ["", "a", "ab", "abc"] {
        let text = [before.as_bytes(), SECRET, b"zz"].concat();
        let encoded = data_encoding::BASE64.encode(&text);
        let clean = cleaned(SECRET, format!("/p/{encoded}/x").as_bytes());
        assert!(clean.contains('‹'), "{clean}");
        assert_clean(&clean, SECRET);
    }
}

#[test]
fn different_names_stay_different() {
    let one = cleaned(SECRET, b"/tmp/q7Zk0Vb9Xw2Lm5Rt8Yc1");
    let other = cleaned(SECRET, b"/tmp/q7Zk0Vb9Xw2Lm5Rt");
    assert_ne!(one, other);
    assert_eq!(one, cleaned(SECRET, b"/tmp/q7Zk0Vb9Xw2Lm5Rt8Yc1"));
}

#[test]
fn pem_armour_is_no_secret() {
    let body = "MIIBOgIBAAJBAKj34GkxFhD90vcNLYLInFEX6Ppy1tPf9Cnzj4p4WGeKLs1Pt8Qu";
    let pem = format!("-----BEGIN RSA PRIVATE KEY-----\n{body}\n-----END RSA PRIVATE KEY-----\n");
    let clean = cleaned(pem.as_bytes(), b"/etc/ssl/private/rsa private key.pem");
    assert_eq!(clean, "/etc/ssl/private/rsa private key.pem");
    let clean = cleaned(pem.as_bytes(), format!("/x/{}", &body[10..30]).as_bytes());
    assert!(clean.starts_with("/x/‹demo.key~"), "{clean}");
}

#[test]
fn a_public_prefix_stays_and_the_rest_goes() {
    let (mut detector, key) = (detector(), key());
    let mut found = a_match(Some(b"github_pat_q7Zk0Vb9Xw2Lm5Rt"), None);
    found.prefix = Some(PublicPrefix::parse("github_pat_").unwrap());
    let matches = [found];
    let mut redactor = Redactor::new(&mut detector, &key, &matches);
    let clean = redactor.name(b"/github_pat_q7Zk0Vb9Xw2Lm5Rt");
    assert!(
        clean.as_str().starts_with("/github_pat_‹demo.key~"),
        "{clean}"
    );
    let found = redactor.found(&matches[0]).unwrap();
    assert_eq!(
        found.preview.unwrap().to_string(),
        "github_pat_ ••• (24–31)"
    );
}

#[test]
fn an_id_that_holds_a_secret_is_not_said() {
    let (mut detector, key) = (detector(), key());
    let matches = [
        a_match(Some(SECRET), Some("IDq7Zk0Vb9Xw2")),
        a_match(None, Some("IDq7Zk0Vb9Xw2")),
        a_match(None, Some("AKIDharmless")),
    ];
    let mut redactor = Redactor::new(&mut detector, &key, &matches);
    assert_eq!(redactor.found(&matches[0]).unwrap().credential_id, None);
    assert_eq!(redactor.found(&matches[1]), None);
    let reference = redactor.found(&matches[2]).unwrap();
    assert!(matches!(reference.subject, Subject::Reference(_)) && reference.preview.is_none());
}

#[test]
fn equal_secrets_are_equal_under_one_key_only() {
    let (one, other) = (key(), FingerprintKey::local().unwrap());
    assert_eq!(one.quick(SECRET), one.quick(SECRET));
    assert_ne!(one.quick(SECRET).bytes, other.quick(SECRET).bytes);
    assert_eq!(other.epoch().as_str(), "local");
}

#[test]
fn slow_hashes_are_remembered_and_bounded() {
    let key = key();
    let mut budget = 1;
    let first = key.slow(b"Summer2024!", &mut budget).unwrap();
    assert_eq!((first.scheme, budget), (Scheme::ArgonHmac, 0));
    assert_eq!(key.slow(b"Summer2024!", &mut budget), Some(first));
    assert_eq!(key.slow(b"Winter2024!", &mut budget), None);
    let forgotten = FingerprintKey::local().unwrap();
    let made = forgotten.slow(b"Winter2024!", &mut budget);
    assert_eq!(made, Some(forgotten.quick(b"Winter2024!")));
}

/// Fails when an eight-byte window of `secret` is in `text`, plain, folded, in hex, base64 or
/// percent-encoded.
#[track_caller]
pub(crate) fn assert_clean(text: &str, secret: &[u8]) {
    let lower = text.to_ascii_lowercase();
    let unescaped = percent_decoded(text);
    for window in secret.windows(8) {
        let folded = window.to_ascii_lowercase();
        let find =
            |haystack: &[u8], needle: &[u8]| memchr::memmem::find(haystack, needle).is_some();
        assert!(!find(lower.as_bytes(), &folded), "plain, in {text:?}");
        assert!(!find(&unescaped, window), "percent-encoded, in {text:?}");
        let hex = data_encoding::HEXLOWER.encode(window);
        assert!(!lower.contains(&hex), "hex, in {text:?}");
        for pad in 0..3 {
            let padded = [&b"\0\0"[..pad], window].concat();
            for encoding in [data_encoding::BASE64_NOPAD, data_encoding::BASE64URL_NOPAD] {
                let encoded = encoding.encode(&padded);
                // Only the characters that the window alone decides.
                let whole = &encoded[(pad * 8).div_ceil(6)..(padded.len() * 8) / 6];
                assert!(!text.contains(whole), "base64, in {text:?}");
            }
        }
    }
}

fn percent_decoded(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut out = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let pair = text.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
        match pair.and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    out
}

#[test]
fn the_searcher_finds_what_it_must() {
    for text in [
        String::from_utf8(SECRET.to_vec()).unwrap(),
        "Q7ZK0VB9".to_owned(),
        data_encoding::HEXUPPER.encode(SECRET),
        data_encoding::BASE64.encode(SECRET),
        data_encoding::BASE64URL.encode(&[b"x", SECRET].concat()),
        "%717Zk0Vb9".to_owned(),
    ] {
        let caught = std::panic::catch_unwind(|| assert_clean(&text, SECRET));
        assert!(caught.is_err(), "{text} was not found");
    }
}

/// How a secret is worked into a name.
pub(crate) fn worked_in(secret: &[u8], how: u8, from: usize, to: usize) -> Vec<u8> {
    let part = &secret[from.min(to)..from.max(to)];
    match how {
        0 => part.to_vec(),
        1 => part.to_ascii_uppercase(),
        2 => data_encoding::HEXLOWER.encode(part).into_bytes(),
        3 => data_encoding::HEXUPPER.encode(part).into_bytes(),
        4 => data_encoding::BASE64.encode(part).into_bytes(),
        5 => data_encoding::BASE64URL_NOPAD.encode(part).into_bytes(),
        _ => part
            .iter()
            .flat_map(|byte| format!("%{byte:02x}").into_bytes())
            .collect(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn no_window_of_any_secret_leaves(
        secrets in proptest::collection::vec("[A-Za-z0-9+/_@!-]{16,64}", 1..4),
        names in proptest::collection::vec(
            (proptest::collection::vec(any::<u8>(), 0..12), 0_u8..7, 0_usize..64, 0_usize..64,
             "[a-zA-Z0-9/_.%+-]{0,12}"),
            1..6,
        ),
    ) {
        let (mut detector, key) = (detector(), key());
        let raw: Vec<Vec<u8>> = names
            .iter()
            .enumerate()
            .map(|(i, (before, how, from, to, after))| {
                let secret = secrets[i % secrets.len()].as_bytes();
                let (from, to) = (from % (secret.len() + 1), to % (secret.len() + 1));
                let middle = worked_in(secret, *how, from, to);
                [before.as_slice(), &middle, after.as_bytes()].concat()
            })
            .collect();
        let matches: Vec<Match> = secrets
            .iter()
            .map(|secret| {
                let mut found = a_match(Some(secret.as_bytes()), Some("AKIDxyz"));
                found.spot.inside.clone_from(&raw);
                found.spot.field = raw.first().cloned();
                found
            })
            .collect();
        let mut redactor = Redactor::new(&mut detector, &key, &matches);
        let found: Vec<_> = matches.iter().filter_map(|found| redactor.found(found)).collect();
        let clean: Vec<_> = raw.iter().map(|name| redactor.name(name)).collect();
        let json = serde_json::to_string(&(&found, &clean)).unwrap();
        for secret in &secrets {
            assert_clean(&json, secret.as_bytes());
        }
    }
}

#[test]
fn the_detector_can_be_shared_by_jobs() {
    let rules: Arc<RuleSet> = RuleSet::builtin();
    let (mut detector, key) = (Detector::new(rules, Limits::default()), key());
    for _ in 0..2 {
        let matches = [a_match(Some(SECRET), None)];
        let mut redactor = Redactor::new(&mut detector, &key, &matches);
        assert!(redactor.found(&matches[0]).is_some());
    }
}
