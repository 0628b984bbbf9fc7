//! What ties main to its guardian: what is to be sent when this process dies or hangs, and the beat that shows that it does not.
//!
//! Without a guardian (its slot could not be inherited) all of this does nothing: nobody would listen.

use std::io;

use crate::io::farewell::{FarewellSlot, ReadyPacket};

/// The slot, and what is in it.
#[derive(Debug)]
pub(super) struct Lifeline {
    slot: Option<FarewellSlot>,
    left: Vec<ReadyPacket>,
    answered: u64,
}

impl Lifeline {
    pub(super) fn new(slot: Option<FarewellSlot>) -> Self {
        Self {
            slot,
            left: Vec::new(),
            answered: 0,
        }
    }

    /// Leaves these packets in place of those before.
    pub(super) fn leave(&mut self, packets: Vec<ReadyPacket>) {
        let Some(slot) = self.slot.as_mut().filter(|_| packets != self.left) else {
            return;
        };
        if let Err(error) = slot.leave(&packets) {
            tracing::warn!(%error, "nobody could speak for this process if it died now");
        }
        self.left = packets;
    }

    /// Beats if the service has answered since the last time; and if it `may_be_silent`, because nothing is told that a farewell
    /// would take back.
    pub(super) fn beat(&mut self, answered: u64, may_be_silent: bool) {
        if answered != self.answered || may_be_silent {
            self.answered = answered;
            self.tell(FarewellSlot::beat);
        }
    }

    /// The end, in order: what follows takes its time.
    pub(super) fn rest(&mut self) {
        self.tell(FarewellSlot::rest);
    }

    /// True once after the guardian has sent what was left here.
    pub(super) fn was_spoken_for(&mut self) -> bool {
        let was = self.slot.as_ref().is_some_and(FarewellSlot::is_said);
        if was {
            self.tell(|slot| slot.mark_said(false));
        }
        was
    }

    fn tell(&mut self, write: impl Fn(&mut FarewellSlot) -> io::Result<()>) {
        if let Some(Err(error)) = self.slot.as_mut().map(write) {
            tracing::warn!(%error, "the guardian cannot be told");
        }
    }
}
