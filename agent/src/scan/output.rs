//! How findings are written: for people, as JSON, as SARIF.
//!
//! Everything but a secret under `--reveal` is a clean name already. Nothing raw reaches a terminal:
//! a revealed secret is escaped there.

use std::collections::BTreeMap;
use std::io::Write;

use akwatch_detect::Secret;
use akwatch_proto::credential::{Confidence, CredentialId, Kind, Provider, RuleId};
use akwatch_proto::finding::{Proof, Subject};
use akwatch_proto::git::Git;
use akwatch_proto::place::{Location, Reach};
use anyhow::Context;
use serde::Serialize;

use crate::cli::OutputFormat;
use crate::job::Found;

mod sarif;
mod text;

/// One finding as it is written.
#[derive(Serialize)]
pub(super) struct Line {
    rule: RuleId,
    provider: Provider,
    kind: Kind,
    #[serde(skip_serializing_if = "Option::is_none")]
    credential_id: Option<CredentialId>,
    confidence: Confidence,
    #[serde(skip_serializing_if = "Option::is_none")]
    fingerprint: Option<String>,
    epoch: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    preview: Option<String>,
    location: Location,
    reach: Reach,
    #[serde(skip_serializing_if = "Option::is_none")]
    git: Option<Git>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    proof: Vec<Proof>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_base64: Option<String>,
}

impl Line {
    fn new(
        found: &Found,
        location: Location,
        (reach, git): (&Reach, Option<Git>),
        secret: Option<&Secret>,
    ) -> Line {
        let fingerprint = match &found.subject {
            Subject::Secret(fingerprint) => Some(fingerprint.to_string()),
            Subject::Reference(_) => None,
        };
        let bytes = secret.map(Secret::expose);
        let text = bytes.and_then(|bytes| std::str::from_utf8(bytes).ok());
        Line {
            rule: found.rule.clone(),
            provider: found.provider.clone(),
            kind: found.kind,
            credential_id: found.credential_id.clone(),
            confidence: found.confidence,
            fingerprint,
            epoch: "local",
            preview: found.preview.as_ref().map(ToString::to_string),
            location,
            reach: reach.clone(),
            git,
            proof: found.proof.clone(),
            secret: text.map(str::to_owned),
            secret_base64: bytes
                .filter(|_| text.is_none())
                .map(|bytes| data_encoding::BASE64.encode(bytes)),
        }
    }
}

/// Where findings go.
pub(super) struct Output<'a> {
    format: OutputFormat,
    reveal: bool,
    colour: bool,
    out: Box<dyn Write + 'a>,
    /// Lines of the formats that need all of them: text to align, SARIF for its rules.
    kept: Vec<Line>,
    written: u64,
    closed: bool,
}

impl<'a> Output<'a> {
    pub(super) fn new(
        format: OutputFormat,
        reveal: bool,
        colour: bool,
        out: Box<dyn Write + 'a>,
    ) -> Output<'a> {
        Output {
            format,
            reveal,
            colour,
            out,
            kept: Vec::new(),
            written: 0,
            closed: false,
        }
    }

    /// Writes or keeps one finding; its secret is only looked at under `--reveal`.
    pub(super) fn write(
        &mut self,
        found: &Found,
        location: Location,
        context: (&Reach, Option<Git>),
        secret: Option<&Secret>,
    ) -> anyhow::Result<()> {
        let line = Line::new(found, location, context, secret.filter(|_| self.reveal));
        match self.format {
            OutputFormat::Text | OutputFormat::Sarif => {
                self.kept.push(line);
                Ok(())
            }
            OutputFormat::Json => {
                let before = if self.written == 0 { "[\n" } else { ",\n" };
                let json = serde_json::to_string(&line).context("writing a finding as JSON")?;
                self.put(&format!("{before}{json}"))
            }
            OutputFormat::Jsonl => {
                let json = serde_json::to_string(&line).context("writing a finding as JSON")?;
                self.put(&format!("{json}\n"))
            }
        }
    }

    /// A reader that has gone, as `head` does, ends the output and is no trouble.
    fn put(&mut self, text: &str) -> anyhow::Result<()> {
        self.written += 1;
        if self.closed {
            return Ok(());
        }
        match self
            .out
            .write_all(text.as_bytes())
            .and_then(|()| self.out.flush())
        {
            Err(why) if why.kind() == std::io::ErrorKind::BrokenPipe => {
                self.closed = true;
                Ok(())
            }
            done => done.context("cannot write findings to standard output"),
        }
    }

    /// Ends the output.
    pub(super) fn finish(mut self) -> anyhow::Result<()> {
        let kept = std::mem::take(&mut self.kept);
        let text = match self.format {
            OutputFormat::Text => text::table(kept, self.colour, crate::sense::now()),
            OutputFormat::Sarif => sarif::log(&kept)?,
            OutputFormat::Json if self.written == 0 => "[]\n".to_owned(),
            OutputFormat::Json => "\n]\n".to_owned(),
            OutputFormat::Jsonl => return Ok(()),
        };
        self.put(&text)
    }
}

/// The word that JSON uses for a value of a closed set.
fn word(value: &impl Serialize) -> String {
    serde_json::to_value(value)
        .ok()
        .and_then(|value| value.as_str().map(str::to_owned))
        .unwrap_or_default()
}

/// Rules in order, each with its provider and kind.
fn rules(lines: &[Line]) -> BTreeMap<&str, &Line> {
    lines
        .iter()
        .map(|line| (line.rule.as_str(), line))
        .collect()
}
