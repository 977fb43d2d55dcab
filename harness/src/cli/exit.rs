//! Exit codes. Documented in `--help` and the README, and never reused.
//!
//! | code | meaning |
//! |--:|---|
//! | 0 | pass |
//! | 1 | violation; of `adapter test`: the adapter does something wrong |
//! | 2 | inconclusive: a checker could not tell |
//! | 3 | insufficient evidence, or nothing selected |
//! | 4 | regression: nothing is wrong, but a figure misses its threshold (a gate of the suite, or a
//! saved baseline) |
//! | 64 | usage or suite error |
//! | 70 | harness error |
//! | 130 | interrupted |

/// Everything passed.
pub const PASS: u8 = 0;
/// A contradiction was found, or what was examined is wrong.
pub const VIOLATION: u8 = 1;
/// Nothing was selected, or too little happened.
pub const INSUFFICIENT: u8 = 3;
/// The command line, a suite or another input is wrong.
pub const USAGE: u8 = 64;
/// The harness itself failed.
pub const HARNESS_ERROR: u8 = 70;
/// The user stopped it.
pub const INTERRUPTED: u8 = 130;
