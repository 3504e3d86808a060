//! Public halves: values whose names say id.

use super::*;

impl Judge<'_> {
    /// A value whose name says id, as the public half of the pairs whose ids look so.
    pub(super) fn id_half(
        &self,
        bytes: &[u8],
        found: &Candidate,
        value: &Value<'_>,
        out: &mut Vec<Candidate>,
    ) {
        let varied = bytes.len() < limits::SHORTEST_SECRET || quiet::entropy(bytes) >= 2.0;
        if bytes.len() > limits::CREDENTIAL_ID || quiet::is_stand_in(bytes) || !varied {
            return;
        }
        let mut hints = found.hints.clone();
        hints.own = self.spoken(value);
        let mut rules = self.fitting(bytes, Half::Id);
        // Who runs a store gives its users any name.
        let user = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'@');
        if (3..=64).contains(&bytes.len()) && bytes.iter().all(user) {
            let any = |rule: &u16| self.rules.rule(*rule).provider.as_str() == "generic";
            let open = hints.own.iter().copied().filter(any);
            let more: Vec<u16> = open.filter(|rule| !rules.contains(rule)).collect();
            rules.extend(more);
        }
        if rules.is_empty() {
            return;
        }
        let mut id = self.candidate(value, Part::Id, bytes, 0);
        id.named = true;
        id.rules = rules;
        id.stem.clone_from(&found.stem);
        id.hints = hints;
        out.push(id);
    }
}
