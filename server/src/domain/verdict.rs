//! The verdict of a credential: one table, for list, page, command line and alert alike.
//!
//! Only deciding places count: what a secret store delivered, vendors' samples and places closed with
//! their host never decide. A credential without any deciding place is closed: there is nothing to do.

use akwatch_proto::people::{Disposition, PresenceCounts, Verdict};

/// The verdict from presence and disposition.
#[must_use]
pub fn verdict(places: PresenceCounts, disposition: Disposition) -> Verdict {
    let rotated = disposition == Disposition::Rotated;
    match places {
        PresenceCounts { present: 1.., .. } if rotated => Verdict::RotatedStillPresent,
        PresenceCounts { present: 1.., .. } => Verdict::Exposed,
        PresenceCounts { unknown: 1.., .. } if rotated => Verdict::RotatedNotVerified,
        PresenceCounts { unknown: 1.., .. } => Verdict::NotVerified,
        PresenceCounts { gone: 1.., .. } if !rotated => Verdict::GoneNotRotated,
        PresenceCounts { .. } => Verdict::Closed,
    }
}

/// Whether a credential is still work: every verdict but closed, unless people took it out.
#[must_use]
pub fn open(verdict: Verdict, disposition: Disposition) -> bool {
    verdict != Verdict::Closed
        && !matches!(
            disposition,
            Disposition::FalsePositive | Disposition::Accepted
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(places: (u64, u64, u64), disposition: Disposition, expected: Verdict) {
        let (present, unknown, gone) = places;
        let places = PresenceCounts {
            present,
            gone,
            unknown,
        };
        assert_eq!(verdict(places, disposition), expected, "{places:?}");
    }

    #[test]
    fn the_table() {
        use Disposition::{Acknowledged, New, Rotated, Rotating};
        for disposition in [New, Acknowledged, Rotating] {
            check((1, 0, 0), disposition, Verdict::Exposed);
            check((1, 5, 9), disposition, Verdict::Exposed);
            check((0, 1, 9), disposition, Verdict::NotVerified);
            check((0, 0, 9), disposition, Verdict::GoneNotRotated);
        }
        check((1, 5, 9), Rotated, Verdict::RotatedStillPresent);
        check((0, 5, 9), Rotated, Verdict::RotatedNotVerified);
        check((0, 0, 9), Rotated, Verdict::Closed);
        check((0, 0, 0), New, Verdict::Closed);
    }

    #[test]
    fn people_may_take_a_credential_out_of_open() {
        assert!(open(Verdict::Exposed, Disposition::New));
        assert!(open(Verdict::GoneNotRotated, Disposition::Rotating));
        assert!(!open(Verdict::Exposed, Disposition::FalsePositive));
        assert!(!open(Verdict::Exposed, Disposition::Accepted));
        assert!(!open(Verdict::Closed, Disposition::New));
    }
}
