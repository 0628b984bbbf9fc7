//! Clients that others have written, and a kernel that is made to fail, against the real program.
//!
//! Needs `kdig`, `strace` and `haproxy`; without them the tests are reported *ignored*, and `HERALDNS_LAB=required` makes that a failure.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod haproxy;
mod server;

use std::fs;
use std::process::Command;

use heraldns::control::status::Zone;
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use rustix::process::Signal;

use crate::server::{NAME, Server};

/// Queries to each transport while accepting fails.
const QUERIES: u64 = 30;

fn main() {
    let arguments = Arguments::from_args();
    let trials = vec![
        trial("kdig", "kdig_gets_the_same_answers_over_every_transport", same_answers),
        trial("kdig", "kdig_sees_a_renewed_certificate_and_the_operator_a_broken_one", renewal),
        trial(
            "haproxy",
            "haproxy_weighs_and_drains_by_the_agent_check",
            haproxy::follows_load_and_state,
        ),
        trial("strace", "an_aborted_accept_ends_no_listener", aborted_accepts),
    ];
    libtest_mimic::run(&arguments, trials).exit();
}

fn trial(tool: &'static str, name: &str, test: fn()) -> Trial {
    Trial::ignorable_test(name, move || {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let missing = ["kdig", tool]
            .into_iter()
            .find(|tool| !std::env::split_paths(&path).any(|folder| folder.join(tool).is_file()));
        match missing {
            None => {
                test();
                Ok(Completion::Completed)
            }
            Some(missing) if std::env::var("HERALDNS_LAB").is_ok_and(|wish| wish == "required") => Err(Failed::from(format!(
                "HERALDNS_LAB=required, and the test needs the program '{missing}'"
            ))),
            Some(missing) => Ok(Completion::ignored_with(format!("needs the program '{missing}'"))),
        }
    })
}

/// A transport: its name, what kdig calls it, the port.
fn transports(server: &Server) -> [(&'static str, &'static str, u16); 5] {
    [
        ("UDP", "+notcp", server.ports.plain),
        ("TCP", "+tcp", server.ports.plain),
        ("TLS", "+tls", server.ports.tls),
        ("HTTPS", "+https", server.ports.https),
        ("QUIC", "+quic", server.ports.quic),
    ]
}

/// What kdig prints, without what differs from one query to the next; `None` if it got no answer.
fn kdig(server: &Server, transport: &str, port: u16, question: &str) -> Option<String> {
    kdig_expecting(NAME, server, transport, port, question)
}

fn kdig_expecting(name: &str, server: &Server, transport: &str, port: u16, question: &str) -> Option<String> {
    let mut kdig = Command::new("kdig");
    kdig.args([
        &format!("@{}", server.ports.address),
        "-p",
        &port.to_string(),
        "+retry=0",
        "+timeout=10",
    ]);
    if transport != "+tcp" && transport != "+notcp" {
        let trusted = server.folder.path().join("cert.pem");
        kdig.arg(format!("+tls-ca={}", trusted.display()))
            .arg(format!("+tls-hostname={name}"));
    }
    // The transport last: each of the options before it means TLS.
    let output = kdig.args([transport, "+edns"]).args(question.split(' ')).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    // A cookie tells the second it was made in.
    let about_the_way = [";; COOKIE", ";; Received", ";; Time", ";; From", ";; TLS", ";; HTTP", ";; QUIC"];
    let lines = text
        .lines()
        .filter(|line| !about_the_way.iter().any(|start| line.starts_with(start)));
    let answer: String = lines.map(|line| line.split("; id: ").next().unwrap().to_owned() + "\n").collect();
    (output.status.success() && answer.contains("->>HEADER<<-")).then_some(answer)
}

fn same_answers() {
    let server = Server::start(&[]);
    let questions = [
        "example.com. SOA +noedns",
        "wWw.eXample.cOm. A +nsid",
        "www.example.com. AAAA +dnssec",
        "nothing.example.com. A +dnssec +bufsize=4096",
        "www.example.com. TXT",
        "mail.example.com. MX +cookie=0102030405060708",
        "many.example.com. TXT +bufsize=4096",
        "sub.example.com. NS",
        "elsewhere.test. A",
        "id.server. TXT -c CH",
    ];
    for question in questions {
        let [udp, others @ ..] = transports(&server);
        let expected = kdig(&server, udp.1, udp.2, question).unwrap_or_else(|| panic!("no answer over UDP: {question}"));
        for (name, transport, port) in others {
            let answer = kdig(&server, transport, port, question);
            assert_eq!(answer.as_ref(), Some(&expected), "{question} over {name}");
        }
    }
    let refused = kdig(
        &server,
        "+tls",
        server.ports.tls,
        "example.com. SOA +tls-hostname=ns.elsewhere.test",
    );
    assert_eq!(refused, None, "kdig looks at the certificate");
}

fn renewal() {
    /// Said once for each certificate that is taken.
    const IN_USE: &str = "cert.pem is in use";
    let server = Server::start(&[]);
    let ask = |server: &Server| {
        let [_, _, encrypted @ ..] = transports(server);
        encrypted.map(|(_, transport, port)| kdig(server, transport, port, "example.com. SOA").is_some())
    };
    assert_eq!(ask(&server), [true; 3]);
    let key = server.folder.path().join("key.pem");
    server.make_certificate();
    // The client trusts the file's certificate, the server still shows the one before.
    assert_eq!(ask(&server), [false; 3]);
    assert!(server.command(&["reload"]).status.success());
    server.read_until(IN_USE);
    assert_eq!(ask(&server), [true; 3]);

    let right = fs::read(&key).unwrap();
    fs::write(&key, "no key").unwrap();
    let reload = server.command(&["reload"]);
    assert_eq!(reload.status.code(), Some(1));
    let told = String::from_utf8(reload.stderr).unwrap();
    assert!(told.contains("key.pem holds no private key") && told.contains("stays"), "{told}");
    let zones: Vec<Zone> = server.zones();
    assert!(zones.iter().all(|zone| zone.error.is_none()));
    assert!(server.status().problems[0].contains("key.pem"), "{:?}", server.status().problems);
    assert_eq!(ask(&server), [true; 3]);
    fs::write(&key, right).unwrap();
    assert!(server.command(&["reload"]).status.success());
    server.read_until(IN_USE);
    assert!(server.status().problems.is_empty());

    server.make_certificate();
    server.signal(Signal::HUP);
    server.read_until(IN_USE);
    assert_eq!(ask(&server), [true; 3]);
}

/// Every third accept of every thread fails with what hickory 0.26.3 takes for the end of its listener. TCP and TLS must not
/// lose a query by it. So must the loop in front of HTTPS, but here hickory's own accepts fail too, as they never do
/// on the loopback interface: a query may be lost with the server that ends, and the next server answers.
fn aborted_accepts() {
    let log = tempfile::NamedTempFile::new().unwrap();
    let inject = [
        "-f",
        "-qq",
        "-e",
        "trace=accept4",
        "-e",
        "inject=accept4:error=ECONNABORTED:when=1+3",
        "-o",
    ];
    let strace: Vec<&str> = ["strace"].into_iter().chain(inject).chain([log.path().to_str().unwrap()]).collect();
    let server = Server::start(&strace);
    let [_, tcp, tls, https, quic] = transports(&server);
    let ask = |(_, transport, port): (_, &str, u16)| kdig(&server, transport, port, "example.com. SOA").is_some();
    for query in 0..QUERIES {
        assert!(ask(tcp) && ask(tls), "query {query}");
    }
    let answered = (0..QUERIES).filter(|_| ask(https)).count() as u64;
    let errors = [tcp, tls, https].map(|(name, ..)| server.metric(&format!("receive_errors_total{{{}}}", server.labels(name))));
    assert!(
        errors.iter().all(|count| *count > QUERIES / 4),
        "not injected often enough: {errors:?}"
    );
    assert!(
        answered > QUERIES / 2,
        "{answered} of {QUERIES} answered over HTTPS; errors: {errors:?}"
    );
    server.read_until("hickory's HTTPS server has ended (unexpected close of socket) and is started again");
    assert!(ask(quic));
}
