//! What the client sees, second by second, from the lines that `heraldns watch` prints.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use super::command::wait_for;

/// A second as it was printed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Second {
    pub(crate) line: String,
    pub(crate) sent: u64,
    pub(crate) answered: u64,
    pub(crate) lost: u64,
    pub(crate) gap_millis: u64,
    pub(crate) by_server: BTreeMap<String, u64>,
}

impl Second {
    fn parse(line: &str) -> Option<Self> {
        let (counts, servers) = line.split_once(" |")?;
        let count = |name: &str| -> Option<u64> {
            let word = counts.split(' ').find_map(|word| word.strip_prefix(name)?.strip_prefix('='))?;
            word.trim_end_matches("ms").parse().ok()
        };
        let servers = servers.split_whitespace().map(|word| {
            let (name, answers) = word.split_once('=')?;
            Some((name.to_owned(), answers.parse().ok()?))
        });
        Some(Self {
            line: line.to_owned(),
            sent: count("sent")?,
            answered: count("answered")?,
            lost: count("lost")?,
            gap_millis: count("gap")?,
            by_server: servers.collect::<Option<_>>()?,
        })
    }

    pub(crate) fn of(&self, server: &str) -> u64 {
        self.by_server.get(server).copied().unwrap_or_default()
    }

    /// Nearly all that was asked was answered: the second's edges cut a few off. What is lost is told in the next one.
    pub(crate) fn is_served(&self) -> bool {
        self.sent > 0 && self.answered * 100 >= self.sent * 90 && self.lost == 0
    }
}

/// The client's log, read as it grows.
#[derive(Debug)]
pub(crate) struct Seconds {
    lines: Arc<Mutex<Vec<Second>>>,
    reader: Child,
}

impl Seconds {
    /// From `docker logs --follow`.
    pub(crate) fn follow(logs: &mut Command) -> Self {
        let mut reader = logs.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(reader.stdout.take().unwrap());
        let lines = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&lines);
        thread::spawn(move || {
            for second in output.lines().map_while(Result::ok).filter_map(|line| Second::parse(&line)) {
                shared.lock().unwrap().push(second);
            }
        });
        Self { lines, reader }
    }

    /// The number of seconds so far: what comes from now on is `since` it.
    pub(crate) fn now(&self) -> usize {
        self.lines.lock().unwrap().len()
    }

    pub(crate) fn since(&self, mark: usize) -> Vec<Second> {
        self.lines.lock().unwrap()[mark..].to_vec()
    }

    /// Waits for `count` seconds in a row since `mark` that are all `wanted`; returns all since `mark`.
    #[track_caller]
    pub(crate) fn wait_for(&self, mark: usize, count: usize, what: &str, wanted: impl Fn(&Second) -> bool) -> Vec<Second> {
        let limit = Duration::from_secs(60);
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            wait_for(limit, what, || {
                let seconds = self.since(mark);
                let is_seen = seconds.len() >= count && seconds[seconds.len() - count..].iter().all(&wanted);
                is_seen.then_some(seconds)
            })
        }));
        outcome.unwrap_or_else(|_| panic!("not seen by the client: {what}\n{}", show(&self.since(mark))))
    }
}

impl Drop for Seconds {
    fn drop(&mut self) {
        let _already_gone = self.reader.kill();
        let _reaped = self.reader.wait();
    }
}

pub(crate) fn lost(seconds: &[Second]) -> u64 {
    seconds.iter().map(|second| second.lost).sum()
}

pub(crate) fn longest_gap(seconds: &[Second]) -> u64 {
    seconds.iter().map(|second| second.gap_millis).max().unwrap_or_default()
}

pub(crate) fn show(seconds: &[Second]) -> String {
    seconds.iter().map(|second| format!("    {}\n", second.line)).collect()
}
