//! The collector may end at any moment: what it has acknowledged is there when it is back.

use akwatch_proto::agent::Reported;

use crate::world::{World, secret, until};

#[tokio::test]
async fn what_was_acknowledged_survives_kill_9() {
    let mut world = World::start().await;
    let host = world.host().await;
    let (seed, mut acknowledged) = (secret(), 0_u64);
    for round in 0..4_u64 {
        let host = &host;
        let base = world.agents.clone();
        let mut revision = acknowledged;
        let sending = async {
            let mut upto = acknowledged;
            loop {
                revision += 1;
                let path = format!("/srv/{revision}.env");
                // What was not acknowledged is sent again, the same.
                let secret = [seed.as_slice(), &revision.to_be_bytes()].concat();
                let report = host.report(vec![host.finding(&secret, &path, revision)]);
                let body = serde_json::to_vec(&report).unwrap();
                let sent = host
                    .client
                    .post(format!("{base}/v1/report"))
                    .header("content-type", "application/json")
                    .body(body)
                    .send()
                    .await;
                let Ok(answer) = sent else { return upto };
                let Ok(reported) = answer.json::<Reported>().await else {
                    return upto;
                };
                upto = reported.upto;
            }
        };
        // Killed in the middle of a stream of reports, at another place each time.
        let pid = nix::unistd::Pid::from_raw(i32::try_from(world.pid()).unwrap());
        let kill = async {
            tokio::time::sleep(std::time::Duration::from_millis(100 + 37 * round)).await;
            nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
        };
        let (upto, ()) = tokio::join!(sending, kill);
        acknowledged = upto;
        world.kill();
        keep_ports(&world);
        world.run().await;
        let total = world.person("viewer").get("findings?limit=1").await["total"]
            .as_u64()
            .unwrap();
        // One more may have been committed whose acknowledgement never arrived.
        assert!(
            (acknowledged..=revision).contains(&total),
            "{acknowledged} acknowledged, {revision} sent, {total} there"
        );
    }
    assert!(acknowledged > 4, "reports were sent between the crashes");
}

#[tokio::test]
async fn sigterm_answers_what_is_open_and_ends_in_order() {
    let mut world = World::start().await;
    let host = world.host().await;
    let check_in = akwatch_proto::agent::CheckIn {
        host: host.id,
        serial: 0,
        wait_seconds: 60,
        outcomes: Vec::new(),
    };
    let held = host.call::<akwatch_proto::agent::CheckInAnswer>("check-in", &check_in);
    let pid = nix::unistd::Pid::from_raw(i32::try_from(world.pid()).unwrap());
    let stop = async {
        until("the check-in to be held", async || {
            world.log().contains("check-in held").then_some(())
        })
        .await;
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    };
    let (held, ()) = tokio::join!(held, stop);
    assert!(held.unwrap().directives.is_empty());
    assert!(world.ended().await, "{}", world.log());
}

/// A collector that comes back listens where it did.
fn keep_ports(world: &World) {
    let address = |url: &str| url.trim_start_matches("https://").to_owned();
    let text = format!(
        "[listen]\nagents = '{}'\npeople = '{}'\n",
        address(&world.agents),
        address(&world.people)
    );
    std::fs::write(world.path("server.toml"), text).unwrap();
}
