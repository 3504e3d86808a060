//! Findings as CSV, for spreadsheets that would run a cell beginning with `=`.

use akwatch_proto::git::Git;
use akwatch_proto::people::FindingRow;
use akwatch_proto::place::SafeText;
use jiff::Timestamp;

const COLUMNS: [&str; 29] = [
    "score",
    "presence",
    "provider",
    "kind",
    "credential_id",
    "credential",
    "finding",
    "host",
    "host_name",
    "type",
    "path",
    "inside",
    "line",
    "field",
    "user",
    "mode",
    "confidence",
    "rule",
    "first_seen",
    "last_verified",
    "pushed",
    "pushed_to",
    "commit",
    "authored",
    "typed",
    "written_by",
    "written_as",
    "container",
    "image",
];

/// The first line.
#[must_use]
pub fn head() -> String {
    format!("{}\r\n", COLUMNS.join(","))
}

/// One finding.
#[must_use]
pub fn row(row: &FindingRow) -> String {
    let text =
        |value: &Option<SafeText>| value.as_ref().map_or_else(String::new, ToString::to_string);
    let inside: Vec<&str> = row.location.inside.iter().map(SafeText::as_str).collect();
    let git = row.git.as_ref();
    let pushed_to: Vec<&str> = git
        .into_iter()
        .flat_map(Git::pushed_to)
        .map(SafeText::as_str)
        .collect();
    let commit = git.and_then(|git| git.commit.as_ref());
    let wrote = row.written_by.as_ref();
    let authored = git.and_then(|git| git.authored);
    let cells: [String; 29] = [
        row.score.to_string(),
        word(&row.state),
        row.provider.to_string(),
        word(&row.kind),
        row.credential_id.clone().unwrap_or_default(),
        row.credential.to_string(),
        row.reference.to_string(),
        row.host.to_string(),
        row.host_name.clone(),
        row.location.place_type.clone(),
        row.location.path.to_string(),
        inside.join(" ▸ "),
        row.location.line.to_string(),
        text(&row.location.field),
        text(&row.location.user),
        row.reach.mode.clone().unwrap_or_default(),
        word(&row.confidence),
        row.rule.to_string(),
        time(row.first_seen),
        time(row.last_verified),
        git.map_or_else(String::new, |git| word(&git.state)),
        pushed_to.join(" "),
        commit.map_or_else(String::new, ToString::to_string),
        authored.map_or_else(String::new, time),
        row.location.typed.map_or_else(String::new, time),
        wrote.map_or_else(String::new, |by| by.exe.to_string()),
        wrote.map_or_else(String::new, |by| by.user.to_string()),
        text(&row.origin.container),
        text(&row.origin.image),
    ];
    let cells: Vec<String> = cells.iter().map(|cell| guarded(cell)).collect();
    format!("{}\r\n", cells.join(","))
}

/// A word of the wire as it is written in JSON.
fn word<T: serde::Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}

fn time(time: akwatch_proto::time::Time) -> String {
    Timestamp::from_millisecond(time.0).map_or_else(|_| time.0.to_string(), |time| time.to_string())
}

/// Quotes a cell; one that a spreadsheet would take for a formula gets an apostrophe in front.
fn guarded(cell: &str) -> String {
    let escaped = akwatch_proto::text::escape(cell.as_bytes());
    let formula = escaped.starts_with(['=', '+', '-', '@', '\t', '\r', '＝', '＋', '－', '＠']);
    let guard = if formula { "'" } else { "" };
    if guard.is_empty() && !escaped.contains([',', '"', '\'', ' ', ';']) {
        return escaped;
    }
    format!("\"{guard}{}\"", escaped.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_never_a_formula_and_never_ends_its_line() {
        for (cell, written) in [
            ("/etc/a.env", "/etc/a.env"),
            ("=cmd|' /C calc'!A0", "\"'=cmd|' /C calc'!A0\""),
            ("-1", "\"'-1\""),
            ("＝1", "\"'＝1\""),
            ("a,b\"c", "\"a,b\"\"c\""),
            ("a\r\n=b", "a\\u{d}\\u{a}=b"),
        ] {
            assert_eq!(guarded(cell), written);
        }
    }
}
