//! Whether all servers say the same, section by section, before anything is timed.
//!
//! Compared are the response code, AA, TC, and the records of each section as sets without regard to case; of the
//! additional section only addresses in referrals, for what else is put there is a server's own affair. Read by hickory's
//! parser, not by ours.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::net::UdpSocket;
use std::time::Duration;

use hickory_proto::op::Message;
use hickory_proto::rr::{Record, RecordType};

use crate::programs::Program;
use crate::question::Question;
use crate::servers::Server;

/// Questions of each mix that are compared.
pub(crate) const COMPARED: usize = 600;
/// So long an answer is waited for, so many times.
const PATIENCE: Duration = Duration::from_secs(1);
const TRIES: usize = 3;

/// What the comparison has found.
#[derive(Debug, Default)]
pub(crate) struct Judgement {
    pub(crate) questions: usize,
    /// For every server how often it is not of the majority, and the first such case for people.
    pub(crate) differing: Vec<(Program, usize, String)>,
}

impl Judgement {
    /// An error if heraldns is the one that differs.
    pub(crate) fn require_agreement(&self) -> io::Result<()> {
        match self.differing.iter().find(|(program, ..)| *program == Program::Heraldns) {
            None => Ok(()),
            Some((_, count, case)) => Err(io::Error::other(format!(
                "heraldns differs from the majority in {count} answers, so nothing is timed; the first:\n{case}"
            ))),
        }
    }
}

/// Asks every server every question.
pub(crate) fn compare(servers: &[Server], questions: &[Question]) -> io::Result<Judgement> {
    let servers: Vec<&Server> = servers.iter().filter(|server| server.program.answers()).collect();
    let answers = servers
        .iter()
        .map(|server| ask(server, questions))
        .collect::<io::Result<Vec<_>>>()?;
    let mut judgement = Judgement {
        questions: questions.len(),
        ..Judgement::default()
    };
    for (number, question) in questions.iter().enumerate() {
        let given: Vec<(Program, &str)> = servers
            .iter()
            .map(|server| server.program)
            .zip(answers.iter().map(|own| own[number].as_str()))
            .collect();
        let Some(majority) = majority(&given) else { continue };
        for (program, answer) in given.iter().filter(|(_, answer)| *answer != majority) {
            judgement.add(*program, || {
                format!("{question:?}\n  {} says\n{answer}  the majority says\n{majority}", program.name())
            });
        }
    }
    Ok(judgement)
}

impl Judgement {
    fn add(&mut self, program: Program, case: impl FnOnce() -> String) {
        match self.differing.iter_mut().find(|(other, ..)| *other == program) {
            Some((_, count, _)) => *count += 1,
            None => self.differing.push((program, 1, case())),
        }
    }
}

/// The answer that most give; between two of equal votes the one that heraldns gives.
fn majority<'a>(given: &[(Program, &'a str)]) -> Option<&'a str> {
    let mut votes: HashMap<&str, (usize, bool)> = HashMap::new();
    for (program, answer) in given {
        let vote = votes.entry(answer).or_default();
        vote.0 += usize::from(*program != Program::Heraldns);
        vote.1 |= *program == Program::Heraldns;
    }
    votes.into_iter().max_by_key(|(_, vote)| *vote).map(|(answer, _)| answer)
}

fn ask(server: &Server, questions: &[Question]) -> io::Result<Vec<String>> {
    let socket = UdpSocket::bind(("127.0.0.1", 0))?;
    socket.connect(server.address)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let mut buffer = [0; 4096];
    let mut answers = Vec::with_capacity(questions.len());
    for (number, question) in questions.iter().enumerate() {
        let message = question.message(number as u16);
        let mut octets = None;
        for _ in 0..TRIES {
            socket.send(&message)?;
            octets = socket
                .recv(&mut buffer)
                .ok()
                .filter(|octets| *octets > 2 && buffer[..2] == message[..2]);
            if octets.is_some() {
                break;
            }
        }
        answers.push(octets.map_or_else(|| "no answer\n".to_owned(), |octets| canonical(&buffer[..octets])));
    }
    Ok(answers)
}

/// The compared parts of an answer as text.
fn canonical(message: &[u8]) -> String {
    let message = match Message::from_vec(message) {
        Ok(message) => message,
        Err(error) => return format!("malformed: {error}\n"),
    };
    let is_referral = message.answers.is_empty() && message.authorities.iter().any(|record| record.record_type() == RecordType::NS);
    let is_address = |record: &&Record| is_referral && matches!(record.record_type(), RecordType::A | RecordType::AAAA);
    let mut text = format!(
        "    {:?} AA={} TC={}\n",
        message.metadata.response_code, message.metadata.authoritative, message.metadata.truncation
    );
    let sections: [(&str, Vec<&Record>); 3] = [
        ("answer", message.answers.iter().collect()),
        ("authority", message.authorities.iter().collect()),
        ("additional", message.additionals.iter().filter(is_address).collect()),
    ];
    for (name, records) in sections {
        let lines: BTreeSet<String> = records.into_iter().map(|record| record.to_string().to_ascii_lowercase()).collect();
        lines.into_iter().for_each(|line| text.push_str(&format!("    {name}: {line}\n")));
    }
    text
}
