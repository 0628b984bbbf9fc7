//! What the kernel knows of our sockets and nobody else can tell: datagrams that it dropped because a queue was full.
//!
//! Read from `/proc/net/udp` and `/proc/net/udp6`, whose last column counts them for each socket since it was opened.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Datagrams dropped by the kernel on all UDP sockets bound to one of `addresses`. What cannot be read counts as none.
#[must_use]
pub fn udp_drops(addresses: &[SocketAddr]) -> u64 {
    let tables = ["/proc/net/udp", "/proc/net/udp6"];
    let texts = tables.iter().filter_map(|table| fs::read_to_string(table).ok());
    texts.map(|text| drops_in(&text, addresses)).sum()
}

fn drops_in(table: &str, addresses: &[SocketAddr]) -> u64 {
    table.lines().skip(1).filter_map(|line| drops_of(line, addresses)).sum()
}

fn drops_of(line: &str, addresses: &[SocketAddr]) -> Option<u64> {
    let mut columns = line.split_ascii_whitespace();
    let local = read_address(columns.nth(1)?)?;
    let drops = columns.next_back()?.parse().ok()?;
    addresses.contains(&local).then_some(drops)
}

/// The kernel prints each 32-bit word of an address in the host's byte order, the port in the usual one.
fn read_address(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let words: Option<Vec<[u8; 4]>> = (0..address.len() / 8)
        .map(|index| Some(u32::from_str_radix(address.get(index * 8..index * 8 + 8)?, 16).ok()?.to_ne_bytes()))
        .collect();
    let address: IpAddr = match words?.as_slice() {
        [word] => Ipv4Addr::from(*word).into(),
        words => Ipv6Addr::from(<[u8; 16]>::try_from(words.concat()).ok()?).into(),
    };
    Some(SocketAddr::new(address, u16::from_str_radix(port, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use socket2::SockRef;

    use super::*;

    #[test]
    fn a_full_queue_is_counted() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let socket = UdpSocket::bind(address).unwrap();
            SockRef::from(&socket).set_recv_buffer_size(4_096).unwrap();
            let local = socket.local_addr().unwrap();
            assert_eq!(udp_drops(&[local]), 0, "{local}");
            let client = UdpSocket::bind(address).unwrap();
            for _ in 0..100 {
                client.send_to(&[0; 1_000], local).unwrap();
            }
            let drops = udp_drops(&[local]);
            assert!((50..=100).contains(&drops), "{local}: {drops}");
            assert_eq!(udp_drops(&[client.local_addr().unwrap()]), 0);
        }
    }

    #[test]
    fn lines_that_are_no_sockets_count_nothing() {
        for line in ["", "sl local_address", "0: zz:0035 x 1", "0: 0100007F:0035"] {
            assert_eq!(
                drops_in(&format!("head\n{line}\n"), &["127.0.0.1:53".parse().unwrap()]),
                0,
                "{line}"
            );
        }
    }
}
