//! How to start a node, ask how it is, and talk to it.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde_json::{Value as Json, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tribunal::results::options::OptionError;
use tribunal::results::{Answer, Kind, Operation, Outcome, Reason};
use tribunal::targets::{Client, ClientSpec, Launch, NodeSpec, Pending, Status, Target};

/// Which version of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    /// Answers before it writes.
    Hasty,
    /// Writes before it answers.
    Mended,
}

/// The target.
pub(crate) struct ScoreBoard {
    version: Version,
    program: PathBuf,
    arguments: Vec<String>,
}

/// A version of the server, with the program and first arguments that start it.
pub(crate) fn board(version: Version, program: PathBuf, arguments: Vec<String>) -> ScoreBoard {
    ScoreBoard {
        version,
        program,
        arguments,
    }
}

impl Target for ScoreBoard {
    fn name(&self) -> &'static str {
        "score-board"
    }

    fn about(&self) -> &'static str {
        "a server that keeps the highest score of a game"
    }

    fn claims(&self) -> &'static str {
        "no score that was acknowledged is forgotten"
    }

    fn operations(&self) -> &'static [Kind] {
        &[Kind::Custom]
    }

    fn survives(&self) -> &'static [&'static str] {
        &["kill", "crash-twice"]
    }

    fn check_options(&self, _: &Json) -> Result<(), OptionError> {
        Ok(())
    }

    fn launch(&self, spec: &NodeSpec) -> Launch {
        let mut args = self.arguments.clone();
        args.push(spec.listen.to_string());
        args.push(spec.data.display().to_string());
        if self.version == Version::Hasty {
            args.push("hasty".into());
        }
        Launch {
            program: Some(self.program.clone()),
            args,
            ..Launch::default()
        }
    }

    fn status(&self, address: SocketAddr) -> Pending<'_, io::Result<Status>> {
        Box::pin(async move {
            Player::meet(address).await?;
            Ok(Status {
                ready: true,
                ..Status::default()
            })
        })
    }

    fn open<'a>(&'a self, spec: &'a ClientSpec) -> Pending<'a, Result<Box<dyn Client>, Reason>> {
        Box::pin(async move {
            let player = Player::meet(spec.address).await;
            let player = player.map_err(|e| Reason::new("no-connection", e.to_string()))?;
            Ok(Box::new(player) as Box<dyn Client>)
        })
    }
}

/// A connection.
struct Player {
    stream: BufReader<TcpStream>,
    usable: bool,
}

impl Player {
    /// Connects, and waits for the greeting: that of a proxy would prove nothing.
    async fn meet(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let mut player = Self {
            stream: BufReader::new(stream),
            usable: true,
        };
        match player.line().await?.as_str() {
            "hello" => Ok(player),
            other => Err(io::Error::other(format!("it greets with {other:?}"))),
        }
    }

    async fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        match self.stream.read_line(&mut line).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(line.trim_end().to_owned()),
        }
    }

    async fn ask(&mut self, question: &str) -> io::Result<String> {
        self.stream.write_all(question.as_bytes()).await?;
        self.line().await
    }
}

impl Client for Player {
    fn invoke<'a>(&'a mut self, operation: &'a Operation) -> Pending<'a, Outcome> {
        Box::pin(async move {
            let question = match operation {
                Operation::Custom { name, value } if name == "put" => format!("put {value}\n"),
                _ => "best\n".to_owned(),
            };
            // Dropped while it waits, it is of no more use: the answer may still come.
            self.usable = false;
            let answer = self.ask(&question).await;
            self.usable = answer.is_ok();
            match answer {
                Ok(answer) if answer == "ok" => Outcome::Ok(Answer::Custom(Json::Null)),
                Ok(answer) => match answer.parse::<u64>() {
                    Ok(best) => Outcome::Ok(Answer::Custom(json!(best))),
                    Err(_) => Outcome::Fail(Reason::new("refused", answer)),
                },
                // It was sent, and may have been done.
                Err(e) => Outcome::Info(Reason::new("no-answer", e.to_string())),
            }
        })
    }

    fn is_usable(&mut self) -> bool {
        self.usable
    }
}
