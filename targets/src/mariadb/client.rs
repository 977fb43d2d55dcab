//! One client's connection.

use std::io;
use std::net::SocketAddr;

use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Error, OptsBuilder, Value};
use tribunal_results::{Operation, Outcome, Reason};

use super::galera;
use crate::sql::{self, Connection, Dialect, Refused, Row};
use crate::{Client, ClientSpec, Pending, Status};

struct Link {
    connection: Conn,
    spoiled: bool,
}

impl Link {
    async fn open(address: SocketAddr, preamble: String) -> Result<Self, Error> {
        let options = OptsBuilder::default()
            .ip_or_hostname(address.ip().to_string())
            .tcp_port(address.port())
            .user(Some("tribunal"))
            .db_name(Some("tribunal"))
            // Else it goes on by the server's socket, around every fault on links.
            .prefer_socket(false)
            // Said here, they need not be asked of the server.
            .max_allowed_packet(Some(1 << 24))
            .wait_timeout(Some(28_800))
            .init(vec![preamble]);
        let connection = Conn::new(options).await?;
        Ok(Self {
            connection,
            spoiled: false,
        })
    }
}

/// Whether an error of that number, in answer to `commit`, says that the transaction was rolled
/// back: a deadlock, or (1020) something that was changed by others.
const fn is_undone(code: u16) -> bool {
    matches!(code, 1213 | 1020)
}

fn refused(error: &Error) -> Refused {
    match error {
        Error::Server(answer) => Refused {
            code: answer.code.to_string(),
            text: answer.message.clone(),
            undone: is_undone(answer.code),
        },
        other => Refused {
            code: "connection-lost".into(),
            text: other.to_string(),
            undone: false,
        },
    }
}

fn texts(row: &mysql_async::Row) -> Row {
    let cell = |at| row.as_ref(at).cloned().and_then(text);
    (0..row.len()).map(cell).collect()
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::NULL => None,
        Value::Bytes(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
        Value::Int(number) => Some(number.to_string()),
        Value::UInt(number) => Some(number.to_string()),
        other => Some(other.as_sql(true)),
    }
}

impl Connection for Link {
    fn run<'a>(&'a mut self, statement: &'a str) -> Pending<'a, Result<Vec<Row>, Refused>> {
        Box::pin(async move {
            let rows: Result<Vec<mysql_async::Row>, Error> = self.connection.query(statement).await;
            match rows {
                Ok(rows) => Ok(rows.iter().map(texts).collect()),
                Err(error) => {
                    self.spoiled |= !matches!(error, Error::Server(_));
                    Err(refused(&error))
                }
            }
        })
    }

    fn spoil(&mut self) {
        self.spoiled = true;
    }
}

struct MariaDbClient {
    link: Link,
    dialect: Dialect,
}

/// Connects to a node.
///
/// # Errors
/// Why there is no connection. Nothing was asked.
pub(super) async fn open(
    spec: &ClientSpec,
    dialect: Dialect,
    preamble: String,
) -> Result<Box<dyn Client>, Reason> {
    let link = Link::open(spec.address, preamble).await.map_err(|e| {
        let code = match &e {
            Error::Io(mysql_async::IoError::Io(e))
                if e.kind() == io::ErrorKind::ConnectionRefused =>
            {
                "refused"
            }
            _ => "no-connection",
        };
        Reason::new(code, format!("{} at {}: {e}", spec.node, spec.address))
    })?;
    Ok(Box::new(MariaDbClient { link, dialect }))
}

impl MariaDbClient {
    async fn perform(&mut self, operation: &Operation) -> Outcome {
        sql::perform(&mut self.link, &self.dialect, operation).await
    }
}

impl Client for MariaDbClient {
    fn invoke<'a>(&'a mut self, operation: &'a Operation) -> Pending<'a, Outcome> {
        Box::pin(self.perform(operation))
    }

    fn is_usable(&mut self) -> bool {
        !self.link.spoiled
    }
}

/// Asks a server how it is: it serves when it answers about the tables.
pub(super) async fn status(address: SocketAddr) -> io::Result<Status> {
    let ask = "select count(*) from registers".to_owned();
    let link = Link::open(address, ask).await.map_err(io::Error::other)?;
    link.connection
        .disconnect()
        .await
        .map_err(io::Error::other)?;
    Ok(Status {
        ready: true,
        role: "server".into(),
        ..Status::default()
    })
}

/// Asks a server of a cluster whether it belongs to it and has all that the others have.
pub(super) async fn status_in_cluster(address: SocketAddr) -> io::Result<Status> {
    // Where it is asked to wait for the others it would wait here too.
    let first = "set session wsrep_sync_wait = 0".to_owned();
    let link = Link::open(address, first).await;
    let mut connection = link.map_err(io::Error::other)?.connection;
    let rows: Vec<mysql_async::Row> =
        (connection.query(galera::ASK).await).map_err(io::Error::other)?;
    connection.disconnect().await.map_err(io::Error::other)?;
    let rows: Vec<Row> = rows.iter().map(texts).collect();
    Ok(galera::status(&rows, address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_numbers_that_say_so_mean_that_nothing_was_committed() {
        assert!(is_undone(1213) && is_undone(1020));
        // Lock wait timeout: the transaction goes on. Shutdown, killed, and no number at all.
        for code in [1205, 1053, 1317, 0] {
            assert!(!is_undone(code), "{code}");
        }
    }

    #[test]
    fn columns_are_texts() {
        assert_eq!(text(Value::NULL), None);
        assert_eq!(text(Value::Bytes(b"1,2".to_vec())).as_deref(), Some("1,2"));
        assert_eq!(text(Value::Int(-3)).as_deref(), Some("-3"));
    }
}
