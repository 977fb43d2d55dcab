//! What the fabric costs when it does nothing: throughput and round trips, direct and through it,
//! in the same run. `cargo bench -p tribunal-nemesis`.
#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tribunal_nemesis::fabric::{Fabric, LinkSpec};
use tribunal_targets::Router;

const BULK_BYTES: usize = 256 * 1024 * 1024;
const ROUND_TRIPS: usize = 5_000;
const MESSAGE_BYTES: usize = 128;
/// Direct and proxied alternate this often, so that a slow moment of the machine hits both.
const REPETITIONS: usize = 3;

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

    /// The round trip, in microseconds, that this share of them did not exceed.
    fn quantile_us(&mut self, share: f64) -> f64 {
        self.round_trips.sort();
        let last = self.round_trips.len().saturating_sub(1);
        let at = (last as f64 * share) as usize;
        self.round_trips
            .get(at)
            .map_or(f64::NAN, |time| time.as_secs_f64() * 1e6)
    }
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

#[tokio::main]
async fn main() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let node = listener.local_addr()?;
    tokio::spawn(serve(listener));
    let spec = LinkSpec {
        from: "clients".into(),
        to: "n1".into(),
        listen: ([127, 0, 0, 1], 0).into(),
        dial: node,
    };
    let fabric = Fabric::open(vec![spec], 1).await?;
    let proxied = fabric
        .address("clients", "n1")
        .ok_or_else(|| io::Error::other("the fabric has lost its only link"))?;
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
        "{:<8} {:>8} {:>12} {:>12}",
        "", "Gbit/s", "RTT p50 µs", "RTT p99 µs"
    );
    for (name, _, mut measured) in rows {
        let (p50, p99) = (measured.quantile_us(0.5), measured.quantile_us(0.99));
        let rate = measured.gigabits_per_second;
        println!("{name:<8} {rate:>8.2} {p50:>12.1} {p99:>12.1}");
    }
    Ok(())
}
