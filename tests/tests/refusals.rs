//! Bad input: each gets a clear message that names it and the next step, and nothing is lost.

use std::path::Path;

use akwatch_tests::agent::Agent;
use akwatch_tests::collector::Collector;
use akwatch_tests::fleet::{self, Fleet, NO_FIRST_SCAN, shown};
use akwatch_tests::{plant, program, wait};
use anyhow::{Context as _, Result};

/// The message of something that must fail, on one line and in lower case.
fn refusal<T>(outcome: Result<T>) -> Result<String> {
    match outcome {
        Ok(_) => anyhow::bail!("was accepted"),
        Err(error) => Ok(format!("{error:#}").replace('\n', " ").to_lowercase()),
    }
}

/// Fails unless `message` has all `words`.
fn says(message: &str, words: &[&str]) {
    for word in words {
        assert!(message.contains(word), "{word:?} is not in: {message}");
    }
}

async fn enroll(directory: &Path, url: &str, bootstrap: &str) -> Result<()> {
    Agent::configure(directory, url, &[], NO_FIRST_SCAN)?;
    Agent::enroll(directory, bootstrap).await
}

#[tokio::test]
async fn a_bootstrap_string_is_good_once_and_only_for_its_authority() -> Result<()> {
    let (directory, _) = fleet::directory()?;
    let collector = Collector::start(&directory.path().join("collector")).await?;
    let agent = |name: &str| directory.path().join(name);

    let mistyped = refusal(enroll(&agent("a"), &collector.agents, "akwatch1:abc").await)?;
    says(&mistyped, &["bootstrap"]);

    let bootstrap = collector.bootstrap().await?;
    let (rest, _) = bootstrap.rsplit_once(':').context("a pin")?;
    let impostor = format!("{rest}:{}", "ab".repeat(32));
    says(
        &refusal(enroll(&agent("b"), &collector.agents, &impostor).await)?,
        &["authority"],
    );

    enroll(&agent("c"), &collector.agents, &bootstrap).await?;
    says(
        &refusal(enroll(&agent("d"), &collector.agents, &bootstrap).await)?,
        &["used"],
    );
    says(
        &refusal(
            enroll(
                &agent("c"),
                &collector.agents,
                &collector.bootstrap().await?,
            )
            .await,
        )?,
        &["already"],
    );

    let nobody = refusal(
        enroll(
            &agent("e"),
            "https://127.0.0.1:1",
            &collector.bootstrap().await?,
        )
        .await,
    )?;
    says(&nobody, &["127.0.0.1:1"]);
    collector.stop().await
}

#[tokio::test]
async fn a_bootstrap_string_ends_in_time() -> Result<()> {
    let (directory, _) = fleet::directory()?;
    let collector = Collector::start(&directory.path().join("collector")).await?;
    let rest = collector.rest().await?;
    let bootstrap = collector
        .command(&["enrollment-token", "create", "--seconds", "60"])
        .await?;
    wait::within(2 * wait::DEADLINE, "the string to end", async || {
        let now = rest.get("me").await?["time"].as_i64();
        let until = rest.get("enrollment-tokens").await?[0]["until"].as_i64();
        Ok((now > Some(until.context("an end")?)).then_some(()))
    })
    .await?;
    let agent = directory.path().join("agent");
    let late = refusal(enroll(&agent, &collector.agents, &bootstrap).await)?;
    says(&late, &["has expired", "have a new one made"]);
    collector.stop().await
}

/// Answers each connection's first bytes with `answer`, as a proxy that does not connect.
fn refusing_proxy(answer: &'static str) -> Result<String> {
    use std::io::{Read as _, Write as _};
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?.to_string();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut head = [0; 1024];
            let read = stream.read(&mut head).unwrap_or(0);
            if head[..read].starts_with(b"CONNECT ") {
                let _ = stream.write_all(answer.as_bytes());
            }
        }
    });
    Ok(address)
}

#[tokio::test]
async fn a_proxy_that_refuses_or_wants_a_password_is_named() -> Result<()> {
    let (directory, _) = fleet::directory()?;
    let collector = Collector::start(&directory.path().join("collector")).await?;
    let agent = directory.path().join("agent");
    let collectors = collector.agents.trim_start_matches("https://").to_owned();
    for (answer, words) in [
        (
            "HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n",
            ["wants a password", "admit this host"],
        ),
        (
            "HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n",
            ["does not connect to", "collector.proxy"],
        ),
    ] {
        let proxy = refusing_proxy(answer)?;
        let more = agent.join("agent.d");
        std::fs::create_dir_all(&more)?;
        std::fs::write(
            more.join("proxy.toml"),
            format!("[collector]\nproxy = \"http://{proxy}\"\n"),
        )?;
        let bootstrap = collector.bootstrap().await?;
        let told = refusal(enroll(&agent, &collector.agents, &bootstrap).await)?;
        says(&told, &[&proxy, &collectors]);
        says(&told, &words);
    }
    // Nothing was used up or left behind: without the proxy it works.
    std::fs::remove_dir_all(agent.join("agent.d"))?;
    enroll(&agent, &collector.agents, &collector.bootstrap().await?).await?;
    collector.stop().await
}

#[tokio::test]
async fn a_proxy_that_inspects_tls_is_named_with_its_issuer() -> Result<()> {
    let (directory, _) = fleet::directory()?;
    let collector = Collector::start(&directory.path().join("collector")).await?;
    let url = inspecting_proxy().await?;
    let address = url.trim_start_matches("https://").to_owned();
    let agent = directory.path().join("agent");
    let bootstrap = collector.bootstrap().await?;
    let told = refusal(enroll(&agent, &url, &bootstrap).await)?;
    says(
        &told,
        &[
            "corporate inspection ca",
            "tls-inspecting proxy",
            &format!("exempt {address} from inspection"),
        ],
    );
    // The string was not shown to it, and is still good.
    enroll(&agent, &collector.agents, &bootstrap).await?;
    collector.stop().await
}

/// Ends TLS with a certificate of its own authority, for whatever name is asked.
async fn inspecting_proxy() -> Result<String> {
    let authority = rcgen::KeyPair::generate()?;
    let mut params = rcgen::CertificateParams::new(Vec::<String>::new())?;
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, "Corporate Inspection CA");
    let issuer = rcgen::Issuer::new(params, authority);
    let key = rcgen::KeyPair::generate()?;
    let leaf = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()])?;
    let leaf = leaf.signed_by(&key, &issuer)?;
    let own = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der())
        .map_err(anyhow::Error::msg)?;
    let config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], own)?;
    let acceptor = tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("https://{}", listener.local_addr()?);
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            // The agent ends the handshake: there is nothing to serve.
            let _ = acceptor.accept(socket).await;
        }
    });
    Ok(url)
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_refused_and_left_alone() -> Result<()> {
    let (directory, _) = fleet::directory()?;
    let home = directory.path().join("collector");
    let collector = Collector::start(&home).await?;
    collector.stop().await?;
    let database = home.join("state/akwatch.db");
    let mut bytes = std::fs::read(&database)?;
    // Offset 60 of an SQLite file is its user version: https://www.sqlite.org/fileformat.html
    bytes[60..64].copy_from_slice(&9_999_u32.to_be_bytes());
    std::fs::write(&database, &bytes)?;
    let told = refusal(Collector::start(&home).await)?;
    says(&told, &["database", "9999", "start the newer program"]);
    anyhow::ensure!(std::fs::read(&database)? == bytes, "it was changed");
    Ok(())
}

#[tokio::test]
async fn unknown_configuration_keys_are_named() -> Result<()> {
    let (directory, _) = fleet::directory()?;
    let agent = directory.path().join("agent");
    Agent::configure(
        &agent,
        "https://127.0.0.1:7443",
        &[],
        "[wacth]\ninclude = []\n",
    )?;
    says(
        &refusal(Agent::enroll(&agent, "x").await)?,
        &["wacth", "agent.toml"],
    );

    let config = directory.path().join("server.toml");
    std::fs::write(&config, "[listne]\nagents = \"127.0.0.1:0\"\n")?;
    let state = directory.path().join("state");
    let args = [
        "run",
        "--config",
        &shown(&config),
        "--state",
        &shown(&state),
    ];
    says(
        &refusal(program::answer("akwatch-server", &args, None).await)?,
        &["listne", "server.toml"],
    );
    Ok(())
}

#[tokio::test]
async fn a_port_in_use_is_named() -> Result<()> {
    let (directory, _) = fleet::directory()?;
    let taken = std::net::TcpListener::bind("127.0.0.1:0")?;
    let address = taken.local_addr()?.to_string();
    let config = directory.path().join("server.toml");
    std::fs::write(
        &config,
        format!("[listen]\nagents = \"{address}\"\npeople = \"127.0.0.1:0\"\n"),
    )?;
    let state = directory.path().join("state");
    let args = [
        "run",
        "--config",
        &shown(&config),
        "--state",
        &shown(&state),
    ];
    says(
        &refusal(program::answer("akwatch-server", &args, None).await)?,
        &[&address, "in use"],
    );
    Ok(())
}

#[tokio::test]
async fn two_agents_on_one_state_directory_are_told_apart() -> Result<()> {
    let fleet = Fleet::start().await?;
    let second = Agent::run(&fleet.directory.path().join("agent"));
    let mut second = second?;
    let message = akwatch_tests::wait::until("the second agent to give up", async || {
        Ok(second
            .check_running()
            .err()
            .map(|error| format!("{error:#}").to_lowercase()))
    })
    .await?;
    says(&message, &["state"]);
    // The first goes on.
    let pair = plant::tencent();
    let file = fleet.watched.join("a.env");
    plant::write(
        &file,
        &format!("SECRET_ID={}\nSECRET_KEY={}\n", pair.id, pair.secret),
    )?;
    fleet.wait_state(&pair.id, &shown(&file), "present").await?;
    fleet.stop().await
}

#[tokio::test]
async fn hostile_files_neither_stop_the_agent_nor_hide_others() -> Result<()> {
    use std::os::unix::ffi::OsStrExt as _;
    let fleet = Fleet::start().await?;
    let watched = &fleet.watched;
    nix::unistd::mkfifo(&watched.join("fifo.env"), nix::sys::stat::Mode::S_IRWXU)?;
    let _socket = std::os::unix::net::UnixListener::bind(watched.join("socket.env"))?;
    std::os::unix::fs::symlink("loop.env", watched.join("loop.env"))?;
    std::os::unix::fs::symlink("/dev/zero", watched.join("zero.env"))?;
    std::fs::File::create(watched.join("sparse.env"))?.set_len(10 << 30)?;
    let strange = watched.join(std::ffi::OsStr::from_bytes(b"\xff\x1b[2J\n.env"));
    let pair = plant::tencent();
    let text = format!("SECRET_ID={}\nSECRET_KEY={}\n", pair.id, pair.secret);
    std::fs::write(&strange, &text)?;
    let rows = fleet
        .wait_findings("the file with a strange name", &pair.id, |rows| {
            rows.len() == 1
        })
        .await?;
    let path = rows[0]["location"]["path"].as_str().unwrap_or_default();
    assert!(
        path.contains("\\xff") && !path.contains('\u{1b}') && !path.contains('\n'),
        "{path}"
    );
    let after = plant::tencent();
    let file = watched.join("after.env");
    plant::write(
        &file,
        &format!("SECRET_ID={}\nSECRET_KEY={}\n", after.id, after.secret),
    )?;
    fleet
        .wait_state(&after.id, &shown(&file), "present")
        .await?;
    fleet.stop().await
}
