//! What Git says of a finding: which commit brought it, and whether that commit has left the host.
//!
//! A secret that was pushed is in other hands, whatever becomes of the file: it has to be rotated. So
//! *pushed* and *not pushed* are shown apart, and neither is ever guessed: what a history cannot prove
//! within its bounds is *unknown*, with the reason. Attributes of a finding, never its identity. Of a
//! commit's author only the date is kept.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::credential::word;
use crate::place::SafeText;
use crate::time::Time;

word! {
    /// A commit's id in hexadecimal: at most 40 digits, lower-case.
    CommitId, "a commit", 40,
    |c| c.is_ascii_digit() || ('a'..='f').contains(&c)
}

/// What a repository says of one finding in it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
pub struct Git {
    /// The work tree; of an object, the directory of the repository that holds it.
    pub repository: SafeText,
    /// The commit that brought the secret there; where the history is longer than is walked, the
    /// oldest one that was seen to hold it. None when no commit is known to hold it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<CommitId>,
    /// That commit's author date, as its author's clock had it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authored: Option<Time>,
    /// Of an object, the file that it is in that commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<SafeText>,
    /// Whether a remote has it.
    pub state: PushState,
    /// Why nobody can say, when the state is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<UntracedWhy>,
    /// The repository's remotes, at most
    /// [`GIT_REMOTES`](crate::limits::GIT_REMOTES).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remotes: Vec<Remote>,
}

impl Git {
    /// The remotes that are known to have it, `HOST/REPO` where that is known, else by name.
    pub fn pushed_to(&self) -> impl Iterator<Item = &SafeText> {
        self.remotes
            .iter()
            .filter(|remote| remote.reached)
            .map(|remote| remote.address.as_ref().unwrap_or(&remote.name))
    }
}

/// Whether a remote has a commit that holds the secret.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "kebab-case")]
#[repr(u8)]
pub enum PushState {
    /// A remote-tracking ref, as it is or as it was, reaches a commit that holds it.
    Pushed = 1,
    /// Every commit that those refs reach was looked at, and none holds it.
    NotPushed = 2,
    /// Nobody can say.
    #[serde(other)]
    Unknown = 3,
}

/// Why nobody can say whether it was pushed.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum UntracedWhy {
    /// The history is longer, or something in it larger, than is read.
    Limit,
    /// The clone is shallow: its history ends before its beginning.
    Shallow,
    /// Objects are missing or damaged: a partial clone, or another repository's that are not followed.
    Missing,
    /// The repository has a format that is not read: SHA-256, reftable.
    Unsupported,
    /// The repository could not be opened: no permission, or a link that is not followed.
    Unreadable,
    /// What is pushed leaves no trace here: a bare repository, or a remote without tracking refs.
    Untracked,
    /// Only a tag or another ref reaches it, of which nobody here knows whether it was pushed.
    OtherRef,
    /// Only a branch reaches it whose remote-tracking ref is gone: it may have been pushed.
    UpstreamGone,
    /// No ref reaches it any more: it may have been pushed before history was rewritten.
    Unreferenced,
    /// A reason that this program is too old to know.
    #[serde(other)]
    Unknown,
}

/// A remote of a repository.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
pub struct Remote {
    /// Its name there.
    pub name: SafeText,
    /// `HOST/REPO` of its URL: neither scheme nor user nor password, no query; a path where it is a
    /// directory of the host. None when its URL is not known or not understood.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<SafeText>,
    /// Whether one of its tracking refs is known to reach the secret. False says nothing: looking
    /// ends with the first that does.
    #[serde(default)]
    pub reached: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_is_hexadecimal_digits() {
        let id = "0123456789abcdef0123456789abcdef01234567";
        assert_eq!(CommitId::parse(id).unwrap().as_str(), id);
        assert!(CommitId::parse(&id.to_uppercase()).is_err());
        assert!(CommitId::parse(&format!("{id}0")).is_err());
        assert!(CommitId::parse("main").is_err());
    }

    #[test]
    fn a_state_or_reason_of_the_future_is_unknown() {
        let git: Git = serde_json::from_str(
            r#"{"repository":"/srv/app","state":"mirrored","why":"eaten-by-a-bear"}"#,
        )
        .unwrap();
        assert_eq!(git.state, PushState::Unknown);
        assert_eq!(git.why, Some(UntracedWhy::Unknown));
    }

    #[test]
    fn a_remote_is_shown_by_its_address_and_else_by_its_name() {
        let remote = |name, address: Option<&'static str>, reached| Remote {
            name: SafeText::from_program(name),
            address: address.map(SafeText::from_program),
            reached,
        };
        let git = Git {
            repository: SafeText::from_program("/srv/app"),
            commit: None,
            authored: None,
            path: None,
            state: PushState::Pushed,
            why: None,
            remotes: vec![
                remote("origin", Some("git.example.org/acme/app"), true),
                remote("backup", Some("backup.example.org/app"), false),
                remote("gone", None, true),
            ],
        };
        let shown: Vec<&str> = git.pushed_to().map(SafeText::as_str).collect();
        assert_eq!(shown, ["git.example.org/acme/app", "gone"]);
    }
}
