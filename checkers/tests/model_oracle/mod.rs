//! The definitions of the models, tried out: slow, and without any idea of the checkers'.

use std::collections::BTreeMap;

use tribunal_results::{Answer, Operation, Outcome, Scalar};

use crate::random::Timed;

/// An operation that took effect.
#[derive(Clone, Debug)]
struct Act {
    process: u64,
    key: Scalar,
    write: bool,
    value: Option<Scalar>,
}

/// A guess at which writes of unknown end took effect. Acts of one process are in its order.
pub(crate) struct World {
    acts: Vec<Act>,
}

/// A model's name and its definition.
pub(crate) type Model = (&'static str, fn(&World) -> bool);

/// Every model with its definition.
pub(crate) const MODELS: [Model; 9] = [
    ("sequential", World::sequential),
    ("causal-memory", World::causal_memory),
    ("causal-convergence", World::causal_convergence),
    ("causal", World::causal),
    ("pram", World::pram),
    ("read-your-writes", |w| w.versions(World::own_write, &[])),
    ("monotonic-reads", |w| w.versions(World::read_before, &[])),
    ("monotonic-writes", |w| w.versions(World::wrote_before, &[])),
    ("writes-follow-reads", |w| {
        let followed = w.followed();
        w.versions(World::writer_had_read, &followed)
    }),
];

impl World {
    /// Every guess.
    pub(crate) fn all(ops: &[Timed]) -> Vec<Self> {
        let mut ops: Vec<&Timed> = ops.iter().collect();
        ops.sort_by_key(|op| op.call);
        let lost = |op: &Timed| matches!(op.outcome, Outcome::Info(_));
        let doubts = ops.iter().filter(|op| lost(op)).count();
        let mut worlds = Vec::new();
        for guess in 0..1_u32 << doubts {
            let mut nth = 0;
            let mut acts = Vec::new();
            for op in &ops {
                let mut happened = !matches!(op.outcome, Outcome::Fail(_));
                if lost(op) {
                    happened = guess >> nth & 1 == 1;
                    nth += 1;
                }
                acts.extend(act(op).filter(|_| happened));
            }
            worlds.push(Self { acts });
        }
        worlds
    }

    fn ids(&self) -> impl Iterator<Item = usize> + Clone {
        0..self.acts.len()
    }

    fn reads(&self) -> impl Iterator<Item = usize> + '_ {
        self.ids().filter(|at| !self.acts[*at].write)
    }

    /// `a` before `b` in one session.
    fn po(&self, a: usize, b: usize) -> bool {
        a < b && self.acts[a].process == self.acts[b].process
    }

    fn source(&self, read: usize) -> Option<usize> {
        let act = &self.acts[read];
        self.ids().find(|at| {
            let write = &self.acts[*at];
            write.write && !act.write && write.key == act.key && write.value == act.value
        })
    }

    /// Every value read was written.
    fn sourced(&self) -> bool {
        self.reads()
            .all(|read| self.acts[read].value.is_none() || self.source(read).is_some())
    }

    /// The causal order, if it is one.
    fn co(&self) -> Option<Vec<Vec<bool>>> {
        if !self.sourced() {
            return None;
        }
        let mut co: Vec<Vec<bool>> = self
            .ids()
            .map(|a| {
                let before = |b| self.po(a, b) || self.source(b) == Some(a);
                self.ids().map(before).collect()
            })
            .collect();
        for via in self.ids() {
            for a in self.ids() {
                for b in self.ids() {
                    co[a][b] |= co[a][via] && co[via][b];
                }
            }
        }
        self.ids().all(|a| !co[a][a]).then_some(co)
    }

    /// Whether some order of `left` keeps `before` and explains those that are `seen`.
    fn extension(
        &self,
        left: &[usize],
        before: &dyn Fn(usize, usize) -> bool,
        seen: &dyn Fn(usize) -> bool,
        state: &BTreeMap<Scalar, Scalar>,
    ) -> bool {
        if left.is_empty() {
            return true;
        }
        left.iter().any(|&next| {
            let act = &self.acts[next];
            let early = left.iter().any(|&other| before(other, next));
            let wrong = !act.write && seen(next) && state.get(&act.key) != act.value.as_ref();
            if early || wrong {
                return false;
            }
            let mut state = state.clone();
            if let (true, Some(value)) = (act.write, &act.value) {
                state.insert(act.key.clone(), value.clone());
            }
            let rest: Vec<usize> = left.iter().copied().filter(|at| *at != next).collect();
            self.extension(&rest, before, seen, &state)
        })
    }

    fn sequential(&self) -> bool {
        let all: Vec<usize> = self.ids().collect();
        self.extension(&all, &|a, b| self.po(a, b), &|_| true, &BTreeMap::new())
    }

    fn pram(&self) -> bool {
        self.acts.iter().all(|own| {
            let known = |at: &usize| self.acts[*at].write || self.acts[*at].process == own.process;
            let known: Vec<usize> = self.ids().filter(known).collect();
            self.extension(&known, &|a, b| self.po(a, b), &|_| true, &BTreeMap::new())
        })
    }

    fn past(&self, co: &[Vec<bool>], of: usize) -> Vec<usize> {
        self.ids().filter(|at| *at == of || co[*at][of]).collect()
    }

    fn causal(&self) -> bool {
        self.co().is_some_and(|co| {
            self.reads().all(|read| {
                let past = self.past(&co, read);
                self.extension(&past, &|a, b| co[a][b], &|at| at == read, &BTreeMap::new())
            })
        })
    }

    fn causal_memory(&self) -> bool {
        self.co().is_some_and(|co| {
            self.ids().all(|last| {
                let past = self.past(&co, last);
                let own = |at: usize| self.acts[at].process == self.acts[last].process;
                self.extension(&past, &|a, b| co[a][b], &own, &BTreeMap::new())
            })
        })
    }

    fn causal_convergence(&self) -> bool {
        let Some(co) = self.co() else { return false };
        let writes: Vec<usize> = self.ids().filter(|at| self.acts[*at].write).collect();
        orders(&writes, &|a, b| co[a][b]).iter().any(|order| {
            self.reads().all(|read| {
                let key = &self.acts[read].key;
                let behind = |at: &&usize| co[**at][read] && self.acts[**at].key == *key;
                let last = order.iter().rfind(behind).copied();
                last.and_then(|at| self.acts[at].value.clone()) == self.acts[read].value
            })
        })
    }

    /// Whether each key's versions have an order that keeps each session's and `follow`, and puts
    /// what is behind a read before what it returned.
    fn versions(&self, behind: fn(&Self, usize, usize) -> bool, follow: &[(usize, usize)]) -> bool {
        let writes = |key: &Scalar| -> Vec<usize> {
            let of_key = |at: &usize| self.acts[*at].write && self.acts[*at].key == *key;
            self.ids().filter(of_key).collect()
        };
        let before = |a, b| self.po(a, b) || follow.contains(&(a, b));
        self.sourced()
            && ["x", "y"].map(Scalar::from).iter().all(|key| {
                let writes = writes(key);
                orders(&writes, &before).iter().any(|order| {
                    let rank = |write: usize| order.iter().position(|at| *at == write);
                    let of_key = |read: &usize| self.acts[*read].key == *key;
                    self.reads().filter(of_key).all(|read| {
                        let source = self.source(read);
                        let others = writes.iter().filter(|write| Some(**write) != source);
                        others
                            .filter(|write| behind(self, **write, read))
                            .all(|write| source.is_some_and(|s| rank(*write) < rank(s)))
                    })
                })
            })
    }

    fn own_write(&self, write: usize, read: usize) -> bool {
        self.po(write, read)
    }

    fn read_before(&self, write: usize, read: usize) -> bool {
        self.reads()
            .any(|first| self.po(first, read) && self.source(first) == Some(write))
    }

    /// The writes of other sessions that a session had read before.
    fn seen(&self, read: usize) -> impl Iterator<Item = usize> + '_ {
        self.reads()
            .filter(move |first| self.po(*first, read))
            .filter_map(|first| self.source(first))
            .filter(move |seen| self.acts[*seen].process != self.acts[read].process)
    }

    fn wrote_before(&self, write: usize, read: usize) -> bool {
        let source = self.source(read);
        self.seen(read).any(|seen| {
            let of_one = source.is_some_and(|s| self.acts[s].process == self.acts[seen].process);
            self.po(write, seen) || (write == seen && of_one)
        })
    }

    fn writer_had_read(&self, write: usize, read: usize) -> bool {
        let source = self.source(read);
        self.seen(read).any(|seen| {
            let had_read = |write: usize| self.read_before(write, seen);
            had_read(write) || (write == seen && source.is_some_and(had_read))
        })
    }

    /// Pairs of versions of which a session read the first and then wrote the second.
    fn followed(&self) -> Vec<(usize, usize)> {
        let mut pairs = Vec::new();
        for (read, second) in self.reads().flat_map(|r| self.ids().map(move |w| (r, w))) {
            let same = self.acts[second].write && self.acts[read].key == self.acts[second].key;
            if let Some(first) = self.source(read).filter(|_| same && self.po(read, second))
                && first != second
            {
                pairs.push((first, second));
            }
        }
        pairs
    }
}

fn act(op: &Timed) -> Option<Act> {
    let (key, write, value) = match (&op.operation, &op.outcome) {
        (Operation::Read { key }, Outcome::Ok(Answer::Value(value))) => (key, false, value.clone()),
        (Operation::Write { key, value }, _) => (key, true, Some(value.clone())),
        _ => return None,
    };
    Some(Act {
        process: op.process,
        key: key.clone(),
        write,
        value,
    })
}

/// Every order of the items that keeps `before`.
fn orders(items: &[usize], before: &dyn Fn(usize, usize) -> bool) -> Vec<Vec<usize>> {
    if items.is_empty() {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for &first in items {
        if items.iter().any(|other| before(*other, first)) {
            continue;
        }
        let rest: Vec<usize> = items.iter().copied().filter(|at| *at != first).collect();
        for mut order in orders(&rest, before) {
            order.insert(0, first);
            all.push(order);
        }
    }
    all
}
