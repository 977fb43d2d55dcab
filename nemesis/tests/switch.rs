//! The switch between real network namespaces, seen from outside: what sockets send and get.
//!
//! A program of its own, not libtest's: without privileges a process can only take itself to other
//! namespaces while it has one thread. Run as root, it runs once more as an ordinary user. Where
//! the machine does not allow it, it says so and passes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "everything here is a test"
)]

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("skipped: only Linux has network namespaces");
}

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    linux::main()
}

#[cfg(target_os = "linux")]
mod linux {
    use std::io::{ErrorKind, Read, Write};
    use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::process::{Command, ExitCode};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
    use std::time::Duration;

    use tokio::time::Instant;
    use tribunal_nemesis::fabric::switch::{Home, Private, enter};
    use tribunal_nemesis::fabric::{Bandwidth, Fabric, Nature, Packets, Rule};
    use tribunal_results::NodeId;
    use tribunal_targets::Router;

    const NOBODY: u32 = 65_534;
    const PATIENCE: Duration = Duration::from_secs(20);
    /// After this long nothing more is expected to come.
    const SILENCE: Duration = Duration::from_millis(300);

    type Test = (&'static str, fn(&Net));
    const TESTS: &[Test] = &[
        ("a_delay_each_way_is_what_an_echo_takes", delay),
        ("a_link_between_nodes_has_rules_of_its_own", between_nodes),
        ("no_rule_keeps_the_controller_from_asking", control),
        ("lost_packets_are_lost_to_udp_and_sent_again_by_tcp", loss),
        ("a_cut_silences_one_direction_and_lifting_it_heals", cut),
        ("a_flipped_bit_is_seen_by_udp_and_mended_by_tcp", corruption),
        ("bandwidth_is_what_was_asked_for", bandwidth),
        ("doubled_packets_arrive_twice", duplication),
        ("some_packets_are_overtaken_and_none_is_lost", reordering),
        ("jitter_alone_lets_nothing_overtake", jitter),
        ("what_waits_flows_when_its_delay_is_lifted", lifted),
        ("refused_connections_are_refused_at_once", refuse),
        (
            "a_reset_breaks_both_ends_and_later_ones_at_their_age",
            reset,
        ),
        ("the_same_seed_loses_the_same_packets", seeded),
        ("nothing_is_left_of_a_switch_that_is_closed", closed),
    ];

    pub(super) fn main() -> ExitCode {
        if nix::unistd::geteuid().is_root()
            && let Some(code) = as_nobody()
            && code != ExitCode::SUCCESS
        {
            return code;
        }
        let private = match enter() {
            Ok(private) => private,
            Err(refusal) => {
                println!("skipped: {refusal}");
                return ExitCode::SUCCESS;
            }
        };
        let filter = std::env::args().skip(1).find(|word| !word.starts_with('-'));
        let mut failed = 0;
        for (name, test) in TESTS {
            if filter
                .as_ref()
                .is_some_and(|part| !name.contains(part.as_str()))
            {
                continue;
            }
            let passed = catch_unwind(AssertUnwindSafe(|| test(&Net::new(private, 1)))).is_ok();
            failed += u32::from(!passed);
            println!("test {name} ... {}", if passed { "ok" } else { "FAILED" });
        }
        println!("as user {}: {failed} failed", nix::unistd::geteuid());
        ExitCode::from(u8::from(failed > 0))
    }

    /// The same once more without privileges, from a copy that anybody may read.
    fn as_nobody() -> Option<ExitCode> {
        let dir = std::env::temp_dir().join(format!("tribunal-switch-{}", std::process::id()));
        std::fs::create_dir(&dir).ok()?;
        std::fs::set_permissions(&dir, PermissionsExt::from_mode(0o755)).ok()?;
        let copy = dir.join("switch");
        std::fs::copy(std::env::current_exe().ok()?, &copy).ok()?;
        let status = Command::new(&copy)
            .args(std::env::args().skip(1))
            .uid(NOBODY)
            .gid(NOBODY)
            .status();
        std::fs::remove_dir_all(&dir).ok()?;
        Some(match status {
            Ok(status) if status.success() => ExitCode::SUCCESS,
            other => {
                println!("as user {NOBODY}: {other:?}");
                ExitCode::FAILURE
            }
        })
    }

    /// Two nodes behind a switch.
    struct Net(Arc<Fabric>, Private);

    impl Net {
        fn new(private: Private, seed: u64) -> Self {
            let nodes: Vec<NodeId> = ["n1", "n2"].map(NodeId::from).into();
            let nature = Nature::default();
            let fabric = Fabric::open_switch(private, &nature, &nodes, &"clients".into(), seed);
            Self(fabric.unwrap(), private)
        }

        fn home(&self, node: &str) -> Home {
            self.0.home(node).unwrap().clone()
        }

        /// Has a node do something on a thread in its network.
        fn at<T: Send + 'static>(
            &self,
            node: &str,
            act: impl FnOnce(Home) -> T + Send + 'static,
        ) -> std::thread::JoinHandle<T> {
            let home = self.home(node);
            std::thread::spawn(move || {
                home.namespace.enter().unwrap();
                act(home)
            })
        }

        fn set(&self, from: &str, to: &str, rule: Rule) {
            assert!(self.0.set(from, to, rule));
        }

        /// Has a node send back whatever it gets; returns when it listens.
        fn echo(&self, node: &str) {
            let (ready, is_ready) = std::sync::mpsc::channel();
            self.at(node, move |home| {
                let socket = UdpSocket::bind(home.listen).unwrap();
                ready.send(()).unwrap();
                let mut buffer = [0; 2048];
                while let Ok((n, from)) = socket.recv_from(&mut buffer) {
                    let _ = socket.send_to(&buffer[..n], from);
                }
            });
            is_ready.recv().unwrap();
        }

        /// Has a node take each TCP connection and send back what it gets.
        fn echo_stream(&self, node: &str) {
            let (ready, is_ready) = std::sync::mpsc::channel();
            self.at(node, move |home| {
                let listener = TcpListener::bind(home.listen).unwrap();
                ready.send(()).unwrap();
                for stream in listener.incoming() {
                    let mut stream = stream.unwrap();
                    std::thread::spawn(move || {
                        let mut copy = stream.try_clone().unwrap();
                        std::io::copy(&mut copy, &mut stream)
                    });
                }
            });
            is_ready.recv().unwrap();
        }

        fn dial(&self, node: &str) -> TcpStream {
            let address = self.0.address("clients", node).unwrap();
            let stream = TcpStream::connect_timeout(&address, PATIENCE).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            stream.set_nodelay(true).unwrap();
            stream
        }

        /// A socket of the clients that talks to that address.
        fn socket(address: SocketAddr) -> UdpSocket {
            let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
            socket.connect(address).unwrap();
            socket.set_read_timeout(Some(SILENCE)).unwrap();
            socket
        }

        fn to(&self, node: &str) -> UdpSocket {
            Self::socket(self.home(node).listen)
        }

        /// The numbers that come back when the first `count` are sent to a node.
        fn numbers(&self, node: &str, count: u64) -> Vec<u64> {
            let socket = self.to(node);
            let copy = socket.try_clone().unwrap();
            let receiver = std::thread::spawn(move || {
                let mut number = [0; 8];
                let mut got = Vec::new();
                while copy.recv(&mut number).is_ok() {
                    got.push(u64::from_be_bytes(number));
                }
                got
            });
            for number in 0..count {
                socket.send(&number.to_be_bytes()).unwrap();
                // Few at a time, so that no queue overflows.
                if number % 16 == 15 {
                    std::thread::park_timeout(Duration::from_millis(1));
                }
            }
            receiver.join().unwrap()
        }
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// Sorted times of echoes.
    fn round_trips(socket: &UdpSocket, count: usize) -> Vec<Duration> {
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut buffer = [0; 16];
        let mut times: Vec<_> = (0..count)
            .map(|_| {
                let start = Instant::now();
                socket.send(b"ping").unwrap();
                socket.recv(&mut buffer).unwrap();
                start.elapsed()
            })
            .collect();
        times.sort_unstable();
        times
    }

    fn delay(net: &Net) {
        net.echo("n1");
        net.set("clients", "n1", Rule::delay(ms(50), ms(0)));
        net.set("n1", "clients", Rule::delay(ms(50), ms(0)));
        let times = round_trips(&net.to("n1"), 21);
        println!(
            "50 ms each way: {:?} to {:?}, median {:?}",
            times[0], times[20], times[10]
        );
        assert!(times[0] >= ms(100) && times[10] < ms(110), "{times:?}");
        net.0.clear_all();
        let times = round_trips(&net.to("n1"), 21);
        println!("without: median {:?}", times[10]);
        assert!(times[10] < ms(20), "{times:?}");
        assert!(net.0.counters("clients", "n1").bytes_delayed >= 21 * 32);
    }

    fn between_nodes(net: &Net) {
        net.echo("n2");
        net.set("n1", "n2", Rule::delay(ms(30), ms(0)));
        let address = net.home("n2").listen;
        let times = net.at("n1", move |_| round_trips(&Net::socket(address), 5));
        assert!(times.join().unwrap()[0] >= ms(30));
        assert!(round_trips(&net.to("n2"), 5)[2] < ms(20));
    }

    fn control(net: &Net) {
        net.echo("n1");
        net.echo_stream("n1");
        net.set("clients", "n1", Rule::cut());
        net.set("n1", "clients", Rule::cut());
        let probe = net.home("n1").probe;
        assert!(round_trips(&Net::socket(probe), 5)[2] < ms(50));
        let mut stream = TcpStream::connect_timeout(&probe, PATIENCE).unwrap();
        stream.write_all(b"?").unwrap();
        stream.read_exact(&mut [0]).unwrap();
        assert_eq!(net.numbers("n1", 3), [0; 0]);
    }

    fn loss(net: &Net) {
        const SENT: u64 = 2000;
        net.echo("n1");
        net.echo_stream("n1");
        let loss = Packets {
            loss: 0.2,
            ..Packets::default()
        };
        net.set("clients", "n1", Rule::packets(loss));
        let lost = SENT - net.numbers("n1", SENT).len() as u64;
        println!("of {SENT} datagrams {lost} were lost");
        assert!((300..500).contains(&lost), "{lost}");
        assert_eq!(net.0.counters("clients", "n1").packets_lost, lost);
        assert_intact(&mut net.dial("n1"), 200_000);
        assert!(net.0.counters("clients", "n1").packets_lost > lost);
        net.0.clear_all();
        assert_eq!(net.numbers("n1", 500).len(), 500);
    }

    /// Sends so many bytes and gets the same back.
    fn assert_intact(stream: &mut TcpStream, bytes: usize) {
        let sent: Vec<u8> = (0..bytes).map(|i| ((i * 31) >> 3) as u8).collect();
        let (mut writer, to_send) = (stream.try_clone().unwrap(), sent.clone());
        let writing = std::thread::spawn(move || writer.write_all(&to_send));
        let mut got = vec![0; bytes];
        stream.read_exact(&mut got).unwrap();
        writing.join().unwrap().unwrap();
        assert!(got == sent, "other bytes came back");
    }

    fn cut(net: &Net) {
        // A node that says something all the time, and counts what it is told.
        let heard = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&heard);
        let (ready, is_ready) = std::sync::mpsc::channel();
        net.at("n1", move |home| {
            let socket = UdpSocket::bind(home.listen).unwrap();
            ready.send(()).unwrap();
            socket.set_read_timeout(Some(ms(2))).unwrap();
            let mut client = None;
            let mut buffer = [0; 16];
            loop {
                if let Ok((_, from)) = socket.recv_from(&mut buffer) {
                    client = Some(from);
                    count.fetch_add(1, Relaxed);
                }
                if let Some(client) = client {
                    let _ = socket.send_to(b"still here", client);
                }
            }
        });
        is_ready.recv().unwrap();
        let socket = net.to("n1");
        let tell = |times: usize| {
            let before = heard.load(Relaxed);
            for _ in 0..times {
                socket.send(b"x").unwrap();
                std::thread::park_timeout(ms(5));
            }
            heard.load(Relaxed) - before
        };
        let hear = || {
            // What is there already does not count.
            socket.set_nonblocking(true).unwrap();
            let mut buffer = [0; 16];
            while socket.recv(&mut buffer).is_ok() {}
            socket.set_nonblocking(false).unwrap();
            socket.recv(&mut buffer).is_ok()
        };
        while tell(5) == 0 {}
        assert!(hear());
        net.set("clients", "n1", Rule::cut());
        tell(1);
        assert_eq!(tell(20), 0, "it hears nothing");
        assert!(hear(), "and is heard");
        net.0.clear_all();
        assert!(tell(20) > 0);
        net.set("n1", "clients", Rule::cut());
        tell(5);
        assert!(!hear(), "it is not heard");
        assert!(tell(20) > 0, "and hears");
        assert!(net.0.since_set("n1", "clients").bytes_held > 0);
        net.0.clear_all();
        assert!(hear());
    }

    fn corruption(net: &Net) {
        net.echo("n1");
        net.echo_stream("n1");
        let corruption = Packets {
            corruption: 1.0,
            ..Packets::default()
        };
        net.set("clients", "n1", Rule::packets(corruption));
        let socket = net.to("n1");
        let mut got = [0; 64];
        for _ in 0..50 {
            socket.send(&[0xaa; 64]).unwrap();
            assert_eq!(socket.recv(&mut got).unwrap(), 64);
            let flipped: u32 = got.iter().map(|byte| (byte ^ 0xaa).count_ones()).sum();
            assert_eq!(flipped, 1);
        }
        assert_eq!(net.0.since_set("clients", "n1").packets_corrupted, 50);
        let some = Packets {
            corruption: 0.1,
            ..Packets::default()
        };
        net.set("clients", "n1", Rule::packets(some));
        assert_intact(&mut net.dial("n1"), 400_000);
        let corrupted = net.0.since_set("clients", "n1").packets_corrupted;
        println!("400000 bytes over TCP came intact although {corrupted} packets did not");
        // Of about 276 segments; super-packets would be some ten, and are not corrupted at all.
        assert!(corrupted > 9, "{corrupted}");
    }

    fn bandwidth(net: &Net) {
        const BYTES: usize = 600_000;
        net.echo_stream("n1");
        let mut stream = net.dial("n1");
        let limit = Bandwidth {
            rate: 1_000_000,
            burst: 20_000,
        };
        let rule = Rule {
            bandwidth: Some(limit),
            ..Rule::default()
        };
        net.set("clients", "n1", rule);
        let start = Instant::now();
        assert_intact(&mut stream, BYTES);
        let took = start.elapsed();
        println!("{BYTES} bytes at 1 MB/s took {took:?}");
        assert!(took > ms(550) && took < ms(1500), "{took:?}");
        assert!(net.0.counters("clients", "n1").bytes_throttled > BYTES as u64 / 2);
        net.0.clear_all();
        let start = Instant::now();
        assert_intact(&mut stream, BYTES);
        assert!(start.elapsed() < ms(400), "{:?}", start.elapsed());
    }

    fn duplication(net: &Net) {
        net.echo("n1");
        let twice = Packets {
            duplication: 0.3,
            ..Packets::default()
        };
        net.set("clients", "n1", Rule::packets(twice));
        let got = net.numbers("n1", 1000);
        let doubled = net.0.counters("clients", "n1").packets_duplicated as usize;
        println!("of 1000 datagrams {doubled} came twice");
        assert_eq!(got.len(), 1000 + doubled);
        assert!((200..400).contains(&doubled), "{doubled}");
    }

    fn reordering(net: &Net) {
        net.echo("n1");
        let late = Packets {
            reordering: 0.2,
            ..Packets::default()
        };
        net.set("clients", "n1", Rule::packets(late));
        let mut got = net.numbers("n1", 1000);
        let inversions = got.windows(2).filter(|two| two[0] > two[1]).count();
        println!("1000 datagrams: {inversions} times a later number came before an earlier");
        assert!(inversions > 20, "{inversions}");
        let overtaken = net.0.counters("clients", "n1").packets_overtaken;
        assert!((100..300).contains(&overtaken), "{overtaken}");
        got.sort_unstable();
        assert!(got.iter().copied().eq(0..1000));
    }

    fn jitter(net: &Net) {
        net.echo("n1");
        net.set("clients", "n1", Rule::delay(ms(1), ms(20)));
        let got = net.numbers("n1", 300);
        assert!(got.iter().copied().eq(0..300), "{got:?}");
    }

    fn lifted(net: &Net) {
        net.echo("n1");
        net.set("clients", "n1", Rule::delay(ms(60_000), ms(0)));
        let socket = net.to("n1");
        for number in 0..10_u8 {
            socket.send(&[number]).unwrap();
        }
        let mut number = [0];
        assert!(socket.recv(&mut number).is_err(), "it waits");
        net.0.clear("clients", "n1");
        for expected in 0..10_u8 {
            socket.recv(&mut number).unwrap();
            assert_eq!(number, [expected]);
        }
    }

    fn refuse(net: &Net) {
        net.echo_stream("n1");
        net.set("clients", "n1", Rule::refuse());
        let mut before = TcpStream::connect(net.home("n1").probe).unwrap();
        let start = Instant::now();
        let refused = TcpStream::connect_timeout(&net.home("n1").listen, PATIENCE).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        assert!(start.elapsed() < ms(500));
        assert_eq!(net.0.counters("clients", "n1").refused, 1);
        before.write_all(b"x").unwrap();
        net.0.clear_all();
        assert_intact(&mut net.dial("n1"), 1000);
        assert_eq!(net.0.counters("clients", "n1").opened, 1);
    }

    fn reset(net: &Net) {
        // A node that says how each of its connections ended.
        let (say, ends) = std::sync::mpsc::channel();
        net.at("n1", move |home| {
            let listener = TcpListener::bind(home.listen).unwrap();
            for stream in listener.incoming() {
                let (mut stream, say) = (stream.unwrap(), say.clone());
                std::thread::spawn(move || {
                    let mut buffer = [0; 16];
                    let end = loop {
                        match stream.read(&mut buffer) {
                            Ok(0) => break ErrorKind::UnexpectedEof,
                            Ok(n) => stream.write_all(&buffer[..n]).unwrap(),
                            Err(e) => break e.kind(),
                        }
                    };
                    // The test may have seen enough.
                    let _ended = say.send(end);
                });
            }
        });
        let broken = |stream: &mut TcpStream| stream.read(&mut [0]).unwrap_err().kind();
        while TcpStream::connect(net.home("n1").probe).is_err() {}
        // The probe's own connections end in order, whatever rule comes.
        assert_eq!(ends.recv_timeout(PATIENCE), Ok(ErrorKind::UnexpectedEof));
        let mut stream = net.dial("n1");
        assert_intact(&mut stream, 10);
        net.set("n1", "clients", Rule::reset(ms(200)));
        assert_eq!(broken(&mut stream), ErrorKind::ConnectionReset);
        assert_eq!(ends.recv_timeout(PATIENCE), Ok(ErrorKind::ConnectionReset));
        let mut later = net.dial("n1");
        assert_intact(&mut later, 10);
        let start = Instant::now();
        assert_eq!(broken(&mut later), ErrorKind::ConnectionReset);
        assert!(start.elapsed() > ms(100), "{:?}", start.elapsed());
        assert_eq!(ends.recv_timeout(PATIENCE), Ok(ErrorKind::ConnectionReset));
        assert_eq!(net.0.since_set("n1", "clients").reset, 2);
        net.0.clear_all();
        let mut healed = net.dial("n1");
        healed.set_read_timeout(Some(SILENCE)).unwrap();
        assert_intact(&mut healed, 10);
        assert_eq!(broken(&mut healed), ErrorKind::WouldBlock, "it lives");
    }

    fn seeded(net: &Net) {
        let lost_by = |seed| {
            let net = Net::new(net.1, seed);
            net.echo("n1");
            let loss = Packets {
                loss: 0.3,
                ..Packets::default()
            };
            net.set("clients", "n1", Rule::packets(loss));
            net.numbers("n1", 100)
        };
        let first = lost_by(5);
        assert_eq!(first, lost_by(5));
        assert_ne!(first, lost_by(6));
    }

    fn closed(net: &Net) {
        let is_any_left = || {
            let interfaces = std::fs::read_to_string("/proc/net/dev").unwrap();
            interfaces.contains("tribunal")
        };
        assert!(is_any_left());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(net.0.close());
        runtime.block_on(net.0.close());
        // Those of the tests before this one end by themselves.
        let start = Instant::now();
        while is_any_left() {
            assert!(start.elapsed() < PATIENCE);
        }
    }
}
