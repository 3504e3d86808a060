//! What the detector promises, tested from outside: whole credentials, at the right spot, once.

mod bounds;
mod chains;
mod chosen;
mod ciphers;
mod companions;
mod configurations;
mod containers;
mod evasions;
mod everyday;
mod formats;
mod histories;
mod hostile;
mod judging;
mod keys;
mod kinds;
mod layouts;
mod lone;
mod matrix;
mod office;
mod packs;
mod pairing;
mod pdf;
mod plist;
mod proving;
mod quiet;
mod streams;
mod unwrapping;

use std::sync::Arc;

use akwatch_proto::credential::{Confidence, Kind};

use crate::content::{Format, Part, Position};
use crate::rule::RuleSet;
use crate::sample::{Sample, Seed};
use crate::scan::{Detector, Limits, Match, Scan};

/// Scans one text under a name.
pub(crate) fn scan_bytes(name: &str, format: Format, bytes: &[u8]) -> Scan {
    let bytes = bytes.to_vec();
    let part = Part {
        name: name.as_bytes(),
        format,
        start: Position::default(),
        source: &bytes,
    };
    detector().scan(&[part])
}

pub(crate) fn detector() -> Detector {
    Detector::new(RuleSet::builtin(), Limits::default())
}

pub(crate) fn rules() -> Arc<RuleSet> {
    RuleSet::builtin()
}

pub(crate) fn sample(rule: &str, seed: u64) -> Sample {
    Sample::of(&rules(), rule, &mut Seed(seed)).expect("the rule exists")
}

/// Matches that are findings: references and what is below the default are left out.
pub(crate) fn findings(scan: &Scan) -> Vec<&Match> {
    scan.matches
        .iter()
        .filter(|found| found.kind != Kind::Reference && found.confidence > Confidence::Unknown)
        .collect()
}

/// A match without its secret's bytes, for messages.
pub(crate) fn outline(scan: &Scan) -> Vec<String> {
    scan.matches
        .iter()
        .map(|found| {
            let field = found.spot.field.as_deref().map(String::from_utf8_lossy);
            format!(
                "{} {:?} {:?} line {} field {field:?} id {:?} {:?} {:?} inside {}",
                found.rule,
                found.kind,
                found.confidence,
                found.spot.line,
                found.id.as_ref().map(|id| id.as_str().len()),
                found.proof,
                found.spot.encoding,
                found.spot.inside.len()
            )
        })
        .collect()
}

/// The pair rules with the names that their vendors use.
pub(crate) const PROVIDERS: [(&str, &str, &str); 8] = [
    (
        "alibaba.access-key",
        "alibaba_cloud_access_key_id",
        "alibaba_cloud_access_key_secret",
    ),
    (
        "tencent.access-key",
        "tencentcloud_secret_id",
        "tencentcloud_secret_key",
    ),
    (
        "aws.access-key",
        "aws_access_key_id",
        "aws_secret_access_key",
    ),
    (
        "huawei.access-key",
        "huaweicloud_sdk_ak",
        "huaweicloud_sdk_sk",
    ),
    (
        "volcengine.access-key",
        "volcengine_access_key",
        "volcengine_secret_key",
    ),
    (
        "baidu.access-key",
        "bce_access_key_id",
        "bce_secret_access_key",
    ),
    (
        "kingsoft.access-key",
        "ksyun_access_key",
        "ksyun_secret_key",
    ),
    ("jd.access-key", "jdcloud_access_key", "jdcloud_secret_key"),
];
