//! What is proven offline: generated tokens of every rule with a proof hold, and with one character changed
//! they are told all the same, as what they are.

use akwatch_proto::credential::Confidence;
use akwatch_proto::finding::Proof;

use super::{findings, outline, rules, sample, scan_bytes};
use crate::content::Format;
use crate::rule::ProofKind;
use crate::sample::Seed;

/// Tokens of each rule: among so many, some checksums begin with a zero.
const MANY: u64 = 70;

fn is_checksum(kind: ProofKind) -> bool {
    matches!(
        kind,
        ProofKind::Crc32Base62 | ProofKind::Crc32BodyHex | ProofKind::Crc32Hex
    )
}

/// `token` with the byte at `at` changed to another of its class.
fn flipped(token: &str, at: usize) -> String {
    let mut bytes = token.as_bytes().to_vec();
    bytes[at] = match bytes[at] {
        b'0'..=b'8' | b'a'..=b'e' | b'A'..=b'E' => bytes[at] + 1,
        b'9' => b'0',
        b'f'..=b'z' => b'a',
        b'F'..=b'Z' => b'A',
        other => other,
    };
    String::from_utf8(bytes).unwrap()
}

#[test]
fn tokens_with_a_proof_hold_and_with_a_flaw_are_told_lower() {
    let all = rules();
    let mut kinds = 0;
    for rule in all.rules() {
        if !rule.proof.is_some_and(is_checksum) {
            continue;
        }
        kinds += 1;
        for seed in 0..MANY {
            let token = sample(rule.id.as_str(), seed).secret;
            let text = format!("SERVICE_TOKEN={token}\n");
            let scan = scan_bytes(".env", Format::Guess, text.as_bytes());
            let told = findings(&scan);
            let holds = told.len() == 1
                && told[0].confidence == Confidence::Proven
                && told[0].proof.contains(&Proof::Checksum { holds: true });
            assert!(holds, "{} {seed}: {:?}", rule.id, outline(&scan));
            let fixed = rule.secret.fixed(token.as_bytes());
            let mut number = Seed(seed);
            for _ in 0..4 {
                let span = u64::try_from(token.len() - fixed - 9).unwrap();
                let at = fixed + usize::try_from((number.next_number() >> 20) % span).unwrap();
                let wrong = flipped(&token, at);
                if wrong == token || !rule.secret.is_whole(wrong.as_bytes()) {
                    continue;
                }
                let text = format!("SERVICE_TOKEN={wrong}\n");
                let scan = scan_bytes(".env", Format::Guess, text.as_bytes());
                let told = findings(&scan);
                let said = told.len() == 1
                    && told[0].confidence < Confidence::Proven
                    && told[0].proof.contains(&Proof::Checksum { holds: false });
                assert!(said, "{} {seed} at {at}: {:?}", rule.id, outline(&scan));
            }
        }
    }
    assert!(kinds >= 4, "{kinds}");
}
