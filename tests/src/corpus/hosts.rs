//! Simulated hosts and what each role holds.

use super::block::{self, Block};
use super::clouds::CLOUDS;
use super::dice::Dice;
use super::formats::{self, Format};
use super::page::{Host, Page};
use super::passwords;
use super::tokens::SERVICES;
use super::{clients, negatives, processes, vendors, wrapped};

/// The roles, one host each.
const ROLES: &[&str] = &[
    "web-01",
    "database-01",
    "ci-runner-01",
    "k8s-node-01",
    "data-01",
    "dev-box-01",
];

/// Files of each format that hold accounts, connection strings, nothing.
const ACCOUNTS: usize = 6;
const CONNECTIONS: usize = 4;
const QUIET: usize = 8;
/// Formats in which each token is planted.
const TOKEN_FORMATS: usize = 4;

/// Every host of `seed`.
pub fn all(seed: u64) -> Vec<Host> {
    let root = Dice::new(seed);
    let mut hosts: Vec<Host> = ROLES.iter().map(|role| Host::new(role)).collect();
    for format in formats::all() {
        let mut dice = root.fork(format.name);
        for cloud in CLOUDS {
            let mut blocks = vec![block::cloud(cloud, &mut dice)];
            around(&mut blocks, &mut dice);
            plant(&mut hosts, format, &blocks, &mut dice);
        }
        ten_pairs(&mut hosts, format, &mut dice);
        for _ in 0..ACCOUNTS {
            let mut blocks = vec![block::account(&mut dice)];
            around(&mut blocks, &mut dice);
            plant(&mut hosts, format, &blocks, &mut dice);
        }
        for _ in 0..CONNECTIONS {
            let mut blocks = vec![block::connection(&mut dice)];
            around(&mut blocks, &mut dice);
            plant(&mut hosts, format, &blocks, &mut dice);
        }
        for _ in 0..QUIET {
            let count = dice.within(2, 6);
            let blocks: Vec<Block> = (0..count).map(|_| block::quiet(&mut dice, 2)).collect();
            plant(&mut hosts, format, &blocks, &mut dice);
        }
    }
    let every: Vec<&Format> = formats::all().collect();
    for service in SERVICES {
        let mut dice = root.fork(service.family);
        for _ in 0..TOKEN_FORMATS {
            let format = dice.one(&every);
            let mut blocks = vec![block::service(service, &mut dice)];
            around(&mut blocks, &mut dice);
            plant(&mut hosts, format, &blocks, &mut dice);
        }
    }
    keys(&mut hosts, &mut root.fork("keys"));
    processes::plant(&mut hosts, &root);
    clients::plant(&mut hosts, &root);
    vendors::plant(&mut hosts, &root);
    wrapped::plant(&mut hosts, &root);
    negatives::plant(&mut hosts, &mut root.fork("negatives"));
    hosts
}

/// Ordinary sections before and after, look-alikes among them.
fn around(blocks: &mut Vec<Block>, dice: &mut Dice) {
    for _ in 0..dice.within(1, 3) {
        let quiet = block::quiet(dice, 6);
        let at = dice.below(blocks.len() + 1);
        blocks.insert(at, quiet);
    }
}

fn plant(hosts: &mut [Host], format: &'static Format, blocks: &[Block], dice: &mut Dice) {
    let path = format.path(dice);
    let page = format.page(blocks, dice);
    let host = dice.below(hosts.len());
    hosts[host].put(&path, format.name, page);
}

/// Ten pairs of one cloud in one file, in sections of their own, in any order.
fn ten_pairs(hosts: &mut [Host], format: &'static Format, dice: &mut Dice) {
    let pairs: Vec<_> = CLOUDS
        .iter()
        .filter(|cloud| !cloud.documented[0].0.is_empty())
        .collect();
    let cloud = dice.one(&pairs);
    let mut blocks: Vec<Block> = (0..10)
        .map(|number| {
            let mut block = block::cloud(cloud, dice);
            block.title = format!("{} {}{number}", block.title, dice.text("abcdefghkm", 3));
            block
        })
        .collect();
    dice.shuffle(&mut blocks);
    plant(hosts, format, &blocks, dice);
}

/// Private keys and service accounts in files of their own.
fn keys(hosts: &mut [Host], dice: &mut Dice) {
    let places = [
        "home/deploy/.ssh/id_rsa",
        "root/.ssh/id_ed25519",
        "etc/nginx/ssl/site.key",
        "opt/app/certs/server.pem",
        "etc/kubernetes/pki/apiserver.key",
        "home/dev/keys/signing.pem",
        "srv/app/jwt-private.pem",
    ];
    for number in 0..42 {
        let credential = passwords::private_key(dice);
        let mut text = String::new();
        if number % 3 == 0 {
            text.push_str(&passwords::certificate(dice));
            text.push('\n');
        }
        text.push_str(&credential.secret);
        text.push('\n');
        let page = Page {
            text,
            planted: Vec::new(),
        };
        let page = planted(page, credential);
        let path = dice.one(&places);
        let host = dice.below(hosts.len());
        hosts[host].put(path, "pem", page);
    }
    for _ in 0..12 {
        let (text, credential) = passwords::service_account(dice);
        let mut page = Page {
            text,
            planted: Vec::new(),
        };
        let needle = credential
            .secret
            .lines()
            .nth(1)
            .unwrap_or_default()
            .to_owned();
        page.plant_as(credential, needle);
        let path = dice.one(&[
            "home/app/gcp-key.json",
            "etc/google/auth/application_default_credentials.json",
            "srv/app/firebase-adminsdk.json",
        ]);
        let host = dice.below(hosts.len());
        hosts[host].put(path, "service-account", page);
    }
}

fn planted(mut page: Page, credential: super::page::Credential) -> Page {
    page.plant(credential);
    page
}
