//! The walls of the running agent, looked at from outside.
//!
//! No process holds both secrets and a network socket; each role has its own user and what it needs,
//! nothing more. As an ordinary user the agent cannot give its roles users of their own: it must
//! then say so.

use akwatch_tests::fleet::{Fleet, shown};
use akwatch_tests::process;
use akwatch_tests::{plant, wait};
use anyhow::Result;

const DAC_READ_SEARCH: u64 = 1 << 2;
const NET_ADMIN: u64 = 1 << 12;
const SYS_PTRACE: u64 = 1 << 19;
const SYS_ADMIN: u64 = 1 << 21;

#[tokio::test]
async fn each_role_has_its_own_user_and_nothing_that_it_does_not_need() -> Result<()> {
    let fleet = Fleet::start().await?;
    // The reporter holds its connection only once it has reported.
    let pair = plant::tencent();
    let file = fleet.watched.join("a.env");
    plant::write(
        &file,
        &format!("SECRET_ID={}\nSECRET_KEY={}\n", pair.id, pair.secret),
    )?;
    fleet.wait_state(&pair.id, &shown(&file), "present").await?;

    let supervisor = fleet.agent.pid()?;
    let root = nix::unistd::geteuid().is_root();
    let mut users = std::collections::BTreeSet::new();
    let roles: &[(&str, u64, u64)] = &[
        ("watcher", DAC_READ_SEARCH | SYS_PTRACE, NET_ADMIN),
        ("marker", SYS_ADMIN, 0),
        ("detector", 0, 0),
        ("reporter", 0, 0),
    ];
    let reporter = process::role(supervisor, "reporter")?;
    wait::until("the reporter to hold a connection", async || {
        let sockets = process::internet_sockets(reporter)?;
        Ok((!sockets.is_empty()).then_some(()))
    })
    .await?;
    for (role, needed, perhaps) in roles {
        if *role == "marker" && !root {
            continue; // without privilege there is nothing that it could mark
        }
        let pid = process::role(supervisor, role)?;
        if root {
            let user = privileges(pid, role, *needed, *perhaps)?;
            assert!(
                users.insert(user),
                "{role} shares its user with another role"
            );
        } else {
            assert_eq!(process::capabilities(pid)?, 0, "{role}");
        }
        sandbox(pid, role)?;
    }
    if !root {
        let hosts = fleet.rest.get("hosts").await?;
        let id = hosts["rows"][0]["id"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        wait::until("the missing walls to be reported", async || {
            let host = fleet.rest.get(&format!("hosts/{id}")).await?;
            let walls = host["coverage"]["missing_walls"]
                .as_array()
                .map_or(0, Vec::len);
            Ok((walls > 0).then_some(()))
        })
        .await?;
    }
    fleet.stop().await
}

/// A role of root's agent: a user of its own, and only the capabilities that it needs.
fn privileges(pid: i32, role: &str, needed: u64, perhaps: u64) -> Result<u32> {
    let uids = process::uids(pid)?;
    assert!(
        uids.iter().all(|uid| *uid == uids[0] && *uid != 0),
        "{role}: {uids:?}"
    );
    assert!(!process::dumpable(pid)?, "{role} can be dumped");
    let capabilities = process::capabilities(pid)?;
    assert_eq!(capabilities & !perhaps, needed, "{role}: {capabilities:#x}");
    Ok(uids[0])
}

/// What holds with and without privilege.
fn sandbox(pid: i32, role: &str) -> Result<()> {
    assert_eq!(
        process::status(pid, "Seccomp")?,
        "2",
        "{role} has no system call filter"
    );
    assert_eq!(
        process::status(pid, "NoNewPrivs")?,
        "1",
        "{role} could gain privileges"
    );
    let sockets = process::internet_sockets(pid)?;
    if role == "reporter" {
        assert!(
            !sockets.is_empty(),
            "the reporter holds no connection: the check is blind"
        );
    } else {
        assert!(sockets.is_empty(), "{role} holds network sockets");
    }
    Ok(())
}

#[tokio::test]
async fn nothing_is_left_running_when_the_agent_is_killed() -> Result<()> {
    let fleet = Fleet::start().await?;
    let all = process::descendants(fleet.agent.pid()?.as_raw());
    assert!(all.len() > 3, "{all:?}");
    let commands: Vec<(i32, Vec<String>)> = all
        .into_iter()
        .map(|pid| (pid, process::cmdline(pid)))
        .collect();
    nix::sys::signal::kill(fleet.agent.pid()?, nix::sys::signal::Signal::SIGKILL)?;
    wait::until("every role to end with its supervisor", async || {
        let left = commands
            .iter()
            .skip(1)
            .any(|(pid, words)| process::cmdline(*pid) == *words);
        Ok((!left).then_some(()))
    })
    .await?;
    fleet.collector.stop().await
}
