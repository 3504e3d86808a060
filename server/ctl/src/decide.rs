//! Deciding about a credential: what a responder does next, and why there is nothing to do.
//!
//! The decision names the version that was seen. Two responders at once are told apart by the
//! collector; the slower one's command changes nothing and says who was faster.

use akwatch_proto::people::{CredentialDetail, Decide as Body, Decision, Disposition};
use akwatch_proto::time::Time;
use jiff::{SignedDuration, Timestamp};

use crate::one::credential_ref;
use crate::rest::Rest;
use crate::show::{self, Output};
use crate::trouble::Trouble;
use crate::words::{self, safe};

/// A decision.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Decide {
    /// Its reference (`cr_…`) or its access key id.
    credential: String,
    /// What is decided.
    disposition: Word,
    /// Why; needed for false-positive and accepted. Never paste a secret here.
    #[arg(long)]
    note: Option<String>,
    /// How long a risk is accepted: `90d`, or until an instant like 2026-03-04T00:00:00Z.
    #[arg(long, value_parser = until)]
    until: Option<Time>,
    /// Decide only if this version stands, as `credential show --output json` names it; else the
    /// one that stands now.
    #[arg(long, value_name = "VERSION")]
    if_version: Option<u64>,
}

/// The dispositions as words of the command line: the interface's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Word {
    New,
    Acknowledged,
    Rotating,
    Rotated,
    FalsePositive,
    Accepted,
}

impl From<Word> for Disposition {
    fn from(word: Word) -> Disposition {
        match word {
            Word::New => Disposition::New,
            Word::Acknowledged => Disposition::Acknowledged,
            Word::Rotating => Disposition::Rotating,
            Word::Rotated => Disposition::Rotated,
            Word::FalsePositive => Disposition::FalsePositive,
            Word::Accepted => Disposition::Accepted,
        }
    }
}

/// Decides about a credential.
pub(crate) async fn decide(rest: &Rest, asked: &Decide, output: Output) -> Result<(), Trouble> {
    let reference = credential_ref(rest, &asked.credential).await?;
    let path = format!("credentials/{reference}");
    let seen: CredentialDetail = rest.get(&path, &[]).await?;
    let body = Body {
        disposition: asked.disposition.into(),
        version: asked.if_version.unwrap_or(seen.decision.version),
        until: asked.until,
        note: asked.note.clone(),
    };
    let body = serde_json::to_vec(&body)
        .map_err(|_| Trouble::Usage("the decision cannot be written".to_owned()))?;
    let stands: Decision = rest.put(&format!("{path}/disposition"), body).await?;
    if output != Output::Table {
        let row = vec![
            reference.to_string(),
            words::word(&stands.disposition),
            stands.version.to_string(),
        ];
        let headings = ["ref", "disposition", "version"];
        return show::rows(output, &stands, &headings, &[row]);
    }
    let mut out = format!(
        "{}: {} → {}",
        words::credential(&seen.credential),
        words::disposition(seen.decision.disposition),
        words::disposition(stands.disposition),
    );
    if let Some(until) = stands.until {
        out.push_str(&format!(", until {}", words::time(until)));
    }
    let present = seen.credential.places.present;
    if stands.disposition == Disposition::Rotated && present > 0 {
        out.push_str(&format!(
            ". It still lies in {}: see `akwatch credential show {reference}`",
            words::count(present, "place")
        ));
    }
    if let Some(note) = &stands.note {
        out.push_str(&format!(" ({})", safe(note)));
    }
    out.push('\n');
    show::text(&out)
}

/// Reads `90d`, `12h`, or an instant.
fn until(text: &str) -> Result<Time, String> {
    let form = || "is neither like 90d or 12h nor an instant like 2026-03-04T00:00:00Z".to_owned();
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Ok(Time(instant.as_millisecond()));
    }
    let (number, hours) = match (text.strip_suffix('d'), text.strip_suffix('h')) {
        (Some(days), _) => (days, 24),
        (_, Some(hours)) => (hours, 1),
        _ => return Err(form()),
    };
    let hours = number
        .parse::<i64>()
        .ok()
        .filter(|number| (1..=100_000).contains(number))
        .map(|number| number * hours)
        .ok_or_else(form)?;
    Timestamp::now()
        .checked_add(SignedDuration::from_hours(hours))
        .map(|instant| Time(instant.as_millisecond()))
        .map_err(|_| form())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_a_length_or_an_instant() {
        assert_eq!(until("1970-01-01T00:00:01Z"), Ok(Time(1000)));
        let day = until("1d").unwrap();
        assert!(day.0 - Timestamp::now().as_millisecond() > 86_000_000);
        for bad in ["", "d", "0d", "-1d", "7", "7y", "99999999999d"] {
            assert!(until(bad).is_err(), "{bad}");
        }
    }
}
