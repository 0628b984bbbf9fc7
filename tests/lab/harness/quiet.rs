//! Who has the machine: tests run beside each other, but not while one of them measures.
//!
//! A test holds a share of the machine while it runs. Who measures milliseconds, or losses under load, has all of it for so long
//! ([`alone`]); who only waits for timers leaves its share to the others ([`without_share`]).

use std::cell::RefCell;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use heraldns::io::interface::InterfaceMonitor;

use super::clock::{let_pass, now};

/// So often, every few milliseconds, the kernel has to answer at once to have cleared everything away.
const LOOKS: usize = 15;
const AT_ONCE: Duration = Duration::from_millis(5);
const PAUSE: Duration = Duration::from_millis(2);
const PATIENCE: Duration = Duration::from_secs(10);

static MACHINE: RwLock<()> = RwLock::new(());

thread_local! {
    /// The share of the test on this thread.
    static SHARE: RefCell<Option<RwLockReadGuard<'static, ()>>> = const { RefCell::new(None) };
}

/// Runs `test`, which is the whole of its thread, beside others.
pub(crate) fn beside(test: fn()) {
    take_share();
    test();
}

/// Runs `work` when nothing else runs, and nothing beside it: the networks of the tests before are cleared away, too.
pub(crate) fn alone<T>(work: impl FnOnce() -> T) -> T {
    without_share(|| {
        let _whole = MACHINE.write().unwrap_or_else(PoisonError::into_inner);
        wait_until_cleared();
        work()
    })
}

/// Runs `work` also while others measure: it must need next to nothing.
pub(crate) fn without_share<T>(work: impl FnOnce() -> T) -> T {
    let had_share = SHARE.take().is_some();
    let result = work();
    if had_share {
        take_share();
    }
    result
}

/// Lets `duration` pass, in which others may measure.
pub(crate) fn rest(duration: Duration) {
    without_share(|| let_pass(duration));
}

/// The kernel clears namespaces away when they are gone already, and holds its one lock of all networks meanwhile, on a busy machine
/// for seconds. Who reads its link waits for that lock, and a main process that waits so long hangs for its guardian.
fn wait_until_cleared() {
    let mut link = InterfaceMonitor::open("lo", &[], &[]).expect("the kernel tells of its links");
    let (begin, mut at_once) = (now(), 0);
    // Where the machine never lets this thread go on at once, the test has to do with that.
    while at_once < LOOKS && begin.elapsed() < PATIENCE {
        let look = now();
        link.check().expect("the kernel tells of its links");
        at_once = if look.elapsed() < AT_ONCE { at_once + 1 } else { 0 };
        let_pass(PAUSE);
    }
}

fn take_share() {
    SHARE.set(Some(MACHINE.read().unwrap_or_else(PoisonError::into_inner)));
}
