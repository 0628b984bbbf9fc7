//! Whole networks of real nd and peers machines on a virtual clock, with a model of a stock router: stories, each played
//! with many seeds. The seed decides who dies when and which packets come late, twice or never.
//!
//! A story that fails says its seed and prints the trace of that run.

mod checks;
mod crowd;
mod farm;
mod host;
mod loads;
mod network;
mod router;
mod router_side;
mod stories;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Plays `story` with seeds from 0, on all cores; the first failing one again with its trace.
fn with_seeds(count: u64, story: impl Fn(u64, bool) + Sync) {
    let (next, failed) = (AtomicU64::new(0), Mutex::new(None));
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= count || failed.lock().unwrap().is_some() {
                return;
            }
            if catch_unwind(AssertUnwindSafe(|| story(seed, false))).is_err() {
                *failed.lock().unwrap() = Some(seed);
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    if let Some(seed) = failed.into_inner().unwrap() {
        let again = catch_unwind(AssertUnwindSafe(|| story(seed, true)));
        panic!(
            "seed {seed} failed; {}",
            if again.is_err() {
                "its trace is above"
            } else {
                "but not the second time"
            }
        );
    }
}
