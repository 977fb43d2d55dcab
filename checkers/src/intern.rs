//! Keys and values as small numbers, in the order in which they were first seen.
//!
//! Most histories name things by counting, so an integer is its own place in a table; that saves
//! the hash, and neighbours in time are neighbours in memory. Others are hashed.

use rustc_hash::FxHashMap;
use tribunal_results::Scalar;

/// Integers below this have a place in the table, however few scalars are expected.
const TABLE_MIN: usize = 256;
/// Room in the table for each scalar expected.
const PLACES_EACH: usize = 2;

/// The numbers of scalars.
#[derive(Debug, Default)]
pub(crate) struct Numbers<'a> {
    /// Of each small integer its number plus one; 0 if it has none.
    table: Vec<u32>,
    places: usize,
    integers: FxHashMap<i64, u32>,
    texts: FxHashMap<&'a str, u32>,
    next: u32,
}

impl<'a> Numbers<'a> {
    /// None yet; about so many are expected.
    pub(crate) fn expecting(scalars: usize) -> Self {
        Self {
            places: scalars.saturating_mul(PLACES_EACH).max(TABLE_MIN),
            ..Self::default()
        }
    }

    /// How many scalars have a number.
    pub(crate) const fn len(&self) -> u32 {
        self.next
    }

    /// The number of a scalar, if it has one.
    pub(crate) fn get(&self, scalar: &Scalar) -> Option<u32> {
        match scalar {
            Scalar::Int(n) => match self.place(*n) {
                Some(place) => self.table.get(place)?.checked_sub(1),
                None => self.integers.get(n).copied(),
            },
            Scalar::Text(text) => self.texts.get(&**text).copied(),
        }
    }

    /// The number of a scalar; the next one if it is new.
    pub(crate) fn number(&mut self, scalar: &'a Scalar) -> u32 {
        let next = self.next;
        let number = match scalar {
            Scalar::Int(n) => match self.place(*n) {
                Some(place) => self.tabled(place),
                None => *self.integers.entry(*n).or_insert(next),
            },
            Scalar::Text(text) => *self.texts.entry(text).or_insert(next),
        };
        self.next += u32::from(number == next);
        number
    }

    fn place(&self, n: i64) -> Option<usize> {
        let place = usize::try_from(n).ok()?;
        (place < self.places).then_some(place)
    }

    fn tabled(&mut self, place: usize) -> u32 {
        if place >= self.table.len() {
            let wide = (place + 1).next_power_of_two().min(self.places);
            self.table.resize(wide, 0);
        }
        match self.table.get_mut(place) {
            Some(entry) => {
                if *entry == 0 {
                    *entry = self.next + 1;
                }
                *entry - 1
            }
            None => self.next,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_are_numbered_in_the_order_of_their_first_mention() {
        let scalars: Vec<Scalar> = vec![
            7.into(),
            "a".into(),
            i64::MAX.into(),
            0.into(),
            (-1).into(),
            "7".into(),
            5_000.into(),
            255.into(),
            256.into(),
        ];
        let mut numbers = Numbers::expecting(2);
        assert!(scalars.iter().all(|scalar| numbers.get(scalar).is_none()));
        for _ in 0..2 {
            for (number, scalar) in (0..).zip(&scalars) {
                assert_eq!(numbers.number(scalar), number, "{scalar}");
            }
        }
        for (number, scalar) in (0..).zip(&scalars) {
            assert_eq!(numbers.get(scalar), Some(number));
        }
        assert_eq!(numbers.len(), 9);
        assert_eq!(numbers.get(&254.into()), None);
        assert_eq!(numbers.get(&"b".into()), None);
    }
}
