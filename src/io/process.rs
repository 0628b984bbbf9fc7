//! Two processes that watch each other: starting this program again, process descriptors, signals as something to read.
//!
//! What a guardian needs without any runtime: everything here has a descriptor that the driver can watch.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus};

use nix::sys::signal::{SigSet, Signal as Number};
use nix::sys::signalfd::{SfdFlags, SignalFd};
pub use rustix::process::{Pid, Signal};
use rustix::process::{
    PidfdFlags, Resource, Rlimit, WaitOptions, getpid, getppid, getrlimit, nice, pidfd_open, pidfd_send_signal, setrlimit,
};

/// The running program, even when its file has been replaced since.
const THIS_PROGRAM: &str = "/proc/self/exe";
/// Each step is a factor of about 1.25 between the shares of two threads that both want a processor.
const MORE_NICE: i32 = 10;

/// Makes this thread, and those that it starts, work only while the others of the program leave it time: they get ten times
/// as much.
///
/// # Errors
/// The kernel's.
pub fn give_way() -> io::Result<()> {
    Ok(nice(MORE_NICE).map(|_| ())?)
}

/// A process, by a descriptor that never comes to mean another one. It can be read when the process has ended.
#[derive(Debug)]
pub struct PidFd {
    pid: Pid,
    descriptor: OwnedFd,
}

impl PidFd {
    /// The process that has this id now.
    ///
    /// # Errors
    /// ESRCH when there is none.
    pub fn open(pid: Pid) -> io::Result<Self> {
        Ok(Self {
            pid,
            descriptor: pidfd_open(pid, PidfdFlags::empty())?,
        })
    }

    /// The process that started this one; `None` when it has ended already.
    ///
    /// # Errors
    /// The kernel's.
    pub fn of_parent() -> io::Result<Option<Self>> {
        let Some(parent) = getppid() else {
            return Ok(None);
        };
        let opened = Self::open(parent)?;
        // Had it ended in between, we would be somebody else's child now.
        Ok((getppid() == Some(parent)).then_some(opened))
    }

    /// Its id.
    #[must_use]
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// ESRCH when it has ended.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        Ok(pidfd_send_signal(&self.descriptor, signal)?)
    }

    /// True if its first thread waits inside the kernel, for a lock or a disk, and cannot be woken.
    #[must_use]
    pub fn is_in_kernel(&self) -> bool {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid.as_raw_nonzero())).unwrap_or_default();
        // The state comes after the name, in which there may be anything.
        stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('D'))
    }

    /// True once it has ended, reaped or not.
    ///
    /// # Errors
    /// The kernel's.
    pub fn has_ended(&self) -> io::Result<bool> {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let mut waiting = [PollFd::new(&self.descriptor, PollFlags::IN)];
        Ok(poll(&mut waiting, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }))? > 0)
    }
}

impl AsFd for PidFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

/// This program, started again. Dropping it neither ends nor reaps the process.
#[derive(Debug)]
pub struct Child {
    process: PidFd,
    handle: std::process::Child,
}

impl Child {
    /// Watches over a process just started. If that cannot be done, it is ended: nobody would know of it, and the next one
    /// would run beside it.
    fn watched(mut handle: std::process::Child, open: impl FnOnce(Pid) -> io::Result<PidFd>) -> io::Result<Self> {
        // Nobody has reaped it yet, so the id is still its own.
        match open(Pid::from_child(&handle)) {
            Ok(process) => Ok(Self { process, handle }),
            Err(error) => {
                end(&mut handle);
                Err(error)
            }
        }
    }

    /// Its process.
    #[must_use]
    pub fn process(&self) -> &PidFd {
        &self.process
    }

    /// Kills it, and waits until it is gone.
    pub fn end(mut self) {
        end(&mut self.handle);
    }

    /// How it ended, if it has: it is reaped then. Does not wait.
    ///
    /// # Errors
    /// The kernel's; ECHILD when [`reap_one`] was faster.
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        self.handle.try_wait()
    }
}

/// Starts this program again, in a process group of its own, so that a terminal's signals reach only us.
///
/// It gets our environment and these `variables` more, our standard streams, and of our descriptors those that were made to be inherited. It inherits our
/// blocked signals: it has to open [`Signals`] too, or they never reach it.
///
/// # Errors
/// The kernel's.
pub fn spawn_again<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>, variables: &[(&str, &str)]) -> io::Result<Child> {
    let mut command = Command::new(THIS_PROGRAM);
    if let Some(name) = std::env::args_os().next() {
        command.arg0(name);
    }
    let handle = command.args(arguments).envs(variables.iter().copied()).process_group(0).spawn()?;
    Child::watched(handle, PidFd::open)
}

fn end(handle: &mut std::process::Child) {
    // What has ended already needs no signal, and what was reaped already no waiting.
    let _ = handle.kill();
    let _ = handle.wait();
}

/// Raises the number of descriptors that this process may have to the most that it is allowed, and returns that: `None` is
/// without limit. The usual 1,024 are for programs that use `select`, which we do not.
///
/// # Errors
/// The kernel's.
pub fn raise_descriptor_limit() -> io::Result<Option<u64>> {
    let most = getrlimit(Resource::Nofile).maximum;
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: most,
            maximum: most,
        },
    )?;
    Ok(most)
}

/// Our own id.
#[must_use]
pub fn own_pid() -> Pid {
    getpid()
}

/// Reaps one child that has ended, whoever's it was: for process 1 of a container, which inherits the orphans.
///
/// `None` when no child has ended. It takes [`Child`]s too: there, use either this or [`Child::try_wait`].
///
/// # Errors
/// The kernel's.
pub fn reap_one() -> io::Result<Option<(Pid, ExitStatus)>> {
    match rustix::process::wait(WaitOptions::NOHANG) {
        Ok(ended) => Ok(ended.map(|(pid, status)| (pid, ExitStatus::from_raw(status.as_raw())))),
        Err(rustix::io::Errno::CHILD) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// What others ask of this process by a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// SIGTERM or SIGINT: stop.
    Stop(Signal),
    /// SIGHUP: read everything again.
    Reload,
    /// SIGCHLD: a child has ended.
    ChildEnded,
    /// SIGUSR1: the sender is ready to serve.
    Ready,
}

/// SIGTERM, SIGINT, SIGHUP, SIGUSR1 and SIGCHLD as something to read instead of something that interrupts.
#[derive(Debug)]
pub struct Signals(SignalFd);

impl Signals {
    /// Blocks these signals in the calling thread and in all that it starts from now on. So: before any other thread.
    ///
    /// # Errors
    /// The kernel's.
    pub fn open() -> io::Result<Self> {
        let mut mask = SigSet::empty();
        for signal in [Number::SIGTERM, Number::SIGINT, Number::SIGHUP, Number::SIGUSR1, Number::SIGCHLD] {
            mask.add(signal);
        }
        mask.thread_block()?;
        Ok(Self(SignalFd::with_flags(&mask, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?))
    }

    /// The next one that has come. Several of a kind can be told as one.
    ///
    /// # Errors
    /// The kernel's.
    pub fn next_asked(&self) -> io::Result<Option<Asked>> {
        let Some(info) = self.0.read_signal()? else {
            return Ok(None);
        };
        let number = i32::try_from(info.ssi_signo).ok().and_then(|number| Number::try_from(number).ok());
        Ok(match number {
            Some(Number::SIGTERM) => Some(Asked::Stop(Signal::TERM)),
            Some(Number::SIGINT) => Some(Asked::Stop(Signal::INT)),
            Some(Number::SIGHUP) => Some(Asked::Reload),
            Some(Number::SIGUSR1) => Some(Asked::Ready),
            Some(Number::SIGCHLD) => Some(Asked::ChildEnded),
            _ => None,
        })
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::clock;
    use crate::io::driver::{Driver, Ready, Token};

    #[test]
    fn a_child_is_this_program_in_a_group_of_its_own() {
        let mut driver = Driver::new().unwrap();
        let mut child = spawn_again(["--list", "no test has this name"], &[("HERALD_TEST", "1")]).unwrap();
        driver.watch(child.process(), Token(1)).unwrap();
        assert_ne!(child.process().pid(), own_pid());
        let mut ended = false;
        while !ended {
            driver
                .wait(None, |ready| ended |= matches!(ready, Ready::Descriptor(Token(1))))
                .unwrap();
        }
        assert!(child.process().has_ended().unwrap());
        assert!(child.try_wait().unwrap().unwrap().success());
        assert!(child.process().signal(Signal::TERM).is_err());
    }

    #[test]
    fn a_child_that_cannot_be_watched_does_not_live_on() {
        let is_gone = |pid| rustix::process::test_kill_process(pid) == Err(rustix::io::Errno::SRCH);
        let sleep = || Command::new("sleep").arg("1000").spawn().unwrap();
        let unwatched = sleep();
        let pid = Pid::from_child(&unwatched);
        let refused = Child::watched(unwatched, |_| Err(io::Error::from_raw_os_error(nix::libc::EMFILE)));
        assert_eq!(refused.unwrap_err().raw_os_error(), Some(nix::libc::EMFILE));
        assert!(is_gone(pid));
        let watched = Child::watched(sleep(), PidFd::open).unwrap();
        let pid = watched.process().pid();
        assert!(!is_gone(pid));
        watched.end();
        assert!(is_gone(pid));
    }

    #[test]
    fn as_many_descriptors_as_allowed() {
        let most = raise_descriptor_limit().unwrap();
        let limit = getrlimit(Resource::Nofile);
        assert_eq!((limit.current, limit.maximum), (most, most));
    }

    #[test]
    fn our_parent_is_a_process_that_runs() {
        let parent = PidFd::of_parent().unwrap().unwrap();
        assert!(!parent.has_ended().unwrap());
    }

    #[test]
    fn signals_are_read_once_each_by_the_thread_that_blocked_them() {
        std::thread::spawn(|| {
            let signals = Signals::open().unwrap();
            assert_eq!(signals.next_asked().unwrap(), None);
            // To this thread alone: the others of the test program have not blocked it.
            nix::sys::signal::raise(Number::SIGHUP).unwrap();
            let mut driver = Driver::new().unwrap();
            driver.watch(&signals, Token(2)).unwrap();
            let mut told = 0;
            driver.wait(Some(clock::now()), |_| told += 1).unwrap();
            assert_eq!(
                (told, signals.next_asked().unwrap(), signals.next_asked().unwrap()),
                (1, Some(Asked::Reload), None)
            );
        })
        .join()
        .unwrap();
    }
}
