//! Families of zones through all servers, a batch at a time, and the judgement of each answer.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::thread;

use heraldns::dns::name::{self, Name};
use heraldns::dns::types::{RecordType, ResponseCode};

use crate::answer::{Answer, Record};
use crate::client::{self, Reply};
use crate::judgement::{Case, Figures, Verdict, difference, judge};
use crate::questions::Question;
use crate::servers::{Program, Server, ZoneFile};
use crate::signing::Key;
use crate::zones::{APEX, Family};

/// Families that are served and asked at the same time, each under a name of its own.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    members: Vec<Member>,
}

#[derive(Debug)]
struct Member {
    family: Family,
    /// What `APEX.` is here.
    apex: String,
    /// Ask this alone.
    only: Option<Question>,
}

/// An answer that is neither the majority's nor known to be right.
#[derive(Clone, Debug)]
pub(crate) struct Difference {
    /// In what.
    pub(crate) class: String,
    /// What was asked, with `APEX.` in the name; none when the zone is not loaded.
    pub(crate) question: Option<Question>,
    /// Question and answers for people.
    pub(crate) text: String,
}

/// The questions about one family, and the replies of each server.
struct Asked {
    questions: Vec<Question>,
    replies: BTreeMap<Program, Vec<Reply>>,
}

impl Batch {
    /// How many zones there are.
    pub(crate) fn zone_count(&self) -> usize {
        self.members.iter().map(|member| member.family.zones.len()).sum()
    }

    /// Adds a family, to be asked everything or one question only.
    pub(crate) fn add(&mut self, family: Family, only: Option<Question>) {
        let apex = format!("f{}.test.", self.members.len());
        self.members.push(Member { family, apex, only });
    }

    /// Starts the servers, asks, and judges; the differences of each family in the order in which they were added.
    pub(crate) fn compare(&self, figures: &mut Figures) -> Vec<Vec<Difference>> {
        let folder = tempfile::Builder::new().prefix("heraldns-differential-").tempdir().unwrap();
        let files = self.write(folder.path(), figures);
        let mut servers = Program::ALL.map(|program| Server::start(program, &files, folder.path()));
        servers.iter_mut().for_each(Server::wait);
        let asked = self.ask(&servers);
        drop(servers);
        if std::env::var_os("DIFFERENTIAL_KEEP").is_some() {
            println!("kept: {}", folder.keep().display());
        }
        let members = self.members.iter().zip(&asked);
        members.map(|(member, asked)| member.compare(asked, figures)).collect()
    }

    fn write(&self, folder: &Path, figures: &mut Figures) -> Vec<ZoneFile> {
        let mut key = None;
        let mut files = Vec::new();
        for member in &self.members {
            for zone in &member.family.zones {
                let apex = zone.apex.replace(APEX, &member.apex);
                let mut file = folder.join(format!("{}.zone", files.len()));
                fs::write(&file, zone.to_text().replace(APEX, &member.apex)).unwrap();
                if let Some(signing) = &zone.signing {
                    let key = key.get_or_insert_with(|| Key::generate(folder));
                    match key.sign(&apex, &file, signing) {
                        Some(signed) => file = signed,
                        None => figures.unsigned += 1,
                    }
                }
                files.push(ZoneFile {
                    apex,
                    file,
                    original: zone.original.clone(),
                });
            }
        }
        files
    }

    /// Asks all servers at the same time.
    fn ask(&self, servers: &[Server]) -> Vec<Asked> {
        let questions: Vec<Vec<Question>> = self.members.iter().map(Member::questions).collect();
        let all: Vec<Question> = questions.iter().flatten().cloned().collect();
        let replies: Vec<(Program, Vec<Reply>)> = thread::scope(|scope| {
            let start = |server: &Server| {
                let (program, address, all) = (server.program, server.address, &all);
                (program, scope.spawn(move || client::ask(address, all)))
            };
            let running: Vec<_> = servers.iter().map(start).collect();
            running
                .into_iter()
                .map(|(program, thread)| (program, thread.join().unwrap()))
                .collect()
        });
        let mut begin = 0;
        let mut asked = Vec::new();
        for questions in questions {
            let range = begin..begin + questions.len();
            begin = range.end;
            let own = |(program, replies): &(Program, Vec<Reply>)| (*program, replies[range.clone()].to_vec());
            asked.push(Asked {
                questions,
                replies: replies.iter().map(own).collect(),
            });
        }
        asked
    }
}

impl Member {
    /// The SOA of each zone, then what the family is asked.
    fn questions(&self) -> Vec<Question> {
        let apexes = self.family.zones.iter().map(|zone| zone.apex.replace(APEX, &self.apex));
        let mut questions: Vec<Question> = apexes.map(|apex| Question::plain(&apex, RecordType::SOA)).collect();
        match &self.only {
            Some(only) => questions.extend(only.renamed(&self.apex)),
            None => questions.extend(
                crate::questions::questions(&self.family)
                    .iter()
                    .filter_map(|question| question.renamed(&self.apex)),
            ),
        }
        questions
    }

    fn compare(&self, asked: &Asked, figures: &mut Figures) -> Vec<Difference> {
        let zones = &self.family.zones;
        figures.zones += zones.len();
        let is_loaded =
            |program: &Program| (0..zones.len()).all(|index| shows_zone(&asked.questions[index], &asked.replies[program][index]));
        for program in Program::ALL.iter().filter(|program| !is_loaded(program)) {
            *figures.unloaded.entry(program.name()).or_default() += zones.len();
        }
        let peers: Vec<Program> = Program::PEERS.into_iter().filter(is_loaded).collect();
        if !is_loaded(&Program::Heraldns) {
            return match peers.len() {
                0 | 1 => Vec::new(),
                _ => vec![figures.difference("loading".to_owned(), None, format!("heraldns does not load what {peers:?} load"))],
            };
        }
        let apexes: Vec<Name> = zones
            .iter()
            .map(|zone| zone.apex.replace(APEX, &self.apex).parse().unwrap())
            .collect();
        let owners = self.owners();
        let mut differences = Vec::new();
        for (index, question) in asked.questions.iter().enumerate() {
            let read = |program: &Program| Answer::read(question, &asked.replies[program][index]);
            let theirs: Vec<(Program, Answer)> = peers.iter().filter_map(|program| Some((*program, read(program)?))).collect();
            let original = Question::new(&question.name.replace(&self.apex, APEX), question.record_type, question.flavour);
            let Some(ours) = read(&Program::Heraldns) else {
                let text = format!("no answer, or a malformed one, to {} {}", question.name, question.record_type);
                differences.push(figures.difference("having an answer".to_owned(), original, text));
                continue;
            };
            figures.questions += 1;
            let case = Case {
                question,
                ours: &ours,
                theirs: &theirs,
                apexes: &apexes,
                owners: &owners,
            };
            match judge(&case) {
                Verdict::Agreed => figures.count_alone(&case),
                Verdict::Known(name) => *figures.known.entry(name).or_default() += 1,
                Verdict::Different(majority) => differences.push(figures.difference(class(&case, majority), original, self.show(&case))),
            }
        }
        differences
    }

    /// The names of all records, in wire form and lower case.
    fn owners(&self) -> BTreeSet<Vec<u8>> {
        let names = self.lines().filter_map(|line| self.owner(line));
        names.map(|name| name.as_wire().to_vec()).collect()
    }

    fn lines(&self) -> impl Iterator<Item = &String> {
        self.family.zones.iter().flat_map(|zone| &zone.lines)
    }

    fn owner(&self, line: &str) -> Option<Name> {
        let name: Name = line.split(' ').next()?.replace(APEX, &self.apex).parse().ok()?;
        Some(name.to_lower())
    }

    fn show(&self, case: &Case<'_>) -> String {
        let question = case.question;
        let name = question.name.replace(&self.apex, APEX);
        let mut text = format!(
            "{name} {} {:?}\n    heraldns: {}",
            question.record_type, question.flavour, case.ours
        );
        for (program, answer) in case.theirs {
            write!(text, "    {}: {answer}", program.name()).unwrap();
        }
        text.replace(&self.apex, APEX)
    }
}

/// A name for what differs.
fn class(case: &Case<'_>, majority: &Answer) -> String {
    match difference(case.ours, majority) {
        Some("response code") => format!("{} not {}", case.ours.response_code, majority.response_code),
        Some(part) => format!("{part} of {} answers", case.question.record_type),
        None => "nothing".to_owned(),
    }
}

/// Whether this reply to the question for a zone's SOA shows that the zone is served.
fn shows_zone(question: &Question, reply: &Reply) -> bool {
    let is_soa = |record: &Record| record.record_type == RecordType::SOA && name::equal(&record.owner, question.wire_name());
    let shows = |answer: Answer| answer.response_code == ResponseCode::NO_ERROR && answer.authoritative && answer.answer.iter().any(is_soa);
    Answer::read(question, reply).is_some_and(shows)
}
