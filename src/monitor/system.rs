//! The host as sysinfo shows it: CPU in use, memory of this process.

use std::time::Duration;

use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate};

use crate::base::time::Timestamp;

/// Reading the host is dear, and it moves slowly.
const INTERVAL: Duration = Duration::from_secs(1);

/// What was last read of the host.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Reading {
    /// CPU in use on the whole host, 0 to 1.
    pub cpu: f64,
    /// Resident memory of this process, in octets.
    pub memory: u64,
}

/// Reads the host, at most once a second.
#[derive(Debug)]
pub struct System {
    /// None where sysinfo cannot read the host: the readings stay zero.
    source: Option<sysinfo::System>,
    process: Pid,
    next: Timestamp,
    reading: Reading,
}

impl System {
    /// For the process `pid`, our own.
    #[must_use]
    pub fn new(pid: u32) -> Self {
        let source = sysinfo::System::new().ok();
        Self {
            source,
            process: Pid::from_u32(pid),
            next: Timestamp::ZERO,
            reading: Reading::default(),
        }
    }

    /// What the host looks like at `now`.
    pub fn read(&mut self, now: Timestamp) -> Reading {
        if now >= self.next {
            self.next = now + INTERVAL;
            if let Some(source) = &mut self.source {
                self.reading = read(source, self.process);
            }
        }
        self.reading
    }
}

fn read(source: &mut sysinfo::System, process: Pid) -> Reading {
    source.refresh_cpu_usage();
    source.refresh_processes_specifics(
        ProcessesToUpdate::Some(&[process]),
        true,
        ProcessRefreshKind::nothing().with_memory(),
    );
    let memory = source.process(process).map_or(0, sysinfo::Process::memory);
    Reading {
        cpu: f64::from(source.global_cpu_usage()) / 100.0,
        memory,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_memory() {
        let mut system = System::new(std::process::id());
        let reading = system.read(Timestamp::from_secs(1));
        assert!(reading.memory > 100_000, "{reading:?}");
        assert_eq!(
            system.read(Timestamp::from_millis(1_500)),
            reading,
            "within a second nothing is read again"
        );
    }
}
