//! Databases and repositories made by SQLite and Git themselves, read and damaged.

#![allow(clippy::unwrap_used)] // a test that cannot go on says so by ending

use std::path::Path;
use std::process::Command;

use akwatch_detect::sample::{Sample, Seed};
use akwatch_detect::{Detector, Format, Limits, Match, Part, Position, RuleSet, Scan, UnreadWhy};
use akwatch_proto::credential::{Confidence, CredentialId, Kind};
use akwatch_proto::place::Encoding;

fn scan_bytes(name: &str, bytes: &[u8]) -> Scan {
    let bytes = bytes.to_vec();
    Detector::new(RuleSet::builtin(), Limits::default()).scan(&[Part {
        name: name.as_bytes(),
        format: Format::Guess,
        start: Position::default(),
        source: &bytes,
    }])
}

fn sample(rule: &str, seed: u64) -> Sample {
    Sample::of(&RuleSet::builtin(), rule, &mut Seed(seed)).unwrap()
}

fn findings(scan: &Scan) -> Vec<&Match> {
    scan.matches
        .iter()
        .filter(|found| found.kind != Kind::Reference && found.confidence > Confidence::Unknown)
        .collect()
}

fn holds(found: &Match, secret: &str) -> bool {
    found
        .secret
        .as_ref()
        .is_some_and(|told| told.expose() == secret.as_bytes())
}

/// A database made by SQLite itself.
fn database(statements: &[&str]) -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.db");
    let database = rusqlite::Connection::open(&path).unwrap();
    for statement in statements {
        database.execute_batch(statement).unwrap();
    }
    drop(database);
    std::fs::read(path).unwrap()
}

#[test]
fn rows_of_a_database_are_objects_of_their_columns() {
    let (one, two) = (sample("aws.access-key", 16), sample("aws.access-key", 17));
    let filler: String = (0..400)
        .map(|n| {
            format!(
                "INSERT INTO sites(name, note) VALUES('site {n}', '{}');",
                "x".repeat(n)
            )
        })
        .collect();
    let insert = |made: &Sample| {
        format!(
            "INSERT INTO sites(name, access_key, secret_key) VALUES('s3', '{}', '{}');",
            made.id, made.secret
        )
    };
    for encoding in ["UTF-8", "UTF-16le", "UTF-16be"] {
        let bytes = database(&[
            &format!("PRAGMA encoding = '{encoding}'; PRAGMA page_size = 1024;"),
            "CREATE TABLE sites(id INTEGER PRIMARY KEY, \"name\" TEXT NOT NULL, note TEXT, [access_key] TEXT, secret_key VARCHAR(10,2), UNIQUE(id, name));",
            &filler,
            &insert(&one),
            &insert(&two),
        ]);
        let scan = scan_bytes("panel.db", &bytes);
        assert!(scan.unread.is_empty(), "{:?}", scan.unread);
        assert_eq!(scan.read, [bytes.len() as u64]);
        let found = findings(&scan);
        assert_eq!(found.len(), 2, "{encoding}");
        for (found, (made, row)) in found.iter().zip([(&one, 401), (&two, 402)]) {
            assert!(holds(found, &made.secret));
            assert_eq!(
                found.id.as_ref().map(CredentialId::as_str),
                Some(made.id.as_str())
            );
            assert_eq!(found.spot.inside, [b"sites".to_vec()]);
            assert_eq!(found.spot.field.as_deref(), Some(&b"secret_key"[..]));
            assert_eq!(found.spot.line, row);
        }
    }
}

#[test]
fn a_row_on_overflow_pages_and_a_deleted_row_are_read() {
    let (kept, deleted) = (sample("aws.access-key", 18), sample("aws.access-key", 19));
    let text = |made: &Sample, filler: usize| {
        format!(
            "{}[default]\naws_access_key_id = {}\naws_secret_access_key = {}\n",
            "# nothing here\n".repeat(filler),
            made.id,
            made.secret
        )
    };
    let bytes = database(&[
        "PRAGMA secure_delete = 0;",
        "CREATE TABLE files(path TEXT, content TEXT); CREATE TABLE old(content TEXT);",
        &format!(
            "INSERT INTO files VALUES('credentials', '{}');",
            text(&kept, 900)
        ),
        &format!("INSERT INTO old VALUES('{}');", text(&deleted, 200)),
        "DROP TABLE old;",
    ]);
    let scan = scan_bytes("a.sqlite", &bytes);
    let found = findings(&scan);
    assert_eq!(found.len(), 2);
    let inside = |made: &Sample| {
        found
            .iter()
            .find(|found| holds(found, &made.secret))
            .map(|found| found.spot.inside.clone())
    };
    assert_eq!(inside(&kept), Some(vec![b"files".to_vec()]));
    assert_eq!(inside(&deleted), Some(vec![b"(deleted)".to_vec()]));
}

#[test]
fn a_damaged_database_ends_and_is_named() {
    let made = sample("aws.access-key", 20);
    let bytes = database(&[
        "PRAGMA page_size = 512; CREATE TABLE a(access_key TEXT, secret_key TEXT);",
        &format!("INSERT INTO a VALUES('{}', '{}');", made.id, made.secret).repeat(60),
    ]);
    for at in (100..bytes.len()).step_by(61) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0xff;
        let scan = scan_bytes("a.db", &damaged);
        assert!(scan.work < 4 << 20);
    }
    let scan = scan_bytes("a.db", &bytes[..bytes.len() - 512]);
    assert_eq!(
        scan.unread.first().map(|unread| unread.why),
        Some(UnreadWhy::Damaged)
    );
}

fn why(scan: &Scan) -> Vec<UnreadWhy> {
    scan.unread.iter().map(|unread| unread.why).collect()
}

#[test]
fn tables_without_row_ids_are_read_page_by_page() {
    let (short, long) = (
        sample("aws.access-key", 50),
        sample("tencent.access-key", 51),
    );
    let filler: String = (0..3000)
        .map(|n| format!("INSERT INTO keys VALUES('{n}', 'eu', 'x{n}', 'none');"))
        .collect();
    for page_size in [512, 4096, 65536] {
        let bytes = database(&[
            &format!("PRAGMA page_size = {page_size};"),
            "CREATE TABLE keys(name TEXT, region TEXT, access_key TEXT, secret_key TEXT, PRIMARY KEY(region, name)) WITHOUT ROWID;",
            "BEGIN;",
            &filler,
            &format!(
                "INSERT INTO keys VALUES('1500a', 'eu', '{}', '{}');",
                short.id, short.secret
            ),
            &format!(
                "INSERT INTO keys VALUES('9a', 'eu', '{}\nsecretId={}\nsecretKey={}\n', '');",
                "# nothing\n".repeat(9000),
                long.id,
                long.secret
            ),
            "COMMIT;",
        ]);
        let scan = scan_bytes("a.db", &bytes);
        assert!(scan.unread.is_empty(), "{:?}", scan.unread);
        let found = findings(&scan);
        assert_eq!(found.len(), 2, "pages of {page_size}");
        for made in [&short, &long] {
            let found = found
                .iter()
                .find(|found| holds(found, &made.secret))
                .unwrap();
            assert!(found.id.is_some());
            assert_eq!(found.spot.inside, [b"keys".to_vec()]);
        }
        let found = found.iter().find(|found| holds(found, &short.secret));
        assert_eq!(
            found.unwrap().spot.field.as_deref(),
            Some(&b"secret_key"[..])
        );
    }
}

#[test]
fn what_was_deleted_is_read_however_much_it_is() {
    let made = sample("github.token", 52);
    let insert = |n: usize, text: &str| {
        format!(
            "INSERT INTO a VALUES({n}, '{}{text}');",
            "word ".repeat(100)
        )
    };
    let rows: String = (0..8000).map(|n| insert(n, "")).collect();
    let bytes = database(&[
        "PRAGMA secure_delete = 0; CREATE TABLE a(n INTEGER PRIMARY KEY, text TEXT); BEGIN;",
        &rows,
        &insert(8001, &made.secret),
        &insert(8002, ""),
        "COMMIT; DELETE FROM a WHERE n % 2 = 1;",
    ]);
    let scan = scan_bytes("a.db", &bytes);
    let found = findings(&scan);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].spot.inside, [b"(deleted)".to_vec()]);
    assert!(scan.unread.is_empty(), "{:?}", scan.unread);
}

#[test]
fn what_a_database_leaves_out_is_a_limit() {
    let made = sample("github.token", 53);
    let tables: String = (0..4100)
        .map(|n| format!("CREATE TABLE t{n}(a);"))
        .collect();
    let bytes = database(&["BEGIN;", &tables, "COMMIT;"]);
    assert_eq!(why(&scan_bytes("a.db", &bytes)), [UnreadWhy::Limit]);
    // A long row is read to its end, though not by its columns.
    let bytes = database(&[
        "CREATE TABLE a(text TEXT);",
        &format!(
            "INSERT INTO a VALUES('{}{}');",
            "word ".repeat(1_000_000),
            made.secret
        ),
    ]);
    let scan = scan_bytes("a.db", &bytes);
    let found = findings(&scan);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].spot.inside, [b"a".to_vec()]);
    assert_eq!(found[0].spot.line, 1);
    assert_eq!(why(&scan), [UnreadWhy::Limit]);
    // The bound of what is unwrapped, reached between rows.
    let rows = format!("INSERT INTO a VALUES('{}');", "word ".repeat(80)).repeat(2000);
    let bytes = database(&["CREATE TABLE a(text TEXT); BEGIN;", &rows, "COMMIT;"]);
    let limits = Limits {
        unwrapped: 64 << 10,
        ..Limits::default()
    };
    let scan = Detector::new(RuleSet::builtin(), limits).scan(&[Part {
        name: b"a.db",
        format: Format::Guess,
        start: Position::default(),
        source: &bytes,
    }]);
    assert_eq!(why(&scan), [UnreadWhy::Limit]);
    assert!(scan.work < 1 << 20, "{} bytes of work", scan.work);
}

#[test]
fn a_long_text_of_a_row_is_read_under_its_column() {
    let made = sample("tencent.access-key", 55);
    let text = format!(
        "{}cos:\n  secretId: {}\n  secretKey: {}\n",
        "a: b\n".repeat(200_000),
        made.id,
        made.secret
    );
    let bytes = database(&[
        "CREATE TABLE files(n INTEGER, content TEXT);",
        &format!("INSERT INTO files VALUES(1, ''), (2, '{text}'), (3, '');"),
    ]);
    let scan = scan_bytes("a.db", &bytes);
    let found = findings(&scan);
    assert_eq!(found.len(), 1);
    assert!(holds(found[0], &made.secret));
    assert!(found[0].id.is_some());
    assert_eq!(found[0].spot.line, 2);
    assert_eq!(found[0].spot.inside, [b"files".to_vec()]);
    let field = found[0].spot.field.as_deref();
    assert_eq!(field, Some(&b"content.cos.secretKey"[..]));
    // Through windows: it is looked at once, and for its fields once more in the last of them.
    assert!(scan.work < 2 << 20, "{} bytes of work", scan.work);
    assert!(scan.unread.is_empty(), "{:?}", scan.unread);
}

#[test]
fn bytes_of_a_row_that_are_no_text_are_read() {
    let made = sample("github.token", 56);
    let text: String = made.secret.bytes().map(|b| format!("{b:02x}")).collect();
    let bytes = database(&[
        "CREATE TABLE state(key TEXT, value BLOB);",
        &format!("INSERT INTO state VALUES('a', x'00ff{text}c3');"),
    ]);
    let scan = scan_bytes("a.db", &bytes);
    assert_eq!(findings(&scan).len(), 1);
    assert_eq!(findings(&scan)[0].spot.inside, [b"state".to_vec()]);
}

#[test]
fn statements_of_a_schema_are_read() {
    let made = sample("github.token", 54);
    let bytes = database(&[&format!("CREATE VIEW a AS SELECT '{}';", made.secret)]);
    let scan = scan_bytes("a.db", &bytes);
    assert_eq!(findings(&scan).len(), 1);
    assert_eq!(findings(&scan)[0].spot.inside, [b"sqlite_schema".to_vec()]);
}

#[test]
fn a_page_made_to_be_read_many_times_is_read_once() {
    let bytes = database(&[
        "PRAGMA page_size = 65536; CREATE TABLE a(text TEXT);",
        &format!("INSERT INTO a VALUES('{}');", "word ".repeat(12_000)),
    ]);
    let page = 65536;
    let content = usize::from(u16::from_be_bytes([bytes[page + 5], bytes[page + 6]]));
    let mut same_cell = bytes.clone();
    let cells = (content - 8) / 2;
    same_cell[page + 3..page + 5].copy_from_slice(&u16::try_from(cells).unwrap().to_be_bytes());
    for cell in 0..cells {
        let at = page + 8 + cell * 2;
        same_cell.copy_within(page + 8..page + 10, at);
    }
    let mut blocks = bytes.clone();
    let number = |at: usize| u16::try_from(at).unwrap().to_be_bytes();
    blocks[page + 1..page + 3].copy_from_slice(&number(content + 8));
    for block in (content + 8..65000).step_by(8) {
        blocks[page + block..page + block + 2].copy_from_slice(&number(block + 8));
        blocks[page + block + 2..page + block + 4].copy_from_slice(&number(65536 - block));
    }
    for (damaged, what) in [(same_cell, "cells"), (blocks, "free blocks")] {
        let scan = scan_bytes("a.db", &damaged);
        assert_eq!(why(&scan), [UnreadWhy::Damaged], "{what}");
        assert!(scan.work < 2 << 20, "{what}: {} bytes of work", scan.work);
    }
}

/// What SQLite writes beside a database while `change` was made and not yet taken over.
fn beside(mode: &str, ending: &str, before: &[&str], change: &str) -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.db");
    let database = rusqlite::Connection::open(&path).unwrap();
    database
        .query_row(&format!("PRAGMA journal_mode = {mode}"), [], |_| Ok(()))
        .unwrap();
    for statement in before {
        database.execute_batch(statement).unwrap();
    }
    database.execute_batch(change).unwrap();
    let bytes = std::fs::read(directory.path().join(format!("a.db{ending}"))).unwrap();
    drop(database);
    bytes
}

#[test]
fn what_a_write_ahead_log_has_is_read_by_its_tables() {
    let made = sample("aws.access-key", 30);
    let table =
        "CREATE TABLE sites(id INTEGER PRIMARY KEY, access_key TEXT, secret_key TEXT, note TEXT);";
    let insert = format!(
        "INSERT INTO sites(access_key, secret_key, note) VALUES('{}', '{}', 'x');",
        made.id, made.secret
    );
    let filler = "INSERT INTO sites(note) VALUES(hex(randomblob(300)));".repeat(40);
    let bytes = beside("WAL", "-wal", &[table, &filler], &insert);
    let scan = scan_bytes("a.db-wal", &bytes);
    assert!(scan.unread.is_empty(), "{:?}", scan.unread);
    let found = findings(&scan);
    assert_eq!(found.len(), 1);
    assert!(holds(found[0], &made.secret) && found[0].id.is_some());
    assert_eq!(found[0].spot.inside, [b"sites".to_vec()]);
    assert_eq!(found[0].spot.field.as_deref(), Some(&b"secret_key"[..]));

    // The names of a table that was made before are in the database; what its rows hold is read.
    let checkpoint = "PRAGMA wal_checkpoint(TRUNCATE);";
    let bytes = beside("WAL", "-wal", &[table, &filler, checkpoint], &insert);
    let scan = scan_bytes("a.db-wal", &bytes);
    assert!(scan.unread.is_empty(), "{:?}", scan.unread);
    let found = findings(&scan);
    assert_eq!(found.len(), 1);
    assert!(holds(found[0], &made.secret) && found[0].id.is_some());
    assert_eq!(found[0].spot.inside, [b"(pages)".to_vec()]);
}

#[test]
fn what_a_rollback_journal_kept_is_read() {
    let made = sample("aws.access-key", 31);
    let insert = format!(
        "CREATE TABLE sites(access_key TEXT, secret_key TEXT); INSERT INTO sites VALUES('{}', '{}');",
        made.id, made.secret
    );
    let change = "BEGIN; PRAGMA cache_size = 1; UPDATE sites SET access_key = '', secret_key = ''; \
                  CREATE TABLE filler(a); INSERT INTO filler SELECT randomblob(3000) FROM pragma_function_list LIMIT 60;";
    let bytes = beside("DELETE", "-journal", &[&insert], change);
    assert_eq!(bytes[..4], [0xd9, 0xd5, 0x05, 0xf9]);
    let scan = scan_bytes("a.db-journal", &bytes);
    let found = findings(&scan);
    assert_eq!(found.len(), 1, "{:?}", scan.unread);
    assert!(holds(found[0], &made.secret) && found[0].id.is_some());
    assert_eq!(found[0].spot.inside, [b"sites".to_vec()]);
}

/// The database has the pages that a table had before; the log has those that were changed since.
#[test]
fn a_log_without_a_tables_pages_is_not_damaged() {
    let table = "CREATE TABLE sites(secret_key TEXT);";
    let filler = "INSERT INTO sites VALUES(hex(randomblob(300)));".repeat(40);
    let checkpoint = "PRAGMA wal_checkpoint(TRUNCATE);";
    let change = "ALTER TABLE sites ADD COLUMN more TEXT;";
    let bytes = beside("WAL", "-wal", &[table, &filler, checkpoint], change);
    assert_eq!(why(&scan_bytes("a.db-wal", &bytes)), []);
}

/// What lies in a log and is in none of its pages is read all the same.
#[test]
fn what_is_in_no_page_of_a_log_is_read_as_text() {
    let made = sample("github.token", 34);
    let text = format!("\nGITHUB_TOKEN={}\n", made.secret);
    let wal = [
        &b"\x37\x7f\x06\x82\x00\x2d\xe2\x18\x00\x00\x02\x00"[..],
        &[b'#'; 20],
    ]
    .concat();
    let journal = [
        &b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7\xff\xff\xff\xff\0\0\0\0\0\0\0\x02\0\0\x02\0\0\0\x02\0"
            [..],
        &[0; 484],
    ]
    .concat();
    let page = |number: u32, before: usize, text: &str| {
        let mut page = vec![0; before + 512];
        page[..4].copy_from_slice(&number.to_be_bytes());
        page[before + 8..before + 8 + text.len()].copy_from_slice(text.as_bytes());
        page
    };
    let mut padded = journal.clone();
    padded[100..100 + text.len()].copy_from_slice(text.as_bytes());
    let segment = [&page(2, 4, "x")[..], &[0; 4]].concat();
    let padding = vec![0; 1536 - journal.len() - segment.len()];
    let second = [&page(3, 4, &text)[..], &[0; 4]].concat();
    type Case<'a> = (&'a str, Vec<Vec<u8>>, &'a [UnreadWhy]);
    let files: [Case<'_>; 7] = [
        (
            "a short text",
            vec![wal.clone(), text.clone().into_bytes()],
            &[],
        ),
        (
            "a long text",
            vec![wal.clone(), text.repeat(40).into_bytes()],
            &[UnreadWhy::Limit],
        ),
        (
            "a page of no number",
            vec![wal.clone(), page(0, 24, &text)],
            &[UnreadWhy::Damaged],
        ),
        (
            "a page of a high number",
            vec![wal.clone(), page(1 << 30, 24, &text)],
            &[UnreadWhy::Limit],
        ),
        (
            "the end",
            vec![wal.clone(), page(2, 24, ""), text.clone().into_bytes()],
            &[],
        ),
        ("before the first", vec![padded, segment.clone()], &[]),
        (
            "a second segment",
            vec![journal.clone(), segment, padding, journal, second],
            &[],
        ),
    ];
    for (what, pieces, unread) in files {
        let scan = scan_bytes("a.db-wal", &pieces.concat());
        let found = findings(&scan);
        assert!(
            !found.is_empty() && found.iter().all(|found| holds(found, &made.secret)),
            "{what}: {:?}",
            scan.unread
        );
        assert_eq!(why(&scan), unread, "{what}");
    }
    // Blank pages say nothing.
    let blank = [wal, page(2, 24, ""), vec![0; 5000]].concat();
    assert_eq!(why(&scan_bytes("a.db-wal", &blank)), []);
}

#[test]
fn a_damaged_log_ends() {
    let made = sample("aws.access-key", 32);
    let insert = format!(
        "CREATE TABLE sites(access_key TEXT, secret_key TEXT); INSERT INTO sites VALUES('{}', '{}');",
        made.id, made.secret
    );
    let bytes = beside("WAL", "-wal", &[], &insert);
    for at in (0..bytes.len()).step_by(97) {
        let mut changed = bytes.clone();
        changed[at] ^= 0x55;
        scan_bytes("a.db-wal", &changed);
        scan_bytes("a.db-wal", &bytes[..at]);
    }
}

#[test]
fn a_bundle_is_its_pack() {
    let made = sample("aws.access-key", 33);
    for format in ["sha1", "sha256"] {
        let directory = tempfile::tempdir().unwrap();
        let format = format!("--object-format={format}");
        git(directory.path(), &["init", "-q", &format, "."]);
        let text = format!(
            "aws_access_key_id = {}\naws_secret_access_key = {}\n",
            made.id, made.secret
        );
        std::fs::write(directory.path().join("credentials"), text).unwrap();
        git(directory.path(), &["add", "."]);
        git(directory.path(), &["commit", "-qm", "one"]);
        git(
            directory.path(),
            &["bundle", "create", "-q", "a.bundle", "HEAD"],
        );
        let bytes = std::fs::read(directory.path().join("a.bundle")).unwrap();
        let scan = scan_bytes("a.bundle", &bytes);
        let found = findings(&scan);
        assert_eq!(found.len(), 1, "{format}: {:?}", scan.unread);
        assert!(holds(found[0], &made.secret) && found[0].id.is_some());
        assert!(scan.unread.is_empty(), "{:?}", scan.unread);
        let cut = scan_bytes("a.bundle", &bytes[..bytes.len() - 60]);
        assert_eq!(why(&cut), [UnreadWhy::Damaged]);
    }
}

/// A bundle's header is text, and so is what somebody wrote behind a pack.
#[test]
fn what_stands_around_a_packs_objects_is_read() {
    let made = sample("github.token", 35);
    let line = format!("GITHUB_TOKEN={}", made.secret);
    let pack = [&b"PACK\0\0\0\x02\0\0\0\0"[..], &[7; 20]].concat();
    let header = format!("# v2 git bundle\n{line}\n\n").into_bytes();
    let endless = format!("# v2 git bundle\n{line}\n");
    let longer = format!("# v2 git bundle\n{line}\n{}", "x\n".repeat(1 << 20));
    let behind = format!("\n{line}\nmore of it\n").into_bytes();
    let files: [(&str, Vec<u8>, &[UnreadWhy]); 5] = [
        ("a.bundle", [header, pack.clone()].concat(), &[]),
        ("a.bundle", endless.into_bytes(), &[UnreadWhy::Damaged]),
        ("a.bundle", longer.into_bytes(), &[UnreadWhy::Limit]),
        (
            "a.pack",
            [pack.clone(), behind].concat(),
            &[UnreadWhy::Damaged],
        ),
        ("b.pack", [&pack[..12], &[7; 32]].concat(), &[]),
    ];
    for (name, bytes, unread) in files {
        let scan = scan_bytes(name, &bytes);
        let found = findings(&scan);
        assert_eq!(found.len(), usize::from(name != "b.pack"), "{name}");
        assert!(
            found.iter().all(|found| holds(found, &made.secret)),
            "{name}"
        );
        assert_eq!(why(&scan), unread, "{name}");
    }
}

fn git(directory: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args([
            "-c",
            "user.name=a",
            "-c",
            "user.email=a@example.com",
            "-c",
            "init.defaultBranch=main",
        ])
        .args(arguments)
        .current_dir(directory)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("HOME", directory)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

fn files(directory: &Path, ending: &str) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, ending));
        } else if path.to_string_lossy().ends_with(ending) {
            found.push(std::fs::read(path).unwrap());
        }
    }
    found
}

#[test]
fn what_was_removed_from_a_work_tree_is_found_in_its_objects() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    git(path, &["init", "-q"]);
    let filler: String = (0..4000)
        .map(|n| format!("option.{n}: value number {n}\n"))
        .collect();
    let made = sample("tencent.access-key", 21);
    let text = format!(
        "# live\ncos:\n  secretId: {}\n  secretKey: {}\n",
        made.id, made.secret
    );
    let write = |middle: &str| {
        let (before, after) = filler.split_at(filler.len() / 2);
        std::fs::write(path.join("app.yml"), format!("{before}{middle}{after}")).unwrap();
        git(path, &["add", "."]);
        git(path, &["commit", "-q", "-m", "change"]);
    };
    write("\n");
    write(&format!("\n{text}"));
    let blob = git(path, &["rev-parse", "HEAD:app.yml"]);
    write("\n# nothing\n");
    let loose = files(&path.join(".git/objects"), "");
    let found: Vec<Scan> = loose
        .iter()
        .map(|bytes| scan_bytes("objects/aa/bb", bytes))
        .filter(|scan| !findings(scan).is_empty())
        .collect();
    assert_eq!(found.len(), 1);
    let told = findings(&found[0]);
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].spot.encoding, [Encoding::Compressed]);
    let line = told[0].spot.line;

    git(path, &["repack", "-q", "-a", "-d", "-f", "--depth=50"]);
    let packs = files(&path.join(".git/objects/pack"), ".pack");
    assert_eq!(packs.len(), 1);
    let scan = scan_bytes("a.pack", &packs[0]);
    assert!(scan.unread.is_empty(), "{:?}", scan.unread);
    assert_eq!(scan.read, [packs[0].len() as u64]);
    let found = findings(&scan);
    assert_eq!(found.len(), 1);
    assert!(holds(found[0], &made.secret));
    assert_eq!(found[0].spot.line, line);
    assert_eq!(
        found[0].spot.inside,
        [format!("blob {}", blob.trim()).into_bytes()]
    );
    assert!(found[0].spot.encoding.is_empty());
}

#[test]
fn a_damaged_pack_ends_and_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    git(path, &["init", "-q"]);
    for n in 0..20 {
        let lines: String = (0..200)
            .map(|line| format!("{line} {}\n", line * n))
            .collect();
        std::fs::write(path.join("a.txt"), lines).unwrap();
        git(path, &["add", "."]);
        git(path, &["commit", "-q", "-m", "change"]);
    }
    git(path, &["repack", "-q", "-a", "-d"]);
    let pack = files(&path.join(".git/objects/pack"), ".pack").remove(0);
    for at in (12..pack.len()).step_by(97) {
        let mut damaged = pack.clone();
        damaged[at] ^= 0x55;
        let scan = scan_bytes("a.pack", &damaged);
        assert!(scan.work < 64 << 20);
    }
    let scan = scan_bytes("a.pack", &pack[..pack.len() / 2]);
    assert_eq!(
        scan.unread.first().map(|unread| unread.why),
        Some(UnreadWhy::Damaged)
    );
}
