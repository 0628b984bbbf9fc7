//! Who has the machine: tests run beside each other, but not while one of them measures.
//!
//! A test holds a share of the machine while it runs. Who measures milliseconds, or losses under load, has all of it for so long
//! ([`alone`]); who only waits for timers leaves its share to the others ([`without_share`]).

use std::cell::RefCell;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use super::clock::let_pass;

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

/// Runs `work` when nothing else runs, and nothing beside it.
pub(crate) fn alone<T>(work: impl FnOnce() -> T) -> T {
    without_share(|| {
        let _whole = MACHINE.write().unwrap_or_else(PoisonError::into_inner);
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

fn take_share() {
    SHARE.set(Some(MACHINE.read().unwrap_or_else(PoisonError::into_inner)));
}
