//! Keys of ciphers in source code: arrays of bytes, and hexadecimal beside a bare `key`.

use super::{findings, outline, scan_bytes};
use crate::content::Format;
use crate::sample::Seed;

/// Bytes that chance made.
fn made(seed: u64, count: usize) -> Vec<u8> {
    let mut seed = Seed(seed);
    (0..count)
        .map(|_| seed.next_number().to_le_bytes()[4])
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn list(bytes: &[u8]) -> String {
    let numbers: Vec<String> = bytes.iter().map(|byte| format!("{byte:#04x}")).collect();
    numbers.join(", ")
}

/// Scans source code and compares what is told, with its lines.
fn check(file: &str, text: &str, expected: &[(&str, u32)]) {
    let scan = scan_bytes(file, Format::Guess, text.as_bytes());
    let found: Vec<(String, u32)> = findings(&scan)
        .iter()
        .filter_map(|found| {
            let secret = String::from_utf8_lossy(found.secret.as_ref()?.expose()).into_owned();
            Some((secret, found.spot.line))
        })
        .collect();
    let expected: Vec<(String, u32)> = expected
        .iter()
        .map(|(secret, line)| ((*secret).to_owned(), *line))
        .collect();
    assert_eq!(found, expected, "{file}: {text}\n{:#?}", outline(&scan));
}

#[test]
fn arrays_under_a_telling_name_are_keys() {
    for (seed, count) in [(1, 16), (2, 24), (3, 32), (4, 64)] {
        let bytes = made(seed, count);
        let (told, list) = (hex(&bytes), list(&bytes));
        let told = [(told.as_str(), 2)];
        for (file, text) in [
            ("a.h", format!("\n#define AESKEY {{{list}}}\n")),
            (
                "a.c",
                format!("\nstatic const char secret_key[] = {{{list}}};\n"),
            ),
            ("a.go", format!("\nvar masterKey = []byte{{{list}}}\n")),
            (
                "a.java",
                format!("\nbyte[] hmacKey = new byte[] {{{list}}};\n"),
            ),
            (
                "a.rs",
                format!("\nconst ENC_KEY: [u8; {count}] = [{list}];\n"),
            ),
            ("a.py", format!("\nAPP_SECRET = bytes([{list}])\n")),
            (
                "a.py",
                format!("\nkey = bytes([{list}])\ncipher = AES.new(key)\n"),
            ),
        ] {
            check(file, &text, &told);
        }
    }
    let text = "kT8vPq2-Lm4Xz9Rw";
    let code = format!("char password[] = {{{}, 0}};\n", list(text.as_bytes()));
    check("a.c", &code, &[(text, 1)]);
}

#[test]
fn other_arrays_are_none() {
    let bytes = made(5, 32);
    let chance = list(&bytes);
    for text in [
        // Nothing says that it is secret.
        format!("static const char image[] = {{{chance}}};\n"),
        format!("static const char key[] = {{{chance}}};\n"),
        format!("static const char public_key[] = {{{chance}}};\n"),
        format!("static const char secret_key_hash[] = {{{chance}}};\n"),
        // No machine made it.
        format!(
            "char secret_key[] = {{{}}};\n",
            list(&(40..72).collect::<Vec<u8>>())
        ),
        format!("char secret_key[] = {{{}}};\n", list(&[0; 32])),
        format!(
            "char secret_key[] = {{{}}};\n",
            list(&[1, 2, 3, 250].repeat(8))
        ),
        // A table.
        format!("char secret_key[] = {{{}}};\n", list(&made(6, 256))),
        // What the standard of AES prints.
        "char aes_key[] = {0x2b,0x7e,0x15,0x16,0x28,0xae,0xd2,0xa6,0xab,0xf7,0x15,0x88,0x09,0xcf,\
         0x4f,0x3c};\n"
            .to_owned(),
    ] {
        check("a.c", &text, &[]);
    }
    // Tests are made of keys; what is no code has its own syntax.
    let code = format!("char key[] = {{{chance}}};\nencrypt(key, text);\n");
    check("a.c", &code, &[(&hex(&bytes), 1)]);
    check("tests/a.c", &code, &[]);
    check("a_test.c", &code, &[]);
    check("a.txt", &code, &[]);
    // Words of other widths that count or are small, and a name of what everybody may know.
    let table: Vec<String> = (0..16).map(|n| format!("{:#x}", n * 300)).collect();
    check(
        "a.c",
        &format!("int secret_key[] = {{{}}};\n", table.join(",")),
        &[],
    );
    check(
        "a.c",
        &format!("char aes_sort_key[] = {{{chance}}};\n"),
        &[],
    );
}

#[test]
fn no_directory_and_no_part_of_a_word_hides_a_key() {
    let bytes = made(8, 32);
    let (told, list) = (hex(&bytes), list(&bytes));
    for file in [
        "/home/test/a.c",
        "/home/test/src/a.c",
        "/srv/tests/x/a.c",
        "/test/a.c",
    ] {
        check(
            file,
            &format!("char aes_key[] = {{{list}}};\n"),
            &[(&told, 1)],
        );
    }
    // What says secret is one wherever it lies.
    check(
        "/srv/tests/a.c",
        &format!("char secret_key[] = {{{list}}};\n"),
        &[(&told, 1)],
    );
    for name in [
        "latest_secret_key",
        "resort_secret_key",
        "background_secret_key",
        "attestation_secret_key",
        "unit_secret_key",
        "hash_secret",
        "latest_aes_key",
    ] {
        check(
            "a.c",
            &format!("char {name}[32] = {{{list}}};\n"),
            &[(&told, 1)],
        );
    }
}

#[test]
fn keys_are_told_however_programs_write_bytes() {
    let bytes = made(9, 32);
    let (told, list) = (hex(&bytes), list(&bytes));
    let told = [(told.as_str(), 1)];
    for file in ["a.cxx", "a.hh", "a.m", "a.ino", "A.C"] {
        check(file, &format!("char aes_key[] = {{{list}}};\n"), &told);
    }
    let remarks = list.replace(", ", ", /* one */ ");
    check("a.c", &format!("char aes_key[] = {{{remarks}}};\n"), &told);
    let words = |size: usize, suffix: &str| {
        let words = bytes
            .chunks(size)
            .map(|word| format!("0x{}{suffix}", hex(word)));
        words.collect::<Vec<_>>().join(", ")
    };
    check(
        "a.c",
        &format!("static const uint32_t aes_key[8] = {{{}}};\n", words(4, "")),
        &told,
    );
    check(
        "a.c",
        &format!(
            "static const uint64_t aes_key[4] = {{{}}};\n",
            words(8, "ULL")
        ),
        &told,
    );
    let signed = bytes
        .chunks(4)
        .map(|word| i32::from_be_bytes(word.try_into().unwrap()).to_string());
    let signed = signed.collect::<Vec<_>>().join(", ");
    check("A.java", &format!("int[] aesKey = {{{signed}}};\n"), &told);
    let escaped: String = bytes.iter().map(|byte| format!("\\x{byte:02x}")).collect();
    check("a.py", &format!("aes_key = b\"{escaped}\"\n"), &told);
    check(
        "a.go",
        &format!("var aesKey = []byte(\"{escaped}\")\n"),
        &told,
    );
    check("a.c", &format!("char aes_key[] = \"{escaped}\";\n"), &told);
    let whole = hex(&bytes);
    for (file, text) in [
        ("a.py", format!("aes_key = bytes.fromhex(\"{whole}\")\n")),
        (
            "a.py",
            format!("aes_key = binascii.unhexlify(b'{whole}')\n"),
        ),
        (
            "a.js",
            format!("const aesKey = Buffer.from(\"{whole}\", \"hex\");\n"),
        ),
        (
            "a.go",
            format!("aesKey, _ := hex.DecodeString(\"{whole}\")\n"),
        ),
    ] {
        check(file, &text, &told);
    }
    // Bytes that no key has, and a name that says nothing.
    check(
        "a.py",
        &format!("aes_key = b\"{}\"\n", escaped.repeat(3)),
        &[],
    );
    check("a.py", &format!("image = b\"{escaped}\"\n"), &[]);
    check(
        "a.py",
        &format!("image = bytes.fromhex(\"{whole}\")\n"),
        &[],
    );
}

#[test]
fn hexadecimal_beside_a_bare_key_is_one_where_code_is_about_ciphers() {
    let key = hex(&made(7, 16));
    check(
        "a.c",
        &format!("char key[33] = \"{key}\";\nencrypt(key, text);\n"),
        &[(&key, 1)],
    );
    check(
        "a.c.gz",
        &format!("char key[33] = \"{key}\";\nencrypt(key, text);\n"),
        &[(&key, 1)],
    );
    check(
        "a.c",
        &format!("char key[33] = \"{key}\";\nlookup(key, text);\n"),
        &[],
    );
    check("a.js", &format!("cache = {{key: \"{key}\"}};\n"), &[]);
    check("a.py", &format!("aes_key = '{}'\n", "ab".repeat(16)), &[]);
}

#[test]
fn arrays_that_never_end_cost_little() {
    for piece in [
        "{",
        "[[1,",
        "{/*",
        "{1,",
        "key={0x",
        "key = {//\\\n",
        "[//\\\n",
        "[//[//[//[//\n",
        "key=\"\\x9c",
        "\\x9c\\x41",
        "y=\"a",
        "key[0]",
    ] {
        let text = piece.repeat((256 << 10) / piece.len());
        check("a.c", &text, &[]);
    }
}

#[test]
fn tables_before_a_key_do_not_hide_it() {
    let numbers = |from: u32| -> String {
        let mut seed = crate::sample::Seed(u64::from(from));
        let bytes = (0..16).map(|_| format!("{:#04x}", seed.next_number() >> 40 & 0xff));
        bytes.collect::<Vec<_>>().join(", ")
    };
    let mut text = String::new();
    for number in 0..400 {
        text += &format!(
            "static const uint8_t table{number}[16] = {{{}}};\n",
            numbers(number)
        );
    }
    text += &format!(
        "static const uint8_t aes_key[16] = {{{}}};\n",
        numbers(4001)
    );
    let scan = scan_bytes("k.c", Format::Guess, text.as_bytes());
    assert_eq!(findings(&scan).len(), 1, "{:#?}", outline(&scan));
}
