//! Question -> plan -> bytes: the same for every transport.
//!
//! [`Query::parse`] reads a message, [`answer`] decides (pure), [`respond`] renders. Nothing here knows a socket or a
//! clock, and nothing allocates but for answers through a DNAME.

mod additional;
mod decide;
#[cfg(test)]
mod fixture;
mod message;
mod plan;
mod proof;
mod render;
#[cfg(test)]
mod tests;
mod writer;

pub use decide::answer;
pub use message::{EDNS_VERSION, Edns, HEADER, NSID, PLAIN_UDP_PAYLOAD, Query, Question};
pub use plan::{Authority, Chain, Content, Denial, Link, MAX_CHAIN, Negative, Owner, Plan, Referral};
pub use proof::Proof;

use crate::dns::counters::Transport;
use crate::dns::types::{Class, RecordType, ResponseCode};
use crate::dns::zone::ZoneSet;
use render::Render;

/// The most octets of a message over TCP, and of any buffer for one.
pub const MAX_MESSAGE: usize = 65_535;

/// Names of class CH that ask who answers.
const IDENTITY_NAMES: [&[u8]; 2] = [b"\x02id\x06server\0", b"\x08hostname\x04bind\0"];
/// Names of class CH that ask which program answers.
const VERSION_NAMES: [&[u8]; 2] = [b"\x07version\x04bind\0", b"\x07version\x06server\0"];

/// What this host says about itself.
#[derive(Clone, Copy, Debug)]
pub struct Host<'h> {
    /// For NSID and `id.server.`.
    pub identity: &'h [u8],
    /// For `version.bind.`.
    pub version: &'h [u8],
    /// The largest datagram this server sends and takes, in octets; at least 512.
    pub udp_payload: u16,
}

/// An answer that was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Its length.
    pub octets: usize,
    /// Its response code, the high bits that are in the OPT record included.
    pub response_code: ResponseCode,
    /// It has the TC bit.
    pub truncated: bool,
}

/// Writes the answer to `query`, which was parsed from `message`, to the start of `buffer`.
///
/// The buffer must have room for what the transport may need: [`Host::udp_payload`] octets, or [`MAX_MESSAGE`] for all others.
/// The answer is never longer than the buffer or the transport's limit.
///
/// # Panics
/// If the buffer has less than 512 octets.
#[must_use]
pub fn respond(zones: &ZoneSet, host: &Host<'_>, transport: Transport, query: &Query, message: &[u8], buffer: &mut [u8]) -> Reply {
    let limit = match transport {
        Transport::Udp => usize::from(query.udp_limit(host.udp_payload)),
        Transport::Tcp | Transport::Tls | Transport::Https | Transport::Quic => MAX_MESSAGE,
    };
    let limit = limit.min(buffer.len());
    assert!(
        limit >= usize::from(PLAIN_UDP_PAYLOAD),
        "a buffer of {limit} octets is too small for an answer"
    );
    let render = Render::begin(query, host, message, &mut buffer[..limit]);
    if let Some(response_code) = query.refusal {
        return render.refuse(response_code);
    }
    let Some(question) = &query.question else {
        return render.refuse(ResponseCode::FORM_ERR);
    };
    match question.class {
        Class::IN | Class::ANY => render.plan(zones, &answer(zones, question, query.dnssec_ok())),
        Class::CH => match chaos_text(host, question) {
            Some(text) => render.chaos_text(text),
            None => render.refuse(ResponseCode::REFUSED),
        },
        _ => render.refuse(ResponseCode::REFUSED),
    }
}

fn chaos_text<'h>(host: &Host<'h>, question: &Question) -> Option<&'h [u8]> {
    if !matches!(question.record_type, RecordType::TXT | RecordType::ANY) {
        return None;
    }
    if IDENTITY_NAMES.contains(&question.name()) {
        Some(host.identity)
    } else if VERSION_NAMES.contains(&question.name()) {
        Some(host.version)
    } else {
        None
    }
}
