//! Whether an enrollment token lets another host in.

use akwatch_proto::time::Time;
use akwatch_store::enrollment::{TokenRecord, TokenRefusal};

/// Decides about a token whose secret was right. The store asks inside the transaction that uses the
/// token up, so that two hosts cannot share its last use.
///
/// # Errors
/// When its time is over or it was used as often as it may be.
pub fn may_enroll(token: &TokenRecord, now: Time) -> Result<(), TokenRefusal> {
    if now >= token.token.until {
        return Err(TokenRefusal::Expired);
    }
    if token.token.used >= token.token.uses {
        return Err(TokenRefusal::UsedUp);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use akwatch_proto::agent::TokenId;
    use akwatch_proto::people::EnrollmentToken;

    use super::*;

    fn check(used: u32, now: i64, expected: Result<(), TokenRefusal>) {
        let token = TokenRecord {
            token: EnrollmentToken {
                id: TokenId::parse("t1").unwrap(),
                uses: 2,
                used,
                until: Time(100),
                labels: BTreeMap::new(),
                note: None,
                created_by: "ada".to_owned(),
                created: Time(0),
            },
            secret_hash: [0; 32],
        };
        assert_eq!(may_enroll(&token, Time(now)), expected);
    }

    #[test]
    fn a_token_ends_by_time_and_by_use() {
        check(0, 99, Ok(()));
        check(1, 99, Ok(()));
        check(2, 99, Err(TokenRefusal::UsedUp));
        check(0, 100, Err(TokenRefusal::Expired));
    }
}
