//! The size of the pieces in which a file is read, and how little of one its source hands over at a time, changes nothing:
//! neither records nor messages nor their places.

use std::io::{self, Read};

use proptest::prelude::*;

use super::super::{Include, PIECE, load_by_pieces};
use super::{HEAD, contents};
use crate::dns::name::Name;

/// All that a load tells: records and warnings, or errors, as text.
type Outcome = Result<(String, Vec<String>), Vec<String>>;

/// Entries that pieces will cut: good ones, broken ones, and such as change what the next one means.
const ENTRIES: &[&str] = &[
    "a A 192.0.2.1\n",
    "a 60 A 192.0.2.2\r\n",
    "  TXT \"quoted ; ( text\" word\\\"\\; \"\"\n",
    "b TXT ( one ; comment ) here\n   \"two\"\r\n\n  three ; and a last one\n)\n",
    "c HTTPS 1 . alpn=\"h3,h2\" port=53\n",
    "\t; only a comment ( \"\n",
    "\n",
    "\r\n",
    "@ MX 10 nowhere\n",
    "d ((TXT) x\n y) \n",
    "$ORIGIN sub\n",
    "$ORIGIN example.com.\n",
    "$TTL 5\n",
    "$INCLUDE \"other\" below ; goes on after it\n",
    "$INCLUDE broken\n",
    "$INCLUDE absent\n",
    "$GENERATE 1-3 g$ A 192.0.2.$\n",
    "$GENERATE 1-3 g$ A 192.0.2.300\n",
    "\\065\\.b AAAA 2001:db8::1\n",
    "e TYPE65280 \\# 3 (0a\n0b0C)\n",
    "cut NS ns.cut\n",
    "\u{feff}f A 192.0.2.6\n",
    "a CNAME ns\n",
    "g..h A 192.0.2.7\n",
    "i A 192.0.2\n",
    "j TXT \"never closed\n",
    "k TXT ( \"never closed\n  \"nor here )\n",
    "l TXT ( never closed\n",
    ") m A 192.0.2.8\n",
    "n TXT x )\n",
    "$NONSENSE o\n",
    "p ADDRESS 192.0.2.9\n",
    "q TXT alpn=\"never closed\n",
    "r TXT \\\ns TXT x\\",
    "t A 192.0.2.10",
];

/// Hands over so many octets at a time, one amount after the other, and is interrupted in between.
struct Trickle<'t> {
    text: &'t [u8],
    amounts: Vec<usize>,
    reads: usize,
}

impl Read for Trickle<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reads += 1;
        if self.reads.is_multiple_of(3) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let amount = self.amounts[self.reads % self.amounts.len()].clamp(1, buffer.len().max(1));
        let (now, later) = self.text.split_at(amount.min(self.text.len()));
        buffer[..now.len()].copy_from_slice(now);
        self.text = later;
        Ok(now.len())
    }
}

fn outcome(text: &mut dyn Read, piece: usize) -> Outcome {
    let include: &mut Include<'_> = &mut |path| match path {
        "other" => Ok(Box::new(&b"x A 192.0.2.20\n  TXT (\n y )\n\n$TTL 7\nz A 192.0.2.21"[..])),
        "broken" => Ok(Box::new(&b"x A 192.0.2\nz TXT (\n\"y\n"[..])),
        _ => Err("no such file".to_owned()),
    };
    let apex: Name = "example.com.".parse().unwrap();
    let told = |problems: Vec<super::ZoneError>| problems.iter().map(ToString::to_string).collect::<Vec<_>>();
    match load_by_pieces(&apex, "main", text, piece, include) {
        Ok(loaded) => Ok((format!("{:?}", contents(&loaded.zone)), told(loaded.checks.run(&loaded.zone)))),
        Err(problems) => Err(told(problems)),
    }
}

/// What comes of a text that is in memory as a whole.
fn whole(text: &[u8]) -> Outcome {
    outcome(&mut &text[..], text.len() + 1)
}

fn assert_same_in_pieces(text: &[u8], sizes: impl IntoIterator<Item = usize>) {
    let expected = whole(text);
    for size in sizes {
        let shown = || String::from_utf8_lossy(text).into_owned();
        assert_eq!(outcome(&mut &text[..], size), expected, "in pieces of {size}: {:?}", shown());
    }
}

#[test]
fn every_border_through_a_good_file() {
    let is_good = |entry: &&&str| {
        let text = format!("{HEAD}{entry}");
        entry.ends_with('\n') && !entry.contains("CNAME") && whole(text.as_bytes()).is_ok()
    };
    let good: Vec<&str> = ENTRIES.iter().filter(is_good).copied().collect();
    assert_eq!(good.len(), 19, "{good:?}");
    let text = format!("\u{feff}{HEAD}{}", good.concat());
    assert!(whole(text.as_bytes()).is_ok_and(|(_, warnings)| !warnings.is_empty()));
    assert_same_in_pieces(text.as_bytes(), 1..text.len() + 2);
}

#[test]
fn every_border_through_a_file_of_mistakes() {
    for end in 1..=ENTRIES.len() {
        let text = format!("{HEAD}{}", ENTRIES[..end].concat());
        assert_same_in_pieces(text.as_bytes(), [1, 5, 64, text.len() - 1, text.len()]);
    }
    let text = format!("{HEAD}{}", ENTRIES.concat());
    assert!(whole(text.as_bytes()).is_err_and(|errors| errors.len() > 10));
    assert_same_in_pieces(text.as_bytes(), 1..text.len() + 2);
}

#[test]
fn a_byte_order_mark_is_one_at_the_start_of_a_file_alone() {
    let mark = "\u{feff}";
    assert_eq!(whole(format!("{mark}{HEAD}").as_bytes()), whole(HEAD.as_bytes()));
    let twice = format!("{mark}{mark}{HEAD}");
    assert_same_in_pieces(twice.as_bytes(), 1..twice.len());
    let generated = format!("{HEAD}$GENERATE 1-1 {mark}$ A 192.0.2.$\n");
    let written = format!("{HEAD}{mark}1 A 192.0.2.1\n");
    // the names are odd for hosts, and the messages that say so have their places elsewhere
    let zone = |text: &str| whole(text.as_bytes()).unwrap().0;
    assert_eq!(zone(&generated), zone(&written));
}

#[test]
fn borders_of_the_size_that_is_served() {
    let entry = "b TXT ( one ; comment ) here\n   \"two ; three\"\r\n\n )\nk TXT ( \"never closed\n  \"nor here )\ni A 192.0.2\n";
    for before in 0..=entry.len() {
        let comment = ";".repeat(PIECE - HEAD.len() - before - 1);
        let text = format!("{HEAD}{comment}\n{entry}");
        assert_same_in_pieces(text.as_bytes(), [PIECE]);
    }
}

proptest! {
    #[test]
    fn no_border_makes_a_difference(
        entries in prop::collection::vec(prop::sample::select(ENTRIES), 0..12),
        cut in 0_usize..40,
        size in 1_usize..80,
        amounts in prop::collection::vec(1_usize..9, 1..5),
    ) {
        let mut text = format!("{HEAD}{}", entries.concat()).into_bytes();
        text.truncate(text.len() - cut.min(text.len()));
        let expected = whole(&text);
        prop_assert_eq!(&outcome(&mut &text[..], size), &expected);
        let mut trickle = Trickle { text: &text, amounts, reads: 0 };
        prop_assert_eq!(&outcome(&mut trickle, size), &expected);
    }
}
