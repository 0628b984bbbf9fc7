//! Where each record of a zone stands in its files, in some two octets a record: only messages about mistakes want to know.
//!
//! A list begins with its first line; every place then says its distance from that in lines, and its column.

use super::problem::{FileId, Place};

/// Lists of places one after the other.
#[derive(Debug, Default)]
pub(super) struct Places(Vec<u8>);

/// Where a list begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ListId(u32);

/// More places than 32-bit offsets can say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

impl Places {
    /// Adds a list.
    pub(super) fn add(&mut self, list: impl Iterator<Item = Place> + Clone) -> Result<ListId, Full> {
        let id = ListId(u32::try_from(self.0.len()).map_err(|_| Full)?);
        let first = list.clone().next().map_or(0, |place| place.line);
        self.put(first.into());
        for place in list {
            let distance = i64::from(place.line) - i64::from(first);
            let zigzag = (distance << 1 ^ distance >> 63) as u64;
            self.put(zigzag << 1 | u64::from(place.file != FileId::default()));
            if place.file != FileId::default() {
                self.put(place.file.0.into());
            }
            // the places of columns beyond 255 are their lines'
            self.0.push(u8::try_from(place.column).unwrap_or(0));
        }
        Ok(id)
    }

    /// The places of a list, which goes on for as long as it was made.
    pub(super) fn list(&self, id: ListId) -> List<'_> {
        let mut list = List {
            octets: &self.0[id.0 as usize..],
            first: 0,
        };
        list.first = list.take();
        list
    }

    fn put(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }
}

/// The places of one list; it does not know where it ends.
#[derive(Clone, Debug)]
pub(super) struct List<'p> {
    octets: &'p [u8],
    first: u64,
}

impl List<'_> {
    fn take(&mut self) -> u64 {
        let (mut number, mut shift) = (0, 0);
        while let Some((octet, rest)) = self.octets.split_first() {
            self.octets = rest;
            number |= u64::from(octet & 0x7f) << shift;
            shift += 7;
            if octet & 0x80 == 0 {
                break;
            }
        }
        number
    }

    /// The next place.
    pub(super) fn next(&mut self) -> Place {
        let head = self.take();
        let zigzag = head >> 1;
        let distance = (zigzag >> 1) as i64 ^ -((zigzag & 1) as i64);
        let file = if head & 1 == 0 { 0 } else { self.take() };
        Place {
            file: FileId(file as u16),
            line: (self.first as i64 + distance) as u32,
            column: self.take_column(),
        }
    }

    fn take_column(&mut self) -> u32 {
        let Some((column, rest)) = self.octets.split_first() else {
            return 0;
        };
        self.octets = rest;
        u32::from(*column)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_kept() {
        let place = |file, line, column| Place {
            file: FileId(file),
            line,
            column,
        };
        let lists = [
            vec![place(0, 1_400_000, 3), place(0, 1_400_001, 200), place(0, 1_399_000, 255)],
            vec![],
            vec![place(3, 7, 0), place(500, u32::MAX, 1), place(0, 1, 300)],
        ];
        let mut places = Places::default();
        let ids: Vec<ListId> = lists.iter().map(|list| places.add(list.iter().copied()).unwrap()).collect();
        for (list, id) in lists.iter().zip(ids) {
            let mut kept = places.list(id);
            for place in list {
                let expected = Place {
                    column: if place.column > 255 { 0 } else { place.column },
                    ..*place
                };
                assert_eq!(kept.next(), expected);
            }
        }
    }
}
