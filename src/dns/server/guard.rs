//! The guard at the transports: what a cookie is worth before an answer is written, whether the answer is too much after it.
//!
//! The decisions are those of `dns::protect`; here they get time, source and counters. Without a COOKIE option and without a
//! rate limit each of the two costs one branch. A valid cookie and a connection prove that the client is where it says to be:
//! then nothing is limited.

use std::cell::OnceCell;
use std::net::IpAddr;
use std::sync::Arc;

use crate::base::time::Timestamp;
use crate::dns::answer::{Client, Query, Reply};
use crate::dns::counters::{Tally, Transport};
use crate::dns::protect::Protection;
use crate::dns::protect::cookie::{Cookie, Exchange, Secrets, Standing};
use crate::dns::protect::rate_limit::Verdict;
use crate::dns::types::Class;
use crate::io::clock;

/// The protection during one batch: the secrets and the wall clock are read once, and only for a cookie.
pub(super) struct Guard<'p> {
    protection: &'p Protection,
    transport: Transport,
    /// The listener's own address.
    address: IpAddr,
    now: Timestamp,
    cookies: OnceCell<(Arc<Secrets>, u32)>,
}

/// A client with a query.
pub(super) struct Guest {
    pub(super) client: Client,
    /// Its address, where that matters.
    source: Option<IpAddr>,
}

impl<'p> Guard<'p> {
    pub(super) fn new(protection: &'p Protection, transport: Transport, address: IpAddr, now: Timestamp) -> Self {
        Self {
            protection,
            transport,
            address,
            now,
            cookies: OnceCell::new(),
        }
    }

    /// What is known of the client that sent `query`; `source` is asked for its address only where that matters.
    pub(super) fn meet(&self, query: &Query, source: impl FnOnce() -> Option<IpAddr>, tally: &mut Tally) -> Guest {
        let mut client = Client::from(self.transport);
        let cookie = query.edns.as_ref().and_then(|edns| edns.cookie.as_ref());
        client.is_accounted = self.protection.limiter.is_some() && self.transport == Transport::Udp;
        if cookie.is_none() && !client.is_accounted {
            return Guest { client, source: None };
        }
        let source = source();
        if let (Some(cookie), Some(source)) = (cookie, source) {
            let exchange = self.exchange(cookie, source);
            tally.count_cookie(exchange.standing);
            client.cookie = Some(exchange);
            client.cookie_required = self.protection.cookie_required;
            client.is_accounted &= exchange.standing != Standing::Valid;
        }
        Guest { client, source }
    }

    /// Whether the answer to a guest is to be sent.
    pub(super) fn judge(&self, guest: &Guest, query: &Query, reply: &Reply) -> Verdict {
        let (Some(account), Some(limiter), Some(source)) = (reply.account, &self.protection.limiter, guest.source) else {
            return Verdict::Send;
        };
        if self.is_own_probe(query, source) {
            return Verdict::Send;
        }
        limiter.judge(source, account.kind, account.name(query), self.now)
    }

    fn exchange(&self, cookie: &Cookie, source: IpAddr) -> Exchange {
        let read = || (self.protection.secrets.load_full(), clock::wall_clock_seconds());
        let (secrets, now) = self.cookies.get_or_init(read);
        secrets.exchange(cookie, source, *now)
    }

    /// The monitor asks who answers, from the address that it asks. Were it limited, the server would take itself for faulty;
    /// and an answer to that address leaves this host for nobody, whoever has forged the query.
    fn is_own_probe(&self, query: &Query, source: IpAddr) -> bool {
        source == self.address && query.question.as_ref().is_some_and(|question| question.class == Class::CH)
    }
}
