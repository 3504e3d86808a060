//! One thing that was looked at: how it stands, what was found, what to do.
//!
//! `doctor` and `preflight` are lists of these. What was found and what to do are apart, so that a
//! program can read the one and a person do the other.

use akwatch_proto::text::escape;
use serde::Serialize;

use crate::output;

/// Columns before what was found.
const INDENT: usize = 28;

/// How one thing stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Standing {
    /// As it should be.
    Good,
    /// The agent works with less; what it lacks is shown in its coverage.
    Less,
    /// The agent does not work, or its collector does not hear of it.
    Wrong,
    /// It could not be looked at: something before it has to be mended, or it takes root.
    Untried,
}

/// One thing that was looked at.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Checked {
    /// What.
    pub(crate) check: &'static str,
    /// How it stands.
    pub(crate) standing: Standing,
    /// What was found.
    pub(crate) found: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) fix: Option<String>,
}

impl Checked {
    pub(crate) fn good(check: &'static str, found: impl AsRef<str>) -> Checked {
        Checked::of(check, Standing::Good, found.as_ref(), None)
    }

    pub(crate) fn less(
        check: &'static str,
        found: impl AsRef<str>,
        fix: impl AsRef<str>,
    ) -> Checked {
        Checked::of(check, Standing::Less, found.as_ref(), Some(fix.as_ref()))
    }

    pub(crate) fn wrong(
        check: &'static str,
        found: impl AsRef<str>,
        fix: impl AsRef<str>,
    ) -> Checked {
        Checked::of(check, Standing::Wrong, found.as_ref(), Some(fix.as_ref()))
    }

    /// `fix` may be empty, where the check that has to be mended first says it.
    pub(crate) fn untried(
        check: &'static str,
        found: impl AsRef<str>,
        fix: impl AsRef<str>,
    ) -> Checked {
        let fix = Some(fix.as_ref()).filter(|fix| !fix.is_empty());
        Checked::of(check, Standing::Untried, found.as_ref(), fix)
    }

    /// From a message that says what failed and, behind its first semicolon, what to do.
    pub(crate) fn wrong_as_told(check: &'static str, message: &str) -> Checked {
        let (found, fix) = split(message);
        Checked::of(check, Standing::Wrong, found, fix)
    }

    fn of(check: &'static str, standing: Standing, found: &str, fix: Option<&str>) -> Checked {
        Checked {
            check,
            standing,
            found: escape(found.as_bytes()),
            fix: fix.map(|fix| escape(fix.as_bytes())),
        }
    }
}

/// The two halves of an error of this program: what failed; what to do.
pub(crate) fn split(message: &str) -> (&str, Option<&str>) {
    if let Some((found, fix)) = message.split_once("; ") {
        return (found, Some(fix));
    }
    for verb in [": run ", ": use ", ": restore "] {
        if let Some((found, _)) = message.split_once(verb) {
            return (found, Some(&message[found.len() + 2..]));
        }
    }
    (message, None)
}

/// Everything that was looked at.
#[derive(Debug, Serialize)]
pub(crate) struct Checks {
    /// Whether nothing is wrong.
    pub(crate) sound: bool,
    /// Each.
    pub(crate) checks: Vec<Checked>,
}

impl Checks {
    pub(crate) fn of(checks: Vec<Checked>) -> Checks {
        let sound = checks.iter().all(|one| one.standing != Standing::Wrong);
        Checks { sound, checks }
    }

    /// For people: one line each, with what to do below it, and the sum.
    pub(crate) fn render(&self) -> String {
        let mut text = String::new();
        for one in &self.checks {
            let standing = match one.standing {
                Standing::Good => "good",
                Standing::Less => "less",
                Standing::Wrong => "WRONG",
                Standing::Untried => "-",
            };
            text.push_str(&format!("{standing:<7}{:<21}", one.check));
            output::wrap(&mut text, INDENT, &one.found);
            if let Some(fix) = &one.fix {
                text.push_str(&" ".repeat(INDENT));
                output::wrap(&mut text, INDENT + 5, &format!("fix: {fix}"));
            }
        }
        let count = |standing| {
            self.checks
                .iter()
                .filter(|one| one.standing == standing)
                .count()
        };
        text.push_str(&format!(
            "\n{} wrong, {} less than could be, {} good, {} not tried\n",
            count(Standing::Wrong),
            count(Standing::Less),
            count(Standing::Good),
            count(Standing::Untried)
        ));
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_to_do_stands_below_what_was_found_and_nothing_reaches_a_terminal_raw() {
        let checks = Checks::of(vec![
            Checked::good("agent", "running"),
            Checked::wrong("name", "no such host: a\u{1b}[2J", "ask DNS"),
            Checked::untried("tcp", "the name is to be mended first", ""),
        ]);
        assert!(!checks.sound);
        let text = checks.render();
        assert_eq!(
            text,
            "good   agent                running\n\
             WRONG  name                 no such host: a\\u{1b}[2J\n\
             \x20                           fix: ask DNS\n\
             -      tcp                  the name is to be mended first\n\
             \n1 wrong, 0 less than could be, 1 good, 1 not tried\n"
        );
    }

    #[test]
    fn a_message_is_parted_into_what_failed_and_what_to_do() {
        assert_eq!(
            split("it is full; free some"),
            ("it is full", Some("free some"))
        );
        assert_eq!(
            split("this host is not enrolled: run `akwatch-agent enroll`"),
            (
                "this host is not enrolled",
                Some("run `akwatch-agent enroll`")
            )
        );
        assert_eq!(split("it broke"), ("it broke", None));
    }
}
