//! The responder's command line against a real collector, filled by a host that speaks the wire.

use std::path::Path;
use std::process::{Output, Stdio};

use akwatch_proto::agent::{Bootstrap, Enroll, Enrolled, HostFacts, PROTOCOL, Report, Reported};
use akwatch_proto::credential::{
    Confidence, CredentialId, Fingerprint, Kind, LengthClass, Preview, Provider, RuleId, Scheme,
};
use akwatch_proto::finding::{Finding, FindingKey, Presence, Subject, WhyNew};
use akwatch_proto::git::{CommitId, Git, PushState, Remote};
use akwatch_proto::place::{Origin, Place, Reach, SafeText, Spot};
use akwatch_proto::time::Time;
use akwatch_tests::collector::Collector;
use akwatch_tests::fleet::{Fleet, shown};
use akwatch_tests::{plant, program};
use anyhow::{Context as _, Result, ensure};
use rcgen::{CertificateParams, KeyPair};
use reqwest::{Certificate, Client, Identity};
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

/// A file whose name a spreadsheet would run.
const PATH: &str = "=cmd/billing.env";
/// A remote of that sort.
const REMOTE: &str = "=git.example.org/acme/app";

/// A collector that knows one host with one credential.
struct Filled {
    collector: Collector,
    id: String,
    host: String,
    token: String,
    /// Removed when dropped: after the collector, which writes there.
    directory: tempfile::TempDir,
}

impl Filled {
    async fn start() -> Result<Filled> {
        let directory = tempfile::tempdir()?;
        let collector = Collector::start(&directory.path().join("collector")).await?;
        let mut random = [0; 16];
        getrandom::fill(&mut random)?;
        let id = format!("AKID{}", data_encoding::HEXLOWER.encode(&random));
        let host = report(&collector, &id).await?;
        let token = collector.api_token("command-line", "responder").await?;
        Ok(Filled {
            directory,
            collector,
            id,
            host,
            token,
        })
    }

    fn command(&self, args: &[&str]) -> Result<Command> {
        let mut command = Command::new(program::path("akwatch")?);
        command
            .args(args)
            .env_clear()
            .env("XDG_CONFIG_HOME", self.directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        Ok(command)
    }

    /// Runs a command with the account in the environment.
    async fn run(&self, args: &[&str]) -> Result<Output> {
        let mut command = self.command(args)?;
        command
            .env("AKWATCH_URL", &self.collector.people)
            .env("AKWATCH_CA", &self.collector.authority)
            .env("AKWATCH_TOKEN", &self.token);
        Ok(command.output().await?)
    }

    /// The same, and expects success.
    async fn says(&self, args: &[&str]) -> Result<String> {
        let output = self.run(args).await?;
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.success(), "{args:?}: {error}");
        Ok(String::from_utf8(output.stdout)?)
    }
}

/// Enrolls a host that reports one finding of `id`; gives the host's id.
async fn report(collector: &Collector, id: &str) -> Result<String> {
    let bootstrap: Bootstrap = collector.bootstrap().await?.parse()?;
    let key = KeyPair::generate()?;
    let authority = Certificate::from_pem(&std::fs::read(&collector.authority)?)?;
    let enroll = Enroll {
        protocol: PROTOCOL,
        token: bootstrap.token.clone(),
        secret: bootstrap.secret.clone(),
        csr: CertificateParams::default()
            .serialize_request(&key)?
            .pem()?,
        facts: HostFacts {
            hostname: "web-01".to_owned(),
            ..HostFacts::default()
        },
    };
    let client = Client::builder()
        .tls_certs_only([authority.clone()])
        .build()?;
    let url = format!("{}/v1/enroll", collector.agents);
    let enrolled: Enrolled = client.post(url).json(&enroll).send().await?.json().await?;
    let pem = format!("{}{}", enrolled.certificate, key.serialize_pem());
    let client = Client::builder()
        .tls_certs_only([authority])
        .identity(Identity::from_pem(pem.as_bytes())?)
        .build()?;
    let report = Report {
        host: enrolled.host,
        instance: enrolled.host.0,
        upto: 1,
        resync: None,
        findings: vec![finding(id, enrolled.fleet_key.epoch.clone())?],
        answers: Vec::new(),
    };
    let url = format!("{}/v1/report", collector.agents);
    let reported: Reported = client.post(url).json(&report).send().await?.json().await?;
    ensure!(reported.upto == 1);
    Ok(enrolled.host.to_string())
}

fn finding(id: &str, epoch: akwatch_proto::credential::Epoch) -> Result<Finding> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    let now = Time(1_800_000_000_000);
    Ok(Finding {
        key: FindingKey {
            place: Place::File {
                path: SafeText::try_from(PATH.to_owned())?,
                inside: Vec::new(),
            },
            subject: Subject::Secret(Fingerprint {
                scheme: Scheme::Hmac,
                epoch,
                bytes,
            }),
        },
        rule: RuleId::parse("tencent.access-key")?,
        provider: Provider::parse("tencent")?,
        kind: Kind::AccessKeyPair,
        credential_id: Some(CredentialId::parse(id)?),
        confidence: Confidence::Paired,
        preview: Some(Preview {
            prefix: None,
            length: LengthClass::of(32),
        }),
        proof: Vec::new(),
        spot: Spot {
            line: 3,
            end_line: 3,
            ..Spot::default()
        },
        reach: Reach {
            mode: Some("0644".to_owned()),
            world_readable: true,
            ..Reach::default()
        },
        origin: Origin::default(),
        git: Some(Git {
            repository: SafeText::try_from("/srv/app".to_owned())?,
            commit: Some(CommitId::parse(&"5d".repeat(20))?),
            authored: Some(now),
            path: None,
            state: PushState::Pushed,
            why: None,
            remotes: vec![Remote {
                name: SafeText::from_program("origin"),
                address: Some(SafeText::from_program(REMOTE)),
                reached: true,
            }],
        }),
        written_by: None,
        delivered: false,
        presence: Presence::Present { since: now },
        why_new: WhyNew::PlaceChanged,
        first_seen: now,
        last_verified: now,
        returns: 0,
        revision: 1,
    })
}

#[tokio::test]
async fn every_list_is_a_table_json_and_csv() -> Result<()> {
    let filled = Filled::start().await?;
    let id = filled.id.as_str();
    for (args, heading, cell) in [
        (&["hosts"][..], "SCORE", "web-01"),
        (&["credentials"], "VERDICT", id),
        (&["findings", "--presence", "present"], "SCORE", id),
        (&["host", "show", "web-01"], "SCORE", id),
        (&["host", "show", &filled.host], "web-01", PATH),
        (&["findings", "--pushed", "pushed"], "GIT", REMOTE),
        (&["credential", "show", id], "Exposed", PATH),
        (&["credential", "show", id], "pushed to", REMOTE),
        (&["who-holds", id], "In 1 place.", PATH),
    ] {
        let table = filled.says(args).await?;
        assert!(
            table.contains(heading) && table.contains(cell),
            "{args:?}:\n{table}"
        );
        let args = [args, &["--output", "json"]].concat();
        let json: Value = serde_json::from_str(&filled.says(&args).await?)?;
        assert!(json.to_string().contains(cell), "{args:?}: {json}");
    }
    let csv = filled.says(&["findings", "--output", "csv"]).await?;
    assert!(
        csv.starts_with("score,presence,credential,") && csv.contains(",'=cmd/"),
        "{csv}"
    );
    let csv = filled.says(&["export", "--output", "csv"]).await?;
    assert!(
        csv.contains(id)
            && csv.contains("\"'=cmd/billing.env\"")
            && csv.contains("\"'=git.example.org/acme/app\""),
        "{csv}"
    );
    let line = filled.says(&["export", "--id", id]).await?;
    assert_eq!(
        serde_json::from_str::<Value>(line.trim())?["location"]["path"],
        PATH
    );
    filled.collector.stop().await
}

#[tokio::test]
async fn a_decision_is_told_kept_and_audited() -> Result<()> {
    let filled = Filled::start().await?;
    let id = filled.id.as_str();
    let told = filled
        .says(&[
            "credential",
            "decide",
            id,
            "rotated",
            "--note",
            "in the cloud's console",
        ])
        .await?;
    assert!(
        told.contains("new → rotated") && told.contains("still lies in 1 place"),
        "{told}"
    );
    let shown = filled.says(&["credential", "show", id]).await?;
    assert!(
        shown.contains("Rotated, still present") && shown.contains("in the cloud's console"),
        "{shown}"
    );
    let late = ["credential", "decide", id, "new", "--if-version", "0"];
    let output = filled.run(&late).await?;
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("has decided since you looked"), "{error}");
    let why = filled
        .run(&["credential", "decide", id, "false-positive"])
        .await?;
    assert!(String::from_utf8_lossy(&why.stderr).contains("Say why"));
    let refused = filled.run(&["audit"]).await?;
    assert!(String::from_utf8_lossy(&refused.stderr).contains("auditor or admin"));
    let auditor = filled.collector.api_token("audit", "auditor").await?;
    let mut command = filled.command(&["audit", "--action", "decide"])?;
    let output = command
        .env("AKWATCH_URL", &filled.collector.people)
        .env("AKWATCH_CA", &filled.collector.authority)
        .env("AKWATCH_TOKEN", auditor)
        .output()
        .await?;
    let log = String::from_utf8(output.stdout)?;
    assert!(log.contains("new → rotated"), "{log}");
    filled.collector.stop().await
}

#[tokio::test]
async fn a_saved_account_serves_later_commands_and_its_token_stays_in_its_file() -> Result<()> {
    let filled = Filled::start().await?;
    let ca = filled.collector.authority.to_string_lossy().into_owned();
    let mut login = filled.command(&["login", &filled.collector.people, "--ca", &ca])?;
    let mut child = login.stdin(Stdio::piped()).spawn()?;
    let mut stdin = child.stdin.take().context("a pipe")?;
    stdin
        .write_all(format!("{}\n", filled.token).as_bytes())
        .await?;
    drop(stdin);
    let output = child.wait_with_output().await?;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "{told}");
    assert!(
        told.contains("responder") && !told.contains(&filled.token),
        "{told}"
    );
    let hosts = filled.command(&["hosts"])?.output().await?;
    assert!(String::from_utf8_lossy(&hosts.stdout).contains("web-01"));
    let mode = |path: &Path| {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::metadata(path).map(|metadata| metadata.permissions().mode() & 0o777)
    };
    assert_eq!(
        mode(&filled.directory.path().join("akwatch/account.toml"))?,
        0o600
    );
    // A token that was saved for one collector is not sent to another.
    let other = filled
        .command(&["hosts", "--url", "https://127.0.0.1:1"])?
        .output()
        .await?;
    assert_eq!(other.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&other.stderr).contains("no collector is known with a token"));
    filled.collector.stop().await
}

#[tokio::test]
async fn what_fails_says_why_and_ends_with_its_status() -> Result<()> {
    let filled = Filled::start().await?;
    for (args, status, says) in [
        (
            &["host", "show", "nowhere"][..],
            1,
            "no host is called nowhere",
        ),
        (
            &["credential", "show", "cr_nothing"],
            1,
            "no such credential",
        ),
        (&["findings", "--presence", "there"], 1, "presence"),
        (&["findings", "--pushed", "perhaps"], 1, "pushed"),
        (&["who-holds", "abc/def+ghi="], 2, "who-holds -"),
        (&["hosts", "--url", "http://a"], 2, "https://"),
        (
            &["hosts", "--url", "https://127.0.0.1:1"],
            2,
            "Is the collector running",
        ),
        (&["hosts", "--ca", "/nowhere.pem"], 2, "/nowhere.pem"),
        (&["hosts", "--colour"], 2, "--colour"),
    ] {
        let output = filled.run(args).await?;
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(status), "{args:?}: {told}");
        assert!(told.contains(says), "{args:?}: {told}");
    }
    let nothing = filled.command(&["hosts"])?.output().await?;
    assert_eq!(nothing.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&nothing.stderr).contains("akwatch login"));
    filled.collector.stop().await
}

#[tokio::test]
async fn a_pasted_secret_names_its_places_and_is_not_repeated() -> Result<()> {
    let fleet = Fleet::start().await?;
    let pair = plant::aws();
    let file = fleet.watched.join("credentials");
    plant::write(
        &file,
        &format!(
            "[default]\naws_access_key_id = {}\naws_secret_access_key = {}\n",
            pair.id, pair.secret
        ),
    )?;
    fleet.wait_state(&pair.id, &shown(&file), "present").await?;
    let ask = async |secret: &str| -> Result<(Option<i32>, String)> {
        let token = fleet.collector.api_token("pasted", "responder").await?;
        let mut child = Command::new(program::path("akwatch")?)
            .args(["who-holds", "-"])
            .env_clear()
            .env("XDG_CONFIG_HOME", fleet.directory.path())
            .env("AKWATCH_URL", &fleet.collector.people)
            .env("AKWATCH_CA", &fleet.collector.authority)
            .env("AKWATCH_TOKEN", token)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut stdin = child.stdin.take().context("a pipe")?;
        stdin.write_all(format!("{secret}\n").as_bytes()).await?;
        drop(stdin);
        let output = child.wait_with_output().await?;
        let told = [output.stdout, output.stderr].concat();
        Ok((output.status.code(), String::from_utf8(told)?))
    };
    let (status, told) = ask(&pair.secret).await?;
    assert_eq!(status, Some(0), "{told}");
    assert!(
        told.contains(&shown(&file)) && told.contains("In 1 place."),
        "{told}"
    );
    assert!(!told.contains(&pair.secret[..8]), "{told}");
    let (_, told) = ask(&plant::aws().secret).await?;
    assert!(!told.contains(&shown(&file)), "{told}");
    fleet.stop().await
}
