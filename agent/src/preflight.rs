//! `preflight`: what an agent would find here, before one is installed.
//!
//! The same checks of the host as the doctor's, the walk of the first scan with nothing opened but
//! directories, an estimate of what reading it takes from a sample that is really read, and the
//! neighbours that will see the agent or be seen by it. One process, without sockets; nothing is kept.
//!
//! Where there is a configuration that cannot be understood, what it denies is not known: then no file is
//! read at all, and there is no estimate.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use akwatch_detect::{Detector, Limits, RuleSet};
use akwatch_proto::text::escape;
use serde::Serialize;

use crate::cli::{Paths, PreflightArgs};
use crate::config::{Config, GlobSet};
use crate::doctor::checked::{Checked, Checks, Standing};
use crate::doctor::{Context, host};
use crate::host::Root;
use crate::open::Opener;
use crate::output::{self, bytes, counted, seconds};
use crate::sense::scan::{Ask, Scan, Walked};
use crate::sense::watch_set::WatchSet;

mod neighbours;
mod sample;

use sample::Sample;

/// Files between the walk and what counts them.
const AHEAD: usize = 256;
/// Share of one processor that a scan's reading keeps below, in percent.
const SHARE: u64 = 50;
/// Trees that are named.
const TREES: usize = 8;

/// What the first scan would read.
#[derive(Debug, Default, Serialize)]
struct FirstScan {
    files: u64,
    bytes: u64,
    directories: u64,
    /// The trees with the most bytes.
    trees: Vec<Tree>,
    /// What would not be read, and why.
    not_read: Vec<NotRead>,
    /// What reading it takes; none where no file may be read.
    estimate: Option<Estimate>,
    /// Files of the sample that were read.
    sampled: u64,
}

#[derive(Debug, Serialize)]
struct Estimate {
    /// CPU seconds, from a sample.
    cpu_seconds: u64,
    /// Seconds at the share of a processor that scans keep below.
    seconds: u64,
}

#[derive(Debug, Serialize)]
struct Tree {
    path: String,
    files: u64,
    bytes: u64,
}

#[derive(Debug, Serialize)]
struct NotRead {
    why: &'static str,
    count: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    example: Option<String>,
}

#[derive(Serialize)]
struct Preflight {
    #[serde(flatten)]
    checks: Checks,
    first_scan: FirstScan,
}

/// Looks at this host. Exit 0 when an agent can work here, 1 when it cannot.
///
/// # Errors
/// When the host cannot be looked at at all, or the output cannot be written.
pub fn run(args: &PreflightArgs) -> anyhow::Result<ExitCode> {
    let paths = Paths {
        config: args.config.clone(),
        state: PathBuf::from(crate::cli::STATE),
        runtime: PathBuf::from(crate::cli::RUNTIME),
    };
    let config = Config::load(&paths.config);
    let context = Context {
        status: crate::control::status(&paths.runtime),
        config: &config,
        paths: &paths,
    };
    let mut checks = host::checks(&context);
    checks.push(system());
    // From here on nothing but files is looked at, and some of them are read.
    if let Err(why) = akwatch_sys::seccomp::forbid_sockets() {
        let fix = "nothing: preflight opens none, this only keeps it so";
        checks.push(Checked::less(
            "sockets",
            format!("cannot be forbidden: {why}"),
            fix,
        ));
    }
    let root = Arc::new(Root::live()?);
    checks.extend(neighbours::checks(&root));
    let built_in = Config::built_in();
    let own = vec![paths.state.clone(), paths.runtime.clone()];
    let known = config.is_ok() || Config::is_absent(&paths.config);
    let mut sample = known.then(Sample::default);
    let config = config.as_ref().unwrap_or(&built_in);
    let mut first_scan = first_scan(&root, config, own, &mut sample)?;
    if let Some(sample) = &sample {
        estimate(&root, sample, &mut first_scan);
    }
    let sound = checks.iter().all(|one| one.standing != Standing::Wrong);
    let preflight = Preflight {
        checks: Checks::of(checks),
        first_scan,
    };
    if args.json {
        output::json(&preflight)?;
    } else {
        output::write(&render(&preflight))?;
    }
    Ok(ExitCode::from(u8::from(!sound)))
}

/// The service manager, and the limits that only it can set.
fn system() -> Checked {
    const CHECK: &str = "systemd";
    if !Path::new("/run/systemd/system").exists() {
        return Checked::less(
            CHECK,
            "not running: `akwatch-agent run` starts the roles, without a slice that bounds them",
            "nothing, in a container; else start `akwatch-agent run` from what starts services here",
        );
    }
    if Path::new("/sys/fs/cgroup/cgroup.controllers").exists() {
        return Checked::good(
            CHECK,
            "running, with the unified hierarchy that bounds the slice",
        );
    }
    let fix = "boot with systemd.unified_cgroup_hierarchy=1, or go on: the agent bounds itself too";
    Checked::less(
        CHECK,
        "running, on cgroup v1: the slice's memory limit is not enforced",
        fix,
    )
}

/// Walks what the first scan would walk.
fn first_scan(
    root: &Arc<Root>,
    config: &Config,
    own: Vec<PathBuf>,
    sample: &mut Option<Sample>,
) -> anyhow::Result<FirstScan> {
    let homes: Vec<PathBuf> = (root.accounts().homes().iter())
        .map(|home| home.path.clone())
        .collect();
    let set = WatchSet::new(config, &homes, own)?;
    let roots = set.scan_roots();
    let (ask, asks) = crossbeam_channel::bounded(1);
    let (out, walked) = crossbeam_channel::bounded(AHEAD);
    let (_none, mounted) = crossbeam_channel::bounded(0);
    let scan = Scan::new(Arc::clone(root), set, (asks, mounted), out);
    let walking = std::thread::Builder::new().spawn(move || scan.run())?;
    ask.send(Ask {
        trees: Vec::new(),
        urgency: crate::job::Urgency::FirstScan,
        since: None,
    })?;
    drop(ask);
    let mut found = FirstScan::default();
    let mut trees: BTreeMap<&Path, (u64, u64)> = BTreeMap::new();
    while let Ok(said) = walked.recv() {
        match said {
            Walked::File(target) => {
                let crate::job::TargetPlace::File(path) = target.what else {
                    continue;
                };
                let size = std::fs::symlink_metadata(&path).map_or(0, |meta| meta.size());
                found.files += 1;
                found.bytes += size;
                if let Some(tree) = roots.iter().find(|tree| path.starts_with(tree)) {
                    let tree = trees.entry(tree.as_path()).or_default();
                    *tree = (tree.0 + 1, tree.1 + size);
                }
                if let Some(sample) = sample {
                    sample.offer(path);
                }
            }
            Walked::Ended(walk) | Walked::Came(_, walk) => {
                found.directories = walk.directories;
                found.not_read = walk
                    .gaps
                    .into_iter()
                    .map(|gap| NotRead {
                        why: gap.why,
                        count: gap.count,
                        example: gap
                            .example
                            .map(|path| escape(path.as_os_str().as_encoded_bytes())),
                    })
                    .collect();
            }
        }
    }
    let _ = walking.join(); // it panics on no input
    found.trees = largest(&trees);
    Ok(found)
}

fn largest(trees: &BTreeMap<&Path, (u64, u64)>) -> Vec<Tree> {
    let mut trees: Vec<Tree> = trees
        .iter()
        .map(|(path, (files, bytes))| Tree {
            // As components: a pattern's base may end in a slash.
            path: escape(path.components().as_path().as_os_str().as_encoded_bytes()),
            files: *files,
            bytes: *bytes,
        })
        .collect();
    trees.sort_by_key(|tree| std::cmp::Reverse(tree.bytes));
    trees.truncate(TREES);
    trees
}

/// Reads the sample as the first scan would, and takes what that cost for all files.
fn estimate(root: &Arc<Root>, sample: &Sample, found: &mut FirstScan) {
    let nothing = GlobSet::new([], &[]).expect("invariant: no pattern compiles");
    let opener = Opener::new(Arc::clone(root), nothing);
    let mut detector = Detector::new(RuleSet::builtin(), Limits::default());
    let (begun, before) = (Instant::now(), sample::cpu());
    let (mut files, mut read) = (0, 0);
    for path in sample.paths() {
        let Ok((file, _)) = opener.regular_file(path) else {
            continue;
        };
        let name = path.as_os_str().as_encoded_bytes();
        read += sample::examine(&mut detector, name, file.as_fd());
        files += 1;
        if begun.elapsed() > sample::TIME {
            break;
        }
    }
    found.sampled = files;
    let spent = sample::cpu().saturating_sub(before);
    let all = (found.files, found.bytes);
    let cpu_seconds = sample::scaled(spent, (files, read), all).as_secs();
    found.estimate = Some(Estimate {
        cpu_seconds,
        seconds: cpu_seconds.saturating_mul(100) / SHARE,
    });
}

fn render(preflight: &Preflight) -> String {
    let mut text = preflight.checks.render();
    let scan = &preflight.first_scan;
    let _ = writeln!(
        text,
        "\nThe first scan would read {} with {} in {}.",
        counted(scan.files, "file", "files"),
        bytes(scan.bytes),
        counted(scan.directories, "directory", "directories")
    );
    let _ = match &scan.estimate {
        Some(estimate) => writeln!(
            text,
            "It takes about {} of CPU, spread over {} or more: it keeps below half of one processor, and\n\
             stops for whatever needs the host (by a sample of {}).",
            seconds(estimate.cpu_seconds),
            seconds(estimate.seconds),
            counted(scan.sampled, "file", "files")
        ),
        None => writeln!(
            text,
            "What that takes is not known: the configuration is not understood (`akwatch-agent config\n\
             check` says why), and no file is read that it might deny, not even for a sample."
        ),
    };
    if !scan.trees.is_empty() {
        text.push_str("\nWhere most of it lies:\n");
    }
    for tree in &scan.trees {
        let _ = writeln!(
            text,
            "  {:>10}  {:>8} files  {}",
            bytes(tree.bytes),
            tree.files,
            tree.path
        );
    }
    if !scan.not_read.is_empty() {
        text.push_str("\nNot read:\n");
    }
    for not_read in &scan.not_read {
        let example = not_read.example.as_deref();
        let example = example
            .map(|name| format!(", for example {name}"))
            .unwrap_or_default();
        let _ = writeln!(text, "  {:>8}  {}{example}", not_read.count, not_read.why);
    }
    text
}
