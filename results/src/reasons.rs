//! Every reason that a verdict can give, as a stable code.
//!
//! The `reason` of a run is the name of an anomaly (the checkers say which there are), or one of
//! [`REASONS`]. Codes are never reused; new ones may be added.

/// A code and what it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReasonCode {
    /// The code, as `verdict.json` has it.
    pub code: &'static str,
    /// Of what it can be the reason.
    pub of: Of,
    /// What it means, in one sentence.
    pub meaning: &'static str,
}

/// Of what a code is the reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// Of how a run ended; no checker gives it.
    Run,
    /// Of a checker's unknown, and of a run that ends inconclusive by it.
    Inconclusive,
    /// Of a checker's unknown, and of a run that ends insufficient by it.
    Insufficient,
}

const fn of(code: &'static str, of: Of, meaning: &'static str) -> ReasonCode {
    ReasonCode { code, of, meaning }
}

/// All codes but the names of anomalies.
#[rustfmt::skip]
pub static REASONS: [ReasonCode; 25] = [
    of("valid", Of::Run, "Every checker says valid, on enough evidence."),
    of("expected-anomaly", Of::Run, "An anomaly was found that the plan expects."),
    of("expected-anomaly-missing", Of::Run, "The plan expects an anomaly that was not found."),
    of("gate-missed", Of::Run, "A figure misses a threshold that the suite sets."),
    of("gate-not-measured", Of::Run, "A figure that the suite sets a threshold for could not be measured."),
    of("harness-error", Of::Run, "Tribunal itself failed; the claim says how."),
    of("interrupted", Of::Run, "The run was stopped before its end, and nothing was found until then."),
    of("unknown", Of::Run, "A checker could not tell, and gave no reason."),
    of("self-check", Of::Inconclusive, "A contradiction was found that could not be confirmed: please report it."),
    of("budget", Of::Inconclusive, "A checker ran out of the steps or bytes that it may use."),
    of("budget-time", Of::Inconclusive, "Judging took longer than the plan allows (`judge: time`)."),
    of("budget-memory", Of::Inconclusive, "Judging took more memory than the plan allows (`judge: memory_mib`)."),
    of("not-judged", Of::Inconclusive, "The checker said nothing before the judging process ended."),
    of("too-wide", Of::Inconclusive, "More operations were outstanding at once than the checker can search."),
    of("ambiguous", Of::Inconclusive, "A read does not say which write it saw."),
    of("not-unique", Of::Inconclusive, "A value was written more than once, so that a read does not say which write it saw."),
    of("mixed", Of::Inconclusive, "Operations of different data types were asked of one key."),
    of("unsupported", Of::Inconclusive, "The history holds what the checker does not judge."),
    of("late-update", Of::Inconclusive, "Replicas differ in what updates of unknown end may have done late."),
    of("undrained", Of::Inconclusive, "A queue was not emptied at the end, so that what is missing may still be in it."),
    of("unsettled", Of::Inconclusive, "The record ends before replicas could settle."),
    of("malformed-journal", Of::Inconclusive, "The message journal contradicts itself."),
    of("disk-full", Of::Inconclusive, "A node ended because the machine's disk was full."),
    of("machine-stood-still", Of::Inconclusive, "The machine itself stood still while the system was waited for."),
    of("partial", Of::Inconclusive, "Operations were left out of a history from elsewhere, and may have changed what others read."),
];

/// The codes that mean *too little happened*.
pub static TOO_LITTLE: [ReasonCode; 2] = [
    of(
        "vacuous",
        Of::Insufficient,
        "Nothing happened that the checker could judge.",
    ),
    of(
        "insufficient",
        Of::Insufficient,
        "Less happened than the plan's floor of evidence asks for.",
    ),
];

/// All of them.
pub fn all() -> impl Iterator<Item = &'static ReasonCode> {
    REASONS.iter().chain(&TOO_LITTLE)
}

/// The reason of that code.
pub fn find(code: &str) -> Option<&'static ReasonCode> {
    all().find(|reason| reason.code == code)
}
