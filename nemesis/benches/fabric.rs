//! What the fabric costs when it does nothing, and how exact its delays are; each next to the same
//! without it, in the same run. `cargo bench -p tribunal-nemesis`.
//!
//! | row | what it is |
//! |---|---|
//! | `direct`, `fabric` | bulk throughput, and round trips of small messages, of one connection |
//! | `bare timer` | how late a thread wakes that sleeps for as long as messages are delayed |
//! | `runtime` | how late a task wakes that does the same by the runtime's own timer |
//! | `delayed` | how late messages come through a fabric that delays them, at 10,000 a second |
#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

use std::io::{self, Read as _, Write as _};
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tribunal_nemesis::fabric::{Fabric, LinkSpec, Rule};
use tribunal_targets::Router;

const BULK_BYTES: usize = 256 * 1024 * 1024;
const ROUND_TRIPS: usize = 5_000;
const MESSAGE_BYTES: usize = 128;
/// Direct and proxied alternate this often, so that a slow moment of the machine hits both.
const REPETITIONS: usize = 3;
/// How late messages are asked to come.
const ASKED: Duration = Duration::from_millis(5);
/// How many delayed messages are sent, and how far apart.
const DELAYED: u32 = 30_000;
const APART: Duration = Duration::from_micros(100);

/// What one way was measured to do.
#[derive(Default)]
struct Measured {
    /// The best of all repetitions.
    gigabits_per_second: f64,
    round_trips: Vec<Duration>,
}

impl Measured {
    async fn measure(&mut self, address: SocketAddr) -> io::Result<()> {
        self.gigabits_per_second = self.gigabits_per_second.max(bulk(address).await?);
        self.round_trips.extend(round_trips(address).await?);
        Ok(())
    }
}

/// The time, in microseconds, that this share of them did not exceed.
fn quantile_us(times: &mut [Duration], share: f64) -> f64 {
    times.sort();
    let last = times.len().saturating_sub(1);
    let at = (last as f64 * share) as usize;
    times
        .get(at)
        .map_or(f64::NAN, |time| time.as_secs_f64() * 1e6)
}

/// Answers each connection: `b` swallows everything and then sends one byte, `e` echoes messages.
async fn serve(listener: TcpListener) {
    while let Ok((mut stream, _)) = listener.accept().await {
        tokio::spawn(async move {
            stream.set_nodelay(true)?;
            let mut buffer = vec![0; 256 * 1024];
            if stream.read_u8().await? == b'b' {
                while stream.read(&mut buffer).await? > 0 {}
                return stream.write_all(b".").await;
            }
            loop {
                let n = stream.read(&mut buffer).await?;
                if n == 0 {
                    return Ok(());
                }
                stream.write_all(&buffer[..n]).await?;
            }
        });
    }
}

/// Gigabits per second of one connection.
async fn bulk(address: SocketAddr) -> io::Result<f64> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(b"b").await?;
    let chunk = vec![7; 256 * 1024];
    let start = Instant::now();
    for _ in 0..BULK_BYTES / chunk.len() {
        stream.write_all(&chunk).await?;
    }
    stream.shutdown().await?;
    stream.read_u8().await?;
    Ok(BULK_BYTES as f64 * 8.0 / start.elapsed().as_secs_f64() / 1e9)
}

async fn round_trips(address: SocketAddr) -> io::Result<Vec<Duration>> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    stream.write_all(b"e").await?;
    let mut message = vec![7; MESSAGE_BYTES];
    let mut times = Vec::with_capacity(ROUND_TRIPS);
    for _ in 0..ROUND_TRIPS {
        let start = Instant::now();
        stream.write_all(&message).await?;
        stream.read_exact(&mut message).await?;
        times.push(start.elapsed());
    }
    Ok(times)
}

#[expect(
    clippy::disallowed_methods,
    reason = "how exactly a thread sleeps is what is measured"
)]
fn rest(time: Duration) {
    std::thread::sleep(time);
}

/// Messages that say when they were sent, at a steady rate, from a thread of its own.
fn send_steadily(mut stream: std::net::TcpStream, origin: Instant) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut message = [0; MESSAGE_BYTES];
    let begin = Instant::now();
    for n in 0..DELAYED {
        let turn = begin + APART * n;
        rest(turn.saturating_duration_since(Instant::now()));
        let now = origin.elapsed().as_nanos() as u64;
        message[..8].copy_from_slice(&now.to_le_bytes());
        stream.write_all(&message)?;
    }
    stream.shutdown(std::net::Shutdown::Write)
}

/// How much later than asked each of them came, on a thread of its own.
fn receive_late(mut stream: std::net::TcpStream, origin: Instant) -> Vec<Duration> {
    let mut message = [0; MESSAGE_BYTES];
    let mut late = Vec::with_capacity(DELAYED as usize);
    while stream.read_exact(&mut message).is_ok() {
        let now = origin.elapsed();
        let mut sent = [0; 8];
        sent.copy_from_slice(&message[..8]);
        let sent = Duration::from_nanos(u64::from_le_bytes(sent));
        late.push(now.saturating_sub(sent).saturating_sub(ASKED));
    }
    late
}

/// How late a thread wakes, measured until `until`.
fn bare_timer(until: Instant) -> Vec<Duration> {
    let mut late = Vec::new();
    while Instant::now() < until {
        let due = Instant::now() + ASKED;
        rest(ASKED);
        late.push(due.elapsed());
    }
    late
}

async fn runtime_timer(until: Instant) -> Vec<Duration> {
    let mut late = Vec::new();
    while Instant::now() < until {
        let due = Instant::now() + ASKED;
        tokio::time::sleep_until(due).await;
        late.push(due.elapsed());
    }
    late
}

/// How late delayed messages come, and timers meanwhile.
async fn lateness() -> io::Result<[(&'static str, Vec<Duration>); 3]> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    let (fabric, address) = open(listener.local_addr()?).await?;
    fabric.set("clients", "n1", Rule::delay(ASKED, Duration::ZERO));
    let origin = Instant::now();
    let until = origin + APART * DELAYED;
    let receiver = std::thread::spawn(move || {
        let (stream, _) = listener.accept()?;
        Ok::<_, io::Error>(receive_late(stream, origin))
    });
    let sender =
        std::thread::spawn(move || send_steadily(std::net::TcpStream::connect(address)?, origin));
    let bare = std::thread::spawn(move || bare_timer(until));
    let runtime = runtime_timer(until).await;
    let ended = |_| io::Error::other("a thread of the benchmark panicked");
    let messages = tokio::task::spawn_blocking(move || {
        sender.join().map_err(ended)??;
        Ok::<_, io::Error>((
            bare.join().map_err(ended)?,
            receiver.join().map_err(ended)??,
        ))
    });
    let (bare, messages) = messages.await??;
    fabric.close().await;
    Ok([
        ("bare timer", bare),
        ("runtime", runtime),
        ("delayed", messages),
    ])
}

/// A fabric of one link to `dial`, and where that link is dialled.
async fn open(dial: SocketAddr) -> io::Result<(std::sync::Arc<Fabric>, SocketAddr)> {
    let spec = LinkSpec {
        from: "clients".into(),
        to: "n1".into(),
        listen: ([127, 0, 0, 1], 0).into(),
        dial,
    };
    let fabric = Fabric::open(vec![spec], 1).await?;
    let lost = || io::Error::other("the fabric has lost its only link");
    let address = fabric.address("clients", "n1").ok_or_else(lost)?;
    Ok((fabric, address))
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let node = listener.local_addr()?;
    tokio::spawn(serve(listener));
    let (fabric, proxied) = open(node).await?;
    let mut rows = [
        ("direct", node, Measured::default()),
        ("fabric", proxied, Measured::default()),
    ];
    for _ in 0..REPETITIONS {
        for (_, address, measured) in &mut rows {
            measured.measure(*address).await?;
        }
    }
    fabric.close().await;
    println!(
        "{:<10} {:>8} {:>12} {:>12}",
        "", "Gbit/s", "RTT p50 µs", "RTT p99 µs"
    );
    for (name, _, mut measured) in rows {
        let times = &mut measured.round_trips;
        let (p50, p99) = (quantile_us(times, 0.5), quantile_us(times, 0.99));
        let rate = measured.gigabits_per_second;
        println!("{name:<10} {rate:>8.2} {p50:>12.1} {p99:>12.1}");
    }
    println!(
        "\n{:<10} {:>8} {:>12} {:>12}",
        "", "samples", "late p50 µs", "late p99 µs"
    );
    for (name, mut late) in lateness().await? {
        let (p50, p99) = (quantile_us(&mut late, 0.5), quantile_us(&mut late, 0.99));
        println!("{name:<10} {:>8} {p50:>12.1} {p99:>12.1}", late.len());
    }
    Ok(())
}
