//! Tables, CSV and JSON: one output, three forms, none of which can be made to lie.

use std::io::Write as _;

use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

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
        Output::Csv => csv(headings, &numbers(headings, rows)),
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

/// A table without frames. On a terminal its widest columns give way, cut in the middle, until a row
/// is a line; into a pipe everything goes whole, so that it greps well.
pub(crate) fn table(headings: &[&str], rows: &[Vec<String>]) -> String {
    let rows: Vec<Vec<String>> = rows
        .iter()
        .map(|row| row.iter().map(|cell| safe(cell)).collect())
        .collect();
    match terminal_size::terminal_size_of(std::io::stdout()) {
        Some((terminal_size::Width(width), _)) => {
            framed(headings, &fitted(headings, rows, usize::from(width)))
        }
        None => framed(headings, &rows),
    }
}

fn framed(headings: &[&str], rows: &[Vec<String>]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(headings.iter().map(|heading| heading.to_uppercase()));
    for row in rows {
        table.add_row(row);
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

/// A column that gives way keeps this much.
const NARROWEST: usize = 16;
/// Between two columns.
const GAP: usize = 2;

/// Cuts the widest columns until a row has at most `room` columns of a terminal.
fn fitted(headings: &[&str], mut rows: Vec<Vec<String>>, room: usize) -> Vec<Vec<String>> {
    let mut widths: Vec<usize> = headings.iter().map(|heading| heading.width()).collect();
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.width());
        }
    }
    loop {
        let whole: usize = widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1);
        let widest = widths.iter().enumerate().max_by_key(|(_, width)| **width);
        let Some((column, &width)) = widest else {
            return rows;
        };
        if whole <= room || width <= NARROWEST {
            return rows;
        }
        // Not below the next widest, which gives way beside it.
        let next = widths
            .iter()
            .filter(|other| **other < width)
            .max()
            .copied()
            .unwrap_or(0);
        let limit = (width - (whole - room).min(width)).max(next).max(NARROWEST);
        let limit = limit.min(width - 1);
        for row in &mut rows {
            if let Some(cell) = row.get_mut(column) {
                *cell = cut(cell, limit);
            }
        }
        widths[column] = limit;
    }
}

/// A text in at most `room` columns: its two ends say more than its middle.
fn cut(text: &str, room: usize) -> String {
    if text.width() <= room {
        return text.to_owned();
    }
    let (head, tail) = ((room - 1) / 3, room - 1 - (room - 1) / 3);
    let take = |characters: &mut dyn Iterator<Item = char>, room: usize| {
        let mut used = 0;
        characters
            .take_while(|character| {
                used += character.width().unwrap_or(0);
                used <= room
            })
            .collect::<String>()
    };
    let start = take(&mut text.chars(), head);
    let end: String = take(&mut text.chars().rev(), tail).chars().rev().collect();
    format!("{start}…{end}")
}

/// A spreadsheet sorts by numbers: of `94 critical` it gets 94.
fn numbers(headings: &[&str], rows: &[Vec<String>]) -> Vec<Vec<String>> {
    let score = headings.iter().position(|heading| *heading == "score");
    let mut rows = rows.to_vec();
    for cell in rows.iter_mut().filter_map(|row| row.get_mut(score?)) {
        if let Some((number, _band)) = cell.split_once(' ') {
            *cell = number.to_owned();
        }
    }
    rows
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
    fn the_widest_columns_give_way_until_a_row_is_a_line() {
        let row = |path: &str| vec!["90 critical".to_owned(), path.to_owned(), "vm".to_owned()];
        let long = format!("/opt/app/{}/conf/application.yml:18", "x".repeat(80));
        let headings = ["score", "location", "host"];
        let fits = |room: usize, path: &str| {
            let rows = fitted(&headings, vec![row(path)], room);
            let width: usize = rows[0].iter().map(|cell| cell.width()).sum();
            (width + 2 * GAP, rows[0][1].clone())
        };
        let (width, cell) = fits(60, &long);
        assert!(width <= 60, "{width}");
        assert!(
            cell.starts_with("/opt/app/") && cell.ends_with("application.yml:18"),
            "{cell}"
        );
        assert_eq!(fits(200, &long).1, long, "there is room");
        let (width, cell) = fits(60, &"名前の長いファイル".repeat(9));
        assert!(width <= 60 && cell.contains('…'), "{width} {cell}");
        // Nothing is cut below what can be read, however narrow the terminal.
        assert_eq!(fits(10, &long).1.width(), NARROWEST);
    }

    #[test]
    fn a_spreadsheet_gets_scores_as_numbers() {
        let rows = vec![vec!["94 critical".to_owned(), "94 critical".to_owned()]];
        assert_eq!(
            numbers(&["score", "host"], &rows),
            [["94".to_owned(), "94 critical".to_owned()]]
        );
    }

    #[test]
    fn a_cell_is_never_a_formula() {
        assert_eq!(guarded("=1+1"), "'=1+1");
        assert_eq!(guarded("@x"), "'@x");
        assert_eq!(guarded("/etc"), "/etc");
        assert_eq!(guarded("\t=1"), "\\u{9}=1");
    }
}
