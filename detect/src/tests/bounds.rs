//! Nothing is lost at a window's end, hostile input costs linear work, no input panics.

use std::sync::Arc;

use akwatch_proto::credential::Kind;
use proptest::prelude::*;
use proptest::sample::Index;

use super::{detector, findings, outline, rules, sample, scan_bytes};
use crate::content::{Format, Part, Position};
use crate::places::FORMATS;
use crate::rule::{RulePack, RuleSet};
use crate::scan::Detector;
use crate::syntax::text::Blocks;
use crate::syntax::{self, Fields, Scopes};

#[test]
fn a_pair_is_found_at_every_offset_of_a_window() {
    let made = sample("tencent.temporary-credential", 1);
    let pair = format!("secret_id={}\nsecret_key={}\n", made.id, made.secret);
    let mut small = detector().with_window(1024);
    for pad in 0..1300 {
        let mut text = "# filler\n".repeat(pad / 9);
        text.push_str(&"#".repeat(pad % 9));
        text.push('\n');
        text.push_str(&pair);
        text.push_str(&"x: y\n".repeat(300));
        let bytes = text.into_bytes();
        let part = Part {
            name: b".env",
            format: Format::Guess,
            start: Position::default(),
            source: &bytes,
        };
        let scan = small.scan(&[part]);
        let found = findings(&scan);
        assert_eq!(found.len(), 1, "pad {pad}: {:#?}", outline(&scan));
        assert!(
            found[0]
                .secret
                .as_ref()
                .is_some_and(|s| s.expose() == made.secret.as_bytes()),
            "pad {pad}"
        );
        assert!(found[0].id.is_some(), "pad {pad}: {:#?}", outline(&scan));
        assert_eq!(found[0].spot.line as usize, pad / 9 + 3, "pad {pad}");
        assert_eq!(scan.read, [bytes.len() as u64]);
    }
}

#[test]
fn a_token_is_found_at_every_offset_of_one_long_line() {
    let made = sample("github.token", 2);
    let mut small = detector().with_window(1024);
    for pad in 0..1300 {
        let bytes =
            format!("{} {} {}", "x ".repeat(pad), made.secret, "y ".repeat(900)).into_bytes();
        let part = Part {
            name: b"a.log",
            format: Format::Guess,
            start: Position::default(),
            source: &bytes,
        };
        let scan = small.scan(&[part]);
        assert_eq!(findings(&scan).len(), 1, "pad {pad}: {:#?}", outline(&scan));
    }
}

/// Each of these once took time with the square or the cube of its length, hours at this one, or a
/// level of the stack for every four bytes: they have to end, on the stack of a thread.
#[test]
fn texts_made_to_be_slow_come_to_their_end() {
    let headers = format!("{{\"client_secret\":\"{}\"}}", "abc: ".repeat(3200));
    let fed = format!("{}{}", "docker ".repeat(2000), "<<<x ".repeat(100_000));
    let quotes = format!("-- password\n{}", "\"".repeat(500 << 10));
    for (format, text) in [
        (Format::Json, headers),
        (Format::CodeHistory, "=".repeat(500 << 10)),
        (Format::CodeHistory, ":=".repeat(250 << 10)),
        (Format::Sql, quotes),
        (Format::BashHistory, fed),
    ] {
        let scan = scan_bytes("hostile", format, text.as_bytes());
        assert_eq!(scan.read, [text.len() as u64]);
    }
}

#[test]
fn hostile_input_costs_work_in_proportion() {
    let made = sample("aws.access-key", 12);
    let pair = format!("{}:{}\n", made.id, made.secret);
    let named = format!("key_id={}\nsecret_key={}\n", made.id, made.secret);
    let pieces: [&str; 16] = [
        &pair,
        &named,
        "a",
        "AKID",
        "-AKIA",
        "=",
        "{",
        "[",
        "\"",
        "secretKey=",
        "-----BEGIN PRIVATE KEY-----",
        "<",
        "key: [",
        "QUJD",
        "://a:b@",
        "\\\"",
    ];
    for piece in pieces {
        for (_, format) in FORMATS {
            let work = |size: usize| {
                let text = piece.repeat(size / piece.len());
                scan_bytes("hostile", format, text.as_bytes()).work
            };
            let (small, large) = (work(32 << 10), work(256 << 10));
            assert!(
                large <= small * 12 + (1 << 16),
                "{piece:?} as {format:?}: {small} then {large}"
            );
        }
    }
}

#[test]
fn a_malicious_pack_reads_nothing_out() {
    let pack = |pattern: &str| RulePack {
        name: "evil".to_owned(),
        toml: format!(
            "[[rule]]\nid = \"evil.x\"\nprovider = \"x\"\nkind = \"token\"\nabout = \"\"\nsource = \"\"\nremedy = \"\"\nsecret-part = {{ patterns = [\"{pattern}\"] }}\n"
        ),
    };
    for pattern in [
        ".",
        "{print:1}",
        "{print:16}",
        "a{print:15}",
        "{alnum:20}",
        "root",
        "{print:4}",
        "{b64any:16-4096}",
    ] {
        let (set, faults) = RuleSet::compile(&[pack(pattern)]);
        assert_eq!(faults.len(), 1, "{pattern}");
        assert_eq!(faults[0].rule.as_deref(), Some("evil.x"));
        assert!(set.ids().all(|id| id.as_str() != "evil.x"));
        assert_eq!(set.ids().count(), rules().ids().count(), "the others stay");
        assert_ne!(set.version(), rules().version());
    }
    // A rule that is allowed still fits whole tokens only, and a few in each KiB.
    let (set, faults) = RuleSet::compile(&[pack("root{print:12}")]);
    assert!(faults.is_empty(), "{faults:?}");
    let text = "root:x:0:0:root:/root:/bin/bash\n".repeat(500).into_bytes();
    let part = Part {
        name: b"passwd",
        format: Format::Text,
        start: Position::default(),
        source: &text,
    };
    let scan = Detector::new(Arc::new(set), crate::scan::Limits::default()).scan(&[part]);
    assert!(scan.matches.len() <= 1, "{:#?}", outline(&scan));
}

#[test]
fn tokens_of_one_rule_are_few_in_each_kib() {
    let mut seed = crate::sample::Seed(4);
    let text: String = (0..100)
        .map(|_| format!("zq{:016x} ", seed.next_number()))
        .collect();
    let pack = RulePack {
        name: "dense".to_owned(),
        toml: "[[rule]]\nid = \"dense.x\"\nprovider = \"x\"\nkind = \"token\"\nabout = \"\"\nsource = \"\"\nremedy = \"\"\nsecret-part = { patterns = [\"zq{hex:16}\"] }\n".to_owned(),
    };
    let (set, faults) = RuleSet::compile(&[pack]);
    assert!(faults.is_empty(), "{faults:?}");
    let bytes = text.into_bytes();
    let part = Part {
        name: b"x",
        format: Format::Text,
        start: Position::default(),
        source: &bytes,
    };
    let scan = Detector::new(Arc::new(set), crate::scan::Limits::default()).scan(&[part]);
    assert!(
        scan.too_many && scan.matches.len() <= 32,
        "{} matches",
        scan.matches.len()
    );
    assert!(scan.matches.len() >= 16, "{} matches", scan.matches.len());
}

#[test]
fn words_that_say_nothing_are_refused() {
    for (words, fine) in [
        ("\"acme\"", true),
        ("\"\"", false),
        ("\"acme\", \"_-\"", false),
        ("\"\", \"acme\"", false),
    ] {
        let pack = RulePack {
            name: "words".to_owned(),
            toml: format!(
                "[[rule]]\nid = \"words.x\"\nprovider = \"x\"\nkind = \"token\"\nabout = \"\"\nsource = \"\"\nremedy = \"\"\nby-word = true\nwords = [{words}]\nsecret-part = {{ patterns = [\"{{hex:32}}\"] }}\n"
            ),
        };
        let (set, faults) = RuleSet::compile(&[pack]);
        assert_eq!(faults.is_empty(), fine, "{words}: {faults:?}");
        assert_eq!(set.ids().any(|id| id.as_str() == "words.x"), fine);
    }
}

#[test]
fn packs_that_are_no_toml_are_named() {
    let pack = RulePack {
        name: "x.toml".to_owned(),
        toml: "[[rule".to_owned(),
    };
    let (set, faults) = RuleSet::compile(&[pack]);
    assert_eq!((faults.len(), faults[0].pack.as_str()), (1, "x.toml"));
    assert_eq!(set.ids().count(), rules().ids().count());
}

#[test]
fn names_are_cleaned_of_ids_and_secrets() {
    for rule in [
        "tencent.access-key",
        "alibaba.access-key",
        "aws.access-key",
        "github.token",
    ] {
        let made = sample(rule, 3);
        for name in [
            format!("/tmp/{}_{}.txt", made.id, made.secret),
            format!("/srv/{}/{}/x", made.id, made.secret),
            format!("KEY_{}-{}", made.secret, made.id),
            format!("{}={}", made.id, made.secret),
        ] {
            let ranges = detector().secrets_in_name(name.as_bytes());
            let mut left = name.clone().into_bytes();
            for (range, _) in &ranges {
                left[range.clone()].fill(b'#');
            }
            let left = String::from_utf8(left).unwrap();
            for window in made.secret.as_bytes().windows(8) {
                let window = std::str::from_utf8(window).unwrap();
                assert!(
                    !left.contains(window),
                    "{rule}: {} of {} ranges",
                    left.len(),
                    ranges.len()
                );
            }
            assert!(made.id.is_empty() || !left.contains(&made.id), "{rule}");
            assert!(
                ranges
                    .windows(2)
                    .all(|pair| pair[0].0.end <= pair[1].0.start)
            );
        }
    }
    for name in [
        "/usr/lib/x86_64-linux-gnu/libc.so.6",
        "/var/lib/docker/overlay2/9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08/diff",
        "nginx.service",
    ] {
        assert!(
            detector().secrets_in_name(name.as_bytes()).is_empty(),
            "{name}"
        );
    }
}

/// Reads `text[range]` as a line and as every format; answers how many fields lie outside the text.
fn read_within(text: &[u8], range: &std::ops::Range<usize>) -> usize {
    let mut scopes = Scopes::new();
    let mut fields = Fields {
        fields: Vec::new(),
        scopes: &mut scopes,
    };
    let mut blocks = Blocks::new(Scopes::ROOT, &mut fields);
    syntax::text::line(text, range.clone(), &mut blocks, &mut fields);
    for (_, format) in FORMATS {
        syntax::parse(text, range.clone(), format, Scopes::ROOT, &mut fields);
    }
    let outside = |field: &&syntax::Field| text.get(field.raw.clone()).is_none();
    fields.fields.iter().filter(outside).count()
}

/// A long line is read in stretches, which may end anywhere in it.
#[test]
fn a_text_is_read_within_any_range() {
    for text in [
        "id, key = \"AB\", \"cd\", \"ef\"",
        "let [id, key] = ['AB', 'cd'];",
        "f(a = (\"x\" +\n \"y\"), b = \"\"\"z\"\"\")",
        "[\"a\": {\"b\": [\"c\", 'd']}, e = ${f:-g}] # h",
        "define('A', getenv(\"B\", \"C\")); d := `e` || \"f\"",
        "mysql -u a -p'b' <<<\"c $(d \\\"e\\\")\" | f",
    ] {
        for start in 0..text.len() {
            for end in start..=text.len() {
                assert_eq!(read_within(text.as_bytes(), &(start..end)), 0, "{text}");
            }
        }
    }
}

/// Every value has a copy of its path: below many long keys it is told by the last of them.
#[test]
fn values_below_many_keys_keep_the_last_of_their_names() {
    const LEVELS: usize = 40;
    let nested = |open: &dyn Fn(String) -> String, inner: &str| {
        let keys = (0..LEVELS).map(|level| open(format!("key_number_{level:030}")));
        keys.collect::<String>() + inner
    };
    let yaml: String = (0..LEVELS)
        .map(|level| format!("{}key_number_{level:030}:\n", " ".repeat(level)))
        .collect();
    let dent = " ".repeat(LEVELS);
    for (format, text) in [
        (
            Format::Json,
            nested(&|key| format!("{{\"{key}\": "), "{\"db_password\": \"x\""),
        ),
        (
            Format::Toml,
            nested(&|key| format!("{key} = {{"), "db_password = \"x\""),
        ),
        (
            Format::Xml,
            nested(&|key| format!("<{key}>"), "<db_password>x</db_password>"),
        ),
        (
            Format::Hcl,
            nested(&|key| format!("{key} {{\n"), "db_password = \"x\"\n"),
        ),
        (Format::Yaml, format!("{yaml}{dent}db_password: x\n")),
        (Format::Yaml, format!("{yaml}{dent}a: {{db_password: x}}\n")),
    ] {
        let mut scopes = Scopes::new();
        let mut fields = Fields {
            fields: Vec::new(),
            scopes: &mut scopes,
        };
        syntax::parse(
            text.as_bytes(),
            0..text.len(),
            format,
            Scopes::ROOT,
            &mut fields,
        );
        let paths: Vec<_> = fields.fields.iter().map(|field| &field.path).collect();
        let last = format!("{:030}", LEVELS - 1);
        let told = |path: &&&Vec<u8>| {
            path.ends_with(b"db_password") && String::from_utf8_lossy(path).contains(&last)
        };
        assert_eq!(
            paths.iter().filter(told).count(),
            1,
            "{format:?}: {paths:?}"
        );
        assert!(
            paths.iter().all(|path| path.len() <= syntax::LONGEST_PATH),
            "{format:?}: {paths:?}"
        );
    }
}

fn soup() -> impl Strategy<Value = Vec<u8>> {
    let made = sample("aws.access-key", 9);
    let words: Vec<Vec<u8>> = [
        made.id.as_str(),
        &made.secret,
        "aws_secret_access_key",
        "secretKey",
        "password",
        "=",
        ":",
        "\n",
        " ",
        "\"",
        "'",
        "{",
        "}",
        "[",
        "]",
        "- ",
        "  ",
        "\\",
        "\\n",
        "\\u00",
        "%2F",
        "#",
        "<a>",
        "</a>",
        "<!--",
        "|",
        "export ",
        "-----BEGIN RSA PRIVATE KEY-----",
        "-----END RSA PRIVATE KEY-----",
        "://u:p4ssw0rd@h",
        "\0",
        "\u{5bc6}\u{94a5}",
        "U0VDUkVUX0tFWT1hYmNkZWZnaGlqa2xtbm9wcXJzdHV2d3h5",
        "\x1f",
        "---\n",
        ": |\n",
        "mysql -p",
        ",",
        "(",
        "$(",
    ]
    .iter()
    .map(|word| word.as_bytes().to_vec())
    .collect();
    prop_oneof![
        proptest::collection::vec(proptest::sample::select(words), 0..60)
            .prop_map(|words| words.concat()),
        proptest::collection::vec(any::<u8>(), 0..400),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_range_of_any_bytes_is_survived(bytes in soup(), start in any::<Index>(), length in any::<Index>()) {
        let start = start.index(bytes.len() + 1);
        let end = start + length.index(bytes.len() - start + 1);
        prop_assert_eq!(read_within(&bytes, &(start..end)), 0);
    }

    #[test]
    fn any_bytes_in_any_format_are_survived(bytes in soup(), format in 0..FORMATS.len(), window in 64_usize..2048) {
        let text = bytes.clone();
        let part = || Part { name: b"x", format: FORMATS[format].1, start: Position::default(), source: &text };
        let mut detector = detector().with_window(window);
        let scan = detector.scan(&[part()]);
        let lines = u32::try_from(bytes.iter().filter(|&&b| b == b'\n').count()).unwrap() + 1;
        let shown = format!("{scan:?}");
        for found in &scan.matches {
            prop_assert!(found.spot.line >= 1 && found.spot.line <= found.spot.end_line.max(1));
            prop_assert!(found.spot.end_line <= lines);
            if let Some(secret) = &found.secret {
                prop_assert!(secret.len() >= 8);
                let secret = String::from_utf8_lossy(secret.expose()).into_owned();
                prop_assert!(found.kind == Kind::Password || !shown.contains(&secret));
            }
        }
        let again = detector.scan(&[part()]);
        prop_assert_eq!(outline(&scan), outline(&again));
        prop_assert_eq!(scan.read, vec![bytes.len() as u64]);
        let ranges = detector.secrets_in_name(&bytes);
        prop_assert!(ranges.iter().all(|(range, _)| range.start < range.end && range.end <= bytes.len()));
    }
}
