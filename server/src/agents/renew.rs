//! Renewal: a new certificate for a new key, proven by the current certificate or by the old key.

use std::time::Instant;

use akwatch_proto::agent::{
    Nonce, RENEW_CONTEXT, RefusalCode, Renew, RenewChallenge, RenewExpired, Renewed,
};
use akwatch_proto::limits;
use axum::extract::State;
use axum::{Extension, Json};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use data_encoding::HEXLOWER;

use crate::agents::wire::Wire;
use crate::collector::{self, Collector};
use crate::domain::speaker::Speaker;
use crate::listen::Peer;
use crate::pki::PeerCertificate;
use crate::refusal::Refusal;

/// A new certificate, asked for with the current one.
#[utoipa::path(post, path = "/v1/renew", tag = "agents", request_body = Renew,
    security(("mutualTLS" = [])),
    responses((status = 200, description = "Renewed.", body = Renewed)))]
pub async fn renew(
    State(collector): State<Collector>,
    host: Speaker,
    Wire(renew): Wire<Renew>,
) -> Result<Json<Renewed>, Refusal> {
    let renewed = collector
        .domain
        .renew(&host, &renew.csr, collector::now())
        .await?;
    Ok(Json(renewed))
}

/// Asks for a nonce to renew an expired certificate with; whoever asks gets one.
#[utoipa::path(post, path = "/v1/renew/challenge", tag = "agents", request_body = RenewChallenge,
    responses((status = 200, description = "The nonce, good for a minute.", body = Nonce)))]
pub async fn renew_challenge(
    State(collector): State<Collector>,
    Wire(challenge): Wire<RenewChallenge>,
) -> Result<Json<Nonce>, Refusal> {
    match collector.nonces.give(challenge.host, Instant::now()) {
        Some(nonce) => Ok(Json(Nonce {
            nonce: HEXLOWER.encode(&nonce),
        })),
        None => Err(Refusal::busy("Too many renewals are under way.", 30)),
    }
}

/// A new certificate, asked for with an expired one: the old key signs the nonce and the request.
#[utoipa::path(post, path = "/v1/renew/expired", tag = "agents", request_body = RenewExpired,
    responses(
        (status = 200, description = "Renewed.", body = Renewed),
        (status = 403, description = "Not this host's latest certificate, or too late.", body = akwatch_proto::agent::Refused)))]
pub async fn renew_expired(
    State(collector): State<Collector>,
    Extension(peer): Extension<Peer>,
    Wire(renew): Wire<RenewExpired>,
) -> Result<Json<Renewed>, Refusal> {
    let now = collector::now();
    let unproven = || {
        Refusal::new(
            RefusalCode::WrongHost,
            "The old key did not sign this request and nonce.",
        )
        .hint("Ask for a new nonce and sign again with the key of the latest certificate.")
    };
    let old = PeerCertificate::parse_expired(&renew.certificate, collector.domain.authority())
        .map_err(|fault| {
            Refusal::new(RefusalCode::WrongHost, format!("Not understood: {fault}."))
        })?;
    let nonce = HEXLOWER
        .decode(renew.nonce.as_bytes())
        .ok()
        .and_then(|nonce| <[u8; 32]>::try_from(nonce).ok())
        .ok_or_else(unproven)?;
    if old.host != renew.host || !collector.nonces.redeem(&nonce, renew.host, Instant::now()) {
        return Err(unproven());
    }
    if renew.csr.len() > limits::CSR_PEM || renew.signature.len() > limits::BOOTSTRAP {
        return Err(unproven());
    }
    let signature = STANDARD.decode(&renew.signature).map_err(|_| unproven())?;
    let message = [RENEW_CONTEXT, &nonce, renew.csr.as_bytes()].concat();
    if !old.signed(&message, &signature) {
        return Err(unproven());
    }
    let address = peer.address.ip().to_string();
    let renewed = collector
        .domain
        .renew_expired(&old, &renew.csr, &address, now);
    Ok(Json(renewed.await?))
}
