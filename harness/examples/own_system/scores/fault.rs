//! A way to break it: a node crashes, and crashes again while it starts.

use serde_json::{Value as Json, json};
use tribunal::nemesis::{Fault, Field, Healed, Injected, Injection, Pending};
use tribunal::rand_pcg::Pcg64Mcg;
use tribunal::rand_pcg::rand_core::Rng as _;
use tribunal::results::options::OptionError;

/// The fault.
pub(crate) struct CrashTwice;

impl Fault for CrashTwice {
    fn name(&self) -> &'static str {
        "crash-twice"
    }

    fn about(&self) -> &'static str {
        "kills a node, and kills it again while it starts"
    }

    fn colour(&self) -> &'static str {
        "#b5179e"
    }

    fn check_options(&self, _: &Json) -> Result<(), OptionError> {
        Ok(())
    }

    fn resolve(&self, _: &Json, field: &Field, rng: &mut Pcg64Mcg) -> Option<Injection> {
        let place = rng.next_u64() as usize % field.nodes.len().max(1);
        Some(Injection {
            fault: self.name().into(),
            nodes: vec![field.nodes.get(place)?.clone()],
            links: Vec::new(),
            what: "crash twice".into(),
            detail: Json::Null,
        })
    }

    fn inject<'a>(&'a self, injection: &'a Injection, field: &'a Field) -> Pending<'a, Injected> {
        Box::pin(async move {
            let crash = async |node: &str| {
                let first = field.processes.kill(node).await?;
                field.processes.start(node).await?;
                let second = field.processes.kill(node).await?;
                Ok::<_, String>(json!({ "first": first, "second": second }))
            };
            let mut proof = Vec::new();
            for node in &injection.nodes {
                match crash(node).await {
                    Ok(crashed) => proof.push(crashed),
                    Err(why) => return Injected::Skipped(why),
                }
            }
            Injected::Installed(json!(proof))
        })
    }

    fn heal<'a>(&'a self, injection: &'a Injection, field: &'a Field) -> Pending<'a, Healed> {
        Box::pin(async move {
            let mut pids = Vec::new();
            for node in &injection.nodes {
                pids.push(field.processes.start(node).await.ok());
            }
            Healed {
                bit: true,
                proof: json!({ "new_pids": pids }),
            }
        })
    }
}
