//! The figures as tables for people, or as lines for programs.
//!
//! A line for programs is `figure` and then `key=value` words: `zone`, `server`, what it is about, and numbers in base
//! units (nanoseconds, seconds, octets).

use crate::answers::Judgement;
use crate::callgrind::Counted;
use crate::machine;
use crate::measurement::{Answering, Answerings, Figures, Loading};
use crate::servers::{Program, Site};
use crate::zones::{Mix, Zone};

/// How figures are printed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Printer {
    /// For programs.
    pub(crate) machine: bool,
}

impl Printer {
    pub(crate) fn head(self, site: &Site, programs: &[Program], absent: &[Program]) {
        println!("machine: {}", machine::describe());
        let versions = programs
            .iter()
            .map(|program| format!("{} {}", program.name(), site.version(*program)));
        println!("servers: {}", versions.collect::<Vec<_>>().join(", ").replace(" ,", ","));
        if !absent.is_empty() {
            let names: Vec<&str> = absent.iter().map(|program| program.name()).collect();
            println!("not on this machine, so left out: {}", names.join(", "));
        }
    }

    pub(crate) fn zone(self, zone: &Zone) {
        match self.machine {
            true => println!("figure zone={zone} records={} octets={}", zone.records, zone.octets),
            false => println!("\nZone {zone}: {} records, {} octets", zone.records, zone.octets),
        }
    }

    pub(crate) fn loading(self, zone: &Zone, all: &[Loading]) {
        let own = all.iter().find(|loading| loading.program == Program::Heraldns);
        if !self.machine {
            println!(
                "\n{:<10} {:>25} {:>7} {:>25} {:>7} {:>9} {:>7} {:>9} {:>9}",
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
        }
        for loading in all {
            let (one, two, memory) = (&loading.one_processor, &loading.all_processors, loading.memory);
            let name = loading.program.name();
            if self.machine {
                println!(
                    "figure zone={zone} server={name} load1={:.6} load1_least={:.6} load1_most={:.6} load2={:.6} load2_least={:.6} load2_most={:.6} peak={} summed={} resident={}",
                    one.median(),
                    one.least(),
                    one.most(),
                    two.median(),
                    two.least(),
                    two.most(),
                    memory.peak,
                    memory.summed,
                    memory.resident
                );
                continue;
            }
            println!(
                "{name:<10} {:>25} {:>7} {:>25} {:>7} {:>9.1} {:>7} {:>9.1} {:>9.1}",
                spread(one, 3),
                ratio(one.median(), own.map(|own| own.one_processor.median())),
                spread(two, 3),
                ratio(two.median(), own.map(|own| own.all_processors.median())),
                megabytes(memory.peak),
                ratio(memory.peak as f64, own.map(|own| own.memory.peak as f64)),
                megabytes(memory.summed),
                megabytes(memory.resident),
            );
        }
    }

    pub(crate) fn judgement(self, zone: &Zone, mix: Mix, judgement: &Judgement) {
        for (program, count, case) in &judgement.differing {
            match self.machine {
                true => println!("figure zone={zone} mix={} server={} differing={count}", mix.name(), program.name()),
                false => println!(
                    "\n{} differs from the majority in {count} answers; the first: {case}",
                    program.name()
                ),
            }
        }
        if !self.machine {
            println!("\n{} answers of the {} mix compared", judgement.questions, mix.name());
        }
    }

    pub(crate) fn answering(self, zone: &Zone, mix: Mix, all: &Answerings) {
        let find = |program: Program| all.servers.iter().find(|answering| answering.program == program);
        let own = find(Program::Heraldns).map(|own| own.nanoseconds.median());
        let floor = find(Program::Reflector).map(|reflector| reflector.nanoseconds.median());
        if !self.machine {
            println!(
                "{:<10} {:>22} {:>7} {:>7} {:>6} {:>6} {:>10} {:>6} {:>6} {:>9}",
                mix.name(),
                "ns/query (least-most)",
                "ratio",
                "floor",
                "user",
                "busy",
                "answers/s",
                "lost",
                "octets",
                "then MB"
            );
        }
        for answering in &all.servers {
            match self.machine {
                true => print_line(zone, mix, answering),
                false => print_row(answering, own, floor),
            }
        }
        let share = |time: std::time::Duration| 100.0 * time.as_secs_f64() / all.elapsed.as_secs_f64();
        match self.machine {
            true => println!(
                "figure zone={zone} mix={} idle_share={:.4} kernel_thread_share={:.4}",
                mix.name(),
                share(all.idle) / 100.0,
                share(all.kernel_thread) / 100.0
            ),
            false => println!(
                "beside: {:.1} % of a processor by the servers that were not asked, {:.1} % by ksoftirqd/0",
                share(all.idle),
                share(all.kernel_thread)
            ),
        }
    }

    pub(crate) fn instructions(self, zone: &Zone, mix: Mix, program: Program, counted: &Counted) {
        let each = counted.instructions as f64 / counted.answered.max(1) as f64;
        let (name, mix) = (program.name(), mix.name());
        match self.machine {
            true => println!(
                "figure zone={zone} mix={mix} server={name} instructions={each:.1} answered={}",
                counted.answered
            ),
            false => println!(
                "{mix:<6} {name:<10} {each:>9.0} instructions/query in user space, {} answers",
                counted.answered
            ),
        }
        if !self.machine
            && let Some(profile) = counted.profiles.last()
        {
            println!("       callgrind_annotate {}", profile.display());
        }
    }
}

fn print_line(zone: &Zone, mix: Mix, answering: &Answering) {
    let Answering {
        nanoseconds,
        outcome,
        time,
        ..
    } = answering;
    let codes: Vec<String> = outcome.codes.iter().map(usize::to_string).collect();
    println!(
        "figure zone={zone} mix={} server={} ns={:.1} ns_least={:.1} ns_most={:.1} user={} kernel={} busy={:.3} rate={:.0} answered={} lost={} octets={} codes={} peak={} summed={} resident={}",
        mix.name(),
        answering.program.name(),
        nanoseconds.median(),
        nanoseconds.least(),
        nanoseconds.most(),
        time.user,
        time.kernel,
        answering.busy.median(),
        answering.rate.median(),
        outcome.answered,
        outcome.lost,
        outcome.octets,
        codes.join(","),
        answering.memory.peak,
        answering.memory.summed,
        answering.memory.resident
    );
}

fn print_row(answering: &Answering, own: Option<f64>, floor: Option<f64>) {
    let Answering {
        nanoseconds,
        outcome,
        time,
        ..
    } = answering;
    let median = nanoseconds.median();
    println!(
        "{:<10} {:>22} {:>7} {:>6.0}% {:>5.0}% {:>6.2} {:>10.0} {:>6} {:>6.0} {:>9.1}",
        answering.program.name(),
        spread(nanoseconds, 0),
        ratio(median, own),
        floor.map_or(f64::NAN, |floor| 100.0 * floor / median),
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
