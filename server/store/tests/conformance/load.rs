//! How fast a fleet's first report goes in, printed, not asserted: time limits are not for tests.

use std::time::Instant;

use akwatch_store::Scope;
use akwatch_store::filter::{CredentialFilter, FindingFilter};

use crate::world::{World, file, finding, key_id};

/// Findings of one report.
const ROWS: u64 = 500;

/// Hosts that report at once.
const HOSTS: u64 = 10;

/// Findings in all; `AKWATCH_STORE_LOAD` asks for more.
fn number() -> u64 {
    std::env::var("AKWATCH_STORE_LOAD")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(10_000)
}

/// Secrets are shared by hosts as in a fleet: one place in four holds a key that lies elsewhere too.
fn secret(host: u64, number: u64) -> u64 {
    if number.is_multiple_of(4) {
        number
    } else {
        1_000_000_000 + host * 10_000_000 + number
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_load_is_stored_whole() {
    let mut world = World::new().await;
    let mut agents = Vec::new();
    for _ in 0..HOSTS {
        agents.push(world.host(&[]).await);
    }
    let rounds = (number() / (HOSTS * ROWS)).max(1);
    let world = &world;
    let began = Instant::now();
    let mut loads = Vec::new();
    for (host, mut agent) in (0..).zip(agents) {
        loads.push(async move {
            for round in 0..rounds {
                let findings = (0..ROWS)
                    .map(|row| {
                        let number = round * ROWS + row;
                        let path =
                            format!("/srv/application/releases/current/conf/{number}.properties");
                        finding(file(&path), secret(host, number))
                    })
                    .collect();
                let report = agent.report(findings);
                let _ = world.report(report).await;
            }
        });
    }
    all(loads).await;
    let spent = began.elapsed();
    let rows = HOSTS * ROWS * rounds;
    println!(
        "{rows} findings in {:.1} s: {} rows/s",
        spent.as_secs_f64(),
        rows / spent.as_secs().max(1)
    );
    timed("findings, first page and total", async {
        let page = world
            .store
            .findings(&Scope::All, &FindingFilter::default())
            .await;
        assert_eq!(page.unwrap().total, rows);
    })
    .await;
    timed("credentials, first page and total", async {
        let page = world
            .store
            .credentials(&Scope::All, &CredentialFilter::default())
            .await;
        assert_eq!(page.unwrap().rows[0].hosts, HOSTS);
    })
    .await;
    timed("one key, all hosts and places", async {
        let holders = world
            .store
            .holders_of_id(&Scope::All, &key_id(4))
            .await
            .unwrap();
        assert_eq!(holders.places.len() as u64, HOSTS);
    })
    .await;
    timed("overview", async {
        let overview = world.store.overview(&Scope::All, world.now).await.unwrap();
        assert_eq!(overview.places.present, rows);
    })
    .await;
}

async fn timed(what: &str, work: impl Future<Output = ()>) {
    let began = Instant::now();
    work.await;
    println!("{what}: {:.1} ms", began.elapsed().as_secs_f64() * 1000.0);
}

/// Runs all to their end at once, on this task.
async fn all(loads: Vec<impl Future<Output = ()>>) {
    let mut loads: Vec<_> = loads.into_iter().map(Box::pin).map(Some).collect();
    std::future::poll_fn(|context| {
        let mut pending = false;
        for load in &mut loads {
            if let Some(running) = load {
                match running.as_mut().poll(context) {
                    std::task::Poll::Ready(()) => *load = None,
                    std::task::Poll::Pending => pending = true,
                }
            }
        }
        if pending {
            std::task::Poll::Pending
        } else {
            std::task::Poll::Ready(())
        }
    })
    .await;
}
