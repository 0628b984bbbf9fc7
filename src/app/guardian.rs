//! The guardian: the parent process. Starts main, hands signals on, starts main again when it dies.
//!
//! When main dies or hangs, what it has left in the farewell slot is sent for it: that takes back what it has told its routers
//! and peers. One that hangs is left alone: it may go on, and finds then that it was spoken for. The guardian knows nothing of DNS. Only a main that never came to serve is given up: its error is the operator's to mend.
//! Main is started by exec, never forked, in a process group of its own, so that a terminal's signals arrive once. As
//! process 1 of a container it also reaps orphans.

use std::ffi::OsString;
use std::process::{ExitCode, ExitStatus};
use std::time::Duration;

use super::farewells::Farewells;
use super::vigil::{Sight, Vigil};
use crate::base::address::ServiceAddress;
use crate::base::time::{Timestamp, earliest};
use crate::io::clock;
use crate::io::driver::{Driver, Ready, Token};
use crate::io::farewell::FarewellSlot;
use crate::io::interface::AddressHolder;
use crate::io::process::{Asked, Child, PidFd, Signal, Signals, own_pid, reap_one, spawn_again};

/// Tells main who watches over it. Not one of the configuration's variables.
const GUARDIAN: &str = "HERALD_GUARDIAN";
/// Tells main where the farewell slot is.
const FAREWELL: &str = "HERALD_FAREWELL";
const SIGNALS: Token = Token(0);
const MAIN: Token = Token(1);
/// Main is started again after so long, doubling with every death soon after a start.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// The next main speaks so long after the last farewell.
const AFTER_FAREWELL: Duration = Duration::from_millis(10);
/// A main that lived for so long died of something new.
const LONG_LIFE: Duration = Duration::from_secs(60);

/// Runs until main has ended in order or the operator wants an end; the exit code is main's. What a killed main has left of
/// `addresses` on this host is taken away.
pub(super) fn watch_over(arguments: &[OsString], addresses: &[ServiceAddress]) -> ExitCode {
    match Guardian::begin(arguments).and_then(Guardian::run) {
        Ok(End::InOrder(code)) => ExitCode::from(code),
        Ok(End::Killed) => {
            if let Err(error) = AddressHolder::clear_up(addresses) {
                tracing::error!("{error}");
            }
            ExitCode::FAILURE
        }
        Err(error) => {
            tracing::error!(%error, "the guardian cannot go on");
            ExitCode::FAILURE
        }
    }
}

/// How the guarding has ended.
enum End {
    /// Main has taken everything down itself; its exit code.
    InOrder(u8),
    /// Main was to stop, and could not do it itself.
    Killed,
}

struct Guardian<'a> {
    arguments: &'a [OsString],
    signals: Signals,
    driver: Driver,
    main: Option<Main>,
    slot: FarewellSlot,
    farewells: Farewells,
    /// When main is started again.
    restart: Option<Timestamp>,
    pause: Duration,
    stopping: bool,
    /// Main has served once: from now on every death is mended.
    has_served: bool,
}

struct Main {
    child: Child,
    started: Timestamp,
    vigil: Vigil,
    /// How it ended, if it was reaped among the orphans.
    status: Option<ExitStatus>,
}

impl<'a> Guardian<'a> {
    fn begin(arguments: &'a [OsString]) -> std::io::Result<Self> {
        let signals = Signals::open()?;
        let driver = Driver::new()?;
        driver.watch(&signals, SIGNALS)?;
        let mut guardian = Self {
            arguments,
            signals,
            driver,
            main: None,
            slot: FarewellSlot::create()?,
            farewells: Farewells::default(),
            restart: None,
            pause: FIRST_PAUSE,
            stopping: false,
            has_served: false,
        };
        guardian.start_main()?;
        Ok(guardian)
    }

    fn start_main(&mut self) -> std::io::Result<()> {
        self.slot.empty()?;
        let (pid, slot) = (own_pid().as_raw_nonzero().to_string(), self.slot.number().to_string());
        let child = spawn_again(self.arguments, &[(GUARDIAN, &pid), (FAREWELL, &slot)])?;
        if let Err(error) = self.driver.watch(child.process(), MAIN) {
            child.end();
            return Err(error);
        }
        let now = clock::now();
        self.main = Some(Main {
            child,
            started: now,
            vigil: Vigil::begin(now),
            status: None,
        });
        self.restart = None;
        Ok(())
    }

    fn run(mut self) -> std::io::Result<End> {
        loop {
            let (mut asked, mut ended) = (false, false);
            let look = self.main.as_ref().map(|main| main.vigil.due());
            let due = earliest(earliest(self.restart, self.farewells.next()), look);
            self.driver.wait(due, |ready| match ready {
                Ready::Descriptor(SIGNALS) => asked = true,
                Ready::Descriptor(MAIN) => ended = true,
                Ready::Descriptor(Token(_)) | Ready::Datagram(..) | Ready::Woken => {}
            })?;
            if asked {
                self.hand_signals_on()?;
            }
            if ended && let Some(end) = self.bury_main()? {
                return Ok(end);
            }
            self.look_at_main();
            if self.farewells.next().is_some() && self.main.is_some() && !self.slot.is_said() {
                // It goes on, and knows: what it says now must not be taken back.
                self.farewells.end(&mut self.driver);
            }
            self.farewells.send(&mut self.driver, clock::now());
            if self.stopping && self.main.is_none() && self.farewells.next().is_none() {
                return Ok(End::Killed);
            }
            if self.stopping && self.main.is_none() {
                continue;
            }
            if self.restart.is_some_and(|due| due <= clock::now())
                && let Err(error) = self.start_main()
            {
                tracing::error!(%error, "main cannot be started");
                self.restart_later();
            }
        }
    }

    fn hand_signals_on(&mut self) -> std::io::Result<()> {
        while let Some(asked) = self.signals.next_asked()? {
            let signal = match asked {
                Asked::Stop(signal) => {
                    self.stopping = true;
                    signal
                }
                Asked::Reload => Signal::HUP,
                Asked::Ready => {
                    self.has_served = true;
                    continue;
                }
                Asked::ChildEnded => {
                    self.reap_orphans()?;
                    continue;
                }
            };
            if let Some(main) = &self.main
                && let Err(error) = main.child.process().signal(signal)
            {
                tracing::debug!(%error, "main has ended before the signal came");
            }
        }
        Ok(())
    }

    /// Process 1 inherits the orphans of its container. Main can be among those that are reaped here; how it ended is kept.
    fn reap_orphans(&mut self) -> std::io::Result<()> {
        if !own_pid().is_init() {
            return Ok(());
        }
        while let Some((pid, status)) = reap_one()? {
            if let Some(main) = self.main.as_mut().filter(|main| main.child.process().pid() == pid) {
                main.status = Some(status);
            }
        }
        Ok(())
    }

    /// The end, if this was one; otherwise the time at which main is started again is set.
    fn bury_main(&mut self) -> std::io::Result<Option<End>> {
        let Some(mut main) = self.main.take() else { return Ok(None) };
        self.driver.unwatch(main.child.process())?;
        let status = main.status.or_else(|| main.child.try_wait().ok().flatten());
        let code = status.and_then(|status| status.code()).filter(|code| *code != PANIC);
        let how = status.map_or_else(|| "unknown".to_owned(), |status| status.to_string());
        match code {
            Some(code) if code == 0 || self.stopping || !self.has_served => return Ok(Some(End::InOrder(u8::try_from(code).unwrap_or(1)))),
            None if self.stopping => {
                tracing::error!("main died while it was stopping ({how})");
                self.speak_for_main();
                return Ok(None);
            }
            Some(_) | None => {}
        }
        self.speak_for_main();
        if clock::now().since(main.started) >= LONG_LIFE {
            self.pause = FIRST_PAUSE;
        }
        tracing::error!("main died ({how}); it is started again in {} ms", self.pause.as_millis());
        self.restart_later();
        Ok(None)
    }

    /// Speaks for a main that hangs, and no more when it goes on.
    fn look_at_main(&mut self) {
        let (beats, now) = (self.slot.beats(), clock::now());
        let Some(main) = &mut self.main else { return };
        let process = main.child.process();
        match main.vigil.look(beats, || process.is_in_kernel(), now) {
            Sight::Same => {}
            Sight::Hangs(silence) => {
                tracing::error!("main has not answered for {} ms: it is spoken for", silence.as_millis());
                self.speak_for_main();
            }
            Sight::GoesOn(silence) => tracing::warn!("main answers again, after {} ms", silence.as_millis()),
        }
    }

    /// Says what main has left, unless that was said when it began to hang.
    fn speak_for_main(&mut self) {
        if self.slot.is_said() {
            return;
        }
        // The mark comes first: a main that goes on meanwhile must not believe that nothing was said.
        if let Err(error) = self.slot.mark_said(true) {
            tracing::error!(%error, "the farewell slot cannot be marked");
        }
        self.farewells.begin(self.slot.read(), &mut self.driver, clock::now());
    }

    /// Not before the last farewell: it would take back what the next main says.
    fn restart_later(&mut self) {
        let farewell = self.farewells.last().map_or(Timestamp::ZERO, |at| at + AFTER_FAREWELL);
        self.restart = Some((clock::now() + self.pause).max(farewell));
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }
}

/// The exit code of a Rust program whose main thread has panicked.
const PANIC: i32 = 101;

/// The farewell slot that the guardian has made, if this process was started by one.
pub(super) fn farewell_slot() -> Option<FarewellSlot> {
    let number = std::env::var(FAREWELL).ok()?.parse().ok()?;
    FarewellSlot::inherited(number)
        .inspect_err(|error| tracing::warn!(%error, "no farewell slot: nobody speaks for this process when it dies"))
        .ok()
}

/// The guardian, as main sees it.
pub(super) struct Watcher(Option<PidFd>);

impl Watcher {
    /// The parent process, if it is the guardian that started this one.
    pub(super) fn find() -> Self {
        let named: Option<i32> = std::env::var(GUARDIAN).ok().and_then(|pid| pid.parse().ok());
        let parent = PidFd::of_parent().ok().flatten();
        Self(parent.filter(|parent| named == Some(parent.pid().as_raw_nonzero().get())))
    }

    /// Tells it that this process serves.
    pub(super) fn tell_ready(&self) {
        if let Some(guardian) = &self.0
            && let Err(error) = guardian.signal(Signal::USR1)
        {
            tracing::debug!(%error, "the guardian has ended");
        }
    }

    /// Its process id, while it lives.
    pub(super) fn pid(&self) -> Option<u32> {
        let guardian = self.0.as_ref()?;
        let lives = !guardian.has_ended().unwrap_or(true);
        lives.then(|| guardian.pid().as_raw_nonzero().get().unsigned_abs())
    }
}
