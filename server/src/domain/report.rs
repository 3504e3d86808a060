//! Whether both sides hold the same: what a heartbeat makes the collector ask for.

use akwatch_proto::agent::Heartbeat;
use akwatch_store::hosts::Recorded;

/// Heartbeats that a host may miss before it is silent.
pub const MISSED: u32 = 3;

/// How long a host that calls itself ephemeral may be silent before it is retired: longer than any
/// restart or upgrade takes, since a retired host has to be enrolled anew.
pub const EPHEMERAL_MS: i64 = 3600 * 1000;

/// What a heartbeat's counter says about the state directory that sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Continuity {
    /// It went on, or this is the same heartbeat sent again.
    Same,
    /// It lived before: a snapshot was restored, and what the host believes may be old.
    Restored,
}

/// Whether the state directory was restored from a copy.
#[must_use]
pub fn continuity(said: &Heartbeat, recorded: &Recorded) -> Continuity {
    if said.counter < recorded.previous_counter {
        Continuity::Restored
    } else {
        Continuity::Same
    }
}

/// Whether the agent must list everything.
///
/// A restored state and an acknowledgement that the collector never gave (its own database was
/// restored) always need it. Else the digests decide, but only when nothing is on its way: what the
/// agent has yet to send, or what was stored and its acknowledgement lost, explains a difference.
#[must_use]
pub fn must_resync(said: &Heartbeat, recorded: &Recorded) -> bool {
    let on_its_way = said.unsent > 0 || said.acknowledged < recorded.upto;
    continuity(said, recorded) == Continuity::Restored
        || said.acknowledged > recorded.upto
        || !on_its_way && said.digest != recorded.digest
}

#[cfg(test)]
mod tests {
    use akwatch_proto::agent::{CostReceipt, HostId};
    use akwatch_proto::coverage::{Coverage, Rung};
    use akwatch_proto::digest::{Element, SetDigest};
    use akwatch_proto::people::HostState;
    use akwatch_proto::time::Time;
    use uuid::Uuid;

    use super::*;

    struct Case {
        counter: u64,
        acknowledged: u64,
        unsent: u64,
        same: bool,
    }

    fn check(case: &Case, expected: bool) {
        let mut digest = SetDigest::default();
        if !case.same {
            digest.add(Element::from_bytes([1; 32]));
        }
        let said = Heartbeat {
            host: HostId::from_u128(1),
            instance: Uuid::from_u128(1),
            counter: case.counter,
            time: Time(0),
            facts: None,
            coverage: Coverage {
                rules: String::new(),
                rung: Rung::Full,
                rung_reason: None,
                sources: Vec::new(),
                missing_walls: Vec::new(),
                record: None,
                set_aside: Vec::new(),
            },
            digest,
            acknowledged: case.acknowledged,
            unsent: case.unsent,
            cost: CostReceipt::default(),
            leaving: None,
        };
        let recorded = Recorded {
            previous_counter: 10,
            digest: SetDigest::default(),
            upto: 5,
            no_facts: false,
            state_before: HostState::Live,
        };
        assert_eq!(must_resync(&said, &recorded), expected);
    }

    #[test]
    fn a_difference_that_nothing_explains_needs_the_full_list() {
        let case = |counter, acknowledged, unsent, same| Case {
            counter,
            acknowledged,
            unsent,
            same,
        };
        check(&case(11, 5, 0, true), false);
        check(&case(11, 5, 0, false), true);
        check(&case(11, 5, 3, false), false);
        check(&case(11, 4, 0, false), false);
        check(&case(11, 6, 0, true), true);
        check(&case(9, 5, 0, true), true);
        check(&case(10, 5, 0, true), false);
    }
}
