//! The courier against a real TLS collector: what gets through, what is told, what is renewed.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use akwatch_proto::agent::{
    CheckIn, CheckInAnswer, HostId, Nonce, RefusalCode, Renewed, Report, Reported, ServerTime,
};
use akwatch_proto::limits;
use akwatch_proto::time::Time;
use tokio::sync::Notify;
use tokio::sync::mpsc::{Sender, UnboundedReceiver};
use uuid::Uuid;

use super::testing::{Authority, Call, Presentation, Reply, TestCollector, own_seconds};
use super::*;
use crate::config::Config;
use crate::identity::tests::enrolled;
use crate::identity::{HostRecord, Identity};

const DAY: i64 = 86_400_000;

/// The longest that anything here is waited for.
const LONG: Duration = Duration::from_secs(180);

fn collector_of(urls: &[String], proxy: Option<&str>) -> Collector {
    let urls: Vec<String> = urls.iter().map(|url| format!("{url:?}")).collect();
    let proxy = proxy.map_or(String::new(), |proxy| format!("proxy = {proxy:?}\n"));
    let text = format!("[collector]\nurls = [{}]\n{proxy}", urls.join(","));
    Config::from_texts(&[("agent.toml".into(), text)])
        .unwrap()
        .collector
}

fn report(upto: u64) -> Outgoing {
    Outgoing::Report(Report {
        host: HostId::from_u128(1),
        instance: Uuid::from_u128(2),
        upto,
        resync: None,
        findings: Vec::new(),
        answers: Vec::new(),
    })
}

fn check_in() -> Outgoing {
    Outgoing::CheckIn(CheckIn {
        host: HostId::from_u128(1),
        serial: 0,
        wait_seconds: 1,
        outcomes: Vec::new(),
    })
}

fn reported(upto: u64) -> Reported {
    Reported {
        upto,
        reread: Vec::new(),
        questions: Vec::new(),
    }
}

/// A reporter in a runtime of its own, as in its process.
struct Running {
    ask: Sender<Outgoing>,
    heard: UnboundedReceiver<FromReporter>,
    runtime: tokio::runtime::Runtime,
    directory: tempfile::TempDir,
}

fn start(directory: tempfile::TempDir, urls: &[String], proxy: Option<&str>) -> Running {
    let (say, heard) = mpsc::unbounded_channel();
    let (ask, requests) = mpsc::channel(8);
    let setup = Setup {
        collector: collector_of(urls, proxy),
        identity: directory.path().to_owned(),
        patience: Patience {
            first: Duration::from_millis(5),
            longest: Duration::from_millis(50),
            believed: Duration::from_secs(5),
        },
    };
    let reporter = Reporter::open(setup, say).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    runtime.spawn(reporter.serve(requests));
    Running {
        ask,
        heard,
        runtime,
        directory,
    }
}

impl Running {
    fn ask(&self, message: Outgoing) {
        self.ask.blocking_send(message).unwrap();
    }

    /// The next message that `wanted` takes; fails when none came in a long time.
    fn hear<T>(&mut self, wanted: impl Fn(FromReporter) -> Option<T>) -> T {
        let heard = &mut self.heard;
        self.runtime.block_on(async move {
            let next = async {
                loop {
                    let message = heard.recv().await.expect("the reporter ended");
                    if let Some(found) = wanted(message) {
                        return found;
                    }
                }
            };
            tokio::time::timeout(LONG, next)
                .await
                .expect("no such message came")
        })
    }

    fn answer(&mut self) -> Answer {
        self.hear(|message| match message {
            FromReporter::Answered(answer) => Some(answer),
            _ => None,
        })
    }

    fn outage(&mut self) -> Outage {
        self.hear(|message| match message {
            FromReporter::Outage(outage) => Some(outage),
            _ => None,
        })
    }
}

/// Answers reports and refuses everything else.
fn accepting(call: &Call) -> Reply {
    match call.path.as_str() {
        "/v1/report" => Reply::json(&reported(call.body["upto"].as_u64().unwrap())),
        _ => Reply::refused(404, "not-found"),
    }
}

/// The outage that a report meets at a collector that answers like this.
fn outage_of(reply: impl Fn(&Call) -> Reply + Send + Sync + 'static) -> Outage {
    let authority = Authority::new();
    let collector = TestCollector::start(&authority, reply);
    let mut running = start(enrolled(&authority).0, &[collector.url()], None);
    running.ask(report(1));
    running.outage()
}

#[test]
fn a_report_arrives_as_the_host_and_is_answered() {
    let authority = Authority::new();
    let collector = TestCollector::start(&authority, accepting);
    let mut running = start(enrolled(&authority).0, &[collector.url()], None);
    for upto in [1, 2] {
        running.ask(report(upto));
        assert_eq!(running.answer(), Answer::Report(reported(upto)));
    }
    assert!(collector.calls().iter().all(|call| call.certified));
}

#[test]
fn a_held_check_in_does_not_hold_reports_up() {
    let authority = Authority::new();
    let held = Arc::new(Notify::new());
    let holding = held.clone();
    let collector = TestCollector::start(&authority, move |call| match call.path.as_str() {
        "/v1/check-in" => Reply {
            held: Some(holding.clone()),
            ..Reply::json(&CheckInAnswer {
                directives: Vec::new(),
            })
        },
        _ => accepting(call),
    });
    let mut running = start(enrolled(&authority).0, &[collector.url()], None);
    running.ask(check_in());
    running.ask(report(1));
    assert!(matches!(running.answer(), Answer::Report(_)));
    held.notify_one();
    assert!(matches!(running.answer(), Answer::CheckIn(_)));
}

#[test]
fn what_is_sent_large_travels_compressed() {
    let authority = Authority::new();
    let collector = TestCollector::start(&authority, accepting);
    let mut running = start(enrolled(&authority).0, &[collector.url()], None);
    let mut large = report(1);
    if let Outgoing::Report(report) = &mut large {
        report.findings = super::testing::findings(50);
    }
    running.ask(large);
    running.answer();
    let findings = collector.calls()[0].body["findings"]
        .as_array()
        .unwrap()
        .len();
    assert_eq!(findings, 50);
}

#[test]
fn back_pressure_is_obeyed_and_the_report_arrives_in_the_end() {
    let authority = Authority::new();
    let calls = AtomicUsize::new(0);
    let collector = TestCollector::start(&authority, move |call| {
        if calls.fetch_add(1, Ordering::Relaxed) == 0 {
            return Reply::refused(429, "busy").with("retry-after", "1");
        }
        accepting(call)
    });
    let mut running = start(enrolled(&authority).0, &[collector.url()], None);
    let began = Instant::now();
    running.ask(report(1));
    let outage = running.outage();
    assert_eq!(outage.refused.unwrap().code, RefusalCode::Busy);
    assert!(outage.retry_ms.unwrap() >= 1000);
    assert!(matches!(running.answer(), Answer::Report(_)));
    assert!(began.elapsed() >= Duration::from_secs(1));
}

#[test]
fn a_refusal_for_good_is_told_once_and_not_repeated() {
    for (status, code) in [
        (403, "revoked"),
        (403, "clone"),
        (413, "too-large"),
        (400, "malformed"),
    ] {
        let outage = outage_of(move |_| Reply::refused(status, code));
        assert_eq!((outage.retry_ms, outage.call.as_str()), (None, "report"));
        assert!(
            outage.why.contains(&format!("refused: {code}")),
            "{}",
            outage.why
        );
    }
}

#[test]
fn a_failing_collector_is_asked_again() {
    let outage = outage_of(|_| Reply {
        body: b"<html>\x1b[31mBad gateway".to_vec(),
        ..Reply::refused(502, "x")
    });
    assert!(outage.retry_ms.is_some());
    assert!(outage.why.contains("502"), "{}", outage.why);
    assert!(!outage.why.contains('\u{1b}'));
}

#[test]
fn a_collector_that_is_away_is_failed_over() {
    let authority = Authority::new();
    let collector = TestCollector::start(&authority, accepting);
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let away = format!("https://{}", free.local_addr().unwrap());
    drop(free);
    let broken = TestCollector::start(&authority, |_| Reply::refused(503, "internal"));
    let urls = [away, broken.url(), collector.url()];
    let mut running = start(enrolled(&authority).0, &urls, None);
    for upto in 1..4 {
        running.ask(report(upto));
        assert_eq!(running.answer(), Answer::Report(reported(upto)));
    }
    assert_eq!(
        broken.count("/v1/report"),
        1,
        "the one that answered is kept"
    );
}

#[test]
fn an_unreachable_collector_is_named_and_tried_again() {
    let authority = Authority::new();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let mut running = start(
        enrolled(&authority).0,
        &[format!("https://{address}")],
        None,
    );
    running.ask(report(1));
    let outage = running.outage();
    assert!(outage.why.contains(&address.to_string()), "{}", outage.why);
    assert!(outage.why.contains("cannot be reached"));
    assert!(outage.retry_ms.is_some());
    running.outage();
}

#[test]
fn an_impostor_learns_nothing_and_is_named() {
    let (authority, other) = (Authority::new(), Authority::named("Evil Inspection CA"));
    for (authority_of_it, word) in [
        (Authority::new(), "another akwatch authority"),
        (other, "Evil Inspection CA"),
    ] {
        let impostor = TestCollector::start(&authority_of_it, accepting);
        let mut running = start(enrolled(&authority).0, &[impostor.url()], None);
        running.ask(report(1));
        let outage = running.outage();
        assert!(outage.why.contains(word), "{}", outage.why);
        assert!(outage.why.contains(&impostor.address.to_string()));
        assert!(impostor.calls().is_empty());
    }
}

#[test]
fn another_name_is_told_apart() {
    let authority = Authority::new();
    let presentation = Presentation {
        name: "elsewhere.example",
        ..Presentation::default()
    };
    let collector = TestCollector::present(&authority, &presentation, accepting);
    let mut running = start(enrolled(&authority).0, &[collector.url()], None);
    running.ask(report(1));
    assert!(running.outage().why.contains("other names"));
}

#[test]
fn answers_are_bounded_before_and_after_unpacking() {
    let plain = vec![b' '; limits::BODY_DECOMPRESSED + 1];
    let bomb = zstd::bulk::compress(&plain, 3).unwrap();
    assert!(bomb.len() < 100_000);
    let outage = outage_of(move |_| Reply {
        body: plain.clone(),
        ..Reply::json(&1)
    });
    assert!(
        outage.why.contains("longer than any answer"),
        "{}",
        outage.why
    );
    let outage = outage_of(move |_| {
        Reply {
            body: bomb.clone(),
            ..Reply::json(&1)
        }
        .with("content-encoding", "zstd")
    });
    assert!(outage.why.contains("unpacks to more"), "{}", outage.why);
    let outage = outage_of(|_| Reply::json(&"no report's answer"));
    assert!(
        outage.why.contains("not what this call answers"),
        "{}",
        outage.why
    );
}

/// Issues certificates as a collector does, and proves the old key itself.
fn renewing(
    authority: Arc<Authority>,
    record: HostRecord,
    days: i64,
    offset: i64,
) -> impl Fn(&Call) -> Reply + Send + Sync {
    move |call| {
        let time = Time::from_seconds(own_seconds()).plus(offset);
        let renewed = || {
            Reply::json(&Renewed {
                certificate: authority.host(call.body["csr"].as_str().unwrap(), &record, days),
                authorities: authority.pem(),
                time,
            })
        };
        match call.path.as_str() {
            "/v1/time" => Reply::json(&ServerTime { time }),
            "/v1/renew" if call.certified => renewed(),
            "/v1/renew/challenge" => Reply::json(&Nonce {
                nonce: "ab".repeat(32),
            }),
            "/v1/renew/expired" if !call.certified && signed(&call.body) => renewed(),
            _ => accepting(call),
        }
    }
}

/// Whether the old key signed nonce and request.
fn signed(body: &serde_json::Value) -> bool {
    use base64::Engine as _;
    use rustls::pki_types::pem::PemObject as _;
    use x509_parser::prelude::FromDer as _;
    let text = |name: &str| body[name].as_str().unwrap().to_owned();
    let certificate =
        rustls::pki_types::CertificateDer::from_pem_slice(text("certificate").as_bytes()).unwrap();
    let (_, certificate) =
        x509_parser::certificate::X509Certificate::from_der(&certificate).unwrap();
    let nonce = data_encoding::HEXLOWER
        .decode(text("nonce").as_bytes())
        .unwrap();
    let csr = text("csr");
    let message = [akwatch_proto::agent::RENEW_CONTEXT, &nonce, csr.as_bytes()].concat();
    let signature = base64::engine::general_purpose::STANDARD
        .decode(text("signature"))
        .unwrap();
    let key = certificate.public_key().subject_public_key.data.as_ref();
    let provider = super::trust::provider();
    let algorithms = provider.signature_verification_algorithms;
    algorithms.all.iter().any(|algorithm| {
        algorithm
            .verify_signature(key, &message, &signature)
            .is_ok()
    })
}

/// An enrolled host whose certificate ends in `days`.
fn host_with(authority: &Authority, days: i64) -> (tempfile::TempDir, Identity) {
    let directory = tempfile::tempdir().unwrap();
    let key = crate::identity::PendingKey::make().unwrap();
    let record = authority.record();
    let certificate = authority.host(&key.csr, &record, days);
    let identity = Identity::found(
        directory.path(),
        &record,
        &key,
        &certificate,
        &authority.pem(),
        None,
    )
    .unwrap();
    (directory, identity)
}

fn renewed(running: &mut Running) -> Time {
    running.hear(|message| match message {
        FromReporter::Renewed { not_after } => Some(not_after),
        _ => None,
    })
}

#[test]
fn a_certificate_past_its_half_is_renewed_with_a_new_key() {
    let authority = Arc::new(Authority::new());
    // It began an hour ago and ends in no time: long past its half.
    let (directory, old) = host_with(&authority, 0);
    let record = old.record.clone();
    let collector = TestCollector::start(&authority, renewing(authority.clone(), record, 7, 0));
    let mut running = start(directory, &[collector.url()], None);
    let not_after = renewed(&mut running);
    assert!(not_after > old.not_after);
    let new = Identity::open(running.directory.path()).unwrap();
    assert_eq!(new.not_after, not_after);
    assert_ne!(new.key().secret_der(), old.key().secret_der());
    running.ask(report(1));
    assert!(matches!(running.answer(), Answer::Report(_)));
}

#[test]
fn a_fresh_certificate_is_left_alone() {
    let authority = Arc::new(Authority::new());
    let (directory, identity) = host_with(&authority, 7);
    let record = identity.record.clone();
    let collector = TestCollector::start(&authority, renewing(authority.clone(), record, 7, 0));
    let mut running = start(directory, &[collector.url()], None);
    running.ask(report(1));
    running.answer();
    assert_eq!(collector.count("/v1/renew"), 0);
}

#[test]
fn an_expired_certificate_is_rescued_by_the_old_key() {
    let authority = Arc::new(Authority::new());
    let (directory, old) = host_with(&authority, -3);
    let record = old.record.clone();
    let collector = TestCollector::start(&authority, renewing(authority.clone(), record, 7, 0));
    let mut running = start(directory, &[collector.url()], None);
    running.ask(report(1));
    assert!(matches!(running.answer(), Answer::Report(_)));
    assert_eq!(collector.count("/v1/renew/expired"), 1);
    let new = Identity::open(running.directory.path()).unwrap();
    assert!(new.not_after > old.not_after);
}

/// The collector's clock is `ahead` days ahead of this host's; the host's certificate holds there.
fn check_wrong_clock(ahead: i64) {
    let authority = Arc::new(Authority::new());
    let presentation = Presentation {
        days: (ahead - 1, ahead + 5),
        ahead,
        ..Presentation::default()
    };
    let directory = tempfile::tempdir().unwrap();
    let key = crate::identity::PendingKey::make().unwrap();
    let record = authority.record();
    let there = own_seconds() + ahead * 86_400;
    let certificate = authority.host_at(&key.csr, &record, there, 7);
    Identity::found(
        directory.path(),
        &record,
        &key,
        &certificate,
        &authority.pem(),
        None,
    )
    .unwrap();
    let handler = renewing(authority.clone(), record, 7, ahead * DAY);
    let collector = TestCollector::present(&authority, &presentation, handler);
    let mut running = start(directory, &[collector.url()], None);
    running.ask(report(1));
    assert!(matches!(running.answer(), Answer::Report(_)));
    assert!(collector.count("/v1/time") >= 1);
    // Nothing was due, and to nobody in particular nothing but the time was said.
    assert_eq!(
        collector.count("/v1/renew") + collector.count("/v1/renew/expired"),
        0
    );
    let calls = collector.calls();
    let mut bare = calls.iter().filter(|call| !call.certified);
    assert!(bare.all(|call| call.path == "/v1/time"));
}

#[test]
fn a_clock_that_is_a_month_ahead_or_behind_is_put_right() {
    check_wrong_clock(-30);
    check_wrong_clock(30);
}

#[test]
fn a_proxy_that_wants_a_password_or_refuses_is_named() {
    for (status, word) in [
        ("407 Proxy Authentication Required", "wants a password"),
        ("403 Forbidden", "does not connect"),
    ] {
        let proxy = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = proxy.local_addr().unwrap();
        let thread = std::thread::spawn(move || {
            use std::io::{Read as _, Write as _};
            let (mut stream, _) = proxy.accept().unwrap();
            let mut head = [0; 1024];
            let length = stream.read(&mut head).unwrap();
            assert!(head[..length].starts_with(b"CONNECT collector.example:7443 "));
            write!(stream, "HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").unwrap();
        });
        let authority = Authority::new();
        let urls = ["https://collector.example:7443".to_owned()];
        let proxy = format!("http://{address}");
        let mut running = start(enrolled(&authority).0, &urls, Some(&proxy));
        running.ask(report(1));
        let outage = running.outage();
        assert!(outage.why.contains(word), "{}", outage.why);
        assert!(outage.why.contains(&address.to_string()));
        thread.join().unwrap();
    }
}

#[test]
fn without_an_identity_it_says_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let (say, _heard) = mpsc::unbounded_channel();
    let setup = Setup::new(
        collector_of(&["https://c.example".to_owned()], None),
        directory.path(),
    );
    let error = Reporter::open(setup, say).unwrap_err().to_string();
    assert!(error.contains("akwatch-agent enroll"), "{error}");
}

#[test]
fn it_serves_the_watcher_over_a_link_and_ends_with_it() {
    let authority = Authority::new();
    let collector = TestCollector::start(&authority, accepting);
    let (directory, identity) = enrolled(&authority);
    let (watchers, own): (crate::link::ReporterLink, _) = Link::pair().unwrap();
    let setup = Setup::new(collector_of(&[collector.url()], None), directory.path());
    let serving = std::thread::spawn(move || run(own, vec!["landlock".to_owned()], setup));
    let (mut outlet, mut inlet) = watchers.split();
    let long = LONG;
    let first = inlet.hear(Some(long)).unwrap().unwrap();
    let missing_walls = vec!["landlock".to_owned()];
    assert_eq!(first, FromReporter::Started { missing_walls });
    let second = inlet.hear(Some(long)).unwrap().unwrap();
    let not_after = identity.not_after;
    assert_eq!(second, FromReporter::Certified { not_after });
    outlet.say(&ToReporter::Send(report(7)), long).unwrap();
    let answer = inlet.hear(Some(long)).unwrap().unwrap();
    assert_eq!(answer, FromReporter::Answered(Answer::Report(reported(7))));
    let carried = inlet.hear(Some(long)).unwrap().unwrap();
    assert!(
        matches!(carried, FromReporter::Carried { bytes: 50.. }),
        "{carried:?}"
    );
    outlet.close();
    serving.join().unwrap().unwrap();
}
