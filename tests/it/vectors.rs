//! OSPFv3 packets that FRR and BIRD sent to each other (`tests/data/ospf`), both ways: read, and written as the same octets.
//!
//! How they were recorded is said at the top of each file; checksums and digests are the routers' own.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::Ipv6Addr;
use std::path::PathBuf;

use heraldns::advertiser::ospf::wire::{Algorithm, Body, Content, Form, Key, Packet, Received};
use heraldns::base::machine::Datagram;

/// Of the recorded routers.
const KEY_ID: u16 = 1;
const SECRET: &[u8] = b"between-routers";

pub(crate) struct Vector {
    /// File and comment.
    name: String,
    pub(crate) file: String,
    source: Ipv6Addr,
    destination: Ipv6Addr,
    pub(crate) octets: Vec<u8>,
}

impl Vector {
    fn key(&self) -> Option<Key> {
        self.file
            .starts_with("authenticated")
            .then(|| Key::new(KEY_ID, Algorithm::HmacSha256, SECRET))
    }

    fn read(&self) -> Received {
        let datagram = Datagram {
            source: self.source,
            source_port: 0,
            destination: self.destination,
            hop_limit: 1,
            payload: &self.octets,
        };
        Packet::parse(&datagram, self.key().as_ref()).unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }
}

#[test]
fn what_routers_sent_is_written_as_it_was_read() {
    for vector in vectors() {
        let received = vector.read();
        let key = vector.key().zip(received.form).map(|(key, form)| key.in_form(form));
        let written = received
            .packet
            .emit(vector.source, vector.destination, key.as_ref().zip(received.sequence));
        assert_eq!(hex(&written), hex(&vector.octets), "{}", vector.name);
    }
}

#[test]
fn every_lsa_that_routers_sent_is_intact_and_is_written_as_it_was_read() {
    for vector in vectors() {
        let Body::LinkStateUpdate(lsas) = vector.read().packet.body else {
            continue;
        };
        for lsa in lsas {
            assert!(lsa.is_intact(), "{}: the checksum of {:?}", vector.name, lsa.header);
            let content = lsa
                .content()
                .unwrap_or_else(|error| panic!("{}: {:?}: {error}", vector.name, lsa.header));
            let header = lsa.header;
            let again = heraldns::advertiser::ospf::wire::Lsa::new(header.key, header.sequence, header.age, &content);
            assert_eq!(again, lsa, "{}: {content:?}", vector.name);
        }
    }
}

#[test]
fn the_recorded_packets_are_of_every_type_and_carry_every_lsa() {
    let mut packets: BTreeMap<String, BTreeSet<u8>> = BTreeMap::new();
    let mut types = BTreeSet::new();
    let mut externals = BTreeSet::new();
    for vector in vectors() {
        let packet = vector.read().packet;
        packets.entry(vector.file.clone()).or_default().insert(packet.body.kind() as u8);
        let Body::LinkStateUpdate(lsas) = packet.body else { continue };
        for lsa in lsas {
            types.insert(lsa.header.key.kind.0);
            if let Ok(Content::External(external)) = lsa.content() {
                externals.insert(format!("{:04x} {}", lsa.header.key.kind.0, u8::from(external.type_2) + 1));
            }
        }
    }
    for (file, kinds) in packets {
        assert_eq!(kinds, BTreeSet::from([1, 2, 3, 4, 5]), "{file}");
    }
    let known = [0x0008, 0x2001, 0x2002, 0x2003, 0x2004, 0x2007, 0x2009, 0x4005];
    assert!(types.is_superset(&BTreeSet::from(known)), "{types:04x?}");
    let known = ["4005 1", "4005 2", "2007 1", "2007 2"].map(str::to_owned);
    assert!(externals.is_superset(&BTreeSet::from(known)), "{externals:?}");
}

#[test]
fn frr_ends_its_key_in_its_own_way() {
    for (file, form) in [
        ("authenticated-frr-frr.txt", Form::Swapped),
        ("authenticated-bird-bird.txt", Form::Standard),
    ] {
        for vector in vectors().into_iter().filter(|vector| vector.file == file) {
            assert_eq!(vector.read().form, Some(form), "{}", vector.name);
        }
    }
}

pub(crate) fn vectors() -> Vec<Vector> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/ospf");
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let vectors: Vec<Vector> = paths
        .iter()
        .flat_map(|path| {
            let file = path.file_name().unwrap().to_string_lossy().into_owned();
            parse(&file, &fs::read_to_string(path).unwrap())
        })
        .collect();
    assert!(vectors.len() > 100, "only {} packets", vectors.len());
    vectors
}

/// Blocks of a comment line, a line `source > destination`, and lines of hexadecimal octets.
fn parse(file: &str, text: &str) -> Vec<Vector> {
    let blocks = text.split("\n\n").skip(1);
    blocks
        .map(|block| {
            let mut lines = block.lines();
            let name = lines.next().unwrap().trim_start_matches("# ");
            let (source, destination) = lines.next().unwrap().split_once(" > ").unwrap();
            let digits: String = lines.collect();
            Vector {
                name: format!("{file}: {name}"),
                file: file.to_owned(),
                source: source.parse().unwrap(),
                destination: destination.parse().unwrap(),
                octets: octets(&digits),
            }
        })
        .collect()
}

fn octets(digits: &str) -> Vec<u8> {
    let pairs = digits.as_bytes().chunks(2);
    pairs
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}
