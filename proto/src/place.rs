//! Where a credential lies: the place that has identity, the spot inside it, who can read it.
//!
//! A [`Place`] is what can be re-read tomorrow to see whether a secret is still there, so its
//! identity holds only what survives an edit, a restart or a reboot. Line, field, pid and rule are
//! attributes and live in [`Spot`] and [`Origin`]. [`Location`] is the two together, as people see
//! it, and is the same JSON in `akwatch-agent scan` and in the REST API.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::credential::InvalidWord;
use crate::time::Time;
use crate::{limits, text};

/// A name from a host that has been through redaction: no byte in it could be part of a secret that
/// was matched in the same job, and none could move a cursor.
///
/// The agent's `examine` module is the only place that may call
/// [`danger_already_redacted`](SafeText::danger_already_redacted); `cargo xtask tidy` checks it.
/// Receivers parse, and refuse control characters and over-long text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String", into = "String")]
pub struct SafeText(String);

impl SafeText {
    /// Wraps text whose secrets the caller has already replaced; escapes hostile characters and
    /// cuts to [`limits::SAFE_TEXT`].
    ///
    /// Dangerous because nothing here can know whether a secret is left in `redacted`: the caller
    /// signs for that.
    #[must_use]
    pub fn danger_already_redacted(redacted: &[u8]) -> SafeText {
        SafeText(text::cut(&text::escape(redacted), limits::SAFE_TEXT))
    }

    /// Wraps a name that is part of this program and so cannot hold a secret.
    #[must_use]
    pub fn from_program(name: &'static str) -> SafeText {
        SafeText(text::cut(name, limits::SAFE_TEXT))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SafeText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for SafeText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for SafeText {
    type Error = InvalidWord;
    fn try_from(text: String) -> Result<SafeText, InvalidWord> {
        if text.len() > limits::SAFE_TEXT {
            return Err(InvalidWord::Length {
                what: "a name",
                length: text.len(),
                limit: limits::SAFE_TEXT,
            });
        }
        match text.char_indices().find(|&(_, c)| text::is_hostile(c)) {
            Some((at, _)) => Err(InvalidWord::Character { what: "a name", at }),
            None => Ok(SafeText(text)),
        }
    }
}

impl From<SafeText> for String {
    fn from(text: SafeText) -> String {
        text.0
    }
}

/// What has identity on a host and can be re-read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Place {
    /// A file by its path; for a member of an archive or an image, the outer path and the members'
    /// names from outer to inner.
    File {
        /// The outermost file, as the host names it.
        path: SafeText,
        /// Members, outer to inner; empty for the file itself.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        inside: Vec<SafeText>,
    },
    /// What starts again when it is restarted: not a pid.
    Process {
        /// What runs.
        workload: Workload,
        /// The user that it runs as: a name, or a number where passwd has none.
        user: SafeText,
        /// Which of the process's two captures holds it.
        capture: Capture,
    },
    /// A shell's or client's history file.
    History {
        /// The file, as the host names it.
        path: SafeText,
        /// Whose history.
        user: SafeText,
    },
    /// A kind of place that this program is too old to know.
    #[serde(other)]
    Unknown,
}

impl Place {
    /// The place that is opened to re-read this one: a member's outer file, else itself.
    #[must_use]
    pub fn outer(&self) -> Place {
        match self {
            Place::File { path, .. } => Place::File {
                path: path.clone(),
                inside: Vec::new(),
            },
            other => other.clone(),
        }
    }

    /// Which sensor's word this place depends on.
    #[must_use]
    pub fn source(&self) -> &'static str {
        match self {
            Place::File { .. } => "files",
            Place::Process { .. } => "processes",
            Place::History { .. } => "histories",
            Place::Unknown => "unknown",
        }
    }
}

/// What a process belongs to, by what will start it again: unit, else container, else executable.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(tag = "by", rename_all = "lowercase")]
pub enum Workload {
    /// A systemd unit.
    Unit {
        /// `payments.service`.
        name: SafeText,
    },
    /// A container, by its workload's name where the runtime's files give it, else its id.
    Container {
        /// The name.
        name: SafeText,
    },
    /// An executable and, for an interpreter, its script.
    Executable {
        /// The executable's path.
        path: SafeText,
        /// The script that an interpreter runs.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        script: Option<SafeText>,
    },
    /// A workload that this program is too old to know.
    #[serde(other)]
    Unknown,
}

/// Which of a process's two captures.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Capture {
    /// `/proc/PID/environ`.
    Environ,
    /// `/proc/PID/cmdline`.
    Cmdline,
}

/// One layer of encoding between the bytes of a place and the secret, outermost first.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Encoding {
    /// Base64, any alphabet.
    Base64,
    /// Hexadecimal.
    Hex,
    /// Percent-encoding.
    Url,
    /// JSON or similar backslash escapes.
    Escaped,
    /// UTF-16, either order.
    Utf16,
    /// GB18030 or GBK.
    Gbk,
    /// Quoted-printable (RFC 2045).
    QuotedPrintable,
    /// A compressed stream: gzip and its kin. Not said of an archive's: there the members' names tell
    /// the way, and how the whole is stored is no encoding of what they hold.
    Compressed,
    /// A vendor's fixed-key cipher, which hides nothing.
    Obfuscated,
    /// An encoding that this program is too old to know.
    #[serde(other)]
    Unknown,
}

/// Where in a place. Attributes, not identity: an edit above moves the line, and nothing is new.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
pub struct Spot {
    /// First line, from 1, in the innermost member; 1 for captures without lines; 0 when unknown.
    pub line: u32,
    /// Last line.
    pub end_line: u32,
    /// The key path or variable that names the value: `cos.secretKey`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<SafeText>,
    /// Encodings undone, outermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub encoding: Vec<Encoding>,
    /// When the line was typed, as the history itself says: by the host's clock of then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub typed: Option<Time>,
}

/// Who can read a place.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
pub struct Reach {
    /// Permission bits as four octal digits: `0644`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// Owner's name, or number where passwd has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<SafeText>,
    /// Group's name or number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<SafeText>,
    /// Whether anyone on the host can read it, directories above included.
    #[serde(default)]
    pub world_readable: bool,
    /// Whether the group can.
    #[serde(default)]
    pub group_readable: bool,
    /// Whether an access control list widens the mode.
    #[serde(default)]
    pub acl: bool,
}

/// What a process or a written file came from. Facts only; causes are derived where they are read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
pub struct Origin {
    /// The process seen last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<i32>,
    /// Its executable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exe: Option<SafeText>,
    /// Its user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<SafeText>,
    /// Its systemd unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<SafeText>,
    /// The unit's own files and the files that it names: fragment, drop-ins, EnvironmentFile.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unit_files: Vec<SafeText>,
    /// Its container's workload by name, else the container's id. Of a file: the container whose own
    /// layer it lies in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<SafeText>,
    /// The script that it runs, where the executable is an interpreter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script: Option<SafeText>,
    /// Its control group: the path in the unified hierarchy, else in systemd's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cgroup: Option<SafeText>,
    /// The container's id, which is another after each start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container_id: Option<SafeText>,
    /// The image that the container was made from, as the runtime's files name it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<SafeText>,
    /// The container's place in Kubernetes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<Pod>,
    /// Of a file in a container's layer: its path inside the container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path_inside: Option<SafeText>,
}

/// Where a container runs in Kubernetes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
pub struct Pod {
    /// The pod's namespace.
    pub namespace: SafeText,
    /// The pod's name.
    pub name: SafeText,
    /// The container's name in the pod; none where only the pod is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<SafeText>,
}

/// Which process put a finding's content into its file: where it could be known when the kernel told of
/// the write, and else nothing. Never guessed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
pub struct WrittenBy {
    /// Its executable.
    pub exe: SafeText,
    /// The script, where the executable is an interpreter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script: Option<SafeText>,
    /// The user that it ran as.
    pub user: SafeText,
    /// The user that had logged in (`loginuid` of audit), whoever it became since; none for a service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<SafeText>,
    /// Its systemd unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<SafeText>,
    /// Its container's name or id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<SafeText>,
}

/// A place and a spot as people see them; the same JSON in `scan` and in the REST API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Location {
    /// `file`, `process` or `history`.
    #[serde(rename = "type")]
    pub place_type: String,
    /// The outermost file; for a process `/proc/PID/environ` or `/proc/PID/cmdline`.
    pub path: SafeText,
    /// The process seen last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<i32>,
    /// First line, from 1.
    pub line: u32,
    /// Last line.
    pub end_line: u32,
    /// Members from outer to inner.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inside: Vec<SafeText>,
    /// Key path or variable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<SafeText>,
    /// Encodings undone, outermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub encoding: Vec<Encoding>,
    /// When a history's line was typed, where the history says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub typed: Option<Time>,
    /// Whose history or process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<SafeText>,
    /// What the process belongs to, in words: unit, container or executable. Of a file, the container
    /// whose layer it lies in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload: Option<SafeText>,
}

impl Location {
    /// Joins a finding's place, spot and origin.
    #[must_use]
    pub fn of(place: &Place, spot: &Spot, origin: &Origin) -> Location {
        let mut location = Location {
            place_type: String::new(),
            path: SafeText(String::new()),
            pid: None,
            line: spot.line,
            end_line: spot.end_line,
            inside: Vec::new(),
            field: spot.field.clone(),
            encoding: spot.encoding.clone(),
            typed: spot.typed,
            user: None,
            workload: None,
        };
        match place {
            Place::File { path, inside } => {
                location.place_type.push_str("file");
                location.path = path.clone();
                location.inside.clone_from(inside);
                location.workload.clone_from(&origin.container);
            }
            Place::History { path, user } => {
                location.place_type.push_str("history");
                location.path = path.clone();
                location.user = Some(user.clone());
            }
            Place::Process {
                workload,
                user,
                capture,
            } => {
                location.place_type.push_str("process");
                let pid = origin
                    .pid
                    .map_or_else(|| "self".to_owned(), |pid| pid.to_string());
                let file = match capture {
                    Capture::Environ => "environ",
                    Capture::Cmdline => "cmdline",
                };
                location.path = SafeText(format!("/proc/{pid}/{file}"));
                location.pid = origin.pid;
                location.user = Some(user.clone());
                location.workload = match workload {
                    Workload::Unit { name } | Workload::Container { name } => Some(name.clone()),
                    Workload::Executable { path, script } => {
                        Some(script.clone().unwrap_or_else(|| path.clone()))
                    }
                    Workload::Unknown => None,
                };
            }
            Place::Unknown => location.place_type.push_str("unknown"),
        }
        location
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_names_cannot_come_in_over_the_wire() {
        assert!(serde_json::from_str::<SafeText>("\"/etc/a\\u001b[0m\"").is_err());
        assert!(SafeText::try_from("x".repeat(limits::SAFE_TEXT + 1)).is_err());
        assert_eq!(
            SafeText::danger_already_redacted(b"a\nb").as_str(),
            "a\\u{a}b"
        );
    }

    #[test]
    fn a_place_of_the_future_is_unknown_not_an_error() {
        let place: Place = serde_json::from_str(r#"{"type":"kernel","slot":3}"#).unwrap();
        assert_eq!(place, Place::Unknown);
    }

    #[test]
    fn a_process_is_shown_by_its_last_pid_but_known_by_its_workload() {
        let place = Place::Process {
            workload: Workload::Unit {
                name: SafeText::from_program("payments.service"),
            },
            user: SafeText::from_program("app"),
            capture: Capture::Environ,
        };
        let spot = Spot {
            line: 1,
            end_line: 1,
            ..Spot::default()
        };
        let origin = Origin {
            pid: Some(4242),
            ..Origin::default()
        };
        let shown = Location::of(&place, &spot, &origin);
        assert_eq!(shown.path.as_str(), "/proc/4242/environ");
        assert_eq!(
            shown.workload.as_ref().map(SafeText::as_str),
            Some("payments.service")
        );
    }
}
