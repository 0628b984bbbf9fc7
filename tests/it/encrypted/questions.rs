//! What is asked: a zone with every kind of record and answer, questions for all of them, and the manners of asking.

use std::sync::Arc;

use heraldns::dns::zone::{self, ZoneSet};
use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query};
use hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption};
use hickory_proto::rr::{DNSClass, Name, RecordType};

/// What clients offer, and what the server sends at most, by UDP: only `many` is larger.
pub(super) const LARGEST: u16 = 4096;

const SIGNATURE: &str = "13 2 300 20300101000000 20200101000000 1 example. AAECAwQFBgcICQ==";

/// Every kind of record whose names may be compressed, some where they must not be, and every kind of answer.
///
/// `far.test.` is in no question: a name that is compressed with it points behind the question, where hickory's octets are others.
pub(super) fn zones() -> ZoneSet {
    let mut text = format!(
        r#"
$TTL 300
@            3600 SOA   ns Host 7 7200 3600 1209600 60
             3600 RRSIG SOA {SIGNATURE}
                  NS    ns
                  NSEC  alias NS SOA RRSIG NSEC
                  RRSIG NSEC {SIGNATURE}
alias             CNAME WWW
alias2            CNAME alias
alias3            CNAME a.deep
a.deep            CNAME b.deep
b.deep            CNAME c.deep
away              CNAME host.elsewhere.test.
cut               NS    ns.cut
                  NS    ns
ns.cut            A     192.0.2.54
dname             DNAME target.sub
host.sub          AAAA  2001:db8::7
mail              MX    10 www
                  MX    20 mx.other.
                  MX    30 a.far.test.
                  MX    40 b.far.test.
mailbox           MB    a.far.test.
                  MB    b.far.test.
                  MG    a.far.test.
                  MG    b.far.test.
                  MR    a.far.test.
                  MR    b.far.test.
                  MINFO a.far.test. b.far.test.
old               MD    a.far.test.
                  MD    b.far.test.
                  MF    a.far.test.
                  MF    b.far.test.
ns                A     192.0.2.53
pointer           PTR   a.far.test.
                  PTR   b.far.test.
secure            NS    ns.elsewhere.test.
                  DS    1 13 2 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff
                  RRSIG DS {SIGNATURE}
service           SRV   0 0 853 www
                  NAPTR 100 10 "u" "E2U+sip" "!^.*$!sip:info@example!" .
                  RP    www mail
                  AFSDB 1 www
                  KX    1 www
                  SVCB  1 www alpn=dot
                  CAA   0 issue "ca.example"
text              TXT   "\192\012" ""
                  TYPE65280 \# 4 c00cc00c
                  TYPE65281 \# 0
a.target.sub      A     192.0.2.9
*.wild            A     192.0.2.7
                  MX    0 www
WWW               A     192.0.2.80
                  AAAA  2001:db8::80
                  RRSIG A {SIGNATURE}
"#
    );
    for number in 0..300 {
        text += &format!("many TXT \"number {number}\"\n");
    }
    let other = "@ 60 SOA a.far.test. b.far.test. 1 2 3 4 5\n@ 60 NS ns\n@ 60 NS a.far.test.\n@ 60 NS b.far.test.\nns 60 A 192.0.2.58\nmx 60 AAAA 2001:db8::58\n";
    let load = |(apex, text): (&str, &str)| {
        let mut no_include = |path: &str| Err(format!("{path} is not to be included"));
        let loaded = zone::load(&apex.parse().unwrap(), apex, text.as_bytes(), &mut no_include);
        Arc::new(loaded.unwrap_or_else(|problems| panic!("{apex}: {problems:?}")).zone)
    };
    ZoneSet::new([("example.", text.as_str()), ("other.", other)].map(load).to_vec())
}

/// A query with id 0, as QUIC wants it.
pub(super) fn query(name: &str, record_type: RecordType) -> Message {
    let mut message = Message::new(0, MessageType::Query, OpCode::Query);
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), record_type));
    message
}

pub(super) fn with_edns(mut message: Message, change: impl FnOnce(&mut Edns)) -> Message {
    let edns = message.edns.get_or_insert_default();
    edns.set_max_payload(LARGEST);
    change(edns);
    message
}

/// A question in every manner: as written, in mixed case, without and with EDNS, DO, NSID, a cookie, padding, all at once.
pub(super) fn manners(name: &str, record_type: RecordType) -> Vec<Vec<u8>> {
    let mixed: String = name
        .char_indices()
        .map(|(at, letter)| if at % 3 == 1 { letter.to_ascii_uppercase() } else { letter })
        .collect();
    let option = |edns: &mut Edns, code: u16, octets: &[u8]| {
        let option = EdnsOption::Unknown(code, octets.to_vec());
        edns.options_mut().as_mut().push((EdnsCode::from(code), option));
    };
    let manner = |name: &str, change: &dyn Fn(&mut Edns)| with_edns(query(name, record_type), change).to_vec().unwrap();
    vec![
        query(name, record_type).to_vec().unwrap(),
        query(&mixed, record_type).to_vec().unwrap(),
        manner(name, &|_| ()),
        manner(&mixed, &|edns| {
            edns.set_dnssec_ok(true);
        }),
        manner(name, &|edns| option(edns, 3, &[])),
        manner(name, &|edns| option(edns, 10, b"\x01\x02\x03\x04\x05\x06\x07\x08")),
        manner(&mixed, &|edns| {
            edns.set_dnssec_ok(true);
            option(edns, 3, &[]);
            option(edns, 12, &[0; 60]);
            option(edns, 65_001, b"any");
        }),
    ]
}

/// Every kind of answer there is to a question of class IN.
pub(super) fn questions() -> Vec<(&'static str, RecordType)> {
    let mut questions = vec![
        ("cut.example.", RecordType::DS),
        ("secure.example.", RecordType::DS),
        ("a.secure.example.", RecordType::A),
        ("a.cut.example.", RecordType::A),
        ("a.dname.example.", RecordType::A),
        ("nothing.dname.example.", RecordType::A),
        ("x.wild.example.", RecordType::A),
        ("x.wild.example.", RecordType::TXT),
        ("mx.other.", RecordType::AAAA),
        ("alias3.example.", RecordType::A),
        ("other.", RecordType::SOA),
        ("other.", RecordType::NS),
        ("nothing.example.", RecordType::A),
        ("sub.example.", RecordType::A),
        ("away.example.", RecordType::A),
        ("refused.test.", RecordType::A),
        ("many.example.", RecordType::TXT),
        (".", RecordType::NS),
    ];
    let types = [
        1_u16, 2, 3, 4, 5, 6, 7, 8, 9, 12, 14, 15, 16, 17, 18, 28, 33, 35, 36, 47, 64, 255, 257, 65_280, 65_281,
    ];
    let names = [
        "example.",
        "alias2.example.",
        "mail.example.",
        "mailbox.example.",
        "old.example.",
        "pointer.example.",
    ];
    let names = names.into_iter().chain(["service.example.", "text.example.", "www.example."]);
    questions.extend(names.flat_map(|name| types.map(|number| (name, RecordType::from(number)))));
    questions
}

/// Messages that are no questions of class IN, and some that are no queries at all.
pub(super) fn oddities() -> Vec<Vec<u8>> {
    let mut oddities = Vec::new();
    for (class, name) in [
        (DNSClass::CH, "id.server."),
        (DNSClass::CH, "version.bind."),
        (DNSClass::HS, "www.example."),
        (DNSClass::ANY, "www.example."),
    ] {
        let mut message = query(name, RecordType::TXT);
        message.queries[0].set_query_class(class);
        oddities.push(message.to_vec().unwrap());
    }
    for code in [OpCode::Notify, OpCode::Status, OpCode::Update, OpCode::Unknown(9)] {
        let mut message = query("www.example.", RecordType::A);
        message.metadata.op_code = code;
        oddities.push(message.to_vec().unwrap());
    }
    let badvers = with_edns(query("www.example.", RecordType::A), |edns| {
        edns.set_version(1);
    });
    oddities.push(badvers.to_vec().unwrap());
    let mut recursive = query("www.example.", RecordType::A);
    recursive.metadata.recursion_desired = true;
    recursive.metadata.checking_disabled = true;
    recursive.metadata.authentic_data = true;
    oddities.push(recursive.to_vec().unwrap());
    let mut trailing = query("www.example.", RecordType::A).to_vec().unwrap();
    trailing.push(0);
    oddities.push(trailing);
    let mut two = query("www.example.", RecordType::A);
    two.add_query(two.queries[0].clone());
    oddities.push(two.to_vec().unwrap());
    oddities.push(vec![0; 12]);
    oddities
}
