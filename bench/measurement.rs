//! What is measured, and in which order: every round asks each server in turn, and each round begins with another one.

use std::io;
use std::thread;
use std::time::Duration;

use heraldns::io::clock;

use crate::load::{self, Outcome, Pace};
use crate::process::{self, Memory, Time, Tree};
use crate::programs::Program;
use crate::question::Queries;
use crate::servers::{Place, Server, Site};
use crate::zones::{Mix, Zone};

/// A server has come to rest when it has not run for so long.
const REST: Duration = Duration::from_millis(5);
/// How often the memory of a loading server is looked at.
const SAMPLE: Duration = Duration::from_millis(20);
/// Of the queries of a round one more in so many is asked before, and not counted.
const WARMING: usize = 10;

/// One zone and who serves it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bench<'b> {
    pub(crate) site: &'b Site,
    pub(crate) zone: &'b Zone,
    pub(crate) programs: &'b [Program],
    pub(crate) rounds: u32,
    pub(crate) queries: usize,
    pub(crate) pace: Pace,
}

/// The figures of all rounds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figures(Vec<f64>);

/// How a server loads the zone.
#[derive(Clone, Debug)]
pub(crate) struct Loading {
    pub(crate) program: Program,
    /// Seconds from exec to the first right answer to the sentinel, on the server's processor alone.
    pub(crate) one_processor: Figures,
    /// The same on all processors.
    pub(crate) all_processors: Figures,
    pub(crate) memory: Memory,
}

/// How a server answers.
#[derive(Clone, Debug)]
pub(crate) struct Answering {
    pub(crate) program: Program,
    /// Nanoseconds of processor time per answered query.
    pub(crate) nanoseconds: Figures,
    /// Share of the server's processor it was on.
    pub(crate) busy: Figures,
    /// Answers a second.
    pub(crate) rate: Figures,
    pub(crate) time: Time,
    pub(crate) outcome: Outcome,
    pub(crate) memory: Memory,
}

/// The answering of all servers, and what else ran on their processor meanwhile.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answerings {
    pub(crate) servers: Vec<Answering>,
    pub(crate) elapsed: Duration,
    /// Processor time of the servers that were not asked.
    pub(crate) idle: Duration,
    /// Of the kernel's own thread for network work.
    pub(crate) kernel_thread: Duration,
    /// Of all programs that are no part of this, on any processor.
    pub(crate) strangers: Duration,
}

impl Figures {
    fn add(&mut self, figure: f64) {
        let place = self.0.partition_point(|other| *other < figure);
        self.0.insert(place, figure);
    }

    pub(crate) fn median(&self) -> f64 {
        self.0.get(self.0.len() / 2).copied().unwrap_or(f64::NAN)
    }

    pub(crate) fn least(&self) -> f64 {
        self.0.first().copied().unwrap_or(f64::NAN)
    }

    pub(crate) fn most(&self) -> f64 {
        self.0.last().copied().unwrap_or(f64::NAN)
    }
}

impl Bench<'_> {
    /// Times the loading. At no time is there more than one server.
    pub(crate) fn loading(&self) -> io::Result<Vec<Loading>> {
        let programs = self.programs.iter().filter(|program| program.answers());
        let mut all = programs
            .map(|program| {
                // untimed: looking at memory takes time, and it warms the page cache
                let memory = self.watch_loading(*program)?;
                Ok(Loading {
                    program: *program,
                    one_processor: Figures::default(),
                    all_processors: Figures::default(),
                    memory,
                })
            })
            .collect::<io::Result<Vec<Loading>>>()?;
        for round in 0..self.rounds as usize {
            for offset in 0..all.len() {
                let count = all.len();
                let loading = &mut all[(round + offset) % count];
                loading.one_processor.add(self.time_loading(loading.program, Place::Server)?);
                loading.all_processors.add(self.time_loading(loading.program, Place::Anywhere)?);
            }
        }
        Ok(all)
    }

    fn time_loading(&self, program: Program, place: Place) -> io::Result<f64> {
        let start = clock::now();
        let mut server = self.site.start(program, self.zone, place)?;
        server.wait(self.zone)?;
        Ok(clock::now().since(start).as_secs_f64())
    }

    fn watch_loading(&self, program: Program) -> io::Result<Memory> {
        let mut server = self.site.start(program, self.zone, Place::Server)?;
        let tree = server.tree();
        let mut most = Memory::default();
        server.wait_watching(self.zone, SAMPLE, || most = most.max(tree.memory()))?;
        thread::sleep(SAMPLE);
        let now = tree.memory();
        Ok(Memory {
            resident: now.resident,
            ..most.max(now)
        })
    }

    /// Starts all servers side by side.
    pub(crate) fn start_all(&self) -> io::Result<Vec<Server>> {
        let mut servers = Vec::new();
        for program in self.programs {
            let mut server = self.site.start(*program, self.zone, Place::Server)?;
            server.wait(self.zone)?;
            servers.push(server);
        }
        Ok(servers)
    }

    /// Measures the answering of servers that run side by side; only one of them is asked at a time.
    pub(crate) fn answering(&self, servers: &[Server], mix: Mix) -> io::Result<Answerings> {
        let mut all = Answerings {
            servers: servers.iter().map(|server| Answering::nothing(server.program)).collect(),
            ..Answerings::default()
        };
        for round in 0..self.rounds as usize {
            let warming = self.queries / WARMING;
            let queries = self.zone.queries(mix, round as u64, self.queries + warming);
            for offset in 0..servers.len() {
                self.answer_round(servers, (round + offset) % servers.len(), &queries, &mut all)?;
            }
        }
        for (answering, server) in all.servers.iter_mut().zip(servers) {
            answering.memory = server.tree().memory();
        }
        Ok(all)
    }

    fn answer_round(&self, servers: &[Server], index: usize, queries: &Queries, all: &mut Answerings) -> io::Result<()> {
        let server = &servers[index];
        let warming = queries.len() - self.queries;
        load::ask(server.address, queries, 0..warming, self.pace)?;
        let beside_before = Beside::now(servers, index);
        let before = rested(server.tree());
        let outcome = load::ask(server.address, queries, warming..queries.len(), self.pace)?;
        let time = rested(server.tree()).since(before);
        let beside = Beside::now(servers, index);
        all.elapsed += outcome.elapsed;
        all.idle += Duration::from_nanos(beside.idle.saturating_sub(beside_before.idle));
        all.kernel_thread += Duration::from_nanos(beside.kernel_thread.saturating_sub(beside_before.kernel_thread));
        let (machine, ours) = (beside.machine - beside_before.machine, beside.ours - beside_before.ours);
        all.strangers += Duration::from_nanos(machine.saturating_sub(ours));
        all.servers[index].add(time, &outcome);
        Ok(())
    }
}

/// Nanoseconds of processor time so far, of what runs beside the server that is asked.
struct Beside {
    idle: u64,
    kernel_thread: u64,
    machine: u64,
    /// Of this program and of all servers, which it has started.
    ours: u64,
}

impl Beside {
    fn now(servers: &[Server], asked: usize) -> Self {
        let others = servers.iter().enumerate().filter(|(index, _)| *index != asked);
        Self {
            idle: others.map(|(_, other)| other.tree().time().total).sum(),
            kernel_thread: process::find_softirq_thread().map_or(0, process::nanoseconds),
            machine: process::machine_nanoseconds(),
            ours: Tree(std::process::id()).time().total,
        }
    }
}

impl Answerings {
    /// Which part of the time that was measured this is.
    pub(crate) fn share(&self, time: Duration) -> f64 {
        time.as_secs_f64() / self.elapsed.as_secs_f64()
    }
}

impl Answering {
    fn nothing(program: Program) -> Self {
        Self {
            program,
            nanoseconds: Figures::default(),
            busy: Figures::default(),
            rate: Figures::default(),
            time: Time::default(),
            outcome: Outcome::default(),
            memory: Memory::default(),
        }
    }

    fn add(&mut self, time: Time, outcome: &Outcome) {
        let answered = outcome.answered.max(1) as f64;
        self.nanoseconds.add(time.total as f64 / answered);
        self.busy.add(time.total as f64 / outcome.elapsed.as_nanos() as f64);
        self.rate.add(answered / outcome.elapsed.as_secs_f64());
        self.time = self.time.plus(time);
        self.outcome.add(outcome);
    }
}

/// The processor time of a tree that has come to rest: a thread that runs is counted only when it stops.
fn rested(tree: Tree) -> Time {
    thread::sleep(REST);
    tree.time()
}
