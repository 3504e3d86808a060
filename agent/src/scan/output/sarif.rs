//! SARIF 2.1.0 (OASIS), for code-scanning dashboards: no snippet, since a snippet is the secret.

use akwatch_proto::credential::{Confidence, Kind};
use anyhow::Context;
use serde_json::{Value, json};

use super::{Line, rules, word};

/// The log of one run.
pub(super) fn log(lines: &[Line]) -> anyhow::Result<String> {
    let rules: Vec<Value> = rules(lines)
        .into_values()
        .map(|line| {
            json!({
                "id": line.rule,
                "shortDescription": { "text": describe(line) },
                "properties": { "provider": line.provider, "kind": line.kind },
            })
        })
        .collect();
    let results: Vec<Value> = lines.iter().map(result).collect();
    let log = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "akwatch-agent",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            }},
            "results": results,
        }],
    });
    let mut text = serde_json::to_string_pretty(&log).context("writing SARIF")?;
    text.push('\n');
    Ok(text)
}

fn describe(line: &Line) -> String {
    format!("{} {}", line.provider, word(&line.kind).replace('-', " "))
}

fn result(line: &Line) -> Value {
    let mut place = json!({ "artifactLocation": { "uri": uri(line.location.path.as_str()) } });
    if line.location.line > 0 {
        place["region"] = json!({
            "startLine": line.location.line,
            "endLine": line.location.end_line.max(line.location.line),
        });
    }
    let id = line
        .credential_id
        .as_ref()
        .map_or(String::new(), |id| format!(" {id}"));
    let confidence = word(&line.confidence);
    let mut result = json!({
        "ruleId": line.rule,
        "level": level(line),
        "message": { "text": format!("{}{id}, {confidence}", describe(line)) },
        "locations": [{ "physicalLocation": place }],
        "properties": line,
    });
    if let Some(fingerprint) = &line.fingerprint {
        result["partialFingerprints"] = json!({ "akwatchFingerprint/v1": fingerprint });
    }
    result
}

fn level(line: &Line) -> &'static str {
    match (line.kind, line.confidence) {
        (Kind::Reference, _) | (_, Confidence::Unknown) => "note",
        (_, Confidence::Contextual) => "warning",
        _ => "error",
    }
}

/// A path as a URI reference: RFC 3986's unreserved characters and `/` stay.
fn uri(path: &str) -> String {
    let mut out = String::from("file://");
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn paths_become_uris() {
        assert_eq!(super::uri("/a b/密?#"), "file:///a%20b/%E5%AF%86%3F%23");
    }
}
