//! Values under a vendor's fixed key: encrypted to the eye, plain to whoever has the program.
//!
//! COSCLI writes `cos.base.secretid` and its kin as base64 of AES-128 in ECB mode, under a key that
//! stands in its source (`util/secret.go` of github.com/tencentyun/coscli), zeros behind key and
//! text. What does not come out as text is left as it stands.

use aes::Aes128;
use aes::cipher::{BlockCipherDecrypt, KeyInit};
use akwatch_proto::place::Encoding;

use super::Fields;
use crate::unwrap::inline;

/// The fixed key, zeros behind it.
const COSCLI: [u8; 16] = *b"coscli-secret\0\0\0";
/// Keys below `cos.base` whose values are encrypted.
const KEYS: [&[u8]; 3] = [b"base.secretid", b"base.secretkey", b"base.sessiontoken"];
/// Bytes of an encrypted value: the vendor's session tokens have at most 4,096.
const LONGEST: usize = 8192;

/// Undoes what fields from `first` on hold so.
pub(super) fn undo(text: &[u8], first: usize, fields: &mut Fields<'_>) {
    for field in &mut fields.fields[first..] {
        if !KEYS.iter().any(|key| field.path.ends_with(key)) || field.raw.len() > LONGEST {
            continue;
        }
        if let Some(plain) = inline::base64(field.value(text)).and_then(decrypted) {
            field.decoded = Some(plain);
            field.encoding = Some(Encoding::Obfuscated);
        }
    }
}

/// The text under the fixed key, if it is one.
fn decrypted(mut bytes: Vec<u8>) -> Option<Vec<u8>> {
    if bytes.is_empty() || !bytes.len().is_multiple_of(16) {
        return None;
    }
    let cipher = Aes128::new(&COSCLI.into());
    for block in bytes.chunks_exact_mut(16) {
        let block: &mut [u8; 16] = block.try_into().ok()?;
        cipher.decrypt_block(block.into());
    }
    let length = bytes.iter().rposition(|&b| b != 0)? + 1;
    bytes.truncate(length);
    bytes.iter().all(u8::is_ascii_graphic).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use aes::cipher::BlockCipherEncrypt;
    use base64::Engine as _;

    use super::*;
    use crate::content::Format;
    use crate::tests::{findings, outline, sample, scan_bytes};

    fn encrypted(text: &str) -> String {
        let mut bytes = text.as_bytes().to_vec();
        bytes.resize((text.len() / 16 + 1) * 16, 0);
        let cipher = Aes128::new(&COSCLI.into());
        for block in bytes.chunks_exact_mut(16) {
            let block: &mut [u8; 16] = block.try_into().unwrap();
            cipher.encrypt_block(block.into());
        }
        base64::engine::general_purpose::STANDARD.encode(bytes)
    }

    #[test]
    fn coscli_hides_nothing() {
        for seed in 0..20 {
            let made = sample("tencent.access-key", seed);
            let text = format!(
                "cos:\n  base:\n    secretid: {}\n    secretkey: {}\n    sessiontoken: \"\"\n",
                encrypted(&made.id),
                encrypted(&made.secret)
            );
            let scan = scan_bytes("/root/.cos.yaml", Format::Guess, text.as_bytes());
            let found = findings(&scan);
            assert_eq!(found.len(), 1, "{:#?}", outline(&scan));
            assert_eq!(
                found[0]
                    .id
                    .as_ref()
                    .map(akwatch_proto::credential::CredentialId::as_str),
                Some(&made.id[..])
            );
            assert_eq!(found[0].spot.encoding, [Encoding::Obfuscated]);
            assert_eq!(found[0].spot.line, 4);
        }
    }

    #[test]
    fn what_is_no_text_under_the_key_stays() {
        assert_eq!(decrypted(vec![7; 16]), None);
        assert_eq!(decrypted(vec![7; 15]), None);
        assert_eq!(decrypted(Vec::new()), None);
    }
}
