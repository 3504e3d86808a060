//! Findings as pages, and as a stream for other programs.

use akwatch_proto::agent::RefusalCode;
use akwatch_proto::people::{FindingQuery, FindingRow, Page};
use axum::Json;
use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::{HeaderValue, Uri, header};
use axum::response::{IntoResponse as _, Response};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::collector::{self, Collector};
use crate::domain::findings::Export;
use crate::people::bodies::Filters;
use crate::people::caller::{Caller, Read};
use crate::people::csv;
use crate::refusal::{self, Refusal};

/// Findings.
#[utoipa::path(get, path = "/api/v1/findings", tag = "findings", params(FindingQuery),
    responses((status = 200, description = "A page of findings.", body = Page<FindingRow>)))]
pub async fn findings(
    State(collector): State<Collector>,
    caller: Caller<Read>,
    Filters(query): Filters<FindingQuery>,
) -> Result<Json<Page<FindingRow>>, Refusal> {
    Ok(Json(collector.domain.findings(&caller, &query).await?))
}

/// How an export is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Jsonl,
    Csv,
}

/// All findings that match, as CSV or as one JSON line each.
#[utoipa::path(get, path = "/api/v1/export/findings", tag = "findings",
    params(FindingQuery, ("format" = Option<String>, Query, description = "`jsonl` (default) or `csv`.")),
    responses((status = 200, description = "The stream.", content(
        (String = "application/jsonl"), (String = "text/csv")))))]
pub async fn export_findings(
    State(collector): State<Collector>,
    caller: Caller<Read>,
    uri: Uri,
) -> Result<Response, Refusal> {
    let (format, query) = split(&uri)?;
    let now = collector::now();
    let export = collector.domain.export(&caller, &query, now).await?;
    let (kind, name) = match format {
        Format::Jsonl => ("application/jsonl", "findings.jsonl"),
        Format::Csv => ("text/csv; charset=utf-8", "findings.csv"),
    };
    let (send, receive) = mpsc::channel(2);
    tokio::spawn(async move {
        if let Err(refusal) = pages(&collector, export, format, &send).await {
            // The head is sent: breaking the stream off is the only way to say that it is not whole.
            tracing::error!(reason = %refusal.reason(), "an export broke off");
            let _ = send
                .send(Err(std::io::Error::other("the export broke off")))
                .await;
        }
    });
    let mut response = Body::from_stream(ReceiverStream::new(receive)).into_response();
    let disposition = format!("attachment; filename=\"{name}\"");
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    if let Ok(value) = HeaderValue::from_str(&disposition) {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    Ok(response)
}

type Chunk = Result<Vec<u8>, std::io::Error>;

async fn pages(
    collector: &Collector,
    mut export: Export,
    format: Format,
    send: &mpsc::Sender<Chunk>,
) -> Result<(), Refusal> {
    if format == Format::Csv && send.send(Ok(csv::head().into_bytes())).await.is_err() {
        return Ok(());
    }
    while let Some(rows) = collector.domain.next_rows(&mut export).await? {
        let chunk = match format {
            Format::Jsonl => jsonl(&rows),
            Format::Csv => rows.iter().map(csv::row).collect::<String>().into_bytes(),
        };
        // A receiver that is gone has had enough.
        if !chunk.is_empty() && send.send(Ok(chunk)).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

fn jsonl(rows: &[FindingRow]) -> Vec<u8> {
    let mut out = Vec::new();
    for row in rows {
        if serde_json::to_writer(&mut out, row).is_ok() {
            out.push(b'\n');
        }
    }
    out
}

/// Takes `format` out of the query, which else knows only the filters of the list.
fn split(uri: &Uri) -> Result<(Format, FindingQuery), Refusal> {
    let malformed = |why: String| Refusal::new(RefusalCode::Malformed, why);
    let mut format = Format::Jsonl;
    let mut rest = Vec::new();
    for pair in uri
        .query()
        .unwrap_or_default()
        .split('&')
        .filter(|pair| !pair.is_empty())
    {
        match pair.strip_prefix("format=") {
            Some("jsonl") => format = Format::Jsonl,
            Some("csv") => format = Format::Csv,
            Some(_) => return Err(malformed("`format` is `jsonl` or `csv`.".to_owned())),
            None => rest.push(pair),
        }
    }
    let uri: Uri = format!("/?{}", rest.join("&"))
        .parse()
        .map_err(|_| malformed("The filters are not understood.".to_owned()))?;
    let Query(query) = Query::try_from_uri(&uri).map_err(|error| {
        let why = akwatch_proto::text::escape(refusal::chain(&error).as_bytes());
        malformed(format!("A filter is not understood: {why}."))
    })?;
    Ok((format, query))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_stands_beside_the_filters() {
        let split = |query: &str| split(&format!("/x?{query}").parse().unwrap());
        let (format, query) = split("presence=gone&format=csv&q=a%26b").unwrap();
        assert_eq!(format, Format::Csv);
        assert_eq!(query.presence.as_deref(), Some("gone"));
        assert_eq!(query.q.as_deref(), Some("a&b"));
        assert_eq!(split("").unwrap().0, Format::Jsonl);
        assert!(split("format=xml").is_err());
        assert!(
            split("colour=red")
                .unwrap_err()
                .to_string()
                .contains("colour")
        );
    }
}
