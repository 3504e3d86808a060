//! Why a command failed: what failed, why, and what to do next.

use std::path::PathBuf;

use akwatch_proto::agent::{RefusalCode, Refused};

/// A failure, with its exit status.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    /// The collector refused, or knows no such thing.
    #[error("{}", told(.0))]
    Refused(Box<Refused>),
    /// No such thing, found out here.
    #[error("{0}")]
    Missing(String),
    /// No collector is known.
    #[error(
        "no collector is known{0}. Run `akwatch login https://COLLECTOR:8443 --ca ca.pem`, or set \
         AKWATCH_URL, AKWATCH_CA and AKWATCH_TOKEN"
    )]
    NoAccount(&'static str),
    /// Something given is not usable.
    #[error("{0}")]
    Usage(String),
    /// A file.
    #[error("cannot {step} {}: {source}", path.display())]
    File {
        /// `read` or `write`.
        step: &'static str,
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The network or TLS.
    #[error("cannot ask {url}: {why}. {hint}")]
    Unreachable {
        /// Which collector.
        url: String,
        /// Why, with its causes.
        why: String,
        /// What to do.
        hint: &'static str,
    },
    /// The answer is not what this version reads.
    #[error("the answer to {0} is not understood: bring akwatch to the collector's version")]
    Answer(String),
    /// Nobody reads the output.
    #[error("cannot write the output: {0}")]
    Output(#[from] std::io::Error),
}

impl Trouble {
    /// The exit status.
    pub(crate) fn status(&self) -> u8 {
        match self {
            Trouble::Refused(_) | Trouble::Missing(_) => 1,
            _ => 2,
        }
    }

    /// Whether only the reader of the output went away, as `head` does.
    pub(crate) fn is_closed_pipe(&self) -> bool {
        matches!(self, Trouble::Output(error) if error.kind() == std::io::ErrorKind::BrokenPipe)
    }
}

fn told(refused: &Refused) -> String {
    if refused.code == RefusalCode::Unauthenticated {
        return "the collector does not know this API token: it has ended, was revoked, or is of \
                another collector. Have one made (`akwatch-server api-token create` there) and run \
                `akwatch login`"
            .to_owned();
    }
    let mut text = akwatch_proto::text::escape(refused.message.as_bytes());
    if let Some(hint) = &refused.hint {
        text.push(' ');
        text.push_str(&akwatch_proto::text::escape(hint.as_bytes()));
    }
    if let Some(request) = &refused.request {
        let request = akwatch_proto::text::escape(request.as_bytes());
        text.push_str(&format!(" (request {request})"));
    }
    text
}
