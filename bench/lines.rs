//! The figures as lines that a program can read: `figure` and then `key=value` words, numbers in base units (nanoseconds,
//! seconds, octets).

use crate::callgrind::Counted;
use crate::load::Outcome;
use crate::measurement::{Answering, Answerings, Loading};
use crate::process::Memory;
use crate::programs::Program;
use crate::zones::{Mix, Zone};

pub(crate) fn zone(zone: &Zone) {
    println!("figure zone={zone} records={} octets={}", zone.records, zone.octets);
}

pub(crate) fn loading(zone: &Zone, loading: &Loading) {
    let (one, two) = (&loading.one_processor, &loading.all_processors);
    println!(
        "figure zone={zone} server={} load1={:.6} load1_least={:.6} load1_most={:.6} load2={:.6} load2_least={:.6} load2_most={:.6} {}",
        loading.program.name(),
        one.median(),
        one.least(),
        one.most(),
        two.median(),
        two.least(),
        two.most(),
        memory(loading.memory)
    );
}

pub(crate) fn differing(zone: &Zone, mix: Mix, program: Program, count: usize) {
    println!("figure zone={zone} mix={mix} server={} differing={count}", program.name());
}

pub(crate) fn answering(zone: &Zone, mix: Mix, all: &Answerings) {
    for Answering {
        program,
        nanoseconds,
        busy,
        rate,
        time,
        outcome,
        memory: used,
    } in &all.servers
    {
        println!(
            "figure zone={zone} mix={mix} server={} ns={:.1} ns_least={:.1} ns_most={:.1} user={} kernel={} busy={:.3} rate={:.0} {} {}",
            program.name(),
            nanoseconds.median(),
            nanoseconds.least(),
            nanoseconds.most(),
            time.user,
            time.kernel,
            busy.median(),
            rate.median(),
            counts(outcome),
            memory(*used)
        );
    }
    println!(
        "figure zone={zone} mix={mix} idle_share={:.5} kernel_thread_share={:.5} strangers_share={:.5}",
        all.share(all.idle),
        all.share(all.kernel_thread),
        all.share(all.strangers)
    );
}

pub(crate) fn instructions(zone: &Zone, mix: Mix, program: Program, counted: &Counted) {
    println!(
        "figure zone={zone} mix={mix} server={} instructions={:.1} answered={}",
        program.name(),
        counted.each(),
        counted.answered
    );
}

fn counts(outcome: &Outcome) -> String {
    let codes: Vec<String> = outcome.codes.iter().map(usize::to_string).collect();
    format!(
        "answered={} lost={} octets={} codes={}",
        outcome.answered,
        outcome.lost,
        outcome.octets,
        codes.join(",")
    )
}

fn memory(memory: Memory) -> String {
    format!("peak={} summed={} resident={}", memory.peak, memory.summed, memory.resident)
}
