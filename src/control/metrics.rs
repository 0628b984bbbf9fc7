//! `/metrics`: what `app` measured, in the OpenMetrics text format or in Prometheus' older one. Every name begins with `heraldns_`.
//!
//! Label values come from closed lists (types, codes, causes, states) and from the configuration (addresses, protocols),
//! so that nobody on the network can make up new time series.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use super::status::{State, Status};
use crate::base::cost::CostClass;

/// The content type of what [`render`] returns.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// The content type of what [`to_plain`] returns.
pub const PLAIN_CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Everything that `/metrics` shows, at one moment. Counts are those since the start.
#[derive(Clone, Debug)]
pub struct Measurements {
    /// As `status` shows it.
    pub status: Status,
    /// What came in, by listener.
    pub listeners: Vec<Listener>,
    /// Queries by type; what has no name of its own is `other`.
    pub queries_by_type: Vec<(&'static str, u64)>,
    /// Answers by response code.
    pub answers_by_code: Vec<(&'static str, u64)>,
    /// Messages that got no answer, by cause.
    pub dropped: Vec<(&'static str, u64)>,
    /// Limited answers, by what was done with them.
    pub rate_limited: Vec<(&'static str, u64)>,
    /// Queries with a cookie, by what it was worth.
    pub cookies: Vec<(&'static str, u64)>,
    /// Queries to service addresses from others.
    pub inflow: u64,
    /// Connections to service addresses from others that are open.
    pub connections_open: u64,
    /// The same since the start: opened, closed in order, broken.
    pub connections: Vec<(&'static str, u64)>,
    /// Answers that the kernel took.
    pub answers_sent: u64,
    /// Answers that the kernel refused for a reason of this host.
    pub answers_unsent: u64,
    /// Answers with TC set.
    pub answers_truncated: u64,
    /// Decisions of the scheduler.
    pub decisions: u64,
    /// Share of their time that the busiest workers work.
    pub busy: f64,
    /// Datagrams that the kernel dropped from full queues of the service.
    pub queue_drops: u64,
    /// Resident memory of the main process, in octets.
    pub memory: u64,
    /// CPU in use on the whole host, 0 to 1.
    pub host_cpu: f64,
}

/// One listening address and transport.
#[derive(Clone, Debug)]
pub struct Listener {
    /// Where it listens.
    pub address: SocketAddr,
    /// `udp` or `tcp`.
    pub transport: &'static str,
    /// Queries that were read there.
    pub queries: u64,
    /// How often receiving or accepting failed there.
    pub receive_errors: u64,
}

/// The names of the states that an advertiser can be in.
const ADVERTISER_STATES: [&str; 6] = ["starting", "silent", "advertising", "withdrawing", "withdrawn", "failed"];

/// Writes the metrics page.
#[must_use]
pub fn render(measured: &Measurements) -> String {
    let mut page = Page {
        registry: Registry::with_prefix("heraldns"),
    };
    let version = vec![("version", measured.status.version.clone())];
    page.registry.register("build", "The running program", Info::new(version));
    write_server(&mut page, measured);
    write_peer_messages(&mut page, &measured.status);
    write_queries(&mut page, measured);
    write_advertisers(&mut page, &measured.status);
    write_surroundings(&mut page, &measured.status);
    let mut text = String::new();
    // Writing into a String does not fail; were it to, the scraper would notice the missing end mark.
    let _ = encode(&mut text, &page.registry);
    text
}

/// The same page in Prometheus' own text format, for who does not ask for OpenMetrics: a family has the name of its samples
/// there, and no end mark follows.
#[must_use]
pub fn to_plain(page: &str) -> String {
    let types = page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let types: BTreeMap<&str, &str> = types.collect();
    let lines = page.lines().filter(|line| !line.starts_with("# UNIT") && *line != "# EOF");
    lines.map(|line| plain_line(line, &types) + "\n").collect()
}

fn plain_line(line: &str, types: &BTreeMap<&str, &str>) -> String {
    let mut words = line.splitn(4, ' ');
    let (Some("#"), Some(keyword), Some(family), Some(rest)) = (words.next(), words.next(), words.next(), words.next()) else {
        return line.to_owned();
    };
    let suffix = match types.get(family) {
        Some(&"counter") => "_total",
        Some(&"info") => "_info",
        _ => "",
    };
    let rest = if keyword == "TYPE" && rest == "info" { "gauge" } else { rest };
    format!("# {keyword} {family}{suffix} {rest}")
}

fn write_server(page: &mut Page, measured: &Measurements) {
    let status = &measured.status;
    let states = State::ALL.map(|state| (vec![("state", state.name().to_owned())], number(state == status.state)));
    page.gauges("state", "1 for the state the server is in", states);
    page.gauge("healthy", "1 if the server can take queries", number(status.state.is_healthy()));
    page.gauge("load_ratio", "Share of the capacity in use", status.load);
    let classes = CostClass::ALL
        .map(CostClass::name)
        .map(|class| (vec![("class", class.to_owned())], number(status.class == class)));
    page.gauges("cost_class", "1 for the cost class the server is in", classes);
    page.counts(
        "capacity_queries",
        "Queries a second the server can take, configured or learned; 0 if not known",
        status.capacity,
    );
    page.gauge(
        "workers_busy_ratio",
        "Share of their time that the busiest workers work",
        measured.busy,
    );
    page.counter(
        "queue_drops",
        "Datagrams that the kernel dropped from full queues of the service",
        measured.queue_drops,
    );
    page.counter("decisions", "Decisions of the scheduler", measured.decisions);
    page.counter("service_queries", "Queries to service addresses from others", measured.inflow);
    page.counts(
        "service_connections_open",
        "Connections to service addresses from others that are open",
        measured.connections_open,
    );
    page.counters(
        "service_connections",
        "Connections to service addresses from others: opened, closed in order, broken otherwise",
        labelled("event", &measured.connections),
    );
    page.counts("resident_memory_bytes", "Resident memory of the main process", measured.memory);
    page.gauge("host_cpu_ratio", "CPU in use on the whole host", measured.host_cpu);
}

fn write_queries(page: &mut Page, measured: &Measurements) {
    let by_listener = |count: fn(&Listener) -> u64| {
        measured.listeners.iter().map(move |listener| {
            let labels = vec![
                ("address", listener.address.to_string()),
                ("transport", listener.transport.to_owned()),
            ];
            (labels, count(listener))
        })
    };
    page.counters(
        "queries",
        "Queries read, by listener, the server's own probes included",
        by_listener(|listener| listener.queries),
    );
    page.counters(
        "receive_errors",
        "How often receiving or accepting failed, by listener",
        by_listener(|listener| listener.receive_errors),
    );
    page.counters(
        "queries_by_type",
        "Queries by type, the server's own probes included",
        labelled("type", &measured.queries_by_type),
    );
    page.counters(
        "answers_by_code",
        "Answers by response code",
        labelled("code", &measured.answers_by_code),
    );
    page.counters(
        "dropped",
        "Messages without an answer, by cause",
        labelled("cause", &measured.dropped),
    );
    page.counters(
        "rate_limited",
        "Answers that were too many for their prefix and name, by what was done with them",
        labelled("action", &measured.rate_limited),
    );
    page.counters(
        "cookies",
        "Queries with a DNS cookie, by what it was worth",
        labelled("standing", &measured.cookies),
    );
    page.counter("answers_sent", "Answers that the kernel took", measured.answers_sent);
    page.counter(
        "answers_unsent",
        "Answers that the kernel refused for a reason of this host",
        measured.answers_unsent,
    );
    page.counter(
        "answers_truncated",
        "Answers that were cut short, to be asked for over TCP",
        measured.answers_truncated,
    );
}

fn write_peer_messages(page: &mut Page, status: &Status) {
    let Some(messages) = &status.peer_messages else { return };
    page.counter("peer_messages_sent", "Peer messages sent", messages.sent);
    page.counter("peer_message_errors", "Peer messages that could not be sent", messages.errors);
    page.counter("peer_messages_received", "Peer messages that were believed", messages.received);
    let dropped = messages
        .dropped
        .iter()
        .map(|(cause, count)| (vec![("cause", cause.clone())], *count));
    page.counters("peer_messages_dropped", "Peer messages that were not believed", dropped);
}

fn write_advertisers(page: &mut Page, status: &Status) {
    let protocol = |advertiser: &super::status::Advertiser| ("protocol", advertiser.protocol.clone());
    let advertisers = &status.advertisers;
    let states = advertisers.iter().flat_map(|advertiser| {
        ADVERTISER_STATES.map(|state| {
            let labels = vec![protocol(advertiser), ("state", state.to_owned())];
            (labels, number(advertiser.state == state))
        })
    });
    page.gauges("advertiser_state", "1 for the state the advertiser is in", states);
    let sent = advertisers.iter().map(|advertiser| (vec![protocol(advertiser)], advertiser.sent));
    page.counters("advertisements_sent", "Advertisements sent", sent);
    let errors = advertisers.iter().map(|advertiser| (vec![protocol(advertiser)], advertiser.errors));
    page.counters("advertisement_errors", "Advertisements that could not be sent", errors);
    let costs = advertisers
        .iter()
        .filter_map(|advertiser| Some((vec![protocol(advertiser)], f64::from(advertiser.cost?))));
    page.gauges("route_cost", "The route cost that the advertiser tells", costs);
    let dropped = advertisers.iter().flat_map(|advertiser| {
        let causes = advertiser.dropped.iter();
        causes.map(|(cause, count)| (vec![protocol(advertiser), ("cause", cause.clone())], *count))
    });
    page.counters("packets_dropped", "Received protocol packets that were dropped", dropped);
}

fn write_surroundings(page: &mut Page, status: &Status) {
    let address = |service: &super::status::Service| vec![("address", service.address.to_string())];
    let advertised = status.services.iter().map(|service| (address(service), number(service.advertised)));
    page.gauges("service_advertised", "1 if the service address is advertised", advertised);
    let held = status.services.iter().map(|service| (address(service), number(service.holder)));
    page.gauges("service_holder", "1 if routers send queries for the service address here", held);
    let peers = State::ALL.map(State::name).into_iter().chain(["gone"]).map(|state| {
        let count = status.peers.iter().filter(|peer| peer.state == state).count();
        (
            vec![("state", state.to_owned())],
            u32::try_from(count).map_or(f64::INFINITY, f64::from),
        )
    });
    page.gauges("peers", "Known servers, by the state they tell", peers);
    page.counts("zones_loaded", "Zones that are served", status.zones.loaded);
    page.counts("zones_failed", "Zones whose file is wrong now", status.zones.failed);
    page.counts("zone_records", "Records of the served zones", status.zones.records);
}

type Labels = Vec<(&'static str, String)>;

/// The page under construction. Its metrics hold one moment's values and are thrown away with it.
struct Page {
    registry: Registry,
}

impl Page {
    fn counter(&mut self, name: &str, help: &str, count: u64) {
        let counter: Counter = Counter::default();
        counter.inc_by(count);
        self.registry.register(name, help, counter);
    }

    fn counters(&mut self, name: &str, help: &str, counts: impl IntoIterator<Item = (Labels, u64)>) {
        let family = Family::<Labels, Counter>::default();
        for (labels, count) in counts {
            family.get_or_create(&labels).inc_by(count);
        }
        self.registry.register(name, help, family);
    }

    fn gauge(&mut self, name: &str, help: &str, value: f64) {
        let gauge = Gauge::<f64, AtomicU64>::default();
        gauge.set(value);
        self.registry.register(name, help, gauge);
    }

    fn counts(&mut self, name: &str, help: &str, count: u64) {
        let gauge = Gauge::<u64, AtomicU64>::default();
        gauge.set(count);
        self.registry.register(name, help, gauge);
    }

    fn gauges(&mut self, name: &str, help: &str, values: impl IntoIterator<Item = (Labels, f64)>) {
        let family = Family::<Labels, Gauge<f64, AtomicU64>>::default();
        for (labels, value) in values {
            // Two advertisers of one protocol are counted together.
            family.get_or_create(&labels).inc_by(value);
        }
        self.registry.register(name, help, family);
    }
}

fn labelled(label: &'static str, counts: &[(&'static str, u64)]) -> impl Iterator<Item = (Labels, u64)> {
    counts.iter().map(move |(name, count)| (vec![(label, (*name).to_owned())], *count))
}

fn number(truth: bool) -> f64 {
    f64::from(u8::from(truth))
}
