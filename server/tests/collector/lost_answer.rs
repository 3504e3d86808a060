//! An enrollment whose answer never arrives: the host asks again and is the same host.

use akwatch_proto::agent::{Enrolled, RefusalCode, Reported};
use rcgen::{CertificateParams, KeyPair};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::world::{Host, World, code, request, secret, told, until};

/// Carries one connection to `to`, but lets nothing back after the client's second word (its TLS
/// `Finished` and its request) and hangs up once `cut` turns true.
async fn cut_line(to: String, cut: watch::Receiver<bool>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut client, _) = listener.accept().await.unwrap();
        let mut server = TcpStream::connect(to).await.unwrap();
        let (mut up, mut down) = ([0; 16 * 1024], [0; 16 * 1024]);
        let (mut words, mut cut) = (0, cut);
        let gone = async move { cut.wait_for(|cut| *cut).await.map(drop) };
        let mut gone = std::pin::pin!(gone);
        loop {
            tokio::select! {
                read = client.read(&mut up) => match read {
                    Ok(length) if length > 0 => {
                        words += 1;
                        server.write_all(&up[..length]).await.unwrap();
                    }
                    _ => return,
                },
                read = server.read(&mut down) => match read {
                    Ok(length) if length > 0 && words < 2 => {
                        client.write_all(&down[..length]).await.unwrap();
                    }
                    Ok(length) if length > 0 => {}
                    _ => return,
                },
                _ = &mut gone => return,
            }
        }
    });
    format!("https://{address}")
}

/// Another request for the same key: its signature differs.
fn again(key: &KeyPair) -> String {
    let request = CertificateParams::default().serialize_request(key);
    request.unwrap().pem().unwrap()
}

#[tokio::test]
async fn a_host_whose_answer_was_cut_off_asks_again_and_is_the_same_host() {
    let world = World::start().await;
    let admin = world.person("admin");
    let bootstrap = world.bootstrap();
    let (key, csr) = request();
    let (hang_up, cut) = watch::channel(false);
    let line = cut_line(world.agents["https://".len()..].to_owned(), cut).await;
    let lost = tokio::spawn(World::enrolling(
        world.client().build().unwrap(),
        line,
        bootstrap.clone(),
        csr,
    ));
    until("the host to be enrolled", async || {
        (admin.get("hosts").await["total"] == 1).then_some(())
    })
    .await;
    hang_up.send(true).unwrap();
    assert!(lost.await.unwrap().is_err(), "the answer was not cut off");

    let enrolled: Enrolled = told(world.enroll(&bootstrap, &again(&key)).await)
        .await
        .unwrap();
    let once_more: Enrolled = told(world.enroll(&bootstrap, &again(&key)).await)
        .await
        .unwrap();
    assert_eq!(enrolled.host, once_more.host);
    assert_eq!(enrolled.certificate, once_more.certificate);
    assert_eq!(admin.get("hosts").await["total"], 1);
    assert_eq!(admin.get("enrollment-tokens").await[0]["used"], 1);
    let (_, other) = request();
    let refused = told::<Enrolled>(world.enroll(&bootstrap, &other).await).await;
    assert_eq!(code(refused), RefusalCode::TokenUsedUp);

    // It speaks: from now on the string is used up for its own key too.
    let host = Host::new(&world, enrolled, &key);
    let report = host.report(vec![host.finding(&secret(), "/srv/a.env", 1)]);
    let reported: Reported = host.call("report", &report).await.unwrap();
    assert_eq!(reported.upto, 1);
    let refused = told::<Enrolled>(world.enroll(&bootstrap, &again(&key)).await).await;
    assert_eq!(code(refused), RefusalCode::TokenUsedUp);
}
