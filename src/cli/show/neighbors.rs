//! `neighbors` for people: each service's entry in one line, then the servers in it.

use std::fmt::Write as _;

use super::{causes, percent, table};
use crate::control::neighbors::{Entry, Member, Neighbors};

pub(in crate::cli) fn neighbors(neighbors: &Neighbors) -> String {
    let mut text = format!(
        "router side on {}: policy {}, group {}\n",
        neighbors.interface, neighbors.policy, neighbors.group
    );
    for problem in &neighbors.problems {
        let _ = writeln!(text, "  ! {problem}");
    }
    for entry in &neighbors.services {
        text.push('\n');
        text += &entry_line(entry);
        if !entry.members.is_empty() {
            let heads = [
                "SERVER",
                "LINK-LAYER",
                "NEXT HOP",
                "STATE",
                "WEIGHT",
                "SHARE",
                "TCP",
                "LOAD",
                "HEARD",
                "SIGNED",
            ];
            text += &table(heads, entry.members.iter().map(member_row));
        }
    }
    let _ = writeln!(text, "\nadvertisements dropped: {}", causes(&neighbors.dropped));
    if let Some(messages) = &neighbors.peer_messages {
        let _ = writeln!(
            text,
            "peer messages: {} received, dropped: {}",
            messages.received,
            causes(&messages.dropped)
        );
    }
    let kernel = &neighbors.kernel;
    let _ = writeln!(
        text,
        "kernel: {} changes, the last took {} us; {} repairs",
        kernel.changes, kernel.last_change_us, kernel.repairs
    );
    text
}

fn entry_line(entry: &Entry) -> String {
    let link_layer = entry.link_layer.as_ref().map_or_else(String::new, |address| format!(" {address}"));
    let discarded = causes(&entry.discarded);
    format!(
        "{} is {}{link_layer}; moves: {}; discarded: {discarded}\n",
        entry.address, entry.state, entry.moves
    )
}

fn member_row(member: &Member) -> [String; 10] {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let weight = if (member.effective_weight - f64::from(member.weight)).abs() < 0.05 {
        member.weight.to_string()
    } else {
        format!("{:.1} of {}", member.effective_weight, member.weight)
    };
    [
        or_dash(Some(member.identity.clone()).filter(|identity| !identity.is_empty())),
        member.link_layer.clone(),
        member.gateway.to_string(),
        if member.on_link {
            member.state.clone()
        } else {
            format!("{} (beyond the link)", member.state)
        },
        weight,
        percent(member.share),
        percent(member.connections_share),
        or_dash(member.load.map(percent)),
        or_dash(member.last_heard_ms.map(|age| format!("{age} ms ago"))),
        if member.signed { "yes" } else { "no" }.to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use insta::assert_snapshot;

    use super::*;
    use crate::control::neighbors::Kernel;
    use crate::control::status::PeerMessages;

    fn member(identity: &str, weight: u16, effective_weight: f64, share: f64) -> Member {
        Member {
            identity: identity.to_owned(),
            link_layer: "02:00:00:00:00:01".to_owned(),
            gateway: "fe80::1".parse().unwrap(),
            state: "active".to_owned(),
            says: Some("active".to_owned()),
            weight,
            effective_weight,
            share,
            connections_share: share,
            load: Some(0.314),
            last_heard_ms: Some(120),
            signed: true,
            on_link: true,
            advertisements: 7,
            messages: 9,
        }
    }

    #[test]
    fn the_cache_is_shown_entry_by_entry() {
        let stranger = Member {
            identity: String::new(),
            load: None,
            signed: false,
            ..member("", 100, 100.0, 0.5)
        };
        let shown = Neighbors {
            version: "0.1.0".to_owned(),
            interface: "lan".to_owned(),
            policy: "weighted".to_owned(),
            group: "split".to_owned(),
            services: vec![Entry {
                address: "2001:db8:5::53".parse().unwrap(),
                state: "reachable".to_owned(),
                link_layer: Some("02:00:00:00:00:01".to_owned()),
                moves: 2,
                members: vec![member("s1", 100, 87.5, 0.5), stranger],
                discarded: BTreeMap::from([("unchanged".to_owned(), 12)]),
            }],
            solicitations: 1,
            dropped: BTreeMap::from([("hop-limit".to_owned(), 3)]),
            peer_messages: Some(PeerMessages {
                received: 28,
                ..PeerMessages::default()
            }),
            kernel: Kernel {
                changes: 2,
                last_change_us: 310,
                repairs: 0,
            },
            problems: vec!["no server is heard".to_owned()],
        };
        assert_snapshot!(neighbors(&shown), @"
        router side on lan: policy weighted, group split
          ! no server is heard

        2001:db8:5::53 is reachable 02:00:00:00:00:01; moves: 2; discarded: unchanged 12
        SERVER  LINK-LAYER         NEXT HOP  STATE   WEIGHT       SHARE  TCP  LOAD  HEARD       SIGNED
        s1      02:00:00:00:00:01  fe80::1   active  87.5 of 100  50%    50%  31%   120 ms ago  yes
        -       02:00:00:00:00:01  fe80::1   active  100          50%    50%  -     120 ms ago  no

        advertisements dropped: hop-limit 3
        peer messages: 28 received, dropped: 0
        kernel: 2 changes, the last took 310 us; 0 repairs
        ");
    }
}
