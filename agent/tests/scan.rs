//! The built binary's `scan`, from outside: exit codes, streams, the wall against sockets, and what it
//! does where it may not read. What it finds is tested inside the crate.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use akwatch_detect::RuleSet;
use akwatch_detect::sample::{Sample, Seed};

/// A user that owns nothing here.
const NOBODY: u32 = 65_534;

struct Fixture {
    dir: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Fixture {
        let dir = tempfile::tempdir().unwrap();
        // Another user has to reach it.
        let open = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(dir.path(), open).unwrap();
        std::fs::create_dir(dir.path().join("root")).unwrap();
        Fixture { dir }
    }

    fn root(&self) -> PathBuf {
        self.dir.path().join("root")
    }

    fn write(&self, path: &str, text: &str) -> PathBuf {
        let file = self.root().join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, text).unwrap();
        file
    }

    fn scan(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_akwatch-agent"));
        command.args(["scan", "--format", "jsonl", "--root"]);
        command.arg(self.root());
        command
    }
}

fn pair(seed: u64) -> String {
    let sample = Sample::of(&RuleSet::builtin(), "tencent.access-key", &mut Seed(seed)).unwrap();
    format!(
        "TENCENTCLOUD_SECRET_ID={}\nTENCENTCLOUD_SECRET_KEY={}\n",
        sample.id, sample.secret
    )
}

#[track_caller]
fn check_code(output: &Output, code: i32) {
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{told}");
}

#[test]
fn exit_codes_say_clean_findings_or_trouble() {
    let fixture = Fixture::new();
    fixture.write("a", "nothing\n");
    let clean = fixture.scan().output().unwrap();
    check_code(&clean, 0);
    assert!(clean.stdout.is_empty() && !clean.stderr.is_empty());
    fixture.write("b", &pair(1));
    let found = fixture.scan().output().unwrap();
    check_code(&found, 1);
    assert_eq!(
        found.stdout.iter().filter(|&&byte| byte == b'\n').count(),
        1
    );
    check_code(&fixture.scan().arg("/missing").output().unwrap(), 2);
    check_code(&fixture.scan().arg("--nonsense").output().unwrap(), 2);
}

#[test]
fn a_reader_that_goes_away_is_no_trouble() {
    let fixture = Fixture::new();
    for number in 0..400 {
        fixture.write(&format!("f{number}"), &pair(number));
    }
    let mut child = fixture
        .scan()
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut first = [0; 10];
    let mut out = child.stdout.take().unwrap();
    out.read_exact(&mut first).unwrap();
    drop(out);
    assert_eq!(child.wait().unwrap().code(), Some(1));
}

#[test]
fn a_scan_has_forbidden_itself_sockets() {
    let fixture = Fixture::new();
    // More output than a pipe holds: the scan waits for its reader, and can be looked at.
    for number in 0..600 {
        fixture.write(&format!("f{number}"), &pair(number));
    }
    let mut child = fixture
        .scan()
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut out = child.stdout.take().unwrap();
    let mut first = [0; 1];
    out.read_exact(&mut first).unwrap();
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    assert!(status.contains("Seccomp:\t2"), "{status}");
    let mut rest = Vec::new();
    out.read_to_end(&mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));
}

#[test]
fn what_may_not_be_read_is_counted_and_named() {
    let fixture = Fixture::new();
    let closed = fixture.write("closed", &pair(3));
    let shut = fixture.write("shut/inside", &pair(4));
    fixture.write("open", &pair(5));
    let mode = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    mode(&closed, 0o000);
    mode(shut.parent().unwrap(), 0o000);
    // Root may read everything, so the scan runs as somebody who may not, from where he may go.
    let program = fixture.dir.path().join("akwatch-agent");
    // By another process: what this one writes to, children that other tests are just starting hold open,
    // and then nobody may execute it.
    let mut copy = Command::new("cp");
    copy.args([Path::new(env!("CARGO_BIN_EXE_akwatch-agent")), &program]);
    assert!(copy.status().unwrap().success());
    let mut command = Command::new(&program);
    command.args(["scan", "--format", "jsonl", "--root"]);
    command.arg(fixture.root());
    if nix::unistd::geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    let output = command.output().unwrap();
    mode(shut.parent().unwrap(), 0o700);
    check_code(&output, 1);
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("1 finding and"), "{told}");
    assert!(
        told.contains("not read: 2 permission-denied, for example /"),
        "{told}"
    );
}

#[test]
fn a_pipe_that_nobody_writes_to_does_not_hang_it() {
    let fixture = Fixture::new();
    fixture.write("a", "x");
    nix::unistd::mkfifo(&fixture.root().join("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let output = fixture.scan().output().unwrap();
    check_code(&output, 0);
    assert!(String::from_utf8(output.stderr).unwrap().contains("1 fifo"));
}
