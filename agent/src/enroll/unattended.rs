//! Enrollment without anybody at hand: bootstrap strings that cloud-init, Ansible or an image left in a
//! directory, `/etc/akwatch/enroll.d/*.bootstrap`.
//!
//! Each file is tried in order of name until one has enrolled the host; it is deleted by that, and so
//! are those that are left, which no host needs any more. One that can never serve (expired, used up,
//! mistyped, readable by others) is renamed to `*.refused`, so that it is neither tried for ever nor
//! lost without a word; where it cannot be renamed either, it is noted and not tried again ([`done`]).
//! What may pass, such as a collector that does not answer or a file that is still
//! being written, ends the attempt with an error, and the unit tries again.

use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use super::done::Done;
use super::{EnrollError, Enrollment, enroll};
use crate::config::Config;
use crate::identity::{self, IdentityError};
use crate::role::IDENTITY_DIRECTORY;

/// How the name of a file that holds a bootstrap string ends.
const ENDING: &str = "bootstrap";
/// What takes its place once the file can never serve.
const REFUSED: &str = "refused";
/// Files of one directory. Stops: a directory that is no directory of bootstrap strings.
pub(super) const FILES: usize = 64;
/// How long a file must have been left alone before its content or mode is held against it: cloud-init
/// writes first and takes others' permissions away afterwards.
const SETTLED: Duration = Duration::from_secs(5);
/// Exit code when no file can ever serve: the unit does not try again.
const IN_VAIN: u8 = 3;

/// The verb `enroll --directory`.
///
/// # Errors
/// As [`EnrollError`] says, where trying again may help.
pub(super) fn command(config: &Config, state: &Path, directory: &Path) -> anyhow::Result<ExitCode> {
    let outcome = from_directory(config, state, directory)?;
    let mut out = io::stdout().lock();
    let mut err = io::stderr().lock();
    for (path, why) in &outcome.refused {
        let path = path.display();
        writeln!(err, "akwatch-agent: {path} can never serve: {why}")?;
    }
    for path in &outcome.left {
        let path = path.display();
        writeln!(
            err,
            "akwatch-agent: {path} is done with and could not be deleted; delete it now"
        )?;
    }
    if let Some(enrollment) = outcome.enrollment {
        let (collector, host) = (enrollment.collector, enrollment.host);
        writeln!(out, "enrolled at {collector} as {host}")?;
    } else if outcome.enrolled_before {
        writeln!(out, "this host is enrolled already")?;
    } else {
        let directory = directory.display();
        writeln!(
            err,
            "akwatch-agent: no usable bootstrap string in {directory}: have one made by \
             `akwatch-server enrollment-token create` and write it to {directory}/NAME.bootstrap, \
             mode 0600"
        )?;
        return Ok(ExitCode::from(IN_VAIN));
    }
    Ok(ExitCode::SUCCESS)
}

/// How the files of a directory served.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// The host, if it was enrolled now.
    pub(super) enrollment: Option<Enrollment>,
    /// Whether it was enrolled already.
    pub(super) enrolled_before: bool,
    /// Files that can never serve, under the names that they have now, and why.
    pub(super) refused: Vec<(PathBuf, EnrollError)>,
    /// Files that nobody needs any more and that could be neither deleted nor renamed.
    pub(super) left: Vec<PathBuf>,
}

/// Tries the bootstrap strings of `directory` in order of name.
///
/// # Errors
/// When trying again may help: then every file that was not refused is still there.
pub(super) fn from_directory(
    config: &Config,
    state: &Path,
    directory: &Path,
) -> Result<Outcome, EnrollError> {
    let (mut outcome, mut done) = (Outcome::default(), Done::load(state));
    match identity::absent(&state.join(IDENTITY_DIRECTORY)) {
        Ok(()) => {}
        Err(IdentityError::Enrolled { .. }) => outcome.enrolled_before = true,
        Err(other) => return Err(other.into()),
    }
    for path in files(directory)? {
        if outcome.enrolled_before || outcome.enrollment.is_some() {
            let removed =
                std::fs::remove_file(&path).or_else(|_| std::fs::rename(&path, aside(&path)));
            if removed.is_err() {
                outcome.left.push(path);
            }
            continue;
        }
        if done.holds(&path) {
            outcome.left.push(path);
            continue;
        }
        match enroll(config, state, Some(&path)) {
            Ok(mut enrollment) => {
                outcome.left.extend(enrollment.left.take());
                outcome.enrollment = Some(enrollment);
            }
            Err(why) if why.is_final() && (why.is_the_collectors() || settled(&path)) => {
                let aside = aside(&path);
                if std::fs::rename(&path, &aside).is_ok() {
                    outcome.refused.push((aside, why));
                    continue;
                }
                if std::fs::remove_file(&path).is_err() {
                    done.note(&path)?;
                    outcome.left.push(path.clone());
                }
                outcome.refused.push((path, why));
            }
            Err(why) => return Err(why),
        }
    }
    Ok(outcome)
}

/// What a file is called once it can never serve.
fn aside(path: &Path) -> PathBuf {
    path.with_extension(REFUSED)
}

/// Whether nobody has changed a file for a while. A clock that was set back counts as a while.
fn settled(path: &Path) -> bool {
    let Ok(metadata) = path.symlink_metadata() else {
        return true;
    };
    let changed = u64::try_from(metadata.ctime()).unwrap_or(0);
    let changed = SystemTime::UNIX_EPOCH + Duration::from_secs(changed);
    SystemTime::now()
        .duration_since(changed)
        .map_or(true, |age| age > SETTLED)
}

/// The files that hold bootstrap strings, in order of name; none where there is no directory.
fn files(directory: &Path) -> Result<Vec<PathBuf>, EnrollError> {
    let failed = |source| EnrollError::Start {
        step: "read the directory of bootstrap strings",
        source: Box::new(source) as Box<dyn std::error::Error + Send + Sync>,
    };
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(why) => return Err(failed(why)),
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        // Under a name with a dot in front, tools write what they rename when it is whole.
        let hidden = path
            .file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if !hidden && path.extension().is_some_and(|ending| ending == ENDING) {
            files.push(path);
        }
        if files.len() == FILES {
            break;
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::sync::Arc;

    use super::super::tests::{bootstrap, config, enrolling};
    use super::*;
    use crate::reporter::testing::{Authority, Reply, TestCollector};

    fn put(directory: &Path, name: &str, text: &str) -> PathBuf {
        let path = directory.join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
        path
    }

    /// Waits until the files that were just written count as left alone.
    fn settle(path: &Path) {
        while !settled(path) {
            std::thread::park_timeout(Duration::from_millis(100));
        }
    }

    #[test]
    fn the_first_string_that_serves_enrolls_and_none_is_left() {
        let authority = Arc::new(Authority::new());
        let collector = TestCollector::start(&authority, enrolling(authority.clone()));
        let (state, strings) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let good = bootstrap(authority.pin());
        let mistyped = put(strings.path(), "10.bootstrap", "akwatch1:no");
        put(strings.path(), "20.bootstrap", &good.expose());
        put(strings.path(), "30.bootstrap", &good.expose());
        put(strings.path(), "README", "not a string");
        let half = put(strings.path(), ".half.bootstrap", "akwatch1:");
        let config = config(&[collector.url()]);

        let early = from_directory(&config, state.path(), strings.path()).unwrap_err();
        assert!(matches!(early, EnrollError::Mistyped(_)), "{early}");
        assert!(mistyped.exists(), "it may still be being written");
        settle(&mistyped);
        let outcome = from_directory(&config, state.path(), strings.path()).unwrap();
        assert_eq!(outcome.enrollment.unwrap().host, authority.record().host);
        let aside = strings.path().join("10.refused");
        assert_eq!(outcome.refused[0].0, aside);
        assert!(aside.exists() && outcome.left.is_empty() && half.exists());
        assert_eq!(files(strings.path()).unwrap(), Vec::<PathBuf>::new());
        assert_eq!(collector.calls().len(), 1);

        put(strings.path(), "40.bootstrap", &good.expose());
        let outcome = from_directory(&config, state.path(), strings.path()).unwrap();
        assert!(outcome.enrolled_before && outcome.enrollment.is_none());
        assert_eq!(files(strings.path()).unwrap(), Vec::<PathBuf>::new());
        assert_eq!(collector.calls().len(), 1);
    }

    #[test]
    fn what_may_pass_leaves_the_strings_where_they_are() {
        let authority = Authority::new();
        let (state, strings) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let path = put(
            strings.path(),
            "a.bootstrap",
            &bootstrap(authority.pin()).expose(),
        );
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let away = format!("https://{}", free.local_addr().unwrap());
        drop(free);
        from_directory(&config(&[away]), state.path(), strings.path()).unwrap_err();
        assert!(path.exists());

        let refusing = TestCollector::start(&authority, |_| Reply::refused(401, "token-expired"));
        let config = config(&[refusing.url()]);
        let outcome = from_directory(&config, state.path(), strings.path()).unwrap();
        assert!(matches!(
            outcome.refused[0].1,
            EnrollError::TokenExpired { .. }
        ));
        assert!(outcome.enrollment.is_none() && !path.exists());
    }

    /// Has nothing be deleted or renamed in `directory`, as on a read-only `/etc`, or lets it be again;
    /// false where this user may not. For root a mount does it, which the calling thread alone sees.
    fn freeze(directory: &Path, frozen: bool) -> bool {
        use nix::mount::{MsFlags, mount};
        if !nix::unistd::geteuid().is_root() {
            let mode = if frozen { 0o500 } else { 0o700 };
            std::fs::set_permissions(directory, PermissionsExt::from_mode(mode)).unwrap();
            return true;
        }
        let none = None::<&str>;
        let here = |flags| mount(Some(directory), directory, none, flags, none).is_ok();
        let again = MsFlags::MS_BIND | MsFlags::MS_REMOUNT;
        if !frozen {
            return here(again);
        }
        let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS).is_ok()
            && mount(none, "/", none, private, none).is_ok()
            && here(MsFlags::MS_BIND)
            && here(again | MsFlags::MS_RDONLY)
    }

    #[test]
    fn what_can_be_neither_deleted_nor_renamed_is_asked_about_once() {
        let authority = Authority::new();
        let refusing = TestCollector::start(&authority, |_| Reply::refused(401, "token-used-up"));
        let (state, strings) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let good = bootstrap(authority.pin()).expose();
        let path = put(strings.path(), "a.bootstrap", &good);
        let config = config(&[refusing.url()]);
        let tried = || from_directory(&config, state.path(), strings.path()).unwrap();
        let frozen = || {
            if !freeze(strings.path(), true) {
                return; // a container that may not mount
            }
            let outcome = tried();
            let (at, why) = &outcome.refused[0];
            assert!(matches!(why, EnrollError::TokenUsedUp { .. }), "{why}");
            assert_eq!(
                (at, &outcome.left[..]),
                (&path, std::slice::from_ref(&path))
            );
            for _ in 0..3 {
                let outcome = tried();
                assert!(outcome.refused.is_empty() && outcome.enrollment.is_none());
                assert_eq!(outcome.left, std::slice::from_ref(&path));
            }
            assert_eq!(refusing.calls().len(), 1);
            // Written anew, it is another.
            assert!(freeze(strings.path(), false));
            put(strings.path(), "a.bootstrap", &good);
            assert_eq!(tried().left, Vec::<PathBuf>::new());
            assert_eq!(refusing.calls().len(), 2);
        };
        std::thread::scope(|scope| scope.spawn(frozen).join()).unwrap();
    }

    #[test]
    fn a_directory_of_that_name_is_put_aside_and_ends_nothing() {
        let authority = Arc::new(Authority::new());
        let collector = TestCollector::start(&authority, enrolling(authority.clone()));
        let (state, strings) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let config = config(&[collector.url()]);
        let at = |name: &str| strings.path().join(name);
        for name in ["a.bootstrap", "b.bootstrap", "b.refused"] {
            std::fs::create_dir(at(name)).unwrap();
        }
        std::fs::write(at("b.refused").join("full"), "").unwrap();
        settle(&at("b.bootstrap"));
        let outcome = from_directory(&config, state.path(), strings.path()).unwrap();
        assert_eq!(outcome.refused.len(), 2);
        assert_eq!(outcome.left, [at("b.bootstrap")]);
        assert!(at("a.refused").is_dir() && !at("a.bootstrap").exists());
        let good = bootstrap(authority.pin());
        put(strings.path(), "c.bootstrap", &good.expose());
        let outcome = from_directory(&config, state.path(), strings.path()).unwrap();
        assert!(outcome.enrollment.is_some());
        assert_eq!(outcome.left, [at("b.bootstrap")]);
        // Nor where the host is enrolled already.
        std::fs::create_dir(at("d.bootstrap")).unwrap();
        let outcome = from_directory(&config, state.path(), strings.path()).unwrap();
        assert!(outcome.enrolled_before && at("d.refused").is_dir());
        assert_eq!(outcome.left, [at("b.bootstrap")]);
    }

    #[test]
    fn no_directory_is_no_string() {
        let (state, nowhere) = (tempfile::tempdir().unwrap(), Path::new("/nonexistent"));
        let config = config(&["https://127.0.0.1:1".to_owned()]);
        let code = command(&config, state.path(), nowhere).unwrap();
        assert_eq!(code, ExitCode::from(IN_VAIN));
    }
}
