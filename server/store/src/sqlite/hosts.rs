//! Rows of hosts as people and agents' handlers see them.

use std::collections::BTreeMap;

use akwatch_proto::agent::{CostReceipt, HostId};
use akwatch_proto::coverage::Covered;
use akwatch_proto::people::{HostDetail, HostRow, HostState, Page, PresenceCounts};
use akwatch_proto::time::Time;
use sqlx::QueryBuilder;
use sqlx::sqlite::SqliteRow;

use super::list::{List, Order, SortKey, and_among, any_like, in_scope};
use super::words::Columns as _;
use super::{At as _, Sqlite, hosts_write};
use crate::audit::Actor;
use crate::filter::{HostFilter, HostSort};
use crate::hosts::{Beat, Beaten, Enrolling, HostRecord, Listened, NewHost};
use crate::rules::HostTally;
use crate::{Answer, Hosts, Scope, StoreError};

/// Hosts that may fall silent in one transaction; the rest follow in the next.
const SILENT_AT_ONCE: usize = 200;

/// A host's state from its marks.
pub(crate) fn state(retired: bool, silent: bool, heard: bool) -> HostState {
    match (retired, heard, silent) {
        (true, _, _) => HostState::Retired,
        (false, false, _) => HostState::Pending,
        (false, true, true) => HostState::Silent,
        (false, true, false) => HostState::Live,
    }
}

/// The same in SQL, as a number that filters compare.
pub(crate) const STATE: &str =
    "CASE WHEN h.retired THEN 4 WHEN h.last_heard IS NULL THEN 1 WHEN h.silent THEN 3 ELSE 2 END";

fn state_code(state: HostState) -> i64 {
    match state {
        HostState::Pending => 1,
        HostState::Live => 2,
        HostState::Silent => 3,
        HostState::Retired => 4,
    }
}

/// Coverage as shown: nothing can be said of a host that is not heard.
pub(crate) const COVERED: &str =
    "CASE WHEN h.retired OR h.silent OR h.last_heard IS NULL THEN 0 ELSE h.covered END";

fn covered_code(covered: Covered) -> i64 {
    match covered {
        Covered::Whole => 2,
        Covered::Partly => 1,
        _ => 0,
    }
}

fn order(sort: HostSort) -> Order {
    use SortKey::{Number, Text};
    match sort {
        HostSort::Score => Order::down("hosts -score", &[Number("h.score"), Number("h.id")]),
        HostSort::Name => Order::up("hosts name", &[Text("h.name"), Number("h.id")]),
        HostSort::LastHeard => Order::down(
            "hosts -last_heard",
            &[Number("coalesce(h.last_heard, -1)"), Number("h.id")],
        ),
        HostSort::Open => Order::down("hosts -open", &[Number("h.credentials"), Number("h.id")]),
    }
}

/// Reads a row of `SELECT h.* FROM host AS h`.
pub(crate) fn host_row(row: &SqliteRow) -> Result<HostRow, StoreError> {
    let heard = row.maybe_time("last_heard")?;
    let state = state(
        row.value::<i64>("retired")? != 0,
        row.value::<i64>("silent")? != 0,
        heard.is_some(),
    );
    let (present, gone, unknown) = (
        row.count("present")?,
        row.count("gone")?,
        row.count("unknown")?,
    );
    let places = match state {
        HostState::Silent => PresenceCounts {
            present: 0,
            gone,
            unknown: present + unknown,
        },
        _ => PresenceCounts {
            present,
            gone,
            unknown,
        },
    };
    let covered = match (state, row.value::<i64>("covered")?) {
        (HostState::Live, 2) => Covered::Whole,
        (HostState::Live, 1) => Covered::Partly,
        _ => Covered::Unknown,
    };
    Ok(HostRow {
        id: row.host_id("uuid")?,
        name: row.value("name")?,
        state,
        covered,
        score: row.small("score")?,
        credentials: row.count("credentials")?,
        places,
        os: row.value("os")?,
        agent: row.value("agent")?,
        rules: row.value("rules")?,
        labels: row.json("labels")?,
        last_heard: heard,
    })
}

fn conditions(query: &mut QueryBuilder<sqlx::Sqlite>, scope: &Scope, filter: &HostFilter) {
    query.push(" FROM host AS h WHERE ");
    in_scope(query, scope, "h.id");
    and_among(query, STATE, filter.states.iter().map(|s| state_code(*s)));
    and_among(
        query,
        COVERED,
        filter.covered.iter().map(|c| covered_code(*c)),
    );
    if let Some(text) = &filter.text {
        query.push(" AND (");
        any_like(query, &["h.name", "h.addresses", "h.peer"], text);
        if let Ok(id) = text.parse::<HostId>() {
            query
                .push(" OR h.uuid = ")
                .push_bind(id.0.as_bytes().to_vec());
        }
        query.push(")");
    }
}

impl Sqlite {
    async fn hosts_page(
        &self,
        scope: &Scope,
        filter: &HostFilter,
    ) -> Result<Page<HostRow>, StoreError> {
        let list = List {
            step: "listing hosts",
            select: &["SELECT h.*"],
            conditions: |query: &mut _, _| conditions(query, scope, filter),
            order: order(filter.sort),
            page: &filter.page,
        };
        let listed = self.listed(list).await?;
        Ok(Page {
            rows: listed.rows.iter().map(host_row).collect::<Result<_, _>>()?,
            total: listed.total,
            next: listed.next,
        })
    }

    async fn host_row_of(
        &self,
        scope: &Scope,
        host: HostId,
    ) -> Result<Option<SqliteRow>, StoreError> {
        let mut query = QueryBuilder::<sqlx::Sqlite>::new(
            "SELECT h.*, (SELECT max(until) FROM certificate WHERE host_id = h.id \
             AND revoked IS NULL) AS certificate_until FROM host AS h WHERE ",
        );
        in_scope(&mut query, scope, "h.id");
        query
            .push(" AND h.uuid = ")
            .push_bind(host.0.as_bytes().to_vec());
        query
            .build()
            .fetch_optional(&self.readers)
            .await
            .at("reading a host")
    }

    async fn detail(&self, scope: &Scope, host: HostId) -> Result<Option<HostDetail>, StoreError> {
        let Some(row) = self.host_row_of(scope, host).await? else {
            return Ok(None);
        };
        let shown = host_row(&row)?;
        let worst = self.worst_on(row.value("id")?).await?;
        let asked = super::directives::last_asked(self, row.value("id")?).await?;
        let score = self.shared.rules.host(&HostTally {
            worst,
            credentials: shown.credentials,
        });
        let coverage = row
            .value::<Option<String>>("coverage")?
            .map(|text| super::words::from_json("coverage", &text))
            .transpose()?;
        Ok(Some(HostDetail {
            score,
            facts: row.json("facts")?,
            peer: row.value("peer")?,
            coverage,
            cost: row.json::<CostReceipt>("cost")?,
            unsent: row.count("unsent")?,
            clock_ahead_ms: row.value("clock_ahead")?,
            enrolled: row.time("enrolled")?,
            certificate_until: row.maybe_time("certificate_until")?,
            asked,
            host: shown,
        }))
    }

    async fn record_of(
        &self,
        scope: &Scope,
        host: HostId,
    ) -> Result<Option<HostRecord>, StoreError> {
        let Some(row) = self.host_row_of(scope, host).await? else {
            return Ok(None);
        };
        let shown = host_row(&row)?;
        Ok(Some(HostRecord {
            id: shown.id,
            name: shown.name,
            instance: row
                .value::<Option<Vec<u8>>>("instance")?
                .and_then(|bytes| uuid::Uuid::from_slice(&bytes).ok()),
            state: shown.state,
            heartbeat_seconds: row.small("heartbeat_seconds")?,
            enrolled: row.time("enrolled")?,
            last_heard: shown.last_heard,
            upto: row.count("upto")?,
            labels: shown.labels,
        }))
    }

    async fn silence(
        &self,
        missed: u32,
        listened: Listened,
        now: Time,
    ) -> Result<Vec<HostId>, StoreError> {
        let listening = &self.shared.listening;
        if listening.is_to_begin() {
            let rows = sqlx::query(
                "SELECT id, heartbeat_seconds FROM host \
                 WHERE retired = 0 AND silent = 0 AND last_heard IS NOT NULL",
            )
            .fetch_all(&self.readers)
            .await
            .at("looking for live hosts")?;
            let live = rows
                .iter()
                .map(|row| Ok((row.value("id")?, row.small("heartbeat_seconds")?)))
                .collect::<Result<Vec<(i64, u32)>, StoreError>>()?;
            listening.begin(&live, listened);
        }
        let overdue = listening.overdue(missed, listened, SILENT_AT_ONCE);
        if overdue.is_empty() {
            return Ok(Vec::new());
        }
        let asked = overdue.clone();
        let marked = self
            .writer
            .decide(move |tx| Box::pin(hosts_write::mark_silent(tx, asked, now)))
            .await?;
        listening.ended(&overdue);
        Ok(marked)
    }

    async fn end_ephemeral(
        &self,
        silent_ms: i64,
        listened: Listened,
        actor: Actor,
        now: Time,
    ) -> Result<Vec<HostId>, StoreError> {
        let rows = sqlx::query(
            "SELECT id, uuid FROM host WHERE retired = 0 AND silent = 1 \
             AND json_extract(facts, '$.ephemeral')",
        )
        .fetch_all(&self.readers)
        .await
        .at("looking for ephemeral hosts")?;
        let silent = rows
            .iter()
            .map(|row| row.value("id"))
            .collect::<Result<Vec<i64>, StoreError>>()?;
        let long = self
            .shared
            .listening
            .long_silent(&silent, silent_ms, listened);
        let mut ended = Vec::new();
        for place in long.into_iter().take(SILENT_AT_ONCE) {
            let (host, actor) = (rows[place].host_id("uuid")?, actor.clone());
            let retired = self
                .writer
                .decide(move |tx| Box::pin(hosts_write::retire_silent(tx, host, actor, now)))
                .await?;
            ended.extend(retired.then_some(host));
        }
        Ok(ended)
    }
}

impl Hosts for Sqlite {
    fn enroll(&self, host: NewHost, now: Time) -> Answer<'_, Enrolling> {
        Box::pin(
            self.writer
                .decide(move |tx| Box::pin(hosts_write::enroll(tx, host, now))),
        )
    }

    fn beat(&self, beat: Beat, now: Time) -> Answer<'_, Beaten> {
        Box::pin(
            self.writer
                .decide(move |tx| Box::pin(hosts_write::beat(tx, beat, now))),
        )
    }

    fn mark_silent(&self, missed: u32, listened: Listened, now: Time) -> Answer<'_, Vec<HostId>> {
        Box::pin(self.silence(missed, listened, now))
    }

    fn retire_ephemeral(
        &self,
        silent_ms: i64,
        listened: Listened,
        actor: Actor,
        now: Time,
    ) -> Answer<'_, Vec<HostId>> {
        Box::pin(self.end_ephemeral(silent_ms, listened, actor, now))
    }

    fn retire(&self, host: HostId, actor: Actor, now: Time) -> Answer<'_, bool> {
        Box::pin(
            self.writer
                .decide(move |tx| Box::pin(hosts_write::retire(tx, host, actor, now))),
        )
    }

    fn set_labels(
        &self,
        host: HostId,
        labels: BTreeMap<String, String>,
        actor: Actor,
        now: Time,
    ) -> Answer<'_, bool> {
        Box::pin(self.writer.decide(move |tx| {
            Box::pin(async move { hosts_write::set_labels(tx, host, &labels, actor, now).await })
        }))
    }

    fn host<'a>(&'a self, scope: &'a Scope, host: HostId) -> Answer<'a, Option<HostRecord>> {
        Box::pin(self.record_of(scope, host))
    }

    fn hosts<'a>(&'a self, scope: &'a Scope, filter: &'a HostFilter) -> Answer<'a, Page<HostRow>> {
        Box::pin(self.hosts_page(scope, filter))
    }

    fn host_detail<'a>(&'a self, scope: &'a Scope, host: HostId) -> Answer<'a, Option<HostDetail>> {
        Box::pin(self.detail(scope, host))
    }

    fn live_hosts<'a>(&'a self, scope: &'a Scope) -> Answer<'a, Vec<HostId>> {
        Box::pin(async move {
            let mut query = QueryBuilder::<sqlx::Sqlite>::new("SELECT uuid FROM host AS h WHERE ");
            in_scope(&mut query, scope, "h.id");
            query.push(" AND retired = 0 AND silent = 0 AND last_heard IS NOT NULL");
            let rows = query
                .build()
                .fetch_all(&self.readers)
                .await
                .at("reading live hosts")?;
            rows.iter().map(|row| row.host_id("uuid")).collect()
        })
    }
}
