//! Pairs are made by scope and name, never by the nearest line.

use akwatch_proto::credential::{Confidence, Kind};
use akwatch_proto::finding::Proof;

use super::{detector, findings, outline, rules, sample, scan_bytes};
use crate::content::{Format, Part, Position};
use crate::sample::{Sample, Seed};
use crate::scan::{Detector, Limits, Scan};

fn linked(scan: &Scan, made: &Sample) -> bool {
    scan.matches.iter().any(|found| {
        found.id.as_ref().is_some_and(|id| id.as_str() == made.id)
            && found
                .secret
                .as_ref()
                .is_some_and(|secret| secret.expose() == made.secret.as_bytes())
    })
}

fn shuffled<T>(items: &mut [T], seed: &mut Seed) {
    for at in (1..items.len()).rev() {
        let other = usize::try_from(seed.next_number() % (at as u64 + 1)).unwrap_or(0);
        items.swap(at, other);
    }
}

/// A file's name and one section of it: how it opens, its two lines, how it closes.
const SECTIONS: &[(&str, &str, &str, &str, &str)] = &[
    (
        "a.ini",
        "[profile-{n}]\n",
        "access_key_id = {id}\n",
        "access_key_secret = {secret}\n",
        "",
    ),
    (
        "a.yml",
        "profile{n}:\n",
        "  access_key_id: {id}\n",
        "  access_key_secret: {secret}\n",
        "",
    ),
    (
        "list.yaml",
        "- name: p{n}\n",
        "  access_key_id: {id}\n",
        "  access_key_secret: {secret}\n",
        "",
    ),
    (
        ".env",
        "\n",
        "P{n}_ACCESS_KEY_ID={id}\n",
        "P{n}_ACCESS_KEY_SECRET={secret}\n",
        "",
    ),
    (
        "a.toml",
        "[profile.p{n}]\n",
        "access_key_id = \"{id}\"\n",
        "access_key_secret = \"{secret}\"\n",
        "",
    ),
    (
        "a.properties",
        "",
        "store.p{n}.access-key-id={id}\n",
        "store.p{n}.access-key-secret={secret}\n",
        "",
    ),
    (
        "a.json",
        "{\n  \"name\": \"p{n}\",\n",
        "  \"accessKeyId\": \"{id}\",\n",
        "  \"accessKeySecret\": \"{secret}\",\n",
        "  \"end\": {n}\n}\n",
    ),
    (
        "a.xml",
        "<profile name=\"p{n}\">\n",
        "  <accessKeyId>{id}</accessKeyId>\n",
        "  <accessKeySecret>{secret}</accessKeySecret>\n",
        "</profile>\n",
    ),
    (
        "main.tf",
        "provider \"p{n}\" {\n",
        "  access_key_id = \"{id}\"\n",
        "  access_key_secret = \"{secret}\"\n",
        "}\n",
    ),
    (
        "a.js",
        "const c{n} = {\n",
        "  accessKeyId: '{id}',\n",
        "  accessKeySecret: '{secret}',\n",
        "};\n",
    ),
    (
        "a.py",
        "P{n} = {\n",
        "    'access_key_id': '{id}',\n",
        "    'access_key_secret': '{secret}',\n",
        "}\n",
    ),
    (
        "a.php",
        "$p{n} = [\n",
        "    'access_key_id' => '{id}',\n",
        "    'access_key_secret' => '{secret}',\n",
        "];\n",
    ),
    (
        "a.go",
        "var p{n} = Config{\n",
        "\tAccessKeyID: \"{id}\",\n",
        "\tAccessKeySecret: \"{secret}\",\n",
        "}\n",
    ),
    (
        "run.sh",
        "#!/bin/sh\n",
        "export P{n}_ACCESS_KEY_ID={id}\n",
        "export P{n}_ACCESS_KEY_SECRET={secret}\n",
        "",
    ),
];

#[test]
fn ten_pairs_in_shuffled_sections_stay_linked() {
    for (file, open, id, secret, close) in SECTIONS {
        for rule in [
            "alibaba.access-key",
            "tencent.access-key",
            "aws.access-key",
            "huawei.access-key",
            "baidu.access-key",
            "generic.access-key",
        ] {
            let mut seed = Seed(11);
            let made: Vec<Sample> = (0..10).map(|n| sample(rule, 100 + n)).collect();
            let mut sections: Vec<String> = made
                .iter()
                .enumerate()
                .map(|(number, made)| {
                    let mut lines = [id, secret];
                    shuffled(&mut lines, &mut seed);
                    format!("{open}{}{}{close}", lines[0], lines[1])
                        .replace("{n}", &number.to_string())
                        .replace("{id}", &made.id)
                        .replace("{secret}", &made.secret)
                })
                .collect();
            shuffled(&mut sections, &mut seed);
            let scan = scan_bytes(file, Format::Guess, sections.concat().as_bytes());
            let right = made.iter().filter(|made| linked(&scan, made)).count();
            assert_eq!(
                (right, findings(&scan).len()),
                (10, 10),
                "{file} {rule} {:#?}",
                outline(&scan)
            );
            assert!(
                findings(&scan)
                    .iter()
                    .all(|found| found.confidence >= Confidence::Paired)
            );
        }
    }
}

#[test]
fn flat_lists_of_pairs_are_linked_by_their_stems() {
    let made: Vec<Sample> = (0..10).map(|n| sample("tencent.access-key", n)).collect();
    let mut lines: Vec<String> = made
        .iter()
        .enumerate()
        .flat_map(|(n, made)| {
            [
                format!("APP{n}X_COS_SECRET_ID={}\n", made.id),
                format!("APP{n}X_COS_SECRET_KEY={}\n", made.secret),
            ]
        })
        .collect();
    for seed in 0..10 {
        shuffled(&mut lines, &mut Seed(seed));
        for (name, format) in [(".env", Format::Dotenv), ("e", Format::Environ)] {
            let text = lines.concat();
            let text = if format == Format::Environ {
                text.replace('\n', "\0")
            } else {
                text
            };
            let scan = scan_bytes(name, format, text.as_bytes());
            let right = made.iter().filter(|made| linked(&scan, made)).count();
            assert_eq!(right, 10, "{name} {:#?}", outline(&scan));
        }
    }
}

#[test]
fn an_id_with_several_secrets_says_so() {
    let (one, two) = (
        sample("alibaba.access-key", 1),
        sample("alibaba.access-key", 2),
    );
    let text = format!(
        "a:\n  accessKeyId: {}\n  oldSecret: {}\n  newSecret: {}\n",
        one.id, one.secret, two.secret
    );
    let scan = scan_bytes("a.yml", Format::Yaml, text.as_bytes());
    let pair = scan
        .matches
        .iter()
        .find(|found| found.kind == Kind::AccessKeyPair)
        .expect("a pair");
    assert!(
        pair.proof.contains(&Proof::Ambiguous { candidates: 2 }),
        "{:#?}",
        outline(&scan)
    );
    assert_eq!(pair.confidence, Confidence::Strong);
    assert_eq!(
        findings(&scan).len(),
        2,
        "no secret is lost: {:#?}",
        outline(&scan)
    );
}

#[test]
fn pairs_are_made_across_the_parts_of_one_call_and_no_further() {
    let made = sample("tencent.access-key", 3);
    let environ = format!("COS_SECRET_ID={}\0", made.id).into_bytes();
    let cmdline = format!("x\0--secret-key\0{}\0", made.secret).into_bytes();
    let part = |bytes, format| Part {
        name: b"environ",
        format,
        start: Position::default(),
        source: bytes,
    };
    let scan = detector().scan(&[
        part(&environ, Format::Environ),
        part(&cmdline, Format::Argv),
    ]);
    assert!(linked(&scan, &made), "{:#?}", outline(&scan));
    assert_eq!(scan.matches.len(), 1);
    assert_eq!(scan.matches[0].part, 1, "the spot is the secret's");
    assert_eq!(scan.read, [environ.len() as u64, cmdline.len() as u64]);
    let alone = detector().scan(&[part(&cmdline, Format::Argv)]);
    assert!(!linked(&alone, &made));
}

#[test]
fn a_lone_id_is_a_reference_and_a_lone_secret_is_contextual() {
    let made = sample("tencent.access-key", 4);
    let scan = scan_bytes(
        "access.log",
        Format::Guess,
        format!("GET /?q-ak={}&x=1\n", made.id).as_bytes(),
    );
    assert_eq!(scan.matches.len(), 1);
    assert_eq!(scan.matches[0].kind, Kind::Reference);
    assert!(scan.matches[0].secret.is_none());
    let scan = scan_bytes(
        "a.yml",
        Format::Guess,
        format!("tencent:\n  secretKey: {}\n", made.secret).as_bytes(),
    );
    assert_eq!(scan.matches.len(), 1, "{:#?}", outline(&scan));
    assert_eq!(scan.matches[0].kind, Kind::SecretKey);
    assert_eq!(scan.matches[0].rule.as_str(), "tencent.access-key");
    assert_eq!(scan.matches[0].confidence, Confidence::Contextual);
}

#[test]
fn temporary_triples_are_one_match_with_their_token_and_end() {
    for (rule, id, secret, token, ends) in [
        (
            "alibaba.temporary-credential",
            "AccessKeyId",
            "AccessKeySecret",
            "SecurityToken",
            "Expiration",
        ),
        (
            "tencent.temporary-credential",
            "TmpSecretId",
            "TmpSecretKey",
            "Token",
            "Expiration",
        ),
        (
            "aws.temporary-credential",
            "AccessKeyId",
            "SecretAccessKey",
            "SessionToken",
            "Expiration",
        ),
        (
            "volcengine.temporary-credential",
            "AccessKeyId",
            "SecretAccessKey",
            "SessionToken",
            "ExpiredTime",
        ),
    ] {
        let made = sample(rule, 8);
        let text = format!(
            "{{\"Credentials\":{{\"{id}\":\"{}\",\"{secret}\":\"{}\",\"{token}\":\"{}\",\"{ends}\":\"2031-02-03T04:05:06Z\"}}}}",
            made.id, made.secret, made.token
        );
        let scan = scan_bytes("sts.json", Format::Json, text.as_bytes());
        assert_eq!(scan.matches.len(), 1, "{rule} {:#?}", outline(&scan));
        let found = &scan.matches[0];
        assert_eq!(
            (found.rule.as_str(), found.kind),
            (rule, Kind::TemporaryCredential)
        );
        assert_eq!(found.also.len(), 1);
        assert!(found.also[0].expose() == made.token.as_bytes());
        assert!(
            found
                .proof
                .iter()
                .any(|proof| matches!(proof, Proof::Expires { .. })),
            "{:#?}",
            outline(&scan)
        );
        assert!(linked(&scan, &made));
    }
}

#[test]
fn what_is_told_once_is_not_told_again() {
    let made = sample("aws.access-key", 6);
    let text = format!(
        "aws_access_key_id={}\naws_secret_access_key={}\n\n# {}\nAWS_SECRET={}\n",
        made.id, made.secret, made.id, made.secret
    );
    let scan = scan_bytes(".env", Format::Guess, text.as_bytes());
    assert_eq!(scan.matches.len(), 1, "{:#?}", outline(&scan));
}

#[test]
fn signed_addresses_say_when_they_end() {
    let signature = "kY3vQ1zT8wLr5bXnC0mJ7hGd2sFpA9eU4oIiVtRqWxE%3D";
    let query = format!("sv=2022-11-02&sp=rl&se=2031-02-03T04%3A05%3A06Z&sr=c&sig={signature}");
    for (name, text) in [
        (
            "a.yml",
            format!("url: https://x.blob.core.windows.net/l?{query}\n"),
        ),
        (
            "a.json",
            format!("{{\"url\":\"https://x.blob.core.windows.net/l?{query}\"}}"),
        ),
        (
            "a.log",
            format!("put https://x.blob.core.windows.net/l?{query} 201\n"),
        ),
        (".env", format!("AZURE_STORAGE_SAS_TOKEN='?{query}'\n")),
        (
            "a.sh",
            format!("#!/bin/sh\nazcopy copy a 'https://x.blob.core.windows.net/l?{query}'\n"),
        ),
    ] {
        let scan = scan_bytes(name, Format::Guess, text.as_bytes());
        assert_eq!(findings(&scan).len(), 1, "{name} {:#?}", outline(&scan));
        let found = findings(&scan)[0];
        assert_eq!(
            found.rule.as_str(),
            "azure.shared-access-signature",
            "{name}"
        );
        assert_eq!(found.confidence, Confidence::Proven);
        assert!(
            found.proof.contains(&Proof::Expires {
                at: akwatch_proto::time::Time(1_927_857_906_000)
            }),
            "{name} {:#?}",
            outline(&scan)
        );
    }
}

/// A list of keys in one of its forms.
fn list(form: &str, made: &[Sample]) -> (&'static str, String) {
    let lines = |one: fn(usize, &Sample) -> String, between: &str| {
        let lines = made.iter().enumerate().map(|(n, made)| one(n, made));
        lines.collect::<Vec<String>>().join(between)
    };
    let id: fn(usize, &Sample) -> String = |n, made| format!("APP{n}X_SECRET_ID={}", made.id);
    let key: fn(usize, &Sample) -> String = |n, made| format!("APP{n}X_SECRET_KEY={}", made.secret);
    match form {
        "lines" => (
            "keys.txt",
            lines(|_, made| format!("{}:{}", made.id, made.secret), "\n") + "\n",
        ),
        _ => (".env", lines(id, "\n") + "\n" + &lines(key, "\n") + "\n"),
    }
}

/// Above a bound, ids and secrets were once not compared at all; below it, comparing took the square of
/// their number, and linking more.
#[test]
fn long_lists_are_linked_and_cost_in_proportion() {
    let made: Vec<Sample> = (0..1000)
        .map(|n| sample("tencent.access-key", 9000 + n))
        .collect();
    for form in ["lines", "names"] {
        let scan = |count: usize| {
            let (name, text) = list(form, &made[..count]);
            let bytes = text.into_bytes();
            let limits = Limits {
                matches: usize::MAX,
                ..Limits::default()
            };
            let part = Part {
                name: name.as_bytes(),
                format: Format::Guess,
                start: Position::default(),
                source: &bytes,
            };
            let scan = Detector::new(rules(), limits).scan(&[part]);
            // One in a hundred is as regular as no key is.
            let linked = made[..count].iter().filter(|made| linked(&scan, made));
            let linked = linked.count();
            assert!(linked * 100 >= count * 99, "{form}: {linked} of {count}");
            scan.work
        };
        let (few, many) = (scan(250), scan(1000));
        assert!(many <= few * 9 / 2, "{form}: {few} then {many}");
    }
}

#[test]
fn one_named_pair_is_linked_among_hundreds_that_fit_nothing() {
    let made = sample("aws.access-key", 77);
    let mut text = format!("BACKUP_SECRET_ACCESS_KEY={}\n", made.secret);
    for n in 0..700 {
        let other = sample("tencent.access-key", 500 + n);
        let secret = sample("alibaba.access-key", 500 + n).secret;
        text += &format!("A{n}Q_SECRET_ID={}\n", other.id);
        text += &format!("B{n}R_ACCESS_KEY_SECRET={secret}\n");
    }
    text += &format!("BACKUP_ACCESS_KEY_ID={}\n", made.id);
    let bytes = text.into_bytes();
    let part = Part {
        name: b".env",
        format: Format::Guess,
        start: Position::default(),
        source: &bytes,
    };
    let limits = Limits {
        matches: 2000,
        ..Limits::default()
    };
    let scan = Detector::new(rules(), limits).scan(&[part]);
    assert!(linked(&scan, &made));
    assert!(scan.too_many, "not all were compared with all");
}

#[test]
fn references_give_way_where_there_are_too_many() {
    let one = sample("tencent.access-key", 3);
    let ids: String = (0..300)
        .map(|n| format!("{}\n\n", sample("tencent.access-key", 900 + n).id))
        .collect();
    let text = format!("{ids}secret_id={}\nsecret_key={}\n", one.id, one.secret);
    let scan = scan_bytes("a.txt", Format::Guess, text.as_bytes());
    assert!(scan.too_many && linked(&scan, &one));
}
