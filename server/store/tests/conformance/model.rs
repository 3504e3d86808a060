//! Generated histories against what can be counted by hand: whatever hosts say, counters, verdicts
//! and digests equal their recomputation from the findings themselves.

use std::collections::{BTreeMap, BTreeSet};

use akwatch_proto::agent::HostId;
use akwatch_proto::credential::Kind;
use akwatch_proto::finding::{Finding, PresenceState};
use akwatch_proto::people::{
    CredentialRef, CredentialRow, Disposition, FindingRow, HostState, PresenceCounts,
};
use akwatch_proto::place::Place;
use akwatch_store::filter::{CredentialFilter, FindingFilter, HostFilter, Paging};
use akwatch_store::rules::CredentialTally;
use akwatch_store::{Actor, Rules as _, Scope};
use proptest::prelude::*;

use crate::world::{Agent, TestRules, World, file, finding, gone, process, reference, unknown};

const HOSTS: usize = 3;
const SECRETS: u64 = 4;

#[derive(Clone, Debug)]
struct Said {
    place: usize,
    secret: u64,
    what: u8,
    state: u8,
}

#[derive(Clone, Debug)]
enum Action {
    Report(usize, Vec<Said>),
    Repeat(usize),
    /// A full list in two parts; the ledger may have been restored before.
    List(usize, bool, Vec<Said>, Vec<Said>),
    Beat(usize),
    Silence,
    Retire(usize),
}

fn said() -> impl Strategy<Value = Said> {
    (0..5_usize, 0..SECRETS, 0..8_u8, 0..4_u8).prop_map(|(place, secret, what, state)| Said {
        place,
        secret,
        what,
        state,
    })
}

fn action() -> impl Strategy<Value = Action> {
    let some = || proptest::collection::vec(said(), 0..6);
    prop_oneof![
        8 => (0..HOSTS, some()).prop_map(|(host, said)| Action::Report(host, said)),
        2 => (0..HOSTS).prop_map(Action::Repeat),
        2 => (0..HOSTS, any::<bool>(), some(), some())
            .prop_map(|(host, restored, a, b)| Action::List(host, restored, a, b)),
        2 => (0..HOSTS).prop_map(Action::Beat),
        2 => Just(Action::Silence),
        1 => (0..HOSTS).prop_map(Action::Retire),
    ]
}

fn place(number: usize) -> Place {
    match number {
        0 => process("payments.service"),
        number => file(&format!("/etc/{number}")),
    }
}

fn stated(said: &Said) -> Finding {
    let mut finding = match said.what {
        0 | 1 => reference(place(said.place), said.secret),
        _ => finding(place(said.place), said.secret),
    };
    finding.delivered = said.what == 2;
    if said.what == 3 {
        finding.credential_id = None;
        finding.kind = Kind::SecretKey;
    }
    match said.state {
        0 => gone(finding),
        1 => unknown(finding),
        _ => finding,
    }
}

/// The world, its hosts, and what each said last.
struct Model {
    world: World,
    agents: Vec<Agent>,
    last: Vec<Option<akwatch_proto::agent::Report>>,
    retired: BTreeSet<usize>,
    lists: u128,
}

impl Model {
    async fn new() -> Model {
        let mut world = World::new().await;
        let mut agents = Vec::new();
        for _ in 0..HOSTS {
            agents.push(world.host(&[("fleet", "all")]).await);
        }
        Model {
            world,
            agents,
            last: vec![None; HOSTS],
            retired: BTreeSet::new(),
            lists: 0,
        }
    }

    async fn act(&mut self, action: Action) {
        self.world.later(1);
        match action {
            Action::Report(host, said) if !self.retired.contains(&host) => {
                let report = self.agents[host].report(said.iter().map(stated).collect());
                let _ = self.world.report(report.clone()).await;
                self.last[host] = Some(report);
            }
            Action::Repeat(host) if !self.retired.contains(&host) => {
                if let Some(report) = self.last[host].clone() {
                    assert!(self.world.report(report).await.findings.is_empty());
                }
            }
            Action::List(host, restored, first, last) if !self.retired.contains(&host) => {
                self.lists += 1;
                let agent = &mut self.agents[host];
                agent.held.clear();
                if restored {
                    agent.revision = 0;
                }
                let parts = [(first, true), (last, false)];
                for (said, more) in parts {
                    let findings = said.iter().map(stated).collect();
                    let report = agent.part(self.lists, more, findings);
                    let _ = self.world.report(report).await;
                }
                self.last[host] = None;
            }
            Action::Beat(host) if !self.retired.contains(&host) => {
                let digest = self.world.digest(&mut self.agents[host]).await;
                assert_eq!(digest, self.agents[host].digest());
            }
            Action::Silence => {
                let _ = self.world.silence().await;
                self.world.later(300);
                let _ = self.world.silence().await;
            }
            Action::Retire(host) => {
                let retired = self
                    .world
                    .store
                    .retire(self.agents[host].id, Actor::collector(), self.world.now)
                    .await
                    .unwrap();
                assert_eq!(retired, self.retired.insert(host));
            }
            _ => {}
        }
    }

    async fn check(&mut self) {
        for host in 0..HOSTS {
            if !self.retired.contains(&host) {
                let digest = self.world.digest(&mut self.agents[host]).await;
                assert_eq!(digest, self.agents[host].digest());
            }
        }
        // Half of them fall silent, so that both readings are compared.
        let _ = self.world.silence().await;
        self.world.later(300);
        if let Some(host) = (0..HOSTS).find(|host| !self.retired.contains(host)) {
            let _ = self.world.digest(&mut self.agents[host]).await;
        }
        let _ = self.world.silence().await;
        let rows = self.all_findings().await;
        let expected = recount(&rows, &self.retired_ids());
        let credentials = self.credentials(&Scope::All).await;
        assert_eq!(summary(&credentials), expected);
        let labels = Scope::Labels(BTreeMap::from([("fleet".to_owned(), "all".to_owned())]));
        assert_eq!(self.credentials(&labels).await, credentials);
        self.check_hosts(&rows).await;
        self.check_overview(&labels).await;
    }

    fn retired_ids(&self) -> BTreeSet<HostId> {
        self.retired
            .iter()
            .map(|host| self.agents[*host].id)
            .collect()
    }

    async fn all_findings(&self) -> Vec<FindingRow> {
        let kinds = vec![Kind::AccessKeyPair, Kind::SecretKey, Kind::Reference];
        let filter = FindingFilter {
            kinds,
            page: Paging {
                limit: 1000,
                ..Paging::default()
            },
            ..FindingFilter::default()
        };
        self.world.findings(&filter).await
    }

    async fn credentials(&self, scope: &Scope) -> Vec<CredentialRow> {
        let filter = CredentialFilter {
            kinds: vec![Kind::AccessKeyPair, Kind::SecretKey, Kind::Reference],
            ..CredentialFilter::default()
        };
        let page = self.world.store.credentials(scope, &filter).await.unwrap();
        assert_eq!(page.total, page.rows.len() as u64);
        let mut rows = page.rows;
        rows.sort_by(|left, right| left.reference.cmp(&right.reference));
        rows
    }

    async fn check_hosts(&self, rows: &[FindingRow]) {
        let page = self
            .world
            .store
            .hosts(&Scope::All, &HostFilter::default())
            .await
            .unwrap();
        assert_eq!(page.total, HOSTS as u64);
        for host in page.rows {
            let mut places = PresenceCounts::default();
            let mut held = BTreeSet::new();
            let mut worst = 0;
            for row in rows.iter().filter(|row| row.host == host.id) {
                if !decides(row) || host.state == HostState::Retired {
                    continue;
                }
                count(&mut places, row.state);
                worst = worst.max(row.score);
                if row.state != PresenceState::Gone {
                    held.insert(row.credential.clone());
                }
            }
            assert_eq!(host.places, places);
            assert_eq!(host.credentials, held.len() as u64);
            assert_eq!(host.score, worst);
            let detail = self.world.store.host_detail(&Scope::All, host.id).await;
            assert_eq!(detail.unwrap().unwrap().score.value, host.score);
        }
    }

    async fn check_overview(&self, labels: &Scope) {
        let now = self.world.now;
        let all = self.world.store.overview(&Scope::All, now).await.unwrap();
        let mut scoped = self.world.store.overview(labels, now).await.unwrap();
        scoped.days.clone_from(&all.days);
        assert_eq!(scoped, all);
    }
}

fn decides(row: &FindingRow) -> bool {
    row.kind != Kind::Reference && !row.delivered
}

fn count(places: &mut PresenceCounts, state: PresenceState) {
    match state {
        PresenceState::Present => places.present += 1,
        PresenceState::Gone => places.gone += 1,
        PresenceState::Unknown => places.unknown += 1,
    }
}

type Summary = BTreeMap<CredentialRef, (PresenceCounts, u64, u32, String)>;

fn summary(rows: &[CredentialRow]) -> Summary {
    rows.iter()
        .map(|row| {
            let verdict = format!("{:?}", row.verdict);
            let value = (row.places, row.hosts, row.score, verdict);
            (row.reference.clone(), value)
        })
        .collect()
}

/// What the rows add up to, without the store's counters.
fn recount(rows: &[FindingRow], retired: &BTreeSet<HostId>) -> Summary {
    let mut by: BTreeMap<CredentialRef, Vec<&FindingRow>> = BTreeMap::new();
    for row in rows {
        by.entry(row.credential.clone()).or_default().push(row);
    }
    by.into_iter()
        .map(|(credential, rows)| {
            let known = rows.iter().any(|row| row.kind != Kind::Reference);
            let add_up = |wanted: &dyn Fn(&FindingRow) -> bool| {
                let mut places = PresenceCounts::default();
                let (mut hosts, mut worst) = (BTreeSet::new(), 0);
                for row in rows
                    .iter()
                    .filter(|row| wanted(row) && !retired.contains(&row.host))
                {
                    count(&mut places, row.state);
                    worst = worst.max(row.score);
                    if row.state != PresenceState::Gone {
                        hosts.insert(row.host);
                    }
                }
                (places, hosts.len() as u64, worst)
            };
            let (places, hosts, worst) = add_up(&decides);
            let mut tally = CredentialTally {
                worst: akwatch_proto::people::Score::default(),
                places,
                hosts,
                disposition: Disposition::New,
            };
            tally.worst.value = worst;
            let score = TestRules.credential(&tally).value;
            let verdict = format!("{:?}", TestRules.verdict(places, Disposition::New));
            let (places, hosts, _) = match known {
                true => (places, hosts, 0),
                false => add_up(&|row| row.kind == Kind::Reference),
            };
            (credential, (places, hosts, score, verdict))
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn counters_verdicts_and_digests_equal_their_recomputation(
        actions in proptest::collection::vec(action(), 1..25),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut model = Model::new().await;
            for action in actions {
                model.act(action).await;
            }
            model.check().await;
        });
    }
}
