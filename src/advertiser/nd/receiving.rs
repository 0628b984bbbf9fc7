//! What comes in from the link: solicitations are answered (claim 2), advertisements of the others are watched (claim 6),
//! routers are remembered, strangers that advertise our address are contradicted.

use std::net::Ipv6Addr;
use std::time::Duration;

use super::config::Mode;
use super::machine::NeighborDiscovery;
use super::others::Heard;
use super::phase::Phase;
use super::responder::ANSWER_STEP;
use super::sender::{Solicitor, Target};
use super::wire::{Message, NeighborAdvertisement, NeighborSolicitation};
use crate::base::address::LinkLayerAddress;
use crate::base::machine::{Datagram, Outbox, Severity, Wanted};
use crate::base::peer::PeerState;
use crate::base::time::Timestamp;

/// A stranger's advertisements are contradicted so many times before the alarm.
const CONTRADICTIONS: u32 = 10;
/// A stranger not heard for so long has gone.
const STRANGER_FORGOTTEN: Duration = Duration::from_secs(60);

/// Why a valid message is of no use; counted under these names.
mod ignored {
    pub(super) const OWN: &str = "own";
    pub(super) const LINK_DOWN: &str = "link-down";
    pub(super) const OTHER_TARGET: &str = "other-target";
    pub(super) const PROBE: &str = "duplicate-address-probe";
    pub(super) const SOLICITOR: &str = "solicitor-link-layer";
    pub(super) const RATE: &str = "rate-limited";
    pub(super) const STRANGER: &str = "stranger";
    pub(super) const NOT_OVERRIDING: &str = "not-overriding";
    pub(super) const LATE: &str = "late";
    pub(super) const NO_LINK_LAYER: &str = "no-link-layer";
}

/// Somebody who advertises a service address and is no server of ours.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Strangers {
    contradictions: u32,
    last_heard: Option<Timestamp>,
    last_contradicted: Option<Timestamp>,
}

impl NeighborDiscovery {
    pub(super) fn receive(&mut self, packet: &Datagram<'_>, now: Timestamp, out: &mut Outbox) {
        if let Err(cause) = self.take_in(packet, now, out) {
            self.dropped.count(cause);
        }
    }

    fn take_in(&mut self, packet: &Datagram<'_>, now: Timestamp, out: &mut Outbox) -> Result<(), &'static str> {
        if !self.sender.link.is_usable() {
            return Err(ignored::LINK_DOWN);
        }
        if self.sender.link.link_local == Some(packet.source) {
            return Err(ignored::OWN);
        }
        match Message::parse(packet).map_err(|malformed| malformed.name())? {
            Message::Solicitation(message) => self.solicited(packet, &message, now, out),
            Message::Advertisement(message) => self.advertised(packet.source, &message, now, out),
            Message::Router(message) if message.lifetime.is_zero() => {
                self.routers.forget(packet.source);
                Ok(())
            }
            Message::Router(message) => {
                self.routers.learn(packet.source, message.source_link_layer, now);
                Ok(())
            }
        }
    }

    fn solicited(
        &mut self,
        packet: &Datagram<'_>,
        message: &NeighborSolicitation,
        now: Timestamp,
        out: &mut Outbox,
    ) -> Result<(), &'static str> {
        if !self.sender.serves(message.target) {
            return Err(ignored::OTHER_TARGET);
        }
        if packet.source.is_unspecified() {
            return Err(ignored::PROBE);
        }
        if message
            .source_link_layer
            .is_some_and(|address| address.is_group() || address.is_zero())
        {
            return Err(ignored::SOLICITOR);
        }
        self.routers.learn(packet.source, message.source_link_layer, now);
        let solicitor = Solicitor {
            address: packet.source,
            link_layer: message.source_link_layer,
            target: message.target,
        };
        self.released.get_or_insert(now);
        if packet.destination.is_multicast() {
            self.solicited_all(&solicitor, now, out)
        } else {
            self.solicited_alone(&solicitor, now, out)
        }
    }

    /// All servers hear it: the first in the order answers.
    fn solicited_all(&mut self, solicitor: &Solicitor, now: Timestamp, out: &mut Outbox) -> Result<(), &'static str> {
        match self.phase {
            Phase::Out | Phase::Failed => Ok(()),
            Phase::Leaving => self.answer_as_leaving(solicitor, now, out),
            Phase::Listening | Phase::Following => {
                let scene = self.scene(now);
                let listened = if self.phase == Phase::Listening {
                    scene.since + scene.listening()
                } else {
                    now
                };
                let due = listened.max(now) + ANSWER_STEP * scene.answer_rank();
                self.responder.postpone(*solicitor, now, due).then_some(()).ok_or(ignored::RATE)
            }
            Phase::Holding => {
                self.wake(Wanted::Solicitation, now, out);
                self.answer_as_holder(solicitor, now, out);
                if self.responder.admit(Ipv6Addr::UNSPECIFIED, solicitor.target, now) {
                    self.holding.schedule.hasten(now);
                }
                Ok(())
            }
        }
    }

    /// It came to our link-layer address: whoever asks has us in its cache.
    fn solicited_alone(&mut self, solicitor: &Solicitor, now: Timestamp, out: &mut Outbox) -> Result<(), &'static str> {
        match self.phase {
            Phase::Out | Phase::Failed => {}
            Phase::Leaving => return self.answer_as_leaving(solicitor, now, out),
            Phase::Listening | Phase::Following => self.answer(solicitor, Target::Own, PeerState::Standby, now, out),
            Phase::Holding => {
                // A router side checks its idle members this way; that is no query waiting.
                if self.setup.config.mode != Mode::Member {
                    self.wake(Wanted::Solicitation, now, out);
                }
                self.answer_as_holder(solicitor, now, out);
            }
        }
        Ok(())
    }

    pub(super) fn answer_as_holder(&mut self, solicitor: &Solicitor, now: Timestamp, out: &mut Outbox) {
        let state = if self.is_to_be_idle(now) {
            PeerState::Standby
        } else {
            PeerState::Active
        };
        self.answer(solicitor, Target::Own, state, now, out);
    }

    /// With the successor's address, and only while what comes because of our own is still answered.
    fn answer_as_leaving(&mut self, solicitor: &Solicitor, now: Timestamp, out: &mut Outbox) -> Result<(), &'static str> {
        if let (Some(target), true) = (self.leaving.target(), self.leaving.serving) {
            self.answer(solicitor, target, PeerState::Draining, now, out);
        }
        Ok(())
    }

    fn answer(&mut self, solicitor: &Solicitor, target: Target, state: PeerState, now: Timestamp, out: &mut Outbox) {
        if !self.responder.admit(solicitor.address, solicitor.target, now) {
            self.dropped.count(ignored::RATE);
            return;
        }
        let information = self.information(state);
        self.sender.answer(solicitor, target, information, out);
    }

    fn advertised(
        &mut self,
        source: Ipv6Addr,
        message: &NeighborAdvertisement,
        now: Timestamp,
        out: &mut Outbox,
    ) -> Result<(), &'static str> {
        if !self.sender.serves(message.target) {
            return Err(ignored::OTHER_TARGET);
        }
        let link_layer = message.target_link_layer.ok_or(ignored::NO_LINK_LAYER)?;
        let Some(information) = &message.information else {
            self.meet_stranger(source, link_layer, now, out);
            return Err(ignored::STRANGER);
        };
        if !message.overriding {
            return Err(ignored::NOT_OVERRIDING);
        }
        match self.others.hear_advertisement(source, information, link_layer, now) {
            Heard::Sign => {}
            Heard::Late => return Err(ignored::LATE),
            Heard::Unbelieved(cause) => {
                // Whatever it says of itself, a router takes it: only a peer's own address may be a slip.
                if !self.others.is_listed(link_layer, now) {
                    self.meet_stranger(source, link_layer, now, out);
                }
                return Err(cause);
            }
        }
        let given_away = information.hand_over && link_layer != self.sender.link.link_layer;
        if given_away && self.is_holding() && self.setup.config.mode != Mode::Member {
            self.holding.schedule.hasten(now);
        }
        Ok(())
    }

    /// Contradicts it once an interval, ten times; then it is the operator's.
    fn meet_stranger(&mut self, source: Ipv6Addr, link_layer: LinkLayerAddress, now: Timestamp, out: &mut Outbox) {
        if !self.is_holding() || link_layer == self.sender.link.link_layer {
            return;
        }
        let stranger = &mut self.strangers;
        if stranger.last_heard.is_none_or(|last| now.since(last) >= STRANGER_FORGOTTEN) {
            *stranger = Strangers::default();
        }
        stranger.last_heard = Some(now);
        let lately = stranger
            .last_contradicted
            .is_some_and(|last| now.since(last) < self.setup.config.interval);
        if stranger.contradictions >= CONTRADICTIONS || lately {
            return;
        }
        stranger.contradictions += 1;
        stranger.last_contradicted = Some(now);
        self.holding.schedule.hasten(now);
        if stranger.contradictions == CONTRADICTIONS {
            let text = format!(
                "nd: {link_layer} ({source}) advertises a service address and is none of our servers; contradicted it {CONTRADICTIONS} times"
            );
            out.notice(Severity::Warning, text);
        }
    }

    pub(super) fn is_holding(&self) -> bool {
        self.phase == Phase::Holding
    }
}
