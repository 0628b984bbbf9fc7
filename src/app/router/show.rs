//! From the loop's state to what people read: the `neighbors` object.

use std::collections::BTreeMap;

use serde_json::value::to_raw_value;

use super::super::show::{millis, round, show_traffic};
use super::turn::RouterLoop;
use crate::base::forwarding::Grouping;
use crate::control::Reply;
use crate::control::neighbors::{Entry, Member, Neighbors};
use crate::io::clock;
use crate::router::report::{MemberReport, ServiceReport};

impl RouterLoop {
    /// The `neighbors` object, as a reply.
    pub(super) fn neighbors(&self) -> Reply {
        let report = self.parts.side.machine.report(clock::now());
        let neighbors = Neighbors {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            interface: self.settings.router.interface.clone(),
            policy: report.policy.name().to_owned(),
            group: match self.settings.router.group {
                Grouping::Split => "split",
                Grouping::Plain => "plain",
                Grouping::Resilient => "resilient",
            }
            .to_owned(),
            services: report.services.iter().map(show_service).collect(),
            solicitations: report.solicitations,
            dropped: counts(&report.dropped),
            peer_messages: self.parts.peers.as_ref().map(|line| show_traffic(&line.machine)),
            kernel: self.kernel.clone(),
            problems: self.problems(&report.services),
        };
        to_raw_value(&neighbors).map_err(|error| error.to_string())
    }

    fn problems(&self, services: &[ServiceReport]) -> Vec<String> {
        let unserved = services
            .iter()
            .filter(|service| !service.members.iter().any(|member| member.standing.serves()));
        let unserved = unserved.map(|service| format!("no server of {} is heard; the kernel does what it did without us", service.service));
        let link = self.parts.link.state();
        let down = (!link.up).then(|| format!("interface {} is down or missing", self.settings.router.interface));
        unserved
            .chain(down)
            .chain(self.refusal.clone())
            .chain(self.complaint.clone())
            .collect()
    }
}

fn show_service(service: &ServiceReport) -> Entry {
    let sum = |share: fn(&MemberReport) -> u16| service.members.iter().map(|member| f64::from(share(member))).sum::<f64>();
    let totals = (sum(|member| member.datagrams), sum(|member| member.connections));
    Entry {
        address: service.service.get(),
        state: service.entry.to_owned(),
        link_layer: service.link_layer.map(|address| address.to_string()),
        moves: service.moves,
        members: service.members.iter().map(|member| show_member(member, totals)).collect(),
        discarded: counts(&service.discarded),
    }
}

fn show_member(member: &MemberReport, (datagrams, connections): (f64, f64)) -> Member {
    let part = |share: u16, total: f64| if share == 0 { 0.0 } else { round(f64::from(share) / total) };
    let hash = member.identity.map_or_else(String::new, |identity| identity.to_string());
    Member {
        identity: if member.name.is_empty() { hash } else { member.name.clone() },
        link_layer: member.link_layer.to_string(),
        gateway: member.gateway,
        state: member.standing.name().to_owned(),
        says: member.state.map(str::to_owned),
        weight: member.weight,
        effective_weight: round(member.effective),
        share: part(member.datagrams, datagrams),
        connections_share: part(member.connections, connections),
        load: member.load,
        last_heard_ms: member.age.map(millis),
        signed: member.signed,
        on_link: member.on_link,
        advertisements: member.advertisements,
        messages: member.messages,
    }
}

fn counts(counts: &[(&'static str, u64)]) -> BTreeMap<String, u64> {
    counts.iter().map(|(cause, count)| ((*cause).to_owned(), *count)).collect()
}
