//! Data that clients cannot use as it is: digests of a wrong length, service parameters that contradict each other, and the like.

use crate::dns::name::{self, MAX_NAME};
use crate::dns::types::RecordType;
use crate::dns::zone::problem::Problems;
use crate::dns::zone::records::Record;
use crate::dns::zone::store::Zone;

const ALPN: u16 = 1;
const NO_DEFAULT_ALPN: u16 = 2;
const DOH_PATH: u16 = 7;

/// Looks at the data of a record.
pub(super) fn check(zone: &Zone, record: &Record<'_>, problems: &mut Problems) {
    let found = match record.record_type {
        RecordType::DS | RecordType::CDS | RecordType::DLV | RecordType::SSHFP | RecordType::TLSA | RecordType::SMIMEA => digest(record),
        RecordType::ZONEMD => digest(record).or_else(|| zone_digest(zone, record)),
        RecordType::SVCB | RecordType::HTTPS => service(record),
        RecordType::NAPTR => expression(record),
        RecordType::MX => null_exchange(zone, record),
        RecordType::SPF => sender_policy(zone, record),
        _ => None,
    };
    if let Some((message, cure)) = found {
        let message = format!("{} of {}: {message}", record.record_type, name::display(record.owner));
        problems.warning(record.place, message, cure);
    }
}

/// What is wrong, and what to do about it.
type Finding = Option<(String, &'static str)>;

/// A digest whose algorithm says another length.
fn digest(record: &Record<'_>) -> Finding {
    let (algorithm_at, digest_at) = match record.record_type {
        RecordType::SSHFP => (1, 2),
        RecordType::TLSA | RecordType::SMIMEA => (2, 3),
        RecordType::ZONEMD => (5, 6),
        _ => (3, 4),
    };
    let algorithm = *record.rdata.get(algorithm_at)?;
    let expected = digest_length(record.record_type, algorithm)?;
    let found = record.rdata.len() - digest_at;
    let message = || format!("a digest of {found} octets, where algorithm {algorithm} makes {expected}");
    (found != expected).then(|| (message(), "copy the digest again"))
}

/// Octets of a digest, by the algorithm's number in the type's own registry.
fn digest_length(record_type: RecordType, algorithm: u8) -> Option<usize> {
    Some(match (record_type, algorithm) {
        (RecordType::SSHFP, 1) => 20,
        (RecordType::SSHFP, 2) => 32,
        (RecordType::TLSA | RecordType::SMIMEA, 1) => 32,
        (RecordType::TLSA | RecordType::SMIMEA, 2) => 64,
        (RecordType::ZONEMD, 1) => 48,
        (RecordType::ZONEMD, 2) => 64,
        (RecordType::DS | RecordType::CDS | RecordType::DLV, 1) => 20,
        (RecordType::DS | RecordType::CDS | RecordType::DLV, 2 | 3 | 5 | 6) => 32,
        (RecordType::DS | RecordType::CDS | RecordType::DLV, 4) => 48,
        _ => return None,
    })
}

/// A digest of another version of the zone (RFC 8976 §2.2.1).
fn zone_digest(zone: &Zone, record: &Record<'_>) -> Finding {
    let serial = u32::from_be_bytes(*record.rdata.first_chunk()?);
    let is_of_zone = name::equal(record.owner, zone.apex().as_wire());
    let message = || format!("serial {serial}, while that of the SOA is {}", zone.serial());
    (is_of_zone && serial != zone.serial()).then(|| (message(), "make the digest again"))
}

/// Parameters where there is no service to have them, or a protocol list that is missing (RFC 9460 §2.4.2, §7.1.1).
fn service(record: &Record<'_>) -> Finding {
    let is_alias = record.rdata.first_chunk() == Some(&[0, 0]);
    let target = record.rdata.get(2..)?;
    let mut parameters = &target[name::wire_length(target)?..];
    if is_alias && !parameters.is_empty() {
        let cure = "remove the parameters, or write a priority above 0";
        return Some(("an alias (priority 0) has parameters, which clients ignore".to_owned(), cure));
    }
    let mut keys = Vec::new();
    while let Some((head, rest)) = parameters.split_first_chunk::<4>() {
        let key = u16::from_be_bytes([head[0], head[1]]);
        let (value, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([head[2], head[3]])))?;
        if key == DOH_PATH && !has_variable(value, b"dns") {
            let cure = "write a template with it, as in /dns-query{?dns} (RFC 9461 section 5)";
            return Some(("its dohpath has no variable 'dns'".to_owned(), cure));
        }
        keys.push(key);
        parameters = rest;
    }
    let contradicts = keys.contains(&NO_DEFAULT_ALPN) && !keys.contains(&ALPN);
    contradicts.then(|| ("no-default-alpn without alpn leaves no protocol".to_owned(), "write alpn too"))
}

/// True for a URI template with an expression such as `{?dns}` (RFC 6570 §2.2) that has this variable.
fn has_variable(template: &[u8], variable: &[u8]) -> bool {
    let expressions = template.split(|octet| *octet == b'{').skip(1);
    let mut bodies = expressions.filter_map(|rest| rest.split(|octet| *octet == b'}').next());
    bodies.any(|body| {
        let names = body.strip_prefix(b"?").or(body.strip_prefix(b"&")).unwrap_or(body);
        names.split(|octet| *octet == b',').any(|name| name == variable)
    })
}

/// Not `delimiter pattern delimiter replacement delimiter flags` (RFC 3402 §3.2).
fn expression(record: &Record<'_>) -> Finding {
    let mut rest = record.rdata.get(4..)?;
    let mut string = || {
        let (length, after) = rest.split_first()?;
        let (text, after) = after.split_at_checked(usize::from(*length))?;
        rest = after;
        Some(text)
    };
    let (_flags, _services, expression) = (string()?, string()?, string()?);
    let cure = "write delimiter, pattern, delimiter, replacement, delimiter, as in !^.*$!sip:info@example.com!";
    (!expression.is_empty() && !is_substitution(expression)).then(|| ("its expression is no substitution".to_owned(), cure))
}

fn is_substitution(expression: &[u8]) -> bool {
    let Some((delimiter, rest)) = expression.split_first() else {
        return false;
    };
    if delimiter.is_ascii_digit() || matches!(delimiter, b'i' | b'\\' | 0) {
        return false;
    }
    let mut parts = vec![0_usize];
    let mut octets = rest.iter();
    let mut flags: &[u8] = &[];
    while let Some(octet) = octets.next() {
        if octet == delimiter {
            parts.push(0);
            flags = octets.as_slice();
            continue;
        }
        if octet == &b'\\' {
            octets.next();
        }
        if let Some(length) = parts.last_mut() {
            *length += 1;
        }
    }
    parts.len() == 3 && parts[0] > 0 && matches!(flags, b"" | b"i")
}

/// "No mail here" beside servers that take mail (RFC 7505 §3).
fn null_exchange(zone: &Zone, record: &Record<'_>) -> Finding {
    if record.rdata.get(2..) != Some(&[0]) {
        return None;
    }
    let beside = zone
        .node(name::lower_into(record.owner, &mut [0; MAX_NAME]))?
        .rrset(RecordType::MX)?
        .len()
        > 1;
    beside.then(|| {
        (
            "'.' says that no mail is taken, and there are others".to_owned(),
            "remove it, or the others",
        )
    })
}

/// A policy that nobody reads any more, without the one that is read (RFC 7208 §3.1).
fn sender_policy(zone: &Zone, record: &Record<'_>) -> Finding {
    let node = zone.node(name::lower_into(record.owner, &mut [0; MAX_NAME]))?;
    let is_policy = |rdata: &[u8]| rdata.get(1..).is_some_and(|text| text.starts_with(b"v=spf1"));
    let is_there = node.rrset(RecordType::TXT).is_some_and(|texts| texts.records().any(is_policy));
    (!is_there).then(|| {
        (
            "there is no TXT record with this policy".to_owned(),
            "write it as TXT: SPF is no longer read",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_have_variables() {
        for good in ["/dns-query{?dns}", "/{dns}", "/q{?a,dns}", "/q?x=1{&dns}"] {
            assert!(has_variable(good.as_bytes(), b"dns"), "{good}");
        }
        for bad in ["", "/dns", "/q{?dnssec}", "/q?dns}", "{}"] {
            assert!(!has_variable(bad.as_bytes(), b"dns"), "{bad}");
        }
    }

    #[test]
    fn substitutions_have_three_delimiters() {
        for good in ["!^.*$!sip:info@example.com!", "/a/b/i", "!a\\!b!c!", "!^.*$!!"] {
            assert!(is_substitution(good.as_bytes()), "{good}");
        }
        for bad in ["no-delimiters", "!a!b", "!a!b!x", "!!b!", "1a1b1", "!a!b!c!", "\\a\\b\\"] {
            assert!(!is_substitution(bad.as_bytes()), "{bad}");
        }
    }
}
