//! Who asks, and what each role may do: one table, asked by every handler.

use std::collections::BTreeMap;

use akwatch_proto::agent::RefusalCode;
use akwatch_proto::people::Role;
use akwatch_store::{Actor, Scope};

use crate::domain::refusal::Refusal;

/// How somebody proved who they are.
#[derive(Clone, Debug)]
pub(super) enum Proof {
    /// The hash of a session's value.
    Session([u8; 32]),
    /// An API token's id.
    Token(String),
}

/// Somebody who is signed in: what they see is bounded by their scope, what they do is done in
/// their name. Only the domain makes one.
#[derive(Clone, Debug)]
pub struct Asker {
    name: String,
    role: Role,
    scope: Scope,
    proof: Proof,
    from: Option<String>,
}

impl Asker {
    pub(super) fn new(
        name: String,
        role: Role,
        scope: Scope,
        proof: Proof,
        from: Option<String>,
    ) -> Asker {
        Asker {
            name,
            role,
            scope,
            proof,
            from,
        }
    }

    /// The person's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The role in force: the person's, or the token's if that is less.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }

    /// The name that stands in the audit log: it tells a person from a person's token.
    #[must_use]
    pub fn signature(&self) -> String {
        match &self.proof {
            Proof::Session(_) => self.name.clone(),
            Proof::Token(id) => format!("token:{id} of {}", self.name),
        }
    }

    /// Which hosts the asker may see.
    pub(super) fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The labels of the hosts that the asker may see; none when that is the fleet.
    #[must_use]
    pub fn labels(&self) -> Option<&BTreeMap<String, String>> {
        static NOTHING: BTreeMap<String, String> = BTreeMap::new();
        match &self.scope {
            Scope::All => None,
            Scope::Labels(labels) => Some(labels),
            Scope::Host(_) => Some(&NOTHING),
        }
    }

    /// Refuses who sees a part of the fleet what concerns all of it.
    pub(super) fn must_see_the_fleet(&self) -> Result<(), Refusal> {
        if self.scope == Scope::All {
            return Ok(());
        }
        Err(Refusal::new(
            RefusalCode::Forbidden,
            "This concerns the whole fleet, and you see a part of it.",
        )
        .hint("Ask somebody whose role is not limited to labels."))
    }

    /// The session, when it was not a token.
    pub(super) fn session(&self) -> Option<[u8; 32]> {
        match self.proof {
            Proof::Session(hash) => Some(hash),
            Proof::Token(_) => None,
        }
    }

    pub(super) fn actor(&self) -> Actor {
        Actor {
            name: self.signature(),
            from: self.from.clone(),
        }
    }
}

/// Something that a person may be allowed to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// See hosts, credentials, findings, counts and events.
    Read,
    /// See access key ids whole, not masked.
    ReadIds,
    /// Ask who holds a pasted secret.
    AskWhoHolds,
    /// Retire, rescan and pause hosts.
    ActOnHosts,
    /// Decide about credentials.
    Decide,
    /// Make and delete enrollment tokens.
    Enroll,
    /// Make and change people.
    ManagePeople,
    /// Read the audit log.
    ReadAudit,
    /// Make, see and delete one's own API tokens.
    OwnTokens,
}

/// Whether `role` may do `operation`. What is not named here is refused.
#[must_use]
pub fn may(role: Role, operation: Operation) -> bool {
    use Operation as Op;
    match role {
        Role::Viewer => matches!(operation, Op::Read | Op::OwnTokens),
        Role::Responder => matches!(
            operation,
            Op::Read | Op::ReadIds | Op::AskWhoHolds | Op::ActOnHosts | Op::Decide | Op::OwnTokens
        ),
        Role::Admin => true,
        Role::Auditor => matches!(operation, Op::ReadAudit | Op::OwnTokens),
    }
}

/// Whether a person may make a token of role `asked`: it may do nothing that the person may not.
#[must_use]
pub fn may_grant(own: Role, asked: Role) -> bool {
    EVERY
        .iter()
        .all(|operation| may(own, *operation) || !may(asked, *operation))
}

const EVERY: [Operation; 9] = [
    Operation::Read,
    Operation::ReadIds,
    Operation::AskWhoHolds,
    Operation::ActOnHosts,
    Operation::Decide,
    Operation::Enroll,
    Operation::ManagePeople,
    Operation::ReadAudit,
    Operation::OwnTokens,
];

#[cfg(test)]
mod tests {
    use super::*;

    const ROLES: [Role; 4] = [Role::Viewer, Role::Responder, Role::Admin, Role::Auditor];

    #[test]
    fn each_operation_has_its_roles() {
        let check = |operation, roles: &[Role]| {
            for role in ROLES {
                assert_eq!(
                    may(role, operation),
                    roles.contains(&role),
                    "{operation:?} {role:?}"
                );
            }
        };
        check(
            Operation::Read,
            &[Role::Viewer, Role::Responder, Role::Admin],
        );
        check(Operation::ReadIds, &[Role::Responder, Role::Admin]);
        check(Operation::AskWhoHolds, &[Role::Responder, Role::Admin]);
        check(Operation::ActOnHosts, &[Role::Responder, Role::Admin]);
        check(Operation::Decide, &[Role::Responder, Role::Admin]);
        check(Operation::Enroll, &[Role::Admin]);
        check(Operation::ManagePeople, &[Role::Admin]);
        check(Operation::ReadAudit, &[Role::Admin, Role::Auditor]);
        check(Operation::OwnTokens, &ROLES);
    }

    #[test]
    fn a_token_never_does_more_than_its_person() {
        for own in ROLES {
            for asked in ROLES {
                let expected = own == asked
                    || own == Role::Admin
                    || (own, asked) == (Role::Responder, Role::Viewer);
                assert_eq!(may_grant(own, asked), expected, "{own:?} {asked:?}");
            }
        }
    }
}
