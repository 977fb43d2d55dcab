//! Nodes lose the newest bytes of their newest file, as a disk does that acknowledges what it has
//! not kept: they are killed, the bytes are cut off, and they are started again to heal.
//!
//! What was durable and may have been answered is lost. Hardly any system survives this on more
//! nodes than it can miss.

use rand_pcg::Pcg64Mcg;
use serde_json::{Map, Value as Json, json};
use tribunal_results::options::OptionError;

use crate::process::files::{self, TailOptions};
use crate::process::{Hit, ProcessFault};

/// The fault `truncate`.
#[derive(Debug)]
pub struct Truncate;

impl ProcessFault for Truncate {
    const NAME: &'static str = "truncate";
    const ABOUT: &'static str = "kills nodes and cuts the newest bytes off their log";
    const COLOUR: &'static str = "#b98fa0";
    type Options = TailOptions;

    fn check(options: &TailOptions) -> Result<(), OptionError> {
        options.check()
    }

    fn draw(options: &TailOptions, rng: &mut Pcg64Mcg) -> Map<String, Json> {
        options.draw(rng)
    }

    async fn hit(hit: Hit) -> Result<Json, String> {
        let data = hit.data()?;
        let pid = hit.processes.pid(&hit.node);
        let status = hit.processes.kill(&hit.node).await?;
        let file = files::chosen(&data, hit.drawn("file")?)?;
        let (before, after) = files::cut(&file, hit.drawn("bytes")?)?;
        Ok(json!({
            "pid": pid,
            "status": status,
            "file": files::within(&data, &file),
            "bytes_before": before,
            "bytes_after": after,
        }))
    }
}
