//! Drain, stop and hand-over: a leaving server keeps what it has while others get what is new.

use super::bench::*;
use crate::base::peer::PeerState;
use crate::router::{Policy, Standing};

#[test]
fn a_draining_server_gets_no_datagrams_and_keeps_its_connections() {
    for state in [PeerState::Draining, PeerState::Stopping] {
        let mut bench = Bench::new(policy(Policy::Weighted));
        bench.hear(peer(1, |_| {}));
        bench.hear(peer(2, |_| {}));
        bench.run_until(100);
        bench.hear(peer(1, |peer| peer.statement.state = state));
        assert_eq!(bench.shares(), [(1, 0, 1), (2, 256, 256)]);
        bench.hear(peer(1, |peer| peer.statement.state = PeerState::Gone));
        assert_eq!(bench.shares(), [(2, 256, 256)]);
    }
}

#[test]
fn the_last_one_keeps_everything_until_another_is_there_or_it_is_gone() {
    let mut bench = Bench::new(policy(Policy::Weighted));
    bench.hear(peer(1, |peer| peer.statement.state = PeerState::Draining));
    assert_eq!(bench.shares(), [(1, 256, 256)]);
    bench.hear(peer(2, |peer| peer.statement.state = PeerState::Starting));
    assert_eq!(bench.shares(), [(1, 256, 256)]);
    bench.hear(peer(2, |peer| peer.statement.state = PeerState::Standby));
    assert_eq!(bench.shares(), [(1, 0, 1), (2, 256, 256)], "a standby server is somebody");
    bench.hear(peer(2, |peer| peer.statement.state = PeerState::Withdrawn));
    assert_eq!(bench.shares(), [(1, 256, 256)]);
    bench.hear(peer(1, |peer| peer.statement.state = PeerState::Gone));
    assert_eq!(bench.shares(), []);
}

#[test]
fn a_server_that_dies_while_it_drains_is_dead() {
    let mut bench = Bench::new(policy(Policy::Weighted));
    bench.hear(peer(1, |peer| peer.statement.state = PeerState::Draining));
    bench.run_until(899);
    assert_eq!(bench.delivered(), [1]);
    bench.run_until(900);
    assert_eq!(bench.shares(), []);
}

#[test]
fn a_hand_over_is_a_word_about_its_sender() {
    let mut bench = Bench::new(policy(Policy::Weighted));
    bench.advertise(1, |_| {});
    bench.advertise(2, |_| {});
    bench.hand_over(1, 2);
    assert_eq!(bench.shares(), [(1, 0, 1), (2, 256, 256)]);
    assert_eq!(bench.member(2).unwrap().advertisements, 1, "nothing was learned of server 2");
}

#[test]
fn whoever_says_in_an_advertisement_that_it_leaves_is_believed_before_its_next_message() {
    let mut bench = Bench::new(policy(Policy::Weighted));
    bench.hear(peer(1, |_| {}));
    bench.hear(peer(2, |_| {}));
    bench.run_until(100);
    bench.hand_over(1, 2);
    assert_eq!(bench.shares(), [(1, 0, 1), (2, 256, 256)]);
    bench.run_until(200);
    bench.hear(peer(1, |_| {}));
    assert_eq!(bench.delivered(), [1, 2], "it has changed its mind");
}

#[test]
fn a_draining_server_that_comes_back_has_its_share_again() {
    let mut bench = Bench::new(policy(Policy::Weighted));
    bench.hear(peer(1, |peer| peer.statement.state = PeerState::Draining));
    bench.hear(peer(2, |_| {}));
    bench.run_until(300);
    bench.hear(peer(1, |_| {}));
    assert_eq!(bench.shares(), [(1, 256, 256), (2, 256, 256)]);
    assert_eq!(bench.member(1).unwrap().standing, Standing::Active);
}

#[test]
fn the_latest_follows_the_hand_over_while_the_leaver_serves_on() {
    let mut bench = Bench::resolved(policy(Policy::Latest));
    bench.advertise(2, |_| {});
    bench.advertise(1, |_| {});
    assert_eq!(bench.delivered(), [1]);
    bench.hand_over(1, 2);
    assert_eq!(bench.delivered(), [2]);
    bench.advertise(1, |information| information.state = PeerState::Draining);
    assert_eq!(bench.delivered(), [2], "what a draining server says of itself is no offer");
    assert_eq!(bench.discarded("not-ready"), 1);
}
