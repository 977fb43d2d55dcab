//! One client's connections: to its own node, and to the primary for what it writes.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::{Config, NoTls, SimpleQueryMessage};
use tribunal_results::{Operation, Outcome, Reason};

use crate::sql::{self, Connection, Dialect, Refused, Row};
use crate::{Client, ClientSpec, Pending, Status};

/// A connection; what it carries ends with it.
struct Link {
    client: tokio_postgres::Client,
    carrier: JoinHandle<()>,
    spoiled: bool,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.carrier.abort();
    }
}

impl Link {
    async fn open(address: SocketAddr) -> Result<Self, Reason> {
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
        let (client, connection) = connected.map_err(|e| lost(said(&e)))?;
        let carrier = tokio::spawn(async move {
            // Whoever waits for an answer is told of the error.
            let _ = connection.await;
        });
        Ok(Self {
            client,
            carrier,
            spoiled: false,
        })
    }

    fn is_usable(&self) -> bool {
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
            let answer = self.client.simple_query(statement).await;
            let messages = answer.map_err(|e| refused(&e))?;
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

/// A client with its connections.
struct PostgresClient {
    dialect: Dialect,
    own: Link,
    /// Where the primary is, if the client's own node is not it.
    primary: Option<SocketAddr>,
    to_primary: Option<Link>,
    /// How long it may take to connect to the primary.
    within: Duration,
    reads_here: bool,
}

/// Connects to a node.
///
/// # Errors
/// Why there is no connection. Nothing was asked.
pub(super) async fn open(
    spec: &ClientSpec,
    dialect: Dialect,
    reads_here: bool,
) -> Result<Box<dyn Client>, Reason> {
    let primary = spec.nodes.first().filter(|(node, _)| *node != spec.node);
    Ok(Box::new(PostgresClient {
        dialect,
        own: Link::open(spec.address).await?,
        primary: primary.map(|(_, address)| *address),
        to_primary: None,
        within: spec.timeout / 2,
        reads_here,
    }))
}

impl PostgresClient {
    async fn perform(&mut self, operation: &Operation) -> Outcome {
        let here = self.reads_here && sql::only_reads(operation);
        let Some(primary) = self.primary.filter(|_| !here) else {
            return sql::perform(&mut self.own, &self.dialect, operation).await;
        };
        let link = match self.to_primary.take().filter(Link::is_usable) {
            Some(link) => link,
            None => match timeout(self.within, Link::open(primary)).await {
                Ok(Ok(link)) => link,
                Ok(Err(reason)) => return Outcome::Fail(reason),
                Err(_) => {
                    let text = format!("the primary did not answer within {:?}", self.within);
                    return Outcome::Fail(Reason::new("no-connection", text));
                }
            },
        };
        let link = self.to_primary.insert(link);
        sql::perform(link, &self.dialect, operation).await
    }
}

impl Client for PostgresClient {
    fn invoke<'a>(&'a mut self, operation: &'a Operation) -> Pending<'a, Outcome> {
        Box::pin(self.perform(operation))
    }

    fn is_usable(&mut self) -> bool {
        self.own.is_usable()
    }
}

/// Asks a server how it is: a primary serves when it answers, a standby when it is streaming.
pub(super) async fn status(address: SocketAddr) -> io::Result<Status> {
    let other = |reason: Reason| io::Error::other(format!("{}: {}", reason.code, reason.text));
    let mut link = Link::open(address).await.map_err(other)?;
    let ask = "select pg_is_in_recovery(), \
               (select count(*) from pg_stat_wal_receiver where status = 'streaming'), \
               (select count(*) from pg_stat_replication where state = 'streaming')";
    let rows = link.run(ask).await;
    let rows = rows.map_err(|refused| io::Error::other(refused.text))?;
    let cell = |at: usize| rows.first().and_then(|row| row.get(at)?.as_deref());
    let (standby, receives) = (cell(0) == Some("t"), cell(1) == Some("1"));
    Ok(Status {
        ready: !standby || receives,
        role: if standby { "standby" } else { "primary" }.into(),
        detail: match (standby, receives) {
            (true, true) => "streaming from the primary".into(),
            (true, false) => "not streaming from the primary".into(),
            _ => format!("streams to {}", cell(2).unwrap_or("nobody")),
        },
        ..Status::default()
    })
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
