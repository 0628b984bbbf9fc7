//! A machine with its open channels: what the herald loop hands inputs to and carries outputs away from.

use crate::base::machine::{Channel, ChannelId, Machine};
use crate::io::driver::Handle;

/// A machine on the line: its channels are open.
pub(super) struct Line<M: ?Sized> {
    handles: Vec<Handle>,
    pub(super) machine: Box<M>,
}

impl<M: Machine + ?Sized> Line<M> {
    /// `handles` are those of the machine's channels, in their order.
    pub(super) fn new(machine: Box<M>, handles: Vec<Handle>) -> Self {
        Self { handles, machine }
    }

    /// The link it is on: a machine has one.
    pub(super) fn interface(&self) -> &str {
        self.machine.channels().first().map_or("", Channel::interface)
    }

    /// Which of the machine's channels `handle` is.
    pub(super) fn channel_of(&self, handle: Handle) -> Option<ChannelId> {
        self.handles.iter().position(|own| *own == handle).map(ChannelId)
    }

    /// The open channel that the machine calls `channel`.
    pub(super) fn handle_of(&self, channel: ChannelId) -> Option<Handle> {
        self.handles.get(channel.0).copied()
    }
}
