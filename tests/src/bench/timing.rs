//! CPU seconds of a whole process, by the kernel's own accounting.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;

/// One run of a command.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// User and system seconds, of the process and all that it waited for.
    pub cpu: f64,
}

/// A command to be measured.
#[derive(Clone, Debug)]
pub struct Measured {
    /// How it is called in the table.
    pub name: String,
    /// Program and arguments.
    pub words: Vec<String>,
    /// So slow that it runs once, without a warm-up.
    pub once: bool,
}

impl Measured {
    /// Runs it once on one processor, its output thrown away.
    ///
    /// # Errors
    /// When it cannot be started, or ends in trouble (an exit code above 1 that is not 200 or 205,
    /// with which one peer says that it found something).
    pub fn run(&self) -> Result<Run> {
        let before = children()?;
        let mut command = Command::new("taskset");
        command.args(["-c", "1"]).args(&self.words);
        let status = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .with_context(|| format!("starting {}", self.name))?;
        match status.code() {
            Some(0 | 1 | 200 | 205) => {}
            _ => bail!(
                "{} ended with {status}: {}",
                self.name,
                self.words.join(" ")
            ),
        }
        Ok(Run {
            cpu: children()? - before,
        })
    }
}

fn children() -> Result<f64> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    Ok(seconds(usage.user_time()) + seconds(usage.system_time()))
}

#[expect(
    clippy::cast_precision_loss,
    reason = "seconds of a benchmark fit a double"
)]
fn seconds(time: TimeVal) -> f64 {
    time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6
}

/// The median of some figures.
#[must_use]
pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Runs all commands in turn, `rounds` times after one warm-up, and gives each one's CPU seconds. Those
/// that are so slow run once.
///
/// # Errors
/// When a command fails.
pub fn alternate(commands: &[Measured], rounds: usize) -> Result<Vec<Vec<f64>>> {
    let mut runs = vec![Vec::new(); commands.len()];
    for round in 0..=rounds {
        for (command, runs) in commands.iter().zip(&mut runs) {
            if command.once && round != rounds {
                continue;
            }
            let run = command.run()?;
            if round > 0 {
                runs.push(run.cpu);
            }
        }
    }
    Ok(runs)
}

/// Runs all commands in turn and prints each one's median and its ratio to the first.
///
/// # Errors
/// When a command fails.
pub fn table(corpus: &Path, commands: &[Measured], rounds: usize) -> Result<()> {
    let runs = alternate(commands, rounds)?;
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    print!(
        "\n{} ({rounds} rounds in turn, one processor, load {load})",
        corpus.display()
    );
    println!("\n| command | CPU s, median | CPU s, all | ratio to akwatch |\n|---|---|---|---|");
    let own = runs.first().map_or(f64::NAN, |own| median(own.clone()));
    for (command, runs) in commands.iter().zip(runs) {
        let all: Vec<String> = runs.iter().map(|run| format!("{run:.2}")).collect();
        let middle = median(runs);
        println!(
            "| {} | {middle:.3} | {} | {:.2} |",
            command.name,
            all.join(" "),
            middle / own
        );
    }
    Ok(())
}
