//! Records made here by the documented formats; one that rpm itself makes is read by
//! `tests/tests/packages.rs`.

use std::fs;

use proptest::prelude::*;

use super::*;

const PAGE: usize = 4096;
const SUM: [u8; 32] = [7; 32];

enum Column<'a> {
    Null,
    Integer(i64),
    Text(&'a str),
    Blob(&'a [u8]),
}

fn number(mut value: u64, out: &mut Vec<u8>) {
    let mut bytes = vec![u8::try_from(value & 0x7f).unwrap()];
    while value > 0x7f {
        value >>= 7;
        bytes.push(0x80 | u8::try_from(value & 0x7f).unwrap());
    }
    out.extend(bytes.iter().rev());
}

fn row(columns: &[Column<'_>]) -> Vec<u8> {
    let (mut head, mut body) = (Vec::new(), Vec::new());
    for column in columns {
        match column {
            Column::Null => number(0, &mut head),
            Column::Integer(value) => {
                number(6, &mut head);
                body.extend(value.to_be_bytes());
            }
            Column::Text(text) => {
                number(text.len() as u64 * 2 + 13, &mut head);
                body.extend(text.as_bytes());
            }
            Column::Blob(blob) => {
                number(blob.len() as u64 * 2 + 12, &mut head);
                body.extend(*blob);
            }
        }
    }
    let mut row = vec![u8::try_from(head.len() + 1).unwrap()];
    row.extend(head);
    row.extend(body);
    row
}

/// A leaf; `first` is where its header begins.
fn leaf(kind: u8, first: usize, rows: &[(u64, Vec<u8>)]) -> Vec<u8> {
    let mut page = vec![0; PAGE];
    let mut end = PAGE;
    page[first] = kind;
    page[first + 3..first + 5].copy_from_slice(&u16::try_from(rows.len()).unwrap().to_be_bytes());
    for (at, (key, row)) in rows.iter().enumerate() {
        let mut cell = Vec::new();
        number(row.len() as u64, &mut cell);
        if kind == TABLE_LEAF {
            number(*key, &mut cell);
        }
        cell.extend(row);
        end -= cell.len();
        page[end..end + cell.len()].copy_from_slice(&cell);
        let pointer = first + 8 + 2 * at;
        page[pointer..pointer + 2].copy_from_slice(&u16::try_from(end).unwrap().to_be_bytes());
    }
    page
}

/// Entries of tag, type, count and bytes.
fn header(entries: &[(u32, u32, u32, Vec<u8>)]) -> Vec<u8> {
    let (mut head, mut store): (Vec<u8>, Vec<u8>) = (Vec::new(), Vec::new());
    for (tag, kind, count, bytes) in entries {
        for field in [*tag, *kind, u32::try_from(store.len()).unwrap(), *count] {
            head.extend(field.to_be_bytes());
        }
        store.extend(bytes);
    }
    let mut blob = u32::try_from(entries.len()).unwrap().to_be_bytes().to_vec();
    blob.extend(u32::try_from(store.len()).unwrap().to_be_bytes());
    blob.extend(head);
    blob.extend(store);
    blob
}

/// A package with `/etc/tool/key` and `/usr/share/tool/key`, of which the second has the digest.
fn package(algorithm: Option<u32>, digest: &str) -> Vec<u8> {
    let mut entries = vec![
        (
            FILE_DIGESTS,
            STRING_ARRAY,
            2,
            format!("\0{digest}\0").into_bytes(),
        ),
        (DIRECTORY_INDEXES, INT32, 2, vec![0, 0, 0, 1, 0, 0, 0, 0]),
        (BASE_NAMES, STRING_ARRAY, 2, b"key\0key\0".to_vec()),
        (
            DIRECTORY_NAMES,
            STRING_ARRAY,
            2,
            b"/usr/share/tool/\0/etc/tool/\0".to_vec(),
        ),
    ];
    if let Some(algorithm) = algorithm {
        let bytes = algorithm.to_be_bytes().to_vec();
        entries.push((FILE_DIGEST_ALGORITHM, INT32, 1, bytes));
    }
    header(&entries)
}

fn database(blob: &[u8]) -> Vec<u8> {
    use Column::{Blob, Integer, Null, Text};
    let schema = |kind, name, page| {
        row(&[
            Text(kind),
            Text(name),
            Text(name),
            Integer(page),
            Text("CREATE"),
        ])
    };
    let rows = [
        (1, schema("table", "Packages", 2)),
        (2, schema("table", "Basenames", 3)),
        (3, schema("index", "Basenames_key_idx", 4)),
    ];
    let mut first = leaf(TABLE_LEAF, 100, &rows);
    first[..16].copy_from_slice(b"SQLite format 3\0");
    first[16..18].copy_from_slice(&u16::try_from(PAGE).unwrap().to_be_bytes());
    first[56..60].copy_from_slice(&1_u32.to_be_bytes());
    let packages = leaf(TABLE_LEAF, 0, &[(5, row(&[Null, Blob(blob)]))]);
    let name = |file| row(&[Text("key"), Integer(5), Integer(file)]);
    let names = leaf(TABLE_LEAF, 0, &[(8, name(0)), (9, name(1))]);
    let key = |row_number| (0, row(&[Text("key"), Integer(row_number)]));
    let other = (0, row(&[Text("aaa"), Integer(7)]));
    let index = leaf(INDEX_LEAF, 0, &[other, key(8), key(9)]);
    [first, packages, names, index].concat()
}

fn asked(bytes: &[u8], path: &str) -> Option<Recorded> {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().join("usr/lib/sysimage/rpm");
    fs::create_dir_all(&place).unwrap();
    fs::write(place.join(READ), bytes).unwrap();
    let mut record = Record::open(&Root::at(directory.path()).unwrap())?;
    let (parent, name) = path.rsplit_once('/').unwrap();
    record.digest(format!("{parent}/").as_bytes(), name.as_bytes())
}

#[test]
fn the_file_that_is_asked_about_answers_and_no_other_of_its_name() {
    let hex = data_encoding::HEXLOWER.encode(&SUM);
    let bytes = database(&package(Some(SHA256), &hex));
    let digest = Some(Recorded::Sha256(SUM));
    assert_eq!(asked(&bytes, "/usr/share/tool/key"), digest);
    for none in [
        "/etc/tool/key",
        "/usr/share/key",
        "/usr/share/tool/other",
        "/usr/share/tool/ke",
    ] {
        assert_eq!(asked(&bytes, none), None, "{none}");
    }
}

#[test]
fn digests_are_of_their_algorithm_or_nothing() {
    let check = |algorithm, digest: &str, expected| {
        let found = asked(
            &database(&package(algorithm, digest)),
            "/usr/share/tool/key",
        );
        assert_eq!(found, expected, "{algorithm:?}");
    };
    let short = "07".repeat(16);
    check(None, &short, Some(Recorded::Md5([7; 16])));
    check(Some(MD5), &short, Some(Recorded::Md5([7; 16])));
    check(Some(SHA256), &short, None);
    check(Some(2), &"07".repeat(20), None);
    check(Some(SHA256), "", None);
}

#[test]
fn older_forms_are_named_and_not_read() {
    let directory = tempfile::tempdir().unwrap();
    let root = Root::at(directory.path()).unwrap();
    assert_eq!(not_read(&root), None);
    let place = directory.path().join("var/lib/rpm");
    fs::create_dir_all(&place).unwrap();
    fs::write(place.join("Packages"), b"").unwrap();
    assert_eq!(not_read(&root), Some("Berkeley DB"));
    assert!(Record::open(&root).is_none());
    fs::write(place.join(READ), b"").unwrap();
    assert_eq!(not_read(&root), None);
    assert!(Record::open(&root).is_none(), "an empty file is none");
}

proptest! {
    /// Whatever stands in the record: an end, and no answer but what could be recorded.
    #[test]
    fn a_damaged_record_costs_a_bounded_amount(
        changes in prop::collection::vec((0..4 * PAGE, any::<u8>()), 1..20),
        cut in 0..4 * PAGE,
    ) {
        let hex = data_encoding::HEXLOWER.encode(&SUM);
        let mut bytes = database(&package(Some(SHA256), &hex));
        for (at, byte) in changes {
            bytes[at] = byte;
        }
        let _ = asked(&bytes, "/usr/share/tool/key");
        let _ = asked(&bytes[..cut], "/usr/share/tool/key");
    }

    #[test]
    fn a_damaged_header_answers_nothing_or_something(blob in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = digest_in(&blob, 0, b"/etc/", b"key");
    }
}
