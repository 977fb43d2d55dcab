//! Whether an adapter does what it must, tried against servers that fail in known ways.
//!
//! | module | what it does |
//! |---|---|
//! | `server` | a server that is silent, hangs up, or answers nonsense |
//! | `trial` | an adapter that is examined: asked with time limits |
//!
//! No real system is needed: what matters most is how an adapter reports what went wrong, above
//! all that an operation which may have arrived is never called failed.

mod server;
mod trial;

use std::io;
use std::time::Duration;

use tribunal_results::{Kind, Operation};

use super::message::{Answer, Ending, Request};
use server::{Manner, Server};
use trial::{Silence, Trial};

/// What a check came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mark {
    /// It is as it must be; what was seen.
    Pass(String),
    /// Runs work, but could do better: what was seen, and how to mend it.
    Warn(String),
    /// Verdicts could be wrong, or runs not work: what was seen, and how to mend it.
    Fault(String),
}

/// One thing that was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What must be.
    pub name: &'static str,
    /// What it came to.
    pub mark: Mark,
}

/// How an adapter is examined.
#[derive(Clone, Debug)]
pub struct Exam {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// How long an operation may take.
    pub patience: Duration,
}

/// An operation that changes something, of each kind that adapters of stores, sets, queues and
/// locks have: the first that the adapter understands is used.
fn changes() -> Vec<Operation> {
    let key = || "k1".into();
    vec![
        Operation::Write {
            key: key(),
            value: 5.into(),
        },
        Operation::Add {
            key: key(),
            value: 5.into(),
        },
        Operation::Append {
            key: key(),
            value: 5.into(),
        },
        Operation::Enqueue {
            key: key(),
            value: 5.into(),
        },
        Operation::Increment { key: key(), by: 1 },
        Operation::Push {
            key: key(),
            value: 5.into(),
        },
        Operation::Request { lock: key() },
        Operation::TryAcquire { lock: key() },
        Operation::AcquirePermits {
            key: key(),
            permits: 1,
        },
        Operation::Transfer {
            key: key(),
            from: 1.into(),
            to: 2.into(),
            amount: 1,
        },
        Operation::Generate { key: key() },
        Operation::Txn { micros: Vec::new() },
    ]
}

impl Exam {
    /// Does every check, in order; `each` is told each as it is done.
    ///
    /// # Errors
    /// If the adapter cannot be started, or no socket be opened.
    pub async fn hold(&self, mut each: impl FnMut(&Check)) -> io::Result<Vec<Check>> {
        let mut checks = Vec::new();
        let mut note = |name, mark| {
            let check = Check { name, mark };
            each(&check);
            checks.push(check);
        };
        note(
            "answers open, and invoke of what it does not know",
            self.unknown().await?,
        );
        let (change, mark) = self.silence().await?;
        note("calls an operation without answer `info`", mark);
        let change = &change;
        note(
            "calls it `info` when the connection breaks",
            self.broken(change, Manner::HangUp).await?,
        );
        note(
            "calls it `info` when the answer is nonsense",
            self.broken(change, Manner::Nonsense).await?,
        );
        note(
            "never says `ok` where nobody listens",
            self.refused(change).await?,
        );
        note("goes on after close and open", self.reopened(change).await?);
        note("answers in the order of the requests", self.order().await?);
        note("ends when its standard input does", self.end().await?);
        Ok(checks)
    }

    async fn trial(&self, server: &Server) -> io::Result<Trial> {
        Trial::start(&self.command, server.address, self.patience)
    }

    async fn unknown(&self) -> io::Result<Mark> {
        let server = Server::start(Manner::Silent).await?;
        let mut trial = self.trial(&server).await?;
        if let Err(why) = trial.open().await {
            return Ok(Mark::Fault(why.words("open")));
        }
        let strange = Request::Invoke {
            f: "no-such-function".into(),
            key: Some("k1".into()),
            value: serde_json::Value::Null,
        };
        let answer = match trial.ask(&strange).await {
            Ok(answer) => answer,
            Err(why) => return Ok(Mark::Fault(why.words("invoke of `no-such-function`"))),
        };
        Ok(match answer.ending {
            Ending::Ok => Mark::Fault(
                "invoke of `no-such-function` is answered ok: answer fail with \
                 \"error\":\"not-supported\" to what it does not know"
                    .into(),
            ),
            Ending::Info => Mark::Warn(
                "invoke of `no-such-function` is answered info: nothing was sent, so answer fail \
                 with \"error\":\"not-supported\""
                    .into(),
            ),
            Ending::Fail => Mark::Pass("fail".into()),
        })
    }

    /// Also finds an operation that the adapter understands.
    async fn silence(&self) -> io::Result<(Operation, Mark)> {
        let server = Server::start(Manner::Silent).await?;
        for change in changes() {
            let mut trial = self.trial(&server).await?;
            match trial.open().await {
                Ok(answer) if answer.ending == Ending::Ok => {}
                Ok(_) => return Ok((change, greeting())),
                Err(why) => return Ok((change, Mark::Fault(why.words("open")))),
            }
            let answer = trial.ask(&Request::invoke(&change)).await;
            if matches!(&answer, Ok(answer) if is_unsupported(answer)) {
                continue;
            }
            let mark = match answer {
                Ok(answer) => unanswered(&change, &answer, "the server never answers"),
                Err(Silence::Late) => Mark::Warn(format!(
                    "{} is not answered within timeout_ms: the adapter is killed then, and started \
                     anew for the next operation; give its requests that time limit",
                    change.kind()
                )),
                Err(why) => Mark::Fault(why.words(change.kind().name())),
            };
            return Ok((change, mark));
        }
        let kinds: Vec<&str> = changes().iter().map(|c| c.kind().name()).collect();
        let change = Operation::Read { key: "k1".into() };
        let mark = format!(
            "it supports none of {}: nothing was tried",
            kinds.join(", ")
        );
        Ok((change, Mark::Warn(mark)))
    }

    async fn broken(&self, change: &Operation, manner: Manner) -> io::Result<Mark> {
        let server = Server::start(manner).await?;
        let mut trial = self.trial(&server).await?;
        match trial.open().await {
            Ok(answer) if answer.ending == Ending::Ok => {}
            Ok(_) => return Ok(greeting()),
            Err(why) => return Ok(Mark::Fault(why.words("open"))),
        }
        Ok(match trial.ask(&Request::invoke(change)).await {
            Ok(_) if server.heard() == 0 => {
                Mark::Warn("nothing was sent to the server, so this could not be tried".into())
            }
            Ok(answer) => unanswered(change, &answer, manner.words()),
            Err(why) => Mark::Fault(why.words(change.kind().name())),
        })
    }

    async fn refused(&self, change: &Operation) -> io::Result<Mark> {
        let mut trial = Trial::start(&self.command, server::nobody().await?, self.patience)?;
        let ending = match trial.open().await {
            Ok(answer) if answer.ending != Ending::Ok => {
                return Ok(Mark::Pass("open fails".into()));
            }
            Ok(_) => trial.ask(&Request::invoke(change)).await,
            Err(why) => return Ok(Mark::Fault(why.words("open where nobody listens"))),
        };
        Ok(match ending {
            Ok(answer) if answer.ending == Ending::Ok => Mark::Fault(format!(
                "{} is answered ok although nobody listens: only the system's own answer is ok",
                change.kind()
            )),
            Ok(answer) => Mark::Pass(format!("{:?}", answer.ending).to_lowercase()),
            Err(why) => Mark::Fault(why.words(change.kind().name())),
        })
    }

    async fn reopened(&self, change: &Operation) -> io::Result<Mark> {
        let server = Server::start(Manner::HangUp).await?;
        let mut trial = self.trial(&server).await?;
        for round in 0..2 {
            let asked = async {
                trial.open().await?;
                trial.ask(&Request::invoke(change)).await?;
                trial.ask(&Request::Close).await
            };
            match asked.await {
                Ok(answer) if answer.ending == Ending::Ok => {}
                Ok(answer) => {
                    let ending = format!("{:?}", answer.ending).to_lowercase();
                    return Ok(Mark::Warn(format!(
                        "close is answered {ending}, so a new process is started for the next \
                         client: let close succeed whatever became of the connection"
                    )));
                }
                Err(why) => {
                    return Ok(Mark::Fault(
                        why.words(["the first turn", "the second turn"][round]),
                    ));
                }
            }
        }
        Ok(Mark::Pass("twice".into()))
    }

    async fn order(&self) -> io::Result<Mark> {
        let server = Server::start(Manner::HangUp).await?;
        let mut trial = self.trial(&server).await?;
        let strange = |n: u32| Request::Invoke {
            f: format!("no-such-function-{n}"),
            key: None,
            value: serde_json::Value::Null,
        };
        if let Err(why) = trial.open().await {
            return Ok(Mark::Fault(why.words("open")));
        }
        Ok(
            match trial.ask_all(&[strange(1), strange(2), strange(3)]).await {
                Ok(()) => Mark::Pass("three at once".into()),
                Err(why) => Mark::Fault(why.words("three requests at once")),
            },
        )
    }

    async fn end(&self) -> io::Result<Mark> {
        let server = Server::start(Manner::Silent).await?;
        let trial = self.trial(&server).await?;
        Ok(match trial.hang_up().await {
            true => Mark::Pass("it ended".into()),
            false => Mark::Warn(
                "it still runs 2 s after its standard input was closed: end at the end of input, \
                 so that nothing is left when the controller is killed"
                    .into(),
            ),
        })
    }
}

/// It waits for a greeting when it opens, which these servers don't have.
fn greeting() -> Mark {
    Mark::Warn(
        "open waits for more than a connection, so this could not be tried; make sure by yourself \
         that an operation which may have arrived is never `fail`"
            .into(),
    )
}

fn is_unsupported(answer: &Answer) -> bool {
    answer.ending == Ending::Fail && answer.reason().code == "not-supported"
}

/// What is right to say of a change that the server has got and not acknowledged.
fn unanswered(change: &Operation, answer: &Answer, what: &str) -> Mark {
    let kind: Kind = change.kind();
    match answer.ending {
        Ending::Info => Mark::Pass(format!("{kind}: info")),
        Ending::Fail => Mark::Fault(format!(
            "{kind} is answered fail although {what}: it may have arrived, and take effect later. \
             Answer info to every error after sending; a false fail makes false violations"
        )),
        Ending::Ok => Mark::Fault(format!(
            "{kind} is answered ok although {what}: answer ok only to what the system has \
             acknowledged"
        )),
    }
}
