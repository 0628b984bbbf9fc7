//! The loop of the router side: hears the servers, ticks the machines, and has the kernel deliver as the cache wishes.
//!
//! One turn: wait; hand packets to their machines; carry out what they want; tell the cache what the peers say; apply what
//! has changed. What the kernel refuses is tried again each second, and so is looked for what others have changed.

use std::collections::VecDeque;
use std::io;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use super::super::line::Line;
use super::super::link::{Complaint, reread};
use super::super::message::Message;
use crate::advertiser::peers::Peers;
use crate::base::machine::{ChannelId, Event, Input, Machine, Outbox, Output, Severity};
use crate::base::time::{Timestamp, earliest};
use crate::config::RouterSettings;
use crate::control::neighbors::Kernel;
use crate::io::clock;
use crate::io::driver::{Driver, Ready, Token};
use crate::io::forwarder::{Applied, Forwarder, ForwarderError};
use crate::io::interface::InterfaceMonitor;
use crate::io::process::{Asked, Signals};
use crate::router::RouterSide;

const SIGNALS: Token = Token(0);
const LINK: Token = Token(1);
/// What nobody rings for is looked at so often: groups, and what others do to our forwarding.
const CHECK: Duration = Duration::from_secs(1);
/// With a link the kernel forgets next hops and routes, and takes them again when it is up: then it is looked at this soon.
const CHECK_LINK: Duration = Duration::from_millis(10);

/// What the loop is made of.
pub(super) struct Parts {
    pub(super) driver: Driver,
    pub(super) inbox: Receiver<Message>,
    pub(super) signals: Signals,
    pub(super) link: InterfaceMonitor,
    pub(super) side: Line<RouterSide>,
    pub(super) peers: Option<Line<Peers>>,
    pub(super) forwarder: Forwarder,
}

/// Who wants an output carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Speaker {
    Side,
    Peers,
}

/// Everything the loop owns.
pub(super) struct RouterLoop {
    pub(super) parts: Parts,
    pub(super) settings: RouterSettings,
    /// The number of the wish that the kernel has.
    applied: Option<u64>,
    /// The number of the wish that the kernel did not take, until it is tried again.
    failed: Option<u64>,
    pub(super) kernel: Kernel,
    /// What the kernel last refused.
    pub(super) refusal: Option<String>,
    pub(super) complaint: Complaint,
    next_check: Timestamp,
    peer_changes: u64,
    /// The link has been told to the machines.
    introduced: bool,
    stop: bool,
    outbox: Outbox,
    outputs: VecDeque<(Speaker, Output)>,
}

impl RouterLoop {
    pub(super) fn new(parts: Parts, settings: &RouterSettings) -> Self {
        Self {
            parts,
            settings: settings.clone(),
            applied: None,
            failed: None,
            kernel: Kernel::default(),
            refusal: None,
            complaint: None,
            next_check: clock::now(),
            peer_changes: 0,
            introduced: false,
            stop: false,
            outbox: Outbox::new(),
            outputs: VecDeque::new(),
        }
    }

    /// Turns until a signal wants an end.
    ///
    /// # Errors
    /// The kernel's, when it does not let us wait.
    pub(super) fn run(&mut self) -> io::Result<()> {
        self.parts.driver.watch(&self.parts.signals, SIGNALS)?;
        self.parts.driver.watch(&self.parts.link, LINK)?;
        while !self.stop {
            self.check(clock::now());
            self.tick(clock::now());
            self.tell_peers(clock::now());
            self.carry_out();
            self.forward();
            self.wait()?;
        }
        Ok(())
    }

    /// Has the kernel deliver as it did before.
    ///
    /// # Errors
    /// What could not be taken back.
    pub(super) fn withdraw(&mut self) -> Result<Applied, ForwarderError> {
        self.parts.forwarder.withdraw()
    }

    fn wait(&mut self) -> io::Result<()> {
        let (mut inbox, mut signals, mut link) = (false, false, false);
        let peers_deadline = self.parts.peers.as_ref().and_then(|line| line.machine.deadline());
        let deadline = earliest(self.parts.side.machine.deadline(), peers_deadline);
        let deadline = earliest(deadline, Some(self.next_check));
        let Parts { driver, side, peers, .. } = &mut self.parts;
        let (outbox, outputs) = (&mut self.outbox, &mut self.outputs);
        driver.wait(deadline, |ready| match ready {
            Ready::Woken => inbox = true,
            Ready::Descriptor(SIGNALS) => signals = true,
            Ready::Descriptor(Token(_)) => link = true,
            Ready::Datagram(handle, datagram) => {
                let now = clock::now();
                if let Some(channel) = side.channel_of(handle) {
                    side.machine.handle(Input::Datagram(channel, datagram), now, outbox);
                    outputs.extend(outbox.drain().map(|output| (Speaker::Side, output)));
                } else if let Some(line) = peers.as_mut()
                    && let Some(channel) = line.channel_of(handle)
                {
                    line.machine.handle(Input::Datagram(channel, datagram), now, outbox);
                    outputs.extend(outbox.drain().map(|output| (Speaker::Peers, output)));
                }
            }
        })?;
        if link {
            self.look_at_link(false);
            self.next_check = self.next_check.min(clock::now() + CHECK_LINK);
        }
        if signals {
            self.obey_signals();
        }
        if inbox {
            self.answer();
        }
        Ok(())
    }

    fn check(&mut self, now: Timestamp) {
        if now < self.next_check {
            return;
        }
        self.next_check = now + CHECK;
        self.failed = None;
        self.look_at_link(true);
        match self.parts.forwarder.check() {
            // Why the kernel refused may have ended, and nothing tells when.
            Ok(false) if self.parts.forwarder.refused().next().is_some() => self.applied = None,
            Ok(false) => {}
            Ok(true) => {
                self.kernel.repairs += 1;
                self.applied = None;
                tracing::warn!("the kernel's forwarding is not what it was told to be any more; it is put right");
            }
            Err(error) => self.refuse(&error),
        }
    }

    fn look_at_link(&mut self, all: bool) {
        let changed = reread(&mut self.parts.driver, &mut self.parts.link, all, &mut self.complaint);
        if !changed && self.introduced {
            return;
        }
        self.introduced = true;
        let (state, now) = (self.parts.link.state().clone(), clock::now());
        self.hand_to(Speaker::Peers, &Input::Interface(&state), now);
        self.hand_to(Speaker::Side, &Input::Interface(&state), now);
    }

    fn tick(&mut self, now: Timestamp) {
        let is_due = |deadline: Option<Timestamp>| deadline.is_some_and(|deadline| deadline <= now);
        if is_due(self.parts.peers.as_ref().and_then(|line| line.machine.deadline())) {
            self.hand_to(Speaker::Peers, &Input::Tick, now);
        }
        if is_due(self.parts.side.machine.deadline()) {
            self.hand_to(Speaker::Side, &Input::Tick, now);
        }
    }

    fn tell_peers(&mut self, now: Timestamp) {
        let Some(line) = &self.parts.peers else { return };
        if line.machine.changes() == self.peer_changes {
            return;
        }
        self.peer_changes = line.machine.changes();
        let peers = line.machine.peers().to_vec();
        self.hand_to(Speaker::Side, &Input::Peers(&peers), now);
    }

    /// Applies the wish if the kernel does not have it.
    fn forward(&mut self) {
        let wished = self.parts.side.machine.changes();
        if self.applied == Some(wished) || self.failed == Some(wished) {
            return;
        }
        let began = clock::now();
        match self.parts.forwarder.apply(self.parts.side.machine.forwarding()) {
            Ok(changed) => {
                (self.applied, self.failed) = (Some(wished), None);
                self.tell_refused();
                if changed.is_change() {
                    self.kernel.changes += 1;
                    self.kernel.last_change_us = u64::try_from(clock::now().since(began).as_micros()).unwrap_or(u64::MAX);
                    tracing::debug!("the kernel delivers anew: {changed}");
                }
            }
            Err(error) => {
                (self.applied, self.failed) = (None, Some(wished));
                self.refuse(&error);
            }
        }
    }

    /// A next hop that the kernel does not take hinders no other, and is told.
    fn tell_refused(&mut self) {
        let refused: Vec<String> = self
            .parts
            .forwarder
            .refused()
            .map(|(gateway, error)| format!("{gateway} ({error})"))
            .collect();
        let refusal = (!refused.is_empty()).then(|| format!("the kernel does not take as next hop: {}", refused.join(", ")));
        if let Some(text) = refusal.as_ref().filter(|_| refusal != self.refusal) {
            tracing::warn!("{text}");
        }
        self.refusal = refusal;
    }

    fn refuse(&mut self, error: &ForwarderError) {
        let text = error.to_string();
        if self.refusal.as_ref() != Some(&text) {
            tracing::warn!("{text}; it is tried again each second");
        }
        self.refusal = Some(text);
    }

    fn obey_signals(&mut self) {
        loop {
            match self.parts.signals.next_asked() {
                Ok(Some(Asked::Stop(_))) => self.stop = true,
                Ok(Some(Asked::Reload)) => {
                    tracing::warn!("a router side reads its configuration when it starts: start it again, with --keep not a query is lost")
                }
                Ok(Some(Asked::ChildEnded | Asked::Ready)) => {}
                Ok(None) => return,
                Err(error) => {
                    tracing::warn!(%error, "signals cannot be read");
                    return;
                }
            }
        }
    }

    fn answer(&mut self) {
        while let Ok(message) = self.parts.inbox.try_recv() {
            if let Message::Command(_, reply) = message {
                let _ = reply.send(self.neighbors());
            }
        }
    }

    fn hand_to(&mut self, speaker: Speaker, input: &Input<'_>, now: Timestamp) {
        match speaker {
            Speaker::Side => self.parts.side.machine.handle(input.clone(), now, &mut self.outbox),
            Speaker::Peers => {
                if let Some(line) = &mut self.parts.peers {
                    line.machine.handle(input.clone(), now, &mut self.outbox);
                }
            }
        }
        self.outputs.extend(self.outbox.drain().map(|output| (speaker, output)));
    }

    /// Does what the machines want done. A machine that answers each failure with a new packet has that sent in the next turn.
    fn carry_out(&mut self) {
        for _ in 0..self.outputs.len() {
            let Some((speaker, output)) = self.outputs.pop_front() else {
                return;
            };
            match output {
                // A router side is nobody's holder: there is nothing to wake.
                Output::Event(Event::Wanted(_)) => {}
                Output::Event(Event::Notice(Severity::Info, text)) => tracing::info!("{text}"),
                Output::Event(Event::Notice(Severity::Warning, text)) => tracing::warn!("{text}"),
                Output::Send(channel, datagram) => {
                    let Some(handle) = self.handle_of(speaker, channel) else { continue };
                    if let Err(error) = self.parts.driver.send(handle, &datagram) {
                        tracing::debug!(?speaker, ?error, destination = %datagram.destination, "not sent");
                        self.hand_to(speaker, &Input::Unsent(channel, error), clock::now());
                    }
                }
            }
        }
    }

    fn handle_of(&self, speaker: Speaker, channel: ChannelId) -> Option<crate::io::driver::Handle> {
        match speaker {
            Speaker::Side => self.parts.side.handle_of(channel),
            Speaker::Peers => self.parts.peers.as_ref()?.handle_of(channel),
        }
    }
}
