//! A network namespace that lives as long as its value: made, entered, cleared of processes and removed.
//!
//! The name carries the process id of the test run, so that runs side by side do not meet and the leftovers of a
//! killed run are found ([`sweep_leftovers`]).

use std::fs::{self, File};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::clock;
use super::command::{output, run};

const PREFIX: &str = "hdlab";
const FOLDER: &str = "/run/netns";

/// A network namespace; dropping it kills what still runs in it and removes it.
#[derive(Debug)]
pub(crate) struct Namespace {
    name: String,
}

impl Namespace {
    /// Makes the namespace `hdlab<pid>-<lab>-<role>`, with `lo` up and without duplicate address detection.
    pub(crate) fn new(lab: usize, role: &str) -> Self {
        let namespace = Self {
            name: format!("{PREFIX}{}-{lab}-{role}", std::process::id()),
        };
        run(Command::new("ip").args(["netns", "add", &namespace.name]));
        namespace.sysctl("net/ipv6/conf/default/accept_dad", "0");
        namespace.sysctl("net/ipv6/conf/default/router_solicitations", "0");
        run(&mut namespace.ip(&["link", "set", "lo", "up"]));
        namespace
    }

    /// The name by which `ip netns` knows it.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// An `ip -6` command inside.
    pub(crate) fn ip(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("ip");
        command.args(["-netns", &self.name, "-6"]).args(arguments);
        command
    }

    /// Calls `work` on a thread that is inside; the sockets it opens stay inside wherever they are used.
    pub(crate) fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let inside = scope.spawn(|| {
                move_into(&self.open());
                work()
            });
            inside.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Starts a thread that is inside for its whole life.
    pub(crate) fn spawn_inside<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
        let file = self.open();
        thread::spawn(move || {
            move_into(&file);
            work()
        })
    }

    /// Runs a tool inside and returns what it printed; panics with its errors if it fails.
    #[track_caller]
    pub(crate) fn run(&self, tool: &str, arguments: &[&str]) -> String {
        self.enter(|| run(Command::new(tool).args(arguments)))
    }

    /// Writes a kernel setting, named as below `/proc/sys`, inside.
    pub(crate) fn sysctl(&self, setting: &str, value: &str) {
        let path = Path::new("/proc/sys").join(setting);
        self.enter(|| fs::write(&path, value))
            .unwrap_or_else(|error| panic!("{} = {value}: {error}", path.display()));
    }

    fn open(&self) -> File {
        File::open(path_of(&self.name)).unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }
}

/// Moves this thread into the namespace.
fn move_into(namespace: &File) {
    move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).expect("root may enter a namespace it made");
}

impl Drop for Namespace {
    fn drop(&mut self) {
        remove(&self.name);
    }
}

/// Removes the namespaces of test runs that were killed before they could.
pub(crate) fn sweep_leftovers() {
    let Ok(entries) = fs::read_dir(FOLDER) else { return };
    for name in entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()) {
        let owner = name
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split('-').next())
            .and_then(|pid| pid.parse::<u32>().ok());
        if owner.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            remove(&name);
        }
    }
}

/// Ends the processes inside, then the namespace. Never panics: it runs while a failed test unwinds.
fn remove(name: &str) {
    let begin = clock::now();
    while begin.elapsed() < Duration::from_secs(5) {
        let inside = processes_inside(name);
        if inside.is_empty() {
            break;
        }
        for pid in inside {
            let _already_gone = kill_process(pid, Signal::KILL);
        }
        thread::yield_now();
    }
    let _reported_by_the_next_sweep = output(Command::new("ip").args(["netns", "del", name]));
}

fn processes_inside(name: &str) -> Vec<Pid> {
    let listed = output(Command::new("ip").args(["netns", "pids", name]));
    let pids = String::from_utf8_lossy(&listed.stdout).into_owned();
    pids.split_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)).collect()
}

fn path_of(name: &str) -> PathBuf {
    Path::new(FOLDER).join(name)
}
