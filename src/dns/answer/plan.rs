//! The plan of an answer: which RRsets go where, as references into the zones, before any octet is written.
//!
//! A plan says everything that is decided by zones and question. It does not know sizes, message ids or transports;
//! what falls to truncation is up to [`render`](super::render).

use super::proof::Proof;
use crate::dns::name::Name;
use crate::dns::types::{RecordType, ResponseCode};
use crate::dns::zone::{Node, Rrset, Zone};

/// More RRsets than this are not chained in one answer: the client goes on asking where the chain ends.
pub const MAX_CHAIN: usize = 16;

/// What is answered.
#[derive(Debug)]
pub struct Plan<'z> {
    /// The outcome.
    pub response_code: ResponseCode,
    /// The AA bit: the zone of the question's name is served here, and the name is not below a cut.
    pub authoritative: bool,
    /// Signatures go along where there are any.
    pub dnssec_ok: bool,
    /// The answer section.
    pub answer: Chain<'z>,
    /// The authority section.
    pub authority: Authority<'z>,
    /// What proves the denials in it, and those that wildcards in the answer section need; it goes after the rest of it.
    pub proof: Proof<'z>,
}

impl Plan<'_> {
    /// A plan with empty sections.
    #[must_use]
    #[inline(always)] // or it would be made elsewhere and moved
    pub fn empty(response_code: ResponseCode) -> Self {
        Plan {
            response_code,
            authoritative: false,
            dnssec_ok: false,
            answer: Chain::new(),
            authority: Authority::Empty,
            proof: Proof::empty(),
        }
    }
}

/// Whose name an RRset of the answer section has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner<'z> {
    /// The question's, in the question's case.
    Question,
    /// A name in wire form that stands in a zone: a node's own, or an alias's target.
    Known(&'z [u8]),
    /// One of [`Chain::made`].
    Made(usize),
}

/// One part of the answer section.
#[derive(Clone, Copy, Debug)]
pub struct Link<'z> {
    /// Whose it is.
    pub owner: Owner<'z>,
    /// What it is.
    pub content: Content<'z>,
    /// The wildcard it was made from (RFC 4592 §3.3); its proof denies the owner's name.
    pub wildcard: Option<Node<'z>>,
}

/// What one part of the answer section holds.
#[derive(Clone, Copy, Debug)]
pub enum Content<'z> {
    /// An RRset, with its signatures if they are wanted.
    Records(Rrset<'z>),
    /// Only the signatures of an RRset, when RRSIG was asked for.
    Signatures(Rrset<'z>),
    /// The CNAME that a DNAME stands for (RFC 6672 §3.1): its TTL, and which of [`Chain::made`] it points to.
    Alias {
        /// In seconds.
        ttl: u32,
        /// Index into [`Chain::made`].
        target: usize,
    },
}

impl Content<'_> {
    /// True for the RRset of a DNAME.
    pub(super) fn is_dname(&self) -> bool {
        matches!(self, Self::Records(rrset) if rrset.record_type() == RecordType::DNAME)
    }
}

/// The answer section: aliases from one to the next, then what was asked for.
#[derive(Debug)]
pub struct Chain<'z> {
    links: [Option<Link<'z>>; MAX_CHAIN],
    length: usize,
    /// Names that stand in no zone: what DNAMEs made. Nothing is allocated for answers without a DNAME.
    pub made: Vec<Name>,
}

impl<'z> Chain<'z> {
    #[inline(always)]
    fn new() -> Self {
        Self {
            links: [const { None }; MAX_CHAIN],
            length: 0,
            made: Vec::new(),
        }
    }

    /// The parts in the order in which they are sent.
    pub fn links(&self) -> impl Iterator<Item = &Link<'z>> {
        self.links[..self.length].iter().flatten()
    }

    /// True when nothing is answered.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// How many parts still fit.
    pub(super) const fn room(&self) -> usize {
        MAX_CHAIN - self.length
    }

    /// Adds a part. The caller has looked at [`room`](Self::room).
    pub(super) fn push(&mut self, link: Link<'z>) {
        debug_assert!(self.length < MAX_CHAIN, "the chain is full");
        if let Some(slot) = self.links.get_mut(self.length) {
            *slot = Some(link);
            self.length += 1;
        }
    }
}

/// The authority section.
#[derive(Clone, Copy, Debug)]
pub enum Authority<'z> {
    /// Nothing: answers are minimal.
    Empty,
    /// The NS records of a cut, its DS, and the addresses that belong to them.
    Referral(Referral<'z>),
    /// The zone's SOA, with the TTL of negative answers (RFC 2308 §3).
    Negative(Negative<'z>),
}

/// Where the client is to ask instead.
#[derive(Clone, Copy, Debug)]
pub struct Referral<'z> {
    /// The parent's zone.
    pub zone: &'z Zone,
    /// The cut in it.
    pub cut: Node<'z>,
    /// Its DS, if it is signed and wanted.
    pub signers: Option<Rrset<'z>>,
}

/// That there is nothing, and why.
#[derive(Clone, Copy, Debug)]
pub struct Negative<'z> {
    /// The zone that says so.
    pub zone: &'z Zone,
    /// What is to be proved.
    pub denial: Denial<'z>,
}

/// What a negative answer denies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial<'z> {
    /// The name exists, the type does not.
    NoData {
        /// The name's node.
        node: Node<'z>,
    },
    /// The name does not exist, a wildcard stands for it, and that has no such type.
    WildcardNoData {
        /// The deepest existing name above the one in question.
        closest_encloser: Node<'z>,
        /// The wildcard below it.
        wildcard: Node<'z>,
    },
    /// The name does not exist, and no wildcard stands for it.
    NoName {
        /// The deepest existing name above the one in question.
        closest_encloser: Node<'z>,
    },
}
