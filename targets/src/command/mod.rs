//! `command`: a system that is none of ours, by what a suite says of it: how its nodes are
//! started, when they are ready, and how clients talk to them.
//!
//! | module | what it does |
//! |---|---|
//! | [`options`] | what suites may say |
//! | [`template`] | texts with variables |
//! | `errand` | commands that are run to ask or tell a node something |
//! | `probe` | when a node is ready |
//! | `system` | the target that the options make |

mod errand;
pub mod options;
mod probe;
mod system;
pub mod template;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::Value as Json;
use tribunal_results::options::OptionError;
use tribunal_results::{Assumptions, Kind, NodeId, Reason};

use crate::{Client, ClientSpec, Launch, NodeSpec, Pending, Status, Target};
use options::Options;
use system::Commanded;

/// The target.
pub static TARGET: Command = Command;

/// The target before it has options: then it can't be started.
#[derive(Clone, Copy, Debug)]
pub struct Command;

const NAME: &str = "command";
const ABOUT: &str = "your own system: any program, described in the suite";
const CLAIMS: &str = "what you expect of it";

fn unconfigured() -> io::Error {
    io::Error::other("the target `command` needs options")
}

impl Target for Command {
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
        &Kind::ALL
    }

    fn check_options(&self, options: &Json) -> Result<(), OptionError> {
        Options::read(options).map(drop)
    }

    fn understands(&self, options: &Json, nodes: &[NodeId]) -> Result<Vec<Kind>, OptionError> {
        let options = Options::read(options)?;
        options.check(nodes)?;
        Ok(options.client.operations())
    }

    fn configured(&self, options: &Json) -> Option<Result<Arc<dyn Target>, OptionError>> {
        let made = Options::read(options).map(|o| Arc::new(Commanded::new(o)) as Arc<dyn Target>);
        Some(made)
    }

    fn advertises_one_address(&self, options: &Json) -> bool {
        Options::read(options).is_ok_and(|options| options.advertises)
    }

    fn assume(&self, options: &Json, assume: &mut Assumptions) {
        if let Ok(options) = Options::read(options) {
            assume.crash_patterns = options.crash.patterns;
            assume.harmless_patterns = options.crash.harmless;
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
