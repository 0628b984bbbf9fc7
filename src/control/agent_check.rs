//! The agent check: HAProxy connects, reads one line of words, and sets a server's weight and state by it (`agent-check` in its
//! manual). For farms behind a load balancer, which needs no part of the advertising for that.
//!
//! The weight follows the recent load as that of a router side does, but without a memory: w = (0.7 / load)^0.5 above a load of
//! 0.7, never below an eighth. Half of what a server is too full goes at once; an exponent below 1 cannot swing.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::timeout;

use super::bounded::{Bounded, Connection};
use super::socket::ask;
use super::status::{State, Status};
use super::{Command, Operator};
use crate::io::clock;

/// Connections at the same time.
const CONNECTIONS: usize = 32;
/// How long a connection lasts; HAProxy closes its own when it has the line.
const LIFETIME: Duration = Duration::from_secs(2);
/// A server that does not tell its status by then is down; HAProxy gives up after two seconds.
const PATIENCE: Duration = Duration::from_secs(1);
/// Up to this load a server has its whole weight.
const WELCOME: f64 = 0.7;
/// The least weight that load alone leads to: zero would be a drain.
const LEAST: f64 = 0.125;
/// What this server has told HAProxy of a drain is taken back for so long; after that a state that an administrator sets there
/// stays.
const TAKEN_BACK_FOR: Duration = Duration::from_secs(300);
/// Longer reasons are cut, in octets.
const REASON: usize = 100;

/// Tells everybody who connects, for ever; dropping the future closes the port.
pub async fn serve(listener: TcpListener, operator: Arc<dyn Operator>) {
    let mut bounded = Bounded::new(listener, CONNECTIONS, LIFETIME);
    loop {
        let (stream, _) = bounded.accept().await;
        let operator = Arc::clone(&operator);
        tokio::spawn(async move {
            // Whoever closes before it has its line has not missed anything that we could mend.
            let _ = tell(stream, operator.as_ref()).await;
        });
    }
}

async fn tell(mut stream: Connection, operator: &dyn Operator) -> io::Result<()> {
    let line = match timeout(PATIENCE, ask(operator, Command::Status)).await {
        Ok(Ok(status)) => match serde_json::from_str::<Status>(status.get()) {
            Ok(status) => line(&status, age(&status)),
            Err(error) => down(&error.to_string()),
        },
        Ok(Err(why)) => down(&why),
        Err(_late) => down("the server does not answer"),
    };
    stream.write_all(line.as_bytes()).await?;
    stream.shutdown().await?;
    // What the client may have sent must not destroy the answer; it ends with the connection's lifetime.
    while stream.read(&mut [0; 64]).await? > 0 {}
    Ok(())
}

/// How long the server has been in its state.
fn age(status: &Status) -> Duration {
    let since = status.since.parse::<jiff::Timestamp>().ok();
    let age = since.and_then(|since| Duration::try_from(clock::wall_clock().duration_since(since)).ok());
    age.unwrap_or_default()
}

/// The line for a server that has been in its state for `age`.
fn line(status: &Status, age: Duration) -> String {
    match status.state {
        State::Standby | State::Active if age < TAKEN_BACK_FOR => format!("up ready {}%\n", percent(status.recent_load)),
        State::Standby | State::Active => format!("up {}%\n", percent(status.recent_load)),
        State::Draining | State::Stopping => "up drain\n".to_owned(),
        State::Starting => down("starting"),
        State::Withdrawn => down(&status.reason),
    }
}

fn percent(load: f64) -> u32 {
    let share = (WELCOME / load.max(WELCOME)).sqrt().max(LEAST);
    (share * 100.0).round() as u32
}

/// The word with its reason. HAProxy ends a reason at a space, tab or comma and takes what follows for words of their own: a
/// reason that mentions `up` would undo it.
fn down(reason: &str) -> String {
    let reason: String = reason
        .chars()
        .take(REASON)
        .map(|letter| if is_of_a_word(letter) { letter } else { '_' })
        .collect();
    format!("down#{reason}\n")
}

fn is_of_a_word(letter: char) -> bool {
    letter.is_ascii_graphic() && letter != ','
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(state: State, recent_load: f64) -> Status {
        let text = r#"{"identity":"s1","version":"1","state":"active","reason":"no worker\nanswers: \u00e4","since":"2026-01-01T00:00:00Z",
            "pids":{"guardian":1,"main":2},"services":[],"queries":{"total":0,"per_second":0},"load":9.0,"advertisers":[],"peers":[]}"#;
        Status {
            state,
            recent_load,
            ..serde_json::from_str(text).unwrap()
        }
    }

    fn told(state: State) -> String {
        line(&server(state, 0.0), Duration::from_secs(3_600))
    }

    #[test]
    fn the_line_has_the_words_of_haproxys_manual() {
        assert_eq!(told(State::Active), "up 100%\n");
        assert_eq!(told(State::Standby), "up 100%\n");
        assert_eq!(told(State::Draining), "up drain\n");
        assert_eq!(told(State::Stopping), "up drain\n");
        assert_eq!(told(State::Starting), "down#starting\n");
        assert_eq!(told(State::Withdrawn), "down#no_worker_answers:__\n", "one line of ASCII");
    }

    #[test]
    fn a_reason_is_one_word_whatever_it_says() {
        assert_eq!(down("not up,\tready 50%"), "down#not_up__ready_50%\n");
        assert_eq!(down(&"x".repeat(500)).len(), "down#\n".len() + REASON);
    }

    #[test]
    fn a_drain_is_taken_back_for_a_while_and_an_administrators_is_not() {
        let at = |age| line(&server(State::Active, 0.0), Duration::from_secs(age));
        assert_eq!([at(0), at(299), at(300)], ["up ready 100%\n", "up ready 100%\n", "up 100%\n"]);
        assert!(age(&server(State::Active, 0.0)) > Duration::from_secs(1));
    }

    #[test]
    fn weight_falls_with_the_root_of_the_load_and_never_to_zero() {
        let loads = [0.0, 0.5, 0.7, 0.8, 1.0, 2.8, 10.0, 1e9];
        assert_eq!(loads.map(percent), [100, 100, 100, 94, 84, 50, 26, 13]);
    }

    #[test]
    fn servers_of_unlike_strength_come_to_rest() {
        // Two servers with the same weight, one of half the strength of the other; each round HAProxy shares by the last weights.
        for offered in [0.5, 1.2, 1.5, 2.0, 4.0, 9.0] {
            let mut weights = [100.0, 100.0];
            let mut last = weights;
            for _ in 0..40 {
                last = weights;
                let part = offered * weights[0] / (weights[0] + weights[1]);
                let loads = [part / 1.0, (offered - part) / 2.0];
                weights = loads.map(|load| f64::from(percent(load)));
            }
            let moved = (weights[0] - last[0]).abs().max((weights[1] - last[1]).abs());
            assert!(moved <= 1.0, "{offered}: {last:?} {weights:?}");
            assert!(weights[0] <= weights[1], "the weaker one has no more than the stronger one");
        }
    }
}
