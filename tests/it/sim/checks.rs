//! What must hold at every moment of every story in failover mode.
//!
//! - Two holders that hear each other: at most two intervals from the first advertisement of one that reaches the other.
//! - Nobody holds although a server is ready: at most three intervals to notice a death, one for each dead server that was
//!   ahead in the order, and one more. Each lost message may add one.

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
    /// The last holder was in idle standby.
    was_idle: bool,
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
            was_idle: false,
            last_line: String::new(),
            enabled: true,
            may_be_vacant: false,
            longest_vacancy: Duration::ZERO,
        }
    }

    pub(super) fn packet_lost(&mut self) {
        self.lost += 1;
    }

    /// The story did something: what was counted until now counts from here.
    pub(super) fn disturbed(&mut self, now: Timestamp) {
        let lost_before = self.lost;
        let again = |trouble: &mut Trouble| *trouble = Trouble { since: now, lost_before };
        self.pairs.values_mut().for_each(again);
        self.vacant.iter_mut().for_each(again);
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
        let mut holders = here().filter(|host| host.serves() && host.report().holder).peekable();
        let held = holders.peek().is_some();
        if held {
            self.was_idle = holders.any(|host| !host.report().advertised);
        }
        let can_hold = here().any(is_ready);
        if held || !can_hold || self.may_be_vacant {
            if let Some(trouble) = self.vacant.take() {
                self.longest_vacancy = self.longest_vacancy.max(now.since(trouble.since));
            }
            return Ok(());
        }
        let lost_before = self.lost;
        let trouble = *self.vacant.get_or_insert(Trouble { since: now, lost_before });
        let interval = if self.was_idle { IDLE_INTERVAL } else { INTERVAL };
        let cannot = hosts
            .iter()
            .filter(|host| !is_ready(host) || sides[host.number] != router_side)
            .count() as u32;
        let allowed = interval * 3 + INTERVAL * (cannot + 1 + self.lost - trouble.lost_before) + slack;
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
