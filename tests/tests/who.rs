//! Who wrote a finding: said where it is known, and of nothing that was there before.
//!
//! Needs marks, which tell the process of a write; where this host gives none, everything is *unknown*,
//! which is what these tests then see to.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use akwatch_tests::agent::Agent;
use akwatch_tests::fleet::{Fleet, shown};
use akwatch_tests::plant::{self, Pair};
use anyhow::{Context as _, Result};
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, ChildStdin, Command};

/// Writes what it is told with the shell's own commands, and lives on.
const DEPLOY: &str = "while read -r how file id secret; do\n\
    \x20 case $how in\n\
    \x20   make) printf 'SECRET_ID=%s\\nSECRET_KEY=%s\\n' \"$id\" \"$secret\" > \"$file\" ;;\n\
    \x20   add) printf 'SECRET_ID=%s\\nSECRET_KEY=%s\\n' \"$id\" \"$secret\" >> \"$file\" ;;\n\
    \x20 esac\n\
    done\n";

/// A deployment that somebody else gives its orders.
struct Deploy {
    script: PathBuf,
    orders: ChildStdin,
    _shell: Child,
}

impl Deploy {
    fn start(directory: &Path) -> Result<Deploy> {
        let script = directory.join("deploy.sh");
        std::fs::write(&script, DEPLOY)?;
        let mut shell = Command::new("sh")
            .arg(&script)
            .stdin(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("sh")?;
        Ok(Deploy {
            script,
            orders: shell.stdin.take().context("no standard input")?,
            _shell: shell,
        })
    }

    async fn write(&mut self, how: &str, file: &Path, pair: &Pair) -> Result<()> {
        let order = format!("{how} {} {} {}\n", shown(file), pair.id, pair.secret);
        self.orders.write_all(order.as_bytes()).await?;
        Ok(self.orders.flush().await?)
    }
}

fn text(pair: &Pair) -> String {
    format!("SECRET_ID={}\nSECRET_KEY={}\n", pair.id, pair.secret)
}

/// Whether this agent's files are watched by marks.
async fn is_marked(agent: &Agent) -> Result<bool> {
    let status = agent.status().await?;
    let sources = status["coverage"]["sources"].as_array();
    let files = sources
        .into_iter()
        .flatten()
        .find(|one| one["source"] == "files");
    Ok(files.is_some_and(|files| files["mechanism"] == "fanotify"))
}

async fn written_by(fleet: &Fleet, file: &Path, pair: &Pair) -> Result<Value> {
    let row = fleet.wait_state(&pair.id, &shown(file), "present").await?;
    Ok(row["written_by"].clone())
}

#[tokio::test]
async fn a_new_finding_names_the_process_that_wrote_it_and_an_old_one_nobody() -> Result<()> {
    let fleet = Fleet::start_walking().await?;
    fleet.agent.wait_walked().await?;
    let marked = is_marked(&fleet.agent).await?;
    let mut deploy = Deploy::start(fleet.directory.path())?;
    let [made, ours, added] = [plant::tencent(), plant::tencent(), plant::tencent()];
    let (one, other) = (
        fleet.watched.join("one.env"),
        fleet.watched.join("other.env"),
    );

    deploy.write("make", &one, &made).await?;
    let by = written_by(&fleet, &one, &made).await?;
    if !marked {
        assert!(by.is_null(), "{by:#}");
        return fleet.stop().await;
    }
    assert_eq!(by["script"], shown(&deploy.script), "{by:#}");
    let user = nix::unistd::User::from_uid(nix::unistd::geteuid())?.context("no name")?;
    assert_eq!(by["user"], user.name, "{by:#}");

    // This very program writes a file, and the deployment adds to it.
    std::fs::write(&other, text(&ours))?;
    let by = written_by(&fleet, &other, &ours).await?;
    assert_eq!(by["exe"], shown(&std::env::current_exe()?), "{by:#}");
    assert!(by["script"].is_null(), "{by:#}");
    deploy.write("add", &other, &added).await?;
    let by = written_by(&fleet, &other, &added).await?;
    assert_eq!(by["script"], shown(&deploy.script), "{by:#}");
    let by = written_by(&fleet, &other, &ours).await?;
    assert_eq!(by["exe"], shown(&std::env::current_exe()?), "still: {by:#}");
    fleet.stop().await
}

#[tokio::test]
async fn what_was_there_before_the_write_was_not_written_by_it() -> Result<()> {
    let mut fleet = Fleet::start_walking().await?;
    fleet.agent.wait_walked().await?;
    let home = fleet.directory.path().join("agent");
    let mut deploy = Deploy::start(fleet.directory.path())?;
    let [before, after, unread] = [plant::tencent(), plant::tencent(), plant::tencent()];
    let (one, other) = (
        fleet.watched.join("one.env"),
        fleet.watched.join("other.env"),
    );
    // Both are written while nobody watches, and one of them is added to as soon as somebody does.
    fleet.agent.pause().await?;
    std::fs::write(&one, text(&before))?;
    std::fs::write(&other, text(&unread))?;
    fleet.agent = Agent::run(&home)?;
    fleet.agent.wait_watching().await?;
    deploy.write("add", &one, &after).await?;
    for (file, pair) in [(&one, &before), (&other, &unread)] {
        let by = written_by(&fleet, file, pair).await?;
        assert!(by.is_null(), "{by:#}");
    }
    // Once everything was walked over, what is added is known to be new.
    written_by(&fleet, &one, &after).await?;
    fleet.agent.wait_walked().await?;
    if is_marked(&fleet.agent).await? {
        let more = plant::tencent();
        deploy.write("add", &one, &more).await?;
        let by = written_by(&fleet, &one, &more).await?;
        assert_eq!(by["script"], shown(&deploy.script), "{by:#}");
    }
    fleet.stop().await
}

/// The root of a container as containerd mounts it, with what its runtime notes of it.
struct Overlay {
    id: String,
    upper: PathBuf,
    task: PathBuf,
}

impl Overlay {
    /// Mounts it with its layers in `store`; none where this user may not.
    fn mount(store: &Path, annotations: &str) -> Result<Option<Overlay>> {
        let id = plant::random("0123456789abcdef", 64);
        let tasks = Path::new("/run/containerd/io.containerd.runtime.v2.task/default");
        let overlay = Overlay {
            upper: store.join("upper"),
            task: tasks.join(&id),
            id,
        };
        if !nix::unistd::geteuid().is_root() {
            return Ok(None);
        }
        let layers = ["lower", "upper", "work"].map(|name| store.join(name));
        for directory in layers.iter().chain([&overlay.merged()]) {
            std::fs::create_dir_all(directory)?;
        }
        let description = format!("{{\"annotations\":{annotations}}}");
        std::fs::write(overlay.task.join("config.json"), description)?;
        let [lower, upper, work] = layers.map(|layer| shown(&layer));
        let options = format!("lowerdir={lower},upperdir={upper},workdir={work}");
        let mounted = nix::mount::mount(
            Some("overlay"),
            &overlay.merged(),
            Some("overlay"),
            nix::mount::MsFlags::empty(),
            Some(options.as_str()),
        );
        match mounted {
            Ok(()) => Ok(Some(overlay)),
            Err(nix::errno::Errno::EPERM) => Ok(None),
            Err(why) => Err(why).context("mounting an overlay"),
        }
    }

    fn merged(&self) -> PathBuf {
        self.task.join("rootfs")
    }
}

impl Drop for Overlay {
    fn drop(&mut self) {
        let _ = nix::mount::umount2(&self.merged(), nix::mount::MntFlags::MNT_DETACH);
        let _ = std::fs::remove_file(self.task.join("config.json"));
        let _ = std::fs::remove_dir(self.merged());
        let _ = std::fs::remove_dir(&self.task);
    }
}

#[tokio::test]
async fn a_file_written_inside_an_overlay_names_its_container_and_its_path_inside() -> Result<()> {
    let fleet = Fleet::start_walking().await?;
    fleet.agent.wait_walked().await?;
    let noted = r#"{"nerdctl/name":"proxy","nerdctl/image-ref":"docker.io/library/envoy:1"}"#;
    let Some(overlay) = Overlay::mount(&fleet.watched, noted)? else {
        return fleet.stop().await;
    };
    let pair = plant::tencent();
    std::fs::create_dir(overlay.merged().join("etc"))?;
    std::fs::write(overlay.merged().join("etc/app.env"), text(&pair))?;
    let file = overlay.upper.join("etc/app.env");
    let row = fleet.wait_state(&pair.id, &shown(&file), "present").await?;
    let origin = &row["origin"];
    assert_eq!(origin["path_inside"], "/etc/app.env", "{row:#}");
    assert_eq!(origin["container"], "proxy", "{row:#}");
    assert_eq!(origin["container_id"], *overlay.id, "{row:#}");
    assert_eq!(origin["image"], "docker.io/library/envoy:1", "{row:#}");
    fleet.stop().await
}

#[tokio::test]
async fn a_typed_line_says_when_it_was_typed() -> Result<()> {
    let fleet = Fleet::start_walking().await?;
    fleet.agent.wait_walked().await?;
    let [timed, bare] = [plant::tencent(), plant::tencent()];
    let export = |pair: &Pair| {
        format!(
            "export TENCENTCLOUD_SECRET_ID={} TENCENTCLOUD_SECRET_KEY={}",
            pair.id, pair.secret
        )
    };
    let history = fleet.watched.join(".bash_history");
    let lines = format!("{}\n#1700000000\n{}\n", export(&bare), export(&timed));
    std::fs::write(&history, lines)?;
    let row = fleet
        .wait_state(&timed.id, &shown(&history), "present")
        .await?;
    assert_eq!(row["location"]["typed"], 1_700_000_000_000_i64, "{row:#}");
    let row = fleet
        .wait_state(&bare.id, &shown(&history), "present")
        .await?;
    assert!(row["location"]["typed"].is_null(), "{row:#}");
    fleet.stop().await
}
