//! Which ids of a scope are compared with which of its secrets: all with all while they are few, else
//! each with its neighbours and with those of its own kin. The cost grows with their number, never with
//! its square.

use std::collections::HashMap;

/// Comparisons that each value of a scope may cost on average.
const EACH: usize = 64;
/// Values before and behind one, in the order of the text, that are compared with it.
const NEIGHBOURS: usize = 16;
/// The same among those of one kin, which may stand anywhere.
const OF_ONE_KIN: usize = 8;

/// Pairs of an id and a secret, and whether some were left out. Both lists are in the order of the text.
pub(super) fn pairs<'a>(
    ids: &[usize],
    secrets: &[usize],
    kin: impl Fn(usize) -> &'a [u8],
) -> (Vec<(usize, usize)>, bool) {
    if ids.len() * secrets.len() <= EACH * (ids.len() + secrets.len()) {
        let all = ids
            .iter()
            .flat_map(|&id| secrets.iter().map(move |&secret| (id, secret)));
        return (all.collect(), false);
    }
    let mut pairs = Vec::new();
    neighbours(ids, secrets, NEIGHBOURS, &mut pairs);
    let mut kins: HashMap<&[u8], (Vec<usize>, Vec<usize>)> = HashMap::new();
    for &id in ids {
        kins.entry(kin(id)).or_default().0.push(id);
    }
    for &secret in secrets {
        kins.entry(kin(secret)).or_default().1.push(secret);
    }
    for (ids, secrets) in kins.values() {
        neighbours(ids, secrets, OF_ONE_KIN, &mut pairs);
    }
    pairs.sort_unstable();
    pairs.dedup();
    (pairs, true)
}

/// Each id with the nearest secrets on either side, each secret with the nearest ids.
fn neighbours(ids: &[usize], secrets: &[usize], most: usize, pairs: &mut Vec<(usize, usize)>) {
    let near = |others: &[usize], at: usize| {
        let here = others.partition_point(|&other| other < at);
        here.saturating_sub(most)..others.len().min(here + most)
    };
    for &id in ids {
        pairs.extend(
            secrets[near(secrets, id)]
                .iter()
                .map(|&secret| (id, secret)),
        );
    }
    for &secret in secrets {
        pairs.extend(ids[near(ids, secret)].iter().map(|&id| (id, secret)));
    }
}
