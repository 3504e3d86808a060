//! Property lists, binary and in XML, alone and in an app's package.

use super::unwrapping::{check, zip};
use super::{findings, outline, sample, scan_bytes};
use crate::content::Format;
use crate::scan::{Scan, UnreadWhy};

/// One object of a binary list, references to others by their number.
enum Object<'a> {
    Text(&'a str),
    Wide(&'a str),
    Data(&'a [u8]),
    Number(u8),
    List(Vec<usize>),
    Map(Vec<(usize, usize)>),
}

/// A binary list whose first object holds the others.
fn binary(objects: &[Object<'_>]) -> Vec<u8> {
    let mut out = b"bplist00".to_vec();
    let mut offsets = Vec::new();
    let reference = |number: usize| u16::try_from(number).unwrap().to_be_bytes();
    for object in objects {
        offsets.push(u32::try_from(out.len()).unwrap());
        let mut mark = |kind: u8, length: usize| match u8::try_from(length) {
            Ok(length @ 0..15) => out.push(kind << 4 | length),
            _ => {
                out.push(kind << 4 | 15);
                out.push(0x12);
                out.extend_from_slice(&u32::try_from(length).unwrap().to_be_bytes());
            }
        };
        match object {
            Object::Text(text) => {
                mark(5, text.len());
                out.extend_from_slice(text.as_bytes());
            }
            Object::Wide(text) => {
                mark(6, text.encode_utf16().count());
                out.extend(text.encode_utf16().flat_map(u16::to_be_bytes));
            }
            Object::Data(data) => {
                mark(4, data.len());
                out.extend_from_slice(data);
            }
            Object::Number(number) => out.extend_from_slice(&[0x10, *number]),
            Object::List(items) => {
                mark(10, items.len());
                out.extend(items.iter().flat_map(|&item| reference(item)));
            }
            Object::Map(entries) => {
                mark(13, entries.len());
                out.extend(entries.iter().flat_map(|&(key, _)| reference(key)));
                out.extend(entries.iter().flat_map(|&(_, value)| reference(value)));
            }
        }
    }
    let table = out.len() as u64;
    out.extend(offsets.iter().flat_map(|offset| offset.to_be_bytes()));
    out.extend_from_slice(&[0, 0, 0, 0, 0, 0, 4, 2]);
    out.extend_from_slice(&(offsets.len() as u64).to_be_bytes());
    out.extend_from_slice(&0_u64.to_be_bytes());
    out.extend_from_slice(&table.to_be_bytes());
    out
}

fn why(scan: &Scan) -> Vec<UnreadWhy> {
    scan.unread.iter().map(|unread| unread.why).collect()
}

#[test]
fn values_are_read_with_the_way_to_them() {
    let made = sample("tencent.access-key", 80);
    let list = binary(&[
        Object::Map(vec![(1, 2), (3, 4)]),
        Object::Text("CFBundleName"),
        Object::Wide("钱包"),
        Object::Text("Tencent"),
        Object::Map(vec![(5, 6), (7, 8), (9, 10)]),
        Object::Text("SecretId"),
        Object::Text(&made.id),
        Object::Text("SecretKey"),
        Object::Wide(&made.secret),
        Object::Text("Retries"),
        Object::Number(3),
    ]);
    let package = zip(&[("Payload/A.app/Info.plist", &list)]);
    for (name, bytes, inside) in [
        ("Info.plist", &list, &[][..]),
        ("A.ipa", &package, &["Payload/A.app/Info.plist"]),
    ] {
        let scan = scan_bytes(name, Format::Guess, bytes);
        let found = findings(&scan);
        assert_eq!(found.len(), 1, "{:#?}", outline(&scan));
        check(&scan, &made.secret, 1, inside, &[]);
        let field = found[0].spot.field.as_deref();
        assert_eq!(field, Some(&b"Tencent.SecretKey"[..]));
        assert!(scan.unread.is_empty(), "{:?}", scan.unread);
    }
    let xml = format!(
        "<?xml version=\"1.0\"?>\n<plist version=\"1.0\">\n<dict>\n<key>Tencent</key>\n<dict>\n<key>SecretId</key>\n<string>{}</string>\n<key>SecretKey</key>\n<string>{}</string>\n</dict>\n</dict>\n</plist>\n",
        made.id, made.secret
    );
    let scan = scan_bytes("Info.plist", Format::Guess, xml.as_bytes());
    check(&scan, &made.secret, 9, &[], &[]);
    let field = findings(&scan)[0].spot.field.as_deref();
    assert_eq!(field, Some(&b"plist.dict.Tencent.SecretKey"[..]));
}

#[test]
fn data_and_what_they_wrap_are_read() {
    let (config, secret) = super::unwrapping::config(81);
    let packed = super::unwrapping::gzip(config.as_bytes());
    let list = binary(&[
        Object::List(vec![1]),
        Object::Map(vec![(2, 3)]),
        Object::Text("profile"),
        Object::Data(&packed),
    ]);
    let scan = scan_bytes("a.plist", Format::Guess, &list);
    let found = findings(&scan);
    assert_eq!(found.len(), 1, "{:#?}", outline(&scan));
    let told = found[0].secret.as_ref().map(|told| told.expose().to_vec());
    assert_eq!(told.as_deref(), Some(secret.as_bytes()));
}

#[test]
fn a_list_made_to_grow_or_to_hold_itself_ends() {
    // Each holds the next twice; the last holds the first.
    let mut doubling: Vec<Object<'_>> = (1..40).map(|n| Object::List(vec![n, n])).collect();
    doubling.push(Object::Text("word"));
    let mut looped: Vec<Object<'_>> = (1..40).map(|n| Object::List(vec![n, n])).collect();
    looped.push(Object::List(vec![0, 0]));
    for list in [doubling, looped] {
        let scan = scan_bytes("a.plist", Format::Guess, &binary(&list));
        assert!(why(&scan).contains(&UnreadWhy::Limit), "{:?}", scan.unread);
        assert!(scan.work < 512 << 10, "{} bytes of work", scan.work);
    }
}

#[test]
fn a_damaged_list_ends_and_is_named() {
    let list = binary(&[
        Object::Map(vec![(1, 2)]),
        Object::Text("key"),
        Object::List(vec![1, 1]),
    ]);
    for at in 0..list.len() {
        let mut flipped = list.clone();
        flipped[at] ^= 0xff;
        scan_bytes("a.plist", Format::Guess, &flipped);
        scan_bytes("a.plist", Format::Guess, &list[..at]);
    }
    for at in (list.len() - 24..list.len()).step_by(8) {
        for field in [[0xff; 8], [0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]] {
            let mut huge = list.clone();
            huge[at..at + 8].copy_from_slice(&field);
            scan_bytes("a.plist", Format::Guess, &huge);
        }
    }
    // An object that lies at the end of numbers, and one of so many.
    let mut far = list.clone();
    let table = far.len() - 32 - 3 * 4;
    far[table..table + 4].fill(0xff);
    far[8] = 0xaf;
    far[9] = 0x13;
    scan_bytes("a.plist", Format::Guess, &far);
    let scan = scan_bytes("a.plist", Format::Guess, &list[..list.len() - 1]);
    assert_eq!(why(&scan), [UnreadWhy::Damaged]);
}
