//! What the kernel knows of our threads: how long each has had a processor.
//!
//! Read from `/proc/self/task/ID/schedstat`, from outside: the thread itself reads no clock for it.

use std::fs;
use std::time::Duration;

/// The calling thread's id.
#[must_use]
pub fn own_id() -> u32 {
    rustix::thread::gettid().as_raw_nonzero().get().unsigned_abs()
}

/// How long the thread of this process with this id has run. `None` where it cannot be told.
///
/// Not how long it waited to run: one that wakes for each query beside others that never sleep waits most of the time, and
/// could do far more when it has its turn.
#[must_use]
pub fn ran(thread: u32) -> Option<Duration> {
    parse(&fs::read_to_string(format!("/proc/self/task/{thread}/schedstat")).ok()?)
}

/// Nanoseconds on a processor, nanoseconds in a queue for one, and how often.
fn parse(text: &str) -> Option<Duration> {
    let mut fields = text.split_ascii_whitespace().map(str::parse::<u64>);
    let (run, _waited, turns) = (fields.next()?.ok()?, fields.next()?.ok()?, fields.next()?.ok()?);
    // A kernel that does not count shows zeros; who asks has had a turn.
    (turns > 0).then(|| Duration::from_nanos(run))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::*;
    use crate::io::clock;

    #[test]
    fn work_takes_a_processor_and_sleep_does_not() {
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
            let began = ran(own_id()).unwrap();
            let mut rounds = 0_u64;
            while ran(own_id()).unwrap() - began < Duration::from_millis(100) {
                rounds += 1;
            }
            rounds
        });
        let working = ids.recv().unwrap();
        assert_ne!(sleeping, working);
        assert!(worker.join().unwrap() > 0);
        assert!(
            clock::now().since(before) >= Duration::from_millis(100),
            "no thread runs for longer than time has passed"
        );
        assert!(ran(sleeping).unwrap() < Duration::from_millis(50), "{:?}", ran(sleeping));
        drop(stop);
        assert!(sleeper.join().unwrap().is_err());
        assert_eq!(ran(working), None, "the thread is no more");
    }

    #[test]
    fn what_is_not_counted_is_not_told() {
        assert_eq!(parse("2000 500 7\n"), Some(Duration::from_nanos(2_000)));
        assert_eq!(parse("0 0 1"), Some(Duration::ZERO), "its first turn is not over");
        for text in ["", "0 0 0", "1", "a b c"] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }
}
