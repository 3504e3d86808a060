//! Which credential a finding is of.
//!
//! A secret's credential is its F2. A reference's is the one of the same provider and id whose secret
//! is known, else one that holds only references until the secret is found: then that one becomes
//! the secret's, or is merged into it, and nobody's link breaks.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use akwatch_proto::finding::Subject;
use akwatch_proto::time::Time;
use sqlx::{QueryBuilder, Sqlite};

use super::apply::{Incoming, access_id};
use super::words::{Columns as _, bytes32, json, slug};
use super::writer::Tx;
use super::{At as _, tally};
use crate::StoreError;
use crate::pepper::F2;

const ROWS: usize = 50;

/// Provider and access key id.
type Key = (String, String);

/// A stored credential, as far as it decides here.
struct Line {
    id: i64,
    f2: Option<F2>,
    access_id: Option<String>,
    confidence: i64,
}

#[derive(Default)]
struct Lines {
    by_f2: HashMap<F2, Line>,
    by_key: HashMap<Key, Vec<(i64, Option<F2>)>>,
}

impl Lines {
    fn keep(&mut self, provider: String, line: Line) {
        if let Some(id) = &line.access_id {
            let known = self.by_key.entry((provider, id.clone())).or_default();
            if !known.iter().any(|(id, _)| *id == line.id) {
                known.push((line.id, line.f2));
            }
        }
        if let Some(f2) = line.f2 {
            self.by_f2.insert(f2, line);
        }
    }

    /// The credential that holds only references to this key.
    fn reference_only(&self, key: &Key) -> Option<i64> {
        let known = self.by_key.get(key)?;
        known.iter().find(|(_, f2)| f2.is_none()).map(|(id, _)| *id)
    }

    /// The credential that a reference joins: one with a secret, the oldest, else the references'.
    fn joined(&self, key: &Key) -> Option<i64> {
        let known = self.by_key.get(key)?;
        known
            .iter()
            .min_by_key(|(id, f2)| (f2.is_none(), *id))
            .map(|(id, _)| *id)
    }
}

/// The credential of each finding, in order; new ones are stored.
pub(crate) async fn assign(
    tx: &mut Tx,
    newer: &[&Incoming],
    now: Time,
) -> Result<Vec<i64>, StoreError> {
    let f2s: Vec<Option<F2>> = newer
        .iter()
        .map(|one| match &one.finding.key.subject {
            Subject::Secret(fingerprint) => Some(tx.shared.pepper.f2(fingerprint)),
            Subject::Reference(_) => None,
        })
        .collect();
    let mut lines = load(tx, newer, &f2s).await?;
    secrets(tx, newer, &f2s, &mut lines, now).await?;
    references(tx, newer, &f2s, &mut lines, now).await?;
    newer
        .iter()
        .zip(&f2s)
        .map(|(one, f2)| {
            let id = match f2 {
                Some(f2) => lines.by_f2.get(f2).map(|line| line.id),
                None => key(one).and_then(|key| lines.joined(&key)),
            };
            id.ok_or(StoreError::Damaged {
                what: "credential",
                why: "it was stored and is not there".to_owned(),
            })
        })
        .collect()
}

fn key(one: &Incoming) -> Option<Key> {
    Some((one.finding.provider.to_string(), access_id(&one.finding)?))
}

const LINE: &str = "SELECT id, f2, provider, access_id, confidence FROM credential WHERE ";

async fn load(tx: &mut Tx, newer: &[&Incoming], f2s: &[Option<F2>]) -> Result<Lines, StoreError> {
    let mut lines = Lines::default();
    let wanted: BTreeSet<F2> = f2s.iter().flatten().copied().collect();
    let keys: BTreeSet<String> = newer
        .iter()
        .filter_map(|one| access_id(&one.finding))
        .collect();
    let f2s: Vec<F2> = wanted.into_iter().collect();
    for chunk in f2s.chunks(ROWS) {
        let mut query = QueryBuilder::<Sqlite>::new(LINE);
        query.push("f2 IN (");
        let mut list = query.separated(", ");
        for f2 in chunk {
            list.push_bind(f2.to_vec());
        }
        query.push(")");
        read(tx, query, &mut lines).await?;
    }
    let keys: Vec<String> = keys.into_iter().collect();
    for chunk in keys.chunks(ROWS) {
        let mut query = QueryBuilder::<Sqlite>::new(LINE);
        query.push("merged_into IS NULL AND access_id IN (");
        let mut list = query.separated(", ");
        for id in chunk {
            list.push_bind(id.clone());
        }
        query.push(")");
        read(tx, query, &mut lines).await?;
    }
    Ok(lines)
}

async fn read(
    tx: &mut Tx,
    mut query: QueryBuilder<Sqlite>,
    lines: &mut Lines,
) -> Result<(), StoreError> {
    let rows = query
        .build()
        .fetch_all(&mut tx.conn)
        .await
        .at("reading credentials")?;
    for row in rows {
        let f2: Option<Vec<u8>> = row.value("f2")?;
        let line = Line {
            id: row.value("id")?,
            f2: f2.map(|bytes| bytes32("f2", &bytes)).transpose()?,
            access_id: row.value("access_id")?,
            confidence: row.value("confidence")?,
        };
        lines.keep(row.value("provider")?, line);
    }
    Ok(())
}

/// Stores the credentials of secrets that are new, and what is better known of the others.
async fn secrets(
    tx: &mut Tx,
    newer: &[&Incoming],
    f2s: &[Option<F2>],
    lines: &mut Lines,
    now: Time,
) -> Result<(), StoreError> {
    // Of several findings of one new secret, one that has the id decides whose references it joins.
    let mut unknown: BTreeMap<F2, &Incoming> = BTreeMap::new();
    for (one, f2) in newer.iter().zip(f2s) {
        let Some(f2) = f2 else { continue };
        if lines.by_f2.contains_key(f2) {
            continue;
        }
        let best = unknown.entry(*f2).or_insert(one);
        let rank = |one: &Incoming| (one.finding.credential_id.is_some(), one.finding.confidence);
        if rank(one) > rank(best) {
            *best = one;
        }
    }
    let mut fresh = Vec::new();
    for (f2, one) in unknown {
        match key(one).and_then(|key| lines.reference_only(&key)) {
            Some(id) => found(tx, one, f2, id, lines).await?,
            None => fresh.push((f2, one)),
        }
    }
    for chunk in fresh.chunks(ROWS) {
        let rows = chunk.iter().map(|(f2, one)| (Some(*f2), *one)).collect();
        insert(tx, rows, lines, now).await?;
    }
    for (one, f2) in newer.iter().zip(f2s) {
        if let Some(f2) = f2 {
            improve(tx, one, *f2, lines).await?;
        }
    }
    Ok(())
}

async fn references(
    tx: &mut Tx,
    newer: &[&Incoming],
    f2s: &[Option<F2>],
    lines: &mut Lines,
    now: Time,
) -> Result<(), StoreError> {
    let mut fresh: HashMap<Key, &Incoming> = HashMap::new();
    for (one, f2) in newer.iter().zip(f2s) {
        if f2.is_some() {
            continue;
        }
        if let Some(key) = key(one)
            && lines.joined(&key).is_none()
        {
            fresh.entry(key).or_insert(one);
        }
    }
    let fresh: Vec<&Incoming> = fresh.into_values().collect();
    for chunk in fresh.chunks(ROWS) {
        let rows = chunk.iter().map(|one| (None, *one)).collect();
        insert(tx, rows, lines, now).await?;
    }
    Ok(())
}

async fn insert(
    tx: &mut Tx,
    rows: Vec<(Option<F2>, &Incoming)>,
    lines: &mut Lines,
    now: Time,
) -> Result<(), StoreError> {
    let mut query = QueryBuilder::<Sqlite>::new(
        "INSERT INTO credential (f2, provider, kind, access_id, preview, confidence, proof, \
         first_seen, last_seen) ",
    );
    query.push_values(rows, |mut row, (f2, one)| {
        let finding = &one.finding;
        row.push_bind(f2.map(|f2| f2.to_vec()))
            .push_bind(finding.provider.to_string())
            .push_bind(slug(&finding.kind))
            .push_bind(access_id(finding))
            .push_bind(finding.preview.as_ref().map(json))
            .push_bind(finding.confidence as i64)
            .push_bind(json(&finding.proof))
            .push_bind(finding.first_seen.0.min(now.0))
            .push_bind(finding.last_verified.0.min(now.0));
    });
    query.push(" RETURNING id, f2, provider, access_id, confidence");
    read(tx, query, lines).await
}

/// The secret of a key that was only referred to: the references' credential becomes the secret's.
async fn found(
    tx: &mut Tx,
    one: &Incoming,
    f2: F2,
    id: i64,
    lines: &mut Lines,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE credential SET f2 = ?2 WHERE id = ?1")
        .bind(id)
        .bind(f2.to_vec())
        .execute(&mut tx.conn)
        .await
        .at("naming a credential's secret")?;
    describe(tx, one, id).await?;
    if let Some(known) = key(one).and_then(|key| lines.by_key.get_mut(&key)) {
        for (known, secret) in known {
            if *known == id {
                *secret = Some(f2);
            }
        }
    }
    lines.by_f2.insert(
        f2,
        Line {
            id,
            f2: Some(f2),
            access_id: access_id(&one.finding),
            confidence: one.finding.confidence as i64,
        },
    );
    Ok(())
}

/// Keeps what the surest finding says, and the id once one is known.
async fn improve(tx: &mut Tx, one: &Incoming, f2: F2, lines: &mut Lines) -> Result<(), StoreError> {
    let Some(line) = lines.by_f2.get_mut(&f2) else {
        return Ok(());
    };
    let id = line.id;
    let names = line.access_id.is_none() && one.finding.credential_id.is_some();
    if one.finding.confidence as i64 > line.confidence {
        line.confidence = one.finding.confidence as i64;
        describe(tx, one, id).await?;
    }
    if !names {
        return Ok(());
    }
    line.access_id = access_id(&one.finding);
    sqlx::query("UPDATE credential SET access_id = ?2 WHERE id = ?1")
        .bind(id)
        .bind(access_id(&one.finding))
        .execute(&mut tx.conn)
        .await
        .at("naming a credential")?;
    let Some(key) = key(one) else { return Ok(()) };
    let references = lines.reference_only(&key);
    let known = lines.by_key.entry(key).or_default();
    known.retain(|(id, _)| Some(*id) != references);
    known.push((id, Some(f2)));
    match references {
        Some(from) => merge(tx, from, id).await,
        None => Ok(()),
    }
}

async fn describe(tx: &mut Tx, one: &Incoming, id: i64) -> Result<(), StoreError> {
    let finding = &one.finding;
    sqlx::query(
        "UPDATE credential SET provider = ?2, kind = ?3, preview = ?4, confidence = ?5, \
         proof = ?6 WHERE id = ?1",
    )
    .bind(id)
    .bind(finding.provider.to_string())
    .bind(slug(&finding.kind))
    .bind(finding.preview.as_ref().map(json))
    .bind(finding.confidence as i64)
    .bind(json(&finding.proof))
    .execute(&mut tx.conn)
    .await
    .at("describing a credential")?;
    Ok(())
}

/// Moves the references of `from` to `into`; the old link leads there from now on.
async fn merge(tx: &mut Tx, from: i64, into: i64) -> Result<(), StoreError> {
    const STEP: &str = "joining references with their secret";
    let hosts: Vec<i64> =
        sqlx::query_scalar("SELECT host_id FROM holding WHERE credential_id = ?1")
            .bind(from)
            .fetch_all(&mut tx.conn)
            .await
            .at(STEP)?;
    for sql in [
        "UPDATE finding SET credential_id = ?2 WHERE credential_id = ?1",
        "UPDATE timeline SET credential_id = ?2 WHERE credential_id = ?1",
        "UPDATE credential SET merged_into = ?2 WHERE id = ?1 OR merged_into = ?1",
    ] {
        sqlx::query(sql)
            .bind(from)
            .bind(into)
            .execute(&mut tx.conn)
            .await
            .at(STEP)?;
    }
    // What people said of the id alone holds for the key, unless they have spoken of it since.
    sqlx::query(
        "UPDATE credential AS c SET disposition = f.disposition, decided = f.decided, \
         decided_by = f.decided_by, decided_at = f.decided_at, decided_until = f.decided_until, \
         note = f.note FROM credential AS f \
         WHERE c.id = ?2 AND f.id = ?1 AND c.decided = 0 AND f.decided > 0",
    )
    .bind(from)
    .bind(into)
    .execute(&mut tx.conn)
    .await
    .at(STEP)?;
    sqlx::query("UPDATE credential SET decided_until = NULL WHERE id = ?1")
        .bind(from)
        .execute(&mut tx.conn)
        .await
        .at(STEP)?;
    let both = BTreeSet::from([from, into]);
    for host in hosts {
        tally::recount(tx, host, &both).await?;
    }
    Ok(())
}
