//! Answers that were given before, ready to be given again: what popular names cost is one comparison and one copy.
//!
//! An answer over UDP of class IN depends on nothing but the zones, this host and the octets of its query; all of these octets but the
//! message id are what an answer is found by. So a template is right for as long as the zones are the same, and only then.
//! Answers that depend on more (cookies, rate limits, the load) are never kept. Where questions hardly ever come again (a random-subdomain
//! flood, a registry's zone) looking costs more than it brings: then it is left off but for a sample.

use std::sync::{Arc, Weak};

use super::{Client, HEADER, Query, Question, Reply};
use crate::dns::types::{Class, ResponseCode};
use crate::dns::zone::ZoneSet;

/// Answers that are kept, a power of two.
const SLOTS: usize = 8192;
/// Octets of a slot for query and answer together, neither with its id.
const ROOM: usize = 248;
/// Octets of them that most queries and answers have, so that they are fetched before they are read.
const FETCHED: usize = 120;
/// Octets of a message id.
const ID: usize = 2;
/// So many queries are looked for before it is asked what that brings.
const SAMPLE: u32 = 4096;
/// At least so many of a sample must be found, or looking is left off.
const WORTH: u32 = SAMPLE / 4;
/// So many queries pass then until the next sample.
const PAUSE: u32 = 16 * SAMPLE;

/// One worker's templates.
#[derive(Debug)]
pub struct Templates {
    /// The zones they were made from. It does not keep the zones in memory, only their address from being used again.
    zones: Weak<ZoneSet>,
    slots: Box<[Slot]>,
    is_empty: bool,
    worth: Worth,
}

/// One of the places for templates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place(usize);

/// An answer that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Octets of the whole answer.
    pub octets: usize,
    /// The type that was asked for.
    pub record_type: u16,
    /// The answer's response code.
    pub response_code: u16,
    /// The answer has the TC bit.
    pub truncated: bool,
}

#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Slot {
    /// Octets of the query without its id; 0 in an empty slot.
    query: u8,
    /// Octets of the answer without its id.
    answer: u8,
    truncated: bool,
    record_type: u16,
    response_code: u16,
    octets: [u8; ROOM],
}

/// Whether templates are worth looking at now.
#[derive(Debug, Default)]
struct Worth {
    looked: u32,
    found: u32,
    /// Queries that are still to pass.
    pause: u32,
}

impl Default for Templates {
    fn default() -> Self {
        Self {
            zones: Weak::new(),
            slots: vec![Slot::EMPTY; SLOTS].into(),
            is_empty: true,
            worth: Worth::default(),
        }
    }
}

impl Templates {
    /// Begins a batch of so many queries for these zones; true if its answers are worth looking for and keeping.
    pub fn begin(&mut self, zones: &Arc<ZoneSet>, queries: usize) -> bool {
        if self.zones.as_ptr() != Arc::as_ptr(zones) {
            self.zones = Arc::downgrade(zones);
            if !self.is_empty {
                self.slots.fill(Slot::EMPTY);
            }
            self.is_empty = true;
        }
        self.worth.begin(queries as u32)
    }

    /// Where the answer to this message is, if it is known; none for a message that cannot have one.
    #[must_use]
    pub fn place(message: &[u8]) -> Option<Place> {
        let query = message.get(ID..)?;
        (HEADER - ID..=ROOM).contains(&query.len()).then(|| Place::of(query))
    }

    /// The memory that [`Self::find`] will read there.
    #[must_use]
    pub fn memory(&self, place: Place) -> &[u8] {
        &self.slots[place.0].octets[..FETCHED]
    }

    /// Writes the answer to this message, from a client that has to show nothing, to the start of `buffer`, if it is known.
    pub fn find(&mut self, place: Place, message: &[u8], buffer: &mut [u8]) -> Option<Found> {
        let (id, query) = message.split_at_checked(ID)?;
        self.worth.looked += 1;
        let slot = &self.slots[place.0];
        let (known, rest) = slot.octets.split_at_checked(usize::from(slot.query))?;
        if known != query {
            return None;
        }
        let answer = rest.get(..usize::from(slot.answer))?;
        let octets = ID + answer.len();
        buffer.get_mut(..ID)?.copy_from_slice(id);
        buffer.get_mut(ID..octets)?.copy_from_slice(answer);
        self.worth.found += 1;
        Some(Found {
            octets,
            record_type: slot.record_type,
            response_code: slot.response_code,
            truncated: slot.truncated,
        })
    }

    /// Keeps the answer to a message, if it is one that everybody gets who asks so, and not too long.
    pub fn keep(&mut self, message: &[u8], query: &Query, client: &Client, reply: &Reply, answer: &[u8]) {
        let depends_on_client = client.cookie.is_some() || client.keepalive.is_some() || client.is_accounted;
        let depends_on_time = |question: &Question| question.class == Class::CH;
        let question = query
            .question
            .as_ref()
            .filter(|question| !depends_on_client && !depends_on_time(question));
        let Some(question) = question else {
            return;
        };
        let (Some(place), Some(asked), Some(answered)) = (Self::place(message), message.get(ID..), answer.get(ID..)) else {
            return;
        };
        if asked.len() + answered.len() > ROOM {
            return;
        }
        let slot = &mut self.slots[place.0];
        slot.query = asked.len() as u8;
        slot.answer = answered.len() as u8;
        slot.truncated = reply.truncated;
        slot.record_type = question.record_type.0;
        slot.response_code = reply.response_code.0;
        slot.octets[..asked.len()].copy_from_slice(asked);
        slot.octets[asked.len()..asked.len() + answered.len()].copy_from_slice(answered);
        self.is_empty = false;
    }
}

impl Slot {
    const EMPTY: Self = Self {
        query: 0,
        answer: 0,
        truncated: false,
        record_type: 0,
        response_code: ResponseCode::NO_ERROR.0,
        octets: [0; ROOM],
    };
}

impl Worth {
    /// True if the next `queries` are to be looked for.
    fn begin(&mut self, queries: u32) -> bool {
        if self.pause > 0 {
            self.pause = self.pause.saturating_sub(queries);
            return false;
        }
        if self.looked >= SAMPLE {
            let is_worth_it = self.found >= WORTH;
            (self.looked, self.found) = (0, 0);
            self.pause = if is_worth_it { 0 } else { PAUSE };
        }
        self.pause == 0
    }
}

impl Place {
    /// Who finds queries that share a place gets answers as slow as anybody's.
    fn of(query: &[u8]) -> Self {
        const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
        let fold = |hash: u64, chunk: [u8; 8]| {
            let product = u128::from(hash ^ u64::from_le_bytes(chunk)) * u128::from(FACTOR);
            product as u64 ^ (product >> 64) as u64
        };
        let (chunks, rest) = query.as_chunks::<8>();
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        let hash = chunks.iter().fold(query.len() as u64, |hash, chunk| fold(hash, *chunk));
        Self((fold(hash, last) >> 32) as usize % SLOTS)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Host, fixture, respond};
    use super::*;
    use crate::dns::counters::Transport;
    use crate::dns::protect::cookie::{Exchange, Standing};

    const HOST: Host<'_> = Host {
        identity: b"s1",
        version: b"heraldns",
        load: crate::dns::answer::Load::ZERO,
        udp_payload: 1232,
    };

    /// The question for the A records of a name, from a client without EDNS.
    fn message(id: u16, name: &[u8]) -> Vec<u8> {
        let header = [0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        [&id.to_be_bytes()[..], &header, name, &[0, 1, 0, 1]].concat()
    }

    fn zones(address: &str) -> Arc<ZoneSet> {
        let text = format!(
            "@ 60 SOA a b 1 2 3 4 5\n@ 60 NS a\na 60 A {address}\nlong 60 TXT {}\n",
            "a".repeat(200)
        );
        Arc::new(fixture::zones(&[("example.", &text)]))
    }

    fn answer(zones: &ZoneSet, client: &Client, message: &[u8]) -> (Query, Reply, Vec<u8>) {
        let query = Query::parse(message).unwrap();
        let mut buffer = [0; 1232];
        let reply = respond(zones, &HOST, client, &query, message, &mut buffer);
        (query, reply, buffer[..reply.octets].to_vec())
    }

    /// What is found for `asked` when `known` was answered for this client before.
    fn found_after(client: &Client, known: &[u8], asked: &[u8]) -> Option<Vec<u8>> {
        let zones = zones("192.0.2.1");
        let mut templates = Templates::default();
        assert!(templates.begin(&zones, 1));
        let (query, reply, answer) = answer(&zones, client, known);
        templates.keep(known, &query, client, &reply, &answer);
        let mut buffer = [0; 1232];
        let found = templates.find(Templates::place(asked)?, asked, &mut buffer)?;
        assert_eq!((found.record_type, found.response_code), (1, reply.response_code.0));
        Some(buffer[..found.octets].to_vec())
    }

    const NAME: &[u8] = b"\x01a\x07example\0";

    #[test]
    fn an_answer_is_given_again_with_the_id_of_the_query() {
        let client = Client::from(Transport::Udp);
        for name in [NAME, b"\x06absent\x07example\0"] {
            let asked = message(0x1234, name);
            let (_, _, expected) = answer(&zones("192.0.2.1"), &client, &asked);
            assert_eq!(found_after(&client, &message(7, name), &asked), Some(expected));
        }
    }

    #[test]
    fn any_other_octet_is_another_query() {
        let client = Client::from(Transport::Udp);
        let known = message(7, NAME);
        for at in ID..known.len() {
            let mut asked = known.clone();
            asked[at] ^= 0x20;
            assert_eq!(found_after(&client, &known, &asked), None, "octet {at}");
        }
        assert_eq!(found_after(&client, &known, &[&known[..], &[0]].concat()), None);
        for octets in 0..known.len() {
            assert_eq!(found_after(&client, &known, &known[..octets]), None, "{octets} octets");
        }
    }

    #[test]
    fn answers_for_one_client_or_without_a_question_are_not_kept() {
        let plain = Client::from(Transport::Udp);
        let exchange = Exchange {
            standing: Standing::Valid,
            answer: [7; 24],
        };
        let with_cookie = Client {
            cookie: Some(exchange),
            ..plain
        };
        let accounted = Client {
            is_accounted: true,
            ..plain
        };
        let known = message(7, NAME);
        for client in [with_cookie, accounted] {
            assert_eq!(found_after(&client, &known, &known), None, "{client:?}");
        }
        let mut without_question = known[..HEADER].to_vec();
        without_question[5] = 0;
        assert_eq!(found_after(&with_cookie, &without_question, &without_question), None);
        assert_eq!(found_after(&plain, &without_question, &without_question), None);
    }

    #[test]
    fn an_answer_that_is_too_long_is_not_kept() {
        let client = Client::from(Transport::Udp);
        let mut known = message(7, b"\x04long\x07example\0");
        let type_at = known.len() - 3;
        known[type_at] = 16;
        assert_eq!(found_after(&client, &known, &known), None);
    }

    #[test]
    fn other_zones_have_other_answers() {
        let client = Client::from(Transport::Udp);
        let (before, after) = (zones("192.0.2.1"), zones("192.0.2.2"));
        let known = message(7, NAME);
        let mut templates = Templates::default();
        let mut buffer = [0; 1232];
        for zones in [&before, &after, &before] {
            templates.begin(zones, 1);
            let place = Templates::place(&known).unwrap();
            assert_eq!(templates.find(place, &known, &mut buffer), None);
            let (query, reply, answer) = answer(zones, &client, &known);
            templates.keep(&known, &query, &client, &reply, &answer);
            let found = templates.find(place, &known, &mut buffer).unwrap();
            assert_eq!(buffer[..found.octets], answer);
        }
        let held = Arc::downgrade(&before);
        drop(before);
        assert_eq!(held.strong_count(), 0, "templates keep no zones in memory");
    }

    #[test]
    fn where_questions_do_not_come_again_looking_is_left_off_but_for_samples() {
        let zones = zones("192.0.2.1");
        let mut templates = Templates::default();
        let mut looked = 0;
        for batch in 0..10_000_u32 {
            if templates.begin(&zones, 32) {
                let name = [&b"\x04"[..], &batch.to_be_bytes(), b"\0"].concat();
                let message = message(7, &name);
                let place = Templates::place(&message).unwrap();
                (0..32).for_each(|_| assert_eq!(templates.find(place, &message, &mut [0; 600]), None));
                looked += 32;
            }
        }
        assert!((15_000..25_000).contains(&looked), "{looked} of 320000");
        let client = Client::from(Transport::Udp);
        let known = message(7, NAME);
        let (query, reply, answer) = answer(&zones, &client, &known);
        let place = Templates::place(&known).unwrap();
        let began = (0..4_000).map(|_| {
            let begins = templates.begin(&zones, 32);
            templates.keep(&known, &query, &client, &reply, &answer);
            (0..32 * u32::from(begins)).for_each(|_| assert!(templates.find(place, &known, &mut [0; 600]).is_some()));
            begins
        });
        assert!(began.skip(2_500).all(|begins| begins), "and taken up again where they do");
    }
}
