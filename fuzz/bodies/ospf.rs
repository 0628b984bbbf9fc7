//! Any octets as an OSPFv3 packet: what is read is written as it was read, and takes no more memory than its octets allow.
//!
//! The first three octets choose: whether a key is configured, whether length and checksum are put right first (else hardly
//! anything is ever read), and which bit is changed on the way of a packet that is sealed.

use std::mem::size_of_val;
use std::net::Ipv6Addr;
use std::sync::LazyLock;

use heraldns::advertiser::ospf::wire::{Algorithm, Body, Content, Form, Key, Lsa, Malformed, OSPF, Packet, PacketType, Received};
use heraldns::base::checksum;
use heraldns::base::machine::Datagram;

/// Octets before the packet.
pub const SETTINGS: usize = 3;
/// A key is configured.
pub const KEYED: u8 = 1;
/// Length and checksum are put right.
pub const MENDED: u8 = 2;

/// The key of the recorded packets.
static KEY: LazyLock<Key> = LazyLock::new(|| Key::new(1, Algorithm::HmacSha256, b"between-routers"));
const SOURCE: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0xff, 0xfe00, 0x5f1);
const DESTINATION: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 5);
/// Octets of memory for an octet of a packet: a prefix of 4 octets has 20 here, and a list has at most twice the room that it needs.
const MOST_PER_OCTET: usize = 12;
/// A list begins with room for some items.
const LEAST: usize = 512;

/// Reads, writes and reads again. Says the type of the packet, or why it is none.
pub fn run(octets: &[u8]) -> Option<Result<PacketType, Malformed>> {
    let (&[mode, high, low], packet) = octets.split_first_chunk::<SETTINGS>()?;
    let mut packet = packet.to_vec();
    if mode & MENDED != 0 {
        mend(&mut packet);
    }
    let key = (mode & KEYED != 0).then_some(&*KEY);
    let Received { packet, sequence, form } = match read(&packet, key) {
        Ok(received) => received,
        Err(cause) => return Some(Err(cause)),
    };
    assert_eq!((sequence.is_some(), form.is_some()), (key.is_some(), key.is_some()));
    let bound = MOST_PER_OCTET * octets.len() + LEAST;
    assert!(memory(&packet.body) <= bound, "{} octets of memory", memory(&packet.body));
    let written = packet.emit(SOURCE, DESTINATION, None);
    assert_eq!(read(&written, None).map(|again| again.packet).as_ref(), Ok(&packet));
    check_seal(&packet, u16::from_be_bytes([high, low]));
    if let Body::LinkStateUpdate(lsas) = &packet.body {
        lsas.iter().for_each(check_content);
    }
    Some(Ok(packet.body.kind()))
}

fn read(octets: &[u8], key: Option<&Key>) -> Result<Received, Malformed> {
    let datagram = Datagram {
        source: SOURCE,
        source_port: 0,
        destination: DESTINATION,
        hop_limit: 1,
        payload: octets,
    };
    Packet::parse(&datagram, key)
}

/// Puts length and checksum right, as far as there is place for them.
fn mend(packet: &mut [u8]) {
    let Ok(length) = u16::try_from(packet.len()) else { return };
    if packet.len() < 16 {
        return;
    }
    packet[2..4].copy_from_slice(&length.to_be_bytes());
    packet[12..14].fill(0);
    let sum = checksum::upper_layer(SOURCE, DESTINATION, OSPF, packet);
    packet[12..14].copy_from_slice(&sum.to_be_bytes());
}

/// What is sealed is believed with its number, in either form, and not with any bit changed.
fn check_seal(packet: &Packet, bit: u16) {
    let number = u64::from(bit) << 32 | 7;
    for form in [Form::Standard, Form::Swapped] {
        let key = KEY.clone().in_form(form);
        let mut sealed = packet.emit(SOURCE, DESTINATION, Some((&key, number)));
        let received = read(&sealed, Some(&KEY)).unwrap();
        assert_eq!(
            (&received.packet, received.sequence, received.form),
            (packet, Some(number), Some(form))
        );
        let place = usize::from(bit) % (sealed.len() * 8);
        sealed[place / 8] ^= 1 << (place % 8);
        assert!(read(&sealed, Some(&KEY)).is_err(), "bit {place} is another one");
    }
}

/// What an LSA says is said again by one that is made of it.
fn check_content(lsa: &Lsa) {
    let header = lsa.header;
    let Ok(content) = lsa.content() else { return };
    assert!(content_memory(&content) <= MOST_PER_OCTET * lsa.length() + LEAST);
    let again = Lsa::new(header.key, header.sequence, header.age, &content);
    assert!(again.is_intact());
    assert_eq!(again.content().as_ref(), Ok(&content));
}

/// Octets that a list has room for.
fn room<Item>(list: &Vec<Item>) -> usize {
    list.capacity() * size_of::<Item>()
}

fn memory(body: &Body) -> usize {
    match body {
        Body::Hello(hello) => room(&hello.neighbors),
        Body::DatabaseDescription(description) => room(&description.headers),
        Body::LinkStateRequest(keys) => room(keys),
        Body::LinkStateUpdate(lsas) => room(lsas) + lsas.iter().map(Lsa::length).sum::<usize>(),
        Body::LinkStateAcknowledgment(headers) => room(headers),
    }
}

fn content_memory(content: &Content) -> usize {
    match content {
        Content::Router(router) => room(&router.links),
        Content::Network(network) => room(&network.attached),
        Content::Link(link) => room(&link.prefixes),
        Content::IntraAreaPrefix(prefixes) => room(&prefixes.prefixes),
        Content::External(external) => size_of_val(external),
        Content::Opaque(octets) => room(octets),
    }
}
