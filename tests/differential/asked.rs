//! What one family was asked, and what each server answered: first what was planned, then what these answers lead to.
//!
//! A server may stop at an alias where another one goes on. The name where it stops is asked too, so that what the others
//! added can be held against the answer to that name, and that against the majority's.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::thread;

use heraldns::dns::name::{self, Name};
use heraldns::dns::types::RecordType;

use crate::answer::Answer;
use crate::client::{self, Times};
use crate::judgement::difference;
use crate::questions::{Flavour, Question};
use crate::servers::{Program, Server};

/// Questions about one family, and the answers in their order; none where nothing came, or it is malformed.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    pub(crate) questions: Vec<Question>,
    pub(crate) answers: BTreeMap<Program, Vec<Option<Answer>>>,
    places: HashMap<Key, usize>,
}

/// Answers are followed so many times: some chains have no end.
const MOST_ROUNDS: usize = 4;

/// Name in lower case, type, and what the client says about EDNS.
type Key = (Vec<u8>, RecordType, Flavour);

impl Asked {
    /// Our answer to the question for another name, but otherwise like this one, if it was asked.
    pub(crate) fn ours(&self, like: &Question, name: &[u8]) -> Option<&Answer> {
        let place = self.places.get(&(name.to_ascii_lowercase(), like.record_type, like.flavour))?;
        self.answers[&Program::Heraldns][*place].as_ref()
    }

    /// Questions that were not asked yet, for the names at which an answer stops that is not everybody's, and from which another
    /// server may go on where this one does not: in another zone, or for one of the types about which they are not of one mind.
    fn further(&self, apexes: &[Name]) -> Vec<Question> {
        let mut found = BTreeSet::new();
        for (place, question) in self.questions.iter().enumerate() {
            let answers: Vec<&Answer> = self.answers.values().filter_map(|answers| answers[place].as_ref()).collect();
            if answers.windows(2).all(|pair| difference(pair[0], pair[1]).is_none()) {
                continue;
            }
            let is_special = matches!(question.record_type, RecordType::ANY | RecordType::DS);
            for (from, to) in answers.iter().filter_map(|answer| answer.last_alias(question)) {
                let zone = zone_of(apexes, &to);
                let key = (to, question.record_type, question.flavour);
                if zone.is_some() && (is_special || zone != zone_of(apexes, &from)) && !self.places.contains_key(&key) {
                    found.insert(key);
                }
            }
        }
        let question = |(name, record_type, flavour): &Key| Question::new(&name::display(name).to_string(), *record_type, *flavour);
        found.iter().filter_map(question).collect()
    }

    fn add(&mut self, question: Question) {
        let key = (question.wire_name().to_ascii_lowercase(), question.record_type, question.flavour);
        self.places.entry(key).or_insert(self.questions.len());
        self.questions.push(question);
    }
}

/// Asks all servers these questions about each family, whose zones have these apexes, and what their answers lead to.
pub(crate) fn ask(servers: &[Server], families: Vec<(Vec<Question>, &[Name])>) -> Vec<Asked> {
    let (mut questions, apexes): (Vec<_>, Vec<_>) = families.into_iter().unzip();
    let mut asked: Vec<Asked> = questions.iter().map(|_| Asked::default()).collect();
    for _ in 0..MOST_ROUNDS {
        if questions.iter().all(Vec::is_empty) {
            break;
        }
        let all: Vec<Question> = questions.iter().flatten().cloned().collect();
        let mut answers = ask_all(servers, &all);
        for (asked, questions) in asked.iter_mut().zip(&mut questions) {
            for (program, answers) in &mut answers {
                let own = answers.drain(..questions.len());
                asked.answers.entry(*program).or_default().extend(own);
            }
            questions.drain(..).for_each(|question| asked.add(question));
        }
        questions = asked.iter().zip(&apexes).map(|(asked, apexes)| asked.further(apexes)).collect();
    }
    asked
}

/// The apex of the zone, of those with these apexes, that a name in wire form is in.
pub(crate) fn zone_of<'a>(apexes: &'a [Name], wire: &[u8]) -> Option<&'a Name> {
    let above = apexes.iter().filter(|apex| name::is_subdomain(wire, apex.as_wire()));
    above.max_by_key(|apex| apex.as_wire().len())
}

/// Asks all servers at the same time.
fn ask_all(servers: &[Server], questions: &[Question]) -> Vec<(Program, Vec<Option<Answer>>)> {
    thread::scope(|scope| {
        let start = |server: &Server| {
            let (program, address) = (server.program, server.address);
            let times = match program {
                Program::Heraldns => Times::Twice,
                Program::Nsd | Program::Knot | Program::Bind => Times::Once,
            };
            let ask = move || {
                let replies = client::ask(address, questions, times);
                let pairs = questions.iter().zip(&replies);
                pairs.map(|(question, reply)| Answer::read(question, reply)).collect()
            };
            (program, scope.spawn(ask))
        };
        let running: Vec<_> = servers.iter().map(start).collect();
        let joined = running.into_iter().map(|(program, thread)| {
            (
                program,
                thread.join().unwrap_or_else(|_| panic!("{} could not be asked", program.name())),
            )
        });
        joined.collect()
    })
}
