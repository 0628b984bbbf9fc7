//! Many datagrams with one system call: `recvmmsg` and `sendmmsg` over buffers that are allocated once.
//!
//! A [`Batch`] receives up to its capacity of datagrams, lends each one out beside the buffer for its reply, and sends the
//! replies to where the datagrams came from. The sources stay in the kernel's form, so nothing is converted for a reply.

use std::io;
use std::mem;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

use nix::libc;

/// Datagrams and the replies to them.
pub struct Batch {
    capacity: usize,
    receive_size: usize,
    reply_size: usize,
    received: Box<[u8]>,
    replies: Box<[u8]>,
    sources: Box<[libc::sockaddr_storage]>,
    lengths: Box<[Length]>,
    vectors: Box<[libc::iovec]>,
    headers: Box<[libc::mmsghdr]>,
}

/// Octets in one slot of a batch.
#[derive(Clone, Copy, Default)]
struct Length {
    source: libc::socklen_t,
    received: usize,
    truncated: bool,
    reply: usize,
}

/// What became of the replies of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Replies the kernel took.
    pub accepted: usize,
    /// Replies the kernel refused for a reason of this host: they would not have left for anybody.
    pub refused: usize,
    /// Replies that cannot get to where they were to go.
    pub unreachable: usize,
}

impl Sent {
    const fn count(&self) -> usize {
        self.accepted + self.refused + self.unreachable
    }

    /// Counts one reply that was not sent.
    ///
    /// Only this host's own troubles are listed: which errors a destination can cause is up to routes, filters and
    /// policies, and whoever forges a source chooses the destination.
    fn count_error(&mut self, error: &io::Error) {
        match error.raw_os_error() {
            Some(libc::ENOBUFS | libc::ENOMEM | libc::ENETDOWN | libc::EBADF | libc::ENOTSOCK | libc::EPIPE | libc::EIO) => {
                self.refused += 1
            }
            _ => self.unreachable += 1,
        }
    }
}

impl Batch {
    /// Room for `capacity` datagrams of `receive_size` octets, and as many replies of `reply_size` octets.
    #[must_use]
    pub fn new(capacity: usize, receive_size: usize, reply_size: usize) -> Self {
        // SAFETY: these three are plain C structures of integers and pointers, for which all zeros is a value.
        let (source, vector, header) = unsafe { (mem::zeroed(), mem::zeroed(), mem::zeroed()) };
        Self {
            capacity,
            receive_size,
            reply_size,
            received: vec![0; capacity * receive_size].into(),
            replies: vec![0; capacity * reply_size].into(),
            sources: vec![source; capacity].into(),
            lengths: vec![Length::default(); capacity].into(),
            vectors: vec![vector; capacity].into(),
            headers: vec![header; capacity].into(),
        }
    }

    /// How many datagrams one call can bring.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.capacity
    }

    /// Waits for one datagram (as long as the socket's receive timeout says) and takes along what else is there.
    ///
    /// # Errors
    /// Those of `recvmmsg`; `WouldBlock` when the timeout has passed.
    pub fn receive(&mut self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        // Each pointer is made from one to all of its memory, and nothing borrows that again before the call.
        let received = self.received.as_mut_ptr();
        for (index, vector) in self.vectors.iter_mut().enumerate() {
            *vector = libc::iovec {
                iov_base: received.wrapping_add(index * self.receive_size).cast(),
                iov_len: self.receive_size,
            };
        }
        let (sources, vectors) = (self.sources.as_mut_ptr(), self.vectors.as_mut_ptr());
        for (index, header) in self.headers.iter_mut().enumerate() {
            let header = &mut header.msg_hdr;
            header.msg_name = sources.wrapping_add(index).cast();
            header.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
            header.msg_iov = vectors.wrapping_add(index);
            header.msg_iovlen = 1;
            header.msg_flags = 0;
        }
        // SAFETY: the first `capacity` headers were set up above: each names one source and one vector, whose memory is
        // `receive_size` octets of `received`; all of it is owned by `self`, which is borrowed mutably for the call.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                self.capacity as libc::c_uint,
                libc::MSG_WAITFORONE,
                ptr::null_mut(),
            )
        };
        let count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
        for (length, header) in self.lengths.iter_mut().zip(&self.headers).take(count) {
            *length = Length {
                source: header.msg_hdr.msg_namelen,
                received: (header.msg_len as usize).min(self.receive_size),
                truncated: header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0,
                reply: 0,
            };
        }
        Ok(count)
    }

    /// The datagram in slot `index` of the last [`receive`](Self::receive); `None` if it was longer than the buffer.
    #[must_use]
    pub fn datagram(&self, index: usize) -> Option<&[u8]> {
        let length = self.lengths[index];
        let start = index * self.receive_size;
        (!length.truncated).then(|| &self.received[start..start + length.received])
    }

    /// The datagram in slot `index` beside the room for its reply.
    pub fn exchange(&mut self, index: usize) -> (&[u8], &mut [u8]) {
        let start = index * self.receive_size;
        let datagram = &self.received[start..start + self.lengths[index].received];
        let start = index * self.reply_size;
        (datagram, &mut self.replies[start..start + self.reply_size])
    }

    /// Says how many octets of the reply in slot `index` are to be sent.
    pub fn set_reply(&mut self, index: usize, octets: usize) {
        self.lengths[index].reply = octets.min(self.reply_size);
    }

    /// True if the datagram in slot `index` has a reply.
    #[must_use]
    pub fn has_reply(&self, index: usize) -> bool {
        self.lengths[index].reply > 0
    }

    /// Where the datagram in slot `index` came from; `None` if the kernel named no IP address.
    #[must_use]
    pub fn source(&self, index: usize) -> Option<SocketAddr> {
        let storage = &self.sources[index];
        let length = self.lengths[index].source as usize;
        match i32::from(storage.ss_family) {
            libc::AF_INET if length >= size_of::<libc::sockaddr_in>() => {
                // SAFETY: the family says that the kernel wrote a sockaddr_in, which fits into and is aligned as the storage.
                let source = unsafe { &*ptr::from_ref(storage).cast::<libc::sockaddr_in>() };
                let address = Ipv4Addr::from(source.sin_addr.s_addr.to_ne_bytes());
                Some(SocketAddrV4::new(address, u16::from_be(source.sin_port)).into())
            }
            libc::AF_INET6 if length >= size_of::<libc::sockaddr_in6>() => {
                // SAFETY: the family says that the kernel wrote a sockaddr_in6, which fits into and is aligned as the storage.
                let source = unsafe { &*ptr::from_ref(storage).cast::<libc::sockaddr_in6>() };
                let address = Ipv6Addr::from(source.sin6_addr.s6_addr);
                Some(SocketAddrV6::new(address, u16::from_be(source.sin6_port), source.sin6_flowinfo, source.sin6_scope_id).into())
            }
            _ => None,
        }
    }

    /// Sends the replies of the first `count` slots that have one. A reply that the kernel refuses does not stop the others.
    pub fn send(&mut self, socket: BorrowedFd<'_>, count: usize) -> Sent {
        let replies = self.prepare_replies(count);
        let mut sent = Sent::default();
        while sent.count() < replies {
            let done = sent.count();
            // SAFETY: headers `done..replies` were set up by `prepare_replies`: each names the source of its slot, with the
            // length the kernel gave, and one vector over octets of `replies`; all of it is owned by `self`.
            let result = unsafe {
                libc::sendmmsg(
                    socket.as_raw_fd(),
                    self.headers[done..replies].as_mut_ptr(),
                    (replies - done) as libc::c_uint,
                    0,
                )
            };
            match usize::try_from(result) {
                Ok(0) => sent.refused += replies - done,
                Ok(accepted) => sent.accepted += accepted,
                Err(_) => {
                    let error = io::Error::last_os_error();
                    if error.kind() != io::ErrorKind::Interrupted {
                        sent.count_error(&error);
                    }
                }
            }
        }
        sent
    }

    fn prepare_replies(&mut self, count: usize) -> usize {
        // As in `receive`.
        let (buffers, sources) = (self.replies.as_mut_ptr(), self.sources.as_mut_ptr());
        let mut replies = 0;
        for (index, length) in self.lengths.iter().enumerate().take(count) {
            if length.reply == 0 {
                continue;
            }
            self.vectors[replies] = libc::iovec {
                iov_base: buffers.wrapping_add(index * self.reply_size).cast(),
                iov_len: length.reply,
            };
            let header = &mut self.headers[replies].msg_hdr;
            header.msg_name = sources.wrapping_add(index).cast();
            header.msg_namelen = length.source;
            header.msg_iovlen = 1;
            header.msg_flags = 0;
            replies += 1;
        }
        let vectors = self.vectors.as_mut_ptr();
        for (index, header) in self.headers[..replies].iter_mut().enumerate() {
            header.msg_hdr.msg_iov = vectors.wrapping_add(index);
        }
        replies
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::os::fd::AsFd;
    use std::time::Duration;

    use super::*;

    fn pair(address: &str) -> (UdpSocket, UdpSocket) {
        let server = UdpSocket::bind(address).unwrap();
        server.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let client = UdpSocket::bind(address).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        client.connect(server.local_addr().unwrap()).unwrap();
        (server, client)
    }

    #[test]
    fn replies_go_to_where_the_datagrams_came_from() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let (server, client) = pair(address);
            let mut batch = Batch::new(4, 16, 16);
            for text in [b"one", b"two", b"six"] {
                client.send(text).unwrap();
            }
            let mut received = 0;
            while received < 3 {
                let count = batch.receive(server.as_fd()).unwrap();
                received += count;
                for index in 0..count {
                    assert_eq!(batch.source(index), client.local_addr().ok());
                    let (datagram, reply) = batch.exchange(index);
                    let length = datagram.len();
                    reply[..length].copy_from_slice(datagram);
                    reply[..length].reverse();
                    batch.set_reply(index, length);
                }
                assert_eq!(
                    batch.send(server.as_fd(), count),
                    Sent {
                        accepted: count,
                        ..Sent::default()
                    }
                );
            }
            let mut buffer = [0; 16];
            for text in [b"eno", b"owt", b"xis"] {
                let length = client.recv(&mut buffer).unwrap();
                assert_eq!(&buffer[..length], text);
            }
        }
    }

    /// What becomes of a reply to a datagram from the IPv6 loopback address when `socket` is to send it.
    fn send_one_by(socket: BorrowedFd<'_>) -> Sent {
        let (server, client) = pair("[::1]:0");
        let mut batch = Batch::new(4, 16, 16);
        client.send(b"one").unwrap();
        let count = batch.receive(server.as_fd()).unwrap();
        batch.set_reply(0, 3);
        batch.send(socket, count)
    }

    #[test]
    fn a_destination_that_cannot_be_reached_is_not_the_kernel_refusing() {
        let expected = Sent {
            unreachable: 1,
            ..Sent::default()
        };
        assert_eq!(
            send_one_by(UdpSocket::bind("127.0.0.1:0").unwrap().as_fd()),
            expected,
            "an IPv6 destination for an IPv4 socket"
        );
        for errno in [
            libc::ENETUNREACH,
            libc::EHOSTUNREACH,
            libc::EACCES,
            libc::EPERM,
            libc::EINVAL,
            libc::ECONNREFUSED,
            libc::EMSGSIZE,
        ] {
            let mut sent = Sent::default();
            sent.count_error(&io::Error::from_raw_os_error(errno));
            assert_eq!(sent, expected, "{errno}");
        }
    }

    #[test]
    fn what_this_host_refuses_is_told_apart() {
        let expected = Sent {
            refused: 1,
            ..Sent::default()
        };
        let no_socket = std::fs::File::open("/dev/null").unwrap();
        assert_eq!(send_one_by(no_socket.as_fd()), expected);
        for errno in [libc::ENOBUFS, libc::ENOMEM, libc::ENETDOWN, libc::EBADF] {
            let mut sent = Sent::default();
            sent.count_error(&io::Error::from_raw_os_error(errno));
            assert_eq!(sent, expected, "{errno}");
        }
    }

    #[test]
    fn slots_without_a_reply_are_left_out() {
        let (server, client) = pair("127.0.0.1:0");
        let mut batch = Batch::new(4, 16, 16);
        client.send(b"nothing").unwrap();
        let count = batch.receive(server.as_fd()).unwrap();
        assert_eq!(batch.send(server.as_fd(), count), Sent::default());
    }

    #[test]
    fn a_datagram_longer_than_the_buffer_is_not_lent_out() {
        let (server, client) = pair("127.0.0.1:0");
        let mut batch = Batch::new(4, 4, 4);
        client.send(b"12345").unwrap();
        assert_eq!(batch.receive(server.as_fd()).unwrap(), 1);
        assert_eq!(batch.datagram(0), None);
    }

    #[test]
    fn a_source_without_an_ip_address_is_none() {
        use std::os::unix::net::UnixDatagram;
        let (server, client) = UnixDatagram::pair().unwrap();
        let mut batch = Batch::new(4, 16, 16);
        client.send(b"one").unwrap();
        assert_eq!(batch.receive(server.as_fd()).unwrap(), 1);
        assert_eq!((batch.datagram(0), batch.source(0)), (Some(&b"one"[..]), None));
    }

    #[test]
    fn a_full_batch_uses_every_slot_to_its_end() {
        let (server, client) = pair("[::1]:0");
        let mut batch = Batch::new(3, 5, 5);
        for number in 0..3 {
            client.send(&[number; 5]).unwrap();
        }
        let mut received = 0;
        while received < 3 {
            let count = batch.receive(server.as_fd()).unwrap();
            for index in 0..count {
                let (datagram, reply) = batch.exchange(index);
                reply.copy_from_slice(datagram);
                batch.set_reply(index, usize::MAX);
            }
            assert_eq!(batch.send(server.as_fd(), usize::MAX).accepted, count);
            received += count;
        }
        let mut buffer = [9; 6];
        for number in 0..3 {
            assert_eq!(client.recv(&mut buffer).unwrap(), 5);
            assert_eq!(buffer, [number, number, number, number, number, 9]);
        }
    }

    #[test]
    fn waiting_ends_with_the_receive_timeout() {
        let (server, _client) = pair("127.0.0.1:0");
        let error = Batch::new(4, 16, 16).receive(server.as_fd()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    }
}
