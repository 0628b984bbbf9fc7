//! From the herald loop's state to what people and scrapers read: the `status` object and the numbers of `/metrics`.

use std::collections::BTreeMap;
use std::time::Duration;

use super::herald::Herald;
use super::peering;
use crate::advertiser::Report;
use crate::advertiser::peers::{Conflict, Peers};
use crate::base::peer::{Peer, PeerState};
use crate::base::time::Timestamp;
use crate::control::Measurements;
use crate::control::metrics::Listener;
use crate::control::status::{self, PeerMessages, Status};
use crate::dns::counters::{Drop, QUERY_TYPES, Tally, Transport};
use crate::dns::protect::cookie;
use crate::dns::types::ResponseCode;
use crate::io::clock;
use crate::monitor::observation::Health;
use crate::scheduler::forecast::{if_returned, worst_if_left};
use crate::scheduler::journal::Entry;
use crate::scheduler::{Cost, CostClass, Standing, State};

impl Herald {
    /// The `status` object.
    pub(super) fn status(&self) -> Status {
        let reports = self.reports();
        let figures = self.parts.monitor.figures();
        let advertised = reports.iter().any(|report| report.advertised);
        let holder = reports.iter().any(|report| report.holder);
        let (state, since) = self.shown;
        Status {
            identity: self.parts.identity.name.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            state: show_state(state),
            reason: peering::shown_reason(&self.standing, &reports, &self.parts.identity),
            since: clock::wall_clock_of(since).to_string(),
            pids: status::Pids {
                guardian: self.parts.guardian.pid(),
                main: std::process::id(),
            },
            services: self
                .parts
                .identity
                .services
                .iter()
                .map(|address| status::Service {
                    address: *address,
                    advertised,
                    holder,
                })
                .collect(),
            queries: status::Queries {
                total: figures.queries,
                per_second: round(figures.queries_per_second),
            },
            load: round(figures.load),
            recent_load: round(figures.recent_load),
            capacity: figures.capacity.map_or(0.0, f64::round) as u64,
            class: self.standing.class().name().to_owned(),
            class_reason: class_reason(&self.standing),
            advertisers: reports.iter().map(show_advertiser).collect(),
            peers: self.known_peers().iter().map(|peer| show_peer(peer, clock::now())).collect(),
            peer_messages: self.parts.peers.as_ref().map(|line| show_traffic(&line.machine)),
            zones: self.parts.zones.numbers(),
            problems: self.problems(),
        }
    }

    fn problems(&self) -> Vec<String> {
        let mut problems = self.parts.zones.complaints();
        problems.extend(self.conflicts().map(show_conflict));
        let certificates = self.parts.certificates.as_ref();
        let fault = certificates.and_then(|certificates| certificates.fault());
        problems.extend(fault.map(|fault| format!("{fault}; the certificate in use stays")));
        problems
    }

    /// The numbers of `/metrics`.
    pub(super) fn measurements(&self) -> Measurements {
        let figures = self.parts.monitor.figures();
        let total = figures.counts.total();
        Measurements {
            status: self.status(),
            listeners: figures.counts.listeners.iter().map(show_listener).collect(),
            queries_by_type: queries_by_type(&total),
            answers_by_code: answers_by_code(&total),
            dropped: Drop::ALL
                .into_iter()
                .map(|cause| (cause.name(), total.drops[cause as usize]))
                .collect(),
            rate_limited: vec![("dropped", total.drops[Drop::RateLimit as usize]), ("slipped", total.slipped)],
            cookies: cookie::Standing::ALL
                .map(cookie::Standing::name)
                .into_iter()
                .zip(total.cookies)
                .collect(),
            inflow: figures.inflow,
            connections_open: figures.connections,
            connections: vec![
                ("opened", total.connections_opened),
                ("closed", total.connections_closed),
                ("broken", total.connections_broken),
            ],
            answers_sent: total.accepted,
            answers_unsent: total.refused,
            answers_truncated: total.truncated,
            decisions: self.standing.decision,
            busy: figures.busy,
            queue_drops: figures.queue_drops,
            memory: figures.system.memory,
            host_cpu: figures.system.cpu,
        }
    }
}

fn show_listener(listener: &crate::dns::counters::ListenerSnapshot) -> Listener {
    let sum = |count: fn(&Tally) -> u64| listener.workers.iter().map(|worker| count(&worker.tally)).sum();
    Listener {
        address: listener.address,
        transport: Transport::name(listener.transport),
        queries: sum(|tally| tally.queries),
        receive_errors: sum(|tally| tally.receive_errors),
    }
}

fn queries_by_type(total: &Tally) -> Vec<(&'static str, u64)> {
    let names = QUERY_TYPES.iter().map(|(_, name)| *name).chain(["other"]);
    names.zip(total.query_types).collect()
}

/// Response codes that have no name of their own are counted as `other`.
fn answers_by_code(total: &Tally) -> Vec<(&'static str, u64)> {
    let mut answers: Vec<(&'static str, u64)> = Vec::new();
    for (code, count) in (0_u16..).zip(total.response_codes) {
        let name = ResponseCode(code).mnemonic().unwrap_or("other");
        match answers.iter_mut().find(|(known, _)| *known == name) {
            Some((_, sum)) => *sum += count,
            None => answers.push((name, count)),
        }
    }
    answers
}

pub(super) fn show_traffic(peers: &Peers) -> PeerMessages {
    let traffic = peers.traffic();
    PeerMessages {
        sent: traffic.sent,
        errors: traffic.errors,
        received: traffic.received,
        dropped: traffic
            .dropped
            .entries()
            .iter()
            .map(|(cause, count)| ((*cause).to_owned(), *count))
            .collect(),
    }
}

fn show_conflict(conflict: Conflict) -> String {
    match conflict {
        Conflict::SameIdentity(link_layer) => format!("another server, {link_layer}, has the identity of this one: give each its own"),
        Conflict::SameLinkLayer(hash) => format!("an older server ({hash}) has the link-layer address of this one: this one withdraws"),
    }
}

fn show_state(state: PeerState) -> status::State {
    match state {
        PeerState::Starting => status::State::Starting,
        PeerState::Standby => status::State::Standby,
        PeerState::Active => status::State::Active,
        PeerState::Draining => status::State::Draining,
        PeerState::Withdrawn | PeerState::Gone => status::State::Withdrawn,
        PeerState::Stopping => status::State::Stopping,
    }
}

fn show_advertiser(report: &Report) -> status::Advertiser {
    status::Advertiser {
        protocol: report.protocol.to_owned(),
        state: report.state.name().to_owned(),
        sent: report.sent,
        errors: report.errors,
        cost: report.cost,
        detail: report.detail.clone(),
        dropped: report.dropped.iter().map(|(cause, count)| ((*cause).to_owned(), *count)).collect(),
    }
}

fn show_peer(peer: &Peer, now: Timestamp) -> status::Peer {
    status::Peer {
        identity: peer.statement.identity.clone(),
        address: peer.source,
        state: peer.statement.state.name().to_owned(),
        load: permille(peer.statement.load),
        class: CostClass::from_wire(peer.statement.class).map_or_else(String::new, |class| class.name().to_owned()),
        last_heard_ms: millis(now.since(peer.last_heard)),
        dead: peer.dies_at() < now,
        holder: peer.statement.holder,
        per_second: peer.statement.offered.into(),
    }
}

pub(super) fn show_decision(entry: &Entry) -> status::Decision {
    let ago = |time: Option<Timestamp>| {
        time.map_or_else(
            || "never".to_owned(),
            |time| format!("{} ms before", millis(entry.seen.at.since(time))),
        )
    };
    let health = |health: Health| match health {
        Health::Unknown => "unknown".to_owned(),
        Health::Healthy => "healthy".to_owned(),
        Health::Faulty(fault) => fault.to_string(),
    };
    let seen = [
        ("service", health(entry.seen.service)),
        ("link", health(entry.seen.link)),
        ("last query", ago(entry.seen.last_inflow)),
        ("last asked for", ago(entry.seen.last_wanted)),
        ("another holder", if entry.seen.other_holder { "yes" } else { "no" }.to_owned()),
        ("order", format!("{:?}", entry.seen.order).to_lowercase()),
        ("load", format!("{:.3}", permille(entry.seen.load))),
        ("queries/s", entry.seen.offered.to_string()),
        ("capacity", or_unknown(Some(entry.seen.capacity).filter(|capacity| *capacity > 0))),
        ("host CPU", format!("{:.3}", permille(entry.seen.cpu))),
    ];
    let seen = seen.into_iter().map(|(name, value)| (name.to_owned(), value));
    status::Decision {
        id: entry.id,
        at: clock::wall_clock_of(entry.seen.at).to_string(),
        from: entry.from.name().to_owned(),
        to: entry.to.name().to_owned(),
        class_from: entry.from_class.name().to_owned(),
        class_to: entry.to_class.name().to_owned(),
        reason: entry.rule.to_string(),
        seen: seen.chain(show_group(entry)).collect::<BTreeMap<_, _>>(),
    }
}

/// The group as it was, and what the rules made of it in the class before.
fn show_group(entry: &Entry) -> Vec<(String, String)> {
    let Some(group) = &entry.seen.group else {
        let routes = entry.seen.routes.as_ref().map(|routes| {
            let costs: Vec<String> = routes.iter().map(|extra| format!("+{extra}")).collect();
            let costs = if costs.is_empty() { "none".to_owned() } else { costs.join(", ") };
            ("routes of others, cost".to_owned(), costs)
        });
        let others = ("others".to_owned(), "not listened to".to_owned());
        return std::iter::once(others).chain(routes).collect();
    };
    let in_class = |class: CostClass| group.attracting().filter(|member| member.class == class).count();
    let classes = CostClass::ALL.map(|class| format!("{} {class}", in_class(class)));
    let offered: u64 = group.others.iter().map(|member| u64::from(member.offered)).sum();
    let load = |load: Option<u16>| load.map_or_else(|| "unknown".to_owned(), |load| format!("{:.3}", permille(load)));
    let left = worst_if_left(entry.from_class, &entry.seen, group);
    let back = if_returned(entry.from_class, entry.share, &entry.seen);
    let rows = [
        (
            "others",
            format!("{} known; attract queries: {}", group.others.len(), classes.join(", ")),
        ),
        ("others, queries/s", offered.to_string()),
        ("others, highest load", load(group.attracting().map(|member| member.load).max())),
        (
            "forecast: others, if this one leaves",
            left.map_or_else(|stay| stay.to_string(), |worst| load(Some(worst))),
        ),
        ("forecast: this one, if it returns", load(back.map(|back| back.load))),
    ];
    rows.map(|(name, value)| (name.to_owned(), value)).to_vec()
}

fn class_reason(standing: &Standing) -> String {
    let Cost { class, rule, stay, .. } = standing.cost;
    match (standing.state, class) {
        (State::Serving, CostClass::Normal) => stay.to_string(),
        (State::Serving, _) => format!("{rule}; stays: {stay}"),
        (State::Starting | State::Idle | State::Draining | State::Withdrawn(_) | State::Stopping, _) => standing.reason.to_string(),
    }
}

fn or_unknown(number: Option<u32>) -> String {
    number.map_or_else(|| "unknown".to_owned(), |number| number.to_string())
}

fn permille(thousandths: u16) -> f64 {
    f64::from(thousandths) / 1_000.0
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

pub(super) fn round(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}
