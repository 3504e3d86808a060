//! `cargo xtask bench detect`: what detection finds and what it costs, beside the peers.

#![forbid(unsafe_code)]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for a person"
)]

use std::path::PathBuf;
use std::process::ExitCode;

use akwatch_tests::bench::{bare, cases, speed, tree};
use akwatch_tests::corpus::{self as labelled, Corpus, ratchet, score, table};
use anyhow::Result;
use clap::Parser;

/// Measures detection: CPU seconds beside the peers, or recall and precision on labelled cases.
#[derive(Parser)]
#[command(name = "cargo xtask bench detect")]
struct Options {
    /// Recall and precision on this file of labelled cases, instead of speed
    #[arg(long)]
    cases: Option<PathBuf>,
    /// Recall, precision and pairs linked on our own labelled corpus, instead of speed
    #[arg(long)]
    corpus: bool,
    /// With --corpus: another seed than that of the committed figures
    #[arg(long, default_value_t = labelled::SEED)]
    seed: u64,
    /// With --corpus: name each miss and each false alarm
    #[arg(long)]
    misses: bool,
    /// With --corpus: leave the files and a table of labels below this directory, scan nothing
    #[arg(long)]
    write: Option<PathBuf>,
    /// With --corpus: the peers on it, too, in columns of their own
    #[arg(long)]
    peers: bool,
    /// With --corpus: raise the ratchet to what was reached
    #[arg(long)]
    raise: bool,
    /// With --cases: name each miss and each false alarm
    #[arg(long)]
    verbose: bool,
    /// Findings per 100 MB of this tree, then speed on it too
    #[arg(long)]
    tree: Option<PathBuf>,
    /// Only rows whose name begins so: small, tree, log, memory, hostile, start
    #[arg(long, default_value = "")]
    row: String,
    /// MiB of the longest log
    #[arg(long, default_value_t = 1024)]
    log_mib: u64,
    /// Only our own figure
    #[arg(long)]
    no_peers: bool,
    /// Only peers whose name begins so
    #[arg(long, default_value = "")]
    peer: String,
    /// Also peers that take minutes, each once, on the small files
    #[arg(long)]
    slow: bool,
    /// Rounds in turn; 0: no speed
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Where the corpus and the peers are kept
    #[arg(long, default_value = "target/bench")]
    dir: PathBuf,
    /// Walk, open, read and close what is there, and nothing else
    #[arg(long, hide = true)]
    bare: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<()> {
    if let Some(start) = &options.bare {
        let (files, bytes) = bare::walk(start)?;
        println!("{files} files, {bytes} bytes");
        return Ok(());
    }
    if let Some(file) = &options.cases {
        return cases::measure(file, options.verbose);
    }
    if options.corpus {
        return on_corpus(options);
    }
    if let Some(tree) = &options.tree {
        tree::findings(tree)?;
    }
    if options.rounds == 0 {
        return Ok(());
    }
    speed::Speed {
        dir: options.dir.clone(),
        peer: options.peer.clone(),
        no_peers: options.no_peers,
        slow: options.slow,
        rounds: options.rounds,
        tree: options.tree.clone(),
        log_mib: options.log_mib,
        row: options.row.clone(),
    }
    .measure()
}

fn on_corpus(options: &Options) -> Result<()> {
    let corpus = Corpus::generate(options.seed);
    if let Some(directory) = &options.write {
        return corpus.write_labelled(directory);
    }
    let score = score::measure(&corpus)?;
    table::print(&corpus, &score, options.misses);
    if options.peers {
        labelled::peers::own_row(&corpus, &score);
        labelled::peers::compare(&corpus, &options.dir, &options.peer)?;
    }
    if options.raise {
        ratchet::raise(&score)?;
    }
    Ok(())
}
