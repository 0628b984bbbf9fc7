//! What the commands print for people: the verdict in the first line, then tables.

mod neighbors;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::control::status::{Advertiser, Decision, DrainReceipt, DrainedConnections, Peer, Reloaded, Service, Status, Zone};

pub(super) use neighbors::neighbors;

/// One line: which server, in which state, why.
pub(super) fn verdict(status: &Status) -> String {
    format!(
        "{} is {}: {} (since {})\n",
        status.identity, status.state, status.reason, status.since
    )
}

pub(super) fn status(status: &Status) -> String {
    let mut text = verdict(status);
    for problem in &status.problems {
        let _ = writeln!(text, "  ! {problem}");
    }
    let queries = status.queries;
    let zones = status.zones;
    let _ = write!(
        text,
        "\nqueries  {}, {:.1}/s; load {}{}\ncost     {}: {}\nzones    {} loaded, {} failed, {} records\nprocess  version {}, {}\n",
        queries.total,
        queries.per_second,
        percent(status.load),
        capacity(status.capacity),
        status.class,
        status.class_reason,
        zones.loaded,
        zones.failed,
        zones.records,
        status.version,
        pids(status),
    );
    if !status.services.is_empty() {
        text.push('\n');
        text += &table(["SERVICE ADDRESS", "ADVERTISED", "HOLDER"], status.services.iter().map(service_row));
    }
    if !status.advertisers.is_empty() {
        text.push('\n');
        let heads = ["ADVERTISER", "STATE", "COST", "SENT", "ERRORS", "DROPPED", "DETAIL"];
        text += &table(heads, status.advertisers.iter().map(advertiser_row));
    }
    if !status.peers.is_empty() {
        text.push('\n');
        let heads = ["PEER", "ADDRESS", "STATE", "CLASS", "LOAD", "HEARD"];
        text += &table(heads, status.peers.iter().map(peer_row));
    }
    if let Some(messages) = &status.peer_messages {
        let _ = writeln!(
            text,
            "\npeer messages: {} sent, {} not sent, {} received, dropped: {}",
            messages.sent,
            messages.errors,
            messages.received,
            causes(&messages.dropped),
        );
    }
    text
}

pub(super) fn zones(zones: &[Zone]) -> String {
    let mut text = table(["ZONE", "SERIAL", "RECORDS", "STATE", "FILE"], zones.iter().map(zone_row));
    for zone in zones {
        if let Some(error) = &zone.error {
            let _ = writeln!(text, "\n{}: {error}", zone.name);
        }
    }
    text
}

/// One line with the counts, then the zones that were read.
pub(super) fn reloaded(reloaded: &Reloaded) -> String {
    let mut text = format!(
        "{} loaded, {} unchanged, {} failed, {} gone\n",
        reloaded.loaded, reloaded.unchanged, reloaded.failed, reloaded.gone
    );
    if !reloaded.zones.is_empty() {
        text.push('\n');
        text += &zones(&reloaded.zones);
    }
    let shown = reloaded.zones.len() as u64;
    if let Some(more) = (reloaded.loaded + reloaded.failed).checked_sub(shown).filter(|more| *more > 0) {
        let _ = writeln!(text, "\nand {more} more");
    }
    text
}

pub(super) fn decisions(decisions: &[Decision]) -> String {
    let mut text = String::new();
    for decision in decisions {
        let Decision {
            id,
            at,
            from,
            to,
            class_from,
            class_to,
            reason,
            seen,
        } = decision;
        let class = if class_from == class_to {
            String::new()
        } else {
            format!(", cost {class_from} -> {class_to}")
        };
        let _ = writeln!(text, "#{id} {at} {from} -> {to}{class}: {reason}");
        for (what, value) in seen {
            let _ = writeln!(text, "    {what}: {value}");
        }
    }
    if text.is_empty() {
        text.push_str("no decision has been made yet\n");
    }
    text
}

pub(super) fn receipt(receipt: &DrainReceipt) -> String {
    let mut text = match (receipt.simulated, receipt.complete) {
        (true, true) if receipt.successor.is_some() => "a drain would hand over\n".to_owned(),
        (true, true) => "a drain would take nothing away: nothing is advertised\n".to_owned(),
        (true, false) => "a drain would leave nobody to serve\n".to_owned(),
        (false, true) => format!("drained in {} ms: quiet\n", receipt.took_ms),
        (false, false) => format!("drain ended after {} ms: not quiet\n", receipt.took_ms),
    };
    if let Some(successor) = &receipt.successor {
        let _ = writeln!(text, "  takes over           {successor}");
    }
    if !receipt.simulated {
        let _ = writeln!(text, "  withdrawn after      {}", milliseconds(receipt.withdrawn_after_ms));
        let _ = writeln!(text, "  last query after     {}", milliseconds(receipt.last_query_after_ms));
        let _ = writeln!(text, "  queries since        {}", receipt.received);
        let _ = writeln!(text, "  answered             {}", receipt.answered);
        let _ = writeln!(text, "  lost                 {}", receipt.lost);
        let DrainedConnections {
            at_start,
            opened,
            closed,
            broken,
            cut,
        } = receipt.connections;
        let _ = writeln!(text, "  connections          {at_start} open at the order, {opened} since");
        let _ = writeln!(
            text,
            "  ended                {closed} in order, {broken} broken, {cut} cut by the timeout"
        );
    }
    for warning in &receipt.warnings {
        let _ = writeln!(text, "  ! {warning}");
    }
    text
}

fn service_row(service: &Service) -> [String; 3] {
    [
        service.address.to_string(),
        yes_or_no(service.advertised),
        yes_or_no(service.holder),
    ]
}

fn advertiser_row(advertiser: &Advertiser) -> [String; 7] {
    [
        advertiser.protocol.clone(),
        advertiser.state.clone(),
        advertiser.cost.map_or_else(|| "-".to_owned(), |cost| cost.to_string()),
        advertiser.sent.to_string(),
        advertiser.errors.to_string(),
        causes(&advertiser.dropped),
        advertiser.detail.clone(),
    ]
}

fn causes(counts: &BTreeMap<String, u64>) -> String {
    let counts = counts.iter().filter(|(_, count)| **count > 0);
    let counts: Vec<String> = counts.map(|(cause, count)| format!("{cause} {count}")).collect();
    if counts.is_empty() { "0".to_owned() } else { counts.join(", ") }
}

fn capacity(capacity: u64) -> String {
    if capacity == 0 {
        String::new()
    } else {
        format!(" of {capacity}/s")
    }
}

fn peer_row(peer: &Peer) -> [String; 6] {
    [
        peer.identity.clone(),
        peer.address.to_string(),
        peer.state.clone(),
        peer.class.clone(),
        percent(peer.load),
        format!("{} ms ago", peer.last_heard_ms),
    ]
}

fn zone_row(zone: &Zone) -> [String; 5] {
    [
        zone.name.clone(),
        zone.serial.map_or_else(|| "-".to_owned(), |serial| serial.to_string()),
        zone.records.to_string(),
        zone.state.to_string(),
        zone.file.clone(),
    ]
}

fn pids(status: &Status) -> String {
    match status.pids.guardian {
        Some(guardian) => format!("main {}, guardian {guardian}", status.pids.main),
        None => format!("main {}, no guardian", status.pids.main),
    }
}

fn percent(share: f64) -> String {
    format!("{:.0}%", share * 100.0)
}

fn milliseconds(value: Option<u64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value} ms"))
}

fn yes_or_no(truth: bool) -> String {
    if truth { "yes" } else { "no" }.to_owned()
}

/// Columns as wide as their widest cell; no blanks at the end of a line.
fn table<const COLUMNS: usize>(heads: [&str; COLUMNS], rows: impl Iterator<Item = [String; COLUMNS]>) -> String {
    let mut lines = vec![heads.map(str::to_owned)];
    lines.extend(rows);
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; COLUMNS] = std::array::from_fn(width);
    let mut text = String::new();
    for line in &lines {
        let cells: Vec<String> = line.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        let _ = writeln!(text, "{}", cells.join("  ").trim_end());
    }
    text
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::control::status::{PeerMessages, Pids, Queries, State, ZoneNumbers, ZoneState};

    fn example() -> Status {
        Status {
            identity: "s1".to_owned(),
            version: "0.1.0".to_owned(),
            state: State::Active,
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
                per_second: 17.25,
            },
            load: 0.314,
            recent_load: 0.4,
            capacity: 55_000,
            class: "busy".to_owned(),
            class_reason: "load has come near the capacity; stays: load still comes here".to_owned(),
            advertisers: vec![Advertiser {
                protocol: "nd".to_owned(),
                state: "advertising".to_owned(),
                sent: 12,
                errors: 0,
                cost: Some(20),
                detail: "next in 200 ms".to_owned(),
                dropped: BTreeMap::from([("checksum".to_owned(), 0), ("hop-limit".to_owned(), 3)]),
            }],
            peer_messages: Some(PeerMessages {
                sent: 30,
                errors: 0,
                received: 28,
                dropped: BTreeMap::from([("signature".to_owned(), 1)]),
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
                failed: 1,
                records: 40,
            },
            problems: vec!["zone example.org.: no file".to_owned()],
        }
    }

    #[test]
    fn status_begins_with_the_verdict() {
        assert_snapshot!(status(&example()), @"
        s1 is active: holder of 2001:db8:5::53 (since 2026-01-01T00:00:00Z)
          ! zone example.org.: no file

        queries  1234, 17.2/s; load 31% of 55000/s
        cost     busy: load has come near the capacity; stays: load still comes here
        zones    2 loaded, 1 failed, 40 records
        process  version 0.1.0, main 101, guardian 100

        SERVICE ADDRESS  ADVERTISED  HOLDER
        2001:db8:5::53   yes         yes

        ADVERTISER  STATE        COST  SENT  ERRORS  DROPPED      DETAIL
        nd          advertising  20    12    0       hop-limit 3  next in 200 ms

        PEER  ADDRESS  STATE    CLASS        LOAD  HEARD
        s2    fe80::2  standby  last-resort  0%    120 ms ago

        peer messages: 30 sent, 0 not sent, 28 received, dropped: signature 1
        ");
    }

    #[test]
    fn a_server_without_service_shows_no_empty_tables() {
        let alone = Status {
            services: Vec::new(),
            advertisers: Vec::new(),
            peers: Vec::new(),
            peer_messages: None,
            problems: Vec::new(),
            ..example()
        };
        assert_snapshot!(status(&alone), @"
        s1 is active: holder of 2001:db8:5::53 (since 2026-01-01T00:00:00Z)

        queries  1234, 17.2/s; load 31% of 55000/s
        cost     busy: load has come near the capacity; stays: load still comes here
        zones    2 loaded, 1 failed, 40 records
        process  version 0.1.0, main 101, guardian 100
        ");
    }

    #[test]
    fn a_reload_is_told_in_one_line_and_by_zone() {
        let failed = Zone {
            name: "a.".to_owned(),
            serial: Some(7),
            records: 25,
            file: "zones/a.zone".to_owned(),
            state: ZoneState::Stale,
            error: Some("zones/a.zone:1:1: error: no SOA record".to_owned()),
        };
        let many = Reloaded {
            loaded: 1_500,
            unchanged: 2,
            failed: 1,
            gone: 3,
            zones: vec![failed],
        };
        assert_snapshot!(reloaded(&many), @r"
        1500 loaded, 2 unchanged, 1 failed, 3 gone

        ZONE  SERIAL  RECORDS  STATE  FILE
        a.    7       25       stale  zones/a.zone

        a.: zones/a.zone:1:1: error: no SOA record

        and 1500 more
        ");
        assert_eq!(reloaded(&Reloaded::default()), "0 loaded, 0 unchanged, 0 failed, 0 gone\n");
    }

    #[test]
    fn zones_show_what_is_served_and_what_is_wrong() {
        let loaded = Zone {
            name: "example.com.".to_owned(),
            serial: Some(2026),
            records: 25,
            file: "zones/example.com.zone".to_owned(),
            state: ZoneState::Loaded,
            error: None,
        };
        let failed = Zone {
            name: "a.".to_owned(),
            serial: None,
            records: 0,
            file: "zones/a.zone".to_owned(),
            state: ZoneState::Failed,
            error: Some("zones/a.zone:1:1: error: no SOA record".to_owned()),
        };
        assert_snapshot!(zones(&[loaded, failed]), @"
        ZONE          SERIAL  RECORDS  STATE   FILE
        example.com.  2026    25       loaded  zones/example.com.zone
        a.            -       0        failed  zones/a.zone

        a.: zones/a.zone:1:1: error: no SOA record
        ");
    }

    #[test]
    fn decisions_show_what_they_were_made_from() {
        let decision = Decision {
            id: 7,
            at: "2026-01-01T00:00:00Z".to_owned(),
            from: "starting".to_owned(),
            to: "serving".to_owned(),
            class_from: "normal".to_owned(),
            class_to: "normal".to_owned(),
            reason: "healthy for long enough".to_owned(),
            seen: BTreeMap::from([("link".to_owned(), "healthy".to_owned()), ("load".to_owned(), "0.100".to_owned())]),
        };
        assert_snapshot!(decisions(std::slice::from_ref(&decision)), @"
        #7 2026-01-01T00:00:00Z starting -> serving: healthy for long enough
            link: healthy
            load: 0.100
        ");
        let busy = Decision {
            from: "serving".to_owned(),
            class_to: "busy".to_owned(),
            reason: "load has come near the capacity, and it fits better elsewhere".to_owned(),
            seen: BTreeMap::new(),
            ..decision
        };
        assert_snapshot!(decisions(&[busy]), @"#7 2026-01-01T00:00:00Z serving -> serving, cost normal -> busy: load has come near the capacity, and it fits better elsewhere");
        assert_snapshot!(decisions(&[]), @"no decision has been made yet");
    }

    #[test]
    fn a_receipt_tells_what_the_drain_cost() {
        let drained = DrainReceipt {
            simulated: false,
            complete: true,
            took_ms: 812,
            withdrawn_after_ms: Some(4),
            successor: Some("s2".to_owned()),
            last_query_after_ms: Some(310),
            received: 17,
            answered: 17,
            lost: 0,
            connections: DrainedConnections {
                at_start: 20,
                opened: 3,
                closed: 22,
                broken: 1,
                cut: 0,
            },
            warnings: Vec::new(),
        };
        assert_snapshot!(receipt(&drained), @"
        drained in 812 ms: quiet
          takes over           s2
          withdrawn after      4 ms
          last query after     310 ms
          queries since        17
          answered             17
          lost                 0
          connections          20 open at the order, 3 since
          ended                22 in order, 1 broken, 0 cut by the timeout
        ");
        let alone = DrainReceipt {
            simulated: true,
            warnings: vec!["no other server is ready".to_owned()],
            ..DrainReceipt::default()
        };
        assert_snapshot!(receipt(&alone), @"
        a drain would leave nobody to serve
          ! no other server is ready
        ");
    }
}
