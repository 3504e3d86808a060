//! A collector in a directory of its own, hosts that enroll with it, and people who ask it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use akwatch_proto::agent::{
    Bootstrap, CostReceipt, Enroll, Enrolled, Heartbeat, HostFacts, HostId, PROTOCOL, RefusalCode,
    Refused, Report,
};
use akwatch_proto::coverage::{Coverage, Covered, Rung, SourceCoverage};
use akwatch_proto::credential::{
    Confidence, CredentialId, Fingerprint, Kind, LengthClass, Preview, Provider, RuleId, Scheme,
};
use akwatch_proto::digest::SetDigest;
use akwatch_proto::finding::{Finding, FindingKey, Presence, Subject, WhyNew};
use akwatch_proto::place::{Origin, Place, Reach, SafeText, Spot};
use akwatch_proto::time::Time;
use rcgen::{CertificateParams, KeyPair};
use reqwest::{Certificate, Client, Identity};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Uuid;

/// The longest that anything here is waited for.
const PATIENCE: Duration = Duration::from_secs(180);

/// Waits for a condition; fails when it does not come true in time.
pub(crate) async fn until<T>(what: &str, mut probe: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = probe().await {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "waited too long for {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A collector's directory, and the program if it runs.
pub(crate) struct World {
    directory: tempfile::TempDir,
    child: Option<Child>,
    pub(crate) agents: String,
    pub(crate) people: String,
}

impl World {
    /// A directory with a configuration; nothing runs yet.
    pub(crate) fn prepared() -> World {
        let directory = tempfile::tempdir().unwrap();
        let text = "[listen]\nagents = '127.0.0.1:0'\npeople = '127.0.0.1:0'\n";
        std::fs::write(directory.path().join("server.toml"), text).unwrap();
        World {
            directory,
            child: None,
            agents: String::new(),
            people: String::new(),
        }
    }

    /// A running collector.
    pub(crate) async fn start() -> World {
        let mut world = World::prepared();
        world.run().await;
        world
    }

    /// Starts the program and waits until it listens.
    pub(crate) async fn run(&mut self) {
        let ready = self.path("ready.json");
        let _ = std::fs::remove_file(&ready);
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.path("log"))
            .unwrap();
        let child = self
            // A bare name: it is of the directory that the program was started in.
            .command(&["run", "--ready-file", "ready.json"])
            .current_dir(self.directory.path())
            .env("AKWATCH_LOG", "trace,hyper=info")
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.child = Some(child);
        let ready: Value = until("the collector to listen", async || {
            let status = self.child.as_mut().unwrap().try_wait().unwrap();
            assert!(status.is_none(), "the collector ended: {}", self.log());
            std::fs::read(&ready)
                .ok()
                .and_then(|line| serde_json::from_slice(&line).ok())
        })
        .await;
        self.agents = ready["agents"].as_str().unwrap().to_owned();
        self.people = ready["people"].as_str().unwrap().to_owned();
    }

    /// Ends the program as a crash would.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// Waits for the program to end by itself and says whether it was in order.
    pub(crate) async fn ended(&mut self) -> bool {
        let mut child = self.child.take().unwrap();
        until("the collector to end", async || child.try_wait().unwrap())
            .await
            .success()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.path("state")
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_akwatch-server"));
        command
            .args(args)
            .args(["--config", self.path("server.toml").to_str().unwrap()])
            .args(["--state", self.state().to_str().unwrap()])
            .stdin(Stdio::null());
        command
    }

    /// A verb's one line.
    pub(crate) fn verb(&self, args: &[&str]) -> String {
        let output = self.command(args).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{args:?}: {told}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// A verb's failure.
    pub(crate) fn refused(&self, args: &[&str]) -> String {
        let output = self.command(args).output().unwrap();
        assert!(!output.status.success(), "{args:?} did not fail");
        String::from_utf8(output.stderr).unwrap()
    }

    pub(crate) fn bootstrap(&self) -> Bootstrap {
        self.verb(&["enrollment-token", "create"]).parse().unwrap()
    }

    /// Someone with an API token of a role.
    pub(crate) fn person(&self, role: &str) -> Person {
        self.person_of(role, &[])
    }

    /// The same, who sees hosts with one of these labels only.
    pub(crate) fn person_of(&self, role: &str, labels: &[&str]) -> Person {
        let mut verb = vec!["api-token", "create", "--name", "test", "--role", role];
        verb.extend(labels.iter().flat_map(|label| ["--label", *label]));
        let token = self.verb(&verb);
        Person {
            client: self.client().build().unwrap(),
            base: self.people.clone(),
            token: Some(token),
        }
    }

    /// A client that trusts this collector.
    pub(crate) fn client(&self) -> reqwest::ClientBuilder {
        let authority = std::fs::read(self.state().join("ca.pem")).unwrap();
        Client::builder()
            .tls_certs_only([Certificate::from_pem(&authority).unwrap()])
            .timeout(PATIENCE)
    }

    /// Enrolls a host, and expects success.
    pub(crate) async fn host(&self) -> Host {
        self.enrolled(&self.bootstrap()).await
    }

    /// Enrolls a host that carries a label, and expects success.
    pub(crate) async fn host_of(&self, label: &str) -> Host {
        let bootstrap = self.verb(&["enrollment-token", "create", "--label", label]);
        self.enrolled(&bootstrap.parse().unwrap()).await
    }

    async fn enrolled(&self, bootstrap: &Bootstrap) -> Host {
        let (key, csr) = request();
        let enrolled: Enrolled = told(self.enroll(bootstrap, &csr).await).await.unwrap();
        Host::new(self, enrolled, &key)
    }

    pub(crate) async fn enroll(&self, bootstrap: &Bootstrap, csr: &str) -> reqwest::Response {
        let (client, base) = (self.client().build().unwrap(), self.agents.clone());
        World::enrolling(client, base, bootstrap.clone(), csr.to_owned())
            .await
            .unwrap()
    }

    /// Asks to be enrolled by way of `base`.
    pub(crate) async fn enrolling(
        client: Client,
        base: String,
        bootstrap: Bootstrap,
        csr: String,
    ) -> reqwest::Result<reqwest::Response> {
        let body = Enroll {
            protocol: PROTOCOL,
            token: bootstrap.token.clone(),
            secret: bootstrap.secret.clone(),
            csr,
            facts: HostFacts {
                hostname: "web-01".to_owned(),
                ..HostFacts::default()
            },
        };
        client
            .post(format!("{base}/v1/enroll"))
            .json(&body)
            .send()
            .await
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A fresh key and a certificate request for it.
pub(crate) fn request() -> (KeyPair, String) {
    let key = KeyPair::generate().unwrap();
    let csr = CertificateParams::default()
        .serialize_request(&key)
        .unwrap()
        .pem()
        .unwrap();
    (key, csr)
}

/// What an answer says: the body that was asked for, or the refusal.
pub(crate) async fn told<T: DeserializeOwned>(response: reqwest::Response) -> Result<T, Refused> {
    let success = response.status().is_success();
    let text = response.text().await.unwrap();
    if success {
        Ok(serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}")))
    } else {
        Err(serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}")))
    }
}

/// The code of a refusal.
#[track_caller]
pub(crate) fn code<T>(result: Result<T, Refused>) -> RefusalCode {
    match result {
        Ok(_) => panic!("it was not refused"),
        Err(refused) => refused.code,
    }
}

/// An enrolled host that speaks over mutual TLS.
pub(crate) struct Host {
    pub(crate) enrolled: Enrolled,
    pub(crate) id: HostId,
    pub(crate) instance: Uuid,
    pub(crate) client: Client,
    base: String,
}

impl Host {
    pub(crate) fn new(world: &World, enrolled: Enrolled, key: &KeyPair) -> Host {
        let client = world
            .client()
            .identity(identity(&enrolled.certificate, key))
            .build()
            .unwrap();
        let base = world.agents.clone();
        Host {
            id: enrolled.host,
            enrolled,
            instance: Uuid::new_v4(),
            client,
            base,
        }
    }

    pub(crate) async fn call<T: DeserializeOwned>(
        &self,
        call: &str,
        body: &impl Serialize,
    ) -> Result<T, Refused> {
        let packed = zstd::bulk::compress(&serde_json::to_vec(body).unwrap(), 3).unwrap();
        told(self.raw(call, packed, Some("zstd")).await).await
    }

    pub(crate) async fn raw(
        &self,
        call: &str,
        body: Vec<u8>,
        encoding: Option<&str>,
    ) -> reqwest::Response {
        let mut request = self
            .client
            .post(format!("{}/v1/{call}", self.base))
            .header("content-type", "application/json")
            .body(body);
        if let Some(encoding) = encoding {
            request = request.header("content-encoding", encoding);
        }
        request.send().await.unwrap()
    }

    pub(crate) fn report(&self, findings: Vec<Finding>) -> Report {
        let upto = findings
            .iter()
            .map(|finding| finding.revision)
            .max()
            .unwrap_or(0);
        Report {
            host: self.id,
            instance: self.instance,
            upto,
            resync: None,
            findings,
            answers: Vec::new(),
        }
    }

    pub(crate) fn heartbeat(
        &self,
        counter: u64,
        digest: SetDigest,
        acknowledged: u64,
    ) -> Heartbeat {
        Heartbeat {
            host: self.id,
            instance: self.instance,
            counter,
            time: Time(1_800_000_000_000),
            facts: None,
            coverage: Coverage {
                rules: "1".to_owned(),
                rung: Rung::Full,
                rung_reason: None,
                sources: vec![SourceCoverage {
                    source: "files".to_owned(),
                    mechanism: "inotify".to_owned(),
                    covered: Covered::Whole,
                    last_verified: None,
                    read: 7,
                    waiting: 0,
                    not_read: Vec::new(),
                    overflowed: 0,
                    raced: 0,
                }],
                missing_walls: Vec::new(),
                record: None,
                set_aside: Vec::new(),
            },
            digest,
            acknowledged,
            unsent: 0,
            cost: CostReceipt::default(),
            leaving: None,
        }
    }

    /// A finding of `secret` at `path`, as this host's agent would make it.
    pub(crate) fn finding(&self, secret: &[u8], path: &str, revision: u64) -> Finding {
        let fingerprint = self.fingerprint(secret);
        let (now, id) = (Time(1_800_000_000_000), format!("AK{}", "IDEXAMPLE0123456"));
        Finding {
            key: FindingKey {
                place: Place::File {
                    path: SafeText::try_from(path.to_owned()).unwrap(),
                    inside: Vec::new(),
                },
                subject: Subject::Secret(fingerprint),
            },
            rule: RuleId::parse("tencent.access-key").unwrap(),
            provider: Provider::parse("tencent").unwrap(),
            kind: Kind::AccessKeyPair,
            credential_id: Some(CredentialId::parse(&id).unwrap()),
            confidence: Confidence::Paired,
            preview: Some(Preview {
                prefix: None,
                length: LengthClass::of(secret.len()),
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
            git: None,
            written_by: None,
            delivered: false,
            presence: Presence::Present { since: now },
            why_new: WhyNew::PlaceChanged,
            first_seen: now,
            last_verified: now,
            returns: 0,
            revision,
        }
    }

    /// The fingerprint of a machine-made secret, as RFC 2104 and proto say.
    pub(crate) fn fingerprint(&self, secret: &[u8]) -> Fingerprint {
        let key = self.enrolled.fleet_key.expose().unwrap();
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &key);
        let tag = aws_lc_rs::hmac::sign(&key, secret);
        Fingerprint {
            scheme: Scheme::Hmac,
            epoch: self.enrolled.fleet_key.epoch.clone(),
            bytes: tag.as_ref().try_into().unwrap(),
        }
    }
}

/// A client certificate and its key, for a client of the agents' listener.
pub(crate) fn identity(certificate: &str, key: &KeyPair) -> Identity {
    Identity::from_pem(format!("{certificate}{}", key.serialize_pem()).as_bytes()).unwrap()
}

/// A secret made for this run.
pub(crate) fn secret() -> Vec<u8> {
    Uuid::new_v4().simple().to_string().into_bytes()
}

/// Someone who asks the people's listener.
#[derive(Clone)]
pub(crate) struct Person {
    pub(crate) client: Client,
    pub(crate) base: String,
    pub(crate) token: Option<String>,
}

impl Person {
    /// Nobody: no token, a client that keeps what cookies it is given nowhere.
    pub(crate) fn nobody(world: &World) -> Person {
        Person {
            client: world.client().build().unwrap(),
            base: world.people.clone(),
            token: None,
        }
    }

    pub(crate) fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.base));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let path = format!("/api/v1/{path}");
        let response = self
            .request(reqwest::Method::GET, &path)
            .send()
            .await
            .unwrap();
        told(response)
            .await
            .unwrap_or_else(|refused| panic!("{path}: {refused:?}"))
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> reqwest::Response {
        let path = format!("/api/v1/{path}");
        self.request(reqwest::Method::POST, &path)
            .json(body)
            .send()
            .await
            .unwrap()
    }
}

/// Every byte that lies under a directory, file by file.
pub(crate) fn files(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if let Ok(bytes) = std::fs::read(&path) {
            found.push((path, bytes));
        }
    }
    found
}
