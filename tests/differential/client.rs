//! Asks a server many questions at once: over UDP with many outstanding, and again over TCP what came truncated.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use crate::questions::Question;

/// Questions on their way at the same time; the socket's buffer holds so many large answers.
const OUTSTANDING: usize = 40;
/// Questions that are asked before any of them is asked again.
const PART: usize = 1000;
/// Questions on their way over one connection.
const PIPELINED: usize = 16;
/// An answer that has not come after so long is asked for again.
const WAIT: Duration = Duration::from_secs(2);
/// So many times.
const TRIES: usize = 4;

/// So often nothing came to all questions on their way: the server is gone.
const MOST_GIVEN_UP: usize = 3;

/// What a server answered to one question.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reply {
    /// The datagram; empty when none came.
    pub(crate) datagram: Vec<u8>,
    /// The answer over TCP, if the datagram was truncated.
    pub(crate) whole: Option<Vec<u8>>,
}

/// Whether a server answers to this question soon.
pub(crate) fn is_answered(server: SocketAddr, question: &Question) -> bool {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    socket.connect(server).unwrap();
    let refused = socket.send(&question.message).is_err() || socket.recv(&mut [0; 4096]).is_err();
    if refused {
        // a closed port answers at once
        std::thread::sleep(Duration::from_millis(20));
    }
    !refused
}

/// How often each question is asked over UDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Times {
    Once,
    /// Soon after, so that an answer that is kept is given again. A reply that is another one the second time counts as none.
    Twice,
}

/// The replies to all questions, in their order.
pub(crate) fn ask(server: SocketAddr, questions: &[Question], times: Times) -> Vec<Reply> {
    let mut replies = vec![Reply::default(); questions.len()];
    for (questions, replies) in questions.chunks(PART).zip(replies.chunks_mut(PART)) {
        ask_datagrams(server, questions, replies);
        if times == Times::Twice {
            let mut again = vec![Reply::default(); questions.len()];
            ask_datagrams(server, questions, &mut again);
            let pairs = replies.iter_mut().zip(&again);
            let others = pairs.filter(|(reply, again)| reply.datagram != again.datagram);
            others.for_each(|(reply, _)| *reply = Reply::default());
        }
    }
    let is_truncated = |datagram: &[u8]| datagram.get(2).is_some_and(|flags| flags & 2 != 0);
    let truncated: Vec<usize> = (0..questions.len())
        .filter(|index| is_truncated(&replies[*index].datagram))
        .collect();
    for part in truncated.chunks(PIPELINED * 16) {
        ask_connection(server, questions, part, &mut replies);
    }
    replies
}

/// Asks these questions over TCP, whatever came over UDP.
pub(crate) fn ask_connection(server: SocketAddr, questions: &[Question], indices: &[usize], replies: &mut [Reply]) {
    let mut stream = TcpStream::connect(server).unwrap();
    stream.set_read_timeout(Some(WAIT * 5)).unwrap();
    stream.set_nodelay(true).unwrap();
    for part in indices.chunks(PIPELINED) {
        let mut sent = Vec::new();
        for index in part {
            let message = &questions[*index].message;
            sent.extend_from_slice(&(message.len() as u16).to_be_bytes());
            sent.extend_from_slice(&with_id(message, *index));
        }
        stream.write_all(&sent).unwrap();
        let waiting: HashMap<u16, usize> = part.iter().map(|index| (*index as u16, *index)).collect();
        for _ in part {
            let mut length = [0; 2];
            stream
                .read_exact(&mut length)
                .unwrap_or_else(|error| panic!("{server} over TCP: {error}"));
            let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
            stream.read_exact(&mut message).unwrap();
            let index = waiting[&id(&message)];
            replies[index].whole = Some(message);
        }
    }
}

fn ask_datagrams(server: SocketAddr, questions: &[Question], replies: &mut [Reply]) {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let _ = socket2::SockRef::from(&socket).set_recv_buffer_size(4 << 20);
    socket.set_read_timeout(Some(WAIT)).unwrap();
    socket.connect(server).unwrap();
    let mut buffer = vec![0; 65_535];
    let mut waiting: HashMap<u16, usize> = HashMap::new();
    let (mut next, mut tries, mut given_up) = (0, 0, 0);
    while next < questions.len() || !waiting.is_empty() {
        while next < questions.len() && waiting.len() < OUTSTANDING {
            socket.send(&with_id(&questions[next].message, next)).unwrap();
            waiting.insert(next as u16, next);
            next += 1;
        }
        match socket.recv(&mut buffer) {
            Ok(octets) if octets >= 12 => {
                if let Some(index) = waiting.remove(&id(&buffer)) {
                    replies[index].datagram = buffer[..octets].to_vec();
                    (tries, given_up) = (0, 0);
                }
            }
            Ok(_) => {}
            Err(_) if tries == TRIES => {
                given_up += 1;
                assert!(given_up < MOST_GIVEN_UP, "{server} does not answer any more");
                waiting.clear();
            }
            Err(_) => {
                tries += 1;
                for index in waiting.values() {
                    let _ = socket.send(&with_id(&questions[*index].message, *index));
                }
            }
        }
    }
}

/// The message with its number as id.
fn with_id(message: &[u8], index: usize) -> Vec<u8> {
    let mut message = message.to_vec();
    message[..2].copy_from_slice(&(index as u16).to_be_bytes());
    message
}

fn id(message: &[u8]) -> u16 {
    u16::from_be_bytes([message[0], message[1]])
}
