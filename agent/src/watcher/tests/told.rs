//! What heartbeats and status tell of the coverage, and when.

use super::*;

/// The heartbeat of the start knows nothing of what the first scan will have read; the next regular one is
/// a minute away.
#[test]
fn the_end_of_the_first_scan_is_told_early() {
    let agent = Agent::new();
    let until = Instant::now() + DEADLINE;
    loop {
        let told = agent.beats.lock().unwrap();
        let over = |coverage: &Coverage| coverage.sources[0].waiting == 0;
        if told.last().is_some_and(over) {
            assert!(told.len() < 5, "{} heartbeats", told.len());
            return;
        }
        assert!(Instant::now() < until, "never told: {told:#?}");
        drop(told);
        wait_a_little();
    }
}

/// Each reason for not reading is shown with a name, and none under another source than its own.
#[test]
fn what_is_not_read_is_named() {
    let agent = Agent::with(|watched| {
        fs::write(watched.join("bad"), "POISON").unwrap();
        fs::create_dir(watched.join("node_modules")).unwrap();
    });
    let status = agent.expect_status(|status| {
        let files = &status.coverage.sources[0].not_read;
        let named = files.iter().filter(|one| one.example.is_some());
        named.count() == 2
    });
    let names: Vec<_> = status.coverage.sources[0]
        .not_read
        .iter()
        .map(|one| (one.why.as_str(), one.example.as_ref().unwrap().to_string()))
        .collect();
    let path = |name: &str| agent.watched(name).to_str().unwrap().to_owned();
    let expected = [
        ("not-watched-live", path("node_modules")),
        ("set-aside", path("bad")),
    ];
    assert_eq!(names, expected);
    assert_eq!(status.coverage.sources[1].not_read, []);
}

/// A reload ends the loop, and the thread that answers people with it, whoever is asking just then.
#[test]
fn who_asks_slowly_does_not_hold_up_the_end() {
    let mut agent = Agent::new();
    agent.expect_status(|_| true);
    let socket = agent.directory.path().join("state").join(control::SOCKET);
    let mut connection = std::os::unix::net::UnixStream::connect(socket).unwrap();
    let slow = std::thread::spawn(move || {
        while std::io::Write::write_all(&mut connection, b" ").is_ok() {
            wait_a_little();
        }
    });
    agent.end();
    slow.join().unwrap();
}
