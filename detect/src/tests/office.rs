//! Office documents: each row and paragraph is read, at its place, whatever the size and the order.

use std::io::Read as _;

use super::unwrapping::{check, zip};
use super::{findings, outline, sample, scan_bytes};
use crate::content::{Format, Part, Position};
use crate::rule::RuleSet;
use crate::scan::{Detector, Limits, Scan, UnreadWhy};
use crate::unwrap::fuel::Fuel;
use crate::unwrap::{biff, office};

const TYPES: (&str, &[u8]) = ("[Content_Types].xml", b"<Types/>");

fn why(scan: &Scan) -> Vec<UnreadWhy> {
    scan.unread.iter().map(|unread| unread.why).collect()
}

#[test]
fn documents_are_read_as_a_person_reads_them() {
    let made = sample("tencent.access-key", 26);
    let (front, back) = made.secret.split_at(9);
    let document = format!(
        "<w:document><w:body><w:p><w:r><w:t>Handover &amp; notes</w:t></w:r></w:p>\
         <w:p><w:r><w:t xml:space=\"preserve\">TENCENTCLOUD_SECRET_ID = {}</w:t></w:r></w:p>\
         <w:p><w:r><w:t>TENCENTCLOUD_SECRET_KEY = </w:t></w:r><w:proofErr/><w:r><w:t>{front}</w:t></w:r><w:r><w:t>{back}</w:t></w:r></w:p>\
         </w:body></w:document>",
        made.id
    );
    let docx = zip(&[TYPES, ("word/document.xml", document.as_bytes())]);
    let scan = scan_bytes("handover.docx", Format::Guess, &docx);
    check(&scan, &made.secret, 3, &["word/document.xml"], &[]);

    let table = format!(
        "<w:tbl><w:tr><w:tc><w:p><w:r><w:t>SecretId</w:t></w:r></w:p></w:tc><w:tc><w:p><w:r><w:t>{}</w:t></w:r></w:p></w:tc></w:tr>\
         <w:tr><w:tc><w:p><w:r><w:t>SecretKey</w:t></w:r></w:p></w:tc><w:tc><w:p><w:r><w:t>{}</w:t></w:r></w:p></w:tc></w:tr></w:tbl>",
        made.id, made.secret
    );
    let docx = zip(&[TYPES, ("word/document.xml", table.as_bytes())]);
    let scan = scan_bytes("handover.docx", Format::Guess, &docx);
    check(&scan, &made.secret, 2, &["word/document.xml"], &[]);

    let (one, two) = (sample("aws.access-key", 27), sample("aws.access-key", 28));
    let strings = format!(
        "<sst><si><t>Name</t></si><si><t>Access key ID</t></si><si><t>Secret access key</t></si>\
         <si><t>ops</t></si><si><t>{}</t></si><si><r><t>{}</t></r><r><t>{}</t></r></si><si><t>{}</t></si><si><t>{}</t></si></sst>",
        one.id,
        &one.secret[..7],
        &one.secret[7..],
        two.id,
        two.secret
    );
    let cell = |at: &str, value: u32| format!("<c r=\"{at}\" t=\"s\"><v>{value}</v></c>");
    let sheet = format!(
        "<sheetData><row r=\"1\">{}{}{}</row><row r=\"2\">{}{}{}</row><row r=\"9\">{}{}</row></sheetData>",
        cell("A1", 0),
        cell("B1", 1),
        cell("C1", 2),
        cell("A2", 3),
        cell("B2", 4),
        cell("C2", 5),
        cell("B9", 6),
        cell("C9", 7),
    );
    let xlsx = zip(&[
        TYPES,
        ("xl/worksheets/sheet1.xml", sheet.as_bytes()),
        ("xl/sharedStrings.xml", strings.as_bytes()),
    ]);
    let scan = scan_bytes("keys.xlsx", Format::Guess, &xlsx);
    let found = findings(&scan);
    assert_eq!(found.len(), 2, "{:#?}", outline(&scan));
    for (found, (made, row)) in found.iter().zip([(&one, 2), (&two, 9)]) {
        assert!(
            found
                .secret
                .as_ref()
                .is_some_and(|told| told.expose() == made.secret.as_bytes())
        );
        assert_eq!(found.spot.line, row);
        assert_eq!(found.spot.inside, [b"xl/worksheets/sheet1.xml".to_vec()]);
        assert_eq!(found.spot.field.as_deref(), Some(&b"Secret access key"[..]));
    }
}

/// A workbook of one sheet whose cells hold their own texts, row after row from the first.
fn workbook(rows: &[&[&str]]) -> Vec<u8> {
    let mut sheet = String::from("<worksheet><sheetData>");
    for (number, row) in (1..).zip(rows) {
        sheet += &format!("<row r=\"{number}\">");
        for (column, text) in ('A'..).zip(*row) {
            sheet +=
                &format!("<c r=\"{column}{number}\" t=\"inlineStr\"><is><t>{text}</t></is></c>");
        }
        sheet += "</row>";
    }
    sheet += "</sheetData></worksheet>";
    zip(&[
        ("[Content_Types].xml", b"<Types/>"),
        ("xl/worksheets/sheet1.xml", sheet.as_bytes()),
    ])
}

#[test]
fn a_sheets_first_row_is_read_whatever_stands_below_it() {
    let made = sample("github.token", 31);
    let below: [&[&str]; 3] = [&[], &["done"], &["done", "by", "ops"]];
    for rows in 0..=below.len() {
        let first: &[&str] = &["ci", &made.secret];
        let all = [&[first], &below[..rows]].concat();
        let scan = scan_bytes("keys.xlsx", Format::Guess, &workbook(&all));
        let found = findings(&scan);
        assert_eq!(found.len(), 1, "{rows} below: {:#?}", outline(&scan));
        assert_eq!(found[0].spot.line, 1);
        assert_eq!(found[0].spot.inside, [b"xl/worksheets/sheet1.xml".to_vec()]);
    }
    // One whose end is missing.
    let cut = format!(
        "<sheetData><row r=\"1\"><c r=\"A1\"><v>1</v></c></row><row r=\"2\"><c r=\"A2\" t=\"str\"><v>{}</v></c>",
        made.secret
    );
    let cut = zip(&[TYPES, ("xl/worksheets/sheet1.xml", cut.as_bytes())]);
    let scan = scan_bytes("keys.xlsx", Format::Guess, &cut);
    assert_eq!(findings(&scan).len(), 1);
    assert_eq!(findings(&scan)[0].spot.line, 2);
}

#[test]
fn a_sheet_that_names_its_rows_is_paired() {
    let made = sample("tencent.access-key", 32);
    let sheet = workbook(&[&["SecretId", &made.id], &["SecretKey", &made.secret]]);
    let scan = scan_bytes("keys.xlsx", Format::Guess, &sheet);
    check(&scan, &made.secret, 2, &["xl/worksheets/sheet1.xml"], &[]);
}

#[test]
fn a_title_above_the_names_is_not_a_name() {
    let (one, two) = (sample("aws.access-key", 33), sample("aws.access-key", 34));
    let sheet = workbook(&[
        &["Production"],
        &["Name", "Access key ID", "Secret access key"],
        &["a", &one.id, &one.secret],
        &["b", &two.id, &two.secret],
    ]);
    let scan = scan_bytes("keys.xlsx", Format::Guess, &sheet);
    let found = findings(&scan);
    assert_eq!(found.len(), 2, "{:#?}", outline(&scan));
    for (found, line) in found.iter().zip([3, 4]) {
        assert_eq!(found.spot.line, line);
        assert_eq!(found.spot.field.as_deref(), Some(&b"Secret access key"[..]));
    }
}

#[test]
fn cells_are_read_in_any_order() {
    let made = sample("tencent.access-key", 35);
    let cell = |at: &str, text: &str| format!("<c r=\"{at}\" t=\"str\"><v>{text}</v></c>");
    let sheet = format!(
        "<sheetData><row r=\"1\">{}{}{}</row><row r=\"2\">{}{}{}</row></sheetData>",
        cell("A1", "Owner"),
        cell("C1", "SecretKey"),
        cell("B1", "SecretId"),
        cell("C2", &made.secret),
        cell("A2", "ops"),
        cell("B2", &made.id),
    );
    let sheet = zip(&[TYPES, ("xl/worksheets/sheet1.xml", sheet.as_bytes())]);
    let scan = scan_bytes("keys.xlsx", Format::Guess, &sheet);
    check(&scan, &made.secret, 2, &["xl/worksheets/sheet1.xml"], &[]);
    assert_eq!(
        findings(&scan)[0].spot.field.as_deref(),
        Some(&b"SecretKey"[..])
    );
}

#[test]
fn a_part_of_any_size_is_read_to_its_end() {
    let made = sample("tencent.access-key", 36);
    let paragraph = |text: &str| format!("<w:p><w:r><w:t>{text}</w:t></w:r></w:p>");
    let document = format!(
        "<w:document>{}{}{}</w:document>",
        paragraph(&"nothing here ".repeat(50)).repeat(26_000),
        paragraph(&format!("TENCENTCLOUD_SECRET_ID={}", made.id)),
        paragraph(&format!("TENCENTCLOUD_SECRET_KEY={}", made.secret)),
    );
    assert!(document.len() > 16 << 20);
    let docx = zip(&[TYPES, ("word/document.xml", document.as_bytes())]);
    let scan = scan_bytes("a.docx", Format::Guess, &docx);
    assert!(scan.unread.is_empty(), "{:?}", scan.unread);
    check(&scan, &made.secret, 26_002, &["word/document.xml"], &[]);
}

#[test]
fn markup_is_the_same_wherever_a_read_ends() {
    struct Slowly<'a>(&'a [u8], usize);
    impl std::io::Read for Slowly<'_> {
        fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
            let count = self.1.min(into.len()).min(self.0.len());
            into[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }
    let markup = "<a><w:p a=\"1\">x &amp; y&#45;z &lost; &#x4f60;</w:p><t><![CDATA[raw]]></t></a";
    let expected = "x & y-z &lost; 你\nraw</a";
    let wide: Vec<u8> = [0xfeff]
        .into_iter()
        .chain(markup.encode_utf16())
        .flat_map(u16::to_le_bytes)
        .collect();
    for step in 1..markup.len() {
        for bytes in [markup.as_bytes(), &wide] {
            let mut text = String::new();
            let mut input = Slowly(bytes, step);
            office::lines(Fuel::new(u64::MAX).meter(&mut input))
                .unwrap()
                .read_to_string(&mut text)
                .unwrap();
            assert_eq!(text, expected, "{step} bytes at once");
        }
    }
    // What is looked at together ends inside each piece in turn.
    for pad in (0..markup.len()).map(|n| (64 << 10) - n) {
        let mut text = String::new();
        let padded = [&" ".repeat(pad), markup].concat();
        office::lines(Fuel::new(u64::MAX).meter(&mut padded.as_bytes()))
            .unwrap()
            .read_to_string(&mut text)
            .unwrap();
        assert_eq!(text.trim_start(), expected);
    }
}

/// A workbook whose one sheet shows the strings of `cells`.
fn shared(strings: &str, cells: &[usize], types: bool) -> Vec<u8> {
    let cells: String = cells
        .iter()
        .map(|cell| format!("<row><c t=\"s\"><v>{cell}</v></c></row>"))
        .collect();
    let sheet = format!("<sheetData>{cells}</sheetData>");
    let members = [
        TYPES,
        ("xl/worksheets/sheet1.xml", sheet.as_bytes()),
        ("xl/sharedStrings.xml", strings.as_bytes()),
    ];
    zip(&members[usize::from(!types)..])
}

#[test]
fn every_shared_string_is_read_or_said_to_be_left_out() {
    let made = sample("github.token", 37);
    let string = |text: &str| format!("<si><t>{text}</t></si>");
    let two = [string("a"), string(&made.secret)].concat();
    for (book, member) in [
        (shared(&two, &[0, 1], true), "xl/worksheets/sheet1.xml"),
        // What no cell shows, what is in no workbook, and what a sheet shows by a wrong number.
        (shared(&two, &[0], true), "xl/sharedStrings.xml"),
        (shared(&two, &[0, 1], false), "xl/sharedStrings.xml"),
        (shared(&two, &[0, 7], true), "xl/sharedStrings.xml"),
    ] {
        let scan = scan_bytes("a.xlsx", Format::Guess, &book);
        let found = findings(&scan);
        assert_eq!(found.len(), 1, "{:#?}", outline(&scan));
        assert_eq!(found[0].spot.inside, [member.as_bytes().to_vec()]);
        assert!(scan.unread.is_empty(), "{:?}", scan.unread);
    }
    let many = "<si/>".repeat(office::MOST_SHARED) + &string(&made.secret);
    let long = string(&format!("{} {}", "x ".repeat(100 << 10), made.secret));
    let whole = "x ".repeat(60 << 10);
    let large = string(&whole).repeat(office::LARGEST_SHARED / whole.len() + 1) + &two;
    for (strings, shown) in [(many, office::MOST_SHARED), (long, 0), (large, 138)] {
        let scan = scan_bytes("a.xlsx", Format::Guess, &shared(&strings, &[shown], true));
        let found = findings(&scan);
        assert_eq!(found.len(), 1, "{:#?}", outline(&scan));
        assert_eq!(found[0].spot.inside, [b"xl/sharedStrings.xml".to_vec()]);
        assert_eq!(why(&scan), [UnreadWhy::Limit]);
    }
}

#[test]
fn a_damaged_table_of_strings_is_named() {
    let strings: String = (0..9_000)
        .map(|n| format!("<si><t>{}</t></si>", n * n))
        .collect();
    let mut book = shared(&strings, &[1, 2], true);
    let name = memchr::memmem::rfind(&book[..book.len() - 400], b"xl/sharedStrings.xml").unwrap();
    book[name + 4000] ^= 0xff;
    let scan = scan_bytes("a.xlsx", Format::Guess, &book);
    assert!(
        why(&scan).contains(&UnreadWhy::Damaged),
        "{:?}",
        scan.unread
    );
}

#[test]
fn what_a_workbook_is_made_to_grow_to_is_bounded() {
    let limits = Limits {
        unwrapped: 4 << 20,
        ..Limits::default()
    };
    let long = format!("<si><t>{}</t></si>", "word ".repeat(20 << 10));
    let rows = "<row><c r=\"XFD1\" t=\"s\"><v>0</v></c></row>".repeat(3000);
    let named = format!(
        "<row><c t=\"str\"><v>{}</v></c><c t=\"str\"><v>b</v></c></row>{}",
        "a".repeat(120_000),
        "<row><c><v>1</v></c></row>".repeat(3000)
    );
    for (sheet, most) in [(rows, 16 << 20), (named, 4 << 20)] {
        let book = zip(&[
            TYPES,
            ("xl/worksheets/sheet1.xml", sheet.as_bytes()),
            ("xl/sharedStrings.xml", long.as_bytes()),
        ]);
        let part = Part {
            name: b"a.xlsx",
            format: Format::Guess,
            start: Position::default(),
            source: &book,
        };
        let scan = Detector::new(RuleSet::builtin(), limits).scan(&[part]);
        assert!(scan.work < most, "{} bytes of work", scan.work);
    }
}

#[test]
fn strings_of_a_workbook_in_records_are_lines() {
    let table = biff::tests::table(&["host", "B2 login:ops,PW:kfuTw27Zq!", "db.example.com"]);
    let xlsb = zip(&[
        TYPES,
        ("xl/worksheets/sheet1.bin", &[0x81, 0x01, 0]),
        ("xl/sharedStrings.bin", &table),
    ]);
    let scan = scan_bytes("hosts.xlsb", Format::Guess, &xlsb);
    let found = findings(&scan);
    assert_eq!(found.len(), 1, "{:#?}", outline(&scan));
    let told = found[0].secret.as_ref().unwrap();
    assert_eq!(told.expose(), b"kfuTw27Zq!");
    assert_eq!((found[0].spot.line, found[0].spot.inside.len()), (2, 1));
    assert_eq!(why(&scan), []);
    // Elsewhere the name means nothing.
    let other = zip(&[("xl/sharedStrings.bin", &table)]);
    let scan = scan_bytes("hosts.zip", Format::Guess, &other);
    assert!(scan.unread.is_empty(), "{:?}", why(&scan));
}
