//! What packages bring for a shell: completions that complete, and pages that can be read.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use akwatch_tests::program;
use akwatch_tests::skip::skip;
use anyhow::{Context as _, Result, ensure};

/// `output` ended well.
fn ended(output: &Output) -> Result<()> {
    ensure!(output.status.success(), "{output:?}");
    Ok(())
}

#[test]
fn a_shell_completes_verbs_and_flags() -> Result<()> {
    let script = "source <(\"$0\" completions bash)\n\
                  F=$(complete -p akwatch-agent | sed 's/.*-F \\([^ ]*\\).*/\\1/')\n\
                  complete_it() { COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); COMPREPLY=()\n\
                  \"$F\" akwatch-agent \"${COMP_WORDS[-1]}\" \"${COMP_WORDS[-2]}\"; echo \"${COMPREPLY[@]}\"; }\n\
                  complete_it akwatch-agent doc\ncomplete_it akwatch-agent doctor --n\n\
                  complete_it akwatch-agent config sh\n";
    let output = Command::new("bash")
        .args(["--norc", "-c", script])
        .arg(program::path("akwatch-agent")?)
        .output()?;
    ended(&output)?;
    let said = String::from_utf8(output.stdout)?;
    ensure!(said == "doctor\n--network\nshow\n", "{said:?}");
    Ok(())
}

/// The same in the other shells that packages bring a script for, loaded as those shells load it.
#[test]
fn zsh_and_fish_complete_too() -> Result<()> {
    let agent = program::path("akwatch-agent")?;
    let completions = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/completions");
    let zsh = include_str!("shells/completes.zsh");
    let fish = "set -p fish_complete_path $argv[1]; complete -C 'akwatch-agent doc'; \
                complete -C 'akwatch-agent doctor --n'";
    for (shell, words) in [("zsh", ["-f", "-c", zsh]), ("fish", ["-N", "-c", fish])] {
        let program = Path::new("/usr/bin").join(shell);
        if !program.exists() {
            skip(shell);
            continue;
        }
        let mut command = Command::new(program);
        command.args(words);
        if shell == "zsh" {
            command.arg("zsh");
        }
        let path = std::env::var("PATH")?;
        let directory = agent.parent().context("a directory")?.display();
        command
            .arg(&completions)
            .env("PATH", format!("{directory}:{path}"))
            .env("TERM", "dumb")
            .stdin(Stdio::null());
        let output = command.output()?;
        ended(&output).context(shell)?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(said.contains("doctor"), "{shell}: {said:?}");
        ensure!(shell != "fish" || said.contains("--network"), "{said:?}");
    }
    Ok(())
}

/// Pages that no reader of pages complains about.
#[test]
fn manual_pages_have_no_fault_that_mandoc_knows() -> Result<()> {
    let pages = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/man");
    let mut lint = Command::new("mandoc");
    lint.args(["-T", "lint", "-W", "warning"]);
    let mut count = 0;
    for page in std::fs::read_dir(pages)? {
        lint.arg(page?.path());
        count += 1;
    }
    ensure!(count > 20, "{count} pages");
    let Ok(output) = lint.output() else {
        skip("mandoc");
        return Ok(());
    };
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "{said}");
    Ok(())
}
