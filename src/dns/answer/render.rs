//! A plan becomes octets: sections, EDNS, truncation (RFC 2181 §9, RFC 6891 §7, RFC 9471 §3).
//!
//! Decides nothing about names and types. RRsets go in whole or not at all. The TC bit says that something is missing that
//! the client needs: answer, authority or required glue; a missing courtesy is not said. The OPT record always fits.

use super::additional;
use super::edns::{EDNS_VERSION, ExtendedError, OptRecord};
use super::message::{AA, HEADER, QR, Query, TC};
use super::plan::{Authority, Content, Link, Owner, Plan, Referral};
use super::writer::{Full, OwnerName, RecordHead, Section, Writer};
use super::{Client, Host, Reply};
use crate::dns::types::{Class, RecordType, ResponseCode};
use crate::dns::zone::{Rrset, ZoneSet};

/// A message with header and question, to which sections are added.
pub(super) struct Render<'m, 'b> {
    query: &'m Query,
    /// Our OPT record, if the client has one; response code and extended error are yet to come.
    opt: Option<OptRecord<'m>>,
    writer: Writer<'b>,
    truncated: bool,
}

impl<'m, 'b> Render<'m, 'b> {
    /// Begins the answer to `query`, which was read from `message`. The buffer's length is the answer's limit.
    #[inline(always)] // it is large: made elsewhere, it would have to be moved
    pub(super) fn begin(query: &'m Query, host: &'m Host<'m>, client: &'m Client, message: &'m [u8], buffer: &'b mut [u8]) -> Self {
        let opt = opt_record(query, host, client);
        let mut writer = Writer::new(buffer, opt.map_or(0, |record| record.octets()));
        let question = query.question.as_ref().map_or(0, |question| question.name().len() + 4);
        let question = message.get(HEADER..HEADER + question).unwrap_or(&[]);
        let truncated = !question.is_empty() && writer.question(question).is_err();
        Self {
            query,
            opt,
            writer,
            truncated,
        }
    }

    /// Ends an answer without records; says why to clients with EDNS.
    pub(super) fn refuse(&mut self, response_code: ResponseCode, error: Option<ExtendedError>) -> Reply {
        if let Some(record) = &mut self.opt {
            record.error = error;
        }
        self.finish(response_code, false)
    }

    /// Ends an answer without records: the client is to ask again over TCP.
    pub(super) fn cut(&mut self, response_code: ResponseCode) -> Reply {
        self.truncated = true;
        self.finish(response_code, false)
    }

    /// Writes what was planned, and ends the answer.
    pub(super) fn plan(&mut self, zones: &ZoneSet, plan: &Plan<'_>) -> Reply {
        if self.needed(plan).is_err() {
            self.truncated = true;
        } else {
            let writer = &mut self.writer;
            additional::courtesy(zones, plan, |node, rrset| {
                put(
                    writer,
                    Section::Additional,
                    OwnerName::Wire(node.name()),
                    rrset,
                    rrset.ttl(),
                    plan.dnssec_ok,
                )
                .is_ok()
            });
        }
        self.finish(plan.response_code, plan.authoritative)
    }

    /// Writes a TXT record of class CH with one string, and ends the answer.
    pub(super) fn chaos_text(&mut self, text: &[u8]) -> Reply {
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
            put(
                &mut self.writer,
                Section::Authority,
                OwnerName::Wire(node.name()),
                rrset,
                rrset.ttl(),
                true,
            )?;
        }
        for (node, rrset) in additional::required(plan) {
            put(
                &mut self.writer,
                Section::Additional,
                OwnerName::Wire(node.name()),
                rrset,
                rrset.ttl(),
                false,
            )?;
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

    fn finish(&mut self, response_code: ResponseCode, authoritative: bool) -> Reply {
        self.write_opt(response_code);
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
            account: None,
        }
    }

    fn write_opt(&mut self, response_code: ResponseCode) {
        let Some(mut record) = self.opt else { return };
        record.response_code = response_code;
        let outcome = self.writer.opt(record.octets(), |room| record.write(room));
        debug_assert_eq!(outcome, Ok(()), "room for it was reserved, and an error has no records beside it");
    }
}

/// Our side of EDNS, for a client that has it. To other versions than ours nothing is said but which one that is.
fn opt_record<'m>(query: &Query, host: &Host<'m>, client: &'m Client) -> Option<OptRecord<'m>> {
    let edns = query.edns.as_ref()?;
    let speaks_ours = edns.version == EDNS_VERSION;
    Some(OptRecord {
        udp_payload: host.udp_payload,
        dnssec_ok: edns.dnssec_ok,
        response_code: ResponseCode::NO_ERROR,
        identity: (edns.wants_nsid && speaks_ours).then_some(host.identity),
        cookie: client.cookie.as_ref().map(|exchange| &exchange.answer),
        keepalive: client.keepalive.filter(|_| edns.wants_keepalive),
        error: None,
    })
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
