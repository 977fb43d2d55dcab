//! The statements within a transaction. Keys and values are kept as JSON, so that numbers and texts
//! never share a row.

use serde_json::json;
use tribunal_results::{Micro, Reason, Scalar, Seen};

use super::{Connection, Dialect, Refused, Row};

/// A transaction under way.
pub(super) struct Steps<'a> {
    pub(super) connection: &'a mut dyn Connection,
    pub(super) dialect: &'a Dialect,
}

impl Steps<'_> {
    async fn run(&mut self, statement: &str) -> Result<Vec<Row>, Reason> {
        let rows = self.connection.run(statement).await;
        rows.map_err(Refused::reason)
    }

    fn literal(&self, value: &Scalar) -> String {
        self.dialect.literal(&json!(value).to_string())
    }

    /// Carries out steps; what the reads saw is in them.
    pub(super) async fn micros(&mut self, micros: &[Micro]) -> Result<Vec<Micro>, Reason> {
        let lists = are_lists(micros);
        let mut done = Vec::with_capacity(micros.len());
        for micro in micros {
            let key = self.literal(micro.key());
            done.push(match micro {
                Micro::Read { key: name, .. } => Micro::Read {
                    key: name.clone(),
                    seen: self.read(&key, lists).await?,
                },
                Micro::Append { value, .. } => {
                    let (value, end) = (self.literal(value), self.dialect.or_append);
                    let insert = format!("insert into lists (k, v) values ({key}, {value}) {end}");
                    self.run(&insert).await?;
                    micro.clone()
                }
                Micro::Write { value, .. } => {
                    let (value, end) = (self.literal(value), self.dialect.or_replace);
                    let insert =
                        format!("insert into registers (k, v) values ({key}, {value}) {end}");
                    self.run(&insert).await?;
                    micro.clone()
                }
            });
        }
        Ok(done)
    }

    /// What a key holds: one that transactions append to is in `lists`, any other in `registers`.
    /// Whoever only reads cannot know which, and asks for both at once.
    async fn read(&mut self, key: &str, lists: Option<bool>) -> Result<Seen, Reason> {
        let list = format!("select 'list', v from lists where k = {key}");
        let register = format!("select 'register', v from registers where k = {key}");
        let rows = match lists {
            Some(true) => self.run(&list).await?,
            Some(false) => self.run(&register).await?,
            None => self.run(&format!("{list} union all {register}")).await?,
        };
        let Some(row) = rows.into_iter().next() else {
            return Ok(Seen::Nothing);
        };
        let mut cells = row.into_iter().flatten();
        let (table, text) = (cells.next(), cells.next().unwrap_or_default());
        let seen = match table.as_deref() {
            Some("list") => serde_json::from_str(&format!("[{text}]")).map(Seen::List),
            _ => serde_json::from_str(&text).map(Seen::Value),
        };
        seen.map_err(|e| Reason::new("bad-answer", format!("{text:?}: {e}")))
    }

    /// Adds an element to a set: a row of `elements (k, v)`.
    pub(super) async fn add(&mut self, set: &Scalar, element: &Scalar) -> Result<(), Reason> {
        let (key, value) = (self.literal(set), self.literal(element));
        let end = self.dialect.or_nothing;
        let insert = format!("insert into elements (k, v) values ({key}, {value}) {end}");
        self.run(&insert).await.map(drop)
    }

    /// The elements of a set.
    pub(super) async fn members(&mut self, set: &Scalar) -> Result<Vec<Scalar>, Reason> {
        let key = self.literal(set);
        let select = format!("select v from elements where k = {key}");
        let cells = self.run(&select).await?.into_iter().flatten();
        let element = |cell: Option<String>| {
            let text = cell.unwrap_or_default();
            let wrong = |e| Reason::new("bad-answer", format!("{text:?}: {e}"));
            serde_json::from_str(&text).map_err(wrong)
        };
        cells.map(element).collect()
    }

    /// Opens the bank, unless it is.
    async fn open(&mut self, bank: &Scalar) -> Result<(), Reason> {
        let (key, end) = (self.literal(bank), self.dialect.or_nothing);
        let accounts = 0..self.dialect.bank.accounts;
        let rows: Vec<String> = accounts
            .map(|account| format!("({key}, {account}, {})", self.dialect.bank.balance))
            .collect();
        let rows = rows.join(", ");
        let insert = format!("insert into accounts (bank, account, v) values {rows} {end}");
        self.run(&insert).await.map(drop)
    }

    /// Moves money: reads both balances, and writes what they become.
    pub(super) async fn transfer(
        &mut self,
        bank: &Scalar,
        (from, to): (&Scalar, &Scalar),
        amount: i64,
    ) -> Result<(), Reason> {
        let known = |account: &Scalar| match account {
            Scalar::Int(n) if (0..self.dialect.bank.accounts).contains(n) => Ok(*n),
            other => Err(Reason::new("no-account", format!("{bank} has no {other}"))),
        };
        let (from, to) = (known(from)?, known(to)?);
        if self.rows(bank).await?.is_empty() {
            self.open(bank).await?;
        }
        let paid = self.balance(bank, from).await? - amount;
        if paid < 0 {
            let text = format!("{from} lacks {}", -paid);
            return Err(Reason::new("insufficient-funds", text));
        }
        self.set_balance(bank, from, paid).await?;
        let paid = self.balance(bank, to).await? + amount;
        self.set_balance(bank, to, paid).await
    }

    async fn rows(&mut self, bank: &Scalar) -> Result<Vec<Row>, Reason> {
        let key = self.literal(bank);
        let select = format!("select account, v from accounts where bank = {key} order by account");
        self.run(&select).await
    }

    async fn balance(&mut self, bank: &Scalar, account: i64) -> Result<i64, Reason> {
        let key = self.literal(bank);
        let select = format!("select v from accounts where bank = {key} and account = {account}");
        let rows = self.run(&select).await?;
        let number = rows.first().and_then(|row| number(row, 0));
        number.ok_or_else(|| Reason::new("bad-answer", format!("no balance of {account}")))
    }

    async fn set_balance(&mut self, bank: &Scalar, account: i64, v: i64) -> Result<(), Reason> {
        let key = self.literal(bank);
        let change = format!("update accounts set v = {v}");
        let update = format!("{change} where bank = {key} and account = {account}");
        self.run(&update).await.map(drop)
    }

    /// What every account holds.
    pub(super) async fn balances(
        &mut self,
        bank: &Scalar,
    ) -> Result<Vec<(Scalar, Option<i64>)>, Reason> {
        let rows = self.rows(bank).await?;
        if rows.is_empty() {
            let text = "nothing was transferred here yet";
            return Err(Reason::new("bank-not-open", text));
        }
        let balance = |row: &Row| Some((number(row, 0)?.into(), number(row, 1)));
        let balances = rows.iter().map(balance).collect::<Option<_>>();
        balances.ok_or_else(|| Reason::new("bad-answer", "an account without a number"))
    }
}

fn number(row: &Row, at: usize) -> Option<i64> {
    row.get(at)?.as_deref()?.parse().ok()
}

/// Whether keys hold lists, by what is written; nobody knows if nothing is.
fn are_lists(micros: &[Micro]) -> Option<bool> {
    micros.iter().find_map(|micro| match micro {
        Micro::Append { .. } => Some(true),
        Micro::Write { .. } => Some(false),
        Micro::Read { .. } => None,
    })
}
