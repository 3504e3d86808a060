//! Between columns and the words of the wire.

use akwatch_proto::agent::HostId;
use akwatch_proto::credential::{Confidence, Epoch, Preview};
use akwatch_proto::finding::{GoneProof, Presence, PresenceState, Proof, UnknownWhy};
use akwatch_proto::git::Git;
use akwatch_proto::place::{Origin, Place, Reach, Spot, WrittenBy};
use akwatch_proto::time::Time;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sqlx::sqlite::SqliteRow;
use sqlx::{ColumnIndex, Decode, Row as _, Sqlite, Type};

use super::At as _;
use crate::StoreError;

/// A word of the wire as a column holds it: the JSON string without quotes.
pub(crate) fn slug<T: Serialize>(word: &T) -> String {
    match serde_json::to_value(word) {
        Ok(serde_json::Value::String(text)) => text,
        _ => String::new(),
    }
}

/// Reads a word back.
pub(crate) fn word<T: DeserializeOwned>(what: &'static str, text: String) -> Result<T, StoreError> {
    serde_json::from_value(serde_json::Value::String(text)).map_err(|error| StoreError::Damaged {
        what,
        why: error.to_string(),
    })
}

/// A value as JSON text.
pub(crate) fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("invariant: the wire's types serialize")
}

/// Reads JSON text back.
pub(crate) fn from_json<T: DeserializeOwned>(
    what: &'static str,
    text: &str,
) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|error| StoreError::Damaged {
        what,
        why: error.to_string(),
    })
}

/// Reads columns of a row by name.
pub(crate) trait Columns {
    fn value<'r, T>(&'r self, name: &'static str) -> Result<T, StoreError>
    where
        T: Decode<'r, Sqlite> + Type<Sqlite>;

    fn time(&self, name: &'static str) -> Result<Time, StoreError> {
        Ok(Time(self.value::<i64>(name)?))
    }

    fn maybe_time(&self, name: &'static str) -> Result<Option<Time>, StoreError> {
        Ok(self.value::<Option<i64>>(name)?.map(Time))
    }

    /// A counter, which is never negative.
    fn count(&self, name: &'static str) -> Result<u64, StoreError> {
        unsigned(name, self.value::<i64>(name)?)
    }

    fn small(&self, name: &'static str) -> Result<u32, StoreError> {
        u32::try_from(self.value::<i64>(name)?).map_err(|error| StoreError::Damaged {
            what: name,
            why: error.to_string(),
        })
    }

    fn word<T: DeserializeOwned>(&self, name: &'static str) -> Result<T, StoreError> {
        word(name, self.value::<String>(name)?)
    }

    fn json<T: DeserializeOwned>(&self, name: &'static str) -> Result<T, StoreError> {
        from_json(name, &self.value::<String>(name)?)
    }

    fn host_id(&self, name: &'static str) -> Result<HostId, StoreError> {
        let bytes: Vec<u8> = self.value(name)?;
        uuid::Uuid::from_slice(&bytes)
            .map(HostId)
            .map_err(|error| StoreError::Damaged {
                what: name,
                why: error.to_string(),
            })
    }
}

impl Columns for SqliteRow
where
    &'static str: ColumnIndex<SqliteRow>,
{
    fn value<'r, T>(&'r self, name: &'static str) -> Result<T, StoreError>
    where
        T: Decode<'r, Sqlite> + Type<Sqlite>,
    {
        self.try_get(name).at("reading a column")
    }
}

pub(crate) fn unsigned(what: &'static str, value: i64) -> Result<u64, StoreError> {
    u64::try_from(value).map_err(|error| StoreError::Damaged {
        what,
        why: error.to_string(),
    })
}

/// A number of the wire as SQLite holds it; what does not fit stops at the end of the range.
pub(crate) fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// 32 bytes of a column.
pub(crate) fn bytes32(what: &'static str, bytes: &[u8]) -> Result<[u8; 32], StoreError> {
    bytes.try_into().map_err(|_| StoreError::Damaged {
        what,
        why: format!("{} bytes, not 32", bytes.len()),
    })
}

/// What of a finding no list filters or sorts by. It holds no fingerprint.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Body {
    pub(crate) place: Place,
    pub(crate) spot: Spot,
    pub(crate) reach: Reach,
    pub(crate) origin: Origin,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) git: Option<Git>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) written_by: Option<WrittenBy>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) proof: Vec<Proof>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) preview: Option<Preview>,
    /// The epoch of the key that its fingerprint was made with; a reference has none, nor have rows
    /// that were last written before it was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) epoch: Option<Epoch>,
}

pub(crate) fn state(code: i64) -> Result<PresenceState, StoreError> {
    match code {
        1 => Ok(PresenceState::Present),
        2 => Ok(PresenceState::Gone),
        3 => Ok(PresenceState::Unknown),
        other => Err(StoreError::Damaged {
            what: "presence",
            why: format!("{other} is none"),
        }),
    }
}

/// The reason or proof of a presence.
pub(crate) fn why(presence: &Presence) -> String {
    match presence {
        Presence::Present { .. } => String::new(),
        Presence::Gone { proof, .. } => slug(proof),
        Presence::Unknown { why, .. } => slug(why),
    }
}

pub(crate) fn presence(
    state: PresenceState,
    since: Time,
    why: String,
) -> Result<Presence, StoreError> {
    Ok(match state {
        PresenceState::Present => Presence::Present { since },
        PresenceState::Gone => Presence::Gone {
            at: since,
            proof: word::<GoneProof>("proof of gone", why)?,
        },
        PresenceState::Unknown => Presence::Unknown {
            since,
            why: word::<UnknownWhy>("reason of unknown", why)?,
        },
    })
}

pub(crate) fn confidence(code: i64) -> Confidence {
    match code {
        1 => Confidence::Contextual,
        2 => Confidence::Strong,
        3 => Confidence::Paired,
        4 => Confidence::Proven,
        _ => Confidence::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_confidence_reads_back() {
        for level in [
            Confidence::Unknown,
            Confidence::Contextual,
            Confidence::Strong,
            Confidence::Paired,
            Confidence::Proven,
        ] {
            assert_eq!(confidence(level as i64), level);
        }
    }
}
