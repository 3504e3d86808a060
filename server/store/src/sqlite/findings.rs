//! The findings list: every filter, keyset pages, causes joined.

use std::collections::{BTreeSet, HashMap};

use akwatch_proto::agent::Report;
use akwatch_proto::finding::{Presence, PresenceState, UnknownWhy};
use akwatch_proto::people::{FindingRow, Page, Score};
use akwatch_proto::place::Location;
use akwatch_proto::time::Time;
use sqlx::QueryBuilder;
use sqlx::sqlite::SqliteRow;

use super::apply::apply;
use super::list::{List, Order, SortKey, and_among, any_like, host_number, in_scope};
use super::references::References;
use super::words::{Body, Columns as _, confidence, from_json, presence, slug, state};
use super::writer::Tx;
use super::{At as _, Sqlite, tally};
use crate::filter::{FindingFilter, FindingSort};
use crate::findings::Applying;
use crate::rules::{CauseCandidate, FindingFacts};
use crate::{Answer, Findings, Scope, StoreError};

/// Findings scored again in one transaction.
const RESCORED_AT_ONCE: i64 = 1000;

/// Presence as shown, as a number: what was present on a host that is not heard is unknown.
pub(crate) const SHOWN: &str = "CASE WHEN h.retired AND f.state = 1 THEN 3 \
    WHEN h.silent AND f.state = 1 THEN 3 ELSE f.state END";

/// A file and, if it does not hold the credential any more, since when.
type Candidate = (CauseCandidate, Option<Time>);

/// Of one credential on one host (`held`): the last files that hold it, and the last few that did. Each
/// limit is met in an index, so that what is gone neither crowds out what is there nor costs for ever.
const FILES: &str = "SELECT id FROM (SELECT id FROM finding WHERE host_id = held.host \
    AND credential_id = held.credential AND place_type = 1 AND state = 1 \
    AND kind <> 'reference' ORDER BY since DESC LIMIT 100) \
    UNION ALL SELECT id FROM (SELECT id FROM finding WHERE host_id = held.host \
    AND credential_id = held.credential AND place_type = 1 AND state = 2 \
    AND kind <> 'reference' ORDER BY since DESC LIMIT 10)";

/// The same: a process that holds it, on a host that can still say so.
const PROCESS: &str = "SELECT id FROM finding WHERE host_id = held.host \
    AND EXISTS (SELECT 1 FROM host WHERE id = held.host AND silent = 0 AND retired = 0) \
    AND credential_id = held.credential AND place_type = 2 AND state = 1 \
    AND kind <> 'reference' ORDER BY since LIMIT 1";

const COLUMNS: &str = "SELECT f.*, h.uuid AS host, h.name AS host_name, h.silent, h.retired, \
    h.last_heard, c.access_id AS known_id";

const FROM: &str = " FROM finding AS f JOIN host AS h ON h.id = f.host_id \
    JOIN credential AS c ON c.id = f.credential_id";

fn order(sort: FindingSort) -> Order {
    use SortKey::{Number, Text};
    match sort {
        FindingSort::Score => Order::down("findings -score", &[Number("f.score"), Number("f.id")]),
        FindingSort::FirstSeen => Order::down(
            "findings -first_seen",
            &[Number("f.agent_first_seen"), Number("f.id")],
        ),
        FindingSort::LastVerified => Order::down(
            "findings -last_verified",
            &[Number("f.agent_last_verified"), Number("f.id")],
        ),
        FindingSort::Host => Order::up(
            "findings host",
            &[Text("h.name"), Number("h.id"), Number("f.id")],
        ),
        FindingSort::Path => Order::up("findings path", &[Text("f.path"), Number("f.id")]),
    }
}

/// `FROM … WHERE …`; a count joins only what its conditions need.
fn conditions(
    query: &mut QueryBuilder<sqlx::Sqlite>,
    references: &References<'_>,
    scope: &Scope,
    filter: &FindingFilter,
    joined: bool,
) {
    let credential = filter.credential.is_some() || filter.id.is_some();
    if joined {
        query.push(FROM);
    } else {
        query.push(" FROM finding AS f");
        if !filter.presence.is_empty() {
            query.push(" JOIN host AS h ON h.id = f.host_id");
        }
        if credential {
            query.push(" JOIN credential AS c ON c.id = f.credential_id");
        }
    }
    query.push(" WHERE ");
    in_scope(query, scope, "f.host_id");
    and_among(
        query,
        SHOWN,
        filter.presence.iter().map(|state| *state as i64),
    );
    match (filter.kinds.is_empty(), credential) {
        (false, _) => and_among(query, "f.kind", filter.kinds.iter().map(slug)),
        (true, false) => {
            query.push(" AND f.kind <> 'reference'");
        }
        // Of a key whose secret nobody has seen, its references are all there is to show.
        (true, true) => {
            query.push(" AND (f.kind <> 'reference' OR c.f2 IS NULL)");
        }
    }
    and_among(
        query,
        "f.provider",
        filter.providers.iter().map(ToString::to_string),
    );
    and_among(
        query,
        "f.rule",
        filter.rules.iter().map(ToString::to_string),
    );
    and_among(
        query,
        "f.place_type",
        filter.place_types.iter().map(|place| *place as i64),
    );
    and_among(
        query,
        "f.pushed",
        filter.pushed.iter().map(|state| *state as i64),
    );
    identities(query, references, filter);
    if let Some(level) = filter.confidence {
        query.push(" AND f.confidence >= ").push_bind(level as i64);
    }
    if let Some(since) = filter.since {
        query.push(" AND f.agent_first_seen >= ").push_bind(since.0);
    }
    if let Some(text) = &filter.text {
        query.push(" AND (");
        any_like(query, &["f.path", "f.unit", "f.owner"], text);
        query.push(")");
    }
}

/// Conditions on which host and which credential.
fn identities(
    query: &mut QueryBuilder<sqlx::Sqlite>,
    references: &References<'_>,
    filter: &FindingFilter,
) {
    if let Some(host) = filter.host {
        query.push(" AND f.host_id = ");
        host_number(query, host);
    }
    if let Some(reference) = &filter.credential {
        // A reference that was not made here names nothing.
        let id = references.credential_number(reference).unwrap_or(0);
        query
            .push(" AND f.credential_id = (SELECT coalesce(merged_into, id) FROM credential WHERE id = ")
            .push_bind(id)
            .push(")");
    }
    if let Some(id) = &filter.id {
        query
            .push(" AND f.credential_id IN (SELECT id FROM credential WHERE access_id = ")
            .push_bind(id.to_string())
            .push(")");
    }
}

/// Presence as shown.
fn shown(row: &SqliteRow) -> Result<Presence, StoreError> {
    let code = state(row.value("state")?)?;
    let heard = row.maybe_time("last_heard")?;
    let since = row.time("since")?;
    let unknown = |why| Presence::Unknown {
        since: heard.unwrap_or(since),
        why,
    };
    let (retired, silent) = (
        row.value::<i64>("retired")? != 0,
        row.value::<i64>("silent")? != 0,
    );
    if code == PresenceState::Present && retired {
        return Ok(unknown(UnknownWhy::HostRetired));
    }
    if code == PresenceState::Present && silent {
        return Ok(unknown(UnknownWhy::HostSilent));
    }
    presence(code, since, row.value("why")?)
}

fn finding_row(references: &References<'_>, row: &SqliteRow) -> Result<FindingRow, StoreError> {
    let body: Body = row.json("body")?;
    let presence = shown(row)?;
    let own: Option<String> = row.value("access_id")?;
    Ok(FindingRow {
        reference: references.finding(row.value("id")?),
        host: row.host_id("host")?,
        host_name: row.value("host_name")?,
        credential: references.credential(row.value("credential_id")?),
        rule: row.word("rule")?,
        provider: row.word("provider")?,
        kind: row.word("kind")?,
        credential_id: match own {
            Some(id) => Some(id),
            None => row.value("known_id")?,
        },
        confidence: confidence(row.value("confidence")?),
        preview: body.preview,
        location: Location::of(&body.place, &body.spot, &body.origin),
        reach: body.reach,
        origin: body.origin,
        git: body.git,
        written_by: body.written_by,
        state: presence.state(),
        presence,
        cause: None,
        held_by: None,
        delivered: row.value::<i64>("delivered")? != 0,
        score: row.small("score")?,
        why_new: row.word("why_new")?,
        returns: row.small("returns")?,
        first_seen: row.time("agent_first_seen")?,
        last_verified: row.time("agent_last_verified")?,
        received: row.time("received")?,
    })
}

impl Sqlite {
    async fn findings_page(
        &self,
        scope: &Scope,
        filter: &FindingFilter,
    ) -> Result<Page<FindingRow>, StoreError> {
        let references = self.shared.references();
        let list = List {
            step: "listing findings",
            select: &[COLUMNS],
            conditions: |query: &mut _, joined| {
                conditions(query, &references, scope, filter, joined);
            },
            order: order(filter.sort),
            page: &filter.page,
        };
        let listed = self.listed(list).await?;
        Ok(Page {
            rows: self.with_causes(&listed.rows).await?,
            total: listed.total,
            next: listed.next,
        })
    }

    /// Findings of one credential: present before unknown before gone, the highest score first.
    pub(crate) async fn places_of(
        &self,
        scope: &Scope,
        credentials: &[i64],
        references: bool,
        limit: u32,
    ) -> Result<Vec<FindingRow>, StoreError> {
        let mut query = QueryBuilder::new(COLUMNS);
        query.push(FROM).push(" WHERE ");
        in_scope(&mut query, scope, "f.host_id");
        and_among(&mut query, "f.credential_id", credentials.iter().copied());
        if !references {
            query.push(" AND f.kind <> 'reference'");
        }
        query
            .push(" ORDER BY CASE (")
            .push(SHOWN)
            .push(") WHEN 1 THEN 0 WHEN 3 THEN 1 ELSE 2 END, f.score DESC, f.id LIMIT ")
            .push_bind(i64::from(limit));
        let rows = query
            .build()
            .fetch_all(&self.readers)
            .await
            .at("reading a credential's places")?;
        self.with_causes(&rows).await
    }

    /// The rows, each process with the file that it has its credential from, each file that does not
    /// hold its credential any more with a process that still does.
    async fn with_causes(&self, rows: &[SqliteRow]) -> Result<Vec<FindingRow>, StoreError> {
        let (mut processes, mut edited) = (BTreeSet::new(), BTreeSet::new());
        for row in rows {
            let held = (row.value("host_id")?, row.value("credential_id")?);
            match (row.value::<i64>("place_type")?, row.value::<i64>("state")?) {
                (2, _) => processes.insert(held),
                (1, 2) => edited.insert(held),
                _ => false,
            };
        }
        let candidates = self.candidates(processes).await?;
        let holders = self.holders(edited).await?;
        let references = self.shared.references();
        rows.iter()
            .map(|row| {
                let mut shown = finding_row(&references, row)?;
                let held = (row.value("host_id")?, row.value("credential_id")?);
                match row.value::<i64>("place_type")? {
                    2 => {
                        let files = candidates.get(&held).map_or(&[][..], Vec::as_slice);
                        let files: Vec<_> = files
                            .iter()
                            .filter(|(_, gone)| gone.is_none_or(|at| outlives(&shown.presence, at)))
                            .map(|(file, _)| file.clone())
                            .collect();
                        shown.cause = self.shared.rules.cause(&shown.origin.unit_files, &files);
                    }
                    1 if shown.state == PresenceState::Gone => {
                        shown.held_by = holders.get(&held).cloned();
                    }
                    _ => {}
                }
                Ok(shown)
            })
            .collect()
    }

    /// Files that hold these credentials on these hosts, or held them until some moment.
    async fn candidates(
        &self,
        wanted: BTreeSet<(i64, i64)>,
    ) -> Result<HashMap<(i64, i64), Vec<Candidate>>, StoreError> {
        let mut candidates: HashMap<(i64, i64), Vec<Candidate>> = HashMap::new();
        for row in self.held_in(wanted, FILES).await? {
            let body: Body = row.json("body")?;
            let gone = match row.value::<i64>("state")? {
                2 => Some(row.time("since")?),
                _ => None,
            };
            if let akwatch_proto::place::Place::File { path, .. } = body.place {
                let file = CauseCandidate {
                    path,
                    line: body.spot.line,
                    gone: gone.is_some(),
                };
                candidates
                    .entry((row.value("host_id")?, row.value("credential_id")?))
                    .or_default()
                    .push((file, gone));
            }
        }
        Ok(candidates)
    }

    /// A process that holds each of these credentials on each of these hosts, if one does.
    async fn holders(
        &self,
        wanted: BTreeSet<(i64, i64)>,
    ) -> Result<HashMap<(i64, i64), Location>, StoreError> {
        let mut holders = HashMap::new();
        for row in self.held_in(wanted, PROCESS).await? {
            let body: Body = row.json("body")?;
            holders
                .entry((row.value("host_id")?, row.value("credential_id")?))
                .or_insert_with(|| Location::of(&body.place, &body.spot, &body.origin));
        }
        Ok(holders)
    }

    /// Findings of these credentials on these hosts, of those that `which` is about: a few of each pair,
    /// however many it has had.
    async fn held_in(
        &self,
        wanted: BTreeSet<(i64, i64)>,
        which: &'static str,
    ) -> Result<Vec<SqliteRow>, StoreError> {
        let mut found = Vec::new();
        let wanted: Vec<(i64, i64)> = wanted.into_iter().collect();
        for chunk in wanted.chunks(100) {
            // The pairs lead, so that each is a search in an index, never a scan of all findings.
            let mut query = QueryBuilder::<sqlx::Sqlite>::new("WITH held (host, credential) AS (");
            query.push_values(chunk, |mut row, (host, credential)| {
                row.push_bind(*host).push_bind(*credential);
            });
            query.push(
                ") SELECT f.host_id, f.credential_id, f.state, f.since, f.body \
                 FROM held CROSS JOIN finding AS f ON f.id IN (",
            );
            query.push(which).push(") ORDER BY f.id");
            let rows = query
                .build()
                .fetch_all(&self.readers)
                .await
                .at("looking for causes")?;
            found.extend(rows);
        }
        Ok(found)
    }

    /// The score of the worst deciding finding on a host, explained.
    pub(crate) async fn worst_on(&self, host: i64) -> Result<Score, StoreError> {
        let row = sqlx::query(
            "SELECT kind, confidence, delivered, state, scored, body FROM finding \
             WHERE host_id = ?1 AND class = 0 ORDER BY score DESC, id LIMIT 1",
        )
        .bind(host)
        .fetch_optional(&self.readers)
        .await
        .at("reading the worst finding")?;
        row.as_ref()
            .map_or(Ok(Score::default()), |row| self.explain(row))
    }

    /// The score of the worst deciding finding of a credential in scope, explained.
    pub(crate) async fn worst_of(
        &self,
        scope: &Scope,
        credential: i64,
    ) -> Result<Score, StoreError> {
        let mut query = QueryBuilder::<sqlx::Sqlite>::new(
            "SELECT kind, confidence, delivered, state, scored, body FROM finding AS f WHERE ",
        );
        in_scope(&mut query, scope, "f.host_id");
        query
            .push(" AND class = 0 AND credential_id = ")
            .push_bind(credential)
            .push(" ORDER BY score DESC, id LIMIT 1");
        let row = query
            .build()
            .fetch_optional(&self.readers)
            .await
            .at("reading the worst finding")?;
        row.as_ref()
            .map_or(Ok(Score::default()), |row| self.explain(row))
    }

    /// The score as it was computed, with its lines.
    fn explain(&self, row: &SqliteRow) -> Result<Score, StoreError> {
        score(&*self.shared.rules, row, row.time("scored")?)
    }
}

fn score(rules: &dyn crate::Rules, row: &SqliteRow, now: Time) -> Result<Score, StoreError> {
    let body: Body = from_json("finding", row.value("body")?)?;
    Ok(rules.finding(&FindingFacts {
        kind: row.word("kind")?,
        confidence: confidence(row.value("confidence")?),
        proof: &body.proof,
        place: &body.place,
        reach: &body.reach,
        delivered: row.value::<i64>("delivered")? != 0,
        presence: state(row.value("state")?)?,
        now,
    }))
}

/// Whether a process is present and was so before its file went at `gone`: it has what the file held. Of
/// one that has ended, or began later, that cannot be said.
fn outlives(process: &Presence, gone: Time) -> bool {
    matches!(process, Presence::Present { since } if *since < gone)
}

/// Scores again what expired after it was scored.
async fn rescore(tx: &mut Tx, now: Time) -> Result<u64, StoreError> {
    let rows = sqlx::query(
        "SELECT id, host_id, credential_id, class, kind, confidence, delivered, state, body \
         FROM finding WHERE expires <= ?1 AND scored < expires LIMIT ?2",
    )
    .bind(now.0)
    .bind(RESCORED_AT_ONCE)
    .fetch_all(&mut tx.conn)
    .await
    .at("looking for expired credentials")?;
    let mut touched: HashMap<i64, BTreeSet<i64>> = HashMap::new();
    for row in &rows {
        let value = match row.value::<i64>("class")? {
            0 => score(&*tx.shared.rules, row, now)?.value,
            _ => 0,
        };
        sqlx::query("UPDATE finding SET score = ?2, scored = ?3 WHERE id = ?1")
            .bind(row.value::<i64>("id")?)
            .bind(i64::from(value))
            .bind(now.0)
            .execute(&mut tx.conn)
            .await
            .at("scoring again")?;
        touched
            .entry(row.value("host_id")?)
            .or_default()
            .insert(row.value("credential_id")?);
    }
    for (host, credentials) in touched {
        tally::recount(tx, host, &credentials).await?;
        tally::rescore_host(tx, host).await?;
    }
    Ok(rows.len() as u64)
}

impl Findings for Sqlite {
    fn apply(&self, report: Report, now: Time) -> Answer<'_, Applying> {
        Box::pin(
            self.writer
                .decide(move |tx| Box::pin(apply(tx, report, now))),
        )
    }

    fn findings<'a>(
        &'a self,
        scope: &'a Scope,
        filter: &'a FindingFilter,
    ) -> Answer<'a, Page<FindingRow>> {
        Box::pin(self.findings_page(scope, filter))
    }

    fn rescore_expired(&self, now: Time) -> Answer<'_, u64> {
        Box::pin(self.writer.decide(move |tx| Box::pin(rescore(tx, now))))
    }
}
