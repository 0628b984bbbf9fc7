//! What must hold at every moment of every story in failover mode.
//!
//! - Two holders that hear each other: at most two intervals from the first advertisement of one that reaches the other.
//! - Nobody holds although a server is ready: at most three intervals of the holder's to notice its death, one for each dead
//!   server ahead of the ready one in the order, and one more. It counts anew when one of those in line dies.
//!
//! Each message lost between servers may add one.

use std::collections::BTreeMap;
use std::time::Duration;

use heraldns::advertiser::State;
use heraldns::base::time::Timestamp;

use super::host::{Host, Life, Wish};

const INTERVAL: Duration = Duration::from_millis(300);
/// Between peer messages in idle standby; a death is then noticed later.
const IDLE_INTERVAL: Duration = Duration::from_secs(1);
const TWO_HOLDERS: u32 = 2;

/// Since when something is not as it should be in the end.
#[derive(Clone, Copy, Debug)]
struct Trouble {
    since: Timestamp,
    lost_before: u32,
}

/// Watches a network.
pub(super) struct Checks {
    lost: u32,
    pairs: BTreeMap<(usize, usize), Trouble>,
    vacant: Option<Trouble>,
    /// Who was in line then.
    ready: Vec<usize>,
    /// The interval of the holder that those in line last heard.
    holders_interval: Duration,
    last_line: String,
    pub(super) enabled: bool,
    /// Silent until the first solicitation: that nobody holds is right.
    pub(super) may_be_vacant: bool,
    pub(super) longest_vacancy: Duration,
}

impl Checks {
    pub(super) fn new() -> Self {
        Self {
            lost: 0,
            pairs: BTreeMap::new(),
            vacant: None,
            ready: Vec::new(),
            holders_interval: INTERVAL,
            last_line: String::new(),
            enabled: true,
            may_be_vacant: false,
            longest_vacancy: Duration::ZERO,
        }
    }

    pub(super) fn packet_lost(&mut self) {
        self.lost += 1;
    }

    pub(super) fn advertisement_delivered(&mut self, from: usize, to: usize, now: Timestamp) {
        let pair = (from.min(to), from.max(to));
        let lost_before = self.lost;
        self.pairs.entry(pair).or_insert(Trouble { since: now, lost_before });
    }

    pub(super) fn check(&mut self, now: Timestamp, hosts: &[Host], sides: &[u8], latency: Duration) -> Result<(), String> {
        if !self.enabled {
            return Ok(());
        }
        self.pairs.retain(|(one, other), _| {
            let both_hold = hosts[*one].is_holder() && hosts[*other].is_holder();
            both_hold && sides[*one] == sides[*other]
        });
        let slack = latency * 2 + Duration::from_millis(2);
        for (pair, trouble) in &self.pairs {
            let allowed = INTERVAL * (TWO_HOLDERS + self.lost - trouble.lost_before) + slack;
            if now.since(trouble.since) > allowed {
                return Err(format!("two holders, {pair:?}, for {:?}", now.since(trouble.since)));
            }
        }
        self.check_vacancy(now, hosts, sides, slack)
    }

    fn check_vacancy(&mut self, now: Timestamp, hosts: &[Host], sides: &[u8], slack: Duration) -> Result<(), String> {
        let router_side = sides[hosts.len()];
        let here = || hosts.iter().filter(|host| sides[host.number] == router_side);
        let held = here().any(|host| host.serves() && host.report().holder);
        let ready: Vec<usize> = here().filter(|host| is_ready(host)).map(|host| host.number).collect();
        let best = ready.iter().map(|number| &hosts[*number]).max_by_key(|host| host.place());
        let Some(best) = best.filter(|_| !held && !self.may_be_vacant) else {
            if let Some(trouble) = self.vacant.take() {
                self.longest_vacancy = self.longest_vacancy.max(now.since(trouble.since));
            }
            self.ready.clear();
            return Ok(());
        };
        // One of those in line has died or gone: the others have to notice that first.
        if self.ready.iter().any(|number| !ready.contains(number)) {
            self.vacant = None;
        }
        self.ready = ready;
        let lost_before = self.lost;
        let trouble = *self.vacant.get_or_insert(Trouble { since: now, lost_before });
        if trouble.since == now {
            let followed = hosts.iter().find(|host| best.report().other_holder == Some(host.place().1));
            self.holders_interval = if followed.is_some_and(|host| host.said_idle) {
                IDLE_INTERVAL
            } else {
                INTERVAL
            };
        }
        let dead_ahead = hosts.iter().filter(|host| host.place() > best.place()).count() as u32;
        let allowed = self.holders_interval * 3 + INTERVAL * (dead_ahead + 1 + self.lost - trouble.lost_before) + slack;
        if now.since(trouble.since) > allowed {
            return Err(format!(
                "nobody holds the service address for {:?}, {allowed:?} allowed",
                now.since(trouble.since)
            ));
        }
        Ok(())
    }

    /// For the trace: the line, if it is not the last one.
    pub(super) fn changed(&mut self, line: String) -> Option<String> {
        if line == self.last_line {
            return None;
        }
        self.last_line.clone_from(&line);
        Some(line)
    }
}

/// Past its listening, and wanting queries.
fn is_ready(host: &Host) -> bool {
    host.life == Life::Running && host.wish == Wish::Serve && host.link_up && host.report().state == State::Silent
}
