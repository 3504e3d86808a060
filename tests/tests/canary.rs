//! The canary: no 8-byte window of a planted secret is anywhere that is not its own place.
//!
//! Unique secrets are planted in every way that the agent reads, also in the names of files,
//! directories, archive members, keys, variables, programs and units. When all of them have been
//! found (so that each has been through the detector), everything that the product wrote or said is
//! searched: every file of agent and collector, the database, the logs, every answer of the API,
//! both command lines, the decrypted traffic, and the memory of reporter and collector.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use akwatch_tests::agent::Agent;
use akwatch_tests::collector::Collector;
use akwatch_tests::control_group::ControlGroup;
use akwatch_tests::fleet::{self, NO_FIRST_SCAN};
use akwatch_tests::plant::{self, Pair};
use akwatch_tests::recorder::{Ends, Recorder};
use akwatch_tests::rest::Rest;
use akwatch_tests::search::{Escape, Searcher};
use akwatch_tests::{process, program, wait};
use anyhow::{Context as _, Result};
use tokio::process::{Child, Command};

/// A planted secret: how it is found at the collector, and the bytes that must not get there.
struct Canary {
    name: String,
    id: Option<String>,
    secret: Vec<u8>,
}

#[derive(Default)]
struct Planted {
    canaries: Vec<Canary>,
    /// Ended when dropped.
    processes: Vec<Child>,
    /// That of one of them; after them, so that it is empty when it goes.
    group: Option<ControlGroup>,
}

impl Planted {
    fn pair(&mut self, name: &str, pair: &Pair) {
        self.canaries.push(Canary {
            name: name.to_owned(),
            id: Some(pair.id.clone()),
            secret: pair.secret.clone().into_bytes(),
        });
    }

    fn secret(&mut self, name: &str, secret: &str) {
        self.canaries.push(Canary {
            name: name.to_owned(),
            id: None,
            secret: secret.as_bytes().to_vec(),
        });
    }

    /// Files of every format, and secrets in the names of keys, files and directories.
    fn files(&mut self, watched: &Path) -> Result<()> {
        let t = plant::tencent();
        plant::write(
            &watched.join("app/.env"),
            &format!(
                "TENCENTCLOUD_SECRET_ID={}\nTENCENTCLOUD_SECRET_KEY={}\n",
                t.id, t.secret
            ),
        )?;
        self.pair("dotenv", &t);
        let a = plant::alibaba();
        plant::write(
            &watched.join("app/credentials.ini"),
            &format!(
                "[default]\naccess_key_id = {}\naccess_key_secret = {}\n",
                a.id, a.secret
            ),
        )?;
        self.pair("ini", &a);
        let p = plant::aws();
        plant::write(
            &watched.join("app/application.properties"),
            &format!(
                "cloud.aws.credentials.accessKey={}\ncloud.aws.credentials.secretKey={}\n",
                p.id, p.secret
            ),
        )?;
        self.pair("properties", &p);
        let y = plant::aws();
        plant::write(
            &watched.join("app/application.yml"),
            &format!(
                "{}:\n  accessKey: {}\n  secretKey: {}\n",
                y.secret, y.id, y.secret
            ),
        )?;
        self.pair("yaml, also as a key", &y);
        let j = plant::tencent();
        plant::write(
            &watched.join("app/config.json"),
            &format!(
                r#"{{"{}":{{"secretId":"{}","secretKey":"{}"}}}}"#,
                j.secret, j.id, j.secret
            ),
        )?;
        self.pair("json, also as a key", &j);
        let n = plant::tencent();
        plant::write(
            &watched.join(format!("{}/app-{}.env", n.secret, n.secret)),
            &format!("COS_SECRET_ID={}\nCOS_SECRET_KEY={}\n", n.id, n.secret),
        )?;
        self.pair("names of a file and its directory", &n);
        let formless = plant::random("abcdefghijklmnopqrstuvwxyz0123456789", 24);
        plant::write(
            &watched.join("app/database.env"),
            &format!("DB_HOST=db\nDB_USER=app\nDB_PASSWORD={formless}\n"),
        )?;
        self.secret("a password without a format", &formless);
        let key = rcgen::KeyPair::generate()?.serialize_pem();
        plant::write(&watched.join("app/server.key"), &key)?;
        let body: String = key
            .lines()
            .filter(|line| !line.starts_with("-----"))
            .collect();
        // PKCS#8 of P-256: 36 bytes of structure, the same in every key, then the 32 secret ones.
        self.secret("a private key", &body[48..90]);
        Ok(())
    }

    /// An archive with a secret in a member's name and content.
    fn archive(&mut self, watched: &Path) -> Result<()> {
        let pair = plant::alibaba();
        let content = format!(
            "oss:\n  accessKeyId: {}\n  accessKeySecret: {}\n",
            pair.id, pair.secret
        );
        let mut archive = tar::Builder::new(flate2::write::GzEncoder::new(
            Vec::new(),
            flate2::Compression::default(),
        ));
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        let name = format!("etc/{}.yml", pair.secret);
        archive.append_data(&mut header, name, content.as_bytes())?;
        let bytes = archive.into_inner()?.finish()?;
        std::fs::write(watched.join("backup.tar.gz"), bytes)?;
        self.pair("an archive's member, also its name", &pair);
        Ok(())
    }

    /// A repository with a secret in a commit, in its own and its directory's name there, and in the URL
    /// of the remote that it was pushed to.
    async fn repository(&mut self, watched: &Path) -> Result<()> {
        let pair = plant::tencent();
        let top = watched.join("repository");
        plant::write(
            &top.join(format!("{}/.env", pair.secret)),
            &format!(
                "COS_SECRET_ID={}\nCOS_SECRET_KEY={}\n",
                pair.id, pair.secret
            ),
        )?;
        let url = format!(
            "https://{0}:{0}@git.example.org/app.git?token={0}#{0}",
            pair.secret
        );
        let identity = ["-c", "user.name=N", "-c", "user.email=n@x.example"];
        for arguments in [
            &["init", "-q"][..],
            &["add", "-A"],
            &["commit", "-q", "-m", &pair.secret],
            &["update-ref", "refs/remotes/origin/main", "HEAD"],
            &["remote", "add", "origin", &url],
        ] {
            let git = Command::new("git")
                .args(identity)
                .args(arguments)
                .current_dir(&top)
                .status()
                .await?;
            anyhow::ensure!(git.success(), "git {arguments:?}");
        }
        self.pair("a repository's commit, its path and its remote", &pair);
        Ok(())
    }

    /// Environments and arguments; a secret as a variable's name, a program's name, argv[0].
    fn processes(&mut self, directory: &Path) -> Result<()> {
        let e = plant::alibaba();
        let mut command = Command::new("sleep");
        command
            .env("ALIBABA_CLOUD_ACCESS_KEY_ID", &e.id)
            .env("ALIBABA_CLOUD_ACCESS_KEY_SECRET", &e.secret)
            .env(format!("NAME_{}", e.secret), "value");
        self.start(command)?;
        self.pair("an environment, also as a variable's name", &e);

        let p = plant::tencent();
        let program = directory.join(&p.secret);
        program::copy(Path::new("/bin/sleep"), &program)?;
        let mut command = Command::new(&program);
        command
            .arg0(&p.secret)
            .env("COS_SECRET_ID", &p.id)
            .env("COS_SECRET_KEY", &p.secret);
        let pid = self.start(command)?;
        self.unit(pid, &p.secret)?;
        self.pair("a program's name, argv[0] and its unit", &p);
        Ok(())
    }

    fn start(&mut self, mut command: Command) -> Result<u32> {
        let child = command
            .arg("3600")
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let pid = child.id().context("it runs")?;
        self.processes.push(child);
        Ok(pid)
    }

    /// Moves a process into a control group that looks like a unit's, where this machine allows it.
    fn unit(&mut self, pid: u32, secret: &str) -> Result<()> {
        self.group = ControlGroup::make(&format!("{secret}.service")).ok();
        self.group.as_ref().map_or(Ok(()), |group| group.add(pid))
    }

    /// A typed command.
    fn history(&mut self, watched: &Path) -> Result<()> {
        let pair = plant::aws();
        let path = watched.join("home/.bash_history");
        std::fs::create_dir_all(watched.join("home"))?;
        let mut file = std::fs::File::create(path)?;
        writeln!(
            file,
            "export AWS_ACCESS_KEY_ID={} AWS_SECRET_ACCESS_KEY={}",
            pair.id, pair.secret
        )?;
        self.pair("a history", &pair);
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_window_of_a_planted_secret_gets_anywhere() -> Result<()> {
    let (directory, watched) = fleet::directory()?;
    let collector = Collector::start(&directory.path().join("collector")).await?;
    let rest = collector.rest().await?;
    let agent_directory = directory.path().join("agent");
    let recorder = Recorder::start(Ends {
        collector: collector.agents.trim_start_matches("https://").parse()?,
        authority: collector.authority.clone(),
        authority_key: collector.authority.with_file_name("ca.key"),
        identity: agent_directory.join("state/identity"),
    })
    .await?;
    Agent::configure(&agent_directory, &recorder.url, &[&watched], NO_FIRST_SCAN)?;
    Agent::enroll(&agent_directory, &collector.bootstrap().await?).await?;
    let mut agent = Agent::run(&agent_directory)?;
    agent.wait_heard(&rest).await?;

    let mut planted = Planted::default();
    planted.files(&watched)?;
    planted.archive(&watched)?;
    planted.history(&watched)?;
    planted.repository(&watched).await?;
    planted.processes(directory.path())?;
    wait_found(&rest, &planted, &mut agent).await?;
    wait::until("the password and the private key", async || {
        let kinds = rest.get("findings?kind=password,private-key").await?;
        Ok((kinds["total"].as_u64() >= Some(2)).then_some(()))
    })
    .await?;

    wait_asked(&rest).await?;

    let secrets: Vec<(String, Vec<u8>)> = planted
        .canaries
        .iter()
        .map(|c| (c.name.clone(), c.secret.clone()))
        .collect();
    let searcher = Searcher::new(&secrets)?;
    control(&searcher, &secrets);
    let mut escapes = Vec::new();
    let mut look = |whence: String, bytes: &[u8]| {
        let found = searcher.search_unpacked(bytes);
        escapes.extend(found.into_iter().map(|escape| (whence.clone(), escape)));
    };
    for (whence, bytes) in said(&rest, &collector, &agent).await? {
        look(whence, &bytes);
    }
    look("the traffic".to_owned(), &recorder.recorded());
    for (whence, bytes) in memories(&agent, &collector)? {
        look(whence, &bytes);
    }
    agent.stop().await?;
    collector.stop().await?;
    for (whence, bytes) in files(&directory.path().join("agent"))
        .into_iter()
        .chain(files(&directory.path().join("collector")))
    {
        look(
            whence.display().to_string().replace(char::is_control, "?"),
            &bytes,
        );
    }
    let report: Vec<String> = escapes.iter().map(describe).collect();
    assert!(
        report.is_empty(),
        "windows of secrets escaped:\n{}",
        report.join("\n")
    );
    Ok(())
}

fn describe((whence, escape): &(String, Escape)) -> String {
    format!(
        "{whence}: {:?} as {} at byte {}",
        escape.secret, escape.form, escape.at
    )
}

/// Every planted pair has reached the collector: it has been through the whole line.
async fn wait_found(rest: &Rest, planted: &Planted, agent: &mut Agent) -> Result<()> {
    for canary in &planted.canaries {
        let Some(id) = &canary.id else { continue };
        wait::until(&format!("the canary in {}", canary.name), async || {
            agent.check_running()?;
            let rows = rest.findings_of(id).await?;
            Ok(rows
                .iter()
                .any(|row| row["kind"] == "access-key-pair")
                .then_some(()))
        })
        .await
        .with_context(|| agent.log_end())?;
    }
    Ok(())
}

/// The repository was asked about, and its remote is shown.
async fn wait_asked(rest: &Rest) -> Result<()> {
    wait::until("the repository to be asked", async || {
        let pushed = rest.get("findings?pushed=pushed").await?;
        let shown = "git.example.org/app";
        let addresses = pushed["rows"].as_array().into_iter().flatten();
        let mut addresses = addresses.map(|row| &row["git"]["remotes"][0]["address"]);
        Ok(addresses.any(|address| address == shown).then_some(()))
    })
    .await
}

/// A searcher that finds nothing proves nothing: it must find every secret in every form.
fn control(searcher: &Searcher, secrets: &[(String, Vec<u8>)]) {
    for (name, secret) in secrets {
        for (form, bytes) in Searcher::forms(secret) {
            let dump = [b"...".as_slice(), &bytes, b"..."].concat();
            let found = searcher.search(&dump);
            assert!(
                found
                    .iter()
                    .any(|escape| escape.secret == *name && escape.form == form),
                "the searcher does not find {name} as {form}"
            );
        }
    }
}

/// What the product says to people: the REST API and both command lines.
async fn said(rest: &Rest, collector: &Collector, agent: &Agent) -> Result<Vec<(String, Vec<u8>)>> {
    let mut said = Vec::new();
    let mut paths: Vec<String> = [
        "overview",
        "hosts",
        "credentials",
        "findings",
        "findings?kind=reference",
        "me",
        "tokens",
    ]
    .map(str::to_owned)
    .to_vec();
    for (list, field) in [("hosts", "id"), ("credentials", "ref")] {
        let page = rest.get(list).await?;
        for row in page["rows"].as_array().into_iter().flatten() {
            let reference = row[field].as_str().context("a reference")?;
            paths.push(format!("{list}/{reference}"));
        }
    }
    for path in paths {
        let answer = rest.get(&path).await?;
        said.push((format!("GET {path}"), answer.to_string().into_bytes()));
    }
    said.push((
        "status".to_owned(),
        agent.status().await?.to_string().into_bytes(),
    ));
    let token = collector.api_token("canary", "responder").await?;
    for verb in ["findings", "credentials", "hosts"] {
        for format in ["table", "json", "csv"] {
            let output = Command::new(program::path("akwatch")?)
                .args([verb, "--output", format])
                .env("AKWATCH_URL", &collector.people)
                .env("AKWATCH_CA", &collector.authority)
                .env("AKWATCH_TOKEN", &token)
                .output()
                .await?;
            assert!(
                !output.stdout.is_empty(),
                "akwatch {verb} --output {format} printed nothing"
            );
            said.push((format!("akwatch {verb} --output {format}"), output.stdout));
            said.push((
                format!("akwatch {verb} --output {format}, errors"),
                output.stderr,
            ));
        }
    }
    Ok(said)
}

/// The memory of the reporter and of the collector; only root may read it.
fn memories(agent: &Agent, collector: &Collector) -> Result<Vec<(String, Vec<u8>)>> {
    if !nix::unistd::geteuid().is_root() {
        return Ok(Vec::new());
    }
    let reporter = process::role(agent.pid()?, "reporter")?;
    let mut memories = Vec::new();
    for (name, pid) in [
        ("reporter", reporter),
        ("collector", collector.pid()?.as_raw()),
    ] {
        let memory =
            process::memory(pid).with_context(|| format!("reading the memory of the {name}"))?;
        assert!(
            memory.len() > 100_000,
            "the memory of the {name} was not read"
        );
        memories.push((format!("the memory of the {name}"), memory));
    }
    Ok(memories)
}

fn files(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if let Ok(bytes) = std::fs::read(&path) {
            found.push((path, bytes));
        }
    }
    found
}
