//! Protection on real sockets: the rate limit under a flood, cookies and their secrets, the limits of connections.

pub(crate) mod connections;

use std::fs;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::num::NonZeroU32;
use std::thread;
use std::time::Duration;

use heraldns::base::time::Timestamp;
use heraldns::dns::counters::{Drop, Tally};
use heraldns::dns::protect::Protection;
use heraldns::dns::protect::cookie::{Secrets, Standing};
use heraldns::dns::protect::rate_limit::{Kind, Limits as RateLimits, RateLimiter, Verdict};
use heraldns::io::clock;
use hickory_proto::op::{Edns, Message, ResponseCode};
use hickory_proto::rr::rdata::opt::EdnsOption;
use hickory_proto::rr::{DNSClass, RecordType};
use rustix::process::Signal;

use crate::dns::{LIMITS, PATIENCE, Server, framed, query, read_framed};
use crate::running;

const SECRET: [u8; 16] = [7; 16];
const CLIENT_COOKIE: [u8; 8] = [1, 2, 3, 4, 5, 6, 7, 8];

fn limits(rate: u32) -> RateLimits {
    RateLimits {
        rate: NonZeroU32::new(rate).unwrap(),
        slip: 2,
        ipv4_prefix: 24,
        ipv6_prefix: 56,
        exempt: Vec::new(),
    }
}

fn protected(address: &str, protection: Protection) -> Server {
    Server::start_protected(address, LIMITS, 1232, protection)
}

/// A server on 127.0.0.1 with this limit.
fn limited(limits: RateLimits) -> Server {
    let protection = Protection {
        limiter: Some(RateLimiter::new(limits, &SECRET)),
        ..Protection::with(Secrets::of(&SECRET))
    };
    protected("127.0.0.1:0", protection)
}

/// A client with this source address.
struct Client(UdpSocket);

/// What came back to a client, by what it says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Received {
    whole: u64,
    truncated: u64,
    bad_cookie: u64,
}

impl Client {
    fn of(source: &str, server: SocketAddr) -> Self {
        let source: IpAddr = source.parse().unwrap();
        let socket = UdpSocket::bind((source, 0)).unwrap();
        socket.connect(server).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(socket)
    }

    fn ask(&self, query: &[u8]) -> Message {
        self.0.send(query).unwrap();
        self.receive()
    }

    fn receive(&self) -> Message {
        let mut buffer = [0; 4096];
        let length = self.0.recv(&mut buffer).unwrap();
        Message::from_vec(&buffer[..length]).unwrap()
    }

    /// Sends all of these, as many at a time as buffers hold, and takes what comes back: as much as the server counts as sent.
    /// What was asked before is counted already.
    fn flood(&self, server: &Server, queries: impl IntoIterator<Item = Vec<u8>>) -> Received {
        let mut received = Received::default();
        let queries: Vec<_> = queries.into_iter().collect();
        for some in queries.chunks(50) {
            let before = server.total();
            for query in some {
                self.0.send(query).unwrap();
            }
            server.wait_for("all to be answered or dropped", |total| {
                done(total) - done(&before) == some.len() as u64
            });
            for _ in 0..server.total().accepted - before.accepted {
                let answer = self.receive();
                match answer.metadata.response_code {
                    ResponseCode::BADCOOKIE => received.bad_cookie += 1,
                    _ if answer.metadata.truncation => received.truncated += 1,
                    _ => received.whole += 1,
                }
            }
        }
        received
    }
}

fn done(total: &Tally) -> u64 {
    total.accepted + total.drops[Drop::RateLimit as usize]
}

fn ask(name: &str) -> Vec<u8> {
    query(1, name, RecordType::A)
}

fn ask_with_cookie(name: &str, cookie: &[u8]) -> Vec<u8> {
    let mut message = Message::from_vec(&ask(name)).unwrap();
    message.set_edns(Edns::new());
    let option = EdnsOption::Unknown(10, cookie.to_vec());
    message.edns.as_mut().unwrap().options_mut().insert(option);
    message.to_vec().unwrap()
}

fn cookie_of(answer: &Message) -> Vec<u8> {
    let options = answer.edns.as_ref().unwrap().options();
    let (_, cookie) = options.as_ref().iter().find(|(code, _)| u16::from(*code) == 10).unwrap();
    cookie.try_into().unwrap()
}

/// Half of what is limited, the first of it, came with TC, the other half not at all.
fn check_shares(received: &Received, server: &Server, sent: u64) {
    let total = server.total();
    let limited = sent - received.whole;
    assert_eq!(
        received.truncated + received.bad_cookie,
        limited.div_ceil(2),
        "{received:?} of {sent}"
    );
    assert_eq!(total.slipped, limited.div_ceil(2));
    assert_eq!(total.drops[Drop::RateLimit as usize], limited / 2);
}

#[test]
fn a_flood_gets_as_many_answers_as_the_limit_allows() {
    let server = limited(limits(20));
    let client = Client::of("127.0.0.1", server.address);
    let start = clock::now();
    let received = client.flood(&server, vec![ask("www.example."); 1_000]);
    let took = clock::now().since(start);
    let most = 20.0 + 20.0 * took.as_secs_f64() + 1.0;
    assert!(received.whole >= 20 && received.whole as f64 <= most, "{received:?} in {took:?}");
    check_shares(&received, &server, 1_000);
}

#[test]
fn made_up_names_share_one_limit_over_all_workers() {
    let server = limited(limits(20));
    let start = clock::now();
    let mut whole = 0;
    // Each socket reaches the worker that its port is hashed to.
    for socket in 0..8 {
        let client = Client::of(&format!("127.0.0.{}", 1 + socket), server.address);
        whole += client
            .flood(&server, (0..100).map(|number| ask(&format!("x{socket}-{number}.example."))))
            .whole;
    }
    let most = 20.0 + 20.0 * clock::now().since(start).as_secs_f64() + 1.0;
    assert!((20.0..=most).contains(&(whole as f64)), "{whole} of at most {most}");
    check_shares(
        &Received {
            whole,
            truncated: server.total().slipped,
            bad_cookie: 0,
        },
        &server,
        800,
    );
}

#[test]
fn workers_at_one_bucket_give_its_credit_away_once() {
    let limiter = RateLimiter::new(limits(1_000), &SECRET);
    let judge = || limiter.judge([192, 0, 2, 1].into(), Kind::Answer, b"\x03www\0", Timestamp::from_secs(1));
    let count = |verdict| {
        let verdicts = (0..2_500).map(|_| judge()).collect::<Vec<_>>();
        verdicts.into_iter().filter(|seen| verdict == *seen).count()
    };
    // Four threads at the same word, at one moment: whatever they do to each other, the first thousand are sent.
    let all = thread::scope(|scope| {
        let workers: Vec<_> = (0..4).map(|_| scope.spawn(|| count(Verdict::Send))).collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).sum::<usize>()
    });
    assert_eq!(all, 1_000);
    let slipped = thread::scope(|scope| {
        let workers: Vec<_> = (0..4).map(|_| scope.spawn(|| count(Verdict::Slip))).collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).sum::<usize>()
    });
    assert_eq!(slipped, 5_000, "every other one, over all of them");
}

#[test]
fn other_prefixes_names_and_connections_are_not_limited() {
    let server = limited(limits(1));
    let client = Client::of("127.0.0.1", server.address);
    assert_eq!(client.flood(&server, vec![ask("www.example."); 100]).whole, 1);
    let other_name = client.ask(&ask("ns.example."));
    assert_eq!((other_name.metadata.truncation, other_name.answers.len()), (false, 1));
    let elsewhere = Client::of("127.0.1.1", server.address).ask(&ask("www.example."));
    assert_eq!((elsewhere.metadata.truncation, elsewhere.answers.len()), (false, 1));
    let mut stream = server.tcp();
    for _ in 0..50 {
        std::io::Write::write_all(&mut stream, &framed(&ask("www.example."))).unwrap();
        assert_eq!(Message::from_vec(&read_framed(&mut stream)).unwrap().answers.len(), 1);
    }
}

#[test]
fn exempt_clients_are_not_limited() {
    let server = limited(RateLimits {
        exempt: vec!["127.0.0.2/32".parse().unwrap()],
        ..limits(1)
    });
    let received = Client::of("127.0.0.2", server.address).flood(&server, vec![ask("www.example."); 100]);
    assert_eq!(received.whole, 100);
    let received = Client::of("127.0.0.3", server.address).flood(&server, vec![ask("www.example."); 100]);
    assert_eq!(received.whole, 1, "another address of the prefix is");
}

#[test]
fn the_server_s_own_probes_are_not_limited() {
    let mut identity = Message::from_vec(&query(1, "id.server.", RecordType::TXT)).unwrap();
    identity.queries[0].set_query_class(DNSClass::CH);
    let identity = identity.to_vec().unwrap();
    let server = limited(limits(1));
    let own = Client::of("127.0.0.1", server.address).flood(&server, vec![identity.clone(); 100]);
    assert_eq!(own.whole, 100);
    let others = Client::of("127.0.0.2", server.address).flood(&server, vec![identity; 100]);
    assert_eq!(others.whole, 1);
}

#[test]
fn a_client_with_a_valid_cookie_is_not_limited() {
    let server = limited(limits(5));
    let client = Client::of("127.0.0.1", server.address);
    let first = client.ask(&ask_with_cookie("www.example.", &CLIENT_COOKIE));
    server.wait_for("the first to be counted", |total| total.accepted == 1);
    let cookie = cookie_of(&first);
    assert_eq!((cookie.len(), &cookie[..8]), (24, &CLIENT_COOKIE[..]));
    let received = client.flood(&server, vec![ask_with_cookie("www.example.", &cookie); 500]);
    assert_eq!(received.whole, 500);
    assert_eq!(server.total().cookies[Standing::Valid as usize], 500);
    // Who has none yet is told how to get out of the limit, and it helps.
    let received = client.flood(&server, vec![ask_with_cookie("www.example.", &CLIENT_COOKIE); 100]);
    assert!(received.bad_cookie > 40 && received.truncated == 0, "{received:?}");
    // A cookie of another address is none.
    let thief = Client::of("127.0.0.9", server.address);
    let received = thief.flood(&server, vec![ask_with_cookie("www.example.", &cookie); 100]);
    assert!(received.bad_cookie > 40, "{received:?}");
    assert_eq!(server.total().cookies[Standing::Invalid as usize], 100);
}

#[test]
fn servers_with_one_secret_take_each_other_s_cookies() {
    let with = |secret: &[u8; 16]| {
        let protection = Protection {
            cookie_required: true,
            ..Protection::with(Secrets::of(secret))
        };
        protected("127.0.0.1:0", protection)
    };
    let (one, two, stranger) = (with(&SECRET), with(&SECRET), with(&[8; 16]));
    let first = Client::of("127.0.0.1", one.address).ask(&ask_with_cookie("www.example.", &CLIENT_COOKIE));
    assert_eq!(first.metadata.response_code, ResponseCode::BADCOOKIE);
    let again = ask_with_cookie("www.example.", &cookie_of(&first));
    for (server, expected) in [
        (&one, ResponseCode::NoError),
        (&two, ResponseCode::NoError),
        (&stranger, ResponseCode::BADCOOKIE),
    ] {
        let answer = Client::of("127.0.0.1", server.address).ask(&again);
        assert_eq!(answer.metadata.response_code, expected);
    }
    let plain = Client::of("127.0.0.1", one.address).ask(&ask("www.example."));
    assert_eq!(plain.answers.len(), 1, "a client that speaks no cookies");
}

/// What the running program answers to this cookie.
fn ask_program(server: &running::Server, cookie: &[u8]) -> Message {
    let address = SocketAddr::from(([127, 0, 0, 1], server.address.port()));
    Client::of("127.0.0.1", address).ask(&ask_with_cookie("ns.example.com.", cookie))
}

#[test]
fn secrets_roll_over_without_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = ("00112233445566778899aabbccddeeff", "ffeeddccbbaa99887766554433221100");
    let file = folder.path().join("cookies");
    let write = |text: &str| fs::write(&file, text).unwrap();
    write(old);
    let mut server = running::Server::start_with(folder.path(), "cookie-secret-file = \"cookies\"\ncookie-required = true\n");
    let of_old = cookie_of(&ask_program(&server, &CLIENT_COOKIE));
    assert_eq!(ask_program(&server, &of_old).metadata.response_code, ResponseCode::NoError);

    // The new secret makes cookies, the old one's are still taken, and their clients get a new one.
    write(&format!("# the old one goes tomorrow\n{new}\n{old}\n"));
    server.signal(Signal::HUP);
    server.read_until("zones reloaded");
    let answer = ask_program(&server, &of_old);
    assert_eq!(answer.metadata.response_code, ResponseCode::NoError);
    let of_new = cookie_of(&answer);
    assert_ne!(of_new, of_old);

    write(&format!("{new}\n"));
    assert_eq!(running::ask(folder.path(), &["reload"]).status.code(), Some(0));
    assert_eq!(ask_program(&server, &of_old).metadata.response_code, ResponseCode::BADCOOKIE);
    assert_eq!(ask_program(&server, &of_new).metadata.response_code, ResponseCode::NoError);

    // A file with a mistake replaces nothing, and is told without what it holds.
    write(&new[1..]);
    let reload = running::ask(folder.path(), &["reload"]);
    assert_eq!(reload.status.code(), Some(1));
    let said = String::from_utf8(reload.stderr).unwrap();
    assert!(
        said.contains("cookies: line 1 is no secret") && !said.contains(&new[1..9]),
        "{said}"
    );
    assert_eq!(ask_program(&server, &of_new).metadata.response_code, ResponseCode::NoError);
}

#[test]
fn a_start_without_its_secrets_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("example.com.zone"), "").unwrap();
    let config = "[zones]\ndirectory = \".\"\n[dns]\nlisten = [\"127.0.0.1:5353\"]\ncookie-secret-file = \"cookies\"\n[control]\nsocket = \"c.sock\"\n";
    fs::write(folder.path().join("c.toml"), config).unwrap();
    let run = || running::heraldns(folder.path(), &["serve", "--config", "c.toml"]).output().unwrap();
    let missing = run();
    assert_eq!(missing.status.code(), Some(1));
    let said = String::from_utf8(missing.stderr).unwrap();
    assert!(said.contains("c.toml:5:22: error: cookies: No such file"), "{said}");
    fs::write(folder.path().join("cookies"), "\n").unwrap();
    let said = String::from_utf8(run().stderr).unwrap();
    assert!(said.contains("c.toml:5:22: error: cookies: no secret in it"), "{said}");
}

#[test]
fn who_is_limited_is_told_once_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = running::Server::start_with(folder.path(), "rate-limit = 5\n");
    let client = Client::of("127.0.0.1", SocketAddr::from(([127, 0, 0, 1], server.address.port())));
    client.0.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let start = clock::now();
    let mut answers = 0;
    // Datagrams may be lost, so it is asked until one has slipped.
    while !(answers > 5 && slipped_of(&client)) {
        assert!(clock::now().since(start) < PATIENCE, "nothing slips");
        answers += 1;
        thread::yield_now();
    }
    server.read_until("answers to 127.0.0.0/24 are limited: too many NXDOMAIN below example.com. a second");
    assert_eq!(
        running::ask(folder.path(), &["status"]).status.code(),
        Some(0),
        "the server's own probes still work"
    );
}

fn slipped_of(client: &Client) -> bool {
    client.0.send(&ask("nothing.example.com.")).unwrap();
    let mut buffer = [0; 512];
    client
        .0
        .recv(&mut buffer)
        .is_ok_and(|length| Message::from_vec(&buffer[..length]).unwrap().metadata.truncation)
}
