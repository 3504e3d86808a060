//! Tables, CSV and JSON: one output, three forms, none of which can be made to lie.

use std::io::Write as _;

use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

use crate::trouble::Trouble;
use crate::words::safe;

/// How an answer is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Output {
    /// For people.
    #[default]
    Table,
    /// As the collector answers it.
    Json,
    /// For spreadsheets.
    Csv,
}

/// Rows under headings, in any of the forms; JSON shows `whole` instead.
pub(crate) fn rows<T: Serialize>(
    output: Output,
    whole: &T,
    headings: &[&str],
    rows: &[Vec<String>],
) -> Result<(), Trouble> {
    match output {
        Output::Json => json(whole),
        Output::Csv => csv(headings, rows),
        Output::Table => text(&table(headings, rows)),
    }
}

/// Writes an answer as JSON.
pub(crate) fn json<T: Serialize>(whole: &T) -> Result<(), Trouble> {
    let mut text =
        serde_json::to_string_pretty(whole).map_err(|_| Trouble::Answer("this call".to_owned()))?;
    // Hostile characters stand inside strings only, where JSON has its own escape for them.
    if text.chars().any(hostile_in_json) {
        text = text
            .chars()
            .flat_map(|character| {
                let mut units = [0; 2];
                let escaped = hostile_in_json(character).then(|| {
                    let units = character.encode_utf16(&mut units);
                    units
                        .iter()
                        .map(|unit| format!("\\u{unit:04x}"))
                        .collect::<String>()
                });
                escaped
                    .unwrap_or_else(|| character.to_string())
                    .chars()
                    .collect::<Vec<_>>()
            })
            .collect();
    }
    text.push('\n');
    self::text(&text)
}

fn hostile_in_json(character: char) -> bool {
    character != '\n' && akwatch_proto::text::is_hostile(character)
}

/// A table without frames; the last column takes what room is left.
pub(crate) fn table(headings: &[&str], rows: &[Vec<String>]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(headings.iter().map(|heading| heading.to_uppercase()));
    for row in rows {
        table.add_row(row.iter().map(|cell| safe(cell)));
    }
    let mut text: String = table
        .lines()
        .map(|line| format!("{}\n", line.strip_prefix(' ').unwrap_or(&line).trim_end()))
        .collect();
    if rows.is_empty() {
        text.clear();
    }
    text
}

fn csv(headings: &[&str], rows: &[Vec<String>]) -> Result<(), Trouble> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let broken = |error: csv::Error| Trouble::Output(std::io::Error::other(error));
    writer.write_record(headings).map_err(broken)?;
    for row in rows {
        writer
            .write_record(row.iter().map(|cell| guarded(cell)))
            .map_err(broken)?;
    }
    let bytes = writer
        .into_inner()
        .map_err(|error| Trouble::Output(std::io::Error::other(error.to_string())))?;
    bytes_out(&bytes)
}

/// A cell that a spreadsheet would take for a formula gets an apostrophe in front.
fn guarded(cell: &str) -> String {
    let cell = safe(cell);
    if cell.starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠']) {
        return format!("'{cell}");
    }
    cell
}

/// Writes text to standard output.
pub(crate) fn text(text: &str) -> Result<(), Trouble> {
    bytes_out(text.as_bytes())
}

/// Writes bytes to standard output.
pub(crate) fn bytes_out(bytes: &[u8]) -> Result<(), Trouble> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(bytes)?;
    stdout.flush()?;
    Ok(())
}

/// Writes a remark beside the output, for people.
pub(crate) fn remark(text: &str) {
    let mut stderr = std::io::stderr().lock();
    let _ = writeln!(stderr, "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_shows_hostile_text_escaped() {
        let text = table(&["host"], &[vec!["web\u{1b}[2J\u{202e}".to_owned()]]);
        assert!(text.starts_with("HOST"), "{text:?}");
        assert!(text.contains("web\\u{1b}[2J\\u{202e}"), "{text:?}");
        assert!(table(&["host"], &[]).is_empty());
    }

    #[test]
    fn a_cell_is_never_a_formula() {
        assert_eq!(guarded("=1+1"), "'=1+1");
        assert_eq!(guarded("@x"), "'@x");
        assert_eq!(guarded("/etc"), "/etc");
        assert_eq!(guarded("\t=1"), "\\u{9}=1");
    }
}
