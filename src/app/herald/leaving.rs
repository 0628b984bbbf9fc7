//! The last words: to the routers and the peers at an orderly end, and those that are left for a guardian to say.

use std::thread;

use super::Herald;
use super::Speaker;
use crate::advertiser::Farewell;
use crate::app::shutdown::Outcome;
use crate::base::machine::{Channel, Machine, OutDatagram};
use crate::base::time::Timestamp;
use crate::io::clock;
use crate::io::driver::Handle;
use crate::io::farewell::ReadyPacket;

impl Herald {
    /// Ends the conversation with the network, and says so as often as its farewell would: a packet may be lost.
    ///
    /// The service still answers. When all is quiet the peers hear that this server is gone, and a router side takes it out of its
    /// groups: a connection that is begun now finds another server. With connections left that waits for [`Herald::say_gone`].
    pub(super) fn leave(&mut self, outcome: Outcome, now: Timestamp) {
        self.parts.lifeline.rest();
        for index in 0..self.parts.advertisers.len() {
            self.parts.advertisers[index].machine.leave(now, &mut self.outbox);
            self.outputs
                .extend(self.outbox.drain().map(|output| (Speaker::Advertiser(index), output)));
        }
        self.carry_out();
        let mut words: Vec<(Timestamp, Handle, OutDatagram)> = Vec::new();
        for line in &self.parts.advertisers {
            let farewells = line.machine.farewell().into_iter().filter(|farewell| !farewell.after.is_zero());
            words.extend(farewells.filter_map(|one| Some((now + one.after, line.handle_of(one.channel)?, one.datagram))));
        }
        if outcome == Outcome::Quiet {
            words.extend(self.gone(now));
        }
        self.say(words);
    }

    /// Tells the peers that this server is gone, after its sockets are closed. What was said before is not said again.
    pub(in crate::app) fn say_gone(&mut self, outcome: Outcome) {
        if outcome != Outcome::Quiet {
            let words = self.gone(clock::now());
            self.say(words);
        }
    }

    fn gone(&self, now: Timestamp) -> Vec<(Timestamp, Handle, OutDatagram)> {
        let Some(line) = &self.parts.peers else { return Vec::new() };
        let farewells = line.machine.farewell().into_iter();
        farewells
            .filter_map(|one| Some((now + one.after, line.handle_of(one.channel)?, one.datagram)))
            .collect()
    }

    fn say(&mut self, mut words: Vec<(Timestamp, Handle, OutDatagram)>) {
        words.sort_by_key(|(at, ..)| *at);
        for (at, handle, datagram) in words {
            thread::sleep(at.since(clock::now()));
            if let Err(error) = self.parts.driver.send(handle, &datagram) {
                tracing::debug!(?error, destination = %datagram.destination, "not said");
            }
        }
    }

    /// Leaves what is to be sent when this process dies or hangs, before it says what that takes back.
    pub(super) fn leave_farewells(&mut self) {
        let links = &self.parts.links;
        let ready = |channels: &[Channel], farewells: Vec<Farewell>| -> Vec<ReadyPacket> {
            let packet = |farewell: &Farewell| {
                let channel = channels.get(farewell.channel.0)?;
                let link = links.iter().find(|link| link.name() == channel.interface())?;
                ReadyPacket::new(farewell.after, channel, link.state(), &farewell.datagram)
            };
            farewells.iter().filter_map(packet).collect()
        };
        let advertisers = self.parts.advertisers.iter().map(|line| &line.machine);
        let mut packets: Vec<ReadyPacket> = advertisers
            .flat_map(|machine| ready(machine.channels(), machine.farewell()))
            .collect();
        if let Some(line) = &self.parts.peers {
            packets.extend(ready(line.machine.channels(), line.machine.farewell()));
        }
        self.parts.lifeline.leave(packets);
    }
}
