//! Passwords as people and generators make them, and private keys that are keys in form only.

use super::dice::{ALNUM, BASE64, Dice, LOWNUM};
use super::page::{Credential, Tier};
use super::text::base64;

const STEMS: &[&str] = &[
    "Harbor", "Mantis", "Cobalt", "Juniper", "Orchid", "Falcon", "Tundra", "Quartz", "Saffron",
    "Ember", "Walnut", "Zephyr", "Copper", "Lantern", "Meadow", "Pelican", "Bamboo", "Glacier",
    "zhangwei", "liming", "wangfang", "Beijing", "Xiaoyu", "Huanghe", "shouji", "tianqi",
];

/// Characters that passwords have besides letters and digits, without those that end a line or a
/// string in half of all formats.
const SIGNS: &str = "!@#%^&*-_=+?.~";

/// A password that passes the rules of most sites, 10 to 24 characters.
pub fn password(dice: &mut Dice) -> String {
    let text = match dice.below(6) {
        0 => dice.pattern("{16:w}"),
        1 => dice.pattern("{12:w}") + &dice.text(SIGNS, 2) + &dice.pattern("{4:w}"),
        2 => format!(
            "{}{}{}{}",
            dice.one(STEMS),
            dice.text(SIGNS, 1),
            dice.text(ALNUM, 4),
            dice.within(10, 99)
        ),
        3 => format!(
            "{}-{}-{}{}",
            dice.one(STEMS),
            dice.one(STEMS),
            dice.one(STEMS),
            dice.within(10, 999)
        ),
        4 => format!(
            "{}@{}{}",
            dice.text(ALNUM, 5),
            dice.within(1990, 2025),
            dice.text(LOWNUM, 4)
        ),
        _ => dice.pattern("{20-24:w}"),
    };
    // A generator of passwords asks for a digit.
    if text.bytes().any(|byte| byte.is_ascii_digit()) {
        text
    } else {
        format!("{text}{}", dice.within(2, 9))
    }
}

/// A password without signs, for where they would end the word.
pub fn plain_password(dice: &mut Dice) -> String {
    match dice.below(3) {
        0 => dice.pattern("{14:w}{2:d}"),
        1 => format!(
            "{}{}{}",
            dice.one(STEMS),
            dice.text(ALNUM, 5),
            dice.within(100, 999)
        ),
        _ => dice.pattern("{22:w}{1:d}"),
    }
}

/// A password as a credential of `family`.
pub fn secret(family: &'static str, dice: &mut Dice) -> Credential {
    Credential::lone(Tier::Generic, family, password(dice))
}

/// The same without signs.
pub fn plain_secret(family: &'static str, dice: &mut Dice) -> Credential {
    Credential::lone(Tier::Generic, family, plain_password(dice))
}

/// A private key in PEM or OpenSSH armour, its structure that of a key and its numbers drawn.
pub fn private_key(dice: &mut Dice) -> Credential {
    let (word, der) = match dice.below(5) {
        0 => ("RSA PRIVATE KEY", rsa(dice)),
        1 => (
            "PRIVATE KEY",
            pkcs8(
                &[
                    0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00,
                ],
                &rsa(dice),
            ),
        ),
        2 => ("EC PRIVATE KEY", elliptic(dice)),
        3 => (
            "PRIVATE KEY",
            pkcs8(
                &[0x06, 0x03, 0x2b, 0x65, 0x70],
                &tagged(0x04, &dice.bytes(32)),
            ),
        ),
        _ => ("OPENSSH PRIVATE KEY", openssh(dice)),
    };
    Credential::lone(Tier::Generic, "private-key", armour(word, &der))
}

/// Base64 in lines of 64 between a header and a footer.
#[must_use]
pub fn armour(word: &str, der: &[u8]) -> String {
    let text = base64(der);
    let lines: Vec<&str> = text
        .as_bytes()
        .chunks(64)
        .map(|chunk| std::str::from_utf8(chunk).expect("invariant: base64 is ASCII"))
        .collect();
    // The words of the armour are joined here, so that no key lies in this repository.
    format!(
        "-----{} {word}-----\n{}\n-----END {word}-----",
        "BEGIN",
        lines.join("\n")
    )
}

/// A certificate in form: what stands beside a key and is no secret.
pub fn certificate(dice: &mut Dice) -> String {
    let body = tagged(
        0x30,
        &[
            tagged(0x30, &dice.bytes(620)),
            tagged(0x03, &dice.bytes(257)),
        ]
        .concat(),
    );
    armour("CERTIFICATE", &body)
}

/// A public key in form.
pub fn public_key(dice: &mut Dice) -> String {
    let body = tagged(
        0x30,
        &[
            tagged(
                0x30,
                &[
                    0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00,
                ],
            ),
            tagged(0x03, &dice.bytes(271)),
        ]
        .concat(),
    );
    armour("PUBLIC KEY", &body)
}

fn tagged(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX).to_be_bytes();
    match body.len() {
        0..=127 => out.push(length[3]),
        128..=255 => out.extend([0x81, length[3]]),
        _ => out.extend([0x82, length[2], length[3]]),
    }
    out.extend_from_slice(body);
    out
}

fn integer(dice: &mut Dice, bytes: usize) -> Vec<u8> {
    let mut number = dice.bytes(bytes);
    number[0] |= 0x80;
    number.insert(0, 0);
    tagged(0x02, &number)
}

fn rsa(dice: &mut Dice) -> Vec<u8> {
    let mut body = tagged(0x02, &[0]);
    body.extend(integer(dice, 256));
    body.extend(tagged(0x02, &[1, 0, 1]));
    body.extend(integer(dice, 256));
    for _ in 0..5 {
        body.extend(integer(dice, 128));
    }
    tagged(0x30, &body)
}

fn pkcs8(algorithm: &[u8], key: &[u8]) -> Vec<u8> {
    let body = [
        tagged(0x02, &[0]),
        tagged(0x30, algorithm),
        tagged(0x04, key),
    ]
    .concat();
    tagged(0x30, &body)
}

fn elliptic(dice: &mut Dice) -> Vec<u8> {
    let curve = tagged(
        0xa0,
        &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07],
    );
    let mut point = vec![0, 4];
    point.extend(dice.bytes(64));
    let public = tagged(0xa1, &tagged(0x03, &point));
    let body = [
        tagged(0x02, &[1]),
        tagged(0x04, &dice.bytes(32)),
        curve,
        public,
    ]
    .concat();
    tagged(0x30, &body)
}

fn openssh(dice: &mut Dice) -> Vec<u8> {
    let string = |bytes: &[u8]| {
        let length = u32::try_from(bytes.len()).unwrap_or(0).to_be_bytes();
        [&length[..], bytes].concat()
    };
    let public = dice.bytes(32);
    let check = dice.bytes(4);
    let mut inner = [check.clone(), check].concat();
    inner.extend(string(b"ssh-ed25519"));
    inner.extend(string(&public));
    inner.extend(string(&[dice.bytes(32), public.clone()].concat()));
    inner.extend(string(b"deploy@build-01"));
    let fill = (8 - inner.len() % 8) % 8;
    inner.extend((1..=8).take(fill));
    let mut out = b"openssh-key-v1\0".to_vec();
    out.extend(string(b"none"));
    out.extend(string(b"none"));
    out.extend(string(b""));
    out.extend([0, 0, 0, 1]);
    out.extend(string(&[string(b"ssh-ed25519"), string(&public)].concat()));
    out.extend(string(&inner));
    out
}

/// A service account's key file of Google's form; the credential is its private key.
pub fn service_account(dice: &mut Dice) -> (String, Credential) {
    let key = armour(
        "PRIVATE KEY",
        &pkcs8(
            &[
                0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00,
            ],
            &rsa(dice),
        ),
    );
    let project = format!("acme-{}", dice.text(LOWNUM, 6));
    let email = format!(
        "ci-{}@{project}.iam.gserviceaccount.com",
        dice.text(LOWNUM, 4)
    );
    let json = serde_json::json!({
        "type": "service_account",
        "project_id": project,
        "private_key_id": dice.text("0123456789abcdef", 40),
        "private_key": format!("{key}\n"),
        "client_email": email,
        "client_id": dice.text("0123456789", 21),
        "token_uri": "https://oauth2.googleapis.com/token",
    });
    let text = serde_json::to_string_pretty(&json).expect("invariant: JSON is written");
    (text, Credential::lone(Tier::Ak, "gcp-service-account", key))
}

/// A base64 blob that is an encrypted key in form.
pub fn encrypted_blob(dice: &mut Dice, length: usize) -> String {
    dice.text(BASE64, length)
}
