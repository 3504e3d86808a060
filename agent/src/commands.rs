//! The command line described by itself: completions for shells, manual pages, the reference page.
//!
//! All of it comes from the types that parse what is typed, so nothing here can be out of date; the
//! reference page is committed, since a reviewer should read its difference.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Arg, Command, CommandFactory as _};
use clap_complete::Shell;

use crate::cli::{Cli, CompletionsArgs, ManArgs};
use crate::output;

/// What the verbs' manual pages and completions call the program.
const PROGRAM: &str = "akwatch-agent";
/// When this version was made: what manual pages show below. A test compares it with the packages'
/// change log.
const RELEASED: &str = "2026-11-01";

/// `completions`: a script for a shell.
///
/// # Errors
/// When the output cannot be written.
pub fn completions(args: &CompletionsArgs) -> anyhow::Result<ExitCode> {
    let script = script(args.shell)?;
    output::write(&script)?;
    Ok(ExitCode::SUCCESS)
}

fn script(shell: Shell) -> anyhow::Result<String> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), PROGRAM, &mut script);
    let mut script = String::from_utf8(script).context("the script is not text")?;
    if shell == Shell::Bash {
        // clap_complete 4.6.11 takes the hyphen in the program's name for the border of a verb where it
        // says what completes, and not where it asks: then no flag ever did. A test completes some.
        script = script.replace("akwatch__subcmd__agent", "akwatch__agent");
    }
    Ok(script)
}

/// `man`: the program's page on standard output, or all pages into a directory.
///
/// # Errors
/// When they cannot be written.
pub fn man(args: &ManArgs) -> anyhow::Result<ExitCode> {
    let pages = pages()?;
    let Some(directory) = &args.directory else {
        output::write(&pages[0].1)?;
        return Ok(ExitCode::SUCCESS);
    };
    for (name, page) in &pages {
        let path = directory.join(name);
        std::fs::write(&path, page).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The file names and texts of all pages, the program's first.
fn pages() -> anyhow::Result<Vec<(String, String)>> {
    let mut program = Cli::command();
    program.build();
    let mut pages = Vec::new();
    add_pages(&program, &mut pages)?;
    Ok(pages)
}

fn add_pages(command: &Command, pages: &mut Vec<(String, String)>) -> anyhow::Result<()> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone())
        .section("8")
        .date(RELEASED)
        .source(concat!("akwatch ", env!("CARGO_PKG_VERSION")))
        .manual("akwatch")
        .render(&mut page)?;
    let name = command.get_display_name().unwrap_or(PROGRAM);
    // An empty line between two breaks is one too many, and readers of pages complain.
    let page = String::from_utf8(page)?.replace(".br\n\n.br\n", ".sp\n");
    pages.push((format!("{name}.8"), page));
    for verb in verbs(command) {
        add_pages(verb, pages)?;
    }
    Ok(())
}

/// The verbs that people type, but for `help`.
fn verbs(command: &Command) -> impl Iterator<Item = &Command> {
    let shown = |verb: &&Command| !verb.is_hide_set() && verb.get_name() != "help";
    command.get_subcommands().filter(shown)
}

/// The reference page.
#[must_use]
pub fn markdown() -> String {
    let mut program = Cli::command();
    program.build();
    let mut text = String::from(
        "# The agent's commands\n\n\
         Generated from the command line's own types; `AKWATCH_BLESS=1 cargo test -p akwatch-agent` \
         writes it.\n\nWhatever a verb writes for people goes to standard output, why it could not to \
         standard error. Names from\nthe host are escaped. Exit code 2 is trouble: a bad argument, \
         an agent that does not answer; 141 a reader\nthat closed the pipe. `status`, `doctor`, \
         `explain` and `metrics` ask the running agent over\n`/run/akwatch-agent/control.sock`, which \
         answers root and members of the group `akwatch-agent`.\n",
    );
    for verb in verbs(&program) {
        section(verb, PROGRAM, 2, &mut text);
    }
    text
}

fn section(command: &Command, above: &str, level: usize, text: &mut String) {
    let name = format!("{above} {}", command.get_name());
    let about = command.get_long_about().or_else(|| command.get_about());
    let about = about.map(ToString::to_string).unwrap_or_default();
    let _ = write!(
        text,
        "\n{} {name}\n\n{}\n",
        "#".repeat(level),
        paragraphs(&about)
    );
    let arguments: Vec<&Arg> = command
        .get_arguments()
        .filter(|argument| !argument.is_hide_set() && argument.get_id() != "help")
        .collect();
    if !arguments.is_empty() {
        text.push_str("\n| argument | default | what it does |\n|---|---|---|\n");
    }
    for argument in arguments {
        row(argument, text);
    }
    for verb in verbs(command) {
        section(verb, &name, level + 1, text);
    }
}

/// Sentences that end where the types end them.
fn paragraphs(about: &str) -> String {
    let about = about.trim();
    if about.ends_with('.') {
        about.to_owned()
    } else {
        format!("{about}.")
    }
}

fn row(argument: &Arg, text: &mut String) {
    let values: Vec<String> = argument
        .get_value_names()
        .unwrap_or_default()
        .iter()
        .map(ToString::to_string)
        .collect();
    let takes = argument.get_action().takes_values();
    let named = match argument.get_long() {
        Some(long) if takes => format!("--{long} {}", values.join(" ")),
        Some(long) => format!("--{long}"),
        None => values.join(" ").replace('|', "\\|"),
    };
    let defaults = argument.get_default_values().iter();
    let default: Vec<String> = defaults
        .filter(|_| takes)
        .map(|value| format!("`{}`", value.to_string_lossy()))
        .collect();
    let mut does = argument
        .get_help()
        .map(ToString::to_string)
        .unwrap_or_default();
    let choices: Vec<String> = argument
        .get_possible_values()
        .iter()
        .filter(|value| !value.is_hide_set() && takes)
        .map(|value| format!("`{}`", value.get_name()))
        .collect();
    if !choices.is_empty() {
        let _ = write!(does, ": {}", choices.join(", "));
    }
    let default = if default.is_empty() {
        "none".to_owned()
    } else {
        default.join(", ")
    };
    let _ = writeln!(text, "| `{named}` | {default} | {does} |");
}

/// What packages bring beside the program: manual pages, and completions by the name under which each
/// shell looks for them. Paths below `packaging/`.
///
/// # Errors
/// When one cannot be made.
pub fn packaged() -> anyhow::Result<Vec<(String, String)>> {
    let pages = pages()?.into_iter();
    let mut files: Vec<_> = pages
        .map(|(name, page)| (format!("man/{name}"), page))
        .collect();
    for (name, shell) in [
        ("akwatch-agent.bash", Shell::Bash),
        ("_akwatch-agent", Shell::Zsh),
        ("akwatch-agent.fish", Shell::Fish),
    ] {
        files.push((format!("completions/{name}"), script(shell)?));
    }
    Ok(files)
}

/// Where the reference page is committed.
#[must_use]
pub fn committed() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference/agent-commands.md")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_of_the_commands_is_current() {
        if std::env::var_os("AKWATCH_BLESS").is_some() {
            std::fs::write(committed(), markdown()).unwrap();
            return;
        }
        let page = std::fs::read_to_string(committed()).unwrap();
        assert!(
            page == markdown(),
            "AKWATCH_BLESS=1 cargo test -p akwatch-agent commands:: writes it"
        );
    }

    /// The pages of a verb and of those below it, by what people type.
    fn files(name: &str, verb: &Command, into: &mut Vec<String>) {
        into.push(format!("{name}.8"));
        for below in verb.get_subcommands().filter(|verb| !verb.is_hide_set()) {
            files(&format!("{name}-{}", below.get_name()), below, into);
        }
    }

    fn packaging() -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging")
    }

    #[test]
    fn the_reference_of_the_commands_is_in_the_packages_and_nothing_else() {
        let files = packaged().unwrap();
        let names: std::collections::BTreeSet<&str> =
            files.iter().map(|(name, _)| name.as_str()).collect();
        let bless = std::env::var_os("AKWATCH_BLESS").is_some();
        for (name, text) in &files {
            let path = packaging().join(name);
            if bless {
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(&path, text).unwrap();
            }
            let there = std::fs::read_to_string(&path).unwrap_or_default();
            assert!(
                there == *text,
                "{name}: AKWATCH_BLESS=1 cargo test -p akwatch-agent commands:: writes it"
            );
        }
        for directory in ["man", "completions"] {
            for entry in std::fs::read_dir(packaging().join(directory)).unwrap() {
                let name = entry.unwrap().file_name().into_string().unwrap();
                let name = format!("{directory}/{name}");
                assert!(names.contains(&*name), "{name}: no verb has it any more");
            }
        }
    }

    #[test]
    fn pages_show_the_date_of_the_packages_change_log() {
        let log = std::fs::read_to_string(packaging().join("deb/agent/changelog")).unwrap();
        let line = log.lines().find(|line| line.starts_with(" -- ")).unwrap();
        let date = line.split_once(", ").unwrap().1;
        let mut words = date.split(' ');
        let (day, month, year) = (words.next(), words.next(), words.next());
        let months = [
            "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
        ];
        let month = months.iter().position(|name| Some(*name) == month).unwrap() + 1;
        let expected = format!("{}-{month:02}-{}", year.unwrap(), day.unwrap());
        assert_eq!(RELEASED, expected);
    }

    #[test]
    fn every_verb_has_a_page_that_names_its_flags() {
        let pages = pages().unwrap();
        assert_eq!(pages[0].0, "akwatch-agent.8");
        let mut expected = Vec::new();
        files(PROGRAM, &Cli::command(), &mut expected);
        assert!(expected.len() > 10, "{expected:?}");
        assert!(pages.iter().map(|(file, _)| file).eq(&expected));
        let page = |name: &str| {
            let found = pages.iter().find(|(file, _)| file == name);
            found.map(|(_, text)| text.clone()).unwrap()
        };
        assert!(page("akwatch-agent-doctor.8").contains("\\-\\-network"));
        assert!(page("akwatch-agent-config-show.8").contains("\\-\\-json"));
        for (name, text) in &pages {
            assert!(text.contains(".TH ") && text.contains(".SH NAME"), "{name}");
        }
        assert!(
            !pages.iter().any(|(name, _)| name.contains("role")),
            "hidden verbs have none"
        );
    }
}
