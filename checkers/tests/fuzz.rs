//! The fuzz bodies on a corpus, on mutations of it and on random bytes, with fixed seeds.
//!
//! `TRIBUNAL_FUZZ_INPUTS` sets how many inputs each body gets, and `TRIBUNAL_FUZZ_SEED` another
//! seed, to run more by hand.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    unreachable_pub,
    reason = "a test fails by panicking, and a fuzzer uses the bodies too"
)]

#[path = "../fuzz/bodies.rs"]
mod bodies;

use std::path::Path;

/// Inputs of each body, unless the environment says otherwise.
const INPUTS: u64 = 1_500;
/// Bytes that a random input has at most.
const RANDOM_BYTES_MAX: u64 = 300;

/// What the formats look like.
const SEEDS: [&[u8]; 8] = [
    br##"{"format":"tribunal-history","version":1}
{"index":0,"time":5,"process":0,"type":"invoke","f":"add","key":"s","value":1}
{"index":1,"time":6,"process":0,"type":"ok","f":"add","key":"s","value":true}
{"index":2,"time":7,"process":1,"type":"invoke","f":"txn","value":[["r","x",null],["w","y",4]]}
{"index":3,"time":9,"process":1,"type":"info","f":"txn","error":{"code":"timeout"}}
"##,
    br##"[#jepsen.history.Op{:index 0, :time 12, :type :invoke, :process 0, :f :txn, :value [[:append 3 1] [:r 3 nil]]}
{:index 1 :time 13 :type :ok :process 0 :f :txn :value [[:append 3 1] [:r 3 [1 2]]]} ; so
{:type :info, :process :nemesis, :f :start, :value #{"n1" \a \u0041 1.5e3 ##Inf 7N 1/2 0x1f}}]"##,
    br##"{:process 0 :type :invoke :f :add :value 1}{:process 0 :type :ok :f :add :value 1}
{:process 1 :type :invoke :f :read}{:process 1 :type :ok :f :read :value #{1 2}}
{:process 1 :type :invoke :f :transfer :value [9 {:from 0 :to 1 :amount 5}]}
{:process 1 :type :info :f :transfer :error [:timeout "a\n\u00e9"]} #_{:gone 1}
{:process 2 :type :invoke :f :dequeue :value #jepsen.independent/tuple [1 nil]}"##,
    br##"[{"index":0,"type":"invoke","process":0,"f":"txn","value":[["append",1,2],["r",1,null]]},
{"index":1,"type":"ok","process":0,"f":"txn","value":[["append",1,2],["r",1,[2]]]}]
{"type":"invoke","process":0,"f":"read","value":null}
{"type":"ok","process":0,"f":"read","value":{"0":10,"x\u00e9\ud83d\ude00":-15,"y":null},"error":[-1.5e2,"z"]}"##,
    b"INFO  jepsen.util - 0\t:invoke\t:cas\t[3 4]\nINFO  jepsen.util - 0\t:ok\t:cas\t[3 4]\n\
      1 :invoke :enqueue 3\n1 :info :enqueue :timed-out\nother line\n:nemesis\t:info\t:start\tnil\n",
    &DBCOP,
    b"\x01\x00\x00\x01\x03\x05\x02\x00\x01\x00\x04\x02\x03\x02\x05\x00\x00\x02\x02\x01\x02",
    b"\x03\x00\x00\x00\x00\x04\x01\x01\x00\x01\x04\x02\x20\x02\x00\x03\x00\x04\x01\x02\x30\x00",
];

/// A history of dbcop: parameters, three texts, one session with one transaction of one write.
const DBCOP: [u8; 111] = {
    let mut bytes = [0; 111];
    bytes[0] = 1;
    bytes[40] = 2;
    bytes[48] = b'a';
    bytes[49] = b'b';
    bytes[50] = 1;
    bytes[58] = b't';
    bytes[59] = 1;
    bytes[67] = b't';
    bytes[68] = 1;
    bytes[76] = 1;
    bytes[84] = 1;
    bytes[92] = 1;
    bytes[93] = 3;
    bytes[101] = 7;
    bytes[109] = 1;
    bytes[110] = 1;
    bytes
};

/// A small generator of numbers (Marsaglia, *Xorshift RNGs*, 2003).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n.max(1)
    }

    fn bytes(&mut self) -> Vec<u8> {
        let length = self.below(RANDOM_BYTES_MAX);
        (0..length).map(|_| self.below(256) as u8).collect()
    }
}

/// Damages an input here and there; `other` lends parts.
fn mutate(input: &mut Vec<u8>, other: &[u8], numbers: &mut Numbers) {
    const TOKENS: [&[u8]; 16] = [
        b"[",
        b"]",
        b"{",
        b"}",
        b"\"",
        b"\\",
        b"#",
        b":",
        b"nil",
        b"null",
        b"-",
        b"\n",
        b"9223372036854775808",
        b"\xf0\x9f",
        b"#_",
        b"[[[[[[[[",
    ];
    for _ in 0..=numbers.below(6) {
        let at = numbers.below(input.len() as u64 + 1) as usize;
        let end = (at + numbers.below(30) as usize).min(input.len());
        match numbers.below(7) {
            0 => drop(input.drain(at..end)),
            1 => {
                let part = input[at..end].to_vec();
                let to = numbers.below(input.len() as u64 + 1) as usize;
                input.splice(to..to, part);
            }
            2 => {
                let from = numbers.below(other.len() as u64 + 1) as usize;
                let until = (from + numbers.below(60) as usize).min(other.len());
                input.splice(at..at, other[from..until].iter().copied());
            }
            3 => {
                let token = TOKENS[numbers.below(TOKENS.len() as u64) as usize];
                input.splice(at..at, token.iter().copied());
            }
            4 => input.truncate(at),
            _ => {
                if let Some(byte) = input.get_mut(at) {
                    *byte = numbers.below(256) as u8;
                }
            }
        }
    }
}

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().unwrap())
}

/// The histories of the checkers' own tests.
fn recorded(folder: &Path, found: &mut Vec<Vec<u8>>) {
    let mut entries: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            recorded(&path, found);
        } else {
            found.push(std::fs::read(path).unwrap());
        }
    }
}

/// Runs a body on as many inputs as asked for; how many there were.
fn run(name: &str) -> u64 {
    let &(_, body) = bodies::BODIES
        .iter()
        .find(|(known, _)| *known == name)
        .unwrap();
    let inputs = variable("TRIBUNAL_FUZZ_INPUTS").unwrap_or(INPUTS);
    let mut numbers = Numbers(variable("TRIBUNAL_FUZZ_SEED").unwrap_or(0x9e37_79b9_7f4a_7c15));
    let mut corpus: Vec<Vec<u8>> = SEEDS.iter().map(|seed| seed.to_vec()).collect();
    if name == "jsonl" {
        recorded(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/histories"),
            &mut corpus,
        );
    }
    for seed in &corpus {
        body(seed);
    }
    for n in 0..inputs {
        if n % 4 == 0 {
            body(&numbers.bytes());
            continue;
        }
        let one = numbers.below(corpus.len() as u64) as usize;
        let other = numbers.below(corpus.len() as u64) as usize;
        let mut input = corpus[one].clone();
        mutate(&mut input, &corpus[other], &mut numbers);
        body(&input);
    }
    corpus.len() as u64 + inputs
}

#[test]
fn the_seeds_are_histories() {
    for seed in &SEEDS[..6] {
        let read = tribunal_results::import::read(*seed, None, None);
        let calls = read.map(|imported| imported.history.calls().len());
        assert!(calls.unwrap_or_else(|e| panic!("{e}")) > 0);
    }
}

#[test]
fn no_input_of_our_own_format_breaks_its_reader() {
    assert!(run("jsonl") > INPUTS);
}

#[test]
fn no_edn_breaks_its_reader() {
    assert!(run("jepsen-edn") >= INPUTS);
}

#[test]
fn no_json_breaks_its_reader() {
    assert!(run("jepsen-json") >= INPUTS);
}

#[test]
fn no_log_breaks_its_reader() {
    assert!(run("porcupine") >= INPUTS);
}

#[test]
fn no_binary_history_breaks_its_reader() {
    assert!(run("dbcop") >= INPUTS);
}

#[test]
fn no_bytes_break_the_detection_of_formats() {
    assert!(run("any-format") >= INPUTS);
}

#[test]
fn no_history_breaks_a_checker_or_gets_two_verdicts() {
    assert!(run("checkers") >= INPUTS);
}

#[test]
fn bytes_describe_histories_of_all_kinds() {
    let mut numbers = Numbers(7);
    let mut kinds = std::collections::BTreeSet::new();
    let (mut calls, mut infos) = (0, 0);
    for _ in 0..500 {
        let history = bodies::decoded(&numbers.bytes());
        kinds.extend(history.calls().iter().map(|call| call.operation.kind()));
        calls += history.calls().len();
        infos += history
            .calls()
            .iter()
            .filter(|call| call.completed.is_some() && call.is_info())
            .count();
    }
    assert_eq!(kinds.len(), tribunal_results::Kind::ALL.len());
    assert!(calls > 5_000 && infos > 200, "{calls} calls, {infos} infos");
}
