//! What a collector asks of the agent and what people on its host do: whose word counts for what.

use super::*;

impl Agent {
    fn state(&self) -> PathBuf {
        self.directory.path().join("state")
    }
}

/// While the collector is about to close this host, other messages may well be refused or broken off.
#[test]
fn a_retirement_is_decided_by_its_own_message_alone() {
    let agent = Agent::new();
    agent.expect_status(|status| status.delivery.linked);
    let retired = control::retire(&agent.state()).unwrap();
    assert_eq!(retired, HostId::from_u128(7));
}
