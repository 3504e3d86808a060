//! The control socket with real connections: who may have what done, and what somebody who asks slowly
//! costs the others.

use nix::sys::socket::{Backlog, bind, listen};

use super::*;

/// Answers in a thread, until stopped; says how it went when it ends.
fn serving(
    runtime: &Path,
    stop: &Stop,
) -> (std::thread::JoinHandle<()>, crossbeam_channel::Receiver<()>) {
    let listener = Listener::bind(runtime).unwrap();
    let (stop, (ends, ended)) = (stop.clone(), bounded(0));
    let thread = std::thread::spawn(move || {
        let _ends: Sender<()> = ends;
        listener.serve(&stop, |request| {
            let Request::Resume(reply) = request else {
                panic!("asked for something else")
            };
            let resumed = Resumed {
                was_paused: true,
                still_until: None,
            };
            reply.send(resumed).is_ok()
        });
    });
    (thread, ended)
}

#[test]
fn a_member_of_the_group_sees_and_changes_nothing() {
    let stop = Stop::new().unwrap();
    for asker in [Asker::Owner, Asker::Member] {
        let (mut asks, answers) = UnixStream::pair().unwrap();
        asks.write_all(b"\"retire\"\n").unwrap();
        let mut asked = 0;
        let turn = Turn::new(&answers, &stop);
        assert!(answer(&turn, asker, &mut |request| {
            asked += 1;
            if let Request::Retire(reply) = request {
                reply.send(Err("no collector".to_owned())).unwrap();
            }
            true
        }));
        drop(answers);
        let mut told = String::new();
        asks.read_to_string(&mut told).unwrap();
        let owner = asker == Asker::Owner;
        assert_eq!(asked, usize::from(owner), "{told}");
        assert_eq!(told.contains("only root"), !owner, "{told}");
    }
}

/// One byte now and then keeps a limit of each read from ever being over.
#[test]
fn who_asks_slowly_holds_up_nobody_for_long_and_no_stop() {
    let (runtime, stop) = (tempfile::tempdir().unwrap(), Stop::new().unwrap());
    let (served, ended) = serving(runtime.path(), &stop);
    let slow = |at: &Path| {
        let mut connection = UnixStream::connect(at.join(SOCKET)).unwrap();
        std::thread::spawn(move || {
            while connection.write_all(b" ").is_ok() {
                std::thread::park_timeout(Duration::from_millis(100));
            }
        })
    };
    let first = slow(runtime.path());
    assert!(resume(runtime.path()).unwrap().was_paused);
    first.join().unwrap(); // it was hung up on

    let second = slow(runtime.path());
    stop.ask();
    let end = ended.recv_timeout(Duration::from_secs(180)); // it writes for ever
    assert_eq!(end, Err(crossbeam_channel::RecvTimeoutError::Disconnected));
    served.join().unwrap();
    second.join().unwrap();
}

#[test]
fn who_finds_no_place_is_told_so_in_time() {
    let runtime = tempfile::tempdir().unwrap();
    let path = runtime.path().join(SOCKET);
    let (family, kind) = (AddressFamily::Unix, SockType::Stream);
    let busy = nix::sys::socket::socket(family, kind, SockFlag::SOCK_CLOEXEC, None).unwrap();
    bind(busy.as_raw_fd(), &UnixAddr::new(&path).unwrap()).unwrap();
    listen(&busy, Backlog::new(0).unwrap()).unwrap();
    let _waits = UnixStream::connect(&path).unwrap(); // more than none find no place
    let why = resume(runtime.path()).unwrap_err();
    assert!(matches!(why, ControlError::Busy { .. }), "{why}");
    // Nor is it taken from who has it.
    let why = Listener::bind(runtime.path()).unwrap_err();
    assert!(matches!(why, ControlError::Bind { .. }), "{why}");
    assert!(path.exists());
}

/// What was killed listens for a moment still, and who comes after it is heard all the same.
#[test]
fn a_listener_waits_for_the_end_of_the_one_before_it() {
    let runtime = tempfile::tempdir().unwrap();
    let path = runtime.path().join(SOCKET);
    let script = "import socket, sys, time\ns = socket.socket(socket.AF_UNIX)\n\
        s.bind(sys.argv[1])\ns.listen(8)\nprint(flush=True)\ns.accept()\ns.accept()\n";
    let mut before = std::process::Command::new("python3")
        .args(["-c", script])
        .arg(&path)
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = [0];
    std::io::Read::read_exact(before.stdout.as_mut().unwrap(), &mut line).unwrap();
    // It ends at the second connection, which is the one that asks whether somebody is there.
    let _first = UnixStream::connect(&path).unwrap();
    Listener::bind(runtime.path()).unwrap();
    before.wait().unwrap();
}
