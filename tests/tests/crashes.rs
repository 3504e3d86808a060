//! What was accepted is durable and reaches the console exactly once, whoever is killed when.
//!
//! `AKWATCH_SLOW_TESTS=1 cargo test -p akwatch-tests --test crashes -- --nocapture` kills a thousand
//! times, as `cargo xtask test --slow` does, and prints the figure.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use akwatch_tests::agent::Agent;
use akwatch_tests::fleet::{Fleet, shown};
use akwatch_tests::plant::{self, Pair};
use akwatch_tests::{process, rest::Rest, sets, wait};
use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Writes one file with a pair.
fn plant_one(fleet: &Fleet, number: usize) -> Result<Pair> {
    let pair = plant::tencent();
    let text = format!("secret_id = {}\nsecret_key = {}\n", pair.id, pair.secret);
    plant::write(&fleet.watched.join(format!("{number}.ini")), &text)?;
    Ok(pair)
}

/// Waits until each pair has exactly one present finding.
async fn wait_all(rest: &Rest, pairs: &[Pair]) -> Result<()> {
    for pair in pairs {
        let mut last = Vec::new();
        wait::until("each planted key exactly once", async || {
            last = rest.findings_of(&pair.id).await?;
            Ok((last.len() == 1 && last[0]["state"] == "present").then_some(()))
        })
        .await
        .with_context(|| format!("{last:#?}"))?;
    }
    Ok(())
}

#[tokio::test]
async fn a_collector_killed_while_agents_report_loses_and_doubles_nothing() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    let mut pairs = Vec::new();
    for round in 0..3 {
        for number in 0..10 {
            pairs.push(plant_one(&fleet, round * 10 + number)?);
        }
        // Killed as soon as the first of this round has arrived: the rest is under way.
        let first = &pairs[round * 10].id;
        fleet
            .wait_findings("the first to arrive", first, |rows| !rows.is_empty())
            .await?;
        fleet.collector = fleet.collector.crash_and_restart().await?;
    }
    fleet.rest = fleet.collector.rest().await?;
    wait_all(&fleet.rest, &pairs).await?;
    fleet.stop().await
}

#[tokio::test]
async fn an_agent_killed_while_it_writes_comes_back_with_what_it_knew() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    let mut pairs = Vec::new();
    for round in 0..3 {
        for number in 0..10 {
            pairs.push(plant_one(&fleet, round * 10 + number)?);
        }
        let first = &pairs[round * 10].id;
        fleet
            .wait_findings("the first to arrive", first, |rows| !rows.is_empty())
            .await?;
        fleet.agent = fleet.agent.crash_and_restart().await?;
        fleet.agent.wait_watching().await?;
    }
    wait_all(&fleet.rest, &pairs).await?;
    // Removed while nobody watched: found out after the start, not taken for granted.
    let file = fleet.watched.join("0.ini");
    fleet.agent.check_running()?;
    fleet.agent.pause().await?;
    std::fs::remove_file(&file)?;
    fleet.agent = Agent::run(&fleet.directory.path().join("agent"))?;
    fleet
        .wait_state(&pairs[0].id, &shown(&file), "gone")
        .await?;
    fleet.stop().await
}

/// Kills in the ordinary tests, and in the slow ones.
const KILLS: u64 = 24;
const SLOW_KILLS: u64 = 1_000;
/// Kills between two looks at everything.
const ROUND: u64 = 8;
/// Files at a time.
const FILES: usize = 24;

/// xorshift: the same deeds in every run, at the same moments as far as the machine allows.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

/// Whom a run kills.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Victim {
    Collector,
    Supervisor,
    Role(&'static str),
}

const VICTIMS: [Victim; 6] = [
    Victim::Collector,
    Victim::Supervisor,
    Victim::Role("watcher"),
    Victim::Role("detector"),
    Victim::Role("reporter"),
    Victim::Role("marker"),
];

/// Everything that was planted, and what is true of it.
#[derive(Default)]
struct Planted {
    present: Vec<(PathBuf, Pair)>,
    gone: Vec<Pair>,
}

impl Planted {
    /// Writes, edits or removes a file.
    fn change(&mut self, fleet: &Fleet, random: &mut Random) -> Result<()> {
        let full = self.present.len() >= FILES;
        let index = usize::try_from(random.below(self.present.len().max(1) as u64))?;
        let deed = if full { 0 } else { random.below(4) };
        if deed < 2 && !self.present.is_empty() {
            let (file, pair) = self.present.swap_remove(index);
            self.gone.push(pair);
            if deed == 0 {
                std::fs::remove_file(&file)?;
                return Ok(());
            }
            return self.write(file);
        }
        let name = format!("{}.ini", plant::random("abcdefghijklmnopqrstuvwxyz", 12));
        self.write(fleet.watched.join(name))
    }

    fn write(&mut self, file: PathBuf) -> Result<()> {
        let pair = plant::tencent();
        let text = format!("secret_id = {}\nsecret_key = {}\n", pair.id, pair.secret);
        std::fs::write(&file, &text)?;
        self.present.push((file, pair));
        Ok(())
    }

    /// Everything that is there is shown once; what is not was either never seen or is gone, once. What
    /// was shown before is still shown.
    async fn check(&self, fleet: &Fleet, seen: &mut Vec<Pair>) -> Result<()> {
        let pairs: Vec<Pair> = self.present.iter().map(|(_, pair)| pair.clone()).collect();
        wait_all(&fleet.rest, &pairs).await?;
        sets::wait_equal(&fleet.agent, &fleet.rest, &fleet.watched).await?;
        let ids = |pair: &Pair| pair.id.clone();
        let before: Vec<String> = seen.iter().map(ids).collect();
        for pair in &self.gone {
            // Agent and collector may agree before the agent, which has just started, has looked again.
            let rows = fleet
                .wait_findings("it to be gone, or never seen", &pair.id, |rows| {
                    rows.iter().all(|row| row["state"] == "gone")
                })
                .await?;
            let lost = rows.is_empty() && before.contains(&pair.id);
            ensure!(rows.len() <= 1 && !lost, "{}: {rows:#?}", pair.id);
            if !rows.is_empty() && !before.contains(&pair.id) {
                seen.push(pair.clone());
            }
        }
        seen.extend(pairs);
        seen.sort_by_key(ids);
        seen.dedup_by_key(|pair| pair.id.clone());
        Ok(())
    }
}

async fn strike(mut fleet: Fleet, victim: Victim) -> Result<Fleet> {
    match victim {
        Victim::Collector => {
            fleet.collector = fleet.collector.crash_and_restart().await?;
        }
        Victim::Supervisor => {
            fleet.agent = fleet.agent.crash_and_restart().await?;
        }
        Victim::Role(role) => {
            // Not there: an earlier victim took it with it, and it has not come again yet.
            if let Ok(pid) = process::role(fleet.agent.pid()?, role) {
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
        }
    }
    Ok(fleet)
}

#[tokio::test]
async fn any_process_killed_at_any_moment_loses_and_doubles_nothing() -> Result<()> {
    let slow = std::env::var_os("AKWATCH_SLOW_TESTS").is_some();
    let kills = if slow { SLOW_KILLS } else { KILLS };
    let mut random = Random(0x5eed_0004);
    let mut fleet = Fleet::start_beating(|_| Ok(())).await?;
    let (mut planted, mut seen, mut killed) = (Planted::default(), Vec::new(), [0; VICTIMS.len()]);
    let began = Instant::now();
    for run in 0..kills {
        for _ in 0..=random.below(3) {
            planted.change(&fleet, &mut random)?;
        }
        let moment = Duration::from_millis(random.below(80));
        tokio::time::sleep(moment).await; // whatever is under way then is struck
        let which = usize::try_from(random.below(VICTIMS.len() as u64))?;
        fleet = strike(fleet, VICTIMS[which])
            .await
            .with_context(|| format!("run {run}: {:?}", VICTIMS[which]))?;
        killed[which] += 1;
        if run % ROUND == ROUND - 1 || run + 1 == kills {
            // Roles that end again and again are started ever later: a supervisor begins anew.
            fleet = strike(fleet, Victim::Supervisor).await?;
            planted
                .check(&fleet, &mut seen)
                .await
                .with_context(|| format!("after run {run}"))?;
        }
    }
    println!(
        "{kills} seeded kills in {} s {:?}: {} findings acknowledged, 0 lost, 0 doubled",
        began.elapsed().as_secs(),
        VICTIMS.iter().zip(killed).collect::<Vec<_>>(),
        seen.len()
    );
    fleet.stop().await
}
