//! Ways to hide a secret in plain sight that somebody thought of: each is told, whole, as it is.

use super::unwrapping::gzip;
use super::{findings, outline, sample, scan_bytes};
use crate::content::Format;
use crate::scan::UnreadWhy;

const PASSWORD: &str = "Gx7kP9qLm2ZtR4";
const KEY: &str = "wJalrXUtnFEMIK7MDENGbPxRfiCYzzQ8L2mNp9Tq";

/// Scans a file and compares what is told in it, each once.
fn check(file: &str, text: impl AsRef<[u8]>, expected: &[&str]) {
    let scan = scan_bytes(file, Format::Guess, text.as_ref());
    let mut found: Vec<String> = findings(&scan)
        .iter()
        .filter_map(|found| found.secret.as_ref())
        .map(|secret| String::from_utf8_lossy(secret.expose()).into_owned())
        .collect();
    found.sort();
    found.dedup();
    let text = String::from_utf8_lossy(text.as_ref());
    assert_eq!(found, expected, "{file}: {text}\n{:#?}", outline(&scan));
}

#[test]
fn one_value_of_javas_leaves_the_others_what_they_are() {
    for file in ["x.env", ".env", "x.ini", "x.conf", "x.txt", "creds"] {
        for first in [r"A=x\:y", r"PS1=\#", r"A=echo hi\!", r"DIR=C\:\\x"] {
            for remark in [" # prod", " ; prod", "   # prod"] {
                let text = format!(
                    "{first}\nAWS_ACCESS_KEY_ID=AKIAQ3EGRTWXK7PLMN2Z # id\nAWS_SECRET_ACCESS_KEY={KEY}{remark}\n"
                );
                check(file, text, &[KEY]);
                check(
                    file,
                    format!("{first}\nB=1\nDB_PASSWORD={PASSWORD}{remark}\n"),
                    &[PASSWORD],
                );
            }
            check(
                file,
                format!("{first}\nexport DB_PASSWORD=\"{PASSWORD}\" # x\n"),
                &[PASSWORD],
            );
        }
    }
    // What Java wrote under another name is read as Java reads it.
    for file in ["x.env", "x.ini", "x.conf", "creds"] {
        let text = format!("# Tue\na=1\ndb.password={PASSWORD}\\=\\:z\nurl=http\\://h/\n");
        check(file, text, &[&format!("{PASSWORD}=:z")]);
    }
}

/// Escapes, and a token that stands among them as it is.
#[test]
fn a_token_among_escapes_hides_nothing_that_they_hold() {
    let token = sample("github.token", 98).secret;
    let escaped = |text: &str| -> String { text.bytes().map(|b| format!("\\x{b:02x}")).collect() };
    let hidden = escaped(&format!("\nDB_PASSWORD={PASSWORD}\n"));
    let filler = escaped("# a line of a comment that says nothing\n");
    for string in [
        format!("token={token} {filler}{hidden}"),
        format!("{hidden}{filler} token={token}"),
        format!("{filler} token={token} {hidden}"),
    ] {
        for file in ["a.txt", "a.sh", "a.py", "notes", "a.log"] {
            let expected = [PASSWORD, &token];
            check(file, format!("printf '{string}'\n"), &expected);
            check(file, format!("x = \"{string}\"\n"), &expected);
        }
    }
}

#[test]
fn an_apostrophe_is_no_lifetime_and_a_backslash_goes_on() {
    for file in ["a.py", "a.js", "a.rb", "a.php", "a.rs"] {
        let quoted = |rest: &str| format!("password = 'db-Gx7kP9qLm2'{rest}\n");
        check(file, quoted("  # don't share"), &["db-Gx7kP9qLm2"]);
        check(file, quoted("  // it's prod"), &["db-Gx7kP9qLm2"]);
    }
    check(
        "a.js",
        "password = \"a\\\"Gx7kP9qLm2ZtR4\"\n",
        &["a\"Gx7kP9qLm2ZtR4"],
    );
    check(
        "a.js",
        "password = 'a\\'Gx7kP9qLm2ZtR4'\n",
        &["a'Gx7kP9qLm2ZtR4"],
    );
}

#[test]
fn messages_are_undone_as_often_as_they_say() {
    let secret = format!("f3{}", &KEY[2..]);
    let body = format!("\ntoken=3D{secret}\n\n");
    // All that RFC 2045 and RFC 5322 allow.
    for field in [
        "Content-Transfer-Encoding: quoted-printable",
        "content-transfer-encoding:quoted-printable",
        "CONTENT-TRANSFER-ENCODING: QUOTED-PRINTABLE",
        "Content-Transfer-Encoding : quoted-printable",
        "Content-Transfer-Encoding:\n quoted-printable",
        "Content-Transfer-Encoding: \"quoted-printable\"",
        "Content-Transfer-Encoding: (x (y)) quoted-printable",
        "Content-Transfer-Encoding:\tQuoted-Printable\r",
    ] {
        check("a.eml", format!("From: a\n{field}\n{body}"), &[&secret]);
        check("letter", format!("FROM: a\n{field}\n{body}"), &[&secret]);
    }
    let field = "Content-Transfer-Encoding: quoted-printable\n";
    // The field stands in a body, and in the next message of a mailbox.
    check(
        "a.eml",
        format!("From: a\n{field}\nsee header\n{field}{body}"),
        &[&secret],
    );
    check(
        "a.eml",
        format!("From: a\n{field}\n{field}{body}"),
        &[&secret],
    );
    let mailbox = format!("From a\nFrom: a\n{field}\nhi\nFrom b\nFrom: b\n{field}{body}");
    check("a.mbox", mailbox, &[&secret]);
    check(
        "a.mbox",
        format!("From a\nFrom: a\n{field}\n\nFrom b\nFrom: b\n{field}{body}"),
        &[&secret],
    );
    // A message in a message says so once more.
    let twice = body.replace('=', "=3D").replace("tion=", "tion=3D");
    check(
        "a.eml",
        format!("From: a\n{field}\nFrom: b\n{field}{twice}"),
        &[&secret],
    );
}

/// A field of a message of protocol buffers, `key` its number and kind.
fn field(key: &[u8], bytes: &[u8]) -> Vec<u8> {
    let mut out = key.to_vec();
    let mut length = bytes.len();
    while length >= 0x80 {
        out.push(length.to_le_bytes()[0] | 0x80);
        length >>= 7;
    }
    out.push(length.to_le_bytes()[0]);
    out.extend_from_slice(bytes);
    out
}

#[test]
fn streams_in_fields_are_read_wherever_they_stand() {
    let secret = gzip(format!("DB_PASSWORD={PASSWORD}\n").as_bytes());
    let empty = field(&[0x12], &gzip(b""));
    for text in [
        [empty.repeat(65), field(&[0x12], &secret)].concat(),
        field(&[0x82, 0x01], &secret),
        // Behind the first window, and where one ends.
        [vec![1; 700_000], field(&[0x12], &secret)].concat(),
        [
            vec![1; 524_288 - 40],
            field(&[0x12], &secret),
            vec![1; 90_000],
        ]
        .concat(),
    ] {
        check("x.bin", text, &[PASSWORD]);
    }
    // What is not read is said.
    let long = [
        field(&[0x12], &[&secret[..], &vec![7; 600_000]].concat()),
        vec![1; 9],
    ]
    .concat();
    let many = empty.repeat(5000);
    for text in [long, many] {
        let scan = scan_bytes("x.bin", Format::Guess, &text);
        assert!(
            scan.unread
                .iter()
                .any(|unread| unread.why == UnreadWhy::Limit),
            "{}",
            text.len()
        );
    }
}

#[test]
fn names_say_which_one_and_what() {
    for name in [
        "SMTP_PASS_PROD",
        "FTP_PASS_DEV",
        "ROOT_PWD_LIVE",
        "REDIS_PW_PROD",
        "REDIS_PW_TEST",
        "PASS_PROD",
        "rootPwdLive",
    ] {
        check(".env", format!("{name}={PASSWORD}\n"), &[PASSWORD]);
        check("a.yml", format!("x: 1\n{name}: {PASSWORD}\n"), &[PASSWORD]);
    }
    for name in ["client_secret_prod", "client_secret", "clientSecretTest"] {
        check(".env", format!("{name} = hunter2222\n"), &["hunter2222"]);
    }
}

#[test]
fn strings_of_c_are_told_without_their_quotes() {
    for declared in [
        "char passwd[32]=",
        "char passwd[]=",
        "char *passwd=",
        "char passwd[32] = ",
        "char *passwd = ",
    ] {
        check(
            "a.c",
            format!("{declared}\"hunter22222\";\n"),
            &["hunter22222"],
        );
        check("a.c", format!("{declared}\"{PASSWORD}\";\n"), &[PASSWORD]);
    }
}

#[test]
fn addresses_and_documents_are_read_in_one_another() {
    for address in [
        format!("https://g/?redirect=https%3A%2F%2Fh%2F%3Fpassword%3D{KEY}%26x%3Dy"),
        format!("https://g/?redirect=https%3A%2F%2Fh%2F%3Fx%3Dy%26password%3D{KEY}"),
    ] {
        check("a.log", format!("GET {address} 200\n"), &[KEY]);
        check("x.env", format!("URL={address}\n"), &[KEY]);
    }
    let mut text = format!("{{\"password\": \"{PASSWORD}\", \"user\": \"app\"}}");
    for depth in 1..=5 {
        check("a.json", &text, &[PASSWORD]);
        let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
        text = format!("{{\"n\": {depth}, \"body\": \"{escaped}\"}}");
    }
}
