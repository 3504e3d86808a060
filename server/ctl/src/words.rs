//! What people read for the words of the wire: the same as in the console.

use akwatch_proto::credential::{Confidence, Preview};
use akwatch_proto::finding::{GoneProof, Presence};
use akwatch_proto::git::{Git, PushState};
use akwatch_proto::people::{CredentialRow, Disposition, FindingRow, Verdict};
use akwatch_proto::place::{Location, SafeText, WrittenBy};
use akwatch_proto::text;
use akwatch_proto::time::Time;
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Text from a host or collector with everything visible that could move a cursor.
pub(crate) fn safe(text: &str) -> String {
    text::escape(text.as_bytes())
}

/// A word of the wire as it is written in JSON.
pub(crate) fn word<T: serde::Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => "unknown".to_owned(),
    }
}

/// A score with its band: `94 critical`.
pub(crate) fn score(score: u32) -> String {
    let band = match score {
        90.. => "critical",
        70.. => "high",
        40.. => "medium",
        1.. => "low",
        0 => "recorded",
    };
    format!("{score} {band}")
}

pub(crate) fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Exposed => "Exposed",
        Verdict::RotatedStillPresent => "Rotated, still present",
        Verdict::NotVerified => "Not verified",
        Verdict::RotatedNotVerified => "Rotated, not verified",
        Verdict::GoneNotRotated => "Gone, not rotated",
        Verdict::Closed => "Closed",
    }
}

/// `present`, `gone (re-read)`, `unknown (host silent)`.
pub(crate) fn presence(presence: &Presence) -> String {
    match presence {
        Presence::Present { .. } => "present".to_owned(),
        Presence::Gone { proof, .. } => {
            let proof = match proof {
                GoneProof::Reread => "re-read",
                GoneProof::Removed => "removed",
                GoneProof::Ended => "ended",
                _ => "in a way this version does not know",
            };
            format!("gone ({proof})")
        }
        Presence::Unknown { why, .. } => format!("unknown ({})", word(why).replace('-', " ")),
    }
}

/// `pushed to git.example.org/acme/app · commit 5d5d5d5d5d5d 2026-03-04`, `not pushed`,
/// `unknown whether pushed (shallow)`.
pub(crate) fn git(git: &Git) -> String {
    let mut text = match git.state {
        PushState::Pushed => {
            let to: Vec<String> = git.pushed_to().map(|one| safe(one.as_str())).collect();
            match to.as_slice() {
                [] => "pushed".to_owned(),
                to => format!("pushed to {}", to.join(", ")),
            }
        }
        PushState::NotPushed => "not pushed".to_owned(),
        PushState::Unknown => {
            let why = git.why.as_ref().map_or_else(String::new, word);
            format!("unknown whether pushed ({})", why.replace('-', " "))
        }
    };
    if let Some(commit) = &git.commit {
        let short: String = commit.as_str().chars().take(12).collect();
        text.push_str(&format!(" · commit {short}"));
    }
    if let Some(authored) = git.authored {
        text.push_str(&format!(" {}", day(authored)));
    }
    if let Some(path) = &git.path {
        text.push_str(&format!(" of {}", safe(path.as_str())));
    }
    text
}

/// `/usr/bin/python3.11 /srv/deploy.py as root, login li, deploy.service`.
pub(crate) fn writer(by: &WrittenBy) -> String {
    let name = |name: &SafeText| safe(name.as_str());
    let mut text = name(&by.exe);
    if let Some(script) = &by.script {
        text.push_str(&format!(" {}", name(script)));
    }
    text.push_str(&format!(" as {}", name(&by.user)));
    if let Some(login) = &by.login {
        text.push_str(&format!(", login {}", name(login)));
    }
    for one in [&by.unit, &by.container].into_iter().flatten() {
        text.push_str(&format!(", {}", name(one)));
    }
    text
}

/// The day of an instant, here.
fn day(time: Time) -> String {
    Timestamp::from_millisecond(time.0).map_or_else(
        |_| time.0.to_string(),
        |instant| instant.to_zoned(TimeZone::system()).date().to_string(),
    )
}

pub(crate) fn confidence(confidence: Confidence) -> String {
    word(&confidence)
}

/// A number with its unit: `1 host`, `3 hosts`.
pub(crate) fn count(number: u64, unit: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {unit}{plural}")
}

/// `1 entry`, `3 entries`.
pub(crate) fn entries(number: u64) -> String {
    let plural = if number == 1 { "y" } else { "ies" };
    format!("{number} entr{plural}")
}

/// People's decision, as the console says it.
pub(crate) fn disposition(disposition: Disposition) -> &'static str {
    match disposition {
        Disposition::New => "new",
        Disposition::Acknowledged => "acknowledged",
        Disposition::Rotating => "rotating",
        Disposition::Rotated => "rotated",
        Disposition::FalsePositive => "false positive",
        Disposition::Accepted => "accepted",
    }
}

/// What a credential is called: its id, else its preview, else its reference.
pub(crate) fn credential(row: &CredentialRow) -> String {
    name(
        row.credential_id.as_deref(),
        row.preview.as_ref(),
        row.reference.as_str(),
    )
}

/// The same for a finding.
pub(crate) fn credential_of(row: &FindingRow) -> String {
    name(
        row.credential_id.as_deref(),
        row.preview.as_ref(),
        row.credential.as_str(),
    )
}

fn name(id: Option<&str>, preview: Option<&Preview>, reference: &str) -> String {
    match (id, preview) {
        (Some(id), _) => safe(id),
        (None, Some(preview)) => safe(&preview.to_string()),
        (None, None) => safe(reference),
    }
}

/// A place in one line: `/etc/a.env:3 · COS_SECRET_KEY`, `payments.service · env KEY · pid 7`.
pub(crate) fn location(location: &Location) -> String {
    let field = location.field.as_ref().map(|field| safe(field.as_str()));
    let path = safe(location.path.as_str());
    let mut out = if location.place_type == "process" {
        let workload = location
            .workload
            .as_ref()
            .map_or(path.clone(), |name| safe(name.as_str()));
        let capture = if path.ends_with("cmdline") {
            "args"
        } else {
            "env"
        };
        let mut out = format!("{workload} · {capture}");
        if let Some(field) = &field {
            out.push_str(&format!(" {field}"));
        }
        if let Some(pid) = location.pid {
            out.push_str(&format!(" · pid {pid}"));
        }
        return out;
    } else {
        path
    };
    for member in &location.inside {
        out.push_str(&format!(" ▸ {}", safe(member.as_str())));
    }
    if location.line > 0 {
        out.push_str(&format!(":{}", location.line));
    }
    if let Some(field) = field {
        out.push_str(&format!(" · {field}"));
    }
    out
}

/// Who can read a place: `everyone (0644)`, `group (0640)`, `app (0600)`.
pub(crate) fn readable_by(row: &FindingRow) -> String {
    let reach = &row.reach;
    let who = if reach.world_readable {
        "everyone".to_owned()
    } else if reach.group_readable {
        reach.group.as_ref().map_or("group".to_owned(), |group| {
            format!("group {}", safe(group.as_str()))
        })
    } else {
        reach
            .owner
            .as_ref()
            .map_or(String::new(), |owner| safe(owner.as_str()))
    };
    match &reach.mode {
        Some(mode) => format!("{who} ({})", safe(mode)),
        None => who,
    }
}

/// An instant in the local time zone, to the second.
pub(crate) fn time(time: Time) -> String {
    match Timestamp::from_millisecond(time.0) {
        Ok(instant) => instant
            .to_zoned(TimeZone::system())
            .strftime("%Y-%m-%d %H:%M:%S")
            .to_string(),
        Err(_) => time.0.to_string(),
    }
}

/// An instant, or a dash.
pub(crate) fn time_or_never(instant: Option<Time>) -> String {
    instant.map_or_else(|| "never".to_owned(), time)
}

/// When a temporary credential ends, or that it has; nothing of one that says no end.
pub(crate) fn expiry(at: Option<Time>, now: Timestamp) -> String {
    match at {
        Some(at) if at.0 <= now.as_millisecond() => format!("EXPIRED {}", time(at)),
        Some(at) => time(at),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expiry_that_has_passed_says_so() {
        let now = Timestamp::from_millisecond(1_800_000_000_000).unwrap();
        let told = |at| expiry(at, now);
        assert!(told(Some(Time(1_800_000_000_000))).starts_with("EXPIRED 2027-01-1"));
        assert!(told(Some(Time(1_800_000_000_001))).starts_with("2027-01-1"));
        assert_eq!(told(None), "");
    }

    #[test]
    fn what_git_says_is_said_in_a_line_and_unknown_never_reads_as_not_pushed() {
        let said = |json: &str| git(&serde_json::from_str(json).unwrap());
        let pushed = said(
            r#"{"repository":"/srv/app","state":"pushed","commit":"5d5d5d5d5d5d5d5d5d5d","path":"a/.env",
            "remotes":[{"name":"origin","address":"git.example.org/acme/app","reached":true},
            {"name":"backup","address":"backup.example.org/app","reached":false}]}"#,
        );
        assert_eq!(
            pushed,
            "pushed to git.example.org/acme/app · commit 5d5d5d5d5d5d of a/.env"
        );
        assert_eq!(
            said(r#"{"repository":"/r","state":"not-pushed"}"#),
            "not pushed"
        );
        let unknown = said(r#"{"repository":"/r","state":"unknown","why":"upstream-gone"}"#);
        assert_eq!(unknown, "unknown whether pushed (upstream gone)");
    }
    use akwatch_proto::place::{Origin, Place, Spot};

    #[test]
    fn a_location_is_one_line_with_its_line_and_field() {
        let place = Place::File {
            path: SafeText::from_program("/b/a.tar.gz"),
            inside: vec![SafeText::from_program("etc/app.yml")],
        };
        let spot = Spot {
            line: 18,
            end_line: 18,
            field: Some(SafeText::from_program("cos.secretKey")),
            encoding: Vec::new(),
            typed: None,
        };
        let shown = location(&Location::of(&place, &spot, &Origin::default()));
        assert_eq!(shown, "/b/a.tar.gz ▸ etc/app.yml:18 · cos.secretKey");
    }

    #[test]
    fn scores_have_the_bands_of_the_console() {
        let bands: Vec<String> = [0, 1, 40, 70, 90].map(score).into();
        assert_eq!(
            bands,
            ["0 recorded", "1 low", "40 medium", "70 high", "90 critical"]
        );
    }
}
