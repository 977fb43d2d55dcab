//! The services that nodes may use: ids on the network like any other.
//!
//! | module | what it holds |
//! |---|---|
//! | `kv` | `lin-kv`, `seq-kv` and `lww-kv`: one interface over three stores |
//! | `value` | JSON values that are kept as they were written |
//! | `linear`, `sequential`, `gossiping` | the stores |
//! | `oracle` | `lin-tso` |

mod gossiping;
mod kv;
mod linear;
mod oracle;
mod sequential;
mod value;

use serde_json::value::RawValue;

/// Their names on the network.
pub(super) const NAMES: [&str; 4] = ["lin-kv", "seq-kv", "lww-kv", "lin-tso"];

/// Something that answers requests.
pub(super) trait Service: Send {
    /// The body that answers what `src` says; `None` if that is no request.
    fn answer(&mut self, src: &str, body: &RawValue) -> Option<String>;

    /// What it does by itself, every now and then.
    fn tick(&mut self) {}
}

/// The service of that name, with chance seeded so.
pub(super) fn make(name: &str, seed: u64) -> Option<Box<dyn Service>> {
    Some(match name {
        "lin-kv" => Box::new(kv::Kv(linear::Store::default())),
        "seq-kv" => Box::new(kv::Kv(sequential::Store::new(seed))),
        "lww-kv" => Box::new(kv::Kv(gossiping::Store::new(seed))),
        "lin-tso" => Box::new(oracle::Oracle::default()),
        _ => return None,
    })
}

/// A stream of chance: the splitmix64 generator (G. Steele, D. Lea, C. Flood, "Fast Splittable
/// Pseudorandom Number Generators", OOPSLA 2014).
#[derive(Debug)]
struct Chance(u64);

impl Chance {
    /// A number below `limit`, which is not 0.
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % limit.max(1) as u64) as usize
    }
}
