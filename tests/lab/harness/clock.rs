//! The lab's clock, and waiting for conditions with a limit: the only place of the lab that sleeps.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(2);
const SLOW_LOOK: Duration = Duration::from_millis(200);

/// The present time, for everything that is measured.
#[allow(clippy::disallowed_methods, reason = "the lab measures real time; this is its one clock")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// The point on the lab's clock at which the kernel wrote `stamp`, a wall-clock time of a moment ago.
#[allow(clippy::disallowed_methods, reason = "kernel timestamps are wall-clock times")]
pub(crate) fn from_wall(stamp: SystemTime) -> Instant {
    let age = SystemTime::now().duration_since(stamp).unwrap_or_default();
    now().checked_sub(age).unwrap_or_else(now)
}

/// Waits until `condition` gives a value; panics with `what` was waited for when `limit` is over.
#[track_caller]
pub(crate) fn wait_for_value<T>(limit: Duration, what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let begin = now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(begin.elapsed() < limit, "waited {limit:?} in vain: {what}");
        thread::sleep(LOOK);
    }
}

/// Waits until `condition` holds; panics with `what` was waited for when `limit` is over. Returns how long it took.
#[track_caller]
pub(crate) fn wait_for(limit: Duration, what: &str, mut condition: impl FnMut() -> bool) -> Duration {
    let begin = now();
    wait_for_value(limit, what, || condition().then_some(()));
    begin.elapsed()
}

/// The same for a condition that costs a process each time it is looked at, where milliseconds do not matter.
#[track_caller]
pub(crate) fn wait_slowly(limit: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    wait_for(limit, what, || {
        thread::sleep(SLOW_LOOK);
        condition()
    });
}

/// Watches for `window` that `condition` keeps holding; panics with `what` as soon as it does not.
#[track_caller]
pub(crate) fn holds_for(window: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    let begin = now();
    while begin.elapsed() < window {
        assert!(condition(), "after {:?}: {what}", begin.elapsed());
        thread::sleep(LOOK);
    }
}

/// Lets `duration` pass while something else is measured (a load that has to run for so long).
pub(crate) fn let_pass(duration: Duration) {
    thread::sleep(duration);
}

/// Sets what ends a thread beside the test, also when the test panics.
pub(crate) struct SetOnDrop<'a>(pub(crate) &'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// `duration` in milliseconds, for a line of figures.
pub(crate) fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}
