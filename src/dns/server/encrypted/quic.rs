//! QUIC (RFC 9250): hickory's server on a socket of its own, watched, and closed when no query comes any more.
//!
//! Hickory completes one handshake after the other, with five seconds for each, takes a hundred queries per connection, and
//! has no limit for connections: nothing of that can be changed from here (docs/decisions/0007).

use std::net::UdpSocket;
use std::pin::pin;
use std::sync::mpsc::Sender;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time;

use super::Encryption;
use super::keeper::{Keeper, Register};
use crate::dns::server::visit::LEAVING_IDLE;
use crate::dns::server::{HEARTBEAT, Phase};
use crate::io::clock;

/// What starts hickory's server on `socket`.
pub(super) fn register(socket: UdpSocket, encryption: Encryption, idle: Duration) -> Register {
    Box::new(move |server| {
        let socket = tokio::net::UdpSocket::from_std(socket.try_clone()?)?;
        server.register_quic_listener(socket, idle, encryption.certificates.clone())
    })
}

/// Serves until the phase says otherwise. `_ending` is dropped at the end.
pub(super) async fn run(keeper: Keeper, mut phases: watch::Receiver<Phase>, _ending: Sender<()>) {
    let mut serving = pin!(keeper.keep());
    let mut draining_since = None;
    loop {
        let now = clock::now();
        keeper.counters.workers[0].beat(now);
        match *phases.borrow_and_update() {
            Phase::Serve | Phase::Leave | Phase::Part => {}
            Phase::Drain => {
                let since = *draining_since.get_or_insert(now);
                if now.since(keeper.handler.last_request().max(since)) >= LEAVING_IDLE {
                    return;
                }
            }
            Phase::Stop => return,
        }
        tokio::select! {
            () = &mut serving => {}
            () = time::sleep(HEARTBEAT) => {}
            changed = phases.changed() => if changed.is_err() { return },
        }
    }
}
