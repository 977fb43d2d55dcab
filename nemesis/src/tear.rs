//! Nodes are killed in the middle of a write: a part of a record that nobody was promised stands
//! at the end of their newest file when they are started again.
//!
//! The part is bytes of chance, so that no whole record is among them by accident. A log with
//! checksums ends before them. Nothing that was durable is lost: that is [`truncate`](crate::truncate).

use rand::RngExt;
use rand_pcg::Pcg64Mcg;
use serde_json::{Map, Value as Json, json};
use tribunal_results::options::OptionError;

use crate::process::files::{self, TailOptions};
use crate::process::{Hit, ProcessFault};

/// The fault `tear`.
#[derive(Debug)]
pub struct Tear;

impl ProcessFault for Tear {
    const NAME: &'static str = "tear";
    const ABOUT: &'static str = "kills nodes and leaves a torn record at the end of their log";
    const COLOUR: &'static str = "#a8a05c";
    type Options = TailOptions;

    fn check(options: &TailOptions) -> Result<(), OptionError> {
        options.check()
    }

    fn draw(options: &TailOptions, rng: &mut Pcg64Mcg) -> Map<String, Json> {
        let mut drawn = options.draw(rng);
        drawn.insert("seed".into(), json!(rng.random::<u64>()));
        drawn
    }

    async fn hit(hit: Hit) -> Result<Json, String> {
        let data = hit.data()?;
        let pid = hit.processes.pid(&hit.node);
        let status = hit.processes.kill(&hit.node).await?;
        let file = files::chosen(&data, hit.drawn("file")?)?;
        let (bytes, seed) = (hit.drawn("bytes")?, hit.drawn("seed")?);
        let (before, after) = files::append(&file, bytes, seed)?;
        Ok(json!({
            "pid": pid,
            "status": status,
            "file": files::within(&data, &file),
            "bytes_before": before,
            "bytes_after": after,
        }))
    }
}
