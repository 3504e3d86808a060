//! What a collector asks for is done once, however often it is heard.

use akwatch_proto::agent::OutcomeResult;
use akwatch_proto::signed::Audience;

use super::*;

fn sealed(serial: u64, directive: Directive) -> Signed<Directive> {
    let (host, until) = (HostId::from_u128(7), crate::sense::now().plus(3_600_000));
    Signed::seal(
        &directive_key(),
        Audience::Host(host),
        until,
        serial,
        directive,
    )
}

/// Asks for each; gives what became of them, in order.
fn ask(agent: &Agent, directives: &[&Signed<Directive>]) -> Vec<(u64, OutcomeResult)> {
    let mut above = agent.above.lock().unwrap();
    above.outcomes.clear();
    let asked = directives.iter().map(|one| (*one).clone());
    above.directives.extend(asked);
    drop(above);
    let until = Instant::now() + DEADLINE;
    loop {
        let above = agent.above.lock().unwrap();
        if above.outcomes.len() >= directives.len() {
            let told = above.outcomes.iter();
            return told.map(|one| (one.serial, one.result)).collect();
        }
        assert!(Instant::now() < until, "only {:?}", above.outcomes);
        drop(above);
        wait_a_little();
    }
}

/// Whoever holds the line between them, or an old database of the collector, may send an envelope again:
/// its signature is as good as before.
#[test]
fn a_directive_that_is_replayed_is_carried_out_once_even_after_a_restart() {
    use OutcomeResult::{Done, Invalid};
    let pause = sealed(3, Directive::Pause { seconds: 3600 });
    let resume = sealed(4, Directive::Resume);
    let mut agent = Agent::new();
    assert_eq!(
        ask(&agent, &[&pause, &resume, &pause, &resume]),
        [(3, Done), (4, Done), (3, Invalid), (4, Invalid)]
    );
    let status = agent.expect_status(|status| status.delivery.directive_serial == 4);
    assert_eq!(status.paused_until, None);
    agent.end();

    agent.start();
    assert_eq!(
        ask(&agent, &[&pause, &resume, &sealed(5, Directive::Resume)]),
        [(3, Invalid), (4, Invalid), (5, Done)]
    );
    let status = agent.expect_status(|status| status.delivery.directive_serial == 5);
    assert_eq!(status.paused_until, None);
}
