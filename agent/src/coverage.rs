//! What is watched and how well: the counts behind every "nothing found".
//!
//! Each source keeps what was read, what waits and what could not be read with its reason. A place
//! that could not be read counts once until it can be; the count is a state, not a history. Examples
//! are names as the detector cleaned them, never raw ones.

use std::collections::{BTreeMap, HashMap, HashSet};

use akwatch_ledger::{PathKey, ProcessInstance};
use akwatch_proto::coverage::{Coverage, Covered, NotRead, Rung, SourceCoverage};
use akwatch_proto::finding::UnknownWhy;
use akwatch_proto::limits;
use akwatch_proto::place::SafeText;
use akwatch_proto::time::Time;

use crate::job::TargetPlace;
use crate::sense::{Gap, Status};

/// Places remembered by name as not read, for each source.
const REMEMBERED: usize = 4_096;

/// Places beyond those, of which only a mark of 16 bytes is kept. With more than that the number says
/// *at least*, and coverage is not whole either way.
const MARKED: usize = 65_536;

/// What is left of a place's name where there are too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Mark {
    File(PathKey),
    Process(ProcessInstance),
}

impl Mark {
    fn of(place: &TargetPlace) -> Mark {
        match place {
            TargetPlace::File(path) => Mark::File(PathKey::of(path.as_os_str().as_encoded_bytes())),
            TargetPlace::Process(instance) => Mark::Process(*instance),
        }
    }
}

/// One of the three sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// Files.
    Files,
    /// Processes.
    Processes,
    /// Histories.
    Histories,
}

impl Source {
    /// All of them.
    pub const ALL: [Source; 3] = [Source::Files, Source::Processes, Source::Histories];

    /// As proto names it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Source::Files => "files",
            Source::Processes => "processes",
            Source::Histories => "histories",
        }
    }
}

/// One source's counts.
#[derive(Debug, Default)]
struct Tally {
    mechanism: &'static str,
    ready: bool,
    on: bool,
    read: u64,
    last: Option<Time>,
    waiting: u64,
    unread: HashMap<TargetPlace, &'static str>,
    /// Places beyond those, known by a hash of their name.
    beyond: HashMap<Mark, &'static str>,
    examples: BTreeMap<&'static str, SafeText>,
    gaps: Vec<Gap>,
    walk_gaps: Vec<Gap>,
    unscanned: bool,
    overflowed: u64,
    raced: u64,
    sensor_raced: u64,
}

/// The counts of all sources.
#[derive(Debug, Default)]
pub struct Counts {
    tallies: BTreeMap<Source, Tally>,
}

impl Counts {
    /// Counts for the sources that this configuration reads.
    #[must_use]
    pub fn of(sources: &[Source]) -> Counts {
        let mut counts = Counts::default();
        for source in sources {
            let tally = counts.tally(*source);
            tally.on = true;
            tally.mechanism = "rescan";
        }
        counts
    }

    /// A place was read to an answer.
    pub fn read(&mut self, source: Source, place: &TargetPlace, at: Time) {
        let tally = self.tally(source);
        tally.read += 1;
        tally.last = Some(at);
        tally.settle(place);
    }

    /// A place could not be read.
    pub fn not_read(&mut self, source: Source, place: &TargetPlace, why: &'static str) {
        let tally = self.tally(source);
        if let Some(known) = tally.unread.get_mut(place) {
            *known = why;
        } else if tally.unread.len() < REMEMBERED {
            tally.unread.insert(place.clone(), why);
        } else {
            let mark = Mark::of(place);
            if tally.beyond.len() < MARKED || tally.beyond.contains_key(&mark) {
                tally.beyond.insert(mark, why);
            }
        }
    }

    /// The places that were not read for this reason, as far as they are remembered.
    pub fn because(&self, why: &'static str) -> impl Iterator<Item = &TargetPlace> {
        let unread = self.tallies.values().flat_map(|tally| &tally.unread);
        unread
            .filter(move |(_, known)| **known == why)
            .map(|(place, _)| place)
    }

    /// Why a place could not be read, if it could not.
    #[must_use]
    pub fn why_not_read(&self, source: Source, place: &TargetPlace) -> Option<&'static str> {
        let tally = self.tallies.get(&source)?;
        let beyond = || tally.beyond.get(&Mark::of(place));
        tally.unread.get(place).or_else(beyond).copied()
    }

    /// A place is not there any more, so nothing about it is unread.
    pub fn forget(&mut self, source: Source, place: &TargetPlace) {
        self.tally(source).settle(place);
    }

    /// Whether a reason has no example yet.
    #[must_use]
    pub fn wants_example(&self, source: Source, why: &'static str) -> bool {
        let tally = self.tallies.get(&source);
        tally.is_some_and(|tally| !tally.examples.contains_key(why))
    }

    /// The reasons of a source that have no example yet, with a place each.
    pub fn without_example(
        &self,
        source: Source,
    ) -> impl Iterator<Item = (&'static str, &TargetPlace)> {
        let tally = self.tallies.get(&source).into_iter();
        let mut seen = HashSet::new();
        tally
            .flat_map(|tally| {
                let unread = tally.unread.iter();
                unread.filter(|(_, why)| !tally.examples.contains_key(**why))
            })
            .map(|(place, why)| (*why, place))
            .filter(move |(why, _)| seen.insert(*why))
    }

    /// What the sensor and the walk of a source left out, with a raw name each.
    pub fn gaps(&self, source: Source) -> impl Iterator<Item = &Gap> {
        let tally = self.tallies.get(&source).into_iter();
        tally.flat_map(|tally| tally.walk_gaps.iter().chain(&tally.gaps))
    }

    /// A sweep showed which processes live: of the others nothing is unread any more.
    pub fn swept(&mut self, alive: &HashSet<ProcessInstance>) {
        let tally = self.tally(Source::Processes);
        tally.unread.retain(|place, _| match place {
            TargetPlace::Process(instance) => alive.contains(instance),
            TargetPlace::File(_) => true,
        });
        tally.beyond.retain(|mark, _| match mark {
            Mark::Process(instance) => alive.contains(instance),
            Mark::File(_) => true,
        });
    }

    /// A cleaned name that may stand as the example of `why`.
    pub fn example(&mut self, source: Source, why: &'static str, name: SafeText) {
        self.tally(source).examples.entry(why).or_insert(name);
    }

    /// It changed or ended before it could be read.
    pub fn raced(&mut self, source: Source) {
        self.tally(source).raced += 1;
    }

    /// The kernel's queue overflowed.
    pub fn overflowed(&mut self, source: Source) {
        self.tally(source).overflowed += 1;
    }

    /// What a sensor says of itself.
    pub fn status(&mut self, source: Source, status: &Status) {
        let tally = self.tally(source);
        tally.mechanism = status.mechanism;
        tally.ready = status.ready;
        tally.gaps.clone_from(&status.not_watched);
        tally.sensor_raced = status.raced;
    }

    /// What a whole walk left out; nothing waits any more.
    pub fn walked(&mut self, source: Source, gaps: Vec<Gap>) {
        self.tally(source).walk_gaps = gaps;
    }

    /// What a walk over a part that came later left out.
    pub fn walked_more(&mut self, source: Source, gaps: &[Gap]) {
        let known = &mut self.tally(source).walk_gaps;
        for gap in gaps {
            match known.iter_mut().find(|known| known.why == gap.why) {
                Some(known) => known.count = known.count.saturating_add(gap.count),
                None => known.push(gap.clone()),
            }
        }
    }

    /// Whether what was there before the agent came was never read and nobody is about to.
    pub fn unscanned(&mut self, source: Source, unscanned: bool) {
        self.tally(source).unscanned = unscanned;
    }

    /// How many places wait.
    pub fn waiting(&mut self, source: Source, waiting: u64) {
        self.tally(source).waiting = waiting;
    }

    /// The statement for a heartbeat.
    #[must_use]
    pub fn statement(
        &self,
        rules: &str,
        rung: Rung,
        reason: Option<&str>,
        missing_walls: &[String],
    ) -> Coverage {
        Coverage {
            rules: rules.to_owned(),
            rung,
            rung_reason: reason.map(str::to_owned),
            sources: self
                .tallies
                .iter()
                .map(|(source, tally)| tally.statement(*source, rung))
                .take(limits::COVERAGE_SOURCES)
                .collect(),
            missing_walls: missing_walls.to_vec(),
            record: None,
            set_aside: Vec::new(),
        }
    }

    fn tally(&mut self, source: Source) -> &mut Tally {
        self.tallies.entry(source).or_default()
    }
}

impl Tally {
    /// Nothing is unread about a place any more.
    fn settle(&mut self, place: &TargetPlace) {
        if self.unread.remove(place).is_none() && !self.beyond.is_empty() {
            self.beyond.remove(&Mark::of(place));
        }
    }

    fn statement(&self, source: Source, rung: Rung) -> SourceCoverage {
        let not_read = self.not_read();
        let whole =
            self.on && self.ready && rung == Rung::Full && self.waiting == 0 && not_read.is_empty();
        // While nothing is read nobody can say anything.
        let reading = self.on && self.ready && rung != Rung::Paused;
        let covered = match (whole, reading) {
            (true, _) => Covered::Whole,
            (false, true) => Covered::Partly,
            (false, false) => Covered::Unknown,
        };
        SourceCoverage {
            source: source.name().to_owned(),
            mechanism: if self.on { self.mechanism } else { "off" }.to_owned(),
            covered,
            last_verified: self.last,
            read: self.read,
            waiting: self.waiting,
            not_read,
            overflowed: self.overflowed,
            raced: self.raced + self.sensor_raced,
        }
    }

    fn not_read(&self) -> Vec<NotRead> {
        let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
        for why in self.unread.values() {
            *counts.entry(why).or_default() += 1;
        }
        for why in self.beyond.values() {
            *counts.entry(why).or_default() += 1;
        }
        if self.unscanned {
            counts.insert("first-scan-off", 1); // the whole of what was there before
        }
        // A directory without a watch is still read by the scans; one that the walk left out is not.
        for gap in self.walk_gaps.iter().chain(&self.gaps) {
            let count = counts.entry(slug_of_gap(gap)).or_default();
            *count = (*count).max(gap.count);
        }
        counts
            .into_iter()
            .take(limits::COVERAGE_REASONS)
            .map(|(why, count)| NotRead {
                why: why.to_owned(),
                count,
                example: self.examples.get(why).cloned(),
            })
            .collect()
    }
}

/// The reason of a gap as coverage names it: what only lacks a watch is still read by the scans.
#[must_use]
pub fn slug_of_gap(gap: &Gap) -> &'static str {
    match gap.why {
        "bulk-directory" | "watch-limit" => "not-watched-live",
        other => other,
    }
}

/// The slug of a reason for not knowing.
#[must_use]
pub fn slug(why: UnknownWhy) -> &'static str {
    match why {
        UnknownWhy::Unreadable => "unreadable",
        UnknownWhy::ReadShort => "read-short",
        UnknownWhy::ChangedWhileRead => "changed-while-read",
        UnknownWhy::TooMany => "too-many",
        UnknownWhy::SetAside => "set-aside",
        UnknownWhy::LimitLowered => "too-large",
        UnknownWhy::PathExcluded => "excluded",
        UnknownWhy::SensorDegraded => "sensor-degraded",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn file(name: &str) -> TargetPlace {
        TargetPlace::File(PathBuf::from(name))
    }

    fn ready() -> Counts {
        let mut counts = Counts::of(&[Source::Files]);
        let status = Status {
            source: "files",
            mechanism: "inotify",
            ready: true,
            ..Status::default()
        };
        counts.status(Source::Files, &status);
        counts
    }

    fn files(counts: &Counts, rung: Rung) -> SourceCoverage {
        counts.statement("r1", rung, None, &[]).sources.remove(0)
    }

    #[test]
    fn whole_means_ready_at_full_rung_with_nothing_left() {
        let mut counts = ready();
        assert_eq!(files(&counts, Rung::Full).covered, Covered::Whole);
        assert_eq!(files(&counts, Rung::Reduced).covered, Covered::Partly);
        assert_eq!(files(&counts, Rung::Paused).covered, Covered::Unknown);
        counts.waiting(Source::Files, 1);
        assert_eq!(files(&counts, Rung::Full).covered, Covered::Partly);
        assert_eq!(
            files(&Counts::of(&[Source::Files]), Rung::Full).covered,
            Covered::Unknown
        );
    }

    #[test]
    fn what_was_never_scanned_is_not_covered() {
        let mut counts = ready();
        counts.unscanned(Source::Files, true);
        let stated = files(&counts, Rung::Full);
        assert_eq!(stated.covered, Covered::Partly);
        assert_eq!(stated.not_read[0].why, "first-scan-off");
    }

    #[test]
    fn a_place_counts_as_unread_once_and_until_it_is_read() {
        let mut counts = ready();
        for why in ["unreadable", "unreadable", "too-large"] {
            counts.not_read(Source::Files, &file("a"), why);
        }
        let stated = files(&counts, Rung::Full);
        assert_eq!(stated.covered, Covered::Partly);
        assert_eq!(
            (stated.not_read[0].why.as_str(), stated.not_read[0].count),
            ("too-large", 1)
        );
        counts.read(Source::Files, &file("a"), Time(1));
        assert_eq!(files(&counts, Rung::Full).covered, Covered::Whole);
    }

    #[test]
    fn a_process_that_ended_is_not_unread_any_more() {
        let mut counts = Counts::of(&[Source::Processes]);
        let one = |pid| ProcessInstance { pid, started: 1 };
        for pid in 1..=9 {
            let place = TargetPlace::Process(one(pid));
            counts.not_read(Source::Processes, &place, "permission-denied");
        }
        counts.swept(&HashSet::from([one(3)]));
        let stated = counts.statement("r1", Rung::Full, None, &[]);
        assert_eq!(stated.sources[0].not_read[0].count, 1);
    }

    #[test]
    fn places_are_named_by_why_they_were_not_read() {
        let mut counts = ready();
        counts.not_read(Source::Files, &file("a"), "ledger-full");
        counts.not_read(Source::Files, &file("b"), "denied");
        let full: Vec<TargetPlace> = counts.because("ledger-full").cloned().collect();
        assert_eq!(full, [file("a")]);
    }

    #[test]
    fn memory_is_bounded_and_the_number_is_kept() {
        let mut counts = ready();
        let all = || (0..REMEMBERED + 10).map(|n| file(&n.to_string()));
        for place in all().chain(all()) {
            counts.not_read(Source::Files, &place, "unreadable");
        }
        let stated = files(&counts, Rung::Full);
        assert_eq!(
            stated.not_read[0].count,
            REMEMBERED as u64 + 10,
            "each once"
        );
        for place in all() {
            counts.read(Source::Files, &place, Time(1));
        }
        assert_eq!(files(&counts, Rung::Full).covered, Covered::Whole);
        for n in 0..REMEMBERED + MARKED + 10 {
            counts.not_read(Source::Files, &file(&n.to_string()), "unreadable");
        }
        let stated = files(&counts, Rung::Full);
        assert_eq!(stated.not_read[0].count, (REMEMBERED + MARKED) as u64);
    }
}
