//! What a configuration says, before it is written in a format: sections with entries, among them
//! credentials, ordinary settings and look-alikes.

use super::clouds::Cloud;
use super::dice::{Dice, HEX};
use super::lookalikes;
use super::names::{self, Key};
use super::page::Credential;
use super::passwords;
use super::tokens::{self, Service};

/// One setting.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its name.
    pub key: Key,
    /// Its value.
    pub value: String,
}

impl Entry {
    /// A setting.
    #[must_use]
    pub fn new(key: Key, value: impl Into<String>) -> Entry {
        Entry {
            key,
            value: value.into(),
        }
    }
}

/// A section.
#[derive(Clone, Debug, Default)]
pub struct Block {
    /// Words of its title.
    pub title: String,
    /// A comment above it.
    pub note: Option<String>,
    /// Its settings in order.
    pub entries: Vec<Entry>,
    /// The credentials among them.
    pub credentials: Vec<Credential>,
}

const REGIONS: &[&str] = &[
    "cn-hangzhou",
    "ap-guangzhou",
    "eu-central-1",
    "cn-north-4",
    "us-west-2",
    "fr-par",
];
const BUCKETS: &[&str] = &[
    "user-upload",
    "static-assets",
    "db-dump",
    "invoice-pdf",
    "media-origin",
    "logs-archive",
];

/// A section with an access key of `cloud`. Its name is near wherever the key has no form of its own.
pub fn cloud(cloud: &Cloud, dice: &mut Dice) -> Block {
    let mut credential = (cloud.make)(dice);
    let [id, secret, session] = halves(cloud, dice);
    let place = placed(cloud, dice);
    let mut entries = Vec::new();
    if id == Key::words("") || id == Key::Exact(String::new()) {
        credential.id = None;
    }
    if let Some(value) = &credential.id {
        entries.push(Entry::new(id.prefixed(&place.prefix), value));
    }
    let shown = match cloud.family {
        "azure-service-bus" | "azure-app-config" | "azure-sas" => &credential.also[0],
        _ => &credential.secret,
    };
    entries.push(Entry::new(secret.prefixed(&place.prefix), shown));
    if credential.id.is_some()
        && let Some(value) = credential.also.first()
    {
        entries.push(Entry::new(session.prefixed(&place.prefix), value));
    }
    if dice.once_in(4) {
        entries.reverse();
    }
    if let Some(endpoint) = place.endpoint {
        let key = Key::words(dice.one(&["endpoint", "host", "url", "server", "domain"]));
        let entry = Entry::new(key.prefixed(&place.prefix), endpoint);
        insert(&mut entries, entry, dice);
    }
    for (key, value) in [("region", dice.one(REGIONS)), ("bucket", dice.one(BUCKETS))] {
        if dice.once_in(2) {
            let entry = Entry::new(Key::words(key).prefixed(&place.prefix), value);
            insert(&mut entries, entry, dice);
        }
    }
    for _ in 0..dice.below(3) {
        let entry = lookalikes::setting(dice);
        insert(&mut entries, entry, dice);
    }
    Block {
        title: place.title,
        note: place.note,
        entries,
        credentials: vec![credential],
    }
}

/// The names of id, secret and session token: as documented, or as people call them.
fn halves(cloud: &Cloud, dice: &mut Dice) -> [Key; 3] {
    if dice.once_in(3) {
        let (id, secret, session) = dice.one(cloud.documented);
        let session = if session.is_empty() {
            "session_token"
        } else {
            session
        };
        [id, secret, session].map(|name| Key::Exact(name.to_owned()))
    } else {
        let (id, secret) = dice.one(cloud.halves);
        [id, secret, "session token"].map(Key::words)
    }
}

/// Where a cloud's name stands.
struct Placed {
    title: String,
    prefix: String,
    note: Option<String>,
    endpoint: Option<String>,
}

/// In the names, in the title, or only in an endpoint.
fn placed(cloud: &Cloud, dice: &mut Dice) -> Placed {
    let brand = dice.one(cloud.brands);
    let mut place = Placed {
        title: names::product(dice),
        prefix: String::new(),
        note: dice.once_in(3).then(|| dice.one(cloud.notes).to_owned()),
        endpoint: dice
            .once_in(2)
            .then(|| dice.one(cloud.endpoints).to_owned()),
    };
    match dice.below(4) {
        0 => brand.clone_into(&mut place.prefix),
        1 => brand.clone_into(&mut place.title),
        2 => place.title = format!("{} {brand}", place.title),
        _ => {
            let titles = ["storage", "file store", "backup target", "upload", "object"];
            dice.one(&titles).clone_into(&mut place.title);
            place.endpoint = Some(dice.one(cloud.endpoints).to_owned());
        }
    }
    place
}

/// A section with a token of `service`.
pub fn service(service: &Service, dice: &mut Dice) -> Block {
    let credential = tokens::make(service, dice);
    let name = dice.one(service.names).to_owned();
    let mut block = Block {
        title: names::product(dice),
        entries: vec![Entry::new(Key::Exact(name), &credential.secret)],
        credentials: vec![credential],
        ..Block::default()
    };
    for _ in 0..dice.within(1, 4) {
        let entry = lookalikes::setting(dice);
        insert(&mut block.entries, entry, dice);
    }
    block
}

/// A section with the account of a system: host, user, password.
pub fn account(dice: &mut Dice) -> Block {
    let system = dice.one(names::SYSTEMS);
    let credential = passwords::secret("password", dice);
    let titled = dice.once_in(2);
    let key = if titled {
        Key::words(dice.one(names::PASSWORDS))
    } else {
        names::password_key(system, dice)
    };
    let user = dice.one(&[
        "app_rw",
        "svc-orders",
        "readonly",
        "deploy",
        "sa",
        "replicator",
        "zhangsan",
        "u_billing",
    ]);
    let mut entries = vec![
        Entry::new(
            Key::words("host"),
            format!(
                "10.{}.{}.{}",
                dice.below(250),
                dice.below(250),
                dice.within(2, 250)
            ),
        ),
        Entry::new(
            Key::words(dice.one(&["user", "username", "login", "account"])),
            user,
        ),
        Entry::new(key, &credential.secret),
    ];
    if dice.once_in(3) {
        entries.swap(1, 2);
    }
    entries.push(lookalikes::setting(dice));
    Block {
        title: if titled {
            system.to_owned()
        } else {
            names::product(dice)
        },
        entries,
        credentials: vec![credential],
        ..Block::default()
    }
}

/// A section with a URL or connection string that holds a password.
pub fn connection(dice: &mut Dice) -> Block {
    let password = passwords::plain_secret("url-password", dice);
    let secret = &password.secret;
    let host = format!(
        "{}-{}.internal",
        dice.one(names::SYSTEMS),
        dice.within(1, 9)
    );
    let user = dice.one(&["svc", "app", "writer", "bi_reader", "root"]);
    let (name, value) = match dice.below(12) {
        0 => (
            "database url",
            format!("postgres://{user}:{secret}@{host}:5432/orders?sslmode=disable"),
        ),
        1 => (
            "mongo uri",
            format!("mongodb+srv://{user}:{secret}@{host}/events?retryWrites=true"),
        ),
        2 => ("redis url", format!("redis://:{secret}@{host}:6379/3")),
        3 => (
            "broker url",
            format!("amqp://{user}:{secret}@{host}:5672/%2Fprod"),
        ),
        4 => (
            "dsn",
            format!("{user}:{secret}@tcp({host}:3306)/shop?parseTime=true"),
        ),
        5 => (
            "jdbc url",
            format!("jdbc:mysql://{host}:3306/shop?user={user}&password={secret}&useSSL=false"),
        ),
        6 => (
            "connection string",
            format!("Server={host};Database=Crm;User Id={user};Password={secret};Encrypt=true"),
        ),
        7 => (
            "odbc",
            format!(
                "Driver={{ODBC Driver 18 for SQL Server}};Server={host};Uid={user};Pwd={secret};"
            ),
        ),
        8 => (
            "smtp url",
            format!("smtps://{user}%40acme.cn:{secret}@{host}:465"),
        ),
        9 => ("ldap url", format!("ldap://{user}:{secret}@{host}:389")),
        10 => (
            "sqlalchemy uri",
            format!("mysql+pymysql://{user}:{secret}@{host}/stats?charset=utf8mb4"),
        ),
        _ => ("proxy", format!("http://{user}:{secret}@{host}:3128")),
    };
    let credential = Credential {
        also: vec![value.clone()],
        ..password
    };
    let mut entries = vec![Entry::new(Key::words(name), value)];
    for _ in 0..dice.within(1, 3) {
        insert(&mut entries, lookalikes::setting(dice), dice);
    }
    Block {
        title: names::product(dice),
        entries,
        credentials: vec![credential],
        ..Block::default()
    }
}

/// A section without any credential: settings, and look-alikes one in `rarity`.
pub fn quiet(dice: &mut Dice, rarity: usize) -> Block {
    let count = dice.within(2, 9);
    let entries = (0..count).map(|_| {
        if dice.once_in(rarity) {
            lookalikes::lookalike(dice)
        } else {
            lookalikes::setting(dice)
        }
    });
    let entries = entries.collect();
    Block {
        title: format!("{} {}", names::product(dice), dice.text(HEX, 2)),
        entries,
        ..Block::default()
    }
}

/// Puts `entry` anywhere among `entries`.
pub fn insert(entries: &mut Vec<Entry>, entry: Entry, dice: &mut Dice) {
    let at = dice.below(entries.len() + 1);
    entries.insert(at, entry);
}
