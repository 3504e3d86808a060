//! Captures of programs that started, until the detector has room for them.
//!
//! What is captured cannot be had again once its process has ended, so it waits here rather than on
//! the agenda. It is bounded in number and in bytes: environments are as large as strangers make
//! them, and memory of the agent's own above its limit would keep it from reading at all.

use std::collections::VecDeque;

use crate::job::{Content, Job, Pending};

/// Captures that wait at once.
const COUNT: usize = 256;

/// Their bytes.
const BYTES: usize = 16 * 1024 * 1024;

/// The captures that wait, oldest first.
#[derive(Default)]
pub(super) struct Captures {
    waiting: VecDeque<(Job, Pending)>,
    bytes: usize,
}

impl Captures {
    /// Whether there is room for `job`; a capture without room is taken again if its process lives.
    pub(super) fn has_room(&self, job: &Job) -> bool {
        self.waiting.len() < COUNT && self.bytes + bytes_captured(job) <= BYTES
    }

    pub(super) fn push(&mut self, job: Job, pending: Pending) {
        self.bytes += bytes_captured(&job);
        self.waiting.push_back((job, pending));
    }

    pub(super) fn pop(&mut self) -> Option<(Job, Pending)> {
        let (job, pending) = self.waiting.pop_front()?;
        self.bytes -= bytes_captured(&job);
        Some((job, pending))
    }
}

/// The captured bytes of a job.
pub(super) fn bytes_captured(job: &Job) -> usize {
    let captured = |content: &Content| match content {
        Content::File(_) => 0,
        Content::Captured(captured) => captured.0.len(),
    };
    job.contents.iter().map(captured).sum()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::job::{
        Captured, JobHeader, JobId, Names, PendingOrigin, PendingPlace, PendingReach, Target,
        TargetPlace, Urgency,
    };

    fn capture(bytes: usize) -> (Job, Pending) {
        let mut names = Names::default();
        let path = names.add(b"/x");
        let header = JobHeader {
            id: JobId(0),
            idle: false,
            companions: Vec::new(),
            parts: Vec::new(),
            names: names.into_raw(),
        };
        let contents = vec![Content::Captured(Captured(vec![0; bytes].into()))];
        let pending = Pending {
            target: Target {
                what: TargetPlace::File(PathBuf::from("/x")),
                urgency: Urgency::Live,
            },
            place: PendingPlace::File { path },
            before: None,
            fresh: false,
            reach: PendingReach::default(),
            origin: PendingOrigin::default(),
            delivered: false,
            expected: Vec::new(),
            writer: None,
        };
        (Job { header, contents }, pending)
    }

    /// How many captures of `bytes` each find room.
    fn check(bytes: usize, expected: usize) {
        let mut captures = Captures::default();
        for count in 0..=expected {
            let (job, pending) = capture(bytes);
            assert_eq!(captures.has_room(&job), count < expected, "{count}");
            if count < expected {
                captures.push(job, pending);
            }
        }
        while captures.pop().is_some() {}
        assert!(captures.has_room(&capture(bytes).0), "its bytes came back");
    }

    #[test]
    fn number_and_bytes_are_bounded() {
        check(10, COUNT);
        check(512 * 1024, BYTES / (512 * 1024));
    }
}
