//! Filters of lists: the query of an address, parsed once. What does not parse is named.

use akwatch_proto::agent::HostId;
use akwatch_proto::coverage::Covered;
use akwatch_proto::credential::{Confidence, CredentialId, Kind, Provider, RuleId};
use akwatch_proto::finding::PresenceState;
use akwatch_proto::git::PushState;
use akwatch_proto::limits;
use akwatch_proto::people::{
    AuditQuery, CredentialQuery, CredentialRef, FindingQuery, HostQuery, HostState, Verdict,
};
use akwatch_proto::time::Time;
use serde::de::DeserializeOwned;

/// Why a query was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// A value that this filter does not take.
    #[error("the filter {name} does not take this value; it takes {takes}")]
    Value {
        /// The filter's name in the address.
        name: &'static str,
        /// What it takes.
        takes: &'static str,
    },
    /// Longer than [`limits::FILTER`].
    #[error("the filter {name} has more than {max} characters", max = limits::FILTER)]
    TooLong {
        /// The filter's name in the address.
        name: &'static str,
    },
}

/// Every kind, references included: what names no kind leaves those out.
pub(crate) const EVERY_KIND: [Kind; 8] = [
    Kind::AccessKeyPair,
    Kind::SecretKey,
    Kind::TemporaryCredential,
    Kind::PrivateKey,
    Kind::Token,
    Kind::Password,
    Kind::Reference,
    Kind::Unknown,
];

/// How a list is cut into pages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paging {
    /// From the page before, as it came.
    pub cursor: Option<String>,
    /// Rows a page, 1 to [`limits::PAGE_ROWS`].
    pub limit: u32,
    /// Whether the total is wanted; an export that asks page after page turns it off.
    pub count: bool,
}

impl Default for Paging {
    fn default() -> Paging {
        Paging {
            cursor: None,
            limit: limits::PAGE_ROWS_DEFAULT,
            count: true,
        }
    }
}

/// How hosts are sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HostSort {
    /// Highest score first.
    #[default]
    Score,
    /// By name.
    Name,
    /// Heard last first.
    LastHeard,
    /// Most credentials first.
    Open,
}

/// Filters of the host list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostFilter {
    /// Any of these states; all when empty.
    pub states: Vec<HostState>,
    /// Part of the name, an address, or a host id.
    pub text: Option<String>,
    /// Any of these.
    pub covered: Vec<Covered>,
    /// Order.
    pub sort: HostSort,
    /// Pages.
    pub page: Paging,
}

/// How credentials are sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CredentialSort {
    /// Highest score, then most hosts, first.
    #[default]
    Score,
    /// Most hosts first.
    Hosts,
    /// Most places first.
    Places,
    /// Seen last first.
    LastSeen,
    /// Oldest first.
    FirstSeen,
}

/// Which verdicts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Verdicts {
    /// Every credential.
    #[default]
    Any,
    /// Those that are still work, and these verdicts besides.
    Open(Vec<Verdict>),
    /// These.
    These(Vec<Verdict>),
}

/// Filters of the credential list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CredentialFilter {
    /// Verdicts.
    pub verdicts: Verdicts,
    /// Any of these; all when empty.
    pub providers: Vec<Provider>,
    /// Any of these; all but references when empty.
    pub kinds: Vec<Kind>,
    /// A place in any of these; all when empty.
    pub presence: Vec<PresenceState>,
    /// Lowest and highest score.
    pub score: Option<(u32, u32)>,
    /// On this host.
    pub host: Option<HostId>,
    /// The exact id.
    pub id: Option<CredentialId>,
    /// Order.
    pub sort: CredentialSort,
    /// Pages.
    pub page: Paging,
}

/// How findings are sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FindingSort {
    /// Highest score first.
    #[default]
    Score,
    /// Newest first.
    FirstSeen,
    /// Verified last first.
    LastVerified,
    /// By the host's name.
    Host,
    /// By path.
    Path,
}

/// A kind of place, as filters name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum PlaceType {
    /// A file.
    File = 1,
    /// A process.
    Process = 2,
    /// A history.
    History = 3,
}

/// Filters of the findings list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FindingFilter {
    /// Any of these; all when empty.
    pub presence: Vec<PresenceState>,
    /// On this host.
    pub host: Option<HostId>,
    /// Of this credential.
    pub credential: Option<CredentialRef>,
    /// The exact id.
    pub id: Option<CredentialId>,
    /// Any of these; all when empty.
    pub providers: Vec<Provider>,
    /// Any of these; all when empty.
    pub rules: Vec<RuleId>,
    /// Any of these; all but references when empty and neither id nor credential is asked for.
    pub kinds: Vec<Kind>,
    /// At least this sure.
    pub confidence: Option<Confidence>,
    /// Any of these; all when empty.
    pub place_types: Vec<PlaceType>,
    /// Part of the path, unit or user.
    pub text: Option<String>,
    /// What Git says: any of these; all when empty.
    pub pushed: Vec<PushState>,
    /// First seen since this instant.
    pub since: Option<Time>,
    /// Order.
    pub sort: FindingSort,
    /// Pages.
    pub page: Paging,
}

/// Filters of the audit log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Part of who, what or on what.
    pub text: Option<String>,
    /// Whether that may be part of an access key's id: where ids are shown masked, a search that found
    /// them by what is hidden would tell it, letter by letter.
    pub ids: bool,
    /// Only this action.
    pub action: Option<String>,
    /// Pages.
    pub page: Paging,
}

impl TryFrom<&AuditQuery> for AuditFilter {
    type Error = FilterError;
    fn try_from(query: &AuditQuery) -> Result<AuditFilter, FilterError> {
        Ok(AuditFilter {
            text: text("q", query.q.as_deref())?,
            ids: false,
            action: text("action", query.action.as_deref())?,
            page: paging(query.cursor.as_deref(), query.limit)?,
        })
    }
}

impl TryFrom<&HostQuery> for HostFilter {
    type Error = FilterError;
    fn try_from(query: &HostQuery) -> Result<HostFilter, FilterError> {
        Ok(HostFilter {
            states: words(
                "state",
                "pending, live, silent, retired",
                query.state.as_deref(),
            )?,
            text: text("q", query.q.as_deref())?,
            covered: covered(query.covered.as_deref())?,
            sort: match query.sort.as_deref() {
                None | Some("-score") => HostSort::Score,
                Some("name") => HostSort::Name,
                Some("-last_heard") => HostSort::LastHeard,
                Some("-open") => HostSort::Open,
                Some(_) => return refused("sort", "-score, name, -last_heard, -open"),
            },
            page: paging(query.cursor.as_deref(), query.limit)?,
        })
    }
}

impl TryFrom<&CredentialQuery> for CredentialFilter {
    type Error = FilterError;
    fn try_from(query: &CredentialQuery) -> Result<CredentialFilter, FilterError> {
        Ok(CredentialFilter {
            verdicts: verdicts(query.verdict.as_deref())?,
            providers: words("provider", "providers", query.provider.as_deref())?,
            kinds: kinds(query.kind.as_deref())?,
            presence: presence(query.presence.as_deref())?,
            score: range(query.score.as_deref())?,
            host: query.host,
            id: id(query.id.as_deref())?,
            sort: match query.sort.as_deref() {
                None | Some("-score" | "-score,-hosts") => CredentialSort::Score,
                Some("-hosts") => CredentialSort::Hosts,
                Some("-places") => CredentialSort::Places,
                Some("-last_seen") => CredentialSort::LastSeen,
                Some("first_seen") => CredentialSort::FirstSeen,
                Some(_) => {
                    return refused("sort", "-score, -hosts, -places, -last_seen, first_seen");
                }
            },
            page: paging(query.cursor.as_deref(), query.limit)?,
        })
    }
}

impl TryFrom<&FindingQuery> for FindingFilter {
    type Error = FilterError;
    fn try_from(query: &FindingQuery) -> Result<FindingFilter, FilterError> {
        Ok(FindingFilter {
            presence: presence(query.presence.as_deref())?,
            host: query.host,
            credential: query.credential.clone(),
            id: id(query.id.as_deref())?,
            providers: words("provider", "providers", query.provider.as_deref())?,
            rules: words("rule", "rule ids", query.rule.as_deref())?,
            kinds: kinds(query.kind.as_deref())?,
            confidence: confidence(query.confidence)?,
            place_types: place_types(query.place_type.as_deref())?,
            text: text("q", query.q.as_deref())?,
            pushed: pushed(query.pushed.as_deref())?,
            since: query.since,
            sort: match query.sort.as_deref() {
                None | Some("-score") => FindingSort::Score,
                Some("-first_seen") => FindingSort::FirstSeen,
                Some("-last_verified") => FindingSort::LastVerified,
                Some("host") => FindingSort::Host,
                Some("path") => FindingSort::Path,
                Some(_) => {
                    return refused("sort", "-score, -first_seen, -last_verified, host, path");
                }
            },
            page: paging(query.cursor.as_deref(), query.limit)?,
        })
    }
}

fn refused<T>(name: &'static str, takes: &'static str) -> Result<T, FilterError> {
    Err(FilterError::Value { name, takes })
}

fn text(name: &'static str, value: Option<&str>) -> Result<Option<String>, FilterError> {
    match value {
        None | Some("") => Ok(None),
        Some(value) if value.len() > limits::FILTER => Err(FilterError::TooLong { name }),
        Some(value) => Ok(Some(value.to_owned())),
    }
}

/// Words separated by commas, each read as the type's own JSON string.
fn words<T: DeserializeOwned>(
    name: &'static str,
    takes: &'static str,
    value: Option<&str>,
) -> Result<Vec<T>, FilterError> {
    let Some(value) = text(name, value)? else {
        return Ok(Vec::new());
    };
    value
        .split(',')
        .map(|word| {
            serde_json::from_value(serde_json::Value::String(word.to_owned()))
                .map_err(|_| FilterError::Value { name, takes })
        })
        .collect()
}

fn presence(value: Option<&str>) -> Result<Vec<PresenceState>, FilterError> {
    words("presence", "present, gone, unknown", value)
}

fn kinds(value: Option<&str>) -> Result<Vec<Kind>, FilterError> {
    const TAKES: &str = "access-key-pair, secret-key, temporary-credential, private-key, token, \
                         password, reference, unknown";
    let kinds: Vec<Kind> = words("kind", TAKES, value)?;
    let named = value.is_some_and(|value| value.split(',').any(|word| word == "unknown"));
    if kinds.contains(&Kind::Unknown) && !named {
        return refused("kind", TAKES);
    }
    Ok(kinds)
}

/// What this version does not know is no level: it would quietly match everything.
fn confidence(value: Option<Confidence>) -> Result<Option<Confidence>, FilterError> {
    match value {
        Some(Confidence::Unknown) => refused("confidence", "contextual, strong, paired, proven"),
        other => Ok(other),
    }
}

fn covered(value: Option<&str>) -> Result<Vec<Covered>, FilterError> {
    const TAKES: &str = "whole, partly, unknown";
    let covered: Vec<Covered> = words("covered", TAKES, value)?;
    let named = value.is_some_and(|value| value.split(',').any(|word| word == "unknown"));
    if covered.contains(&Covered::Unknown) && !named {
        return refused("covered", TAKES);
    }
    Ok(covered)
}

fn verdicts(value: Option<&str>) -> Result<Verdicts, FilterError> {
    const TAKES: &str = "open, exposed, rotated-still-present, not-verified, \
                         rotated-not-verified, gone-not-rotated, closed";
    let Some(value) = text("verdict", value)? else {
        return Ok(Verdicts::Any);
    };
    let others: Vec<&str> = value.split(',').filter(|word| *word != "open").collect();
    let these = if others.is_empty() {
        Vec::new()
    } else {
        words("verdict", TAKES, Some(&others.join(",")))?
    };
    Ok(if value.split(',').any(|word| word == "open") {
        Verdicts::Open(these)
    } else {
        Verdicts::These(these)
    })
}

fn place_types(value: Option<&str>) -> Result<Vec<PlaceType>, FilterError> {
    let Some(value) = text("type", value)? else {
        return Ok(Vec::new());
    };
    value
        .split(',')
        .map(|word| match word {
            "file" => Ok(PlaceType::File),
            "process" => Ok(PlaceType::Process),
            "history" => Ok(PlaceType::History),
            _ => refused("type", "file, process, history"),
        })
        .collect()
}

fn pushed(value: Option<&str>) -> Result<Vec<PushState>, FilterError> {
    let Some(value) = text("pushed", value)? else {
        return Ok(Vec::new());
    };
    value
        .split(',')
        .map(|word| match word {
            "pushed" => Ok(PushState::Pushed),
            "not-pushed" => Ok(PushState::NotPushed),
            "unknown" => Ok(PushState::Unknown),
            _ => refused("pushed", "pushed, not-pushed, unknown"),
        })
        .collect()
}

fn id(value: Option<&str>) -> Result<Option<CredentialId>, FilterError> {
    value
        .map(|value| {
            CredentialId::parse(value).map_err(|_| FilterError::Value {
                name: "id",
                takes: "one whole access key id",
            })
        })
        .transpose()
}

/// `70..`, `40..69`, `..39`, `90`; both ends belong to it.
fn range(value: Option<&str>) -> Result<Option<(u32, u32)>, FilterError> {
    const ERROR: FilterError = FilterError::Value {
        name: "score",
        takes: "a range like 70.. or 40..69",
    };
    let Some(value) = value else {
        return Ok(None);
    };
    let end = |text: &str, open: u32| match text {
        "" => Ok(open),
        text => text.parse::<u32>().map_err(|_| ERROR),
    };
    let (low, high) = match value.split_once("..") {
        Some((low, high)) => (end(low, 0)?, end(high, 100)?),
        None => {
            let exact = value.parse().map_err(|_| ERROR)?;
            (exact, exact)
        }
    };
    if low > high {
        return Err(ERROR);
    }
    Ok(Some((low, high)))
}

fn paging(cursor: Option<&str>, limit: Option<u32>) -> Result<Paging, FilterError> {
    let limit = limit.unwrap_or(limits::PAGE_ROWS_DEFAULT);
    if limit == 0 || limit > limits::PAGE_ROWS {
        return refused("limit", "1 to 1000");
    }
    Ok(Paging {
        // A cursor holds a path that the list is sorted by, so it may be longer than a filter.
        cursor: match cursor {
            Some(cursor) if cursor.len() > crate::cursor::LONGEST => {
                return Err(FilterError::TooLong { name: "cursor" });
            }
            other => other.map(str::to_owned),
        },
        limit,
        count: true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(change: impl FnOnce(&mut FindingQuery)) -> Result<FindingFilter, FilterError> {
        let mut query = FindingQuery::default();
        change(&mut query);
        FindingFilter::try_from(&query)
    }

    #[test]
    fn words_are_parsed_and_what_is_not_one_is_named() {
        let filter = findings(|q| q.presence = Some("present,unknown".to_owned())).unwrap();
        assert_eq!(
            filter.presence,
            [PresenceState::Present, PresenceState::Unknown]
        );
        for (bad, name) in [
            (
                findings(|q| q.presence = Some("there".to_owned())),
                "presence",
            ),
            (findings(|q| q.kind = Some("quantum".to_owned())), "kind"),
            (findings(|q| q.place_type = Some("disk".to_owned())), "type"),
            (findings(|q| q.pushed = Some("gone".to_owned())), "pushed"),
            (findings(|q| q.sort = Some("colour".to_owned())), "sort"),
            (findings(|q| q.limit = Some(0)), "limit"),
            (findings(|q| q.limit = Some(1001)), "limit"),
            (findings(|q| q.id = Some("a b".to_owned())), "id"),
            (
                findings(|q| q.confidence = Some(Confidence::Unknown)),
                "confidence",
            ),
        ] {
            assert!(
                matches!(bad, Err(FilterError::Value { name: n, .. }) if n == name),
                "{bad:?}"
            );
        }
        assert_eq!(
            findings(|q| q.q = Some("x".repeat(limits::FILTER + 1))),
            Err(FilterError::TooLong { name: "q" })
        );
    }

    #[test]
    fn a_score_range_is_open_at_either_end() {
        assert_eq!(range(Some("70..")), Ok(Some((70, 100))));
        assert_eq!(range(Some("40..69")), Ok(Some((40, 69))));
        assert_eq!(range(Some("..39")), Ok(Some((0, 39))));
        assert_eq!(range(Some("90")), Ok(Some((90, 90))));
        assert!(range(Some("90..40")).is_err());
        assert!(range(Some("high")).is_err());
    }

    #[test]
    fn open_may_stand_beside_verdicts() {
        assert_eq!(verdicts(None), Ok(Verdicts::Any));
        assert_eq!(verdicts(Some("open")), Ok(Verdicts::Open(vec![])));
        assert_eq!(
            verdicts(Some("open,closed")),
            Ok(Verdicts::Open(vec![Verdict::Closed]))
        );
        assert_eq!(
            verdicts(Some("exposed")),
            Ok(Verdicts::These(vec![Verdict::Exposed]))
        );
        assert!(verdicts(Some("maybe")).is_err());
    }
}
