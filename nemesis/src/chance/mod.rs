//! Named sub-streams of chance: what draws from one can't shift another.

use rand::SeedableRng;
use rand_pcg::Pcg64Mcg;

/// The stream that belongs to a path of names under a seed. Equal seeds and paths give equal
/// streams on every machine and in every version (64-bit FNV-1a over seed and names).
pub fn stream(seed: u64, path: &[&str]) -> Pcg64Mcg {
    let names = path
        .iter()
        // 0xff never occurs in UTF-8: ["ab", "c"] and ["a", "bc"] differ.
        .flat_map(|name| name.bytes().chain(std::iter::once(0xff)));
    let hash = seed
        .to_le_bytes()
        .into_iter()
        .chain(names)
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
    Pcg64Mcg::seed_from_u64(hash)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::RngExt;

    fn first(seed: u64, path: &[&str]) -> u64 {
        stream(seed, path).random()
    }

    #[test]
    fn streams_repeat_by_seed_and_path_and_differ_otherwise() {
        assert_eq!(first(1, &["a", "b"]), first(1, &["a", "b"]));
        assert_ne!(first(1, &["a", "b"]), first(2, &["a", "b"]));
        assert_ne!(first(1, &["ab", "c"]), first(1, &["a", "bc"]));
        assert_ne!(first(1, &["a"]), first(1, &["a", ""]));
    }
}
