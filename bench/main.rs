//! heraldns beside its peers: processor time per query, time to load, memory, over the same zones and queries.
//!
//! A benchmark and never a test: it says how much, not whether. `bench/run` is the command, bench/README.md the manual.

#![allow(clippy::print_stdout, reason = "figures are printed for people")]

mod load;
mod process;
mod question;
mod reflector;
mod servers;
mod zones;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use heraldns::io::clock;
use rustix::thread::{CpuSet, sched_setaffinity};

use crate::process::{Memory, Time};
use crate::servers::{Program, Server, Site};
use crate::zones::{Kind, Mix, Zone};

#[derive(Debug, Parser)]
struct Arguments {
    #[arg(long, value_delimiter = ',')]
    servers: Vec<Program>,
    #[arg(long, value_delimiter = ',')]
    zones: Vec<Kind>,
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    #[arg(long, default_value_t = 300_000)]
    queries: usize,
    #[arg(long, default_value = env!("CARGO_BIN_EXE_heraldns"))]
    heraldns: PathBuf,
    #[arg(long)]
    load_only: bool,
    #[arg(long, default_value = "spinning")]
    asker: load::Waiting,
    #[arg(long, default_value_t = 0)]
    rate: u64,
    #[arg(long, hide = true)]
    reflect: Option<SocketAddr>,
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> io::Result<()> {
    let arguments = Arguments::parse();
    if let Some(address) = arguments.reflect {
        return reflector::serve(address);
    }
    let mut own = CpuSet::new();
    own.set(1);
    sched_setaffinity(None, &own)?;
    let folder = tempfile::Builder::new().prefix("heraldns-bench-").tempdir()?;
    let site = Site { folder: folder.path().to_owned(), heraldns: arguments.heraldns.clone() };
    let kinds = if arguments.zones.is_empty() { vec![Kind::Small, Kind::Large, Kind::Nsec3] } else { arguments.zones.clone() };
    let programs: Vec<Program> = Program::ALL.into_iter().filter(|program| {
        (arguments.servers.is_empty() || arguments.servers.contains(program)) && site.has(*program)
    }).collect();
    for kind in kinds {
        let zone = kind.write(folder.path())?;
        println!("zone {}: {} octets", kind.name(), zone.octets);
        load_times(&site, &programs, &zone, arguments.rounds)?;
        if arguments.load_only { continue; }
        query(&site, &programs, &zone, &arguments)?;
    }
    Ok(())
}

fn load_times(site: &Site, programs: &[Program], zone: &Zone, rounds: usize) -> io::Result<()> {
    for program in programs.iter().filter(|program| program.answers()) {
        for processors in ["0", "0,1"] {
            let mut times = Vec::new();
            let mut memory = Vec::new();
            for _ in 0..rounds.min(3) {
                let start = clock::now();
                let mut server = site.start(*program, zone, processors, &[])?;
                server.wait(zone)?;
                times.push(clock::now().since(start));
                memory.push(server.tree().memory());
            }
            times.sort();
            memory.sort();
            let Memory { peak, proportional } = memory[memory.len() / 2];
            println!("load {} {} cpus {processors}: {:?} peak {} MB pss {} MB", kind_name(zone), program.name(), times, peak / 1_000_000, proportional / 1_000_000);
        }
    }
    Ok(())
}

fn kind_name(zone: &Zone) -> &'static str { zone.kind.name() }

fn query(site: &Site, programs: &[Program], zone: &Zone, arguments: &Arguments) -> io::Result<()> {
    let mut servers = Vec::new();
    for program in programs {
        let mut server = site.start(*program, zone, "0", &[])?;
        server.wait(zone)?;
        servers.push(server);
    }
    for mix in [Mix::Usual, Mix::Flood] {
        let queries = zone.kind.queries(mix, 1_000_000);
        let mut figures: Vec<Vec<f64>> = vec![Vec::new(); servers.len()];
        let mut shares = vec![Time::default(); servers.len()];
        let mut busy = vec![0.0; servers.len()];
        let mut codes = vec![String::new(); servers.len()];
        let mut idle = 0;
        let soft = process::find_softirq_thread();
        let mut softirq = 0;
        for round in 0..arguments.rounds {
            for offset in 0..servers.len() {
                let index = (offset + round) % servers.len();
                let server: &Server = &servers[index];
                let first = round * arguments.queries;
                load::ask(server.address, &queries, first + arguments.queries, arguments.queries / 10, load::Pace { waiting: arguments.asker, rate: arguments.rate })?;
                std::thread::sleep(Duration::from_millis(5));
                let others = |servers: &[Server]| servers.iter().filter(|other| other.program != server.program).map(|other| other.tree().time().total).sum::<u64>();
                let idle_before = others(&servers);
                let soft_before = soft.map_or(0, process::nanoseconds);
                let before = server.tree().time();
                let outcome = load::ask(server.address, &queries, first, arguments.queries, load::Pace { waiting: arguments.asker, rate: arguments.rate })?;
                std::thread::sleep(Duration::from_millis(5));
                let used = server.tree().time().since(before);
                softirq += soft.map_or(0, process::nanoseconds) - soft_before;
                idle += others(&servers).saturating_sub(idle_before);
                figures[index].push(used.total as f64 / outcome.answered.max(1) as f64);
                shares[index] = shares[index].plus(used);
                busy[index] += used.total as f64 / outcome.elapsed.as_nanos() as f64 / arguments.rounds as f64;
                codes[index] = format!("answered {} lost {} octets {} codes {:?}", outcome.answered, outcome.lost, outcome.octets / outcome.answered.max(1), &outcome.codes[..6]);
            }
        }
        for (index, server) in servers.iter().enumerate() {
            let figures = &mut figures[index];
            figures.sort_by(f64::total_cmp);
            let share = shares[index];
            println!("{} {} {:10} {:7.0} ns ({:.0}-{:.0}) busy {:.2} user {:.0} % {} peak {} MB", zone.kind.name(), mix.name(), server.program.name(), figures[figures.len() / 2], figures[0], figures[figures.len() - 1],
                busy[index], share.user as f64 * 100.0 / (share.user + share.kernel).max(1) as f64, codes[index], server.tree().memory().peak / 1_000_000);
        }
        println!("idle others {} ms, softirq thread {} ms", idle / 1_000_000, softirq / 1_000_000);
    }
    Ok(())
}
