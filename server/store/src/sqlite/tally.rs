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
use crate::rules::{CredentialTally, HostTally};
use crate::{Rules, StoreError};

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
        settle(tx, chunk, &differences(chunk, &old, &new, silent != 0)).await?;
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

/// What a credential's counters move by, and when its findings on the host were seen.
#[derive(Clone, Copy)]
struct Moved {
    by: [i64; 9],
    first_seen: i64,
    last_seen: i64,
}

/// A credential whose holdings are as they were.
const UNMOVED: Moved = Moved {
    by: [0; 9],
    first_seen: i64::MAX,
    last_seen: i64::MIN,
};

fn differences(
    credentials: &[i64],
    old: &HashMap<i64, Holding>,
    new: &HashMap<i64, Holding>,
    silent: bool,
) -> HashMap<i64, Moved> {
    let none = Holding::default();
    let mut moved = HashMap::new();
    for id in credentials {
        let (before, after) = (old.get(id), new.get(id));
        if before == after {
            continue;
        }
        let mut by = after.unwrap_or(&none).adds(silent);
        for (after, before) in by.iter_mut().zip(before.unwrap_or(&none).adds(silent)) {
            *after -= before;
        }
        let seen = after.map_or((UNMOVED.first_seen, UNMOVED.last_seen), |holding| {
            (holding.first_seen, holding.last_seen)
        });
        moved.insert(
            *id,
            Moved {
                by,
                first_seen: seen.0,
                last_seen: seen.1,
            },
        );
    }
    moved
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
        settle(tx, chunk, &HashMap::new()).await?;
    }
    Ok(())
}

/// Gives a credential the verdict and score that follow from a new decision about it.
pub(crate) async fn rejudge(tx: &mut Tx, credential: i64) -> Result<(), StoreError> {
    settle(tx, &[credential], &HashMap::new()).await
}

/// A credential as its counters, verdict and score make it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Settled {
    id: i64,
    counters: [i64; 9],
    first_seen: i64,
    last_seen: i64,
    verdict: String,
    open: bool,
    score: i64,
}

/// Moves counters, and gives verdict and score what follows from them.
async fn settle(
    tx: &mut Tx,
    credentials: &[i64],
    moved: &HashMap<i64, Moved>,
) -> Result<(), StoreError> {
    let mut query = QueryBuilder::<Sqlite>::new(
        "SELECT id, f2 IS NULL AS reference, disposition, present, gone, unknown, hosts, \
         ref_present, ref_gone, ref_unknown, ref_hosts, apart, first_seen, last_seen, \
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
    let mut changed = Vec::new();
    for row in &rows {
        let before = stored_credential(row)?;
        let moved = moved.get(&before.id).unwrap_or(&UNMOVED);
        let after = judged(&*tx.shared.rules, row, &before, moved)?;
        if after != before {
            changed.push(after);
        }
    }
    write_settled(tx, changed).await
}

fn stored_credential(row: &sqlx::sqlite::SqliteRow) -> Result<Settled, StoreError> {
    Ok(Settled {
        id: row.value("id")?,
        counters: [
            row.value("present")?,
            row.value("gone")?,
            row.value("unknown")?,
            row.value("hosts")?,
            row.value("ref_present")?,
            row.value("ref_gone")?,
            row.value("ref_unknown")?,
            row.value("ref_hosts")?,
            row.value("apart")?,
        ],
        first_seen: row.value("first_seen")?,
        last_seen: row.value("last_seen")?,
        verdict: row.value("verdict")?,
        open: row.value::<i64>("open")? != 0,
        score: row.value("score")?,
    })
}

fn judged(
    rules: &dyn Rules,
    row: &sqlx::sqlite::SqliteRow,
    before: &Settled,
    moved: &Moved,
) -> Result<Settled, StoreError> {
    let mut counters = before.counters;
    for (counter, by) in counters.iter_mut().zip(moved.by) {
        *counter += by;
    }
    let [present, gone, unknown, hosts, ..] = counters;
    let places = PresenceCounts {
        present: unsigned("present", present)?,
        gone: unsigned("gone", gone)?,
        unknown: unsigned("unknown", unknown)?,
    };
    let disposition: Disposition = row.word("disposition")?;
    let verdict = rules.verdict(places, disposition);
    let reference = row.value::<i64>("reference")? != 0;
    let score = rules.credential(&CredentialTally {
        worst: score_of(row.value::<Option<i64>>("worst")?.unwrap_or(0))?,
        places,
        hosts: unsigned("hosts", hosts)?,
        disposition,
    });
    Ok(Settled {
        id: before.id,
        counters,
        first_seen: before.first_seen.min(moved.first_seen),
        last_seen: before.last_seen.max(moved.last_seen),
        verdict: slug(&verdict),
        open: !reference && rules.open(verdict, disposition),
        score: i64::from(score.value),
    })
}

async fn write_settled(tx: &mut Tx, changed: Vec<Settled>) -> Result<(), StoreError> {
    if changed.is_empty() {
        return Ok(());
    }
    let mut query = QueryBuilder::<Sqlite>::new(
        "WITH settled (id, present, gone, unknown, hosts, ref_present, ref_gone, ref_unknown, \
         ref_hosts, apart, first_seen, last_seen, verdict, open, score) AS (",
    );
    query.push_values(changed, |mut row, one| {
        row.push_bind(one.id);
        for counter in one.counters {
            row.push_bind(counter);
        }
        row.push_bind(one.first_seen)
            .push_bind(one.last_seen)
            .push_bind(one.verdict)
            .push_bind(i64::from(one.open))
            .push_bind(one.score);
    });
    query.push(
        ") UPDATE credential AS c SET present = s.present, gone = s.gone, unknown = s.unknown, \
         hosts = s.hosts, ref_present = s.ref_present, ref_gone = s.ref_gone, \
         ref_unknown = s.ref_unknown, ref_hosts = s.ref_hosts, apart = s.apart, \
         first_seen = s.first_seen, last_seen = s.last_seen, verdict = s.verdict, \
         open = s.open, score = s.score FROM settled AS s WHERE c.id = s.id",
    );
    query
        .build()
        .execute(&mut tx.conn)
        .await
        .at("storing counters")?;
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
