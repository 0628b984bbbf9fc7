//! What an answer counts as when answers are limited by rate: its kind, and the name that it shares with its like.
//!
//! That name is always the question's, or a name above it; so it is a place in the question, and nothing is copied. It is the
//! question's only where that exists in a zone: whoever makes names up gets the name above them.

use super::message::{Query, Question};
use super::plan::{Authority, Denial, Link, Owner, Plan};
use crate::dns::protect::rate_limit::Kind;
use crate::dns::types::ResponseCode;

/// What an answer counts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its kind.
    pub kind: Kind,
    /// Where in the question's name its own begins; at the end for answers without one.
    name_at: u8,
}

impl Account {
    /// An answer whose name is the question's.
    pub(super) const fn of_question(kind: Kind) -> Self {
        Self { kind, name_at: 0 }
    }

    /// An answer whose name does not matter.
    pub(super) const ERROR: Self = Self {
        kind: Kind::Error,
        name_at: u8::MAX,
    };

    /// What a planned answer counts as.
    pub(super) fn of_plan(question: &Question, plan: &Plan<'_>) -> Self {
        let kind = match (plan.response_code, &plan.authority) {
            (ResponseCode::NX_DOMAIN, _) => Kind::NameError,
            (ResponseCode::NO_ERROR, Authority::Empty) => Kind::Answer,
            (ResponseCode::NO_ERROR, Authority::Referral(_)) => Kind::Referral,
            (ResponseCode::NO_ERROR, Authority::Negative(_)) => Kind::NoData,
            _ => return Self::ERROR,
        };
        let length = match plan.answer.links().next() {
            Some(link) => length_of_link(question, link),
            None => length_of_authority(question, plan),
        };
        Self {
            kind,
            name_at: (question.name().len().saturating_sub(length)) as u8,
        }
    }

    /// The name, in lower case and wire form; empty for answers without one.
    #[must_use]
    pub fn name<'q>(&self, query: &'q Query) -> &'q [u8] {
        let question = query.question.as_ref();
        question
            .and_then(|question| question.name().get(usize::from(self.name_at)..))
            .unwrap_or(&[])
    }
}

/// What the first part of an answer says of the question's name, whatever comes after it.
fn length_of_link(question: &Question, link: &Link<'_>) -> usize {
    if let Some(wildcard) = link.wildcard {
        return wildcard.name().len() - b"\x01*".len();
    }
    match link.owner {
        Owner::Known(owner) if link.content.is_dname() => owner.len(),
        _ => question.name().len(),
    }
}

fn length_of_authority(question: &Question, plan: &Plan<'_>) -> usize {
    match plan.authority {
        Authority::Empty => question.name().len(),
        Authority::Referral(referral) => referral.cut.name().len(),
        Authority::Negative(negative) => match negative.denial {
            Denial::NoData { node } => node.name().len(),
            Denial::WildcardNoData { closest_encloser, .. } => closest_encloser.name().len(),
            Denial::NoName { .. } => negative.zone.apex().as_wire().len(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::answer::{answer, fixture};
    use crate::dns::name;
    use crate::dns::types::RecordType;

    const ZONE: &str = "
$TTL 60
@               SOA   ns host 1 2 3 4 5
@               NS    ns
ns              A     192.0.2.53
www             A     192.0.2.80
alias           CNAME www
broken          CNAME nothing
*.wild          A     192.0.2.81
*.alias         CNAME www
dname           DNAME elsewhere
cut             NS    ns.cut
ns.cut          A     192.0.2.54
a.b.empty       A     192.0.2.82
";

    fn account(name: &str, record_type: RecordType) -> (Kind, String) {
        let zones = fixture::zones(&[("example.", ZONE)]);
        let question = Question::new(&name.parse().unwrap(), record_type);
        let account = Account::of_plan(&question, &answer(&zones, &question, true));
        let shown = question
            .name()
            .get(usize::from(account.name_at)..)
            .map_or(String::new(), |wire| name::display(wire).to_string());
        (account.kind, shown)
    }

    #[test]
    fn names_that_can_be_made_up_count_as_the_one_above_them() {
        let rows = [
            ("www.example.", Kind::Answer, "www.example."),
            ("WWW.Example.", Kind::Answer, "www.example."),
            ("alias.example.", Kind::Answer, "alias.example."),
            ("broken.example.", Kind::NameError, "broken.example."),
            ("x.example.", Kind::NameError, "example."),
            ("x.y.z.example.", Kind::NameError, "example."),
            ("x.www.example.", Kind::NameError, "example."),
            ("x.wild.example.", Kind::Answer, "wild.example."),
            ("x.y.wild.example.", Kind::Answer, "wild.example."),
            ("x.alias.example.", Kind::Answer, "alias.example."),
            ("x.dname.example.", Kind::NameError, "dname.example."),
            ("x.y.dname.example.", Kind::NameError, "dname.example."),
            ("cut.example.", Kind::Referral, "cut.example."),
            ("x.y.cut.example.", Kind::Referral, "cut.example."),
            ("empty.example.", Kind::NoData, "empty.example."),
            ("elsewhere.test.", Kind::Error, ""),
        ];
        for (name, kind, expected) in rows {
            assert_eq!(account(name, RecordType::A), (kind, expected.to_owned()), "{name}");
        }
        let rows = [
            ("www.example.", Kind::NoData, "www.example."),
            ("x.wild.example.", Kind::NoData, "wild.example."),
            ("x.alias.example.", Kind::NoData, "alias.example."),
        ];
        for (name, kind, expected) in rows {
            assert_eq!(account(name, RecordType::TXT), (kind, expected.to_owned()), "{name}");
        }
        assert_eq!(account("example.", RecordType::AXFR), (Kind::Error, String::new()));
    }

    #[test]
    fn a_name_that_became_too_long_is_an_error() {
        let label = "a".repeat(60);
        let name = format!("{label}.{label}.{label}.long.example.");
        let zones = fixture::zones(&[("example.", &format!("{ZONE}long DNAME {label}.elsewhere\n"))]);
        let question = Question::new(&name.parse().unwrap(), RecordType::A);
        let plan = answer(&zones, &question, false);
        assert_eq!(plan.response_code, ResponseCode::YX_DOMAIN);
        assert_eq!(Account::of_plan(&question, &plan), Account::ERROR);
    }
}
