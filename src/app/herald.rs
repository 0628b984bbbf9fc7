//! The herald loop: the one thread that drives every machine, takes every reading and makes every decision.
//!
//! One turn: wait; hand packets to their machines; carry out what they want; look at the link and the service; decide; tell
//! the advertisers; tell the peers. All of it is owned by this loop, so there is nothing to lock.

mod leaving;

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use tokio::sync::oneshot;

use super::guardian::Watcher;
use super::lifeline::Lifeline;
use super::line::Line;
use super::link::{Complaint, reread};
use super::message::Message;
use super::peering::{self, Identity};
use super::reload::Reload;
use super::shutdown::{Drain, Outcome, Receipt, Tally};
use super::zones::ZoneKeeper;
use crate::advertiser::peers::{Conflict, Peers};
use crate::advertiser::{Advertiser, Report};
use crate::base::machine::{ChannelId, Event, Input, Machine, Outbox, Output, Severity};
use crate::base::peer::PeerState;
use crate::base::time::{Timestamp, earliest};
use crate::control::Reply;
use crate::dns::counters::Drop;
use crate::dns::server::encrypted::Certificates;
use crate::dns::server::{ToldLoad, Usher};
use crate::io::clock;
use crate::io::driver::{Driver, Handle, Ready, Token};
use crate::io::interface::InterfaceMonitor;
use crate::io::process::{Asked, Signals};
use crate::io::sockets::udp_drops;
use crate::monitor::observation::Order;
use crate::monitor::{Context, Monitor};
use crate::scheduler::{Cost, Decision, Intent, Journal, Policy, Standing, decide};

/// Time between two observations when nothing happens.
const LOOK: Duration = Duration::from_millis(50);
/// Outputs that one turn carries out; a machine that answers each failure with a new packet must not hold the loop.
const OUTPUTS_A_TURN: usize = 4_096;
/// What nobody rings for (groups, addresses of other tools) is looked at so often.
const LINK_CHECK: Duration = Duration::from_secs(1);
const SIGNALS: Token = Token(0);
/// The token of the first link.
const LINKS: u32 = 1;

/// Who wants an output carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Speaker {
    Peers,
    Advertiser(usize),
}

/// What the loop is made of.
pub(super) struct Parts {
    pub(super) driver: Driver,
    pub(super) inbox: Receiver<Message>,
    pub(super) signals: Signals,
    pub(super) guardian: Watcher,
    pub(super) advertisers: Vec<Line<dyn Advertiser>>,
    pub(super) peers: Option<Line<Peers>>,
    /// The service's link first, then those of other advertisers.
    pub(super) links: Vec<InterfaceMonitor>,
    pub(super) lifeline: Lifeline,
    pub(super) monitor: Monitor,
    pub(super) zones: Arc<ZoneKeeper>,
    pub(super) reload: Arc<Reload>,
    pub(super) certificates: Option<Arc<Certificates>>,
    /// Ends the connections of a server that drains.
    pub(super) usher: Usher,
    pub(super) told_load: Arc<ToldLoad>,
    pub(super) policy: Policy,
    pub(super) drain_timeout: Duration,
    pub(super) identity: Identity,
}

/// Everything the loop owns.
pub(super) struct Herald {
    pub(super) parts: Parts,
    pub(super) standing: Standing,
    pub(super) journal: Journal,
    pub(super) order: Order,
    pub(super) drain: Option<Drain>,
    pub(super) waiting_for_drain: Vec<oneshot::Sender<Reply>>,
    /// The state that `status` shows, and since when.
    pub(super) shown: (PeerState, Timestamp),
    last_wanted: Option<Timestamp>,
    next_look: Timestamp,
    inflow_told: u64,
    next_link_check: Timestamp,
    link_complaints: Vec<Complaint>,
    decision: Option<Decision>,
    peer_changes: u64,
    /// A second signal: no more waiting.
    stop_at_once: bool,
    outbox: Outbox,
    outputs: VecDeque<(Speaker, Output)>,
}

impl Herald {
    /// A loop that has not turned yet.
    pub(super) fn new(parts: Parts) -> Self {
        let (now, links) = (clock::now(), parts.links.len());
        Self {
            parts,
            standing: Standing::starting(now),
            journal: Journal::default(),
            order: Order::Serve,
            drain: None,
            waiting_for_drain: Vec::new(),
            shown: (PeerState::Starting, now),
            last_wanted: None,
            next_look: now,
            inflow_told: 0,
            next_link_check: now,
            link_complaints: vec![None; links],
            decision: None,
            peer_changes: 0,
            stop_at_once: false,
            outbox: Outbox::new(),
            outputs: VecDeque::new(),
        }
    }

    /// Turns until a stop is over; the receipt says what it cost.
    ///
    /// # Errors
    /// The kernel's, when it does not let us wait.
    pub(super) fn run(&mut self) -> io::Result<Receipt> {
        self.parts.driver.watch(&self.parts.signals, SIGNALS)?;
        for (number, link) in (LINKS..).zip(&self.parts.links) {
            self.parts.driver.watch(link, Token(number))?;
        }
        self.look_at_links(true);
        loop {
            self.look(clock::now());
            if let Some(receipt) = self.end_of_drain(clock::now()) {
                self.leave(receipt.outcome, clock::now());
                return Ok(receipt);
            }
            let woken = self.wait()?;
            if self.parts.lifeline.was_spoken_for() {
                self.start_anew(clock::now());
            }
            self.carry_out();
            self.attend(&woken);
            self.tick();
            self.tell_peers();
        }
    }

    /// This process hung, and its guardian has taken back what it had said: nothing of what was to be said next is true.
    fn start_anew(&mut self, now: Timestamp) {
        tracing::warn!("this process has hung, and its guardian has said its farewell: it starts as new");
        self.outputs.clear();
        self.standing = Standing {
            decision: self.standing.decision,
            ..Standing::starting(now)
        };
        for index in 0..self.parts.advertisers.len() {
            self.parts.advertisers[index].machine.taken_back(now, &mut self.outbox);
            self.outputs
                .extend(self.outbox.drain().map(|output| (Speaker::Advertiser(index), output)));
        }
        if let Some(line) = &mut self.parts.peers {
            line.machine.taken_back(now);
        }
        self.look_now();
    }

    /// The reports of all advertisers.
    pub(super) fn reports(&self) -> Vec<Report> {
        self.parts.advertisers.iter().map(|line| line.machine.report()).collect()
    }

    /// Servers that cannot be told apart from this one.
    pub(super) fn conflicts(&self) -> impl Iterator<Item = Conflict> + '_ {
        self.parts.peers.iter().flat_map(|line| line.machine.conflicts())
    }

    /// What was counted until now.
    pub(super) fn tally(&self) -> Tally {
        let figures = self.parts.monitor.figures();
        let total = figures.counts.total();
        let addresses: Vec<_> = figures.counts.listeners.iter().map(|listener| listener.address).collect();
        Tally {
            queries: figures.inflow,
            refused: total.refused,
            dropped: udp_drops(&addresses),
            late: total.drops[Drop::Closed as usize],
            opened: total.connections_opened,
            closed: total.connections_closed,
            broken: total.connections_broken,
        }
    }

    fn wait(&mut self) -> io::Result<Woken> {
        let deadline = self.deadline();
        let mut woken = Woken::default();
        let Parts {
            driver,
            advertisers,
            peers,
            ..
        } = &mut self.parts;
        let (outbox, outputs) = (&mut self.outbox, &mut self.outputs);
        driver.wait(Some(deadline), |ready| match ready {
            Ready::Woken => woken.inbox = true,
            Ready::Descriptor(SIGNALS) => woken.signals = true,
            Ready::Descriptor(Token(_)) => woken.links = true,
            Ready::Datagram(handle, datagram) => {
                let now = clock::now();
                if let Some((line, channel)) = peers
                    .as_mut()
                    .and_then(|line| line.channel_of(handle).map(|channel| (line, channel)))
                {
                    line.machine.handle(Input::Datagram(channel, datagram), now, outbox);
                    outputs.extend(outbox.drain().map(|output| (Speaker::Peers, output)));
                }
                for (index, line) in advertisers.iter_mut().enumerate() {
                    let Some(channel) = line.channel_of(handle) else { continue };
                    line.machine.handle(Input::Datagram(channel, datagram), now, outbox);
                    outputs.extend(outbox.drain().map(|output| (Speaker::Advertiser(index), output)));
                }
            }
        })?;
        Ok(woken)
    }

    fn deadline(&self) -> Timestamp {
        let advertisers = self.parts.advertisers.iter().map(|line| line.machine.deadline());
        let peers = self.parts.peers.as_ref().and_then(|line| line.machine.deadline());
        advertisers
            .fold(peers, earliest)
            .map_or(self.next_look, |deadline| deadline.min(self.next_look))
    }

    fn attend(&mut self, woken: &Woken) {
        if woken.links {
            self.look_at_links(false);
        }
        if woken.signals {
            self.obey_signals();
        }
        if woken.inbox {
            while let Ok(message) = self.parts.inbox.try_recv() {
                self.answer(message);
            }
        }
    }

    /// The advertisers first: one that finds that it was stalled must not be spoken for by the peer message.
    fn tick(&mut self) {
        let now = clock::now();
        let is_due = |deadline: Option<Timestamp>| deadline.is_some_and(|deadline| deadline <= now);
        for index in 0..self.parts.advertisers.len() {
            if is_due(self.parts.advertisers[index].machine.deadline()) {
                self.hand_to(index, &Input::Tick, now);
            }
        }
        if self.parts.peers.as_ref().is_some_and(|line| is_due(line.machine.deadline())) {
            self.speak(now);
            self.hand_to_peers(&Input::Tick, now);
        }
    }

    /// One observation if it is due, the decision that follows from it, and telling everybody.
    pub(super) fn look(&mut self, now: Timestamp) {
        if now >= self.next_look {
            self.next_look = now + LOOK;
            if now >= self.next_link_check {
                self.next_link_check = now + LINK_CHECK;
                self.look_at_links(true);
            }
            let reports = self.reports();
            let seen_routes: Vec<&Vec<u32>> = reports.iter().filter_map(|report| report.other_routes.as_ref()).collect();
            let routes: Option<Vec<u32>> = (!seen_routes.is_empty()).then(|| seen_routes.into_iter().flatten().copied().collect());
            let context = Context {
                interface: self.parts.links.first().map(InterfaceMonitor::state),
                zones: self.parts.zones.count(),
                order: self.order,
                last_wanted: self.last_wanted,
                link_layer_taken: self.conflicts().any(|conflict| matches!(conflict, Conflict::SameLinkLayer(_))),
                other_holder: reports.iter().any(|report| report.other_holder.is_some()),
                services: &self.parts.identity.services,
                routes: routes.as_deref(),
                peers: match &self.parts.peers {
                    Some(line) => Some(line.machine.peers()),
                    // Without a service there is nobody to share it with.
                    None => self.parts.identity.services.is_empty().then_some(&[]),
                },
            };
            let seen = self.parts.monitor.observe(now, &context);
            let before = self.standing;
            self.standing = decide(&self.parts.policy, before, &seen);
            if self.journal.keep(&before, &self.standing, &seen) {
                self.log_class(&before, seen.load);
                tracing::debug!(decision = self.standing.decision, from = ?before.state, to = ?self.standing.state, reason = %self.standing.reason, "decided");
            }
            self.tell_inflow(now);
            self.tell_advertisers(self.standing.decision(&seen, self.parts.identity.weight), now);
            self.beat();
        }
        self.speak(now);
    }

    /// The class by load has a line of its own; the one that a state brings goes without saying.
    fn log_class(&self, before: &Standing, load: u16) {
        let Cost { class, rule, .. } = self.standing.cost;
        if class != before.cost.class {
            let load = f64::from(load) / 1_000.0;
            tracing::info!(
                class = class.name(),
                decision = self.standing.decision,
                load,
                "cost class {class} (was {}): {rule}",
                before.cost.class
            );
        }
    }

    /// Shows the guardian that the service answers. Where it does not, and this loop knows, this loop takes back what was said.
    fn beat(&mut self) {
        let is_withdrawn = self.decision.as_ref().is_none_or(|told| matches!(told.intent, Intent::Withdraw(_)));
        let answered = self.parts.monitor.answered();
        self.parts.lifeline.beat(answered, is_withdrawn);
    }

    fn tell_inflow(&mut self, now: Timestamp) {
        let inflow = self.parts.monitor.figures().inflow;
        if inflow > self.inflow_told {
            self.inflow_told = inflow;
            self.hand_to_all(&Input::Inflow(inflow), now);
        }
    }

    fn tell_advertisers(&mut self, decision: Decision, now: Timestamp) {
        if self.decision.as_ref() == Some(&decision) {
            return;
        }
        self.parts.told_load.tell(peering::told_load(&decision));
        for index in 0..self.parts.advertisers.len() {
            self.parts.advertisers[index].machine.apply(&decision, now, &mut self.outbox);
            self.outputs
                .extend(self.outbox.drain().map(|output| (Speaker::Advertiser(index), output)));
        }
        self.decision = Some(decision);
        self.carry_out();
    }

    /// Tells the peers where this server stands, and the log when its state has changed.
    fn speak(&mut self, now: Timestamp) {
        let Some(decision) = &self.decision else { return };
        let reports = self.reports();
        let state = peering::shown_state(&self.standing, &reports);
        if state != self.shown.0 {
            let reason = peering::shown_reason(&self.standing, &reports, &self.parts.identity);
            tracing::info!(
                state = state.name(),
                decision = self.standing.decision,
                "{} (was {}): {reason}",
                state.name(),
                self.shown.0.name()
            );
            self.shown = (state, now);
        }
        let figures = self.parts.monitor.figures();
        let statement = peering::statement(&self.parts.identity, &self.standing, decision, &reports, figures);
        let Some(line) = &mut self.parts.peers else { return };
        line.machine.say(statement, now, &mut self.outbox);
        self.outputs.extend(self.outbox.drain().map(|output| (Speaker::Peers, output)));
        self.carry_out();
    }

    /// Reads the links again (`all`: also what nobody rings for) and tells every machine on one that looks different.
    fn look_at_links(&mut self, all: bool) {
        for index in 0..self.parts.links.len() {
            self.look_at_link(index, all);
        }
    }

    fn look_at_link(&mut self, index: usize, all: bool) {
        let (Some(link), Some(complaint)) = (self.parts.links.get_mut(index), self.link_complaints.get_mut(index)) else {
            return;
        };
        let changed = reread(&mut self.parts.driver, link, all, complaint);
        let (name, state) = (link.name().to_owned(), link.state().clone());
        if !changed && self.decision.is_some() {
            return;
        }
        let now = clock::now();
        tracing::debug!(name, ?state, "link");
        if index == 0 {
            self.hand_to_peers(&Input::Interface(&state), now);
        }
        for line in 0..self.parts.advertisers.len() {
            if self.parts.advertisers[line].interface() == name {
                self.hand_to(line, &Input::Interface(&state), now);
            }
        }
        self.next_look = now;
        self.carry_out();
    }

    /// Tells the advertisers what the peers say, if they say something new; and does what is left to do.
    fn tell_peers(&mut self) {
        self.carry_out();
        let Some(line) = &self.parts.peers else { return };
        if line.machine.changes() == self.peer_changes {
            return;
        }
        self.peer_changes = line.machine.changes();
        let peers = line.machine.peers().to_vec();
        self.hand_to_all(&Input::Peers(&peers), clock::now());
        self.carry_out();
    }

    /// The next observation is made in this turn.
    pub(super) fn look_now(&mut self) {
        self.next_look = Timestamp::ZERO;
    }

    fn obey_signals(&mut self) {
        loop {
            match self.parts.signals.next_asked() {
                Ok(Some(Asked::Stop(_))) if self.order == Order::Stop => self.stop_at_once = true,
                Ok(Some(Asked::Stop(_))) => {
                    self.order = Order::Stop;
                    self.begin_drain(self.parts.drain_timeout);
                }
                Ok(Some(Asked::Reload)) => self.parts.reload.hang_up(),
                Ok(Some(Asked::ChildEnded | Asked::Ready)) => {}
                Ok(None) => return,
                Err(error) => {
                    tracing::warn!(%error, "signals cannot be read");
                    return;
                }
            }
        }
    }

    /// Queries are no longer wanted; connections are to end.
    pub(super) fn begin_drain(&mut self, timeout: Duration) {
        self.drain = Some(Drain::begin(clock::now(), timeout, self.tally()));
        self.parts.usher.ask_to_leave();
        self.look_now();
    }

    /// The receipt of a stop that is over. A drain that is over is answered, and the server goes on draining.
    fn end_of_drain(&mut self, now: Timestamp) -> Option<Receipt> {
        let withdrawn = self.parts.advertisers.iter().all(|line| line.machine.is_withdrawn());
        let last_inflow = self.parts.monitor.last_inflow();
        let connections = self.parts.monitor.figures().connections;
        let drain = self.drain.as_mut()?;
        let outcome = if self.stop_at_once {
            Outcome::CutShort
        } else if self.parts.advertisers.is_empty() && connections == 0 {
            // Nothing ever pointed here.
            Outcome::Quiet
        } else {
            drain.outcome(now, withdrawn, last_inflow, connections)?
        };
        if outcome == Outcome::TimedOut {
            self.parts.usher.send_away();
        }
        let drain = self.drain.take()?;
        let receipt = drain.receipt(now, outcome, self.tally(), last_inflow);
        if self.order == Order::Stop {
            return Some(receipt);
        }
        self.hand_out(&receipt);
        None
    }

    fn hand_to_all(&mut self, input: &Input<'_>, now: Timestamp) {
        for index in 0..self.parts.advertisers.len() {
            self.hand_to(index, input, now);
        }
    }

    fn hand_to(&mut self, index: usize, input: &Input<'_>, now: Timestamp) {
        self.parts.advertisers[index].machine.handle(input.clone(), now, &mut self.outbox);
        self.outputs
            .extend(self.outbox.drain().map(|output| (Speaker::Advertiser(index), output)));
    }

    fn hand_to_peers(&mut self, input: &Input<'_>, now: Timestamp) {
        let Some(line) = &mut self.parts.peers else { return };
        line.machine.handle(input.clone(), now, &mut self.outbox);
        self.outputs.extend(self.outbox.drain().map(|output| (Speaker::Peers, output)));
    }

    /// Does what the machines want done.
    fn carry_out(&mut self) {
        if !self.outputs.is_empty() {
            self.leave_farewells();
        }
        for _ in 0..OUTPUTS_A_TURN {
            let Some((speaker, output)) = self.outputs.pop_front() else {
                return;
            };
            match output {
                Output::Event(Event::Wanted(wanted)) => {
                    tracing::debug!(?wanted, "asked for");
                    self.last_wanted = Some(clock::now());
                    self.next_look = clock::now();
                }
                Output::Event(Event::Notice(Severity::Info, text)) => tracing::info!("{text}"),
                Output::Event(Event::Notice(Severity::Warning, text)) => tracing::warn!("{text}"),
                Output::Send(channel, datagram) => {
                    let Some(handle) = self.handle_of(speaker, channel) else { continue };
                    if let Err(error) = self.parts.driver.send(handle, &datagram) {
                        tracing::debug!(?speaker, ?error, destination = %datagram.destination, "not sent");
                        self.hand_back(speaker, &Input::Unsent(channel, error));
                    }
                }
            }
        }
        tracing::warn!(
            count = self.outputs.len(),
            "a machine wants more than one turn can do; the rest is dropped"
        );
        self.outputs.clear();
    }

    fn handle_of(&self, speaker: Speaker, channel: ChannelId) -> Option<Handle> {
        match speaker {
            Speaker::Peers => self.parts.peers.as_ref()?.handle_of(channel),
            Speaker::Advertiser(index) => self.parts.advertisers.get(index)?.handle_of(channel),
        }
    }

    fn hand_back(&mut self, speaker: Speaker, input: &Input<'_>) {
        match speaker {
            Speaker::Peers => self.hand_to_peers(input, clock::now()),
            Speaker::Advertiser(index) => self.hand_to(index, input, clock::now()),
        }
    }
}

/// What a wait was ended by, packets apart.
#[derive(Clone, Copy, Debug, Default)]
struct Woken {
    inbox: bool,
    links: bool,
    signals: bool,
}
