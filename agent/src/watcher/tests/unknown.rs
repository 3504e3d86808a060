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
