//! The router side, composed: the machine that keeps the neighbour cache, the servers' peer messages, and the kernel that
//! delivers by it.
//!
//! One process without a guardian: the kernel goes on forwarding while nobody is there, and the next start takes over what it
//! finds. `turn` is the loop, `show` what `neighbors` shows.

mod show;
mod turn;

use std::io;
use std::process::ExitCode;
use std::sync::Arc;

use tokio::sync::oneshot;

use self::turn::{Parts, RouterLoop};
use super::line::Line;
use super::message::{Inbox, Message};
use super::peering;
use super::server::{groups, names};
use crate::advertiser::peers::{self, Peers};
use crate::base::machine::{Channel, Machine};
use crate::config::RouterSettings;
use crate::control::socket::{AdminSocket, BindError};
use crate::control::{Command, Measurements, Operator, Reply};
use crate::io::capability::{Capability, missing};
use crate::io::clock;
use crate::io::driver::{Driver, OpenError};
use crate::io::files::FileError;
use crate::io::forwarder::{self, Forwarder, ForwarderError};
use crate::io::interface::InterfaceMonitor;
use crate::io::netlink::NetlinkError;
use crate::io::process::Signals;
use crate::router::{self, RouterSide};

/// Why the router side does not start, or had to end.
#[derive(Debug, thiserror::Error)]
enum RouterError {
    #[error("a router side needs {}, which this process does not have: start as root, or with AmbientCapabilities={} (systemd) or --cap-add (containers)", names(.0, " and "), names(.0, " "))]
    Capabilities(Vec<Capability>),
    #[error(transparent)]
    Channel(#[from] OpenError),
    #[error(transparent)]
    Link(#[from] NetlinkError),
    #[error(transparent)]
    Forwarder(#[from] ForwarderError),
    #[error("[peers] key-file: {0}")]
    Key(#[from] FileError),
    #[error(transparent)]
    Socket(#[from] BindError),
    #[error("the system refuses: {0}")]
    System(#[from] io::Error),
}

/// Delivers until told to stop; then the kernel does what it did before, unless it is to `keep` what it does now.
#[must_use]
pub fn router(settings: &RouterSettings, keep: bool) -> ExitCode {
    match run(settings, keep) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(settings: &RouterSettings, keep: bool) -> Result<(), RouterError> {
    // Before any other thread: they inherit the blocked signals.
    let signals = Signals::open()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("tokio")
        .enable_all()
        .build()?;
    // First of all: whoever has the admin socket already is a living router side, whose forwarding is not to be touched.
    let socket = {
        let _entered = runtime.enter();
        AdminSocket::bind(&settings.control_socket)?
    };
    let missing = missing(&[Capability::NetAdmin, Capability::NetRaw]);
    if !missing.is_empty() {
        return Err(RouterError::Capabilities(missing));
    }
    let driver = Driver::new()?;
    let (inbox, messages) = Inbox::new(driver.waker());
    let parts = put_on_the_link(settings, driver, messages, signals)?;
    let admin = runtime.spawn(socket.serve(Arc::new(Desk { inbox })));
    announce(settings);
    let mut turning = RouterLoop::new(parts, settings);
    let ended = turning.run();
    admin.abort();
    if keep {
        tracing::info!("stopped; the kernel goes on delivering as it does now");
    } else {
        let withdrawn = turning.withdraw()?;
        tracing::info!("stopped; the kernel delivers as it did before ({withdrawn})");
    }
    Ok(ended?)
}

fn put_on_the_link(
    settings: &RouterSettings,
    mut driver: Driver,
    inbox: std::sync::mpsc::Receiver<Message>,
    signals: Signals,
) -> Result<Parts, RouterError> {
    let interface = &settings.router.interface;
    let mut side = RouterSide::new(router::Setup {
        config: settings.router.clone(),
        services: settings.services.clone(),
    });
    let peers = settings.peers.enabled.then(|| listen_to_peers(settings)).transpose()?;
    let channels: Vec<&Channel> = side
        .channels()
        .iter()
        .chain(peers.iter().flat_map(|machine| machine.channels()))
        .collect();
    let link = InterfaceMonitor::open(interface, &groups(&channels, interface), &[])?;
    let handles = driver.open(side.channels())?;
    let peers = peers.map(|machine| {
        let handles = driver.open(machine.channels())?;
        Ok::<_, RouterError>(Line::new(Box::new(machine), handles))
    });
    let mut forwarder = Forwarder::open(forwarder::Setup {
        interface: interface.clone(),
        services: settings.services.clone(),
        grouping: settings.router.group,
        tcp_idle: settings.router.tcp_idle,
    })?;
    for warning in forwarder.warnings() {
        tracing::warn!("{warning}");
    }
    let found = forwarder.found()?;
    let inherited: usize = found.services.iter().map(|service| service.next_hops.len()).sum();
    if inherited > 0 {
        tracing::info!("the kernel has {inherited} next hops of an earlier run; they are taken over");
    }
    side.adopt(&found, clock::now());
    Ok(Parts {
        driver,
        inbox,
        signals,
        link,
        side: Line::new(Box::new(side), handles),
        peers: peers.transpose()?,
        forwarder,
    })
}

/// The servers' peer messages are heard; a router side says nothing of itself.
fn listen_to_peers(settings: &RouterSettings) -> Result<Peers, RouterError> {
    Ok(Peers::new(peers::Setup {
        config: settings.peers.clone(),
        key: peering::read_key(&settings.peers, "[peers] key-file and [router] require-signed end that")?,
        interface: settings.router.interface.clone(),
        identity: String::new(),
        boot: 0,
    }))
}

fn announce(settings: &RouterSettings) {
    let services: Vec<String> = settings.services.iter().map(ToString::to_string).collect();
    tracing::info!(
        "heraldns {} delivers queries for {} on {}; look with: heraldns neighbors --socket {}",
        env!("CARGO_PKG_VERSION"),
        services.join(", "),
        settings.router.interface,
        settings.control_socket.display()
    );
}

/// The way from the admin socket to the loop.
struct Desk {
    inbox: Inbox,
}

impl Operator for Desk {
    fn submit(&self, command: Command, reply: oneshot::Sender<Reply>) {
        match command {
            Command::Neighbors => self.inbox.put(Message::Command(command, reply)),
            Command::Status
            | Command::Zones
            | Command::Explain { .. }
            | Command::Drain { .. }
            | Command::Undrain
            | Command::Reload { .. } => {
                let _ = reply.send(Err(
                    "this is a router side, not a server: it answers `heraldns neighbors`".to_owned()
                ));
            }
        }
    }

    fn measure(&self, reply: oneshot::Sender<Measurements>) {
        // There is no web part that could ask.
        drop(reply);
    }
}
