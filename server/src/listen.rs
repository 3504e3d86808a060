//! The accept loop of both listeners: TLS, limits, and who is at the other end.
//!
//! Our own loop rather than a framework's, because here the peer's certificate is read once per
//! connection and handed to every request, and every wait has an end: for a seat, for the
//! handshake, for a request's head. HTTP/1.1 only: one kept connection per agent costs less CPU and
//! memory than HTTP/2 would.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use akwatch_proto::agent::TrustDomain;
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;

use crate::pki::{Authority, PeerCertificate, ServerCertificate};

/// Connections that may wait in the kernel; the kernel caps it at `somaxconn`.
const BACKLOG: u32 = 4096;
/// Handshakes at once. Stops: a reconnect storm that starves everything else of CPU.
const HANDSHAKES: usize = 256;
/// For the handshake. Stops: a connection that never speaks.
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);
/// For the head of a request, of a peer that has shown no certificate. Stops: slow senders.
const HEAD_TIME: Duration = Duration::from_secs(15);
/// Bytes of a request's head.
const HEAD_BYTES: usize = 64 * 1024;
/// Headers of a request.
const HEADERS: usize = 64;
/// What a client that speaks plain HTTP is told, instead of noise.
const PLAIN: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\nconnection: close\r\n\r\n\
    This port speaks HTTPS: use an address that begins with https://\n";
/// How long open requests may take after the end was asked for.
const DRAIN_TIME: Duration = Duration::from_secs(10);

/// Why a listener could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Somebody else listens there.
    #[error(
        "{address} ({key}) is in use: stop the program that listens there (`ss -ltnp` names it), \
         or set {key} to another address in the configuration"
    )]
    InUse {
        /// The key of the configuration.
        key: &'static str,
        /// The address.
        address: SocketAddr,
    },
    /// The address is not this machine's.
    #[error("{address} ({key}) is no address of this machine: set {key} to one of `ip address`")]
    NotOurs {
        /// The key of the configuration.
        key: &'static str,
        /// The address.
        address: SocketAddr,
    },
    /// The operating system refused otherwise.
    #[error("cannot listen on {address} ({key})")]
    Io {
        /// The key of the configuration.
        key: &'static str,
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The TLS configuration cannot be built.
    #[error("cannot prepare TLS")]
    Tls(#[source] rustls::Error),
    /// The authority's certificate does not serve to verify agents.
    #[error("cannot verify agents with this authority")]
    Verifier(#[source] rustls::server::VerifierBuilderError),
}

/// Who is at the other end of a connection, for every handler.
#[derive(Clone, Debug)]
pub struct Peer {
    /// The address.
    pub address: SocketAddr,
    /// The host's certificate, verified by TLS; always absent on the people's listener.
    pub certificate: Option<Arc<PeerCertificate>>,
}

/// Opens a listening socket.
///
/// # Errors
/// As [`ListenError`] says, with what to do.
pub fn bind(key: &'static str, address: SocketAddr) -> Result<TcpListener, ListenError> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()
    } else {
        TcpSocket::new_v6()
    };
    let bound = socket.and_then(|socket| {
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    });
    bound.map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => ListenError::InUse { key, address },
        io::ErrorKind::AddrNotAvailable => ListenError::NotOurs { key, address },
        _ => ListenError::Io {
            key,
            address,
            source,
        },
    })
}

/// TLS for agents: a certificate of this authority is verified when it is shown, and demanded by
/// every handler that does not prove the peer in another way.
///
/// # Errors
/// When the authority does not serve as a root.
pub fn agents_tls(
    authority: &Authority,
    certificate: Arc<ServerCertificate>,
) -> Result<Arc<ServerConfig>, ListenError> {
    let mut roots = RootCertStore::empty();
    roots
        .add(authority.der().clone())
        .map_err(ListenError::Tls)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), Arc::clone(&provider))
        .allow_unauthenticated()
        .build()
        .map_err(ListenError::Verifier)?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(ListenError::Tls)?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(certificate);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// TLS for people: no certificate is asked for.
///
/// # Errors
/// Never with the built-in provider.
pub fn people_tls(certificate: Arc<ServerCertificate>) -> Result<Arc<ServerConfig>, ListenError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(ListenError::Tls)?
        .with_no_client_auth()
        .with_cert_resolver(certificate);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// One listener and what it serves.
pub struct Listener {
    /// The socket.
    pub socket: TcpListener,
    /// Its TLS.
    pub tls: Arc<ServerConfig>,
    /// What it serves.
    pub router: Router,
    /// The trust domain of agents' certificates.
    pub domain: TrustDomain,
    /// How long a kept connection of a peer with a certificate may be idle.
    pub idle: Duration,
    /// Connections at once. Stops: a peer that takes every file descriptor.
    pub seats: usize,
}

impl Listener {
    /// Accepts until `drain` turns true, then lets open requests end.
    pub async fn serve(self, mut drain: watch::Receiver<bool>) {
        let seats = Arc::new(Semaphore::new(self.seats));
        let handshakes = Arc::new(Semaphore::new(HANDSHAKES));
        let graceful = GracefulShutdown::new();
        let connection = Connection {
            tls: TlsAcceptor::from(self.tls),
            router: self.router,
            domain: Arc::new(self.domain),
            idle: self.idle,
            handshakes,
        };
        loop {
            let seat = tokio::select! {
                seat = Arc::clone(&seats).acquire_owned() => seat,
                _ = drain.wait_for(|drain| *drain) => break,
            };
            let accepted = tokio::select! {
                accepted = self.socket.accept() => accepted,
                _ = drain.wait_for(|drain| *drain) => break,
            };
            match accepted {
                Ok((stream, address)) => {
                    let (connection, watcher) = (connection.clone(), graceful.watcher());
                    tokio::spawn(async move {
                        connection.serve(stream, address, watcher).await;
                        drop(seat);
                    });
                }
                Err(error) => {
                    // Out of descriptors, or a peer that went away before it was accepted.
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
        drop(self.socket);
        if tokio::time::timeout(DRAIN_TIME, graceful.shutdown())
            .await
            .is_err()
        {
            tracing::warn!("some requests did not end in time and were cut off");
        }
    }
}

/// Whether the first byte is a letter of an HTTP method and not a TLS record's.
async fn is_plain(stream: &TcpStream) -> bool {
    let mut first = [0];
    let peeked = tokio::time::timeout(HANDSHAKE_TIME, stream.peek(&mut first)).await;
    matches!(peeked, Ok(Ok(1))) && first[0].is_ascii_uppercase()
}

#[derive(Clone)]
struct Connection {
    tls: TlsAcceptor,
    router: Router,
    domain: Arc<TrustDomain>,
    idle: Duration,
    handshakes: Arc<Semaphore>,
}

impl Connection {
    async fn serve(self, mut stream: TcpStream, address: SocketAddr, watcher: Watcher) {
        let _ = stream.set_nodelay(true);
        if is_plain(&stream).await {
            let _ = stream.write_all(PLAIN).await;
            return;
        }
        let handshake = async {
            let _turn = self.handshakes.acquire().await;
            tokio::time::timeout(HANDSHAKE_TIME, self.tls.accept(stream)).await
        };
        let stream = match handshake.await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                tracing::debug!(peer = %address, %error, "a TLS handshake failed");
                return;
            }
            Err(_) => {
                tracing::debug!(peer = %address, "a TLS handshake took too long");
                return;
            }
        };
        let certificate = stream
            .get_ref()
            .1
            .peer_certificates()
            .and_then(<[_]>::first)
            .map(|der| PeerCertificate::parse(der, &self.domain));
        let certificate = match certificate.transpose() {
            Ok(certificate) => certificate.map(Arc::new),
            Err(fault) => {
                tracing::warn!(peer = %address, %fault, "a certificate of ours names no host");
                return;
            }
        };
        let head_time = if certificate.is_some() {
            self.idle
        } else {
            HEAD_TIME
        };
        let peer = Peer {
            address,
            certificate,
        };
        let router = self.router;
        let service = service_fn(move |mut request: hyper::Request<Incoming>| {
            request.extensions_mut().insert(peer.clone());
            router.clone().oneshot(request.map(Body::new) as Request)
        });
        let mut http = auto::Builder::new(TokioExecutor::new()).http1_only();
        http.http1()
            .timer(TokioTimer::new())
            .header_read_timeout(head_time)
            .max_buf_size(HEAD_BYTES)
            .max_headers(HEADERS);
        let served = http
            .serve_connection(TokioIo::new(stream), service)
            .into_owned();
        if let Err(error) = watcher.watch(served).await {
            tracing::debug!(peer = %address, %error, "a connection ended with an error");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use axum::routing::get;
    use rustls::ClientConfig;
    use rustls::pki_types::ServerName;
    use tokio::io::AsyncReadExt as _;
    use tokio_rustls::TlsConnector;

    use super::*;
    use crate::pki::server::names;
    use crate::refusal;

    /// A listener with this many seats; where it is, who signs for it, and what ends it.
    async fn listener(seats: usize) -> (SocketAddr, RootCertStore, watch::Sender<bool>) {
        let state = tempfile::tempdir().unwrap();
        let domain = TrustDomain::parse("fleet.example").unwrap();
        let now = crate::collector::now();
        let authority = Authority::open(state.path(), domain.clone(), now).unwrap();
        let certificate = ServerCertificate::issue(&authority, &names(&[]).unwrap(), now).unwrap();
        let socket = bind("listen.people", (Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let address = socket.local_addr().unwrap();
        let router = Router::new()
            .route("/", get(|| async { "here" }))
            .route("/panic", get(broken))
            .layer(tower_http::catch_panic::CatchPanicLayer::custom(
                refusal::panicked,
            ))
            .layer(axum::middleware::from_fn(refusal::answer));
        let tls = people_tls(Arc::new(certificate)).unwrap();
        let (end, drain) = watch::channel(false);
        tokio::spawn(
            Listener {
                socket,
                tls,
                router,
                domain,
                seats,
                idle: HEAD_TIME,
            }
            .serve(drain),
        );
        let mut roots = RootCertStore::empty();
        roots.add(authority.der().clone()).unwrap();
        (address, roots, end)
    }

    async fn broken() -> &'static str {
        panic!("with a secret in it")
    }

    async fn connect(
        address: SocketAddr,
        roots: RootCertStore,
    ) -> tokio_rustls::client::TlsStream<TcpStream> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let stream = TcpStream::connect(address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await
            .unwrap()
    }

    async fn ask(
        stream: &mut (impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin),
        path: &str,
    ) -> String {
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = vec![0; 4096];
        let read = stream.read(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer[..read]).into_owned()
    }

    #[tokio::test]
    async fn a_connection_waits_for_a_seat() {
        let (address, roots, _end) = listener(1).await;
        let mut first = connect(address, roots.clone()).await;
        assert!(ask(&mut first, "/").await.ends_with("here"));
        let mut second = std::pin::pin!(connect(address, roots));
        let early = tokio::time::timeout(Duration::from_millis(200), second.as_mut()).await;
        assert!(early.is_err(), "the only seat is taken");
        drop(first);
        assert!(ask(&mut second.await, "/").await.ends_with("here"));
    }

    #[tokio::test]
    async fn a_panic_is_a_refusal_that_tells_nothing() {
        let (address, roots, _end) = listener(4).await;
        let mut stream = connect(address, roots).await;
        let answer = ask(&mut stream, "/panic").await;
        assert!(
            answer.starts_with("HTTP/1.1 500") && answer.contains("\"internal\""),
            "{answer}"
        );
        assert!(!answer.contains("secret"), "{answer}");
        assert!(
            ask(&mut stream, "/").await.ends_with("here"),
            "the connection goes on"
        );
    }

    #[tokio::test]
    async fn plain_http_is_told_to_use_https() {
        let (address, _, _end) = listener(4).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        assert!(ask(&mut stream, "/").await.contains("https://"));
    }

    #[tokio::test]
    async fn ending_lets_an_idle_connection_go_and_takes_no_new_one() {
        let (address, roots, end) = listener(4).await;
        let mut idle = connect(address, roots).await;
        assert!(ask(&mut idle, "/").await.ends_with("here"));
        end.send(true).unwrap();
        let mut rest = Vec::new();
        // Closed in order: nothing more to read, whether or not TLS says good-bye.
        let _ = idle.read_to_end(&mut rest).await;
        assert!(rest.is_empty());
        assert!(TcpStream::connect(address).await.is_err());
    }

    #[tokio::test]
    async fn a_port_in_use_is_named_with_what_to_do() {
        let (address, _, _end) = listener(1).await;
        let error = bind("listen.agents", address).unwrap_err().to_string();
        for part in [&address.to_string(), "listen.agents", "in use", "ss -ltnp"] {
            assert!(error.contains(part), "{error}");
        }
    }
}
