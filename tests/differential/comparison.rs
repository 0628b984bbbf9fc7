//! Families of zones through all servers, a batch at a time, and the judgement of each answer.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use heraldns::dns::name::{self, Name};
use heraldns::dns::types::{RecordType, ResponseCode};

use crate::answer::{Answer, Record};
use crate::asked::{self, Asked, zone_of};
use crate::judgement::{Case, Figures, Verdict, difference, judge};
use crate::questions::Question;
use crate::servers::{Program, Server, ZoneFile};
use crate::signing::{self, Keys};
use crate::zones::{APEX, Family, Zone};

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

/// The files of all zones, and for each family some names that only their signing has made.
struct Written {
    files: Vec<ZoneFile>,
    hashed: Vec<Vec<String>>,
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
        let Written { files, hashed } = self.write(folder.path(), figures);
        let mut servers = Program::ALL.map(|program| Server::start(program, &files, folder.path()));
        servers.iter_mut().for_each(Server::wait);
        let apexes: Vec<Vec<Name>> = self.members.iter().map(Member::apexes).collect();
        let questions = self.members.iter().zip(&hashed).map(|(member, hashed)| member.questions(hashed));
        let asked = asked::ask(&servers, questions.zip(apexes.iter().map(Vec::as_slice)).collect());
        drop(servers);
        if std::env::var_os("DIFFERENTIAL_KEEP").is_some() {
            println!("kept: {}", folder.keep().display());
        }
        let members = self.members.iter().zip(&asked);
        members.map(|(member, asked)| member.compare(asked, figures)).collect()
    }

    fn write(&self, folder: &Path, figures: &mut Figures) -> Written {
        let mut keys = None;
        let mut written = Written {
            files: Vec::new(),
            hashed: Vec::new(),
        };
        for member in &self.members {
            let mut hashed = Vec::new();
            for zone in &member.family.zones {
                let apex = zone.apex.replace(APEX, &member.apex);
                let mut file = folder.join(format!("{}.zone", written.files.len()));
                fs::write(&file, zone.to_text().replace(APEX, &member.apex)).unwrap();
                if let Some(signing) = &zone.signing {
                    let keys = keys.get_or_insert_with(|| Keys::generate(folder));
                    match keys.sign(&apex, &file, signing) {
                        Some(signed) => {
                            hashed.extend(signing::hashed_owners(&signed));
                            file = signed;
                        }
                        None => figures.unsigned += 1,
                    }
                }
                written.files.push(ZoneFile {
                    apex,
                    file,
                    original: zone.original.clone(),
                });
            }
            written.hashed.push(hashed);
        }
        written
    }
}

impl Member {
    /// The SOA of each zone, then what the family is asked, and the names that are hashes.
    fn questions(&self, hashed: &[String]) -> Vec<Question> {
        let apexes = self.apexes().into_iter();
        let mut questions: Vec<Question> = apexes.map(|apex| Question::plain(&apex.to_string(), RecordType::SOA)).collect();
        match &self.only {
            Some(only) => questions.extend(only.renamed(&self.apex)),
            None => questions.extend(
                crate::questions::questions(&self.family)
                    .iter()
                    .filter_map(|question| question.renamed(&self.apex))
                    .chain(hashed.iter().flat_map(|name| crate::questions::about_hashed(name))),
            ),
        }
        questions
    }

    /// The names of the zones, in lower case.
    fn apexes(&self) -> Vec<Name> {
        let names = self.family.zones.iter().map(|zone| zone.apex.replace(APEX, &self.apex));
        names.map(|name| name.parse::<Name>().unwrap().to_lower()).collect()
    }

    fn compare(&self, asked: &Asked, figures: &mut Figures) -> Vec<Difference> {
        let zones = &self.family.zones;
        figures.zones += zones.len();
        let shows = |question: &Question, answer: &Option<Answer>| answer.as_ref().is_some_and(|answer| shows_zone(question, answer));
        let is_loaded = |program: &Program| {
            let pairs = asked.questions.iter().zip(&asked.answers[program]);
            pairs.take(zones.len()).all(|(question, answer)| shows(question, answer))
        };
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
        let (apexes, owners, orphans) = (self.apexes(), self.owners(), self.orphans());
        let mut differences = Vec::new();
        for (index, question) in asked.questions.iter().enumerate() {
            let answer = |program: &Program| asked.answers[program][index].as_ref();
            let theirs: Vec<(Program, &Answer)> = peers.iter().filter_map(|program| Some((*program, answer(program)?))).collect();
            let original = Question::new(&question.name.replace(&self.apex, APEX), question.record_type, question.flavour);
            let Some(ours) = answer(&Program::Heraldns) else {
                let text = format!(
                    "no answer, a malformed one, or not the same one twice, to {} {} {:?}",
                    question.name, question.record_type, question.flavour
                );
                differences.push(figures.difference("having an answer".to_owned(), original, text));
                continue;
            };
            figures.questions += 1;
            let case = Case {
                question,
                asked,
                ours,
                theirs: &theirs,
                apexes: &apexes,
                owners: &owners,
                orphans: &orphans,
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
        let zones = self.family.zones.iter();
        zones.flat_map(|zone| self.names(zone, |_| true)).collect()
    }

    /// The apexes of which the zone above them knows nothing: neither the name, nor one below it, nor a cut above it.
    fn orphans(&self) -> BTreeSet<Vec<u8>> {
        let apexes = self.apexes();
        let mut orphans = BTreeSet::new();
        for apex in apexes.iter().map(Name::as_wire) {
            let Some(above) = name::parent(apex).and_then(|parent| zone_of(&apexes, parent)) else {
                continue;
            };
            let index = apexes.iter().position(|other| other == above).unwrap();
            let parent = &self.family.zones[index];
            let is_at_or_below = self.names(parent, |_| true).any(|owner| name::is_subdomain(&owner, apex));
            let mut cuts = self
                .names(parent, |record_type| record_type == "NS")
                .filter(|owner| owner != above.as_wire());
            if !is_at_or_below && !cuts.any(|cut| name::is_subdomain(apex, &cut)) {
                orphans.insert(apex.to_vec());
            }
        }
        orphans
    }

    /// The owners of a zone's records of the types that are wanted, in wire form and lower case.
    fn names(&self, zone: &Zone, is_wanted: impl Fn(&str) -> bool) -> impl Iterator<Item = Vec<u8>> {
        zone.lines.iter().filter_map(move |line| {
            let mut words = line.split(' ');
            let owner = words.next()?.replace(APEX, &self.apex);
            let wire = owner.parse::<Name>().ok()?.to_lower().as_wire().to_vec();
            is_wanted(words.nth(1)?).then_some(wire)
        })
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

/// Whether this answer to the question for a zone's SOA shows that the zone is served.
fn shows_zone(question: &Question, answer: &Answer) -> bool {
    let is_soa = |record: &Record| record.record_type == RecordType::SOA && name::equal(&record.owner, question.wire_name());
    answer.response_code == ResponseCode::NO_ERROR && answer.authoritative && answer.answer.iter().any(is_soa)
}
