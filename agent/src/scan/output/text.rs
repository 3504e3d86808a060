//! Findings for people: aligned, surest first, escaped, in colour only on a terminal.

use akwatch_proto::credential::{Confidence, Kind};
use akwatch_proto::finding::Proof;
use akwatch_proto::git::{Git, PushState};
use akwatch_proto::place::SafeText;
use akwatch_proto::text::escape;
use akwatch_proto::time::Time;
use jiff::Timestamp;

use super::{Line, word};

/// The lines as a table; nothing at all when there are none.
pub(super) fn table(mut lines: Vec<Line>, colour: bool, now: Time) -> String {
    lines.sort_by(|a, b| {
        let order = |line: &Line| {
            (
                line.kind == Kind::Reference,
                std::cmp::Reverse(line.confidence),
            )
        };
        order(a)
            .cmp(&order(b))
            .then_with(|| a.location.path.cmp(&b.location.path))
            .then_with(|| a.location.line.cmp(&b.location.line))
    });
    let rows: Vec<[String; 5]> = lines.iter().map(|line| row(line, now)).collect();
    let mut widths = [0; 4];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for (line, row) in lines.iter().zip(&rows) {
        if colour {
            text.push_str(paint(line));
        }
        for (cell, width) in row.iter().zip(widths) {
            text.push_str(cell);
            text.extend(std::iter::repeat_n(' ', width + 2 - cell.chars().count()));
        }
        if colour {
            text.push_str("\x1b[0m");
        }
        text.push_str(&row[4]);
        text.push('\n');
        for secret in line.secret.iter().chain(&line.secret_base64) {
            text.push_str("    ");
            text.push_str(&escape(secret.as_bytes()));
            text.push('\n');
        }
    }
    text
}

fn paint(line: &Line) -> &'static str {
    match (line.kind, line.confidence) {
        (Kind::Reference, _) => "\x1b[2m",
        (_, Confidence::Proven | Confidence::Paired) => "\x1b[31m",
        (_, Confidence::Strong) => "\x1b[33m",
        _ => "",
    }
}

fn row(line: &Line, now: Time) -> [String; 5] {
    let sureness = match line.kind {
        Kind::Reference => word(&line.kind),
        _ => word(&line.confidence),
    };
    let id = line.credential_id.as_ref().map_or("-", |id| id.as_str());
    [
        sureness,
        line.rule.to_string(),
        id.to_owned(),
        line.preview.clone().unwrap_or_else(|| "-".to_owned()),
        place(line) + &ends(&line.proof, now),
    ]
}

fn place(line: &Line) -> String {
    let location = &line.location;
    let mut text = location.path.to_string();
    for member in &location.inside {
        text.push_str(" › ");
        text.push_str(member.as_str());
    }
    if location.line > 0 {
        text.push(':');
        text.push_str(&location.line.to_string());
    }
    if let Some(field) = &location.field {
        text.push_str("  ");
        text.push_str(field.as_str());
    }
    if let Some(workload) = &location.workload {
        text.push_str("  in ");
        text.push_str(workload.as_str());
    }
    if let Some(at) = location.typed {
        text.push_str(&format!("  typed {}", instant(at)));
    }
    if let (Some(mode), Some(owner)) = (&line.reach.mode, &line.reach.owner) {
        text.push_str("  ");
        text.push_str(mode);
        text.push(' ');
        text.push_str(owner.as_str());
    }
    if let Some(git) = &line.git {
        text.push_str("  ");
        text.push_str(&pushed(git));
    }
    text
}

/// When a temporary credential ends, or that it has; nothing of one that says no end.
fn ends(proof: &[Proof], now: Time) -> String {
    let Some(at) = Proof::expiry(proof) else {
        return String::new();
    };
    let word = if at <= now { "EXPIRED" } else { "expires" };
    format!("  {word} {}", instant(at))
}

fn instant(at: Time) -> String {
    Timestamp::from_millisecond(at.0).map_or_else(
        |_| at.0.to_string(),
        |instant| instant.strftime("%Y-%m-%d %H:%M UTC").to_string(),
    )
}

/// What Git says, in words.
fn pushed(git: &Git) -> String {
    let mut text = match git.state {
        PushState::Pushed => "pushed to ".to_owned(),
        PushState::NotPushed => "not pushed".to_owned(),
        PushState::Unknown => "pushed or not: unknown".to_owned(),
    };
    let to: Vec<&str> = git.pushed_to().map(SafeText::as_str).collect();
    text.push_str(&to.join(", "));
    if let Some(why) = &git.why {
        text.push_str(&format!(" ({})", word(why)));
    }
    if let Some(commit) = &git.commit {
        let short: String = commit.as_str().chars().take(12).collect();
        text.push_str(&format!(", commit {short}"));
    }
    if let Some(path) = &git.path {
        text.push_str(&format!(" of {path}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_temporary_credential_says_when_it_ends_and_that_it_has() {
        let at = Time(1_800_000_000_000);
        let proof = [Proof::Expires { at }];
        assert_eq!(ends(&proof, at.plus(-1)), "  expires 2027-01-15 08:00 UTC");
        assert_eq!(ends(&proof, at), "  EXPIRED 2027-01-15 08:00 UTC");
        assert_eq!(ends(&[Proof::Encrypted], at), "");
        let odd = [Proof::Expires { at: Time(i64::MAX) }];
        assert_eq!(ends(&odd, at), format!("  expires {}", i64::MAX));
    }
}
