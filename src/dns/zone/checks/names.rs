//! Names that are allowed, and that some clients do not take: hosts with odd characters, '*' inside a name, wildcard cuts.
//!
//! Any octets make a name (RFC 2181 §11); a host's name has letters, digits and hyphens (RFC 952, RFC 1123 §2.1).

use crate::dns::name;
use crate::dns::types::RecordType;
use crate::dns::zone::problem::Problems;
use crate::dns::zone::records::Record;

const HOST_CURE: &str = "name hosts with letters, digits and hyphens (RFC 1123 section 2.1)";

/// What was said about the owner of the last record, so that a name with many records is not told many times.
#[derive(Debug, Default)]
pub(super) struct Names<'r> {
    odd_host: &'r [u8],
    odd_star: &'r [u8],
}

impl<'r> Names<'r> {
    /// Looks at the owner of a record, and at the host that a SOA or PTR names.
    pub(super) fn check(&mut self, record: &Record<'r>, problems: &mut Problems) {
        self.check_host(record, problems);
        self.check_star(record, problems);
        check_named_host(record, problems);
    }

    fn check_host(&mut self, record: &Record<'r>, problems: &mut Problems) {
        let is_host = matches!(record.record_type, RecordType::A | RecordType::AAAA | RecordType::MX);
        if !is_host || is_owner_of_addresses(record.owner) || name::equal(self.odd_host, record.owner) {
            return;
        }
        self.odd_host = record.owner;
        let message = format!("{} of {}, which is no host name", record.record_type, name::display(record.owner));
        problems.warning(record.place, message, HOST_CURE);
    }

    fn check_star(&mut self, record: &Record<'r>, problems: &mut Problems) {
        let owner = record.owner;
        let is_wildcard = owner.starts_with(b"\x01*");
        if is_wildcard && matches!(record.record_type, RecordType::NS | RecordType::DNAME) {
            let message = format!("{} of the wildcard {}", record.record_type, name::display(owner));
            let cure = "write it for each name: servers and resolvers differ in what it means (RFC 4592 section 4)";
            problems.warning(record.place, message, cure);
        }
        if !name::labels(owner).skip(1).any(|label| label == b"*") || name::equal(self.odd_star, owner) {
            return;
        }
        self.odd_star = owner;
        let message = format!("'*' inside {} is no wildcard", name::display(owner));
        problems.warning(
            record.place,
            message,
            "a wildcard has it as the first label alone (RFC 4592 section 2.1.1)",
        );
    }
}

fn check_named_host(record: &Record<'_>, problems: &mut Problems) {
    let what = match record.record_type {
        RecordType::SOA => "primary server",
        RecordType::PTR if is_reverse(record.owner) => "target",
        _ => return,
    };
    let Some((host, rest)) = name::wire_length(record.rdata).map(|length| record.rdata.split_at(length)) else {
        return;
    };
    if !is_host_name(host) {
        let message = format!("{} {what} {} is no host name", record.record_type, name::display(host));
        problems.warning(record.place, message, HOST_CURE);
    }
    let mailbox = name::labels(rest).next().unwrap_or_default();
    if record.record_type == RecordType::SOA && mailbox.contains(&b'@') {
        let message = format!("SOA mailbox with '@': '{}'", mailbox.escape_ascii());
        problems.warning(record.place, message, "write a dot in its place (RFC 1035 section 8)");
    }
}

fn is_reverse(owner: &[u8]) -> bool {
    [&b"\x07in-addr\x04arpa\0"[..], b"\x03ip6\x04arpa\0"]
        .iter()
        .any(|zone| name::is_subdomain(owner, zone))
}

/// A host, a wildcard that stands for hosts, or the name of a global catalog in an Active Directory.
fn is_owner_of_addresses(owner: &[u8]) -> bool {
    let catalog = b"\x02gc\x06_msdcs";
    let above = owner.split_at_checked(catalog.len());
    let rest = above
        .filter(|(start, _)| start.eq_ignore_ascii_case(catalog))
        .map_or(owner, |(_, rest)| rest);
    name::labels(rest).all(|label| label == b"*" || is_host_label(label))
}

/// Letters, digits and hyphens, no hyphen at an end of a label. The root is no host, and nothing against it.
pub(super) fn is_host_name(wire: &[u8]) -> bool {
    name::labels(wire).all(is_host_label)
}

fn is_host_label(label: &[u8]) -> bool {
    let is_within = |octet: &u8| octet.is_ascii_alphanumeric() || *octet == b'-';
    label.iter().all(is_within) && label.first() != Some(&b'-') && label.last() != Some(&b'-')
}

/// Four numbers as in an IPv4 address, alone or, with a dot forgotten, below the apex.
pub(super) fn is_address_like(wire: &[u8], apex: &[u8]) -> bool {
    let is_inside = name::is_subdomain(wire, apex);
    let own = if is_inside { &wire[..wire.len() - apex.len()] } else { wire };
    let is_number = |label: &[u8]| std::str::from_utf8(label).is_ok_and(|text| text.parse::<u8>().is_ok());
    name::labels(own).count() == 4 && name::labels(own).all(is_number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::name::Name;

    fn wire(text: &str) -> Vec<u8> {
        text.parse::<Name>().unwrap().as_wire().to_vec()
    }

    #[test]
    fn hosts_have_letters_digits_and_inner_hyphens() {
        for good in ["www.example.", "3com.example.", "a-b.example.", "xn--bcher-kva.example.", "."] {
            assert!(is_host_name(&wire(good)), "{good}");
        }
        for bad in [
            "a_b.example.",
            "-a.example.",
            "a-.example.",
            "a\\.b.example.",
            "a\\032b.",
            "*.example.",
            "\\200.",
        ] {
            assert!(!is_host_name(&wire(bad)), "{bad}");
        }
        for owner in ["*.example.", "GC._msdcs.example.", "a.*.example."] {
            assert!(is_owner_of_addresses(&wire(owner)), "{owner}");
        }
        for owner in ["x._msdcs.example.", "a*.example."] {
            assert!(!is_owner_of_addresses(&wire(owner)), "{owner}");
        }
    }

    #[test]
    fn addresses_are_seen_with_and_without_their_dot() {
        let apex = wire("example.com.");
        for address in ["192.0.2.1.", "192.0.2.1.example.com.", "192.0.2.1.EXAMPLE.com."] {
            assert!(is_address_like(&wire(address), &apex), "{address}");
        }
        for name in [
            "192.0.2.example.com.",
            "192.0.2.256.",
            "1.192.0.2.1.",
            "192.0.2.1.example.net.",
            "1.2.3.4.x.example.com.",
            ".",
        ] {
            assert!(!is_address_like(&wire(name), &apex), "{name}");
        }
        assert!(is_address_like(&wire("192.0.2.1."), &[0]));
    }
}
