//! What detection costs, row by row as the goals name them: every figure is CPU seconds of a whole
//! process on one processor, and every statement a ratio of such figures taken in one run, in turn.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::corpus::{self, Numbers};
use super::peers;
use super::timing::{Measured, alternate, median, table};
use crate::program;

/// What is measured, and beside whom.
#[derive(Debug)]
pub struct Speed {
    /// Where corpora and peers are kept.
    pub dir: PathBuf,
    /// Only peers whose name begins so.
    pub peer: String,
    /// No peers at all.
    pub no_peers: bool,
    /// The slow ones too, once.
    pub slow: bool,
    /// Rounds in turn.
    pub rounds: usize,
    /// A real tree.
    pub tree: Option<PathBuf>,
    /// MiB of the largest log.
    pub log_mib: u64,
    /// Only rows whose name begins so.
    pub row: String,
}

const MIB: u64 = 1 << 20;
/// Sizes of a hostile file, in MiB.
const HOSTILE: [usize; 3] = [2, 8, 32];
impl Speed {
    /// Prints every row.
    ///
    /// # Errors
    /// When something cannot be built, installed or run.
    pub fn measure(&self) -> Result<()> {
        type Row = fn(&Speed) -> Result<()>;
        let rows: [(&str, Row); 6] = [
            ("small", Speed::small_files),
            ("tree", Speed::real_tree),
            ("log", Speed::logs),
            ("memory", Speed::memory),
            ("hostile", Speed::hostile),
            ("start", Speed::start),
        ];
        for (name, row) in rows {
            if name.starts_with(&self.row) {
                row(self).with_context(|| format!("row {name}"))?;
            }
        }
        Ok(())
    }

    /// Ours, the bare walk, a search for as many literals, and the peers.
    fn beside(&self, corpus: &Path, slow: bool) -> Result<Vec<Measured>> {
        let mut commands = vec![peers::own(corpus)?, bare(corpus)?];
        if !self.no_peers {
            let slow = slow && self.slow;
            let place = peers::install(&self.dir, &self.peer, slow)?;
            let all = peers::all(&place, corpus)?;
            let wanted =
                |peer: &Measured| peer.name.starts_with(&self.peer) && (slow || !peer.once);
            commands.extend(all.into_iter().filter(wanted));
        }
        Ok(commands)
    }

    fn small_files(&self) -> Result<()> {
        let corpus = corpus::small_files(&self.dir)?;
        println!("\n## Small files: 20,000 of 64 B to 32 KiB");
        table(&corpus, &self.beside(&corpus, true)?, self.rounds)
    }

    fn real_tree(&self) -> Result<()> {
        let Some(tree) = &self.tree else {
            println!("\n## A real tree: not asked for (--tree DIR)");
            return Ok(());
        };
        println!("\n## A real tree");
        table(tree, &self.beside(tree, false)?, self.rounds)
    }

    fn logs(&self) -> Result<()> {
        let part = (self.log_mib / 8).max(1);
        let small = log(&self.dir, part)?;
        println!("\n## A log of {part} MiB");
        table(&small, &self.beside(&small, false)?, self.rounds)?;
        println!(
            "\n## The same log, longer: ms a MiB above start-up\n\n| MiB | akwatch-agent scan | walk, open, read, close |\n|---|---|---|"
        );
        let idle = self.idle()?;
        for factor in [1, 2, 4, 8] {
            let file = log(&self.dir, part * factor)?;
            let runs = alternate(&[peers::own(&file)?, bare(&file)?], self.rounds)?;
            let each =
                |of: usize, less: f64| per_mib(median(runs[of].clone()) - less, part * factor);
            println!(
                "| {} | {:.3} | {:.3} |",
                part * factor,
                each(0, idle),
                each(1, 0.0)
            );
            if factor > 1 {
                fs::remove_file(file)?;
            }
        }
        Ok(())
    }

    fn memory(&self) -> Result<()> {
        let files = corpus::small_files(&self.dir)?;
        let log = log(&self.dir, 64)?;
        println!(
            "\n## In memory: GB of text a CPU second\n\n| rules | small files | of the first | log | of the first |\n|---|---|---|---|---|"
        );
        let mut first = None;
        for made in [0, 300, 1000, 3000] {
            let (rules, small) = self.throughput(made, &files)?;
            let (_, long) = self.throughput(made, &log)?;
            let (own_small, own_long) = *first.get_or_insert((small, long));
            println!(
                "| {rules} | {small:.2} | {:.2} | {long:.2} | {:.2} |",
                small / own_small,
                long / own_long
            );
        }
        Ok(())
    }

    /// How many rules there are with so many `made` ones, and GB a CPU second of scanning `path`.
    fn throughput(&self, made: usize, path: &Path) -> Result<(String, f64)> {
        let program = program::path("examples/throughput")?;
        let command = |repeats: usize| Measured {
            name: format!("{repeats} passes"),
            words: [
                program.display().to_string(),
                made.to_string(),
                repeats.to_string(),
                path.display().to_string(),
            ]
            .into(),
            once: false,
        };
        let said = std::process::Command::new(&program)
            .args([&made.to_string(), "0"])
            .arg(path)
            .output()?;
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        let mut words = said.split_whitespace();
        let rules = words.next().unwrap_or_default().to_owned();
        let bytes: f64 = words.next().unwrap_or_default().parse()?;
        let runs = alternate(&[command(1), command(5)], self.rounds)?;
        let seconds = median(runs[1].clone()) - median(runs[0].clone());
        Ok((rules, 4.0 * bytes / seconds / 1e9))
    }

    fn hostile(&self) -> Result<()> {
        let idle = self.idle()?;
        println!(
            "\n## Hostile files: ms a MiB above start-up\n\n| what it repeats | {} | last to first |",
            HOSTILE.map(|mib| format!("{mib} MiB")).join(" | ")
        );
        println!("|---|---|---|---|---|");
        let file = self.dir.join("hostile.txt");
        for (name, unit) in hostile_units() {
            let mut figures = Vec::new();
            for mib in HOSTILE {
                fs::write(&file, unit.as_bytes().repeat(mib * (1 << 20) / unit.len()))?;
                let runs = alternate(&[peers::own(&file)?], self.rounds)?;
                figures.push(per_mib(median(runs[0].clone()) - idle, mib as u64));
            }
            let shown: Vec<String> = figures.iter().map(|ms| format!("{ms:.2}")).collect();
            println!(
                "| {name} | {} | {:.2} |",
                shown.join(" | "),
                figures[2] / figures[0]
            );
        }
        fs::remove_file(file)?;
        Ok(())
    }

    fn start(&self) -> Result<()> {
        let file = self.one_line()?;
        println!("\n## Start-up: one file of two bytes");
        table(&file, &self.beside(&file, true)?, self.rounds.max(7))?;
        println!("\nakwatch: {:.1} ms of CPU", self.idle()? * 1e3);
        Ok(())
    }

    /// CPU seconds of a scan of nothing.
    fn idle(&self) -> Result<f64> {
        let runs = alternate(&[peers::own(&self.one_line()?)?], 15)?;
        Ok(median(runs[0].clone()))
    }

    fn one_line(&self) -> Result<PathBuf> {
        let file = self.dir.join("one.txt");
        fs::write(&file, "a\n")?;
        Ok(file)
    }
}

fn per_mib(seconds: f64, mib: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "MiB of a file fit a double")]
    let mib = mib as f64;
    seconds * 1e3 / mib
}

/// This program, walking, opening, reading and closing.
fn bare(corpus: &Path) -> Result<Measured> {
    let own = std::env::current_exe()?.display().to_string();
    Ok(Measured {
        name: "walk, open, read, close".to_owned(),
        words: vec![own, "--bare".to_owned(), corpus.display().to_string()],
        once: false,
    })
}

/// What a file is filled with that wants to be slow.
fn hostile_units() -> Vec<(&'static str, String)> {
    let mut numbers = Numbers::new(11);
    let base64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    vec![
        ("one letter", "a".to_owned()),
        ("a digit", "0".to_owned()),
        ("a space", " ".to_owned()),
        ("line ends", "\n".to_owned()),
        ("=", "=".to_owned()),
        ("quotes", "\"".to_owned()),
        ("brackets", "{[(".to_owned()),
        ("an id's prefix", "AKID".to_owned()),
        ("a token's prefix", "ghp_".to_owned()),
        (
            "a hostname's prefix",
            "hooks.slack.com/services/T".to_owned(),
        ),
        ("names", "password=".to_owned()),
        ("names and words", "password: changeme1\n".to_owned()),
        ("PEM heads", "-----BEGIN PRIVATE KEY-----\n".to_owned()),
        ("URLs", "a://b:c@".to_owned()),
        ("escapes", "\\n%3D".to_owned()),
        ("random base64", numbers.text(base64, 1 << 20)),
        (
            "base64 of text",
            data_encoding::BASE64.encode(&b"key: value of it\n".repeat(3 << 10)),
        ),
        (
            "hexadecimal lines",
            format!("{}\n", numbers.text("0123456789abcdef", 64)).repeat(1 << 10),
        ),
    ]
}

/// A log of `mib` MiB below `directory`: six shapes of lines, and a pair now and then.
fn log(directory: &Path, mib: u64) -> Result<PathBuf> {
    let path = directory.join(format!("log-{mib}.log"));
    if path.metadata().is_ok_and(|found| found.len() >= mib * MIB) {
        return Ok(path);
    }
    fs::create_dir_all(directory)?;
    let mut out = std::io::BufWriter::new(fs::File::create(&path)?);
    let mut numbers = Numbers::new(mib);
    let (mut written, mut lines) = (0, 0_u64);
    while written < mib * MIB {
        let line = log_line(&mut numbers, lines);
        out.write_all(line.as_bytes())?;
        written += line.len() as u64;
        lines += 1;
    }
    out.flush()?;
    Ok(path)
}

fn log_line(numbers: &mut Numbers, number: u64) -> String {
    let (hour, minute, second) = (number / 3600 % 24, number / 60 % 60, number % 60);
    let at = format!(
        "2026-11-21T{hour:02}:{minute:02}:{second:02}.{:03}Z",
        number % 1000
    );
    let hex = |numbers: &mut Numbers, length| numbers.text("0123456789abcdef", length);
    let word = |numbers: &mut Numbers| numbers.one(corpus::WORDS).to_owned();
    if number % 50_000 == 25_000 {
        let (id, secret) = (
            numbers.text(corpus::ALNUM, 32),
            numbers.text(corpus::ALNUM, 32),
        );
        return format!(
            "{at} INFO config loaded secret_id={}{id} secret_key={secret}\n",
            "AKID"
        );
    }
    match numbers.below(6) {
        0 => format!(
            "10.{}.{}.{} - - [{at}] \"GET /api/v1/{}/{} HTTP/1.1\" 200 {} \"-\" \"client/1.4\"\n",
            numbers.below(256),
            numbers.below(256),
            numbers.below(256),
            word(numbers),
            numbers.below(100_000),
            numbers.below(90_000)
        ),
        1 => format!(
            "{at} INFO {}.{} trace_id={} span_id={} took {} ms\n",
            word(numbers),
            word(numbers),
            hex(numbers, 32),
            hex(numbers, 16),
            numbers.below(900)
        ),
        2 => format!(
            "{{\"time\":\"{at}\",\"level\":\"info\",\"msg\":\"{} {} done\",\"request\":\"{}\"}}\n",
            word(numbers),
            word(numbers),
            hex(numbers, 32)
        ),
        3 => format!(
            "{at} WARN retry {} of {} for https://{}.example.com/{}: timeout\n",
            numbers.below(5),
            5,
            word(numbers),
            word(numbers)
        ),
        4 => format!(
            "{at} DEBUG SELECT {} FROM {} WHERE {} = {} LIMIT 50\n",
            word(numbers),
            word(numbers),
            word(numbers),
            numbers.below(1_000_000)
        ),
        _ => format!(
            "Nov 21 {hour:02}:{minute:02}:{second:02} host{} sshd[{}]: session opened for user {}\n",
            numbers.below(50),
            numbers.below(60_000),
            word(numbers)
        ),
    }
}
