//! Enrollment against a real TLS collector: the good path, and each way in which it fails.

use std::os::unix::fs::PermissionsExt;

use akwatch_proto::agent::{TokenId, TokenSecret};
use akwatch_proto::credential::Epoch;

use rcgen::PublicKeyData as _;

use super::*;
use crate::reporter::testing::{Authority, Call, Presentation, Reply, TestCollector};

/// A secret of a token, made for this run.
fn token_secret() -> String {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).unwrap();
    data_encoding::HEXLOWER.encode(&bytes)
}

pub(super) fn bootstrap(pin: [u8; 32]) -> Bootstrap {
    Bootstrap {
        token: TokenId::parse("t1").unwrap(),
        secret: TokenSecret::new(token_secret()),
        authority: pin,
    }
}

pub(super) fn config(urls: &[String]) -> Config {
    let urls: Vec<String> = urls.iter().map(|url| format!("{url:?}")).collect();
    let text = format!(
        "[collector]\nurls = [{}]\n[labels]\nenv = \"test\"\n",
        urls.join(",")
    );
    Config::from_texts(&[("agent.toml".into(), text)]).unwrap()
}

/// Enrolls whoever asks.
pub(super) fn enrolling(authority: Arc<Authority>) -> impl Fn(&Call) -> Reply + Send + Sync {
    move |call| {
        let record = authority.record();
        Reply::json(&Enrolled {
            host: record.host,
            trust_domain: record.trust_domain.clone(),
            certificate: authority.host(call.body["csr"].as_str().unwrap(), &record, 7),
            authorities: authority.pem(),
            fleet_key: FleetKey::new(Epoch::parse("1").unwrap(), &[9; 32]),
            directive_keys: record.directive_keys,
            heartbeat_seconds: 30,
            time: akwatch_proto::time::Time(5),
        })
    }
}

/// A state directory and a bootstrap file of the right mode in it.
fn prepared(bootstrap: &Bootstrap) -> (tempfile::TempDir, PathBuf) {
    let state = tempfile::tempdir().unwrap();
    let file = state.path().join("bootstrap");
    std::fs::write(&file, format!("{}\n", bootstrap.expose())).unwrap();
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
    (state, file)
}

/// What enrolling at `urls` fails with; nothing is left behind but the bootstrap file.
fn failure(urls: &[String], bootstrap: &Bootstrap) -> EnrollError {
    let (state, file) = prepared(bootstrap);
    let error = enroll(&config(urls), state.path(), Some(&file)).unwrap_err();
    assert!(file.exists(), "it can be tried again");
    assert!(!state.path().join(IDENTITY_DIRECTORY).exists());
    assert!(!format!("{error:?} {error}").contains(bootstrap.secret.expose()));
    error
}

#[test]
fn a_host_is_enrolled_and_the_string_is_gone() {
    let authority = Arc::new(Authority::new());
    let collector = TestCollector::start(&authority, enrolling(authority.clone()));
    let bootstrap = bootstrap(authority.pin());
    let (state, file) = prepared(&bootstrap);
    let config = config(&[collector.url()]);
    let enrollment = enroll(&config, state.path(), Some(&file)).unwrap();
    assert_eq!(enrollment.host, authority.record().host);
    assert!(enrollment.left.is_none() && !file.exists());

    let call = &collector.calls()[0];
    assert_eq!(call.path, "/v1/enroll");
    assert_eq!(call.body["secret"], bootstrap.secret.expose());
    assert_eq!(call.body["facts"]["labels"]["env"], "test");
    let identity = Identity::open(&state.path().join(IDENTITY_DIRECTORY)).unwrap();
    assert_eq!(identity.record.heartbeat_seconds, 30);
    let watchers = identity::record(&state.path().join(WATCHER_DIRECTORY)).unwrap();
    assert_eq!(watchers, identity.record);
    assert_eq!(fleet_key(state.path()).unwrap().expose().unwrap(), [9; 32]);
    let key_file = state.path().join(WATCHER_DIRECTORY).join(FLEET_KEY_FILE);
    let mode = std::fs::metadata(key_file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let again = enroll(&config, state.path(), None).unwrap_err();
    assert!(again.to_string().contains("enrolled already"), "{again}");
}

#[test]
fn each_refusal_of_a_token_says_what_to_do() {
    for (code, word) in [
        ("token-unknown", "mistyped"),
        ("token-expired", "expired"),
        ("token-used-up", "somebody else has it"),
        ("version", "refused: version"),
    ] {
        let authority = Authority::new();
        let collector = TestCollector::start(&authority, move |_| Reply::refused(401, code));
        let error = failure(&[collector.url()], &bootstrap(authority.pin()));
        assert!(error.to_string().contains(word), "{error}");
        assert!(error.to_string().contains(&collector.address.to_string()));
    }
}

#[test]
fn an_impostor_or_inspection_is_told_nothing() {
    for (name, word) in [
        ("akwatch authority other", "another akwatch authority"),
        ("Corporate Inspection CA", "exempt 127.0.0.1:"),
    ] {
        let impostor = TestCollector::start(&Authority::named(name), |_| Reply::refused(500, "x"));
        let error = failure(&[impostor.url()], &bootstrap(Authority::new().pin()));
        assert!(error.to_string().contains(word), "{error}");
        assert!(error.to_string().contains(name), "{error}");
        assert!(impostor.calls().is_empty());
    }
}

#[test]
fn the_pin_alone_is_not_enough() {
    let authority = Arc::new(Authority::new());
    let refused = |presentation: Presentation, word: &str| {
        let collector =
            TestCollector::present(&authority, &presentation, enrolling(authority.clone()));
        let error = failure(&[collector.url()], &bootstrap(authority.pin()));
        assert!(error.to_string().contains(word), "{error}");
        assert!(collector.calls().is_empty());
    };
    let expired = Presentation {
        days: (-10, -1),
        ..Presentation::default()
    };
    refused(expired, "check both clocks");
    let elsewhere = Presentation {
        name: "elsewhere.example",
        ..Presentation::default()
    };
    refused(elsewhere, "other names");
    let without = Presentation {
        with_authority: false,
        ..Presentation::default()
    };
    refused(without, "akwatch authority");
}

/// A leaf that an attacker's own authority signed, with the genuine authority thrown into the chain.
#[test]
fn the_pinned_authority_beside_a_foreign_leaf_proves_nothing() {
    let (genuine, foreign) = (
        Authority::new(),
        Authority::named("akwatch authority foreign"),
    );
    let mixed = foreign.with_chain_of(&genuine);
    let collector = TestCollector::start(&mixed, |_| Reply::refused(500, "x"));
    failure(&[collector.url()], &bootstrap(genuine.pin()));
    assert!(collector.calls().is_empty());
}

#[test]
fn the_next_collector_is_asked_when_one_is_away() {
    let authority = Arc::new(Authority::new());
    let collector = TestCollector::start(&authority, enrolling(authority.clone()));
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let away = format!("https://{}", free.local_addr().unwrap());
    drop(free);
    let (state, file) = prepared(&bootstrap(authority.pin()));
    let both = config(&[away.clone(), collector.url()]);
    enroll(&both, state.path(), Some(&file)).unwrap();
    let error = failure(std::slice::from_ref(&away), &bootstrap(authority.pin()));
    assert!(error.to_string().contains("cannot be reached"), "{error}");
    assert!(error.to_string().contains(&away["https://".len()..]));
}

/// A collector enrolls the host and its answer is lost on the way; whoever tries again asks with
/// the same key, so that the collector can tell that it is the same host.
#[test]
fn a_lost_answer_is_asked_for_again_with_the_same_key() {
    let authority = Arc::new(Authority::new());
    let enrolling = enrolling(authority.clone());
    let lost = std::sync::atomic::AtomicBool::new(false);
    let collector = TestCollector::start(&authority, move |call| {
        let mut reply = enrolling(call);
        if !lost.swap(true, std::sync::atomic::Ordering::SeqCst) {
            reply = reply.with("content-length", "100000");
        }
        reply
    });
    let (state, file) = prepared(&bootstrap(authority.pin()));
    let config = config(&[collector.url()]);
    let error = enroll(&config, state.path(), Some(&file)).unwrap_err();
    assert!(error.to_string().contains("no answer came"), "{error}");
    assert!(file.exists());
    let enrollment = enroll(&config, state.path(), Some(&file)).unwrap();
    assert_eq!(enrollment.host, authority.record().host);
    let calls = collector.calls();
    assert_eq!(calls.len(), 2);
    // ECDSA signatures differ, so the requests do; the key in front of them does not.
    let key = |call: &Call| {
        let csr = call.body["csr"].as_str().unwrap();
        rcgen::CertificateSigningRequestParams::from_pem(csr)
            .unwrap()
            .public_key
            .der_bytes()
            .to_vec()
    };
    assert_eq!(key(&calls[0]), key(&calls[1]));
    let left = state.path().join(IDENTITY_DIRECTORY).join("key.next.pem");
    assert!(
        !left.exists(),
        "the key is the host's now, not the next one"
    );
}

#[test]
fn an_answer_for_another_key_is_not_kept() {
    let authority = Arc::new(Authority::new());
    let enrolling = enrolling(authority.clone());
    let other = PendingKey::make().unwrap().csr;
    let collector = TestCollector::start(&authority, move |call| {
        let mut call = call.clone();
        call.body["csr"] = other.clone().into();
        enrolling(&call)
    });
    let error = failure(&[collector.url()], &bootstrap(authority.pin()));
    assert!(error.to_string().contains("another key"), "{error}");
}

#[test]
fn a_file_that_others_can_read_or_that_is_none_is_refused() {
    let (state, file) = prepared(&bootstrap([1; 32]));
    let config = config(&["https://127.0.0.1:1".to_owned()]);
    let refused = |path: &Path| {
        enroll(&config, state.path(), Some(path))
            .unwrap_err()
            .to_string()
    };
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o640)).unwrap();
    assert!(refused(&file).contains("chmod 600"));
    let link = state.path().join("link");
    std::os::unix::fs::symlink(&file, &link).unwrap();
    assert!(refused(&link).contains("not a link"));
    assert!(refused(state.path()).contains("not a regular file"));
    let fifo = state.path().join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
    assert!(refused(&fifo).contains("not a regular file"));
}

#[test]
fn a_string_that_is_none_is_not_repeated() {
    let secret = token_secret();
    for text in [
        format!("akwatch1:t1:{secret}"),
        String::new(),
        secret.repeat(200),
    ] {
        let error = read(text.as_bytes()).unwrap_err();
        assert!(matches!(error, EnrollError::Mistyped(_)));
        assert!(!format!("{error} {error:?}").contains(&secret));
    }
    let good = bootstrap([3; 32]);
    assert_eq!(read(good.expose().as_bytes()).unwrap(), good);
}

/// The users of the two roles in the tests of who owns what.
const WATCHER: u32 = 60_001;
const REPORTER: u32 = 60_002;

/// A collector's configuration with users of their own for the roles; none where this is not root, who
/// alone may give files away.
fn with_users(url: &str) -> Option<Config> {
    let text = format!(
        "[collector]\nurls = [{url:?}]\n[roles]\nwatcher = {WATCHER}\nreporter = {REPORTER}\n"
    );
    let config = Config::from_texts(&[("agent.toml".into(), text)]).unwrap();
    Uid::effective().is_root().then_some(config)
}

fn owner(path: &Path) -> u32 {
    path.symlink_metadata().unwrap().uid()
}

/// A retired host's directories are the roles'; whoever had a hold on one left something there for the
/// root that enrolls it again.
#[test]
fn what_lies_in_a_roles_directory_is_neither_followed_nor_given_away() {
    let authority = Arc::new(Authority::new());
    let collector = TestCollector::start(&authority, enrolling(authority.clone()));
    let (state, file) = prepared(&bootstrap(authority.pin()));
    let Some(config) = with_users(&collector.url()) else {
        return;
    };
    let others = tempfile::tempdir().unwrap();
    let (shadow, second) = (others.path().join("shadow"), others.path().join("second"));
    for path in [&shadow, &second] {
        std::fs::write(path, "root's").unwrap();
    }
    let (watchers, reporters) = (
        state.path().join(WATCHER_DIRECTORY),
        state.path().join(IDENTITY_DIRECTORY),
    );
    for (directory, uid) in [(&watchers, WATCHER), (&reporters, REPORTER)] {
        std::fs::create_dir(directory).unwrap();
        std::fs::write(directory.join("ledger.redb"), "").unwrap();
        for (at, to) in [("x", &shadow), (FLEET_KEY_FILE, &shadow)] {
            std::os::unix::fs::symlink(to, directory.join(at)).unwrap();
        }
        std::os::unix::fs::chown(directory, Some(uid), None).unwrap();
    }
    std::fs::hard_link(&second, watchers.join("hard")).ok();

    let refused = enroll(&config, state.path(), Some(&file)).unwrap_err();
    let words = "identity belongs to another user";
    assert!(refused.to_string().contains(words), "{refused}");
    assert!(collector.calls().is_empty(), "nobody was asked");
    for name in ["x", FLEET_KEY_FILE, "ledger.redb"] {
        std::fs::remove_file(reporters.join(name)).unwrap();
    }
    // Empty it is as a retirement leaves it.
    enroll(&config, state.path(), Some(&file)).unwrap();
    for path in [&shadow, &second] {
        assert_eq!(owner(path), 0);
        assert_eq!(std::fs::read_to_string(path).unwrap(), "root's");
    }
    for (directory, uid, names) in [
        (&watchers, WATCHER, &[FLEET_KEY_FILE, "host.json"][..]),
        (&reporters, REPORTER, &identity::FILES[..]),
    ] {
        assert_eq!(owner(directory), uid);
        for name in names {
            let path = directory.join(name);
            assert!(path.symlink_metadata().unwrap().is_file(), "{name}");
            assert_eq!(owner(&path), uid, "{name}");
        }
    }
    assert_eq!(owner(&watchers.join("x")), 0, "it is as it was left");
}

/// A path unit starts the agent the moment `host.json` has its name, and the service manager then takes the
/// directories for the roles: nothing that this enrollment needs may be left to do.
#[test]
fn nothing_is_given_away_after_the_name_that_starts_the_agent() {
    use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

    let authority = Arc::new(Authority::new());
    let collector = TestCollector::start(&authority, enrolling(authority.clone()));
    let (state, file) = prepared(&bootstrap(authority.pin()));
    let Some(config) = with_users(&collector.url()) else {
        return;
    };
    let heard = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK).unwrap();
    let [watchers, reporters] = [WATCHER_DIRECTORY, IDENTITY_DIRECTORY].map(|name| {
        let directory = state.path().join(name);
        identity::private_directory(&directory).unwrap();
        let events = AddWatchFlags::IN_ATTRIB | AddWatchFlags::IN_MOVED_TO;
        heard.add_watch(&directory, events).unwrap()
    });
    enroll(&config, state.path(), Some(&file)).unwrap();
    let events = heard.read_events().unwrap();
    let named = |name: &str| {
        let found = events.iter().rposition(|event| {
            let last = event.name.as_ref().is_some_and(|last| last == name);
            event.wd == reporters && event.mask.contains(AddWatchFlags::IN_MOVED_TO) && last
        });
        found.unwrap_or_else(|| panic!("{name} in {events:?}"))
    };
    let begins = named(identity::HOST_FILE);
    for name in identity::FILES {
        assert!(named(name) <= begins, "{name} in {events:?}");
    }
    assert!(events[..begins].iter().any(|event| event.wd == watchers));
    for late in &events[begins + 1..] {
        // The identity's directory itself, which has no name there.
        assert!(late.wd == reporters && late.name.is_none(), "{events:?}");
    }
}

#[test]
fn an_identity_is_written_beside_nothing_else() {
    let authority = Arc::new(Authority::new());
    let collector = TestCollector::start(&authority, enrolling(authority.clone()));
    let config = config(&[collector.url()]);
    let (state, file) = prepared(&bootstrap(authority.pin()));
    let directory = state.path().join(IDENTITY_DIRECTORY);
    let refused = |words: &str| {
        let why = enroll(&config, state.path(), Some(&file)).unwrap_err();
        let why = why.to_string();
        assert!(why.contains(words) && why.contains("move it away"), "{why}");
        assert!(collector.calls().is_empty(), "nobody was asked");
    };
    let elsewhere = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(elsewhere.path(), &directory).unwrap();
    refused("is no directory of its own");
    std::fs::remove_file(&directory).unwrap();
    identity::private_directory(&directory).unwrap();
    for name in ["x", "key.pem"] {
        std::os::unix::fs::symlink(elsewhere.path(), directory.join(name)).unwrap();
        refused("is nothing that an enrollment writes");
        std::fs::remove_file(directory.join(name)).unwrap();
    }
    std::fs::set_permissions(state.path(), PermissionsExt::from_mode(0o777)).unwrap();
    refused("can be changed by another user");
    std::fs::set_permissions(state.path(), PermissionsExt::from_mode(0o755)).unwrap();
    // What an enrollment that was cut off left is none of that.
    std::fs::write(directory.join("key.pem.new"), "half").unwrap();
    enroll(&config, state.path(), Some(&file)).unwrap();
}
