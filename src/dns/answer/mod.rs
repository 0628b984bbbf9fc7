//! Question -> plan -> bytes: the same for every transport.
//!
//! [`Query::parse`] reads a message, [`answer`] decides (pure), [`respond`] renders. Nothing here knows a socket or a
//! clock, and nothing allocates but for answers through a DNAME.

mod account;
mod additional;
mod decide;
pub mod edns;
#[cfg(test)]
mod fixture;
mod load;
mod message;
mod plan;
mod proof;
mod render;
mod templates;
#[cfg(test)]
mod tests;
mod writer;

use std::time::Duration;

pub use account::Account;
pub use decide::answer;
pub use edns::{EDNS_VERSION, Edns, NSID};
pub use load::Load;
pub use message::{HEADER, PLAIN_UDP_PAYLOAD, Query, Question};
pub use plan::{Authority, Chain, Content, Denial, Link, MAX_CHAIN, Negative, Owner, Plan, Referral};
pub use proof::Proof;
pub use templates::{Found, Place, Templates};

use crate::dns::counters::Transport;
use crate::dns::protect::cookie::{Exchange, Standing};
use crate::dns::protect::rate_limit::Kind;
use crate::dns::types::{Class, Opcode, RecordType, ResponseCode};
use crate::dns::zone::{Located, ZoneSet};
use edns::ExtendedError;
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
    /// For `load.heraldns.`.
    pub load: Load,
    /// The largest datagram this server sends and takes, in octets; at least 512.
    pub udp_payload: u16,
}

/// What a transport knows of a client, besides its query.
#[derive(Clone, Copy, Debug)]
pub struct Client {
    /// How it asks.
    pub transport: Transport,
    /// What comes of its cookie; `None` if it sent none.
    pub cookie: Option<Exchange>,
    /// Over UDP a cookie that is not valid gets no other answer than a new one (RFC 7873 §5.2.3, §5.2.4).
    pub cookie_required: bool,
    /// How long its connection may be idle; `None` where that is not for EDNS to say (RFC 7828 §3.2.2).
    pub keepalive: Option<Duration>,
    /// The reply is to say what it counts as.
    pub is_accounted: bool,
}

impl From<Transport> for Client {
    /// A client of which nothing else is known.
    fn from(transport: Transport) -> Self {
        Self {
            transport,
            cookie: None,
            cookie_required: false,
            keepalive: None,
            is_accounted: false,
        }
    }
}

impl Client {
    /// It speaks cookies and has not shown a valid one.
    fn is_without_valid_cookie(&self) -> bool {
        self.cookie.is_some_and(|exchange| exchange.standing != Standing::Valid)
    }
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
    /// What it counts as, where the client [is accounted](Client::is_accounted).
    pub account: Option<Account>,
}

impl Reply {
    /// Says what it counts as, where its client is to be told.
    fn counted_for(self, client: &Client, account: impl FnOnce() -> Account) -> Self {
        Self {
            account: client.is_accounted.then(account),
            ..self
        }
    }
}

/// Writes the answer to `query`, which was parsed from `message`, to the start of `buffer`.
///
/// The buffer must have room for what the transport may need: [`Host::udp_payload`] octets, or [`MAX_MESSAGE`] for all others.
/// The answer is never longer than the buffer or the transport's limit.
///
/// # Panics
/// If the buffer has less than 512 octets.
#[must_use]
pub fn respond(zones: &ZoneSet, host: &Host<'_>, client: &Client, query: &Query, message: &[u8], buffer: &mut [u8]) -> Reply {
    let located = query.question.as_ref().and_then(|question| zones.locate(question.name()));
    respond_located(zones, located, host, client, query, message, buffer)
}

/// As [`respond`], to a query whose name is located already.
#[must_use]
pub fn respond_located(
    zones: &ZoneSet,
    located: Option<Located<'_>>,
    host: &Host<'_>,
    client: &Client,
    query: &Query,
    message: &[u8],
    buffer: &mut [u8],
) -> Reply {
    let mut render = Render::begin(query, host, client, message, within_limit(host, client, query, buffer));
    if let Some((response_code, error)) = refusal(client, query) {
        return render.refuse(response_code, error).counted_for(client, || Account::ERROR);
    }
    let Some(question) = &query.question else {
        let reply = render.refuse(ResponseCode::NO_ERROR, None);
        return reply.counted_for(client, || Account::of_question(Kind::Answer));
    };
    let error = match question.class {
        Class::IN | Class::ANY => {
            let mut plan = Plan::empty(ResponseCode::REFUSED);
            decide::answer_located(zones, located, question, query.dnssec_ok(), &mut plan);
            match (plan.response_code, question.record_type) {
                (ResponseCode::REFUSED, RecordType::AXFR | RecordType::IXFR) => ExtendedError::NotSupported,
                (ResponseCode::REFUSED, _) => ExtendedError::NotAuthoritative,
                (ResponseCode::NOT_AUTH, _) => {
                    let reply = render.refuse(ResponseCode::NOT_AUTH, Some(ExtendedError::NotAuthoritative));
                    return reply.counted_for(client, || Account::ERROR);
                }
                (ResponseCode::SERV_FAIL, _) => {
                    let reply = render.refuse(ResponseCode::SERV_FAIL, Some(ExtendedError::InvalidData));
                    return reply.counted_for(client, || Account::ERROR);
                }
                _ => return render.plan(zones, &plan).counted_for(client, || Account::of_plan(question, &plan)),
            }
        }
        Class::CH => match chaos_text(host, question, &mut [0; load::LONGEST]) {
            Some(text) => return render.chaos_text(text).counted_for(client, || Account::of_question(Kind::Answer)),
            None => ExtendedError::NotAuthoritative,
        },
        _ => ExtendedError::NotSupported,
    };
    let reply = render.refuse(ResponseCode::REFUSED, Some(error));
    reply.counted_for(client, || Account::ERROR)
}

/// Writes what goes out in place of an answer with this response code, for a client that must show that it receives at its
/// address: an empty answer with TC, or BADCOOKIE where the client speaks cookies. It is hardly longer than the query.
///
/// # Panics
/// As [`respond`].
#[must_use]
pub fn slip(host: &Host<'_>, client: &Client, query: &Query, response_code: ResponseCode, message: &[u8], buffer: &mut [u8]) -> Reply {
    let mut query = *query;
    if let Some(edns) = &mut query.edns {
        edns.wants_nsid = false;
    }
    let buffer = within_limit(host, client, &query, buffer);
    let mut render = Render::begin(&query, host, client, message, buffer);
    if client.is_without_valid_cookie() {
        render.refuse(ResponseCode::BAD_COOKIE, None)
    } else {
        render.cut(response_code)
    }
}

/// As much of the buffer as the answer may have.
fn within_limit<'b>(host: &Host<'_>, client: &Client, query: &Query, buffer: &'b mut [u8]) -> &'b mut [u8] {
    let limit = match client.transport {
        Transport::Udp => usize::from(query.udp_limit(host.udp_payload)),
        Transport::Tcp | Transport::Tls | Transport::Https | Transport::Quic => MAX_MESSAGE,
    };
    let limit = limit.min(buffer.len());
    assert!(
        limit >= usize::from(PLAIN_UDP_PAYLOAD),
        "a buffer of {limit} octets is too small for an answer"
    );
    &mut buffer[..limit]
}

/// The response code of queries that are answered without a look at the zones.
fn refusal(client: &Client, query: &Query) -> Option<(ResponseCode, Option<ExtendedError>)> {
    if let Some(response_code) = query.refusal {
        let error = (query.opcode() != Opcode::QUERY).then_some(ExtendedError::NotSupported);
        return Some((response_code, error));
    }
    let is_required = client.cookie_required && client.transport == Transport::Udp;
    let standing = client.cookie.map(|exchange| exchange.standing);
    match (&query.question, standing) {
        (Some(_), Some(Standing::New | Standing::Invalid)) if is_required => Some((ResponseCode::BAD_COOKIE, None)),
        // Asked for nothing but a cookie (RFC 7873 §5.4).
        (None, Some(Standing::Invalid)) => Some((ResponseCode::BAD_COOKIE, None)),
        (None, None) => Some((ResponseCode::FORM_ERR, None)),
        _ => None,
    }
}

fn chaos_text<'h>(host: &Host<'h>, question: &Question, room: &'h mut [u8; load::LONGEST]) -> Option<&'h [u8]> {
    if !matches!(question.record_type, RecordType::TXT | RecordType::ANY) {
        return None;
    }
    if IDENTITY_NAMES.contains(&question.name()) {
        Some(host.identity)
    } else if VERSION_NAMES.contains(&question.name()) {
        Some(host.version)
    } else if question.name() == load::LOAD_NAME {
        Some(host.load.text(room))
    } else {
        None
    }
}
