//! A plan becomes octets: sections, EDNS, truncation (RFC 2181 §9, RFC 6891 §7, RFC 9471 §3).
//!
//! Decides nothing about names and types. RRsets go in whole or not at all. The TC bit says that something is missing that
//! the client needs: answer, authority or required glue; a missing courtesy is not said. The OPT record always fits.

use super::additional;
use super::message::{AA, EDNS_VERSION, HEADER, NSID, QR, Query, TC};
use super::plan::{Authority, Content, Link, Owner, Plan, Referral};
use super::writer::{Full, OwnerName, RecordHead, Section, Writer};
use super::{Host, Reply};
use crate::dns::types::{Class, RecordType, ResponseCode};
use crate::dns::zone::{Rrset, ZoneSet};

/// Octets of an OPT record without options, and of the head of an option.
const OPT: usize = 11;
const OPTION: usize = 4;
/// Longer identities are cut, so that header, question and OPT record always fit 512 octets.
const MAX_IDENTITY: usize = 200;
const DNSSEC_OK: u32 = 0x8000;

/// A message with header and question, to which sections are added.
pub(super) struct Render<'m, 'b> {
    query: &'m Query,
    host: &'m Host<'m>,
    writer: Writer<'b>,
    truncated: bool,
}

impl<'m, 'b> Render<'m, 'b> {
    /// Begins the answer to `query`, which was read from `message`. The buffer's length is the answer's limit.
    pub(super) fn begin(query: &'m Query, host: &'m Host<'m>, message: &'m [u8], buffer: &'b mut [u8]) -> Self {
        let options = nsid(query, host).map_or(0, |identity| OPTION + identity.len());
        let reserved = query.edns.map_or(0, |_| OPT + options);
        let mut writer = Writer::new(buffer, reserved);
        let question = query.question.as_ref().map_or(0, |question| question.name().len() + 4);
        let question = message.get(HEADER..HEADER + question).unwrap_or(&[]);
        let truncated = !question.is_empty() && writer.question(question).is_err();
        Self {
            query,
            host,
            writer,
            truncated,
        }
    }

    /// Ends an answer without records.
    pub(super) fn refuse(self, response_code: ResponseCode) -> Reply {
        self.finish(response_code, false)
    }

    /// Writes what was planned, and ends the answer.
    pub(super) fn plan(mut self, zones: &ZoneSet, plan: &Plan<'_>) -> Reply {
        if self.needed(plan).is_err() {
            self.truncated = true;
        } else {
            let writer = &mut self.writer;
            additional::courtesy(zones, plan, |node, rrset| {
                put(writer, Section::Additional, OwnerName::Wire(node.name()), rrset, rrset.ttl(), plan.dnssec_ok).is_ok()
            });
        }
        self.finish(plan.response_code, plan.authoritative)
    }

    /// Writes a TXT record of class CH with one string, and ends the answer.
    pub(super) fn chaos_text(mut self, text: &[u8]) -> Reply {
        let text = &text[..text.len().min(usize::from(u8::MAX))];
        let head = RecordHead {
            owner: OwnerName::Question,
            record_type: RecordType::TXT,
            ttl: 0,
        };
        self.truncated |= self.writer.single(head, Class::CH, &[&[text.len() as u8], text]).is_err();
        self.finish(ResponseCode::NO_ERROR, false)
    }

    /// Everything that the client cannot do without.
    fn needed(&mut self, plan: &Plan<'_>) -> Result<(), Full> {
        for link in plan.answer.links() {
            self.link(plan, link)?;
        }
        match plan.authority {
            Authority::Empty => {}
            Authority::Negative(negative) => {
                let (owner, ttl) = (OwnerName::Wire(negative.zone.apex().as_wire()), negative.zone.negative_ttl());
                put(
                    &mut self.writer,
                    Section::Authority,
                    owner,
                    negative.zone.soa(),
                    ttl,
                    plan.dnssec_ok,
                )?;
            }
            Authority::Referral(referral) => self.referral(referral)?,
        }
        for (node, rrset) in plan.proof.rrsets() {
            put(&mut self.writer, Section::Authority, OwnerName::Wire(node.name()), rrset, rrset.ttl(), true)?;
        }
        for (node, rrset) in additional::required(plan) {
            put(&mut self.writer, Section::Additional, OwnerName::Wire(node.name()), rrset, rrset.ttl(), false)?;
        }
        Ok(())
    }

    fn link(&mut self, plan: &Plan<'_>, link: &Link<'_>) -> Result<(), Full> {
        let owner = match link.owner {
            Owner::Question => OwnerName::Question,
            Owner::Known(wire) => OwnerName::Wire(wire),
            Owner::Made(index) => OwnerName::Wire(plan.answer.made[index].as_wire()),
        };
        match link.content {
            Content::Records(rrset) => put(&mut self.writer, Section::Answer, owner, rrset, rrset.ttl(), plan.dnssec_ok),
            Content::Signatures(rrset) => {
                let head = RecordHead {
                    owner,
                    record_type: RecordType::RRSIG,
                    ttl: rrset.ttl(),
                };
                self.writer.records(Section::Answer, [(head, rrset.signatures())])
            }
            Content::Alias { ttl, target } => {
                let head = RecordHead {
                    owner,
                    record_type: RecordType::CNAME,
                    ttl,
                };
                let target = plan.answer.made[target].as_wire();
                self.writer.records(Section::Answer, [(head, std::iter::once(target))])
            }
        }
    }

    fn referral(&mut self, referral: Referral<'_>) -> Result<(), Full> {
        let cut = referral.cut;
        let owner = OwnerName::Wire(cut.name());
        if let Some(servers) = cut.rrset(RecordType::NS) {
            put(&mut self.writer, Section::Authority, owner, servers, servers.ttl(), false)?;
        }
        if let Some(signers) = referral.signers {
            put(&mut self.writer, Section::Authority, owner, signers, signers.ttl(), true)?;
        }
        Ok(())
    }

    fn finish(mut self, response_code: ResponseCode, authoritative: bool) -> Reply {
        self.opt(response_code);
        let mut flags = self.query.repeated_flags() | QR | (response_code.0 & 0x0f);
        if authoritative {
            flags |= AA;
        }
        if self.truncated {
            flags |= TC;
        }
        self.writer.set_u16(0, self.query.id);
        self.writer.set_u16(2, flags);
        Reply {
            octets: self.writer.len(),
            response_code,
            truncated: self.truncated,
        }
    }

    fn opt(&mut self, response_code: ResponseCode) {
        if self.query.edns.is_none() {
            return;
        }
        self.writer.release_reserved();
        let identity = nsid(self.query, self.host);
        let options = identity.map_or(0, |identity| OPTION + identity.len());
        let mut ttl = u32::from(response_code.0 >> 4) << 24 | u32::from(EDNS_VERSION) << 16;
        if self.query.dnssec_ok() {
            ttl |= DNSSEC_OK;
        }
        let mut record = [0; OPT];
        record[1..3].copy_from_slice(&RecordType::OPT.0.to_be_bytes());
        record[3..5].copy_from_slice(&self.host.udp_payload.to_be_bytes());
        record[5..9].copy_from_slice(&ttl.to_be_bytes());
        record[9..11].copy_from_slice(&(options as u16).to_be_bytes());
        let outcome = match identity {
            None => self.writer.opt(&[&record]),
            Some(identity) => {
                let mut head = [0; OPTION];
                head[..2].copy_from_slice(&NSID.to_be_bytes());
                head[2..].copy_from_slice(&(identity.len() as u16).to_be_bytes());
                self.writer.opt(&[&record, &head, identity])
            }
        };
        debug_assert_eq!(outcome, Ok(()), "room for it was reserved");
    }
}

/// The identity, if the client asks for it (RFC 5001).
fn nsid<'h>(query: &Query, host: &Host<'h>) -> Option<&'h [u8]> {
    let asked = query.edns.is_some_and(|edns| edns.wants_nsid && edns.version == EDNS_VERSION);
    asked.then(|| &host.identity[..host.identity.len().min(MAX_IDENTITY)])
}

/// Writes an RRset, and its signatures if they are wanted.
fn put(writer: &mut Writer<'_>, section: Section, owner: OwnerName<'_>, rrset: Rrset<'_>, ttl: u32, signatures: bool) -> Result<(), Full> {
    let head = |record_type| RecordHead { owner, record_type, ttl };
    let records = (head(rrset.record_type()), rrset.records());
    if signatures {
        writer.records(section, [records, (head(RecordType::RRSIG), rrset.signatures())])
    } else {
        writer.records(section, [records])
    }
}
