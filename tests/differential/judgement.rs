//! Who is right: the majority of the peers, but for the differences known by name.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use heraldns::dns::name::{self, Name};
use heraldns::dns::types::RecordType;

use crate::answer::{Answer, Record};
use crate::asked::Asked;
use crate::comparison::Difference;
use crate::known;
use crate::questions::Question;
use crate::servers::Program;

/// One question and all answers to it.
pub(crate) struct Case<'c> {
    pub(crate) question: &'c Question,
    /// With the other questions about the family.
    pub(crate) asked: &'c Asked,
    pub(crate) ours: &'c Answer,
    /// Of those that load all zones of the family.
    pub(crate) theirs: &'c [(Program, &'c Answer)],
    /// The names of the family's zones, in lower case.
    pub(crate) apexes: &'c [Name],
    /// The names in wire form that have records, in lower case.
    pub(crate) owners: &'c BTreeSet<Vec<u8>>,
    /// The apexes in wire form of which the zone above them knows nothing.
    pub(crate) orphans: &'c BTreeSet<Vec<u8>>,
}

impl Case<'_> {
    /// Whether a name in wire form is the apex of a zone.
    pub(crate) fn is_apex(&self, wire: &[u8]) -> bool {
        self.apexes.iter().any(|apex| name::equal(apex.as_wire(), wire))
    }
}

/// What is said about a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict<'c> {
    /// Ours has as many votes as any other answer.
    Agreed,
    /// Ours is another, and a rule says why it is right.
    Known(&'static str),
    /// Ours is another than the majority's, here given.
    Different(&'c Answer),
}

/// The first part in which two answers differ.
pub(crate) fn difference(ours: &Answer, theirs: &Answer) -> Option<&'static str> {
    if ours.response_code != theirs.response_code {
        Some("response code")
    } else if ours.authoritative != theirs.authoritative {
        Some("AA")
    } else if ours.answer != theirs.answer {
        Some("answer")
    } else if ours.authority != theirs.authority {
        Some("authority")
    } else if glue(ours) != glue(theirs) {
        Some("glue")
    } else if ours.truncated != theirs.truncated {
        Some("TC")
    } else if (ours.question, ours.edns, ours.authentic) != (theirs.question, theirs.edns, theirs.authentic) {
        Some("question, EDNS or AD")
    } else {
        None
    }
}

/// The addresses in the additional section, as far as they are compared: in referrals.
fn glue(answer: &Answer) -> Vec<&Record> {
    let is_glue = |record: &&Record| matches!(record.record_type, RecordType::A | RecordType::AAAA);
    match answer.is_referral() {
        true => answer.additional.iter().filter(is_glue).collect(),
        false => Vec::new(),
    }
}

/// Judges a case.
pub(crate) fn judge<'c>(case: &Case<'c>) -> Verdict<'c> {
    let votes = |answer: &Answer| {
        let same = |(_, other): &&(Program, &Answer)| difference(answer, other).is_none();
        case.theirs.iter().filter(same).count()
    };
    let Some((_, majority)) = case.theirs.iter().max_by_key(|(_, answer)| votes(answer)) else {
        return Verdict::Agreed;
    };
    let own_votes = votes(case.ours);
    if own_votes > 0 && own_votes >= votes(majority) {
        return Verdict::Agreed;
    }
    match known::find(case, majority) {
        Some(known) => Verdict::Known(known.name),
        None => Verdict::Different(majority),
    }
}

/// Counts of everything that was compared.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    pub(crate) zones: usize,
    pub(crate) questions: usize,
    /// Zones that no signer signs, served without signatures.
    pub(crate) unsigned: usize,
    /// Zones that a program does not load.
    pub(crate) unloaded: BTreeMap<&'static str, usize>,
    /// Differences that are known, by name.
    pub(crate) known: BTreeMap<&'static str, usize>,
    /// Peers that stand alone, by name and part.
    pub(crate) alone: BTreeMap<(&'static str, &'static str), usize>,
    /// Differences that fail the test, by part.
    pub(crate) different: BTreeMap<String, usize>,
}

impl Figures {
    /// Counts the peers that differ from ours when ours is the majority's.
    pub(crate) fn count_alone(&mut self, case: &Case<'_>) {
        for (program, answer) in case.theirs {
            if let Some(part) = difference(case.ours, answer) {
                *self.alone.entry((program.name(), part)).or_default() += 1;
            }
        }
    }

    /// Counts a difference.
    pub(crate) fn difference(&mut self, class: String, question: Option<Question>, text: String) -> Difference {
        *self.different.entry(class.clone()).or_default() += 1;
        Difference { class, question, text }
    }

    pub(crate) fn to_text(&self) -> String {
        let mut text = format!("figure: {} zones, {} questions", self.zones, self.questions);
        let different: usize = self.different.values().sum();
        let known: usize = self.known.values().sum();
        write!(text, ", {different} differences, {known} known differences").unwrap();
        if self.unsigned > 0 {
            write!(text, "\n  {} zones could not be signed", self.unsigned).unwrap();
        }
        for (program, count) in &self.unloaded {
            write!(text, "\n  {count} zones not loaded by {program}").unwrap();
        }
        for (part, count) in &self.different {
            write!(text, "\n  DIFFERENT in {part}: {count}").unwrap();
        }
        for (name, count) in &self.known {
            write!(text, "\n  known, {name}: {count}").unwrap();
        }
        for ((program, part), count) in &self.alone {
            write!(text, "\n  {program} alone differs in {part}: {count}").unwrap();
        }
        text
    }
}
