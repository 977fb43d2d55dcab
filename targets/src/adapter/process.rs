//! One running adapter.

use std::io;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tribunal_results::Reason;

use super::message::{Answer, Request};
use crate::wire::{Line, LineReader};

/// How much of what it prints on standard error is kept, in bytes.
const SAID_MAX: usize = 1024;

/// The process itself: killed with its group when nobody has it any more.
#[derive(Debug)]
pub struct Life {
    child: Mutex<Child>,
    group: Option<Pid>,
}

impl Life {
    /// Kills it, and what it has started in its group.
    pub fn kill(&self) {
        let has_ended = self.has_ended();
        // A group keeps its number until its leader has been waited for.
        if let Some(group) = self.group.filter(|_| !has_ended) {
            // If it is gone already, that is what was wanted.
            let _ = killpg(group, Signal::SIGKILL);
        }
    }

    /// Whether it has ended; then it leaves nothing in the process table.
    pub fn has_ended(&self) -> bool {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        !matches!(child.try_wait(), Ok(None))
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        self.kill();
    }
}

/// One running adapter, asked one thing at a time.
#[derive(Debug)]
pub struct Adapter {
    life: Arc<Life>,
    /// Until it is told to end.
    stdin: Option<ChildStdin>,
    lines: LineReader<ChildStdout>,
    said: Arc<Mutex<Vec<u8>>>,
    asked: u64,
    /// An answer is missing, or cannot be trusted to be one.
    is_broken: bool,
}

impl Adapter {
    /// Starts one.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(words: &[String], env: &[(String, String)]) -> io::Result<Self> {
        let (program, args) = words
            .split_first()
            .ok_or_else(|| io::Error::other("an adapter needs a program"))?;
        let mut child = Command::new(program)
            .args(args)
            .envs(env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|e| io::Error::new(e.kind(), format!("cannot start {program}: {e}")))?;
        let missing = || io::Error::other("a pipe to the adapter is missing");
        let stdin = child.stdin.take().ok_or_else(missing)?;
        let stdout = child.stdout.take().ok_or_else(missing)?;
        let stderr = child.stderr.take().ok_or_else(missing)?;
        let said = Arc::new(Mutex::new(Vec::new()));
        tokio::spawn(listen(stderr, Arc::clone(&said)));
        let group = child.id().and_then(|id| i32::try_from(id).ok());
        let life = Life {
            group: group.map(Pid::from_raw),
            child: Mutex::new(child),
        };
        Ok(Self {
            life: Arc::new(life),
            stdin: Some(stdin),
            lines: LineReader::new(stdout),
            said,
            asked: 0,
            is_broken: false,
        })
    }

    /// The process.
    pub fn life(&self) -> &Arc<Life> {
        &self.life
    }

    /// Whether it has answered everything, and runs.
    pub fn is_usable(&self) -> bool {
        !self.is_broken && !self.life.has_ended()
    }

    /// Asks, and waits for the answer. If the future is dropped, the adapter is of no use any
    /// more: an answer is missing.
    ///
    /// # Errors
    /// There is no answer, or none to trust: it has ended, or what it wrote is no answer to this.
    pub async fn ask(&mut self, request: &Request) -> Result<Answer, Reason> {
        let id = self.send(request).await?;
        let answer = self.answer_to(id).await?;
        self.is_broken = false;
        Ok(answer)
    }

    /// Asks for all at once, without waiting for any answer, and takes the answers in order.
    ///
    /// # Errors
    /// As [`ask`](Self::ask).
    pub async fn ask_all(&mut self, requests: &[Request]) -> Result<(), Reason> {
        let mut ids = Vec::new();
        for request in requests {
            ids.push(self.send(request).await?);
        }
        for id in ids {
            self.answer_to(id).await?;
        }
        self.is_broken = false;
        Ok(())
    }

    /// Writes a request; from then on an answer is missing. Returns its number.
    async fn send(&mut self, request: &Request) -> Result<u64, Reason> {
        self.asked += 1;
        let line = request
            .line(self.asked)
            .map_err(|e| Reason::new("not-sent", e.to_string()))?;
        self.is_broken = true;
        let is_sent = match &mut self.stdin {
            Some(stdin) => stdin.write_all(&line).await.is_ok(),
            None => false,
        };
        match is_sent {
            true => Ok(self.asked),
            false => Err(self.ended()),
        }
    }

    /// Its next answer, which must be to that request.
    async fn answer_to(&mut self, id: u64) -> Result<Answer, Reason> {
        let answer = self.next().await?;
        if answer.id == id {
            return Ok(answer);
        }
        let text = format!("the adapter answered request {} instead of {id}", answer.id);
        Err(Reason::new("adapter-protocol", text))
    }

    async fn next(&mut self) -> Result<Answer, Reason> {
        let protocol = |text: String| Reason::new("adapter-protocol", text);
        match self.lines.next().await {
            Ok(Line::Whole(line)) => Answer::read(line).map_err(protocol),
            Ok(Line::TooLong) => Err(protocol("the adapter wrote a line that is too long".into())),
            Ok(Line::End) | Err(_) => Err(self.ended()),
        }
    }

    /// Closes its standard input, which tells it to end.
    pub fn hang_up(&mut self) {
        self.stdin = None;
    }

    fn ended(&self) -> Reason {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let said = String::from_utf8_lossy(&said);
        let text = match said.trim() {
            "" => "the adapter has ended, without a word on standard error".to_owned(),
            said => format!("the adapter has ended; its last words: {said}"),
        };
        Reason::new("adapter-ended", text)
    }
}

/// Whoever starts adapters may still know its process; it has nobody to talk to any more.
impl Drop for Adapter {
    fn drop(&mut self) {
        self.life.kill();
    }
}

/// Keeps the end of what is printed.
async fn listen(mut stderr: impl AsyncRead + Unpin, said: Arc<Mutex<Vec<u8>>>) {
    let mut chunk = [0; 512];
    while let Ok(count @ 1..) = stderr.read(&mut chunk).await {
        let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
        said.extend(chunk.iter().take(count));
        let over = said.len().saturating_sub(SAID_MAX);
        said.drain(..over);
    }
}
