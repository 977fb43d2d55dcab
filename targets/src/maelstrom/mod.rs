//! `maelstrom`: any node binary written for Maelstrom
//! (<https://github.com/jepsen-io/maelstrom>, `doc/protocol.md`), unmodified.
//!
//! A node reads messages from its standard input and prints messages to its standard output. Both
//! are named pipes that lead to a switchboard in the controller, so the node's process is the very
//! program under test, and whatever can be done to a process can be done to it.
//!
//! | module | what it does |
//! |---|---|
//! | [`options`] | what suites may say |
//! | [`dialect`] | operations as the ten workloads' messages |
//! | [`neighbours`] | what nodes that broadcast are told of their neighbours |
//! | `envelope` | a line's sender and receiver; the rest passes as it is |
//! | `board` | who is where, and what becomes of a message |
//! | `pipe` | processes' standard input and output |
//! | `host` | the threads |
//! | `greeting` | `init` and `topology` |
//! | `client` | one client |
//! | `service` | `lin-kv`, `seq-kv`, `lww-kv`, `lin-tso` |
//! | `violation` | what nodes do against the protocol |
//! | `hosted` | the target that the options make |

mod board;
mod client;
pub mod dialect;
mod envelope;
mod greeting;
mod host;
mod hosted;
pub mod neighbours;
pub mod options;
mod pipe;
mod service;
mod violation;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::Value as Json;
use tribunal_results::assumptions::Protocol;
use tribunal_results::options::OptionError;
use tribunal_results::{Assumptions, Kind, NodeId, Reason};

pub use self::dialect::Dialect;
use self::hosted::Hosted;
use self::options::Options;
use crate::{Client, ClientSpec, Launch, NodeSpec, Pending, Status, Target};

/// The target.
pub static TARGET: Maelstrom = Maelstrom;

/// The target before it has options: then it can't be started.
#[derive(Clone, Copy, Debug)]
pub struct Maelstrom;

const NAME: &str = "maelstrom";
const ABOUT: &str = "any Maelstrom node binary, unmodified";
const CLAIMS: &str = "what its workload asks of it";

/// All that can be said in one dialect or another.
const OPERATIONS: &[Kind] = &[
    Kind::Read,
    Kind::Write,
    Kind::Cas,
    Kind::Add,
    Kind::Members,
    Kind::Increment,
    Kind::Count,
    Kind::Generate,
    Kind::Txn,
    Kind::Custom,
];

fn unconfigured() -> io::Error {
    io::Error::other("the target `maelstrom` needs options")
}

impl Target for Maelstrom {
    fn name(&self) -> &'static str {
        NAME
    }

    fn about(&self) -> &'static str {
        ABOUT
    }

    fn claims(&self) -> &'static str {
        CLAIMS
    }

    fn operations(&self) -> &'static [Kind] {
        OPERATIONS
    }

    fn check_options(&self, options: &Json) -> Result<(), OptionError> {
        Options::read(options).map(drop)
    }

    fn understands(&self, options: &Json, _: &[NodeId]) -> Result<Vec<Kind>, OptionError> {
        let options = Options::read(options)?;
        options.check()?;
        Ok(options.speaks.operations().to_vec())
    }

    fn configured(&self, options: &Json) -> Option<Result<Arc<dyn Target>, OptionError>> {
        let made = Options::read(options).map(|o| Arc::new(Hosted::new(o)) as Arc<dyn Target>);
        Some(made)
    }

    fn first_node(&self, options: &Json) -> usize {
        Options::read(options).map_or(1, |options| options.first_node)
    }

    fn carries_lines(&self) -> Option<&'static [&'static str]> {
        Some(&service::NAMES)
    }

    fn assume(&self, options: &Json, assume: &mut Assumptions) {
        if let Ok(options) = Options::read(options) {
            assume.protocol = Some(match options.strict_protocol {
                true => Protocol::Strict,
                false => Protocol::Told,
            });
        }
    }

    fn launch(&self, _: &NodeSpec) -> Launch {
        Launch {
            program: Some("false".into()),
            ..Launch::default()
        }
    }

    fn status(&self, _: SocketAddr) -> Pending<'_, io::Result<Status>> {
        Box::pin(async { Err(unconfigured()) })
    }

    fn open<'a>(&'a self, _: &'a ClientSpec) -> Pending<'a, Result<Box<dyn Client>, Reason>> {
        Box::pin(async { Err(Reason::new("no-connection", unconfigured().to_string())) })
    }
}
