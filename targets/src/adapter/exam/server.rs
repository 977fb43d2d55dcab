//! Servers that fail in known ways.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What is no answer in any protocol.
const NONSENSE: &[u8] = b"\x00\xff?? this is no answer ??\r\n\r\n";

/// What a server does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// It never answers.
    Silent,
    /// It closes the connection.
    HangUp,
    /// It answers nonsense, and closes.
    Nonsense,
}

impl Manner {
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Silent => "the server never answers",
            Self::HangUp => "the server hangs up after the request has arrived",
            Self::Nonsense => "the server's answer is nonsense",
        }
    }
}

/// A server. It ends when this is dropped.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    heard: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Server {
    pub(super) async fn start(manner: Manner) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let heard = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&heard);
        let task = tokio::spawn(async move {
            let mut open = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                open.spawn(serve(stream, manner, Arc::clone(&counted)));
            }
        });
        Ok(Self {
            address,
            heard,
            task,
        })
    }

    /// How many bytes have arrived.
    pub(super) fn heard(&self) -> u64 {
        self.heard.load(Ordering::Relaxed)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut stream: TcpStream, manner: Manner, heard: Arc<AtomicU64>) {
    let mut chunk = [0; 4096];
    while let Ok(count @ 1..) = stream.read(&mut chunk).await {
        heard.fetch_add(count as u64, Ordering::Relaxed);
        match manner {
            Manner::Silent => {}
            Manner::HangUp => return,
            Manner::Nonsense => {
                // Whoever has gone meanwhile needs no answer.
                let _ = stream.write_all(NONSENSE).await;
                return;
            }
        }
    }
}

/// An address where nobody listens.
pub(super) async fn nobody() -> io::Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0").await?.local_addr()
}
