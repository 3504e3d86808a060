//! A collector for tests: real TLS, a real authority, answers that a test chooses.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use akwatch_proto::agent::{HostId, PublicKey, TrustDomain};
use akwatch_proto::time::Time;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;

use crate::identity::HostRecord;

/// Signs everything of one collector.
pub(crate) struct Authority {
    key: KeyPair,
    params: CertificateParams,
    der: CertificateDer<'static>,
    pem: String,
    /// What its listeners present as the authority.
    presented: CertificateDer<'static>,
}

impl Authority {
    pub(crate) fn new() -> Authority {
        Authority::named("akwatch authority test")
    }

    pub(crate) fn named(name: &str) -> Authority {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let certificate = params.self_signed(&key).unwrap();
        Authority {
            der: certificate.der().clone(),
            presented: certificate.der().clone(),
            pem: certificate.pem(),
            key,
            params,
        }
    }

    /// This authority, whose listeners present the other's certificate as theirs.
    pub(crate) fn with_chain_of(self, other: &Authority) -> Authority {
        Authority {
            presented: other.der.clone(),
            ..self
        }
    }

    pub(crate) fn pem(&self) -> String {
        self.pem.clone()
    }

    pub(crate) fn pin(&self) -> [u8; 32] {
        Sha256::digest(rcgen::PublicKeyData::subject_public_key_info(&self.key)).into()
    }

    pub(crate) fn record(&self) -> HostRecord {
        let key = ed25519_dalek::SigningKey::from_bytes(&[7; 32]);
        HostRecord {
            host: HostId::from_u128(1),
            trust_domain: TrustDomain::parse("test").unwrap(),
            directive_keys: vec![PublicKey::of(&key.verifying_key())],
            heartbeat_seconds: 60,
            enrolled: Time(0),
        }
    }

    /// A host's certificate that began an hour ago and ends in `days`, which may be negative.
    pub(crate) fn host(&self, csr: &str, record: &HostRecord, days: i64) -> String {
        self.host_at(csr, record, own_seconds(), days)
    }

    /// As [`host`](Authority::host), by an authority for which it is `now`.
    pub(crate) fn host_at(&self, csr: &str, record: &HostRecord, now: i64, days: i64) -> String {
        let request = CertificateSigningRequestParams::from_pem(csr).unwrap();
        let mut params = CertificateParams::default();
        let name = format!("spiffe://{}/host/{}", record.trust_domain, record.host);
        params.subject_alt_names = vec![SanType::URI(name.try_into().unwrap())];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let end = now + days * 86_400;
        valid(&mut params, end.min(now) - 3_600, end);
        let issuer = Issuer::from_params(&self.params, &self.key);
        params
            .signed_by(&request.public_key, &issuer)
            .unwrap()
            .pem()
    }

    /// A listener's certificate for loopback, with `from` and `to` in days from now.
    fn server(&self, from: i64, to: i64, name: &str) -> (CertificateDer<'static>, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let now = own_seconds();
        valid(&mut params, now + from * 86_400, now + to * 86_400);
        let issuer = Issuer::from_params(&self.params, &self.key);
        let certificate = params.signed_by(&key, &issuer).unwrap();
        (certificate.der().clone(), key)
    }
}

fn valid(params: &mut CertificateParams, from: i64, to: i64) {
    let instant = |seconds: i64| {
        rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(u64::try_from(seconds).unwrap())
    };
    params.not_before = instant(from);
    params.not_after = instant(to);
}

pub(crate) fn own_seconds() -> i64 {
    super::Clock::default().now().seconds()
}

/// One request that arrived.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) path: String,
    pub(crate) body: Value,
    /// Whether the client showed a certificate.
    pub(crate) certified: bool,
}

/// What is answered.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
    /// Held until somebody says so.
    pub(crate) held: Option<Arc<Notify>>,
}

impl Reply {
    pub(crate) fn json(value: &impl serde::Serialize) -> Reply {
        Reply {
            status: 200,
            headers: Vec::new(),
            body: serde_json::to_vec(value).unwrap(),
            held: None,
        }
    }

    pub(crate) fn refused(status: u16, code: &str) -> Reply {
        let body = serde_json::json!({"code": code, "message": format!("refused: {code}")});
        Reply {
            status,
            ..Reply::json(&body)
        }
    }

    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Reply {
        self.headers.push((name, value.to_owned()));
        self
    }
}

type Handler = dyn Fn(&Call) -> Reply + Send + Sync;

/// How a test collector presents itself.
pub(crate) struct Presentation {
    /// Its certificate begins and ends so many days from now.
    pub(crate) days: (i64, i64),
    /// The name in it.
    pub(crate) name: &'static str,
    /// Whether the authority itself is in the chain.
    pub(crate) with_authority: bool,
    /// Its clock is so many days ahead of the host's.
    pub(crate) ahead: i64,
}

impl Default for Presentation {
    fn default() -> Presentation {
        Presentation {
            days: (-1, 90),
            name: "127.0.0.1",
            with_authority: true,
            ahead: 0,
        }
    }
}

/// A running collector; ends when dropped.
pub(crate) struct TestCollector {
    pub(crate) address: SocketAddr,
    calls: Arc<Mutex<Vec<Call>>>,
    end: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl TestCollector {
    pub(crate) fn start(
        authority: &Authority,
        handler: impl Fn(&Call) -> Reply + Send + Sync + 'static,
    ) -> TestCollector {
        TestCollector::present(authority, &Presentation::default(), handler)
    }

    pub(crate) fn present(
        authority: &Authority,
        presentation: &Presentation,
        handler: impl Fn(&Call) -> Reply + Send + Sync + 'static,
    ) -> TestCollector {
        let tls = server_tls(authority, presentation);
        let calls = Arc::new(Mutex::new(Vec::new()));
        let (end, ended) = tokio::sync::oneshot::channel();
        let (told, address) = std::sync::mpsc::channel();
        let (handler, noted): (Arc<Handler>, _) = (Arc::new(handler), Arc::clone(&calls));
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                told.send(listener.local_addr().unwrap()).unwrap();
                tokio::select! {
                    () = accept(listener, TlsAcceptor::from(tls), handler, noted) => {}
                    _ = ended => {}
                }
            });
        });
        TestCollector {
            address: address.recv().unwrap(),
            calls,
            end: Some(end),
            thread: Some(thread),
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }

    /// How often a path was called.
    pub(crate) fn count(&self, path: &str) -> usize {
        self.calls().iter().filter(|call| call.path == path).count()
    }
}

impl Drop for TestCollector {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn server_tls(authority: &Authority, presentation: &Presentation) -> Arc<ServerConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(authority.der.clone()).unwrap();
    let provider = super::trust::provider();
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), Arc::clone(&provider))
        .allow_unauthenticated()
        .build()
        .unwrap();
    let (from, to) = presentation.days;
    let (certificate, key) = authority.server(from, to, presentation.name);
    let mut chain = vec![certificate];
    if presentation.with_authority {
        chain.push(authority.presented.clone());
    }
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let clock = super::Clock::default();
    clock.learn(Time::from_seconds(
        own_seconds() + presentation.ahead * 86_400,
    ));
    let mut config = ServerConfig::builder_with_details(provider, Arc::new(clock))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)
        .unwrap();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(config)
}

async fn accept(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    handler: Arc<Handler>,
    calls: Arc<Mutex<Vec<Call>>>,
) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            return;
        };
        let (acceptor, handler, calls) = (acceptor.clone(), handler.clone(), calls.clone());
        tokio::spawn(async move {
            let Ok(stream) = acceptor.accept(stream).await else {
                return;
            };
            let certified = stream.get_ref().1.peer_certificates().is_some();
            let service = service_fn(move |request: hyper::Request<Incoming>| {
                let (handler, calls) = (handler.clone(), calls.clone());
                async move { answer(request, certified, handler.as_ref(), &calls).await }
            });
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn answer(
    request: hyper::Request<Incoming>,
    certified: bool,
    handler: &Handler,
    calls: &Mutex<Vec<Call>>,
) -> Result<hyper::Response<Full<Bytes>>, hyper::Error> {
    let path = request.uri().path().to_owned();
    let packed = request.headers().get("content-encoding").is_some();
    let mut body = request.into_body().collect().await?.to_bytes().to_vec();
    if packed {
        body = zstd::bulk::decompress(&body, 16 << 20).unwrap();
    }
    let call = Call {
        path,
        body: serde_json::from_slice(&body).unwrap_or(Value::Null),
        certified,
    };
    calls.lock().unwrap().push(call.clone());
    let reply = handler(&call);
    if let Some(held) = reply.held {
        held.notified().await;
    }
    let mut response = hyper::Response::builder().status(reply.status);
    for (name, value) in reply.headers {
        response = response.header(name, value);
    }
    Ok(response.body(Full::new(Bytes::from(reply.body))).unwrap())
}

/// Findings of no particular place, as JSON would bring them.
pub(crate) fn findings(count: usize) -> Vec<akwatch_proto::finding::Finding> {
    let finding = |number: usize| {
        serde_json::json!({
            "key": {
                "place": {"type": "file", "path": format!("/srv/app-{number}/.env")},
                "subject": {"secret": format!("hmac:1:{}", "ab".repeat(32))},
            },
            "rule": "test.rule", "provider": "test", "kind": "token", "confidence": "strong",
            "spot": {"line": 1, "end_line": 1}, "reach": {},
            "presence": {"state": "present", "since": 1}, "why_new": "place-changed",
            "first_seen": 1, "last_verified": 1, "revision": number,
        })
    };
    (0..count)
        .map(|number| serde_json::from_value(finding(number)).unwrap())
        .collect()
}
