//! One connection to one server, and what its failures mean.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_postgres::error::Severity;
use tokio_postgres::{AsyncMessage, Config, NoTls, SimpleQueryMessage};
use tribunal_results::Reason;

use crate::Pending;
use crate::sql::{Connection, Refused, Row};

/// The statement whose answer decides.
const COMMIT: &str = "commit";

/// A connection; what it carries ends with it.
pub(super) struct Link {
    client: tokio_postgres::Client,
    carrier: JoinHandle<()>,
    spoiled: bool,
    /// The last warning, which comes before the answer that it belongs to.
    warning: Arc<Mutex<Option<Refused>>>,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.carrier.abort();
    }
}

impl Link {
    /// Connects.
    ///
    /// # Errors
    /// Why there is no connection. Nothing was asked.
    pub(super) async fn open(address: SocketAddr) -> Result<Self, Reason> {
        let lost = |e: String| Reason::new("no-connection", format!("{address}: {e}"));
        let stream = TcpStream::connect(address).await;
        let stream = stream.map_err(|e| match e.kind() {
            io::ErrorKind::ConnectionRefused => Reason::new("refused", address.to_string()),
            _ => lost(e.to_string()),
        })?;
        stream.set_nodelay(true).map_err(|e| lost(e.to_string()))?;
        let mut config = Config::new();
        config.user("tribunal").dbname("postgres");
        let connected = config.connect_raw(stream, NoTls).await;
        let (client, mut connection) = connected.map_err(|e| lost(said(&e)))?;
        let warning = Arc::<Mutex<_>>::default();
        let heard = Arc::clone(&warning);
        let carrier = tokio::spawn(async move {
            // Whoever waits for an answer is told of the error.
            while let Some(Ok(message)) = poll_fn(|cx| connection.poll_message(cx)).await {
                if let AsyncMessage::Notice(notice) = message
                    && notice.parsed_severity() == Some(Severity::Warning)
                {
                    *lock(&heard) = Some(Refused {
                        code: notice.code().code().to_owned(),
                        text: notice.message().to_owned(),
                        undone: false,
                    });
                }
            }
        });
        Ok(Self {
            client,
            carrier,
            spoiled: false,
            warning,
        })
    }

    pub(super) fn is_usable(&self) -> bool {
        !self.spoiled && !self.client.is_closed()
    }
}

/// What went wrong, in the server's words if they are.
fn said(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(said) => format!("{}: {}", said.severity(), said.message()),
        None => error.to_string(),
    }
}

/// Whether an error of that code, in answer to `commit`, says that nothing was committed: class 40
/// is *transaction rollback*, but 40003 *statement completion unknown*; class 23 are constraints
/// that are checked at the end.
fn is_undone(code: &str) -> bool {
    (code.starts_with("40") || code.starts_with("23")) && code != "40003"
}

fn refused(error: &tokio_postgres::Error) -> Refused {
    match error.as_db_error() {
        Some(answer) => Refused {
            code: answer.code().code().to_owned(),
            text: answer.message().to_owned(),
            undone: is_undone(answer.code().code()),
        },
        None => Refused {
            code: "connection-lost".into(),
            text: error.to_string(),
            undone: false,
        },
    }
}

impl Connection for Link {
    fn run<'a>(&'a mut self, statement: &'a str) -> Pending<'a, Result<Vec<Row>, Refused>> {
        Box::pin(async move {
            lock(&self.warning).take();
            let answer = self.client.simple_query(statement).await;
            let messages = answer.map_err(|e| refused(&e))?;
            // So a server says that it has committed, but only here: its wait for a synchronous
            // standby was given up. Or that there was no transaction.
            if let Some(warned) = lock(&self.warning).take().filter(|_| statement == COMMIT) {
                return Err(warned);
            }
            let rows = messages.into_iter().filter_map(|message| match message {
                SimpleQueryMessage::Row(row) => Some(
                    (0..row.len())
                        .map(|at| row.get(at).map(str::to_owned))
                        .collect(),
                ),
                _ => None,
            });
            Ok(rows.collect())
        })
    }

    fn spoil(&mut self) {
        self.spoiled = true;
    }
}

fn lock(warning: &Mutex<Option<Refused>>) -> MutexGuard<'_, Option<Refused>> {
    warning.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_codes_that_say_so_mean_that_nothing_was_committed() {
        for code in ["40001", "40P01", "40002", "23505"] {
            assert!(is_undone(code), "{code}");
        }
        for code in ["40003", "57P01", "08006", "XX000", "53100", ""] {
            assert!(!is_undone(code), "{code}");
        }
    }
}
