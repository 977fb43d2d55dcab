//! Cycles by Adya's names, each with a shortest witness.
//!
//! *G-nonadjacent* (no two anti-dependencies in a row; what snapshot isolation forbids: Cerone &
//! Gotsman, *Analysing snapshot isolation*, 2018) is a cycle of a graph of two layers: an
//! anti-dependency leads from the first to the second, a dependency from both to the first. So
//! the question costs linear time, and a witness may pass one transaction twice.

use rustc_hash::FxHashSet;

use super::components::components;
use super::models::ruled_out;
use super::{Graph, Why};

/// The most cycles shown of one kind.
const SHOWN_MAX: usize = 8;
/// How many cycles of one component are compared for the shortest.
const COMPARED_MAX: u32 = 16;

const PLAIN: [&str; 5] = ["G0", "G1c", "G-single", "G-nonadjacent", "G2-item"];
const PROCESS: [&str; 5] = [
    "G0-process",
    "G1c-process",
    "G-single-process",
    "G-nonadjacent-process",
    "G2-item-process",
];
const REALTIME: [&str; 5] = [
    "G0-realtime",
    "G1c-realtime",
    "G-single-realtime",
    "G-nonadjacent-realtime",
    "G2-item-realtime",
];

/// An edge of a cycle, for one reason.
pub(crate) type Step = (u32, u32, Why);

/// Transactions each of which comes before the next, and the last before the first.
#[derive(Clone, Debug)]
pub(crate) struct Cycle {
    /// Adya's name for it.
    pub(crate) name: &'static str,
    /// Its edges, without barriers.
    pub(crate) steps: Vec<Step>,
}

/// What a search found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// The cycles, the most serious first.
    pub(crate) cycles: Vec<Cycle>,
    /// Edges followed.
    pub(crate) steps: u64,
    /// Whether the budget ran out, so that there may be more serious ones.
    pub(crate) exhausted: bool,
}

/// A kind of cycle to look for.
struct Pattern {
    name: &'static str,
    /// What leads to the first layer.
    depends: Why,
    /// What leads on besides.
    anti: Why,
    /// One edge of the cycle is of this kind.
    pick: Why,
    /// No two edges of `anti` in a row.
    layered: bool,
    /// Besides `pick` there is no edge of `anti`.
    single: bool,
}

fn patterns(names: [&'static str; 5], writes: Why, order: Why, anti: Why) -> [Pattern; 5] {
    let pattern = |name, depends: Why, anti, pick| Pattern {
        name,
        depends: depends.or(order),
        anti,
        pick,
        layered: false,
        single: false,
    };
    let [g0, g1c, single, nonadjacent, item] = names;
    let reads = writes.or(Why::WR);
    [
        pattern(g0, writes, Why::default(), writes),
        pattern(g1c, reads, Why::default(), Why::WR),
        Pattern {
            single: true,
            ..pattern(single, reads, anti, anti)
        },
        Pattern {
            layered: true,
            ..pattern(nonadjacent, reads, anti, anti)
        },
        pattern(item, reads, anti, anti),
    ]
}

/// The patterns in which every order counts.
fn whole() -> [Pattern; 5] {
    let order = Why::PROCESS.or(Why::REALTIME);
    patterns(REALTIME, Why::WRITES, order, Why::ANTI)
}

impl Pattern {
    /// The layer to which an edge leads from this one, if it may be followed.
    fn layer(&self, layer: u32, why: Why, anti: Why) -> Option<u32> {
        if why.meets(self.depends) {
            return Some(0);
        }
        let may = why.meets(anti) && (!self.layered || layer == 0);
        may.then_some(u32::from(self.layered))
    }

    fn layers(&self) -> u32 {
        if self.layered { 2 } else { 1 }
    }

    /// The components of the states (node and layer, interleaved).
    fn components(&self, graph: &Graph, anti: Why) -> Vec<u32> {
        let layers = self.layers();
        components(
            graph.nodes() * layers,
            |state| graph.from(state / layers),
            |state, (to, why): (u32, Why)| {
                let layer = self.layer(state % layers, why, anti)?;
                Some(to * layers + layer)
            },
        )
    }
}

/// Looks for cycles of every kind, spending at most about so many steps.
pub(crate) fn search(graph: &Graph, steps_max: u64) -> Found {
    let mut search = Search {
        graph,
        steps_max,
        found: Found::default(),
        came: vec![(NOWHERE, Why::default()); graph.nodes() as usize * 2],
        touched: Vec::new(),
    };
    let whole = whole();
    let [.., any] = &whole;
    let components = any.components(graph, any.anti);
    search.found.steps = graph.size() as u64;
    if !is_cyclic(&components) {
        return search.found;
    }
    for patterns in [
        patterns(PLAIN, Why::WW, Why::default(), Why::RW),
        patterns(
            PROCESS,
            Why::WW.or(Why::WW_PROCESS),
            Why::PROCESS,
            Why::RW.or(Why::RW_PROCESS),
        ),
        whole,
    ] {
        let [.., any] = &patterns;
        let components = any.components(graph, any.anti);
        for pattern in &patterns {
            search.look(pattern, &components);
        }
    }
    if search.found.cycles.is_empty() {
        search.any(&components);
    }
    search.found
}

fn is_cyclic(components: &[u32]) -> bool {
    let count = components.iter().max().map_or(0, |max| *max as usize + 1);
    count < components.len()
}

const NOWHERE: u32 = u32::MAX;

struct Search<'g> {
    graph: &'g Graph,
    steps_max: u64,
    found: Found,
    /// From which state each state was first reached, and why.
    came: Vec<(u32, Why)>,
    touched: Vec<u32>,
}

impl Search<'_> {
    /// Finds cycles of a pattern in components in which nothing as serious was found.
    fn look(&mut self, pattern: &Pattern, whole: &[u32]) {
        let component = |node: u32| whole.get(node as usize).copied();
        let models = ruled_out(pattern.name);
        let mut settled: FxHashSet<Option<u32>> = FxHashSet::default();
        for cycle in &self.found.cycles {
            if ruled_out(cycle.name) & models == models {
                settled.extend(cycle.steps.iter().map(|(from, ..)| component(*from)));
            }
        }
        let inner = if pattern.single {
            Why::default()
        } else {
            pattern.anti
        };
        let within = pattern.components(self.graph, inner);
        let mut best: Vec<(Option<u32>, u32, Cycle)> = Vec::new();
        for from in 0..self.graph.transactions {
            if settled.contains(&component(from)) {
                continue;
            }
            for &(to, why) in self.graph.from(from) {
                let place = best.iter().position(|(of, ..)| *of == component(from));
                let full = match place.and_then(|at| best.get(at)) {
                    Some((_, tried, cycle)) => *tried >= COMPARED_MAX || cycle.steps.len() <= 2,
                    None => best.len() >= SHOWN_MAX,
                };
                if full || !why.meets(pattern.pick) || component(from) != component(to) {
                    continue;
                }
                if self.found.steps > self.steps_max {
                    self.found.exhausted = true;
                    break;
                }
                let Some(cycle) = self.close(pattern, inner, &within, (from, to, why)) else {
                    continue;
                };
                match place.and_then(|at| best.get_mut(at)) {
                    None => best.push((component(from), 1, cycle)),
                    Some((_, tried, shortest)) => {
                        *tried += 1;
                        if cycle.steps.len() < shortest.steps.len() {
                            *shortest = cycle;
                        }
                    }
                }
            }
        }
        let cycles = best.into_iter().map(|(_, _, cycle)| cycle);
        self.found.cycles.extend(cycles);
    }

    /// The shortest cycle through the edge.
    fn close(
        &mut self,
        pattern: &Pattern,
        inner: Why,
        within: &[u32],
        edge: Step,
    ) -> Option<Cycle> {
        let layers = pattern.layers();
        let (from, to, why) = edge;
        let start = to * layers + u32::from(pattern.layered);
        let goal = from * layers;
        let of = |state: u32| within.get(state as usize).copied().unwrap_or(NOWHERE);
        // Components are numbered against the direction of the edges.
        if of(start) < of(goal) || (!pattern.single && of(start) != of(goal)) {
            return None;
        }
        let path = self.path(pattern, inner, start, goal, |state| of(state) >= of(goal))?;
        let mut steps = vec![(from, to, first(why.and(pattern.pick)))];
        steps.extend(path);
        Some(named(self.graph, &steps))
    }

    /// The path with the fewest transactions; barriers count nothing.
    fn path(
        &mut self,
        pattern: &Pattern,
        anti: Why,
        start: u32,
        goal: u32,
        may: impl Fn(u32) -> bool,
    ) -> Option<Vec<Step>> {
        let layers = pattern.layers();
        for state in self.touched.drain(..) {
            if let Some(came) = self.came.get_mut(state as usize) {
                came.0 = NOWHERE;
            }
        }
        let (mut now, mut next) = (vec![start], Vec::new());
        self.touch(start, start, Why::default());
        while let Some(state) = now.pop() {
            if state == goal {
                return Some(self.back(layers, start, goal));
            }
            for &(to, why) in self.graph.from(state / layers) {
                self.found.steps += 1;
                let Some(layer) = pattern.layer(state % layers, why, anti) else {
                    continue;
                };
                let reached = to * layers + layer;
                if !may(reached) || !self.is_new(reached) {
                    continue;
                }
                let used = match why.meets(pattern.depends) {
                    true => why.and(pattern.depends),
                    false => why.and(anti),
                };
                self.touch(reached, state, first(used));
                if to < self.graph.transactions {
                    next.push(reached);
                } else {
                    now.push(reached);
                }
            }
            if now.is_empty() {
                std::mem::swap(&mut now, &mut next);
            }
        }
        None
    }

    fn is_new(&self, state: u32) -> bool {
        let came = self.came.get(state as usize);
        came.is_some_and(|(from, _)| *from == NOWHERE)
    }

    fn touch(&mut self, state: u32, from: u32, why: Why) {
        if let Some(came) = self.came.get_mut(state as usize) {
            *came = (from, why);
            self.touched.push(state);
        }
    }

    fn back(&self, layers: u32, start: u32, goal: u32) -> Vec<Step> {
        let mut steps = Vec::new();
        let mut state = goal;
        while state != start {
            let Some(&(from, why)) = self.came.get(state as usize) else {
                break;
            };
            steps.push((from / layers, state / layers, why));
            state = from;
        }
        steps.reverse();
        steps
    }

    /// Any cycle at all, where the budget is too small to look for a serious one.
    fn any(&mut self, components: &[u32]) {
        let [.., pattern] = whole();
        for from in 0..self.graph.transactions {
            for &(to, why) in self.graph.from(from) {
                let of = |node: u32| components.get(node as usize);
                if of(from) == of(to) && why.meets(pattern.pick.or(Why::WR).or(Why::WRITES)) {
                    let pattern = Pattern {
                        pick: Why(u16::MAX),
                        ..pattern
                    };
                    let cycle = self.close(&pattern, pattern.anti, components, (from, to, why));
                    self.found.cycles.extend(cycle);
                    return;
                }
            }
        }
    }
}

/// The clearest of several reasons.
fn first(why: Why) -> Why {
    let order = [
        Why::WW,
        Why::WR,
        Why::PROCESS,
        Why::REALTIME,
        Why::WW_PROCESS,
        Why::WW_REALTIME,
        Why::RW,
        Why::RW_PROCESS,
    ];
    let found = order.into_iter().find(|one| why.meets(*one));
    found.unwrap_or(Why::RW_REALTIME)
}

/// The cycle under its name, with each path of barriers drawn together.
fn named(graph: &Graph, steps: &[Step]) -> Cycle {
    let mut drawn: Vec<Step> = Vec::new();
    for &(from, to, why) in steps {
        match drawn.last_mut() {
            Some(last) if from >= graph.transactions => last.1 = to,
            _ => drawn.push((from, to, why)),
        }
    }
    let anti: Vec<bool> = drawn.iter().map(|step| step.2.meets(Why::ANTI)).collect();
    let next = anti.iter().cycle().skip(1);
    let adjacent = anti.iter().zip(next).any(|(one, next)| *one && *next);
    let has = |why: Why| drawn.iter().any(|step| step.2.meets(why));
    let class = match anti.iter().filter(|anti| **anti).count() {
        0 if has(Why::WR) => 1,
        0 => 0,
        1 => 2,
        _ if !adjacent => 3,
        _ => 4,
    };
    let names = if has(Why::OF_REALTIME) {
        REALTIME
    } else if has(Why::OF_PROCESS) {
        PROCESS
    } else {
        PLAIN
    };
    Cycle {
        name: names.get(class).copied().unwrap_or("G2-item"),
        steps: drawn,
    }
}
