//! What the switch costs when it does nothing, and how well it keeps a delay: throughput and round
//! trips over loopback and through it, in the same run. `cargo bench -p tribunal-nemesis --bench
//! switch`.
#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use tokio::time::Instant;
use tribunal_nemesis::fabric::switch::enter;
use tribunal_nemesis::fabric::{Fabric, Nature, Rule};
use tribunal_results::NodeId;

const BULK_BYTES: usize = 512 * 1024 * 1024;
const CHUNK_BYTES: usize = 256 * 1024;
const ROUND_TRIPS: usize = 5_000;
const MESSAGE_BYTES: usize = 128;
/// Each way is measured this often in turn, so that a slow moment of the machine hits both.
const REPETITIONS: usize = 3;
const DELAY: Duration = Duration::from_millis(5);
const DELAYED_ROUND_TRIPS: usize = 300;

/// Answers each connection: `b` swallows everything and then sends one byte, `e` echoes messages.
fn serve(listener: &TcpListener) -> io::Result<()> {
    loop {
        let (mut stream, _) = listener.accept()?;
        thread::spawn(move || {
            stream.set_nodelay(true)?;
            let mut kind = [0];
            stream.read_exact(&mut kind)?;
            let mut buffer = vec![0; CHUNK_BYTES];
            loop {
                match (stream.read(&mut buffer)?, kind) {
                    (0, [b'b']) => return stream.write_all(b"."),
                    (0, _) => return Ok(()),
                    (_, [b'b']) => {}
                    (n, _) => stream.write_all(&buffer[..n])?,
                }
            }
        });
    }
}

/// Gigabits per second of one connection.
fn bulk(address: SocketAddr) -> io::Result<f64> {
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(b"b")?;
    let chunk = vec![7; CHUNK_BYTES];
    let start = Instant::now();
    for _ in 0..BULK_BYTES / CHUNK_BYTES {
        stream.write_all(&chunk)?;
    }
    stream.shutdown(std::net::Shutdown::Write)?;
    stream.read_exact(&mut [0])?;
    Ok(BULK_BYTES as f64 * 8.0 / start.elapsed().as_secs_f64() / 1e9)
}

fn round_trips(address: SocketAddr, count: usize) -> io::Result<Vec<Duration>> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.write_all(b"e")?;
    let mut message = vec![7; MESSAGE_BYTES];
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let start = Instant::now();
        stream.write_all(&message)?;
        stream.read_exact(&mut message)?;
        times.push(start.elapsed());
    }
    Ok(times)
}

/// The time that this share did not exceed, in microseconds.
fn quantile_us(times: &mut [Duration], share: f64) -> f64 {
    times.sort_unstable();
    let at = (times.len().saturating_sub(1) as f64 * share) as usize;
    times
        .get(at)
        .map_or(f64::NAN, |time| time.as_secs_f64() * 1e6)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let private = match enter() {
        Ok(private) => private,
        Err(refusal) => {
            println!("not measured: {refusal}");
            return Ok(());
        }
    };
    let node = NodeId::from("n1");
    let clients = NodeId::from("clients");
    let nodes = [node.clone()];
    let fabric = Fabric::open_switch(private, &Nature::default(), &nodes, &clients, 1)?;
    let home = fabric.home(&node).ok_or("the switch has lost its node")?;
    let (namespace, switched) = (home.namespace.clone(), home.listen);
    let (ready, is_ready) = channel();
    thread::spawn(move || {
        namespace.enter()?;
        let listener = TcpListener::bind(switched)?;
        let _ = ready.send(());
        serve(&listener)
    });
    is_ready.recv()?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let direct = listener.local_addr()?;
    thread::spawn(move || serve(&listener));
    let mut rows = [
        ("loopback", direct, 0.0_f64, Vec::new()),
        ("switch", switched, 0.0_f64, Vec::new()),
    ];
    for _ in 0..REPETITIONS {
        for (_, address, rate, times) in &mut rows {
            *rate = rate.max(bulk(*address)?);
            times.extend(round_trips(*address, ROUND_TRIPS)?);
        }
    }
    for (from, to) in [(&node, &clients), (&clients, &node)] {
        fabric.set(from, to, Rule::delay(DELAY, Duration::ZERO));
    }
    let mut delayed = round_trips(switched, DELAYED_ROUND_TRIPS)?;
    println!(
        "{:<10} {:>8} {:>12} {:>12}",
        "", "Gbit/s", "RTT p50 µs", "RTT p99 µs"
    );
    for (name, _, rate, mut times) in rows {
        let (p50, p99) = (quantile_us(&mut times, 0.5), quantile_us(&mut times, 0.99));
        println!("{name:<10} {rate:>8.2} {p50:>12.1} {p99:>12.1}");
    }
    let (p50, p99) = (
        quantile_us(&mut delayed, 0.5),
        quantile_us(&mut delayed, 0.99),
    );
    println!("{DELAY:?} each way {p50:>16.1} {p99:>12.1}");
    Ok(())
}
