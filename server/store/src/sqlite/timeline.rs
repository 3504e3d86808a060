//! What happened, appended and never changed; and how many findings came and went each day.

use std::collections::HashMap;

use akwatch_proto::agent::HostId;
use akwatch_proto::finding::{GoneProof, PresenceState, UnknownWhy};
use akwatch_proto::people::TimelineEntry;
use akwatch_proto::time::Time;
use sqlx::{QueryBuilder, Sqlite};

use super::At as _;
use super::apply::{Incoming, Known};
use super::hosts_write::HostLine;
use super::references::References;
use super::words::{Body, Columns as _, slug, why};
use super::writer::Tx;
use crate::StoreError;
use crate::audit::Actor;
use crate::rules::Class;

const ROWS: usize = 100;

/// Milliseconds of a day.
pub(crate) const DAY: i64 = 86_400_000;

struct Happened {
    credential: i64,
    finding: i64,
    what: &'static str,
    why: String,
}

/// Appends the changes of presence that a report brought.
pub(crate) async fn states(
    tx: &mut Tx,
    host: &HostLine,
    newer: &[&Incoming],
    known: &HashMap<[u8; 32], Known>,
    ids: &HashMap<[u8; 32], i64>,
    credentials: &[i64],
    now: Time,
) -> Result<(), StoreError> {
    let (mut new, mut gone) = (0_i64, 0_i64);
    let mut happened = Vec::new();
    for (one, credential) in newer.iter().zip(credentials) {
        let before = known.get(&one.identity);
        let Some(what) = change(one, before) else {
            continue;
        };
        if one.class != Class::Reference {
            new += i64::from(before.is_none() && what == "present");
            gone += i64::from(before.is_some() && what == "gone");
        }
        happened.push(Happened {
            credential: *credential,
            finding: ids[&one.identity],
            what,
            why: why(&one.finding.presence),
        });
    }
    append(tx, host.id, happened, now).await?;
    day(tx, new, gone, now).await
}

/// Counts what came and went on a day.
async fn day(tx: &mut Tx, new: i64, gone: i64, now: Time) -> Result<(), StoreError> {
    if new + gone > 0 {
        sqlx::query(
            "INSERT INTO day (day, new, gone) VALUES (?1, ?2, ?3) \
             ON CONFLICT (day) DO UPDATE SET new = new + ?2, gone = gone + ?3",
        )
        .bind(now.0.div_euclid(DAY))
        .bind(new)
        .bind(gone)
        .execute(&mut tx.conn)
        .await
        .at("counting the day")?;
    }
    Ok(())
}

/// The word for what changed; none when the state is the same.
fn change(one: &Incoming, before: Option<&Known>) -> Option<&'static str> {
    let state = one.finding.presence.state();
    let Some(before) = before else {
        return Some(word(state));
    };
    let again = one.finding.returns > before.returns || before.state == PresenceState::Gone;
    match (before.state == state, state) {
        (_, PresenceState::Present) if again => Some("present-again"),
        (true, _) => None,
        (false, state) => Some(word(state)),
    }
}

fn word(state: PresenceState) -> &'static str {
    match state {
        PresenceState::Present => "present",
        PresenceState::Gone => "gone",
        PresenceState::Unknown => "unknown",
    }
}

/// Appends that a full list left findings out.
pub(crate) async fn not_listed(
    tx: &mut Tx,
    host: &HostLine,
    unknown: &[(i64, i64, u32)],
    now: Time,
) -> Result<(), StoreError> {
    let happened = unknown
        .iter()
        .map(|(finding, credential, _)| Happened {
            credential: *credential,
            finding: *finding,
            what: "unknown",
            why: slug(&UnknownWhy::NotListed),
        })
        .collect();
    append(tx, host.id, happened, now).await
}

/// Appends that an agent has read what a full list left out, and it is not there.
pub(crate) async fn answered(
    tx: &mut Tx,
    host: &HostLine,
    gone: &[(i64, i64, GoneProof, bool)],
    now: Time,
) -> Result<(), StoreError> {
    let happened = gone.iter().map(|(finding, credential, proof, _)| Happened {
        credential: *credential,
        finding: *finding,
        what: "gone",
        why: slug(proof),
    });
    append(tx, host.id, happened.collect(), now).await?;
    let count = gone.iter().filter(|(.., reference)| !reference).count();
    day(tx, 0, i64::try_from(count).unwrap_or(i64::MAX), now).await
}

async fn append(
    tx: &mut Tx,
    host: i64,
    happened: Vec<Happened>,
    now: Time,
) -> Result<(), StoreError> {
    for chunk in happened.chunks(ROWS) {
        let mut query = QueryBuilder::<Sqlite>::new(
            "INSERT INTO timeline (time, host_id, credential_id, finding_id, what, why) ",
        );
        query.push_values(chunk, |mut row, one| {
            row.push_bind(now.0)
                .push_bind(host)
                .push_bind(one.credential)
                .push_bind(one.finding)
                .push_bind(one.what)
                .push_bind((!one.why.is_empty()).then(|| one.why.clone()));
        });
        query
            .build()
            .execute(&mut tx.conn)
            .await
            .at("writing the timeline")?;
    }
    Ok(())
}

/// Appends what happened to a host as a whole.
pub(crate) async fn host(
    tx: &mut Tx,
    host: i64,
    what: &'static str,
    person: Option<String>,
    now: Time,
) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO timeline (time, host_id, what, person) VALUES (?1, ?2, ?3, ?4)")
        .bind(now.0)
        .bind(host)
        .bind(what)
        .bind(person)
        .execute(&mut tx.conn)
        .await
        .at("writing the timeline")?;
    Ok(())
}

/// Appends that a host was closed, to its own history and that of what it held.
pub(crate) async fn retired(
    tx: &mut Tx,
    id: i64,
    actor: &Actor,
    now: Time,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO timeline (time, host_id, credential_id, what, person) \
         SELECT ?2, host_id, credential_id, 'retired', ?3 FROM holding \
         WHERE host_id = ?1 AND present + unknown > 0",
    )
    .bind(id)
    .bind(now.0)
    .bind(actor.name.clone())
    .execute(&mut tx.conn)
    .await
    .at("writing the timeline")?;
    host(tx, id, "retired", Some(actor.name.clone()), now).await
}

/// The columns of [`entry`]; `t` is the timeline, `h` the host, `f` the finding.
pub(crate) const ENTRY: &str = "SELECT t.id, t.time, t.what, t.why, t.person, t.note, t.finding_id, \
    h.uuid AS host, h.name AS host_name, f.body AS body FROM timeline AS t \
    LEFT JOIN host AS h ON h.id = t.host_id LEFT JOIN finding AS f ON f.id = t.finding_id ";

/// Reads an entry.
pub(crate) fn entry(
    references: &References<'_>,
    row: &sqlx::sqlite::SqliteRow,
) -> Result<TimelineEntry, StoreError> {
    let host: Option<Vec<u8>> = row.value("host")?;
    let place = match row.value::<Option<String>>("body")? {
        Some(body) => {
            let body: Body = super::words::from_json("finding", &body)?;
            Some(akwatch_proto::place::Location::of(&body.place, &body.spot, &body.origin).path)
        }
        None => None,
    };
    Ok(TimelineEntry {
        note: row.value("note")?,
        time: row.time("time")?,
        what: row.value("what")?,
        host: host
            .and_then(|id| uuid::Uuid::from_slice(&id).ok())
            .map(HostId),
        host_name: row.value("host_name")?,
        finding: row
            .value::<Option<i64>>("finding_id")?
            .map(|id| references.finding(id)),
        place,
        why: row.value("why")?,
        person: row.value("person")?,
    })
}
