//! The host's certificate: renewed at half of its life, give or take a tenth, and rescued late.
//!
//! The new key is durable before its request is sent, and the old certificate stays until the new
//! one is on disk: a renewal may be cut off anywhere. With a certificate that has ended the old key
//! signs a nonce of the collector's instead, over TLS that verifies the collector alone.

use std::time::Duration;

use akwatch_proto::agent::{Nonce, RENEW_CONTEXT, Renew, RenewChallenge, RenewExpired, Renewed};
use akwatch_proto::time::Time;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Url;

use super::call::{CallError, address};
use super::patience::random;
use super::session::{SHORT, Session};
use super::{Reporter, ReporterError};
use crate::identity::{Identity, IdentityError, PendingKey};
use crate::link::FromReporter;

/// How often it is looked whether the time has come: a clock may be put right, a host suspended.
const LOOK_AGAIN: Duration = Duration::from_secs(60);
/// Half of the life, and the tenth around it.
const SHARE: f64 = 0.5;
const SPREAD: f64 = 0.1;

/// Keeps the certificate fresh for as long as the reporter runs.
pub(crate) async fn keep(reporter: &Reporter) {
    let session = &reporter.session;
    let mut failures = 0;
    loop {
        // A renewal for which another call found the reason moves the moment as well.
        let due = due(&session.current().identity, random());
        let before = session.current().identity.not_after;
        while session.clock.now() < due && session.current().identity.not_after == before {
            tokio::time::sleep(LOOK_AGAIN.min(until(due, session.clock.now()))).await;
        }
        if session.current().identity.not_after != before {
            reporter.renewed();
            continue;
        }
        match renew(session).await {
            // It may also have turned out that the clock was wrong and nothing is due.
            Ok(()) => {
                failures = 0;
                if session.current().identity.not_after != before {
                    reporter.renewed();
                }
            }
            Err(error) => {
                failures += 1;
                let wait = reporter.outage("renew", &error, failures);
                // A renewal that was refused for good is tried again when a person may have helped.
                tokio::time::sleep(wait.unwrap_or(reporter.patience.believed)).await;
            }
        }
    }
}

impl Reporter {
    fn renewed(&self) {
        let not_after = self.session.current().identity.not_after;
        tracing::info!(not_after_ms = not_after.0, "the certificate was renewed");
        self.say(FromReporter::Renewed { not_after });
    }
}

/// When a certificate is renewed; `random` is from 0 to 1.
fn due(identity: &Identity, random: f64) -> Time {
    let life = identity.not_after.since(identity.not_before).max(0);
    let share = SHARE - SPREAD + 2.0 * SPREAD * random;
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "a share of days in milliseconds"
    )]
    let after = (life as f64 * share) as i64;
    identity.not_before.plus(after)
}

fn until(due: Time, now: Time) -> Duration {
    Duration::from_millis(u64::try_from(due.since(now)).unwrap_or(0).max(1))
}

/// Renews at the first collector that answers.
async fn renew(session: &Session) -> Result<(), CallError> {
    let mut last = None;
    for (index, url) in session.addresses() {
        let renewed = if session.has_ended() {
            renew_expired(session, &url).await
        } else {
            renew_current(session, &url).await
        };
        match renewed {
            Ok(()) => {
                session.prefer(index);
                return Ok(());
            }
            Err(error) if error.elsewhere() => last = Some(error),
            Err(error) => return Err(error),
        }
    }
    Err(last.expect("invariant: a configuration names a collector"))
}

async fn renew_current(session: &Session, url: &Url) -> Result<(), CallError> {
    let _one = session.renewing.lock().await;
    let current = session.current();
    let key = next_key(session, url)?;
    let body = Renew {
        csr: key.csr.clone(),
    };
    let posted = current.as_host().post(url, "/v1/renew", &body, SHORT).await;
    let renewed: Renewed = match posted {
        Err(CallError::WrongTime { .. } | CallError::CertificateRefused { .. })
            if session.ask_time(url).await? && !session.has_ended() =>
        {
            current
                .as_host()
                .post(url, "/v1/renew", &body, SHORT)
                .await?
        }
        posted => posted?,
    };
    install(session, url, &key, &renewed)
}

/// Renews with a certificate that does not hold now: the old key signs the collector's nonce.
pub(crate) async fn renew_expired(session: &Session, url: &Url) -> Result<(), CallError> {
    let _one = session.renewing.lock().await;
    if !session.is_void() {
        // Another call was faster.
        return Ok(());
    }
    let current = session.current();
    let host = current.identity.record.host;
    let key = next_key(session, url)?;
    let caller = &current.as_anybody;
    let ask = RenewChallenge { host };
    let nonce: Nonce = match caller.post(url, "/v1/renew/challenge", &ask, SHORT).await {
        Err(CallError::WrongTime { .. }) if session.ask_time(url).await? => {
            if !session.is_void() {
                return Ok(());
            }
            caller.post(url, "/v1/renew/challenge", &ask, SHORT).await?
        }
        answer => answer?,
    };
    let signature = sign(&current.identity, &nonce, &key).ok_or_else(|| CallError::Answer {
        address: address(url),
        why: "its nonce is none",
    })?;
    let body = RenewExpired {
        host,
        certificate: current.identity.certificate.clone(),
        nonce: nonce.nonce,
        csr: key.csr.clone(),
        signature,
    };
    let renewed: Renewed = caller.post(url, "/v1/renew/expired", &body, SHORT).await?;
    install(session, url, &key, &renewed)
}

fn sign(identity: &Identity, nonce: &Nonce, key: &PendingKey) -> Option<String> {
    let nonce = data_encoding::HEXLOWER
        .decode(nonce.nonce.as_bytes())
        .ok()?;
    if nonce.len() != 32 {
        return None;
    }
    let message = [RENEW_CONTEXT, &nonce, key.csr.as_bytes()].concat();
    Some(STANDARD.encode(identity.sign(&message).ok()?))
}

fn install(
    session: &Session,
    url: &Url,
    key: &PendingKey,
    renewed: &Renewed,
) -> Result<(), CallError> {
    session.learn_time(renewed.time);
    let current = session.current();
    let identity = current.identity.renew(
        &session.directory,
        key,
        &renewed.certificate,
        &renewed.authorities,
    );
    let identity = identity.map_err(|error| local(url, &error))?;
    session
        .replace(identity)
        .map_err(|error: ReporterError| local(url, &error))
}

fn next_key(session: &Session, url: &Url) -> Result<PendingKey, CallError> {
    Identity::next_key(&session.directory).map_err(|error| local(url, &error))
}

/// A fault on this host: logged in full where it happened, told in short.
fn local(url: &Url, error: &(dyn std::error::Error + 'static)) -> CallError {
    let source = error.source().map(ToString::to_string);
    tracing::error!(source, "cannot renew: {error}");
    let answer = matches!(
        error.downcast_ref::<IdentityError>(),
        Some(IdentityError::Answer(_))
    );
    CallError::Answer {
        address: address(url),
        why: if answer {
            "its certificate is of no use"
        } else {
            "the new identity cannot be used on this host; its log says why"
        },
    }
}
