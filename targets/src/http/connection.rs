//! One HTTP/1.1 connection, for one request at a time.

use std::io;
use std::net::SocketAddr;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

/// The longest body that is read, in bytes.
const BODY_MAX: usize = 1 << 20;

/// A connection to a server.
#[derive(Debug)]
pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    /// Carries the bytes until the connection is closed.
    carrier: JoinHandle<()>,
    host: String,
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Reply {
    /// Its status.
    pub(crate) status: u16,
    /// Its body.
    pub(crate) body: Bytes,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Lost {
    /// Nothing of the request was sent.
    NotSent(String),
    /// Something was: nobody knows what became of it.
    Unanswered(String),
}

impl Connection {
    /// Connects. Nothing is sent: a dead node behind a proxy shows with the first request.
    ///
    /// # Errors
    /// Why there is no connection.
    pub(crate) async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let shaken = http1::handshake(TokioIo::new(stream)).await;
        let (sender, connection) = shaken.map_err(io::Error::other)?;
        let carrier = tokio::spawn(async move {
            // Whoever waits for an answer is told of the error.
            let _ = connection.await;
        });
        Ok(Self {
            sender,
            carrier,
            host: address.to_string(),
        })
    }

    /// Begins a request: method, path and further headers are the caller's.
    pub(crate) fn request(&self) -> hyper::http::request::Builder {
        Request::builder().header(header::HOST, &self.host)
    }

    /// Sends a request and waits for the whole answer.
    ///
    /// # Errors
    /// Why there is none, and whether anything was sent.
    pub(crate) async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Reply, Lost> {
        if let Err(e) = self.sender.ready().await {
            return Err(Lost::NotSent(e.to_string()));
        }
        let answer = match self.sender.send_request(request).await {
            Ok(answer) => answer,
            // The connection was closed before any of it was written.
            Err(e) if e.is_canceled() => return Err(Lost::NotSent(e.to_string())),
            Err(e) => return Err(Lost::Unanswered(e.to_string())),
        };
        let status = answer.status().as_u16();
        match Limited::new(answer.into_body(), BODY_MAX).collect().await {
            Ok(body) => Ok(Reply {
                status,
                body: body.to_bytes(),
            }),
            Err(e) => Err(Lost::Unanswered(e.to_string())),
        }
    }

    /// Whether it is seen to be closed.
    pub(crate) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }
}

impl Drop for Connection {
    /// What is under way is cut off with the connection.
    fn drop(&mut self) {
        self.carrier.abort();
    }
}
