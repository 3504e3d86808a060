//! What a scan says of generated credentials in every sort of place.

use std::io::Write as _;

use akwatch_proto::place::Location;
use serde_json::Value;

use super::{args, write};
use crate::cli::{MinConfidence, OutputFormat, ScanArgs};
use crate::open::companions::tests::keystore;
use crate::scan::scan;

/// Draws characters by a fixed seed, so that no literal of this file looks like a key.
struct Generator(u64);

impl Generator {
    fn draw(&mut self, alphabet: &str, count: usize) -> String {
        let letters: Vec<char> = alphabet.chars().collect();
        (0..count)
            .map(|_| {
                self.0 = self
                    .0
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040);
                letters[usize::try_from(self.0 >> 33).unwrap() % letters.len()]
            })
            .collect()
    }
}

const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const LOWER: &str = "abcdefghijklmnopqrstuvwxyz";
const DIGITS: &str = "0123456789";

struct Pair {
    provider: &'static str,
    id: String,
    secret: String,
}

/// A pair that looks as the provider's do.
fn pair(provider: &'static str, seed: u64) -> Pair {
    let mut generator = Generator(seed.wrapping_mul(977) + 13);
    let alnum = [UPPER, LOWER, DIGITS].concat();
    let (id, secret) = match provider {
        "alibaba" => (
            ["LTAI", "5t"].concat() + &generator.draw(&alnum, 18),
            generator.draw(&alnum, 30),
        ),
        "tencent" => (
            "AKID".to_owned() + &generator.draw(&alnum, 32),
            generator.draw(&alnum, 32),
        ),
        "aws" => (
            "AKIA".to_owned() + &generator.draw(&[UPPER, "234567"].concat(), 16),
            generator.draw(&[alnum.as_str(), "/+"].concat(), 40),
        ),
        other => panic!("no generator for {other}"),
    };
    Pair {
        provider,
        id,
        secret,
    }
}

struct Scanned {
    code: u8,
    text: String,
    lines: Vec<Value>,
}

fn run(args: &ScanArgs) -> Scanned {
    let mut out = Vec::new();
    let done = scan(args, Box::new(&mut out), false, None).unwrap();
    let text = String::from_utf8(out).unwrap();
    let lines = match args.format {
        OutputFormat::Jsonl => text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect(),
        OutputFormat::Json => serde_json::from_str(&text).unwrap(),
        OutputFormat::Text | OutputFormat::Sarif => Vec::new(),
    };
    Scanned {
        code: done.code,
        text: text + &done.summary,
        lines,
    }
}

/// Asserts that exactly one line says `pair` is at `path` and `line`, as paired.
#[track_caller]
fn check_paired<'a>(scanned: &'a Scanned, pair: &Pair, path: &str, line: u64) -> &'a Value {
    let fits = |value: &&Value| {
        value["location"]["path"] == path && value["credential_id"] == pair.id.as_str()
    };
    let found: Vec<&Value> = scanned.lines.iter().filter(fits).collect();
    assert_eq!(found.len(), 1, "{path}: {}", scanned.text);
    let value = found[0];
    assert_eq!(value["provider"], pair.provider);
    assert_eq!(value["rule"], format!("{}.access-key", pair.provider));
    assert_eq!(value["kind"], "access-key-pair");
    assert!(
        ["paired", "proven"].contains(&value["confidence"].as_str().unwrap()),
        "{value}"
    );
    assert_eq!(value["epoch"], "local");
    assert!(
        value["fingerprint"]
            .as_str()
            .unwrap()
            .starts_with("hmac:local:"),
        "{value}"
    );
    assert_eq!(value["location"]["line"], line, "{value}");
    assert!(value.get("secret").is_none(), "{value}");
    assert!(!scanned.text.contains(&pair.secret[..8]));
    serde_json::from_value::<Location>(value["location"].clone()).unwrap();
    value
}

#[test]
fn pairs_in_files_are_named_with_their_place() {
    let dir = tempfile::tempdir().unwrap();
    let ali = pair("alibaba", 1);
    let tencent = pair("tencent", 2);
    let aws = pair("aws", 3);
    write(
        dir.path(),
        "srv/app/.env",
        format!(
            "# settings\nDEBUG=1\nALIBABA_CLOUD_ACCESS_KEY_ID={}\nALIBABA_CLOUD_ACCESS_KEY_SECRET={}\n",
            ali.id, ali.secret
        ),
    );
    write(
        dir.path(),
        "srv/app/application.yml",
        format!(
            "cos:\n  secretId: {}\n  secretKey: {}\n",
            tencent.id, tencent.secret
        ),
    );
    write(
        dir.path(),
        "home/app/.aws/credentials",
        format!(
            "[default]\naws_access_key_id = {}\naws_secret_access_key = {}\n",
            aws.id, aws.secret
        ),
    );
    let scanned = run(&args(dir.path()));
    assert_eq!(scanned.code, 1, "{}", scanned.text);
    check_paired(&scanned, &ali, "/srv/app/.env", 4);
    let yaml = check_paired(&scanned, &tencent, "/srv/app/application.yml", 3);
    assert_eq!(yaml["location"]["type"], "file");
    assert_eq!(yaml["location"]["field"], "cos.secretKey");
    assert_eq!(yaml["reach"]["mode"], "0644");
    check_paired(&scanned, &aws, "/home/app/.aws/credentials", 3);
    assert_eq!(scanned.lines.len(), 3, "{}", scanned.text);
}

#[test]
fn processes_and_histories_are_places_of_their_own() {
    let dir = tempfile::tempdir().unwrap();
    let tencent = pair("tencent", 4);
    let aws = pair("aws", 5);
    write(
        dir.path(),
        "etc/passwd",
        "app:x:1000:1000::/home/app:/bin/bash\n",
    );
    write(
        dir.path(),
        "proc/4242/environ",
        format!(
            "PATH=/bin\0COS_SECRET_ID={}\0COS_SECRET_KEY={}\0",
            tencent.id, tencent.secret
        ),
    );
    write(
        dir.path(),
        "home/app/.bash_history",
        format!(
            "ls\ncd /srv\nAWS_ACCESS_KEY_ID={} AWS_SECRET_ACCESS_KEY={} aws s3 ls\n",
            aws.id, aws.secret
        ),
    );
    let scanned = run(&args(dir.path()));
    let process = check_paired(&scanned, &tencent, "/proc/4242/environ", 1);
    assert_eq!(process["location"]["type"], "process");
    assert_eq!(process["location"]["pid"], 4242);
    assert_eq!(process["location"]["end_line"], 1);
    assert_eq!(process["location"]["field"], "COS_SECRET_KEY");
    let history = check_paired(&scanned, &aws, "/home/app/.bash_history", 3);
    assert_eq!(history["location"]["type"], "history");
    assert_eq!(history["location"]["user"], "app");
    assert_eq!(scanned.code, 1);
}

#[test]
fn bare_captures_of_two_processes_are_two_places() {
    let dir = tempfile::tempdir().unwrap();
    let aws = pair("aws", 15);
    let environ = format!(
        "AWS_ACCESS_KEY_ID={}\0AWS_SECRET_ACCESS_KEY={}\0",
        aws.id, aws.secret
    );
    for pid in [11, 12] {
        write(dir.path(), &format!("proc/{pid}/environ"), &environ);
    }
    // Two workers of one service are one place.
    for pid in [21, 22] {
        write(dir.path(), &format!("proc/{pid}/environ"), &environ);
        write(dir.path(), &format!("proc/{pid}/cmdline"), "worker\0");
        write(
            dir.path(),
            &format!("proc/{pid}/cgroup"),
            "0::/system.slice/payments.service\n",
        );
    }
    let scanned = run(&args(dir.path()));
    assert_eq!(scanned.lines.len(), 3, "{}", scanned.text);
    check_paired(&scanned, &aws, "/proc/11/environ", 1);
    check_paired(&scanned, &aws, "/proc/12/environ", 1);
    let worker = check_paired(&scanned, &aws, "/proc/21/environ", 1);
    assert_eq!(worker["location"]["workload"], "payments.service");
}

#[test]
fn placeholders_are_clean_and_lone_ids_are_references() {
    let dir = tempfile::tempdir().unwrap();
    let tencent = pair("tencent", 6);
    write(
        dir.path(),
        "a.env",
        "AWS_SECRET_ACCESS_KEY=${AWS_SECRET}\nAWS_ACCESS_KEY_ID=<your-key>\n",
    );
    assert_eq!(run(&args(dir.path())).code, 0);
    write(dir.path(), "b.yml", format!("secretId: {}\n", tencent.id));
    let scanned = run(&args(dir.path()));
    assert_eq!(scanned.code, 0, "{}", scanned.text);
    assert_eq!(scanned.lines.len(), 1, "{}", scanned.text);
    assert_eq!(scanned.lines[0]["kind"], "reference");
    assert_eq!(scanned.lines[0]["credential_id"], tencent.id.as_str());
    assert!(scanned.lines[0].get("fingerprint").is_none());
}

#[test]
fn a_secret_is_written_only_when_it_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let aws = pair("aws", 7);
    let content = format!(
        "aws_access_key_id={}\naws_secret_access_key={}\n",
        aws.id, aws.secret
    );
    write(dir.path(), "credentials", content);
    let mut args = args(dir.path());
    for format in [
        OutputFormat::Text,
        OutputFormat::Json,
        OutputFormat::Jsonl,
        OutputFormat::Sarif,
    ] {
        args.format = format;
        args.reveal = false;
        let hidden = run(&args).text;
        assert!(hidden.contains(&aws.id), "{hidden}");
        for window in aws.secret.as_bytes().windows(8) {
            assert!(
                !hidden.contains(std::str::from_utf8(window).unwrap()),
                "{hidden}"
            );
        }
        args.reveal = true;
        let shown = run(&args).text;
        assert!(shown.contains(&aws.secret), "{shown}");
    }
}

#[test]
fn a_secret_in_a_name_is_cleaned_everywhere() {
    let dir = tempfile::tempdir().unwrap();
    let ali = pair("alibaba", 8);
    write(
        dir.path(),
        &format!("srv/{}/app-{}.env", ali.secret, ali.secret.to_uppercase()),
        format!(
            "ALIBABA_CLOUD_ACCESS_KEY_ID={}\nALIBABA_CLOUD_ACCESS_KEY_SECRET={}\n",
            ali.id, ali.secret
        ),
    );
    let scanned = run(&args(dir.path()));
    assert_eq!(scanned.lines.len(), 1, "{}", scanned.text);
    let path = scanned.lines[0]["location"]["path"].as_str().unwrap();
    assert!(
        path.starts_with("/srv/‹") && path.ends_with(".env"),
        "{path}"
    );
    let lower = scanned.text.to_lowercase();
    for window in ali.secret.to_lowercase().as_bytes().windows(8) {
        assert!(
            !lower.contains(std::str::from_utf8(window).unwrap()),
            "{}",
            scanned.text
        );
    }
}

#[test]
fn one_secret_in_one_place_is_said_once() {
    let dir = tempfile::tempdir().unwrap();
    let tencent = pair("tencent", 9);
    let section = format!(
        "secret_id = {}\nsecret_key = {}\n",
        tencent.id, tencent.secret
    );
    write(
        dir.path(),
        "a.ini",
        format!("[one]\n{section}[two]\n{section}"),
    );
    write(dir.path(), "b.ini", format!("[one]\n{section}"));
    let scanned = run(&args(dir.path()));
    let mut paths: Vec<_> = scanned
        .lines
        .iter()
        .map(|line| line["location"]["path"].as_str().unwrap())
        .collect();
    paths.sort_unstable();
    assert_eq!(paths, ["/a.ini", "/b.ini"], "{}", scanned.text);
    assert_eq!(
        scanned.lines[0]["fingerprint"],
        scanned.lines[1]["fingerprint"]
    );
}

#[test]
fn the_lowest_confidence_is_a_choice() {
    let dir = tempfile::tempdir().unwrap();
    let tencent = pair("tencent", 10);
    write(
        dir.path(),
        "a.ini",
        format!(
            "secret_id = {}\nsecret_key = {}\n",
            tencent.id, tencent.secret
        ),
    );
    let mut args = args(dir.path());
    for (lowest, code) in [
        (MinConfidence::Unknown, 1),
        (MinConfidence::Strong, 1),
        (MinConfidence::Paired, 1),
        (MinConfidence::Proven, 0),
    ] {
        args.min_confidence = lowest;
        assert_eq!(run(&args).code, code, "{lowest:?}");
    }
}

/// What a package brought and nobody touched is the vendor's; the same text beside it is not.
#[test]
fn a_packages_own_key_is_a_sample_until_somebody_changes_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let tencent = pair("tencent", 21);
    let text = format!(
        "secret_id = {}\nsecret_key = {}\n",
        tencent.id, tencent.secret
    );
    let sum = crate::host::packages::sum({
        let mut rest = text.as_bytes();
        move |into| std::io::Read::read(&mut rest, into)
    });
    let sum = data_encoding::HEXLOWER.encode(&sum.unwrap().md5);
    write(dir.path(), "usr/share/tool/test.ini", &text);
    write(
        dir.path(),
        "var/lib/dpkg/info/tool.md5sums",
        format!("{sum}  usr/share/tool/test.ini\n"),
    );
    let mut args = args(dir.path());
    assert_eq!(run(&args).code, 0);
    args.min_confidence = MinConfidence::Unknown;
    let scanned = run(&args);
    assert_eq!(
        scanned.lines[0]["confidence"], "unknown",
        "{}",
        scanned.text
    );
    args.min_confidence = MinConfidence::Contextual;
    write(
        dir.path(),
        "usr/share/tool/test.ini",
        format!("{text}# mine\n"),
    );
    let scanned = run(&args);
    check_paired(&scanned, &tencent, "/usr/share/tool/test.ini", 2);
}

/// A tar of one file, as POSIX.1-1988 (ustar) lays it out.
fn tar(name: &str, content: &[u8]) -> Vec<u8> {
    let mut header = [0_u8; 512];
    header[..name.len()].copy_from_slice(name.as_bytes());
    header[100..108].copy_from_slice(b"0000644\0");
    header[124..136].copy_from_slice(format!("{:011o}\0", content.len()).as_bytes());
    header[148..156].fill(b' ');
    header[156] = b'0';
    header[257..265].copy_from_slice(b"ustar\x0000");
    let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut tar = [&header[..], content].concat();
    tar.resize(tar.len().next_multiple_of(512) + 1024, 0);
    tar
}

#[test]
fn members_of_archives_are_named_from_outer_to_inner() {
    let dir = tempfile::tempdir().unwrap();
    let tencent = pair("tencent", 11);
    let yaml = format!(
        "cos:\n  secretId: {}\n  secretKey: {}\n",
        tencent.id, tencent.secret
    );
    let mut packed = Vec::new();
    {
        let mut gzip = flate2::write::GzEncoder::new(&mut packed, flate2::Compression::fast());
        gzip.write_all(&tar("etc/app.yml", yaml.as_bytes()))
            .unwrap();
        gzip.finish().unwrap();
    }
    write(dir.path(), "backup/backup.tar.gz", &packed);
    let scanned = run(&args(dir.path()));
    let found = check_paired(&scanned, &tencent, "/backup/backup.tar.gz", 3);
    assert_eq!(
        found["location"]["inside"]
            .as_array()
            .unwrap()
            .last()
            .unwrap(),
        "etc/app.yml"
    );
}

#[test]
fn sarif_names_rule_place_and_fingerprint() {
    let dir = tempfile::tempdir().unwrap();
    let aws = pair("aws", 12);
    write(
        dir.path(),
        "a b/credentials",
        format!(
            "[x]\naws_access_key_id = {}\naws_secret_access_key = {}\n",
            aws.id, aws.secret
        ),
    );
    let mut args = args(dir.path());
    args.format = OutputFormat::Sarif;
    let mut out = Vec::new();
    scan(&args, Box::new(&mut out), false, None).unwrap();
    let log: Value = serde_json::from_slice(&out).unwrap();
    let result = &log["runs"][0]["results"][0];
    assert_eq!(result["ruleId"], "aws.access-key");
    let place = &result["locations"][0]["physicalLocation"];
    assert_eq!(
        place["artifactLocation"]["uri"],
        "file:///a%20b/credentials"
    );
    assert_eq!(place["region"]["startLine"], 3);
    assert!(result["partialFingerprints"]["akwatchFingerprint/v1"].is_string());
    assert_eq!(
        log["runs"][0]["tool"]["driver"]["rules"][0]["id"],
        "aws.access-key"
    );
}

#[test]
fn a_keystore_is_open_where_a_file_beside_it_opens_it() {
    let dir = tempfile::tempdir().unwrap();
    let stores = [
        "opt/a/server.jks",
        "opt/b/certs/server.jks",
        "opt/c/x/y/server.jks",
    ];
    for store in stores {
        write(dir.path(), store, keystore("tiger"));
    }
    // The first lies beside its password, the second below a file that names it.
    write(dir.path(), "opt/a/server.pass", "tiger\n");
    let setting = "ssl.keystore.location=certs/server.jks\nssl.keystore.password=tiger\n";
    write(dir.path(), "opt/b/server.properties", setting);
    // Nobody looks further away, and another password opens nothing.
    write(dir.path(), "opt/c/server.properties", setting);
    let other = setting.replace("tiger", "lion");
    write(dir.path(), "opt/c/x/y/server.properties", other);
    let scanned = run(&args(dir.path()));
    let open = |store: &str| {
        let at = format!("/{store}");
        let mut lines = scanned.lines.iter();
        let line = lines.find(|line| line["location"]["path"] == at.as_str());
        let proof =
            line.unwrap_or_else(|| panic!("{store}: {}", scanned.text))["proof"].to_string();
        assert_ne!(
            proof.contains("checksum"),
            proof.contains("encrypted"),
            "{proof}"
        );
        proof.contains("checksum")
    };
    assert_eq!(stores.map(open), [true, true, false]);
    assert_eq!(scanned.lines.len(), 3, "{}", scanned.text);
}
