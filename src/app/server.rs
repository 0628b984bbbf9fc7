//! The server role: builds every part from the checked settings, runs the herald loop, takes the parts down in order.
//!
//! Order of a start: admin socket (one server at a time), zones, address, sockets, self-probe, machines, web, loop. Order of
//! an end: the loop has withdrawn and seen quiet; then sockets are emptied and closed, the address is removed last.

use std::io;
use std::net::{Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{self, TryRecvError};
use std::thread;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::runtime::Runtime;

use super::boot;
use super::desk::Desk;
use super::encryption;
use super::guardian::{self, Watcher};
use super::herald::{Herald, Parts};
use super::lifeline::Lifeline;
use super::line::Line;
use super::message::Inbox;
use super::peering::{self, Identity};
use super::protection::{self, SecretKeeper};
use super::reload::Reload;
use super::shutdown::Outcome;
use super::zones::ZoneKeeper;
use crate::advertiser::Advertiser;
use crate::advertiser::nd::{self, NeighborDiscovery};
use crate::advertiser::ospf::{self, Ospf};
use crate::advertiser::peers::{self, Peers};
use crate::base::machine::{Channel, Machine};
use crate::base::peer::IdentityHash;
use crate::config::secrets::SecretFileError;
use crate::config::service::Service as ServiceSettings;
use crate::config::{AdvertiserConfig, Settings};
use crate::control::socket::AdminSocket;
use crate::control::{self, Operator};
use crate::dns::counters::Counters;
use crate::dns::server::encrypted::{self, CertificateError, Certificates};
use crate::dns::server::{Limits, Listener, ServeError, Service, Shared};
use crate::dns::zone::ZoneSet;
use crate::io::capability::{Capability, missing};
use crate::io::clock;
use crate::io::driver::{Driver, OpenError, Token};
use crate::io::files::{self, FileError};
use crate::io::interface::{AddressHolder, InterfaceMonitor, Origin, PlaceError, is_forwarding};
use crate::io::netlink::NetlinkError;
use crate::io::process::{Asked, Signals, raise_descriptor_limit};
use crate::monitor::Monitor;
use crate::monitor::probe::Probe;
use crate::scheduler::Policy;

/// Answering what is left in the sockets takes no longer, or is given up.
const EMPTYING: Duration = Duration::from_secs(2);
/// While zones are read, signals are looked for at least so often.
const PATIENCE: Duration = Duration::from_millis(500);
/// Threads for TCP and the encrypted transports, the admin socket and the web part.
const RUNTIME_THREADS: usize = 2;
/// Descriptors of a connection, at most: HTTPS has one of the client's and two on the way to hickory's server.
const DESCRIPTORS_PER_CONNECTION: u64 = 3;
/// Descriptors for everything else.
const OTHER_DESCRIPTORS: u64 = 256;

/// Why the server does not start, or had to end.
#[derive(Debug, thiserror::Error)]
pub(super) enum ServerError {
    #[error("a [service] needs {}, which this process does not have: start as root, or with AmbientCapabilities={} (systemd) or --cap-add (containers)", names(.0, " and "), names(.0, " "))]
    Capabilities(Vec<Capability>),
    #[error(
        "interface {interface} forwards packets and has addresses of its own ({addresses}): this host is a router on that link, and its kernel would answer for the routers' side; turn forwarding off (sysctl net.ipv6.conf.{interface}.forwarding=0) or leave out the nd advertiser"
    )]
    IsRouter { interface: String, addresses: String },
    #[error(transparent)]
    Place(#[from] PlaceError),
    #[error(transparent)]
    Listen(#[from] ServeError),
    #[error(transparent)]
    Channel(#[from] OpenError),
    #[error(transparent)]
    Link(#[from] NetlinkError),
    #[error("[dns] certificate-file, key-file: {0}")]
    Certificate(#[from] CertificateError),
    #[error("[peers] key-file: {0}")]
    Key(#[from] FileError),
    #[error("[[advertiser]] authentication key-file: {0}")]
    OspfKey(#[source] FileError),
    #[error(
        "[[advertiser]] authentication key-file: {} has a key of {length} octets: write 1 to {longest}, longer ones are not used alike by all routers", file.display()
    )]
    OspfKeyLength { file: PathBuf, length: usize, longest: usize },
    #[error("[dns] cookie-secret-file: {0}")]
    Secrets(#[from] SecretFileError),
    #[error(transparent)]
    Socket(#[from] control::socket::BindError),
    #[error(transparent)]
    Port(#[from] control::port::BindError),
    #[error("the system refuses: {0}")]
    System(#[from] io::Error),
}

pub(super) fn names(capabilities: &[Capability], between: &str) -> String {
    capabilities.iter().map(ToString::to_string).collect::<Vec<_>>().join(between)
}

/// Serves until told to stop.
pub(super) fn run(settings: &Settings) -> Result<(), ServerError> {
    // Before any other thread: they inherit the blocked signals.
    let signals = Signals::open()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(RUNTIME_THREADS)
        .thread_name("tokio")
        .enable_all()
        .build()?;
    // First of all: whoever has the admin socket already is a living server, whose address is not to be touched.
    let socket = {
        let _entered = runtime.enter();
        AdminSocket::bind(&settings.control_socket)?
    };
    if let Some(service) = &settings.service {
        check_privileges(service)?;
    }
    allow_descriptors(settings);
    let shared = Arc::new(Shared {
        zones: ArcSwap::from_pointee(ZoneSet::default()),
        identity: settings.identity.clone(),
        version: version(),
        udp_payload: settings.dns.udp_payload,
        load: Arc::default(),
        protection: protection::build(settings)?,
    });
    let zones = Arc::new(ZoneKeeper::new(settings.zones.clone(), Arc::clone(&shared)));
    let loading = load_zones(&zones, &signals)?;
    if loading == Loading::StopOrdered {
        return Ok(());
    }
    let mut holder = place_address(settings.service.as_ref())?;
    let running = start(settings, signals, &runtime, shared, zones, socket);
    let running = running.inspect_err(|_| {
        if let Some(holder) = &mut holder {
            holder.take_back();
        }
    })?;
    if loading == Loading::Outdated {
        running.reload.hang_up();
    }
    let ended = running.run_to_the_end();
    if let Some(Err(error)) = holder.map(AddressHolder::remove) {
        tracing::error!("{error}");
    }
    tracing::info!("stopped");
    ended
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Loading {
    Done,
    /// A hang-up came meanwhile: what had been read by then may have changed.
    Outdated,
    StopOrdered,
}

/// Loads all zones on a thread of their own, so that a signal is heard meanwhile. Nothing listens yet: a name must not be
/// refused because its zone is still being read.
fn load_zones(zones: &Arc<ZoneKeeper>, signals: &Signals) -> io::Result<Loading> {
    let mut driver = Driver::new()?;
    driver.watch(signals, Token(0))?;
    let (keeper, waker) = (Arc::clone(zones), driver.waker());
    // Nothing is ever sent: the way is closed when the loader is done, and when it has panicked.
    let (unfinished, end_of_loading) = mpsc::channel::<()>();
    thread::Builder::new().name("zones".to_owned()).spawn(move || {
        if let Err(error) = keeper.load(None) {
            tracing::error!("{error}");
        }
        drop(unfinished);
        waker.wake();
    })?;
    let mut loading = Loading::Done;
    while end_of_loading.try_recv() != Err(TryRecvError::Disconnected) {
        driver.wait(Some(clock::now() + PATIENCE), |_| ())?;
        while let Some(asked) = signals.next_asked()? {
            match asked {
                Asked::Stop(_) => return Ok(Loading::StopOrdered),
                Asked::Reload => loading = Loading::Outdated,
                Asked::ChildEnded | Asked::Ready => {}
            }
        }
    }
    Ok(loading)
}

fn place_address(service: Option<&ServiceSettings>) -> Result<Option<AddressHolder>, ServerError> {
    let Some(service) = service else { return Ok(None) };
    let holder = AddressHolder::place(&service.addresses)?;
    if holder.brought_loopback_up() {
        tracing::info!("the interface lo was down and has been brought up");
    }
    for held in holder.held() {
        match held.origin {
            Origin::Placed => tracing::debug!(address = %held.address, "put on lo"),
            Origin::Recovered => tracing::info!("{} stands on lo since an earlier run", held.address),
            Origin::Administrator if held.on_loopback => tracing::info!("{} stands on lo already; it will stay there", held.address),
            Origin::Administrator => tracing::warn!(
                "{} stands on an interface other than lo: if that is the link, the kernel answers solicitations for it even when \
                 the service has failed; take it away there and heraldns puts it on lo",
                held.address
            ),
        }
    }
    Ok(Some(holder))
}

/// A server whose parts are all there.
struct Running {
    herald: Herald,
    service: Service,
    probe: Probe,
    reload: Arc<Reload>,
    _control: Control,
}

impl Running {
    /// Everything between the address being there and the address being gone.
    fn run_to_the_end(mut self) -> Result<(), ServerError> {
        let receipt = self.herald.run()?;
        self.herald.hand_out(&receipt);
        // Its queries would keep the sockets from ever being empty.
        drop(self.probe);
        if receipt.outcome == Outcome::CutShort {
            self.service.stop();
        } else if !self.service.drain(EMPTYING) {
            tracing::warn!("queries still came when the sockets were closed");
        }
        self.herald.say_gone(receipt.outcome);
        Ok(())
    }
}

fn start(
    settings: &Settings,
    signals: Signals,
    runtime: &Runtime,
    shared: Arc<Shared>,
    zones: Arc<ZoneKeeper>,
    socket: AdminSocket,
) -> Result<Running, ServerError> {
    let counters = Arc::new(Counters::new());
    let limits = Limits::of(&settings.dns);
    let secrets = SecretKeeper::new(settings, Arc::clone(&shared));
    let told_load = Arc::clone(&shared.load);
    let telling = protection::tell(Arc::clone(&shared));
    let mut service = Service::start(
        &listeners(settings),
        shared,
        Arc::clone(&counters),
        limits,
        runtime.handle().clone(),
    )?;
    let certificates = encryption::open(settings, &mut service)?;
    let reload = Arc::new(Reload {
        zones: Arc::clone(&zones),
        secrets,
        certificates: certificates.clone(),
    });
    let addresses: Vec<SocketAddr> = service.addresses().collect();
    let probe = Probe::start(&addresses, settings.identity.clone())?;
    let capacity = settings.service.as_ref().and_then(|service| service.capacity);
    let driver = Driver::new()?;
    let (inbox, messages) = Inbox::new(driver.waker());
    let mut parts = Parts {
        driver,
        inbox: messages,
        signals,
        guardian: Watcher::find(),
        advertisers: Vec::new(),
        peers: None,
        links: Vec::new(),
        lifeline: Lifeline::new(guardian::farewell_slot()),
        monitor: Monitor::new(
            counters,
            probe.record(),
            Some(runtime.handle().clone()),
            capacity,
            std::process::id(),
        ),
        zones,
        reload: Arc::clone(&reload),
        certificates: certificates.clone(),
        usher: service.usher(),
        told_load,
        policy: Policy {
            // Without a service nothing is advertised, and there is nothing to be silent about.
            standby_after: settings
                .service
                .as_ref()
                .map_or(Duration::ZERO, |_| settings.scheduler.standby_after),
            hold: settings.scheduler.hold,
            identity: IdentityHash::of(&settings.identity),
        },
        drain_timeout: settings.scheduler.drain_timeout,
        identity: identity(settings),
    };
    if let Some(service) = &settings.service {
        put_on_the_link(&mut parts, settings, service)?;
    }
    let desk = Desk {
        inbox,
        reload: Arc::clone(&reload),
    };
    let mut control = open_control(settings, runtime, socket, &Arc::new(desk))?;
    control.0.push(runtime.spawn(telling));
    control.0.extend(watch(runtime, certificates));
    announce(settings, &addresses, &parts);
    parts.guardian.tell_ready();
    Ok(Running {
        herald: Herald::new(parts),
        service,
        probe,
        reload,
        _control: control,
    })
}

fn listeners(settings: &Settings) -> Vec<Listener> {
    let unicast = settings.dns.listen.iter().map(|address| Listener {
        address: *address,
        service: false,
    });
    let anycast = settings.service.iter().flat_map(|service| {
        let port = service.port.get();
        service.addresses.iter().map(move |address| Listener {
            address: (address.get(), port).into(),
            service: true,
        })
    });
    unicast.chain(anycast).collect()
}

fn identity(settings: &Settings) -> Identity {
    let service = settings.service.as_ref();
    let mut services: Vec<Ipv6Addr> = service.map_or(Vec::new(), |service| {
        service.addresses.iter().map(|address| address.get()).collect()
    });
    services.sort_unstable();
    Identity {
        name: settings.identity.clone(),
        services,
        interface: service.map_or_else(String::new, |service| service.interface.clone()),
        weight: service.map_or(0, |service| service.weight.get()),
    }
}

/// As many descriptors as all connections together need, if the system allows it.
fn allow_descriptors(settings: &Settings) {
    let needed = settings.dns.tcp_connections as u64 * DESCRIPTORS_PER_CONNECTION + OTHER_DESCRIPTORS;
    match raise_descriptor_limit() {
        Ok(Some(most)) if most < needed => tracing::warn!(
            "{most} descriptors are allowed, and all connections may need {needed}: raise LimitNOFILE= (systemd) or ulimit -n, or lower [dns] tcp-connections"
        ),
        Ok(_) => {}
        Err(error) => tracing::warn!(%error, "the limit of descriptors stays as it is"),
    }
}

/// All that is missing is said at once, before anything is touched.
fn check_privileges(service: &ServiceSettings) -> Result<(), ServerError> {
    let mut wanted = vec![Capability::NetAdmin, Capability::NetRaw];
    if service.port.get() < 1_024 {
        wanted.push(Capability::NetBindService);
    }
    let missing = missing(&wanted);
    if missing.is_empty() {
        Ok(())
    } else {
        Err(ServerError::Capabilities(missing))
    }
}

/// The advertisers, the peers, and the links that they stand on: the service's first.
fn put_on_the_link(parts: &mut Parts, settings: &Settings, service: &ServiceSettings) -> Result<(), ServerError> {
    let machines = advertisers(settings, service)?;
    let peers = if settings.peers.enabled {
        Some(peers(settings, service)?)
    } else {
        None
    };
    let channels: Vec<&Channel> = machines
        .iter()
        .map(|machine| machine.channels())
        .chain(peers.iter().map(|machine| machine.channels()))
        .flatten()
        .collect();
    let mut names = vec![service.interface.as_str()];
    for channel in &channels {
        if !names.contains(&channel.interface()) {
            names.push(channel.interface());
        }
    }
    for name in names {
        let link = InterfaceMonitor::open(name, &groups(&channels, name), &service.addresses)?;
        parts.links.push(link);
    }
    let speaks_nd = settings.advertisers.iter().any(|config| matches!(config, AdvertiserConfig::Nd(_)));
    if let Some(link) = parts.links.first().filter(|_| speaks_nd) {
        refuse_routers(link)?;
    }
    for machine in machines {
        let handles = parts.driver.open(machine.channels())?;
        parts.advertisers.push(Line::new(machine, handles));
    }
    if let Some(machine) = peers {
        let handles = parts.driver.open(machine.channels())?;
        parts.peers = Some(Line::new(Box::new(machine), handles));
    }
    Ok(())
}

/// The groups that have to be held on the interface called `name`.
pub(super) fn groups(channels: &[&Channel], name: &str) -> Vec<Ipv6Addr> {
    let mut groups = Vec::new();
    for channel in channels.iter().filter(|channel| channel.interface() == name) {
        match channel {
            Channel::Raw { groups: joined, .. } | Channel::Udp { groups: joined, .. } => groups.extend(joined),
            Channel::Frame { .. } => {}
        }
    }
    groups
}

fn refuse_routers(link: &InterfaceMonitor) -> Result<(), ServerError> {
    let addresses = &link.state().addresses;
    // An interface that does not exist yet does not forward.
    if !is_forwarding(link.name()).unwrap_or(false) || addresses.is_empty() {
        return Ok(());
    }
    let addresses = addresses.iter().map(Ipv6Addr::to_string).collect::<Vec<_>>().join(", ");
    Err(ServerError::IsRouter {
        interface: link.name().to_owned(),
        addresses,
    })
}

fn advertisers(settings: &Settings, service: &ServiceSettings) -> Result<Vec<Box<dyn Advertiser>>, ServerError> {
    let build = |config: &AdvertiserConfig| -> Result<Box<dyn Advertiser>, ServerError> {
        Ok(match config {
            AdvertiserConfig::Nd(config) => Box::new(NeighborDiscovery::new(nd::Setup {
                config: config.clone(),
                interface: service.interface.clone(),
                services: service.addresses.clone(),
                identity: IdentityHash::of(&settings.identity),
                peer_interval: settings.peers.interval,
                signed_only: !settings.peers.key_file.as_os_str().is_empty(),
                first_sequence: (clock::random_seed() >> 32) as u32,
            })),
            AdvertiserConfig::Ospf(config) => Box::new(Ospf::new(ospf::Setup {
                config: config.clone(),
                interface: if config.interface.is_empty() {
                    service.interface.clone()
                } else {
                    config.interface.clone()
                },
                services: service.addresses.clone(),
                key: config.authentication.as_ref().map(ospf_key).transpose()?,
                boot: boot::count(settings.state_directory.as_deref()),
                seed: clock::random_seed(),
            })),
        })
    };
    settings.advertisers.iter().map(build).collect()
}

fn ospf_key(config: &ospf::config::Authentication) -> Result<ospf::wire::Key, ServerError> {
    let octets = files::read(&config.key_file).map_err(ServerError::OspfKey)?;
    let secret = octets.trim_ascii();
    let longest = config.algorithm.longest_secret();
    if secret.is_empty() || secret.len() > longest {
        return Err(ServerError::OspfKeyLength {
            file: config.key_file.clone(),
            length: secret.len(),
            longest,
        });
    }
    Ok(ospf::wire::Key::new(config.key_id, config.algorithm, secret))
}

fn peers(settings: &Settings, service: &ServiceSettings) -> Result<Peers, ServerError> {
    Ok(Peers::new(peers::Setup {
        config: settings.peers.clone(),
        key: peering::read_key(&settings.peers, "[peers] key-file ends that")?,
        interface: service.interface.clone(),
        identity: settings.identity.clone(),
        boot: boot::count(settings.state_directory.as_deref()),
    }))
}

/// Tasks that live as long as the loop: dropping it closes the admin socket and the web part, and ends the telling of who is
/// limited and the look after the certificate.
struct Control(Vec<tokio::task::JoinHandle<()>>);

impl Drop for Control {
    fn drop(&mut self) {
        self.0.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

fn open_control(settings: &Settings, runtime: &Runtime, socket: AdminSocket, desk: &Arc<Desk>) -> Result<Control, ServerError> {
    let operator: Arc<dyn Operator> = Arc::clone(desk) as _;
    let mut tasks = vec![runtime.spawn(socket.serve(Arc::clone(&operator)))];
    if let Some(listen) = settings.web {
        let listener = runtime.block_on(control::port::bind(listen, "web"))?;
        let operator = Arc::clone(&operator);
        tasks.push(runtime.spawn(async move {
            if let Err(error) = control::web::serve(listener, operator).await {
                tracing::error!(%error, "the web part has ended");
            }
        }));
    }
    if let Some(listen) = settings.agent_check {
        let listener = runtime.block_on(control::port::bind(listen, "agent-check"))?;
        tasks.push(runtime.spawn(control::agent_check::serve(listener, operator)));
    }
    Ok(Control(tasks))
}

/// Who renews the certificate need not tell this server.
fn watch(runtime: &Runtime, certificates: Option<Arc<Certificates>>) -> Option<tokio::task::JoinHandle<()>> {
    Some(runtime.spawn(certificates?.watch(encrypted::LOOK)))
}

fn version() -> String {
    format!("heraldns {}", env!("CARGO_PKG_VERSION"))
}

/// Says what is served, where, and what to try.
fn announce(settings: &Settings, addresses: &[SocketAddr], parts: &Parts) {
    let numbers = parts.zones.numbers();
    tracing::info!(
        "{} serves {} zones with {} records as {}",
        version(),
        numbers.loaded,
        numbers.records,
        settings.identity
    );
    for address in addresses {
        tracing::info!("listening on {address}, UDP and TCP");
    }
    if let Some(web) = settings.web {
        tracing::info!(
            "status: http://{web}/ or heraldns status --socket {}",
            settings.control_socket.display()
        );
    }
    if let (Some(zone), Some(address)) = (parts.zones.example(), addresses.first()) {
        tracing::info!("try: dig @{} -p {} {zone} SOA", address.ip(), address.port());
    }
    let speaks_nd = settings.advertisers.iter().any(|config| matches!(config, AdvertiserConfig::Nd(_)));
    if let Some(service) = settings.service.as_ref().filter(|_| speaks_nd) {
        for address in &service.addresses {
            tracing::info!(
                "the router must have {address} on-link on its interface to this link: in a prefix of it, or ip -6 route add {address}/128 dev LAN"
            );
        }
    }
}
