//! The canary's searcher: is any 8-byte window of a planted secret in these bytes?
//!
//! A secret may escape whole or in part, plainly or in another alphabet. Every window of eight bytes
//! of each secret is looked for as it stands, in base64 at each of its three alignments, in hex of
//! both cases and percent-encoded. A searcher that finds nothing proves nothing, so a test must
//! first show it a control dump that holds every secret in every form ([`Searcher::forms`]).

use std::collections::BTreeSet;
use std::io::Read as _;

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use anyhow::{Context, Result};
use data_encoding::{BASE64, BASE64URL, HEXLOWER, HEXUPPER};

/// Bytes of a window.
const WINDOW: usize = 8;

/// Looks for windows of planted secrets.
#[derive(Debug)]
pub struct Searcher {
    automaton: AhoCorasick,
    /// For each pattern, which secret it is of and in which form.
    origin: Vec<(usize, &'static str)>,
    names: Vec<String>,
}

/// A window that was found where none may be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Escape {
    /// Name of the secret, as the test gave it; never the secret.
    pub secret: String,
    /// In which form: `plain`, `base64`, `hex`, `url`.
    pub form: &'static str,
    /// Byte offset in the searched bytes.
    pub at: usize,
}

impl Searcher {
    /// A searcher for `secrets`, each with a name that tells it apart in a failure's message.
    ///
    /// # Errors
    /// When the automaton cannot be built.
    pub fn new(secrets: &[(String, Vec<u8>)]) -> Result<Searcher> {
        let mut seen = BTreeSet::new();
        let mut patterns = Vec::new();
        let mut origin = Vec::new();
        for (index, (_, secret)) in secrets.iter().enumerate() {
            for window in secret.windows(WINDOW) {
                for (form, pattern) in forms_of(window) {
                    if seen.insert(pattern.clone()) {
                        patterns.push(pattern);
                        origin.push((index, form));
                    }
                }
            }
        }
        let automaton = AhoCorasick::builder()
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .build(&patterns)
            .context("building the searcher")?;
        let names = secrets.iter().map(|(name, _)| name.clone()).collect();
        Ok(Searcher {
            automaton,
            origin,
            names,
        })
    }

    /// Every form of a whole secret, for a control dump.
    #[must_use]
    pub fn forms(secret: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
        let url: String = secret.iter().map(|byte| format!("%{byte:02X}")).collect();
        vec![
            ("plain", secret.to_vec()),
            ("base64", BASE64.encode(secret).into_bytes()),
            (
                "base64",
                BASE64.encode(&[b"x", secret].concat()).into_bytes(),
            ),
            (
                "base64",
                BASE64URL.encode(&[b"xy", secret].concat()).into_bytes(),
            ),
            ("hex", HEXLOWER.encode(secret).into_bytes()),
            ("hex", HEXUPPER.encode(secret).into_bytes()),
            ("url", url.into_bytes()),
        ]
    }

    /// The windows found in `bytes`, at most one of each secret and form.
    #[must_use]
    pub fn search(&self, bytes: &[u8]) -> Vec<Escape> {
        let mut found = BTreeSet::new();
        let mut escapes = Vec::new();
        for hit in self.automaton.find_overlapping_iter(bytes) {
            let (secret, form) = self.origin[hit.pattern().as_usize()];
            if found.insert((secret, form)) {
                let secret = self.names[secret].clone();
                escapes.push(Escape {
                    secret,
                    form,
                    at: hit.start(),
                });
            }
        }
        escapes
    }

    /// As [`Searcher::search`], also inside every zstd frame that `bytes` hold.
    #[must_use]
    pub fn search_unpacked(&self, bytes: &[u8]) -> Vec<Escape> {
        let mut escapes = self.search(bytes);
        for frame in frames(bytes) {
            escapes.extend(self.search(&frame));
        }
        escapes
    }
}

fn forms_of(window: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let mut forms = vec![
        ("plain", window.to_vec()),
        ("hex", HEXLOWER.encode(window).into_bytes()),
        ("hex", HEXUPPER.encode(window).into_bytes()),
        (
            "url",
            window
                .iter()
                .map(|byte| format!("%{byte:02X}"))
                .collect::<String>()
                .into_bytes(),
        ),
    ];
    // At each alignment, only whole groups of three bytes have a base64 form of their own.
    for skip in 0..3 {
        let whole = (window.len() - skip) / 3 * 3;
        let bytes = &window[skip..skip + whole];
        if bytes.len() >= 6 {
            forms.push(("base64", BASE64.encode(bytes).into_bytes()));
            forms.push(("base64", BASE64URL.encode(bytes).into_bytes()));
        }
    }
    forms
}

/// Decompresses everything in `bytes` that looks like a zstd frame, each up to 64 MiB.
fn frames(bytes: &[u8]) -> Vec<Vec<u8>> {
    const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
    let mut frames = Vec::new();
    for at in bytes
        .windows(4)
        .enumerate()
        .filter(|(_, w)| *w == MAGIC)
        .map(|(at, _)| at)
    {
        let mut unpacked = Vec::new();
        if let Ok(decoder) = zstd::stream::read::Decoder::new(&bytes[at..]) {
            // What follows the frame is not zstd, so the end is an error: what came before counts.
            let _ = decoder
                .single_frame()
                .take(64 << 20)
                .read_to_end(&mut unpacked);
        }
        frames.push(unpacked);
    }
    frames
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plant;

    #[test]
    fn every_form_of_every_secret_is_found_and_nothing_else() {
        let secrets: Vec<(String, Vec<u8>)> = [plant::tencent(), plant::alibaba(), plant::aws()]
            .into_iter()
            .enumerate()
            .map(|(index, pair)| (format!("secret {index}"), pair.secret.into_bytes()))
            .collect();
        let searcher = Searcher::new(&secrets).unwrap();
        for (name, secret) in &secrets {
            for (form, bytes) in Searcher::forms(secret) {
                let dump = [b"some text ", bytes.as_slice(), b" more"].concat();
                let found = searcher.search(&dump);
                assert!(
                    found
                        .iter()
                        .any(|escape| escape.secret == *name && escape.form == form),
                    "{name} as {form} was not found"
                );
                let packed = zstd::stream::encode_all(dump.as_slice(), 3).unwrap();
                assert!(
                    !searcher
                        .search_unpacked(&[b"head", packed.as_slice()].concat())
                        .is_empty()
                );
            }
            assert!(
                !searcher.search(&secret[3..11]).is_empty(),
                "a window alone"
            );
            assert!(
                searcher.search(&secret[3..10]).is_empty(),
                "seven bytes are no window"
            );
        }
        assert!(searcher.search(&vec![b'a'; 100_000]).is_empty());
    }
}
