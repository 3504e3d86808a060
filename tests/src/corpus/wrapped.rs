//! Wrapped files, repositories and what is shipped to customers.

use super::block::{self, Block};
use super::clouds::CLOUDS;
use super::dice::Dice;
use super::formats;
use super::git::{self, Storage};
use super::lookalikes;
use super::page::{Credential, Host, Page};
use super::shipped;
use super::tokens::SERVICES;
use super::wrap::{self, WRAPS, Wrap};

/// Files of each wrapping alone, and chains of each depth.
const ALONE: usize = 10;
const CHAINS: usize = 40;
/// The deepest nesting that is promised.
const DEPTH: usize = 5;

/// Names of depths in labels.
const DEPTHS: [&str; 4] = ["wrapped-2", "wrapped-3", "wrapped-4", "wrapped-5"];

/// Plants them on `hosts`.
pub fn plant(hosts: &mut [Host], root: &Dice) {
    for wrap in WRAPS {
        let mut dice = root.fork(&format!("wrap {}", wrap.name));
        for _ in 0..ALONE {
            let (name, page) = inner(&mut dice);
            put(hosts, &name, page, &[wrap], wrap.name, &mut dice);
        }
    }
    for (layers, name) in (2..=DEPTH).zip(DEPTHS) {
        let mut dice = root.fork(name);
        for _ in 0..CHAINS {
            let chain = chain(layers, &mut dice);
            let (inner_name, page) = inner(&mut dice);
            put(hosts, &inner_name, page, &chain, name, &mut dice);
        }
    }
    repositories(hosts, &mut root.fork("repositories"));
    shipped::plant(hosts, &mut root.fork("shipped"));
}

/// A small file with one credential or two, and its name.
pub fn inner(dice: &mut Dice) -> (String, Page) {
    let (format, extension) = dice.one(&[
        ("dotenv", "env"),
        ("yaml", "yml"),
        ("properties", "properties"),
        ("ini", "ini"),
        ("json", "json"),
        ("toml", "toml"),
    ]);
    let block = match dice.below(4) {
        0 => block::service(&SERVICES[dice.below(SERVICES.len())], dice),
        1 => block::account(dice),
        _ => block::cloud(&CLOUDS[dice.below(CLOUDS.len())], dice),
    };
    let mut noise = Block {
        title: "server".to_owned(),
        ..Block::default()
    };
    for _ in 0..4 {
        noise.entries.push(lookalikes::setting(dice));
    }
    let page = formats::named(format).page(&[noise, block], dice);
    (format!("{}.{extension}", wrap::name(dice)), page)
}

/// Wrappings of `layers` layers in all that fit into one another.
fn chain(layers: usize, dice: &mut Dice) -> Vec<&'static Wrap> {
    loop {
        let mut chain: Vec<&Wrap> = Vec::new();
        let mut text = true;
        let mut left = layers;
        while left > 0 {
            let wrap = &WRAPS[dice.below(WRAPS.len())];
            if wrap.layers > left || (wrap.text && !text) {
                break;
            }
            left -= wrap.layers;
            text = keeps_text(wrap);
            chain.push(wrap);
        }
        if left == 0 {
            return chain;
        }
    }
}

/// Whether what comes out is text in ASCII or UTF-8.
fn keeps_text(wrap: &Wrap) -> bool {
    let written = (wrap.wrap)(b"a=1\n", "a.env", &mut Dice::new(0));
    wrap.name != "pdf" && !written.contains(&0) && String::from_utf8(written).is_ok()
}

fn put(
    hosts: &mut [Host],
    name: &str,
    page: Page,
    chain: &[&Wrap],
    format: &'static str,
    dice: &mut Dice,
) {
    let mut name = name.to_owned();
    let mut bytes = page.text.into_bytes();
    for wrap in chain {
        bytes = (wrap.wrap)(&bytes, &name, dice);
        name = wrap.file.replace("NAME", &wrap::name(dice));
    }
    let credentials = page.planted.into_iter().map(|planted| planted.credential);
    let directory = dice.one(&[
        "srv/backup",
        "home/deploy/inbox",
        "opt/release",
        "var/backups",
        "home/dev/tmp",
    ]);
    let host = dice.below(hosts.len());
    hosts[host].put_bytes(
        &format!("{directory}/{name}"),
        format,
        bytes,
        credentials.collect(),
    );
}

/// Repositories whose work tree is clean and whose history is not.
fn repositories(hosts: &mut [Host], dice: &mut Dice) {
    let kinds = [
        ("git-loose", Storage::Loose),
        ("git-pack", Storage::Packed),
        ("git-delta", Storage::Delta),
    ];
    for (format, storage) in kinds {
        for _ in 0..14 {
            let (name, page) = inner(dice);
            let clean = scrubbed(&page);
            let (files, holder) =
                git::repository(&name, page.text.as_bytes(), clean.as_bytes(), storage, dice);
            let project = format!("home/dev/{}/.git", wrap::name(dice));
            let credentials: Vec<Credential> = page
                .planted
                .into_iter()
                .map(|planted| planted.credential)
                .collect();
            let host = dice.below(hosts.len());
            for (path, bytes) in files {
                let held = if path == holder {
                    credentials.clone()
                } else {
                    Vec::new()
                };
                hosts[host].put_bytes(&format!("{project}/{path}"), format, bytes, held);
            }
        }
    }
}

/// The page after its secrets and ids were taken out.
fn scrubbed(page: &Page) -> String {
    let mut text = page.text.clone();
    for planted in &page.planted {
        let credential = &planted.credential;
        let held = [&planted.needle, &credential.secret];
        for secret in held
            .into_iter()
            .chain(&credential.also)
            .chain(&credential.id)
        {
            if !secret.is_empty() {
                text = text.replace(secret.as_str(), "");
            }
        }
    }
    text
}
