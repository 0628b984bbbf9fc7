//! The lab: heraldns beside a stock Linux router in network namespaces, each test proving a claim on the real thing.
//!
//! It needs root and a few tools; without them every test is reported *ignored*, and `HERALDNS_LAB=required` makes that
//! a failure. Tests run one after the other: they measure milliseconds on the machine they share.
//! `HERALDNS_LAB_REPEAT=20` repeats what is measured and prints median and worst.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "figures and logs are printed for people")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod harness;
mod instruments;

use libtest_mimic::{Arguments, Completion, Failed, Trial};

use crate::harness::command::is_installed;
use crate::harness::namespace::sweep_leftovers;

/// Tools of the system that the lab calls.
const TOOLS: [&str; 3] = ["ip", "bridge", "dig"];

/// `tests![module: one, two]` is the trials of these functions, named as they are.
macro_rules! tests {
    ($($module:ident: $($test:ident),+ $(,)?);+ $(;)?) => {
        vec![$($(trial(stringify!($test), $module::$test)),+),+]
    };
}

fn main() {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = arguments.test_threads.or(Some(1));
    if missing().is_none() {
        sweep_leftovers();
    }
    libtest_mimic::run(&arguments, trials()).exit();
}

fn trials() -> Vec<Trial> {
    tests![
        instruments: instruments_see_kernel_neighbor_discovery,
            instruments_move_a_routers_entry,
            instruments_count_losses_duplicates_and_shares,
            instruments_make_a_switch_forget;
    ]
}

fn trial(name: &str, test: fn()) -> Trial {
    Trial::ignorable_test(name, move || match missing() {
        None => {
            test();
            Ok(Completion::Completed)
        }
        Some(missing) if std::env::var("HERALDNS_LAB").is_ok_and(|wish| wish == "required") => {
            Err(Failed::from(format!("HERALDNS_LAB=required, and the lab {missing}")))
        }
        Some(missing) => Ok(Completion::ignored_with(missing)),
    })
}

/// What stands in the lab's way.
fn missing() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("needs root".to_owned());
    }
    let absent = TOOLS.into_iter().find(|tool| !is_installed(tool))?;
    Some(format!("needs the tool '{absent}'"))
}
