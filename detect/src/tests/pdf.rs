//! PDFs as their makers write them: by words, by glyphs, in columns, in forms; damaged and bounded.

use std::io::Write as _;

use super::unwrapping::{check, config, gzip};
use super::{findings, outline, sample, scan_bytes};
use crate::content::{Format, Part, Position};
use crate::rule::RuleSet;
use crate::scan::{Detector, Limits, Scan, UnreadWhy};

/// A file of objects, each under its own number from 1.
pub(super) fn pdf(objects: &[Vec<u8>]) -> Vec<u8> {
    let mut out = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n".to_vec();
    for (number, object) in (1..).zip(objects) {
        out.extend_from_slice(format!("{number} 0 obj\n").as_bytes());
        out.extend_from_slice(object);
        out.extend_from_slice(b"\nendobj\n");
    }
    out.extend_from_slice(b"trailer\n<</Root 1 0 R>>\nstartxref\n0\n%%EOF\n");
    out
}

pub(super) fn text(object: &str) -> Vec<u8> {
    object.as_bytes().to_vec()
}

pub(super) fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A stream whose data were packed by `filter` already.
pub(super) fn stream(dictionary: &str, filter: &str, data: &[u8]) -> Vec<u8> {
    let head = format!(
        "<<{dictionary}/Filter{filter}/Length {}>>stream\r\n",
        data.len()
    );
    [head.as_bytes(), data, b"\nendstream"].concat()
}

pub(super) fn flate(dictionary: &str, data: &[u8]) -> Vec<u8> {
    stream(dictionary, "/FlateDecode", &zlib(data))
}

/// A catalogue and pages, each of its contents, in the font of `font`, which is object 4; what follows
/// has the numbers after it.
fn pages(contents: &[&str], font: &str, more: &[Vec<u8>]) -> Vec<u8> {
    let first = 5 + more.len();
    let kids: String = (0..contents.len())
        .map(|page| format!("{} 0 R ", first + page * 2))
        .collect();
    let mut objects = vec![
        text("<</Type/Catalog/Pages 2 0 R>>"),
        text(&format!(
            "<</Type/Pages/Kids[{kids}]/Count {}/Resources 3 0 R>>",
            contents.len()
        )),
        text("<</Font<</F1 4 0 R>>>>"),
        text(font),
    ];
    objects.extend_from_slice(more);
    for (page, contents) in contents.iter().enumerate() {
        let at = first + page * 2 + 1;
        objects.push(text(&format!(
            "<</Type/Page/Parent 2 0 R/Contents {at} 0 R>>"
        )));
        objects.push(flate("", contents.as_bytes()));
    }
    pdf(&objects)
}

const LATIN: &str = "<</Type/Font/Subtype/Type1/BaseFont/Courier>>";

fn scan(bytes: &[u8]) -> Scan {
    scan_bytes("a.pdf", Format::Guess, bytes)
}

fn why(scan: &Scan) -> Vec<UnreadWhy> {
    scan.unread.iter().map(|unread| unread.why).collect()
}

#[test]
fn lines_of_a_page_are_read_however_they_are_put() {
    let made = sample("tencent.access-key", 70);
    let (front, back) = made.secret.split_at(9);
    let id = &made.id;
    for contents in [
        // A line each, by moving, by leading, by the operators that do both.
        format!(
            "BT /F1 12 Tf 72 700 Td (Keys) Tj 0 -14 Td (secretId: {id}) Tj 0 -14 Td (secretKey: ) Tj ({front}) Tj ({back}) Tj ET"
        ),
        format!(
            "BT/F1 12 Tf 14 TL 72 700 Td(Keys)Tj T*(secretId: {id})Tj T*[(secretKey: {front}) 5 ({back})]TJ ET"
        ),
        format!(
            "BT /F1 1 Tf 12 0 0 12 72 700 Tm 1.2 TL (Keys) Tj (secretId: {id}) ' 0 0 (secretKey: {front}\\\n{back}) \" ET"
        ),
        // A block for each line, in a space that is turned over.
        format!(
            "q 1 0 0 -1 0 800 cm BT /F1 12 Tf 1 0 0 -1 72 100 Tm (Keys) Tj ET BT 1 0 0 -1 72 114 Tm (secretId: {id}) Tj ET BT 1 0 0 -1 72 128 Tm (secretKey:) Tj 1 0 0 -1 144 128 Tm ({front}{back}) Tj ET Q"
        ),
        // Columns.
        format!(
            "BT /F1 10 Tf 1 0 0 1 72 700 Tm (Name) Tj 1 0 0 1 172 700 Tm (Value) Tj 1 0 0 1 72 680 Tm (SecretId) Tj 1 0 0 1 172 680 Tm ({id}) Tj 1 0 0 1 72 660 Tm (SecretKey) Tj 1 0 0 1 172 660 Tm ({front}{back}) Tj ET"
        ),
        // A picture among the operators.
        format!(
            "BI /W 2 /H 1 ID (((\x01)]> EI BT /F1 12 Tf 72 700 Td (x) Tj 0 -14 Td (secretId: {id}) Tj 0 -14 Td (secretKey: {front}{back}) Tj ET"
        ),
    ] {
        let scan = scan(&pages(&[&contents], LATIN, &[]));
        check(&scan, &made.secret, 3, &["page 1"], &[]);
        assert!(scan.unread.is_empty(), "{:?}", scan.unread);
    }
}

#[test]
fn fonts_tell_what_their_codes_stand_for() {
    let made = sample("tencent.access-key", 71);
    let lines = [
        format!("secretId: {}", made.id),
        format!("secretKey: {}", made.secret),
    ];
    // Glyph by glyph, each moved on by the width that the font says.
    let glyphs = |code: &dyn Fn(u8) -> String| {
        let mut out = String::from("BT /F1 10 Tf ");
        for (line, y) in lines.iter().zip([700, 688]) {
            for (at, byte) in line.bytes().enumerate() {
                let x = 72 + at * 6;
                out += &format!("1 0 0 1 {x} {y} Tm {} Tj ", code(byte));
            }
        }
        out + "ET"
    };
    let table = "/CIDInit /ProcSet findresource begin begincmap 1 begincodespacerange <0000> <FFFF> endcodespacerange\n\
        2 beginbfrange <0001> <0030> <0020> <0031> <0033> [<0050> <0051> <0052>] endbfrange\n\
        1 beginbfrange <0034> <005F> <0053> endbfrange endcmap";
    let wide =
        "<</Type/Font/Subtype/Type0/Encoding/Identity-H/DescendantFonts[5 0 R]/ToUnicode 6 0 R>>";
    let descendant = text("<</Type/Font/DW 500/W[0 200 600 201[300 400]]>>");
    let two_bytes = |byte: u8| format!("<{:04x}>", u32::from(byte) - 31);
    let more = [descendant.clone(), flate("", table.as_bytes())];
    let scanned = scan(&pages(&[&glyphs(&two_bytes)], wide, &more));
    check(&scanned, &made.secret, 2, &["page 1"], &[]);
    // Named glyphs, from codes of the font's own.
    let differences: String = (b'!'..=b'~')
        .map(|byte| match byte {
            b':' => "/colon".to_owned(),
            b'+' => "/plus".to_owned(),
            b'/' => "/slash".to_owned(),
            b'=' => "/equal".to_owned(),
            b'A'..=b'Z' | b'a'..=b'z' => format!("/{}", char::from(byte)),
            other => format!("/uni{:04X}", u32::from(other)),
        })
        .collect();
    let named = format!(
        "<</Type/Font/Subtype/Type3/FirstChar 1/Widths[{}]/Encoding<</Differences[32/space 129{differences}]>>>>",
        "600 ".repeat(255)
    );
    let one_byte = |byte: u8| match byte {
        b' ' => "( )".to_owned(),
        other => format!("<{:02x}>", other + 96),
    };
    let scanned = scan(&pages(&[&glyphs(&one_byte)], &named, &[]));
    check(&scanned, &made.secret, 2, &["page 1"], &[]);
    // A predefined table.
    let known = "<</Type/Font/Subtype/Type0/Encoding/UniGB-UCS2-H/DescendantFonts[5 0 R]>>";
    let utf16 = |byte: u8| format!("<{:04x}>", u32::from(byte));
    let scanned = scan(&pages(
        &[&glyphs(&utf16)],
        known,
        std::slice::from_ref(&descendant),
    ));
    check(&scanned, &made.secret, 2, &["page 1"], &[]);
    // A ligature stands for what was typed.
    let word: String = "password: Qy7!o"
        .encode_utf16()
        .map(|unit| format!("{unit:04x}"))
        .collect();
    let joined = format!("BT /F1 9 Tf <{word}fb03006300330021> Tj ET");
    let scanned = scan(&pages(&[&joined], known, std::slice::from_ref(&descendant)));
    let found = findings(&scanned);
    assert_eq!(found.len(), 1, "{:#?}", outline(&scanned));
    let told = found[0].secret.as_ref().map(|told| told.expose().to_vec());
    assert_eq!(told.as_deref(), Some(&b"Qy7!offic3!"[..]));
    // Nothing tells: said, not guessed.
    let silent = "<</Type/Font/Subtype/Type0/Encoding/Identity-H/DescendantFonts[5 0 R]>>";
    let scanned = scan(&pages(&[&glyphs(&two_bytes)], silent, &[descendant]));
    assert_eq!(why(&scanned), [UnreadWhy::Unsupported]);
    assert_eq!(scanned.unread[0].inside, [b"page 1".to_vec()]);
}

#[test]
fn what_no_page_shows_is_read_too() {
    let made = sample("tencent.access-key", 72);
    let (config, secret) = config(73);
    let page = "BT /F1 12 Tf 72 700 Td (nothing) Tj ET";
    let field = |name: &str, value: &str| text(&format!("<</FT/Tx/T({name})/V({value})>>"));
    let wide: String = format!("secretKey={}", made.secret)
        .encode_utf16()
        .map(|unit| format!("{unit:04x}"))
        .collect();
    let form = format!(
        "BT /F9 9 Tf (secretId: {}) Tj 0 -12 Td (secretKey: {}) Tj ET",
        made.id, made.secret
    );
    let embedded = flate("/Type/EmbeddedFile", &gzip(config.as_bytes()));
    let packed = format!(
        "7 0 8 30 <</FT/Tx/T(SecretId)/V({0})>>   <</T(SecretKey)/V({1})>>",
        made.id, made.secret
    );
    let second = packed.rfind("<<").unwrap() - packed.find("<<").unwrap();
    let packed = packed.replace("8 30", &format!("8 {second:02}"));
    let first = packed.find("<<").unwrap();
    for (more, inside, secret) in [
        (
            vec![
                field("SecretId", &made.id),
                field("SecretKey", &made.secret),
            ],
            &["(strings)"][..],
            &made.secret,
        ),
        (
            vec![text(&format!(
                "<</Contents(secretId={})/Next<</Contents<feff{wide}>>>>>",
                made.id
            ))],
            &["(strings)"],
            &made.secret,
        ),
        (vec![embedded], &["object 5"], &secret),
        (
            vec![flate("/Type/XObject/Subtype/Form", form.as_bytes())],
            &["object 5"],
            &made.secret,
        ),
        (
            vec![flate(
                &format!("/Type/ObjStm/N 2/First {first}"),
                packed.as_bytes(),
            )],
            &["(strings)"],
            &made.secret,
        ),
    ] {
        let scan = scan(&pages(&[page], LATIN, &more));
        let found = findings(&scan);
        assert_eq!(found.len(), 1, "{:#?} {:?}", outline(&scan), scan.unread);
        let told: Vec<_> = found[0].spot.inside.iter().map(Vec::as_slice).collect();
        let expected: Vec<_> = inside.iter().map(|name| name.as_bytes()).collect();
        assert_eq!(told, expected);
        let told = found[0].secret.as_ref().map(|told| told.expose().to_vec());
        assert_eq!(told.as_deref(), Some(secret.as_bytes()));
        assert!(found[0].id.is_some(), "{:#?}", outline(&scan));
    }
}

#[test]
fn filters_upon_filters_are_undone() {
    let made = sample("github.token", 74);
    let contents = format!("BT /F1 9 Tf ({}) Tj ET", made.secret);
    let packed = zlib(contents.as_bytes());
    let mut ascii = String::new();
    for group in packed.chunks(4) {
        let mut bytes = [0; 4];
        bytes[..group.len()].copy_from_slice(group);
        let mut number = u32::from_be_bytes(bytes);
        let mut digits = [0_u8; 5];
        for digit in digits.iter_mut().rev() {
            *digit = b'!' + u8::try_from(number % 85).unwrap();
            number /= 85;
        }
        ascii += std::str::from_utf8(&digits[..=group.len()]).unwrap();
        ascii.push('\n');
    }
    ascii += "~>";
    // Blanks may stand amid a group, and be more than are read at once.
    let split = ascii.len() / 2;
    let apart = [&ascii[..split], &"\n".repeat(100_000), &ascii[split..]].concat();
    let hex: String = contents.bytes().map(|b| format!("{b:02X}")).collect();
    for object in [
        stream("", "[/ASCII85Decode/FlateDecode]", ascii.as_bytes()),
        stream("", "[/ASCII85Decode/FlateDecode]", apart.as_bytes()),
        stream("", "/AHx", format!("{hex}>").as_bytes()),
        text(&format!("<<>>stream\n{contents}\nendstream")),
    ] {
        let scan = scan(&pdf(&[object]));
        let found = findings(&scan);
        assert_eq!(found.len(), 1, "{:#?} {:?}", outline(&scan), scan.unread);
        assert_eq!(found[0].spot.inside, [b"object 1".to_vec()]);
    }
    let scan = scan(&pdf(&[stream("", "/JBIG2Decode", b"x")]));
    assert_eq!(why(&scan), [UnreadWhy::Unsupported]);
}

#[test]
fn what_older_makers_packed_is_undone() {
    let made = sample("github.token", 76);
    let filler: String = (0..3000).map(|n| format!("% {n}\n")).collect();
    let contents = format!("{filler}BT /F1 9 Tf ({}) Tj ET", made.secret);
    let lzw = |early| {
        let mut encoder = match early {
            true => weezl::encode::Encoder::with_tiff_size_switch(weezl::BitOrder::Msb, 8),
            false => weezl::encode::Encoder::new(weezl::BitOrder::Msb, 8),
        };
        encoder.encode(contents.as_bytes()).unwrap()
    };
    let mut runs = Vec::new();
    let (before, shown) = contents.as_bytes().split_at(filler.len());
    for piece in before.chunks(100).chain([shown]) {
        runs.push(u8::try_from(piece.len() - 1).unwrap());
        runs.extend_from_slice(piece);
        // Twelve line ends.
        runs.extend([245, b'\n']);
    }
    runs.push(128);
    for object in [
        stream("", "/LZWDecode", &lzw(true)),
        stream("/DecodeParms<</EarlyChange 1>>", "[/LZW]", &lzw(true)),
        stream("/DecodeParms<</EarlyChange 0>>", "/LZWDecode", &lzw(false)),
        stream("", "/RunLengthDecode", &runs),
    ] {
        let scan = scan(&pdf(&[object]));
        let found = findings(&scan);
        assert_eq!(found.len(), 1, "{:#?} {:?}", outline(&scan), scan.unread);
        assert!(scan.unread.is_empty(), "{:?}", scan.unread);
    }
    let packed = lzw(true);
    let cut = scan(&pdf(&[stream(
        "",
        "/LZWDecode",
        &[&packed[..200], &[0xff; 40]].concat(),
    )]));
    assert_eq!(why(&cut), [UnreadWhy::Damaged]);
}

#[test]
fn a_revised_or_damaged_file_keeps_what_it_held() {
    let made = sample("tencent.access-key", 75);
    let contents = format!(
        "BT /F1 9 Tf (secretId: {}) Tj 0 -12 Td (secretKey: {}) Tj ET",
        made.id, made.secret
    );
    let whole = pages(&[&contents], LATIN, &[]);
    let mut revised = whole.clone();
    let empty = flate("", b"BT /F1 9 Tf (gone) Tj ET");
    revised.extend_from_slice(&[b"6 0 obj\n", empty.as_slice(), b"\nendobj\n"].concat());
    let end = memchr::memmem::rfind(&whole, b"endstream").unwrap();
    for (bytes, inside) in [(&revised[..], "object 6"), (&whole[..end], "page 1")] {
        let scan = scan(bytes);
        check(&scan, &made.secret, 2, &[inside], &[]);
    }
    // A text that only begins like one.
    let (config, secret) = config(76);
    let scanned = scan(format!("%PDF-\n{config}").as_bytes());
    check(&scanned, &secret, 5, &[], &[]);
}

#[test]
fn an_encrypted_file_is_named() {
    for trailer in [
        "trailer\n<</Root 1 0 R/Encrypt 9 0 R>>\n",
        "9 0 obj\n<</Type/XRef/Encrypt 8 0 R/Length 0>>stream\n\nendstream\nendobj\n",
    ] {
        let mut bytes = pages(&["BT (x) Tj ET"], LATIN, &[]);
        bytes.extend_from_slice(trailer.as_bytes());
        assert_eq!(why(&scan(&bytes)), [UnreadWhy::Encrypted]);
    }
}

#[test]
fn files_made_to_be_slow_or_large_end_at_their_bounds() {
    let limits = Limits {
        unwrapped: 4 << 20,
        ..Limits::default()
    };
    let bomb = flate("", &vec![b' '; 64 << 20]);
    let page = "<</Type/Page/Contents 2 0 R/Resources<</Font<</F 3 0 R>>>>>>";
    let fonts = "/F 1 Tf ".repeat(1 << 20);
    let table = "<0000> <FFFF> <0020> endbfrange ".repeat(10_000);
    let open = |object: &str| format!("%PDF-1.7\n{}", object.repeat(1 << 17)).into_bytes();
    for (bytes, what) in [
        (pdf(&[bomb]), "a bomb"),
        (
            pdf(&[text(page), flate("", &vec![b'1'; 64 << 20])]),
            "one operand",
        ),
        (open("1 0 obj("), "strings"),
        (open("1 0 obj["), "arrays"),
        (
            pdf(&[
                text(page),
                flate("", fonts.as_bytes()),
                text("<</Type/Font/ToUnicode 4 0 R>>"),
                flate("", table.as_bytes()),
            ]),
            "fonts",
        ),
    ] {
        let scan = Detector::new(RuleSet::builtin(), limits).scan(&[Part {
            name: b"a.pdf",
            format: Format::Guess,
            start: Position::default(),
            source: &bytes,
        }]);
        let said = why(&scan);
        assert!(said.contains(&UnreadWhy::Limit), "{what}: {said:?}");
        assert!(scan.work < 32 << 20, "{what}: {} bytes of work", scan.work);
    }
    // A tree of pages that leads to itself.
    let looped = [
        text("<</Type/Catalog/Pages 2 0 R>>"),
        text("<</Type/Pages/Kids[2 0 R 3 0 R 1 0 R]/Parent 2 0 R>>"),
        text("<</Type/Page/Parent 2 0 R/Contents 3 0 R/Resources 4 0 R>>"),
        text("5 0 R"),
        text("4 0 R"),
    ];
    assert!(scan(&pdf(&looped)).unread.is_empty());
}

/// What is judged at once ends somewhere: amid an id, amid a secret, between them.
#[test]
fn a_key_is_whole_wherever_a_stretch_of_text_ends() {
    let made = sample("tencent.access-key", 77);
    let pair = [
        format!("secretId: {}", made.id),
        format!("secretKey: {}", made.secret),
    ];
    for pad in (0..280).step_by(8) {
        let mut lines = vec!["-".repeat(60); 4094];
        lines.push("-".repeat(pad));
        lines.extend_from_slice(&pair);
        lines.extend(vec!["-".repeat(60); 40]);
        let shown: String = lines.iter().map(|line| format!("({line})'\n")).collect();
        let shown = format!("BT /F1 9 Tf 12 TL {shown} ET");
        let strings: String = lines.iter().map(|line| format!("(  {line})")).collect();
        for (what, bytes) in [
            ("shown", pages(&[&shown], LATIN, &[])),
            ("strings", pdf(&[text(&format!("<</K[{strings}]>>"))])),
            (
                "between",
                format!("%PDF-1.7\n{}", lines.join("\n   ")).into_bytes(),
            ),
        ] {
            let scan = scan(&bytes);
            let found = findings(&scan);
            assert_eq!(found.len(), 1, "{what} {pad}: {:#?}", outline(&scan));
            let told = found[0].secret.as_ref().map(|told| told.expose().to_vec());
            assert_eq!(
                told.as_deref(),
                Some(made.secret.as_bytes()),
                "{what} {pad}"
            );
            assert!(found[0].id.is_some(), "{what} {pad}: {:#?}", outline(&scan));
        }
    }
}

/// A font, a form, packed objects, filters upon filters: each of a file's structures once.
fn rich() -> Vec<u8> {
    let wide =
        "<</Type/Font/Subtype/Type0/Encoding/Identity-H/DescendantFonts[5 0 R]/ToUnicode 6 0 R>>";
    let packed = "20 0 21 17 <</T(a)/V(bcdef)>><</Font<</F2 4 0 R>>>>";
    let form = "BT /F2 9 Tf [(x) 3 <00010002>] TJ ET BI /W 1 ID \x01 EI";
    let more = [
        text("<</DW 500/W[1[2 3] 4 5 6]>>"),
        text("<<>>stream\n1 beginbfrange <0001> <0030> <0020> endbfrange\nendstream"),
        flate("/Type/ObjStm/N 2/First 11", packed.as_bytes()),
        flate("/Subtype/Form/Resources 21 0 R", form.as_bytes()),
        stream("", "[/AHx/Fl]", b"789c0300000000 01>"),
        stream("", "/A85", b"87cURD]j7BEbo80~>"),
    ];
    pages(&["BT /F1 9 Tf <00010002> Tj [(x) 3] TJ ET"], wide, &more)
}

/// However little may be unwrapped, and whatever of the file is damaged: it ends, and where it ends for
/// the budget that is said.
#[test]
fn any_budget_ends_a_file_and_is_said() {
    let whole = rich();
    let within = |bytes: &[u8], unwrapped: u64| {
        let limits = Limits {
            unwrapped,
            ..Limits::default()
        };
        let bytes = bytes.to_vec();
        Detector::new(RuleSet::builtin(), limits).scan(&[Part {
            name: b"a.pdf",
            format: Format::Guess,
            start: Position::default(),
            source: &bytes,
        }])
    };
    assert_eq!(why(&within(&whole, 1 << 20)), []);
    let enough = (0..1 << 13).find(|&budget| within(&whole, budget).unread.is_empty());
    let enough = enough.unwrap();
    for budget in 0..enough {
        let why = why(&within(&whole, budget));
        assert!(why.contains(&UnreadWhy::Limit), "{budget}: {why:?}");
    }
    assert!(enough > 500, "{enough}");
    for at in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[at] ^= 0x15;
        for budget in [0, 90, enough / 2, enough] {
            within(&flipped, budget);
        }
    }
}

#[test]
fn any_damage_to_a_file_ends() {
    let whole = rich();
    for at in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[at] ^= 0x15;
        scan(&flipped);
        scan(&whole[..at]);
    }
}
