//! A connection as a visit: counted when it begins and when it ends, and sent away when it has been silent for too long.
//!
//! What is too long depends on how many others there are (`connections`) and on the phase of the listener. While a server
//! drains, a pause between two messages is a good moment to close, and the only one: nothing is in the socket then, and no
//! answer is on its way. At `drain-timeout` ever shorter pauses have to do.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time;

use super::Phase;
use super::connections::{Admission, Connections};
use super::udp::is_from_others;
use crate::base::time::Timestamp;
use crate::dns::counters::{self, Tally};
use crate::io::clock;

/// A connection that is silent for so long is closed while draining. Who asks more often is left alone until `drain-timeout`: each
/// close can cross a query on its way (3 of 930 connections that asked twice a second did, when 230 ms were enough). No round
/// time, at which clients that ask by the clock would ask.
pub(super) const LEAVING_IDLE: Duration = Duration::from_millis(1_030);
/// Of those that may not stay any longer a pause like this is waited for, which a client far away needs for its next query,
const PARTING_PAUSE: Duration = Duration::from_millis(230);
/// for this long,
const SETTLING: Duration = Duration::from_secs(1);
/// then one like this, from its beginning: who pauses for longer will not ask at that very moment,
const SHORTEST_PAUSE: Duration = Duration::from_millis(23);
/// and at this time the connection ends when what has come is answered.
const PARTING: Duration = Duration::from_secs(2);
/// What is too long changes without notice: as connections become many, and while they are sent away.
const LOOK: Duration = Duration::from_secs(1);
const LOOK_PARTING: Duration = Duration::from_millis(100);

/// How a connection has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// By either side, with every query answered.
    Closed,
    /// By an error, within a message, or with a query that got no answer.
    Broken,
}

/// One connection, from its admission to its end; dropped without a word it was broken.
pub(super) struct Visit {
    counters: Arc<counters::Listener>,
    connections: Arc<Connections>,
    phases: watch::Receiver<Phase>,
    /// The phase that was last seen, and since when.
    seen: (Phase, Timestamp),
    /// It began when others were being sent away already, and is not one of them.
    is_newcomer: bool,
    /// It counts for the drain.
    is_from_others: bool,
    ending: Ending,
    _admission: Admission,
}

impl Visit {
    /// The connection of `client`, which `connections` has admitted.
    pub(super) fn begin(
        client: IpAddr,
        admission: Admission,
        connections: Arc<Connections>,
        counters: Arc<counters::Listener>,
        phases: watch::Receiver<Phase>,
    ) -> Self {
        let phase = *phases.borrow();
        let visit = Self {
            is_from_others: is_from_others(&counters, client),
            counters,
            connections,
            phases,
            seen: (phase, clock::now()),
            is_newcomer: phase == Phase::Part,
            ending: Ending::Broken,
            _admission: admission,
        };
        visit.count(|tally| &mut tally.connections_opened);
        visit
    }

    /// Says how it has ended.
    pub(super) fn end(mut self, ending: Ending) {
        self.ending = ending;
    }

    /// How long a client may take for anything but a pause.
    pub(super) fn idle(&self) -> Duration {
        self.connections.idle()
    }

    /// The idle time that is told to clients; zero asks them to close (RFC 7828 §3.2.2).
    pub(super) fn told_idle(&self) -> Duration {
        if *self.phases.borrow() == Phase::Serve {
            self.connections.idle()
        } else {
            Duration::ZERO
        }
    }

    /// Its time is over: it ends as soon as what has come is answered.
    pub(super) fn is_over(&mut self) -> bool {
        let now = clock::now();
        !matches!(*self.phases.borrow(), Phase::Serve | Phase::Leave) && self.allowed(now, now).is_zero()
    }

    /// Returns when it has been silent for too long; `heard` says since when it is silent.
    pub(super) async fn outstayed(&mut self, heard: impl Fn() -> Timestamp) {
        loop {
            let now = clock::now();
            let heard = heard();
            let (allowed, silent) = (self.allowed(heard, now), now.since(heard));
            if silent >= allowed {
                return;
            }
            let look = match self.seen.0 {
                Phase::Serve | Phase::Leave => LOOK,
                Phase::Part | Phase::Drain | Phase::Stop => LOOK_PARTING,
            };
            tokio::select! {
                () = time::sleep((allowed - silent).min(look)) => {}
                changed = self.phases.changed() => if changed.is_err() { return },
            }
        }
    }

    /// Waits for `future`, but not beyond the order to stop.
    pub(super) async fn until_stopped<F: Future>(&mut self, future: F) -> Option<F::Output> {
        tokio::select! {
            biased;
            output = future => Some(output),
            _ = self.phases.wait_for(|phase| *phase == Phase::Stop) => None,
        }
    }

    /// How long it may be silent at `now`, having been so since `heard`.
    fn allowed(&mut self, heard: Timestamp, now: Timestamp) -> Duration {
        let phase = *self.phases.borrow_and_update();
        if phase != self.seen.0 {
            (self.seen, self.is_newcomer) = ((phase, now), false);
        }
        let (idle, since) = (self.connections.idle(), self.seen.1);
        match phase {
            Phase::Serve => idle,
            Phase::Part if self.is_newcomer => idle.min(PARTING_PAUSE),
            Phase::Part if now.since(since) >= PARTING => Duration::ZERO,
            Phase::Part | Phase::Drain if heard >= since + SETTLING => idle.min(SHORTEST_PAUSE),
            Phase::Leave => idle.min(LEAVING_IDLE),
            Phase::Part | Phase::Drain => idle.min(PARTING_PAUSE),
            Phase::Stop => Duration::ZERO,
        }
    }

    fn count(&self, number: impl FnOnce(&mut Tally) -> &mut u64) {
        let mut tally = Tally::default();
        *number(&mut tally) = u64::from(self.is_from_others);
        self.counters.workers[0].add(&mut tally);
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        match self.ending {
            Ending::Closed => self.count(|tally| &mut tally.connections_closed),
            Ending::Broken => self.count(|tally| &mut tally.connections_broken),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::counters::{Counters, Transport};
    use crate::dns::server::Limits;

    struct House {
        counters: Counters,
        connections: Arc<Connections>,
        listener: Arc<counters::Listener>,
        phase: watch::Sender<Phase>,
    }

    impl House {
        fn new() -> Self {
            let counters = Counters::new();
            let address = "[2001:db8:5::53]:53".parse().unwrap();
            Self {
                listener: counters.add_listener(address, Transport::Tcp, true, 1, Timestamp::ZERO),
                connections: Arc::new(Connections::new(&Limits::of(&crate::dns::config::Config::default()))),
                counters,
                phase: watch::channel(Phase::Serve).0,
            }
        }

        fn receive(&self, client: &str) -> Visit {
            let client = client.parse().unwrap();
            Visit::begin(
                client,
                self.connections.admit(client).unwrap(),
                Arc::clone(&self.connections),
                Arc::clone(&self.listener),
                self.phase.subscribe(),
            )
        }

        fn counts(&self) -> [u64; 3] {
            let total = self.counters.snapshot().total();
            [total.connections_opened, total.connections_closed, total.connections_broken]
        }
    }

    /// What a visit is allowed that has just been heard, so many milliseconds after `since`.
    fn after(visit: &mut Visit, since: Timestamp, millis: u64) -> u128 {
        let now = since + Duration::from_millis(millis);
        visit.allowed(now, now).as_millis()
    }

    #[test]
    fn visits_from_others_are_counted_in_and_out() {
        let house = House::new();
        let first = house.receive("2001:db8::1");
        let second = house.receive("2001:db8::2");
        let own = [house.receive("::1"), house.receive("2001:db8:5::53")];
        assert_eq!(house.counts(), [2, 0, 0]);
        first.end(Ending::Closed);
        drop(second);
        own.into_iter().for_each(|visit| visit.end(Ending::Closed));
        assert_eq!(house.counts(), [2, 1, 1]);
    }

    #[test]
    fn who_is_sent_away_gets_ever_shorter_pauses() {
        let house = House::new();
        let (mut visit, now) = (house.receive("2001:db8::1"), clock::now());
        assert_eq!((after(&mut visit, now, 0), visit.told_idle().as_secs()), (10_000, 10));
        house.phase.send_replace(Phase::Leave);
        assert_eq!((after(&mut visit, now, 0), visit.told_idle().as_secs()), (1_030, 0));
        assert_eq!(after(&mut visit, now, 9_000), 1_030);
        house.phase.send_replace(Phase::Part);
        assert_eq!(
            [0, 999, 1_000, 1_999, 2_000].map(|millis| after(&mut visit, now, millis)),
            [230, 230, 23, 23, 0]
        );
        let pause = |visit: &mut Visit, from: u64, to: u64| {
            let at = |millis| now + Duration::from_millis(millis);
            visit.allowed(at(from), at(to)).as_millis()
        };
        assert_eq!(pause(&mut visit, 999, 1_100), 230, "it began when a short one was not yet enough");
        assert_eq!(pause(&mut visit, 1_000, 1_100), 23);
        house.phase.send_replace(Phase::Serve);
        assert_eq!(after(&mut visit, now, 3_000), 10_000, "the drain was ended");
    }

    #[test]
    fn who_comes_when_others_are_sent_away_is_not_one_of_them() {
        let house = House::new();
        house.phase.send_replace(Phase::Part);
        let (mut visit, now) = (house.receive("2001:db8::1"), clock::now());
        assert_eq!(after(&mut visit, now, 60_000), 230);
        house.phase.send_replace(Phase::Drain);
        assert_eq!([60_000, 61_000, 99_000].map(|millis| after(&mut visit, now, millis)), [230, 23, 23]);
        house.phase.send_replace(Phase::Stop);
        assert!(visit.is_over());
    }
}
