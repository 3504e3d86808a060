//! Scans of fixture roots, made at run time with generated keys.

use std::os::unix::fs::symlink;

use super::*;

mod found;

fn args(root: &Path) -> ScanArgs {
    ScanArgs {
        root: Some(root.to_owned()),
        format: crate::cli::OutputFormat::Jsonl,
        min_confidence: crate::cli::MinConfidence::Contextual,
        reveal: false,
        paths: Vec::new(),
    }
}

fn write(root: &Path, path: &str, text: impl AsRef<[u8]>) {
    let file = root.join(path.trim_start_matches('/'));
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, text).unwrap();
}

fn summary(args: &ScanArgs) -> (u8, String) {
    let mut out = Vec::new();
    let done = scan(args, Box::new(&mut out), false, None).unwrap();
    (done.code, done.summary)
}

#[test]
fn every_regular_file_is_read_and_the_rest_is_named() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "a.txt", "x");
    write(dir.path(), ".hidden/.gitignore", "*");
    write(dir.path(), ".hidden/ignored", "x");
    write(dir.path(), "empty", "");
    symlink(".", dir.path().join("loop")).unwrap();
    symlink("/etc/passwd", dir.path().join("out")).unwrap();
    nix::unistd::mkfifo(&dir.path().join("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let (code, text) = summary(&args(dir.path()));
    assert_eq!(code, 0);
    assert!(text.contains("in 4 files"), "{text}");
    assert!(
        text.contains("not read: 1 fifo, for example /fifo"),
        "{text}"
    );
}

#[test]
fn a_named_path_that_cannot_be_read_is_trouble() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "srv/a", "x");
    let mut args = args(dir.path());
    args.paths = vec!["/srv".into(), "/no\x1b[2Jwhere".into()];
    let (code, text) = summary(&args);
    assert_eq!(code, TROUBLE);
    assert!(text.contains("cannot read /no\\u{1b}[2Jwhere"), "{text}");
    assert!(text.contains("in 1 file "), "{text}");
    args.root = Some(dir.path().join("missing"));
    assert!(scan(&args, Box::new(std::io::sink()), false, None).is_err());
}

#[test]
fn a_person_may_name_a_link_or_a_file() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "srv/a", "x");
    symlink("/srv", dir.path().join("link")).unwrap();
    symlink("/srv/a", dir.path().join("to-file")).unwrap();
    let mut args = args(dir.path());
    args.paths = vec!["/link".into(), "/to-file".into(), "srv/a".into()];
    let (code, text) = summary(&args);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("in 3 files"), "{text}");
}

#[test]
fn a_sparse_file_of_terabytes_is_read_in_a_moment() {
    let dir = tempfile::tempdir().unwrap();
    let file = std::fs::File::create(dir.path().join("sparse")).unwrap();
    file.set_len(1 << 40).unwrap();
    let (code, text) = summary(&args(dir.path()));
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("in 1 file "), "{text}");
}

#[test]
fn only_captures_of_proc_are_processes() {
    for (path, pid) in [
        ("/proc/42/environ", Some(42)),
        ("/proc/42/cmdline", Some(42)),
        ("/proc/42", Some(42)),
        ("/proc/42/status", None),
        ("/proc/42/environ/x", None),
        ("/proc/self/environ", None),
        ("/proc/0/environ", None),
        ("/srv/proc/42/environ", None),
    ] {
        assert_eq!(pid_of(Path::new(path)), pid, "{path}");
    }
}

#[test]
fn fixture_processes_are_counted_once() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "proc/4242/environ", "A=b\0");
    write(dir.path(), "proc/4242/cmdline", "app\0");
    write(dir.path(), "proc/4242/status", "Uid:\t0\t0\t0\t0\n");
    let (_, text) = summary(&args(dir.path()));
    assert!(
        text.contains("in 1 file ") && text.contains("and 1 process,"),
        "{text}"
    );
}

#[test]
fn a_deep_tree_is_walked_without_descriptors_for_each_level() {
    let dir = tempfile::tempdir().unwrap();
    let deep = "d/".repeat(1200);
    write(dir.path(), &format!("{deep}file"), "x");
    let (_, text) = summary(&args(dir.path()));
    assert!(text.contains("in 1 file "), "{text}");
}

#[test]
fn empty_output_is_valid_in_every_format() {
    let dir = tempfile::tempdir().unwrap();
    let mut args = args(dir.path());
    for (format, expected) in [
        (crate::cli::OutputFormat::Text, ""),
        (crate::cli::OutputFormat::Json, "[]\n"),
        (crate::cli::OutputFormat::Jsonl, ""),
    ] {
        args.format = format;
        let mut out = Vec::new();
        scan(&args, Box::new(&mut out), false, None).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
    args.format = crate::cli::OutputFormat::Sarif;
    let mut out = Vec::new();
    scan(&args, Box::new(&mut out), false, None).unwrap();
    let log: serde_json::Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(log["version"], "2.1.0");
    assert_eq!(log["runs"][0]["results"], serde_json::json!([]));
}
