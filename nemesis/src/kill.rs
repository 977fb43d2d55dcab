//! Nodes die by SIGKILL; the cure is to start them again.

use rand_pcg::Pcg64Mcg;
use serde_json::{Value as Json, json};
use tribunal_results::options::{OptionError, decode};

use crate::process::{Options, choose, chosen_pid, injected, on_each, proof_of, replaced, revive};
use crate::{Fault, Field, Healed, Injected, Injection, Pending};

/// The fault `kill`.
#[derive(Debug)]
pub struct Kill;

impl Fault for Kill {
    fn name(&self) -> &'static str {
        "kill"
    }

    fn about(&self) -> &'static str {
        "ends nodes by SIGKILL; heals by starting them again"
    }

    fn colour(&self) -> &'static str {
        "#e07a7a"
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
                let pid = processes.pid(&node);
                let status = processes.kill(&node).await?;
                Ok(json!({ "pid": pid, "status": status }))
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
                    Ok(json!({ "old_pid": old, "new_pid": new }))
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
