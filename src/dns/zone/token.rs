//! Master file text cut into entries and words (RFC 1035 §5.1): lines, parentheses, quotes, comments.
//!
//! An entry is a line, or several that parentheses join. Escapes stay as they are written: only the reader of a field
//! knows what they mean there. A quote inside a word is part of it, and after `=` everything up to its closing quote
//! (`alpn="h2,h3"`, RFC 9460 §2.1).

/// A word or a quoted string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token<'t> {
    /// The text, without the quotes around a quoted string, escapes not yet read.
    pub(super) text: &'t [u8],
    /// Whether it stood in quotes.
    pub(super) quoted: bool,
    /// Line in the text, from 1.
    pub(super) line: u32,
    /// Column in octets, from 1.
    pub(super) column: u32,
}

/// The octets that may end a word, or keep the next one from doing so.
const IS_SPECIAL: [bool; 256] = {
    let mut is_special = [false; 256];
    let (special, mut position) = (b" \t\r\n;()\\=", 0);
    while position < special.len() {
        is_special[special[position] as usize] = true;
        position += 1;
    }
    is_special
};

/// An entry that cannot be cut into tokens; the rest of its line is skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Uncut {
    pub(super) line: u32,
    pub(super) column: u32,
    pub(super) why: &'static str,
    pub(super) cure: &'static str,
}

/// How an entry begins and where it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Blank space before the first token: the owner is that of the last record.
    pub(super) indented: bool,
    /// Line and column of the entry's end, where a missing token would have been.
    pub(super) end: (u32, u32),
}

/// Cuts a text, or a piece of one, into entries.
#[derive(Clone, Debug)]
pub(super) struct Tokenizer<'t> {
    text: &'t [u8],
    at: usize,
    line: u32,
    line_start: usize,
    /// More text follows: an entry that reaches the end of this piece may go on.
    goes_on: bool,
}

impl<'t> Tokenizer<'t> {
    /// A tokenizer for a piece of a text that begins with `line`.
    pub(super) fn of_piece(piece: &'t [u8], line: u32, goes_on: bool) -> Self {
        Self {
            text: piece,
            at: 0,
            line,
            line_start: 0,
            goes_on,
        }
    }

    /// How many octets are cut, and the line that comes next.
    pub(super) fn taken(&self) -> (usize, u32) {
        (self.at, self.line)
    }

    /// Replaces `tokens` by those of the next entry that has any; none at the end of the text, or where the rest of the
    /// piece is not a whole entry.
    pub(super) fn next_entry(&mut self, tokens: &mut Vec<Token<'t>>) -> Result<Option<Entry>, Uncut> {
        while self.at < self.text.len() {
            tokens.clear();
            let (at, line, line_start) = (self.at, self.line, self.line_start);
            let indented = matches!(self.text[self.at], b' ' | b'\t');
            let end = self.cut_entry(tokens);
            let is_whole = end.is_ok() && self.line > line && self.line_start == self.at;
            if self.goes_on && self.at == self.text.len() && !is_whole {
                (self.at, self.line, self.line_start) = (at, line, line_start);
                tokens.clear();
                return Ok(None);
            }
            let end = end?;
            if !tokens.is_empty() {
                return Ok(Some(Entry { indented, end }));
            }
        }
        Ok(None)
    }

    fn cut_entry(&mut self, tokens: &mut Vec<Token<'t>>) -> Result<(u32, u32), Uncut> {
        let mut opened: Option<(u32, u32)> = None;
        let mut depth = 0_u32;
        while let Some(&octet) = self.text.get(self.at) {
            match octet {
                b' ' | b'\t' | b'\r' => self.at += 1,
                b'\n' => {
                    let end = self.place();
                    self.next_line();
                    if depth == 0 {
                        return Ok(end);
                    }
                }
                b';' => self.skip_line(),
                b'(' => {
                    opened = opened.filter(|_| depth > 0).or(Some(self.place()));
                    depth += 1;
                    self.at += 1;
                }
                b')' if depth == 0 => {
                    return Err(self.refuse(self.place(), "')' without '('", "remove it, or open the parenthesis before it"));
                }
                b')' => {
                    depth -= 1;
                    self.at += 1;
                }
                _ => {
                    let token = if octet == b'"' { self.quoted() } else { self.word() };
                    match token {
                        Ok(token) => tokens.push(token),
                        Err(uncut) => {
                            self.skip_parentheses(depth);
                            return Err(uncut);
                        }
                    }
                }
            }
        }
        match opened {
            Some(place) if depth > 0 => Err(self.refuse(place, "'(' is never closed", "write ')' after the last field of this record")),
            _ => Ok(self.place()),
        }
    }

    fn quoted(&mut self) -> Result<Token<'t>, Uncut> {
        let (line, column) = self.place();
        let start = self.at + 1;
        let end = self.closing_quote(start)?;
        self.at = end + 1;
        Ok(Token {
            text: &self.text[start..end],
            quoted: true,
            line,
            column,
        })
    }

    fn word(&mut self) -> Result<Token<'t>, Uncut> {
        let (line, column) = self.place();
        let start = self.at;
        let mut at = start;
        loop {
            let rest = self.text.get(at..).unwrap_or_default();
            at += rest.iter().take_while(|octet| !IS_SPECIAL[usize::from(**octet)]).count();
            let Some(&octet) = self.text.get(at) else { break };
            match octet {
                b' ' | b'\t' | b'\r' | b'\n' | b';' | b'(' | b')' => break,
                b'\\' if self.text.get(at + 1).is_some_and(|next| *next != b'\n') => at += 2,
                b'=' if self.text.get(at + 1) == Some(&b'"') => at = self.closing_quote(at + 2)? + 1,
                _ => at += 1,
            }
        }
        self.at = at;
        Ok(Token {
            text: &self.text[start..at],
            quoted: false,
            line,
            column,
        })
    }

    fn closing_quote(&mut self, start: usize) -> Result<usize, Uncut> {
        let mut at = start;
        while let Some(&octet) = self.text.get(at) {
            match octet {
                b'"' => return Ok(at),
                b'\n' => break,
                b'\\' if self.text.get(at + 1).is_some_and(|next| *next != b'\n') => at += 2,
                _ => at += 1,
            }
        }
        let column = column(start - 1, self.line_start);
        Err(self.refuse(
            (self.line, column),
            "quoted string without its end",
            "write the closing '\"' on the same line",
        ))
    }

    fn refuse(&mut self, (line, column): (u32, u32), why: &'static str, cure: &'static str) -> Uncut {
        self.skip_line();
        self.next_line();
        Uncut { line, column, why, cure }
    }

    /// Skips what seems to be the rest of a broken entry: indented lines up to one with a closing parenthesis.
    fn skip_parentheses(&mut self, depth: u32) {
        let mut open = depth > 0;
        while open && matches!(self.text.get(self.at), Some(b' ' | b'\t' | b')' | b'"')) {
            let start = self.at;
            self.skip_line();
            open = !self.text[start..self.at].contains(&b')');
            self.next_line();
        }
    }

    fn skip_line(&mut self) {
        let rest = &self.text[self.at.min(self.text.len())..];
        self.at += rest.iter().position(|octet| *octet == b'\n').unwrap_or(rest.len());
    }

    fn next_line(&mut self) {
        self.at = (self.at + 1).min(self.text.len());
        self.line += 1;
        self.line_start = self.at;
    }

    fn place(&self) -> (u32, u32) {
        (self.line, column(self.at, self.line_start))
    }
}

fn column(at: usize, line_start: usize) -> u32 {
    u32::try_from(at - line_start + 1).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(text: &str) -> Vec<Result<(bool, Vec<String>), Uncut>> {
        let mut tokenizer = Tokenizer::of_piece(text.as_bytes(), 1, false);
        let (mut tokens, mut entries) = (Vec::new(), Vec::new());
        loop {
            match tokenizer.next_entry(&mut tokens) {
                Ok(None) => return entries,
                Ok(Some(entry)) => {
                    let texts = tokens.iter().map(|token| String::from_utf8(token.text.to_vec()).unwrap());
                    entries.push(Ok((entry.indented, texts.collect())));
                }
                Err(uncut) => entries.push(Err(uncut)),
            }
        }
    }

    fn words(text: &str) -> Vec<Vec<String>> {
        entries(text).into_iter().map(|entry| entry.unwrap().1).collect()
    }

    #[test]
    fn lines_comments_and_blank_owners() {
        let found = entries("; only a comment\n\n \t \na b ; c\r\n\td\re");
        assert_eq!(
            found,
            [Ok((false, vec!["a".into(), "b".into()])), Ok((true, vec!["d".into(), "e".into()]))]
        );
    }

    #[test]
    fn parentheses_join_lines_and_separate_words() {
        assert_eq!(words("a (b ; x )\n c\n)d\ne"), [vec!["a", "b", "c", "d"], vec!["e"]]);
        assert_eq!(words("a ((b) c\n) d"), [["a", "b", "c", "d"]]);
    }

    #[test]
    fn quotes_and_escapes_hide_what_separates() {
        assert_eq!(words(r#"a "b ; (c" "" d\ e\;f"#), [["a", "b ; (c", "", r"d\ e\;f"]]);
        assert_eq!(words(r#""a\"b""#), [[r#"a\"b"#]]);
        assert_eq!(words(r#"1 . alpn="h2, h3" port=1"#), [["1", ".", r#"alpn="h2, h3""#, "port=1"]]);
        assert_eq!(words("a\\"), [["a\\"]]);
    }

    #[test]
    fn what_is_not_closed_is_told_where_it_was_opened() {
        let uncut = |text| {
            entries(text)
                .into_iter()
                .find_map(Result::err)
                .map(|uncut| (uncut.line, uncut.column, uncut.why))
        };
        assert_eq!(uncut("a\nb \"c\nd"), Some((2, 3, "quoted string without its end")));
        assert_eq!(uncut("a (\nb (c)\nd"), Some((1, 3, "'(' is never closed")));
        assert_eq!(uncut("a )\nb"), Some((1, 3, "')' without '('")));
        assert_eq!(entries("a )\nb")[1], Ok((false, vec!["b".into()])));
        assert_eq!(entries("x \"c\nd")[1], Ok((false, vec!["d".into()])));
        assert_eq!(entries("x ( \"c\n \"d\"\n e )\nf")[1], Ok((false, vec!["f".into()])));
    }

    #[test]
    fn places_count_from_one() {
        let mut tokenizer = Tokenizer::of_piece(b"a\n  bc  (\n d)", 1, false);
        let mut tokens = Vec::new();
        tokenizer.next_entry(&mut tokens).unwrap();
        assert_eq!(tokenizer.next_entry(&mut tokens).unwrap().unwrap().end, (3, 4));
        let places: Vec<_> = tokens.iter().map(|token| (token.line, token.column)).collect();
        assert_eq!(places, [(2, 3), (3, 2)]);
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in proptest::collection::vec(proptest::sample::select(&b"a \t\r\n\\\"();=0"[..]), 0..200)) {
            let mut tokenizer = Tokenizer::of_piece(&text, 1, false);
            let mut tokens = Vec::new();
            while !matches!(tokenizer.next_entry(&mut tokens), Ok(None)) {}
        }
    }
}
