//! Which hosts a caller may see. Every read takes one.

use std::collections::BTreeMap;

use akwatch_proto::agent::HostId;

/// The hosts that a read may speak of; counts are computed within it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Every host.
    All,
    /// Hosts that carry at least one of these labels. Only labels that grant scope count: those of
    /// the enrollment token or of a person, never those that a host claims. An empty map sees
    /// nothing.
    Labels(BTreeMap<String, String>),
    /// One host: what an agent may ask about itself.
    Host(HostId),
}

impl Scope {
    /// What a person whose record names these labels may see: the fleet when it names none.
    #[must_use]
    pub fn of_labels(labels: BTreeMap<String, String>) -> Scope {
        if labels.is_empty() {
            Scope::All
        } else {
            Scope::Labels(labels)
        }
    }

    /// What is left of this scope within `labels`, which narrow nothing when there are none.
    #[must_use]
    pub fn narrowed(self, labels: BTreeMap<String, String>) -> Scope {
        match self {
            scope if labels.is_empty() => scope,
            Scope::All => Scope::Labels(labels),
            Scope::Labels(mut own) => {
                own.retain(|key, value| labels.get(key) == Some(value));
                Scope::Labels(own)
            }
            Scope::Host(host) => Scope::Host(host),
        }
    }

    /// Whether `labels` name nothing beyond this scope.
    #[must_use]
    pub fn holds(&self, labels: &BTreeMap<String, String>) -> bool {
        match self {
            Scope::All => true,
            Scope::Labels(own) => labels
                .iter()
                .all(|(key, value)| own.get(key) == Some(value)),
            Scope::Host(_) => labels.is_empty(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn a_token_sees_at_most_what_its_person_sees() {
        let (prod, test) = (labels(&[("env", "prod")]), labels(&[("env", "test")]));
        let both = labels(&[("env", "prod"), ("team", "pay")]);
        let check = |own: &BTreeMap<_, _>, asked: &BTreeMap<_, _>, expected| {
            assert_eq!(
                Scope::of_labels(own.clone()).narrowed(asked.clone()),
                expected
            );
        };
        let none = labels(&[]);
        check(&none, &none, Scope::All);
        check(&none, &prod, Scope::Labels(prod.clone()));
        check(&prod, &none, Scope::Labels(prod.clone()));
        check(&both, &prod, Scope::Labels(prod.clone()));
        // Nothing in common: nothing is seen, which is not the same as everything.
        check(&prod, &test, Scope::Labels(none.clone()));
        assert!(Scope::All.holds(&prod));
        assert!(Scope::Labels(both.clone()).holds(&prod));
        assert!(!Scope::Labels(prod).holds(&both));
    }
}
