//! What the agent itself is made of: configuration, identity, ledger, roles, its collector's answers.

use std::path::Path;

use akwatch_proto::coverage::{Covered, Rung};
use akwatch_proto::time::Time;

use super::Context;
use super::checked::Checked;
use crate::config::{Config, ConfigError};
use crate::control::{ControlError, Status};
use crate::identity::{self, IdentityError};
use crate::output::{bytes, counted, seconds};
use crate::role::users::Users;
use crate::role::{IDENTITY_DIRECTORY, WATCHER_DIRECTORY};

/// How long a collector may be silent before it counts as away: some heartbeats.
const SILENT_MS: i64 = 5 * 60_000;
/// A clock that is off by less is not worth a word.
const CLOCK_MS: i64 = 5_000;
/// By more, findings are dated so wrongly that a timeline misleads.
const CLOCK_WRONG_MS: i64 = 60_000;
/// A certificate is renewed at half of its life; past this share of it, in tenths, something is in
/// the way of that.
const RENEWAL_LATE_TENTHS: i64 = 7;
/// Free bytes below which the ledger cannot be sure to grow.
const ROOM: u64 = 256 << 20;
/// How long an ended certificate can still be exchanged for a new one.
const RESCUE_DAYS: i64 = 30;
const DAY_MS: i64 = 86_400_000;

/// Who may see what roles keep for themselves.
const AS_ROOT: &str = "run this as root";

pub(super) fn checks(context: &Context<'_>) -> Vec<Checked> {
    let (state, now) = (&context.paths.state, crate::sense::now());
    let mut checks = vec![
        configuration(context.config),
        enrollment(state),
        certificate(state, now),
        users(context.config.as_ref().ok()),
        running(&context.status),
    ];
    if let Ok(status) = &context.status {
        checks.extend([
            collector(status, now),
            clock(status),
            coverage(status),
            strict(status),
            budget(status),
            walls(status),
        ]);
    }
    checks.push(ledger(state, context.status.as_ref().ok()));
    checks
}

fn configuration(config: &Result<Config, ConfigError>) -> Checked {
    match config {
        Ok(config) => {
            let count = config.collector.urls.len() as u64;
            let found = format!("read; {}", counted(count, "collector", "collectors"));
            Checked::good("configuration", found)
        }
        Err(why) => {
            let told = Checked::wrong_as_told("configuration", &why.to_string());
            let fix = told.fix.unwrap_or_else(|| {
                "correct it; `akwatch-agent config check` says when it is right".to_owned()
            });
            Checked::wrong("configuration", told.found, fix)
        }
    }
}

/// Whether a file of the identity could not be read for want of privileges.
fn is_refused(error: &IdentityError) -> bool {
    matches!(error, IdentityError::File { source, .. }
        if source.kind() == std::io::ErrorKind::PermissionDenied)
}

fn enrollment(state: &Path) -> Checked {
    match identity::record(&state.join(IDENTITY_DIRECTORY)) {
        Ok(record) => Checked::good("enrollment", format!("this is host {}", record.host)),
        Err(why) if is_refused(&why) => Checked::untried(
            "enrollment",
            "only the reporter may read its identity",
            AS_ROOT,
        ),
        Err(why) => Checked::wrong_as_told("enrollment", &why.to_string()),
    }
}

fn certificate(state: &Path, now: Time) -> Checked {
    const CHECK: &str = "certificate";
    let (from, to) = match identity::validity(&state.join(IDENTITY_DIRECTORY)) {
        Ok(validity) => validity,
        Err(why) if is_refused(&why) => {
            return Checked::untried(CHECK, "only the reporter may read its identity", AS_ROOT);
        }
        Err(IdentityError::NotEnrolled { .. }) => {
            return Checked::untried(CHECK, "there is none before this host is enrolled", "");
        }
        Err(why) => return Checked::wrong_as_told(CHECK, &why.to_string()),
    };
    let left = to.since(now);
    let days = left / DAY_MS;
    let see = "see `doctor --network` and `journalctl -u akwatch-reporter` for what is in the way";
    if now < from {
        return Checked::wrong(
            CHECK,
            "it begins in the future, by this host's clock",
            "set the clock of this host",
        );
    }
    if left < -RESCUE_DAYS * DAY_MS {
        let found = format!("it ended {} days ago, too long to be renewed", -days);
        let fix = "retire this host in the console, move the state directory away and enroll anew";
        return Checked::wrong(CHECK, found, fix);
    }
    if left <= 0 {
        let found = format!(
            "it ended {} ago; it can be renewed for {} days more",
            span(-left),
            RESCUE_DAYS + days
        );
        return Checked::wrong(CHECK, found, see);
    }
    let age = now.since(from).saturating_mul(10);
    if age > to.since(from).saturating_mul(RENEWAL_LATE_TENTHS) {
        let found = format!("it ends in {}, and should have been renewed", span(left));
        return Checked::less(CHECK, found, see);
    }
    Checked::good(CHECK, format!("it holds for {} more", span(left)))
}

fn users(config: Option<&Config>) -> Checked {
    const CHECK: &str = "users";
    if !nix::unistd::geteuid().is_root() {
        return Checked::less(
            CHECK,
            "not root: an agent started like this has one user for all roles, and sees only that \
             user's files and processes",
            "start the agent by its systemd units, or as root",
        );
    }
    match config.map(Users::for_root) {
        Some(Ok(users)) if users.are_shared() => {
            let fix = "name four different ones in [roles]";
            Checked::less(CHECK, "two roles share a user", fix)
        }
        Some(Ok(_)) => Checked::good(CHECK, "each role has its own"),
        Some(Err(why)) => {
            let told = Checked::wrong_as_told(CHECK, &why.to_string());
            let fix = told
                .fix
                .unwrap_or_else(|| "mend the host's list of users".to_owned());
            Checked::wrong(CHECK, told.found, fix)
        }
        None => Checked::untried(CHECK, "not known without a configuration", ""),
    }
}

fn running(status: &Result<Status, ControlError>) -> Checked {
    const CHECK: &str = "agent";
    let status = match status {
        Ok(status) => status,
        Err(ControlError::NotAllowed { .. }) => {
            return Checked::untried(
                CHECK,
                "this user may not ask it",
                "run this as root, or as a member of the group akwatch-agent",
            );
        }
        Err(ControlError::NotRunning { socket, .. }) => {
            let found = format!("none is running: nobody answers at {}", socket.display());
            let fix = "`systemctl start akwatch-agent`, and `journalctl -u akwatch-agent` if it does \
                       not stay";
            return Checked::wrong(CHECK, found, fix);
        }
        Err(why) => {
            let fix = "`systemctl restart akwatch-agent`; it loses nothing that it knows";
            return Checked::wrong(CHECK, why.to_string(), fix);
        }
    };
    if let Some(down) = status.roles.iter().find(|role| !role.up) {
        let fix = format!("`journalctl -u akwatch-{}` says why it ended", down.role);
        return Checked::wrong(CHECK, format!("running without its {}", down.role), fix);
    }
    let own = env!("CARGO_PKG_VERSION");
    if status.version != own {
        let found = format!("running as {}, while this program is {own}", status.version);
        return Checked::less(CHECK, found, "`systemctl restart akwatch-agent`");
    }
    Checked::good(CHECK, format!("running {own}, every role up"))
}

fn collector(status: &Status, now: Time) -> Checked {
    const CHECK: &str = "collector";
    let delivery = &status.delivery;
    let waiting = match status.unsent {
        0 => "nothing waits to be told".to_owned(),
        count => format!(
            "{} to be told",
            counted(count, "finding waits", "findings wait")
        ),
    };
    let answered = match delivery.answered {
        Some(at) => format!("it last answered {} ago", span(now.since(at))),
        None => "it has not answered since this agent started".to_owned(),
    };
    let acknowledged = match delivery.acknowledged {
        Some(at) => format!(", and acknowledged a report {} ago", span(now.since(at))),
        None => String::new(),
    };
    let found = format!("{answered}{acknowledged}; {waiting}");
    let fix = "`akwatch-agent doctor --network` finds the step that fails";
    match &delivery.outage {
        Some(why) => Checked::wrong(CHECK, format!("{found}; {why}"), fix),
        None if delivery.answered.is_none_or(|at| now.since(at) > SILENT_MS) => {
            Checked::wrong(CHECK, found, fix)
        }
        None => Checked::good(CHECK, found),
    }
}

fn clock(status: &Status) -> Checked {
    match status.delivery.clock_ahead_ms {
        None => Checked::untried("clock", "no collector has told the time yet", ""),
        Some(ahead) => skew("clock", ahead),
    }
}

/// How a clock that is ahead by so much stands.
pub(super) fn skew(check: &'static str, ahead_ms: i64) -> Checked {
    let by = span(ahead_ms.saturating_abs());
    let way = if ahead_ms > 0 { "ahead of" } else { "behind" };
    let found = format!("{by} {way} the collector's");
    let fix = "have it set: `timedatectl set-ntp true`, or start chronyd; until then findings carry \
               wrong times, while certificates are judged by the collector's";
    match ahead_ms.saturating_abs() {
        ..CLOCK_MS => Checked::good(check, "as the collector's, within 5 s"),
        CLOCK_MS..CLOCK_WRONG_MS => Checked::less(check, found, fix),
        _ => Checked::wrong(check, found, fix),
    }
}

fn coverage(status: &Status) -> Checked {
    let parts: Vec<String> = status
        .coverage
        .sources
        .iter()
        .map(|source| {
            let how = match source.covered {
                Covered::Whole => "whole",
                Covered::Partly => "in part",
                _ => "unknown",
            };
            format!("{} by {}, {how}", source.source, source.mechanism)
        })
        .collect();
    let whole = |covered: &Covered| *covered == Covered::Whole;
    let found = parts.join("; ");
    if status
        .coverage
        .sources
        .iter()
        .all(|source| whole(&source.covered))
    {
        Checked::good("coverage", found)
    } else {
        let fix = "`akwatch-agent status` names what is not read, and why";
        Checked::less("coverage", found, fix)
    }
}

fn strict(status: &Status) -> Checked {
    const CHECK: &str = "strict mode";
    let Some(standing) = &status.strict else {
        return Checked::good(CHECK, "not asked for");
    };
    let Some(slug) = &standing.off else {
        let found = format!(
            "on; {}, {} went on before their capture was done",
            counted(standing.held, "program has waited", "programs have waited"),
            standing.late
        );
        return Checked::good(CHECK, found);
    };
    let why = standing.why.as_ref().unwrap_or(slug);
    let fix = "executions are heard all the same; docs/reference/platforms.md says what strict mode \
               needs, and `processes.strict = false` does without";
    Checked::less(CHECK, format!("off: {why}"), fix)
}

fn budget(status: &Status) -> Checked {
    const CHECK: &str = "budget";
    let cost = &status.cost;
    // Hundredths of a percent of one processor.
    let share = cost.cpu_ms.saturating_mul(10) / cost.seconds.max(1);
    let spent = format!(
        "{}.{:02} % of one processor over {}, {} at its peak",
        share / 100,
        share % 100,
        seconds(cost.seconds),
        bytes(cost.peak_rss_kib << 10)
    );
    let reason = status.coverage.rung_reason.as_deref();
    let lower = |rung: &str| match reason {
        Some(reason) => format!("{rung}, because of {reason}; {spent}"),
        None => format!("{rung}; {spent}"),
    };
    let waits = "nothing: it rises by itself once the host is calm, and catches up";
    match status.coverage.rung {
        Rung::Full => Checked::good(CHECK, format!("everything runs; {spent}")),
        Rung::Reduced => Checked::less(CHECK, lower("scans are slowed"), waits),
        Rung::HeartbeatOnly => Checked::less(CHECK, lower("only the heartbeat goes on"), waits),
        Rung::Paused => {
            let fix = "`akwatch-agent resume`, or `deny.pauses` where its collector asked; or wait until it \
                       ends by itself";
            let until = reason.unwrap_or_default();
            Checked::less(CHECK, format!("paused {until}; {spent}"), fix)
        }
        _ => Checked::untried(CHECK, lower("a rung that this program does not know"), ""),
    }
}

fn walls(status: &Status) -> Checked {
    let missing = &status.coverage.missing_walls;
    if missing.is_empty() {
        return Checked::good("walls", "every role is confined as it should be");
    }
    let fix = "a newer kernel, or the systemd units, have them; docs/threat-model.md says what each \
               wall keeps out";
    Checked::less("walls", format!("missing: {}", missing.join(", ")), fix)
}

fn ledger(state: &Path, status: Option<&Status>) -> Checked {
    const CHECK: &str = "ledger";
    let directory = state.join(WATCHER_DIRECTORY);
    let free = rustix::fs::statvfs(state).map(|fs| fs.f_bavail.saturating_mul(fs.f_frsize));
    if let Some(why) = status.and_then(|status| status.record_lost.as_deref()) {
        let found = format!("an earlier one was set aside: {why}");
        let fix = format!(
            "look at the disk's health (`dmesg`); what it held is read and told anew, and the files \
             beside it in {} may then be removed",
            directory.display()
        );
        return Checked::less(CHECK, found, fix);
    }
    match free {
        Ok(free) if free < ROOM => {
            let found = format!("{} free at {}", bytes(free), state.display());
            let fix =
                "free some space there: an agent that cannot write its ledger reports nothing new";
            return Checked::wrong(CHECK, found, fix);
        }
        Err(why) if why != rustix::io::Errno::NOENT => {
            let found = format!("{} cannot be looked at: {why}", state.display());
            return Checked::wrong(CHECK, found, "mend the file system that it lies on");
        }
        _ => {}
    }
    let room = free.map_or_else(|_| String::new(), |free| format!("; {} free", bytes(free)));
    let size = std::fs::metadata(directory.join("ledger.redb")).map(|meta| meta.len());
    match (size, status) {
        (_, Some(status)) => {
            let count = status.present + status.gone + status.unknown;
            let held = counted(count, "finding", "findings");
            Checked::good(CHECK, format!("{held}{room}"))
        }
        (Ok(size), None) => Checked::good(CHECK, format!("{}{room}", bytes(size))),
        (Err(why), None) if why.kind() == std::io::ErrorKind::NotFound => {
            Checked::good(CHECK, format!("not begun yet{room}"))
        }
        (Err(_), None) => Checked::untried(CHECK, "only the watcher may look into it", AS_ROOT),
    }
}

/// Milliseconds in words.
pub(super) fn span(milliseconds: i64) -> String {
    seconds(u64::try_from(milliseconds / 1000).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::super::checked::Standing;
    use super::*;
    use crate::identity::tests::enrolled_for;
    use crate::reporter::testing::Authority;

    fn certificate_of(days: i64, now_after_days: i64) -> Checked {
        let authority = Authority::new();
        let (state, _) = enrolled_for(&authority, days);
        let now = crate::sense::now().plus(now_after_days * DAY_MS);
        certificate(state.path(), now)
    }

    #[test]
    fn a_certificates_days_are_told_and_one_that_is_not_renewed_is_noticed() {
        for (days, after, standing, words) in [
            (30, 0, Standing::Good, "it holds for 29 days"),
            (30, 25, Standing::Less, "should have been renewed"),
            (30, 31, Standing::Wrong, "it can be renewed for"),
            (30, 70, Standing::Wrong, "too long to be renewed"),
            (30, -1, Standing::Wrong, "begins in the future"),
        ] {
            let one = certificate_of(days, after);
            assert_eq!(one.standing, standing, "{one:?}");
            assert!(one.found.contains(words), "{one:?}");
        }
    }

    #[test]
    fn a_clock_is_judged_in_both_directions() {
        for (ahead, standing, words) in [
            (900, Standing::Good, "within 5 s"),
            (-30_000, Standing::Less, "30 s behind"),
            (i64::MAX, Standing::Wrong, "ahead of"),
            (-86_400_000 * 30, Standing::Wrong, "30 days behind"),
        ] {
            let one = skew("clock", ahead);
            assert_eq!(one.standing, standing, "{one:?}");
            assert!(one.found.contains(words), "{one:?}");
        }
    }
}
