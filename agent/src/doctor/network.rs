//! The way to each collector, walked step by step: name, TCP, proxy, TLS issuer, certificate, clock.
//!
//! The first step that fails is the one to mend; those behind it are not tried. The same clients as the
//! reporter's make the calls, so that what works here works there, but for its sandbox. All that is
//! asked of a collector is the time.

use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use akwatch_proto::agent::ServerTime;
use reqwest::Url;

use super::checked::{Checked, Standing};
use super::{Context, agent};
use crate::config::{Collector, Config};
use crate::identity::Identity;
use crate::reporter::{
    CallError, Caller, Carried, Clock, Roots, Seen, address, as_anybody, as_host,
};
use crate::role::IDENTITY_DIRECTORY;
use crate::role::walls::proxy_variables;

/// For a name to be resolved.
const RESOLVE: Duration = Duration::from_secs(15);
/// For one address to accept a connection.
const CONNECT: Duration = Duration::from_secs(5);
/// For one call, connection included.
const CALL: Duration = Duration::from_secs(20);

/// The steps, in the order in which they build on one another.
const STEPS: [&str; 6] = [NAME, TCP, PROXY, ISSUER, CERTIFICATE, CLOCK];
const NAME: &str = "network: name";
const TCP: &str = "network: tcp";
const PROXY: &str = "network: proxy";
const ISSUER: &str = "network: tls issuer";
const CERTIFICATE: &str = "network: certificate";
const CLOCK: &str = "network: clock";

pub(super) fn checks(context: &Context<'_>) -> Vec<Checked> {
    let Ok(config) = context.config else {
        let found = "not known where the collector is";
        return vec![Checked::untried(
            "network",
            found,
            "correct the configuration first",
        )];
    };
    let identity = Identity::look(&context.paths.state.join(IDENTITY_DIRECTORY)).ok();
    let mut walked = Vec::new();
    for collector in &config.collector.urls {
        walked.push(Way::new(config, collector.url(), identity.as_ref()).walk());
    }
    // Collectors stand in for one another: one that is reached is enough to work.
    let reached = walked.iter().any(|way| !fails(way));
    let mut checks: Vec<Checked> = walked.into_iter().flatten().collect();
    if reached {
        for check in checks
            .iter_mut()
            .filter(|one| one.standing == Standing::Wrong)
        {
            check.standing = Standing::Less;
        }
    }
    checks
}

fn fails(way: &[Checked]) -> bool {
    way.iter().any(|one| one.standing == Standing::Wrong)
}

/// The way to one collector.
struct Way<'a> {
    config: &'a Config,
    url: &'a Url,
    identity: Option<&'a Identity>,
    address: String,
    /// The proxy in between.
    proxy: Option<Url>,
    done: Vec<Checked>,
}

impl<'a> Way<'a> {
    fn new(config: &'a Config, url: &'a Url, identity: Option<&'a Identity>) -> Way<'a> {
        Way {
            config,
            url,
            identity,
            address: address(url),
            proxy: proxy_for(config, url),
            done: Vec::new(),
        }
    }

    fn walk(mut self) -> Vec<Checked> {
        if self.steps().is_none() {
            for step in STEPS.iter().skip(self.done.len()) {
                let found = format!("{}: what stands above is to be mended first", self.address);
                self.done.push(Checked::untried(step, found, ""));
            }
        }
        self.done
    }

    /// Takes one step after the other; none when one of them failed.
    fn steps(&mut self) -> Option<()> {
        let first = self.proxy.clone().unwrap_or_else(|| self.url.clone());
        let addresses = self.name(&first)?;
        self.tcp(&first, &addresses)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let Ok(runtime) = runtime else {
            self.wrong(
                PROXY,
                "the system gives no event loop",
                "look at its limits",
            );
            return None;
        };
        let ahead = runtime.block_on(self.greet())?;
        runtime.block_on(self.certificate())?;
        let check = agent::skew(CLOCK, ahead);
        self.done.push(Checked {
            found: format!("{}: {}", self.address, check.found),
            ..check
        });
        Some(())
    }

    fn good(&mut self, step: &'static str, found: impl AsRef<str>) {
        let found = format!("{}: {}", self.address, found.as_ref());
        self.done.push(Checked::good(step, found));
    }

    fn wrong(&mut self, step: &'static str, found: impl AsRef<str>, fix: impl AsRef<str>) {
        let found = format!("{}: {}", self.address, found.as_ref());
        self.done.push(Checked::wrong(step, found, fix));
    }

    fn name(&mut self, first: &Url) -> Option<Vec<SocketAddr>> {
        let name = address(first);
        let what = match &self.proxy {
            Some(_) => format!("its proxy {name}"),
            None => "it".to_owned(),
        };
        match resolve(&name) {
            Ok(addresses) if !addresses.is_empty() => {
                let ips: Vec<String> = addresses.iter().map(|at| at.ip().to_string()).collect();
                self.good(NAME, format!("{what} is {}", ips.join(", ")));
                Some(addresses)
            }
            Ok(_) => {
                let found = format!("{what} has no address");
                self.wrong(NAME, found, "add one to the DNS, or to /etc/hosts");
                None
            }
            Err(why) => {
                let found = format!("{what} cannot be resolved ({why})");
                let fix = "compare it with the configuration; ask the DNS (`getent hosts NAME`); look \
                           at /etc/resolv.conf";
                self.wrong(NAME, found, fix);
                None
            }
        }
    }

    fn tcp(&mut self, first: &Url, addresses: &[SocketAddr]) -> Option<()> {
        let mut failed = Vec::new();
        for at in addresses {
            match TcpStream::connect_timeout(at, CONNECT) {
                Ok(_) if failed.is_empty() => {
                    self.good(TCP, format!("{at} accepts connections"));
                    return Some(());
                }
                Ok(_) => {
                    let found = format!("{at} accepts connections, but {}", failed.join(", "));
                    let found = format!("{}: {found}", self.address);
                    let fix =
                        "mend the other addresses, or take them out of the DNS: each costs a wait";
                    self.done.push(Checked::less(TCP, found, fix));
                    return Some(());
                }
                Err(why) => failed.push(format!("{at}: {}", kind(&why))),
            }
        }
        let port = first.port_or_known_default().unwrap_or(443);
        let fix = format!(
            "refused: nothing listens there, start the {} or correct the port; no answer: let this \
             host out to port {port}/tcp in every firewall and security group on the way",
            if self.proxy.is_some() {
                "proxy"
            } else {
                "collector"
            }
        );
        self.wrong(TCP, failed.join(", "), fix);
        None
    }

    /// Asks for the time without a certificate: what the proxy says, who answers, and how far this
    /// host's clock is ahead, in milliseconds.
    async fn greet(&mut self) -> Option<i64> {
        let roots = self.identity.map_or(Roots::Pinned([0; 32]), |identity| {
            Roots::Known(identity.authorities.clone())
        });
        let seen = Seen::default();
        let clock = Arc::new(Clock::default());
        let tls = as_anybody(roots, true, &clock, &seen).ok()?;
        let caller = self.caller(tls, &seen)?;
        let begun = Instant::now();
        let asked: Result<ServerTime, CallError> = caller.get(self.url, "/v1/time", CALL).await;
        let half = i64::try_from(begun.elapsed().as_millis() / 2).unwrap_or(0);
        match &asked {
            Err(error @ (CallError::ProxyPassword { .. } | CallError::ProxyRefused { .. })) => {
                self.failed(PROXY, error);
                return None;
            }
            // Behind a proxy, what cannot be reached is what lies behind it.
            Err(error @ CallError::Unreachable { .. }) if self.proxy.is_some() => {
                self.failed(PROXY, error);
                return None;
            }
            _ => {}
        }
        let between = self.proxy.as_ref().map(address);
        self.good(
            PROXY,
            between.map_or_else(
                || "none in between".to_owned(),
                |at| format!("{at} connects"),
            ),
        );
        match (asked, self.identity) {
            (Ok(answer), _) => {
                self.good(ISSUER, "the authority that this host was enrolled with");
                Some(crate::sense::now().plus(-half).since(answer.time))
            }
            (Err(CallError::Impostor { issuer, .. }), None) => {
                let found = format!("{issuer}; it cannot be verified before this host is enrolled");
                let found = format!("{}: {found}", self.address);
                self.done.push(Checked::untried(
                    ISSUER,
                    found,
                    "run this as root once enrolled",
                ));
                None
            }
            (Err(error), _) => {
                self.failed(ISSUER, &error);
                None
            }
        }
    }

    /// Asks again with this host's certificate.
    async fn certificate(&mut self) -> Option<()> {
        let identity = self.identity?;
        let seen = Seen::default();
        let clock = Arc::new(Clock::default());
        let tls = match as_host(identity, &clock, &seen) {
            Ok(tls) => tls,
            Err(why) => {
                let fix = "restore the state directory from a backup of this host, or enroll anew";
                self.wrong(
                    CERTIFICATE,
                    format!("it does not serve for TLS ({why})"),
                    fix,
                );
                return None;
            }
        };
        let caller = self.caller(tls, &seen)?;
        let asked: Result<ServerTime, CallError> = caller.get(self.url, "/v1/time", CALL).await;
        match asked {
            Ok(_) => {
                let left = identity.not_after.since(crate::sense::now());
                let found = format!("accepted; it holds for {} more", agent::span(left));
                self.good(CERTIFICATE, found);
                Some(())
            }
            Err(error @ CallError::CertificateRefused { .. }) => {
                let found = self.told(&error).0;
                let fix = "if it has ended, start the agent: it renews one that ended less than 30 days \
                           ago; if this host was retired or revoked in the console, enroll it anew";
                self.done.push(Checked::wrong(CERTIFICATE, found, fix));
                None
            }
            Err(error) => {
                self.failed(CERTIFICATE, &error);
                None
            }
        }
    }

    fn caller(&mut self, tls: rustls::ClientConfig, seen: &Seen) -> Option<Caller> {
        let collector: &Collector = &self.config.collector;
        match Caller::new(tls, collector, seen, &Carried::default()) {
            Ok(caller) => Some(caller),
            Err(why) => {
                self.wrong(PROXY, why.to_string(), "check `collector.proxy`");
                None
            }
        }
    }

    fn failed(&mut self, step: &'static str, error: &CallError) {
        let (found, fix) = self.told(error);
        let fix = fix.unwrap_or_else(|| {
            "`journalctl -u akwatch-server` at the collector may say more".to_owned()
        });
        self.done.push(Checked::wrong(step, found, fix));
    }

    /// What failed and what to do, by the error's own words, which name the address.
    fn told(&self, error: &CallError) -> (String, Option<String>) {
        let message = error.to_string();
        let (found, fix) = super::checked::split(&message);
        (found.to_owned(), fix.map(str::to_owned))
    }
}

/// Resolves `host:port`; gives up after a while, since a resolver may not.
fn resolve(name: &str) -> std::io::Result<Vec<SocketAddr>> {
    let (say, said) = crossbeam_channel::bounded(1);
    let asked = name.to_owned();
    std::thread::Builder::new().spawn(move || {
        let found = asked.to_socket_addrs().map(Iterator::collect);
        let _ = say.send(found); // nobody waits any more
    })?;
    said.recv_timeout(RESOLVE)
        .unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()))
}

fn kind(why: &std::io::Error) -> String {
    match why.kind() {
        std::io::ErrorKind::ConnectionRefused => "refused".to_owned(),
        std::io::ErrorKind::TimedOut => format!("no answer within {} s", CONNECT.as_secs()),
        std::io::ErrorKind::NetworkUnreachable | std::io::ErrorKind::HostUnreachable => {
            "no route to it".to_owned()
        }
        _ => why.to_string(),
    }
}

/// The proxy that the reporter's client would take.
fn proxy_for(config: &Config, url: &Url) -> Option<Url> {
    if let Some(proxy) = &config.collector.proxy {
        return Some(proxy.url().clone());
    }
    let variables = proxy_variables(config);
    let of = |names: [&str; 2]| {
        let found = variables
            .iter()
            .find(|(name, _)| names.contains(&name.as_str()));
        found.map(|(_, value)| value.clone())
    };
    let host = url.host_str().unwrap_or_default();
    let except = of(["NO_PROXY", "no_proxy"]).unwrap_or_default();
    if bypasses(&except, host) {
        return None;
    }
    let proxy = of(["HTTPS_PROXY", "https_proxy"]).or_else(|| of(["ALL_PROXY", "all_proxy"]))?;
    Url::parse(&proxy).ok()
}

/// Whether a list of exceptions names the host, a domain above it, or all.
fn bypasses(except: &str, host: &str) -> bool {
    let mut names = except
        .split(',')
        .map(|name| name.trim().trim_start_matches('.'));
    names.any(|name| {
        name == "*"
            || name == host
            || (!name.is_empty()
                && host
                    .strip_suffix(name)
                    .is_some_and(|rest| rest.ends_with('.')))
    })
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::path::Path;

    use super::*;
    use crate::identity::tests::enrolled_for;
    use crate::reporter::testing::{Authority, Reply, TestCollector};

    /// A collector whose clock is ahead by so many milliseconds.
    fn collector(authority: &Authority, ahead: i64) -> TestCollector {
        TestCollector::start(authority, move |_| {
            let time = crate::sense::now().plus(ahead);
            Reply::json(&ServerTime { time })
        })
    }

    fn config(url: &str, more: &str) -> Config {
        let text = format!("[collector]\nurls = [{url:?}]\n{more}\n");
        Config::from_texts(&[(Path::new("agent.toml").to_owned(), text)]).unwrap()
    }

    fn walk(config: &Config, identity: Option<&Identity>) -> Vec<(&'static str, Standing, String)> {
        let url = config.collector.urls[0].url();
        let way = Way::new(config, url, identity).walk();
        way.into_iter()
            .map(|one| (one.check, one.standing, one.found))
            .collect()
    }

    /// The steps as they stand, and what the first one that is not good says.
    fn check(
        config: &Config,
        identity: Option<&Identity>,
        good: usize,
        standing: Standing,
        words: &str,
    ) {
        let steps = walk(config, identity);
        let names: Vec<&str> = steps.iter().map(|(step, ..)| *step).collect();
        assert_eq!(names, STEPS, "{steps:?}");
        for (at, (_, stands, _)) in steps.iter().enumerate() {
            match at {
                at if at < good => assert_eq!(*stands, Standing::Good, "{steps:?}"),
                at if at == good => assert_eq!(*stands, standing, "{steps:?}"),
                _ => assert_eq!(*stands, Standing::Untried, "{steps:?}"),
            }
        }
        let (_, _, found) = &steps[good.min(STEPS.len() - 1)];
        assert!(found.contains(words), "{words:?} is not in {found:?}");
    }

    #[test]
    fn every_step_to_a_collector_is_good() {
        let authority = Authority::new();
        let (_state, identity) = enrolled_for(&authority, 7);
        let collector = collector(&authority, 0);
        check(
            &config(&collector.url(), ""),
            Some(&identity),
            6,
            Standing::Good,
            "within 5 s",
        );
    }

    #[test]
    fn the_first_step_that_fails_is_named() {
        let authority = Authority::new();
        let (_state, identity) = enrolled_for(&authority, 7);
        let nowhere = config("https://akwatch.invalid:7443", "");
        check(
            &nowhere,
            Some(&identity),
            0,
            Standing::Wrong,
            "cannot be resolved",
        );
        let closed = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let closed = config(&format!("https://{closed}"), "");
        check(&closed, Some(&identity), 1, Standing::Wrong, "refused");
    }

    #[test]
    fn a_proxy_that_does_not_connect_is_the_proxys_fault() {
        let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = proxy.local_addr().unwrap();
        let answering = std::thread::spawn(move || {
            use std::io::{Read as _, Write as _};
            // One connection tries TCP, the next one asks.
            for mut asked in [proxy.accept().unwrap().0, proxy.accept().unwrap().0] {
                let mut request = [0; 1024];
                if asked.read(&mut request).unwrap_or(0) > 0 {
                    asked.write_all(b"HTTP/1.1 403 Forbidden\r\n\r\n").unwrap();
                }
            }
        });
        let config = config(
            "https://collector.invalid:7443",
            &format!("proxy = \"http://{at}\""),
        );
        check(
            &config,
            None,
            2,
            Standing::Wrong,
            "does not connect to collector.invalid:7443",
        );
        answering.join().unwrap();
    }

    #[test]
    fn an_inspecting_proxy_is_named_by_the_issuer_of_what_it_shows() {
        let ours = Authority::new();
        let (_state, identity) = enrolled_for(&ours, 7);
        let theirs = collector(&Authority::named("Corporate Inspection CA"), 0);
        check(
            &config(&theirs.url(), ""),
            Some(&identity),
            3,
            Standing::Wrong,
            "Corporate Inspection CA",
        );
    }

    #[test]
    fn a_certificate_that_has_ended_is_refused_and_a_wrong_clock_is_measured() {
        let authority = Authority::new();
        let (_state, ended) = enrolled_for(&authority, -2);
        let here = collector(&authority, 0);
        let at = config(&here.url(), "");
        check(
            &at,
            Some(&ended),
            4,
            Standing::Wrong,
            "does not accept this host's certificate",
        );
        let (_state, identity) = enrolled_for(&authority, 7);
        let ahead = collector(&authority, 3_600_000);
        check(
            &config(&ahead.url(), ""),
            Some(&identity),
            5,
            Standing::Wrong,
            "behind the collector's",
        );
    }

    #[test]
    fn exceptions_name_hosts_domains_or_all() {
        for (except, host, bypassed) in [
            ("*", "a.example", true),
            ("b.example, a.example", "a.example", true),
            (".example", "a.example", true),
            ("example", "a.example", true),
            ("ample", "a.example", false),
            ("", "a.example", false),
        ] {
            assert_eq!(bypasses(except, host), bypassed, "{except} {host}");
        }
    }
}
