//! Environments and arguments of processes, and what shells remember.

use std::fmt::Write as _;

use super::block::{self, Block};
use super::clouds::CLOUDS;
use super::commands::{self, SHAPES, Typed};
use super::dice::Dice;
use super::lookalikes;
use super::names::{Key, Style};
use super::page::{Host, Page};
use super::tokens::SERVICES;

/// Plants captures of processes and histories on `hosts`.
pub fn plant(hosts: &mut [Host], root: &Dice) {
    environments(hosts, &mut root.fork("environments"));
    arguments(hosts, &mut root.fork("arguments"));
    for (name, path, write) in HISTORIES {
        let mut dice = root.fork(name);
        for host in hosts.iter_mut() {
            history(host, name, path, *write, &mut dice);
        }
    }
}

fn environments(hosts: &mut [Host], dice: &mut Dice) {
    let mut pid = 300;
    let mut put = |dice: &mut Dice, blocks: &[Block]| {
        pid += dice.within(1, 40);
        let bytes = environment(blocks, dice);
        let held = blocks.iter().flat_map(|block| block.credentials.clone());
        let host = dice.below(hosts.len());
        hosts[host].put_bytes(
            &format!("proc/{pid}/environ"),
            "environ",
            bytes,
            held.collect(),
        );
    };
    for _ in 0..2 {
        for cloud in CLOUDS {
            let block = block::cloud(cloud, dice);
            put(dice, &[block]);
        }
        for service in SERVICES {
            let block = block::service(service, dice);
            put(dice, &[block]);
        }
    }
    for _ in 0..40 {
        let blocks = [block::account(dice), block::connection(dice)];
        put(dice, &blocks);
    }
    for _ in 0..30 {
        put(dice, &[]);
    }
}

/// `NAME=VALUE` with NUL between, in any order.
fn environment(blocks: &[Block], dice: &mut Dice) -> Vec<u8> {
    let mut variables: Vec<String> = [
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/bin",
        "HOME=/home/app",
        "LANG=zh_CN.UTF-8",
        "INVOCATION_ID=7c1e2d3f4a5b60718293a4b5c6d7e8f9",
        "JOURNAL_STREAM=8:41277",
    ]
    .map(str::to_owned)
    .to_vec();
    for _ in 0..dice.within(2, 12) {
        let entry = if dice.once_in(4) {
            lookalikes::lookalike(dice)
        } else {
            lookalikes::setting(dice)
        };
        variables.push(format!(
            "{}={}",
            entry.key.written(Style::Screaming),
            entry.value
        ));
    }
    for block in blocks {
        let title: Vec<String> = block.title.split_whitespace().map(str::to_owned).collect();
        for entry in &block.entries {
            let name = entry.key.written(Style::Screaming);
            let name = match &entry.key {
                Key::Exact(_) => name,
                Key::Words(_) => format!("{}_{name}", Style::Screaming.join(&title)),
            };
            variables.push(format!("{}={}", name.replace(['.', '-'], "_"), entry.value));
        }
    }
    dice.shuffle(&mut variables);
    variables
        .iter()
        .flat_map(|variable| variable.bytes().chain([0]))
        .collect()
}

/// Arguments as the kernel gives them: words with NUL between, quotes gone.
fn arguments(hosts: &mut [Host], dice: &mut Dice) {
    let mut pid = 40_000;
    for shape in SHAPES {
        let typed = commands::typed(shape, dice);
        // A process has words, not a shell's grammar.
        if typed
            .text
            .contains(['|', ';', '<', '>', '`', '\\', '$', '"'])
            || typed.text.contains("&&")
        {
            continue;
        }
        let Some(words) = split(&typed.text) else {
            continue;
        };
        if words[0].contains('=') || matches!(words[0].as_str(), "export" | "cd") {
            continue;
        }
        pid += dice.within(1, 9);
        let mut bytes = words.join("\0").into_bytes();
        bytes.push(0);
        let host = dice.below(hosts.len());
        hosts[host].put_bytes(
            &format!("proc/{pid}/cmdline"),
            "cmdline",
            bytes,
            typed.credential.into_iter().collect(),
        );
    }
    for _ in 0..40 {
        let typed = commands::harmless(dice);
        pid += dice.within(1, 9);
        let bytes = typed.text.replace(' ', "\0").into_bytes();
        let host = dice.below(hosts.len());
        hosts[host].put_bytes(&format!("proc/{pid}/cmdline"), "cmdline", bytes, Vec::new());
    }
}

/// A command's words, single quotes undone.
fn split(command: &str) -> Option<Vec<String>> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for letter in command.chars() {
        match letter {
            '\'' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            other => words.last_mut()?.push(other),
        }
    }
    (!quoted).then_some(words)
}

type Write = fn(&[Typed], &mut Dice) -> String;

const HISTORIES: &[(&str, &str, Write)] = &[
    ("bash-history", "home/USER/.bash_history", bash),
    ("bash-history-dated", "home/USER/.bash_history", dated),
    ("zsh-history", "home/USER/.zsh_history", zsh),
    (
        "fish-history",
        "home/USER/.local/share/fish/fish_history",
        fish,
    ),
    ("ash-history", "home/USER/.ash_history", bash),
];

const USERS: &[&str] = &["app", "deploy", "lihua", "ops", "wei", "dba", "anna"];

fn history(host: &mut Host, name: &'static str, path: &str, write: Write, dice: &mut Dice) {
    let mut typed: Vec<Typed> = Vec::new();
    for shape in SHAPES {
        // Each host's users have typed half of all shapes.
        if dice.once_in(2) {
            typed.push(commands::typed(shape, dice));
        }
        for _ in 0..dice.below(3) {
            typed.push(commands::harmless(dice));
        }
    }
    dice.shuffle(&mut typed);
    let mut page = Page {
        text: write(&typed, dice),
        planted: Vec::new(),
    };
    for credential in typed.into_iter().filter_map(|typed| typed.credential) {
        let shown = std::iter::once(&credential.secret).chain(&credential.also);
        let needle = shown
            .into_iter()
            .find(|text| page.text.contains(*text))
            .cloned()
            .unwrap_or_default();
        page.plant_as(credential, needle);
    }
    let path = path.replace("USER", dice.one(USERS));
    host.put(&path, name, page);
}

fn bash(typed: &[Typed], _: &mut Dice) -> String {
    let mut text = String::new();
    for typed in typed {
        let _ = writeln!(text, "{}", typed.text);
    }
    text
}

fn dated(typed: &[Typed], dice: &mut Dice) -> String {
    let mut text = String::new();
    let mut at = 1_709_000_000 + dice.below(1_000_000);
    for typed in typed {
        at += dice.below(900);
        let _ = writeln!(text, "#{at}\n{}", typed.text);
    }
    text
}

fn zsh(typed: &[Typed], dice: &mut Dice) -> String {
    let mut text = String::new();
    let mut at = 1_709_000_000 + dice.below(1_000_000);
    for typed in typed {
        at += dice.below(900);
        let _ = writeln!(text, ": {at}:{};{}", dice.below(9), typed.text);
    }
    text
}

fn fish(typed: &[Typed], dice: &mut Dice) -> String {
    let mut text = String::new();
    let mut at = 1_709_000_000 + dice.below(1_000_000);
    for typed in typed {
        at += dice.below(900);
        let _ = writeln!(
            text,
            "- cmd: {}\n  when: {at}",
            typed.text.replace('\\', "\\\\")
        );
    }
    text
}
