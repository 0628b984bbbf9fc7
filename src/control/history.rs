//! What the status page shows of the last minutes: the states of all servers as changes, the numbers of each second as samples.
//!
//! [`History`] is data with the time handed in; [`watch`] asks the operator and fills it, so that a page which is opened
//! after something has happened still shows it. Bounded in time, in changes and in servers.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::time::{MissedTickBehavior, interval};

use super::Operator;
use super::status::{State, Status};
use super::web::ask_status;
use crate::base::peer::PeerState;
use crate::base::time::Timestamp;
use crate::io::clock;

/// Between two looks: a turn of a second is seen as such.
const LOOK: Duration = Duration::from_millis(250);
/// Between two samples.
const SAMPLE: Duration = Duration::from_secs(1);
const SAMPLES: usize = 600;
/// Ten minutes of three servers that take turns of a second are 1,200.
const CHANGES: usize = 4_096;
/// Peers in a sample: more lines can nobody tell apart.
const PEERS: usize = 16;

/// The states and numbers of the last minutes.
#[derive(Debug, Default)]
pub(super) struct History {
    /// The first and the last look.
    looked: Option<(Timestamp, Timestamp)>,
    /// How the servers stood after the newest change that was forgotten, and when that was.
    before: BTreeMap<String, String>,
    forgotten: Timestamp,
    states: BTreeMap<String, String>,
    changes: VecDeque<Change>,
    samples: VecDeque<Sample>,
}

/// From `at` on, `server` is in `state`; in none: nothing is known of it.
#[derive(Clone, Debug, PartialEq)]
struct Change {
    at: Timestamp,
    server: String,
    state: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
struct Sample {
    at: Timestamp,
    total: u64,
    load: f64,
    peers: BTreeMap<String, (f64, u64)>,
}

/// What is new to a page: times in milliseconds, a server's name is "" for this one, identity and address for another.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct News {
    /// All changes since then are here.
    begin: u64,
    /// The last look: `after` of the next question.
    now: u64,
    changes: Vec<(u64, String, Option<String>)>,
    samples: Vec<SampleNews>,
}

#[derive(Debug, PartialEq, Serialize)]
struct SampleNews {
    at: u64,
    /// Queries since the start.
    total: u64,
    load: f64,
    /// Load and queries a second.
    peers: BTreeMap<String, (f64, u64)>,
}

impl History {
    /// Takes the status as it is at `now`; `None` if the server does not tell it.
    fn look(&mut self, status: Option<&Status>, now: Timestamp) {
        let first = self.looked.map_or(now, |(first, _)| first);
        self.looked = Some((first, now));
        self.compare(status.map_or_else(BTreeMap::new, states), now);
        let is_due = self.samples.back().is_none_or(|last| now.since(last.at) + LOOK / 2 >= SAMPLE);
        if let Some(status) = status.filter(|_| is_due) {
            self.samples.push_back(sample(status, now));
            if self.samples.len() > SAMPLES {
                self.samples.pop_front();
            }
        }
    }

    fn compare(&mut self, states: BTreeMap<String, String>, at: Timestamp) {
        let gone = self.states.keys().filter(|server| !states.contains_key(*server));
        let gone = gone.map(|server| (server.clone(), None));
        let new = states.iter().filter(|(server, state)| self.states.get(*server) != Some(*state));
        let new = new.map(|(server, state)| (server.clone(), Some(state.clone())));
        self.changes
            .extend(gone.chain(new).map(|(server, state)| Change { at, server, state }));
        self.states = states;
        while self.changes.len() > CHANGES {
            self.forget();
        }
    }

    fn forget(&mut self) {
        let Some(Change { at, server, state }) = self.changes.pop_front() else {
            return;
        };
        self.forgotten = at;
        match state {
            Some(state) => self.before.insert(server, state),
            None => self.before.remove(&server),
        };
    }

    /// What came after `after`, in milliseconds; everything for a page that has nothing.
    fn since(&self, after: u64) -> News {
        let Some((first, last)) = self.looked else {
            return News {
                begin: 0,
                now: 0,
                changes: Vec::new(),
                samples: Vec::new(),
            };
        };
        // A page of another life of this host has nothing of this one.
        let after = if after > millis(last) { 0 } else { after };
        let begin = millis(first.max(self.forgotten));
        let before = self.before.iter().filter(|_| after < begin);
        let before = before.map(|(server, state)| (begin, server.clone(), Some(state.clone())));
        let changes = self.changes.iter().filter(|change| millis(change.at) > after);
        let changes = changes.map(|change| (millis(change.at), change.server.clone(), change.state.clone()));
        let samples = self.samples.iter().filter(|sample| millis(sample.at) > after);
        News {
            begin,
            now: millis(last),
            changes: before.chain(changes).collect(),
            samples: samples.map(SampleNews::from).collect(),
        }
    }
}

impl From<&Sample> for SampleNews {
    fn from(sample: &Sample) -> Self {
        Self {
            at: millis(sample.at),
            total: sample.total,
            load: sample.load,
            peers: sample.peers.clone(),
        }
    }
}

fn millis(time: Timestamp) -> u64 {
    time.as_micros() / 1_000
}

/// Each server with its state: `idle` is standby of the holder, `dead` is not heard any more and did not say that it goes.
fn states(status: &Status) -> BTreeMap<String, String> {
    let holder = status.services.iter().any(|service| service.holder);
    let own = (String::new(), with_holder(status.state.name(), holder));
    let peers = status.peers.iter().map(|peer| {
        let state = if peer.dead && peer.state != PeerState::Gone.name() {
            "dead".to_owned()
        } else {
            with_holder(&peer.state, peer.holder)
        };
        (name(peer), state)
    });
    peers.chain([own]).collect()
}

fn with_holder(state: &str, holder: bool) -> String {
    if holder && state == State::Standby.name() { "idle" } else { state }.to_owned()
}

/// Two servers may have one identity by mistake, which this page is to show. No identity has a blank in it.
fn name(peer: &super::status::Peer) -> String {
    format!("{} {}", peer.identity, peer.address)
}

fn sample(status: &Status, at: Timestamp) -> Sample {
    let peers = status.peers.iter().filter(|peer| !peer.dead).take(PEERS);
    Sample {
        at,
        total: status.queries.total,
        load: status.load,
        peers: peers.map(|peer| (name(peer), (peer.load, peer.per_second))).collect(),
    }
}

/// A history that others read while it grows.
#[derive(Debug, Default)]
pub(super) struct SharedHistory(Mutex<History>);

impl SharedHistory {
    fn lock(&self) -> MutexGuard<'_, History> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What came after `after`, in milliseconds.
    pub(super) fn since(&self, after: u64) -> News {
        self.lock().since(after)
    }
}

/// Asks for the status again and again, for ever.
pub(super) async fn watch(history: Arc<SharedHistory>, operator: Arc<dyn Operator>) {
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        let told = ask_status(operator.as_ref()).await.ok();
        let status = told.and_then(|status| serde_json::from_str::<Status>(status.get()).ok());
        history.lock().look(status.as_ref(), clock::now());
    }
}

#[cfg(test)]
mod tests {
    use super::super::status::{Peer, Service};
    use super::*;

    const HERE: &str = "";
    const THERE: &str = "s2 fe80::2";

    fn status(state: State, peers: Vec<Peer>) -> Status {
        let text = format!(
            r#"{{"identity":"s1","version":"0","state":"{state}","reason":"","since":"","pids":{{"guardian":null,"main":1}},
            "services":[],"queries":{{"total":10,"per_second":0}},"load":0.5,"advertisers":[],"peers":[]}}"#
        );
        let status: Status = serde_json::from_str(&text).unwrap();
        Status { peers, ..status }
    }

    fn peer(state: &str) -> Peer {
        let text = format!(r#"{{"identity":"s2","address":"fe80::2","state":"{state}","load":0.25,"last_heard_ms":1,"per_second":7}}"#);
        serde_json::from_str(&text).unwrap()
    }

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn change(at: u64, server: &str, state: Option<&str>) -> (u64, String, Option<String>) {
        (at, server.to_owned(), state.map(str::to_owned))
    }

    #[test]
    fn changes_are_told_once_and_only_changes() {
        let mut history = History::default();
        history.look(Some(&status(State::Active, vec![peer("standby")])), at(1_000));
        history.look(Some(&status(State::Active, vec![peer("standby")])), at(1_250));
        let all = history.since(0);
        let first = [change(1_000, HERE, Some("active")), change(1_000, THERE, Some("standby"))];
        assert_eq!((all.begin, all.now, &all.changes[..]), (1_000, 1_250, &first[..]));
        history.look(Some(&status(State::Draining, vec![])), at(1_500));
        let news = history.since(all.now);
        let second = [change(1_500, THERE, None), change(1_500, HERE, Some("draining"))];
        assert_eq!(news.changes, second);
        assert_eq!(history.since(news.now).changes, []);
    }

    #[test]
    fn an_idle_holder_and_a_dead_peer_have_names_of_their_own() {
        let mut idle = status(State::Standby, vec![peer("standby"), peer("active")]);
        idle.services.push(Service {
            address: "2001:db8::53".parse().unwrap(),
            advertised: false,
            holder: true,
        });
        idle.peers.push(peer("gone"));
        for (peer, identity) in idle.peers[1..].iter_mut().zip(["s3", "s4"]) {
            (peer.dead, peer.identity) = (true, identity.to_owned());
        }
        let states: Vec<_> = states(&idle).into_values().collect();
        assert_eq!(states, ["idle", "standby", "dead", "gone"]);
    }

    #[test]
    fn a_server_that_does_not_answer_is_unknown_and_leaves_no_sample() {
        let mut history = History::default();
        history.look(Some(&status(State::Active, vec![])), at(1_000));
        history.look(None, at(3_000));
        let news = history.since(1_000);
        assert_eq!((news.changes, news.samples), (vec![change(3_000, HERE, None)], vec![]));
    }

    #[test]
    fn samples_come_each_second_and_the_oldest_go() {
        let mut history = History::default();
        for look in 0..4 * (SAMPLES as u64 + 10) {
            history.look(Some(&status(State::Active, vec![peer("standby")])), at(look * 250));
        }
        let samples = history.since(0).samples;
        assert_eq!((samples.len(), samples[0].at, samples[1].at), (SAMPLES, 10_000, 11_000));
        assert_eq!((samples[0].total, samples[0].load), (10, 0.5));
        assert_eq!(samples[0].peers, BTreeMap::from([(THERE.to_owned(), (0.25, 7))]));
    }

    #[test]
    fn what_was_forgotten_is_still_known_as_the_state_before() {
        let mut history = History::default();
        history.look(Some(&status(State::Active, vec![peer("standby")])), at(1));
        for turn in 0..CHANGES as u64 {
            let state = if turn % 2 == 0 { State::Standby } else { State::Active };
            history.look(Some(&status(state, vec![peer("standby")])), at(2 + turn));
        }
        let news = history.since(0);
        assert_eq!(news.begin, 1);
        assert_eq!(news.changes.len(), CHANGES + 2, "two are before, and those that are kept");
        assert_eq!(
            news.changes[..2],
            [change(1, HERE, Some("active")), change(1, THERE, Some("standby"))]
        );
        assert_eq!(history.since(1).changes.len(), CHANGES);
        assert_eq!(history.since(u64::MAX).changes, news.changes, "the host was started anew");
    }
}
