//! A process: what the agent knows it by, whether its environment can be read, what was found in it
//! and where it has that from.

use akwatch_proto::finding::Finding;
use akwatch_proto::place::{Place, Workload};
use akwatch_proto::text::escape;

use super::{Explained, Fact, Sight, agents_word, held};
use crate::control;
use crate::host::{ProcessDirectory, ProcessFacts, units};

pub(super) fn explain(sight: &Sight<'_>, pid: i32) -> anyhow::Result<Explained> {
    let root = &sight.root;
    let mut facts = Vec::new();
    let asked = format!("process {pid}");
    let Ok(mut process) = ProcessDirectory::open(root, pid) else {
        facts.push(Fact::of("process", "there is none with this number"));
        return Ok(Explained {
            asked,
            facts,
            findings: None,
        });
    };
    let numbers = process.first_numbers().ok();
    let arguments = process.arguments().unwrap_or_default();
    let known = process.facts(root, process.program(), &arguments);
    drop(arguments); // they may hold a secret, and nothing of them is shown
    let user = root.accounts().user(known.uid);
    facts.push(Fact::of("process", runs(&known, &user)));
    facts.push(Fact::of("known as", known_as(&known, &user)));
    if let Some(container) = &known.container {
        facts.push(Fact::of("container", super::contained(container)));
    }
    if let Some(group) = &known.cgroup {
        facts.push(Fact::of("control group", text(group)));
    }
    let without = numbers.is_some_and(|numbers| numbers.without_memory);
    facts.push(Fact::of("watched", watched(sight, &process, without)));
    for file in unit_files(sight, &known, &user) {
        facts.push(Fact::of("unit file", file));
    }
    let findings = match control::findings(sight.runtime) {
        Ok(all) => {
            let of_it = |finding: &&Finding| is_of(finding, pid, &known, &user);
            let own = all.iter().filter(of_it).cloned().collect();
            Some(held(own, &all))
        }
        Err(why) => {
            facts.push(agents_word(&why));
            None
        }
    };
    Ok(Explained {
        asked,
        facts,
        findings,
    })
}

fn text(bytes: &[u8]) -> String {
    escape(bytes)
}

fn runs(known: &ProcessFacts, user: &[u8]) -> String {
    let mut says = match &known.exe {
        Some(exe) => text(exe),
        None => "an executable that this user may not ask for".to_owned(),
    };
    if let Some(script) = &known.script {
        says.push_str(&format!(" running {}", text(script)));
    }
    says.push_str(&format!(", as {}", text(user)));
    says
}

/// What will start again, and so is the place of its findings.
fn known_as(known: &ProcessFacts, user: &[u8]) -> String {
    let user = text(user);
    match (&known.unit, &known.container, &known.exe) {
        (Some(unit), _, _) => format!("the unit {} of {user}", text(unit)),
        (None, Some(container), _) => format!("the container {}", text(&container.name)),
        (None, None, Some(exe)) => match &known.script {
            Some(script) => format!("{} with {} of {user}", text(exe), text(script)),
            None => format!("{} of {user}", text(exe)),
        },
        (None, None, None) => "not known to this user".to_owned(),
    }
}

fn watched(sight: &Sight<'_>, process: &ProcessDirectory, without_memory: bool) -> String {
    if !sight.config.watch.processes {
        return "no: `watch.processes` is false".to_owned();
    }
    if without_memory {
        return "no: a kernel thread or a process that has ended, which has no environment"
            .to_owned();
    }
    match process.memory_file("environ") {
        Ok(_) => "yes: its environment and its arguments, at each start and sweep".to_owned(),
        Err(why) => format!(
            "its arguments; whether its environment can be read is not known, since this user may not \
             ({why})"
        ),
    }
}

fn unit_files(sight: &Sight<'_>, known: &ProcessFacts, user: &[u8]) -> Vec<String> {
    let Some(unit) = &known.unit else {
        return Vec::new();
    };
    let accounts = sight.root.accounts();
    let home = accounts.homes().iter().find(|home| home.user == user);
    let home = home
        .map(|home| home.path.as_path())
        .filter(|_| known.user_unit);
    let files = units::files_of(&sight.root, unit, home);
    files.iter().map(|file| text(file)).collect()
}

/// Whether a finding is this process's: seen in it last, or in another of what will start again.
fn is_of(finding: &Finding, pid: i32, known: &ProcessFacts, user: &[u8]) -> bool {
    let Place::Process {
        workload,
        user: owner,
        ..
    } = &finding.key.place
    else {
        return false;
    };
    let is = |name: &str, raw: Option<&Vec<u8>>| raw.is_some_and(|raw| name == text(raw));
    let same = match workload {
        Workload::Unit { name } => is(name.as_str(), known.unit.as_ref()),
        Workload::Container { name } => {
            known.unit.is_none() && is(name.as_str(), known.container.as_ref().map(|it| &it.name))
        }
        Workload::Executable { path, script } => {
            let script = script.as_ref().map(|script| script.as_str().to_owned());
            is(path.as_str(), known.exe.as_ref())
                && script == known.script.as_ref().map(|script| text(script))
        }
        Workload::Unknown => false,
    };
    finding.origin.pid == Some(pid) || (same && owner.as_str() == text(user))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::host::Root;

    #[test]
    fn this_process_is_explained_without_an_agent_and_without_its_arguments() {
        let nowhere = tempfile::tempdir().unwrap();
        let sight = Sight {
            config: Config::built_in(),
            root: Root::live().unwrap().into(),
            runtime: nowhere.path(),
            own: Vec::new(),
        };
        let pid = i32::try_from(std::process::id()).unwrap();
        let explained = explain(&sight, pid).unwrap();
        let says = |about: &str| {
            let fact = explained.facts.iter().find(|fact| fact.about == about);
            fact.map(|fact| fact.says.clone()).unwrap()
        };
        let exe = std::env::current_exe().unwrap();
        assert!(says("process").starts_with(exe.to_str().unwrap()));
        assert!(says("watched").starts_with("yes"), "{}", says("watched"));
        assert!(says("agent").contains("no agent is running"));
        assert!(explained.findings.is_none());
        let ended = explain(&sight, i32::MAX).unwrap();
        assert!(ended.facts[0].says.contains("there is none"));
    }
}
