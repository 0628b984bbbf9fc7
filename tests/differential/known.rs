//! Differences from the majority in which heraldns is right, or as right: each with the rule that recognises it and why.

use std::collections::BTreeSet;

use heraldns::dns::name;
use heraldns::dns::types::{RecordType, ResponseCode};

use crate::answer::{Answer, Record};
use crate::judgement::{Case, difference};
use crate::questions::Flavour;

/// A known difference.
pub(crate) struct Known {
    pub(crate) name: &'static str,
    /// What allows or demands what heraldns does.
    #[expect(dead_code, reason = "it is for those who read the table")]
    pub(crate) reason: &'static str,
    /// Whether it explains how our answer differs from this one.
    explains: fn(&Case<'_>, &Answer) -> bool,
}

/// All of them.
pub(crate) const KNOWN: &[Known] = &[
    Known {
        name: "one RRset for ANY",
        reason: "RFC 8482 section 4.1: of the RRsets at a name, any of them may be the answer to ANY",
        explains: |case, theirs| {
            let owners = |answer: &Answer| answer.answer.iter().map(|record| record.owner.clone()).collect::<BTreeSet<_>>();
            case.question.record_type == RecordType::ANY && same_head(case.ours, theirs) && owners(case.ours) == owners(theirs)
        },
    },
    Known {
        name: "ANY goes on where a DNAME leads",
        reason: "RFC 6672 section 3.2, step 3c: the search goes on with the new name, whatever the type; BIND takes the CNAME for the answer",
        explains: |case, theirs| {
            case.question.record_type == RecordType::ANY
                && theirs.answer.iter().any(|record| record.record_type == RecordType::DNAME)
                && theirs.answer.iter().all(is_alias)
                && is_part(&theirs.answer, &case.ours.answer)
        },
    },
    Known {
        name: "an alias into another zone is followed",
        reason: "RFC 1034 section 4.3.2, step 3a: change QNAME and go back to step 1, which is to look for the zone",
        explains: |case, theirs| {
            is_part(&theirs.answer, &case.ours.answer)
                && last_alias(case, theirs).is_some_and(|(from, to)| case.zone_of(&from) != case.zone_of(&to))
        },
    },
    Known {
        name: "a chain without end is cut elsewhere",
        reason: "RFC 1034 section 5.2.2 asks only that loops be caught; all servers stop at lengths of their own",
        explains: |case, theirs| {
            let is_longer = |one: &Answer, other: &Answer| one.answer.len() > other.answer.len() && is_part(&other.answer, &one.answer);
            let chain = |answer: &Answer| {
                answer
                    .answer
                    .iter()
                    .filter(|record| record.record_type == RecordType::CNAME)
                    .count()
            };
            let only_aliases = [case.ours, theirs].iter().all(|answer| answer.answer.iter().all(is_alias));
            only_aliases
                && chain(case.ours) >= 4
                && (is_longer(case.ours, theirs)
                    || (is_longer(theirs, case.ours) && chain(case.ours) >= 10)
                    || theirs.response_code == ResponseCode::SERV_FAIL)
        },
    },
    Known {
        name: "a loop is no failure",
        reason: "RFC 1034 section 3.6.2: CNAME loops should be signalled, by the resolver; the records themselves are the answer",
        explains: |case, theirs| {
            theirs.response_code == ResponseCode::SERV_FAIL
                && case.ours.response_code == ResponseCode::NO_ERROR
                && is_part(&theirs.answer, &case.ours.answer)
                && last_alias(case, case.ours).is_none()
        },
    },
    Known {
        name: "the SOA of a negative answer to SOA has a TTL like others",
        reason: "RFC 2308 section 3 makes no difference; a TTL of 0 is BIND's own",
        explains: |case, theirs| {
            let same_authority = without_soa_ttl(&case.ours.authority) == without_soa_ttl(&theirs.authority);
            case.question.record_type == RecordType::SOA
                && same_head(case.ours, theirs)
                && same_authority
                && case.ours.answer == theirs.answer
        },
    },
    Known {
        name: "the DS of an apex that an alias leads to is the parent's",
        reason: "RFC 4035 section 3.1.4.1: the DS RRset is at the parental side of the zone cut, however the search came there",
        explains: |case, theirs| {
            let is_apex = |wire: &[u8]| case.apexes.iter().any(|apex| name::equal(apex.as_wire(), wire));
            case.question.record_type == RecordType::DS
                && is_part(&theirs.answer, &case.ours.answer)
                && last_alias(case, theirs).is_some_and(|(_, to)| is_apex(&to))
        },
    },
    Known {
        name: "an apex that its parent does not delegate denies its DS itself",
        reason: "RFC 4035 section 3.1.4.1 asks the parent side of a zone cut, and there is none",
        explains: |case, _| {
            let asked = case.question.wire_name();
            case.question.record_type == RecordType::DS
                && case.apexes.iter().any(|apex| name::equal(apex.as_wire(), asked))
                && case.ours.answer.is_empty()
                && case.ours.authority.iter().all(|record| name::is_subdomain(&record.owner, asked))
        },
    },
    Known {
        name: "addresses of servers that are not below the cut",
        reason: "RFC 1034 section 4.3.2, step 3b: put whatever addresses are available into the additional section",
        explains: |case, theirs| {
            let ours = case.ours;
            let is_extra = |record: &&Record| !theirs.additional.contains(record);
            ours.is_referral()
                && same_but_additional(ours, theirs)
                && is_part(&theirs.additional, &ours.additional)
                && !ours.additional.iter().filter(is_extra).any(|record| is_below_cut(ours, record))
        },
    },
    Known {
        name: "no addresses made from wildcards for servers",
        reason: "RFC 9471 section 2 calls for the addresses below the cut; what else is added is a courtesy (RFC 1034 section 4.3.2, step 6)",
        explains: |case, theirs| {
            let ours = case.ours;
            let is_synthesized = |record: &&Record| ours.additional.contains(record) || !case.owners.contains(&record.owner);
            ours.is_referral()
                && same_but_additional(ours, theirs)
                && is_part(&ours.additional, &theirs.additional)
                && theirs.additional.iter().all(|record| is_synthesized(&record))
        },
    },
    Known {
        name: "one RRset's signatures for RRSIG",
        reason: "RFC 8482 section 7: RRSIG may be answered as ANY is, with a part of what is there",
        explains: |case, theirs| {
            case.question.record_type == RecordType::RRSIG
                && case.ours.response_code == theirs.response_code
                && case.ours.answer.iter().any(|record| record.record_type == RecordType::RRSIG)
                && is_part(&case.ours.answer, &theirs.answer)
        },
    },
    Known {
        name: "a wildcard that is an empty non-terminal is proved by NSEC",
        reason: "RFC 4035 section 3.1.3.4: the wildcard's lack of the type needs a proof; for an empty one it is the NSEC over it",
        explains: |case, theirs| {
            let (ours, theirs_whole) = (without_soa_ttl(&case.ours.authority), without_soa_ttl(&theirs.authority));
            let extra: Vec<&Record> = ours.iter().filter(|record| !theirs_whole.contains(record)).collect();
            let is_proof = |record: &&Record| record.record_type == RecordType::NSEC;
            let is_signature = |record: &&Record| covers(record, RecordType::NSEC);
            let has_star_within = |record: &&Record| name::labels(&record.data).skip(1).any(|label| label == b"*");
            same_head(case.ours, theirs)
                && case.ours.answer == theirs.answer
                && is_part(&theirs_whole, &ours)
                && extra.iter().any(is_proof)
                && extra
                    .iter()
                    .all(|record| is_signature(record) || (is_proof(record) && has_star_within(record)))
        },
    },
    Known {
        name: "the NSEC of a zone cut is asked of the child",
        reason: "RFC 4035 section 3.1.4.1: of what is asked at a cut, the DS alone is the parent's; all else is a referral",
        explains: |case, theirs| {
            let is_of_cut = |record: &Record| record.record_type == RecordType::NSEC || covers(record, RecordType::NSEC);
            case.question.record_type == RecordType::NSEC
                && case.ours.is_referral()
                && !theirs.answer.is_empty()
                && theirs.answer.iter().all(is_of_cut)
        },
    },
    Known {
        name: "what fits is not truncated",
        reason: "RFC 2181 section 9: TC only when something that is needed does not fit; it fits by the compression of more names",
        explains: |case, theirs| {
            let untruncated = Answer {
                truncated: false,
                ..theirs.clone()
            };
            !case.ours.truncated && difference(case.ours, &untruncated).is_none()
        },
    },
    Known {
        name: "all glue from below the cut, or TC",
        reason: "RFC 9471 section 3.1: if the glue of in-domain servers does not fit, the TC bit is set; some of it is not enough, and \
                 the bit says nothing about other addresses",
        explains: |case, theirs| {
            let is_missing = |record: &Record| !theirs.additional.contains(record) && is_below_cut(case.ours, record);
            let lacks_glue = !theirs.truncated && case.ours.additional.iter().any(is_missing);
            let lacks_other = theirs.truncated && !case.ours.truncated && required(case, case.ours) == required(case, theirs);
            theirs.is_referral() && same_but_additional(case.ours, theirs) && (lacks_glue || lacks_other)
        },
    },
    Known {
        name: "other addresses of servers elsewhere, where not all fit",
        reason: "RFC 9471 section 3.2: addresses of servers that are not below the cut may be left out; which are, is for each server to choose",
        explains: |case, theirs| {
            matches!(case.question.flavour, Flavour::Plain | Flavour::Narrow)
                && case.ours.truncated == theirs.truncated
                && theirs.is_referral()
                && same_but_additional(case.ours, theirs)
                && required(case, case.ours) == required(case, theirs)
        },
    },
    Known {
        name: "an answer by a wildcard has the whole NSEC3 proof",
        reason: "RFC 5155 sections 7.2.5 and 8.7: the closest encloser, the next closer name, and the wildcard or the opt-out NSEC3 over it",
        explains: |case, theirs| {
            let extra = |record_type| {
                let is_extra = move |record: &&Record| record.record_type == record_type && !theirs.authority.contains(record);
                case.ours.authority.iter().filter(is_extra)
            };
            let opted_out = |record: &Record| record.data.get(1).is_some_and(|flags| flags & 1 != 0);
            let is_shared = || case.theirs.iter().any(|(_, answer)| difference(case.ours, answer).is_none());
            same_head(case.ours, theirs)
                && case.ours.answer == theirs.answer
                && is_part(&theirs.authority, &case.ours.authority)
                && extra(RecordType::NSEC3).count() == 1
                && (extra(RecordType::NSEC3).all(opted_out) || is_shared())
                && extra(RecordType::RRSIG).all(|record| covers(record, RecordType::NSEC3))
        },
    },
];

/// The known difference that this case is, if any.
pub(crate) fn find(case: &Case<'_>, theirs: &Answer) -> Option<&'static Known> {
    KNOWN.iter().find(|known| (known.explains)(case, theirs))
}

/// The records of an authority section, but for the TTL of the SOA, which BIND sets to 0 when it denies one.
fn without_soa_ttl(authority: &[Record]) -> Vec<Record> {
    let is_of_soa = |record: &Record| record.record_type == RecordType::SOA || covers(record, RecordType::SOA);
    let mut records = authority.to_vec();
    records
        .iter_mut()
        .filter(|record| is_of_soa(record))
        .for_each(|record| record.ttl = 0);
    records.sort_unstable();
    records
}

/// It is a signature of an RRset of this type.
fn covers(record: &Record, record_type: RecordType) -> bool {
    record.record_type == RecordType::RRSIG && record.data.starts_with(&record_type.0.to_be_bytes())
}

/// An alias, or a signature of one.
fn is_alias(record: &Record) -> bool {
    matches!(record.record_type, RecordType::CNAME | RecordType::DNAME | RecordType::RRSIG)
}

fn same_head(one: &Answer, other: &Answer) -> bool {
    (one.response_code, one.authoritative) == (other.response_code, other.authoritative)
}

/// Response code, AA, answer and authority are the same.
fn same_but_additional(one: &Answer, other: &Answer) -> bool {
    same_head(one, other) && one.answer == other.answer && one.authority == other.authority
}

/// It belongs to a name at or below the cut that the referral is to.
fn is_below_cut(referral: &Answer, record: &Record) -> bool {
    let mut cuts = referral.authority.iter().filter(|cut| cut.record_type == RecordType::NS);
    cuts.any(|cut| name::is_subdomain(&record.owner, &cut.owner))
}

/// The addresses in this answer that belong to names below the cut: those that a referral must have.
fn required(case: &Case<'_>, answer: &Answer) -> Vec<Record> {
    let additional = answer.additional.iter();
    additional.filter(|record| is_below_cut(case.ours, record)).cloned().collect()
}

fn is_part(part: &[Record], whole: &[Record]) -> bool {
    part.iter().all(|record| whole.contains(record))
}

/// Owner and target of the alias at which the answer's chain ends; none when it ends at data, or never.
fn last_alias(case: &Case<'_>, answer: &Answer) -> Option<(Vec<u8>, Vec<u8>)> {
    let mut name = case.question.wire_name().to_ascii_lowercase();
    let mut last = None;
    for _ in 0..=answer.answer.len() {
        let at_name = |record: &&Record| record.owner == name;
        match answer.answer.iter().find(at_name) {
            None => return last,
            Some(record) if record.record_type == RecordType::CNAME => {
                let from = std::mem::replace(&mut name, record.data.clone());
                last = Some((from, name.clone()));
            }
            Some(_) => return None,
        }
    }
    None
}
