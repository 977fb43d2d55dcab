//! When a node is ready.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// How much of a log is read at once, in bytes.
const CHUNK: u64 = 1 << 20;
/// How much of the end of a log is looked at, in bytes.
const TAIL_MAX: u64 = 2048;
/// How much of an answer is read for its status, in bytes.
const ANSWER_MAX: u64 = 512;

/// Whether something accepts connections there.
pub(super) async fn tcp(address: &str) -> io::Result<()> {
    let connected = TcpStream::connect(address).await;
    connected
        .map(drop)
        .map_err(|e| io::Error::new(e.kind(), format!("{address}: {e}")))
}

/// Whether a GET is answered with a status from 200 to 299.
pub(super) async fn http(url: &str) -> io::Result<()> {
    let rest = url.strip_prefix("http://").unwrap_or(url);
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let mut stream = TcpStream::connect(host).await?;
    let request = format!("GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(ANSWER_MAX).read_to_end(&mut answer).await?;
    let answer = String::from_utf8_lossy(&answer);
    let first = answer.lines().next().unwrap_or_default();
    match first.split(' ').nth(1) {
        Some(status) if status.len() == 3 && status.starts_with('2') => Ok(()),
        _ => Err(io::Error::other(format!("{url} answers {first:?}"))),
    }
}

/// The end of a file, as text.
pub(super) fn tail(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let end = file.metadata()?.len();
    file.seek(SeekFrom::Start(end.saturating_sub(TAIL_MAX)))?;
    let mut bytes = Vec::new();
    file.take(TAIL_MAX).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// What a node has printed since its start, looked through for one text.
#[derive(Debug)]
pub(super) struct Printed {
    files: Vec<(PathBuf, u64)>,
    found: bool,
}

impl Printed {
    /// What is printed to those files from now on.
    pub(super) fn from_now(files: Vec<PathBuf>) -> Self {
        let ends = files.into_iter().map(|path| {
            let end = path.metadata().map_or(0, |meta| meta.len());
            (path, end)
        });
        Self {
            files: ends.collect(),
            found: false,
        }
    }

    /// Whether the text has been printed by now, within one line.
    pub(super) fn has(&mut self, text: &str) -> io::Result<bool> {
        for (path, from) in &mut self.files {
            if self.found {
                break;
            }
            let mut file = match File::open(path) {
                Ok(file) => file,
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                Err(e) => return Err(e),
            };
            file.seek(SeekFrom::Start(*from))?;
            let mut bytes = Vec::new();
            file.take(CHUNK).read_to_end(&mut bytes)?;
            let whole = match bytes.iter().rposition(|byte| *byte == b'\n') {
                Some(end) => end + 1,
                // A line without end is skipped only when it fills all that is read at once.
                None if bytes.len() as u64 == CHUNK => bytes.len(),
                None => 0,
            };
            let seen = String::from_utf8_lossy(&bytes);
            self.found = seen.lines().any(|line| line.contains(text));
            *from += whole as u64;
        }
        Ok(self.found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn only_what_is_printed_after_the_start_counts_and_it_counts_for_good() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("stderr");
        std::fs::write(&path, "ready of an earlier start\n").unwrap();
        let missing = dir.path().join("stdout");
        let mut printed = Printed::from_now(vec![missing, path.clone()]);
        assert!(!printed.has("ready").unwrap());
        let mut log = File::options().append(true).open(&path).unwrap();
        write!(log, "starting\nnow rea").unwrap();
        assert!(!printed.has("ready").unwrap());
        writeln!(log, "dy").unwrap();
        assert!(printed.has("ready").unwrap());
        writeln!(log, "more").unwrap();
        assert!(printed.has("ready").unwrap());
    }

    #[tokio::test]
    async fn a_status_of_200_is_ready_and_503_is_not() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/health", listener.local_addr().unwrap());
        let serve = async {
            for status in ["200 OK", "503 Service Unavailable", "2xx"] {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = [0; 256];
                let n = stream.read(&mut request).await.unwrap();
                assert!(request[..n].starts_with(b"GET /health HTTP/1.1\r\n"));
                let answer = format!("HTTP/1.1 {status}\r\n\r\n");
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        };
        let ask = async {
            assert!(http(&url).await.is_ok());
            let error = http(&url).await.unwrap_err().to_string();
            assert!(error.contains("503"), "{error}");
        };
        tokio::select! { () = serve => unreachable!(), () = ask => {} }
    }
}
