//! What the guardian says in place of main: the packets that main has left, each at its time.

use crate::base::time::Timestamp;
use crate::io::driver::{Driver, Handle};
use crate::io::farewell::ReadyPacket;

/// Packets that are still to be sent, the earliest first.
#[derive(Debug, Default)]
pub(super) struct Farewells(Vec<(Timestamp, ReadyPacket, Handle)>);

impl Farewells {
    /// Opens what it takes to send the packets; the first of them go at once.
    pub(super) fn begin(&mut self, packets: Vec<ReadyPacket>, driver: &mut Driver, now: Timestamp) {
        for packet in packets {
            let known = self.0.iter().find(|(_, other, _)| packet.shares_channel(other));
            let handle = match known {
                Some((.., handle)) => *handle,
                None => match packet.open(driver) {
                    Ok(handles) => {
                        let Some(handle) = handles.first() else { continue };
                        *handle
                    }
                    Err(error) => {
                        tracing::error!(%error, "the farewell cannot be sent");
                        continue;
                    }
                },
            };
            self.0.push((now + packet.after, packet, handle));
        }
        self.0.sort_by_key(|(at, ..)| *at);
        self.send(driver, now);
    }

    /// Sends what is due.
    pub(super) fn send(&mut self, driver: &mut Driver, now: Timestamp) {
        while self.0.first().is_some_and(|(at, ..)| *at <= now) {
            let (_, packet, handle) = self.0.remove(0);
            if let Err(error) = packet.send(driver, handle) {
                tracing::warn!(?error, interface = packet.interface, "a farewell was not sent");
            }
            if !self.0.iter().any(|(.., other)| *other == handle) {
                driver.close(&[handle]);
            }
        }
    }

    /// Says no more: who was spoken for speaks again.
    pub(super) fn end(&mut self, driver: &mut Driver) {
        let handles: Vec<Handle> = self.0.drain(..).map(|(.., handle)| handle).collect();
        driver.close(&handles);
    }

    /// When the next one is due.
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.0.first().map(|(at, ..)| *at)
    }

    /// When the last one is.
    pub(super) fn last(&self) -> Option<Timestamp> {
        self.0.last().map(|(at, ..)| *at)
    }
}
