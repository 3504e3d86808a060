//! What people on a host ask the agent: each verb against a running agent, and where there is none.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use akwatch_tests::agent::Agent;
use akwatch_tests::collector::Collector;
use akwatch_tests::fleet::{self, Fleet, shown};
use akwatch_tests::hung::Hung;
use akwatch_tests::skip::skip;
use akwatch_tests::{plant, program, wait};
use anyhow::{Context as _, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

/// A user that owns nothing here.
const NOBODY: u32 = 65_534;

/// A verb of the agent's program, on the agent whose files lie in `directory`.
fn verb(directory: &Path, words: &[&str]) -> Result<Command> {
    let mut command = Command::new(program::path("akwatch-agent")?);
    command.args(words);
    for (flag, name) in [
        ("--config", "agent.toml"),
        ("--state", "state"),
        ("--runtime", "run"),
    ] {
        command.arg(flag).arg(directory.join(name));
    }
    Ok(command)
}

fn ended(output: &Output, code: i32) -> Result<()> {
    ensure!(
        output.status.code() == Some(code),
        "{}, not {code}:\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

/// The answer of a verb that speaks JSON and ends with `code`.
fn json(mut command: Command, code: i32) -> Result<Value> {
    let output = command.arg("--json").output()?;
    ended(&output, code)?;
    serde_json::from_slice(&output.stdout).context("its output is not JSON")
}

/// How one check of `doctor` stands.
fn standing<'a>(doctor: &'a Value, check: &str) -> Result<&'a str> {
    let checks = doctor["checks"].as_array().context("no checks")?;
    let one = checks.iter().find(|one| one["check"] == check);
    one.and_then(|one| one["standing"].as_str())
        .with_context(|| format!("{check:?} is not in {doctor:#}"))
}

#[tokio::test]
async fn the_doctor_finds_a_working_agent_sound_and_names_what_breaks() -> Result<()> {
    let fleet = Fleet::start().await?;
    let directory = fleet.directory.path().join("agent");
    let ask = || -> Result<Value> {
        let output = verb(&directory, &["doctor", "--network", "--json"])?.output()?;
        serde_json::from_slice(&output.stdout).context("its output is not JSON")
    };
    let mut last = Value::Null;
    wait::until("an agent that the doctor calls sound", async || {
        last = ask()?;
        Ok((last["sound"] == true).then_some(()))
    })
    .await
    .with_context(|| format!("{last:#}"))?;
    for check in [
        "configuration",
        "enrollment",
        "certificate",
        "agent",
        "collector",
        "clock",
        "ledger",
        "hidepid",
        "mounts it sees",
        "network: name",
        "network: tcp",
        "network: proxy",
        "network: tls issuer",
        "network: certificate",
        "network: clock",
    ] {
        ensure!(standing(&last, check)? == "good", "{check}: {last:#}");
    }
    // How well this machine can be watched is not for a test to say, but it is to be told.
    for check in [
        "kernel",
        "privileges",
        "file events",
        "process events",
        "coverage",
        "budget",
        "walls",
    ] {
        standing(&last, check)?;
    }
    fleet.collector.stop().await?;
    let away = json(verb(&directory, &["doctor", "--network"])?, 1)?;
    ensure!(standing(&away, "network: name")? == "good", "{away:#}");
    ensure!(standing(&away, "network: tcp")? == "wrong", "{away:#}");
    ensure!(standing(&away, "network: clock")? == "untried", "{away:#}");
    fleet.agent.stop().await?;
    let stopped = json(verb(&directory, &["doctor"])?, 1)?;
    ensure!(standing(&stopped, "agent")? == "wrong", "{stopped:#}");
    ensure!(standing(&stopped, "certificate")? == "good", "{stopped:#}");
    std::fs::write(directory.join("agent.toml"), "[watch]\nhistry = true\n")?;
    let output = verb(&directory, &["doctor"])?.output()?;
    ended(&output, 1)?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(
        text.contains("agent.toml:2: watch.histry") && text.contains("fix: "),
        "{text}"
    );
    Ok(())
}

#[tokio::test]
async fn root_and_members_of_the_agents_group_may_ask_and_nobody_else() -> Result<()> {
    let fleet = Fleet::start().await?;
    let directory = fleet.directory.path().join("agent");
    let ask = |uid: u32, gid: u32| -> Result<Output> {
        let mut status = verb(&directory, &["status", "--json"])?;
        status.uid(uid).gid(gid);
        status
            .output()
            .context("starting a program as another user")
    };
    if nix::unistd::geteuid().as_raw() != 0 {
        skip("only root can ask as somebody else");
        return fleet.stop().await;
    }
    ended(&ask(0, 0)?, 0)?;
    let socket = directory.join("run/control.sock");
    let meta = std::fs::metadata(&socket)?;
    ensure!(meta.mode() & 0o777 == 0o660, "{:o}", meta.mode());
    ended(&ask(NOBODY, meta.gid())?, 0)?;
    // A group beside its own, as an account has that was put into the agent's.
    let status = verb(&directory, &["status", "--json"])?;
    let mut beside = Command::new("setpriv");
    beside.arg(format!("--groups={},{NOBODY}", meta.gid()));
    beside.arg(format!("--reuid={NOBODY}"));
    beside.arg(format!("--regid={NOBODY}"));
    beside.arg(status.get_program()).args(status.get_args());
    ended(&beside.output().context("starting setpriv")?, 0)?;
    for round in ["by the socket's mode", "by the agent"] {
        let refused = ask(NOBODY, NOBODY)?;
        ended(&refused, 2).context(round)?;
        let why = String::from_utf8_lossy(&refused.stderr);
        ensure!(
            why.contains("may not ask") || why.contains("members of its group"),
            "{round}: {why}"
        );
        // Whatever somebody makes of the mode, the agent looks for itself.
        std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o666))?;
    }
    fleet.stop().await
}

/// What `explain --json` says about one thing.
fn says<'a>(explained: &'a Value, about: &str) -> Result<&'a str> {
    let facts = explained["facts"].as_array().context("no facts")?;
    let one = facts.iter().find(|fact| fact["about"] == about);
    one.and_then(|fact| fact["says"].as_str())
        .with_context(|| format!("{about:?} is not in {explained:#}"))
}

#[tokio::test]
async fn a_file_and_a_process_are_explained_with_what_was_found_and_where_it_is_from() -> Result<()>
{
    let fleet = Fleet::start().await?;
    let directory = fleet.directory.path().join("agent");
    let explain = |what: &str, code: i32| -> Result<Value> {
        json(verb(&directory, &["explain", what])?, code)
    };
    let pair = plant::tencent();
    let file = fleet.watched.join("app.env");
    let lines = format!("SECRET_ID={}\nSECRET_KEY={}\n", pair.id, pair.secret);
    plant::write(&file, &lines)?;
    fleet.wait_state(&pair.id, &shown(&file), "present").await?;
    let explained = explain(&shown(&file), 1)?;
    ensure!(
        says(&explained, "watched")?.starts_with("yes: `watch.include`"),
        "{explained:#}"
    );
    let finding = &explained["findings"][0];
    ensure!(finding["presence"]["state"] == "present", "{explained:#}");
    ensure!(
        finding["spot"]["line"] == 2 || finding["spot"]["line"] == 1,
        "{explained:#}"
    );
    ensure!(
        says(&explained, "agent")?.contains("in its present state"),
        "{explained:#}"
    );
    let mut process = Process(
        Command::new("sleep")
            .arg("600")
            .envs([("SECRET_ID", &pair.id), ("SECRET_KEY", &pair.secret)])
            .spawn()?,
    );
    let pid = process.0.id().to_string();
    let explained = wait::until("the process to be explained", async || {
        let output = verb(&directory, &["explain", &pid, "--json"])?.output()?;
        Ok((output.status.code() == Some(1)).then_some(output.stdout))
    })
    .await?;
    let explained: Value = serde_json::from_slice(&explained)?;
    let cause = &explained["findings"][0]["cause"]["path"];
    ensure!(*cause == shown(&file), "{explained:#}");
    let text = verb(&directory, &["explain", &pid])?.output()?;
    let text = String::from_utf8(text.stdout)?;
    ensure!(
        text.contains("PRESENT for") && text.contains("it has it from"),
        "{text}"
    );
    ensure!(!text.contains(&pair.secret), "a secret is shown");
    process.end()?;
    std::fs::remove_file(&file)?;
    fleet
        .wait_findings("both to be gone", &pair.id, |rows| {
            rows.len() == 2 && rows.iter().all(|row| row["state"] == "gone")
        })
        .await?;
    let explained = explain(&shown(&file), 0)?;
    ensure!(says(&explained, "file")? == "not there", "{explained:#}");
    ensure!(
        explained["findings"][0]["presence"]["proof"] == "removed",
        "{explained:#}"
    );
    fleet.stop().await
}

/// A process that ends with the test.
struct Process(std::process::Child);

impl Process {
    fn end(&mut self) -> Result<()> {
        self.0.kill()?;
        self.0.wait()?;
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.end(); // it has been, where the test came to its end
    }
}

#[test]
fn a_configuration_is_checked_and_shown_without_an_agent() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let main = directory.path().join("agent.toml");
    let config = |word: &str| -> Result<Output> {
        let mut command = Command::new(program::path("akwatch-agent")?);
        command
            .args(["config", word, "--json", "--config"])
            .arg(&main);
        Ok(command.output()?)
    };
    let said = |output: &Output, code: i32| -> Result<Value> {
        ended(output, code)?;
        serde_json::from_slice(&output.stdout).context("its output is not JSON")
    };
    let missing = said(&config("check")?, 1)?;
    ensure!(
        missing["sound"] == false && missing["fix"].is_string(),
        "{missing}"
    );
    std::fs::write(&main, "[collector]\nurls = [\"https://c.example:7443\"]\n")?;
    std::fs::create_dir(directory.path().join("agent.d"))?;
    std::fs::write(
        directory.path().join("agent.d/10.toml"),
        "[watch]\nhistory = false\n",
    )?;
    let sound = said(&config("check")?, 0)?;
    ensure!(
        sound["sound"] == true && sound["files"][1].is_string(),
        "{sound}"
    );
    let shown = said(&config("show")?, 0)?;
    let keys = shown["keys"].as_array().context("no keys")?;
    let history = keys.iter().find(|key| key["key"] == "watch.history");
    let history = history.context("watch.history is not shown")?;
    ensure!(history["value"] == false, "{shown:#}");
    ensure!(
        history["set_in"]
            .as_str()
            .is_some_and(|file| file.ends_with("10.toml")),
        "{shown:#}"
    );
    std::fs::write(&main, "[collector]\nurls = 7\n")?;
    let wrong = said(&config("check")?, 1)?;
    ensure!(
        wrong["found"]
            .as_str()
            .is_some_and(|found| found.contains("agent.toml:2")),
        "{wrong}"
    );
    Ok(())
}

/// Everything below a directory, with its size and when it changed.
fn listed(directory: &Path) -> Result<Vec<(PathBuf, u64, i64, i64)>> {
    let mut found = Vec::new();
    let mut open = vec![directory.to_path_buf()];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(&directory)? {
            let entry = entry?;
            let (path, meta) = (entry.path(), entry.metadata()?);
            found.push((path.clone(), meta.len(), meta.ctime(), meta.ctime_nsec()));
            if meta.is_dir() {
                open.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

#[test]
fn what_preflight_counts_is_what_the_walk_names() -> Result<()> {
    // Outside of what is built in, of which nothing is to be walked.
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let main = directory.path().join("agent.toml");
    let tree = directory.path().canonicalize()?.join("tree");
    for number in 0..30 {
        plant::write(&tree.join(format!("{number}/app.env")), "MODE=production\n")?;
    }
    // Everything else is taken away, so that only what is here is counted.
    std::fs::write(
        &main,
        format!(
            "[collector]\nurls = [\"https://c.example\"]\n[watch]\ninclude = [\"{tree}/**\"]\n\
             exclude = [{built_in}, \"{tree}/0\"]\n",
            tree = tree.display(),
            built_in = [
                "/etc",
                "/home",
                "/root",
                "/opt",
                "/srv",
                "/app",
                "/apps",
                "/usr",
                "/lib",
                "/var",
                "/dev",
                "/run",
                "/data",
                "/deploy",
                "/workspace",
                "/www",
                "/backup",
                "/backups",
                "/tmp",
            ]
            .map(|path| format!("{path:?}"))
            .join(", ")
        ),
    )?;
    // It runs where all that it could write lies beside what it reads.
    let before = listed(directory.path())?;
    let output = Command::new(program::path("akwatch-agent")?)
        .args(["preflight", "--json", "--config"])
        .arg(&main)
        .current_dir(directory.path())
        .env("HOME", directory.path())
        .env("TMPDIR", directory.path())
        .output()?;
    ended(&output, 0)?;
    assert_eq!(listed(directory.path())?, before, "it wrote something");
    let said: Value = serde_json::from_slice(&output.stdout)?;
    let scan = &said["first_scan"];
    let of_tree = scan["trees"].as_array().into_iter().flatten();
    let of_tree = of_tree.filter(|one| one["path"] == tree.to_string_lossy().as_ref());
    let files: u64 = of_tree.filter_map(|one| one["files"].as_u64()).sum();
    ensure!(files == 29, "{scan:#}");
    let not_read = scan["not_read"].as_array().into_iter().flatten();
    ensure!(
        not_read.into_iter().any(|one| one["why"] == "excluded"),
        "{scan:#}"
    );
    ensure!(scan["sampled"].as_u64() > Some(0), "{scan:#}");
    Ok(())
}

/// What a configuration denies is not known where it cannot be understood.
#[test]
fn preflight_reads_no_file_where_the_configuration_is_not_understood() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let main = directory.path().join("agent.toml");
    let text = "[collector]\nurls = [\"https://c.example\"]\n[deny]\npaths = [\"/root/**\"]\nhunt = true\n";
    std::fs::write(&main, text)?;
    let preflight = |more: &[&str]| {
        Command::new(program::path("akwatch-agent")?)
            .args(["preflight", "--config"])
            .arg(&main)
            .args(more)
            .output()
            .context("running preflight")
    };
    let output = preflight(&["--json"])?;
    let said: Value = serde_json::from_slice(&output.stdout)?;
    let scan = &said["first_scan"];
    ensure!(scan["files"].as_u64() > Some(0), "{scan:#}");
    ensure!(
        scan["sampled"] == 0 && scan["estimate"].is_null(),
        "{scan:#}"
    );
    let output = preflight(&[])?;
    let said = String::from_utf8(output.stdout)?;
    ensure!(
        said.contains("no file is read that it might deny"),
        "{said}"
    );
    Ok(())
}

/// What hangs lies above a filesystem of this host's own, or behind a link: the mount that a path lies on
/// does not say so.
#[test]
fn explain_and_preflight_touch_nothing_that_may_never_answer() -> Result<()> {
    // Mounts that this thread alone sees, and what it starts: others walk this host at the same time.
    let directory = tempfile::tempdir()?;
    let look = || before_a_hung_mount(directory.path());
    std::thread::scope(|scope| scope.spawn(look).join())
        .map_err(|_| anyhow::anyhow!("the thread panicked"))?
}

fn before_a_hung_mount(directory: &Path) -> Result<()> {
    use nix::mount::{MsFlags, mount};
    let at = |name: &str| directory.join(name);
    std::fs::create_dir_all(at("far/near"))?;
    std::os::unix::fs::symlink(at("far"), at("link"))?;
    let (near, none) = (at("far/near"), None::<&str>);
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    let may_mount = nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS).is_ok()
        && mount(none, "/", none, private, none).is_ok()
        && mount(Some("near"), &near, Some("tmpfs"), MsFlags::empty(), none).is_ok();
    if !may_mount {
        skip("it takes a user who may mount");
        return Ok(());
    }
    std::fs::write(near.join("file"), "")?;
    let Some(hung) = Hung::mounted(&at("far"), 0)? else {
        skip("it takes /dev/fuse, and a user who may mount it");
        return Ok(());
    };
    let said = |words: &[&str], what: Option<PathBuf>| -> Result<String> {
        let mut verb = Command::new("timeout");
        verb.arg("60").arg(program::path("akwatch-agent")?);
        let output = verb.args(words).args(what).output()?;
        ensure!(output.status.code() != Some(124), "{words:?} waits");
        ensure!(!hung.somebody_waits()?, "{words:?} touches it");
        Ok(String::from_utf8(output.stdout)?)
    };
    let runtime = at("run").display().to_string();
    for path in ["far/file", "far/near/file", "link/file"] {
        let said = said(&["explain", "--runtime", &runtime], Some(at(path)))?;
        ensure!(said.contains("not looked at, since"), "{path}: {said}");
    }
    let config = at("agent.toml").display().to_string();
    let said = said(&["preflight", "--config", &config], None)?;
    ensure!(said.contains("The first scan would read"), "{said}");
    Ok(())
}

/// A watcher as its unit starts it, without a supervisor, and the service manager that it talks to.
struct Unit {
    watcher: Process,
    log: PathBuf,
    manager: UnixDatagram,
    heard: Vec<String>,
}

impl Unit {
    fn start(directory: &Path) -> Result<Unit> {
        let socket = directory.join("notify");
        let manager = UnixDatagram::bind(&socket)?;
        manager.set_nonblocking(true)?;
        std::fs::create_dir_all(directory.join("run"))?;
        let log = directory.join("watcher.log");
        let watcher = verb(directory, &["role", "watcher"])?
            .env("NOTIFY_SOCKET", &socket)
            .env("WATCHDOG_USEC", "600000")
            .stderr(std::fs::File::create(&log)?)
            .spawn()?;
        Ok(Unit {
            log,
            watcher: Process(watcher),
            manager,
            heard: Vec::new(),
        })
    }

    fn hear(&mut self) {
        let mut words = [0; 4096];
        while let Ok(count) = self.manager.recv(&mut words) {
            let text = String::from_utf8_lossy(&words[..count]).into_owned();
            self.heard.push(text);
        }
    }

    /// Forgets what the manager has heard so far.
    fn forget(&mut self) {
        self.hear();
        self.heard.clear();
    }

    /// Waits until the manager has heard something that begins so. What else it heard stays for another
    /// wait: in which order things are said, and how often, is not asked.
    async fn wait_heard(&mut self, begins: &str) -> Result<()> {
        wait::until(&format!("the manager to hear {begins}"), async || {
            self.hear();
            let at = self
                .heard
                .iter()
                .position(|words| words.starts_with(begins));
            if at.is_none()
                && let Some(status) = self.watcher.0.try_wait()?
            {
                let log = std::fs::read_to_string(&self.log)?;
                bail!("the watcher has ended ({status}):\n{log}");
            }
            Ok(at.map(|at| drop(self.heard.remove(at))))
        })
        .await
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let pid = Pid::from_raw(i32::try_from(self.watcher.0.id())?);
        kill(pid, signal).context("signalling the watcher")
    }
}

#[tokio::test]
async fn the_service_manager_is_told_and_a_changed_configuration_is_taken_over_only_if_right()
-> Result<()> {
    let (directory, watched) = fleet::directory()?;
    let collector = Collector::start(&directory.path().join("collector")).await?;
    let agent = directory.path().join("agent");
    Agent::configure(&agent, &collector.agents, &[&watched], fleet::NO_FIRST_SCAN)?;
    Agent::enroll(&agent, &collector.bootstrap().await?).await?;
    let mut unit = Unit::start(&agent)?;
    unit.wait_heard("READY=1").await?;
    for _ in 0..3 {
        unit.wait_heard("WATCHDOG=1").await?; // no reporter and no detector is there, and it turns
    }
    unit.wait_heard("STATUS=0 present").await?;
    let config = agent.join("agent.toml");
    let right = std::fs::read_to_string(&config)?;
    std::fs::write(&config, "[watch]\nhistry = true\n")?;
    unit.signal(Signal::SIGHUP)?;
    let log = agent.join("watcher.log");
    wait::until("the wrong configuration to be refused", async || {
        let log = std::fs::read_to_string(&log)?;
        Ok(log.contains("the earlier one holds").then_some(()))
    })
    .await?;
    unit.forget();
    unit.wait_heard("WATCHDOG=1").await?;
    ensure!(unit.watcher.0.try_wait()?.is_none(), "it has ended");
    std::fs::write(&config, right)?;
    unit.signal(Signal::SIGHUP)?;
    unit.wait_heard("STOPPING=1").await?;
    let status = wait::until("the watcher to end", async || {
        Ok(unit.watcher.0.try_wait()?)
    })
    .await?;
    ensure!(status.success(), "{status}");
    collector.stop().await
}

#[tokio::test]
async fn a_running_agent_takes_a_right_configuration_over_and_refuses_a_wrong_one() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    let directory = fleet.directory.path().join("agent");
    let config = directory.join("agent.toml");
    let right = std::fs::read_to_string(&config)?;
    let other = fleet.directory.path().canonicalize()?.join("other");
    let file = other.join("app.env");
    let pair = plant::tencent();
    std::fs::create_dir_all(&other)?;
    std::fs::write(&config, "[watch]\nhistry = true\n")?;
    kill(fleet.agent.pid()?, Signal::SIGHUP)?;
    wait::until("the wrong configuration to be refused", async || {
        Ok(fleet
            .agent
            .log_end()
            .contains("the earlier one holds")
            .then_some(()))
    })
    .await?;
    fleet.agent.status().await?;
    let include = format!("include = [\"{}/**\", ", other.display());
    std::fs::write(&config, right.replacen("include = [", &include, 1))?;
    kill(fleet.agent.pid()?, Signal::SIGHUP)?;
    wait::until("the roles to start anew", async || {
        let log = std::fs::read_to_string(directory.join("agent.log"))?;
        Ok((log.matches("watcher started as process").count() == 2).then_some(()))
    })
    .await?;
    fleet.agent.wait_watching().await?;
    plant::write(
        &file,
        &format!("SECRET_ID={}\nSECRET_KEY={}\n", pair.id, pair.secret),
    )?;
    fleet.wait_state(&pair.id, &shown(&file), "present").await?;
    fleet.stop().await
}

/// A number of a page of metrics, by all that stands before it.
fn number_in(page: &str, name: &str) -> Option<u64> {
    let line = page.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|number| number.trim().parse().ok())
}

/// What `status --json` says, under the names that metrics have for it.
fn numbers(status: &Value) -> Vec<(String, u64)> {
    let mut all = Vec::new();
    let mut add = |name: String, value: &Value| {
        all.extend(value.as_u64().map(|number| (name, number)));
    };
    for presence in ["present", "gone", "unknown"] {
        let name = format!("akwatch_findings{{presence=\"{presence}\"}}");
        add(name, &status[presence]);
    }
    add("akwatch_findings_unsent".to_owned(), &status["unsent"]);
    let cost = &status["cost"];
    add("akwatch_read_bytes_total".to_owned(), &cost["bytes_read"]);
    add(
        "akwatch_network_bytes_total".to_owned(),
        &cost["network_bytes"],
    );
    for source in status["coverage"]["sources"]
        .as_array()
        .into_iter()
        .flatten()
    {
        let label = format!(
            "{{source=\"{}\"}}",
            source["source"].as_str().unwrap_or_default()
        );
        add(format!("akwatch_source_read_total{label}"), &source["read"]);
        add(format!("akwatch_source_waiting{label}"), &source["waiting"]);
    }
    assert!(all.len() >= 10, "{status:#}");
    all
}

#[tokio::test]
async fn metrics_say_what_status_says() -> Result<()> {
    let fleet = Fleet::start().await?;
    let directory = fleet.directory.path().join("agent");
    let pair = plant::tencent();
    let file = fleet.watched.join("app.env");
    plant::write(
        &file,
        &format!("SECRET_ID={}\nSECRET_KEY={}\n", pair.id, pair.secret),
    )?;
    fleet.wait_state(&pair.id, &shown(&file), "present").await?;
    let metrics = || -> Result<Output> {
        let mut command = Command::new(program::path("akwatch-agent")?);
        command
            .arg("metrics")
            .arg("--runtime")
            .arg(directory.join("run"));
        Ok(command.output()?)
    };
    let output = metrics()?;
    ended(&output, 0)?;
    let page = String::from_utf8(output.stdout)?;
    let status = fleet.agent.status().await?;
    for line in [
        "akwatch_up 1".to_owned(),
        "akwatch_role_up{role=\"reporter\"} 1".to_owned(),
        "akwatch_collector_outage 0".to_owned(),
        "# TYPE akwatch_cpu_seconds_total counter".to_owned(),
    ] {
        ensure!(
            page.lines().any(|said| said == line),
            "{line:?} is not in\n{page}"
        );
    }
    let present = number_in(&page, "akwatch_findings{presence=\"present\"}");
    ensure!(present >= Some(1), "{page}");
    let ends = number_in(&page, "akwatch_certificate_ends_timestamp_seconds");
    ensure!(
        ends.map(|ends| ends * 1000) == status["delivery"]["certificate_ends"].as_u64(),
        "{page}"
    );
    // The host has others' findings and processes too, which come and go: each number lies between what
    // was said before and after.
    let mut differ = Vec::new();
    wait::until("every number to be the same", async || {
        let before = fleet.agent.status().await?;
        let page = String::from_utf8(metrics()?.stdout)?;
        let after = fleet.agent.status().await?;
        differ = numbers(&before)
            .into_iter()
            .zip(numbers(&after))
            .filter(|((name, before), (_, after))| {
                let said = number_in(&page, name);
                said.is_none_or(|said| said < *before.min(after) || said > *before.max(after))
            })
            .collect();
        Ok(differ.is_empty().then_some(()))
    })
    .await
    .with_context(|| format!("{differ:#?}"))?;
    let Fleet { agent, .. } = fleet;
    agent.stop().await?;
    let output = metrics()?;
    ended(&output, 2)?;
    ensure!(
        String::from_utf8(output.stdout)?.ends_with("akwatch_up 0\n"),
        "not down"
    );
    Ok(())
}

#[tokio::test]
async fn without_an_agent_or_a_reader_a_verb_ends_with_a_word_or_in_silence() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let status = verb(directory.path(), &["status"])?.output()?;
    ended(&status, 2)?;
    let why = String::from_utf8_lossy(&status.stderr).into_owned();
    ensure!(why.contains("not enrolled"), "{why}");
    // Nobody could say whether something is there, which is not the same as nothing.
    ended(
        &verb(directory.path(), &["explain", "/etc/passwd"])?.output()?,
        2,
    )?;
    for words in [&["doctor"][..], &["doctor", "--json"], &["explain", "/etc"]] {
        // The reader has left before the first word, as `head` does once it has read enough.
        let (reader, writer) = std::io::pipe()?;
        drop(reader);
        let output = verb(directory.path(), words)?.stdout(writer).output()?;
        ensure!(
            output.status.code() == Some(141) && output.stderr.is_empty(),
            "{words:?}: {}, {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}
