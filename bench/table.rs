//! The figures as tables for people.

use std::path::Path;

use crate::answers::Judgement;
use crate::callgrind::Counted;
use crate::lines;
use crate::machine;
use crate::measurement::{Answering, Answerings, Figures, Loading};
use crate::programs::Program;
use crate::zones::{Mix, Zone};

/// How figures are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Printer {
    /// For people.
    Tables,
    /// For programs.
    Lines,
}

impl Printer {
    pub(crate) fn head(heraldns: &Path, programs: &[Program], absent: &[Program]) {
        println!("machine: {}", machine::describe());
        let name = |program: &Program| format!("{} {}", program.name(), program.version(heraldns)).trim_end().to_owned();
        println!("servers: {}", programs.iter().map(name).collect::<Vec<_>>().join(", "));
        if !absent.is_empty() {
            let names: Vec<&str> = absent.iter().map(|program| program.name()).collect();
            println!("not on this machine, so left out: {}", names.join(", "));
        }
    }

    pub(crate) fn zone(self, zone: &Zone) {
        match self {
            Self::Lines => lines::zone(zone),
            Self::Tables => println!("\nZone {zone}: {} records, {} octets", zone.records, zone.octets),
        }
    }

    pub(crate) fn loading(self, zone: &Zone, all: &[Loading]) {
        if self == Self::Lines {
            all.iter().for_each(|loading| lines::loading(zone, loading));
            return;
        }
        println!(
            "\n{:<10} {:>25} {:>8} {:>25} {:>8} {:>8} {:>8} {:>10} {:>8}",
            "loading",
            "s on 1 core (least-most)",
            "ratio",
            "s on 2 cores (least-most)",
            "ratio",
            "peak MB",
            "ratio",
            "VmHWM sum",
            "then MB"
        );
        let own = all.iter().find(|loading| loading.program == Program::Heraldns);
        all.iter().for_each(|loading| print_loading(loading, own));
    }

    pub(crate) fn judgement(self, zone: &Zone, mix: Mix, judgement: &Judgement) {
        for (program, count, case) in &judgement.differing {
            match self {
                // told as the error that it is
                Self::Tables if *program == Program::Heraldns => {}
                Self::Lines => lines::differing(zone, mix, *program, *count),
                Self::Tables => println!(
                    "\n{} differs from the majority in {count} answers; the first: {case}",
                    program.name()
                ),
            }
        }
        if self == Self::Tables {
            println!("\n{} answers of the {mix} mix compared", judgement.questions);
        }
    }

    pub(crate) fn answering(self, zone: &Zone, mix: Mix, all: &Answerings) {
        if self == Self::Lines {
            lines::answering(zone, mix, all);
            return;
        }
        println!(
            "{:<10} {:>22} {:>8} {:>6} {:>5} {:>6} {:>10} {:>6} {:>7} {:>8}",
            mix, "ns/query (least-most)", "ratio", "floor", "user", "busy", "answers/s", "lost", "octets", "then MB"
        );
        let median = |program: Program| {
            let found = all.servers.iter().find(|answering| answering.program == program);
            found.map(|answering| answering.nanoseconds.median())
        };
        let (own, floor) = (median(Program::Heraldns), median(Program::Reflector));
        all.servers.iter().for_each(|answering| print_answering(answering, own, floor));
        println!(
            "beside: {:.1} % of a processor by the servers that were not asked, {:.1} % by ksoftirqd/0, {:.0} % by strangers",
            100.0 * all.share(all.idle),
            100.0 * all.share(all.kernel_thread),
            100.0 * all.share(all.strangers)
        );
    }

    pub(crate) fn instructions(self, zone: &Zone, mix: Mix, program: Program, counted: &Counted) {
        if self == Self::Lines {
            lines::instructions(zone, mix, program, counted);
            return;
        }
        let profile = counted
            .profiles
            .last()
            .map_or(String::new(), |profile| profile.display().to_string());
        println!(
            "{:<6} {:<10} {:>8.0} instructions/query  {profile}",
            mix,
            program.name(),
            counted.each()
        );
    }
}

fn print_loading(loading: &Loading, own: Option<&Loading>) {
    let Loading {
        program,
        one_processor,
        all_processors,
        memory,
    } = loading;
    println!(
        "{:<10} {:>25} {:>8} {:>25} {:>8} {:>8.1} {:>8} {:>10.1} {:>8.1}",
        program.name(),
        spread(one_processor, 3),
        ratio(one_processor.median(), own.map(|own| own.one_processor.median())),
        spread(all_processors, 3),
        ratio(all_processors.median(), own.map(|own| own.all_processors.median())),
        megabytes(memory.peak),
        ratio(memory.peak as f64, own.map(|own| own.memory.peak as f64)),
        megabytes(memory.summed),
        megabytes(memory.resident),
    );
}

fn print_answering(answering: &Answering, own: Option<f64>, floor: Option<f64>) {
    let (outcome, time) = (&answering.outcome, answering.time);
    let median = answering.nanoseconds.median();
    println!(
        "{:<10} {:>22} {:>8} {:>6} {:>4.0}% {:>6.2} {:>10.0} {:>6} {:>7.0} {:>8.1}",
        answering.program.name(),
        spread(&answering.nanoseconds, 0),
        ratio(median, own),
        floor.map_or_else(|| "-".to_owned(), |floor| format!("{:.0}%", 100.0 * floor / median)),
        100.0 * time.user as f64 / (time.user + time.kernel).max(1) as f64,
        answering.busy.median(),
        answering.rate.median(),
        outcome.lost,
        outcome.octets as f64 / outcome.answered.max(1) as f64,
        megabytes(answering.memory.resident),
    );
}

fn spread(figures: &Figures, places: usize) -> String {
    format!(
        "{:.places$} ({:.places$}-{:.places$})",
        figures.median(),
        figures.least(),
        figures.most()
    )
}

/// How many times heraldns's figure this is.
fn ratio(figure: f64, own: Option<f64>) -> String {
    own.map_or_else(|| "-".to_owned(), |own| format!("{:.2} x", figure / own))
}

fn megabytes(octets: u64) -> f64 {
    octets as f64 / 1e6
}
