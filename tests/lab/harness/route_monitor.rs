//! What a router's kernel says of its routes as they change: a route that is deleted, and added again, is no replaced one.

use std::fs::{self, File};
use std::net::Ipv6Addr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::clock::wait_for;
use super::namespace::Namespace;

const SOON: Duration = Duration::from_secs(3);
/// A route that nothing uses: when its coming is told, everything is.
const SIGN: &str = "2001:db8:dead::/64";

/// A running `ip -6 monitor route`. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct RouteMonitor<'network> {
    namespace: &'network Namespace,
    folder: TempDir,
    process: Child,
}

/// What was told of one route.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RouteChanges {
    /// Added, or replaced.
    pub(crate) set: usize,
    pub(crate) deleted: usize,
}

impl<'network> RouteMonitor<'network> {
    /// Listens in `namespace`; returns when it does.
    pub(crate) fn start(namespace: &'network Namespace) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let told = File::create(folder.path().join("told")).expect("the temporary folder can be written");
        let mut command = Command::new("ip");
        command
            .args(["-6", "-oneline", "monitor", "route"])
            .stdin(Stdio::null())
            .stdout(told);
        let process = namespace.enter(|| command.spawn().unwrap_or_else(|error| panic!("ip: {error}")));
        let monitor = Self {
            namespace,
            folder,
            process,
        };
        monitor.wait_until_told();
        monitor
    }

    /// Waits until everything is told that has changed until now.
    #[track_caller]
    fn wait_until_told(&self) {
        let signs = || self.told().matches(SIGN).count();
        let before = signs();
        wait_for(SOON, "the kernel's routes are told", || {
            self.namespace.run("ip", &["-6", "route", "replace", "unreachable", SIGN]);
            signs() > before
        });
    }

    /// What was told of the route to `destination` alone until now.
    #[track_caller]
    pub(crate) fn changes_of(&self, destination: Ipv6Addr) -> RouteChanges {
        self.wait_until_told();
        let (told, destination) = (self.told(), destination.to_string());
        let mut changes = RouteChanges::default();
        for line in told.lines() {
            let mut words = line.split_whitespace().skip_while(|word| *word == "Deleted");
            if words.next() == Some(&destination) {
                let count = if line.starts_with("Deleted") {
                    &mut changes.deleted
                } else {
                    &mut changes.set
                };
                *count += 1;
            }
        }
        changes
    }

    fn told(&self) -> String {
        fs::read_to_string(self.folder.path().join("told")).unwrap_or_default()
    }
}

impl Drop for RouteMonitor<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the router's routes:\n{}", self.told());
        }
        let _already_gone = self.process.kill();
        let _reaped = self.process.wait();
    }
}
