//! The desk: what an operator asks of a running server, answered from the herald loop's own state.
//!
//! [`Desk`] takes commands from any thread and hands them to the loop; the loop answers between two waits. Loading zones and
//! listing them is not the loop's work and happens on a thread of its own.

use std::sync::Arc;
use std::thread;

use serde::Serialize;
use serde_json::value::to_raw_value;
use tokio::sync::oneshot;

use super::herald::Herald;
use super::message::{Inbox, Message};
use super::reload::Reload;
use super::show::{millis, show_decision};
use super::shutdown::{Outcome, Receipt};
use crate::base::peer::Peer;
use crate::control::status::{self, DrainReceipt, DrainedConnections};
use crate::control::{Command, Measurements, Operator, Reply};
use crate::io::clock;
use crate::monitor::observation::Order;

/// So many decisions are shown when none is named.
const LAST_DECISIONS: usize = 20;

/// The way from the admin socket and the web part to those who know.
pub(super) struct Desk {
    pub(super) inbox: Inbox,
    pub(super) reload: Arc<Reload>,
}

impl Operator for Desk {
    fn submit(&self, command: Command, reply: oneshot::Sender<Reply>) {
        match command {
            Command::Zones => {
                let zones = Arc::clone(&self.reload.zones);
                let list = move || {
                    // Nobody waits for the answer any more: then it is not needed.
                    let _ = reply.send(to_json(&zones.listing()));
                };
                if let Err(error) = thread::Builder::new().name("listing".to_owned()).spawn(list) {
                    tracing::error!(%error, "no thread for the list of zones");
                }
            }
            Command::Reload { zone } => self.reload.beside(zone, |outcome| {
                let _ = reply.send(outcome.and_then(|reloaded| to_json(&reloaded)));
            }),
            Command::Neighbors => {
                let _ = reply.send(Err(
                    "this is a server: a router side has a socket of its own, router.sock".to_owned()
                ));
            }
            command @ (Command::Status | Command::Explain { .. } | Command::Drain { .. } | Command::Undrain) => {
                self.inbox.put(Message::Command(command, reply));
            }
        }
    }

    fn measure(&self, reply: oneshot::Sender<Measurements>) {
        self.inbox.put(Message::Measure(reply));
    }
}

fn to_json<T: Serialize>(value: &T) -> Reply {
    to_raw_value(value).map_err(|error| error.to_string())
}

impl Herald {
    /// Answers one message; a drain is answered when it is over.
    pub(super) fn answer(&mut self, message: Message) {
        match message {
            Message::Measure(reply) => {
                let _ = reply.send(self.measurements());
            }
            Message::Command(Command::Drain { timeout, simulate: false }, reply) => {
                if self.order == Order::Stop {
                    let _ = reply.send(Err("the server is stopping already".to_owned()));
                    return;
                }
                self.order = Order::Drain;
                self.waiting_for_drain.push(reply);
                self.begin_drain(timeout.unwrap_or(self.parts.drain_timeout));
            }
            Message::Command(command, reply) => {
                let _ = reply.send(self.reply_to(&command));
            }
        }
    }

    fn reply_to(&mut self, command: &Command) -> Reply {
        match command {
            Command::Status => to_json(&self.status()),
            Command::Explain { id } => self.explain(*id),
            Command::Drain { .. } => to_json(&self.simulate_drain()),
            Command::Undrain => self.undrain(),
            Command::Zones | Command::Reload { .. } | Command::Neighbors => Err("the zones are not asked of the herald loop".to_owned()),
        }
    }

    fn undrain(&mut self) -> Reply {
        match self.order {
            Order::Serve => Err("the server is not draining".to_owned()),
            Order::Stop => Err("the server is stopping, which cannot be taken back".to_owned()),
            Order::Drain => {
                self.order = Order::Serve;
                self.drain = None;
                self.parts.usher.welcome();
                for reply in self.waiting_for_drain.drain(..) {
                    let _ = reply.send(Err("the drain was ended by undrain".to_owned()));
                }
                self.look_now();
                self.look(clock::now());
                to_json(&self.status())
            }
        }
    }

    fn simulate_drain(&self) -> DrainReceipt {
        let successor = self.successor();
        let alone = !self.parts.advertisers.is_empty() && successor.is_none();
        let warning = "no other server is known to be ready: queries would be served here until the drain-timeout, then lost".to_owned();
        DrainReceipt {
            simulated: true,
            complete: !alone,
            successor,
            connections: DrainedConnections {
                at_start: self.parts.monitor.figures().connections,
                ..DrainedConnections::default()
            },
            warnings: if alone { vec![warning] } else { Vec::new() },
            ..DrainReceipt::default()
        }
    }

    /// Who takes over, or would.
    fn successor(&self) -> Option<String> {
        let named = self.reports().iter().find_map(|report| report.successor);
        let peers = self.known_peers();
        let ready = |peer: &&Peer| peer.on_link && peer.statement.state.is_ready();
        let chosen = match named {
            Some(hash) => peers.iter().find(|peer| peer.hash == hash),
            None => peers
                .iter()
                .filter(ready)
                .max_by_key(|peer| (peer.statement.health, peer.statement.weight, peer.hash)),
        };
        chosen.map(|peer| peer.statement.identity.clone())
    }

    pub(super) fn known_peers(&self) -> &[Peer] {
        self.parts.peers.as_ref().map_or(&[], |line| line.machine.peers())
    }

    /// Tells everybody who waits for the drain what it cost.
    pub(super) fn hand_out(&mut self, receipt: &Receipt) {
        let lost = receipt.lost_after;
        let shown = DrainReceipt {
            simulated: false,
            complete: receipt.outcome == Outcome::Quiet,
            took_ms: millis(receipt.took),
            withdrawn_after_ms: receipt.withdrawn_after.map(millis),
            successor: self.successor(),
            last_query_after_ms: receipt.last_query_after.map(millis),
            received: receipt.queries_after,
            answered: receipt.queries_after.saturating_sub(lost),
            lost,
            connections: DrainedConnections {
                at_start: receipt.connections.at_start,
                opened: receipt.connections.opened,
                closed: receipt.connections.closed,
                broken: receipt.connections.broken,
                cut: receipt.connections.left,
            },
            warnings: warnings(receipt),
        };
        tracing::info!(
            received = shown.received,
            lost = shown.lost,
            connections = shown.connections.at_start + shown.connections.opened,
            closed = shown.connections.closed,
            broken = shown.connections.broken,
            cut = shown.connections.cut,
            "drained after {} ms",
            shown.took_ms
        );
        for reply in self.waiting_for_drain.drain(..) {
            let _ = reply.send(to_json(&shown));
        }
    }

    fn explain(&self, id: Option<u64>) -> Reply {
        let decisions: Vec<status::Decision> = match id {
            None => self.journal.entries().rev().take(LAST_DECISIONS).rev().map(show_decision).collect(),
            Some(id) => {
                let Some(entry) = self.journal.find(id) else {
                    let kept = self.journal.entries().next().map_or_else(
                        || "none yet".to_owned(),
                        |oldest| format!("{} to {}", oldest.id, self.standing.decision),
                    );
                    return Err(format!("decision {id} is not known; known are: {kept}"));
                };
                vec![show_decision(entry)]
            }
        };
        to_json(&decisions)
    }
}

fn warnings(receipt: &Receipt) -> Vec<String> {
    match (receipt.outcome, receipt.connections.left) {
        (Outcome::Quiet, _) => Vec::new(),
        (Outcome::CutShort, _) => vec!["a second signal ended the drain".to_owned()],
        (Outcome::TimedOut, 0) => vec!["queries still came when the drain-timeout was over".to_owned()],
        (Outcome::TimedOut, left) => vec![format!(
            "connections still open when the drain-timeout was over: {left}; each is closed in its next pause, within two seconds"
        )],
    }
}
