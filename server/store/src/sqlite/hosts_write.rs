//! What is written of a host: its first word, its silence, its heartbeat, its end.

use akwatch_proto::agent::{Heartbeat, HostFacts, HostId};
use akwatch_proto::coverage::{Coverage, Covered};
use akwatch_proto::digest::SetDigest;
use akwatch_proto::limits;
use akwatch_proto::people::{Event, HostState};
use akwatch_proto::text;
use akwatch_proto::time::Time;
use uuid::Uuid;

use super::words::{Columns as _, bytes32, json, signed, slug};
use super::writer::Tx;
use super::{At as _, audit, tally, timeline};
use crate::StoreError;
use crate::audit::{Actor, Entry};
use crate::enrollment::{TokenRefusal, UnknownCertificate};
use crate::hosts::{Beat, Beaten, Enrolling, NewHost, NotTaken, Recorded};

/// A host inside a transaction.
pub(crate) struct HostLine {
    pub(crate) id: i64,
    pub(crate) uuid: HostId,
    pub(crate) instance: Option<Uuid>,
    pub(crate) retired: bool,
    pub(crate) silent: bool,
    pub(crate) counter: u64,
    pub(crate) last_heard: Option<Time>,
    pub(crate) upto: u64,
    pub(crate) digest: SetDigest,
    pub(crate) resync: Option<Uuid>,
    pub(crate) resync_serial: i64,
    pub(crate) no_facts: bool,
    pub(crate) heartbeat_seconds: u32,
}

impl HostLine {
    fn state(&self) -> HostState {
        super::hosts::state(self.retired, self.silent, self.last_heard.is_some())
    }
}

pub(crate) async fn host_line(tx: &mut Tx, host: HostId) -> Result<Option<HostLine>, StoreError> {
    let row = sqlx::query(
        "SELECT id, instance, retired, silent, counter, last_heard, upto, digest_count, \
         digest_sum, digest_nonce, resync, resync_serial, name = '' AS no_facts, heartbeat_seconds \
         FROM host WHERE uuid = ?1",
    )
    .bind(host.0.as_bytes().to_vec())
    .fetch_optional(&mut tx.conn)
    .await
    .at("reading the host")?;
    let Some(row) = row else { return Ok(None) };
    let uuid = |bytes: Option<Vec<u8>>| bytes.and_then(|bytes| Uuid::from_slice(&bytes).ok());
    Ok(Some(HostLine {
        id: row.value("id")?,
        uuid: host,
        instance: uuid(row.value("instance")?),
        retired: row.value::<i64>("retired")? != 0,
        silent: row.value::<i64>("silent")? != 0,
        counter: row.count("counter")?,
        last_heard: row.maybe_time("last_heard")?,
        upto: row.count("upto")?,
        digest: unmasked_digest(tx, host, &row)?,
        resync: uuid(row.value("resync")?),
        resync_serial: row.value("resync_serial")?,
        no_facts: row.value::<i64>("no_facts")? != 0,
        heartbeat_seconds: row.small("heartbeat_seconds")?,
    }))
}

fn unmasked_digest(
    tx: &Tx,
    host: HostId,
    row: &sqlx::sqlite::SqliteRow,
) -> Result<SetDigest, StoreError> {
    let (Some(sum), Some(nonce)) = (
        row.value::<Option<Vec<u8>>>("digest_sum")?,
        row.value::<Option<Vec<u8>>>("digest_nonce")?,
    ) else {
        return Ok(SetDigest::default());
    };
    let sum = tx
        .shared
        .pepper
        .mask_sum(host.0.as_bytes(), &nonce, bytes32("digest", &sum)?);
    let hex = data_encoding::HEXLOWER.encode(&sum);
    SetDigest::try_from(format!("{}:{hex}", row.count("digest_count")?)).map_err(|error| {
        StoreError::Damaged {
            what: "digest",
            why: error.to_string(),
        }
    })
}

/// The lanes of a digest as bytes.
pub(crate) fn digest_sum(digest: SetDigest) -> [u8; 32] {
    let text = String::from(digest);
    text.split_once(':')
        .and_then(|(_, hex)| data_encoding::HEXLOWER.decode(hex.as_bytes()).ok())
        .and_then(|bytes| bytes.try_into().ok())
        .expect("invariant: a digest writes itself as count:64 hex digits")
}

/// Whether the state directory that speaks is the one that spoke before; the first one is taken.
pub(crate) async fn adopt(
    tx: &mut Tx,
    host: &mut HostLine,
    instance: Uuid,
) -> Result<Result<(), NotTaken>, StoreError> {
    if host.retired {
        return Ok(Err(NotTaken::Retired));
    }
    match host.instance {
        Some(current) if current != instance => Ok(Err(NotTaken::OtherInstance { current })),
        Some(_) => Ok(Ok(())),
        None => {
            host.instance = Some(instance);
            sqlx::query("UPDATE host SET instance = ?2 WHERE id = ?1")
                .bind(host.id)
                .bind(instance.as_bytes().to_vec())
                .execute(&mut tx.conn)
                .await
                .at("adopting the host's state directory")?;
            Ok(Ok(()))
        }
    }
}

/// A host that was silent is heard again: its places count as it said.
pub(crate) async fn wake(tx: &mut Tx, host: &mut HostLine, now: Time) -> Result<(), StoreError> {
    tx.shared.listening.heard(host.id, host.heartbeat_seconds);
    if !host.silent {
        if host.last_heard.is_none() {
            timeline::host(tx, host.id, "first-heard", None, now).await?;
            tx.tell(Event::Host { host: host.uuid });
        }
        return Ok(());
    }
    host.silent = false;
    set_silent(tx, host.id, false).await?;
    timeline::host(tx, host.id, "heard-again", None, now).await?;
    tx.tell(Event::Host { host: host.uuid });
    Ok(())
}

async fn set_silent(tx: &mut Tx, host: i64, silent: bool) -> Result<(), StoreError> {
    sqlx::query("UPDATE host SET silent = ?2 WHERE id = ?1")
        .bind(host)
        .bind(i64::from(silent))
        .execute(&mut tx.conn)
        .await
        .at("marking the host")?;
    tally::shift_silent(tx, host, silent).await
}

/// Marks the live ones of these hosts silent, unless they were heard meanwhile.
pub(crate) async fn mark_silent(
    tx: &mut Tx,
    hosts: Vec<i64>,
    now: Time,
) -> Result<Vec<HostId>, StoreError> {
    let mut marked = Vec::new();
    for id in hosts {
        let live = sqlx::query(
            "SELECT uuid FROM host WHERE id = ?1 AND retired = 0 AND silent = 0 \
             AND last_heard IS NOT NULL",
        )
        .bind(id)
        .fetch_optional(&mut tx.conn)
        .await
        .at("looking for silent hosts")?;
        if let Some(row) = live
            && tx.shared.listening.is_still_overdue(id)
        {
            let uuid = row.host_id("uuid")?;
            set_silent(tx, id, true).await?;
            timeline::host(tx, id, "silent", None, now).await?;
            tx.tell(Event::Host { host: uuid });
            marked.push(uuid);
        }
    }
    Ok(marked)
}

/// Enrolls a host if the token allows it.
pub(crate) async fn enroll(tx: &mut Tx, host: NewHost, now: Time) -> Result<Enrolling, StoreError> {
    let token = super::enrollment::token(&mut tx.conn, &host.token).await?;
    let token = token.filter(|record| record.secret_hash == host.secret_hash);
    let before = match &token {
        Some(_) => super::enrollment::answered(tx, &host).await?,
        None => None,
    };
    let verdict = match &token {
        Some(record) => tx.shared.rules.token(record, before.is_some(), now),
        None => Err(TokenRefusal::Unknown),
    };
    audit_enrolling(tx, &host, verdict, before.as_ref(), now).await?;
    match (verdict, before, token) {
        (Err(refusal), ..) => Ok(Enrolling::Refused(refusal)),
        (Ok(()), _, None) => Ok(Enrolling::Refused(TokenRefusal::Unknown)),
        (Ok(()), Some((host, pem)), _) => Ok(Enrolling::Again { host, pem }),
        (Ok(()), None, Some(record)) => {
            let labels = record.token.labels;
            let id = insert_host(tx, &host, &labels, now).await?;
            super::enrollment::use_up(tx, id, &host, now).await?;
            super::enrollment::insert_certificate(tx, id, &host.certificate, now).await?;
            timeline::host(tx, id, "enrolled", None, now).await?;
            tx.tell(Event::Host { host: host.id });
            Ok(Enrolling::Enrolled { labels })
        }
    }
}

async fn audit_enrolling(
    tx: &mut Tx,
    host: &NewHost,
    verdict: Result<(), TokenRefusal>,
    before: Option<&(HostId, String)>,
    now: Time,
) -> Result<(), StoreError> {
    let (object, result) = match (verdict, before) {
        (Err(refusal), _) => (host.id, format!("refused: {refusal:?}").to_lowercase()),
        (Ok(()), Some((earlier, _))) => (*earlier, "done: answered again".to_owned()),
        // By its serial a certificate is revoked, and no other place names the first one.
        (Ok(()), None) => {
            let serial = &host.certificate.serial;
            (host.id, format!("done: certificate {serial}"))
        }
    };
    let entry = Entry {
        time: now,
        actor: Actor {
            name: format!("token:{}", host.token),
            from: host.peer.clone(),
        },
        action: "enroll-host".to_owned(),
        object: object.to_string(),
        result,
    };
    audit::append(tx, entry).await?;
    Ok(())
}

async fn insert_host(
    tx: &mut Tx,
    host: &NewHost,
    labels: &std::collections::BTreeMap<String, String>,
    now: Time,
) -> Result<i64, StoreError> {
    let facts = bounded(host.facts.clone());
    let line = Line {
        host: host.id,
        facts: &facts,
        peer: host.peer.as_deref(),
        heartbeat_seconds: host.heartbeat_seconds,
        labels,
    };
    insert_line(tx, line, now).await
}

/// A host that only its certificate tells of. It has no labels: those that grant scope come from a
/// token or a person. Its name comes with its first heartbeat.
pub(crate) async fn adopt_host(
    tx: &mut Tx,
    unknown: &UnknownCertificate,
    now: Time,
) -> Result<i64, StoreError> {
    let line = Line {
        host: unknown.host,
        facts: &HostFacts::default(),
        peer: unknown.peer.as_deref(),
        heartbeat_seconds: unknown.heartbeat_seconds,
        labels: &std::collections::BTreeMap::new(),
    };
    let id = insert_line(tx, line, now).await?;
    timeline::host(tx, id, "enrolled", None, now).await?;
    tx.tell(Event::Host { host: unknown.host });
    Ok(id)
}

/// A host's row to be.
struct Line<'a> {
    host: HostId,
    facts: &'a HostFacts,
    peer: Option<&'a str>,
    heartbeat_seconds: u32,
    labels: &'a std::collections::BTreeMap<String, String>,
}

async fn insert_line(tx: &mut Tx, line: Line<'_>, now: Time) -> Result<i64, StoreError> {
    let facts = line.facts;
    let id: i64 = sqlx::query_scalar(
        "INSERT INTO host (uuid, name, enrolled, heartbeat_seconds, peer, facts, addresses, os, \
         agent, labels) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) RETURNING id",
    )
    .bind(line.host.0.as_bytes().to_vec())
    .bind(facts.hostname.clone())
    .bind(now.0)
    .bind(i64::from(line.heartbeat_seconds))
    .bind(line.peer.map(str::to_owned))
    .bind(json(facts))
    .bind(facts.addresses.join(" "))
    .bind(facts.os.clone())
    .bind(facts.agent.clone())
    .bind(json(line.labels))
    .fetch_one(&mut tx.conn)
    .await
    .at("storing the host")?;
    insert_labels(tx, id, line.labels).await?;
    Ok(id)
}

async fn insert_labels(
    tx: &mut Tx,
    host: i64,
    labels: &std::collections::BTreeMap<String, String>,
) -> Result<(), StoreError> {
    for (key, value) in labels {
        sqlx::query("INSERT INTO host_label (host_id, key, value) VALUES (?1, ?2, ?3)")
            .bind(host)
            .bind(key.clone())
            .bind(value.clone())
            .execute(&mut tx.conn)
            .await
            .at("storing the host's labels")?;
    }
    Ok(())
}

/// Gives a host these labels instead of those that it had.
pub(crate) async fn set_labels(
    tx: &mut Tx,
    host: HostId,
    labels: &std::collections::BTreeMap<String, String>,
    actor: Actor,
    now: Time,
) -> Result<bool, StoreError> {
    const STEP: &str = "labelling the host";
    let Some(line) = host_line(tx, host).await?.filter(|line| !line.retired) else {
        return Ok(false);
    };
    sqlx::query("DELETE FROM host_label WHERE host_id = ?1")
        .bind(line.id)
        .execute(&mut tx.conn)
        .await
        .at(STEP)?;
    insert_labels(tx, line.id, labels).await?;
    sqlx::query("UPDATE host SET labels = ?2 WHERE id = ?1")
        .bind(line.id)
        .bind(json(labels))
        .execute(&mut tx.conn)
        .await
        .at(STEP)?;
    let object = format!("{host} {}", json(labels));
    audit::done(tx, actor, "label-host", object, now).await?;
    tx.tell(Event::Host { host });
    Ok(true)
}

/// Records a heartbeat.
pub(crate) async fn beat(tx: &mut Tx, beat: Beat, now: Time) -> Result<Beaten, StoreError> {
    let heartbeat = beat.heartbeat;
    let Some(mut host) = host_line(tx, heartbeat.host).await? else {
        return Ok(Beaten::NotTaken(NotTaken::UnknownHost));
    };
    if let Err(refused) = adopt(tx, &mut host, heartbeat.instance).await? {
        return Ok(Beaten::NotTaken(refused));
    }
    let state_before = host.state();
    wake(tx, &mut host, now).await?;
    store_beat(tx, &host, &heartbeat, beat.peer, now).await?;
    let no_facts = host.no_facts && heartbeat.facts.is_none();
    if let Some(facts) = heartbeat.facts {
        store_facts(tx, &host, bounded(facts)).await?;
    }
    Ok(Beaten::Recorded(Recorded {
        previous_counter: host.counter,
        digest: host.digest,
        upto: host.upto,
        no_facts,
        state_before,
    }))
}

async fn store_beat(
    tx: &mut Tx,
    host: &HostLine,
    heartbeat: &Heartbeat,
    peer: Option<String>,
    now: Time,
) -> Result<(), StoreError> {
    let coverage = &heartbeat.coverage;
    let waiting: u64 = coverage
        .sources
        .iter()
        .fold(0, |sum: u64, source| sum.saturating_add(source.waiting));
    sqlx::query(
        "UPDATE host SET counter = ?2, last_heard = ?3, peer = coalesce(?4, peer), \
         coverage = ?5, covered = ?6, waiting = ?7, rules = ?8, cost = ?9, unsent = ?10, \
         clock_ahead = ?11, leaving = ?12 WHERE id = ?1",
    )
    .bind(host.id)
    .bind(signed(heartbeat.counter))
    .bind(now.0)
    .bind(peer)
    .bind(json(coverage))
    .bind(covered_code(coverage))
    .bind(signed(waiting))
    .bind(text::cut(&coverage.rules, limits::LABEL_VALUE))
    .bind(json(&heartbeat.cost))
    .bind(signed(heartbeat.unsent))
    .bind(heartbeat.time.since(now))
    .bind(heartbeat.leaving.map(|leaving| slug(&leaving)))
    .execute(&mut tx.conn)
    .await
    .at("storing the heartbeat")?;
    Ok(())
}

async fn store_facts(tx: &mut Tx, host: &HostLine, facts: HostFacts) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE host SET name = ?2, facts = ?3, addresses = ?4, os = ?5, agent = ?6 WHERE id = ?1",
    )
    .bind(host.id)
    .bind(facts.hostname.clone())
    .bind(json(&facts))
    .bind(facts.addresses.join(" "))
    .bind(facts.os.clone())
    .bind(facts.agent.clone())
    .execute(&mut tx.conn)
    .await
    .at("storing the host's facts")?;
    tx.tell(Event::Host { host: host.uuid });
    Ok(())
}

/// How well a host is covered: no better than its worst source.
fn covered_code(coverage: &Coverage) -> i64 {
    let worst = coverage.sources.iter().map(|source| match source.covered {
        Covered::Whole => 2,
        Covered::Partly => 1,
        _ => 0,
    });
    let all_silent = coverage
        .sources
        .iter()
        .all(|source| !matches!(source.covered, Covered::Whole | Covered::Partly));
    match worst.min() {
        None => 0,
        Some(2) => 2,
        Some(_) if all_silent => 0,
        Some(_) => 1,
    }
}

/// Cuts what a host claims to the wire's limits and takes hostile characters from it.
fn bounded(mut facts: HostFacts) -> HostFacts {
    let clean = |value: &mut String| {
        *value = text::cut(&text::escape(value.as_bytes()), limits::LABEL_VALUE);
    };
    for value in [
        &mut facts.hostname,
        &mut facts.machine,
        &mut facts.os,
        &mut facts.kernel,
        &mut facts.architecture,
        &mut facts.time_zone,
        &mut facts.agent,
    ] {
        clean(value);
    }
    facts.addresses.truncate(limits::ADDRESSES);
    facts.addresses.iter_mut().for_each(clean);
    facts.labels = std::mem::take(&mut facts.labels)
        .into_iter()
        .take(limits::LABELS)
        .map(|(mut key, mut value)| {
            clean(&mut key);
            clean(&mut value);
            (key, value)
        })
        .collect();
    if let Some(cloud) = &mut facts.cloud {
        for value in [
            &mut cloud.provider,
            &mut cloud.account,
            &mut cloud.region,
            &mut cloud.zone,
            &mut cloud.instance,
        ] {
            clean(value);
        }
    }
    facts
}

/// Retires a host that is still silent: it may have been heard meanwhile.
pub(crate) async fn retire_silent(
    tx: &mut Tx,
    host: HostId,
    actor: Actor,
    now: Time,
) -> Result<bool, StoreError> {
    let line = host_line(tx, host).await?;
    if !line.is_some_and(|line| line.silent) {
        return Ok(false);
    }
    retire(tx, host, actor, now).await
}

/// Closes a host with its findings, certificates and directives.
pub(crate) async fn retire(
    tx: &mut Tx,
    host: HostId,
    actor: Actor,
    now: Time,
) -> Result<bool, StoreError> {
    let Some(line) = host_line(tx, host).await?.filter(|line| !line.retired) else {
        return Ok(false);
    };
    const STEP: &str = "retiring the host";
    if line.silent {
        // What was counted as unknown is counted as said again, so that it can be taken out.
        set_silent(tx, line.id, false).await?;
    }
    timeline::retired(tx, line.id, &actor, now).await?;
    let credentials: Vec<i64> =
        sqlx::query_scalar("SELECT credential_id FROM holding WHERE host_id = ?1")
            .bind(line.id)
            .fetch_all(&mut tx.conn)
            .await
            .at(STEP)?;
    for sql in [
        "UPDATE finding SET class = 1, score = 0 WHERE host_id = ?1",
        "DELETE FROM directive WHERE host_id = ?1 AND outcome IS NULL",
        "UPDATE host SET retired = 1 WHERE id = ?1",
    ] {
        sqlx::query(sql)
            .bind(line.id)
            .execute(&mut tx.conn)
            .await
            .at(STEP)?;
    }
    sqlx::query("UPDATE certificate SET revoked = ?2 WHERE host_id = ?1 AND revoked IS NULL")
        .bind(line.id)
        .bind(now.0)
        .execute(&mut tx.conn)
        .await
        .at(STEP)?;
    tally::recount(tx, line.id, &credentials.into_iter().collect()).await?;
    tally::rescore_host(tx, line.id).await?;
    audit::append(
        tx,
        Entry {
            time: now,
            actor,
            action: "retire-host".to_owned(),
            object: host.to_string(),
            result: "done".to_owned(),
        },
    )
    .await?;
    tx.tell(Event::Host { host });
    Ok(true)
}
