//! Readings into rows: what one transaction changes.
//!
//! A reading of a place brings its findings up to date and lets [`presence`](crate::presence) decide
//! about those that it did not see. A reading of a process only adds; a sweep decides for processes.
//! A revision is given to what a person would see change; a pid, or the time of the last look, is
//! updated in place.

use std::collections::{BTreeMap, BTreeSet};

use akwatch_proto::credential::Epoch;
use akwatch_proto::digest::{Element, is_listed};
use akwatch_proto::finding::{Finding, FindingKey, Presence, PresenceState, Subject, UnknownWhy};
use akwatch_proto::git::{Git, PushState};
use akwatch_proto::limits;
use akwatch_proto::place::WrittenBy;
use akwatch_proto::time::Time;
use redb::{ReadableTable, ReadableTableMetadata, Table, WriteTransaction};

use crate::error::Fault;
use crate::format::{
    ASKED, FINDINGS, Group, HOLDERS, Holding, Meta, REVISIONS, Record, Row, decode, encode,
    group_of, group_of_workload, instance_key, instance_of, row_of, rows_of, rows_of_processes,
};
use crate::in_force::InForce;
use crate::observed::{distinct, refresh};
use crate::presence::{
    Checks, GRACE_PER_RETURN_MS, Swept, Verdict, conclude, set_present, set_unknown,
};
use crate::reading::{Extent, Observed, ProcessInstance, Reading, ReadingSubject};

/// `last_verified` is written when it has moved by this much, or with another change: a rescan that
/// changes nothing costs no write.
pub const VERIFIED_GRAIN_MS: i64 = 10 * 60 * 1000;

/// Findings of one place that are gone and known to be so: more are forgotten, oldest first. Stops: a
/// file that is filled with new keys again and again, to fill the disk.
pub const GONE_PER_PLACE: usize = 400;

/// Findings that one process instance is noted to hold; one with more may hold any other, too.
const HELD: usize = 2 * limits::FINDINGS_PER_PLACE;

/// Bytes of records that one transaction of readings writes, and what the last reading adds. Stops: a file
/// that grows by as much as is written anew, because the pages of before are free only afterwards.
const WRITTEN: u64 = 512 << 10;

/// Records in memory at a time when all are looked at.
const AT_ONCE: usize = 256;

/// What a commit changed, in findings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Seen for the first time.
    pub appeared: usize,
    /// Present again after having been gone.
    pub returned: usize,
    /// Present again after having been unknown.
    pub confirmed: usize,
    /// Gone, with proof.
    pub gone: usize,
    /// Unknown from now on, or for another reason.
    pub unknown: usize,
    /// The same presence, another line, reach, confidence or the like.
    pub altered: usize,
    /// Observations left out, because they name another place than the one that was read.
    pub foreign: usize,
    /// Findings left out, because the ledger holds as many as it may: coverage must say so.
    pub not_kept: usize,
    /// Which of the readings these were in, by their index: what is remembered of having read there has
    /// to be forgotten.
    pub cut_short: Vec<usize>,
    /// The ledger's revision after the commit.
    pub revision: u64,
}

impl Changes {
    /// Adds what another transaction of the same commit changed.
    pub(crate) fn add(&mut self, more: Changes) {
        self.appeared += more.appeared;
        self.returned += more.returned;
        self.confirmed += more.confirmed;
        self.gone += more.gone;
        self.unknown += more.unknown;
        self.altered += more.altered;
        self.foreign += more.foreign;
        self.not_kept += more.not_kept;
        self.cut_short.extend(more.cut_short);
    }

    /// Whether there is something to send that was not there before.
    #[must_use]
    pub fn any(&self) -> bool {
        self.appeared + self.returned + self.confirmed + self.gone + self.unknown + self.altered > 0
    }
}

/// The open tables of one transaction.
pub(crate) struct Draft<'t> {
    findings: Table<'t, &'static [u8; 32], &'static [u8]>,
    revisions: Table<'t, u64, &'static [u8; 32]>,
    holders: Table<'t, &'static [u8; 12], &'static [u8]>,
    pub(crate) asked: Table<'t, &'static [u8; 32], &'static [u8]>,
    most_findings: u64,
    /// Bytes of disk that new findings may still take.
    pub(crate) room: u64,
    /// Bytes of disk that were taken by what is forgotten.
    pub(crate) freed: u64,
    /// Bytes of records that were written.
    written: u64,
    /// Whether anything was written.
    pub(crate) dirty: bool,
    /// What was changed.
    pub(crate) changes: Changes,
}

/// Bytes of disk that a new finding takes at most: a value that does not fit into a page has pages of
/// its own, a power of two of them, and its index takes some more.
fn disk_bytes_of(record: &Record) -> u64 {
    disk_bytes(encode(record).len())
}

fn disk_bytes(encoded: usize) -> u64 {
    2 * encoded as u64 + 512
}

impl<'t> Draft<'t> {
    pub(crate) fn open(
        transaction: &'t WriteTransaction,
        most_findings: u64,
        room: u64,
    ) -> Result<Draft<'t>, Fault> {
        Ok(Draft {
            findings: transaction.open_table(FINDINGS)?,
            revisions: transaction.open_table(REVISIONS)?,
            holders: transaction.open_table(HOLDERS)?,
            asked: transaction.open_table(ASKED)?,
            most_findings,
            room,
            freed: 0,
            written: 0,
            dirty: false,
            changes: Changes::default(),
        })
    }

    /// Applies one reading.
    fn apply(
        &mut self,
        meta: &mut Meta,
        reading: &Reading,
        in_force: &InForce,
        checks: Checks,
    ) -> Result<(), Fault> {
        let scene = Scene {
            reading,
            in_force,
            checks,
            written_by: reading.written_by.as_ref(),
        };
        match &reading.subject {
            ReadingSubject::Place(place) => {
                let group = group_of(place);
                self.absences(meta, scene, rows_of(&group), None)?;
                self.presences(meta, scene, group, None)?;
                self.answer(reading, Some(place), in_force, None, checks)
            }
            ReadingSubject::Process {
                workload,
                user,
                instance,
            } => {
                let group = group_of_workload(workload, user);
                self.absences(meta, scene, rows_of(&group), None)?;
                self.presences(meta, scene, group, Some(*instance))?;
                self.hold(*instance, group, reading)
            }
            ReadingSubject::Sweep {
                began,
                alive,
                unread,
            } => {
                if reading.extent != Extent::Whole {
                    return Ok(());
                }
                let swept = self.sweep(*began, alive, unread)?;
                self.absences(meta, scene, rows_of_processes(), Some(&swept))?;
                self.answer(reading, None, in_force, Some(&swept), checks)
            }
        }
    }

    /// Lets each finding between two rows be judged by the reading.
    fn absences(
        &mut self,
        meta: &mut Meta,
        scene: Scene<'_>,
        (first, last): (Row, Row),
        swept: Option<&Swept>,
    ) -> Result<(), Fault> {
        let mut gone = Vec::new();
        for (row, before) in self.records(first, last, usize::MAX)? {
            if before.finding.presence.state() == PresenceState::Gone {
                let revision = before.finding.revision;
                gone.extend(gone_and_known(&before, meta).map(|at| (at, row, revision)));
                continue;
            }
            let mut record = before.clone();
            if let Some(swept) = swept {
                note_unheld(&mut record, swept.held.contains_key(&row), scene.reading.at);
            }
            let verdict = conclude(
                &mut record,
                scene.reading,
                scene.in_force,
                swept,
                scene.checks,
            );
            let changed = match verdict {
                Verdict::Seen => {
                    verified(&mut record, scene.reading.at);
                    let holders = swept.and_then(|swept| swept.held.get(&row));
                    holders
                        .is_some_and(|holders| name_holder(&mut record, holders, scene.reading.at))
                }
                Verdict::Silent => false,
                Verdict::Unknown(why) => set_unknown(&mut record, why, scene.reading.at),
                Verdict::Gone => {
                    record.finding.last_verified = scene.reading.at;
                    true
                }
            };
            if changed {
                match record.finding.presence.state() {
                    PresenceState::Gone => self.changes.gone += 1,
                    PresenceState::Present => self.changes.altered += 1,
                    PresenceState::Unknown => self.changes.unknown += 1,
                }
            }
            self.save(meta, &row, Some(&before), record, changed)?;
        }
        if swept.is_none() && gone.len() > GONE_PER_PLACE {
            gone.sort_unstable();
            for (_, row, revision) in &gone[..gone.len() - GONE_PER_PLACE] {
                self.forget(row, *revision)?;
            }
        }
        Ok(())
    }

    /// Writes what the reading saw.
    fn presences(
        &mut self,
        meta: &mut Meta,
        scene: Scene<'_>,
        group: Group,
        instance: Option<ProcessInstance>,
    ) -> Result<(), Fault> {
        let seen = distinct(scene.reading, group);
        self.changes.foreign += seen.foreign;
        let mut scene = scene;
        if scene.reading.written_by.is_some() && self.under_another_key(scene, &group)? {
            scene.written_by = None;
        }
        for (row, observed) in seen.rows {
            match self.record(&row)? {
                None if self.findings.len()? >= self.most_findings => {
                    self.changes.not_kept += 1;
                }
                None => {
                    let record = scene.new_record(observed, instance);
                    let Some(left) = self.room.checked_sub(disk_bytes_of(&record)) else {
                        self.changes.not_kept += 1;
                        continue;
                    };
                    self.room = left;
                    self.changes.appeared += 1;
                    self.save(meta, &row, None, record, true)?;
                }
                Some(before) => self.seen_again(meta, scene, row, &before, observed, instance)?,
            }
        }
        Ok(())
    }

    /// Whether a place holds findings whose fingerprints were made with another key: by this one, what
    /// has been there for long looks new.
    fn under_another_key(&self, scene: Scene<'_>, group: &Group) -> Result<bool, Fault> {
        let (first, last) = rows_of(group);
        let epochs: Vec<&Epoch> = scene.reading.observed.iter().filter_map(epoch_of).collect();
        let records = self.records(first, last, usize::MAX)?;
        let mut known = records.iter().filter_map(|(_, record)| record.epoch());
        Ok(known.any(|known| epochs.iter().any(|epoch| *epoch != known)))
    }

    fn seen_again(
        &mut self,
        meta: &mut Meta,
        scene: Scene<'_>,
        row: Row,
        before: &Record,
        observed: &Observed,
        instance: Option<ProcessInstance>,
    ) -> Result<(), Fault> {
        let mut record = before.clone();
        record.unheld_since = None;
        record.limits = scene.in_force.limits;
        let altered = says_more(&record, scene.reading, observed)
            && self.speaks_for(&row, &record, instance)?
            && refresh(&mut record, observed, instance);
        let was = before.finding.presence.state();
        let moved = set_present(&mut record, scene.reading.at);
        verified(&mut record, scene.reading.at);
        if moved {
            record.finding.last_verified = scene.reading.at;
            match was {
                PresenceState::Gone => {
                    record.finding.why_new = scene.reading.why_new;
                    record.finding.written_by = scene.written_by.cloned();
                    self.changes.returned += 1;
                }
                _ => self.changes.confirmed += 1,
            }
        } else if altered {
            self.changes.altered += 1;
        }
        self.save(meta, &row, Some(before), record, moved || altered)
    }

    /// Of several processes of one workload only one lends its attributes, while it holds the
    /// finding: a service's many processes would otherwise change them at every sweep.
    fn speaks_for(
        &self,
        row: &Row,
        record: &Record,
        instance: Option<ProcessInstance>,
    ) -> Result<bool, Fault> {
        match (instance, record.primary) {
            (Some(now), Some(primary)) if now != primary => {
                let holding = self.holding(&instance_key(primary))?;
                Ok(!holding.is_some_and(|holding| holding.rows.contains(row)))
            }
            _ => Ok(true),
        }
    }

    /// Notes what a process instance holds.
    fn hold(
        &mut self,
        instance: ProcessInstance,
        group: Group,
        reading: &Reading,
    ) -> Result<(), Fault> {
        let key = instance_key(instance);
        let before = self.holding(&key)?;
        let seen = distinct(reading, group);
        let mut rows: BTreeSet<Row> = seen.rows.into_keys().collect();
        let mut unread = match &reading.extent {
            Extent::Absent => return self.release(&key, before.is_some()),
            Extent::Whole if reading.too_many || seen.too_many => Some(UnknownWhy::TooMany),
            Extent::Whole => reading.unread_inside,
            Extent::Tail { .. } => Some(UnknownWhy::ReadShort),
            Extent::Unread(why) => Some(*why),
        };
        let mut unseen = Vec::new();
        if unread.is_some() {
            let carried = before.iter().flat_map(|before| before.rows.iter().copied());
            unseen.extend(carried.filter(|row| !rows.contains(row)));
            rows.extend(&unseen);
        }
        if rows.is_empty() && unread.is_none() {
            return self.release(&key, before.is_some());
        }
        if rows.len() > HELD {
            unread = Some(UnknownWhy::TooMany);
        }
        let after = Holding {
            group,
            since: before.as_ref().map_or(reading.at, |before| before.since),
            rows: rows.into_iter().take(HELD).collect(),
            unread,
            unseen,
        };
        if before.as_ref() != Some(&after) {
            self.holders.insert(&key, encode(&after).as_slice())?;
            self.dirty = true;
        }
        Ok(())
    }

    fn release(&mut self, key: &[u8; 12], known: bool) -> Result<(), Fault> {
        if known {
            self.holders.remove(key)?;
            self.dirty = true;
        }
        Ok(())
    }

    /// Forgets instances that ended and sums up what the live ones hold.
    fn sweep(
        &mut self,
        began: u64,
        alive: &[ProcessInstance],
        unread: &[(ProcessInstance, UnknownWhy)],
    ) -> Result<Swept, Fault> {
        let alive: BTreeSet<ProcessInstance> = alive.iter().copied().collect();
        let mut unread: BTreeMap<ProcessInstance, UnknownWhy> = unread.iter().copied().collect();
        let mut swept = Swept::default();
        let mut ended = Vec::new();
        for entry in self.holders.iter()? {
            let (key, value) = entry?;
            let instance = instance_of(key.value());
            let holding: Holding = decode("a holder", value.value())?;
            // An instance that was started after the sweep began is not the sweep's business.
            if !alive.contains(&instance) && instance.started < began {
                ended.push(*key.value());
                continue;
            }
            let now_unread = unread.remove(&instance);
            if let Some(why) = now_unread.or(holding.unread) {
                swept.unread.insert(holding.group, why);
            }
            if now_unread.is_some() && holding.unread.is_none() {
                continue; // read whole before, and not at all since: nobody has seen anything in it
            }
            for row in holding.rows {
                if !holding.unseen.contains(&row) {
                    let instances = swept.held.entry(row).or_default();
                    instances.insert(instance, holding.since);
                }
            }
        }
        swept.stray = unread.into_values().next();
        for key in ended {
            self.release(&key, true)?;
        }
        Ok(swept)
    }

    /// Makes every finding unknown that is not gone and for which `concerns` holds.
    pub(crate) fn make_unknown(
        &mut self,
        meta: &mut Meta,
        concerns: &mut dyn FnMut(&Finding) -> bool,
        why: UnknownWhy,
        at: Time,
    ) -> Result<(), Fault> {
        self.each(&mut |draft, row, before| {
            let mut record = before.clone();
            if concerns(&record.finding) && set_unknown(&mut record, why, at) {
                draft.changes.unknown += 1;
                draft.save(meta, row, Some(before), record, true)?;
            }
            Ok(())
        })
    }

    /// Notes what Git says of a finding. What was pushed once stays pushed: a history that is cut
    /// short, a ref that is deleted, a repository that is removed take nothing back.
    pub(crate) fn note_git(
        &mut self,
        meta: &mut Meta,
        key: &FindingKey,
        git: Option<&Git>,
    ) -> Result<(), Fault> {
        let row = row_of(key);
        let Some(before) = self.record(&row)? else {
            return Ok(()); // forgotten meanwhile
        };
        let pushed = |git: &Git| git.state == PushState::Pushed;
        let was_pushed = before.finding.git.as_ref().is_some_and(pushed);
        if before.finding.git.as_ref() == git || (was_pushed && !git.is_some_and(pushed)) {
            return Ok(());
        }
        let mut record = before.clone();
        record.finding.git = git.cloned();
        self.changes.altered += 1;
        self.save(meta, &row, Some(&before), record, true)
    }

    /// Applies readings in their order, from the one at `first`, until enough was written for one
    /// transaction. Says which is next.
    pub(crate) fn apply_some(
        &mut self,
        meta: &mut Meta,
        readings: &[Reading],
        first: usize,
        in_force: &InForce,
        checks: Checks,
    ) -> Result<usize, Fault> {
        for (at, reading) in readings.iter().enumerate().skip(first) {
            if self.written > WRITTEN {
                return Ok(at);
            }
            let before = self.changes.not_kept;
            self.apply(meta, reading, in_force, checks)?;
            if self.changes.not_kept > before {
                self.changes.cut_short.push(at);
            }
        }
        Ok(readings.len())
    }

    /// Forgets findings that were gone before `before` and are acknowledged as such.
    pub(crate) fn forget_gone(&mut self, meta: &Meta, before: Time) -> Result<usize, Fault> {
        let mut forgotten = 0;
        self.each(&mut |draft, row, record| {
            if gone_and_known(record, meta).is_some_and(|at| at < before) {
                draft.forget(row, record.finding.revision)?;
                forgotten += 1;
            }
            Ok(())
        })?;
        Ok(forgotten)
    }

    fn forget(&mut self, row: &Row, revision: u64) -> Result<(), Fault> {
        if let Some(record) = self.findings.remove(row)? {
            self.freed += disk_bytes(record.value().len());
        }
        self.revisions.remove(revision)?;
        self.dirty = true;
        Ok(())
    }

    /// Forgets all process instances: another boot gave their numbers to others.
    pub(crate) fn forget_holders(&mut self) -> Result<(), Fault> {
        self.holders.retain(|_, _| false)?;
        self.dirty = true;
        Ok(())
    }

    /// Writes that the collector holds these states, and keeps the digest in step.
    pub(crate) fn acknowledge(
        &mut self,
        meta: &mut Meta,
        sent: &[(Row, PresenceState)],
    ) -> Result<(), Fault> {
        for (row, state) in sent {
            let Some(mut record) = self.record(row)? else {
                continue;
            };
            let key = &record.finding.key;
            if let Some(old) = record
                .acknowledged_in(meta.round)
                .filter(|old| is_listed(*old))
            {
                meta.digest.remove(Element::of(key, old));
            }
            if is_listed(*state) {
                meta.digest.add(Element::of(key, *state));
            }
            record.acknowledged = Some((meta.round, *state));
            self.findings.insert(row, encode(&record).as_slice())?;
        }
        self.dirty = true;
        Ok(())
    }

    fn save(
        &mut self,
        meta: &mut Meta,
        row: &Row,
        before: Option<&Record>,
        mut record: Record,
        visible: bool,
    ) -> Result<(), Fault> {
        if before == Some(&record) {
            return Ok(());
        }
        if visible {
            if let Some(before) = before {
                self.revisions.remove(before.finding.revision)?;
            }
            meta.revision += 1;
            record.finding.revision = meta.revision;
            self.revisions.insert(meta.revision, row)?;
        }
        let encoded = encode(&record);
        self.findings.insert(row, encoded.as_slice())?;
        self.written += encoded.len() as u64;
        self.dirty = true;
        Ok(())
    }

    fn record(&self, row: &Row) -> Result<Option<Record>, Fault> {
        match self.findings.get(row)? {
            None => Ok(None),
            Some(value) => decode("a finding", value.value()).map(Some),
        }
    }

    /// Calls `visit` with every record, of which only some are in memory at a time.
    fn each(
        &mut self,
        visit: &mut dyn FnMut(&mut Self, &Row, &Record) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let mut next = Some([0; 32]);
        while let Some(first) = next {
            let records = self.records(first, [0xff; 32], AT_ONCE)?;
            next = match records.last() {
                Some((last, _)) if records.len() == AT_ONCE => row_after(last),
                _ => None,
            };
            for (row, record) in &records {
                visit(self, row, record)?;
            }
        }
        Ok(())
    }

    fn records(&self, first: Row, last: Row, most: usize) -> Result<Vec<(Row, Record)>, Fault> {
        let mut records = Vec::new();
        for entry in self.findings.range::<&[u8; 32]>(&first..=&last)?.take(most) {
            let (row, value) = entry?;
            records.push((*row.value(), decode("a finding", value.value())?));
        }
        Ok(records)
    }

    fn holding(&self, key: &[u8; 12]) -> Result<Option<Holding>, Fault> {
        match self.holders.get(key)? {
            None => Ok(None),
            Some(value) => decode("a holder", value.value()).map(Some),
        }
    }
}

/// What every finding of one reading is judged with.
#[derive(Clone, Copy)]
struct Scene<'a> {
    reading: &'a Reading,
    in_force: &'a InForce,
    checks: Checks,
    written_by: Option<&'a WrittenBy>,
}

impl Scene<'_> {
    fn new_record(&self, observed: &Observed, instance: Option<ProcessInstance>) -> Record {
        let at = self.reading.at;
        Record {
            finding: Finding {
                key: observed.key.clone(),
                rule: observed.rule.clone(),
                provider: observed.provider.clone(),
                kind: observed.kind,
                credential_id: observed.credential_id.clone(),
                confidence: observed.confidence,
                preview: observed.preview.clone(),
                proof: observed.proof.clone(),
                spot: observed.spot.clone(),
                reach: observed.reach.clone(),
                origin: observed.origin.clone(),
                git: None,
                written_by: self.written_by.cloned(),
                delivered: observed.delivered,
                presence: Presence::Present { since: at },
                why_new: self.reading.why_new,
                first_seen: at,
                last_verified: at,
                returns: 0,
                revision: 0,
            },
            present_since: at,
            limits: self.in_force.limits,
            unheld_since: None,
            primary: instance,
            acknowledged: None,
        }
    }
}

fn epoch_of(observed: &Observed) -> Option<&Epoch> {
    match &observed.key.subject {
        Subject::Secret(fingerprint) => Some(&fingerprint.epoch),
        Subject::Reference(_) => None,
    }
}

/// Whether an observation may replace the attributes that are known. A tail shows a value without what
/// stands above it: that value may lie further up, too, and be known better from there.
fn says_more(record: &Record, reading: &Reading, observed: &Observed) -> bool {
    let of_tail = matches!(reading.extent, Extent::Tail { from } if from > 0);
    !of_tail
        || record.finding.presence.state() != PresenceState::Present
        || observed.confidence > record.finding.confidence
}

/// When a finding went, if the collector knows that it did.
fn gone_and_known(record: &Record, meta: &Meta) -> Option<Time> {
    let known = record.acknowledged_in(meta.round) == Some(PresenceState::Gone)
        && record.finding.revision <= meta.acknowledged;
    match record.finding.presence {
        Presence::Gone { at, .. } if known => Some(at),
        _ => None,
    }
}

/// The next row that there can be.
fn row_after(row: &Row) -> Option<Row> {
    let mut next = *row;
    for byte in next.iter_mut().rev() {
        *byte = byte.wrapping_add(1);
        if *byte != 0 {
            return Some(next);
        }
    }
    None
}

/// Notes that the place was read to an answer, if that is worth a write.
fn verified(record: &mut Record, at: Time) {
    let moved = at.since(record.finding.last_verified);
    // A clock that was set back would have the place pass for verified until it comes round again.
    if !(-VERIFIED_GRAIN_MS..VERIFIED_GRAIN_MS).contains(&moved) {
        record.finding.last_verified = at;
    }
}

/// Names the process that holds the finding now, when the one that was named has ended: the pid that
/// a responder is shown must live. Only a sweep does so, and for what has come back before only when
/// it stays, so that a job that runs every minute costs no report.
fn name_holder(record: &mut Record, holders: &BTreeMap<ProcessInstance, Time>, at: Time) -> bool {
    let named = record
        .primary
        .filter(|primary| holders.contains_key(primary));
    let Some(holder) = named.or_else(|| holders.keys().next().copied()) else {
        return false;
    };
    let stays = holders
        .get(&holder)
        .is_some_and(|since| at.since(*since) >= GRACE_PER_RETURN_MS);
    if record.finding.origin.pid == Some(holder.pid) || record.finding.returns > 0 && !stays {
        return false;
    }
    record.primary = Some(holder);
    record.finding.origin.pid = Some(holder.pid);
    true
}

/// Notes since when no live process has held the finding.
fn note_unheld(record: &mut Record, held: bool, at: Time) {
    record.unheld_since = match record.unheld_since {
        _ if held => None,
        // A clock that was set back starts the wait anew.
        Some(since) if since <= at => Some(since),
        _ => Some(at),
    };
}
