//! The rule reference: Markdown made from the rules themselves, so that it cannot drift.

use std::fmt::Write as _;

use akwatch_proto::credential::Kind;

use super::{Rule, RuleSet};

const HEAD: &str = "# Rules

Generated from `detect/rules/*.toml`; a test fails when this page is not what they say.

A rule names a credential, the shapes of its parts and the words that go with it. What counts is
decided by code: placeholders, references and vendors' examples are nothing, halves are linked
inside one object, section, block or command, and a failed proof lowers confidence.

## Writing a rule

```toml
[[rule]]
id = \"acme.access-key\"                # provider.what
provider = \"acme\"
kind = \"access-key-pair\"              # or token, temporary-credential
about = \"ACME access key.\"
source = \"https://acme.example/docs/keys\"
remedy = \"cloud-access-key\"
words = [\"acme\"]                      # name the provider in keys and file names
id-part = { patterns = [\"ACME{upnum:16}\"] }
secret-part = { patterns = [\"{alnum:40}\"], names = [\"acmesecret\"] }
examples = [\"ACME_KEY_ID={id}\\nACME_SECRET_KEY={secret}\\n\"]
look-alikes = [\"ACME{upnum:9}\\n\"]
```

A pattern is literals and `{class:length}` or `{class:least-most}`. Classes: `digit lower upper alpha
alnum upnum lownum lowdash hex xdigit base32 word url urldot b64 b64any padded pct tilde django cask month print`. A secret
has at least 16 characters; a secret without an id begins with two fixed characters or with 32 letters
and digits before a separator, has a `marker` (two fixed characters or more further in; `behind` is what
may be written right before such a secret), or sets `by-word = true`, and then stands only beside a key
that holds one of its words. A word has a letter or a digit and at most 64 bytes; one of several parts is
known however they are joined (`data.gov`, `DATA_GOV`). A rule that asks for less is set aside by name and
the others stay. `service = [{ id, about, words, patterns, source, proof }]` is the short form of a token, with
words `by-word`; every one of its patterns is tried in examples that all short forms share. `{uuid}`
is short for a UUID. Examples hold `{id}`, `{secret}`, `{token}` or a class; look-alikes may hold the
secret `{short}` by one character or `{masked}`.

## The rules

| rule | kind | forms | what it is | source |
|---|---|---|---|---|
";

impl RuleSet {
    /// The reference page of this set.
    #[must_use]
    pub fn reference(&self) -> String {
        let mut page = HEAD.to_owned();
        for rule in self.rules() {
            let kind = match rule.kind {
                Kind::AccessKeyPair => "access key pair",
                Kind::Password => "password",
                Kind::PrivateKey => "private key",
                Kind::SecretKey => "secret key",
                Kind::TemporaryCredential => "temporary credential",
                _ => "token",
            };
            let row = writeln!(
                page,
                "| `{}` | {kind} | {} | {} | {} |",
                rule.id,
                forms(rule),
                cell(&rule.about),
                cell(&rule.source)
            );
            debug_assert!(row.is_ok(), "writing to a string cannot fail");
        }
        page
    }
}

/// The first shape of each half.
fn forms(rule: &Rule) -> String {
    let first = |shape: &super::Shape| shape.patterns.first().map(|pattern| format!("`{pattern}`"));
    let mut forms: Vec<String> = first(&rule.public)
        .into_iter()
        .chain(first(&rule.secret))
        .collect();
    let more = rule.public.patterns.len() + rule.secret.patterns.len() - forms.len();
    if more > 0 {
        forms.push(format!("and {more} more"));
    }
    if rule.by_word {
        forms.push(format!("beside {}", rule.words.join(", ")));
    }
    forms.join(", ").replace('|', "\\|")
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_page_is_what_the_rules_say() {
        let page = RuleSet::builtin().reference();
        let committed = include_str!("../../../docs/reference/rules.md");
        assert!(
            page == committed,
            "write it anew: cargo run -p akwatch-detect --example cases -- rules > docs/reference/rules.md"
        );
    }
}
