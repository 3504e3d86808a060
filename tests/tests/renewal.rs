//! The agent's certificate against the collector's own authority: renewed at half of its life, rescued
//! when it has ended, and refused when that was too long ago.
//!
//! A life of 90 days cannot be waited for, so a test writes the same certificate, with the serial
//! number and key that the collector knows, and other dates: the authority's key is the test's to use.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use akwatch_tests::agent::Agent;
use akwatch_tests::fleet::{Fleet, shown};
use akwatch_tests::{plant, wait};
use anyhow::{Context as _, Result, ensure};
use data_encoding::BASE64;
use rcgen::{
    CertificateParams, ExtendedKeyUsagePurpose, Issuer, KeyPair, KeyUsagePurpose, SanType,
    SerialNumber,
};
use serde_json::Value;

const DAY: i64 = 86_400;

/// A file of the reporter's.
fn reporters(fleet: &Fleet, name: &str) -> PathBuf {
    let state = fleet.directory.path().join("agent/state/identity");
    state.join(name)
}

/// The serial number of a certificate in PEM: the first integer of what is signed (RFC 5280, 4.1).
fn serial(pem: &str) -> Result<Vec<u8>> {
    let lines = pem
        .lines()
        .skip(1)
        .take_while(|line| !line.starts_with('-'));
    let der = BASE64.decode(lines.collect::<String>().as_bytes())?;
    // A sequence of 256 to 65,535 bytes in another, then `[0] { version }`.
    let rest = der.get(8..).context("a certificate")?;
    ensure!(rest.starts_with(&[0xa0, 3, 2, 1, 2, 2]), "not version 3");
    let length = usize::from(*rest.get(6).context("a length")?);
    Ok(rest.get(7..7 + length).context("a serial number")?.to_vec())
}

/// Gives the agent's certificate another life, in days from now.
fn live(fleet: &Fleet, begins: i64, ends: i64) -> Result<String> {
    let before = std::fs::read_to_string(reporters(fleet, "cert.pem"))?;
    let record: Value = serde_json::from_slice(&std::fs::read(reporters(fleet, "host.json"))?)?;
    let word = |name: &str| record[name].as_str().context("a word of host.json");
    let name = format!("spiffe://{}/host/{}", word("trust_domain")?, word("host")?);
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let at = |days: i64| -> Result<_> {
        let seconds = i64::try_from(now)? + days * DAY;
        Ok(rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(u64::try_from(seconds)?))
    };
    let mut params = CertificateParams::default();
    params.serial_number = Some(SerialNumber::from_slice(&serial(&before)?));
    params.not_before = at(begins)?;
    params.not_after = at(ends)?;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    params.subject_alt_names = vec![SanType::URI(name.try_into()?)];
    let authority = &fleet.collector.authority;
    let key = std::fs::read_to_string(authority.with_file_name("ca.key"))?;
    let pem = std::fs::read_to_string(authority)?;
    let issuer = Issuer::from_ca_cert_pem(&pem, KeyPair::from_pem(&key)?)?;
    let own = KeyPair::from_pem(&std::fs::read_to_string(reporters(fleet, "key.pem"))?)?;
    let other = params.signed_by(&own, &issuer)?.pem();
    std::fs::write(reporters(fleet, "cert.pem"), &other)?;
    Ok(other)
}

/// An agent that is started with a certificate of another life.
async fn restarted(begins: i64, ends: i64) -> Result<(Fleet, String)> {
    let mut fleet = Fleet::start().await?;
    fleet.agent.pause().await?;
    let given = live(&fleet, begins, ends)?;
    fleet.agent = Agent::run(&fleet.directory.path().join("agent"))?;
    Ok((fleet, given))
}

/// Waits until the agent has a new certificate, and sees it work.
async fn check_renewed(begins: i64, ends: i64) -> Result<()> {
    let (mut fleet, given) = restarted(begins, ends).await?;
    wait::until("another certificate", async || {
        fleet.agent.check_running()?;
        let now = std::fs::read_to_string(reporters(&fleet, "cert.pem"))?;
        let settled = !reporters(&fleet, "key.next.pem").exists();
        Ok((settled && serial(&now)? != serial(&given)?).then_some(()))
    })
    .await
    .with_context(|| fleet.agent.log_end())?;
    fleet.agent.wait_watching().await?;
    let (file, pair) = (fleet.watched.join("a.env"), plant::tencent());
    let text = format!("SECRET_ID={}\nSECRET_KEY={}\n", pair.id, pair.secret);
    plant::write(&file, &text)?;
    fleet.wait_state(&pair.id, &shown(&file), "present").await?;
    fleet.stop().await
}

#[tokio::test]
async fn a_certificate_past_half_of_its_life_is_renewed_over_itself() -> Result<()> {
    check_renewed(-60, 30).await
}

#[tokio::test]
async fn a_certificate_that_ended_ten_days_ago_is_rescued_by_its_key() -> Result<()> {
    check_renewed(-100, -10).await
}

#[tokio::test]
async fn one_that_ended_too_long_ago_is_refused_with_what_to_do() -> Result<()> {
    let (fleet, given) = restarted(-130, -40).await?;
    wait::until("the agent to be refused", async || {
        let status = fleet.agent.status().await?;
        let outage = status["delivery"]["outage"].as_str().unwrap_or_default();
        Ok(outage.contains("more than 30 days ago").then_some(()))
    })
    .await
    .with_context(|| fleet.agent.log_end())?;
    let kept = std::fs::read_to_string(reporters(&fleet, "cert.pem"))?;
    assert_eq!(kept, given);
    fleet.stop().await
}
