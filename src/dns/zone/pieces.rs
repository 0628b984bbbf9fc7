//! The text of a file in pieces, so that no file has to be in memory as a whole.
//!
//! Whoever reads says how much of a piece it has taken; the rest is the beginning of the next piece.

use std::io::{self, Read};

/// So many octets of a file are read at a time.
pub const PIECE: usize = 256 << 10;
/// What is not taken can grow up to this, in octets: the longest entry, comments in its parentheses included.
const LONGEST: usize = 16 << 20;
/// May stand before the first line of a file, and is no part of its text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A text that is read piece by piece.
pub(super) struct Pieces<'r> {
    source: &'r mut dyn Read,
    size: usize,
    octets: Vec<u8>,
    taken: usize,
    is_first: bool,
    is_last: bool,
}

impl<'r> Pieces<'r> {
    /// Nothing is read yet; `size` octets will be at a time, of a longer entry more.
    pub(super) fn new(source: &'r mut dyn Read, size: usize) -> Self {
        Self {
            source,
            size: size.max(BYTE_ORDER_MARK.len()),
            octets: Vec::new(),
            taken: 0,
            is_first: true,
            is_last: false,
        }
    }

    /// Reads on, and says how many octets: the piece is what was left of the one before and more.
    ///
    /// # Errors
    /// The source's, and an entry that has no end within reason.
    pub(super) fn advance(&mut self) -> io::Result<usize> {
        self.octets.drain(..self.taken);
        self.taken = 0;
        let left = self.octets.len();
        if left > LONGEST {
            let message = format!("an entry of more than {LONGEST} octets");
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        // an entry that is longer than a piece is not read again and again from its start
        let wanted = self.size.max(left);
        self.octets.reserve_exact(wanted);
        let read = (&mut *self.source).take(wanted as u64).read_to_end(&mut self.octets)?;
        self.is_last = read < wanted;
        if std::mem::take(&mut self.is_first) && self.octets.starts_with(BYTE_ORDER_MARK) {
            self.octets.drain(..BYTE_ORDER_MARK.len());
        }
        Ok(read)
    }

    /// The piece.
    pub(super) fn octets(&self) -> &[u8] {
        &self.octets
    }

    /// Nothing comes after this piece.
    pub(super) fn is_last(&self) -> bool {
        self.is_last
    }

    /// Says that so many octets of the piece are done with.
    pub(super) fn take(&mut self, octets: usize) {
        self.taken = octets;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_taken_comes_again() {
        let text: Vec<u8> = (0..700_000_u32).map(|number| number as u8).collect();
        let mut source = &text[..];
        let mut pieces = Pieces::new(&mut source, PIECE);
        let mut read = Vec::new();
        loop {
            pieces.advance().unwrap();
            let take = if pieces.is_last() {
                pieces.octets().len()
            } else {
                pieces.octets().len() - 1000
            };
            read.extend_from_slice(&pieces.octets()[..take]);
            pieces.take(take);
            if pieces.is_last() {
                break;
            }
        }
        assert!(read == text);
    }

    #[test]
    fn an_entry_without_end_is_refused() {
        let mut source = io::repeat(b'a');
        let mut pieces = Pieces::new(&mut source, PIECE);
        let error = loop {
            if let Err(error) = pieces.advance() {
                break error;
            }
        };
        assert!(error.to_string().contains("16777216"), "{error}");
    }
}
