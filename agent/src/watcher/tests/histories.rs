//! Histories: read by what is appended, and whole where that is in doubt.

use super::*;

/// A history beyond the size from which only what was appended is read.
fn long_history() -> String {
    "ls\n".repeat(20_000)
}

/// Appends, and gives the open file.
fn append(path: &Path, text: &str) -> fs::File {
    let mut file = fs::OpenOptions::new().append(true).open(path).unwrap();
    std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
    file
}

#[test]
fn of_a_long_history_only_what_was_typed_is_read_and_nothing_in_it_is_gone_for_that() {
    // It is there before anybody watches: no event of its writing is still under way when the line
    // is appended.
    let agent = Agent::with(|watched| {
        let text = format!("A={}\n{}", token(1), long_history());
        fs::write(watched.join(".bash_history"), text).unwrap();
    });
    let history = agent.watched(".bash_history");
    agent.expect_present(1);
    agent.expect_status(|status| {
        let scan = &status.scan;
        scan.first_done && scan.running.is_none() && (scan.waiting, scan.in_flight) == (0, 0)
    });
    let before = bytes_read(&agent);
    // As a shell that keeps its history open: closing it would be a second event.
    let open = append(&history, &format!("B={}\n", token(2)));
    assert_eq!(agent.expect_present(2).spot.line, 20_002);
    let tail = bytes_read(&agent) - before;
    assert!(tail < 1000, "{tail} bytes were read for a line");
    drop(open);
    assert_eq!(agent.told(1)[0].presence.state(), PresenceState::Present);
    // Without the first line and still longer than it was: read whole, for its beginning moved.
    agent.write(
        ".bash_history",
        &format!("{}C={}\n", long_history().repeat(2), token(3)),
    );
    agent.expect_present(3);
    agent.expect_gone(1, GoneProof::Reread);
    agent.expect_gone(2, GoneProof::Reread);
}

#[test]
fn a_history_with_something_unknown_in_it_is_read_whole() {
    let mut agent = Agent::new();
    let history = agent.watched(".bash_history");
    agent.write(
        ".bash_history",
        &format!("A={}\n{}", token(1), long_history()),
    );
    agent.expect_present(1);
    agent.end();
    let state = agent.directory.path().join("state");
    let mut ledger = Ledger::open(&state, &LedgerOptions::new("this-boot")).unwrap();
    let why = UnknownWhy::Unreadable;
    ledger.unknown_where(why, Time(1), |_| true).unwrap();
    drop(ledger);
    drop(append(&history, "ls\n"));
    agent.start();
    let until = Instant::now() + DEADLINE;
    while bytes_read(&agent) == 0 {
        assert!(Instant::now() < until, "never read");
        wait_a_little();
    }
    agent.expect_present(1);
}

fn bytes_read(agent: &Agent) -> u64 {
    let status = control::status(&agent.directory.path().join("state")).unwrap();
    status.cost.bytes_read
}
