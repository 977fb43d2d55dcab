//! The word `srvr`, to which a server says how it is.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::Status;

/// The longest answer that is read, in bytes.
const ANSWER_MAX: u64 = 16 << 10;

/// Asks a server how it is.
pub(super) async fn ask(address: SocketAddr) -> io::Result<Status> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(b"srvr").await?;
    let mut said = String::new();
    stream.take(ANSWER_MAX).read_to_string(&mut said).await?;
    understand(&said)
}

/// What it says: who serves names its mode; who is looking for a leader serves nobody.
fn understand(said: &str) -> io::Result<Status> {
    let of = |name: &str| {
        let mut lines = said.lines();
        lines.find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(": ")?.trim()))
    };
    match of("Mode") {
        Some(mode) => Ok(Status {
            ready: true,
            role: mode.to_owned(),
            detail: of("Zxid").map_or_else(String::new, |zxid| format!("zxid {zxid}")),
            ..Status::default()
        }),
        None => {
            let line = said.lines().next().unwrap_or("it closed the connection");
            let line: String = line.chars().take(200).collect();
            Err(io::Error::other(line))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_ready_when_it_says_its_mode() {
        let said = "Zookeeper version: 3.8.0\nZxid: 0x100000002\nMode: leader\nNode count: 5\n";
        let status = understand(said).unwrap();
        assert!(status.ready);
        assert_eq!(status.role, "leader");
        assert_eq!(status.detail, "zxid 0x100000002");
        let said = "This ZooKeeper instance is not currently serving requests\n";
        let why = understand(said).unwrap_err().to_string();
        assert!(why.contains("not currently serving"), "{why}");
        assert!(understand("").is_err());
    }
}
