//! Many orders in one datagram, and dumps that are whole: what keeping a table of the kernel's right needs.

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_DUMP_INTR, NetlinkDeserializable, NetlinkMessage, NetlinkPayload, NetlinkSerializable,
};
use rustix::io::Errno;

use super::{Messages, Netlink, NetlinkError, Request, verdict};

/// Orders that are sent at once; that many refusals fit the receive buffer of a socket.
const AT_ONCE: usize = 128;
/// How often a dump is begun again that changes have interrupted.
const ATTEMPTS: usize = 5;

/// One of several changes that are sent together.
pub(in crate::io) struct Order<M> {
    /// What it is, for the error.
    pub(in crate::io) request: Request,
    /// What is sent.
    pub(in crate::io) message: M,
    /// `NLM_F_CREATE` and the like.
    pub(in crate::io) flags: u16,
}

impl Netlink {
    /// All entries of a table. Those that cannot be read are left out: they are not ours.
    pub(in crate::io) fn dump<M>(&mut self, request: Request, message: M) -> Result<Vec<M>, NetlinkError>
    where
        M: NetlinkSerializable + NetlinkDeserializable + Clone,
    {
        let mut found = Vec::new();
        for _ in 0..ATTEMPTS {
            found.clear();
            if self.dump_once(request, message.clone(), &mut found)? {
                break;
            }
        }
        Ok(found)
    }

    /// False if the table has changed meanwhile, so that entries can be missing.
    fn dump_once<M>(&mut self, request: Request, message: M, found: &mut Vec<M>) -> Result<bool, NetlinkError>
    where
        M: NetlinkSerializable + NetlinkDeserializable,
    {
        let bytes = self.written(message, NLM_F_DUMP);
        self.send(&bytes)?;
        let mut whole = true;
        loop {
            self.receive()?;
            for packet in Messages::<M>::new(&self.buffer) {
                let Ok(packet) = packet else { continue };
                if packet.header.sequence_number != self.sequence {
                    continue;
                }
                whole &= packet.header.flags & NLM_F_DUMP_INTR == 0;
                match packet.payload {
                    NetlinkPayload::InnerMessage(answer) => found.push(answer),
                    NetlinkPayload::Done(done) => return verdict(request, done.code).map(|()| whole),
                    NetlinkPayload::Error(error) => return verdict(request, error.raw_code()).map(|()| whole),
                    _ => {}
                }
            }
        }
    }

    /// Sends `orders`, which the kernel carries out one after the other, and returns those it refused.
    ///
    /// A refused one does not keep it from the next: whoever needs that asks in two calls.
    pub(in crate::io) fn order<M>(&mut self, orders: Vec<Order<M>>) -> Result<Vec<(Request, Errno)>, NetlinkError>
    where
        M: NetlinkSerializable + NetlinkDeserializable,
    {
        let mut refused = Vec::new();
        let mut orders = orders.into_iter().peekable();
        while orders.peek().is_some() {
            let (mut bytes, mut requests) = (Vec::new(), Vec::new());
            let first = self.sequence.wrapping_add(1);
            while let Some(order) = orders.next_if(|_| requests.len() < AT_ONCE) {
                requests.push(order.request);
                // The kernel tells of every refusal; one acknowledgement, of the last, says that it is through.
                let is_last = requests.len() == AT_ONCE || orders.peek().is_none();
                let flags = if is_last { order.flags | NLM_F_ACK } else { order.flags };
                bytes.extend(self.written(order.message, flags));
                bytes.resize(bytes.len().next_multiple_of(4), 0);
            }
            self.send(&bytes)?;
            self.await_verdicts::<M>(first, &requests, &mut refused)?;
        }
        Ok(refused)
    }

    fn await_verdicts<M: NetlinkDeserializable>(
        &mut self,
        first: u32,
        requests: &[Request],
        refused: &mut Vec<(Request, Errno)>,
    ) -> Result<(), NetlinkError> {
        loop {
            self.receive()?;
            for packet in Messages::<M>::new(&self.buffer) {
                let Ok(NetlinkMessage { header, payload, .. }) = packet else {
                    continue;
                };
                let NetlinkPayload::Error(error) = payload else { continue };
                let place = header.sequence_number.wrapping_sub(first) as usize;
                let Some(request) = requests.get(place) else { continue };
                if let Err(NetlinkError::Refused { request, errno }) = verdict(*request, error.raw_code()) {
                    refused.push((request, errno));
                }
                if place + 1 == requests.len() {
                    return Ok(());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use netlink_packet_route::RouteNetlinkMessage;
    use netlink_packet_route::neighbour::NeighbourMessage;

    use super::*;
    use crate::base::address::InterfaceIndex;
    use crate::io::netlink::address_message;

    /// None of these addresses is there; and without privileges the kernel refuses too.
    #[test]
    fn each_refusal_is_told_however_many_orders_there_are() {
        let mut netlink = Netlink::open().unwrap();
        for count in [0, 1, AT_ONCE, 2 * AT_ONCE + 44] {
            let addresses: Vec<Ipv6Addr> = (0..count)
                .map(|number| Ipv6Addr::from(0x2001_0db8 << 96 | number as u128))
                .collect();
            let orders = addresses.iter().map(|address| Order {
                request: Request::DeleteAddress(*address),
                message: RouteNetlinkMessage::DelAddress(address_message(InterfaceIndex(1), *address)),
                flags: 0,
            });
            let refused = netlink.order(orders.collect()).unwrap();
            let expected: Vec<Request> = addresses.iter().map(|address| Request::DeleteAddress(*address)).collect();
            let requests: Vec<Request> = refused.iter().map(|(request, _)| *request).collect();
            assert_eq!(requests, expected);
            assert!(refused.iter().all(|(_, errno)| matches!(*errno, Errno::ADDRNOTAVAIL | Errno::PERM)));
        }
    }

    #[test]
    fn a_dump_is_read_to_its_end_and_what_follows_is_another_answer() {
        let mut netlink = Netlink::open().unwrap();
        for _ in 0..2 {
            let neighbors = RouteNetlinkMessage::GetNeighbour(NeighbourMessage::default());
            netlink.dump(Request::Neighbors, neighbors).unwrap();
            assert!(
                netlink
                    .addresses()
                    .unwrap()
                    .iter()
                    .any(|found| found.address == Ipv6Addr::LOCALHOST)
            );
        }
    }
}
