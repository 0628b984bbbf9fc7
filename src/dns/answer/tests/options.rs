//! EDNS options in whole answers: cookies, extended errors, the idle time; and what goes out in place of a limited answer.

use std::time::Duration;

use super::*;
use crate::dns::answer::{EDNS_VERSION, slip};
use crate::dns::protect::cookie::{Cookie, Exchange, Secrets, Standing};
use crate::dns::protect::rate_limit::Kind;
use crate::dns::types::ResponseCode;

const CLIENT_COOKIE: [u8; 8] = [1, 2, 3, 4, 5, 6, 7, 8];

fn client(cookie: Option<Standing>) -> Client {
    Client {
        cookie: cookie.map(|standing| Exchange {
            standing,
            answer: Secrets::of(&[7; 16])
                .exchange(&Cookie::from_option(&CLIENT_COOKIE).unwrap(), [192, 0, 2, 1].into(), 9)
                .answer,
        }),
        is_accounted: true,
        ..Client::from(Transport::Udp)
    }
}

/// A query with this option in its OPT record.
fn ask_with(name: &str, record_type: Type, code: u16, content: &[u8]) -> Message {
    let mut query = ask_edns(name, record_type, 1232, false);
    let option = EdnsOption::Unknown(code, content.to_vec());
    query.edns.get_or_insert_default().options_mut().insert(option);
    query
}

fn ask_with_cookie(name: &str) -> Message {
    ask_with(name, Type::A, 10, &CLIENT_COOKIE)
}

fn answer_for(client: &Client, query: &Message) -> (Message, Reply) {
    let (octets, reply) = octets_for(&example(), &HOST, client, &query.to_vec().unwrap());
    (Message::from_vec(&octets).unwrap(), reply)
}

/// The content of the first option with this code.
fn option(message: &Message, code: u16) -> Option<Vec<u8>> {
    let options = message.edns.as_ref()?.options();
    options
        .as_ref()
        .iter()
        .find(|(known, _)| u16::from(*known) == code)
        .map(|(_, option)| option.try_into().unwrap())
}

fn code(message: &Message) -> u16 {
    message.metadata.response_code.into()
}

#[test]
fn a_cookie_is_answered_with_both_cookies() {
    for standing in Standing::ALL {
        let client = client(Some(standing));
        for (name, expected) in [("www.example.", 0), ("nothing.example.", 3), ("elsewhere.test.", 5)] {
            let (answer, _) = answer_for(&client, &ask_with_cookie(name));
            assert_eq!(code(&answer), expected, "{name}");
            assert_eq!(option(&answer, 10).unwrap(), client.cookie.unwrap().answer, "{name}");
        }
    }
    let (answer, _) = answer_for(&client(None), &ask_edns("www.example.", Type::A, 1232, false));
    assert_eq!(option(&answer, 10), None);
}

#[test]
fn where_cookies_are_required_one_that_is_not_valid_gets_only_a_new_one() {
    let rows = [
        (None, Transport::Udp, 0),
        (Some(Standing::Valid), Transport::Udp, 0),
        (Some(Standing::New), Transport::Udp, 23),
        (Some(Standing::Invalid), Transport::Udp, 23),
        (Some(Standing::New), Transport::Tcp, 0),
        (Some(Standing::Invalid), Transport::Tcp, 0),
    ];
    for (standing, transport, expected) in rows {
        let client = Client {
            cookie_required: true,
            transport,
            ..client(standing)
        };
        let query = if standing.is_some() {
            ask_with_cookie("www.example.")
        } else {
            ask("www.example.", Type::A)
        };
        let (answer, reply) = answer_for(&client, &query);
        assert_eq!(
            (code(&answer), reply.response_code.0),
            (expected, expected),
            "{standing:?} {transport:?}"
        );
        assert_eq!(answer.answers.is_empty(), expected == 23);
        assert_eq!(option(&answer, 10).is_some(), standing.is_some());
    }
}

#[test]
fn what_is_wrong_with_a_query_counts_more_than_its_cookie() {
    let client = Client {
        cookie_required: true,
        ..client(Some(Standing::New))
    };
    let mut query = ask_with_cookie("www.example.");
    query.metadata.op_code = OpCode::Notify;
    assert_eq!(code(&answer_for(&client, &query).0), 4);
    let malformed = ask_with("www.example.", Type::A, 10, &[1, 2, 3]);
    let (answer, _) = answer_for(&Client::from(Transport::Udp), &malformed);
    assert_eq!((code(&answer), option(&answer, 10)), (1, None));
    assert!(answer.edns.is_some());
}

#[test]
fn a_query_without_a_question_gets_a_cookie_and_nothing_else() {
    let mut query = ask_with_cookie("www.example.");
    query.queries.clear();
    for (standing, expected) in [(Standing::New, 0), (Standing::Valid, 0), (Standing::Invalid, 23)] {
        for cookie_required in [false, true] {
            let client = Client {
                cookie_required,
                ..client(Some(standing))
            };
            let (answer, _) = answer_for(&client, &query);
            assert_eq!(code(&answer), expected, "{standing:?}");
            assert!(answer.queries.is_empty() && answer.answers.is_empty() && option(&answer, 10).is_some());
        }
    }
    assert_eq!(code(&answer_for(&client(None), &query).0), 1, "a transport that knows no cookies");
}

#[test]
fn why_is_said_to_clients_with_edns() {
    let of_class = |class| {
        let mut query = ask_edns("www.example.", Type::A, 1232, false);
        query.queries[0].set_query_class(class);
        query
    };
    let mut notify = ask_edns("example.", Type::SOA, 1232, false);
    notify.metadata.op_code = OpCode::Notify;
    let mut other_version = ask_edns("www.example.", Type::A, 1232, false);
    other_version.edns.as_mut().unwrap().set_version(EDNS_VERSION + 1);
    let rows = [
        (ask_edns("elsewhere.test.", Type::A, 1232, false), Some(20)),
        (ask_edns("example.", Type::AXFR, 1232, false), Some(21)),
        (ask_edns("elsewhere.test.", Type::AXFR, 1232, false), Some(20)),
        (of_class(DNSClass::HS), Some(21)),
        (of_class(DNSClass::CH), Some(20)),
        (notify, Some(21)),
        (ask_edns("www.example.", Type::A, 1232, false), None),
        (ask_edns("nothing.example.", Type::A, 1232, false), None),
        (ask_edns("www.cut.example.", Type::A, 1232, false), None),
        (other_version, None),
        (ask("elsewhere.test.", Type::A), None),
    ];
    for (query, expected) in rows {
        assert_eq!(extended_error(&answer(&query)), expected, "{query}");
    }
}

fn extended_error(answer: &Message) -> Option<u16> {
    option(answer, 15).map(|octets| u16::from_be_bytes(octets.try_into().unwrap()))
}

#[test]
fn a_zone_that_is_not_loaded_is_the_servers_failure() {
    let zones = fixture::zones_without(&["broken.test."], &[]);
    let query = ask_edns("www.broken.test.", Type::A, 1232, false).to_vec().unwrap();
    let (octets, reply) = octets_for(&zones, &HOST, &client(None), &query);
    let answer = Message::from_vec(&octets).unwrap();
    assert_eq!((code(&answer), extended_error(&answer)), (2, Some(24)));
    assert!(!answer.metadata.authoritative && answer.authorities.is_empty());
    assert_eq!(reply.account.unwrap().kind, Kind::Error);
}

#[test]
fn the_idle_time_is_told_to_connections_that_ask() {
    let asking = ask_with("www.example.", Type::A, 11, &[]);
    let connection = Client {
        keepalive: Some(Duration::from_secs(10)),
        ..Client::from(Transport::Tcp)
    };
    assert_eq!(option(&answer_for(&connection, &asking).0, 11).unwrap(), [0, 100]);
    assert_eq!(option(&answer_for(&Client::from(Transport::Udp), &asking).0, 11), None);
    let not_asking = ask_edns("www.example.", Type::A, 1232, false);
    assert_eq!(option(&answer_for(&connection, &not_asking).0, 11), None);
}

#[test]
fn an_answer_says_what_it_counts_as_where_that_is_wanted() {
    let counted = client(None);
    let rows = [
        ("www.example.", Kind::Answer, "www.example."),
        ("nothing.example.", Kind::NameError, "example."),
        ("x.cut.example.", Kind::Referral, "cut.example."),
        ("elsewhere.test.", Kind::Error, ""),
    ];
    for (name, kind, expected) in rows {
        let query = ask(name, Type::A).to_vec().unwrap();
        let account = octets_for(&example(), &HOST, &counted, &query).1.account.unwrap();
        let query = Query::parse(&query).unwrap();
        let shown = Some(account.name(&query)).filter(|name| !name.is_empty());
        let shown = shown.map_or(String::new(), |wire| crate::dns::name::display(wire).to_string());
        assert_eq!((account.kind, shown), (kind, expected.to_owned()), "{name}");
        let not_counted = octets_of(&example(), Transport::Udp, &ask(name, Type::A).to_vec().unwrap());
        assert_eq!(not_counted.1.account, None);
    }
    let mut identity = ask("id.server.", Type::TXT);
    identity.queries[0].set_query_class(DNSClass::CH);
    assert_eq!(answer_for(&counted, &identity).1.account.unwrap().kind, Kind::Answer);
}

/// What slips, and how many octets longer than the query it is.
fn slipped(client: &Client, query: &Message, response_code: ResponseCode) -> (Message, isize) {
    let query = query.to_vec().unwrap();
    let mut buffer = [0xee; 1232];
    let reply = slip(&HOST, client, &Query::parse(&query).unwrap(), response_code, &query, &mut buffer);
    (
        Message::from_vec(&buffer[..reply.octets]).unwrap(),
        reply.octets as isize - query.len() as isize,
    )
}

#[test]
fn in_place_of_a_limited_answer_goes_an_empty_one() {
    let mut asking_who = ask_edns("www.example.", Type::A, 4096, true);
    want_nsid(&mut asking_who);
    let mut grown = Vec::new();
    for query in [ask("many.example.", Type::A), asking_who] {
        let (answer, more) = slipped(&client(None), &query, ResponseCode::NX_DOMAIN);
        assert!(answer.metadata.truncation && answer.answers.is_empty() && answer.authorities.is_empty());
        assert_eq!((code(&answer), answer.queries.len()), (3, 1));
        assert_eq!(answer.edns.is_some(), query.edns.is_some());
        assert!(
            answer.edns.is_none_or(|edns| edns.option(EdnsCode::NSID).is_none()),
            "it would be longer than the query"
        );
        grown.push(more);
    }
    assert!(grown.iter().all(|more| *more <= 0), "{grown:?}");
}

#[test]
fn who_speaks_cookies_is_told_to_come_back_with_one() {
    for standing in [Standing::New, Standing::Invalid] {
        let (answer, more) = slipped(&client(Some(standing)), &ask_with_cookie("www.example."), ResponseCode::NO_ERROR);
        assert_eq!((code(&answer), answer.metadata.truncation), (23, false));
        assert_eq!(option(&answer, 10).map(|cookie| cookie.len()), Some(24));
        assert_eq!(more, 16, "no longer than by the server cookie");
    }
}
