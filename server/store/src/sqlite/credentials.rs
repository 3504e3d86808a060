//! The credential list and one credential.
//!
//! Within [`Scope::All`] the counters are columns. Within another scope they are added up from the
//! holdings of its hosts, and verdict and score are computed by the same rules from those sums: a
//! caller who sees three hosts gets the verdict of three hosts.

use akwatch_proto::agent::HostId;
use akwatch_proto::credential::{CredentialId, Fingerprint};
use akwatch_proto::finding::Proof;
use akwatch_proto::people::{
    CredentialDetail, CredentialRef, CredentialRow, Decision, Disposition, Holders, Overview, Page,
    PresenceCounts, Score, TimelineEntry, Verdict,
};
use akwatch_proto::time::Time;
use sqlx::QueryBuilder;
use sqlx::sqlite::SqliteRow;

use super::list::{List, Order, SortKey, and_among, host_number, in_scope};
use super::words::{Columns as _, confidence, slug};
use super::{At as _, Sqlite, decisions, tally, timeline};
use crate::cursor::Key;
use crate::filter::{CredentialFilter, CredentialSort, Verdicts};
use crate::rules::CredentialTally;
use crate::{Answer, Credentials, Scope, StoreError};

/// Places in one credential's answer.
pub(crate) const PLACES: u32 = 1000;

/// Entries of one timeline.
const TIMELINE: i64 = 500;

/// What both sources select: the credential's own columns.
const OWN: &str = "SELECT c.id, c.f2 IS NULL AS reference, c.provider, c.kind, c.access_id, \
    c.preview, c.confidence, c.proof, c.disposition, c.decided, c.decided_by, \
    c.decided_at, c.decided_until, c.note";

const STORED: &str = ", c.verdict, c.open, c.score, c.present, c.gone, c.unknown, c.hosts, \
    c.ref_present, c.ref_gone, c.ref_unknown, c.ref_hosts, c.first_seen, c.last_seen, 0 AS worst";

const SUMMED: &str = ", s.present, s.gone, s.unknown, s.hosts, s.ref_present, s.ref_gone, \
    s.ref_unknown, s.ref_hosts, s.first_seen, s.last_seen, s.worst";

const SUMS: &str = "SELECT d.credential_id, \
    sum(CASE WHEN h.silent THEN 0 ELSE d.present END) AS present, sum(d.gone) AS gone, \
    sum(d.unknown + CASE WHEN h.silent THEN d.present ELSE 0 END) AS unknown, \
    sum(d.present + d.unknown > 0) AS hosts, \
    sum(CASE WHEN h.silent THEN 0 ELSE d.ref_present END) AS ref_present, \
    sum(d.ref_gone) AS ref_gone, \
    sum(d.ref_unknown + CASE WHEN h.silent THEN d.ref_present ELSE 0 END) AS ref_unknown, \
    sum(d.ref_present + d.ref_unknown > 0) AS ref_hosts, max(d.worst) AS worst, \
    min(d.first_seen) AS first_seen, max(d.last_seen) AS last_seen \
    FROM holding AS d JOIN host AS h ON h.id = d.host_id WHERE ";

fn order(sort: CredentialSort) -> Order {
    use SortKey::Number;
    match sort {
        CredentialSort::Score => Order::down(
            "credentials -score",
            &[Number("c.score"), Number("c.hosts"), Number("c.id")],
        ),
        CredentialSort::Hosts => Order::down(
            "credentials -hosts",
            &[Number("c.hosts"), Number("c.score"), Number("c.id")],
        ),
        CredentialSort::Places => Order::down(
            "credentials -places",
            &[
                Number("(c.present + c.unknown)"),
                Number("c.score"),
                Number("c.id"),
            ],
        ),
        CredentialSort::LastSeen => Order::down(
            "credentials -last_seen",
            &[Number("c.last_seen"), Number("c.id")],
        ),
        CredentialSort::FirstSeen => Order::up(
            "credentials first_seen",
            &[Number("c.first_seen"), Number("c.id")],
        ),
    }
}

/// A credential within a scope.
pub(crate) struct Line {
    pub(crate) id: i64,
    pub(crate) reference: bool,
    pub(crate) open: bool,
    pub(crate) row: CredentialRow,
    pub(crate) references: u64,
    proof: Vec<Proof>,
    decision: Decision,
}

impl Line {
    fn keys(&self, sort: CredentialSort) -> Vec<i64> {
        let signed = super::words::signed;
        let row = &self.row;
        let (score, hosts) = (i64::from(row.score), signed(row.hosts));
        match sort {
            CredentialSort::Score => vec![score, hosts, self.id],
            CredentialSort::Hosts => vec![hosts, score, self.id],
            CredentialSort::Places => {
                vec![
                    signed(row.places.present + row.places.unknown),
                    score,
                    self.id,
                ]
            }
            CredentialSort::LastSeen => vec![row.last_seen.0, self.id],
            CredentialSort::FirstSeen => vec![row.first_seen.0, self.id],
        }
    }
}

/// Conditions that do not depend on counters.
fn own_conditions(
    query: &mut QueryBuilder<sqlx::Sqlite>,
    scope: &Scope,
    filter: &CredentialFilter,
) {
    query.push(" AND c.merged_into IS NULL");
    if !filter.kinds.is_empty() {
        and_among(query, "c.kind", filter.kinds.iter().map(slug));
    } else if filter.id.is_none() {
        query.push(" AND c.kind <> 'reference'");
    }
    and_among(
        query,
        "c.provider",
        filter.providers.iter().map(ToString::to_string),
    );
    if let Some(id) = &filter.id {
        query.push(" AND c.access_id = ").push_bind(id.to_string());
    }
    if let Some(host) = filter.host {
        query.push(" AND c.id IN (SELECT credential_id FROM holding WHERE ");
        // Whether a host out of sight holds a credential is nobody's to learn.
        in_scope(query, scope, "host_id");
        query.push(" AND host_id = ");
        host_number(query, host);
        query.push(")");
    }
}

/// Conditions on the stored counters.
fn stored_conditions(query: &mut QueryBuilder<sqlx::Sqlite>, filter: &CredentialFilter) {
    match &filter.verdicts {
        Verdicts::Any => {}
        Verdicts::These(these) => and_among(query, "c.verdict", these.iter().map(slug)),
        Verdicts::Open(these) if these.is_empty() => {
            query.push(" AND c.open = 1");
        }
        Verdicts::Open(these) => {
            query.push(" AND (c.open = 1 OR (1");
            and_among(query, "c.verdict", these.iter().map(slug));
            query.push("))");
        }
    }
    if let Some((low, high)) = filter.score {
        query
            .push(" AND c.score BETWEEN ")
            .push_bind(i64::from(low))
            .push(" AND ")
            .push_bind(i64::from(high));
    }
    if !filter.presence.is_empty() {
        query.push(" AND (0");
        for state in &filter.presence {
            query.push(match state {
                akwatch_proto::finding::PresenceState::Present => {
                    " OR c.present > 0 OR (c.f2 IS NULL AND c.ref_present > 0)"
                }
                akwatch_proto::finding::PresenceState::Gone => {
                    " OR c.gone > 0 OR (c.f2 IS NULL AND c.ref_gone > 0)"
                }
                akwatch_proto::finding::PresenceState::Unknown => {
                    " OR c.unknown > 0 OR (c.f2 IS NULL AND c.ref_unknown > 0)"
                }
            });
        }
        query.push(")");
    }
}

/// The same on sums that were computed.
fn passes(line: &Line, filter: &CredentialFilter) -> bool {
    use akwatch_proto::finding::PresenceState as State;
    let row = &line.row;
    let verdict = match &filter.verdicts {
        Verdicts::Any => true,
        Verdicts::These(these) => these.contains(&row.verdict),
        Verdicts::Open(these) => line.open || these.contains(&row.verdict),
    };
    let score = filter
        .score
        .is_none_or(|(low, high)| (low..=high).contains(&row.score));
    let presence = filter.presence.is_empty()
        || filter.presence.iter().any(|state| match state {
            State::Present => row.places.present > 0,
            State::Gone => row.places.gone > 0,
            State::Unknown => row.places.unknown > 0,
        });
    verdict && score && presence
}

fn places(row: &SqliteRow, reference: bool) -> Result<PresenceCounts, StoreError> {
    let [present, gone, unknown] = match reference {
        true => ["ref_present", "ref_gone", "ref_unknown"],
        false => ["present", "gone", "unknown"],
    };
    Ok(PresenceCounts {
        present: row.count(present)?,
        gone: row.count(gone)?,
        unknown: row.count(unknown)?,
    })
}

impl Sqlite {
    /// Reads a row of either source; `stored` says whether verdict and score are columns.
    fn line(&self, row: &SqliteRow, stored: bool) -> Result<Line, StoreError> {
        let id: i64 = row.value("id")?;
        let reference = row.value::<i64>("reference")? != 0;
        let disposition: Disposition = row.word("disposition")?;
        let deciding = places(row, false)?;
        let (verdict, open, score): (Verdict, bool, u32) = if stored {
            (
                row.word("verdict")?,
                row.value::<i64>("open")? != 0,
                row.small("score")?,
            )
        } else {
            let rules = &self.shared.rules;
            let verdict = rules.verdict(deciding, disposition);
            let score = rules.credential(&CredentialTally {
                worst: tally::score_of(row.value("worst")?)?,
                places: deciding,
                hosts: row.count("hosts")?,
                disposition,
            });
            let open = !reference && rules.open(verdict, disposition);
            (verdict, open, score.value)
        };
        let preview = row
            .value::<Option<String>>("preview")?
            .map(|text| super::words::from_json("preview", &text))
            .transpose()?;
        let proof: Vec<Proof> = row.json("proof")?;
        let shown = CredentialRow {
            reference: self.shared.references().credential(id),
            credential_id: row.value("access_id")?,
            preview,
            provider: row.word("provider")?,
            kind: row.word("kind")?,
            confidence: confidence(row.value("confidence")?),
            verdict,
            disposition,
            score,
            hosts: row.count(if reference { "ref_hosts" } else { "hosts" })?,
            places: places(row, reference)?,
            first_seen: row.time("first_seen")?,
            last_seen: row.time("last_seen")?,
            expires: Proof::expiry(&proof),
        };
        let references = places(row, true)?;
        Ok(Line {
            id,
            reference,
            open,
            row: shown,
            references: references.present + references.gone + references.unknown,
            proof,
            decision: decisions::decision(row)?,
        })
    }

    /// Credentials within a scope other than all, by `filter`, sorted.
    pub(crate) async fn summed(
        &self,
        scope: &Scope,
        filter: &CredentialFilter,
        only: Option<i64>,
    ) -> Result<Vec<Line>, StoreError> {
        let mut query = QueryBuilder::<sqlx::Sqlite>::new(OWN);
        query.push(SUMMED).push(" FROM (").push(SUMS);
        in_scope(&mut query, scope, "d.host_id");
        if let Some(only) = only {
            query.push(" AND d.credential_id = ").push_bind(only);
        }
        query.push(
            " GROUP BY d.credential_id) AS s JOIN credential AS c ON c.id = s.credential_id \
             WHERE 1",
        );
        own_conditions(&mut query, scope, filter);
        let rows = query
            .build()
            .fetch_all(&self.readers)
            .await
            .at("adding up credentials")?;
        let mut lines = Vec::with_capacity(rows.len());
        for row in &rows {
            let line = self.line(row, false)?;
            if passes(&line, filter) {
                lines.push(line);
            }
        }
        let descending = order(filter.sort).descending;
        lines.sort_by(|left, right| {
            let (left, right) = (left.keys(filter.sort), right.keys(filter.sort));
            if descending {
                right.cmp(&left)
            } else {
                left.cmp(&right)
            }
        });
        Ok(lines)
    }

    async fn summed_page(
        &self,
        scope: &Scope,
        filter: &CredentialFilter,
    ) -> Result<Page<CredentialRow>, StoreError> {
        let order = order(filter.sort);
        let mut lines = self.summed(scope, filter, None).await?;
        let total = lines.len() as u64;
        if let Some(text) = &filter.page.cursor {
            let after: Vec<i64> = order
                .read(text)?
                .into_iter()
                .filter_map(|key| match key {
                    Key::Number(number) => Some(number),
                    Key::Text(_) => None,
                })
                .collect();
            lines.retain(|line| {
                let keys = line.keys(filter.sort);
                if order.descending {
                    keys < after
                } else {
                    keys > after
                }
            });
        }
        let limit = usize::try_from(filter.page.limit).unwrap_or(usize::MAX);
        let more = lines.len() > limit;
        lines.truncate(limit);
        let next = lines.last().filter(|_| more).map(|line| {
            let keys = line.keys(filter.sort).into_iter();
            order.write(keys.map(Key::Number).collect())
        });
        Ok(Page {
            rows: lines.into_iter().map(|line| line.row).collect(),
            total,
            next,
        })
    }

    async fn stored_page(
        &self,
        filter: &CredentialFilter,
    ) -> Result<Page<CredentialRow>, StoreError> {
        let list = List {
            step: "listing credentials",
            select: &[OWN, STORED],
            conditions: |query: &mut QueryBuilder<sqlx::Sqlite>, _| {
                query.push(" FROM credential AS c WHERE 1");
                own_conditions(query, &Scope::All, filter);
                stored_conditions(query, filter);
            },
            order: order(filter.sort),
            page: &filter.page,
        };
        let listed = self.listed(list).await?;
        let rows = listed.rows.iter();
        let rows = rows.map(|row| Ok(self.line(row, true)?.row));
        Ok(Page {
            rows: rows.collect::<Result<_, StoreError>>()?,
            total: listed.total,
            next: listed.next,
        })
    }

    pub(crate) async fn credentials_page(
        &self,
        scope: &Scope,
        filter: &CredentialFilter,
    ) -> Result<Page<CredentialRow>, StoreError> {
        match scope {
            Scope::All => self.stored_page(filter).await,
            Scope::Labels(_) | Scope::Host(_) => self.summed_page(scope, filter).await,
        }
    }

    /// One credential within a scope; none when no host of the scope ever held it.
    pub(crate) async fn credential_line(
        &self,
        scope: &Scope,
        id: i64,
    ) -> Result<Option<Line>, StoreError> {
        let id: Option<i64> =
            sqlx::query_scalar("SELECT coalesce(merged_into, id) FROM credential WHERE id = ?1")
                .bind(id)
                .fetch_optional(&self.readers)
                .await
                .at("reading a credential")?;
        let Some(id) = id else { return Ok(None) };
        if *scope != Scope::All {
            let mut every = CredentialFilter::default();
            every.kinds.extend(crate::filter::EVERY_KIND);
            return Ok(self.summed(scope, &every, Some(id)).await?.pop());
        }
        let mut query = QueryBuilder::<sqlx::Sqlite>::new(OWN);
        query
            .push(STORED)
            .push(" FROM credential AS c WHERE c.id = ")
            .push_bind(id);
        query
            .build()
            .fetch_optional(&self.readers)
            .await
            .at("reading a credential")?
            .as_ref()
            .map(|row| self.line(row, true))
            .transpose()
    }

    async fn detail_of(
        &self,
        scope: &Scope,
        reference: &CredentialRef,
    ) -> Result<Option<CredentialDetail>, StoreError> {
        let Some(id) = self.shared.references().credential_number(reference) else {
            return Ok(None);
        };
        let Some(line) = self.credential_line(scope, id).await? else {
            return Ok(None);
        };
        let score = self.explained(scope, &line).await?;
        Ok(Some(CredentialDetail {
            score,
            places: self
                .places_of(scope, &[line.id], line.reference, PLACES)
                .await?,
            timeline: self.credential_timeline(scope, line.id).await?,
            references: line.references,
            proof: line.proof,
            decision: line.decision,
            credential: line.row,
        }))
    }

    async fn explained(&self, scope: &Scope, line: &Line) -> Result<Score, StoreError> {
        let deciding = match line.reference {
            true => PresenceCounts::default(),
            false => line.row.places,
        };
        Ok(self.shared.rules.credential(&CredentialTally {
            worst: self.worst_of(scope, line.id).await?,
            places: deciding,
            hosts: line.row.hosts,
            disposition: line.row.disposition,
        }))
    }

    /// What happened to a credential, and the silences of the hosts that hold it.
    async fn credential_timeline(
        &self,
        scope: &Scope,
        id: i64,
    ) -> Result<Vec<TimelineEntry>, StoreError> {
        let mut query = QueryBuilder::<sqlx::Sqlite>::new(timeline::ENTRY);
        query
            .push("WHERE t.id IN (SELECT id FROM (SELECT id FROM timeline WHERE credential_id = ")
            .push_bind(id)
            // What people decided belongs to no host.
            .push(" AND (host_id IS NULL OR ");
        in_scope(&mut query, scope, "host_id");
        query
            .push(") ORDER BY id DESC LIMIT ")
            .push_bind(TIMELINE)
            .push(
                ") UNION ALL SELECT id FROM (SELECT id FROM timeline WHERE credential_id IS NULL \
                 AND what IN ('silent', 'heard-again') AND host_id IN \
                 (SELECT host_id FROM holding WHERE credential_id = ",
            )
            .push_bind(id)
            .push(") AND ");
        in_scope(&mut query, scope, "host_id");
        query
            .push(" ORDER BY id DESC LIMIT ")
            .push_bind(TIMELINE)
            .push(")) ORDER BY t.id DESC LIMIT ")
            .push_bind(TIMELINE);
        let rows = query
            .build()
            .fetch_all(&self.readers)
            .await
            .at("reading a timeline")?;
        self.entries(&rows)
    }

    fn entries(&self, rows: &[SqliteRow]) -> Result<Vec<TimelineEntry>, StoreError> {
        let references = self.shared.references();
        rows.iter()
            .map(|row| timeline::entry(&references, row))
            .collect()
    }

    async fn timeline_of_host(
        &self,
        scope: &Scope,
        host: HostId,
        limit: u32,
    ) -> Result<Vec<TimelineEntry>, StoreError> {
        let mut query = QueryBuilder::<sqlx::Sqlite>::new(timeline::ENTRY);
        query.push("WHERE ");
        in_scope(&mut query, scope, "t.host_id");
        query
            .push(" AND t.host_id = (SELECT id FROM host WHERE uuid = ")
            .push_bind(host.0.as_bytes().to_vec())
            .push(") ORDER BY t.id DESC LIMIT ")
            .push_bind(i64::from(limit).min(TIMELINE));
        let rows = query
            .build()
            .fetch_all(&self.readers)
            .await
            .at("reading a timeline")?;
        self.entries(&rows)
    }
}

impl Credentials for Sqlite {
    fn credentials<'a>(
        &'a self,
        scope: &'a Scope,
        filter: &'a CredentialFilter,
    ) -> Answer<'a, Page<CredentialRow>> {
        Box::pin(self.credentials_page(scope, filter))
    }

    fn credential<'a>(
        &'a self,
        scope: &'a Scope,
        reference: &'a CredentialRef,
    ) -> Answer<'a, Option<CredentialDetail>> {
        Box::pin(self.detail_of(scope, reference))
    }

    fn holders_of_id<'a>(&'a self, scope: &'a Scope, id: &'a CredentialId) -> Answer<'a, Holders> {
        Box::pin(self.held_by_id(scope, id))
    }

    fn holders_of_secret<'a>(
        &'a self,
        scope: &'a Scope,
        fingerprints: &'a [Fingerprint],
    ) -> Answer<'a, Holders> {
        Box::pin(self.held_by_secret(scope, fingerprints))
    }

    fn overview<'a>(&'a self, scope: &'a Scope, now: Time) -> Answer<'a, Overview> {
        Box::pin(self.overview_of(scope, now))
    }

    fn host_timeline<'a>(
        &'a self,
        scope: &'a Scope,
        host: HostId,
        limit: u32,
    ) -> Answer<'a, Vec<TimelineEntry>> {
        Box::pin(self.timeline_of_host(scope, host, limit))
    }
}
