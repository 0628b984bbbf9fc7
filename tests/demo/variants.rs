//! The five things to try, in each variant: stop a server, pause one, drain one, cut a link, overload one.
//!
//! Each is done to the server that answers most, and is undone again. Overload comes last, because a server that has left a
//! router for its load does not come back within a minute.

use std::time::Duration;

use super::command::{run, wait_for};
use super::compose::{Demo, SERVERS};
use super::docker::Docker;
use super::seconds::{Second, longest_gap, lost, show};

/// A test may take so many times what is promised.
const MARGIN: u64 = 3;

/// What differs between the variants.
#[derive(Clone, Copy, Debug)]
struct Expected {
    /// All servers answer, and not one holder.
    shared: bool,
    /// The outage in milliseconds when a server is gone without a word, as docs/ promise it.
    gap: u64,
    /// What a server does about a crowd that is too much for it.
    crowd: Crowd,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Crowd {
    /// Only says so: a stock router knows one server, and the holder stays it.
    IsTold,
    /// Gives up all of its router's flows.
    MovesAll,
    /// Gets a smaller share.
    MovesSome,
}

pub(crate) fn stock(docker: &Docker) {
    let demo = Demo::up(docker, &["compose.yaml"]);
    five_things(
        &demo,
        Expected {
            shared: false,
            gap: 1_300,
            crowd: Crowd::IsTold,
        },
    );
}

pub(crate) fn frr(docker: &Docker) {
    let demo = Demo::up(docker, &["compose.yaml", "compose.frr.yaml"]);
    five_things(
        &demo,
        Expected {
            shared: true,
            gap: 4_500,
            crowd: Crowd::MovesAll,
        },
    );
}

/// Reached from the stock router, as README says: without taking that down.
pub(crate) fn router_side(docker: &Docker) {
    let mut demo = Demo::up(docker, &["compose.yaml"]);
    demo.change(&["compose.yaml", "compose.router-side.yaml"]);
    five_things(
        &demo,
        Expected {
            shared: true,
            gap: 1_300,
            crowd: Crowd::MovesSome,
        },
    );
}

fn five_things(demo: &Demo<'_>, expected: Expected) {
    wait_for_all(demo, expected);
    for (what, undo, gap) in [("stop", "start", 0), ("pause", "unpause", expected.gap)] {
        let server = demo.busiest();
        leave(demo, what, server, gap, || drop(demo.compose(&[what, server])));
        demo.compose(&[undo, server]);
        wait_for_all(demo, expected);
    }
    let server = demo.busiest();
    leave(demo, "drain", server, 0, || {
        let receipt = demo.compose(&["exec", "-T", server, "heraldns", "drain"]);
        let nothing_lost = receipt.lines().any(|line| line.split_whitespace().eq(["lost", "0"]));
        assert!(nothing_lost, "{receipt}");
    });
    demo.compose(&["exec", "-T", server, "heraldns", "undrain"]);
    wait_for_all(demo, expected);
    let server = demo.busiest();
    leave(demo, "cut", server, expected.gap, || {
        demo.compose_for(server, &["run", "--rm", "-T", "cut"]);
    });
    demo.compose_for(server, &["run", "--rm", "-T", "mend"]);
    wait_for_all(demo, expected);
    overload(demo, expected.crowd);
}

/// Everybody is able to answer, and does where the load is shared.
#[track_caller]
fn wait_for_all(demo: &Demo<'_>, expected: Expected) {
    for server in SERVERS {
        demo.wait_for_health(server);
    }
    let seconds = demo.seconds();
    seconds.wait_for(seconds.now(), 3, "all servers do what they do", |second| {
        let answering = second.by_server.values().filter(|answers| **answers > 0).count();
        second.is_served() && answering == if expected.shared { SERVERS.len() } else { 1 }
    });
}

/// `server` leaves by `what`: the others answer all of it, and no port has waited for longer than three times the `promised`
/// milliseconds; nothing is lost if none are.
#[track_caller]
fn leave(demo: &Demo<'_>, what: &str, server: &str, promised: u64, leaving: impl FnOnce()) {
    let seconds = demo.seconds();
    let mark = seconds.now();
    leaving();
    let seen = seconds.wait_for(mark, 3, &format!("{what} {server}: the others answer"), |second| {
        second.is_served() && second.of(server) == 0
    });
    println!(
        "figure: demo: {what} {server}: lost {}, longest gap {} ms, promised {promised} ms",
        lost(&seen),
        longest_gap(&seen)
    );
    assert!(
        longest_gap(&seen) <= MARGIN * promised,
        "{what} {server}: a gap of more than {MARGIN} times {promised} ms\n{}",
        show(&seen)
    );
    assert!(
        promised > 0 || lost(&seen) == 0,
        "{what} {server}: something is lost\n{}",
        show(&seen)
    );
}

fn overload(demo: &Demo<'_>, crowd: Crowd) {
    let server = demo.busiest();
    let seconds = demo.seconds();
    let mark = seconds.now();
    let usual = seconds.since(mark - 1)[0].of(server);
    let name = demo.compose_for(server, &["run", "--rm", "-d", "-T", "crowd"]).trim().to_owned();
    match crowd {
        Crowd::IsTold => {
            wait_for(Duration::from_secs(60), "the server says that it is overloaded", || {
                demo.status(server)?["load"].as_f64().filter(|load| *load > 1.0)
            });
            seconds.wait_for(mark, 3, "it answers all the same", |second| {
                second.is_served() && second.of(server) > 0
            });
        }
        Crowd::MovesAll => drop(seconds.wait_for(mark, 3, "the others answer", |second| second.is_served() && second.of(server) == 0)),
        Crowd::MovesSome => drop(seconds.wait_for(mark, 3, "its share is smaller", |second: &Second| {
            second.is_served() && second.of(server) * 100 <= usual * 75
        })),
    }
    let seen = seconds.since(mark);
    println!(
        "figure: demo: overload {server}: {crowd:?} after {} s, lost {}",
        seen.len(),
        lost(&seen)
    );
    assert_eq!(lost(&seen), 0, "{}", show(&seen));
    run(demo.docker.docker().args(["kill", &name]));
}
