//! Sockets of a node: one listener for clients and peers, and one outgoing connection per peer.
//! Everything that happens on them becomes an [`Event`] in one bounded inbox, so that a busy node
//! pushes back on its senders instead of filling memory.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tribunal_results::NodeId;

use super::stderr::note;
use crate::wire::{Line, LineReader, Message, WireError};

/// Encoded lines on their way out of one connection.
pub(super) type Lines = mpsc::Sender<Vec<u8>>;
/// How many lines may wait for one connection; further ones are dropped.
const LINES_MAX: usize = 1024;
/// How many connections are served at once; further ones are closed.
const CONNECTIONS_MAX: usize = 1024;
/// Lines that are written with one system call.
const LINES_PER_WRITE: usize = 128;
const DIAL_TIMEOUT: Duration = Duration::from_secs(1);
const REDIAL_AFTER: Duration = Duration::from_millis(100);

/// What happens on the sockets.
#[derive(Debug)]
pub(super) enum Event {
    /// Somebody connected.
    Opened { connection: u64, lines: Lines },
    /// A message arrived on an accepted connection.
    Message { connection: u64, message: Message },
    /// An accepted connection ended.
    Closed { connection: u64 },
    /// The outgoing connection to a peer is up (with where its lines go) or down.
    Link { peer: NodeId, lines: Option<Lines> },
}

/// Accepts connections for ever and serves each until it ends.
pub(super) async fn listen(listener: TcpListener, inbox: mpsc::Sender<Event>) {
    let mut connections = JoinSet::new();
    let mut next = 0;
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) if connections.len() < CONNECTIONS_MAX => {
                    next += 1;
                    connections.spawn(serve(stream, next, inbox.clone()));
                }
                Ok(_) => note("too many connections: one more was closed"),
                Err(e) => {
                    note(&format!("can't accept a connection: {e}"));
                    sleep(REDIAL_AFTER).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Serves one accepted connection until either direction ends.
async fn serve(stream: TcpStream, connection: u64, inbox: mpsc::Sender<Event>) {
    let _ = stream.set_nodelay(true);
    let (read, write) = stream.into_split();
    let (lines, waiting) = mpsc::channel(LINES_MAX);
    let opened = Event::Opened {
        connection,
        lines: lines.clone(),
    };
    if inbox.send(opened).await.is_err() {
        return;
    }
    tokio::select! {
        () = receive(read, connection, lines, &inbox) => {}
        () = transmit(write, waiting) => {}
    }
    let _ = inbox.send(Event::Closed { connection }).await;
}

/// Passes on every message that arrives; answers what is none with an error.
async fn receive(
    read: impl AsyncRead + Unpin,
    connection: u64,
    lines: Lines,
    inbox: &mpsc::Sender<Event>,
) {
    let mut reader = LineReader::new(read);
    let mut noted = false;
    loop {
        let error = match reader.next().await {
            Ok(Line::Whole(line)) => match Message::decode(line) {
                Ok(message) => {
                    let event = Event::Message {
                        connection,
                        message,
                    };
                    if inbox.send(event).await.is_err() {
                        return;
                    }
                    continue;
                }
                Err(error) => error,
            },
            Ok(Line::TooLong) => {
                note(&format!(
                    "connection {connection} closed: its line is too long"
                ));
                return;
            }
            Ok(Line::End) | Err(_) => return,
        };
        // Once a connection: whoever sends garbage shall not fill the log with it.
        if !std::mem::replace(&mut noted, true) {
            note(&format!("connection {connection}: {error}"));
        }
        refuse(&lines, &error).await;
    }
}

/// Answers a line that is no message. Waits for room: a sender of garbage that doesn't read the
/// answers is read no further.
async fn refuse(lines: &Lines, error: &WireError) {
    let message = Message {
        src: "?".into(),
        dest: "?".into(),
        body: error.body(),
    };
    if let Ok(line) = message.encode() {
        let _ = lines.send(line).await;
    }
}

/// Writes lines as they come, many at once when many wait, until the connection fails.
async fn transmit(mut write: impl AsyncWrite + Unpin, mut waiting: mpsc::Receiver<Vec<u8>>) {
    let mut batch = Vec::with_capacity(LINES_PER_WRITE);
    while waiting.recv_many(&mut batch, LINES_PER_WRITE).await > 0 {
        if write.write_all(&batch.concat()).await.is_err() {
            return;
        }
        batch.clear();
    }
}

/// Keeps a connection to a peer for ever: dials again whenever there is none. Lines that were
/// still waiting when a connection ended are dropped with it.
pub(super) async fn dial(peer: NodeId, address: SocketAddr, inbox: mpsc::Sender<Event>) {
    loop {
        if let Ok(Ok(stream)) = timeout(DIAL_TIMEOUT, TcpStream::connect(address)).await {
            let _ = stream.set_nodelay(true);
            let (read, write) = stream.into_split();
            let (lines, waiting) = mpsc::channel(LINES_MAX);
            let link = |lines| Event::Link {
                peer: peer.clone(),
                lines,
            };
            let _ = inbox.send(link(Some(lines))).await;
            tokio::select! {
                () = until_closed(read) => {}
                () = transmit(write, waiting) => {}
            }
            let _ = inbox.send(link(None)).await;
        }
        sleep(REDIAL_AFTER).await;
    }
}

/// Waits until the other side closes. Peers answer on connections of their own, so whatever
/// arrives here is nobody's.
async fn until_closed(mut read: impl AsyncRead + Unpin) {
    let mut scrap = [0; 256];
    while matches!(read.read(&mut scrap).await, Ok(1..)) {}
}
