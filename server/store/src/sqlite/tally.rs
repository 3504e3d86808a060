//! Counters: what a credential and a host add up to, moved by differences.
//!
//! A holding is one credential on one host. When findings of a host changed, its holdings of the
//! credentials concerned are counted again, which reads a few rows of an index; the credential's own
//! counters move by the difference, whatever the size of the fleet. Verdicts and scores follow.

use std::collections::{BTreeSet, HashMap};

use akwatch_proto::people::{Disposition, PresenceCounts, Score};
use sqlx::{QueryBuilder, Sqlite};

use super::At as _;
use super::words::{Columns as _, slug, unsigned};
use super::writer::Tx;
use crate::StoreError;
use crate::rules::{CredentialTally, HostTally};

const ROWS: usize = 100;

/// One credential on one host, by the agent's word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Holding {
    present: i64,
    gone: i64,
    unknown: i64,
    ref_present: i64,
    ref_gone: i64,
    ref_unknown: i64,
    apart: i64,
    worst: i64,
    first_seen: i64,
    last_seen: i64,
}

impl Holding {
    fn add(&mut self, class: i64, state: i64, number: i64) {
        let counter = match (class, state) {
            (0, 1) => &mut self.present,
            (0, 2) => &mut self.gone,
            (0, _) => &mut self.unknown,
            (2, 1) => &mut self.ref_present,
            (2, 2) => &mut self.ref_gone,
            (2, _) => &mut self.ref_unknown,
            _ => &mut self.apart,
        };
        *counter += number;
    }

    /// What it adds to the credential's counters: `present, gone, unknown, hosts, ref_present,
    /// ref_gone, ref_unknown, ref_hosts, apart`.
    fn adds(&self, silent: bool) -> [i64; 9] {
        let shown = |present, unknown| match silent {
            true => (0, present + unknown),
            false => (present, unknown),
        };
        let (present, unknown) = shown(self.present, self.unknown);
        let (ref_present, ref_unknown) = shown(self.ref_present, self.ref_unknown);
        [
            present,
            self.gone,
            unknown,
            i64::from(present + unknown > 0),
            ref_present,
            self.ref_gone,
            ref_unknown,
            i64::from(ref_present + ref_unknown > 0),
            self.apart,
        ]
    }
}

/// Counts again what `host` holds of these credentials.
pub(crate) async fn recount(
    tx: &mut Tx,
    host: i64,
    credentials: &BTreeSet<i64>,
) -> Result<(), StoreError> {
    if credentials.is_empty() {
        return Ok(());
    }
    let silent: i64 = sqlx::query_scalar("SELECT silent FROM host WHERE id = ?1")
        .bind(host)
        .fetch_one(&mut tx.conn)
        .await
        .at("reading the host's state")?;
    let credentials: Vec<i64> = credentials.iter().copied().collect();
    for chunk in credentials.chunks(ROWS) {
        let old = stored(tx, host, chunk).await?;
        let new = counted(tx, host, chunk).await?;
        store(tx, host, &old, &new).await?;
        shift(tx, chunk, &old, &new, silent != 0).await?;
        judge(tx, chunk).await?;
    }
    Ok(())
}

fn among(query: &mut QueryBuilder<Sqlite>, ids: &[i64]) {
    query.push(" IN (");
    let mut list = query.separated(", ");
    for id in ids {
        list.push_bind(*id);
    }
    query.push(")");
}

async fn stored(
    tx: &mut Tx,
    host: i64,
    credentials: &[i64],
) -> Result<HashMap<i64, Holding>, StoreError> {
    let mut query = QueryBuilder::<Sqlite>::new("SELECT * FROM holding WHERE host_id = ");
    query.push_bind(host).push(" AND credential_id");
    among(&mut query, credentials);
    let rows = query
        .build()
        .fetch_all(&mut tx.conn)
        .await
        .at("reading holdings")?;
    rows.iter()
        .map(|row| {
            Ok((
                row.value("credential_id")?,
                Holding {
                    present: row.value("present")?,
                    gone: row.value("gone")?,
                    unknown: row.value("unknown")?,
                    ref_present: row.value("ref_present")?,
                    ref_gone: row.value("ref_gone")?,
                    ref_unknown: row.value("ref_unknown")?,
                    apart: row.value("apart")?,
                    worst: row.value("worst")?,
                    first_seen: row.value("first_seen")?,
                    last_seen: row.value("last_seen")?,
                },
            ))
        })
        .collect()
}

async fn counted(
    tx: &mut Tx,
    host: i64,
    credentials: &[i64],
) -> Result<HashMap<i64, Holding>, StoreError> {
    let mut query = QueryBuilder::<Sqlite>::new(
        "SELECT credential_id, class, state, count(*) AS number, max(score) AS worst, \
         min(agent_first_seen) AS first_seen, max(agent_last_verified) AS last_seen \
         FROM finding WHERE host_id = ",
    );
    query.push_bind(host).push(" AND credential_id");
    among(&mut query, credentials);
    query.push(" GROUP BY credential_id, class, state");
    let rows = query
        .build()
        .fetch_all(&mut tx.conn)
        .await
        .at("counting findings")?;
    let mut holdings: HashMap<i64, Holding> = HashMap::new();
    for row in rows {
        let first_seen: i64 = row.value("first_seen")?;
        let holding = holdings
            .entry(row.value("credential_id")?)
            .or_insert_with(|| Holding {
                first_seen,
                ..Holding::default()
            });
        let class: i64 = row.value("class")?;
        holding.add(class, row.value("state")?, row.value("number")?);
        if class == 0 {
            holding.worst = holding.worst.max(row.value("worst")?);
        }
        holding.first_seen = holding.first_seen.min(first_seen);
        holding.last_seen = holding.last_seen.max(row.value("last_seen")?);
    }
    Ok(holdings)
}

async fn store(
    tx: &mut Tx,
    host: i64,
    old: &HashMap<i64, Holding>,
    new: &HashMap<i64, Holding>,
) -> Result<(), StoreError> {
    let ended: Vec<i64> = old
        .keys()
        .filter(|id| !new.contains_key(id))
        .copied()
        .collect();
    if !ended.is_empty() {
        let mut query = QueryBuilder::<Sqlite>::new("DELETE FROM holding WHERE host_id = ");
        query.push_bind(host).push(" AND credential_id");
        among(&mut query, &ended);
        query
            .build()
            .execute(&mut tx.conn)
            .await
            .at("ending holdings")?;
    }
    let mut changed: Vec<(&i64, &Holding)> = new
        .iter()
        .filter(|(id, holding)| old.get(id) != Some(holding))
        .collect();
    if changed.is_empty() {
        return Ok(());
    }
    changed.sort_unstable_by_key(|(id, _)| **id);
    let mut query = QueryBuilder::<Sqlite>::new(
        "INSERT INTO holding (host_id, credential_id, present, gone, unknown, ref_present, \
         ref_gone, ref_unknown, apart, worst, first_seen, last_seen) ",
    );
    query.push_values(changed, |mut row, (id, holding)| {
        row.push_bind(host)
            .push_bind(*id)
            .push_bind(holding.present)
            .push_bind(holding.gone)
            .push_bind(holding.unknown)
            .push_bind(holding.ref_present)
            .push_bind(holding.ref_gone)
            .push_bind(holding.ref_unknown)
            .push_bind(holding.apart)
            .push_bind(holding.worst)
            .push_bind(holding.first_seen)
            .push_bind(holding.last_seen);
    });
    query.push(
        " ON CONFLICT (host_id, credential_id) DO UPDATE SET present = excluded.present, \
         gone = excluded.gone, unknown = excluded.unknown, ref_present = excluded.ref_present, \
         ref_gone = excluded.ref_gone, ref_unknown = excluded.ref_unknown, \
         apart = excluded.apart, worst = excluded.worst, first_seen = excluded.first_seen, \
         last_seen = excluded.last_seen",
    );
    query
        .build()
        .execute(&mut tx.conn)
        .await
        .at("storing holdings")?;
    Ok(())
}

/// Moves the credentials' counters by the difference.
async fn shift(
    tx: &mut Tx,
    credentials: &[i64],
    old: &HashMap<i64, Holding>,
    new: &HashMap<i64, Holding>,
    silent: bool,
) -> Result<(), StoreError> {
    let none = Holding::default();
    let moved: Vec<(i64, [i64; 9], i64, i64)> = credentials
        .iter()
        .filter(|id| old.get(id) != new.get(id))
        .map(|id| {
            let after = new.get(id).unwrap_or(&none);
            let before = old.get(id).unwrap_or(&none).adds(silent);
            let mut difference = after.adds(silent);
            for (after, before) in difference.iter_mut().zip(before) {
                *after -= before;
            }
            let (first, last) = match new.get(id) {
                Some(holding) => (holding.first_seen, holding.last_seen),
                None => (i64::MAX, i64::MIN),
            };
            (*id, difference, first, last)
        })
        .collect();
    if moved.is_empty() {
        return Ok(());
    }
    let mut query = QueryBuilder::<Sqlite>::new(
        "WITH moved (id, present, gone, unknown, hosts, ref_present, ref_gone, ref_unknown, \
         ref_hosts, apart, first_seen, last_seen) AS (",
    );
    query.push_values(moved, |mut row, (id, difference, first, last)| {
        row.push_bind(id);
        for value in difference {
            row.push_bind(value);
        }
        row.push_bind(first).push_bind(last);
    });
    query.push(
        ") UPDATE credential AS c SET present = c.present + m.present, gone = c.gone + m.gone, \
         unknown = c.unknown + m.unknown, hosts = c.hosts + m.hosts, \
         ref_present = c.ref_present + m.ref_present, ref_gone = c.ref_gone + m.ref_gone, \
         ref_unknown = c.ref_unknown + m.ref_unknown, ref_hosts = c.ref_hosts + m.ref_hosts, \
         apart = c.apart + m.apart, first_seen = min(c.first_seen, m.first_seen), \
         last_seen = max(c.last_seen, m.last_seen) FROM moved AS m WHERE c.id = m.id",
    );
    query
        .build()
        .execute(&mut tx.conn)
        .await
        .at("moving counters")?;
    Ok(())
}

/// A host fell silent or is heard again: what it said is present counts as unknown, or again as said.
pub(crate) async fn shift_silent(tx: &mut Tx, host: i64, silent: bool) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE credential AS c SET present = c.present - ?2 * h.present, \
         unknown = c.unknown + ?2 * h.present, \
         ref_present = c.ref_present - ?2 * h.ref_present, \
         ref_unknown = c.ref_unknown + ?2 * h.ref_present \
         FROM holding AS h WHERE h.host_id = ?1 AND c.id = h.credential_id",
    )
    .bind(host)
    .bind(if silent { 1_i64 } else { -1 })
    .execute(&mut tx.conn)
    .await
    .at("moving counters")?;
    let credentials: Vec<i64> =
        sqlx::query_scalar("SELECT credential_id FROM holding WHERE host_id = ?1 AND present > 0")
            .bind(host)
            .fetch_all(&mut tx.conn)
            .await
            .at("reading holdings")?;
    for chunk in credentials.chunks(ROWS) {
        judge(tx, chunk).await?;
    }
    Ok(())
}

/// Verdict and score of credentials whose counters moved.
pub(crate) async fn judge(tx: &mut Tx, credentials: &[i64]) -> Result<(), StoreError> {
    let mut query = QueryBuilder::<Sqlite>::new(
        "SELECT id, f2 IS NULL AS reference, disposition, present, gone, unknown, hosts, \
         verdict, open, score, \
         (SELECT max(worst) FROM holding WHERE credential_id = c.id) AS worst \
         FROM credential AS c WHERE id",
    );
    among(&mut query, credentials);
    let rows = query
        .build()
        .fetch_all(&mut tx.conn)
        .await
        .at("reading counters")?;
    let mut judged: Vec<(i64, String, bool, i64)> = Vec::new();
    for row in rows {
        let disposition: Disposition = row.word("disposition")?;
        let places = PresenceCounts {
            present: row.count("present")?,
            gone: row.count("gone")?,
            unknown: row.count("unknown")?,
        };
        let rules = &tx.shared.rules;
        let verdict = rules.verdict(places, disposition);
        let reference = row.value::<i64>("reference")? != 0;
        let tally = CredentialTally {
            worst: score_of(row.value::<Option<i64>>("worst")?.unwrap_or(0))?,
            places,
            hosts: row.count("hosts")?,
            disposition,
        };
        let score = i64::from(rules.credential(&tally).value);
        let open = !reference && rules.open(verdict, disposition);
        let verdict = slug(&verdict);
        if (verdict.as_str(), i64::from(open), score)
            != (
                row.value::<&str>("verdict")?,
                row.value::<i64>("open")?,
                row.value::<i64>("score")?,
            )
        {
            judged.push((row.value("id")?, verdict, open, score));
        }
    }
    write_judged(tx, judged).await
}

async fn write_judged(
    tx: &mut Tx,
    judged: Vec<(i64, String, bool, i64)>,
) -> Result<(), StoreError> {
    if judged.is_empty() {
        return Ok(());
    }
    let mut query = QueryBuilder::<Sqlite>::new("WITH judged (id, verdict, open, score) AS (");
    query.push_values(judged, |mut row, (id, verdict, open, score)| {
        row.push_bind(id)
            .push_bind(verdict)
            .push_bind(i64::from(open))
            .push_bind(score);
    });
    query.push(
        ") UPDATE credential AS c SET verdict = j.verdict, open = j.open, score = j.score \
         FROM judged AS j WHERE c.id = j.id",
    );
    query
        .build()
        .execute(&mut tx.conn)
        .await
        .at("storing verdicts")?;
    Ok(())
}

/// A score without its lines.
pub(crate) fn score_of(value: i64) -> Result<Score, StoreError> {
    Ok(Score {
        value: u32::try_from(unsigned("score", value)?).unwrap_or(u32::MAX),
        lines: Vec::new(),
    })
}

/// A host's counters and score, from its holdings.
pub(crate) async fn rescore_host(tx: &mut Tx, host: i64) -> Result<(), StoreError> {
    let row = sqlx::query(
        "SELECT coalesce(sum(present), 0) AS present, coalesce(sum(gone), 0) AS gone, \
         coalesce(sum(unknown), 0) AS unknown, coalesce(sum(present + unknown > 0), 0) AS credentials, \
         coalesce(max(worst), 0) AS worst FROM holding WHERE host_id = ?1",
    )
    .bind(host)
    .fetch_one(&mut tx.conn)
    .await
    .at("counting the host's holdings")?;
    let credentials = row.count("credentials")?;
    let score = tx.shared.rules.host(&HostTally {
        worst: score_of(row.value("worst")?)?,
        credentials,
    });
    sqlx::query(
        "UPDATE host SET present = ?2, gone = ?3, unknown = ?4, credentials = ?5, score = ?6 \
         WHERE id = ?1",
    )
    .bind(host)
    .bind(row.value::<i64>("present")?)
    .bind(row.value::<i64>("gone")?)
    .bind(row.value::<i64>("unknown")?)
    .bind(row.value::<i64>("credentials")?)
    .bind(i64::from(score.value))
    .execute(&mut tx.conn)
    .await
    .at("storing the host's counters")?;
    Ok(())
}
