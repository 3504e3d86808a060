//! References: what people and addresses call a row, without saying which row it is.
//!
//! Rows are numbered in order, so a bare number would tell a caller who may see three hosts how many
//! credentials the whole fleet has, and when they came. A reference is the number under a
//! permutation of 64 bits that the pepper keys: the same row has the same reference for as long as
//! the database has its pepper, and who does not hold the pepper learns nothing from one. It grants
//! nothing: every read is bounded by the caller's scope all the same.

use akwatch_proto::people::{CredentialRef, FindingRef};

use crate::pepper::PepperKey;

/// Rounds of the permutation. Four of a good keyed function make a strong one (Luby and Rackoff).
const ROUNDS: [u8; 4] = [0, 1, 2, 3];

/// Makes references and reads them back.
pub(crate) struct References<'a>(pub(crate) &'a PepperKey);

impl References<'_> {
    pub(crate) fn finding(&self, id: i64) -> FindingRef {
        let text = format!("fd_{:016x}", self.permuted(b"finding", id));
        FindingRef::parse(&text).expect("invariant: hex digits are allowed")
    }

    pub(crate) fn credential(&self, id: i64) -> CredentialRef {
        let text = format!("cr_{:016x}", self.permuted(b"credential", id));
        CredentialRef::parse(&text).expect("invariant: hex digits are allowed")
    }

    /// The number behind a reference; none when it was not made here.
    pub(crate) fn credential_number(&self, reference: &CredentialRef) -> Option<i64> {
        let hex = reference.as_str().strip_prefix("cr_")?;
        if hex.len() != 16 || !hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return None;
        }
        let number = u64::from_str_radix(hex, 16).ok()?;
        let (mut left, mut right) = halves(number);
        for round in ROUNDS.iter().rev() {
            (left, right) = (right ^ self.0.round(b"credential", *round, left), left);
        }
        i64::try_from(whole(left, right)).ok().filter(|id| *id > 0)
    }

    fn permuted(&self, what: &[u8], id: i64) -> u64 {
        let (mut left, mut right) = halves(id.cast_unsigned());
        for round in ROUNDS {
            (left, right) = (right, left ^ self.0.round(what, round, right));
        }
        whole(left, right)
    }
}

fn halves(number: u64) -> (u32, u32) {
    let bytes = number.to_be_bytes();
    let half =
        |at: usize| u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    (half(0), half(4))
}

fn whole(left: u32, right: u32) -> u64 {
    u64::from(left) << 32 | u64::from(right)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_reads_back_and_others_do_not() {
        let (pepper, other) = (PepperKey::new([1; 32]), PepperKey::new([2; 32]));
        let references = References(&pepper);
        for id in [1, 2, 0x7f3a, i64::from(u32::MAX) + 1, i64::MAX] {
            let made = references.credential(id);
            assert_eq!(references.credential_number(&made), Some(id));
            assert_ne!(References(&other).credential(id), made);
            assert_ne!(made.as_str()[3..], references.finding(id).as_str()[3..]);
        }
        for bad in [
            "cr_",
            "cr_xyz",
            "fd_1",
            "cr_1",
            "cr_000000000000000G",
            "cr_nothing",
        ] {
            let bad = CredentialRef::parse(bad).unwrap();
            assert_eq!(references.credential_number(&bad), None);
        }
    }

    #[test]
    fn neighbours_look_like_strangers() {
        let pepper = PepperKey::new([1; 32]);
        let references = References(&pepper);
        let mut made: Vec<String> = (1..200)
            .map(|id| references.credential(id).as_str()[..7].to_owned())
            .collect();
        made.sort();
        made.dedup();
        assert!(made.len() > 190, "{} different beginnings", made.len());
    }
}
