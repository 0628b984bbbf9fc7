//! What the commands print for people: the verdict in the first line, then tables.

use std::fmt::Write as _;

use crate::control::status::{Advertiser, Decision, DrainReceipt, Peer, Service, Status, Zone};

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
        "\nqueries  {}, {:.1}/s; load {}\nzones    {} loaded, {} failed, {} records\nprocess  version {}, {}\n",
        queries.total,
        queries.per_second,
        percent(status.load),
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
        let heads = ["ADVERTISER", "STATE", "SENT", "ERRORS", "DROPPED", "DETAIL"];
        text += &table(heads, status.advertisers.iter().map(advertiser_row));
    }
    if !status.peers.is_empty() {
        text.push('\n');
        let heads = ["PEER", "ADDRESS", "STATE", "LOAD", "HEARD"];
        text += &table(heads, status.peers.iter().map(peer_row));
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

pub(super) fn decisions(decisions: &[Decision]) -> String {
    let mut text = String::new();
    for decision in decisions {
        let Decision {
            id,
            at,
            from,
            to,
            reason,
            seen,
        } = decision;
        let _ = writeln!(text, "#{id} {at} {from} -> {to}: {reason}");
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
        (true, true) => "a drain would hand over\n".to_owned(),
        (true, false) => "a drain would leave nobody to serve\n".to_owned(),
        (false, true) => format!("drained in {} ms: quiet\n", receipt.took_ms),
        (false, false) => format!("drain ended after {} ms: queries still come\n", receipt.took_ms),
    };
    let successor = receipt.successor.as_deref().unwrap_or("nobody that is known");
    let _ = writeln!(text, "  takes over           {successor}");
    if !receipt.simulated {
        let _ = writeln!(text, "  withdrawn after      {}", milliseconds(receipt.withdrawn_after_ms));
        let _ = writeln!(text, "  last query after     {}", milliseconds(receipt.last_query_after_ms));
        let _ = writeln!(text, "  queries since        {}", receipt.received);
        let _ = writeln!(text, "  answered             {}", receipt.answered);
        let _ = writeln!(text, "  lost                 {}", receipt.lost);
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

fn advertiser_row(advertiser: &Advertiser) -> [String; 6] {
    let dropped = advertiser.dropped.iter().filter(|(_, count)| **count > 0);
    let dropped: Vec<String> = dropped.map(|(cause, count)| format!("{cause} {count}")).collect();
    [
        advertiser.protocol.clone(),
        advertiser.state.clone(),
        advertiser.sent.to_string(),
        advertiser.errors.to_string(),
        if dropped.is_empty() { "0".to_owned() } else { dropped.join(", ") },
        advertiser.detail.clone(),
    ]
}

fn peer_row(peer: &Peer) -> [String; 5] {
    [
        peer.identity.clone(),
        peer.address.to_string(),
        peer.state.clone(),
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
