//! Stories of one peers machine: what it says when, whom it believes, whom it forgets.

use std::net::Ipv6Addr;

use super::*;
use crate::base::machine::Output;

const GROUP: &str = "ff12::4844";

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn mac(last: u8) -> LinkLayerAddress {
    LinkLayerAddress([2, 0, 0, 0, 0, last])
}

fn setup(identity: &str) -> Setup {
    Setup {
        config: Config::default(),
        key: None,
        interface: "eth0".to_owned(),
        identity: identity.to_owned(),
        boot: 100,
    }
}

fn started(setup: Setup) -> Peers {
    let mut peers = Peers::new(setup);
    let interface = InterfaceState {
        link_layer: mac(1),
        link_local: Some("fe80::1".parse().unwrap()),
        up: true,
        ..InterfaceState::default()
    };
    peers.handle(Input::Interface(&interface), at(0), &mut Outbox::new());
    peers
}

fn standby() -> Statement {
    Statement {
        state: PeerState::Standby,
        ..Statement::default()
    }
}

/// The messages in the outbox, as another server reads them.
fn said(out: &mut Outbox, key: Option<&Key>) -> Vec<PeerMessage> {
    let payloads = out.drain().filter_map(|output| match output {
        Output::Send(LINK, datagram) => Some(datagram.payload),
        _ => None,
    });
    payloads.map(|payload| PeerMessage::parse(&payload, key).unwrap()).collect()
}

fn message(identity: &str, last: u8, boot: u64, sequence: u32) -> PeerMessage {
    PeerMessage {
        statement: Statement {
            identity: identity.to_owned(),
            state: PeerState::Standby,
            link_layer: mac(last),
            interval: Duration::from_millis(300),
            ..Statement::default()
        },
        boot,
        sequence,
    }
}

/// Delivers a message that came with `hop_limit` from `source`.
fn deliver_from(peers: &mut Peers, source: &str, hop_limit: u8, payload: &[u8], now: Timestamp) -> Outbox {
    let mut out = Outbox::new();
    let packet = Datagram {
        source: source.parse().unwrap(),
        source_port: 4844,
        destination: GROUP.parse().unwrap(),
        hop_limit,
        payload,
    };
    peers.handle(Input::Datagram(LINK, packet), now, &mut out);
    out
}

fn deliver(peers: &mut Peers, message: &PeerMessage, now: Timestamp) -> Outbox {
    deliver_from(peers, "fe80::2", 255, &message.emit(None), now)
}

#[test]
fn a_change_is_said_at_once_and_load_waits_for_the_interval() {
    let mut peers = started(setup("s1"));
    let mut out = Outbox::new();
    peers.say(standby(), at(0), &mut out);
    assert_eq!(said(&mut out, None).len(), 1);
    assert_eq!(peers.deadline(), Some(at(300)));

    let busy = Statement {
        load: 500,
        recent_load: Some(600),
        offered: 1_000,
        ..standby()
    };
    peers.say(busy.clone(), at(100), &mut out);
    assert!(out.outputs().is_empty());
    peers.handle(Input::Tick, at(300), &mut out);
    let told = &said(&mut out, None)[0].statement;
    assert_eq!((told.load, told.recent_load), (500, Some(600)));

    peers.say(Statement { holder: true, ..busy }, at(310), &mut out);
    let message = &said(&mut out, None)[0];
    assert!(message.statement.holder);
    assert_eq!((message.statement.link_layer, message.boot, message.sequence), (mac(1), 100, 3));
    assert_eq!(peers.deadline(), Some(at(610)));
}

#[test]
fn in_idle_standby_a_second_lies_between_messages() {
    let mut peers = started(setup("s1"));
    let mut out = Outbox::new();
    peers.say(Statement { idle: true, ..standby() }, at(0), &mut out);
    assert_eq!(said(&mut out, None)[0].statement.interval, Duration::from_secs(1));
    assert_eq!(peers.deadline(), Some(at(1_000)));
}

#[test]
fn nothing_is_sent_while_the_link_is_down_and_what_was_said_then_only_if_nothing_new_comes() {
    let mut peers = Peers::new(setup("s1"));
    let mut out = Outbox::new();
    peers.say(standby(), at(0), &mut out);
    peers.handle(Input::Tick, at(300), &mut out);
    assert!(out.outputs().is_empty());
    let interface = InterfaceState {
        link_layer: mac(9),
        link_local: Some("fe80::9".parse().unwrap()),
        up: true,
        ..InterfaceState::default()
    };
    peers.handle(Input::Interface(&interface), at(350), &mut out);
    assert!(out.outputs().is_empty());
    peers.handle(Input::Tick, at(370), &mut out);
    assert_eq!(said(&mut out, None)[0].statement.link_layer, mac(9));

    let down = InterfaceState {
        up: false,
        link_local: None,
        ..interface.clone()
    };
    let withdrawn = Statement {
        state: PeerState::Withdrawn,
        ..standby()
    };
    peers.handle(Input::Interface(&down), at(400), &mut out);
    peers.say(withdrawn, at(400), &mut out);
    peers.handle(Input::Interface(&interface), at(500), &mut out);
    peers.say(standby(), at(500), &mut out);
    let said = said(&mut out, None);
    assert_eq!((said.len(), said[0].statement.state), (1, PeerState::Standby));
    assert_eq!(peers.deadline(), Some(at(800)));
}

#[test]
fn a_new_link_layer_address_is_said_at_once() {
    let mut peers = started(setup("s1"));
    let mut out = Outbox::new();
    peers.say(standby(), at(0), &mut out);
    said(&mut out, None);
    let interface = InterfaceState {
        link_layer: mac(9),
        ..peers.interface.clone()
    };
    peers.handle(Input::Interface(&interface), at(100), &mut out);
    assert_eq!(said(&mut out, None)[0].statement.link_layer, mac(9));
}

#[test]
fn after_a_stall_what_was_said_before_is_not_repeated_if_something_new_comes() {
    let mut peers = started(setup("s1"));
    let mut out = Outbox::new();
    peers.say(Statement { holder: true, ..standby() }, at(0), &mut out);
    assert_eq!(said(&mut out, None).len(), 1);
    assert!(said(&mut deliver(&mut peers, &message("s2", 2, 5, 1), at(901)), None).is_empty());
    peers.handle(Input::Tick, at(902), &mut out);
    assert!(out.outputs().is_empty());
    assert_eq!(peers.deadline(), Some(at(921)));
    peers.say(standby(), at(903), &mut out);
    let news = said(&mut out, None);
    assert_eq!(
        (news.len(), news[0].statement.holder, peers.deadline()),
        (1, false, Some(at(1_203)))
    );
}

#[test]
fn a_message_counts_once() {
    let mut peers = started(setup("s1"));
    deliver(&mut peers, &message("s2", 2, 5, 10), at(1));
    for stale in [message("s2", 2, 5, 10), message("s2", 2, 5, 9), message("s2", 2, 4, 11)] {
        deliver(&mut peers, &stale, at(2));
    }
    assert_eq!(peers.traffic().dropped.of(refused::REPLAYED), 3);
    deliver(&mut peers, &message("s2", 2, 6, 1), at(3));
    assert_eq!(peers.peers().len(), 1);
    assert_eq!((peers.peers()[0].last_heard, peers.traffic().received), (at(3), 2));
}

#[test]
fn only_the_link_and_the_configured_addresses_are_heard() {
    let mut setup = setup("s1");
    setup.config.addresses = vec!["2001:db8::2".parse().unwrap()];
    let mut peers = started(setup);
    let bytes = message("s2", 2, 5, 1).emit(None);
    deliver_from(&mut peers, "fe80::2", 254, &bytes, at(1));
    deliver_from(&mut peers, "2001:db8::3", 255, &bytes, at(1));
    deliver_from(&mut peers, "fe80::2", 255, &bytes[..40], at(1));
    assert_eq!(peers.traffic().dropped.entries(), [("hop-limit", 1), ("stranger", 1), ("short", 1)]);
    assert!(peers.peers().is_empty());
    deliver_from(&mut peers, "2001:db8::2", 60, &bytes, at(1));
    assert!(!peers.peers()[0].on_link);
}

#[test]
fn a_server_whose_messages_come_from_the_link_too_is_on_the_link() {
    let mut setup = setup("s1");
    setup.config.addresses = vec!["2001:db8::2".parse().unwrap()];
    let mut peers = started(setup);
    for sequence in 1..=3 {
        let now = at(300 * u64::from(sequence));
        let bytes = message("s2", 2, 5, sequence).emit(None);
        deliver_from(&mut peers, "2001:db8::2", 60, &bytes, now);
        assert_eq!(peers.peers()[0].on_link, sequence > 1, "never taken for one beyond it again");
        deliver_from(&mut peers, "fe80::2", 255, &bytes, now);
        assert!(peers.peers()[0].on_link);
        assert_eq!(peers.peers()[0].source, "fe80::2".parse::<Ipv6Addr>().unwrap());
        deliver_from(&mut peers, "fe80::2", 255, &bytes, now);
    }
    assert_eq!(peers.traffic().dropped.entries(), [("replayed", 3), ("on-link", 2)]);
    deliver_from(&mut peers, "2001:db8::2", 60, &message("s2", 2, 5, 9).emit(None), at(900 + 900));
    assert!(!peers.peers()[0].on_link, "it is dead on the link and lives beyond it");
}

#[test]
fn messages_go_to_each_group_and_to_each_unicast_peer() {
    let mut setup = setup("s1");
    setup.config.addresses = vec!["2001:db8::2".parse().unwrap()];
    setup.config.groups = vec!["ff12::4845".parse().unwrap()];
    let mut peers = started(setup);
    let Channel::Udp { groups, .. } = &peers.channels()[0] else {
        panic!("not UDP")
    };
    assert_eq!(groups.iter().map(ToString::to_string).collect::<Vec<_>>(), [GROUP, "ff12::4845"]);
    let mut out = Outbox::new();
    peers.say(standby(), at(0), &mut out);
    let destinations: Vec<_> = out
        .drain()
        .filter_map(|output| match output {
            Output::Send(_, datagram) => Some(datagram.destination.to_string()),
            Output::Event(_) => None,
        })
        .collect();
    assert_eq!(destinations, [GROUP, "ff12::4845", "2001:db8::2"]);
}

#[test]
fn with_a_key_only_signed_peers_are_listed() {
    let mut setup = setup("s1");
    setup.key = Some(Key::new(b"right"));
    let mut peers = started(setup);
    let message = message("s2", 2, 5, 1);
    deliver(&mut peers, &message, at(1));
    deliver_from(&mut peers, "fe80::2", 255, &message.emit(Some(&Key::new(b"wrong"))), at(1));
    assert_eq!(peers.traffic().dropped.entries(), [("unsigned", 1), ("wrong-key", 1)]);
    deliver_from(&mut peers, "fe80::2", 255, &message.emit(Some(&Key::new(b"right"))), at(2));
    assert!(peers.peers()[0].signed);
}

#[test]
fn a_newcomer_is_welcomed_at_once() {
    let mut peers = started(setup("s1"));
    let mut out = Outbox::new();
    peers.say(standby(), at(0), &mut out);
    assert_eq!(said(&mut deliver(&mut peers, &message("s2", 2, 5, 1), at(100)), None).len(), 1);
    assert_eq!(said(&mut deliver(&mut peers, &message("s2", 2, 5, 2), at(101)), None).len(), 0);
    assert_eq!(said(&mut deliver(&mut peers, &message("s3", 3, 5, 1), at(102)), None).len(), 0);
    assert_eq!(peers.deadline(), Some(at(120)), "not more often than every 20 ms");
}

#[test]
fn two_holders_answer_each_other_at_once() {
    let mut peers = started(setup("s1"));
    let mut out = Outbox::new();
    deliver(&mut peers, &message("s2", 2, 5, 1), at(0));
    peers.say(
        Statement {
            holder: true,
            idle: true,
            ..standby()
        },
        at(0),
        &mut out,
    );
    let mut other = message("s2", 2, 5, 2);
    assert!(said(&mut deliver(&mut peers, &other, at(400)), None).is_empty());
    (other.statement.holder, other.sequence) = (true, 3);
    assert_eq!(said(&mut deliver(&mut peers, &other, at(500)), None).len(), 1);
}

#[test]
fn a_silent_peer_is_forgotten_after_a_minute() {
    let mut peers = started(setup("s1"));
    deliver(&mut peers, &message("s2", 2, 5, 1), at(1_000));
    assert_eq!(peers.deadline(), Some(at(61_000)));
    let changes = peers.changes();
    peers.handle(Input::Tick, at(60_999), &mut Outbox::new());
    assert_eq!((peers.peers().len(), peers.changes()), (1, changes));
    peers.handle(Input::Tick, at(61_000), &mut Outbox::new());
    assert_eq!((peers.peers().len(), peers.changes()), (0, changes + 1));
}

#[test]
fn a_full_table_makes_room_only_at_the_cost_of_the_dead() {
    let mut peers = started(setup("s1"));
    for number in 0..MOST_PEERS {
        let mut message = message(&format!("peer-{number}"), 2, 5, 1);
        message.statement.link_layer = LinkLayerAddress([2, 9, 0, 0, (number >> 8) as u8, number as u8]);
        deliver(&mut peers, &message, at(number as u64));
    }
    deliver(&mut peers, &message("late", 3, 5, 1), at(500));
    assert_eq!(peers.traffic().dropped.of(refused::TABLE_FULL), 1);
    deliver(&mut peers, &message("late", 3, 5, 2), at(950));
    assert_eq!(peers.peers().len(), MOST_PEERS);
    assert!(peers.peers().iter().all(|peer| peer.statement.identity != "peer-0"));
}

#[test]
fn what_is_recorded_of_a_dead_server_does_not_bring_it_back() {
    let mut setup = setup("s1");
    let key = Key::new(b"right");
    setup.key = Some(key.clone());
    let mut peers = started(setup);
    let recorded: Vec<_> = (1..=3).map(|sequence| message("s2", 2, 5, sequence).emit(Some(&key))).collect();
    for (millis, bytes) in (0..).step_by(300).zip(&recorded) {
        deliver_from(&mut peers, "fe80::2", 255, bytes, at(millis));
    }
    peers.handle(Input::Tick, at(120_000), &mut Outbox::new());
    assert!(peers.peers().is_empty());
    for bytes in &recorded {
        deliver_from(&mut peers, "fe80::2", 255, bytes, at(120_000));
    }
    assert_eq!((peers.peers().len(), peers.traffic().dropped.of(refused::REPLAYED)), (0, 3));
    let mut unsigned = started(self::setup("s1"));
    deliver(&mut unsigned, &message("s2", 2, u64::MAX, 1), at(0));
    unsigned.handle(Input::Tick, at(60_000), &mut Outbox::new());
    deliver(&mut unsigned, &message("s2", 2, 5, 1), at(61_000));
    assert_eq!(unsigned.peers()[0].boot, 5, "a forged one does not shut it out for ever");
    let again = message("s2", 2, 6, 1).emit(Some(&key));
    deliver_from(&mut peers, "fe80::2", 255, &again, at(120_000));
    assert_eq!(peers.peers().len(), 1, "its next life is believed");
}

#[test]
fn the_memory_of_servers_is_bounded_and_the_oldest_goes_first() {
    let mut setup = setup("s1");
    let key = Key::new(b"right");
    setup.key = Some(key.clone());
    let mut peers = started(setup);
    let hear = |peers: &mut Peers, number: usize, now| {
        let bytes = message(&format!("peer-{number}"), 2, 5, 1).emit(Some(&key));
        deliver_from(peers, "fe80::2", 255, &bytes, now);
    };
    for number in 0..=MOST_REMEMBERED {
        // Each is dead when the next one comes, a second later.
        hear(&mut peers, number, at(1_000 * number as u64));
    }
    assert_eq!(peers.heard.len(), MOST_REMEMBERED);
    let end = at(1_000 * MOST_REMEMBERED as u64 + 1);
    let received = peers.traffic().received;
    hear(&mut peers, 1, end);
    assert_eq!(peers.traffic().received, received, "the second one is remembered");
    hear(&mut peers, 0, end);
    assert_eq!(peers.traffic().received, received + 1, "the first one is not");
}

#[test]
fn of_a_message_that_comes_by_two_groups_the_second_is_no_replay() {
    let mut setup = setup("s1");
    setup.config.groups = vec!["ff12::4845".parse().unwrap()];
    let mut peers = started(setup);
    let bytes = message("s2", 2, 5, 1).emit(None);
    for (destination, cause) in [(GROUP, None), ("ff12::4845", Some(refused::COPY)), (GROUP, Some(refused::REPLAYED))] {
        let packet = Datagram {
            source: "fe80::2".parse().unwrap(),
            source_port: 4844,
            destination: destination.parse().unwrap(),
            hop_limit: 255,
            payload: &bytes,
        };
        let before = peers.traffic().dropped.clone();
        peers.handle(Input::Datagram(LINK, packet), at(1), &mut Outbox::new());
        let counted = cause.map(|cause| peers.traffic().dropped.of(cause) - before.of(cause));
        assert!(counted.is_none_or(|count| count == 1), "{destination}: {:?}", peers.traffic());
    }
    assert_eq!((peers.traffic().received, peers.traffic().dropped.entries().len()), (1, 2));
}

#[test]
fn the_same_identity_on_another_link_layer_address_is_kept_and_reported() {
    let mut peers = started(setup("s1"));
    deliver(&mut peers, &message("s1", 2, 5, 1), at(1));
    assert_eq!(peers.peers().len(), 1);
    assert_eq!(peers.conflicts(), [Conflict::SameIdentity(mac(2))]);
}

#[test]
fn of_two_servers_with_one_link_layer_address_the_younger_withdraws() {
    let (mut younger, mut elder) = (started(setup("s1")), started(Setup { boot: 50, ..setup("s2") }));
    for sequence in 1..=2 {
        deliver(&mut younger, &message("s2", 1, 50, sequence), at(u64::from(sequence)));
        deliver(&mut elder, &message("s1", 1, 100, sequence), at(u64::from(sequence)));
    }
    assert_eq!(younger.conflicts(), [Conflict::SameLinkLayer(IdentityHash::of("s2"))]);
    assert_eq!(elder.conflicts(), []);
    younger.handle(Input::Tick, at(61_000), &mut Outbox::new());
    assert_eq!(younger.conflicts(), []);
}

#[test]
fn the_last_words_of_our_predecessor_are_no_conflict() {
    let mut peers = started(setup("s1"));
    for sequence in 1..=3 {
        let mut message = message("s1", 1, 99, sequence);
        message.statement.state = PeerState::Gone;
        deliver(&mut peers, &message, at(1));
    }
    assert_eq!(peers.conflicts(), []);
    assert_eq!(peers.traffic().dropped.of(refused::OWN), 3);
}

#[test]
fn the_farewell_says_gone_and_what_is_said_after_it_counts() {
    let key = Key::new(b"secret");
    let mut peers = started(Setup {
        key: Some(key.clone()),
        ..setup("s1")
    });
    assert_eq!(peers.farewell(), [], "nothing was said");
    let mut out = Outbox::new();
    let holder = Statement {
        state: PeerState::Active,
        holder: true,
        ..standby()
    };
    peers.say(holder.clone(), at(100), &mut out);
    let last = said(&mut out, Some(&key)).pop().unwrap();
    let farewell = peers.farewell();
    let after: Vec<u128> = farewell.iter().map(|one| one.after.as_millis()).collect();
    assert_eq!(after, [0, 50, 150]);
    let read = |one: &Farewell| PeerMessage::parse(&one.datagram.payload, Some(&key)).unwrap();
    let gone = read(&farewell[0]);
    assert!(farewell.iter().all(|one| read(one) == gone), "one message, three times");
    assert_eq!((gone.statement.state, gone.statement.holder), (PeerState::Gone, false));
    assert_eq!((gone.boot, gone.sequence), (last.boot, last.sequence + 1));

    peers.taken_back(at(700));
    peers.handle(Input::Tick, at(700), &mut out);
    assert!(said(&mut out, Some(&key)).is_empty(), "what was said before is not repeated");
    peers.say(standby(), at(701), &mut out);
    let next = said(&mut out, Some(&key)).pop().unwrap();
    assert_eq!((next.statement.state, next.sequence), (PeerState::Standby, gone.sequence + 1));
}
