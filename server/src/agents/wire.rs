//! A body from an agent: read within a time, bounded before and after unpacking, then parsed.

use std::io::Read as _;
use std::time::Duration;

use akwatch_proto::agent::RefusalCode;
use akwatch_proto::limits;
use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, header};
use serde::de::DeserializeOwned;

use crate::collector::Collector;
use crate::refusal::Refusal;

/// For a whole body. Stops: senders of one byte a second.
const BODY_TIME: Duration = Duration::from_secs(30);
/// For a turn to unpack.
const TURN_TIME: Duration = Duration::from_secs(10);
/// zstd's window as a power of two: a frame that wants more memory than this is refused.
const WINDOW_LOG: u32 = 24;
/// Bodies up to this many bytes are unpacked where they are; larger ones on a thread for such work.
const SMALL: usize = 16 * 1024;

/// A parsed body.
pub struct Wire<T>(pub T);

impl<T> FromRequest<Collector> for Wire<T>
where
    T: DeserializeOwned + Send + 'static,
{
    type Rejection = Refusal;

    async fn from_request(request: Request, collector: &Collector) -> Result<Wire<T>, Refusal> {
        let compressed = encoding(request.headers())?;
        let limit = if compressed {
            limits::BODY_COMPRESSED
        } else {
            limits::BODY_DECOMPRESSED
        };
        let body = read(request.into_body(), limit, BODY_TIME).await?;
        if body.len() <= SMALL {
            return unpack(&body, compressed).map(Wire);
        }
        let turn = tokio::time::timeout(TURN_TIME, collector.reports.acquire()).await;
        let Ok(Ok(_turn)) = turn else {
            return Err(Refusal::busy(
                "The collector has more reports than it can take.",
                5,
            ));
        };
        let unpacked = tokio::task::spawn_blocking(move || unpack(&body, compressed)).await;
        unpacked
            .map_err(|error| Refusal::internal("unpack a body", &error))?
            .map(Wire)
    }
}

fn encoding(headers: &HeaderMap) -> Result<bool, Refusal> {
    let is_json = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| {
            value.split(';').next().unwrap_or_default().trim() == "application/json"
        });
    if !is_json {
        return Err(malformed("the body is not application/json"));
    }
    match headers
        .get(header::CONTENT_ENCODING)
        .map(axum::http::HeaderValue::as_bytes)
    {
        None | Some(b"identity") => Ok(false),
        Some(b"zstd") => Ok(true),
        Some(_) => Err(malformed(
            "the body's encoding is neither zstd nor identity",
        )),
    }
}

/// Reads a body to its end.
///
/// # Errors
/// When it is longer than `limit`, or not there within `time`.
pub async fn read(body: Body, limit: usize, time: Duration) -> Result<Vec<u8>, Refusal> {
    let read = tokio::time::timeout(time, axum::body::to_bytes(body, limit)).await;
    match read {
        Ok(Ok(bytes)) => Ok(bytes.into()),
        Ok(Err(error)) => {
            let inner = std::error::Error::source(&error);
            if inner.is_some_and(<dyn std::error::Error>::is::<http_body_util::LengthLimitError>) {
                Err(too_large(limit))
            } else {
                Err(malformed("the body ended before its time"))
            }
        }
        Err(_) => Err(malformed("the body took too long")),
    }
}

fn unpack<T: DeserializeOwned>(body: &[u8], compressed: bool) -> Result<T, Refusal> {
    if !compressed {
        return parse(body);
    }
    let mut decoder = zstd::stream::read::Decoder::with_buffer(body)
        .and_then(|mut decoder| decoder.window_log_max(WINDOW_LOG).map(|()| decoder))
        .map_err(|error| Refusal::internal("prepare to unpack", &error))?;
    let mut plain = Vec::with_capacity((body.len() * 4).min(limits::BODY_DECOMPRESSED));
    let limit = u64::try_from(limits::BODY_DECOMPRESSED).unwrap_or(u64::MAX);
    decoder
        .by_ref()
        .take(limit + 1)
        .read_to_end(&mut plain)
        .map_err(|_| malformed("the body is not zstd"))?;
    if plain.len() > limits::BODY_DECOMPRESSED {
        return Err(too_large(limits::BODY_DECOMPRESSED));
    }
    parse(&plain)
}

/// Parses JSON, whose nesting serde_json bounds at 128.
fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| {
        // Position only: the message could repeat what was sent.
        malformed(&format!(
            "the body is not what this call takes, at line {} column {}",
            error.line(),
            error.column()
        ))
    })
}

fn malformed(why: &str) -> Refusal {
    Refusal::new(RefusalCode::Malformed, format!("Not understood: {why}."))
        .hint("Bring agent and collector to versions that fit each other.")
}

fn too_large(limit: usize) -> Refusal {
    Refusal::new(
        RefusalCode::TooLarge,
        format!("The body has more than {limit} bytes."),
    )
    .hint("Send it in parts.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn code(result: Result<Value, Refusal>) -> RefusalCode {
        result.unwrap_err().code()
    }

    #[test]
    fn a_bomb_is_too_large_and_never_unpacked_whole() {
        let plain = vec![b' '; limits::BODY_DECOMPRESSED + 1];
        let packed = zstd::bulk::compress(&plain, 3).unwrap();
        assert!(packed.len() < 10_000);
        assert_eq!(code(unpack(&packed, true)), RefusalCode::TooLarge);
        let packed = zstd::bulk::compress(b"{\"a\":1}", 3).unwrap();
        assert_eq!(unpack::<Value>(&packed, true).unwrap()["a"], 1);
    }

    #[test]
    fn what_is_no_zstd_or_json_or_too_deep_is_malformed() {
        for (body, compressed) in [(&b"{}"[..], true), (b"{", false), (b"", false)] {
            assert_eq!(code(unpack(body, compressed)), RefusalCode::Malformed);
        }
        let deep = "[".repeat(100_000);
        assert_eq!(code(unpack(deep.as_bytes(), false)), RefusalCode::Malformed);
    }

    #[test]
    fn a_refusal_does_not_repeat_what_was_sent() {
        let error = unpack::<u32>(b"\"hunter2hunter2\"", false).unwrap_err();
        assert!(!format!("{error:?}").contains("hunter2"));
    }
}
