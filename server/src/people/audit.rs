//! The audit log: who did or saw what.

use akwatch_proto::people::{AuditEntry, AuditQuery, Page};
use axum::Json;
use axum::extract::State;

use crate::collector::Collector;
use crate::people::bodies::Filters;
use crate::people::caller::{Audits, Caller};
use crate::refusal::Refusal;

/// The audit log, newest first.
#[utoipa::path(get, path = "/api/v1/audit", tag = "audit", params(AuditQuery),
    responses((status = 200, description = "A page of entries.", body = Page<AuditEntry>)))]
pub async fn audit(
    State(collector): State<Collector>,
    caller: Caller<Audits>,
    Filters(query): Filters<AuditQuery>,
) -> Result<Json<Page<AuditEntry>>, Refusal> {
    Ok(Json(collector.domain.audited(&caller, &query).await?))
}
