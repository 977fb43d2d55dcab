//! Keys and values as small numbers, in the order in which they were first seen.
//!
//! Most histories name things by counting, so an integer is its own place in a table; that saves
//! the hash, and neighbours in time are neighbours in memory. Others are hashed.

use std::sync::Arc;

use rustc_hash::FxHashMap;
use tribunal_results::Scalar;

/// Integers below this have a place in the table, however few scalars are expected.
const TABLE_MIN: usize = 256;
/// Room in the table for each scalar expected.
const PLACES_EACH: usize = 2;

/// The numbers of scalars.
#[derive(Debug, Default)]
pub(crate) struct Numbers {
    /// Of each small integer its number plus one; 0 if it has none.
    table: Vec<u32>,
    places: usize,
    integers: FxHashMap<i64, u32>,
    texts: FxHashMap<Arc<str>, u32>,
    next: u32,
}

impl Numbers {
    /// None yet; about so many are expected.
    pub(crate) fn expecting(scalars: usize) -> Self {
        Self {
            places: scalars.saturating_mul(PLACES_EACH).max(TABLE_MIN),
            ..Self::default()
        }
    }

    /// The number of a scalar, if it has one.
    pub(crate) fn get(&self, scalar: &Scalar) -> Option<u32> {
        match scalar {
            Scalar::Int(n) => match self.place(*n) {
                Some(place) => self.table.get(place)?.checked_sub(1),
                None => self.integers.get(n).copied(),
            },
            Scalar::Text(text) => self.texts.get(text).copied(),
        }
    }

    /// The number of a scalar; the next one if it is new.
    pub(crate) fn number(&mut self, scalar: &Scalar) -> u32 {
        let next = self.next;
        let number = match scalar {
            Scalar::Int(n) => match self.place(*n) {
                Some(place) => self.tabled(place),
                None => *self.integers.entry(*n).or_insert(next),
            },
            Scalar::Text(text) => match self.texts.get(text) {
                Some(number) => *number,
                None => *self.texts.entry(text.clone()).or_insert(next),
            },
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

/// Items by a client and a number that it was given, such as a token.
#[derive(Debug, Default)]
pub(crate) struct ByToken<T> {
    /// Of each small number the place of its first item plus one; 0 if it has none.
    table: Vec<u32>,
    items: Vec<((u64, u64), T)>,
    /// The places of the others.
    more: FxHashMap<(u64, u64), u32>,
}

impl<T: Default> ByToken<T> {
    /// The item of a client and a number, if there is one.
    pub(crate) fn get(&self, key: (u64, u64)) -> Option<&T> {
        self.items.get(self.find(key)?).map(|(_, item)| item)
    }

    /// The same, to change it.
    pub(crate) fn get_mut(&mut self, key: (u64, u64)) -> Option<&mut T> {
        let at = self.find(key)?;
        self.items.get_mut(at).map(|(_, item)| item)
    }

    /// The item of a client and a number; the default one if there is none. Whether it is new.
    pub(crate) fn entry(&mut self, key: (u64, u64)) -> (&mut T, bool) {
        let found = self.find(key);
        let at = found.unwrap_or(self.items.len());
        if found.is_none() {
            self.items.push((key, T::default()));
            self.place(key, at as u32);
        }
        (&mut self.items[at].1, found.is_none())
    }

    fn find(&self, key: (u64, u64)) -> Option<usize> {
        let place = usize::try_from(key.1).ok();
        let tabled = place.and_then(|place| self.table.get(place)?.checked_sub(1));
        let of = |at: u32| {
            self.items
                .get(at as usize)
                .is_some_and(|(of, _)| *of == key)
        };
        let at = match tabled.filter(|at| of(*at)) {
            Some(at) => at,
            None if self.more.is_empty() => return None,
            None => *self.more.get(&key)?,
        };
        Some(at as usize)
    }

    fn place(&mut self, key: (u64, u64), at: u32) {
        let most = self.items.len().saturating_mul(PLACES_EACH).max(TABLE_MIN);
        let place = usize::try_from(key.1).ok().filter(|place| *place < most);
        if let Some(place) = place
            && place >= self.table.len()
        {
            self.table.resize((place + 1).next_power_of_two(), 0);
        }
        match place.and_then(|place| self.table.get_mut(place)) {
            Some(entry) if *entry == 0 => *entry = at + 1,
            _ => {
                self.more.insert(key, at);
            }
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
        assert_eq!(numbers.next, 9);
        assert_eq!(numbers.get(&254.into()), None);
        assert_eq!(numbers.get(&"b".into()), None);
    }

    #[test]
    fn items_are_found_by_client_and_token_wherever_they_are_kept() {
        let keys = [
            (1, 0),
            (2, 0),
            (1, 5),
            (1, u64::MAX),
            (3, 255),
            (3, 100_000),
            (3, 5),
        ];
        let mut items: ByToken<usize> = ByToken::default();
        for (at, key) in keys.into_iter().enumerate() {
            assert_eq!(items.get(key), None);
            let (item, is_new) = items.entry(key);
            assert!(is_new);
            *item = at;
        }
        for (at, key) in keys.into_iter().enumerate() {
            assert_eq!(items.get(key), Some(&at));
            assert_eq!(items.get_mut(key).copied(), Some(at));
            assert_eq!(items.entry(key), (&mut at.clone(), false));
        }
        assert_eq!(items.get((2, 5)), None);
    }
}
