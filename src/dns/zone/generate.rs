//! `$GENERATE start-stop[/step] owner [TTL] [class] type data`: lines made from a range, as BIND invented it.
//!
//! In owner and data `$` is the number, `${offset,width,base}` the number plus an offset in a form of its own, and `\$`
//! or `$$` a dollar sign. Bases are d, o, x, X, and n or N for hex digits in reverse order with dots (ip6.arpa).

use std::fmt::Write;

use super::rdata::{self, Refusal};
use super::token::Token;

/// So many lines one directive may make.
const MOST_LINES: u64 = 1 << 20;
/// As wide as the longest name.
const MOST_WIDTH: usize = 255;

/// The lines of one directive, made one by one.
#[derive(Debug)]
pub(super) struct Generator<'t> {
    next: u64,
    stop: u64,
    step: u64,
    template: &'t [Token<'t>],
}

impl<'t> Generator<'t> {
    /// Reads the range and keeps the words of the line to be made.
    pub(super) fn new(range: Token<'t>, template: &'t [Token<'t>]) -> Result<Self, Refusal> {
        let place = (range.line, range.column);
        let wrong = || {
            Refusal::new(
                place,
                format!("{} is not a range", rdata::quote(range)),
                "write start-stop or start-stop/step, as in 1-20",
            )
        };
        let (next, stop, step) = read_range(range.text).ok_or_else(wrong)?;
        if (stop - next) / step >= MOST_LINES {
            return Err(Refusal::new(
                place,
                format!("a range of more than {MOST_LINES} lines"),
                "write a smaller range",
            ));
        }
        Ok(Self {
            next,
            stop,
            step,
            template,
        })
    }
}

impl Iterator for Generator<'_> {
    type Item = Result<Vec<u8>, Refusal>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next > self.stop {
            return None;
        }
        let number = self.next;
        self.next += self.step;
        Some(line(self.template, number))
    }
}

fn read_range(text: &[u8]) -> Option<(u64, u64, u64)> {
    let text = std::str::from_utf8(text).ok()?;
    let (range, step) = text.split_once('/').unwrap_or((text, "1"));
    let (start, stop) = range.split_once('-')?;
    let number = |text: &str| text.parse::<u32>().ok().map(u64::from);
    let (start, stop, step) = (number(start)?, number(stop)?, number(step)?);
    (start <= stop && step > 0).then_some((start, stop, step))
}

fn line(template: &[Token<'_>], number: u64) -> Result<Vec<u8>, Refusal> {
    let mut line = Vec::new();
    for (position, token) in template.iter().enumerate() {
        if position > 0 {
            line.push(b' ');
        }
        let quote: &[u8] = if token.quoted { b"\"" } else { b"" };
        line.extend_from_slice(quote);
        expand(token.text, number, &mut line).ok_or_else(|| {
            let message = format!("{} cannot be expanded for {number}", rdata::quote(*token));
            Refusal::new(
                (token.line, token.column),
                message,
                "write '$' or '${offset,width,base}' with base d, o, x, X, n or N",
            )
        })?;
        line.extend_from_slice(quote);
    }
    Ok(line)
}

fn expand(text: &[u8], number: u64, out: &mut Vec<u8>) -> Option<()> {
    let mut rest = text;
    while let Some((&octet, after)) = rest.split_first() {
        rest = after;
        match (octet, after.first()) {
            (b'\\', Some(b'$')) | (b'$', Some(b'$')) => {
                // as an escape, since a dollar sign at the start of a line is a directive
                out.extend_from_slice(br"\$");
                rest = &after[1..];
            }
            (b'\\', Some(next)) => {
                out.extend_from_slice(&[b'\\', *next]);
                rest = &after[1..];
            }
            (b'$', Some(b'{')) => {
                let end = after.iter().position(|octet| *octet == b'}')?;
                out.extend(formatted(&after[1..end], number)?.into_bytes());
                rest = &after[end + 1..];
            }
            (b'$', _) => out.extend(number.to_string().into_bytes()),
            _ => out.push(octet),
        }
    }
    Some(())
}

/// The number as `offset,width,base` says, of which the last two may be missing.
fn formatted(form: &[u8], number: u64) -> Option<String> {
    let form = std::str::from_utf8(form).ok()?;
    let mut parts = form.split(',');
    let offset: i64 = parts.next()?.parse().ok()?;
    let width: usize = parts.next().unwrap_or("0").parse().ok().filter(|width| *width <= MOST_WIDTH)?;
    let base = parts.next().unwrap_or("d");
    let value = u32::try_from(i64::try_from(number).ok()?.checked_add(offset)?).ok()?;
    let mut text = String::new();
    match base {
        "d" => write!(text, "{value:0width$}"),
        "o" => write!(text, "{value:0width$o}"),
        "x" => write!(text, "{value:0width$x}"),
        "X" => write!(text, "{value:0width$X}"),
        "n" => return parts.next().is_none().then(|| nibbles(value, width)),
        "N" => return parts.next().is_none().then(|| nibbles(value, width).to_ascii_uppercase()),
        _ => return None,
    }
    .ok()?;
    parts.next().is_none().then_some(text)
}

/// Hex digits, the last one first, with dots between them; the dots count into the width.
fn nibbles(mut value: u32, width: usize) -> String {
    let mut text = String::new();
    loop {
        let _ = write!(text, "{:x}", value & 15);
        value >>= 4;
        if value == 0 && text.len() >= width {
            return text;
        }
        text.push('.');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(text: &str, number: u64) -> Option<String> {
        let mut out = Vec::new();
        expand(text.as_bytes(), number, &mut out)?;
        Some(String::from_utf8(out).unwrap())
    }

    #[test]
    fn dollars_become_numbers() {
        for (text, number, line) in [
            ("host-$", 7, "host-7"),
            ("$.$", 12, "12.12"),
            ("${10}", 7, "17"),
            ("${-3,4}", 7, "0004"),
            ("${0,3,x}", 255, "0ff"),
            ("${0,0,X}", 255, "FF"),
            ("${0,0,o}", 8, "10"),
            ("${0,3,n}", 0x1a, "a.1"),
            ("${0,7,N}", 0x1a, "A.1.0.0"),
            ("${0,0,n}", 0, "0"),
            (r"a\$b$$c\.d", 1, r"a\$b\$c\.d"),
        ] {
            assert_eq!(expanded(text, number).as_deref(), Some(line), "{text}");
        }
        for text in ["${", "${x}", "${0,1,q}", "${-1}", "${0,0,d,1}", "${0,999}"] {
            assert_eq!(expanded(text, 0), None, "{text}");
        }
    }

    #[test]
    fn lines_are_counted_by_the_step() {
        let lines = |text: &'static str| {
            let (line, column) = (1, 1);
            let range = Token {
                text: text.as_bytes(),
                quoted: false,
                line,
                column,
            };
            Generator::new(range, &[])
                .map(Iterator::count)
                .map_err(|refusal| refusal.into_reason().message)
        };
        assert_eq!(lines("0-1048575"), Ok(1 << 20));
        assert_eq!(lines("1-4294967295/4096"), Ok(1 << 20));
        for range in ["0-1048576", "0-4294967295/4095"] {
            assert_eq!(lines(range), Err("a range of more than 1048576 lines".to_owned()), "{range}");
        }
    }

    #[test]
    fn ranges_have_start_stop_and_step() {
        assert_eq!(read_range(b"1-20"), Some((1, 20, 1)));
        assert_eq!(read_range(b"0-8/4"), Some((0, 8, 4)));
        for range in ["", "1", "2-1", "1-2/0", "-1-2", "1-x", "1-99999999999"] {
            assert_eq!(read_range(range.as_bytes()), None, "{range}");
        }
    }
}
