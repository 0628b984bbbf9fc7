//! What comes in: which advertisements and peer messages may make, change or keep alive a member at all.
//!
//! Hop limit and checksum are the codec's. Nobody beyond the link can make a packet arrive with hop limit 255, so a source
//! that is not link-local is on the link all the same: a stock host answers from the service address itself.

use std::net::Ipv6Addr;

use super::machine::RouterSide;
use super::member::Gateway;
use super::service::Scene;
use crate::advertiser::nd::wire::{Message, NeighborAdvertisement};
use crate::base::address::LinkLayerAddress;
use crate::base::machine::Datagram;
use crate::base::peer::Peer;
use crate::base::time::Timestamp;

/// Why a valid message is of no use; counted under these names, beside those of `record` and the codec.
mod ignored {
    pub(super) const LINK_DOWN: &str = "link-down";
    pub(super) const OWN: &str = "own";
    pub(super) const OTHER_TARGET: &str = "other-target";
    pub(super) const SOURCE: &str = "source";
    pub(super) const UNSIGNED: &str = "unsigned";
    pub(super) const NO_LINK_LAYER: &str = "no-link-layer";
    pub(super) const LINK_LAYER: &str = "link-layer";
    pub(super) const NOT_ALLOWED: &str = "not-allowed";
    pub(super) const BEYOND_THE_LINK: &str = "beyond-the-link";
}

impl RouterSide {
    /// True: something was learned.
    pub(super) fn receive(&mut self, packet: &Datagram<'_>, now: Timestamp) -> bool {
        let taken = self.take_in(packet, now);
        if let Err(cause) = taken {
            self.dropped.count(cause);
        }
        taken.is_ok()
    }

    fn take_in(&mut self, packet: &Datagram<'_>, now: Timestamp) -> Result<(), &'static str> {
        if !self.sender.is_usable() {
            return Err(ignored::LINK_DOWN);
        }
        if self.sender.link.link_local == Some(packet.source) {
            return Err(ignored::OWN);
        }
        match Message::parse(packet).map_err(|malformed| malformed.name())? {
            Message::Advertisement(message) => self.advertised(packet.source, &message, now),
            Message::Solicitation(_) | Message::Router(_) => Err(ignored::OTHER_TARGET),
        }
    }

    fn advertised(&mut self, source: Ipv6Addr, message: &NeighborAdvertisement, now: Timestamp) -> Result<(), &'static str> {
        let scene = self.scene(now);
        let known = self.services.iter().position(|service| service.address.get() == message.target);
        let index = known.ok_or(ignored::OTHER_TARGET)?;
        if source.is_unspecified() || source.is_multicast() || source.is_loopback() {
            return Err(ignored::SOURCE);
        }
        if self.setup.config.require_signed {
            return Err(ignored::UNSIGNED);
        }
        let by_gateway = || self.services[index].record.link_layer_at(source);
        let link_layer = message.target_link_layer.or_else(by_gateway).ok_or(ignored::NO_LINK_LAYER)?;
        let group = link_layer.is_group();
        match &message.information {
            // `idle = "group-mac"`: the first query is to reach all servers of a stock router. Here the record knows them all.
            Some(information) if group && !information.hand_over => self.services[index].hear_aside(source, information, &scene),
            Some(information) if information.hand_over => {
                self.admit_link_layer(link_layer)?;
                self.services[index].hear_hand_over(source, information, message.solicited, link_layer, &scene)
            }
            Some(_) | None => {
                self.admit_link_layer(link_layer)?;
                self.clear_gateway(source, link_layer, false, &scene)?;
                self.services[index].hear_advertisement(source, message, link_layer, &scene)
            }
        }
    }

    fn admit_link_layer(&self, link_layer: LinkLayerAddress) -> Result<(), &'static str> {
        let allowed = &self.setup.config.allowed_macs;
        if link_layer.is_group() || link_layer.is_zero() {
            return Err(ignored::LINK_LAYER);
        }
        if link_layer == self.sender.link.link_layer {
            return Err(ignored::OWN);
        }
        if !allowed.is_empty() && !allowed.contains(&link_layer) {
            return Err(ignored::NOT_ALLOWED);
        }
        Ok(())
    }

    /// All peers, most of them known: only what is new is looked at, and counted if it is refused.
    pub(super) fn hear_peers(&mut self, peers: &[Peer], now: Timestamp) {
        let latest = peers.iter().map(|peer| peer.last_heard).max();
        let seen = std::mem::replace(&mut self.peers_seen, latest);
        self.beyond_the_link.clear();
        for peer in peers {
            if let Err(cause) = self.hear_peer(peer, Some(peer.last_heard) >= seen, now)
                && Some(peer.last_heard) > seen
            {
                self.dropped.count(cause);
            }
        }
    }

    fn hear_peer(&mut self, peer: &Peer, may_be_news: bool, now: Timestamp) -> Result<(), &'static str> {
        let scene = self.scene(now);
        let statement = &peer.statement;
        if !self
            .services
            .iter()
            .any(|service| statement.services.contains(&service.address.get()))
            && !self.knows(peer)
        {
            return Ok(());
        }
        if self.setup.config.require_signed && !peer.signed {
            return Err(ignored::UNSIGNED);
        }
        if !peer.on_link {
            self.beyond_the_link.push(peer.clone());
            return Err(ignored::BEYOND_THE_LINK);
        }
        self.admit_link_layer(statement.link_layer)?;
        if may_be_news {
            self.clear_gateway(peer.source, statement.link_layer, peer.signed, &scene)?;
        }
        let refused = self.services.iter_mut().filter_map(|service| service.hear_peer(peer, &scene).err());
        refused.last().map_or(Ok(()), Err)
    }

    /// What one service's record would refuse must not come in by another's: the kernel has one neighbour for both.
    fn clear_gateway(&mut self, source: Ipv6Addr, link_layer: LinkLayerAddress, signed: bool, scene: &Scene) -> Result<(), &'static str> {
        let gateway = Gateway::of(source, link_layer);
        for service in &mut self.services {
            service
                .record
                .clear_gateway(gateway, link_layer, signed, (&scene.rules, scene.now))?;
        }
        Ok(())
    }

    fn knows(&self, peer: &Peer) -> bool {
        let is_member = |service: &super::service::Service| {
            let member = service.record.get(peer.statement.link_layer);
            member.is_some_and(|member| member.identity == Some(peer.hash))
        };
        self.services.iter().any(is_member)
    }
}
