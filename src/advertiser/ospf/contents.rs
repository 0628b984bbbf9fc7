//! What our own LSAs say (RFC 5340 §4.4.3): the link in the Router-LSA, the link-local address, and a route to each service address.
//!
//! All follows from the configuration, the link and the neighbours; when it is said is the matter of `origination`.

use std::net::Ipv6Addr;

use super::config::{LsaKind, Network};
use super::machine::Ospf;
use super::neighbor::{Neighbor, State};
use super::wire::lsa::{Attachment, External, IntraAreaPrefix, Link, LinkLsa, Prefix, PrefixCost, Router};
use super::wire::{Content, InterfaceId, LsaKey, LsaType, Options};

impl Ospf {
    pub(super) fn router_lsa(&self) -> Content {
        let own = InterfaceId(self.sender.link.index.0);
        let link = |kind, neighbor: &Neighbor| Link {
            kind,
            metric: self.origination.metric(),
            interface: own,
            neighbor_interface: neighbor.interface,
            neighbor: neighbor.router,
        };
        let full = self.neighbors.iter().filter(|one| one.state == State::Full);
        let links = match self.setup.config.network {
            Network::PointToPoint => full.map(|one| link(Link::POINT_TO_POINT, one)).collect(),
            Network::Broadcast => full
                .filter(|one| one.router == self.interface.designated_router)
                .map(|one| link(Link::TRANSIT, one))
                .collect(),
        };
        let flags = if self.is_as_boundary() { Router::AS_BOUNDARY } else { 0 };
        Content::Router(Router {
            flags,
            options: self.capabilities(),
            links,
        })
    }

    fn is_as_boundary(&self) -> bool {
        matches!(self.setup.config.lsa, LsaKind::E1 | LsaKind::E2 | LsaKind::Nssa)
    }

    /// The options in our LSAs. R, which would make this host a way through, is set only where FRR demands it of an AS boundary;
    /// the metric of our link forbids it as well.
    fn capabilities(&self) -> Options {
        let options = self.area_options().with(Options::V6);
        if self.is_as_boundary() { options.with(Options::R) } else { options }
    }

    pub(super) fn link_lsa(&self) -> Content {
        Content::Link(LinkLsa {
            priority: 0,
            options: self.capabilities(),
            link_local: self.sender.link.link_local.unwrap_or(Ipv6Addr::UNSPECIFIED),
            prefixes: Vec::new(),
        })
    }

    /// One for each service address, so that each can be withdrawn alone.
    pub(super) fn service_lsas(&self, cost: Option<u16>) -> Vec<(LsaKey, Content)> {
        let Some(metric) = cost else { return Vec::new() };
        let numbered = (1_u32..).zip(&self.setup.services);
        numbered
            .map(|(id, service)| {
                let external = |type_2| {
                    Content::External(External {
                        type_2,
                        metric: u32::from(metric),
                        prefix: Prefix::host(service.get(), 0),
                        forwarding: None,
                        tag: None,
                        referenced: None,
                    })
                };
                let (kind, content) = match self.setup.config.lsa {
                    LsaKind::Intra => (
                        LsaType::INTRA_AREA_PREFIX,
                        self.intra(Prefix::host(service.get(), Prefix::LOCAL_ADDRESS), metric),
                    ),
                    LsaKind::E1 => (LsaType::AS_EXTERNAL, external(false)),
                    LsaKind::E2 => (LsaType::AS_EXTERNAL, external(true)),
                    // Not to be propagated to other areas, because that demands a forwarding address: FRR 8.4 finds ours by its connected
                    // route and keeps no next hop.
                    LsaKind::Nssa => (LsaType::NSSA, external(true)),
                };
                (self.key(kind, id), content)
            })
            .collect()
    }

    fn intra(&self, prefix: Prefix, metric: u16) -> Content {
        Content::IntraAreaPrefix(IntraAreaPrefix {
            attached_to: Attachment {
                kind: LsaType::ROUTER,
                id: 0,
                router: self.sender.router,
            },
            prefixes: vec![PrefixCost { prefix, metric }],
        })
    }
}
