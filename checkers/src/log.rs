//! `log`: messages that were acknowledged are in their log, each at one offset, in one order, and
//! nothing else is.
//!
//! The operations are those of Maelstrom's `kafka` workload, whose properties these are
//! (<https://github.com/jepsen-io/maelstrom>, `doc/workloads.md`): `send`, `poll`,
//! `commit-offsets` and `list-committed-offsets`. Offsets may have gaps.

mod account;
mod speech;

use tribunal_results::{Record, Verdict};

use self::account::Account;
use crate::tally::Findings;
use crate::{Budget, Checker, explain};

pub(crate) use self::speech::cross_polls;

/// The checker.
pub struct Log;

const NAME: &str = "log";
const ANOMALIES: [&str; 8] = [
    "lost-message",
    "skipped-message",
    "phantom-message",
    "inconsistent-offset",
    "duplicate-message",
    "unordered-poll",
    "offset-went-back",
    "phantom-commit",
];

impl Checker for Log {
    fn name(&self) -> &'static str {
        NAME
    }

    fn about(&self) -> &'static str {
        "acknowledged messages stay in their log, each at one offset, and polls pass over none \
         (Maelstrom's `kafka`)"
    }

    fn anomalies(&self) -> &'static [&'static str] {
        &ANOMALIES
    }

    fn blind_to(&self) -> &'static str {
        "messages at the end of a log beyond which nobody polled anything; commits that were \
         overwritten by older ones"
    }

    fn check(&self, record: &Record, budget: Budget) -> Verdict {
        let mut findings = Findings::new(&ANOMALIES);
        let Some(account) = Account::of(&record.history, budget) else {
            return crate::tally::exhausted(NAME, &record.history);
        };
        account.judge(&mut findings);
        let (sent, polled, unread) = account.figures();
        let verdict = findings.verdict(NAME, || match (sent, polled) {
            (0, _) => Verdict::unknown(NAME, "vacuous", "no message was acknowledged"),
            (_, 0) => Verdict::unknown(NAME, "vacuous", "no message was polled"),
            _ => {
                let (sent, unread) = (
                    explain::count(sent, "message"),
                    explain::count(unread, "message"),
                );
                Verdict::valid(
                    NAME,
                    format!(
                        "{sent} acknowledged, none lost; {unread} at the end of logs never polled"
                    ),
                )
            }
        });
        verdict
            .figure("acknowledged", sent)
            .figure("polled", polled)
            .figure("unread", unread)
    }
}
