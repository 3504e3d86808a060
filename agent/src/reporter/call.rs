//! One request to one collector, and what can become of it.
//!
//! Bodies are JSON, compressed with zstd, bounded both ways before and after compression. No error
//! here ever holds a part of what was sent; what a collector or a proxy says is escaped and cut.

use std::error::Error as StdError;
use std::io::{self, Read as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use akwatch_proto::agent::{RefusalCode, Refused};
use akwatch_proto::{limits, text};
use reqwest::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER,
};
use reqwest::{Client, Proxy, Response, StatusCode, Url};
use rustls::{AlertDescription, CertificateError, ClientConfig};
use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use super::trust::Seen;
use crate::config::Collector;

/// For a connection, name resolution and TLS included.
const CONNECT: Duration = Duration::from_secs(15);
/// A connection is kept this long between calls; a collector keeps it longer.
const IDLE: Duration = Duration::from_secs(120);
/// Bodies shorter than this are sent as they are.
const COMPRESS_FROM: usize = 512;
/// zstd's level: the fastest that still takes most of the size away.
const LEVEL: i32 = 3;
/// zstd's window in an answer, as a power of two.
const WINDOW_LOG: u32 = 24;
/// Bytes of a refusal's words that are passed on.
const WORDS: usize = 500;

/// What became of a request that got no good answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// No connection.
    #[error(
        "{address} cannot be reached ({why}); check that the collector runs and that this host may connect to it"
    )]
    Unreachable {
        /// Where.
        address: String,
        /// The innermost reason.
        why: String,
    },
    /// The connection broke, or no answer came in time: the request may have been taken.
    #[error(
        "{address} was reached, but no answer came ({why}); try again, with the same input: what it has taken it does not take twice"
    )]
    Broken {
        /// Where.
        address: String,
        /// The innermost reason.
        why: String,
    },
    /// No authority that this host knows vouches for who answers: at enrollment, another key than
    /// the pinned one.
    #[error(
        "{address} answered with a certificate of another akwatch authority ({issuer}): it is not the collector of this bootstrap string or identity; compare the address with your collector's, and the pin with `akwatch-server` there"
    )]
    Impostor {
        /// Where.
        address: String,
        /// Who issued what was seen.
        issuer: String,
    },
    /// As [`Impostor`](CallError::Impostor), by an issuer that is no collector's.
    #[error(
        "{address} answered with a certificate issued by \"{issuer}\", which is not the collector's authority: a TLS-inspecting proxy is in between; exempt {address} from inspection (the agent does not accept its certificates, whatever this host trusts)"
    )]
    Inspected {
        /// Where; to be exempted.
        address: String,
        /// Who issued what was seen.
        issuer: String,
    },
    /// The collector is genuine but has another name.
    #[error(
        "{address} answered with the collector's certificate, but for other names: use a name that it lists, or add this one to the collector's `names`"
    )]
    WrongName {
        /// Where.
        address: String,
    },
    /// The collector's certificate has ended or not begun, by this host's clock.
    #[error("the certificate of {address} does not hold at this host's time; check both clocks")]
    WrongTime {
        /// Where.
        address: String,
    },
    /// The collector did not accept this host's certificate.
    #[error("{address} does not accept this host's certificate ({alert})")]
    CertificateRefused {
        /// Where.
        address: String,
        /// TLS's word for it.
        alert: String,
    },
    /// TLS failed in another way.
    #[error(
        "{address} does not speak TLS as the collector does ({why}); is it the agents' port (7443)?"
    )]
    Tls {
        /// Where.
        address: String,
        /// rustls's words.
        why: String,
    },
    /// The proxy wants to know who asks.
    #[error(
        "the proxy {proxy} wants a password to connect to {address}, which the agent has none of; let it admit this host by its address"
    )]
    ProxyPassword {
        /// The proxy.
        proxy: String,
        /// Where to.
        address: String,
    },
    /// The proxy refused, or cannot be reached.
    #[error(
        "the proxy {proxy} does not connect to {address} ({why}); check `collector.proxy` and let it connect there"
    )]
    ProxyRefused {
        /// The proxy.
        proxy: String,
        /// Where to.
        address: String,
        /// What it said.
        why: String,
    },
    /// The collector answered and refused.
    #[error("{address} refused: {}{}", refused.message, hint(refused))]
    Refused {
        /// Where.
        address: String,
        /// Its words, cleaned.
        refused: Refused,
        /// HTTP's status.
        status: u16,
        /// When to come back.
        retry_after: Option<Duration>,
    },
    /// What answered is no collector, or one of another version.
    #[error(
        "{address} gave an answer that is none ({why}); is it an akwatch collector, and of a fitting version?"
    )]
    Answer {
        /// Where.
        address: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The request is over the wire's limits.
    #[error("the message has {0} bytes, more than a collector takes")]
    TooLarge(usize),
}

fn hint(refused: &Refused) -> String {
    refused
        .hint
        .as_ref()
        .map(|hint| format!(" {hint}"))
        .unwrap_or_default()
}

impl CallError {
    /// Whether another address of the same collector may do better.
    #[must_use]
    pub fn elsewhere(&self) -> bool {
        match self {
            CallError::Refused { status, .. } => *status >= 500 || *status == 429,
            CallError::TooLarge(_) => false,
            _ => true,
        }
    }

    /// Whether a collector may have acted on the request although no good answer came.
    #[must_use]
    pub fn may_have_arrived(&self) -> bool {
        match self {
            CallError::Broken { .. } | CallError::Answer { .. } => true,
            CallError::Refused { status, .. } => *status >= 500,
            _ => false,
        }
    }

    /// Whether the same request may succeed later without anybody changing it.
    #[must_use]
    pub fn later(&self) -> bool {
        match self {
            CallError::Refused {
                status, refused, ..
            } => {
                matches!(*status, 408 | 429 | 500..)
                    || matches!(
                        refused.code,
                        RefusalCode::Busy | RefusalCode::Unauthenticated
                    )
            }
            CallError::TooLarge(_) => false,
            _ => true,
        }
    }

    /// What the collector said, if it did.
    #[must_use]
    pub fn refused(&self) -> Option<&Refused> {
        match self {
            CallError::Refused { refused, .. } => Some(refused),
            _ => None,
        }
    }

    /// When the collector wants to be asked again.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            CallError::Refused { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

/// A client with one TLS configuration, and what its errors are told with.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    client: Client,
    proxy: Option<String>,
    seen: Seen,
    carried: Carried,
}

/// Bytes of bodies, as they travel, of all callers that share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Carried(Arc<AtomicU64>);

impl Carried {
    fn add(&self, bytes: usize) {
        self.0.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// What was carried since this was last asked.
    pub(crate) fn take(&self) -> u64 {
        self.0.swap(0, Ordering::Relaxed)
    }
}

impl Caller {
    /// A client that goes through the configured proxy, and the environment's only if told.
    ///
    /// # Errors
    /// When the proxy's address is of no use.
    pub(crate) fn new(
        tls: ClientConfig,
        collector: &Collector,
        seen: &Seen,
        carried: &Carried,
    ) -> Result<Caller, reqwest::Error> {
        let mut builder = Client::builder()
            .tls_backend_preconfigured(tls)
            .https_only(true)
            .http1_only()
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .connect_timeout(CONNECT)
            .pool_idle_timeout(IDLE)
            .tcp_keepalive(Duration::from_secs(60))
            .user_agent(concat!("akwatch-agent/", env!("CARGO_PKG_VERSION")));
        if let Some(proxy) = &collector.proxy {
            builder = builder.no_proxy().proxy(Proxy::all(proxy.url().clone())?);
        } else if !collector.use_environment_proxy {
            builder = builder.no_proxy();
        }
        Ok(Caller {
            client: builder.build()?,
            proxy: collector.proxy.as_ref().map(|proxy| address(proxy.url())),
            seen: seen.clone(),
            carried: carried.clone(),
        })
    }

    /// `POST`s `body` and reads the answer.
    pub(crate) async fn post<A: DeserializeOwned>(
        &self,
        url: &Url,
        path: &str,
        body: &(impl Serialize + Sync),
        time: Duration,
    ) -> Result<A, CallError> {
        let packed = pack(body)?;
        self.carried.add(packed.bytes.len());
        let mut request = self
            .client
            .post(at(url, path))
            .header(CONTENT_TYPE, "application/json");
        if packed.compressed {
            request = request.header(CONTENT_ENCODING, "zstd");
        }
        let request = request.body(packed.bytes);
        self.send(request, url, time).await
    }

    /// `GET`s an answer.
    pub(crate) async fn get<A: DeserializeOwned>(
        &self,
        url: &Url,
        path: &str,
        time: Duration,
    ) -> Result<A, CallError> {
        self.send(self.client.get(at(url, path)), url, time).await
    }

    async fn send<A: DeserializeOwned>(
        &self,
        request: reqwest::RequestBuilder,
        url: &Url,
        time: Duration,
    ) -> Result<A, CallError> {
        let request = request.header(ACCEPT_ENCODING, "zstd").timeout(time);
        let response = request
            .send()
            .await
            .map_err(|error| self.told(&error, url))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = self.read(response, url).await?;
        if status.is_success() {
            return serde_json::from_slice(&body).map_err(|_| CallError::Answer {
                address: address(url),
                why: "it is not what this call answers",
            });
        }
        Err(refusal(url, status, &headers, &body))
    }

    /// Reads a body to its end, or to the limit.
    async fn read(&self, mut response: Response, url: &Url) -> Result<Vec<u8>, CallError> {
        let none = |why| CallError::Answer {
            address: address(url),
            why,
        };
        let encoding = response.headers().get(CONTENT_ENCODING).cloned();
        let mut body = Vec::new();
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|error| self.told(&error, url))?
        {
            if body.len() + chunk.len() > limits::BODY_DECOMPRESSED {
                return Err(none("it is longer than any answer"));
            }
            self.carried.add(chunk.len());
            body.extend_from_slice(&chunk);
        }
        match encoding.as_ref().map(HeaderValue::as_bytes) {
            None | Some(b"identity") => Ok(body),
            Some(b"zstd") => unpack(&body).map_err(none),
            Some(_) => Err(none("it is encoded in a way that was not asked for")),
        }
    }

    /// Says what a failure means.
    fn told(&self, error: &reqwest::Error, url: &Url) -> CallError {
        let address = address(url);
        if let Some(tls) = find::<rustls::Error>(error) {
            return self.told_tls(tls, address);
        }
        let why = text::cut(&text::escape(innermost(error).as_bytes()), WORDS);
        if !error.is_connect() {
            return CallError::Broken { address, why };
        }
        let Some(proxy) = self.proxy.clone() else {
            return CallError::Unreachable { address, why };
        };
        // The type of a tunnel's error is not exported; its words are.
        if why.contains("proxy authorization required") {
            CallError::ProxyPassword { proxy, address }
        } else {
            CallError::ProxyRefused {
                proxy,
                address,
                why,
            }
        }
    }

    fn told_tls(&self, error: &rustls::Error, address: String) -> CallError {
        use rustls::Error::{AlertReceived, InvalidCertificate};
        match error {
            InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            ) => CallError::WrongName { address },
            InvalidCertificate(
                CertificateError::Expired
                | CertificateError::ExpiredContext { .. }
                | CertificateError::NotValidYet
                | CertificateError::NotValidYetContext { .. },
            ) => CallError::WrongTime { address },
            InvalidCertificate(_) => {
                let issuer = self.seen.issuer().unwrap_or_else(|| "unknown".to_owned());
                if issuer.contains("akwatch authority") {
                    CallError::Impostor { address, issuer }
                } else {
                    CallError::Inspected { address, issuer }
                }
            }
            AlertReceived(alert) if about_certificate(*alert) => CallError::CertificateRefused {
                address,
                alert: format!("{alert:?}"),
            },
            other => CallError::Tls {
                address,
                why: text::cut(&text::escape(other.to_string().as_bytes()), WORDS),
            },
        }
    }
}

fn about_certificate(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::CertificateExpired
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateUnknown
            | AlertDescription::BadCertificate
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied
            | AlertDescription::CertificateRequired
    )
}

/// `host:port`, as a person would exempt it.
pub(crate) fn address(url: &Url) -> String {
    let host = url.host_str().unwrap_or("?");
    let port = url.port_or_known_default().unwrap_or(443);
    format!("{host}:{port}")
}

fn at(url: &Url, path: &str) -> Url {
    let mut url = url.clone();
    url.set_path(path);
    url
}

struct Packed {
    bytes: Vec<u8>,
    compressed: bool,
}

fn pack(body: &impl Serialize) -> Result<Packed, CallError> {
    // An enrollment's body holds the token, so the plain text is wiped.
    let plain =
        Zeroizing::new(serde_json::to_vec(body).expect("invariant: messages of proto serialize"));
    if plain.len() > limits::BODY_DECOMPRESSED {
        return Err(CallError::TooLarge(plain.len()));
    }
    if plain.len() >= COMPRESS_FROM
        && let Ok(bytes) = zstd::bulk::compress(&plain, LEVEL)
    {
        if bytes.len() > limits::BODY_COMPRESSED {
            return Err(CallError::TooLarge(bytes.len()));
        }
        return Ok(Packed {
            bytes,
            compressed: true,
        });
    }
    Ok(Packed {
        bytes: plain.to_vec(),
        compressed: false,
    })
}

fn unpack(body: &[u8]) -> Result<Vec<u8>, &'static str> {
    let broken = |_| "it is not zstd";
    let mut decoder = zstd::stream::read::Decoder::with_buffer(body).map_err(broken)?;
    decoder.window_log_max(WINDOW_LOG).map_err(broken)?;
    let mut plain = Vec::new();
    decoder
        .take(limits::BODY_DECOMPRESSED as u64 + 1)
        .read_to_end(&mut plain)
        .map_err(broken)?;
    if plain.len() > limits::BODY_DECOMPRESSED {
        return Err("it unpacks to more than any answer");
    }
    Ok(plain)
}

/// What the collector refused, with its words cleaned; words of our own where it has none.
fn refusal(url: &Url, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> CallError {
    let clean = |words: String| text::cut(&text::escape(words.as_bytes()), WORDS);
    let refused = match serde_json::from_slice::<Refused>(body) {
        Ok(refused) => Refused {
            code: refused.code,
            message: clean(refused.message),
            hint: refused.hint.map(clean),
            request: refused.request.map(clean),
        },
        Err(_) => Refused {
            code: RefusalCode::Unknown,
            message: format!("It answered {status}, without an explanation."),
            hint: None,
            request: None,
        },
    };
    let seconds = headers
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.trim().parse::<u64>().ok());
    CallError::Refused {
        address: address(url),
        refused,
        status: status.as_u16(),
        retry_after: seconds.map(Duration::from_secs),
    }
}

/// The first error of a type in a chain, looking into `io::Error`s as well.
fn find<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<T>() {
            return Some(found);
        }
        next = match error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref)
        {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

/// The words of the last error in a chain.
fn innermost(error: &(dyn StdError + 'static)) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}
