//! Every bound on what comes from outside, each with the attack that it stops.
//!
//! A collector must survive a hostile agent, and an agent a hostile collector: whatever one of them
//! reads from the other has a size that is fixed here and tested at both ends.

/// Bytes of one [`SafeText`](crate::place::SafeText). Stops: a path of megabytes in every finding.
/// Linux's `PATH_MAX` is 4096; replaced parts may make a name longer, so it is cut to this.
pub const SAFE_TEXT: usize = 4096;

/// Names from the outer file to the member that holds a finding. Stops: nesting without end.
pub const INSIDE_DEPTH: usize = 8;

/// Characters of a [`CredentialId`](crate::credential::CredentialId). The longest real ids are
/// Tencent Cloud's temporary ones (68); stops: ids used as a way out for content.
pub const CREDENTIAL_ID: usize = 128;

/// Characters of a slug: rule ids, providers, labels' keys. Stops: unbounded index keys.
pub const SLUG: usize = 96;

/// Characters of a [`Preview`](crate::credential::Preview)'s public prefix. Stops: a rule whose
/// "prefix" is the secret.
pub const PREVIEW_PREFIX: usize = 16;

/// Findings kept of one place; the place then says *too many*. Stops: a file of generated keys that
/// fills ledger and store.
pub const FINDINGS_PER_PLACE: usize = 200;

/// Findings in one report. Stops: one request that holds a transaction for minutes.
pub const FINDINGS_PER_REPORT: usize = 500;

/// Proofs attached to one finding.
pub const PROOFS_PER_FINDING: usize = 8;

/// Remotes of one repository that are named. Stops: a configuration of a million remotes in every
/// finding.
pub const GIT_REMOTES: usize = 8;

/// Unit files named by one process's origin.
pub const UNIT_FILES: usize = 16;

/// Places that a collector may ask to have re-read in one answer.
pub const REREAD_PLACES: usize = 500;

/// Epochs of fleet keys that one agent makes fingerprints with: two while keys are changed. Stops: an
/// answer that names every epoch that there may be.
pub const EPOCHS: usize = 4;

/// Rules in one such question. Stops: a question that is larger than what it asks for.
pub const REREAD_RULES: usize = 32;

/// Bytes of a compressed request body on the agents' listener. Stops: memory held by slow senders.
pub const BODY_COMPRESSED: usize = 2 * 1024 * 1024;

/// Bytes of a request or answer after decompression. Stops: decompression bombs.
pub const BODY_DECOMPRESSED: usize = 16 * 1024 * 1024;

/// Bytes of a request body on the people's listener.
pub const PEOPLE_BODY: usize = 256 * 1024;

/// Bytes of a pasted secret. Stops: hashing of megabytes for an attacker's sake.
pub const PASTED_SECRET: usize = 16 * 1024;

/// Bytes of a PEM certificate request. A P-256 request has about 500. Stops: parser work.
pub const CSR_PEM: usize = 8 * 1024;

/// Bytes of a bootstrap string.
pub const BOOTSTRAP: usize = 1024;

/// Labels of a host, and characters of a label's value. Stops: unbounded scopes.
pub const LABELS: usize = 64;
/// Characters of a label's value.
pub const LABEL_VALUE: usize = 256;

/// Addresses in a host's facts.
pub const ADDRESSES: usize = 64;

/// Sources in one coverage statement, and reasons in one source.
pub const COVERAGE_SOURCES: usize = 64;
/// Places and rules that are set aside and named in one statement. Stops: heartbeats that grow with a
/// stranger's hostile files.
pub const SET_ASIDE_NAMED: usize = 32;
/// Named places or reasons in one source's coverage.
pub const COVERAGE_REASONS: usize = 64;

/// Directives in one answer to a check-in. Stops: a collector that fills the watcher's memory.
pub const DIRECTIVES: usize = 32;

/// Bytes of the payload of one signed directive.
pub const SIGNED_PAYLOAD: usize = 4 * 1024 * 1024;

/// The shortest machine-made secret that may be fingerprinted, in bytes. Stops: a malicious rule
/// pack that reads a file out piece by piece through fingerprints of short strings.
pub const SHORTEST_SECRET: usize = 16;

/// The shortest password beside a name that says so, in bytes.
pub const SHORTEST_PASSWORD: usize = 8;

/// The longest secret, in bytes: private keys and long session tokens fit.
pub const LONGEST_SECRET: usize = 16 * 1024;

/// Rows in one page of a list, at most.
pub const PAGE_ROWS: u32 = 1000;

/// Rows in one page of a list when the caller does not say.
pub const PAGE_ROWS_DEFAULT: u32 = 200;

/// Bytes of what a person writes beside a decision. Stops: pages that nobody can load.
pub const NOTE: usize = 1000;

/// Longest time that a risk may be accepted for, in milliseconds: a year and a day.
pub const ACCEPTED_MS: i64 = 366 * 24 * 3600 * 1000;

/// Characters of a search or filter value on the people's listener.
pub const FILTER: usize = 512;
