//! What a collector asks of the agent and what people on its host do: whose word counts for what.

use akwatch_proto::agent::OutcomeResult;
use akwatch_proto::signed::Audience;

use super::*;

const HOURS: u32 = 4 * 3600;

impl Agent {
    fn state(&self) -> PathBuf {
        self.directory.path().join("state")
    }

    /// Has the collector ask for something; gives what became of it.
    fn direct(&self, directive: Directive) -> OutcomeResult {
        let serial = {
            let mut above = self.above.lock().unwrap();
            above.serial += 1;
            let host = Audience::Host(HostId::from_u128(7));
            let later = crate::sense::now().plus(3_600_000);
            let serial = above.serial;
            let signed = Signed::seal(&directive_key(), host, later, serial, directive);
            above.directives.push(signed);
            serial
        };
        let until = Instant::now() + DEADLINE;
        loop {
            let above = self.above.lock().unwrap();
            let mut outcomes = above.outcomes.iter();
            if let Some(outcome) = outcomes.find(|outcome| outcome.serial == serial) {
                return outcome.result;
            }
            drop(above);
            assert!(Instant::now() < until, "never answered");
            wait_a_little();
        }
    }

    fn paused_until(&self) -> Option<Time> {
        control::status(&self.state()).unwrap().paused_until
    }
}

#[test]
fn a_collector_neither_shortens_nor_ends_the_pause_of_somebody_here() {
    let agent = Agent::new();
    agent.expect_status(|_| true);
    let until = control::pause(&agent.state(), HOURS).unwrap();
    for directive in [Directive::Pause { seconds: 1 }, Directive::Resume] {
        assert_eq!(agent.direct(directive), OutcomeResult::Done);
        assert_eq!(agent.paused_until(), Some(until));
    }
    let resumed = control::resume(&agent.state()).unwrap();
    assert!(resumed.was_paused && resumed.still_until.is_none());
    agent.expect_status(|status| status.paused_until.is_none());
}

#[test]
fn the_pause_of_a_collector_stands_beside_the_one_of_somebody_here() {
    let agent = Agent::new();
    agent.expect_status(|_| true);
    let seconds = HOURS;
    assert_eq!(
        agent.direct(Directive::Pause { seconds }),
        OutcomeResult::Done
    );
    let theirs = agent.paused_until();
    assert!(theirs.is_some());
    let status = agent.expect_status(|status| status.coverage.rung_reason.is_some());
    let reason = status.coverage.rung_reason.unwrap();
    assert!(reason.contains("its collector asked"), "{reason}");
    // A shorter one from here begins and ends without touching it.
    let until = control::pause(&agent.state(), 60).unwrap();
    assert_eq!(Some(until), theirs);
    let resumed = control::resume(&agent.state()).unwrap();
    assert!(resumed.was_paused);
    assert_eq!(resumed.still_until, theirs);
    let resumed = control::resume(&agent.state()).unwrap();
    assert!(!resumed.was_paused);
    assert_eq!(agent.direct(Directive::Resume), OutcomeResult::Done);
    assert_eq!(agent.paused_until(), None);
}

#[test]
fn a_host_that_denies_pauses_refuses_those_from_above() {
    let mut agent = Agent::prepared(false, true, |_| ());
    agent.refuses_pauses = true;
    agent.start();
    agent.expect_status(|_| true);
    let seconds = HOURS;
    let outcome = agent.direct(Directive::Pause { seconds });
    assert_eq!(outcome, OutcomeResult::Refused);
    assert_eq!(agent.paused_until(), None);
    let until = control::pause(&agent.state(), HOURS).unwrap();
    assert_eq!(agent.paused_until(), Some(until));
}

/// While the collector is about to close this host, other messages may well be refused or broken off.
#[test]
fn a_retirement_is_decided_by_its_own_message_alone() {
    let agent = Agent::new();
    agent.expect_status(|status| status.delivery.linked);
    let retired = control::retire(&agent.state()).unwrap();
    assert_eq!(retired, HostId::from_u128(7));
}
