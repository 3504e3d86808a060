//! What is to be looked at next: coalesces targets by place and decides their order.
//!
//! Sensors may speak as fast as strangers can write files; this queue turns that into a bounded
//! amount of work. A place waits at most once, the more urgent reason wins, and within an urgency
//! every owning uid gets its turn, so that one user's storm of writes delays only that user. A place
//! that costs much is left alone for a while in proportion to the bytes that it cost, never to time.
//! What does not fit is counted and owes a rescan; nothing is dropped silently. Pure: no clock and
//! no file is touched here.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::{Duration, Instant};

use akwatch_proto::finding::UnknownWhy;

use crate::job::{Target, TargetPlace, Urgency};

/// Places waiting at once. Stops: memory that grows with a storm of events. A place costs about
/// 300 bytes with its path.
pub const WAITING: usize = 16_384;

/// Places set aside at once, by name. Stops: a stranger who fills memory with hostile files.
pub const SET_ASIDE: usize = 1_024;

/// Places whose last cost is remembered.
const COOLING: usize = 4_096;

/// Bytes a second that one place may cost by changing again and again: half a percent of one
/// processor at the speed of the detector.
const PLACE_BYTES_PER_SECOND: u64 = 4 * 1024 * 1024;

/// A place below this cost is read again at once.
const FREE_BYTES: u64 = 256 * 1024;

/// The longest that a costly place is left alone.
const LONGEST_COOLING: Duration = Duration::from_secs(300);

/// How long a place is set aside the first time; doubles each time.
const FIRST_ASIDE: Duration = Duration::from_secs(60);

/// The longest that a place is set aside.
const LONGEST_ASIDE: Duration = Duration::from_secs(24 * 3600);

/// Places that could not be opened for a while and are kept in mind; beyond these the next rescan
/// comes to them.
const PUT_OFF: usize = 1_024;

/// How long they are left alone. An attempt to open a leased file asks its holder to give the lease
/// up, for which it has 45 seconds unless the host says otherwise: `lease-break-time` of proc_sys_fs(5).
const PUT_OFF_FOR: Duration = Duration::from_secs(50);

/// Who owns a place, for fair shares: a uid, or the overflow id where nobody can say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner(pub u32);

/// What became of an offer.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offered {
    /// It waits.
    Queued,
    /// It waited already.
    Coalesced,
    /// It is being read right now and will be read once more.
    Again,
    /// It is set aside; its turn comes when that ends.
    SetAside,
    /// There was no room: a rescan is owed.
    Dropped,
}

/// Why a place is set aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Aside {
    /// Why, as findings of the place will say.
    pub why: UnknownWhy,
    /// When it is tried again.
    pub until: Instant,
    /// How often so far.
    pub times: u32,
}

#[derive(Clone, Copy)]
struct Waiting {
    urgency: Urgency,
    owner: Owner,
    ticket: u64,
}

#[derive(Clone, Copy)]
struct InFlight {
    owner: Owner,
    again: Option<Urgency>,
}

/// One urgency: a queue for each owner, served in turn.
#[derive(Default)]
struct Lane {
    by_owner: HashMap<Owner, VecDeque<(u64, TargetPlace)>>,
    turn: VecDeque<Owner>,
}

impl Lane {
    fn push(&mut self, owner: Owner, ticket: u64, place: TargetPlace) {
        let queue = self.by_owner.entry(owner).or_default();
        if queue.is_empty() {
            self.turn.push_back(owner);
        }
        queue.push_back((ticket, place));
    }

    fn pop(&mut self) -> Option<(u64, TargetPlace)> {
        let owner = self.turn.pop_front()?;
        let queue = self.by_owner.get_mut(&owner)?;
        let first = queue.pop_front();
        if queue.is_empty() {
            self.by_owner.remove(&owner);
        } else {
            self.turn.push_back(owner);
        }
        first
    }
}

/// The queue between sensors and `open`.
pub struct Agenda {
    limit: usize,
    lanes: [Lane; 5],
    waiting: HashMap<TargetPlace, Waiting>,
    counts: [usize; 5],
    in_flight: HashMap<TargetPlace, InFlight>,
    aside: HashMap<TargetPlace, Aside>,
    put_off: HashMap<TargetPlace, Instant>,
    cooling: HashMap<TargetPlace, Instant>,
    cooled: BTreeMap<(Instant, u64), Parked>,
    tickets: u64,
    dropped: u64,
    rescan_owed: bool,
}

/// A place that waits for its cooling to end.
struct Parked {
    place: TargetPlace,
    ticket: u64,
}

impl Agenda {
    /// An empty agenda with room for [`WAITING`] places.
    #[must_use]
    pub fn new() -> Agenda {
        Agenda::with_room_for(WAITING)
    }

    /// An empty agenda with room for `limit` places.
    #[must_use]
    pub fn with_room_for(limit: usize) -> Agenda {
        Agenda {
            limit,
            lanes: Default::default(),
            waiting: HashMap::new(),
            counts: [0; 5],
            in_flight: HashMap::new(),
            aside: HashMap::new(),
            put_off: HashMap::new(),
            cooling: HashMap::new(),
            cooled: BTreeMap::new(),
            tickets: 0,
            dropped: 0,
            rescan_owed: false,
        }
    }

    /// Takes a target in.
    pub fn offer(&mut self, target: Target, owner: Owner, now: Instant) -> Offered {
        if let Some(flight) = self.in_flight.get_mut(&target.what) {
            flight.again = Some(
                flight
                    .again
                    .map_or(target.urgency, |u| u.min(target.urgency)),
            );
            return Offered::Again;
        }
        if self
            .aside
            .get(&target.what)
            .is_some_and(|aside| aside.until > now)
        {
            return Offered::SetAside;
        }
        if let Some(waiting) = self.waiting.get(&target.what).copied() {
            if waiting.urgency > target.urgency {
                self.forget(&target.what);
                self.queue(target, waiting.owner, now);
            }
            return Offered::Coalesced;
        }
        if self.waiting.len() >= self.limit && !self.make_room(target.urgency) {
            self.dropped += 1;
            self.rescan_owed = true;
            return Offered::Dropped;
        }
        self.queue(target, owner, now);
        Offered::Queued
    }

    /// The next place to open; it is in flight until [`done`](Agenda::done) or
    /// [`set_aside`](Agenda::set_aside).
    pub fn next(&mut self, now: Instant) -> Option<Target> {
        self.next_within(Urgency::FirstScan, now)
    }

    /// As [`next`](Agenda::next), but only what is at least as urgent as `least`.
    pub fn next_within(&mut self, least: Urgency, now: Instant) -> Option<Target> {
        self.warm_up(now);
        for urgency in URGENCIES
            .into_iter()
            .take_while(|urgency| *urgency <= least)
        {
            while let Some((ticket, place)) = self.lanes[lane(urgency)].pop() {
                let Some(waiting) = self.waiting.get(&place).copied() else {
                    continue;
                };
                if waiting.ticket != ticket {
                    continue; // it was moved to a more urgent lane
                }
                self.forget(&place);
                let flight = InFlight {
                    owner: waiting.owner,
                    again: None,
                };
                self.in_flight.insert(place.clone(), flight);
                return Some(Target {
                    what: place,
                    urgency,
                });
            }
        }
        None
    }

    /// Ends a flight; `work` is what the place cost, in bytes. A target that arrived meanwhile is
    /// queued once.
    pub fn done(&mut self, place: &TargetPlace, work: u64, now: Instant) {
        let Some(flight) = self.in_flight.remove(place) else {
            return;
        };
        self.put_off.remove(place);
        if self
            .aside
            .get(place)
            .is_some_and(|aside| aside.until <= now)
        {
            self.aside.remove(place);
        }
        self.cool(place, work, now);
        if let Some(urgency) = flight.again {
            let target = Target {
                what: place.clone(),
                urgency,
            };
            if self.offer(target, flight.owner, now) == Offered::Dropped {
                self.rescan_owed = true;
            }
        }
    }

    /// Ends a flight and leaves the place alone for a while, twice as long each time.
    pub fn set_aside(&mut self, place: &TargetPlace, why: UnknownWhy, now: Instant) {
        self.in_flight.remove(place);
        let times = self.aside.get(place).map_or(0, |aside| aside.times);
        if times == 0 && self.aside.len() >= SET_ASIDE {
            let soonest = self.aside.iter().min_by_key(|(_, aside)| aside.until);
            if let Some(place) = soonest.map(|(place, _)| place.clone()) {
                self.aside.remove(&place);
                self.rescan_owed = true;
            }
        }
        let wait = FIRST_ASIDE
            .saturating_mul(1 << times.min(16))
            .min(LONGEST_ASIDE);
        let aside = Aside {
            why,
            until: now + wait,
            times: times + 1,
        };
        self.aside.insert(place.clone(), aside);
    }

    /// Keeps a place in mind that could not be opened for now. Meanwhile it is offered as any other.
    pub fn put_off(&mut self, place: &TargetPlace, now: Instant) {
        if self.put_off.len() < PUT_OFF || self.put_off.contains_key(place) {
            self.put_off.insert(place.clone(), now + PUT_OFF_FOR);
        }
    }

    /// Takes the places out that were put off until now: they are to be offered again.
    pub fn take_put_off(&mut self, now: Instant) -> Vec<TargetPlace> {
        let mut over = Vec::new();
        self.put_off.retain(|place, due| {
            let waits = *due > now;
            if !waits {
                over.push(place.clone());
            }
            waits
        });
        over
    }

    /// Places whose time aside is over: they are to be offered again.
    pub fn aside_over(&mut self, now: Instant) -> Vec<TargetPlace> {
        self.aside
            .iter()
            .filter(|(place, aside)| {
                aside.until <= now
                    && !self.waiting.contains_key(place)
                    && !self.in_flight.contains_key(place)
            })
            .map(|(place, _)| place.clone())
            .collect()
    }

    /// Why a place is set aside, if it is.
    #[must_use]
    pub fn aside(&self, place: &TargetPlace) -> Option<&Aside> {
        self.aside.get(place)
    }

    /// Whether a place is to be read: it waits, is being read, or was put off.
    #[must_use]
    pub fn is_waiting(&self, place: &TargetPlace) -> bool {
        self.waiting.contains_key(place)
            || self.in_flight.contains_key(place)
            || self.put_off.contains_key(place)
    }

    /// The places set aside, with the reason.
    pub fn asides(&self) -> impl Iterator<Item = (&TargetPlace, &Aside)> {
        self.aside.iter()
    }

    /// Whether some place is neither waiting nor being read and still has to be: it is set aside, or
    /// could not be opened for a while.
    #[must_use]
    pub fn keeps_back(&self) -> bool {
        !self.aside.is_empty() || !self.put_off.is_empty()
    }

    /// How many places wait with this urgency.
    #[must_use]
    pub fn waiting(&self, urgency: Urgency) -> usize {
        self.counts[lane(urgency)]
    }

    /// How many places wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether no place waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// How many places are being read.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// How many targets found no room since the start.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Whether a rescan is owed for what found no room; asking settles it.
    pub fn take_rescan_owed(&mut self) -> bool {
        std::mem::take(&mut self.rescan_owed)
    }

    /// When something that is left alone becomes due.
    #[must_use]
    pub fn next_due(&self) -> Option<Instant> {
        self.cooled.first_key_value().map(|((due, _), _)| *due)
    }

    fn queue(&mut self, target: Target, owner: Owner, now: Instant) {
        self.tickets += 1;
        let ticket = self.tickets;
        self.counts[lane(target.urgency)] += 1;
        let waiting = Waiting {
            urgency: target.urgency,
            owner,
            ticket,
        };
        self.waiting.insert(target.what.clone(), waiting);
        match self.cooling.get(&target.what).copied() {
            Some(due) if due > now => {
                self.cooled.insert(
                    (due, ticket),
                    Parked {
                        place: target.what,
                        ticket,
                    },
                );
            }
            _ => self.lanes[lane(target.urgency)].push(owner, ticket, target.what),
        }
    }

    fn forget(&mut self, place: &TargetPlace) {
        if let Some(waiting) = self.waiting.remove(place) {
            self.counts[lane(waiting.urgency)] -= 1;
        }
    }

    /// Drops the newest turn of the least urgent lane below `urgency`.
    fn make_room(&mut self, urgency: Urgency) -> bool {
        for lower in URGENCIES.into_iter().rev() {
            if lower <= urgency {
                return false;
            }
            while let Some((ticket, place)) = self.lanes[lane(lower)].pop() {
                if self
                    .waiting
                    .get(&place)
                    .is_some_and(|waiting| waiting.ticket == ticket)
                {
                    self.forget(&place);
                    self.dropped += 1;
                    self.rescan_owed = true;
                    return true;
                }
            }
        }
        false
    }

    fn cool(&mut self, place: &TargetPlace, work: u64, now: Instant) {
        if work <= FREE_BYTES {
            self.cooling.remove(place);
            return;
        }
        if self.cooling.len() >= COOLING {
            self.cooling.retain(|_, due| *due > now);
        }
        if self.cooling.len() < COOLING {
            let millis = work.saturating_mul(1000) / PLACE_BYTES_PER_SECOND;
            let wait = Duration::from_millis(millis).min(LONGEST_COOLING);
            self.cooling.insert(place.clone(), now + wait);
        }
    }

    fn warm_up(&mut self, now: Instant) {
        while let Some(entry) = self.cooled.first_entry() {
            if entry.key().0 > now {
                return;
            }
            let Parked { place, ticket } = entry.remove();
            let Some(waiting) = self.waiting.get(&place).copied() else {
                continue;
            };
            if waiting.ticket == ticket {
                self.lanes[lane(waiting.urgency)].push(waiting.owner, ticket, place);
            }
        }
    }
}

impl Default for Agenda {
    fn default() -> Agenda {
        Agenda::new()
    }
}

const URGENCIES: [Urgency; 5] = [
    Urgency::Live,
    Urgency::Revisit,
    Urgency::Hunt,
    Urgency::Rescan,
    Urgency::FirstScan,
];

fn lane(urgency: Urgency) -> usize {
    match urgency {
        Urgency::Live => 0,
        Urgency::Revisit => 1,
        Urgency::Hunt => 2,
        Urgency::Rescan => 3,
        Urgency::FirstScan => 4,
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use proptest::prelude::*;

    use super::*;

    fn file(name: &str) -> TargetPlace {
        TargetPlace::File(PathBuf::from(name))
    }

    fn target(name: &str, urgency: Urgency) -> Target {
        Target {
            what: file(name),
            urgency,
        }
    }

    /// Offers `offers` (name, urgency, owner) and says in which order they come out.
    fn check(offers: &[(&str, Urgency, u32)], expected: &[&str]) {
        let (mut agenda, now) = (Agenda::new(), Instant::now());
        for (name, urgency, owner) in offers {
            let _ = agenda.offer(target(name, *urgency), Owner(*owner), now);
        }
        let mut order = Vec::new();
        while let Some(next) = agenda.next(now) {
            agenda.done(&next.what, 0, now);
            order.push(next.what);
        }
        let expected: Vec<_> = expected.iter().map(|name| file(name)).collect();
        assert_eq!(order, expected);
    }

    use Urgency::{FirstScan, Hunt, Live, Rescan, Revisit};

    #[test]
    fn live_events_outrank_everything() {
        check(
            &[
                ("a", FirstScan, 0),
                ("b", Rescan, 0),
                ("c", Hunt, 0),
                ("d", Revisit, 0),
                ("e", Live, 0),
            ],
            &["e", "d", "c", "b", "a"],
        );
    }

    #[test]
    fn a_place_waits_once_and_the_more_urgent_reason_wins() {
        check(
            &[
                ("a", Rescan, 0),
                ("b", Rescan, 0),
                ("b", Live, 0),
                ("b", FirstScan, 0),
            ],
            &["b", "a"],
        );
    }

    #[test]
    fn one_users_storm_delays_only_that_user() {
        check(
            &[
                ("s1", Live, 7),
                ("s2", Live, 7),
                ("s3", Live, 7),
                ("quiet", Live, 8),
            ],
            &["s1", "quiet", "s2", "s3"],
        );
    }

    #[test]
    fn a_target_that_arrives_while_its_job_is_out_is_read_once_more() {
        let (mut agenda, now) = (Agenda::new(), Instant::now());
        let _ = agenda.offer(target("a", Live), Owner(0), now);
        let out = agenda.next(now).unwrap();
        assert_eq!(
            agenda.offer(target("a", Rescan), Owner(0), now),
            Offered::Again
        );
        assert_eq!(
            agenda.offer(target("a", Live), Owner(0), now),
            Offered::Again
        );
        assert_eq!(agenda.next(now), None);
        agenda.done(&out.what, 0, now);
        assert_eq!(agenda.next(now), Some(target("a", Live)));
        agenda.done(&out.what, 0, now);
        assert_eq!(agenda.next(now), None);
    }

    #[test]
    fn what_is_not_urgent_enough_stays() {
        let (mut agenda, now) = (Agenda::new(), Instant::now());
        let _ = agenda.offer(target("a", Rescan), Owner(0), now);
        assert_eq!(agenda.next_within(Hunt, now), None);
        let _ = agenda.offer(target("b", Revisit), Owner(0), now);
        assert_eq!(agenda.next_within(Hunt, now), Some(target("b", Revisit)));
        assert_eq!(agenda.next(now), Some(target("a", Rescan)));
    }

    #[test]
    fn a_costly_place_waits_in_proportion_to_its_bytes() {
        let (mut agenda, now) = (Agenda::new(), Instant::now());
        let _ = agenda.offer(target("log", Live), Owner(0), now);
        let out = agenda.next(now).unwrap();
        agenda.done(&out.what, 10 * PLACE_BYTES_PER_SECOND, now);
        let _ = agenda.offer(target("log", Live), Owner(0), now);
        assert_eq!(agenda.next(now), None);
        assert_eq!(agenda.next_due(), Some(now + Duration::from_secs(10)));
        assert_eq!(
            agenda.next(now + Duration::from_secs(10)),
            Some(target("log", Live))
        );
    }

    #[test]
    fn what_is_set_aside_is_named_and_comes_back_later_each_time() {
        let (mut agenda, mut now) = (Agenda::new(), Instant::now());
        let mut waits = Vec::new();
        for _ in 0..3 {
            assert_eq!(
                agenda.offer(target("bomb", Live), Owner(0), now),
                Offered::Queued
            );
            let out = agenda.next(now).unwrap();
            agenda.set_aside(&out.what, UnknownWhy::SetAside, now);
            assert_eq!(
                agenda.offer(target("bomb", Live), Owner(0), now),
                Offered::SetAside
            );
            assert!(agenda.aside_over(now).is_empty());
            let until = agenda.asides().next().unwrap().1.until;
            waits.push(until - now);
            now = until;
            assert_eq!(agenda.aside_over(now), [file("bomb")]);
        }
        assert_eq!(waits, [FIRST_ASIDE, FIRST_ASIDE * 2, FIRST_ASIDE * 4]);
        let _ = agenda.offer(target("bomb", Live), Owner(0), now);
        let out = agenda.next(now).unwrap();
        agenda.done(&out.what, 0, now);
        assert_eq!(agenda.asides().count(), 0);
    }

    #[test]
    fn what_could_not_be_opened_is_offered_again_and_meanwhile_as_any_other() {
        let (mut agenda, now) = (Agenda::new(), Instant::now());
        let due = now + PUT_OFF_FOR;
        agenda.put_off(&file("leased"), now);
        assert!(agenda.keeps_back() && agenda.take_put_off(now).is_empty());
        assert_eq!(agenda.take_put_off(due), [file("leased")]);
        assert!(agenda.take_put_off(due).is_empty(), "once");
        // Read meanwhile: there is nothing to come back for.
        agenda.put_off(&file("leased"), now);
        assert_eq!(
            agenda.offer(target("leased", Live), Owner(0), now),
            Offered::Queued
        );
        let out = agenda.next(now).unwrap();
        agenda.done(&out.what, 0, now);
        assert!(agenda.take_put_off(due).is_empty());
        for number in 0..=PUT_OFF {
            agenda.put_off(&file(&number.to_string()), now);
        }
        assert_eq!(agenda.take_put_off(due).len(), PUT_OFF);
    }

    #[test]
    fn a_full_agenda_gives_way_to_the_more_urgent_and_owes_a_rescan() {
        let (mut agenda, now) = (Agenda::with_room_for(2), Instant::now());
        let _ = agenda.offer(target("a", FirstScan), Owner(0), now);
        let _ = agenda.offer(target("b", Live), Owner(0), now);
        assert_eq!(
            agenda.offer(target("c", Live), Owner(0), now),
            Offered::Queued
        );
        assert!(agenda.take_rescan_owed());
        assert_eq!(
            agenda.offer(target("d", Live), Owner(0), now),
            Offered::Dropped
        );
        assert!(agenda.take_rescan_owed());
        assert!(!agenda.take_rescan_owed());
        assert_eq!(agenda.dropped(), 2);
    }

    fn urgency() -> impl Strategy<Value = Urgency> {
        prop::sample::select(URGENCIES.to_vec())
    }

    #[derive(Clone, Debug)]
    enum Step {
        Offer(u8, Urgency, u32),
        Next,
        Done(u8, u64),
        Aside(u8),
        Later(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (0..20_u8, urgency(), 0..3_u32).prop_map(|(n, u, o)| Step::Offer(n, u, o)),
            3 => Just(Step::Next),
            3 => (0..20_u8, 0..(1_u64 << 26)).prop_map(|(n, w)| Step::Done(n, w)),
            1 => (0..20_u8).prop_map(Step::Aside),
            1 => (0..600_u64).prop_map(Step::Later),
        ]
    }

    proptest! {
        /// Whatever happens: every place that was taken in comes out, once for each time it was
        /// asked for, never twice at once, never beyond the bound, and what does not fit is owed.
        #[test]
        fn nothing_is_lost_or_doubled(steps in prop::collection::vec(step(), 0..300)) {
            let (mut agenda, mut now) = (Agenda::with_room_for(8), Instant::now());
            let mut owed: std::collections::HashSet<TargetPlace> = Default::default();
            let mut out: std::collections::HashSet<TargetPlace> = Default::default();
            let mut rescans = 0_u64;
            for step in steps {
                match step {
                    Step::Offer(n, urgency, owner) => {
                        let place = file(&n.to_string());
                        let target = Target { what: place.clone(), urgency };
                        match agenda.offer(target, Owner(owner), now) {
                            Offered::Queued => prop_assert!(owed.insert(place)),
                            Offered::Coalesced => prop_assert!(owed.contains(&place)),
                            Offered::Again => { owed.insert(place); }
                            Offered::SetAside | Offered::Dropped => {}
                        }
                    }
                    Step::Next => if let Some(next) = agenda.next(now) {
                        prop_assert!(owed.remove(&next.what));
                        prop_assert!(out.insert(next.what));
                    },
                    Step::Done(n, work) => {
                        let place = file(&n.to_string());
                        if out.remove(&place) { agenda.done(&place, work, now); }
                    }
                    Step::Aside(n) => {
                        let place = file(&n.to_string());
                        if out.remove(&place) {
                            agenda.set_aside(&place, UnknownWhy::SetAside, now);
                            owed.remove(&place);
                        }
                    }
                    Step::Later(seconds) => now += Duration::from_secs(seconds),
                }
                prop_assert!(agenda.len() <= 8);
                prop_assert_eq!(agenda.in_flight(), out.len());
                let counted: usize = URGENCIES.iter().map(|u| agenda.waiting(*u)).sum();
                prop_assert_eq!(counted, agenda.len());
                if agenda.take_rescan_owed() {
                    rescans += 1;
                    // What gave way is covered by the rescan.
                    owed.retain(|place| agenda.waiting.contains_key(place) || agenda.in_flight.contains_key(place));
                }
            }
            prop_assert!(rescans <= agenda.dropped());
            for place in out.drain() { agenda.done(&place, 0, now); }
            now += Duration::from_secs(3600);
            while let Some(next) = agenda.next(now) {
                prop_assert!(owed.remove(&next.what));
                agenda.done(&next.what, 0, now);
            }
            prop_assert!(owed.is_empty() || agenda.take_rescan_owed(), "lost: {owed:?}");
        }
    }
}
