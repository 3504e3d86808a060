//! `doctor`: what on this host keeps the agent from working, from seeing everything, or from telling
//! its collector; and what to do about each.
//!
//! Each thing is tried, never inferred from a version, and nothing is changed or left behind. With
//! `--network` the way to each collector is walked step by step, so that the first step that fails is
//! the one to mend; without it nothing leaves this host.

use std::process::ExitCode;

use crate::cli::{DoctorArgs, Paths};
use crate::config::Config;
use crate::control::{self, ControlError, Status};
use crate::output;

mod agent;
pub(crate) mod checked;
pub(crate) mod host;
mod network;

use checked::{Checked, Checks};

/// What every check may ask.
pub(crate) struct Context<'a> {
    pub(crate) paths: &'a Paths,
    pub(crate) config: &'a Result<Config, crate::config::ConfigError>,
    /// What the running agent says of itself.
    pub(crate) status: Result<Status, ControlError>,
}

/// Checks this host. Exit 0 when nothing is wrong, 1 when something is.
///
/// # Errors
/// When the output cannot be written.
pub fn run(args: &DoctorArgs) -> anyhow::Result<ExitCode> {
    let checks = Checks::of(check(&args.paths, args.network));
    if args.json {
        output::json(&checks)?;
    } else {
        output::write(&checks.render())?;
    }
    Ok(ExitCode::from(u8::from(!checks.sound)))
}

fn check(paths: &Paths, network: bool) -> Vec<Checked> {
    let config = Config::load(&paths.config);
    let context = Context {
        paths,
        config: &config,
        status: control::status(&paths.runtime),
    };
    let mut checks = agent::checks(&context);
    checks.extend(host::checks(&context));
    if network {
        checks.extend(network::checks(&context));
    }
    checks
}

#[cfg(test)]
mod tests {
    use super::checked::Standing;
    use super::*;

    #[test]
    fn an_empty_host_is_told_what_it_lacks_and_how_to_get_it() {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths {
            config: dir.path().join("agent.toml"),
            state: dir.path().join("state"),
            runtime: dir.path().join("run"),
        };
        let all = check(&paths, true);
        let of = |what: &str| all.iter().find(|one| one.check == what).unwrap();
        assert_eq!(of("configuration").standing, Standing::Wrong);
        assert!(of("configuration").found.contains("agent.toml"));
        assert_eq!(of("enrollment").standing, Standing::Wrong);
        assert!(of("enrollment").fix.as_ref().unwrap().contains("enroll"));
        assert_eq!(of("agent").standing, Standing::Wrong);
        assert_eq!(of("network").standing, Standing::Untried);
        let unmended: Vec<&str> = all
            .iter()
            .filter(|one| matches!(one.standing, Standing::Wrong | Standing::Less))
            .filter(|one| one.fix.is_none())
            .map(|one| one.check)
            .collect();
        assert!(unmended.is_empty(), "no fix is said for {unmended:?}");
        std::fs::write(&paths.config, "[collector]\nurls = [\"https://a:1\"]\n").unwrap();
        let all = check(&paths, false);
        assert_eq!(all[0].standing, Standing::Good);
    }
}
