//! What the kernel knows of our threads: how long each has wanted a processor, with or without getting it.
//!
//! Read from `/proc/self/task/ID/schedstat`, from outside: the thread itself reads no clock for it.

use std::fs;
use std::time::Duration;

/// The calling thread's id.
#[must_use]
pub fn own_id() -> u32 {
    rustix::thread::gettid().as_raw_nonzero().get().unsigned_abs()
}

/// How long the thread of this process with this id has run or waited for a processor. `None` where it cannot be told.
#[must_use]
pub fn wanted(thread: u32) -> Option<Duration> {
    parse(&fs::read_to_string(format!("/proc/self/task/{thread}/schedstat")).ok()?)
}

/// Nanoseconds on a processor, nanoseconds in a queue for one, and how often.
fn parse(text: &str) -> Option<Duration> {
    let mut fields = text.split_ascii_whitespace().map(str::parse::<u64>);
    let (run, waited, turns) = (fields.next()?.ok()?, fields.next()?.ok()?, fields.next()?.ok()?);
    // A kernel that does not count shows zeros; who asks has had a turn.
    (turns > 0).then(|| Duration::from_nanos(run.saturating_add(waited)))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::*;
    use crate::io::clock;

    #[test]
    fn work_is_wanted_and_sleep_is_not() {
        let (started, ids) = mpsc::channel();
        let (stop, stopped) = mpsc::channel::<()>();
        let sleeper = thread::spawn({
            let started = started.clone();
            move || {
                started.send(own_id()).unwrap();
                stopped.recv()
            }
        });
        let sleeping = ids.recv().unwrap();
        let before = clock::now();
        let worker = thread::spawn(move || {
            started.send(own_id()).unwrap();
            let began = wanted(own_id()).unwrap();
            let mut rounds = 0_u64;
            while wanted(own_id()).unwrap() - began < Duration::from_millis(100) {
                rounds += 1;
            }
            rounds
        });
        let working = ids.recv().unwrap();
        assert_ne!(sleeping, working);
        assert!(worker.join().unwrap() > 0);
        assert!(
            clock::now().since(before) >= Duration::from_millis(100),
            "no more is wanted than time has passed"
        );
        assert!(wanted(sleeping).unwrap() < Duration::from_millis(50), "{:?}", wanted(sleeping));
        drop(stop);
        assert!(sleeper.join().unwrap().is_err());
        assert_eq!(wanted(working), None, "the thread is no more");
    }

    #[test]
    fn what_is_not_counted_is_not_told() {
        assert_eq!(parse("2000 500 7\n"), Some(Duration::from_nanos(2_500)));
        assert_eq!(parse("0 0 1"), Some(Duration::ZERO), "its first turn is not over");
        for text in ["", "0 0 0", "1", "a b c"] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }
}
