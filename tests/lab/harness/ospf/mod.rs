//! An OSPFv3 router of another make in a namespace, unmodified: FRR's `zebra` and `ospf6d`, or BIRD.
//!
//! It is configured by data ([`Routing`]), asked through the make's own tool, and ended by process id when its value is
//! dropped. What it has logged and knows is shown if the test fails.

pub(crate) mod bird;
pub(crate) mod frr;

use std::fmt;
use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::process::Child;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::clock::{self, wait_for_value};
use super::namespace::Namespace;

/// What the manual asks for.
const ZEBRA_OPTIONS: &[&str] = &["--v6-rr-semantics"];

/// How long a daemon may take to open its sockets, or to end.
const SOON: Duration = Duration::from_secs(10);

/// Who made the router.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Make {
    /// FRRouting: `zebra` and `ospf6d`.
    Frr,
    /// BIRD.
    Bird,
}

/// Configuration of a router, without the make's words.
#[derive(Clone, Debug)]
pub(crate) struct Routing {
    pub(crate) router_id: Ipv4Addr,
    pub(crate) links: Vec<Link>,
    /// Prefixes that it advertises as routes from elsewhere.
    pub(crate) externals: Vec<External>,
    /// Options of zebra's, with FRR.
    pub(crate) zebra_options: &'static [&'static str],
}

/// An interface that takes part.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    pub(crate) device: &'static str,
    pub(crate) area: u32,
    pub(crate) area_type: AreaType,
    pub(crate) network: NetworkType,
    /// Seconds.
    pub(crate) hello: u32,
    /// Seconds.
    pub(crate) dead: u32,
    pub(crate) instance_id: u8,
    pub(crate) authentication: Option<Authentication>,
    /// Its prefixes are advertised and no packet is sent.
    pub(crate) passive: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AreaType {
    Normal,
    Stub,
    Nssa,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NetworkType {
    Broadcast,
    PointToPoint,
}

/// HMAC-SHA-256 (RFC 7166).
#[derive(Clone, Debug)]
pub(crate) struct Authentication {
    pub(crate) key_id: u16,
    pub(crate) secret: &'static str,
}

/// A route from elsewhere: a prefix that is on the router's `lo`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct External {
    pub(crate) prefix: Ipv6Addr,
    /// 1 or 2 (RFC 5340 §A.4.7). FRR has one type for all.
    pub(crate) metric_type: u8,
}

/// A neighbour as the router sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Neighbor {
    pub(crate) router_id: Ipv4Addr,
    /// The make's own word: `Full`, `2-Way`, `Twoway`, ...
    pub(crate) state: String,
}

/// An LSA in the router's database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LinkStateAdvertisement {
    /// As on the wire: 0x2001 is a Router-LSA.
    pub(crate) kind: u16,
    pub(crate) id: u32,
    pub(crate) router: Ipv4Addr,
    pub(crate) sequence: u32,
    /// Seconds.
    pub(crate) age: u16,
}

impl Routing {
    /// A router on the lab's link, area 0: hello 1 s, dead 4 s, as the manual says.
    pub(crate) fn on_the_link(number: u8) -> Self {
        Self {
            router_id: Ipv4Addr::new(10, 0, 0, number),
            links: vec![Link::broadcast("lan0", 0)],
            externals: Vec::new(),
            zebra_options: ZEBRA_OPTIONS,
        }
    }

    /// The same with another first interface.
    pub(crate) fn with_link(mut self, change: impl FnOnce(&mut Link)) -> Self {
        change(&mut self.links[0]);
        self
    }
}

impl Link {
    pub(crate) fn broadcast(device: &'static str, area: u32) -> Self {
        Self {
            device,
            area,
            area_type: AreaType::Normal,
            network: NetworkType::Broadcast,
            hello: 1,
            dead: 4,
            instance_id: 0,
            authentication: None,
            passive: false,
        }
    }
}

/// A running router. Dropping it kills its daemons.
#[derive(Debug)]
pub(crate) struct OspfRouter<'network> {
    pub(crate) make: Make,
    pub(crate) router_id: Ipv4Addr,
    namespace: &'network Namespace,
    zebra_options: &'static [&'static str],
    folder: TempDir,
    daemons: Vec<Child>,
}

impl<'network> OspfRouter<'network> {
    /// Starts the daemons in `namespace` with `routing`; returns when they are configured.
    pub(crate) fn start(make: Make, namespace: &'network Namespace, routing: &Routing) -> Self {
        let text = match make {
            Make::Frr => frr::configuration(routing),
            Make::Bird => bird::configuration(routing),
        };
        let router = Self::launch(make, namespace, routing.router_id, routing.zebra_options, &text);
        let prefixes = routing.externals.iter().map(|external| external.prefix);
        prefixes.for_each(|prefix| {
            namespace.run("ip", &["address", "replace", &format!("{prefix}/128"), "dev", "lo"]);
        });
        router
    }

    /// The same with a configuration in the make's own words.
    pub(crate) fn start_with(make: Make, namespace: &'network Namespace, router_id: Ipv4Addr, text: &str) -> Self {
        Self::launch(make, namespace, router_id, ZEBRA_OPTIONS, text)
    }

    fn launch(make: Make, namespace: &'network Namespace, router_id: Ipv4Addr, zebra_options: &'static [&'static str], text: &str) -> Self {
        let mut router = Self {
            make,
            router_id,
            namespace,
            zebra_options,
            folder: tempfile::Builder::new()
                .prefix("heraldns-lab-")
                .tempdir()
                .expect("a temporary folder"),
            daemons: Vec::new(),
        };
        fs::write(router.folder.path().join("router.conf"), text).expect("the temporary folder can be written");
        router.run();
        router
    }

    /// SIGKILL of its daemons, as in a crash: nothing is said to its neighbours. Routes in the kernel stay.
    pub(crate) fn kill(&mut self) {
        for mut daemon in self.daemons.drain(..) {
            let _already_gone = daemon.kill();
            let _reaped = daemon.wait();
        }
    }

    /// SIGTERM to its daemons, and waits for their end.
    #[track_caller]
    pub(crate) fn stop(&mut self) {
        for daemon in self.daemons.iter_mut().rev() {
            kill_process(Pid::from_child(daemon), Signal::TERM).expect("the daemon runs");
            wait_for_value(SOON, "the router ends", || daemon.try_wait().expect("our own child"));
        }
        self.daemons.clear();
    }

    /// Starts it again with the configuration that it had.
    pub(crate) fn run(&mut self) {
        let folder = self.folder.path();
        self.daemons = match self.make {
            Make::Frr => frr::spawn(self.namespace, folder, self.zebra_options),
            Make::Bird => vec![bird::spawn(self.namespace, folder)],
        };
    }

    /// True if it is the designated router of the lab's link.
    pub(crate) fn is_designated(&self) -> bool {
        match self.make {
            Make::Frr => frr::is_designated(self.folder.path()),
            Make::Bird => bird::is_designated(self.folder.path()),
        }
    }

    /// Waits until it has elected itself, as a router that was there before the servers has.
    #[track_caller]
    pub(crate) fn wait_until_designated(&self) {
        clock::wait_slowly(SOON, "the router is designated", || self.is_designated());
    }

    /// Pastes lines of configuration at the prompt (FRR), as an operator does.
    pub(crate) fn paste(&self, text: &str) {
        assert_eq!(self.make, Make::Frr, "BIRD has no prompt for configuration");
        frr::paste(self.folder.path(), text);
    }

    /// Its neighbours, in the order in which it lists them.
    pub(crate) fn neighbors(&self) -> Vec<Neighbor> {
        match self.make {
            Make::Frr => frr::neighbors(self.folder.path()),
            Make::Bird => bird::neighbors(self.folder.path()),
        }
    }

    /// True if `router_id` is its neighbour in state Full.
    pub(crate) fn is_full_with(&self, router_id: Ipv4Addr) -> bool {
        let full = |neighbor: &Neighbor| neighbor.router_id == router_id && neighbor.state == "Full";
        self.neighbors().iter().any(full)
    }

    /// Waits until `router_id` is its neighbour in state Full; returns how long that took.
    #[track_caller]
    pub(crate) fn wait_for_full(&self, router_id: Ipv4Addr, limit: Duration) -> Duration {
        let begin = clock::now();
        loop {
            let neighbors = self.neighbors();
            if neighbors
                .iter()
                .any(|neighbor| neighbor.router_id == router_id && neighbor.state == "Full")
            {
                return begin.elapsed();
            }
            assert!(
                begin.elapsed() < limit,
                "{:?} is not full with {router_id} within {limit:?}: {neighbors:?}",
                self.make
            );
            clock::let_pass(Duration::from_millis(5));
        }
    }

    /// All that its database holds.
    pub(crate) fn database(&self) -> Vec<LinkStateAdvertisement> {
        match self.make {
            Make::Frr => frr::database(self.folder.path()),
            Make::Bird => bird::database(self.folder.path()),
        }
    }

    /// The LSAs that `router` advertises and that are not on their way out.
    pub(crate) fn database_of(&self, router: Ipv4Addr) -> Vec<LinkStateAdvertisement> {
        const MAX_AGE: u16 = 3_600;
        let mut database = self.database();
        database.retain(|lsa| lsa.router == router && lsa.age < MAX_AGE);
        database
    }

    /// What it has to say of itself when a test fails.
    fn testimony(&self) -> String {
        match self.make {
            Make::Frr => frr::testimony(self.folder.path()),
            Make::Bird => bird::testimony(self.folder.path()),
        }
    }
}

impl Drop for OspfRouter<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- {:?} in {}:\n{}", self.make, self.namespace.name(), self.testimony());
        }
        self.kill();
    }
}

impl fmt::Display for Make {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Frr => "FRR",
            Self::Bird => "BIRD",
        })
    }
}

/// Waits until `path` is there: a daemon has opened its socket.
#[track_caller]
fn wait_for_socket(path: &Path) {
    clock::wait_for(SOON, &format!("{} appears", path.display()), || path.exists());
}
