//! Service tokens that stand alone, without a name that says what they are, and what is like them.

use super::{findings, outline, scan_bytes};
use crate::content::Format;

/// `text` holds one finding, of `rule`.
#[track_caller]
fn check(text: &str, rule: &str) {
    let scan = scan_bytes("notes.txt", Format::Guess, text.as_bytes());
    let found: Vec<&str> = findings(&scan)
        .into_iter()
        .map(|found| found.rule.as_str())
        .collect();
    assert_eq!(found, [rule], "{text}: {:#?}", outline(&scan));
}

#[track_caller]
fn nothing(file: &str, text: &str) {
    let scan = scan_bytes(file, Format::Guess, text.as_bytes());
    assert!(findings(&scan).is_empty(), "{text}: {:#?}", outline(&scan));
}

const HEX: &str = "7be1c03d95a2f846e07bd9135c8fa264";

#[test]
fn a_run_and_what_goes_on_behind_it_are_one_token() {
    for pad in 0..70 {
        let pad = " ".repeat(pad);
        check(&format!("{pad}{HEX}-4f9c21ab-d07e63b8\n"), "mailgun.key");
    }
    check(&format!("see ({HEX}-4f9c21ab-d07e63b8)"), "mailgun.key");
    let oauth = format!("Q7ZK2MVX9RT4BW8LCJ5HNP3FGSDY6A1EUOQ2RIT7.v1.x9Kq_2Lm.{HEX}{HEX}");
    check(&format!("{oauth}\n"), "airtable.oauth-token");
    nothing("notes.txt", &format!("{HEX}-4f9c21ab-d07e63b8-11aa22bb\n"));
    nothing("notes.txt", &format!("{HEX}4f-4f9c21ab-d07e63b8\n"));
    nothing("notes.txt", &format!("00-{HEX}-4f9c21abd07e63b8-01\n"));
}

#[test]
fn an_applications_number_and_its_secret_are_one_token() {
    check(
        "482915736204817|kQ3vXz7_mN2bR-8tLwYc5dHjPf9\n",
        "facebook.app-token",
    );
    check(
        "get('/me?access_token=4829157362048175|kQ3vXz7_mN2bR-8tLwYc5dHjPf9')\n",
        "facebook.app-token",
    );
    nothing(
        "notes.txt",
        "482915736204817|the-quick-brown-fox-jumps-ov\n",
    );
    nothing(
        "notes.md",
        "| 482915736204817 | kQ3vXz7_mN2bR-8tLwYc5dHjPf9 |\n",
    );
    nothing(
        "notes.txt",
        "4829157362048175331|kQ3vXz7_mN2bR-8tLwYc5dHjPf9\n",
    );
}

#[test]
fn two_letters_and_a_length_need_what_no_name_has() {
    check("s.k4QwZ7bXn2RtY9mLcV3hJd5P\n", "vault.lone-legacy-token");
    nothing(
        "app.min.js",
        "s.getElementsByClassName2d(a);s.prototypeOfEverythingAll=1;\n",
    );
    nothing("a.yml", "vault: s.AcceptanceTimeoutSeconds\n");
    nothing("a.yml", "vault_token: s.thisismycompletelongname\n");
}
