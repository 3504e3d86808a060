//! What a reading saw, as rows: one for each value, bounded, and only of the place that was read.
//!
//! The detector's answers are hostile input even after the watcher has judged them, so what names
//! another place is left out here as well.

use std::collections::BTreeMap;

use akwatch_proto::limits;
use akwatch_proto::place::Place;

use crate::format::{Group, Record, Row, group_of_row, row_of};
use crate::reading::{Observed, ProcessInstance, Reading};

/// A reading's observations by row.
pub(crate) struct Distinct<'a> {
    /// One for each value: the surest and then the first of them.
    pub(crate) rows: BTreeMap<Row, &'a Observed>,
    /// How many named another place than the one that was read, and were left out.
    pub(crate) foreign: usize,
    /// Whether some were left out beyond [`limits::FINDINGS_PER_PLACE`].
    pub(crate) too_many: bool,
}

/// Sorts a reading's observations.
pub(crate) fn distinct(reading: &Reading, group: Group) -> Distinct<'_> {
    let mut seen = Distinct {
        rows: BTreeMap::new(),
        foreign: 0,
        too_many: false,
    };
    for observed in &reading.observed {
        let row = row_of(&observed.key);
        if group_of_row(&row) != group || observed.key.place == Place::Unknown {
            seen.foreign += 1;
            continue;
        }
        let better = match seen.rows.get(&row) {
            None => seen.rows.len() < limits::FINDINGS_PER_PLACE,
            Some(known) => {
                (observed.confidence, std::cmp::Reverse(observed.spot.line))
                    > (known.confidence, std::cmp::Reverse(known.spot.line))
            }
        };
        if better {
            seen.rows.insert(row, observed);
        } else if !seen.rows.contains_key(&row) {
            seen.too_many = true;
        }
    }
    seen
}

/// Takes over what the observation says; true when a person would see a difference.
/// The pid stays: a sweep names the process that holds it then. What is another with each start of the
/// same container or control group is taken over without a word, and told with the next change: a job
/// that runs every minute costs no report.
pub(crate) fn refresh(
    record: &mut Record,
    observed: &Observed,
    instance: Option<ProcessInstance>,
) -> bool {
    record.primary = instance;
    let finding = &mut record.finding;
    let mut before = finding.clone();
    finding.rule.clone_from(&observed.rule);
    finding.provider.clone_from(&observed.provider);
    finding.kind = observed.kind;
    finding.credential_id.clone_from(&observed.credential_id);
    finding.confidence = observed.confidence;
    finding.preview.clone_from(&observed.preview);
    finding.proof.clone_from(&observed.proof);
    finding.spot.clone_from(&observed.spot);
    finding.reach.clone_from(&observed.reach);
    finding.origin.clone_from(&observed.origin);
    finding.delivered = observed.delivered;
    finding.origin.pid = before.origin.pid;
    if matches!(finding.key.place, Place::Process { .. }) {
        let origin = &finding.origin;
        before.origin.cgroup.clone_from(&origin.cgroup);
        before.origin.container_id.clone_from(&origin.container_id);
        before.origin.pod.clone_from(&origin.pod);
    }
    *finding != before
}
