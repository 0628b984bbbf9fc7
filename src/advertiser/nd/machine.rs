//! The nd machine: takes inputs apart, keeps the phase, and says in its report where it stands.
//!
//! What a holder does is in `holding`, what a leaving one does in `leaving`, what came in from the link in `receiving`; when
//! this server takes over is for the modes to say (`scene`).

use std::time::Duration;

use super::config::{Mode, Start};
use super::holding::Holding;
use super::inflow::Inflow;
use super::leaving::Leaving;
use super::others::{Candidate, Others, Precedence};
use super::phase::{Event, Phase};
use super::responder::Responder;
use super::routers::Routers;
use super::scene::{Scene, Turn, Vacancy, place};
use super::sender::{self, Sender};
use super::wire::ServiceInformation;
use super::{Config, receiving::Strangers, rotate};
use crate::advertiser::{Advertiser, Farewell, Report, State};
use crate::base::address::ServiceAddress;
use crate::base::machine::{self, Channel, Input, InterfaceState, Machine, Outbox, Severity, Wanted};
use crate::base::peer::{IdentityHash, MISSED_UNTIL_DEAD, PeerState};
use crate::base::tally::Tally;
use crate::base::time::Timestamp;
use crate::scheduler::{Decision, Intent, Withdrawal};

/// A process that did not run for more than so many intervals starts as new.
const MISSED_UNTIL_STALLED: u32 = 2;
/// An idle server that was asked stays awake for so long without hearing from the scheduler.
const AWAKE_FOR: Duration = Duration::from_secs(2);
/// So many entries lost to a living peer within this time, and this server lets the others go first for as long.
const LOSSES: (usize, Duration) = (2, Duration::from_secs(180));

/// What an nd machine is made of.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Its table in the config.
    pub config: Config,
    /// The link shared with router and peers.
    pub interface: String,
    /// The service addresses, which move together.
    pub services: Vec<ServiceAddress>,
    /// Hash of this server's identity.
    pub identity: IdentityHash,
    /// Time between peer messages; who lives is measured by it.
    pub peer_interval: Duration,
    /// The peer messages are signed: advertisements alone make this server yield to nobody.
    pub signed_only: bool,
    /// What the first advertisement is numbered with; should differ from start to start.
    pub first_sequence: u32,
}

/// Neighbor Discovery as an advertiser.
#[derive(Debug)]
pub struct NeighborDiscovery {
    pub(super) setup: Setup,
    channels: [Channel; 2],
    pub(super) sender: Sender,
    pub(super) others: Others,
    pub(super) routers: Routers,
    pub(super) responder: Responder,
    pub(super) strangers: Strangers,
    pub(super) inflow: Inflow,
    pub(super) dropped: Tally,
    pub(super) phase: Phase,
    pub(super) since: Timestamp,
    /// Of this server while it holds or leaves.
    pub(super) term: u32,
    highest_term: u32,
    pub(super) holding: Holding,
    pub(super) leaving: Leaving,
    pub(super) decision: Option<Decision>,
    /// Until then the server counts as wanted, whatever the scheduler said last.
    pub(super) awake_until: Option<Timestamp>,
    /// Since when no solicitation is waited for any more: one came, a router sends queries without, or some
    /// server has advertised before.
    pub(super) released: Option<Timestamp>,
    listened: bool,
    vacancy: Option<Vacancy>,
    turn: Option<Turn>,
    /// The last other holder: its name, and whether it was active.
    last_holder: Option<(String, bool)>,
    losses: Vec<Timestamp>,
    behind_until: Option<Timestamp>,
    /// When this server lost the link as the holder: back before the others lose patience, it is the holder still.
    link_lost: Option<Timestamp>,
    /// When the last call was.
    pub(super) ran: Timestamp,
    /// The deadline after it.
    promised: Option<Timestamp>,
}

/// Why a server takes over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// Its time has come.
    Due,
    /// Somebody asked, and nobody before it answered.
    Solicited,
}

impl NeighborDiscovery {
    /// A machine that says nothing before it knows its interface and a decision.
    #[must_use]
    pub fn new(setup: Setup) -> Self {
        Self {
            channels: sender::channels(&setup.interface, &setup.services),
            sender: Sender::new(setup.services.clone(), setup.first_sequence),
            others: Others::new(&setup.services, setup.signed_only, setup.peer_interval),
            routers: Routers::default(),
            responder: Responder::default(),
            strangers: Strangers::default(),
            inflow: Inflow::default(),
            dropped: Tally::default(),
            phase: Phase::Failed,
            since: Timestamp::ZERO,
            term: 0,
            highest_term: 0,
            holding: Holding::default(),
            leaving: Leaving::default(),
            decision: None,
            awake_until: None,
            released: (setup.config.start == Start::Ready).then_some(Timestamp::ZERO),
            listened: false,
            vacancy: None,
            turn: None,
            last_holder: None,
            losses: Vec::new(),
            behind_until: None,
            link_lost: None,
            ran: Timestamp::ZERO,
            promised: None,
            setup,
        }
    }

    pub(super) fn scene(&self, now: Timestamp) -> Scene<'_> {
        Scene {
            config: &self.setup.config,
            now,
            phase: self.phase,
            since: self.since,
            interval: self.setup.peer_interval,
            own: self.candidate(),
            others: &self.others,
            released: self.released,
            vacancy: self.vacancy,
            turn: self.turn,
            behind: self.behind_until.is_some_and(|until| now < until),
        }
    }

    fn candidate(&self) -> Candidate {
        Candidate {
            health: self.decision.as_ref().map_or(0, |decision| decision.health),
            weight: self.decision.as_ref().map_or(0, |decision| decision.weight),
            identity: self.setup.identity,
            link_layer: self.sender.link.link_layer,
        }
    }

    /// What option 253 says, but for what differs from packet to packet.
    pub(super) fn information(&self, state: PeerState) -> ServiceInformation {
        let decision = self.decision.as_ref();
        ServiceInformation {
            state,
            class: decision.map_or(0, |decision| decision.class as u8),
            weight: decision.map_or(0, |decision| decision.weight),
            load: decision.map_or(0, |decision| decision.load),
            recent_load: decision.map(|decision| decision.recent_load),
            health: decision.map_or(0, |decision| decision.health),
            term: self.told_term(),
            identity: self.setup.identity,
            ..ServiceInformation::default()
        }
    }

    fn told_term(&self) -> u32 {
        match self.phase {
            Phase::Holding | Phase::Leaving => self.term,
            Phase::Out | Phase::Failed | Phase::Listening | Phase::Following => self.highest_term,
        }
    }

    fn intent(&self) -> Option<Intent> {
        self.decision.as_ref().map(|decision| decision.intent)
    }

    /// Idle standby: silent by the scheduler's decision, and nobody asked since.
    pub(super) fn is_to_be_idle(&self, now: Timestamp) -> bool {
        self.intent() == Some(Intent::Silent) && self.awake_until.is_none_or(|until| now >= until)
    }

    /// Somebody wants the service: the scheduler is told if it thinks otherwise.
    pub(super) fn wake(&mut self, why: Wanted, now: Timestamp, out: &mut Outbox) {
        if self.is_to_be_idle(now) {
            out.event(machine::Event::Wanted(why));
        }
        self.awake_until = Some(now + AWAKE_FOR);
    }

    /// Moves to the phase after `event`, and does what entering it demands.
    pub(super) fn step(&mut self, event: Event, now: Timestamp, out: &mut Outbox) {
        let before = self.phase;
        self.phase = before.after(event);
        if self.phase == before && event != Event::Stalled {
            return;
        }
        self.since = now;
        self.listened = false;
        self.vacancy = None;
        match self.phase {
            Phase::Holding => {
                self.link_lost = None;
                self.start_holding(now, out);
            }
            Phase::Leaving => self.start_leaving(now, out),
            Phase::Out | Phase::Failed | Phase::Listening | Phase::Following => self.inflow.start_following(now),
        }
    }

    /// Becomes the holder.
    fn take_over(&mut self, cause: Cause, now: Timestamp, out: &mut Outbox) {
        let predecessor = self.last_holder.take();
        let was_active = predecessor.as_ref().is_some_and(|(_, active)| *active);
        match cause {
            Cause::Solicited => self.wake(Wanted::Solicitation, now, out),
            Cause::Due if was_active && self.setup.config.mode == Mode::Rotate => {
                self.awake_until = Some(now + rotate::trial(&self.scene(now)));
            }
            Cause::Due if was_active => self.wake(Wanted::TakeOver, now, out),
            Cause::Due => {}
        }
        self.term = self.highest_term.saturating_add(1);
        self.highest_term = self.term;
        self.step(Event::TakeOver, now, out);
        if self.setup.config.mode == Mode::Failover {
            if was_active {
                self.holding.expect_queries(now);
            }
            let from = predecessor.map_or_else(|| "nobody held it".to_owned(), |(name, _)| format!("after {name}"));
            out.notice(Severity::Info, format!("nd: holder, term {} ({from})", self.term));
        }
    }

    fn follow_decision(&mut self, now: Timestamp, out: &mut Outbox) {
        match self.intent() {
            None => {}
            Some(Intent::Advertise | Intent::Silent) => match self.phase {
                Phase::Out if self.is_flap(now) => self.step(Event::Flap, now, out),
                Phase::Out | Phase::Leaving => self.step(Event::Ready, now, out),
                Phase::Failed | Phase::Listening | Phase::Following | Phase::Holding => {}
            },
            Some(Intent::Withdraw(why)) => {
                self.step(Event::Withdraw(why), now, out);
                self.leaving.serving &= why != Withdrawal::Unhealthy;
            }
        }
    }

    fn link_changed(&mut self, state: &InterfaceState, now: Timestamp, out: &mut Outbox) {
        let before = std::mem::replace(&mut self.sender.link, state.clone());
        for router in &state.routers {
            self.routers.learn(*router, None, now);
        }
        match (before.is_usable(), state.is_usable()) {
            (false, false) => {}
            (true, false) => {
                if self.phase == Phase::Holding {
                    self.link_lost = Some(now);
                }
                self.step(Event::LinkLost, now, out);
            }
            (false, true) => {
                self.step(Event::LinkBack, now, out);
                self.follow_decision(now, out);
            }
            (true, true) => {
                if (before.link_layer, before.link_local) != (state.link_layer, state.link_local) && self.phase == Phase::Holding {
                    self.holding.announce_again(now);
                }
            }
        }
    }

    /// The link was lost under this server as the holder, and nobody has taken its place or is about to.
    fn is_flap(&self, now: Timestamp) -> bool {
        let patience = self.setup.peer_interval * MISSED_UNTIL_DEAD;
        let in_time = self.link_lost.is_some_and(|at| now.since(at) < patience);
        in_time && self.others.highest_term() <= self.term && self.others.holder(now).is_none()
    }

    /// A stall of our own must not look like the death of the others, nor end in an advertisement.
    fn notice_stall(&mut self, now: Timestamp, out: &mut Outbox) {
        let Some(promised) = self.promised else { return };
        if now <= promised + self.setup.peer_interval * MISSED_UNTIL_STALLED {
            return;
        }
        out.notice(
            Severity::Warning,
            format!("nd: did not run for {} ms, starts as new", now.since(promised).as_millis()),
        );
        self.start_anew(now, out);
    }

    fn start_anew(&mut self, now: Timestamp, out: &mut Outbox) {
        self.responder.take_pending();
        self.last_holder = None;
        self.link_lost = None;
        self.turn = None;
        self.step(Event::Stalled, now, out);
        self.follow_decision(now, out);
    }

    fn run(&mut self, now: Timestamp, out: &mut Outbox) {
        self.highest_term = self.highest_term.max(self.others.highest_term());
        if self.highest_term > 0 {
            self.released.get_or_insert(now);
        }
        self.watch_holder(now, out);
        if self.phase.is_candidate() {
            self.watch_vacancy(now);
            self.listened |= self.scene(now).has_listened();
            self.answer_postponed(now, out);
        }
        if self.phase.is_candidate() && self.scene(now).take_over_at().is_some_and(|at| now >= at) {
            self.take_over(Cause::Due, now, out);
        }
        match self.phase {
            Phase::Holding => self.hold(now, out),
            Phase::Leaving => self.leave(now, out),
            Phase::Out | Phase::Failed | Phase::Listening | Phase::Following => {}
        }
        self.inflow.tell(now, self.setup.peer_interval);
        self.ran = now;
        self.promised = self.next_deadline(now);
    }

    /// Follows, yields to, or contradicts whoever else says that it holds the service address.
    fn watch_holder(&mut self, now: Timestamp, out: &mut Outbox) {
        if self.setup.config.mode == Mode::Member {
            return;
        }
        let Some(holder) = self.others.holder(now) else { return };
        let (keeps, heard) = (holder.keeps(now), holder.last_heard());
        let (Some(precedence), link_layer) = (holder.precedence(), holder.link_layer()) else {
            return;
        };
        match self.phase {
            Phase::Out | Phase::Failed => {}
            Phase::Listening | Phase::Following => {
                self.last_holder = Some((holder.name(), !holder.is_idle()));
                self.watch_turn(precedence, heard);
                self.vacancy = None;
                let first_listens = self.setup.config.mode == Mode::Rotate && !self.scene(now).has_listened();
                if !first_listens {
                    self.step(Event::OtherHolds, now, out);
                }
            }
            Phase::Holding if !keeps => {}
            Phase::Holding => {
                let own = Precedence {
                    term: self.term,
                    candidate: self.candidate(),
                };
                if precedence > own {
                    self.last_holder = Some((holder.name(), !holder.is_idle()));
                    self.yield_to(precedence, heard, now, out);
                } else {
                    self.holding.contradict(heard);
                }
            }
            Phase::Leaving => self.leaving.watch_successor(keeps.then_some(link_layer).flatten()),
        }
    }

    fn yield_to(&mut self, precedence: Precedence, heard: Timestamp, now: Timestamp, out: &mut Outbox) {
        self.step(Event::OtherHolds, now, out);
        self.watch_turn(precedence, heard);
        if self.setup.config.mode == Mode::Rotate {
            return;
        }
        let name = self.last_holder_name();
        out.notice(Severity::Info, format!("nd: {name} holds it now, term {}", precedence.term));
        let (most, within) = LOSSES;
        self.losses.retain(|at| now.since(*at) < within);
        self.losses.push(now);
        if self.losses.len() >= most {
            self.losses.clear();
            self.behind_until = Some(now + within);
            let text = format!(
                "nd: lost the service address to living peers {most} times within {} s: lets others go first",
                within.as_secs()
            );
            out.notice(Severity::Warning, text);
        }
    }

    fn watch_turn(&mut self, precedence: Precedence, heard: Timestamp) {
        let Precedence { term, candidate: owner } = precedence;
        let same = |turn: Turn| turn.term == term && place(&turn.owner) == place(&owner);
        if !self.turn.is_some_and(same) {
            self.turn = Some(Turn {
                owner,
                term,
                started: heard,
            });
        }
    }

    fn watch_vacancy(&mut self, now: Timestamp) {
        if self.phase != Phase::Following || self.others.holder(now).is_some() || self.vacancy.is_some() {
            return;
        }
        let find = |turn: Turn| Some((turn.started, self.others.find(turn.owner.identity, turn.owner.link_layer)?));
        let last = self.turn.and_then(find);
        let given_up = last.is_some_and(|(held_since, last)| last.serves(now) && !last.has_restarted_since(held_since));
        let patience = if given_up {
            self.setup.peer_interval * MISSED_UNTIL_DEAD
        } else {
            Duration::ZERO
        };
        let died = last.map_or(now, |(_, last)| last.dies_at());
        self.vacancy = Some(Vacancy {
            since: if given_up { now } else { died.min(now) },
            patience,
        });
    }

    /// Answers those who asked, if nobody before this server in the order did.
    fn answer_postponed(&mut self, now: Timestamp, out: &mut Outbox) {
        if let Some(holder) = self.others.holder(now) {
            self.responder.leave_to_holder(holder.last_heard());
        }
        if self.responder.due().is_some_and(|due| now >= due) {
            self.take_over(Cause::Solicited, now, out);
        }
    }

    fn next_deadline(&self, now: Timestamp) -> Option<Timestamp> {
        let scene = self.scene(now);
        let phase_timers = match self.phase {
            Phase::Out | Phase::Failed => return None,
            Phase::Listening | Phase::Following => [Some(self.since + scene.listening()), scene.take_over_at(), self.responder.due()],
            Phase::Holding => [self.holding.deadline(), scene.take_over_at(), self.awake_until],
            Phase::Leaving => [self.leaving.deadline(), None, None],
        };
        let deaths = self.others.iter().map(|other| other.dies_at());
        let heartbeat = now + self.setup.peer_interval;
        let timers = phase_timers.into_iter().flatten().chain(deaths).chain([heartbeat]);
        timers.filter(|at| *at > now).min()
    }

    fn state(&self) -> State {
        let ready_soon = !matches!(self.intent(), None | Some(Intent::Withdraw(Withdrawal::Starting)));
        match self.phase {
            _ if !ready_soon => State::Starting,
            Phase::Out => State::Withdrawn,
            Phase::Failed => State::Failed,
            Phase::Listening if !self.listened => State::Starting,
            Phase::Listening | Phase::Following => State::Silent,
            Phase::Holding if self.holding.idle => State::Silent,
            Phase::Holding => State::Advertising,
            Phase::Leaving => State::Withdrawing,
        }
    }

    fn last_holder_name(&self) -> &str {
        self.last_holder.as_ref().map_or("nobody yet", |(name, _)| name)
    }

    fn detail(&self) -> String {
        match self.phase {
            Phase::Out => "queries are not wanted".to_owned(),
            Phase::Failed => "the link, its group or the service address is missing".to_owned(),
            Phase::Listening if self.released.is_none() => "waits for the first solicitation".to_owned(),
            Phase::Listening => "listens before it speaks".to_owned(),
            Phase::Following => format!("holder is {}", self.last_holder_name()),
            Phase::Holding => {
                // Members hold it side by side.
                let role = if self.setup.config.mode == Mode::Member {
                    "member"
                } else {
                    "holder"
                };
                let idle = if self.holding.idle { ", idle" } else { "" };
                format!("{role}{idle}, term {}", self.term)
            }
            Phase::Leaving => self.leaving.detail(),
        }
    }
}

impl Machine for NeighborDiscovery {
    fn channels(&self) -> &[Channel] {
        &self.channels
    }

    fn handle(&mut self, input: Input<'_>, now: Timestamp, out: &mut Outbox) {
        self.notice_stall(now, out);
        match input {
            Input::Tick => {}
            Input::Interface(state) => self.link_changed(state, now, out),
            Input::Peers(peers) => {
                let misdelivering = self.others.hear_peers(peers, now);
                self.hear_misdelivered(&misdelivering, now, out);
            }
            Input::Datagram(_, packet) => self.receive(&packet, now, out),
            Input::Unsent(..) => self.sender.errors += 1,
            Input::Inflow(total) => {
                self.inflow.count(total, now, self.phase == Phase::Following);
                self.holding.queries_came();
                self.released.get_or_insert(now);
            }
        }
        self.run(now, out);
    }

    fn deadline(&self) -> Option<Timestamp> {
        self.promised
    }
}

impl Advertiser for NeighborDiscovery {
    fn apply(&mut self, decision: &Decision, now: Timestamp, out: &mut Outbox) {
        self.notice_stall(now, out);
        let woken = decision.intent == Intent::Advertise;
        self.decision = Some(decision.clone());
        if woken {
            self.awake_until = None;
        }
        self.follow_decision(now, out);
        self.run(now, out);
    }

    fn farewell(&self) -> Vec<Farewell> {
        self.hand_over_of_the_dead()
    }

    fn taken_back(&mut self, now: Timestamp, out: &mut Outbox) {
        self.sender.skip_farewell();
        self.start_anew(now, out);
        self.run(now, out);
    }

    fn report(&self) -> Report {
        let holds = self.phase == Phase::Holding;
        Report {
            protocol: "nd",
            state: self.state(),
            holder: holds || self.phase == Phase::Leaving && self.leaving.is_holder(),
            advertised: holds && !self.holding.idle,
            // Members hold it side by side: nobody is displaced by one more.
            other_holder: match self.setup.config.mode {
                Mode::Member => None,
                Mode::Failover | Mode::Rotate => self.others.holder(self.ran).map(|holder| holder.identity),
            },
            sole: self.setup.config.mode != Mode::Member,
            term: self.told_term(),
            successor: if self.phase == Phase::Leaving {
                self.leaving.successor()
            } else {
                None
            },
            cost: None,
            other_routes: None,
            misdelivered: self.inflow.told,
            sent: self.sender.sent,
            errors: self.sender.errors,
            dropped: self.dropped.entries().to_vec(),
            detail: self.detail(),
        }
    }

    fn is_withdrawn(&self) -> bool {
        matches!(self.phase, Phase::Out | Phase::Failed)
    }
}
