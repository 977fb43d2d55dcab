//! `bank`: money is moved, never made or destroyed, and no account is overdrawn.

mod halves;

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};
use tribunal_results::{
    Answer, Assumptions, Call, History, Kind, Operation, Outcome, Record, Scalar, Verdict,
};

use crate::tally::{self, Finding, Findings, Watch, Watching};
use crate::{Budget, Checker, Fold, explain};

/// The checker.
pub struct Bank;

const NAME: &str = "bank";
const ANOMALIES: [&str; 4] = [
    "unexpected-account",
    "missing-account",
    "wrong-total",
    "negative-balance",
];

impl Checker for Bank {
    fn name(&self) -> &'static str {
        NAME
    }

    fn about(&self) -> &'static str {
        "every read of all accounts has the same accounts and the same total, and none overdrawn \
         (Jepsen's `bank`)"
    }

    fn anomalies(&self) -> &'static [&'static str] {
        &ANOMALIES
    }

    fn blind_to(&self) -> &'static str {
        "stale reads and wrong balances whose total is right; a wrong total of all reads alike, \
         unless `bank_total` is assumed"
    }

    fn check(&self, record: &Record, budget: Budget) -> Verdict {
        judge(&record.history, &record.assume, budget)
    }

    fn fold(&self, assume: &Assumptions, budget: Budget) -> Option<Box<dyn Fold>> {
        Some(Box::new(Watching::<First>::new(judge, assume, budget)))
    }
}

fn judge(history: &History, assume: &Assumptions, budget: Budget) -> Verdict {
    let mut account = Account::default();
    let mut findings = Findings::new(&ANOMALIES);
    let kinds = [Kind::Transfer, Kind::Balances];
    let Some(objects) = tally::by_key(history, &kinds, budget) else {
        return tally::exhausted(NAME, history);
    };
    for (key, calls) in objects {
        account.take(key, &calls, assume, &mut findings);
    }
    account.verdict(findings)
}

/// The place of the first read of a bank that was answered: what the others must agree with.
#[derive(Default)]
struct First(Option<usize>);

impl Watch for First {
    const KINDS: &[Kind] = &[Kind::Balances];

    fn returned(&mut self, place: usize, history: &History, assume: &Assumptions) -> bool {
        let read = |place: usize| history.calls().get(place).and_then(Read::of);
        let Some(own) = read(place) else {
            return false;
        };
        let first = read(*self.0.get_or_insert(place));
        first.is_some_and(|first| Norm::of(first, assume).error(&own, assume).is_some())
    }
}

/// A read that was answered.
#[derive(Clone, Copy)]
struct Read<'a> {
    call: &'a Call,
    balances: &'a [(Scalar, Option<i64>)],
}

impl<'a> Read<'a> {
    fn of(call: &'a Call) -> Option<Self> {
        match (&call.operation, &call.outcome) {
            (Operation::Balances { .. }, Outcome::Ok(Answer::Balances(balances))) => {
                Some(Self { call, balances })
            }
            _ => None,
        }
    }

    fn total(&self) -> i128 {
        let held = |(_, balance): &(Scalar, Option<i64>)| i128::from(balance.unwrap_or(0));
        self.balances.iter().map(held).sum()
    }
}

/// What every read of a bank must agree with.
struct Norm<'a> {
    accounts: Vec<&'a Scalar>,
    total: i128,
    /// The read that it is taken from.
    first: Read<'a>,
    /// Whether the total is assumed instead.
    assumed: bool,
}

impl<'a> Norm<'a> {
    fn of(first: Read<'a>, assume: &Assumptions) -> Self {
        let mut accounts: Vec<&Scalar> =
            first.balances.iter().map(|(account, _)| account).collect();
        accounts.sort_unstable();
        accounts.dedup();
        Self {
            accounts,
            total: assume.bank_total.map_or_else(|| first.total(), i128::from),
            first,
            assumed: assume.bank_total.is_some(),
        }
    }

    /// What is wrong with a read. Of several errors the first counts, as in Jepsen.
    fn error(&self, read: &Read<'a>, assume: &Assumptions) -> Option<Error<'a>> {
        let overdrawn = |(account, balance): &'a (Scalar, Option<i64>)| {
            let balance = balance.filter(|balance| *balance < 0 && !assume.overdraft)?;
            Some(Error::Overdrawn(account, balance))
        };
        if let Some((name, account)) = self.stranger(read) {
            Some(Error::Stranger(name, account))
        } else if read.total() != self.total {
            Some(Error::Total)
        } else {
            read.balances.iter().find_map(overdrawn)
        }
    }

    /// The first account that is not as it should be, and what kind of anomaly that is.
    fn stranger(&self, read: &Read<'a>) -> Option<(&'static str, &'a Scalar)> {
        let same = read.balances.len() == self.accounts.len()
            && read
                .balances
                .iter()
                .zip(&self.accounts)
                .all(|((a, _), b)| a == *b);
        let mut seen: Vec<&Scalar> = read.balances.iter().map(|(account, _)| account).collect();
        if !same {
            seen.sort_unstable();
            let twice = seen.windows(2).find(|pair| pair[0] == pair[1]);
            let unknown = |account: &&&Scalar| self.accounts.binary_search(account).is_err();
            let stranger = seen.iter().find(unknown).copied();
            if let Some(account) = stranger.or(twice.map(|pair| pair[0])) {
                return Some(("unexpected-account", account));
            }
            let unseen = |account: &&&Scalar| seen.binary_search(account).is_err();
            if let Some(account) = self.accounts.iter().find(unseen) {
                return Some(("missing-account", account));
            }
        }
        let empty = read.balances.iter().find(|(_, balance)| balance.is_none());
        empty.map(|(account, _)| ("missing-account", account))
    }
}

/// What is wrong with a read.
enum Error<'a> {
    /// An account too many or too few, and which of both.
    Stranger(&'static str, &'a Scalar),
    /// The total.
    Total,
    /// An account that was overdrawn, and its balance.
    Overdrawn(&'a Scalar, i64),
}

/// Reads with one kind of error.
#[derive(Default)]
struct Errors {
    count: u64,
    /// Index of the first and of the last such read's invocation.
    first: u64,
    last: u64,
    /// Totals of such reads.
    lowest: i128,
    highest: i128,
}

impl Errors {
    fn add(&mut self, read: &Read<'_>) {
        let total = read.total();
        if self.count == 0 {
            self.first = read.call.invoked.index;
            (self.lowest, self.highest) = (total, total);
        }
        self.last = read.call.invoked.index;
        self.lowest = self.lowest.min(total);
        self.highest = self.highest.max(total);
        self.count += 1;
    }

    fn json(&self) -> Json {
        let total =
            |sum: i128| i64::try_from(sum).map_or_else(|_| json!(sum.to_string()), |n| json!(n));
        json!({
            "count": self.count,
            "first": self.first,
            "last": self.last,
            "lowest": total(self.lowest),
            "highest": total(self.highest),
        })
    }
}

#[derive(Default)]
struct Account {
    /// Banks that were changed, and of which a total could be compared.
    judged: usize,
    reads: usize,
    transfers: usize,
    errors: BTreeMap<&'static str, Errors>,
}

impl Account {
    fn take<'a>(
        &mut self,
        key: &'a Scalar,
        calls: &[&'a Call],
        assume: &Assumptions,
        findings: &mut Findings,
    ) {
        let mut reads: Vec<Read<'_>> = Vec::new();
        let transfers_before = self.transfers;
        for &call in calls {
            let moved = matches!(call.operation, Operation::Transfer { .. }) && call.is_ok();
            self.transfers += usize::from(moved);
            reads.extend(Read::of(call));
        }
        self.reads += reads.len();
        // The first read tells nothing unless it is known what the accounts are worth.
        let compared = reads.len() > usize::from(assume.bank_total.is_none());
        self.judged += usize::from(compared && self.transfers > transfers_before);
        let Some(&first) = reads.iter().min_by_key(|read| tally::end(read.call)) else {
            return;
        };
        let norm = Norm::of(first, assume);
        for read in &reads {
            self.judge(key, read, &norm, (calls, assume), findings);
        }
    }

    /// Judges one read.
    fn judge<'a>(
        &mut self,
        key: &'a Scalar,
        read: &Read<'a>,
        norm: &Norm<'a>,
        (calls, assume): (&[&'a Call], &Assumptions),
        findings: &mut Findings,
    ) {
        let Some(error) = norm.error(read, assume) else {
            return;
        };
        let name = match error {
            Error::Stranger(name, _) => name,
            Error::Total => "wrong-total",
            Error::Overdrawn(..) => "negative-balance",
        };
        self.errors.entry(name).or_default().add(read);
        findings.add(name, || match error {
            Error::Stranger(_, account) => stranger(key, name, account, read, norm),
            Error::Total => wrong_total(key, read, norm, calls),
            Error::Overdrawn(account, balance) => negative(key, account, balance, read),
        });
    }

    fn verdict(self, findings: Findings) -> Verdict {
        let verdict = findings.verdict(NAME, || {
            if self.judged == 0 {
                let text = "no bank was changed by a transfer and read more than once (once, with \
                            `bank_total` assumed), so there is nothing to compare";
                return Verdict::unknown(NAME, "vacuous", text);
            }
            let reads = explain::count(self.reads, "read");
            let transfers = explain::count(self.transfers, "transfer");
            Verdict::valid(
                NAME,
                format!("{reads} beside {transfers}: the total stayed"),
            )
        });
        let firsts = self.errors.values().map(|errors| errors.first);
        let first = firsts.min();
        let total: u64 = self.errors.values().map(|errors| errors.count).sum();
        let errors = self
            .errors
            .iter()
            .map(|(name, errors)| ((*name).to_owned(), errors.json()));
        verdict
            .figure("read-count", self.reads)
            .figure("error-count", total)
            .figure("first-error", first)
            .figure("errors", Json::Object(errors.collect()))
    }
}

fn stranger<'a>(
    key: &'a Scalar,
    name: &str,
    account: &Scalar,
    read: &Read<'a>,
    norm: &Norm<'a>,
) -> Finding<'a> {
    let what = match name {
        "missing-account" => "without a balance of",
        _ => "with an account too many,",
    };
    Finding {
        key: Some(key),
        sentence: format!("{} {what} account {account}", tally::read(read.call)),
        facts: vec![
            tally::fact(explain::returned(norm.first.call)),
            tally::fact(explain::returned(read.call)),
            "Transfers neither open nor close accounts.".to_owned(),
        ],
        calls: vec![norm.first.call, read.call],
    }
}

fn negative<'a>(key: &'a Scalar, account: &Scalar, balance: i64, read: &Read<'a>) -> Finding<'a> {
    Finding {
        key: Some(key),
        sentence: format!(
            "account {account} was overdrawn: {} and found {balance}",
            tally::read(read.call)
        ),
        facts: vec![
            tally::fact(explain::returned(read.call)),
            "A transfer of more than there is must fail.".to_owned(),
        ],
        calls: vec![read.call],
    }
}

fn wrong_total<'a>(
    key: &'a Scalar,
    read: &Read<'a>,
    norm: &Norm<'a>,
    calls: &[&'a Call],
) -> Finding<'a> {
    let (total, due) = (read.total(), norm.total);
    let mut facts = vec![tally::fact(explain::returned(read.call))];
    let mut named = vec![read.call];
    if norm.assumed {
        facts.push(format!("The accounts are worth {due} together."));
    } else {
        let first = norm.first.call;
        facts.push(tally::fact(format!(
            "{}, {due} in all",
            explain::returned(first)
        )));
        named.push(first);
    }
    facts.push("Transfers change no total.".to_owned());
    let difference = match total - due {
        more if more > 0 => format!("{more} too much"),
        less => format!("{} too little", -less),
    };
    let mut sentence = format!(
        "{} and found {total} in all, {difference}",
        tally::read(read.call)
    );
    match halves::explain(read.call, calls, total - due) {
        Some(halves) => {
            for half in &halves {
                facts.push(tally::fact(half.sentence()));
            }
            let transfers = explain::count(halves.len(), "transfer");
            sentence = format!("{sentence}, as if {transfers} under way had been seen by half");
            named.extend(halves.into_iter().map(|half| half.transfer));
        }
        None => facts.push(
            "No few transfers that were under way explain the difference, each seen by half."
                .to_owned(),
        ),
    }
    Finding {
        key: Some(key),
        sentence,
        facts,
        calls: named,
    }
}
