//! Money moved between the accounts of one bank, and reads of all accounts at once.
//!
//! Jepsen's `bank`: transfers change no total, so a read whose total is another saw half of one.
//! Every bank has the accounts 0, 1, …, which the target opens by itself; what they are worth
//! together is the target's to say (`bank_total`). Some threads only read.

use rand::RngExt;
use serde::Deserialize;
use serde_json::Value as Json;
use tribunal_results::options::{OptionError, decode};
use tribunal_results::{Kind, Operation, Scalar};

use crate::generator::{
    EachThread, FromFn, Generator, Reserve, Seed, Sequence, Stagger, TimeLimit, UntilOk,
};
use crate::{FINALE_MAX, Program, Setting, Workload};

/// The bank.
const BANK: &str = "bank";
/// How many threads read at the end.
const FINAL_READERS: usize = 3;
/// How often a final read is tried, and how long after a failure.
const FINAL_ATTEMPTS: u64 = 20;
const FINAL_PAUSE_NANOS: u64 = 100_000_000;
/// More accounts than this are not worth reading at once.
const ACCOUNTS_MAX: i64 = 1_000;

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Options {
    /// Money is moved between the first so many accounts.
    accounts: i64,
    /// The most that is moved at once.
    amount: i64,
    /// The share of reads among the operations of threads that also transfer.
    read_share: f64,
    /// The share of threads that only read.
    readers_share: f64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            accounts: 8,
            amount: 5,
            read_share: 0.2,
            readers_share: 0.4,
        }
    }
}

impl Options {
    fn read(options: &Json) -> Result<Self, OptionError> {
        let options: Self = decode(options)?;
        if !(2..=ACCOUNTS_MAX).contains(&options.accounts) {
            let text = format!("must be between 2 and {ACCOUNTS_MAX}");
            return Err(OptionError::new("accounts", text));
        }
        if options.amount < 1 {
            return Err(OptionError::new("amount", "must be at least 1"));
        }
        crate::check_share("read_share", options.read_share)?;
        crate::check_share("readers_share", options.readers_share)?;
        Ok(options)
    }
}

/// The workload.
pub struct Bank;

impl Workload for Bank {
    fn name(&self) -> &'static str {
        "bank"
    }

    fn about(&self) -> &'static str {
        "transfers between accounts, and reads of all accounts, whose total must stay"
    }

    fn needs(&self) -> &'static [Kind] {
        &[Kind::Transfer, Kind::Balances]
    }

    fn uses(&self) -> &'static [Kind] {
        &[]
    }

    fn checkers(&self) -> &'static [&'static str] {
        &["bank"]
    }

    fn program(&self, options: &Json, setting: &Setting) -> Result<Program, OptionError> {
        let options = Options::read(options)?;
        let seed = Seed::new(setting.seed).named("bank");
        let readers = (setting.clients as f64 * options.readers_share).ceil() as usize;
        let readers = readers.min(setting.clients.saturating_sub(1));
        let main = Reserve::new(
            seed.named("reserve"),
            vec![(readers, Box::new(FromFn::repeat(balances())))],
            Box::new(transfers(seed.named("transfers"), options)),
        );
        let main = Stagger::new(seed.named("rate"), setting.rate, main);
        let finale = Stagger::new(seed.named("finale"), setting.rate, final_reads(setting));
        Ok(Program {
            main: Box::new(TimeLimit::new(setting.time_limit, main)),
            finale: Box::new(TimeLimit::new(FINALE_MAX, finale)),
        })
    }
}

fn bank() -> Scalar {
    BANK.into()
}

fn balances() -> Operation {
    Operation::Balances { key: bank() }
}

fn transfers(seed: Seed, options: Options) -> impl Generator {
    FromFn::new(seed, move |draws, _| {
        if draws.random::<f64>() < options.read_share {
            return Some(balances());
        }
        let from = draws.random_range(0..options.accounts);
        let to = (from + draws.random_range(1..options.accounts)) % options.accounts;
        Some(Operation::Transfer {
            key: bank(),
            from: from.into(),
            to: to.into(),
            amount: draws.random_range(1..=options.amount),
        })
    })
}

/// A read by each of a few neighbouring threads (which are on different nodes), until answered.
fn final_reads(setting: &Setting) -> impl Generator + use<> {
    let readers = FINAL_READERS.min(setting.nodes).min(setting.clients).max(1);
    EachThread::new(setting.clients, move |thread| {
        let read = FromFn::repeat(balances());
        let read: Box<dyn Generator> =
            Box::new(UntilOk::new(FINAL_ATTEMPTS, FINAL_PAUSE_NANOS, read));
        let reads = (thread < readers).then_some(read);
        Box::new(Sequence::new(reads.into_iter().collect()))
    })
}
