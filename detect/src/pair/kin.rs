//! What the names of two halves share once everything is left out that says which half they are.
//!
//! The stem of a name is what is left of it without the longest known ending, and endings differ from
//! half to half: `S3_ACCESS_KEY` leaves `s3`, `S3_SECRET_KEY` nothing, since a rule knows it as a whole.
//! Kin is coarser and the same for both: all words of the key path but those that say id, key or secret.
//! `KEYID_MEDIA` and `KEYSECRET_MEDIA` are kin by `media`, wherever they stand in a list of ten.

/// Words that say what a half is. A word of a name that ends like one of them loses that end, as often as
/// it has one: `aliaccesskeyid` leaves `ali`.
const ROLES: [&[u8]; 40] = [
    b"access",
    b"account",
    b"ak",
    b"api",
    b"app",
    b"application",
    b"client",
    b"code",
    b"consumer",
    b"hmac",
    b"id",
    b"key",
    b"keys",
    b"name",
    b"number",
    b"password",
    b"passwd",
    b"private",
    b"pri",
    b"priv",
    b"pub",
    b"public",
    b"pwd",
    b"root",
    b"sec",
    b"secret",
    b"security",
    b"session",
    b"shared",
    b"sk",
    b"storage",
    b"sts",
    b"temp",
    b"temporary",
    b"tmp",
    b"token",
    b"user",
    b"username",
    b"val",
    b"value",
];
/// Bytes of a path that are looked at, from its end.
const LONGEST: usize = 256;

/// The kin of the name `path`, by which it finds its other half.
pub(super) fn of(path: &[u8]) -> Vec<u8> {
    let path = &path[path.len().saturating_sub(LONGEST)..];
    let mut kin: Vec<u8> = Vec::with_capacity(path.len());
    let mut word = 0;
    let mut previous = b'.';
    for &byte in path {
        let apart = byte.is_ascii() && !byte.is_ascii_alphanumeric();
        let hump = byte.is_ascii_uppercase() && !previous.is_ascii_uppercase();
        let number = byte.is_ascii_digit() != previous.is_ascii_digit();
        if apart || hump || number {
            word = ended(&mut kin, word);
        }
        if !apart {
            kin.push(byte.to_ascii_lowercase());
        }
        previous = byte;
    }
    ended(&mut kin, word);
    kin
}

/// Takes from the word that begins at `start` and ends `kin` what says its half; answers where the next
/// one begins. Words stay apart.
fn ended(kin: &mut Vec<u8>, start: usize) -> usize {
    while let Some(role) = ROLES.iter().find(|role| kin[start..].ends_with(role)) {
        kin.truncate(kin.len() - role.len());
    }
    if kin.len() > start {
        kin.push(b'.');
    }
    kin.len()
}

#[cfg(test)]
mod tests {
    fn check(one: &str, other: &str, kin: &str) {
        for name in [one, other] {
            let found = super::of(name.as_bytes());
            assert_eq!(String::from_utf8_lossy(&found), kin, "{name}");
        }
    }

    #[test]
    fn both_halves_have_the_same_kin() {
        check("OSS_ACCESS_KEY_ID", "OSS_ACCESS_KEY_SECRET", "oss.");
        check("store.S3_ACCESS_KEY", "store.S3_SECRET_KEY", "store.s.3.");
        check("KEYID_MEDIA", "KEYSECRET_MEDIA", "media.");
        check("BACKUP_APP_KEY", "BACKUP_APP_SECRET", "backup.");
        check("aws.dev.awsKey", "aws.dev.awsSecret", "aws.dev.aws.");
        check("AZURE_ACCOUNT_NAME", "AZURE_ACCOUNT_KEY", "azure.");
        check("ak2", "sk2", "2.");
        check("aliaccesskeyid", "aliaccesskeysecret", "ali.");
        check("SecretId", "SecretKey", "");
        check("MINIO_ROOT_USER", "MINIO_ROOT_PASSWORD", "minio.");
    }

    #[test]
    fn those_of_others_differ() {
        assert_ne!(super::of(b"DEV_AK"), super::of(b"PROD_SK"));
        assert_ne!(super::of(b"a.b.key"), super::of(b"ab.secret"));
        assert_ne!(super::of(b"key_1"), super::of(b"secret_2"));
    }
}
