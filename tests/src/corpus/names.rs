//! How people name things: words joined in the manner of their format, prefixed by team, product and
//! stage.

use super::dice::Dice;

/// The name of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// As documentation has it: written so in every format.
    Exact(String),
    /// Words, to be joined in some style.
    Words(Vec<String>),
}

impl Key {
    /// Words from a phrase.
    #[must_use]
    pub fn words(phrase: &str) -> Key {
        Key::Words(phrase.split_whitespace().map(str::to_owned).collect())
    }

    /// The same with words before it; a documented name keeps its form.
    #[must_use]
    pub fn prefixed(self, prefix: &str) -> Key {
        match self {
            Key::Exact(name) => Key::Exact(name),
            Key::Words(words) => {
                let mut all: Vec<String> = prefix.split_whitespace().map(str::to_owned).collect();
                all.extend(words);
                Key::Words(all)
            }
        }
    }

    /// Writes it in `style`.
    #[must_use]
    pub fn written(&self, style: Style) -> String {
        match self {
            Key::Exact(name) => name.clone(),
            Key::Words(words) => style.join(words),
        }
    }
}

/// How words are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// `max_open_files`
    Snake,
    /// `MAX_OPEN_FILES`
    Screaming,
    /// `maxOpenFiles`
    Camel,
    /// `MaxOpenFiles`
    Pascal,
    /// `max-open-files`
    Kebab,
    /// `max.open.files`
    Dotted,
}

impl Style {
    /// Joins words.
    #[must_use]
    pub fn join(self, words: &[String]) -> String {
        let words = words.iter().flat_map(|word| word.split('_'));
        match self {
            Style::Snake => words.collect::<Vec<_>>().join("_"),
            Style::Screaming => words.collect::<Vec<_>>().join("_").to_uppercase(),
            Style::Kebab => words.collect::<Vec<_>>().join("-"),
            Style::Dotted => words.collect::<Vec<_>>().join("."),
            Style::Pascal => words.map(capital).collect(),
            Style::Camel => {
                let joined: String = words.map(capital).collect();
                let mut letters = joined.chars();
                let first = letters.next().map(|letter| letter.to_ascii_lowercase());
                first.into_iter().chain(letters).collect()
            }
        }
    }
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

/// Parts of companies' products.
pub const PRODUCTS: &[&str] = &[
    "billing", "orders", "catalog", "gateway", "ledger", "reports", "media", "search", "portal",
    "crm", "wms", "payroll", "invoice", "shop", "ticket", "iot", "fleet", "risk", "member",
    "coupon", "settle", "push", "audit", "etl", "archive", "video", "mall", "erp", "oa", "hr",
];

/// Stages.
pub const STAGES: &[&str] = &[
    "prod", "staging", "uat", "pre", "test", "dr", "blue", "canary",
];

/// Systems that ask for a password.
pub const SYSTEMS: &[&str] = &[
    "db",
    "mysql",
    "postgres",
    "pg",
    "redis",
    "mongo",
    "rabbitmq",
    "mq",
    "kafka",
    "ldap",
    "smtp",
    "mail",
    "ftp",
    "sftp",
    "es",
    "elastic",
    "clickhouse",
    "oracle",
    "mssql",
    "nacos",
    "zookeeper",
    "druid",
    "grafana",
    "admin",
    "root",
    "vpn",
    "proxy",
    "nas",
    "replication",
    "influx",
    "neo4j",
    "couchdb",
    "sentinel",
    "keystore",
    "truststore",
    "jwt",
    "datasource",
    "superuser",
    "backup",
];

/// What people call a password.
pub const PASSWORDS: &[&str] = &[
    "password",
    "passwd",
    "pwd",
    "pass",
    "passphrase",
    "user password",
    "login password",
    "admin pwd",
    "auth password",
    "conn password",
    "master password",
    "secret",
];

/// A product, perhaps with its stage.
pub fn product(dice: &mut Dice) -> String {
    let product = dice.one(PRODUCTS);
    match dice.below(4) {
        0 => format!("{product} {}", dice.one(STAGES)),
        1 => format!("{} {product}", dice.one(STAGES)),
        _ => product.to_owned(),
    }
}

/// The key of a password for `system`.
pub fn password_key(system: &str, dice: &mut Dice) -> Key {
    let what = dice.one(PASSWORDS);
    let phrase = match dice.below(3) {
        0 => format!("{} {system} {what}", dice.one(PRODUCTS)),
        _ => format!("{system} {what}"),
    };
    Key::words(&phrase)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_joined_as_each_format_likes_them() {
        let key = Key::words("max open files");
        for (style, name) in [
            (Style::Snake, "max_open_files"),
            (Style::Screaming, "MAX_OPEN_FILES"),
            (Style::Camel, "maxOpenFiles"),
            (Style::Pascal, "MaxOpenFiles"),
            (Style::Kebab, "max-open-files"),
            (Style::Dotted, "max.open.files"),
        ] {
            assert_eq!(key.written(style), name);
        }
    }
}
