//! Nodes are asked to end by SIGTERM and started again at once.

use rand_pcg::Pcg64Mcg;
use serde_json::{Value as Json, json};
use tribunal_results::options::{OptionError, decode};

use crate::process::{Options, choose, chosen_pid, injected, on_each, proof_of, replaced, revive};
use crate::{Fault, Field, Healed, Injected, Injection, Pending};

/// The fault `restart`.
#[derive(Debug)]
pub struct Restart;

impl Fault for Restart {
    fn name(&self) -> &'static str {
        "restart"
    }

    fn about(&self) -> &'static str {
        "ends nodes by SIGTERM and starts them again at once"
    }

    fn colour(&self) -> &'static str {
        "#e0a458"
    }

    fn check_options(&self, options: &Json) -> Result<(), OptionError> {
        decode::<Options>(options).map(drop)
    }

    fn resolve(&self, options: &Json, field: &Field, rng: &mut Pcg64Mcg) -> Option<Injection> {
        choose(self.name(), &decode(options).ok()?, field, rng)
    }

    fn inject<'a>(&'a self, injection: &'a Injection, field: &'a Field) -> Pending<'a, Injected> {
        Box::pin(async move {
            let answers = on_each(&injection.nodes, field, |processes, node| async move {
                let old = processes.pid(&node);
                let status = processes.terminate(&node).await?;
                let new = processes.start(&node).await?;
                Ok(json!({ "old_pid": old, "status": status, "new_pid": new }))
            });
            injected(answers.await)
        })
    }

    fn heal<'a>(&'a self, injection: &'a Injection, field: &'a Field) -> Pending<'a, Healed> {
        Box::pin(async move {
            let answers = on_each(&injection.nodes, field, |processes, node| {
                let old = chosen_pid(injection, &node);
                async move {
                    let new = revive(processes, node).await?;
                    Ok(json!({ "old_pid": old, "pid": new }))
                }
            });
            let proof = proof_of(answers.await);
            Healed {
                bit: replaced(injection, field),
                proof,
            }
        })
    }
}
