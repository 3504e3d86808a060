//! What is no credential: ordinary settings, and what looks like one and must not be reported.

use super::block::Entry;
use super::dice::{ALNUM, BASE64, BASE64URL, Dice, HEX, LOWNUM};
use super::names::Key;
use super::text::base64;

const WORDS: &[&str] = &[
    "pool", "timeout", "retry", "level", "path", "zone", "queue", "topic", "index", "shard",
    "batch", "window", "interval", "locale", "theme", "width", "schema", "table", "driver",
    "header", "domain", "worker", "thread", "limit", "filter", "format", "charset", "replica",
    "quota", "cursor", "page",
];

/// An ordinary setting.
pub fn setting(dice: &mut Dice) -> Entry {
    let name = format!("{} {}", dice.one(WORDS), dice.one(WORDS));
    let value = match dice.below(9) {
        0 => dice.within(1, 65_000).to_string(),
        1 => dice
            .one(&[
                "true", "false", "on", "off", "auto", "info", "warn", "utf-8", "zh_CN",
            ])
            .to_owned(),
        2 => format!("/var/lib/{}/{}", dice.one(WORDS), dice.one(WORDS)),
        3 => format!(
            "https://{}.acme.cn/{}/v{}",
            dice.one(WORDS),
            dice.one(WORDS),
            dice.below(5)
        ),
        4 => format!(
            "{}.{}.internal:{}",
            dice.one(WORDS),
            dice.one(WORDS),
            dice.within(80, 9999)
        ),
        5 => format!("{}s", dice.within(1, 900)),
        6 => format!(
            "{} {} {}",
            dice.one(WORDS),
            dice.one(WORDS),
            dice.one(WORDS)
        ),
        7 => format!("com.acme.{}.{}Filter", dice.one(WORDS), dice.one(WORDS)),
        _ => format!("{}-{}", dice.one(WORDS), dice.one(WORDS)),
    };
    Entry::new(Key::words(&name), value)
}

/// A setting whose name or value looks like a credential's and is none.
pub fn lookalike(dice: &mut Dice) -> Entry {
    let (name, value): (String, String) = match dice.below(6) {
        0 => placeholder(dice),
        1 => reference(dice),
        2 => ciphertext(dice),
        3 => digest(dice),
        4 => public(dice),
        _ => named(dice),
    };
    Entry::new(Key::words(&name), value)
}

/// What stands where a secret will be put, or once stood.
fn placeholder(dice: &mut Dice) -> (String, String) {
    let name = dice.one(&[
        "db password",
        "secret key",
        "access key secret",
        "api key",
        "auth token",
        "client secret",
        "admin passwd",
        "sk",
    ]);
    let value = dice.one(&[
        "changeme",
        "CHANGE_ME",
        "your-secret-key-here",
        "<your access key>",
        "xxxxxxxxxxxxxxxxxxxx",
        "********",
        "TODO",
        "REPLACE_WITH_REAL_VALUE",
        "example",
        "null",
        "none",
        "LTAI****************",
        "AKIDxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "AKIAIOSFODNN7EXAMPLE",
        "请填写密钥",
        "你的SecretKey",
        "YOUR_ACCESS_KEY_SECRET",
        "00000000000000000000000000000000",
        "password123456789_placeholder",
        "__SECRET__",
        "@SECRET_KEY@",
        "insert-token-here",
        "dummy-token-for-tests",
        "n/a",
        "***REMOVED***",
        "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "[redacted]",
        "AccessKeySecret",
        "secretKey",
    ]);
    (name.to_owned(), value.to_owned())
}

/// What names a secret that lies elsewhere.
fn reference(dice: &mut Dice) -> (String, String) {
    let name = dice.one(&[
        "mysql password",
        "oss access key secret",
        "api token",
        "secret",
        "private key",
        "credentials",
    ]);
    let value = match dice.below(16) {
        0 => "${DB_PASSWORD}".to_owned(),
        1 => "${MYSQL_PWD:-}".to_owned(),
        2 => "{{ .Values.mysql.auth.password }}".to_owned(),
        3 => "{{ vault_oss_secret }}".to_owned(),
        4 => "vault:secret/data/billing#access_key_secret".to_owned(),
        5 => format!(
            "arn:aws:secretsmanager:eu-west-1:{}:secret:prod/db-{}",
            dice.text("0123456789", 12),
            dice.text(ALNUM, 6)
        ),
        6 => "projects/acme/secrets/mysql-root/versions/latest".to_owned(),
        7 => "/run/secrets/mysql_root_password".to_owned(),
        8 => "env:OSS_ACCESS_KEY_SECRET".to_owned(),
        9 => "file:///etc/keys/jwt-signing.key".to_owned(),
        10 => "%(db_password)s".to_owned(),
        11 => "$__file{/etc/grafana/secrets/smtp}".to_owned(),
        12 => "op://infra/mysql/password".to_owned(),
        13 => "keyring:mysql-backup".to_owned(),
        14 => "secretKeyRef/billing-secret".to_owned(),
        _ => "ssm:/prod/billing/db-password".to_owned(),
    };
    (name.to_owned(), value)
}

/// What is encrypted.
fn ciphertext(dice: &mut Dice) -> (String, String) {
    let name = dice.one(&[
        "spring datasource password",
        "redis password",
        "token",
        "client secret",
        "sk",
    ]);
    let value = match dice.below(6) {
        0 => format!("ENC({})", base64(&dice.bytes(32))),
        1 => format!(
            "ENC[AES256_GCM,data:{},iv:{},tag:{},type:str]",
            base64(&dice.bytes(18)),
            base64(&dice.bytes(32)),
            base64(&dice.bytes(16))
        ),
        2 => format!("AQICAH{}", dice.text(BASE64, 180)),
        3 => format!("vault:v1:{}", base64(&dice.bytes(48))),
        4 => format!("{{AES}}{}", base64(&dice.bytes(32))),
        _ => format!("{{cipher}}{}", dice.text(HEX, 96)),
    };
    (name.to_owned(), value)
}

/// Hashes, identities, sums.
fn digest(dice: &mut Dice) -> (String, String) {
    let (name, value) = match dice.below(14) {
        0 => ("git commit", dice.text(HEX, 40)),
        1 => ("image digest", format!("sha256:{}", dice.text(HEX, 64))),
        2 => ("checksum", dice.text(HEX, 64)),
        3 => ("md5", dice.text(HEX, 32)),
        4 => ("request id", dice.uuid()),
        5 => ("trace id", dice.text(HEX, 32)),
        6 => ("integrity", format!("sha512-{}", base64(&dice.bytes(64)))),
        7 => ("etag", format!("\"{}\"", dice.text(HEX, 32))),
        8 => (
            "admin password hash",
            format!(
                "$2b$12${}",
                dice.text(
                    "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
                    53
                )
            ),
        ),
        9 => ("client id", dice.uuid()),
        10 => ("build id", dice.text(LOWNUM, 24)),
        11 => (
            "key fingerprint",
            format!("SHA256:{}", dice.text(BASE64, 43)),
        ),
        12 => ("etcd revision", dice.text("0123456789", 19)),
        _ => ("machine id", dice.text(HEX, 32)),
    };
    (name.to_owned(), value)
}

/// What is published on purpose.
fn public(dice: &mut Dice) -> (String, String) {
    let (name, value) = match dice.below(6) {
        0 => (
            "stripe publishable key",
            format!("pk_live_{}", dice.text(ALNUM, 24)),
        ),
        1 => (
            "ssh public key",
            format!(
                "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{} deploy@build",
                dice.text(BASE64, 43)
            ),
        ),
        2 => (
            "recaptcha site key",
            format!("6L{}", dice.text(BASE64URL, 38)),
        ),
        3 => (
            "age recipient",
            format!("age1{}", dice.text("qpzry9x8gf2tvdw0s3jn54khce6mua7l", 58)),
        ),
        4 => (
            "sentry dsn",
            format!(
                "https://{}@o{}.ingest.sentry.io/{}",
                dice.text(HEX, 32),
                dice.within(1000, 99_999),
                dice.within(1000, 99_999)
            ),
        ),
        _ => ("vapid public key", format!("B{}", dice.text(BASE64URL, 86))),
    };
    (name.to_owned(), value)
}

/// Names with the right words about other things.
fn named(dice: &mut Dice) -> (String, String) {
    let (name, value) = dice.one(&[
        ("token url", "https://login.acme.cn/oauth2/v2.0/token"),
        ("max tokens", "4096"),
        (
            "password policy",
            "length(12) and upperCase(1) and digits(1)",
        ),
        (
            "password encoder",
            "org.springframework.security.crypto.bcrypt.BCryptPasswordEncoder",
        ),
        ("secret name", "billing-mysql-credentials"),
        ("access key rotation days", "90"),
        ("private key path", "/etc/ssl/private/gateway.key"),
        ("token ttl", "3600s"),
        ("secret key ref", "oss-credentials"),
        (
            "credential provider",
            "com.amazonaws.auth.InstanceProfileCredentialsProvider",
        ),
        ("api key header", "X-Acme-Api-Key"),
        ("password label", "Please enter your password"),
        ("password hint", "请输入密码"),
        ("tokenizer", "cl100k_base"),
        ("object key", "uploads/2024/11/report-final.pdf"),
        ("secret rotation", "enabled"),
        ("auth mode", "password"),
        (
            "key serializer",
            "org.apache.kafka.common.serialization.StringSerializer",
        ),
        ("password field", "j_password"),
        ("token type", "Bearer"),
        ("primary key", "order_id,created_at"),
        ("routing key", "order.created.v2"),
        ("partition key", "tenant_id#user_id"),
        ("cookie secret name", "session-signing"),
        ("passwd file", "/etc/nginx/.htpasswd"),
        ("keyboard layout", "us-international"),
        ("token bucket size", "1000"),
        ("access key id header", "x-oss-access-key-id"),
    ]);
    (name.to_owned(), value.to_owned())
}
