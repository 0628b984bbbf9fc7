//! Numbers of the DNS with their mnemonics: record types, classes, response codes, opcodes (IANA "DNS Parameters").
//!
//! A number without a mnemonic is written and read as RFC 3597 says: `TYPE65280`, `CLASS32`.

use std::fmt;

macro_rules! numbers {
    ($type:ident: $($(#[doc = $doc:literal])+ $name:ident = $value:literal $text:literal;)+) => {
        impl $type {
            $($(#[doc = $doc])+ pub const $name: Self = Self($value);)+

            /// Every number that has a mnemonic, in the order of the numbers.
            pub const KNOWN: &'static [(Self, &'static str)] = &[$((Self($value), $text),)+];

            /// The mnemonic, for numbers that have one.
            #[must_use]
            pub fn mnemonic(self) -> Option<&'static str> {
                match self.0 {
                    $($value => Some($text),)+
                    _ => None,
                }
            }
        }
    };
}

/// The type of a record, or of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordType(pub u16);

/// The class of a record, or of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Class(pub u16);

/// The code that says how a query went; above 15 only with EDNS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResponseCode(pub u16);

/// What a message asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Opcode(pub u8);

numbers! { RecordType:
    /// IPv4 address (RFC 1035).
    A = 1 "A";
    /// Name server (RFC 1035).
    NS = 2 "NS";
    /// Mail destination, obsolete (RFC 1035).
    MD = 3 "MD";
    /// Mail forwarder, obsolete (RFC 1035).
    MF = 4 "MF";
    /// Canonical name of an alias (RFC 1035).
    CNAME = 5 "CNAME";
    /// Start of authority (RFC 1035).
    SOA = 6 "SOA";
    /// Mailbox, experimental (RFC 1035).
    MB = 7 "MB";
    /// Mail group member, experimental (RFC 1035).
    MG = 8 "MG";
    /// Mail rename, experimental (RFC 1035).
    MR = 9 "MR";
    /// Anything, experimental (RFC 1035).
    NULL = 10 "NULL";
    /// Well-known services (RFC 1035).
    WKS = 11 "WKS";
    /// Pointer to a name (RFC 1035).
    PTR = 12 "PTR";
    /// Host information (RFC 1035, RFC 8482).
    HINFO = 13 "HINFO";
    /// Mailbox information (RFC 1035).
    MINFO = 14 "MINFO";
    /// Mail exchange (RFC 1035).
    MX = 15 "MX";
    /// Text (RFC 1035).
    TXT = 16 "TXT";
    /// Responsible person (RFC 1183).
    RP = 17 "RP";
    /// AFS database (RFC 1183).
    AFSDB = 18 "AFSDB";
    /// X.25 address (RFC 1183).
    X25 = 19 "X25";
    /// ISDN address (RFC 1183).
    ISDN = 20 "ISDN";
    /// Route through (RFC 1183).
    RT = 21 "RT";
    /// NSAP address (RFC 1706).
    NSAP = 22 "NSAP";
    /// NSAP pointer (RFC 1706).
    NSAP_PTR = 23 "NSAP-PTR";
    /// Signature, before RRSIG (RFC 2535).
    SIG = 24 "SIG";
    /// Key, before DNSKEY (RFC 2535).
    KEY = 25 "KEY";
    /// X.400 mapping (RFC 2163).
    PX = 26 "PX";
    /// Geographical position (RFC 1712).
    GPOS = 27 "GPOS";
    /// IPv6 address (RFC 3596).
    AAAA = 28 "AAAA";
    /// Location (RFC 1876).
    LOC = 29 "LOC";
    /// Next, before NSEC (RFC 2535).
    NXT = 30 "NXT";
    /// Endpoint identifier (Nimrod).
    EID = 31 "EID";
    /// Nimrod locator.
    NIMLOC = 32 "NIMLOC";
    /// Service location (RFC 2782).
    SRV = 33 "SRV";
    /// ATM address.
    ATMA = 34 "ATMA";
    /// Naming authority pointer (RFC 3403).
    NAPTR = 35 "NAPTR";
    /// Key exchanger (RFC 2230).
    KX = 36 "KX";
    /// Certificate (RFC 4398).
    CERT = 37 "CERT";
    /// IPv6 address in parts, historic (RFC 6563).
    A6 = 38 "A6";
    /// Redirection of a subtree (RFC 6672).
    DNAME = 39 "DNAME";
    /// Kitchen sink, expired.
    SINK = 40 "SINK";
    /// EDNS, never in a zone (RFC 6891).
    OPT = 41 "OPT";
    /// Address prefix list (RFC 3123).
    APL = 42 "APL";
    /// Delegation signer (RFC 4034).
    DS = 43 "DS";
    /// SSH key fingerprint (RFC 4255).
    SSHFP = 44 "SSHFP";
    /// IPsec key (RFC 4025).
    IPSECKEY = 45 "IPSECKEY";
    /// Signature of an RRset (RFC 4034).
    RRSIG = 46 "RRSIG";
    /// Next name, proof of denial (RFC 4034).
    NSEC = 47 "NSEC";
    /// Key of a zone (RFC 4034).
    DNSKEY = 48 "DNSKEY";
    /// DHCP identifier (RFC 4701).
    DHCID = 49 "DHCID";
    /// Next hashed name, proof of denial (RFC 5155).
    NSEC3 = 50 "NSEC3";
    /// Parameters of the zone's NSEC3 chain (RFC 5155).
    NSEC3PARAM = 51 "NSEC3PARAM";
    /// Certificate association of TLS (RFC 6698).
    TLSA = 52 "TLSA";
    /// Certificate association of S/MIME (RFC 8162).
    SMIMEA = 53 "SMIMEA";
    /// Host identity protocol (RFC 8005).
    HIP = 55 "HIP";
    /// Zone status.
    NINFO = 56 "NINFO";
    /// Key for NAPTR.
    RKEY = 57 "RKEY";
    /// Trust anchor link.
    TALINK = 58 "TALINK";
    /// The child's copy of DS (RFC 7344).
    CDS = 59 "CDS";
    /// The child's copy of DNSKEY (RFC 7344).
    CDNSKEY = 60 "CDNSKEY";
    /// OpenPGP key (RFC 7929).
    OPENPGPKEY = 61 "OPENPGPKEY";
    /// Child-to-parent synchronization (RFC 7477).
    CSYNC = 62 "CSYNC";
    /// Digest of the whole zone (RFC 8976).
    ZONEMD = 63 "ZONEMD";
    /// Service binding (RFC 9460).
    SVCB = 64 "SVCB";
    /// Service binding of HTTPS (RFC 9460).
    HTTPS = 65 "HTTPS";
    /// Where to send notifications (RFC 9859).
    DSYNC = 66 "DSYNC";
    /// Hierarchical host identity tag (RFC 9886).
    HHIT = 67 "HHIT";
    /// Broadcast remote identification (RFC 9886).
    BRID = 68 "BRID";
    /// A value of a UNECE registry (draft-woodcock-faltstrom-external-registry-rrtypes).
    UNECE = 69 "UNECE";
    /// A value of an ISO registry (draft-woodcock-faltstrom-external-registry-rrtypes).
    ISO = 70 "ISO";
    /// Sender policy, replaced by TXT (RFC 7208).
    SPF = 99 "SPF";
    /// User information, reserved.
    UINFO = 100 "UINFO";
    /// User id, reserved.
    UID = 101 "UID";
    /// Group id, reserved.
    GID = 102 "GID";
    /// Unspecified, reserved.
    UNSPEC = 103 "UNSPEC";
    /// Node identifier (RFC 6742).
    NID = 104 "NID";
    /// 32-bit locator (RFC 6742).
    L32 = 105 "L32";
    /// 64-bit locator (RFC 6742).
    L64 = 106 "L64";
    /// Pointer to locators (RFC 6742).
    LP = 107 "LP";
    /// EUI-48 address (RFC 7043).
    EUI48 = 108 "EUI48";
    /// EUI-64 address (RFC 7043).
    EUI64 = 109 "EUI64";
    /// Marks a name that does not exist, in NSEC bitmaps (RFC 9824).
    NXNAME = 128 "NXNAME";
    /// Transaction key, never in a zone (RFC 2930).
    TKEY = 249 "TKEY";
    /// Transaction signature, never in a zone (RFC 8945).
    TSIG = 250 "TSIG";
    /// Question: incremental transfer (RFC 1995).
    IXFR = 251 "IXFR";
    /// Question: whole transfer (RFC 5936).
    AXFR = 252 "AXFR";
    /// Question: mailbox records (RFC 1035).
    MAILB = 253 "MAILB";
    /// Question: mail agents, obsolete (RFC 1035).
    MAILA = 254 "MAILA";
    /// Question: any type (RFC 8482).
    ANY = 255 "ANY";
    /// Uniform resource identifier (RFC 7553).
    URI = 256 "URI";
    /// Who may issue certificates (RFC 8659).
    CAA = 257 "CAA";
    /// Application visibility and control.
    AVC = 258 "AVC";
    /// Digital object architecture.
    DOA = 259 "DOA";
    /// Multicast relay (RFC 8777).
    AMTRELAY = 260 "AMTRELAY";
    /// Information about a resolver (RFC 9606).
    RESINFO = 261 "RESINFO";
    /// Wallet address.
    WALLET = 262 "WALLET";
    /// Convergence layer adapter of delay-tolerant networks.
    CLA = 263 "CLA";
    /// Node number of delay-tolerant networks.
    IPN = 264 "IPN";
    /// Trust anchor.
    TA = 32768 "TA";
    /// DNSSEC look-aside validation, obsolete (RFC 8749).
    DLV = 32769 "DLV";
}

numbers! { Class:
    /// The Internet.
    IN = 1 "IN";
    /// Chaosnet; today the server's own facts.
    CH = 3 "CH";
    /// Hesiod.
    HS = 4 "HS";
    /// No class (RFC 2136).
    NONE = 254 "NONE";
    /// Question: any class.
    ANY = 255 "ANY";
}

numbers! { ResponseCode:
    /// No error.
    NO_ERROR = 0 "NOERROR";
    /// The message is malformed.
    FORM_ERR = 1 "FORMERR";
    /// The server has failed.
    SERV_FAIL = 2 "SERVFAIL";
    /// The name does not exist.
    NX_DOMAIN = 3 "NXDOMAIN";
    /// The request is not implemented.
    NOT_IMP = 4 "NOTIMP";
    /// The server will not answer.
    REFUSED = 5 "REFUSED";
    /// The name exists when it should not; DNAME made a name that is too long (RFC 6672).
    YX_DOMAIN = 6 "YXDOMAIN";
    /// The RRset exists when it should not (RFC 2136).
    YX_RRSET = 7 "YXRRSET";
    /// The RRset does not exist when it should (RFC 2136).
    NX_RRSET = 8 "NXRRSET";
    /// Not authoritative, or not authorized (RFC 2136, RFC 8945).
    NOT_AUTH = 9 "NOTAUTH";
    /// The name is not in the zone (RFC 2136).
    NOT_ZONE = 10 "NOTZONE";
    /// EDNS version not supported (RFC 6891).
    BAD_VERS = 16 "BADVERS";
    /// Key not recognized (RFC 8945).
    BAD_KEY = 17 "BADKEY";
    /// Signature out of its time (RFC 8945).
    BAD_TIME = 18 "BADTIME";
    /// Bad truncation of a signature (RFC 8945).
    BAD_TRUNC = 22 "BADTRUNC";
    /// Bad or missing cookie (RFC 7873).
    BAD_COOKIE = 23 "BADCOOKIE";
}

numbers! { Opcode:
    /// A standard query.
    QUERY = 0 "QUERY";
    /// An inverse query, obsolete.
    IQUERY = 1 "IQUERY";
    /// A server status request.
    STATUS = 2 "STATUS";
    /// A zone has changed (RFC 1996).
    NOTIFY = 4 "NOTIFY";
    /// A dynamic update (RFC 2136).
    UPDATE = 5 "UPDATE";
    /// Stateful operations (RFC 8490).
    DSO = 6 "DSO";
}

impl RecordType {
    /// Reads a mnemonic or `TYPEnnn`, without regard to case.
    #[must_use]
    pub fn from_text(text: &[u8]) -> Option<Self> {
        Self::frequent(text).or_else(|| find_mnemonic(Self::KNOWN, text).or_else(|| generic_number(text, b"TYPE").map(Self)))
    }

    /// Reads the mnemonics that large zones are full of, as they are mostly written.
    #[must_use]
    pub fn frequent(text: &[u8]) -> Option<Self> {
        Some(match text {
            b"A" => Self::A,
            b"NS" => Self::NS,
            b"AAAA" => Self::AAAA,
            b"DS" => Self::DS,
            b"RRSIG" => Self::RRSIG,
            b"NSEC" => Self::NSEC,
            b"NSEC3" => Self::NSEC3,
            b"CNAME" => Self::CNAME,
            b"MX" => Self::MX,
            b"TXT" => Self::TXT,
            b"PTR" => Self::PTR,
            _ => return None,
        })
    }

    /// True for types that only questions or messages have, never the records of a zone (RFC 6895 §3.1).
    #[must_use]
    pub const fn is_meta(self) -> bool {
        matches!(self.0, 0 | 41 | 128..=255)
    }
}

impl Class {
    /// Reads a mnemonic or `CLASSnnn`, without regard to case.
    #[must_use]
    pub fn from_text(text: &[u8]) -> Option<Self> {
        find_mnemonic(Self::KNOWN, text).or_else(|| generic_number(text, b"CLASS").map(Self))
    }
}

impl fmt::Display for RecordType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_number(formatter, self.mnemonic(), "TYPE", self.0)
    }
}

impl fmt::Display for Class {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_number(formatter, self.mnemonic(), "CLASS", self.0)
    }
}

impl fmt::Display for ResponseCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_number(formatter, self.mnemonic(), "RCODE", self.0)
    }
}

impl fmt::Display for Opcode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_number(formatter, self.mnemonic(), "OPCODE", u16::from(self.0))
    }
}

fn find_mnemonic<T: Copy>(known: &[(T, &str)], text: &[u8]) -> Option<T> {
    let found = known.iter().find(|(_, mnemonic)| mnemonic.as_bytes().eq_ignore_ascii_case(text));
    found.map(|(number, _)| *number)
}

fn generic_number(text: &[u8], prefix: &[u8]) -> Option<u16> {
    let (head, digits) = text.split_at_checked(prefix.len())?;
    if !head.eq_ignore_ascii_case(prefix) || digits.is_empty() || digits.len() > 5 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn write_number(formatter: &mut fmt::Formatter<'_>, mnemonic: Option<&str>, prefix: &str, number: u16) -> fmt::Result {
    match mnemonic {
        Some(mnemonic) => formatter.write_str(mnemonic),
        None => write!(formatter, "{prefix}{number}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mnemonics_read_what_they_write() {
        for number in 0..=u16::MAX {
            let (record_type, class) = (RecordType(number), Class(number));
            assert_eq!(RecordType::from_text(record_type.to_string().as_bytes()), Some(record_type));
            assert_eq!(Class::from_text(class.to_string().as_bytes()), Some(class));
        }
    }

    #[test]
    fn rfc_3597_numbers_are_read_for_known_types_too() {
        assert_eq!(RecordType::from_text(b"type28"), Some(RecordType::AAAA));
        assert_eq!(Class::from_text(b"class1"), Some(Class::IN));
        for text in [&b"TYPE"[..], b"TYPE65536", b"TYPE-1", b"TYPE1x", b"TYPE000001", b"BOGUS", b""] {
            assert_eq!(RecordType::from_text(text), None);
        }
    }

    #[test]
    fn the_table_is_in_order() {
        assert!(RecordType::KNOWN.is_sorted_by(|(one, _), (other, _)| one < other));
    }
}
