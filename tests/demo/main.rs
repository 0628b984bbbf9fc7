//! The demo in `docker/`, run for real: its images are built, each variant is started, and what `docker/README.md` says one
//! sees is asserted on what the client sees.
//!
//! It needs root and Debian's docker.io, docker-compose, debootstrap and prometheus; without them every test is reported
//! *ignored*, and `HERALDNS_LAB=required` makes that a failure. `dockerd` is a child of this program, with folders of its own.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "figures and logs are printed for people")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod command;
mod compose;
mod dashboard;
mod docker;
mod images;
mod seconds;
mod variants;

use std::sync::OnceLock;

use libtest_mimic::{Arguments, Completion, Failed, Trial};

use crate::docker::Docker;

/// Tools of the system that are called.
const TOOLS: [&str; 7] = [
    "ip",
    "dockerd",
    "docker-compose",
    "debootstrap",
    "prometheus",
    "promtool",
    "setpriv",
];

/// Started by the first test that needs it.
static DOCKER: OnceLock<Docker> = OnceLock::new();

fn main() {
    let mut arguments = Arguments::from_args();
    // One after the other: they share one daemon and the demo's networks. And on this thread, whose end is dockerd's.
    arguments.test_threads = Some(1);
    let trials = vec![
        trial("demo_image_is_small_and_needs_three_capabilities", images::small_and_unprivileged),
        trial("demo_stock_router_five_things", variants::stock),
        trial("demo_router_side_five_things", variants::router_side),
        trial("demo_frr_five_things", variants::frr),
        trial("demo_dashboard_shows_what_the_servers_measure", dashboard::queries_are_answered),
    ];
    let conclusion = libtest_mimic::run(&arguments, trials);
    if let Some(docker) = DOCKER.get() {
        docker.end();
    }
    conclusion.exit();
}

fn trial(name: &str, test: fn(&Docker)) -> Trial {
    Trial::ignorable_test(name, move || match missing() {
        None => {
            test(DOCKER.get_or_init(Docker::start));
            Ok(Completion::Completed)
        }
        Some(missing) if std::env::var("HERALDNS_LAB").is_ok_and(|wish| wish == "required") => {
            Err(Failed::from(format!("HERALDNS_LAB=required, and the demo {missing}")))
        }
        Some(missing) => Ok(Completion::ignored_with(missing)),
    })
}

/// What stands in the demo's way.
fn missing() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("needs root".to_owned());
    }
    let absent = TOOLS.into_iter().find(|tool| !command::is_installed(tool))?;
    Some(format!("needs the tool '{absent}'"))
}
