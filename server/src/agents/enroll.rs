//! Enrollment: a token becomes a host.

use std::time::Instant;

use akwatch_proto::agent::{Enroll, Enrolled, HostId, PROTOCOL, RefusalCode};
use akwatch_store::enrollment::{NewCertificate, TokenRefusal};
use akwatch_store::hosts::{Enrolling, NewHost};
use axum::extract::State;
use axum::{Extension, Json};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::agents::bounds;
use crate::agents::wire::Wire;
use crate::collector::{self, Collector};
use crate::listen::Peer;
use crate::pki::CsrError;
use crate::refusal::Refusal;

/// The first exchange: the token is the proof, no certificate is needed.
#[utoipa::path(post, path = "/v1/enroll", tag = "agents", request_body = Enroll,
    responses(
        (status = 200, description = "Enrolled.", body = Enrolled),
        (status = 401, description = "The token does not enroll.", body = akwatch_proto::agent::Refused)))]
pub async fn enroll(
    State(collector): State<Collector>,
    Extension(peer): Extension<Peer>,
    Wire(mut enroll): Wire<Enroll>,
) -> Result<Json<Enrolled>, Refusal> {
    let address = peer.address.ip().to_string();
    if let Some(seconds) = collector.enrollments.wait(&address, Instant::now()) {
        return Err(Refusal::busy(
            "Too many wrong tokens from this address.",
            seconds,
        ));
    }
    if enroll.protocol != PROTOCOL {
        return Err(Refusal::new(
            RefusalCode::Version,
            format!(
                "This collector speaks version {PROTOCOL} of the wire, the agent {}.",
                enroll.protocol
            ),
        )
        .hint("Upgrade the older of the two."));
    }
    bounds::facts(&mut enroll.facts)?;
    let (now, id) = (collector::now(), HostId(Uuid::new_v4()));
    let certificate = collector
        .authority
        .issue_host(&enroll.csr, id, now)
        .map_err(|error| refused_csr(&error))?;
    let host = NewHost {
        id,
        token: enroll.token.clone(),
        secret_hash: Sha256::digest(enroll.secret.expose().as_bytes()).into(),
        facts: enroll.facts,
        peer: Some(address.clone()),
        certificate: NewCertificate {
            serial: certificate.serial,
            until: certificate.not_after,
        },
        heartbeat_seconds: collector.heartbeat_seconds,
    };
    match collector.store.enroll(host, now).await? {
        Enrolling::Enrolled { .. } => {}
        Enrolling::Refused(why) => {
            collector.enrollments.count(&address, Instant::now());
            tracing::warn!(token = %enroll.token, peer = %address, ?why, "an enrollment was refused");
            return Err(refused_token(why));
        }
    }
    tracing::info!(host = %id, peer = %address, "a host was enrolled");
    Ok(Json(Enrolled {
        host: id,
        trust_domain: collector.authority.trust_domain().clone(),
        certificate: certificate.pem,
        authorities: collector.authority.pem().to_owned(),
        fleet_key: collector.keys.fleet(),
        directive_keys: vec![collector.keys.directive_public()],
        heartbeat_seconds: collector.heartbeat_seconds,
        time: now,
    }))
}

/// A request that was not signed, as the agent reads it.
#[must_use]
pub fn refused_csr(error: &CsrError) -> Refusal {
    let code = match error {
        CsrError::TooLarge(_) => RefusalCode::TooLarge,
        CsrError::Malformed | CsrError::Algorithm => RefusalCode::Malformed,
    };
    Refusal::new(code, format!("Not understood: {error}."))
}

fn refused_token(why: TokenRefusal) -> Refusal {
    const NEW: &str = "Ask for a new bootstrap string: `akwatch-server enrollment-token create`, or \
                       Enrollment in the console.";
    match why {
        TokenRefusal::Unknown => Refusal::new(
            RefusalCode::TokenUnknown,
            "There is no such enrollment token, or its secret is another.",
        )
        .hint("Copy the whole bootstrap string again; it is shown once."),
        TokenRefusal::Expired => Refusal::new(
            RefusalCode::TokenExpired,
            "The enrollment token's time is over.",
        )
        .hint(NEW),
        TokenRefusal::UsedUp => Refusal::new(
            RefusalCode::TokenUsedUp,
            "The enrollment token was used as often as it may be.",
        )
        .hint(NEW),
    }
}
