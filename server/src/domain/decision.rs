//! What a decision about a credential needs before it counts, and what two who decide at once are
//! told.

use akwatch_proto::agent::RefusalCode;
use akwatch_proto::limits;
use akwatch_proto::people::{Decide, Decision, Disposition};
use akwatch_proto::text;
use akwatch_proto::time::Time;

use crate::domain::refusal::Refusal;

/// A decision that may be stored: its note is trimmed, and it has what its disposition needs.
///
/// # Errors
/// Saying what is missing, and what to do about it.
pub(super) fn checked(mut decide: Decide, now: Time) -> Result<Decide, Refusal> {
    let malformed =
        |why: String, hint: &str| Err(Refusal::new(RefusalCode::Malformed, why).hint(hint));
    decide.note = decide
        .note
        .map(|note| note.trim().to_owned())
        .filter(|note| !note.is_empty());
    if let Some(note) = &decide.note {
        let hostile = |c: char| c != '\n' && text::is_hostile(c);
        if note.len() > limits::NOTE || note.chars().any(hostile) {
            let why = format!(
                "The note must have at most {} bytes of printable text.",
                limits::NOTE
            );
            return malformed(why, "Shorten it, or take out what cannot be printed.");
        }
    }
    let (reason, end) = match decide.disposition {
        Disposition::FalsePositive => (true, false),
        Disposition::Accepted => (true, true),
        _ => (false, false),
    };
    if reason && decide.note.is_none() {
        return malformed(
            "Say why: this takes the credential out of the open ones.".to_owned(),
            "Send the reason as `note`; the log keeps it.",
        );
    }
    match decide.until {
        None if end => malformed(
            "Say until when the risk is accepted.".to_owned(),
            "Send `until`: a time within a year from now.",
        ),
        Some(_) if !end => malformed(
            "Only an accepted risk has an end.".to_owned(),
            "Leave `until` out, or accept the risk instead.",
        ),
        Some(until) if until <= now || until.since(now) > limits::ACCEPTED_MS => malformed(
            "A risk is accepted until a time within a year from now.".to_owned(),
            "Choose a nearer time; when it is over, the credential is open again and can be \
             accepted anew.",
        ),
        _ => Ok(decide),
    }
}

/// Somebody else was faster: who, and what they decided.
pub(super) fn conflict(stands: &Decision) -> Refusal {
    let word = match stands.disposition {
        Disposition::New => "new",
        Disposition::Acknowledged => "acknowledged",
        Disposition::Rotating => "rotating",
        Disposition::Rotated => "rotated",
        Disposition::FalsePositive => "false positive",
        Disposition::Accepted => "accepted",
    };
    let by = stands.by.as_deref().unwrap_or("Somebody");
    Refusal::new(
        RefusalCode::Conflict,
        format!("{by} has decided since you looked: {word}. Nothing was changed."),
    )
    .hint("Look at the credential again, then decide.")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time(1_800_000_000_000);

    #[track_caller]
    fn check(disposition: Disposition, note: Option<&str>, until: Option<i64>, refused: &str) {
        let decide = Decide {
            disposition,
            version: 0,
            until: until.map(|after| NOW.plus(after)),
            note: note.map(str::to_owned),
        };
        match checked(decide, NOW) {
            Ok(_) => assert_eq!(refused, ""),
            Err(refusal) => {
                let told = refusal.to_string();
                assert!(!refused.is_empty() && told.contains(refused), "{told}");
                let hint = refusal.told().hint;
                assert!(hint.is_some(), "{told}: and what now?");
            }
        }
    }

    #[test]
    fn what_takes_a_credential_out_needs_a_reason_and_a_risk_an_end() {
        use Disposition::{Accepted, Acknowledged, FalsePositive, New, Rotated, Rotating};
        for plain in [New, Acknowledged, Rotating, Rotated] {
            check(plain, None, None, "");
            check(plain, Some("asked the team"), None, "");
            check(plain, None, Some(1), "Only an accepted risk");
        }
        check(FalsePositive, Some("a test's"), None, "");
        check(FalsePositive, None, None, "Say why");
        check(FalsePositive, Some(" \n "), None, "Say why");
        check(Accepted, Some("until the move"), Some(1), "");
        check(Accepted, Some("until the move"), None, "until when");
        check(Accepted, None, Some(1), "Say why");
        check(Accepted, Some("x"), Some(0), "within a year");
        check(
            Accepted,
            Some("x"),
            Some(limits::ACCEPTED_MS + 1),
            "within a year",
        );
    }

    #[test]
    fn a_note_is_bounded_and_moves_no_cursor() {
        use Disposition::New;
        check(New, Some("two\nlines"), None, "");
        check(New, Some("\u{1b}[2J"), None, "printable");
        check(New, Some(&"x".repeat(limits::NOTE + 1)), None, "at most");
    }
}
