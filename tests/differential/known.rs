//! Differences from the majority in which heraldns is right, or as right: each with the rule that recognises it and why.

use std::collections::BTreeSet;

use heraldns::dns::name;
use heraldns::dns::types::{RecordType, ResponseCode};

use crate::answer::{Answer, Record};
use crate::asked::zone_of;
use crate::judgement::{Case, difference};
use crate::questions::Flavour;
use crate::servers::Program;

/// Where a chain of aliases has so many, heraldns does not follow it any further.
const MOST_LINKS: usize = 15;

/// Octets that an answer may be longer for want of compression.
const MOST_UNCOMPRESSED: usize = 16;

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
        reason: "RFC 8482 section 4.1: of the RRsets at a name, any of them may be the answer to ANY; BIND gives all of them",
        explains: |case, theirs| {
            let owners = |answer: &Answer| answer.answer.iter().map(|record| record.owner.clone()).collect::<BTreeSet<_>>();
            let bind = case.theirs.iter().find(|(program, _)| *program == Program::Bind);
            case.question.record_type == RecordType::ANY
                && same_head(case.ours, theirs)
                && bind.is_none_or(|(_, whole)| is_part(&case.ours.answer, &whole.answer) || stops_at_dname(case, whole))
                && owners(case.ours) == owners(theirs)
                && case.ours.authority == theirs.authority
        },
    },
    Known {
        name: "ANY goes on where a DNAME leads",
        reason: "RFC 6672 section 3.2, step 3c: the search goes on with the new name, whatever the type; BIND takes the CNAME for the answer",
        explains: stops_at_dname,
    },
    Known {
        name: "a DNAME at an asterisk keeps its owner",
        reason: "RFC 6672 section 3.2, step 3c: for a name below, the match stops at the asterisk itself, and its DNAME is included; \
                 Knot 3.2 writes the name that was asked for as the owner",
        explains: |case, theirs| {
            let is_at_asterisk = |record: &&Record| record.record_type == RecordType::DNAME && record.owner.starts_with(b"\x01*");
            let Some(dname) = case.ours.answer.iter().find(is_at_asterisk) else {
                return false;
            };
            let mut mended = theirs.clone();
            let is_of_dname = |record: &&mut Record| record.record_type == RecordType::DNAME || covers(record, RecordType::DNAME);
            mended
                .answer
                .iter_mut()
                .filter(is_of_dname)
                .for_each(|record| record.owner.clone_from(&dname.owner));
            mended.answer.sort_unstable();
            difference(case.ours, &mended).is_none()
        },
    },
    Known {
        name: "an alias into another zone is followed",
        reason: "RFC 1034 section 4.3.2, step 3a: change QNAME and go back to step 1, which is to look for the zone",
        explains: |case, theirs| {
            last_alias(case, theirs)
                .is_some_and(|(from, to)| zone_of(case.apexes, &from) != zone_of(case.apexes, &to) && goes_on(case, &theirs.answer, &to))
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
                && case.ours.response_code == ResponseCode::NO_ERROR
                && case.ours.authority.iter().all(|record| is_proved(case, record))
                && chain(case.ours) >= 4
                && (is_longer(case.ours, theirs)
                    || (is_longer(theirs, case.ours) && chain(case.ours) >= 10)
                    || theirs.response_code == ResponseCode::SERV_FAIL)
        },
    },
    Known {
        name: "a name that grows too long at the end of a chain is YXDOMAIN",
        reason: "RFC 6672 section 3.2, step 3c, and RFC 6604 section 3: the response code is that of the last name",
        explains: |case, theirs| {
            let grows_too_long = |to: &[u8]| {
                let dnames = case.ours.answer.iter().filter(|record| record.record_type == RecordType::DNAME);
                let mut above = dnames.filter(|dname| to.len() > dname.owner.len() && name::is_subdomain(to, &dname.owner));
                above.any(|dname| to.len() - dname.owner.len() + dname.data.len() > name::MAX_NAME)
            };
            case.ours.response_code == ResponseCode::YX_DOMAIN
                && case.ours.answer.iter().all(is_alias)
                && is_part(&theirs.answer, &case.ours.answer)
                && case.ours.authority.iter().all(|record| is_proved(case, record))
                && last_alias(case, case.ours).is_some_and(|(_, to)| grows_too_long(&to))
        },
    },
    Known {
        name: "a loop is no failure",
        reason: "RFC 1034 section 3.6.2: CNAME loops should be signalled, by the resolver; the records themselves are the answer",
        explains: |case, theirs| {
            theirs.response_code == ResponseCode::SERV_FAIL
                && case.ours.response_code == ResponseCode::NO_ERROR
                && case.ours.answer.iter().all(is_alias)
                && is_part(&theirs.answer, &case.ours.answer)
                && case.ours.authority.iter().all(|record| is_proved(case, record))
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
            case.question.record_type == RecordType::DS
                && last_alias(case, theirs).is_some_and(|(_, to)| case.is_apex(&to) && goes_on(case, &theirs.answer, &to))
        },
    },
    Known {
        name: "an apex that its parent does not know denies its DS itself",
        reason: "RFC 4035 section 3.1.4.1 asks the parent side of a zone cut, and there is none; that it says NXDOMAIN would be taken \
                 for all of the child (RFC 8020), and its wildcards and DNAMEs are not meant for it",
        explains: |case, _| {
            let asked = case.question.wire_name();
            let denied = last_alias(case, case.ours).map_or(asked.to_ascii_lowercase(), |(_, to)| to);
            let denials = || case.ours.authority.iter().filter(|record| !is_proved(case, record));
            let is_shared = |record: &Record| case.theirs.iter().any(|(_, answer)| answer.answer.contains(record));
            case.question.record_type == RecordType::DS
                && case.orphans.contains(&denied)
                && (case.ours.response_code, case.ours.authoritative) == (ResponseCode::NO_ERROR, true)
                && case.ours.answer.iter().all(|record| is_alias(record) && is_shared(record))
                && denials().any(|record| record.record_type == RecordType::SOA)
                && denials().all(|record| name::is_subdomain(&record.owner, &denied))
        },
    },
    Known {
        name: "addresses of servers that are not below the cut",
        reason: "RFC 9471 section 2 calls for the addresses below the cut; others are a courtesy (RFC 1034 section 4.3.2, steps 3b and 6): \
                 those that stand in a zone, and none made from wildcards",
        explains: |case, theirs| {
            let (ours, stands) = (case.ours, |record: &Record| case.owners.contains(&record.owner));
            let is_alone = |record: &&Record| !(ours.additional.contains(record) && theirs.additional.contains(record));
            let mut own = ours.additional.iter().filter(is_alone);
            let mut other = theirs.additional.iter().filter(is_alone);
            ours.is_referral()
                && same_but_additional(ours, theirs)
                && own.all(|record| stands(record) && !is_below_cut(ours, record))
                && other.all(|record| !stands(record))
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
        name: "a few octets more than fit",
        reason: "RFC 1035 section 4.1.4: a program may compress names, and does not have to; BIND points into the data of a DNAME, \
                 which is not compressed itself",
        explains: |case, theirs| {
            let truncated = Answer {
                truncated: true,
                ..theirs.clone()
            };
            !theirs.truncated
                && difference(case.ours, &truncated).is_none()
                && theirs.answer.iter().any(|record| record.record_type == RecordType::DNAME)
                && case.ours.octets <= theirs.octets + MOST_UNCOMPRESSED
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
            matches!(case.question.flavour, Flavour::Plain | Flavour::Usual | Flavour::Narrow)
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

/// Owner and target of the alias at which the answer's chain ends.
fn last_alias(case: &Case<'_>, answer: &Answer) -> Option<(Vec<u8>, Vec<u8>)> {
    answer.last_alias(case.question)
}

/// It is an answer to ANY that ends with what a DNAME stands for, and ours goes on from there.
fn stops_at_dname(case: &Case<'_>, answer: &Answer) -> bool {
    case.question.record_type == RecordType::ANY
        && answer.answer.iter().any(|record| record.record_type == RecordType::DNAME)
        && last_alias(case, answer).is_some_and(|(_, to)| goes_on(case, &answer.answer, &to))
}

/// Ours is these aliases, and after them what we answer to the name that they lead to: it is a question of its own.
fn goes_on(case: &Case<'_>, aliases: &[Record], to: &[u8]) -> bool {
    let Some(end) = case.asked.ours(case.question, to) else {
        return false;
    };
    let whole = [aliases, &end.answer].concat();
    let links = case.ours.answer.iter().filter(|record| record.record_type != RecordType::RRSIG);
    let is_whole = is_part(&whole, &case.ours.answer) || links.count() >= MOST_LINKS;
    aliases.iter().all(is_alias)
        && case.ours.authoritative
        && case.ours.response_code == end.response_code
        && is_whole
        && is_part(&case.ours.answer, &whole)
        && is_part(&end.authority, &case.ours.authority)
        && case
            .ours
            .authority
            .iter()
            .all(|record| end.authority.contains(record) || is_proved(case, record))
}

/// It is part of a proof that another server gives too: that a wildcard was needed on the way.
fn is_proved(case: &Case<'_>, record: &Record) -> bool {
    let is_proof = matches!(record.record_type, RecordType::NSEC | RecordType::NSEC3)
        || covers(record, RecordType::NSEC)
        || covers(record, RecordType::NSEC3);
    is_proof && case.theirs.iter().any(|(_, answer)| answer.authority.contains(record))
}
