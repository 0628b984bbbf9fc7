//! From where this server stands to what it says of itself: `status`'s state, and the statement for the peers.
//!
//! The scheduler knows whether queries are wanted, the advertisers whether the network was told; only both together
//! are the state that people see.

use std::net::Ipv6Addr;

use crate::advertiser::Report;
use crate::advertiser::peers;
use crate::advertiser::peers::wire::Key;
use crate::base::peer::{PeerState, Statement};
use crate::dns::answer::Load;
use crate::io::files::{self, FileError};
use crate::monitor::Figures;
use crate::scheduler::{Decision, Standing, State};

/// What does not change while the process lives.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    pub(super) name: String,
    pub(super) services: Vec<Ipv6Addr>,
    /// The link interface; empty without a `[service]`.
    pub(super) interface: String,
    pub(super) weight: u16,
}

/// The key of the peer messages, if there is one; without, the log says what that means and the `cure`.
pub(super) fn read_key(config: &peers::Config, cure: &str) -> Result<Option<Key>, FileError> {
    if config.key_file.as_os_str().is_empty() {
        tracing::warn!("peer messages are not signed: anybody on the link can speak for a server; {cure}");
        return Ok(None);
    }
    Ok(Some(Key::new(files::read(&config.key_file)?.trim_ascii())))
}

/// The state as `status` names it.
pub(super) fn shown_state(standing: &Standing, reports: &[Report]) -> PeerState {
    match standing.state {
        State::Starting => PeerState::Starting,
        State::Serving if reports.iter().any(|report| report.advertised) => PeerState::Active,
        State::Serving | State::Idle => PeerState::Standby,
        State::Draining => PeerState::Draining,
        State::Withdrawn(_) => PeerState::Withdrawn,
        State::Stopping => PeerState::Stopping,
    }
}

/// What this server tells its peers; the peers machine adds its link-layer address, link-local address and interval.
pub(super) fn statement(identity: &Identity, standing: &Standing, decision: &Decision, reports: &[Report], figures: &Figures) -> Statement {
    let (holder, term) = holding(reports);
    Statement {
        identity: identity.name.clone(),
        services: identity.services.clone(),
        state: shown_state(standing, reports),
        idle: standing.state == State::Idle,
        holder,
        term,
        health: decision.health,
        weight: identity.weight,
        successor: reports.iter().find_map(|report| report.successor),
        class: decision.class as u8,
        capacity: figures.capacity.map_or(0, |capacity| capacity.round() as u32),
        offered: figures.offered.round() as u32,
        load: decision.load,
        recent_load: Some(decision.recent_load),
        misdelivered: reports.iter().map(|report| report.misdelivered).max().unwrap_or(0),
        ..Statement::default()
    }
}

/// Whether this server is the one holder, and the term. A route makes nobody that: who waits for the place would follow, and
/// servers that all have one would contradict each other without end.
fn holding(reports: &[Report]) -> (bool, u32) {
    reports.iter().map(Report::place).max().unwrap_or_default()
}

/// What clients are told that ask for the load.
pub(super) const fn told_load(decision: &Decision) -> Load {
    Load {
        load: decision.load,
        recent_load: decision.recent_load,
        class: decision.class,
    }
}

/// Why the server is in the state it shows, in one line.
pub(super) fn shown_reason(standing: &Standing, reports: &[Report], identity: &Identity) -> String {
    let services = &identity.services;
    let addresses = || services.iter().map(Ipv6Addr::to_string).collect::<Vec<_>>().join(", ");
    match standing.state {
        State::Serving if services.is_empty() => "serving; without a [service] nothing is advertised".to_owned(),
        State::Serving if holding(reports).0 => format!("holder of {}", addresses()),
        State::Serving if reports.iter().any(|report| report.advertised) => format!("advertises {}", addresses()),
        State::Serving => reports
            .first()
            .map_or_else(|| standing.reason.to_string(), |report| report.detail.clone()),
        State::Idle if reports.iter().any(|report| report.holder) => format!("holder of {}; {}", addresses(), standing.reason),
        State::Idle => match reports.iter().find(|report| report.other_holder.is_some()) {
            Some(report) => format!("{}; {}", report.detail, standing.reason),
            None => standing.reason.to_string(),
        },
        State::Withdrawn(Some(fault)) if fault.is_of_the_address() => format!("{}: {}", standing.reason, addresses()),
        State::Withdrawn(Some(fault)) if fault.is_of_the_link() => format!("{}: {}", standing.reason, identity.interface),
        State::Starting | State::Draining | State::Withdrawn(_) | State::Stopping => standing.reason.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advertiser;
    use crate::base::peer::IdentityHash;
    use crate::base::time::Timestamp;
    use crate::scheduler::Reason;

    fn report(holder: bool, sole: bool, term: u32) -> Report {
        Report {
            protocol: "any",
            state: advertiser::State::Silent,
            holder,
            sole,
            term,
            advertised: holder,
            other_holder: None,
            other_routes: None,
            successor: None,
            cost: None,
            misdelivered: 0,
            sent: 0,
            errors: 0,
            dropped: Vec::new(),
            detail: String::new(),
        }
    }

    #[test]
    fn who_shares_the_address_is_not_called_its_holder() {
        let identity = Identity {
            name: "s1".to_owned(),
            services: vec!["2001:db8:5::53".parse().unwrap()],
            interface: "eth0".to_owned(),
            weight: 100,
        };
        let shown = |state, report| {
            let standing = Standing {
                state,
                reason: Reason::NoQueries,
                ..Standing::starting(Timestamp::from_secs(0))
            };
            shown_reason(&standing, &[report], &identity)
        };
        assert_eq!(shown(State::Serving, report(true, true, 2)), "holder of 2001:db8:5::53");
        assert_eq!(shown(State::Serving, report(true, false, 0)), "advertises 2001:db8:5::53");
        let follower = Report {
            other_holder: Some(IdentityHash::of("s3")),
            detail: "holder is s3".to_owned(),
            ..report(false, true, 2)
        };
        assert_eq!(shown(State::Idle, follower), "holder is s3; no queries for a while");
        assert_eq!(shown(State::Idle, report(false, true, 2)), "no queries for a while");
    }

    #[test]
    fn a_route_makes_no_holder() {
        let (route, member) = (report(true, false, 0), report(true, false, 4));
        let (follower, holder) = (report(false, true, 3), report(true, true, 2));
        assert_eq!(holding(&[]), (false, 0));
        assert_eq!(holding(std::slice::from_ref(&route)), (false, 0));
        assert_eq!(holding(&[route.clone(), member]), (false, 4));
        assert_eq!(holding(&[route.clone(), follower.clone()]), (false, 3));
        assert_eq!(holding(&[follower, holder, route]), (true, 2));
    }
}
