//! What one client asks, and of whom: its own node, or the primary.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;
use tribunal_results::{NodeId, Operation, Outcome, Reason};

use super::link::Link;
use super::options::{Options, Reads};
use crate::sql::{self, Connection, Dialect};
use crate::{Client, ClientSpec, Pending, Status};

/// The way to the primary. Its connection is kept while it lasts: a server that is no longer the
/// primary was started anew, which ends its connections.
struct Primary {
    seats: Seats,
    link: Option<Link>,
    /// How long it may take to connect.
    within: Duration,
}

/// Where the primary may be.
enum Seats {
    /// There.
    Fixed(SocketAddr),
    /// At one of these, which are asked.
    Among(Vec<SocketAddr>),
}

impl Primary {
    /// A connection to it. Nothing has been asked of it yet.
    async fn link(&mut self) -> Result<&mut Link, Reason> {
        let link = match self.link.take().filter(Link::is_usable) {
            Some(link) => link,
            None => match &self.seats {
                Seats::Fixed(address) => within(self.within, Link::open(*address)).await?,
                Seats::Among(addresses) => self.find(addresses).await?,
            },
        };
        Ok(self.link.insert(link))
    }

    /// Asks all of them. If several say that they are the primary, it is the one that was promoted
    /// last, whose timeline is the highest.
    async fn find(&self, addresses: &[SocketAddr]) -> Result<Link, Reason> {
        let mut asked = JoinSet::new();
        for address in addresses {
            asked.spawn(within(self.within, timeline(*address)));
        }
        let mut found: Option<(String, Link)> = None;
        while let Some(answer) = asked.join_next().await {
            let Ok(Ok(Some((timeline, link)))) = answer else {
                continue;
            };
            if found.as_ref().is_none_or(|(least, _)| *least < timeline) {
                found = Some((timeline, link));
            }
        }
        let none = || Reason::new("no-primary", "no node says that it is the primary");
        found.map(|(_, link)| link).ok_or_else(none)
    }
}

/// Gives up after that time.
async fn within<T>(
    time: Duration,
    connecting: impl Future<Output = Result<T, Reason>>,
) -> Result<T, Reason> {
    timeout(time, connecting).await.unwrap_or_else(|_| {
        let text = format!("the primary did not answer within {time:?}");
        Err(Reason::new("no-connection", text))
    })
}

/// Connects; the timeline to which the server there writes, unless it is a standby.
async fn timeline(address: SocketAddr) -> Result<Option<(String, Link)>, Reason> {
    let mut link = Link::open(address).await?;
    // The name of a file of the log begins with its timeline, in eight digits.
    let ask = "select case when pg_is_in_recovery() then null \
               else left(pg_walfile_name(pg_current_wal_lsn()), 8) end";
    let rows = link.run(ask).await;
    let rows = rows.map_err(|refused| Reason::new(refused.code, refused.text))?;
    let timeline = rows.into_iter().flatten().flatten().next();
    Ok(timeline.map(|timeline| (timeline, link)))
}

/// A client with its connections.
struct PostgresClient {
    dialect: Dialect,
    /// To its own node, unless it needs to know only who the primary is.
    own: Option<Link>,
    /// The way to the primary, if its own node is not it for good.
    primary: Option<Primary>,
    reads_here: bool,
}

/// Connects: to the client's own node, or with failover to whichever is the primary.
///
/// # Errors
/// Why there is no connection. Nothing was asked.
pub(super) async fn open(spec: &ClientSpec, options: &Options) -> Result<Box<dyn Client>, Reason> {
    let to = |seats| Primary {
        seats,
        link: None,
        within: spec.timeout / 2,
    };
    let (own, primary) = if options.failover.is_some() {
        let all = spec.nodes.iter().map(|(_, address)| *address).collect();
        let mut primary = to(Seats::Among(all));
        primary.link().await?;
        (None, Some(primary))
    } else {
        let first = spec.nodes.first().filter(|(node, _)| *node != spec.node);
        let primary = first.map(|(_, address)| to(Seats::Fixed(*address)));
        (Some(Link::open(spec.address).await?), primary)
    };
    Ok(Box::new(PostgresClient {
        dialect: options.dialect(),
        own,
        primary,
        reads_here: options.reads == Reads::Local,
    }))
}

impl PostgresClient {
    async fn perform(&mut self, operation: &Operation) -> Outcome {
        let here = self.reads_here && sql::only_reads(operation);
        let link = match (&mut self.own, &mut self.primary) {
            (Some(own), _) if here => own,
            (_, Some(primary)) => match primary.link().await {
                Ok(link) => link,
                Err(reason) => return Outcome::Fail(reason),
            },
            (Some(own), None) => own,
            (None, None) => {
                return Outcome::Fail(Reason::new("no-connection", "there is nobody to ask"));
            }
        };
        sql::perform(link, &self.dialect, operation).await
    }
}

impl Client for PostgresClient {
    fn invoke<'a>(&'a mut self, operation: &'a Operation) -> Pending<'a, Outcome> {
        Box::pin(self.perform(operation))
    }

    fn is_usable(&mut self) -> bool {
        self.own.as_ref().is_none_or(Link::is_usable)
    }
}

/// Asks a server how it is: a primary serves when it answers, a standby when it is streaming.
pub(super) async fn status(node: Option<&NodeId>, address: SocketAddr) -> io::Result<Status> {
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
        leader: node.filter(|_| !standby).cloned(),
        detail: match (standby, receives) {
            (true, true) => "streaming from the primary".into(),
            (true, false) => "not streaming from the primary".into(),
            _ => format!("streams to {}", cell(2).unwrap_or("nobody")),
        },
        ..Status::default()
    })
}
