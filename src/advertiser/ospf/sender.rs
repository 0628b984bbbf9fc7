//! Writes the packets: whose they are, how much fits into one, their trailer; and keeps the farewell ready.

use std::net::Ipv6Addr;

use super::authentication::Counter;
use super::wire::{ALL_SPF_ROUTERS, AreaId, Body, Form, Hello, Key, PACKET_HEADER, Packet, RouterId};
use crate::advertiser::{FAREWELLS, Farewell};
use crate::base::machine::{ChannelId, InterfaceState, OutDatagram, Outbox};

/// The only channel: packets with next header 89.
pub(super) const RAW: ChannelId = ChannelId(0);

const IPV6_HEADER: usize = 40;
/// The smallest MTU of IPv6: what is assumed while none is known.
const LEAST_MTU: usize = 1_280;

/// Writes the packets.
#[derive(Debug)]
pub(super) struct Sender {
    pub(super) router: RouterId,
    area: AreaId,
    instance: u8,
    pub(super) key: Option<Key>,
    counter: Counter,
    pub(super) link: InterfaceState,
    pub(super) sent: u64,
    pub(super) errors: u64,
    farewell: Vec<Farewell>,
}

impl Sender {
    pub(super) fn new(router: RouterId, area: AreaId, instance: u8, key: Option<Key>, boot: u64) -> Self {
        Self {
            router,
            area,
            instance,
            key,
            counter: Counter::starting(boot),
            link: InterfaceState::default(),
            sent: 0,
            errors: 0,
            farewell: Vec::new(),
        }
    }

    /// Seals in `form` from now on; true if that is new.
    pub(super) fn take_form(&mut self, form: Form) -> bool {
        let is_new = self.key.as_ref().is_some_and(|key| key.form() != form);
        if is_new {
            self.key = self.key.take().map(|key| key.in_form(form));
        }
        is_new
    }

    /// Octets of a body that fit into one packet.
    pub(super) fn room(&self) -> usize {
        let mtu = (self.link.mtu as usize).clamp(LEAST_MTU, usize::from(u16::MAX));
        mtu - IPV6_HEADER - PACKET_HEADER - self.key.as_ref().map_or(0, Key::trailer_length)
    }

    pub(super) fn send(&mut self, body: Body, destination: Ipv6Addr, out: &mut Outbox) {
        let number = self.counter.next(0);
        if let Some(datagram) = self.packet(body, destination, number) {
            self.sent += 1;
            out.send(RAW, datagram);
        }
    }

    /// Sends a Hello, and makes the farewell anew: with the numbers after the Hello's, which nothing else gets.
    pub(super) fn send_hello(&mut self, hello: Hello, out: &mut Outbox) {
        let number = self.counter.next(FAREWELLS.len() as u64);
        let lonely = Hello {
            neighbors: Vec::new(),
            ..hello.clone()
        };
        let farewells = FAREWELLS.into_iter().zip(number + 1..);
        self.farewell = farewells
            .filter_map(|(after, number)| {
                let datagram = self.packet(Body::Hello(lonely.clone()), ALL_SPF_ROUTERS, number)?;
                Some(Farewell {
                    after,
                    channel: RAW,
                    datagram,
                })
            })
            .collect();
        if let Some(datagram) = self.packet(Body::Hello(hello), ALL_SPF_ROUTERS, number) {
            self.sent += 1;
            out.send(RAW, datagram);
        }
    }

    /// What whoever outlives this process is to send for it.
    pub(super) fn farewell(&self) -> &[Farewell] {
        &self.farewell
    }

    /// Nothing has been said that would have to be taken back.
    pub(super) fn forget_farewell(&mut self) {
        self.farewell.clear();
    }

    fn packet(&self, body: Body, destination: Ipv6Addr, number: u64) -> Option<OutDatagram> {
        let source = self.link.link_local?;
        let packet = Packet {
            router: self.router,
            area: self.area,
            instance: self.instance,
            body,
        };
        Some(OutDatagram {
            source: Some(source),
            destination,
            port: 0,
            link_layer: None,
            payload: packet.emit(source, destination, self.key.as_ref().map(|key| (key, number))),
        })
    }
}
