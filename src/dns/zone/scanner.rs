//! Master files (RFC 1035 §5, RFC 2308 §4, RFC 3597 §5) to records, as BIND, NSD and Knot read them.
//!
//! One line after the other, and on after an error, so that all mistakes of a file are told at once. Names and data go
//! straight to wire form. Whether the records make a zone is the builder's question.

use std::io::{self, Read};

use super::generate::Generator;
use super::pieces::Pieces;
use super::problem::{FileId, Place, Problems};
use super::rdata::{self, Fields, Refusal, parse_period};
use super::records::{Full, Gathered, Record};
use super::token::{Entry, Token, Tokenizer};
use super::{Include, MAX_TTL};
use crate::dns::name::{self, Name, NameError};
use crate::dns::types::{Class, RecordType};

/// So many files may include one another; more are taken for a circle.
const MAX_DEPTH: u32 = 16;
/// So many octets of text, included ones counted each time: twice what a zone of the largest size takes when it is printed.
const MAX_TEXT: u64 = 16 << 30;
const DIRECTIVES: &str = "the directives are $ORIGIN, $TTL, $INCLUDE and $GENERATE";

/// How text is read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    /// So many octets at a time: their number makes no difference to what is read.
    pub(super) piece: usize,
    /// So many octets in all.
    most_text: u64,
}

impl Reading {
    /// So many octets at a time, and as many as any zone could need.
    pub(super) const fn by_pieces(piece: usize) -> Self {
        Self {
            piece,
            most_text: MAX_TEXT,
        }
    }
}

/// Reads the text of the zone `apex` and of all files it includes.
pub(super) fn scan(
    apex: &Name,
    file_name: &str,
    text: &mut dyn Read,
    reading: Reading,
    include: &mut Include<'_>,
    gathered: &mut Gathered,
    problems: &mut Problems,
) {
    let Some(file) = problems.add_file(file_name) else { return };
    let mut scanner = Scanner {
        gathered,
        problems,
        include,
        reading,
        rdata: Vec::new(),
        default_ttl: None,
        last_ttl: None,
        generated_at: None,
        full: false,
    };
    let mut context = Context {
        file,
        depth: 0,
        origin: apex.as_wire().to_vec(),
        owner: Vec::new(),
        owner_lost: false,
        origin_lost: false,
    };
    scanner.text(text, &mut context);
}

struct Scanner<'s, 'i> {
    gathered: &'s mut Gathered,
    problems: &'s mut Problems,
    include: &'s mut Include<'i>,
    /// How text is read; what may still be is taken off.
    reading: Reading,
    /// The data of the record at hand.
    rdata: Vec<u8>,
    /// What `$TTL` says.
    default_ttl: Option<u32>,
    /// The TTL of the last record that has one written.
    last_ttl: Option<u32>,
    /// Inside `$GENERATE`: the place of that line, since generated text has none of its own.
    generated_at: Option<Place>,
    /// The zone is larger than the store can hold, or its text too long.
    full: bool,
}

/// What belongs to one file and ends with it.
struct Context {
    file: FileId,
    depth: u32,
    origin: Vec<u8>,
    /// Empty before the first one.
    owner: Vec<u8>,
    /// The last line that would have named an owner could not be read: whose the indented lines after it are is not known.
    owner_lost: bool,
    /// A directive that could not be read may have been an `$ORIGIN`: whose the names after it are is not known.
    origin_lost: bool,
}

impl Context {
    /// Records are read for their own mistakes and not kept: at a wrong name they would seem to be in each other's way.
    const fn is_lost(&self) -> bool {
        self.owner_lost || self.origin_lost
    }
}

/// An entry's own mistake: the place, what is wrong, and what to do.
type Mistake = Refusal;

impl Scanner<'_, '_> {
    fn text(&mut self, text: &mut dyn Read, context: &mut Context) {
        let mut pieces = Pieces::new(text, self.reading.piece);
        let mut line = 1;
        while !self.full && !pieces.is_last() {
            let file = context.file;
            let place = Place { file, line, column: 0 };
            let read = match pieces.advance() {
                Ok(read) => read as u64,
                Err(error) => {
                    let is_endless = error.kind() == io::ErrorKind::InvalidData;
                    let cure = if is_endless {
                        "end it: a parenthesis may never be closed"
                    } else {
                        ""
                    };
                    return self.problems.error(place, format!("cannot read on: {error}"), cure);
                }
            };
            let Some(left) = self.reading.most_text.checked_sub(read) else {
                self.full = true;
                let cure = "find the file that is included too often";
                return self.problems.error(place, "the files are too long together", cure);
            };
            self.reading.most_text = left;
            let (taken, next_line) = self.piece(pieces.octets(), line, !pieces.is_last(), context);
            pieces.take(taken);
            line = next_line;
        }
    }

    /// Reads the whole entries of a piece of text; says how many octets they have, and the line that comes next.
    fn piece(&mut self, text: &[u8], line: u32, goes_on: bool, context: &mut Context) -> (usize, u32) {
        let mut tokenizer = Tokenizer::of_piece(text, line, goes_on);
        let mut tokens = Vec::new();
        while !self.full {
            let mistake = match tokenizer.next_entry(&mut tokens) {
                Ok(None) => break,
                Ok(Some(entry)) => match self.entry(entry, &tokens, context) {
                    Ok(()) => continue,
                    Err(mistake) => mistake,
                },
                Err(uncut) => {
                    context.owner_lost = true;
                    Mistake::new((uncut.line, uncut.column), uncut.why, uncut.cure)
                }
            };
            let mistake = mistake.into_reason();
            let (line, column) = mistake.place;
            let file = context.file;
            let place = self.generated_at.unwrap_or(Place { file, line, column });
            self.problems.error(place, mistake.message, mistake.cure);
        }
        tokenizer.taken()
    }

    fn entry(&mut self, entry: Entry, tokens: &[Token<'_>], context: &mut Context) -> Result<(), Mistake> {
        let Some((first, rest)) = tokens.split_first() else { return Ok(()) };
        if first.quoted || !first.text.starts_with(b"$") {
            return self.record(entry, tokens, context);
        }
        if entry.indented {
            context.origin_lost = true;
            let message = format!("{} after a space", show(*first));
            return Err(mistake(*first, message, "a directive begins its line: remove the space before it"));
        }
        let arguments = Arguments {
            directive: *first,
            tokens: rest,
            end: entry.end,
        };
        match first.text.to_ascii_uppercase().as_slice() {
            b"$TTL" => self.ttl_directive(&arguments, context.file),
            b"$ORIGIN" => origin_directive(&arguments, context).inspect_err(|_| context.origin_lost = true),
            b"$INCLUDE" => self.include_directive(&arguments, context),
            b"$GENERATE" if self.generated_at.is_none() => self.generate_directive(&arguments, context),
            _ => {
                context.origin_lost = true;
                let message = format!("{} is no directive", show(*first));
                Err(mistake(
                    *first,
                    message,
                    &format!("{DIRECTIVES}; a name that begins with '$' is written '\\$'"),
                ))
            }
        }
    }

    fn ttl_directive(&mut self, arguments: &Arguments<'_>, file: FileId) -> Result<(), Mistake> {
        let token = arguments.need(0, "a number of seconds")?;
        arguments.end_after(1)?;
        self.default_ttl = Some(self.allowed_ttl(read_ttl(token)?, token, file));
        Ok(())
    }

    /// The TTL that `token` says, or 0 if it is too long.
    fn allowed_ttl(&mut self, ttl: u32, token: Token<'_>, file: FileId) -> u32 {
        if ttl <= MAX_TTL {
            return ttl;
        }
        let place = self.place_of(token, file);
        let message = format!("a TTL of {ttl}: 0 is taken");
        let cure = format!("write at most {MAX_TTL} seconds (RFC 2181 section 8)");
        self.problems.warning(place, message, cure);
        0
    }

    fn include_directive(&mut self, arguments: &Arguments<'_>, context: &Context) -> Result<(), Mistake> {
        let path = arguments.need(0, "the name of a file")?;
        let mut origin = context.origin.clone();
        if let Some(token) = arguments.tokens.get(1) {
            origin = read_name(*token, &context.origin)?;
        }
        arguments.end_after(2)?;
        if context.depth == MAX_DEPTH {
            let message = format!("{MAX_DEPTH} files include one another");
            return Err(mistake(path, message, "find the file that includes itself"));
        }
        let Ok(name) = std::str::from_utf8(path.text) else {
            return Err(mistake(path, "a file name that is not UTF-8", "rename the file"));
        };
        let mut text = (self.include)(name).map_err(|why| {
            mistake(
                path,
                format!("cannot read {}: {why}", show(path)),
                "write the path of a file that can be read",
            )
        })?;
        let Some(file) = self.problems.add_file(name) else {
            self.full = true;
            return Err(mistake(
                path,
                "more than 65535 included files",
                "find the file that is included too often, or join some of them",
            ));
        };
        let mut included = Context {
            file,
            depth: context.depth + 1,
            origin,
            owner: context.owner.clone(),
            owner_lost: context.owner_lost,
            origin_lost: context.origin_lost,
        };
        self.text(&mut *text, &mut included);
        Ok(())
    }

    fn generate_directive(&mut self, arguments: &Arguments<'_>, context: &mut Context) -> Result<(), Mistake> {
        let range = arguments.need(0, "a range such as 1-20")?;
        arguments.need(1, "an owner name with '$' in it")?;
        arguments.need(2, "a record type")?;
        let generator = Generator::new(range, &arguments.tokens[1..])?;
        let file = context.file;
        let (line, column) = (arguments.directive.line, arguments.directive.column);
        self.generated_at = Some(Place { file, line, column });
        let mut outcome = Ok(());
        for text in generator {
            let before = self.problems.error_count();
            match text {
                Ok(text) => drop(self.piece(&text, 1, false, context)),
                Err(mistake) => outcome = Err(mistake),
            }
            // what is wrong with one line is wrong with all of them
            if outcome.is_err() || self.problems.error_count() > before || self.full {
                break;
            }
        }
        self.generated_at = None;
        outcome
    }

    fn record(&mut self, entry: Entry, tokens: &[Token<'_>], context: &mut Context) -> Result<(), Mistake> {
        let mut rest = tokens;
        let mut owner_mistake = None;
        if !entry.indented {
            rest = &tokens[1..];
            owner_mistake = read_name_into(tokens[0], &context.origin, &mut context.owner).err();
            context.owner_lost = owner_mistake.is_some();
        }
        let outcome = self.record_of_owner(entry, rest, context);
        match owner_mistake {
            Some(mistake) => Err(mistake),
            None => outcome,
        }
    }

    fn record_of_owner(&mut self, entry: Entry, tokens: &[Token<'_>], context: &Context) -> Result<(), Mistake> {
        let header = Header::read(tokens, entry.end)?;
        if context.owner.is_empty() && !context.owner_lost {
            return Err(mistake(
                tokens[0],
                "a record without an owner",
                "the first line of a file cannot begin with a space: write a name, or '@'",
            ));
        }
        let record_type = header.record_type;
        let place = self.place_of(header.type_token, context.file);
        self.rdata.clear();
        rdata::read(
            record_type,
            &mut Fields::new(header.data, entry.end, Some(&context.origin)),
            &mut self.rdata,
        )?;
        let own_ttl = header.ttl.map(|(ttl, token)| self.allowed_ttl(ttl, token, context.file));
        let known_ttl = own_ttl.or(self.default_ttl).or(self.last_ttl);
        let ttl = known_ttl
            .or_else(|| minimum_of(record_type, &self.rdata))
            .ok_or_else(|| no_ttl(header.type_token))?;
        if !context.is_lost() {
            let record = Record {
                owner: &context.owner,
                record_type,
                ttl,
                rdata: &self.rdata,
                place,
            };
            self.gathered.add(&record, self.problems).map_err(|Full| {
                self.full = true;
                mistake(header.type_token, "the zone is larger than 4 GiB", "split it into several zones")
            })?;
        }
        if own_ttl.is_some() {
            self.last_ttl = own_ttl;
        } else if known_ttl.is_none() {
            self.last_ttl = Some(ttl);
            let message = "neither the SOA nor $TTL says a TTL: the minimum field of the SOA is taken";
            self.problems.warning(place, message, "write $TTL before the first record");
        }
        Ok(())
    }

    fn place_of(&self, token: Token<'_>, file: FileId) -> Place {
        let (line, column) = (token.line, token.column);
        self.generated_at.unwrap_or(Place { file, line, column })
    }
}

/// What stands before the data of a record, read.
struct Header<'t> {
    /// The TTL, and where it is written.
    ttl: Option<(u32, Token<'t>)>,
    record_type: RecordType,
    type_token: Token<'t>,
    data: &'t [Token<'t>],
}

impl<'t> Header<'t> {
    /// Reads TTL and class in either order, each of which may be missing, and the type.
    fn read(tokens: &'t [Token<'t>], end: (u32, u32)) -> Result<Self, Mistake> {
        let (mut ttl, mut class) = (None, None);
        for (position, token) in tokens.iter().enumerate() {
            let word = if token.quoted { b"" } else { token.text };
            if ttl.is_none() && word.first().is_some_and(u8::is_ascii_digit) && parse_period(word).is_some() {
                ttl = Some((read_ttl(*token)?, *token));
            } else if let Some(found) = read_class(word).filter(|found| class.is_none() && *found != Class::ANY) {
                class = Some(found);
                if found != Class::IN {
                    return Err(mistake(
                        *token,
                        format!("class {found}: all records of a zone here are of class IN"),
                        "write IN, or no class",
                    ));
                }
            } else {
                return Ok(Self {
                    ttl,
                    record_type: read_type(*token, word)?,
                    type_token: *token,
                    data: &tokens[position + 1..],
                });
            }
        }
        Err(Mistake::new(
            end,
            "a record type is missing",
            "write a name, then TTL and class if you like, a type such as A, and its data",
        ))
    }
}

/// Most words that could be a class are a type: those are known at once.
fn read_class(word: &[u8]) -> Option<Class> {
    match RecordType::frequent(word) {
        Some(_) => None,
        None => Class::from_text(word),
    }
}

fn read_type(token: Token<'_>, word: &[u8]) -> Result<RecordType, Mistake> {
    let Some(record_type) = RecordType::from_text(word) else {
        let cure = "write [name] [TTL] [IN] type data, the type as a mnemonic such as A or as TYPE and its number";
        return Err(mistake(token, format!("{} is not a record type", show(token)), cure));
    };
    if record_type.is_meta() {
        return Err(mistake(
            token,
            format!("{record_type} is a type of messages: no zone has records of it"),
            "remove the record",
        ));
    }
    Ok(record_type)
}

fn read_ttl(token: Token<'_>) -> Result<u32, Mistake> {
    parse_period(token.text).ok_or_else(|| {
        mistake(
            token,
            format!("{} is not a TTL", show(token)),
            "write seconds, or units as in 1w2d3h4m5s",
        )
    })
}

fn read_name(token: Token<'_>, origin: &[u8]) -> Result<Vec<u8>, Mistake> {
    let mut wire = Vec::new();
    read_name_into(token, origin, &mut wire)?;
    Ok(wire)
}

/// Replaces `wire` by the name; by nothing if it cannot be read.
fn read_name_into(token: Token<'_>, origin: &[u8], wire: &mut Vec<u8>) -> Result<(), Mistake> {
    wire.clear();
    // a quoted "@" is a name of one character, as `\@` is
    let text = if token.quoted && token.text == b"@" { br"\@" } else { token.text };
    name::append_text(text, Some(origin), wire).map_err(|why: NameError| mistake(token, format!("{}: {why}", show(token)), ""))
}

fn origin_directive(arguments: &Arguments<'_>, context: &mut Context) -> Result<(), Mistake> {
    let token = arguments.need(0, "a name")?;
    arguments.end_after(1)?;
    context.origin = read_name(token, &context.origin)?;
    Ok(())
}

fn minimum_of(record_type: RecordType, rdata: &[u8]) -> Option<u32> {
    if record_type != RecordType::SOA {
        return None;
    }
    let minimum = rdata.last_chunk::<4>().map(|octets| u32::from_be_bytes(*octets))?;
    Some(if minimum > MAX_TTL { 0 } else { minimum })
}

fn no_ttl(token: Token<'_>) -> Mistake {
    mistake(
        token,
        "no TTL: neither this record nor an earlier line says one",
        "write $TTL 1h before the first record",
    )
}

/// The words after a directive.
struct Arguments<'t> {
    directive: Token<'t>,
    tokens: &'t [Token<'t>],
    end: (u32, u32),
}

impl<'t> Arguments<'t> {
    fn need(&self, position: usize, expected: &str) -> Result<Token<'t>, Mistake> {
        self.tokens.get(position).copied().ok_or_else(|| {
            let directive = String::from_utf8_lossy(self.directive.text);
            Mistake::new(self.end, format!("{directive} is incomplete"), format!("expected {expected}"))
        })
    }

    fn end_after(&self, count: usize) -> Result<(), Mistake> {
        match self.tokens.get(count) {
            None => Ok(()),
            Some(token) => {
                let directive = String::from_utf8_lossy(self.directive.text);
                Err(mistake(
                    *token,
                    format!("{} after {directive}", show(*token)),
                    "remove it; a comment begins with ';'",
                ))
            }
        }
    }
}

fn mistake(token: Token<'_>, message: impl Into<String>, cure: &str) -> Mistake {
    Mistake::new((token.line, token.column), message, cure)
}

fn show(token: Token<'_>) -> String {
    rdata::quote(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: u64 = 1_000;

    /// How many records there are and what is wrong in a file that includes another one, which is `included` each time.
    fn scanned(text: &str, included: &str) -> (usize, Vec<String>) {
        let (mut gathered, mut problems) = (Gathered::new(&[0]), Problems::default());
        let reading = Reading {
            piece: 64,
            most_text: MOST,
        };
        let included = included.as_bytes().to_vec();
        let mut include = |_: &str| Ok(Box::new(io::Cursor::new(included.clone())) as Box<dyn Read>);
        scan(
            &Name::root(),
            "main",
            &mut text.as_bytes(),
            reading,
            &mut include,
            &mut gathered,
            &mut problems,
        );
        gathered.end_run(&mut problems).unwrap();
        let told = problems.into_list().iter().map(ToString::to_string).collect();
        (gathered.record_count, told)
    }

    #[test]
    fn the_text_of_all_files_together_is_bounded() {
        let include = "$INCLUDE a\n";
        let included = format!("a 1 A 192.0.2.1\n;{}\n", "x".repeat(80));
        let fitting = (MOST as usize - 4 * include.len()) / included.len();
        assert!(fitting > 4, "four of them fit");
        let (_, told) = scanned(&include.repeat(4), &included);
        assert_eq!(told.iter().filter(|line| line.contains("error")).count(), 0, "{told:?}");
        let (records, told) = scanned(&include.repeat(50), &included);
        assert!(records < 10, "{records}");
        assert_eq!(
            told.iter().filter(|line| line.contains("error")).count(),
            1,
            "nothing is read after that: {told:?}"
        );
        assert!(
            told.iter()
                .any(|line| line.ends_with("error: the files are too long together; find the file that is included too often")),
            "{told:?}"
        );
    }

    #[test]
    fn a_file_that_doubles_itself_ends() {
        let (_, told) = scanned("$INCLUDE a\n", "$INCLUDE a\n$INCLUDE a\n");
        let is_end = |line: &String| line.contains("16 files include one another") || line.contains("too long together");
        assert!(told.iter().any(is_end), "{told:?}");
    }

    #[test]
    fn files_are_counted() {
        let (mut gathered, mut problems) = (Gathered::new(&[0]), Problems::default());
        let text = "$INCLUDE a\n".repeat(66_000);
        let reading = Reading::by_pieces(1 << 20);
        let mut include = |_: &str| Ok(Box::new(io::empty()) as Box<dyn Read>);
        scan(
            &Name::root(),
            "main",
            &mut text.as_bytes(),
            reading,
            &mut include,
            &mut gathered,
            &mut problems,
        );
        let told: Vec<String> = problems.into_list().iter().map(ToString::to_string).collect();
        let expected =
            "main:65536:10: error: more than 65535 included files; find the file that is included too often, or join some of them";
        assert_eq!(told, [expected]);
    }
}
