//! Session tokens and expiries, found by scope: a pair asks for the best one near it without going over
//! all that a text holds.

use std::collections::HashMap;

use crate::judge::{Candidate, Part};
use crate::syntax::{ScopeId, Scopes};

/// How good a token is, beside which it stands last: with a beginning of its own, later in the text.
type Rank = (bool, usize);

/// What one scope holds, or the scopes just inside it.
#[derive(Default)]
struct Held {
    tokens: HashMap<Vec<u8>, Rank>,
    any: Option<Rank>,
    expiry: Option<usize>,
}

/// The tokens and expiries of one scan.
pub(super) struct Beside {
    own: HashMap<ScopeId, Held>,
    inside: HashMap<ScopeId, Held>,
}

impl Beside {
    pub(super) fn of(candidates: &[Candidate], kin: &[Vec<u8>], scopes: &Scopes) -> Beside {
        let mut beside = Beside {
            own: HashMap::new(),
            inside: HashMap::new(),
        };
        for (at, found) in candidates.iter().enumerate() {
            if !matches!(found.part, Part::Token | Part::Expiry) {
                continue;
            }
            let own = beside.own.entry(found.scope).or_default();
            own.add(at, found, &kin[at]);
            let around = scopes.parent(found.scope);
            beside
                .inside
                .entry(around)
                .or_default()
                .add(at, found, &kin[at]);
        }
        beside
    }

    /// The token and the expiry of a pair whose halves stand in `id` and `secret` and were linked in
    /// `scope`: in one of these, just inside, or just around a half. The token whose name is the pair's
    /// kin comes first, the expiry that is written first.
    pub(super) fn pair(
        &self,
        [id, secret, scope]: [ScopeId; 3],
        kin: &[u8],
        scopes: &Scopes,
    ) -> (Option<usize>, Option<usize>) {
        let around = |one: ScopeId| Some(scopes.parent(one)).filter(|_| one != scope);
        let near = [
            Some(id),
            Some(secret),
            Some(scope),
            around(id),
            around(secret),
        ];
        let within = [id, secret, scope];
        let held = || {
            let own = near.iter().flatten().filter_map(|one| self.own.get(one));
            own.chain(within.iter().filter_map(|one| self.inside.get(one)))
        };
        let of_kin = held().filter_map(|held| held.tokens.get(kin)).max();
        let token = of_kin.or_else(|| held().filter_map(|held| held.any.as_ref()).max());
        let outside = self.own.get(&scopes.parent(scope));
        let expiry = held().chain(outside).filter_map(|held| held.expiry).min();
        (token.map(|&(_, at)| at), expiry)
    }
}

impl Held {
    /// Candidates come in the order of the text.
    fn add(&mut self, at: usize, found: &Candidate, kin: &[u8]) {
        if found.part == Part::Expiry {
            self.expiry.get_or_insert(at);
            return;
        }
        let rank = (found.prefixed, at);
        let known = self.tokens.entry(kin.to_vec()).or_insert(rank);
        *known = rank.max(*known);
        self.any = self.any.max(Some(rank));
    }
}
