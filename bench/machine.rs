//! The machine that is measured on: its processors, and a line that says what it is.

use std::fs;
use std::io;

use heraldns::io::clock;
use rustix::thread::{CpuSet, sched_setaffinity};

/// The processor of every server.
pub(crate) const SERVER: usize = 0;
/// The processor of the asker.
pub(crate) const ASKER: usize = 1;

/// Keeps this process on one processor.
pub(crate) fn pin_to(processor: usize) -> io::Result<()> {
    let mut processors = CpuSet::new();
    processors.set(processor);
    sched_setaffinity(None, &processors)
        .map_err(|error| io::Error::other(format!("processor {processor} is not to be had ({error}): the benchmark needs two")))
}

/// What a table of figures has to say about where it was made.
pub(crate) fn describe() -> String {
    let information = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let values = |key: &str| information.lines().filter(|line| line.starts_with(key)).count();
    let model = information
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kilobytes: u64 = memory.split_whitespace().nth(1).and_then(|text| text.parse().ok()).unwrap_or(0);
    let kind = if information.contains(" hypervisor") {
        "virtual machine"
    } else {
        "machine"
    };
    format!(
        "{}, {kind} with {} x {}, {} GB, Linux {}",
        clock::wall_clock().strftime("%Y-%m-%d %H:%M UTC"),
        values("processor"),
        model.unwrap_or("unknown processor"),
        kilobytes / 1_000_000,
        fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim()
    )
}
