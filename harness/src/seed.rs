//! Named sub-streams of chance: one seed a run, one stream a part, so that a change in one part
//! does not shift the choices of another.

/// The seed of the part called `name` in a run with that seed.
///
/// FNV-1a over the name, then the finalizer of SplitMix64 (Steele, Lea and Flood 2014) over both.
pub fn stream(seed: u64, name: &str) -> u64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in name.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    let mut z = seed.wrapping_add(hash).wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::stream;

    #[test]
    fn parts_and_seeds_get_streams_of_their_own() {
        assert_ne!(stream(1, "clients"), stream(1, "nemesis"));
        assert_ne!(stream(1, "clients"), stream(2, "clients"));
        assert_eq!(stream(7, "links"), stream(7, "links"));
    }
}
