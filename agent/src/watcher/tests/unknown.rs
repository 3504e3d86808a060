//! What nobody can say is unknown, with its reason, and never gone.

use super::*;

fn why_unknown(finding: &Finding) -> UnknownWhy {
    let Presence::Unknown { why, .. } = finding.presence else {
        panic!("known")
    };
    why
}

#[test]
fn what_processes_held_is_unknown_once_nobody_reads_processes() {
    let mut agent = Agent::watching(true, |_| ());
    let process = Process::with_token(3);
    agent.expect_present(3);
    agent.end();
    agent.processes = false;
    agent.start();
    let finding = agent.expect(3, PresenceState::Unknown);
    assert_eq!(why_unknown(&finding), UnknownWhy::PathExcluded);
    agent.end();
    agent.processes = true;
    agent.start();
    agent.expect_present(3);
    process.end();
    agent.expect_gone(3, GoneProof::Ended);
}

/// Mounts a directory under a second name; ends with the test.
struct Bound(PathBuf);

impl Bound {
    /// None where this user may not mount.
    fn mount(source: &Path, at: &Path) -> Option<Bound> {
        let mount = Command::new("mount")
            .arg("--bind")
            .args([source, at])
            .output();
        mount
            .is_ok_and(|done| done.status.success())
            .then(|| Bound(at.to_owned()))
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        let done = Command::new("umount").arg(&self.0).status();
        assert!(done.is_ok_and(|status| status.success()), "still mounted");
    }
}

#[test]
fn what_lay_on_a_second_name_of_a_filesystem_is_unknown_while_that_is_not_mounted() {
    let (mut bound, mut source) = (None, PathBuf::new());
    let agent = Agent::with(|watched| {
        source = watched.with_file_name("source");
        fs::create_dir(&source).unwrap();
        bound = Bound::mount(&source, watched);
    });
    if bound.is_none() {
        return;
    }
    agent.write("a", &token(1));
    agent.expect_present(1);
    drop(bound.take());
    let finding = agent.expect(1, PresenceState::Unknown);
    assert_eq!(why_unknown(&finding), UnknownWhy::Unreadable);
    bound = Bound::mount(&source, &agent.watched(""));
    agent.expect_present(1);
    fs::remove_file(agent.watched("a")).unwrap();
    agent.expect_gone(1, GoneProof::Removed);
    drop(agent);
    drop(bound);
}

#[test]
fn what_a_removed_rule_found_is_unknown_whether_its_file_changes_or_not() {
    let mut agent = Agent::new();
    agent.write("kept", &token(1));
    agent.write("edited", &token(2));
    agent.expect_present(1);
    agent.expect_present(2);
    agent.end();
    agent.manner.without_rule.store(true, Ordering::SeqCst);
    agent.write("edited", "nothing");
    agent.start();
    for number in [1, 2] {
        let finding = agent.expect(number, PresenceState::Unknown);
        assert_eq!(why_unknown(&finding), UnknownWhy::RuleRemoved);
    }
    agent.end();
    agent.manner.without_rule.store(false, Ordering::SeqCst);
    agent.start();
    assert_eq!(agent.expect_present(1).returns, 0);
    agent.expect_gone(2, GoneProof::Reread);
}

/// What is read holds nothing, and before that is said the file is another, or written anew, and holds
/// the token: what was read says nothing about that.
#[test]
fn a_file_that_is_replaced_or_rewritten_while_it_is_read_is_not_gone() {
    let agent = Agent::new();
    agent.write("a", &token(1));
    agent.expect_present(1);
    let path = agent.watched("a");
    let replace: [fn(&Path); 2] = [
        |path| {
            let beside = path.with_extension("new");
            fs::write(&beside, token(1)).unwrap();
            fs::rename(beside, path).unwrap();
        },
        |path| fs::write(path, format!("{}\n", token(1))).unwrap(),
    ];
    for round in 0..20 {
        let (path, replace) = (path.clone(), replace[round % 2]);
        let done = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&done);
        *agent.manner.meanwhile.lock().unwrap() = Some(Box::new(move || {
            replace(&path);
            told.store(true, Ordering::SeqCst);
        }));
        agent.write("a", "SLOW and nothing else");
        let until = Instant::now() + DEADLINE;
        while !done.load(Ordering::SeqCst) {
            assert!(Instant::now() < until, "never read");
            wait_a_little();
        }
        // Told after what was read before it.
        let marker = 100 + round as u64;
        agent.write("after", &token(marker));
        agent.expect_present(marker);
        assert_eq!(agent.expect_present(1).returns, 0, "round {round}");
    }
}
