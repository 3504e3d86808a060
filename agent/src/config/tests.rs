//! What a configuration means and how a wrong one is refused.

use super::*;

fn load(texts: &[&str]) -> Result<Config, ConfigError> {
    let files: Vec<_> = texts
        .iter()
        .enumerate()
        .map(|(i, text)| (PathBuf::from(format!("/etc/{i}.toml")), (*text).to_owned()))
        .collect();
    Config::from_texts(&files)
}

const URLS: &str = "[collector]\nurls = [\"https://akwatch.example:7443\"]\n";

/// Asserts that `text`, appended to a sound file, is refused with a message that has all `words`.
#[track_caller]
fn check_refused(text: &str, words: &[&str]) {
    let whole = format!("{URLS}{text}");
    let message = load(&[&whole]).expect_err("it was accepted").to_string();
    for word in words {
        assert!(message.contains(word), "{word:?} is not in {message:?}");
    }
}

#[test]
fn urls_are_enough() {
    let config = load(&[URLS]).unwrap();
    assert_eq!(
        config.collector.urls[0].to_string(),
        "https://akwatch.example:7443"
    );
    assert_eq!(config.watch.max_file_bytes, 64 << 20);
    assert!(config.watch.history && config.watch.processes && config.first_scan.enabled);
    assert!(!config.deny.hunts && !config.collector.use_environment_proxy);
}

#[test]
fn an_empty_file_says_what_it_lacks() {
    let message = load(&[""]).unwrap_err().to_string();
    assert!(
        message.contains("/etc/0.toml") && message.contains("urls = [\"https://"),
        "{message}"
    );
}

#[test]
fn later_files_win_by_key_and_labels_join() {
    let config = load(&[
        "[collector]\nurls = [\"https://a\"]\n[labels]\nenv = \"test\"\nteam = \"x\"\n[watch]\nhistory = false",
        "[labels]\nenv = \"prod\"\n[watch]\nexclude = [\"/a\"]",
        "[collector]\nurls = [\"https://b:1\", \"https://c\"]",
    ])
    .unwrap();
    let urls: Vec<_> = config
        .collector
        .urls
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(urls, ["https://b:1", "https://c"]);
    let labels: Vec<_> = config
        .labels
        .iter()
        .map(|(k, v)| (k.0.as_str(), v.0.as_str()))
        .collect();
    assert_eq!(labels, [("env", "prod"), ("team", "x")]);
    assert!(!config.watch.history && config.watch.exclude.len() == 1);
}

#[test]
fn unknown_keys_name_file_line_and_what_is_allowed() {
    check_refused(
        "proxi = \"http://p:1\"\n",
        &["/etc/0.toml:3:", "proxi", "use_environment_proxy"],
    );
    check_refused(
        "[watch]\nexcluded = []\n",
        &["/etc/0.toml:4:", "watch.excluded", "`exclude`"],
    );
    check_refused("[wach]\n", &["/etc/0.toml:3:", "wach", "`watch`"]);
}

#[test]
fn wrong_values_name_the_key_and_what_is_allowed() {
    check_refused(
        "[watch]\nmax_file_bytes = 12\n",
        &[":4:", "watch.max_file_bytes", "4096"],
    );
    check_refused(
        "[budget]\ndisk_bytes = 1048576\n",
        &[":4:", "budget.disk_bytes", "33554432"],
    );
    check_refused(
        "[watch]\nmax_file_bytes = \"64M\"\n",
        &[":4:", "watch.max_file_bytes", "string"],
    );
    check_refused(
        "[watch]\nexclude = [\n \"/ok\",\n \"oops\"]\n",
        &[":4:", "watch.exclude", "\"oops\"", "begin with /"],
    );
    check_refused("[watch]\nexclude = [\"/a[\"]\n", &["watch.exclude", "/a["]);
    check_refused("[roles]\nwatcher = -1\n", &[":4:", "roles.watcher", "-1"]);
    check_refused("[roles]\nmarker = \"Root!\"\n", &["roles.marker", "Root!"]);
    check_refused("[labels]\nEnv = \"x\"\n", &[":4:", "lower-case"]);
    check_refused(
        "[first_scan]\npaths = [\"srv\"]\n",
        &["first_scan.paths", "absolute"],
    );
    check_refused("[watch\n", &[":3:"]);
}

#[test]
fn addresses_are_https_and_hold_no_password() {
    let url = |url: &str| load(&[&format!("[collector]\nurls = [{url:?}]")]);
    assert!(url("http://a").unwrap_err().to_string().contains("https"));
    assert!(url("https://a/x").unwrap_err().to_string().contains("path"));
    let message = url("https://u:hunter2hunter2@a").unwrap_err().to_string();
    assert!(
        message.contains("password") && !message.contains("hunter2"),
        "{message}"
    );
    let with_proxy = format!("{URLS}proxy = \"http://u:hunter2hunter2@p:1\"");
    let message = load(&[&with_proxy]).unwrap_err().to_string();
    assert!(
        message.contains("collector.proxy") && !message.contains("hunter2"),
        "{message}"
    );
}

#[test]
fn users_are_names_or_numbers() {
    let text = format!(
        "{URLS}[roles]\nwatcher = 61409\nmarker = \"61410\"\ndetector = \"akwatch-detector\""
    );
    let roles = load(&[&text]).unwrap().roles;
    assert_eq!(roles.watcher, Some(UserRef::Uid(61409)));
    assert_eq!(roles.marker, Some(UserRef::Uid(61410)));
    assert_eq!(
        roles.detector,
        Some(UserRef::Name("akwatch-detector".to_owned()))
    );
    assert_eq!(roles.reporter, None);
}

#[test]
fn patterns_cover_what_people_expect() {
    let homes = [PathBuf::from("/root"), PathBuf::from("/home/a[1]")];
    let glob = |text: &str| Glob::try_from(text.to_owned()).unwrap();
    let covers = |pattern: &str, path: &str| {
        GlobSet::new([&glob(pattern)], &homes)
            .unwrap()
            .covers(Path::new(path))
    };
    assert!(covers("/srv/*.yml", "/srv/a.yml"));
    assert!(!covers("/srv/*.yml", "/srv/b/a.yml"));
    assert!(covers("/srv/**/*.yml", "/srv/b/c/a.yml"));
    assert!(covers("/srv/**/*.yml", "/srv/a.yml"));
    assert!(covers("/var/cache", "/var/cache/a/b"));
    assert!(!covers("/var/cache", "/var/cached"));
    assert!(covers("~/.env", "/root/.env") && covers("~/.env", "/home/a[1]/.env"));
    assert!(!covers("~/.env", "/home/b/.env"));
    assert_eq!(glob("/srv/*/x").bases(&homes), [PathBuf::from("/srv/")]);
    assert_eq!(glob("/srv/x").bases(&homes), [PathBuf::from("/srv/x")]);
    assert_eq!(glob("~/d/**").bases(&homes).len(), 2);
}

#[test]
fn files_on_disk_are_read_in_order_of_name() {
    let dir = tempfile::tempdir().unwrap();
    let main = dir.path().join("agent.toml");
    let missing = Config::load(&main).unwrap_err();
    assert!(matches!(missing, ConfigError::Missing { .. }), "{missing}");
    std::fs::write(&main, URLS).unwrap();
    std::fs::create_dir(dir.path().join("agent.d")).unwrap();
    for (name, text) in [
        ("20.toml", "[watch]\nprocesses = false"),
        ("10.toml", "[watch]\nprocesses = true\nhistory = false"),
        ("30.toml.bak", "not toml ["),
        (".hidden.toml", "not toml ["),
    ] {
        std::fs::write(dir.path().join("agent.d").join(name), text).unwrap();
    }
    let config = Config::load(&main).unwrap();
    assert!(!config.watch.processes && !config.watch.history);
    std::fs::write(dir.path().join("agent.d/40.toml"), "[watch]\nnope = 1").unwrap();
    let message = Config::load(&main).unwrap_err().to_string();
    assert!(
        message.contains("agent.d/40.toml:2: watch.nope"),
        "{message}"
    );
}

const REFERENCE: &str = include_str!("../../../docs/reference/agent-configuration.md");

/// What the guide tells people to write is accepted, file by file.
#[test]
fn the_guides_examples_are_accepted() {
    for (page, files) in [
        (include_str!("../../../docs/guide/neighbours.md"), 1),
        (include_str!("../../../docs/guide/unattended.md"), 1),
    ] {
        let examples: Vec<&str> = page
            .split("```toml\n# /etc/akwatch/agent.d/")
            .skip(1)
            .filter_map(|rest| rest.split("```").next())
            .map(|rest| rest.split_once('\n').unwrap().1)
            .collect();
        assert_eq!(examples.len(), files, "{page}");
        for example in examples {
            load(&[URLS, example]).unwrap();
        }
    }
    load(&[URLS, include_str!("../../../packaging/agent.toml")]).unwrap();
}

/// The packaged file, every key in force: each is known and holds its own default.
#[test]
fn only_a_host_without_any_file_is_not_configured() {
    let directory = tempfile::tempdir().unwrap();
    let main = directory.path().join("agent.toml");
    assert!(Config::is_absent(&main));
    let beside = directory.path().join("agent.d");
    std::fs::create_dir(&beside).unwrap();
    assert!(Config::is_absent(&main));
    std::fs::write(beside.join("deny.toml"), "[deny]\npaths = [\"/etc/*.key\"]").unwrap();
    assert!(!Config::is_absent(&main), "it denies something");
    std::fs::remove_dir_all(&beside).unwrap();
    std::fs::write(&main, "nonsense").unwrap();
    assert!(!Config::is_absent(&main));
}

#[test]
fn the_packaged_configuration_holds_the_defaults() {
    let text = include_str!("../../../packaging/agent.toml");
    let bare: String = text
        .lines()
        .map(|line| line.strip_prefix('#').unwrap_or(line))
        .filter(|line| !line.is_empty() && !line.starts_with(' '))
        .map(|line| format!("{line}\n"))
        .collect();
    for table in keys("") {
        if table == "ephemeral" {
            assert!(bare.starts_with("ephemeral = false\n")); // a key outside of all tables
            continue;
        }
        assert!(bare.contains(&format!("[{table}]\n")), "{table}");
        if table == "labels" {
            continue;
        }
        for key in keys(&table) {
            assert!(bare.contains(&format!("\n{key} = ")), "{table}.{key}");
        }
    }
    let (set, built_in) = (load(&[&bare]).unwrap(), Config::built_in());
    assert_eq!(
        set.watch.max_file_bytes, built_in.watch.max_file_bytes,
        "the comment in the source names another default"
    );
    assert!(set.watch.include.is_empty() && set.deny.paths.is_empty());
    assert_eq!(
        (set.watch.history, set.watch.processes, set.deny.hunts),
        (
            built_in.watch.history,
            built_in.watch.processes,
            built_in.deny.hunts
        )
    );
    assert_eq!(set.budget, built_in.budget);
    assert_eq!(set.first_scan.enabled, built_in.first_scan.enabled);
    assert_eq!(set.first_scan.paths, built_in.first_scan.paths);
}

/// The keys of a table, as the refusal of an unknown one lists them.
fn keys(table: &str) -> Vec<String> {
    let text = if table.is_empty() {
        "no_such_key = 1".to_owned()
    } else {
        format!("[{table}]\nno_such_key = 1")
    };
    let message = load(&[&text]).unwrap_err().to_string();
    let (_, list) = message.split_once("expected ").unwrap();
    let keys = list.split('`').skip(1).step_by(2);
    keys.map(str::to_owned).collect()
}

#[test]
fn the_reference_names_every_key() {
    for table in keys("") {
        if table == "labels" {
            assert!(REFERENCE.contains("`labels.NAME`"));
            continue;
        }
        if table == "ephemeral" {
            assert!(REFERENCE.contains("`ephemeral`"));
            continue; // a key outside of all tables
        }
        for key in keys(&table) {
            let name = format!("`{table}.{key}`");
            assert!(REFERENCE.contains(&name), "{name} is not in the reference");
        }
    }
}

#[test]
fn the_reference_names_every_path_that_is_watched() {
    for entry in akwatch_detect::places::watch_set() {
        let named = REFERENCE.contains(&format!("`{}`", entry.glob));
        assert!(
            entry.in_home() || named || in_a_tree(&entry.glob),
            "{} is not in the reference",
            entry.glob
        );
    }
}

/// Whether a path lies in a tree that the reference names.
fn in_a_tree(glob: &str) -> bool {
    let above = Path::new(glob).ancestors().skip(1);
    above
        .filter_map(Path::to_str)
        .any(|above| REFERENCE.contains(&format!("`{above}/**`")))
}

#[test]
fn hours_go_over_midnight_and_are_checked() {
    let hours = |text: &str| Hours::try_from(text.to_owned());
    let night = hours("22:00-06:00").unwrap();
    let minutes = [22 * 60, 0, 6 * 60 - 1, 6 * 60, 12 * 60, 22 * 60 - 1];
    let held = minutes.map(|minute| night.hold(minute));
    assert_eq!(held, [true, true, true, false, false, false]);
    let noon = hours("12:00-13:30").unwrap();
    assert!(noon.hold(12 * 60) && noon.hold(13 * 60 + 29) && !noon.hold(13 * 60 + 30));
    assert_eq!(night.to_string(), "22:00-06:00");
    assert!(hours("20:00-24:00").unwrap().hold(24 * 60 - 1));
    for wrong in [
        "",
        "22-06",
        "22:00",
        "22:00-22:00",
        "24:00-06:00",
        "25:00-06:00",
        "22:60-06:00",
        "2:00-6:00",
        "22:00-06:00-07:00",
        "+1:00-06:00",
    ] {
        assert!(hours(wrong).is_err(), "{wrong:?}");
    }
}
