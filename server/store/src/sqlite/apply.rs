//! A report becomes rows: exactly once, in one transaction, with everything that follows from it.
//!
//! Identity decides what is the same finding, the revision what is newer. Counters, scores, digest
//! and timeline move in the same transaction, so that no reader ever sees them disagree.

use std::collections::{BTreeSet, HashMap};

use akwatch_proto::agent::{Report, Resync};
use akwatch_proto::digest::{SetDigest, is_listed};
use akwatch_proto::finding::{Finding, PresenceState};
use akwatch_proto::limits;
use akwatch_proto::people::Event;
use akwatch_proto::place::{Location, Place};
use akwatch_proto::time::Time;
use sqlx::{QueryBuilder, Sqlite};

use super::assign::assign;
use super::hosts_write::{HostLine, adopt, host_line, wake};
use super::words::{Body, Columns as _, bytes32, json, signed, slug, state, why};
use super::writer::Tx;
use super::{At as _, resync, tally, timeline};
use crate::StoreError;
use crate::findings::{Applied, Applying};
use crate::hosts::NotTaken;
use crate::rules::{Class, FindingFacts};

/// Rows of one statement. More would save little and fill the statement cache with variants.
const ROWS: usize = 50;

/// Changed findings named in one event; pages reload when there are more.
const TOLD: usize = 100;

/// One finding of the report, with what is computed from it once.
pub(crate) struct Incoming {
    pub(crate) finding: Finding,
    pub(crate) identity: [u8; 32],
    pub(crate) class: Class,
    score: u32,
    expires: Option<Time>,
}

/// What is stored of a finding that the report names.
pub(crate) struct Known {
    credential: i64,
    revision: u64,
    pub(crate) state: PresenceState,
    pub(crate) returns: u32,
    element: Option<[u8; 32]>,
}

impl Known {
    /// Whether the report's word is the newer one: by its revision, and within a full list, which may
    /// come from a restored ledger, by any other revision or, where that ledger came to the same
    /// number again, another state.
    fn is_older(&self, one: &Incoming, list: Option<Resync>) -> bool {
        one.finding.revision > self.revision
            || list.is_some()
                && (one.finding.revision, one.finding.presence.state())
                    != (self.revision, self.state)
    }
}

/// Stores a report.
pub(crate) async fn apply(tx: &mut Tx, report: Report, now: Time) -> Result<Applying, StoreError> {
    let Some(mut host) = host_line(tx, report.host).await? else {
        return Ok(Applying::NotTaken(NotTaken::UnknownHost));
    };
    if let Err(refused) = adopt(tx, &mut host, report.instance).await? {
        return Ok(Applying::NotTaken(refused));
    }
    wake(tx, &mut host, now).await?;
    let list = resync::part(&mut host, &report);
    let batch = prepare(tx, report.findings, now);
    let known = known(tx, &host, &batch).await?;
    let newer: Vec<&Incoming> = batch
        .iter()
        .filter(|one| {
            known
                .get(&one.identity)
                .is_none_or(|known| known.is_older(one, list))
        })
        .collect();

    let credentials = assign(tx, &newer, now).await?;
    let ids = upsert(tx, &host, &newer, &credentials, now).await?;
    remember_elements(tx, &mut host, &newer, &known);
    timeline::states(tx, &host, &newer, &known, &ids, &credentials, now).await?;
    let mut touched: BTreeSet<i64> = credentials.iter().copied().collect();
    touched.extend(
        newer
            .iter()
            .filter_map(|one| Some(known.get(&one.identity)?.credential)),
    );
    let mut changed: Vec<i64> = newer.iter().map(|one| ids[&one.identity]).collect();

    let mut missing = resync::Missing::default();
    if list.is_none() && !report.answers.is_empty() {
        let answered = resync::answered(tx, &host, &report.answers, now).await?;
        touched.extend(answered.credentials);
        changed.extend(answered.findings);
    }
    if let Some(list) = list {
        resync::mark(tx, &host, &batch).await?;
        if !list.more {
            missing = resync::close(tx, &mut host, now).await?;
            touched.extend(&missing.credentials);
            changed.extend(&missing.findings);
        }
    }
    tally::recount(tx, host.id, &touched).await?;
    host.upto = match list {
        // The list is whole: what was acknowledged to the ledger before it no longer counts.
        Some(list) if !list.more => report.upto,
        _ => host.upto.max(report.upto),
    };
    host.last_heard = Some(now);
    finish(tx, &host).await?;
    let references = tx.shared.references();
    let applied = Applied {
        upto: report.upto,
        findings: changed.iter().map(|id| references.finding(*id)).collect(),
        credentials: touched
            .iter()
            .map(|id| references.credential(*id))
            .collect(),
        reread: missing
            .questions
            .iter()
            .map(|one| one.place.clone())
            .collect(),
        questions: missing.questions,
    };
    tell(tx, &host, &applied);
    Ok(Applying::Applied(applied))
}

fn tell(tx: &mut Tx, host: &HostLine, applied: &Applied) {
    if applied.findings.is_empty() {
        return;
    }
    tx.tell(Event::Findings {
        host: host.uuid,
        findings: applied.findings.iter().take(TOLD).cloned().collect(),
        credentials: applied.credentials.iter().take(TOLD).cloned().collect(),
    });
}

/// Computes what is needed of each finding; of one that is named twice the newer state stays.
fn prepare(tx: &Tx, findings: Vec<Finding>, now: Time) -> Vec<Incoming> {
    let rules = &tx.shared.rules;
    let mut at: HashMap<[u8; 32], usize> = HashMap::with_capacity(findings.len());
    let mut batch: Vec<Incoming> = Vec::with_capacity(findings.len());
    for finding in findings {
        let identity = tx.shared.pepper.identity(&finding.key);
        let facts = facts(&finding, now);
        let incoming = Incoming {
            identity,
            class: rules.class(&facts),
            score: rules.finding(&facts).value,
            expires: facts.expires(),
            finding,
        };
        match at.get(&identity) {
            Some(&index) => {
                if incoming.finding.revision > batch[index].finding.revision {
                    batch[index] = incoming;
                }
            }
            None => {
                at.insert(identity, batch.len());
                batch.push(incoming);
            }
        }
    }
    batch
}

fn facts(finding: &Finding, now: Time) -> FindingFacts<'_> {
    FindingFacts {
        kind: finding.kind,
        confidence: finding.confidence,
        proof: &finding.proof,
        place: &finding.key.place,
        reach: &finding.reach,
        delivered: finding.delivered,
        presence: finding.presence.state(),
        now,
    }
}

async fn known(
    tx: &mut Tx,
    host: &HostLine,
    batch: &[Incoming],
) -> Result<HashMap<[u8; 32], Known>, StoreError> {
    let mut known = HashMap::with_capacity(batch.len());
    for chunk in batch.chunks(ROWS) {
        let mut query = QueryBuilder::<Sqlite>::new(
            "SELECT identity, credential_id, revision, state, returns, element FROM finding \
             WHERE host_id = ",
        );
        query.push_bind(host.id).push(" AND identity IN (");
        let mut list = query.separated(", ");
        for one in chunk {
            list.push_bind(one.identity.to_vec());
        }
        query.push(")");
        let rows = query
            .build()
            .fetch_all(&mut tx.conn)
            .await
            .at("reading known findings")?;
        for row in rows {
            let identity = bytes32("identity", &row.value::<Vec<u8>>("identity")?)?;
            let element: Option<Vec<u8>> = row.value("element")?;
            known.insert(
                identity,
                Known {
                    credential: row.value("credential_id")?,
                    revision: row.count("revision")?,
                    state: state(row.value("state")?)?,
                    returns: row.small("returns")?,
                    element: element
                        .map(|bytes| bytes32("element", &bytes))
                        .transpose()?,
                },
            );
        }
    }
    Ok(known)
}

/// What an update of a known finding changes: everything but its identity and first sight.
const ON_KNOWN: &str = " ON CONFLICT (host_id, identity) DO UPDATE SET \
    credential_id = excluded.credential_id, class = excluded.class, state = excluded.state, \
    since = excluded.since, why = excluded.why, revision = excluded.revision, \
    element = excluded.element, rule = excluded.rule, provider = excluded.provider, \
    kind = excluded.kind, access_id = excluded.access_id, confidence = excluded.confidence, \
    place_type = excluded.place_type, path = excluded.path, unit = excluded.unit, \
    owner = excluded.owner, body = excluded.body, delivered = excluded.delivered, \
    why_new = excluded.why_new, returns = excluded.returns, \
    agent_first_seen = excluded.agent_first_seen, \
    agent_last_verified = excluded.agent_last_verified, received = excluded.received, \
    expires = excluded.expires, scored = excluded.scored, score = excluded.score, \
    listed = excluded.listed, pushed = excluded.pushed \
    RETURNING id, identity";

async fn upsert(
    tx: &mut Tx,
    host: &HostLine,
    newer: &[&Incoming],
    credentials: &[i64],
    now: Time,
) -> Result<HashMap<[u8; 32], i64>, StoreError> {
    let pepper = tx.shared.pepper.clone();
    let mut ids = HashMap::with_capacity(newer.len());
    let pairs: Vec<(&&Incoming, &i64)> = newer.iter().zip(credentials).collect();
    for chunk in pairs.chunks(ROWS) {
        let mut query = QueryBuilder::<Sqlite>::new(
            "INSERT INTO finding (host_id, identity, credential_id, class, state, since, why, \
             revision, element, rule, provider, kind, access_id, confidence, place_type, path, \
             unit, owner, body, delivered, why_new, returns, agent_first_seen, \
             agent_last_verified, stored, received, expires, scored, score, listed, pushed) ",
        );
        query.push_values(chunk, |mut row, (one, credential)| {
            let finding = &one.finding;
            let columns = Searchable::of(finding);
            let (_, element) =
                pepper.masked_element(&one.identity, &finding.key, finding.presence.state());
            row.push_bind(host.id)
                .push_bind(one.identity.to_vec())
                .push_bind(**credential)
                .push_bind(one.class as i64)
                .push_bind(finding.presence.state() as i64)
                .push_bind(finding.presence.since().0)
                .push_bind(why(&finding.presence))
                .push_bind(signed(finding.revision))
                .push_bind(element.to_vec())
                .push_bind(finding.rule.to_string())
                .push_bind(finding.provider.to_string())
                .push_bind(slug(&finding.kind))
                .push_bind(access_id(finding))
                .push_bind(finding.confidence as i64)
                .push_bind(columns.place_type)
                .push_bind(columns.path)
                .push_bind(columns.unit)
                .push_bind(columns.owner)
                .push_bind(columns.body)
                .push_bind(i64::from(finding.delivered))
                .push_bind(slug(&finding.why_new))
                .push_bind(i64::from(finding.returns))
                .push_bind(finding.first_seen.0)
                .push_bind(finding.last_verified.0)
                .push_bind(now.0)
                .push_bind(now.0)
                .push_bind(one.expires.map(|at| at.0))
                .push_bind(now.0)
                .push_bind(i64::from(one.score))
                .push_bind(host.resync_serial)
                .push_bind(finding.git.as_ref().map(|git| git.state as i64));
        });
        query.push(ON_KNOWN);
        let rows = query
            .build()
            .fetch_all(&mut tx.conn)
            .await
            .at("storing findings")?;
        for row in rows {
            let identity = bytes32("identity", &row.value::<Vec<u8>>("identity")?)?;
            ids.insert(identity, row.value("id")?);
        }
    }
    Ok(ids)
}

/// The id that a finding speaks of: its own, or the one that it refers to.
pub(crate) fn access_id(finding: &Finding) -> Option<String> {
    match (&finding.credential_id, &finding.key.subject) {
        (Some(id), _) | (None, akwatch_proto::finding::Subject::Reference(id)) => {
            Some(id.to_string())
        }
        (None, akwatch_proto::finding::Subject::Secret(_)) => None,
    }
}

/// The columns by which people search.
struct Searchable {
    place_type: i64,
    path: String,
    unit: String,
    owner: String,
    body: String,
}

impl Searchable {
    fn of(finding: &Finding) -> Searchable {
        let place = &finding.key.place;
        let location = Location::of(place, &finding.spot, &finding.origin);
        let text = |text: &Option<akwatch_proto::place::SafeText>| {
            text.as_ref().map(ToString::to_string).unwrap_or_default()
        };
        let unit = match (&finding.origin.unit, &location.workload) {
            (Some(unit), _) => unit.to_string(),
            (None, workload) => text(workload),
        };
        Searchable {
            place_type: match place {
                Place::File { .. } => 1,
                Place::Process { .. } => 2,
                Place::History { .. } => 3,
                Place::Unknown => 0,
            },
            path: location.path.to_string(),
            unit,
            owner: text(&location.user.or_else(|| finding.reach.owner.clone())),
            body: json(&Body {
                place: place.clone(),
                spot: finding.spot.clone(),
                reach: finding.reach.clone(),
                origin: finding.origin.clone(),
                git: finding.git.clone(),
                written_by: finding.written_by.clone(),
                proof: finding
                    .proof
                    .iter()
                    .take(limits::PROOFS_PER_FINDING)
                    .cloned()
                    .collect(),
                preview: finding.preview.clone(),
                epoch: match &finding.key.subject {
                    akwatch_proto::finding::Subject::Secret(fingerprint) => {
                        Some(fingerprint.epoch.clone())
                    }
                    _ => None,
                },
            }),
        }
    }
}

/// Moves the host's digest from the old states to the new. What is gone is no element of it.
fn remember_elements(
    tx: &Tx,
    host: &mut HostLine,
    newer: &[&Incoming],
    known: &HashMap<[u8; 32], Known>,
) {
    let pepper = &tx.shared.pepper;
    for one in newer {
        if let Some((known, masked)) = known
            .get(&one.identity)
            .filter(|known| is_listed(known.state))
            .and_then(|known| Some((known, known.element?)))
        {
            let bytes = pepper.mask_element(&one.identity, known.state, masked);
            host.digest
                .remove(akwatch_proto::digest::Element::from_bytes(bytes));
        }
        let state = one.finding.presence.state();
        if is_listed(state) {
            let (element, _) = pepper.masked_element(&one.identity, &one.finding.key, state);
            host.digest.add(element);
        }
    }
}

/// Writes the host's row and recomputes its exposure.
async fn finish(tx: &mut Tx, host: &HostLine) -> Result<(), StoreError> {
    let (count, sum, nonce) = masked_digest(tx, host);
    sqlx::query(
        "UPDATE host SET instance = ?2, upto = ?3, last_heard = ?4, digest_count = ?5, \
         digest_sum = ?6, digest_nonce = ?7, resync = ?8, resync_serial = ?9 WHERE id = ?1",
    )
    .bind(host.id)
    .bind(host.instance.map(|id| id.as_bytes().to_vec()))
    .bind(signed(host.upto))
    .bind(host.last_heard.map(|time| time.0))
    .bind(count)
    .bind(sum)
    .bind(nonce)
    .bind(host.resync.map(|id| id.as_bytes().to_vec()))
    .bind(host.resync_serial)
    .execute(&mut tx.conn)
    .await
    .at("storing the host")?;
    tally::rescore_host(tx, host.id).await
}

/// The digest as stored: its number bare, its sum masked under a nonce of its own.
fn masked_digest(tx: &Tx, host: &HostLine) -> (i64, Option<Vec<u8>>, Option<Vec<u8>>) {
    if host.digest == SetDigest::default() {
        return (0, None, None);
    }
    let nonce = uuid::Uuid::new_v4();
    let sum = super::hosts_write::digest_sum(host.digest);
    let masked = tx
        .shared
        .pepper
        .mask_sum(host.uuid.0.as_bytes(), nonce.as_bytes(), sum);
    (
        signed(host.digest.count()),
        Some(masked.to_vec()),
        Some(nonce.as_bytes().to_vec()),
    )
}
