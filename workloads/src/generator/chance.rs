//! Seeds and chance that an offer can look at without using it up.

use rand_pcg::Pcg64Mcg;

/// Where a stream of chance begins. Parts of a program derive their own by name or number, so
/// that adding a part shifts no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Seed(u64);

impl Seed {
    /// The seed of a whole run.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The seed of the part of that name (FNV-1a over the name, then mixed with this seed).
    #[must_use]
    pub fn named(self, name: &str) -> Self {
        let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        self.numbered(hash)
    }

    /// The seed of the part of that number.
    #[must_use]
    pub const fn numbered(self, number: u64) -> Self {
        Self(scramble(scramble(self.0) ^ number))
    }

    /// The stream of chance that begins here.
    pub fn draws(self) -> Pcg64Mcg {
        let high = scramble(self.0) as u128;
        let low = scramble(self.0 ^ 0x5851_f42d_4c95_7f2d) as u128;
        Pcg64Mcg::new(high << 64 | low)
    }
}

/// The output function of SplitMix64 (Steele, Lea, Flood: *Fast splittable pseudorandom number
/// generators*, OOPSLA 2014): neighbouring numbers come out unrelated.
const fn scramble(number: u64) -> u64 {
    let z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// One stream of chance a turn. Whatever is drawn within a turn is drawn again the same way until
/// [`advance`](Self::advance) begins the next one; generators advance only when they are told of
/// something, never when they offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chance {
    seed: Seed,
    turn: u64,
}

impl Chance {
    /// The first turn.
    pub const fn new(seed: Seed) -> Self {
        Self { seed, turn: 0 }
    }

    /// This turn's stream, from its beginning.
    pub fn draws(&self) -> Pcg64Mcg {
        self.seed.numbered(self.turn).draws()
    }

    /// The `n`-th number of this turn, by itself: for one draw without a stream.
    pub const fn number(&self, n: u64) -> u64 {
        self.seed.numbered(self.turn).numbered(n).0
    }

    /// The turn, from 0.
    pub const fn turn(&self) -> u64 {
        self.turn
    }

    /// Begins the next turn.
    pub const fn advance(&mut self) {
        self.turn += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::RngExt;

    #[test]
    fn a_turn_draws_the_same_until_the_next_begins() {
        let mut chance = Chance::new(Seed::new(1));
        let first: u64 = chance.draws().random();
        assert_eq!(first, chance.draws().random::<u64>());
        chance.advance();
        assert_ne!(first, chance.draws().random::<u64>());
    }

    #[test]
    fn parts_have_streams_of_their_own() {
        let seed = Seed::new(7);
        let all = [
            seed,
            seed.named("a"),
            seed.named("b"),
            seed.numbered(0),
            seed.numbered(1),
            Seed::new(8).named("a"),
        ];
        let firsts: std::collections::HashSet<u64> =
            all.iter().map(|seed| seed.draws().random()).collect();
        assert_eq!(firsts.len(), all.len());
    }
}
