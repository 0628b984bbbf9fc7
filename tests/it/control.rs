//! The admin socket and the web part over real sockets, with an operator that answers from a script.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use heraldns::control::client::{self, ClientError};
use heraldns::control::socket::{AdminSocket, BindError};
use heraldns::control::status::{Advertiser, Peer, PeerMessages, Pids, Queries, Service, State, Status, Zone, ZoneNumbers, ZoneState};
use heraldns::control::{Command, Measurements, Operator, Reply, metrics, port, web};
use insta::assert_snapshot;
use serde_json::value::to_raw_value;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

/// Answers `status` with the state it has, and `explain`; the zones only while it drains. Drops `undrain` and refuses everything else.
struct Scripted(State);

impl Operator for Scripted {
    fn submit(&self, command: Command, reply: oneshot::Sender<Reply>) {
        let answer = match command {
            Command::Status => Ok(to_raw_value(&status(self.0)).unwrap()),
            Command::Undrain => return,
            Command::Explain { id: None } => Ok(to_raw_value(&["decisions"]).unwrap()),
            Command::Zones if self.0 == State::Draining => Ok(to_raw_value(&zones()).unwrap()),
            other => Err(format!("refused: {other:?}")),
        };
        let _ = reply.send(answer);
    }

    fn measure(&self, reply: oneshot::Sender<Measurements>) {
        let _ = reply.send(measurements(self.0));
    }
}

fn status(state: State) -> Status {
    Status {
        identity: "s1".to_owned(),
        version: "0.1.0".to_owned(),
        state,
        reason: "holder of 2001:db8:5::53".to_owned(),
        since: "2026-01-01T00:00:00Z".to_owned(),
        pids: Pids {
            guardian: Some(100),
            main: 101,
        },
        services: vec![Service {
            address: "2001:db8:5::53".parse().unwrap(),
            advertised: true,
            holder: true,
        }],
        queries: Queries {
            total: 1234,
            per_second: 17.2,
        },
        load: 0.25,
        recent_load: 0.5,
        capacity: 40_000,
        class: "busy".to_owned(),
        class_reason: "load has come near the capacity".to_owned(),
        advertisers: vec![Advertiser {
            protocol: "nd".to_owned(),
            state: "advertising".to_owned(),
            sent: 12,
            errors: 1,
            cost: Some(20),
            detail: String::new(),
            dropped: BTreeMap::from([("hop-limit".to_owned(), 3)]),
        }],
        peer_messages: Some(PeerMessages {
            sent: 40,
            errors: 0,
            received: 38,
            dropped: BTreeMap::from([("replayed".to_owned(), 4), ("version".to_owned(), 1), ("wrong-key".to_owned(), 2)]),
        }),
        peers: vec![Peer {
            identity: "s2".to_owned(),
            address: "fe80::2".parse().unwrap(),
            state: "standby".to_owned(),
            load: 0.0,
            class: "last-resort".to_owned(),
            last_heard_ms: 120,
            dead: false,
            holder: false,
            per_second: 0,
        }],
        zones: ZoneNumbers {
            loaded: 2,
            failed: 0,
            records: 40,
        },
        problems: Vec::new(),
    }
}

fn zones() -> Vec<Zone> {
    let states = [ZoneState::Loaded; 150].into_iter().chain([ZoneState::Failed]);
    let zone = |(number, state)| Zone {
        name: format!("zone-{number}."),
        serial: None,
        records: 0,
        file: String::new(),
        state,
        error: None,
    };
    (0..).zip(states).map(zone).collect()
}

fn measurements(state: State) -> Measurements {
    Measurements {
        status: status(state),
        listeners: vec![metrics::Listener {
            address: "[::1]:5300".parse().unwrap(),
            transport: "udp",
            queries: 7,
            receive_errors: 2,
        }],
        queries_by_type: vec![("AAAA", 6), ("other", 1)],
        answers_by_code: vec![("NOERROR", 5), ("REFUSED", 2)],
        dropped: vec![("short", 4)],
        rate_limited: vec![("dropped", 3), ("slipped", 2)],
        cookies: vec![("new", 1), ("valid", 9)],
        answers_sent: 7,
        answers_unsent: 0,
        answers_truncated: 1,
        decisions: 3,
        inflow: 5,
        connections_open: 3,
        connections: vec![("opened", 9), ("closed", 5), ("broken", 1)],
        busy: 0.25,
        queue_drops: 6,
        memory: 1 << 20,
        host_cpu: 0.5,
    }
}

/// A folder of its own, and where an admin socket is to be in it.
struct Place {
    folder: TempDir,
    path: PathBuf,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run/control.sock");
        Self { folder, path }
    }

    /// Serves an admin socket there; it lives as long as the runtime.
    fn serve(&self, state: State) -> Runtime {
        let runtime = Runtime::new().unwrap();
        let socket = self.bind(&runtime).unwrap();
        runtime.spawn(socket.serve(Arc::new(Scripted(state))));
        runtime
    }

    fn bind(&self, runtime: &Runtime) -> Result<AdminSocket, BindError> {
        runtime.block_on(async { AdminSocket::bind(&self.path) })
    }

    fn say(&self, bytes: &[u8]) -> String {
        let stream = UnixStream::connect(&self.path).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        exchange(stream, bytes)
    }
}

/// Everything that is answered.
fn exchange(mut stream: impl Read + Write, bytes: &[u8]) -> String {
    stream.write_all(bytes).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_command_gets_its_answer() {
    let place = Place::new();
    let _runtime = place.serve(State::Active);
    let answer: Status = client::ask(&place.path, &Command::Status).unwrap();
    assert_eq!(answer, status(State::Active));
    let refused = client::ask::<Status>(&place.path, &Command::Zones);
    assert!(matches!(refused, Err(ClientError::Refused(why)) if why == "refused: Zones"));
    let dropped = client::ask::<Status>(&place.path, &Command::Undrain);
    assert!(matches!(dropped, Err(ClientError::Refused(why)) if why.contains("stopping")));
}

#[test]
fn only_this_user_can_open_the_socket() {
    let place = Place::new();
    let _runtime = place.serve(State::Active);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&place.path), 0o600);
    assert_eq!(mode(place.path.parent().unwrap()), 0o700);
}

#[test]
fn what_is_no_command_is_refused_and_bounded() {
    let place = Place::new();
    let _runtime = place.serve(State::Active);
    assert_snapshot!(place.say(b"dance\n"), @r#"{"error":"this is no command: expected value at line 1 column 1"}"#);
    assert_snapshot!(place.say(b"{\"command\":\"dance\"}\n"), @r#"{"error":"this is no command: unknown variant `dance`, expected one of `status`, `zones`, `explain`, `drain`, `undrain`, `reload`, `neighbors` at line 1 column 18"}"#);
    assert_snapshot!(place.say(b"\xff\xfe\n"), @r#"{"error":"the command is no text"}"#);
    assert_snapshot!(place.say(&[b'x'; 4_096]), @r#"{"error":"a command is one line of up to 4096 bytes"}"#);
}

#[test]
fn a_living_server_is_not_pushed_aside() {
    let place = Place::new();
    let runtime = place.serve(State::Active);
    let second = place.bind(&runtime);
    assert!(matches!(second, Err(BindError::InUse { .. })), "{second:?}");
    assert!(client::ask::<Status>(&place.path, &Command::Status).is_ok());
}

#[test]
fn the_socket_of_a_dead_server_is_replaced_and_removed_at_the_end() {
    let place = Place::new();
    fs::create_dir(place.folder.path().join("run")).unwrap();
    drop(UnixListener::bind(&place.path).unwrap());
    assert!(place.path.exists());
    let runtime = place.serve(State::Standby);
    assert!(client::ask::<Status>(&place.path, &Command::Status).is_ok());
    drop(runtime);
    assert!(!place.path.exists());
}

#[test]
fn a_file_that_is_no_socket_is_left_alone() {
    let place = Place::new();
    fs::create_dir(place.folder.path().join("run")).unwrap();
    fs::write(&place.path, "precious").unwrap();
    let runtime = Runtime::new().unwrap();
    let refused = place.bind(&runtime);
    assert!(matches!(refused, Err(BindError::NotASocket { .. })), "{refused:?}");
    assert_eq!(fs::read_to_string(&place.path).unwrap(), "precious");
}

#[test]
fn without_a_server_the_client_says_how_to_start_one() {
    let place = Place::new();
    let error = client::ask::<Status>(&place.path, &Command::Status).expect_err("nobody listens");
    let text = error.to_string().replace(&place.folder.path().display().to_string(), "DIR");
    assert_snapshot!(text, @"no server is running at DIR/run/control.sock: start it with `heraldns serve`, or pass --socket PATH");
}

/// A served web part; it lives as long as the runtime.
fn serve_web(operator: impl Operator) -> (Runtime, SocketAddr) {
    let runtime = Runtime::new().unwrap();
    let listener = runtime.block_on(port::bind("127.0.0.1:0".parse().unwrap(), "web")).unwrap();
    let address = listener.local_addr().unwrap();
    runtime.spawn(web::serve(listener, Arc::new(operator)));
    (runtime, address)
}

/// Head and body of an answer.
fn fetch(address: SocketAddr, request: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

/// Status line and body of an answer.
fn request(address: SocketAddr, method: &str, path: &str) -> (String, String) {
    let (head, body) = fetch(address, &format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    (head.lines().next().unwrap().to_owned(), body)
}

#[test]
fn health_follows_the_state() {
    for state in State::ALL {
        let (_runtime, address) = serve_web(Scripted(state));
        let (line, body) = request(address, "GET", "/health");
        let healthy = matches!(state, State::Active | State::Standby);
        assert_eq!(line.contains(" 200 "), healthy, "{state}: {line}");
        assert_eq!(line.contains(" 503 "), !healthy, "{state}: {line}");
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body["state"], state.name());
        assert_eq!(body["reason"], "holder of 2001:db8:5::53");
    }
}

/// An operator that has ended: every question is dropped.
struct Ended;

impl Operator for Ended {
    fn submit(&self, _command: Command, _reply: oneshot::Sender<Reply>) {}

    fn measure(&self, _reply: oneshot::Sender<Measurements>) {}
}

#[test]
fn a_server_that_does_not_answer_is_not_healthy() {
    let (_runtime, address) = serve_web(Ended);
    for path in ["/health", "/api/status", "/api/decisions", "/api/zones", "/metrics"] {
        let (line, body) = request(address, "GET", path);
        assert!(line.contains(" 503 "), "{path}: {line}");
        assert!(!body.is_empty(), "{path}");
    }
}

#[test]
fn the_web_part_shows_the_status_and_changes_nothing() {
    let (_runtime, address) = serve_web(Scripted(State::Active));
    let (line, body) = request(address, "GET", "/api/status");
    assert!(line.contains(" 200 "), "{line}");
    assert_eq!(serde_json::from_str::<Status>(&body).unwrap(), status(State::Active));
    assert_eq!(request(address, "GET", "/api/decisions").1, r#"["decisions"]"#);
    assert!(request(address, "GET", "/secret").0.contains(" 404 "));
    for path in [
        "/",
        "/health",
        "/api/status",
        "/api/history",
        "/api/decisions",
        "/api/zones",
        "/metrics",
    ] {
        assert!(request(address, "POST", path).0.contains(" 405 "), "{path}");
    }
}

#[test]
fn the_page_needs_nothing_from_elsewhere_and_makes_no_markup_of_text() {
    let (_runtime, address) = serve_web(Scripted(State::Active));
    let (head, page) = fetch(address, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(
        head.contains("content-security-policy: default-src 'none'; script-src 'self'; "),
        "{head}"
    );
    assert!(head.contains("require-trusted-types-for 'script'"), "{head}");
    let named = page.split(['"']).filter(|word| word.starts_with('/') && !word.contains(' '));
    let mut all = vec![page.clone()];
    for path in named.chain(["/draw.js", "/history.js"]) {
        let (line, body) = request(address, "GET", path);
        assert!(line.contains(" 200 "), "{path}: {line}");
        all.push(body);
    }
    assert!(all.len() >= 8, "all files were read");
    for text in all.iter().filter(|text| !text.starts_with("<svg")) {
        for forbidden in [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "style=",
            "http://",
            "https://",
        ] {
            let allowed = text.replace("http://www.w3.org/2000/svg", "");
            assert!(!allowed.contains(forbidden), "{forbidden} in {text}");
        }
    }
}

#[test]
fn the_history_is_told_once() {
    let (_runtime, address) = serve_web(Scripted(State::Active));
    let ask = |after: u64| -> serde_json::Value {
        let (line, body) = request(address, "GET", &format!("/api/history?after={after}"));
        assert!(line.contains(" 200 "), "{line}");
        serde_json::from_str(&body).unwrap()
    };
    // The web part looks for the first time when it begins, which may be after the first question.
    let first = (0..1_000)
        .map(|_| ask(0))
        .find(|news| news["samples"][0].is_object())
        .expect("it looks");
    assert_eq!(first["changes"][0][2], "active");
    assert_eq!(first["changes"][1][1], "s2 fe80::2");
    assert_eq!(
        (&first["samples"][0]["total"], &first["samples"][0]["load"]),
        (&1234.into(), &0.25.into())
    );
    let now = first["now"].as_u64().unwrap();
    assert_eq!(ask(now)["changes"], serde_json::json!([]));
    assert!(request(address, "GET", "/api/history?after=x").0.contains(" 400 "));
}

#[test]
fn a_hundred_zones_are_shown_and_the_failed_ones_first() {
    let (_runtime, address) = serve_web(Scripted(State::Draining));
    let listing: serde_json::Value = serde_json::from_str(&request(address, "GET", "/api/zones").1).unwrap();
    let shown = listing["zones"].as_array().unwrap();
    assert_eq!((shown.len(), &listing["more"]), (100, &51.into()));
    assert_eq!(shown[0]["name"], "zone-150.");
}

#[test]
fn a_port_in_use_is_named() {
    let (runtime, address) = serve_web(Scripted(State::Active));
    let error = runtime.block_on(port::bind(address, "web")).expect_err("in use");
    assert!(error.to_string().starts_with(&format!("{address} is in use: ")), "{error}");
}

#[test]
fn metrics_begin_with_the_program_s_name() {
    let (_runtime, address) = serve_web(Scripted(State::Active));
    let (line, body) = request(address, "GET", "/metrics");
    assert!(line.contains(" 200 "), "{line}");
    let samples = body.lines().filter(|line| !line.starts_with('#'));
    assert!(samples.clone().all(|line| line.starts_with("heraldns_")), "{body}");
    let mut distinct: Vec<_> = samples.clone().map(|line| line.rsplit_once(' ').unwrap().0).collect();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), samples.count(), "a line comes twice: {body}");
    let mut sorted: Vec<_> = body.lines().filter(|line| !line.starts_with('#')).collect();
    sorted.sort_unstable();
    assert_snapshot!(sorted.join("\n"), @r#"
    heraldns_advertisement_errors_total{protocol="nd"} 1
    heraldns_advertisements_sent_total{protocol="nd"} 12
    heraldns_advertiser_state{protocol="nd",state="advertising"} 1.0
    heraldns_advertiser_state{protocol="nd",state="failed"} 0.0
    heraldns_advertiser_state{protocol="nd",state="silent"} 0.0
    heraldns_advertiser_state{protocol="nd",state="starting"} 0.0
    heraldns_advertiser_state{protocol="nd",state="withdrawing"} 0.0
    heraldns_advertiser_state{protocol="nd",state="withdrawn"} 0.0
    heraldns_answers_by_code_total{code="NOERROR"} 5
    heraldns_answers_by_code_total{code="REFUSED"} 2
    heraldns_answers_sent_total 7
    heraldns_answers_truncated_total 1
    heraldns_answers_unsent_total 0
    heraldns_build_info{version="0.1.0"} 1
    heraldns_capacity_queries 40000
    heraldns_cookies_total{standing="new"} 1
    heraldns_cookies_total{standing="valid"} 9
    heraldns_cost_class{class="busy"} 1.0
    heraldns_cost_class{class="last-resort"} 0.0
    heraldns_cost_class{class="normal"} 0.0
    heraldns_cost_class{class="overloaded"} 0.0
    heraldns_decisions_total 3
    heraldns_dropped_total{cause="short"} 4
    heraldns_healthy 1.0
    heraldns_host_cpu_ratio 0.5
    heraldns_load_ratio 0.25
    heraldns_packets_dropped_total{protocol="nd",cause="hop-limit"} 3
    heraldns_peer_message_errors_total 0
    heraldns_peer_messages_dropped_total{cause="replayed"} 4
    heraldns_peer_messages_dropped_total{cause="version"} 1
    heraldns_peer_messages_dropped_total{cause="wrong-key"} 2
    heraldns_peer_messages_received_total 38
    heraldns_peer_messages_sent_total 40
    heraldns_peers{state="active"} 0.0
    heraldns_peers{state="draining"} 0.0
    heraldns_peers{state="gone"} 0.0
    heraldns_peers{state="standby"} 1.0
    heraldns_peers{state="starting"} 0.0
    heraldns_peers{state="stopping"} 0.0
    heraldns_peers{state="withdrawn"} 0.0
    heraldns_queries_by_type_total{type="AAAA"} 6
    heraldns_queries_by_type_total{type="other"} 1
    heraldns_queries_total{address="[::1]:5300",transport="udp"} 7
    heraldns_queue_drops_total 6
    heraldns_rate_limited_total{action="dropped"} 3
    heraldns_rate_limited_total{action="slipped"} 2
    heraldns_receive_errors_total{address="[::1]:5300",transport="udp"} 2
    heraldns_resident_memory_bytes 1048576
    heraldns_route_cost{protocol="nd"} 20.0
    heraldns_service_advertised{address="2001:db8:5::53"} 1.0
    heraldns_service_connections_open 3
    heraldns_service_connections_total{event="broken"} 1
    heraldns_service_connections_total{event="closed"} 5
    heraldns_service_connections_total{event="opened"} 9
    heraldns_service_holder{address="2001:db8:5::53"} 1.0
    heraldns_service_queries_total 5
    heraldns_state{state="active"} 1.0
    heraldns_state{state="draining"} 0.0
    heraldns_state{state="standby"} 0.0
    heraldns_state{state="starting"} 0.0
    heraldns_state{state="stopping"} 0.0
    heraldns_state{state="withdrawn"} 0.0
    heraldns_workers_busy_ratio 0.25
    heraldns_zone_records 40
    heraldns_zones_failed 0
    heraldns_zones_loaded 2
    "#);
}

/// Everything there is to measure.
fn everything() -> Measurements {
    let mut measured = measurements(State::Active);
    measured.status.peer_messages = Some(PeerMessages {
        sent: 1,
        errors: 0,
        received: 1,
        dropped: BTreeMap::from([("signature".to_owned(), 1)]),
    });
    measured
}

/// `name{label,label}` of every family in Prometheus' own text format, with its type.
fn families(page: &str) -> BTreeMap<String, String> {
    let sample = |name: &str| {
        page.lines()
            .find(|line| line.split(['{', ' ']).next() == Some(name))
            .unwrap_or_default()
    };
    let labels = |line: &str| -> Vec<String> {
        let inside = line.split_once('{').map_or("", |(_, rest)| rest.rsplit_once('}').unwrap().0);
        inside
            .split("\",")
            .filter_map(|label| Some(label.split_once('=')?.0.to_owned()))
            .collect()
    };
    let types = page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let family = |(name, kind): (&str, &str)| {
        let labels = labels(sample(name)).join(",");
        let labels = if labels.is_empty() { labels } else { format!("{{{labels}}}") };
        (format!("{name}{labels}"), kind.to_owned())
    };
    types.map(family).collect()
}

#[test]
fn every_metric_is_documented_with_its_labels_and_nothing_else_is() {
    let page = metrics::to_plain(&metrics::render(&everything()));
    let document = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md")).unwrap();
    let rows = document
        .lines()
        .filter_map(|line| line.strip_prefix("| `heraldns_")?.split_once("` | "));
    let documented = rows.map(|(name, rest)| (format!("heraldns_{name}"), rest.split(' ').next().unwrap().to_owned()));
    assert_eq!(documented.collect::<BTreeMap<_, _>>(), families(&page));
}

#[test]
fn what_a_peer_says_makes_no_time_series() {
    let names = |measured: &Measurements| -> BTreeSet<String> {
        let page = metrics::render(measured);
        page.lines().filter_map(|line| Some(line.rsplit_once(' ')?.0.to_owned())).collect()
    };
    let mut measured = everything();
    let before = names(&measured);
    let peer = &mut measured.status.peers[0];
    (peer.identity, peer.class, peer.state) = ("made-up".to_owned(), "made-up".to_owned(), "made-up".to_owned());
    peer.address = "fe80::666".parse().unwrap();
    assert_eq!(names(&measured), before);
}

#[test]
fn open_metrics_are_for_those_who_ask_for_them() {
    let (_runtime, address) = serve_web(Scripted(State::Active));
    let ask = |accept: &str| fetch(address, &format!("GET /metrics HTTP/1.1\r\nHost: localhost\r\n{accept}\r\n"));
    let (head, open) = ask("Accept: application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.2\r\n");
    assert!(
        head.contains("content-type: application/openmetrics-text") && open.ends_with("# EOF\n"),
        "{head}"
    );
    assert!(
        open.contains("# TYPE heraldns_decisions counter\nheraldns_decisions_total 3\n"),
        "{open}"
    );
    let (head, plain) = ask("");
    assert!(head.contains("content-type: text/plain; version=0.0.4"), "{head}");
    assert!(
        plain.contains("# TYPE heraldns_decisions_total counter\nheraldns_decisions_total 3\n"),
        "{plain}"
    );
    assert!(
        plain.contains("# TYPE heraldns_build_info gauge\n") && !plain.contains("EOF"),
        "{plain}"
    );
    let samples = |page: &str| page.lines().filter(|line| !line.starts_with('#')).count();
    assert_eq!(samples(&open), samples(&plain));
}
