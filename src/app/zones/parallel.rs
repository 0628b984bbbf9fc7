//! The same work on many things at once: as many threads as there are cores, results in the order of the things.

use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Does `work` on every item. No more items are at work than there are cores for this process, whatever their number;
/// the caller's thread is one of those that work. An error is the panic of that item's work alone.
pub(super) fn in_parallel<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<thread::Result<R>> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicUsize::new(0);
    let work_on = || {
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(index) else { return done };
            // What the work of an item leaves half done when it panics is its own and is thrown away with it.
            done.push((index, panic::catch_unwind(AssertUnwindSafe(|| work(item)))));
        }
    };
    let mut done = thread::scope(|scope| {
        let spawn = |_| thread::Builder::new().name("load".to_owned()).spawn_scoped(scope, work_on);
        // A thread that cannot be had is one less.
        let others: Vec<_> = (1..cores.min(items.len())).map_while(|index| spawn(index).ok()).collect();
        let mut done = work_on();
        for other in others {
            done.extend(other.join().unwrap_or_else(|panicked| panic::resume_unwind(panicked)));
        }
        done
    });
    done.sort_unstable_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_order_and_a_panic_costs_its_item_alone() {
        let items: Vec<u32> = (0..1_000).collect();
        let results = in_parallel(&items, |item| {
            assert!(*item != 500, "an item like any other");
            item * 2
        });
        let results: Vec<Option<u32>> = results.into_iter().map(Result::ok).collect();
        let expected: Vec<Option<u32>> = items.iter().map(|item| (*item != 500).then_some(item * 2)).collect();
        assert_eq!(results, expected);
        assert!(in_parallel(&[], |_: &u32| ()).is_empty());
    }

    #[test]
    fn there_are_never_more_at_work_than_cores() {
        let cores = thread::available_parallelism().unwrap().get();
        let (at_work, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        in_parallel(&[(); 1_000], |()| {
            most.fetch_max(at_work.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            thread::yield_now();
            at_work.fetch_sub(1, Ordering::SeqCst);
        });
        let most = most.into_inner();
        assert!((1..=cores).contains(&most), "{most} at once on {cores} cores");
    }
}
