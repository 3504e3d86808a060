//! What a value holds, and whose it is, whatever stands around it.

use super::{findings, outline, sample, scan_bytes};
use crate::content::Format;
use crate::sample::Seed;

/// The secrets that are told, each once, and what is told of them.
fn told(file: &str, text: &str) -> (Vec<String>, Vec<String>) {
    let scan = scan_bytes(file, Format::Guess, text.as_bytes());
    let mut secrets: Vec<String> = findings(&scan)
        .iter()
        .filter_map(|found| found.secret.as_ref())
        .map(|secret| String::from_utf8_lossy(secret.expose()).into_owned())
        .collect();
    secrets.sort_unstable();
    (secrets, outline(&scan))
}

fn check(file: &str, text: &str, secrets: &[&str]) {
    let (found, outline) = told(file, text);
    assert_eq!(found, secrets, "{file}: {text}\n{outline:#?}");
}

#[test]
fn escaped_marks_divide_no_address() {
    for (written, password) in [
        ("Zk9%2FXm2Qp4vT", "Zk9/Xm2Qp4vT"),
        ("Zk9%23Xm2Qp4vT", "Zk9#Xm2Qp4vT"),
        ("Zk9%3FXm2Qp4vT", "Zk9?Xm2Qp4vT"),
        ("Zk9%40Xm2Qp4vT", "Zk9@Xm2Qp4vT"),
        ("Zk9%3aXm2Qp4vT%25", "Zk9:Xm2Qp4vT%"),
    ] {
        for user in ["app", "app%3Aro"] {
            let address = format!("postgres://{user}:{written}@db:5432/x");
            for (file, text) in [
                (".env", format!("DATABASE_URL={address}\n")),
                (
                    ".env",
                    format!("DATABASE_URL=\"{address}?sslmode=require\"\n"),
                ),
                ("a.json", format!("{{\"url\": \"{address}\"}}\n")),
                ("a.py", format!("url = '{address}'\n")),
                ("a.log", format!("connecting to {address} failed\n")),
            ] {
                check(file, &text, &[password]);
            }
        }
    }
}

#[test]
fn settings_between_blanks_are_read_by_their_names() {
    let settings = "host=db user=app password=v7Rtk29Lm4 dbname=x";
    for (file, text) in [
        (
            "postgresql.auto.conf",
            format!("primary_conninfo = '{settings} sslmode=prefer'\n"),
        ),
        ("a.toml", format!("dsn = \"{settings}\"\n")),
        ("a.json", format!("{{\"dsn\": \"{settings}\"}}\n")),
        ("a.yaml", format!("dsn: \"{settings}\"\n")),
        (".env", format!("DSN=\"{settings}\"\n")),
        ("a.conf", format!("dsn = \"{settings}\"\n")),
        ("main.go", format!("\tdsn := \"{settings}\"\n")),
        ("a.py", format!("c = psycopg2.connect(\"{settings}\")\n")),
        (
            "b.py",
            "c = psycopg2.connect(\"host=db password='v7Rtk29Lm4' user=app\")\n".to_owned(),
        ),
    ] {
        check(file, &text, &["v7Rtk29Lm4"]);
    }
    for text in [
        "usage = \"set user=NAME password=PASSWORD and go\"\n",
        "dsn = \"host=%s user=%s password=%s\"\n",
        "dsn = \"host=db user=app password=${DB_PASSWORD}\"\n",
        "note = \"a=b and c=d\"\n",
    ] {
        check("a.py", text, &[]);
    }
}

#[test]
fn an_id_and_a_secret_alone_are_a_pair() {
    for rule in ["aws.access-key", "tencent.access-key", "alibaba.access-key"] {
        for seed in 0..5 {
            let made = sample(rule, 40 + seed);
            let (id, secret) = (&made.id, &made.secret);
            for (file, text) in [
                ("a.txt", format!("{id} {secret}\n")),
                ("a.txt", format!("  {id}\t{secret}\n")),
                ("a.conf", format!("{id} {secret}\n")),
                ("a.log", format!("{id} {secret}\n")),
                ("a.txt", format!("{id}\n{secret}\n")),
                ("a.txt", format!("the key\n\n{id}\n{secret}\nbye\n")),
                ("a.txt", format!("- {id}\n- {secret}\n")),
                ("a.txt", format!("\"{id}\",\n\"{secret}\"\n")),
                ("keys", format!("{id}\n{secret}\n")),
                ("a.conf", format!("{id}\n{secret}\n")),
                ("a.json", format!("[\"{id}:{secret}\"]\n")),
                ("a.yml", format!("- {id}\n- {secret}\n")),
                ("a.yml", format!("keys: {id} {secret}\n")),
            ] {
                let scan = scan_bytes(file, Format::Guess, text.as_bytes());
                let pairs = findings(&scan).into_iter().filter(|found| {
                    found.id.as_ref().is_some_and(|known| known.as_str() == id)
                        && found
                            .secret
                            .as_ref()
                            .is_some_and(|s| s.expose() == secret.as_bytes())
                });
                assert_eq!(pairs.count(), 1, "{file} {rule} {:#?}", outline(&scan));
                assert_eq!(scan.matches.len(), 1, "{file} {rule} {:#?}", outline(&scan));
            }
        }
    }
}

#[test]
fn a_word_below_an_id_is_no_secret() {
    let made = sample("aws.access-key", 4);
    for below in [
        "the-next-paragraph-begins",
        "0123456789abcdef0123456789abcdef01234567",
    ] {
        let text = format!("{}\n{below}\n", made.id);
        check("a.txt", &text, &[]);
    }
}

/// What has a beginning of its own is told by it, whole and once, whatever its name.
#[test]
fn tokens_with_a_colon_are_whole() {
    for rule in ["datastax.token", "rancher.token", "fcm.server-key"] {
        for seed in 0..4 {
            let token = &sample(rule, seed).secret;
            for (file, text) in [
                (".env", format!("X={token}\n")),
                ("a.yml", format!("cassandra:\n  password: {token}\n")),
                ("a.yml", format!("sid: \"{token}\"\n")),
                (
                    "a.py",
                    format!("auth = PlainTextAuthProvider(\"token\", \"{token}\")\n"),
                ),
                ("a.log", format!("sent {token} to it\n")),
                (
                    "a.sh",
                    format!("curl -H \"Authorization: Bearer {token}\" h\n"),
                ),
            ] {
                check(file, &text, &[token]);
                let scan = scan_bytes(file, Format::Guess, text.as_bytes());
                assert_eq!(findings(&scan)[0].rule.as_str(), rule, "{text}");
            }
        }
    }
}

/// Cookies and headers carry these with `/`, `+` and `=` escaped: the same token as without.
#[test]
fn tokens_are_told_as_they_travel() {
    let body = "k3VzQ%2F8LrT1nYw%2BbGc5XmJ0hPdSa7uEoRi2KfZtQ9vUx4Wj6NyBlMqTgHs%2FDpC1eAr8%3D%3D";
    for token in [format!("xoxd-{body}"), format!("{}{body}", "A".repeat(21))] {
        let plain = token
            .replace("%2F", "/")
            .replace("%2B", "+")
            .replace("%3D", "=");
        for (file, text) in [
            (".env", format!("COOKIE={token}\n")),
            ("a.py", format!("headers = {{'X': 'd={token}; x=1'}}\n")),
            ("a.log", format!("Cookie: d={token}; b=1\n")),
            ("a.json", format!("{{\"value\": \"{token}\"}}\n")),
        ] {
            check(file, &text, &[&plain]);
        }
    }
}

/// Sixteen hexadecimal digits repeat some by chance.
#[test]
fn short_hexadecimal_tokens_are_told() {
    let mut seed = crate::sample::Seed(8);
    for (name, digits) in [("api_token", 16), ("api_token", 20), ("secret_key", 16)] {
        let missed = (0..400).filter(|_| {
            let number = format!("{:016x}{:016x}", seed.next_number(), seed.next_number());
            let token = &number[32 - digits..];
            let (found, _) = told(".env", &format!("{name}={token}\n"));
            found != [token]
        });
        let missed = missed.count();
        assert!(missed <= 8, "{name} of {digits}: {missed} of 400");
    }
    check(".env", "api_token=00000000deadbeef\n", &[]);
    check(".env", "api_token=0101010101010101\n", &[]);
}

#[test]
fn the_nearest_word_says_whose_a_token_is() {
    for (path, shape, rule) in [
        ("datadog.algolia_api_key", "algolia.key", "algolia.key"),
        ("heroku.tomtom_api_key", "tomtom.key", "tomtom.key"),
        ("algolia.datadog_api_key", "datadog.key", "datadog.key"),
    ] {
        let value = sample(shape, 5).secret;
        let (parent, name) = path.split_once('.').unwrap();
        for (file, text) in [
            ("a.yml", format!("{parent}:\n  {name}: {value}\n")),
            (".env", format!("{parent}_{name}={value}\n")),
        ] {
            let scan = scan_bytes(file, Format::Guess, text.as_bytes());
            let found = findings(&scan);
            assert_eq!(found.len(), 1, "{text} {:#?}", outline(&scan));
            assert_eq!(found[0].rule.as_str(), rule, "{text}");
        }
    }
}

#[test]
fn the_token_in_an_address_is_no_second_credential() {
    for rule in ["dingtalk.robot", "google-chat.webhook", "wecom.robot"] {
        for seed in 0..4 {
            let address = format!("https://{}", sample(rule, seed).secret);
            for (file, text) in [
                ("a.py", format!("url = '{address}'\n")),
                ("a.yml", format!("hook:\n  url: {address}\n")),
                (".env", format!("HOOK={address}\n")),
                ("a.sh", format!("curl '{address}'\n")),
                ("a.json", format!("{{\"dingtalk_token\": \"{address}\"}}\n")),
            ] {
                let scan = scan_bytes(file, Format::Guess, text.as_bytes());
                assert_eq!(scan.matches.len(), 1, "{text}\n{:#?}", outline(&scan));
                assert_eq!(scan.matches[0].rule.as_str(), rule);
            }
        }
    }
}

/// What password managers draw: of all printable characters some look like code, an escape or a
/// reference, and few may be lost for it.
#[test]
fn passwords_that_machines_draw_are_told_whatever_marks_they_have() {
    let mut seed = Seed(29);
    for (length, most_lost) in [(12, 90), (16, 75), (24, 75)] {
        let mut told = 0;
        // A place tells no more than a bounded number.
        for _ in 0..10 {
            let mut drawn = Vec::new();
            for _ in 0..100 {
                let mark = |_| {
                    let mark = u8::try_from(seed.next_number() >> 20 & 0xff).expect("a byte");
                    char::from(b'!' + mark % 94)
                };
                let password: String = (0..length).map(mark).collect();
                drawn.push(serde_json::json!({ "password": password }));
            }
            let text = serde_json::to_vec(&drawn).unwrap();
            told += findings(&scan_bytes("app.json", Format::Json, &text)).len();
        }
        assert!(1000 - told <= most_lost, "{length}: {told}");
    }
}

#[test]
fn lines_that_are_no_pair_are_read_as_text() {
    let token = "Rk48vTq2Zx9mLp3Wd7Ys5Hn1";
    check(
        "notes.toml",
        &format!("title = \"a\"\nToken-> BuildToken: {token} <- for User = build\n"),
        &[token],
    );
    check(
        "server.ini",
        "[a]\nname = b\nif creds.Secret != 'gooseberry-jam' {\n",
        &["gooseberry-jam"],
    );
    // A key with a blank is one.
    check(
        "server.ini",
        "[a]\nadmin password = gT7wq2Lm9x\n",
        &["gT7wq2Lm9x"],
    );
}

#[test]
fn a_statement_alone_in_a_file_is_told_once() {
    check(
        "a.c",
        "char password[]=\"Zk9Xm2Qp4vT1\";\n",
        &["Zk9Xm2Qp4vT1"],
    );
    check(
        "a.c",
        "char token='Zk9Xm2Qp4vT1Rw3Bf8';\n",
        &["Zk9Xm2Qp4vT1Rw3Bf8"],
    );
}

#[test]
fn an_escaped_mark_in_a_query_is_a_part_of_the_value() {
    let escaped = "https://example.com/a?password=Zk9Xm2%26Qp4vT1Rw8&next=%2Fhome";
    check(
        "a.js",
        &format!("url = \"{escaped}\";\n"),
        &["Zk9Xm2&Qp4vT1Rw8"],
    );
    // An address inside an address may have all its marks escaped.
    let inner = "https://example.com/?at%3D17%26password%3DZk9Xm2Qp4vT1%26b%3D2";
    check("a.js", &format!("url = \"{inner}\";\n"), &["Zk9Xm2Qp4vT1"]);
}

#[test]
fn a_password_behind_a_blank_that_should_not_be_there_is_one() {
    check(
        "run.sh",
        "mysql -u root --password Vne7sd2BXjq\n",
        &["Vne7sd2BXjq"],
    );
    for words in [
        "--password shop",
        "--password /var/lib/x",
        "--password shop_2024",
        "-p shop",
    ] {
        check("run.sh", &format!("mysql -u root {words}\n"), &[]);
    }
}
