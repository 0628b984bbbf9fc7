//! Many flows, one query each: how a router spreads them over the servers, by the names in the answers.

use std::collections::BTreeMap;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use super::namespace::Namespace;
use super::network::{SERVICE, client_address};
use super::probe::{parse, question};

/// An answer that comes at all comes within so long, also when other tests run.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks `flows` queries, each from a port of its own; the share of each server in percent. Panics if one is not answered.
pub(crate) fn spread(client: &Namespace, flows: usize) -> BTreeMap<String, f64> {
    let mut answered: BTreeMap<String, usize> = BTreeMap::new();
    client.enter(|| {
        for number in 0..flows {
            let socket = UdpSocket::bind(SocketAddr::from((client_address(1), 0))).expect("the client has its address");
            socket.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
            socket
                .send_to(&question(number as u16), (SERVICE, 53))
                .expect("the service is routed");
            let mut buffer = [0; 512];
            let (length, _) = socket
                .recv_from(&mut buffer)
                .unwrap_or_else(|error| panic!("flow {number} of {flows} is not answered: {error}"));
            let (_, identity) = parse(&buffer[..length]).expect("an answer that names its server");
            *answered.entry(identity).or_default() += 1;
        }
    });
    let share = |count: usize| count as f64 * 100.0 / flows as f64;
    answered.into_iter().map(|(identity, count)| (identity, share(count))).collect()
}
