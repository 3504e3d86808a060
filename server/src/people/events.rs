//! The event stream: what changed, so that pages refresh what they show.

use std::convert::Infallible;
use std::time::Duration;

use akwatch_proto::people::Event;
use axum::extract::State;
use axum::response::sse::{self, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::collector::Collector;
use crate::domain::events::Feed;
use crate::domain::people::Asker;
use crate::people::caller::{Caller, Read};
use crate::refusal::Refusal;

/// A stream ends after this long, and the page asks again with its session. Longer than a session
/// may be idle, since asking counts as activity: a page that only listens must not keep it alive.
const LONGEST: Duration = Duration::from_secs(31 * 60);
/// Silence between signs of life: proxies close what is silent for a minute.
const ALIVE: Duration = Duration::from_secs(20);

/// Server-sent events; each `data` line is one `Event`.
#[utoipa::path(get, path = "/api/v1/events", tag = "events",
    responses((status = 200, description = "The stream.", content((Event = "text/event-stream")))))]
pub async fn events(
    State(collector): State<Collector>,
    caller: Caller<Read>,
) -> Result<Response, Refusal> {
    let (send, receive) = mpsc::channel(16);
    let feed = collector.domain.feed();
    let asker = Asker::clone(&caller);
    tokio::spawn(async move {
        let _ = tokio::time::timeout(LONGEST, forward(&collector, &asker, feed, &send)).await;
    });
    let stream = Sse::new(ReceiverStream::new(receive));
    Ok(stream
        .keep_alive(KeepAlive::new().interval(ALIVE))
        .into_response())
}

async fn forward(
    collector: &Collector,
    by: &Asker,
    mut feed: Feed,
    send: &mpsc::Sender<Result<sse::Event, Infallible>>,
) {
    let mut drain = collector.drain.clone();
    loop {
        let event = tokio::select! {
            event = collector.domain.next_event(by, &mut feed) => event,
            _ = drain.wait_for(|drain| *drain) => return,
            () = send.closed() => return,
        };
        let Some(event) = event else { return };
        let Ok(event) = sse::Event::default().json_data(&event) else {
            continue;
        };
        if send.send(Ok(event)).await.is_err() {
            return;
        }
    }
}
