//! `akwatch-agent scan` as a script uses it: exit codes, and each field of a line of JSON.

use std::io::Write as _;
use std::path::Path;
use std::process::Output;

use akwatch_tests::plant::{self, Pair};
use akwatch_tests::program;
use anyhow::{Context as _, Result, ensure};
use data_encoding::BASE64;
use serde_json::{Value, json};

/// Writes a file below `root`, directories included.
fn put(root: &Path, path: &str, bytes: impl AsRef<[u8]>) -> Result<()> {
    let file = root.join(path);
    std::fs::create_dir_all(file.parent().context("a directory")?)?;
    Ok(std::fs::write(file, bytes)?)
}

fn scan(root: &Path, more: &[&str]) -> Result<Output> {
    let mut command = std::process::Command::new(program::path("akwatch-agent")?);
    command.args(["scan", "--format", "jsonl", "--root"]);
    Ok(command.arg(root).args(more).output()?)
}

/// What a scan must end with, and the lines that it wrote.
fn check(root: &Path, more: &[&str], code: i32) -> Result<Vec<Value>> {
    let output = scan(root, more)?;
    let told = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.code() == Some(code), "{more:?}: {told}");
    let lines = String::from_utf8(output.stdout)?;
    lines
        .lines()
        .map(|line| serde_json::from_str(line).context("a line that is not JSON"))
        .collect()
}

/// The one line at `path`, without what differs from run to run.
fn line(lines: &[Value], path: &str) -> Result<Value> {
    let mut at = lines.iter().filter(|line| line["location"]["path"] == path);
    let mut line = at.next().with_context(|| format!("{lines:#?}"))?.clone();
    ensure!(at.next().is_none(), "{path} twice");
    let fields = line.as_object_mut().context("an object")?;
    for (name, prefix) in [("fingerprint", "hmac:local:"), ("preview", "")] {
        let value = fields.remove(name).with_context(|| name.to_owned())?;
        ensure!(value.as_str().is_some_and(|text| text.starts_with(prefix)));
    }
    let reach = fields.remove("reach").context("a reach")?;
    ensure!(reach["mode"].as_str().is_some_and(|mode| mode.len() == 4));
    ensure!(reach["owner"].is_string());
    Ok(line)
}

fn paired(pair: &Pair, location: &Value) -> Value {
    json!({
        "rule": "tencent.access-key",
        "provider": "tencent",
        "kind": "access-key-pair",
        "credential_id": pair.id,
        "confidence": "paired",
        "epoch": "local",
        "location": location,
    })
}

fn archive(member: &str, text: &str) -> Result<Vec<u8>> {
    let packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut tar = tar::Builder::new(packed);
    let mut header = tar::Header::new_gnu();
    header.set_size(text.len() as u64);
    header.set_mode(0o644);
    tar.append_data(&mut header, member, text.as_bytes())?;
    let mut packed = tar.into_inner()?;
    packed.flush()?;
    Ok(packed.finish()?)
}

#[test]
fn each_line_names_rule_place_and_spot_and_no_more() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let root = directory.path();
    let [packed, process, typed] = [plant::tencent(), plant::tencent(), plant::tencent()];
    let encoded = |text: &str| BASE64.encode(text.as_bytes());
    let yaml = format!(
        "{}cos:\n  secretId: {}\n  secretKey: {}\n",
        "a: 1\n".repeat(15),
        encoded(&packed.id),
        encoded(&packed.secret)
    );
    put(root, "backup/backup.tar.gz", archive("etc/app.yml", &yaml)?)?;
    put(root, "etc/passwd", "app:x:1000:1000::/home/app:/bin/bash\n")?;
    put(
        root,
        "proc/4242/environ",
        format!(
            "COS_SECRET_ID={}\0COS_SECRET_KEY={}\0",
            process.id, process.secret
        ),
    )?;
    let history = format!(
        "{}TENCENTCLOUD_SECRET_ID={} TENCENTCLOUD_SECRET_KEY={} tccli x\n",
        "ls\n".repeat(811),
        typed.id,
        typed.secret
    );
    put(root, "home/app/.bash_history", history)?;

    let lines = check(root, &[], 1)?;
    assert_eq!(lines.len(), 3, "{lines:#?}");
    let file = json!({
        "type": "file", "path": "/backup/backup.tar.gz", "line": 18, "end_line": 18,
        "inside": ["etc/app.yml"], "field": "cos.secretKey",
        "encoding": ["base64"],
    });
    assert_eq!(
        line(&lines, "/backup/backup.tar.gz")?,
        paired(&packed, &file)
    );
    let mut environ = line(&lines, "/proc/4242/environ")?;
    let location = environ["location"].as_object_mut().context("a location")?;
    // Whose and what program's it is depends on who wrote the fixture.
    location.remove("user");
    location.remove("workload");
    let expected = json!({
        "type": "process", "path": "/proc/4242/environ", "pid": 4242, "line": 1, "end_line": 1,
        "field": "COS_SECRET_KEY",
    });
    assert_eq!(environ, paired(&process, &expected));
    let expected = json!({
        "type": "history", "path": "/home/app/.bash_history", "line": 812, "end_line": 812,
        "field": "TENCENTCLOUD_SECRET_KEY", "user": "app",
    });
    let command = line(&lines, "/home/app/.bash_history")?;
    assert_eq!(command, paired(&typed, &expected));

    for line in check(root, &["--reveal"], 1)? {
        let secret = line["secret"].as_str().context("a secret")?;
        ensure!(
            [&packed, &process, &typed]
                .iter()
                .any(|pair| pair.secret == secret)
        );
    }
    Ok(())
}

#[test]
fn a_scan_ends_with_0_clean_1_findings_2_trouble() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let root = directory.path();
    let pair = plant::tencent();
    put(root, "plain", "nothing of interest\n")?;
    assert_eq!(check(root, &[], 0)?.len(), 0);
    // A lone id is printed and is no finding.
    put(root, "lone", format!("used_by: {}\n", pair.id))?;
    let lines = check(root, &[], 0)?;
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0]["kind"], "reference");
    assert_eq!(lines[0]["credential_id"], pair.id.as_str());
    put(
        root,
        "app.env",
        format!("SECRET_ID={}\nSECRET_KEY={}\n", pair.id, pair.secret),
    )?;
    check(root, &[], 1)?;
    check(root, &["/app.env"], 1)?;
    check(root, &["/lone"], 0)?;
    check(root, &["--min-confidence", "proven"], 0)?;
    check(root, &["/missing"], 2)?;
    check(root, &["--min-confidence", "perhaps"], 2)?;
    Ok(())
}
