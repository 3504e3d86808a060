//! What an rpm package brought and nobody touched is a vendor's sample: on databases that rpm itself made.

use std::path::{Path, PathBuf};
use std::process::Command;

use akwatch_tests::plant::{self, Pair};
use akwatch_tests::program;
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

/// Directories that hold a file of the same base name each: more rows of it than a page of the index
/// has, in a header that fills many pages.
const MANY: usize = 700;

fn text(pair: &Pair) -> String {
    format!("SECRET_ID={}\nSECRET_KEY={}\n", pair.id, pair.secret)
}

/// Runs a program of the Debian package `rpm`, which `cargo xtask test` installs.
fn run(program: &str, args: &[&str]) -> Result<()> {
    let output = Command::new(program)
        .args(args)
        .output()
        .with_context(|| format!("{program}: apt-get install rpm"))?;
    let told = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program} {args:?}: {told}");
    Ok(())
}

fn put(root: &Path, path: &str, content: &str) -> Result<()> {
    let file = root.join(path.trim_start_matches('/'));
    std::fs::create_dir_all(file.parent().context("a directory")?)?;
    Ok(std::fs::write(file, content)?)
}

fn shown(path: &Path) -> Result<&str> {
    path.to_str().context("a path in UTF-8")
}

/// Makes a package of `files` with digests of this algorithm and notes it in the record of `root`.
fn install(root: &Path, name: &str, algorithm: u32, files: &[(String, String)]) -> Result<()> {
    let work = tempfile::tempdir()?;
    let (tree, top) = (work.path().join("tree"), work.path().join("top"));
    for (path, content) in files {
        put(&tree, path, content)?;
        put(root, path, content)?;
    }
    let list: String = files.iter().map(|(path, _)| format!("{path}\n")).collect();
    let spec = format!(
        "Name: {name}\nVersion: 1\nRelease: 1\nSummary: a test's\nLicense: none\nBuildArch: noarch\n\
         %description\nA test's.\n%install\nmkdir -p %{{buildroot}}\ncp -a {}/. %{{buildroot}}\n\
         %files\n{list}",
        shown(&tree)?
    );
    let file = work.path().join("package.spec");
    std::fs::write(&file, spec)?;
    run(
        "rpmbuild",
        &[
            "-bb",
            "--quiet",
            "--define",
            &format!("_topdir {}", shown(&top)?),
            "--define",
            &format!("_binary_filedigest_algorithm {algorithm}"),
            shown(&file)?,
        ],
    )?;
    let package: PathBuf = top.join(format!("RPMS/noarch/{name}-1-1.noarch.rpm"));
    let database = root.join("var/lib/rpm");
    run(
        "rpm",
        &[
            "--dbpath",
            shown(&database)?,
            "--nodeps",
            "--justdb",
            "-i",
            shown(&package)?,
        ],
    )
}

/// The confidence that a scan of `root` gives to what it finds, by path.
fn confidences(root: &Path) -> Result<Vec<(String, String)>> {
    let output = Command::new(program::path("akwatch-agent")?)
        .args(["scan", "--format", "jsonl", "--min-confidence", "unknown"])
        .args(["--root", shown(root)?])
        .output()?;
    let told = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.code().is_some_and(|code| code < 2), "{told}");
    let mut found = Vec::new();
    for line in String::from_utf8(output.stdout)?.lines() {
        let line: Value = serde_json::from_str(line)?;
        let word = |value: &Value| value.as_str().map(str::to_owned).context("a word");
        found.push((word(&line["location"]["path"])?, word(&line["confidence"])?));
    }
    found.sort();
    Ok(found)
}

#[test]
fn what_rpm_brought_is_a_sample_until_somebody_changes_it() -> Result<()> {
    let root = tempfile::tempdir()?;
    let root = root.path();
    let (first, second, third) = (plant::tencent(), plant::tencent(), plant::tencent());
    let many: Vec<_> = (0..MANY)
        .map(|number| {
            let pair = if number == 555 {
                text(&third)
            } else {
                number.to_string()
            };
            (format!("/usr/share/many/d{number}/key.env"), pair)
        })
        .collect();
    // OpenPGP's numbers: 8 is SHA-256, 1 is MD5.
    install(root, "many", 8, &many)?;
    let files = [
        ("/usr/share/tool/key.env".to_owned(), text(&first)),
        ("/etc/tool/own.env".to_owned(), text(&second)),
    ];
    install(root, "tool", 1, &files)?;
    ensure!(
        root.join("var/lib/rpm/rpmdb.sqlite").exists(),
        "another form than SQLite"
    );
    put(root, "/usr/share/tool/strange.env", &text(&first))?;
    let sample = |path: &str| (path.to_owned(), "unknown".to_owned());
    let counts = |path: &str| (path.to_owned(), "paired".to_owned());
    let expected = [
        sample("/etc/tool/own.env"),
        sample("/usr/share/many/d555/key.env"),
        sample("/usr/share/tool/key.env"),
        counts("/usr/share/tool/strange.env"),
    ];
    assert_eq!(confidences(root)?, expected);

    for path in ["/etc/tool/own.env", "/usr/share/many/d555/key.env"] {
        put(root, path, &format!("{}# mine\n", text(&second)))?;
    }
    let expected = [
        counts("/etc/tool/own.env"),
        counts("/usr/share/many/d555/key.env"),
        sample("/usr/share/tool/key.env"),
        counts("/usr/share/tool/strange.env"),
    ];
    assert_eq!(confidences(root)?, expected);
    Ok(())
}
