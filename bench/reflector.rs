//! The bare reflector: turns each query round with the QR bit set, in batches as heraldns's worker takes them.
//!
//! What is left when a server does nothing but receive and send: the floor under every figure.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;

use heraldns::dns::server::{BATCH, RECEIVE};
use heraldns::io::sys::mmsg::Batch;
use socket2::SockRef;

const REPLY: usize = 1232;
const SOCKET_BUFFER: usize = 4 << 20;

/// Serves until it is ended.
pub(crate) fn serve(address: SocketAddr) -> io::Result<()> {
    let socket = UdpSocket::bind(address)?;
    SockRef::from(&socket).set_recv_buffer_size(SOCKET_BUFFER)?;
    SockRef::from(&socket).set_send_buffer_size(SOCKET_BUFFER)?;
    let mut batch = Batch::new(BATCH, RECEIVE, REPLY);
    loop {
        let count = match batch.receive(socket.as_fd()) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
            received => received?,
        };
        for index in 0..count {
            let (query, reply) = batch.exchange(index);
            let octets = query.len().min(reply.len());
            reply[..octets].copy_from_slice(&query[..octets]);
            if let Some(flags) = reply[..octets].get_mut(2) {
                *flags |= 0x80;
            }
            batch.set_reply(index, octets);
        }
        batch.send(socket.as_fd(), count);
    }
}
