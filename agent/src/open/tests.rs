//! What is opened, what is refused and why, and that nothing blocks.

use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::process::{Command, Stdio};

use super::*;
use crate::job::Urgency;

fn opener(root: Root) -> Opener {
    Opener::new(Arc::new(root), GlobSet::new([], &[]).unwrap())
}

fn target(path: &str) -> Target {
    Target {
        what: TargetPlace::File(PathBuf::from(path)),
        urgency: Urgency::Live,
    }
}

fn in_fixture(make: impl Fn(&Path)) -> (tempfile::TempDir, Opener) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("etc")).unwrap();
    std::fs::create_dir_all(dir.path().join("home/app")).unwrap();
    std::fs::write(
        dir.path().join("etc/passwd"),
        "app:x:1:1::/home/app:/bin/sh\n",
    )
    .unwrap();
    make(dir.path());
    let root = Root::at(dir.path()).unwrap();
    (dir, opener(root))
}

#[track_caller]
fn check_refused(make: impl Fn(&Path), slug: &str) -> Refusal {
    let (_dir, opener) = in_fixture(|dir| make(&dir.join("etc/x")));
    let refusal = opener
        .open(&target("/etc/x"), JobId(1))
        .expect_err("it was opened");
    assert_eq!(refusal.slug(), slug);
    refusal
}

#[test]
fn a_state_as_young_as_the_clocks_grain_may_hide_the_next_change() {
    let at = |ctime_ns| FileState {
        dev: 1,
        ino: 2,
        size: 3,
        ctime_ns,
        mtime_ns: 0,
    };
    let fresh = |ctime_ms: i64, now| is_fresh(&at(ctime_ms * 1_000_000), Time(now));
    assert!(fresh(1000, 1000) && fresh(1000, 1010));
    assert!(!fresh(1000, 1011) && !fresh(1000, 900_000));
    assert!(fresh(1000, 999), "our clock is rounded down");
    assert!(!fresh(1000, 900), "a clock that was set back");
}

#[test]
fn only_plain_files_are_opened() {
    check_refused(
        |path| nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRWXU).unwrap(),
        "fifo",
    );
    check_refused(|path| drop(UnixListener::bind(path).unwrap()), "socket");
    check_refused(|path| std::fs::create_dir(path).unwrap(), "directory");
    check_refused(
        |path| symlink("/etc/passwd", path).unwrap(),
        "symbolic-link",
    );
    check_refused(|path| symlink("x", path).unwrap(), "symbolic-link");
    let device = opener(Root::live().unwrap()).open(&target("/dev/zero"), JobId(1));
    assert_eq!(device.unwrap_err().slug(), "device");
    let kernel = opener(Root::live().unwrap()).open(&target("/proc/version"), JobId(1));
    assert_eq!(kernel.unwrap_err(), Refusal::KernelInterface);
}

#[test]
fn only_a_readable_directory_vouches_for_absence() {
    let refusal = check_refused(|_| {}, "absent");
    assert_eq!(refusal.extent(), Extent::Absent);
    let (_dir, opener) = in_fixture(|_| {});
    let refusal = opener.open(&target("/no/such/path"), JobId(1)).unwrap_err();
    assert_eq!(refusal.extent(), Extent::Absent);
    // A file where a directory should be: the name cannot be below it.
    let refusal = opener.open(&target("/etc/passwd/x"), JobId(1)).unwrap_err();
    assert_eq!(refusal.extent(), Extent::Absent);
}

#[test]
fn a_file_is_a_job_with_its_state_and_names() {
    let (dir, opener) = in_fixture(|dir| std::fs::write(dir.join("etc/x"), "content").unwrap());
    let (job, pending) = opener.open(&target("/etc/x"), JobId(7)).unwrap();
    assert_eq!(job.header.id, JobId(7));
    assert_eq!(job.header.parts[0].expected, 7);
    assert_eq!(job.header.names[job.header.parts[0].name], b"/etc/x");
    let Content::File(file) = &job.contents[0] else {
        panic!("not a file");
    };
    assert_eq!(state_now(file), Ok(pending.before.unwrap()));
    std::fs::write(dir.path().join("etc/x"), "other content").unwrap();
    assert_ne!(state_now(file), Ok(pending.before.unwrap()));
}

#[test]
fn histories_belong_to_their_users() {
    let (_dir, opener) = in_fixture(|dir| {
        std::fs::write(dir.join("home/app/.bash_history"), "ls\n").unwrap();
        std::fs::write(dir.join("home/app/.zsh_history"), ": 1:0;ls\n").unwrap();
    });
    for (path, form) in [
        ("/home/app/.bash_history", PartForm::BashHistory),
        ("/home/app/.zsh_history", PartForm::ZshHistory),
    ] {
        let (job, pending) = opener.open(&target(path), JobId(1)).unwrap();
        assert_eq!(job.header.parts[0].form, form);
        let PendingPlace::History { user, .. } = pending.place else {
            panic!("not a history");
        };
        assert_eq!(job.header.names[user.0], b"app");
    }
}

#[test]
fn names_that_are_no_text_are_opened() {
    let name = std::ffi::OsString::from_vec(b"/etc/\xff\x1b[2J\n".to_vec());
    let (_dir, opener) = in_fixture(|dir| {
        let below = Path::new(&name).strip_prefix("/").unwrap().to_owned();
        std::fs::write(dir.join(below), "x").unwrap();
    });
    let target = Target {
        what: TargetPlace::File(PathBuf::from(&name)),
        urgency: Urgency::Live,
    };
    let (job, _) = opener.open(&target, JobId(1)).unwrap();
    assert_eq!(job.header.names[0], b"/etc/\xff\x1b[2J\n");
}

#[test]
fn the_deny_list_outranks_everything() {
    let (dir, _) = in_fixture(|dir| std::fs::write(dir.join("etc/x"), "x").unwrap());
    let deny = crate::config::Glob::try_from("/etc/x".to_owned()).unwrap();
    let root = Arc::new(Root::at(dir.path()).unwrap());
    let opener = Opener::new(root, GlobSet::new([&deny], &[]).unwrap());
    let refusal = opener.open(&target("/etc/x"), JobId(1)).unwrap_err();
    assert_eq!(refusal, Refusal::Denied);
    assert_eq!(refusal.extent(), Extent::Unread(UnknownWhy::PathExcluded));
}

#[test]
fn secret_stores_are_known_by_their_paths() {
    for (path, delivered) in [
        ("/run/credentials/app.service/key", true),
        ("/run/secrets/db", true),
        (
            "/var/lib/kubelet/pods/1/volumes/kubernetes.io~secret/a/b",
            true,
        ),
        (
            "/var/lib/kubelet/pods/1/volumes/kubernetes.io~configmap/a/b",
            false,
        ),
        ("/etc/app.env", false),
    ] {
        assert_eq!(is_delivered(Path::new(path)), delivered, "{path}");
    }
}

fn captured(job: &Job, part: usize) -> &[u8] {
    match &job.contents[part] {
        Content::Captured(captured) => &captured.0,
        Content::File(_) => panic!("not a capture"),
    }
}

#[test]
fn a_process_is_captured_whole() {
    let long = "v".repeat(100_000);
    let mut child = Command::new("sleep")
        .arg("60")
        .env_clear()
        .envs([("LONG", long.as_str()), ("SHORT", "x")])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let opener = opener(Root::live().unwrap());
    let pid = i32::try_from(child.id()).unwrap();
    let process = ProcessDirectory::open(opener.root(), pid).unwrap();
    // The child has executed its program once its own environment is there.
    let instance = loop {
        let numbers = process.numbers().unwrap();
        if numbers.environ.is_some_and(|bytes| bytes > 100_000) {
            break numbers.instance;
        }
        std::thread::yield_now();
    };
    let target = Target {
        what: TargetPlace::Process(instance),
        urgency: Urgency::Live,
    };
    let (job, pending) = opener.open(&target, JobId(1)).unwrap();
    let environ = captured(&job, 0);
    assert_eq!(environ.len() as u64, pending.expected[0]);
    assert!(environ.ends_with(b"\0") && environ.starts_with(b"LONG=v"));
    assert_eq!(captured(&job, 1), b"sleep\x0060\0");
    assert_eq!(pending.expected[1], 9);
    let other = Target {
        what: TargetPlace::Process(ProcessInstance {
            started: instance.started + 1,
            ..instance
        }),
        urgency: Urgency::Live,
    };
    assert_eq!(opener.open(&other, JobId(2)).unwrap_err(), Refusal::Ended);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(opener.open(&target, JobId(3)).unwrap_err(), Refusal::Ended);
}

/// A sweep must not hold for unreadable what ended between the opening and the reading of its
/// environment, or nothing is ever gone on a host whose processes come and go.
#[test]
fn a_process_that_ends_between_opening_and_reading_has_ended() {
    let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
    let pid = i32::try_from(child.id()).unwrap();
    let process = ProcessDirectory::open(&Root::live().unwrap(), pid).unwrap();
    // It has executed its program once its environment is there.
    let before = loop {
        let numbers = process.numbers().unwrap();
        if numbers.environ.is_some_and(|bytes| bytes > 0) {
            break numbers;
        }
        std::thread::yield_now();
    };
    let file = process.memory_file("environ").unwrap();
    let alive = read_whole(&process.memory_file("environ").unwrap(), before.environ).unwrap();
    assert!(!has_ended(&before, &process.numbers().unwrap(), &alive));
    child.kill().unwrap();
    let after = loop {
        let numbers = process.numbers().unwrap(); // nobody has waited for it
        if numbers.without_memory {
            break numbers;
        }
        std::thread::yield_now();
    };
    let environ = read_whole(&file, before.environ).unwrap();
    assert!((environ.bytes.len() as u64) < environ.expected);
    assert!(has_ended(&before, &after, &environ));
    assert!(
        !has_ended(&before, &after, &alive),
        "what was captured before counts"
    );
    child.wait().unwrap();
}

#[test]
fn another_hosts_processes_are_read_from_its_files() {
    let (_dir, opener) = in_fixture(|dir| {
        std::fs::create_dir_all(dir.join("proc/4242")).unwrap();
        std::fs::write(dir.join("proc/4242/environ"), "A=b\0").unwrap();
    });
    let (job, pending) = opener.open_described(4242, JobId(1)).unwrap();
    assert_eq!(captured(&job, 0), b"A=b\0");
    assert_eq!(pending.expected[0], 4);
    assert_eq!(captured(&job, 1), b"");
    assert_eq!(
        pending.expected[1], 1,
        "a capture that is not there never counts as read"
    );
    assert_eq!(
        job.header.names[job.header.parts[0].name],
        b"/proc/4242/environ"
    );
}

#[test]
fn a_capture_is_bounded() {
    let (dir, _) = in_fixture(|_| {});
    let path = dir.path().join("big");
    let file = std::fs::File::create(&path).unwrap();
    file.set_len(CAPTURE as u64 + 10).unwrap();
    let open = OwnedFd::from(std::fs::File::open(&path).unwrap());
    let (bytes, whole) = read_capture(&open, 0).unwrap();
    assert_eq!((bytes.len(), whole), (CAPTURE, false));
}
