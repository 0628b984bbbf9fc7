//! heraldns beside its peers: processor time per query, time to load, memory, over the same zones and queries.
//!
//! A benchmark and never a test: it says how much, not whether. Only answers are judged: they are compared before anything
//! is timed, and what heraldns answers alone is not measured. `bench/run` is the command, `bench/README.md` the manual.

#![allow(clippy::print_stdout, reason = "figures are printed for people")]

mod answers;
mod arguments;
mod callgrind;
mod configurations;
mod lines;
mod load;
mod machine;
mod measurement;
mod process;
mod programs;
mod question;
mod reflector;
mod servers;
mod table;
mod zones;

use std::io;
use std::process::ExitCode;

use clap::Parser;

use crate::arguments::Arguments;
use crate::measurement::Bench;
use crate::programs::Program;
use crate::servers::Site;
use crate::table::Printer;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match arguments.reflect {
        Some(address) => reflector::serve(address),
        None => compare(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn compare(arguments: &Arguments) -> io::Result<()> {
    machine::pin_to(machine::ASKER)?;
    let folder = tempfile::Builder::new().prefix("heraldns-bench-").tempdir()?;
    let site = Site {
        folder: folder.path().to_owned(),
        heraldns: arguments.heraldns.clone(),
    };
    let printer = if arguments.machine { Printer::Lines } else { Printer::Tables };
    let (programs, absent): (Vec<Program>, Vec<Program>) = arguments.servers.iter().partition(|program| site.has(**program));
    Printer::head(&site.heraldns, &programs, &absent);
    for kind in &arguments.zones {
        let zone = kind.write(folder.path())?;
        printer.zone(&zone);
        let bench = Bench {
            site: &site,
            zone: &zone,
            programs: &programs,
            rounds: arguments.rounds,
            queries: arguments.queries as usize,
            pace: arguments.pace(),
        };
        match arguments.callgrind {
            true => count_instructions(&bench, arguments, printer)?,
            false => measure(&bench, arguments, printer)?,
        }
    }
    Ok(())
}

fn measure(bench: &Bench<'_>, arguments: &Arguments, printer: Printer) -> io::Result<()> {
    if !arguments.queries_only {
        printer.loading(bench.zone, &bench.loading()?);
    }
    if arguments.load_only {
        return Ok(());
    }
    let servers = bench.start_all()?;
    for mix in &arguments.mixes {
        let judgement = answers::compare(&servers, &bench.zone.questions(*mix, answers::COMPARED))?;
        printer.judgement(bench.zone, *mix, &judgement);
        judgement.require_agreement()?;
        printer.answering(bench.zone, *mix, &bench.answering(&servers, *mix)?);
    }
    Ok(())
}

fn count_instructions(bench: &Bench<'_>, arguments: &Arguments, printer: Printer) -> io::Result<()> {
    for mix in &arguments.mixes {
        for program in bench.programs {
            let counted = callgrind::count(bench, *program, *mix, &arguments.profiles)?;
            printer.instructions(bench.zone, *mix, *program, &counted);
        }
    }
    Ok(())
}
