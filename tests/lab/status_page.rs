//! The status page of a running server in a real browser: what it shows while servers are drained, end and come back.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;

use crate::harness::browser::Browser;
use crate::harness::clock::{wait_for, wait_for_value};
use crate::harness::command::output_with_input;
use crate::harness::host::Host;
use crate::harness::network::Network;
use crate::harness::probe::Probe;
use crate::harness::server::{Server, Setup};

const SOON: Duration = Duration::from_secs(10);
const ASKED: u32 = 200;
/// Where the servers of the lab have their web part.
pub(crate) const URL: &str = "http://127.0.0.1:8053/";
/// An identity may be any visible ASCII, and so may that of a peer.
const HOSTILE: &str = "<img/src=x/onerror=alert(1)>";
/// WebDriver's code points of keys.
const TAB: char = '\u{e004}';
const ENTER: char = '\u{e007}';

/// Writes down each state that the page shows.
const WATCH_THE_STATE: &str = "
    const node = document.querySelector('#state-name');
    window.told = [node.textContent];
    new MutationObserver(() => window.told.push(node.textContent)).observe(node, { childList: true, characterData: true, subtree: true });";

/// The highest value that the own server's line reaches, as a share of the plot; none if it has fewer than three points.
const HEIGHT_OF_THE_PLOT: &str = "
    const heights = document.querySelector('#rate .own').getAttribute('d').split(/[ML]/).filter(Boolean).map((point) => Number(point.split(' ')[1]));
    const [bottom, , top] = [...document.querySelectorAll('#rate .grid')].map((line) => Number(line.getAttribute('y1')));
    return heights.length < 3 ? null : (bottom - Math.min(...heights)) / (bottom - top);";

pub(crate) fn status_page_shows_a_drain_and_a_server_that_goes_and_comes_back() {
    let network = Network::new(3);
    let mut servers = Server::start_on_all(&network, &Setup::failover());
    let holder = holder_of(&servers);
    let probe = Probe::start(&network.client, ASKED);
    let browser = Browser::open(&servers[holder].host.namespace, URL);
    let row = |server: &Server<'_>, cell: &str| format!("#servers tr[data-key^='{} '] {cell}", server.identity);

    browser.wait_for_text(SOON, "#state-name", "active");
    assert_eq!(browser.text("#identity"), servers[holder].identity);
    browser.wait_for(
        SOON,
        "the others are shown",
        "return document.querySelectorAll('#servers tbody tr').length === 3",
    );
    browser.wait_for(
        SOON,
        "its plot has data and grows",
        &format!("const height = (() => {{ {HEIGHT_OF_THE_PLOT} }})(); return height > 0.3 && height <= 1"),
    );
    browser.wait_for(
        SOON,
        "queries are counted",
        "return Math.abs(Number(document.querySelector('#figure-rate').textContent) - 200) < 60",
    );
    browser.run(WATCH_THE_STATE);

    let drained = &servers[holder];
    let receipt = thread::scope(|scope| {
        let order = scope.spawn(|| drained.drain());
        browser.wait_for_text(SOON, "#state-name", "draining");
        order.join().expect("the drain is answered")
    });
    assert!(receipt.contains("drained in"), "{receipt}");
    assert_eq!(
        browser.run("return window.told"),
        json!(["active", "draining"]),
        "each change is shown once"
    );
    let successor = wait_for_value(SOON, "somebody has taken over", || {
        servers
            .iter()
            .find(|server| server.identity != drained.identity && server.is_holder())
    });
    browser.wait_for_text(SOON, &row(successor, ".state"), "active");
    browser.wait_for_text(SOON, &row(successor, ".holder"), "holder");
    browser.wait_for(
        SOON,
        "the timeline has it",
        "return document.querySelector('#servers tr[data-key=\"\"] .lane rect[data-state=draining]') !== null",
    );
    browser.wait_for(
        SOON,
        "the queries have moved",
        "return document.querySelector('#figure-rate').textContent === '0'",
    );
    browser.wait_for_text(SOON, "#decisions .change", "serving → draining");
    let live = "return document.querySelector('#state-name').closest('[aria-live]').innerText";
    assert!(
        browser.run(live).as_str().is_some_and(|text| text.contains("is draining")),
        "a screen reader is told"
    );

    read_by_keyboard_and_on_a_phone(&browser);
    drop(probe);
    assert_eq!(browser.complaints(), [""; 0], "while the server answers the console is empty");

    servers[holder].terminate();
    servers[holder].wait_for_exit(SOON);
    browser.wait_for(
        SOON,
        "the page says that the server is gone",
        "const gone = document.querySelector('#gone'); return gone.checkVisibility() && gone.innerText.includes('No answer')",
    );
    servers[holder].run_again();
    browser.wait_for(
        SOON,
        "the page comes back by itself",
        "return document.querySelector('#gone').hidden",
    );
    browser.wait_for_text(SOON, "#state-name", "standby");
    let complaints = browser.complaints();
    assert!(!complaints.is_empty(), "questions to a server that is away are told in the console");
    let others = complaints.iter().filter(|text| !text.contains("/api/"));
    assert_eq!(others.collect::<Vec<_>>(), [""; 0], "and nothing else is");

    let markup = "try { document.body.innerHTML = '<b>'; return 'taken' } catch (error) { return error.name }";
    assert_eq!(browser.run(markup), "TypeError", "the policy forbids markup from text");
}

pub(crate) fn status_page_of_a_lone_server_is_of_use_and_shows_names_as_text() {
    let network = Network::new(1);
    let host = &network.hosts[0];
    let server = LoneServer::start(host, HOSTILE);
    let browser = Browser::open(&host.namespace, URL);
    browser.wait_for_text(SOON, "#reason", "serving; without a [service] nothing is advertised");
    for place in ["#identity", "#servers b", "#rate figcaption"] {
        assert!(
            browser.text(place).contains(HOSTILE),
            "as it is, at {place}: {}",
            browser.text(place)
        );
    }
    assert_eq!(browser.run("return document.images.length"), 0);
    assert!(browser.text("#services").starts_with("None: "), "{}", browser.text("#services"));
    let zones = "return [...document.querySelectorAll('#zones tbody b')].map((name) => name.textContent)";
    browser.wait_for(SOON, "its zones are shown", "return document.querySelector('#zones td') !== null");
    assert_eq!(
        browser.run(zones),
        json!(["8.b.d.0.1.0.0.2.ip6.arpa.", "example.com.", "example.net."])
    );
    assert_eq!(browser.run("return document.querySelectorAll('#servers tbody tr').length"), 1);
    assert!(!browser.text("#alone").is_empty(), "it says why no other server is shown");
    assert_eq!(browser.text("#advertisers-section"), "", "what it has not is not shown");
    browser.wait_for(
        SOON,
        "its plot has data",
        &format!("return (() => {{ {HEIGHT_OF_THE_PLOT} }})() !== null"),
    );
    assert_eq!(browser.complaints(), [""; 0]);
    drop(server);
}

/// The program as somebody starts it who has nothing but its folder: without a configuration.
#[derive(Debug)]
pub(crate) struct LoneServer {
    process: Child,
    _folder: TempDir,
}

impl LoneServer {
    /// Starts it on `host`.
    pub(crate) fn start(host: &Host, identity: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let process = host.namespace.enter(|| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_heraldns"));
            command.current_dir(env!("CARGO_MANIFEST_DIR")).env("HERALDNS_IDENTITY", identity);
            command.env("HERALDNS_CONTROL__SOCKET", folder.path().join("control.sock"));
            command
                .env_remove("HERALDNS_LAB")
                .stderr(Stdio::null())
                .spawn()
                .expect("the program starts")
        });
        let listens = || host.namespace.enter(|| TcpStream::connect((Ipv4Addr::LOCALHOST, 8053)).is_ok());
        wait_for(SOON, "its web part listens", listens);
        Self { process, _folder: folder }
    }
}

impl Drop for LoneServer {
    fn drop(&mut self) {
        // Its main process ends with the namespace.
        let _already_gone = self.process.kill();
        let _reaped = self.process.wait();
    }
}

/// The state is one key away, a decision opens by a key, and nothing is wider than a phone.
fn read_by_keyboard_and_on_a_phone(browser: &Browser<'_>) {
    browser.press(TAB);
    browser.press(ENTER);
    assert_eq!(
        browser.run("return document.activeElement.id"),
        "state",
        "the first link skips to the state"
    );
    browser.run("document.querySelector('#load svg').focus()");
    browser.press(TAB);
    let focused = "const style = getComputedStyle(document.activeElement); return [document.activeElement.tagName, style.outlineStyle]";
    assert_eq!(browser.run(focused), json!(["SUMMARY", "solid"]), "the focus is seen");
    browser.press(ENTER);
    browser.wait_for(
        SOON,
        "the decision is open",
        "return document.querySelector('#decisions .seen').checkVisibility()",
    );
    for (width, scheme) in [(360, "dark"), (1280, "light")] {
        browser.look_like(width, 800, scheme);
        let wide = "return [...document.querySelectorAll('body *')].filter((node) => node.getBoundingClientRect().right > innerWidth + 1 \
            && !node.matches('svg *')).map((node) => node.outerHTML.slice(0, 80))";
        assert_eq!(browser.run(wide), json!([]), "at {width} pixels");
    }
}

pub(crate) fn metrics_are_as_promtool_wants_them() {
    let network = Network::new(2);
    let servers = Server::start_on_all(&network, &Setup::failover().with_speaker(|_| {}));
    holder_of(&servers);
    for server in &servers {
        let page = metrics(server.host);
        assert!(page.contains("heraldns_advertiser_state{protocol=\"ospf\""), "{page}");
        let output = output_with_input(Command::new("promtool").args(["check", "metrics"]), &page);
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.is_empty(), "{said}\n{page}");
    }
}

fn metrics(host: &Host) -> String {
    let mut stream = host
        .namespace
        .enter(|| TcpStream::connect((Ipv4Addr::LOCALHOST, 8053)))
        .expect("the web part listens");
    write!(stream, "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers and closes");
    answer.split_once("\r\n\r\n").expect("head and body").1.to_owned()
}

/// Which of the servers is the holder, when one is.
pub(crate) fn holder_of(servers: &[Server<'_>]) -> usize {
    let is_active = |server: &Server<'_>| server.state() == "active" && server.is_holder();
    wait_for_value(SOON, "a server is the holder", || servers.iter().position(is_active))
}
