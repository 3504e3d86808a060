//! Findings: the states that agents report, exactly once, and the list that people read.

use akwatch_proto::agent::{Report, RereadQuestion};
use akwatch_proto::people::{CredentialRef, FindingRef, FindingRow, Page};
use akwatch_proto::place::Place;
use akwatch_proto::time::Time;

use crate::filter::FindingFilter;
use crate::hosts::NotTaken;
use crate::{Answer, Scope};

/// What became of a report.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Applying {
    /// Committed and durable: it may be acknowledged.
    Applied(Applied),
    /// Not taken; nothing was changed.
    NotTaken(NotTaken),
}

/// A report that was committed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// The revision to acknowledge.
    pub upto: u64,
    /// Findings whose state changed, new ones included; older or equal revisions are not here.
    pub findings: Vec<FindingRef>,
    /// Their credentials.
    pub credentials: Vec<CredentialRef>,
    /// After the last part of a full list: places that it did not name, at most
    /// [`REREAD_PLACES`](akwatch_proto::limits::REREAD_PLACES).
    pub reread: Vec<Place>,
    /// The same places as questions, for an agent that can answer them.
    pub questions: Vec<RereadQuestion>,
}

/// Findings.
pub trait Findings {
    /// Stores the newer states of a report. Idempotent: a revision that is not newer than the stored
    /// one is ignored. The caller has refused reports above the wire's limits. The last part of a full list makes what it did not name *unknown*.
    fn apply(&self, report: Report, now: Time) -> Answer<'_, Applying>;

    /// One page of the list, causes joined, silent and retired hosts' findings shown as *unknown*.
    /// An export asks for page after page with [`Paging::count`](crate::filter::Paging::count) off.
    fn findings<'a>(
        &'a self,
        scope: &'a Scope,
        filter: &'a FindingFilter,
    ) -> Answer<'a, Page<FindingRow>>;

    /// Scores again what expired since it was scored; answers how many findings. Call it every
    /// minute.
    fn rescore_expired(&self, now: Time) -> Answer<'_, u64>;
}
