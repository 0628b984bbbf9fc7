//! What the processes of a server have cost: processor time, memory.
//!
//! From `/proc`: `schedstat` counts nanoseconds, `VmHWM` is the peak of the resident memory, and `Pss` counts each shared
//! page once for all processes that share it.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

/// Nanoseconds in a tick of `utime` and `stime`.
const TICK: u64 = 10_000_000;

/// A process with all its descendants, found anew for every figure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tree(pub(crate) u32);

/// Processor time of a tree so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Time {
    /// Exact, in nanoseconds.
    pub(crate) total: u64,
    /// By samples of the timer interrupt, in nanoseconds.
    pub(crate) user: u64,
    pub(crate) kernel: u64,
}

/// Memory of a tree in octets.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Memory {
    /// Resident memory, each shared page counted once.
    pub(crate) resident: u64,
    /// The most that there has been for certain: of what was resident, and of the peak of any one process.
    pub(crate) peak: u64,
    /// The peaks of all processes, summed; pages that a fork shares are counted for each process.
    pub(crate) summed: u64,
}

impl Memory {
    /// The larger of each figure.
    pub(crate) fn max(self, other: Self) -> Self {
        Self {
            resident: self.resident.max(other.resident),
            peak: self.peak.max(other.peak),
            summed: self.summed.max(other.summed),
        }
    }
}

impl Time {
    pub(crate) fn since(self, earlier: Self) -> Self {
        Self {
            total: self.total.saturating_sub(earlier.total),
            user: self.user.saturating_sub(earlier.user),
            kernel: self.kernel.saturating_sub(earlier.kernel),
        }
    }

    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            total: self.total + other.total,
            user: self.user + other.user,
            kernel: self.kernel + other.kernel,
        }
    }
}

impl Tree {
    /// Its processes, the root first.
    pub(crate) fn processes(self) -> Vec<u32> {
        let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
        for pid in numbers(Path::new("/proc")) {
            if let Some(parent) = stat_fields(pid).and_then(|fields| fields.get(1)?.parse().ok()) {
                children.entry(parent).or_default().push(pid);
            }
        }
        let mut found = vec![self.0];
        let mut index = 0;
        while let Some(pid) = found.get(index) {
            found.extend(children.remove(pid).unwrap_or_default());
            index += 1;
        }
        found
    }

    pub(crate) fn time(self) -> Time {
        let times = self.processes().into_iter().map(|pid| {
            let ticks = |index: usize| stat_fields(pid).and_then(|fields| fields.get(index)?.parse::<u64>().ok());
            Time {
                total: nanoseconds(pid),
                user: ticks(11).unwrap_or(0) * TICK,
                kernel: ticks(12).unwrap_or(0) * TICK,
            }
        });
        times.fold(Time::default(), Time::plus)
    }

    pub(crate) fn memory(self) -> Memory {
        let processes = self.processes();
        let sum = |file: &str, key: &str| processes.iter().map(|pid| kilobytes(&format!("/proc/{pid}/{file}"), key)).sum();
        let peaks = processes.iter().map(|pid| kilobytes(&format!("/proc/{pid}/status"), "VmHWM:"));
        let resident = sum("smaps_rollup", "Pss:");
        Memory {
            resident,
            peak: peaks.max().unwrap_or(0).max(resident),
            summed: sum("status", "VmHWM:"),
        }
    }
}

/// The kernel's thread that takes over network work of processor 0 when there is too much of it, if one is seen.
pub(crate) fn find_softirq_thread() -> Option<u32> {
    let is_it = |pid: &u32| fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "ksoftirqd/0");
    numbers(Path::new("/proc")).into_iter().find(is_it)
}

/// Nanoseconds that the machine's processors have been busy, by samples.
pub(crate) fn machine_nanoseconds() -> u64 {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let fields = text.lines().next().unwrap_or_default().split_whitespace().skip(1);
    // without idle, waiting for disks, and the guests' time, which is in the users' already
    let busy = fields.take(8).enumerate().filter(|(index, _)| !matches!(index, 3 | 4));
    busy.filter_map(|(_, ticks)| ticks.parse::<u64>().ok()).sum::<u64>() * TICK
}

/// Time on a processor of all threads of a process.
pub(crate) fn nanoseconds(pid: u32) -> u64 {
    let folder = format!("/proc/{pid}/task");
    let threads = numbers(Path::new(&folder)).into_iter();
    let time = |thread: u32| {
        let text = fs::read_to_string(format!("{folder}/{thread}/schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    };
    threads.filter_map(time).sum()
}

/// The entries of a folder that are numbers.
fn numbers(folder: &Path) -> Vec<u32> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// The fields of `/proc/PID/stat` from the state on: [0] state, [1] parent, [11] and [12] user and kernel time.
fn stat_fields(pid: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(')')?;
    Some(rest.split_whitespace().map(str::to_owned).collect())
}

/// The value of a line with kB in it, in octets; 0 if there is none.
fn kilobytes(file: &str, key: &str) -> u64 {
    let text = fs::read_to_string(file).unwrap_or_default();
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix(key)?.split_whitespace().next()?.parse::<u64>().ok());
    value.unwrap_or(0) * 1024
}
