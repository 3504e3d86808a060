//! What agents may and may not do.

use akwatch_proto::agent::{
    CheckIn, CheckInAnswer, Directive, Enrolled, HeartbeatAnswer, HostId, Nonce, RENEW_CONTEXT,
    RefusalCode, Renew, RenewChallenge, RenewExpired, Renewed, Reported, TokenSecret,
};
use akwatch_proto::digest::{Element, SetDigest};
use akwatch_proto::finding::PresenceState;
use akwatch_proto::limits;
use akwatch_server::config::Config;
use akwatch_server::domain::grants;
use akwatch_server::pki::authority::DAY_MS;
use akwatch_server::pki::{Authority, Keys};
use akwatch_server::{collector, run};
use akwatch_store::Actor;
use akwatch_store::enrollment::NewToken;
use akwatch_store::{Audit as _, Certificates as _, EnrollmentTokens as _};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use uuid::Uuid;

use crate::world::{Host, World, code, identity, request, secret, told};

#[tokio::test]
async fn a_report_is_a_row_once_and_is_acknowledged_each_time() {
    let world = World::start().await;
    let host = world.host().await;
    let report = host.report(vec![host.finding(&secret(), "/srv/a.env", 5)]);
    for _ in 0..2 {
        let reported: Reported = host.call("report", &report).await.unwrap();
        assert_eq!(reported.upto, 5);
    }
    let person = world.person("admin");
    let page = person.get("findings").await;
    assert_eq!(page["total"], 1);
    let row = &page["rows"][0];
    assert_eq!(row["location"]["path"], "/srv/a.env");
    assert_eq!(row["location"]["line"], 3);
    assert_eq!(row["state"], "present");
    assert_eq!(row["host"], host.id.to_string());
    let credential = row["credential"].as_str().unwrap();
    let detail = person.get(&format!("credentials/{credential}")).await;
    assert_eq!(detail["places"].as_array().unwrap().len(), 1);
    assert_eq!(detail["credential"]["verdict"], "exposed");
}

#[tokio::test]
async fn a_host_speaks_for_itself_only() {
    let mut world = World::start().await;
    let (host, other) = (world.host().await, world.host().await);
    let mut report = host.report(vec![host.finding(&secret(), "/srv/a.env", 1)]);
    report.host = other.id;
    assert_eq!(
        code(host.call::<Reported>("report", &report).await),
        RefusalCode::WrongHost
    );
    let mut beat = host.heartbeat(1, SetDigest::default(), 0);
    beat.host = other.id;
    let refused = host.call::<HeartbeatAnswer>("heartbeat", &beat).await;
    assert_eq!(code(refused), RefusalCode::WrongHost);
    assert_eq!(world.person("viewer").get("findings").await["total"], 0);
    world.kill();
    let store = open(&world).await;
    let entries = store.entries(0, 100).await.unwrap();
    let traces = entries.iter().map(|linked| &linked.entry).filter(|entry| {
        entry.result == "refused: wrong host" && entry.actor.name == format!("host:{}", host.id)
    });
    assert_eq!(traces.count(), 2);
    akwatch_server::domain::audit::verify(0, [0; 32], &entries).unwrap();
}

#[tokio::test]
async fn limits_and_forms_are_refused_by_name() {
    let world = World::start().await;
    let host = world.host().await;
    let finding = host.finding(&secret(), "/srv/a.env", 1);
    let many = host.report(vec![finding; limits::FINDINGS_PER_REPORT + 1]);
    assert_eq!(
        code(host.call::<Reported>("report", &many).await),
        RefusalCode::TooLarge
    );
    let bomb = zstd::bulk::compress(&vec![b' '; limits::BODY_DECOMPRESSED + 1], 3).unwrap();
    let refused = told::<Value>(host.raw("report", bomb, Some("zstd")).await).await;
    assert_eq!(code(refused), RefusalCode::TooLarge);
    // Noise does not compress: this one is too large as it stands.
    let noise: Vec<u8> = (0..limits::BODY_COMPRESSED + 1)
        .map(|at| at.wrapping_mul(2_654_435_761).to_le_bytes()[2])
        .collect();
    let refused = told::<Value>(host.raw("report", noise, Some("zstd")).await).await;
    assert_eq!(code(refused), RefusalCode::TooLarge);
    for (body, encoding) in [
        (&b"{}"[..], None),
        (b"{", None),
        (b"", None),
        (b"{}", Some("zstd")),
        (b"{}", Some("br")),
        (b"[[[[[[[[", None),
    ] {
        let refused = told::<Value>(host.raw("report", body.to_vec(), encoding).await).await;
        assert_eq!(
            code(refused),
            RefusalCode::Malformed,
            "{body:?} {encoding:?}"
        );
    }
}

#[tokio::test]
async fn without_a_certificate_only_the_open_calls_answer() {
    let world = World::start().await;
    let client = world.client().build().unwrap();
    for call in ["report", "heartbeat", "check-in", "renew"] {
        let request = client
            .post(format!("{}/v1/{call}", world.agents))
            .body("{}");
        let refused = told::<Value>(request.send().await.unwrap()).await;
        assert_eq!(code(refused), RefusalCode::Unauthenticated, "{call}");
    }
    let time = client
        .get(format!("{}/v1/time", world.agents))
        .send()
        .await
        .unwrap();
    assert!(told::<Value>(time).await.unwrap()["time"].as_i64().unwrap() > 1_700_000_000_000);
    // A certificate of another authority does not even get through the handshake.
    let other = World::start().await;
    let (key, csr) = request();
    let enrolled: Enrolled = told(other.enroll(&other.bootstrap(), &csr).await)
        .await
        .unwrap();
    let stranger = world
        .client()
        .identity(identity(&enrolled.certificate, &key))
        .build()
        .unwrap();
    assert!(
        stranger
            .get(format!("{}/v1/time", world.agents))
            .send()
            .await
            .is_err()
    );
}

#[tokio::test]
async fn a_token_enrolls_as_often_as_it_says() {
    let mut world = World::prepared();
    let expired = token_that_expired(&world).await;
    world.run().await;
    let (_, csr) = request();
    let refused = told::<Enrolled>(world.enroll(&expired, &csr).await).await;
    assert_eq!(code(refused), RefusalCode::TokenExpired);

    let bootstrap = world.bootstrap();
    let mut wrong = bootstrap.clone();
    wrong.secret = TokenSecret::new("x".repeat(43));
    let refused = told::<Enrolled>(world.enroll(&wrong, &csr).await).await;
    assert_eq!(code(refused), RefusalCode::TokenUnknown);
    let refused = told::<Enrolled>(world.enroll(&bootstrap, "no request").await).await;
    assert_eq!(code(refused), RefusalCode::Malformed);
    // Neither used it up.
    told::<Enrolled>(world.enroll(&bootstrap, &csr).await)
        .await
        .unwrap();
    let (_, other) = request();
    let refused = told::<Enrolled>(world.enroll(&bootstrap, &other).await).await;
    assert_eq!(code(refused), RefusalCode::TokenUsedUp);
}

/// The database of a collector that does not run.
async fn open(world: &World) -> std::sync::Arc<akwatch_store::Sqlite> {
    let config = Config::load(Some(&world.path("server.toml")), Some(&world.state())).unwrap();
    let keys = Keys::open(&world.state()).unwrap();
    run::open_store(&config, &keys).await.unwrap()
}

/// Stores a token that ended a minute ago, before the collector runs.
async fn token_that_expired(world: &World) -> akwatch_proto::agent::Bootstrap {
    let bootstrap = world.bootstrap();
    let store = open(world).await;
    let token = NewToken {
        id: akwatch_proto::agent::TokenId::parse("expired").unwrap(),
        secret_hash: grants::hash(bootstrap.secret.expose()),
        uses: 1,
        until: collector::now().plus(-60_000),
        labels: std::collections::BTreeMap::new(),
        note: None,
    };
    store
        .create_token(token, Actor::collector(), collector::now())
        .await
        .unwrap();
    store.close().await;
    akwatch_proto::agent::Bootstrap {
        token: akwatch_proto::agent::TokenId::parse("expired").unwrap(),
        ..bootstrap
    }
}

#[tokio::test]
async fn a_certificate_is_renewed_for_a_new_key() {
    let world = World::start().await;
    let host = world.host().await;
    let (key, csr) = request();
    let renewed: Renewed = host.call("renew", &Renew { csr }).await.unwrap();
    let enrolled = Enrolled {
        certificate: renewed.certificate,
        ..host.enrolled.clone()
    };
    let mut again = Host::new(&world, enrolled, &key);
    again.instance = host.instance;
    let report = again.report(vec![again.finding(&secret(), "/srv/a.env", 1)]);
    again.call::<Reported>("report", &report).await.unwrap();
    // The old one is good until it ends.
    host.call::<Reported>("report", &report).await.unwrap();
}

/// A host whose certificate ended `days` ago, made before the collector runs.
struct Late {
    host: HostId,
    enrolled: Enrolled,
    certificate: String,
    key: rcgen::KeyPair,
}

async fn late(world: &mut World, days: i64) -> Late {
    world.run().await;
    let enrolled = world.host().await.enrolled.clone();
    let host = enrolled.host;
    world.kill();
    let config = Config::load(Some(&world.path("server.toml")), Some(&world.state())).unwrap();
    let now = collector::now();
    let authority = Authority::open(&world.state(), config.trust_domain.clone(), now).unwrap();
    let (key, csr) = request();
    let issued = authority
        .issue_host(&csr, host, now.plus(-(days + 7) * DAY_MS))
        .unwrap();
    let store = open(world).await;
    let certificate = akwatch_store::enrollment::NewCertificate {
        serial: issued.serial,
        until: issued.not_after,
    };
    let added = store.add_certificate(host, certificate, None, now);
    assert!(added.await.unwrap());
    store.close().await;
    drop(store);
    world.run().await;
    Late {
        host,
        enrolled,
        certificate: issued.pem,
        key,
    }
}

impl Late {
    /// Renews; `spoil` may change what is sent.
    async fn renew(
        &self,
        world: &World,
        spoil: impl FnOnce(&mut RenewExpired),
    ) -> Result<(Renewed, rcgen::KeyPair), akwatch_proto::agent::Refused> {
        let client = world.client().build().unwrap();
        let url = format!("{}/v1/renew/challenge", world.agents);
        let asked = client
            .post(url)
            .json(&RenewChallenge { host: self.host })
            .send()
            .await
            .unwrap();
        let Nonce { nonce } = told(asked).await.unwrap();
        let (key, csr) = request();
        let bytes = data_encoding::HEXLOWER.decode(nonce.as_bytes()).unwrap();
        let message = [RENEW_CONTEXT, &bytes, csr.as_bytes()].concat();
        let pkcs8 = self.key.serialize_der();
        let signer = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &pkcs8).unwrap();
        let signature = signer.sign(&SystemRandom::new(), &message).unwrap();
        let mut body = RenewExpired {
            host: self.host,
            certificate: self.certificate.clone(),
            nonce,
            csr,
            signature: STANDARD.encode(signature.as_ref()),
        };
        spoil(&mut body);
        let url = format!("{}/v1/renew/expired", world.agents);
        let renewed = told(client.post(url).json(&body).send().await.unwrap()).await?;
        Ok((renewed, key))
    }

    /// The host with what it got.
    fn speaking(&self, world: &World, renewed: Renewed, key: &rcgen::KeyPair) -> Host {
        let enrolled = Enrolled {
            certificate: renewed.certificate,
            host: self.host,
            ..self.enrolled.clone()
        };
        Host::new(world, enrolled, key)
    }
}

#[tokio::test]
async fn an_expired_certificate_renews_by_the_old_keys_signature() {
    let mut world = World::prepared();
    let late = late(&mut world, 3).await;
    // The expired certificate itself is refused in the handshake.
    let client = world
        .client()
        .identity(identity(&late.certificate, &late.key))
        .build()
        .unwrap();
    assert!(
        client
            .get(format!("{}/v1/time", world.agents))
            .send()
            .await
            .is_err()
    );
    let spoiled = late
        .renew(&world, |body| body.nonce = "00".repeat(32))
        .await;
    assert_eq!(code(spoiled), RefusalCode::WrongHost);
    let spoiled = late.renew(&world, |body| body.csr = request().1).await;
    assert_eq!(code(spoiled), RefusalCode::WrongHost);
    let spoiled = late
        .renew(&world, |body| body.host = HostId(Uuid::new_v4()))
        .await;
    assert_eq!(code(spoiled), RefusalCode::WrongHost);
    let (renewed, _) = late.renew(&world, |_| ()).await.unwrap();
    assert!(renewed.certificate.contains("BEGIN CERTIFICATE"));
    // That answer may have been lost: the host asks again, until it has shown what it got.
    let (renewed, key) = late.renew(&world, |_| ()).await.unwrap();
    let host = late.speaking(&world, renewed, &key);
    let report = host.report(vec![host.finding(&secret(), "/srv/a.env", 1)]);
    host.call::<Reported>("report", &report).await.unwrap();
    assert_eq!(code(late.renew(&world, |_| ()).await), RefusalCode::Revoked);
    // Whoever renewed is in the log, with the address.
    let log = world
        .person("auditor")
        .get("audit?action=renew-certificate")
        .await;
    let rows = log["rows"].as_array().unwrap();
    assert!(rows.len() >= 2, "{log:#}");
    // The oldest is the fixture's own.
    for row in &rows[..rows.len() - 1] {
        assert_eq!(row["actor"], format!("host:{}", late.host));
        assert_eq!(row["from"], "127.0.0.1", "{log:#}");
    }
}

#[tokio::test]
async fn a_certificate_that_ended_too_long_ago_does_not_renew() {
    let mut world = World::prepared();
    let late = late(&mut world, 31).await;
    assert_eq!(code(late.renew(&world, |_| ()).await), RefusalCode::Revoked);
}

#[tokio::test]
async fn a_retired_host_is_refused_on_an_open_connection() {
    let world = World::start().await;
    let host = world.host().await;
    let report = host.report(vec![host.finding(&secret(), "/srv/a.env", 1)]);
    host.call::<Reported>("report", &report).await.unwrap();
    let person = world.person("responder");
    let retired = person
        .post(&format!("hosts/{}/retire", host.id), &Value::Null)
        .await;
    assert_eq!(retired.status(), 204);
    assert_eq!(
        code(host.call::<Reported>("report", &report).await),
        RefusalCode::Revoked
    );
    let again = person
        .post(&format!("hosts/{}/retire", host.id), &Value::Null)
        .await;
    assert_eq!(again.status(), 409);
    let detail = person.get(&format!("hosts/{}", host.id)).await;
    assert_eq!(detail["host"]["state"], "retired");
}

#[tokio::test]
async fn a_copy_of_a_state_directory_is_told_so() {
    let world = World::start().await;
    let host = world.host().await;
    let beat = host.heartbeat(1, SetDigest::default(), 0);
    let answer: HeartbeatAnswer = host.call("heartbeat", &beat).await.unwrap();
    assert!(!answer.resync);
    let mut copied = host.heartbeat(2, SetDigest::default(), 0);
    copied.instance = Uuid::new_v4();
    let refused = host.call::<HeartbeatAnswer>("heartbeat", &copied).await;
    assert_eq!(code(refused), RefusalCode::Clone);
}

#[tokio::test]
async fn a_heartbeat_makes_a_host_live_and_compares_digests() {
    let world = World::start().await;
    let host = world.host().await;
    let person = world.person("viewer");
    let state = async || person.get(&format!("hosts/{}", host.id)).await["host"]["state"].clone();
    assert_eq!(state().await, "pending");
    let finding = host.finding(&secret(), "/srv/a.env", 4);
    let mut digest = SetDigest::default();
    digest.add(Element::of(&finding.key, PresenceState::Present));
    host.call::<Reported>("report", &host.report(vec![finding]))
        .await
        .unwrap();
    let same: HeartbeatAnswer = host
        .call("heartbeat", &host.heartbeat(1, digest, 4))
        .await
        .unwrap();
    assert!(!same.resync, "both hold the same");
    assert_eq!(state().await, "live");
    let other = host.heartbeat(2, SetDigest::default(), 4);
    let answer: HeartbeatAnswer = host.call("heartbeat", &other).await.unwrap();
    assert!(answer.resync, "the agent holds less than the collector");
    let restored: HeartbeatAnswer = host
        .call("heartbeat", &host.heartbeat(1, digest, 4))
        .await
        .unwrap();
    assert!(restored.resync, "a counter that falls is a restored state");
}

#[tokio::test]
async fn a_check_in_is_held_until_a_directive_is_there() {
    let world = World::start().await;
    let host = world.host().await;
    host.call::<HeartbeatAnswer>("heartbeat", &host.heartbeat(1, SetDigest::default(), 0))
        .await
        .unwrap();
    let ask = |serial, wait_seconds| CheckIn {
        host: host.id,
        serial,
        wait_seconds,
        outcomes: Vec::new(),
    };
    let nothing: CheckInAnswer = host.call("check-in", &ask(0, 0)).await.unwrap();
    assert!(nothing.directives.is_empty());
    let person = world.person("responder");
    let body = ask(0, 60);
    let held = host.call::<CheckInAnswer>("check-in", &body);
    let rescan = async {
        // Whether it is held already or not yet, it must answer with the directive.
        tokio::task::yield_now().await;
        let asked = person
            .post(&format!("hosts/{}/rescan", host.id), &Value::Null)
            .await;
        assert_eq!(asked.status(), 202);
    };
    let (held, ()) = tokio::join!(held, rescan);
    let directives = held.unwrap().directives;
    assert_eq!(directives.len(), 1);
    let keys = [host.enrolled.directive_keys[0].parse().unwrap()];
    let opened = directives[0]
        .open(&keys, host.id, collector::now())
        .unwrap();
    assert_eq!(opened.body, Directive::Rescan { places: Vec::new() });
    let answered: CheckInAnswer = host.call("check-in", &ask(opened.serial, 0)).await.unwrap();
    assert!(answered.directives.is_empty(), "it is not sent again");
}

/// What an agent may send is taken: one report that is refused holds up all that follow it.
#[tokio::test]
async fn as_many_encodings_are_taken_as_an_agent_sends() {
    let mut world = World::prepared();
    world.run().await;
    let host = world.host().await;
    let wrapped = |layers: usize| {
        let mut finding = host.finding(&secret(), "/srv/wrapped.env", 1);
        finding.spot.encoding = vec![akwatch_proto::place::Encoding::Base64; layers];
        host.report(vec![finding])
    };
    let most = 2 * limits::INSIDE_DEPTH;
    host.call::<Reported>("report", &wrapped(most))
        .await
        .unwrap();
    let refused = host.call::<Reported>("report", &wrapped(most + 1)).await;
    assert_eq!(code(refused), RefusalCode::TooLarge);
}
