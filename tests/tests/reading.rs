//! Places that are hard to read: leased, growing, ending, or only partly there.
//!
//! What cannot be read is named and *unknown*; it never hides another place, and nothing is called
//! *gone* that was not read to its end.

use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Stdio;

use akwatch_tests::agent::Agent;
use akwatch_tests::fleet::{Fleet, shown};
use akwatch_tests::plant::{self, Pair};
use akwatch_tests::wait;
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, Command};

/// Takes a write lease on the file that it is given and keeps it until it is ended, as a file
/// server does, but opened for reading: then its end is no event. None is given while another has it open. F_SETLEASE is 1024, F_WRLCK 1; a broken
/// lease is told by SIGIO, which would end it.
const LEASE: &str = r#"$SIG{IO} = "IGNORE"; $| = 1;
    open(my $file, "<", $ARGV[0]) or die "open: $!";
    for (1..1000) { last if fcntl($file, 1024, 1); select(undef, undef, undef, 0.01); }
    print "leased\n"; sleep 3600;"#;

/// On a line of input, makes one page in the middle of its own environment unreadable: mprotect is
/// system call 10 on x86_64 and 226 on aarch64; fields 50 and 51 of proc_pid_stat(5) bound it.
const SHORT: &str = r#"use Config; $| = 1; print "up\n"; <STDIN>;
    open(my $stat, "<", "/proc/self/stat"); my $line = <$stat>; $line =~ s/^.*\) //;
    my ($from, $to) = (split / /, $line)[47, 48];
    my $page = int(($from + 16384) / 4096) * 4096;
    my $call = $Config{archname} =~ /aarch64/ ? 226 : 10;
    die "small" unless $page + 4096 < $to - 8192;
    syscall($call, $page, 4096, 0) == 0 or die "mprotect: $!";
    print "short\n"; <STDIN>;"#;

fn text(pair: &Pair) -> String {
    format!("SECRET_ID={}\nSECRET_KEY={}\n", pair.id, pair.secret)
}

/// Starts a perl program and waits for its first word.
async fn perl(program: &str, argument: &str, env: &[(&str, &str)]) -> Result<Talking> {
    let mut child = Command::new("perl")
        .args(["-e", program, argument])
        .env_clear()
        .env("PATH", std::env::var("PATH").unwrap_or_default())
        .envs(env.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("perl, which every Debian has, is needed here")?;
    let lines = BufReader::new(child.stdout.take().context("a pipe")?);
    let mut talking = Talking { child, lines };
    talking.word().await?;
    Ok(talking)
}

struct Talking {
    child: Child,
    lines: BufReader<tokio::process::ChildStdout>,
}

impl Talking {
    async fn word(&mut self) -> Result<String> {
        let mut line = String::new();
        self.lines.read_line(&mut line).await?;
        ensure!(!line.is_empty(), "the program ended");
        Ok(line.trim().to_owned())
    }

    async fn say(&mut self) -> Result<String> {
        let stdin = self.child.stdin.as_mut().context("a pipe")?;
        stdin.write_all(b"\n").await?;
        self.word().await
    }
}

/// Waits until the agent counts a file as not read, for `why`.
async fn wait_not_read(fleet: &Fleet, why: &str) -> Result<()> {
    let mut last = Value::Null;
    wait::until(&format!("a file that is {why} to be counted"), async || {
        last = fleet.agent.status().await?["coverage"]["sources"].clone();
        let counted = last.as_array().into_iter().flatten().any(|source| {
            let mut reasons = source["not_read"].as_array().into_iter().flatten();
            source["covered"] == "partly" && reasons.any(|one| one["why"] == why)
        });
        Ok(counted.then_some(()))
    })
    .await
    .with_context(|| format!("{last:#}"))
}

/// How the lease on a file stands, as proc_locks(5) says: `ACTIVE`, or `BREAKING` once somebody has asked
/// for the file; none when nobody holds one. The kind is the second word of a line, and the sixth ends
/// with the number of the file's inode. Who waits for one to end has a line too, `BREAKER`.
fn lease(file: &Path) -> Result<Option<String>> {
    let inode = std::fs::metadata(file)?.ino().to_string();
    let locks = std::fs::read_to_string("/proc/locks")?;
    let held = locks.lines().find_map(|line| {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let [_, "LEASE", state, _, _, place, ..] = words.as_slice() else {
            return None;
        };
        let same = place.rsplit(':').next() == Some(inode.as_str());
        (same && *state != "BREAKER").then(|| (*state).to_owned())
    });
    Ok(held)
}

#[tokio::test]
async fn a_leased_file_is_counted_holds_nothing_up_and_is_read_when_the_lease_ends() -> Result<()> {
    let fleet = Fleet::start().await?;
    // The kernel ends a lease by itself some time after somebody asked for the file
    // (`lease-break-time`, proc_sys_fs(5)). Whoever lost it that way, on a slow machine, saw nothing
    // that proves anything and begins anew with another file; one that waits for leases to end never
    // gets to the end of this.
    let mut round = 0;
    let (leased, path, mut holder) =
        wait::until("a lease that outlasts what is seen", async || {
            round += 1;
            let leased = plant::tencent();
            let file = fleet.watched.join(format!("leased{round}.env"));
            // Written elsewhere, so that it is leased before the agent sees it.
            let outside = fleet.directory.path().join("outside.env");
            std::fs::write(&outside, text(&leased))?;
            let holder = perl(LEASE, &shown(&outside), &[]).await?;
            std::fs::rename(&outside, &file)?;
            wait_not_read(&fleet, "leased").await?;
            let (other, beside) = (
                plant::tencent(),
                fleet.watched.join(format!("other{round}.env")),
            );
            plant::write(&beside, &text(&other))?;
            fleet
                .wait_state(&other.id, &shown(&beside), "present")
                .await?;
            // Where it was written nobody held it back: a quick agent may have seen it there.
            let path = shown(&file);
            let mut found = fleet.rest.findings_of(&leased.id).await?;
            found.retain(|row| row["location"]["path"] == path.as_str());
            if lease(&file)?.as_deref() != Some("BREAKING") {
                return Ok(None);
            }
            assert!(found.is_empty(), "read under a lease: {found:#?}");
            Ok(Some((leased, path, holder)))
        })
        .await?;
    // Ending a lease is no event: the agent comes back by itself.
    holder.child.kill().await?;
    let patience = 2 * wait::DEADLINE;
    wait::within(patience, "the file to be read after all", async || {
        let rows = fleet.rest.findings_of(&leased.id).await?;
        let found = rows
            .iter()
            .any(|row| row["state"] == "present" && row["location"]["path"] == path.as_str());
        Ok(found.then_some(()))
    })
    .await?;
    fleet.stop().await
}

#[tokio::test]
async fn a_file_that_grows_while_it_is_read_keeps_what_is_in_it() -> Result<()> {
    let fleet = Fleet::start().await?;
    let (first, last) = (plant::tencent(), plant::alibaba());
    let file = fleet.watched.join("app.log");
    std::fs::write(&file, text(&first))?;
    let mut open = std::fs::File::options().append(true).open(&file)?;
    let noise = format!("{}\n", "nothing of interest here ".repeat(40));
    let mut written = 0;
    // It grows until the first key has been reported: every reading of it was overtaken.
    wait::until("the key in a growing file", async || {
        for _ in 0..20 {
            open.write_all(noise.as_bytes())?;
            written += noise.len();
        }
        let rows = fleet.rest.findings_of(&first.id).await?;
        Ok((rows.len() == 1 && rows[0]["state"] == "present").then_some(()))
    })
    .await?;
    write!(
        open,
        "access_key_id={}\naccess_key_secret={}\n",
        last.id, last.secret
    )?;
    drop(open);
    let path = shown(&file);
    fleet.wait_state(&last.id, &path, "present").await?;
    let row = fleet.wait_state(&first.id, &path, "present").await?;
    assert_eq!(row["returns"], 0, "it was never called gone: {row:#}");
    ensure!(written > 0, "it grew");
    fleet.stop().await
}

#[tokio::test]
async fn processes_that_end_while_they_are_read_are_counted_and_leave_nothing_present() -> Result<()>
{
    let mut fleet = Fleet::start().await?;
    let pair = plant::alibaba();
    for _ in 0..200 {
        let status = Command::new("true")
            .env("ALIBABA_CLOUD_ACCESS_KEY_ID", &pair.id)
            .env("ALIBABA_CLOUD_ACCESS_KEY_SECRET", &pair.secret)
            .status()
            .await?;
        ensure!(status.success());
    }
    fleet.agent.check_running()?;
    let after = plant::tencent();
    let file = fleet.watched.join("after.env");
    plant::write(&file, &text(&after))?;
    fleet
        .wait_state(&after.id, &shown(&file), "present")
        .await?;
    // Whatever was caught of them is one finding at most, and does not stay: what came back once is
    // given a minute before it is called gone again.
    let patience = 3 * wait::DEADLINE;
    let mut last = Vec::new();
    wait::within(patience, "nothing of them to be present", async || {
        last = fleet.rest.findings_of(&pair.id).await?;
        let gone = last.iter().all(|row| row["state"] == "gone");
        Ok((last.len() <= 1 && gone).then_some(()))
    })
    .await
    .with_context(|| format!("{last:#?}"))?;
    fleet.stop().await
}

#[tokio::test]
async fn an_environment_that_reads_short_is_unknown_until_its_process_ends() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    let pair = plant::alibaba();
    let padding = "x".repeat(64 << 10);
    let env = [
        ("AAA_PADDING", padding.as_str()),
        ("ALIBABA_CLOUD_ACCESS_KEY_ID", &pair.id),
        ("ALIBABA_CLOUD_ACCESS_KEY_SECRET", &pair.secret),
    ];
    let mut process = perl(SHORT, "", &env).await?;
    let pid = process.child.id().context("it runs")?;
    let path = format!("/proc/{pid}/environ");
    fleet.wait_state(&pair.id, &path, "present").await?;
    // While no agent runs, the program starts anew, and its environment cannot be read.
    fleet.agent.pause().await?;
    process.child.kill().await?;
    let mut process = perl(SHORT, "", &env).await?;
    assert_eq!(process.say().await?, "short");
    let pid = process.child.id().context("it runs")?;
    let read = std::fs::read(format!("/proc/{pid}/environ")).map_or(0, |bytes| bytes.len());
    ensure!(read < padding.len(), "{read} bytes could still be read");
    fleet.agent = Agent::run(&fleet.directory.path().join("agent"))?;
    let rows = fleet
        .wait_findings("it to be unknown", &pair.id, |rows| {
            rows.len() == 1 && rows[0]["state"] == "unknown"
        })
        .await?;
    assert_eq!(rows[0]["presence"]["why"], "read-short", "{:#}", rows[0]);
    process.child.kill().await?;
    let rows = fleet
        .wait_findings("it to be gone", &pair.id, |rows| {
            rows.len() == 1 && rows[0]["state"] == "gone"
        })
        .await?;
    assert_eq!(rows[0]["presence"]["proof"], "ended");
    fleet.stop().await
}
