//! The proxy fabric over real sockets on the loopback.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests fail tests"
)]

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::Rng;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, timeout};
use tribunal_nemesis::chance::stream;
use tribunal_nemesis::fabric::{
    Counters, Fabric, LinkSpec, Listener, Messages, Nature, Rule, SocketOwners, Tap,
};
use tribunal_results::NodeId;
use tribunal_targets::Router;

/// Far beyond what anything here takes; only a failing test waits that long.
const PATIENCE: Duration = Duration::from_secs(20);

fn anywhere() -> SocketAddr {
    ([127, 0, 0, 1], 0).into()
}

/// One link, and the node behind it.
struct Net {
    fabric: Arc<Fabric>,
    node: TcpListener,
    from: &'static str,
    to: &'static str,
}

impl Net {
    /// The link that `from` dials to `to`.
    async fn open(from: &'static str, to: &'static str) -> Self {
        Self::open_as(Nature::default(), from, to).await
    }

    async fn open_as(nature: Nature, from: &'static str, to: &'static str) -> Self {
        // Kernels let buffers grow to more than a test sends, unless they are told a size.
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(256 * 1024).unwrap();
        socket.bind(anywhere()).unwrap();
        let node = socket.listen(1024).unwrap();
        let spec = LinkSpec {
            from: from.into(),
            to: to.into(),
            listen: anywhere(),
            dial: node.local_addr().unwrap(),
        };
        let fabric = Fabric::open_as(nature, vec![spec], 1).await.unwrap();
        Self {
            fabric,
            node,
            from,
            to,
        }
    }

    async fn dial(&self) -> TcpStream {
        let address = self.fabric.address(self.from, self.to).unwrap();
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    async fn accept(&self) -> TcpStream {
        let (stream, _) = within(self.node.accept()).await.unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    /// A connection through the fabric: the dialling and the accepting end.
    async fn connect(&self) -> (TcpStream, TcpStream) {
        let dialling = self.dial().await;
        (dialling, self.accept().await)
    }

    /// What the bytes from a to b met.
    fn count(&self) -> Counters {
        self.fabric.counters("a", "b")
    }
}

async fn within<T>(work: impl Future<Output = T>) -> T {
    timeout(PATIENCE, work).await.expect("this takes too long")
}

/// Waits until it is so.
async fn until(is_so: impl Fn() -> bool) {
    within(async {
        while !is_so() {
            sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

async fn expect(stream: &mut TcpStream, bytes: &[u8]) {
    let mut got = vec![0; bytes.len()];
    within(stream.read_exact(&mut got)).await.unwrap();
    assert_eq!(got, bytes);
}

fn has_nothing(stream: &TcpStream) -> bool {
    matches!(stream.try_read(&mut [0; 1]), Err(e) if e.kind() == ErrorKind::WouldBlock)
}

async fn read_error(stream: &mut TcpStream) -> ErrorKind {
    let read = within(stream.read(&mut [0; 16])).await;
    read.expect_err("the connection was to be reset").kind()
}

/// Waits until the fabric has delivered nothing for a while; how many bytes that were.
async fn settled(net: &Net) -> u64 {
    within(async {
        let mut before = net.count().bytes_forwarded;
        loop {
            sleep(Duration::from_millis(50)).await;
            let now = net.count().bytes_forwarded;
            if now > 0 && now == before {
                return now;
            }
            before = now;
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bulk_meets_each_rule_at_once_and_loses_nothing() {
    let net = Net::open("a", "b").await;
    let (mut dialling, mut accepting) = net.connect().await;
    let mut bytes = vec![0; 40_000_000];
    stream(1, &[]).fill_bytes(&mut bytes);
    let sent = bytes.clone();
    let sender = tokio::spawn(async move {
        dialling.write_all(&sent).await.unwrap();
        dialling.shutdown().await.unwrap();
    });
    let mut at = 0;
    let rules = [
        Rule::cut(),
        Rule::cut(),
        Rule::delay(Duration::from_millis(3), Duration::ZERO),
    ];
    for rule in rules {
        // Nobody reads, so that what is on its way is full when the rule comes.
        settled(&net).await;
        assert!(net.fabric.set("a", "b", rule));
        if rule.cut {
            until(|| net.fabric.since_set("a", "b").bytes_held > 0).await;
            let delivered = settled(&net).await as usize;
            expect(&mut accepting, &bytes[at..delivered]).await;
            at = delivered;
            sleep(Duration::from_millis(50)).await;
            assert!(has_nothing(&accepting));
        } else {
            expect(&mut accepting, &bytes[at..at + 5_000_000]).await;
            at += 5_000_000;
            assert!(net.fabric.since_set("a", "b").bytes_delayed > 0);
        }
        net.fabric.clear("a", "b");
        // Without the rule it is fast again: enough that a read fills the buffer.
        expect(&mut accepting, &bytes[at..at + 5_000_000]).await;
        at += 5_000_000;
    }
    expect(&mut accepting, &bytes[at..]).await;
    assert_eq!(within(accepting.read(&mut [0; 1])).await.unwrap(), 0);
    assert_eq!(net.count().bytes_forwarded, bytes.len() as u64);
    within(sender).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reset_after_bulk_is_told_to_the_other_end() {
    let net = Net::open("a", "b").await;
    for sender_resets in [true, false] {
        let (mut dialling, mut accepting) = net.connect().await;
        let bytes = vec![7; 8_000_000];
        let write = async { dialling.write_all(&bytes).await.unwrap() };
        tokio::join!(write, expect(&mut accepting, &bytes));
        let (gone, mut left) = match sender_resets {
            true => (dialling, accepting),
            false => (accepting, dialling),
        };
        gone.set_zero_linger().unwrap();
        drop(gone);
        assert_eq!(read_error(&mut left).await, ErrorKind::ConnectionReset);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_rules_bytes_and_half_closes_pass_unchanged() {
    let net = Net::open("a", "b").await;
    let (dialling, accepting) = net.connect().await;
    let mut sent = [vec![0; 3_000_000], vec![0; 2_000_000]];
    for (i, bytes) in sent.iter_mut().enumerate() {
        stream(i as u64, &[]).fill_bytes(bytes);
    }
    let exchange = |stream: TcpStream, bytes: Vec<u8>| async move {
        let (mut reader, mut writer) = stream.into_split();
        let write = async {
            writer.write_all(&bytes).await.unwrap();
            writer.shutdown().await.unwrap();
        };
        let mut got = Vec::new();
        let (_, read) = tokio::join!(write, reader.read_to_end(&mut got));
        read.unwrap();
        got
    };
    let (at_dialling, at_accepting) = within(async {
        tokio::join!(
            exchange(dialling, sent[0].clone()),
            exchange(accepting, sent[1].clone())
        )
    })
    .await;
    assert!(at_accepting == sent[0] && at_dialling == sent[1]);
    assert_eq!(
        net.count(),
        Counters {
            bytes_forwarded: 3_000_000,
            opened: 1,
            ..Counters::default()
        }
    );
    assert_eq!(net.fabric.counters("b", "a").bytes_forwarded, 2_000_000);
}

#[tokio::test]
async fn the_other_direction_goes_on_after_a_half_close() {
    let net = Net::open("a", "b").await;
    let (mut dialling, mut accepting) = net.connect().await;
    dialling.write_all(b"question").await.unwrap();
    dialling.shutdown().await.unwrap();
    let mut question = Vec::new();
    within(accepting.read_to_end(&mut question)).await.unwrap();
    assert_eq!(question, b"question");
    accepting.write_all(b"answer").await.unwrap();
    drop(accepting);
    let mut answer = Vec::new();
    within(dialling.read_to_end(&mut answer)).await.unwrap();
    assert_eq!(answer, b"answer");
}

#[tokio::test]
async fn a_reset_by_a_node_passes() {
    let net = Net::open("a", "b").await;
    let (mut dialling, accepting) = net.connect().await;
    accepting.set_zero_linger().unwrap();
    drop(accepting);
    assert_eq!(read_error(&mut dialling).await, ErrorKind::ConnectionReset);
    assert_eq!(net.count().reset, 0, "it was not the fabric");
}

#[tokio::test]
async fn a_dial_to_a_dead_node_is_reset_promptly() {
    let net = Net::open("a", "b").await;
    let mut dialling = {
        let Net { fabric, node, .. } = net;
        drop(node);
        let address = fabric.address("a", "b").unwrap();
        let start = Instant::now();
        let mut stream = TcpStream::connect(address).await.unwrap();
        assert_eq!(read_error(&mut stream).await, ErrorKind::ConnectionReset);
        assert!(start.elapsed() < Duration::from_secs(2));
        assert_eq!(fabric.counters("a", "b").opened, 0);
        stream
    };
    assert_eq!(within(dialling.read(&mut [0; 1])).await.unwrap(), 0);
}

#[tokio::test]
async fn delayed_bytes_arrive_no_earlier_than_asked_and_in_order() {
    let net = Net::open("a", "b").await;
    let (mut dialling, mut accepting) = net.connect().await;
    let base = Duration::from_millis(40);
    net.fabric
        .set("a", "b", Rule::delay(base, Duration::from_millis(30)));
    for i in 0..5_u8 {
        let start = Instant::now();
        dialling.write_all(&[i, i]).await.unwrap();
        expect(&mut accepting, &[i, i]).await;
        assert!(start.elapsed() >= base, "{:?}", start.elapsed());
    }
    for i in 0..50_u8 {
        dialling.write_all(&[i]).await.unwrap();
        tokio::task::yield_now().await;
    }
    expect(&mut accepting, &(0..50).collect::<Vec<u8>>()).await;
    assert_eq!(net.count().bytes_delayed, 60);
    assert_eq!(net.fabric.counters("b", "a").bytes_delayed, 0);
}

#[tokio::test]
async fn a_delay_governs_one_direction_whichever_side_dialled() {
    for (from, to) in [("a", "b"), ("b", "a")] {
        let net = Net::open(from, to).await;
        let (dialling, accepting) = net.connect().await;
        let (mut a, mut b) = match from {
            "a" => (dialling, accepting),
            _ => (accepting, dialling),
        };
        let base = Duration::from_millis(60);
        net.fabric.set("a", "b", Rule::delay(base, Duration::ZERO));
        let start = Instant::now();
        a.write_all(b"x").await.unwrap();
        expect(&mut b, b"x").await;
        assert!(start.elapsed() >= base);
        b.write_all(b"y").await.unwrap();
        expect(&mut a, b"y").await;
        assert_eq!(net.count().bytes_delayed, 1);
        assert_eq!(net.fabric.counters("b", "a").bytes_delayed, 0);
    }
}

#[tokio::test]
async fn lifting_a_delay_delivers_what_still_waits() {
    let net = Net::open("a", "b").await;
    let (mut dialling, mut accepting) = net.connect().await;
    net.fabric
        .set("a", "b", Rule::delay(PATIENCE * 10, Duration::ZERO));
    dialling.write_all(b"late").await.unwrap();
    until(|| net.count().bytes_delayed == 4).await;
    assert!(has_nothing(&accepting));
    net.fabric.clear("a", "b");
    expect(&mut accepting, b"late").await;
}

#[tokio::test]
async fn a_cut_holds_one_direction_whichever_side_dialled_and_delivers_in_order_on_heal() {
    for (from, to) in [("a", "b"), ("b", "a")] {
        let net = Net::open(from, to).await;
        let (dialling, accepting) = net.connect().await;
        let (mut a, mut b) = match from {
            "a" => (dialling, accepting),
            _ => (accepting, dialling),
        };
        a.write_all(b"before ").await.unwrap();
        expect(&mut b, b"before ").await;
        net.fabric.set("a", "b", Rule::cut());
        for (i, word) in [b"one ", b"two "].into_iter().enumerate() {
            a.write_all(word).await.unwrap();
            until(|| net.count().bytes_held == 4 * (i as u64 + 1)).await;
        }
        b.write_all(b"still heard").await.unwrap();
        expect(&mut a, b"still heard").await;
        assert!(has_nothing(&b));
        net.fabric.clear("a", "b");
        expect(&mut b, b"one two ").await;
        assert_eq!(net.fabric.since_set("a", "b").bytes_held, 8);
        assert_eq!(net.fabric.counters("b", "a").bytes_held, 0);
    }
}

#[tokio::test]
async fn a_cut_holds_the_end_of_the_stream_too() {
    let net = Net::open("a", "b").await;
    let (mut dialling, mut accepting) = net.connect().await;
    net.fabric.set("a", "b", Rule::cut());
    dialling.write_all(b"bye").await.unwrap();
    drop(dialling);
    until(|| net.count().bytes_held == 3).await;
    assert!(has_nothing(&accepting));
    net.fabric.clear("a", "b");
    let mut got = Vec::new();
    within(accepting.read_to_end(&mut got)).await.unwrap();
    assert_eq!(got, b"bye");
}

#[tokio::test]
async fn a_cut_holds_a_bounded_amount_and_then_pushes_back() {
    let net = Net::open("a", "b").await;
    let (mut dialling, mut accepting) = net.connect().await;
    net.fabric.set("a", "b", Rule::cut());
    // More than the fabric and the buffers of both kernel sockets take.
    let amount = 64 * 1024 * 1024;
    let mut writer = tokio::spawn(async move {
        dialling.write_all(&vec![7; amount]).await.unwrap();
        dialling
    });
    until(|| net.count().bytes_held >= 1024 * 1024 - 64 * 1024).await;
    let stuck = timeout(Duration::from_millis(200), &mut writer).await;
    assert!(stuck.is_err(), "the sender must feel it");
    assert!(net.count().bytes_held <= 1024 * 1024 + 64 * 1024);
    net.fabric.clear("a", "b");
    let mut got = vec![0; amount];
    within(accepting.read_exact(&mut got)).await.unwrap();
    assert!(got.iter().all(|byte| *byte == 7));
    within(writer).await.unwrap();
}

#[tokio::test]
async fn a_connection_attempt_hangs_while_either_direction_is_cut() {
    for (from, to) in [("a", "b"), ("b", "a")] {
        let net = Net::open("a", "b").await;
        net.fabric.set(from, to, Rule::cut());
        let mut dialling = net.dial().await;
        dialling.write_all(b"hello").await.unwrap();
        until(|| net.count().bytes_held == 5).await;
        assert_eq!((net.count().attempts_while_cut, net.count().opened), (1, 0));
        assert!(has_nothing(&dialling));
        net.fabric.clear_all();
        expect(&mut net.accept().await, b"hello").await;
        assert_eq!(net.count().opened, 1);
    }
}

#[tokio::test]
async fn an_attempt_given_up_while_cut_never_reaches_the_node() {
    let net = Net::open("a", "b").await;
    net.fabric.set("a", "b", Rule::cut());
    let mut given_up = net.dial().await;
    given_up.write_all(b"never").await.unwrap();
    until(|| net.count().bytes_held == 5).await;
    given_up.shutdown().await.unwrap();
    assert_eq!(read_error(&mut given_up).await, ErrorKind::ConnectionReset);
    net.fabric.clear("a", "b");
    let mut later = net.dial().await;
    later.write_all(b"later").await.unwrap();
    expect(&mut net.accept().await, b"later").await;
    assert_eq!(net.count().opened, 1);
}

#[tokio::test]
async fn a_reset_breaks_what_exists_at_both_ends_and_later_ones_at_their_age() {
    for (from, to) in [("a", "b"), ("b", "a")] {
        let net = Net::open(from, to).await;
        let (mut dialling, mut accepting) = net.connect().await;
        let after = Duration::from_millis(200);
        net.fabric.set("a", "b", Rule::reset(after));
        assert_eq!(read_error(&mut dialling).await, ErrorKind::ConnectionReset);
        assert_eq!(read_error(&mut accepting).await, ErrorKind::ConnectionReset);
        assert_eq!(net.count().reset, 1);
        let start = Instant::now();
        let (mut dialling, mut accepting) = net.connect().await;
        dialling.write_all(b"passes").await.unwrap();
        expect(&mut accepting, b"passes").await;
        assert_eq!(read_error(&mut dialling).await, ErrorKind::ConnectionReset);
        assert!(start.elapsed() >= after);
        net.fabric.clear("a", "b");
        let (mut dialling, mut accepting) = net.connect().await;
        sleep(after + after / 2).await;
        dialling.write_all(b"healed").await.unwrap();
        expect(&mut accepting, b"healed").await;
        assert_eq!(net.fabric.since_set("a", "b").reset, 2);
    }
}

#[tokio::test]
async fn refusing_resets_new_connections_and_leaves_existing_ones() {
    let net = Net::open("a", "b").await;
    let (mut dialling, mut accepting) = net.connect().await;
    net.fabric.set("a", "b", Rule::refuse());
    let mut refused = net.dial().await;
    assert_eq!(read_error(&mut refused).await, ErrorKind::ConnectionReset);
    dialling.write_all(b"stays").await.unwrap();
    expect(&mut accepting, b"stays").await;
    assert_eq!((net.count().refused, net.count().opened), (1, 1));
    net.fabric.clear("a", "b");
    net.connect().await;
}

#[tokio::test]
async fn refusing_governs_only_whoever_dials() {
    let net = Net::open("b", "a").await;
    net.fabric.set("a", "b", Rule::refuse());
    net.connect().await;
    assert_eq!(net.count().refused, 0);
}

#[tokio::test]
async fn closing_leaves_no_listener_and_no_connection() {
    let net = Net::open("a", "b").await;
    let (mut dialling, mut accepting) = net.connect().await;
    let address = net.fabric.address("a", "b").unwrap();
    within(net.fabric.close()).await;
    within(net.fabric.close()).await;
    for end in [&mut dialling, &mut accepting] {
        assert!(matches!(
            within(end.read(&mut [0; 1])).await,
            Ok(0) | Err(_)
        ));
    }
    TcpListener::bind(address).await.unwrap();
    let spec = |dial| LinkSpec {
        from: "a".into(),
        to: "b".into(),
        listen: address,
        dial,
    };
    let again = Fabric::open(vec![spec(address)], 1).await.unwrap();
    let taken = Fabric::open(vec![spec(address)], 1).await.unwrap_err();
    assert!(taken.to_string().contains("for the link a→b"), "{taken}");
    again.close().await;
}

/// Whose a socket is by what the test has noted.
#[derive(Debug, Default)]
struct Noted(Mutex<Vec<(SocketAddr, NodeId)>>);

impl SocketOwners for Noted {
    fn owner(&self, near: SocketAddr, _: SocketAddr) -> Option<NodeId> {
        let noted = self.0.lock().unwrap();
        let found = noted.iter().find(|(socket, _)| *socket == near);
        found.map(|(_, owner)| owner.clone())
    }
}

impl Noted {
    /// A connection to `address` that is this one's.
    async fn dial(&self, owner: &str, address: SocketAddr) -> TcpStream {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(anywhere()).unwrap();
        let near = socket.local_addr().unwrap();
        self.0.lock().unwrap().push((near, owner.into()));
        socket.connect(address).await.unwrap()
    }
}

#[tokio::test]
async fn of_an_address_that_all_dial_alike_each_connection_meets_the_rules_of_its_owner() {
    let node = TcpListener::bind(anywhere()).await.unwrap();
    let free = std::net::TcpListener::bind(anywhere()).unwrap();
    let listen = free.local_addr().unwrap();
    drop(free);
    let specs = || {
        let spec = |from: &str| LinkSpec {
            from: from.into(),
            to: "b".into(),
            listen,
            dial: node.local_addr().unwrap(),
        };
        ["a", "b", "c"].map(spec).into()
    };
    let error = Fabric::open(specs(), 1).await.unwrap_err();
    assert!(
        error.to_string().contains("nobody tells who dials"),
        "{error}"
    );
    let noted = Arc::new(Noted::default());
    let nature = Nature {
        owners: Some(Arc::clone(&noted) as _),
        ..Nature::default()
    };
    let fabric = Fabric::open_as(nature, specs(), 1).await.unwrap();
    for from in ["a", "b", "c"] {
        assert_eq!(fabric.address(from, "b"), Some(listen));
    }
    assert!(fabric.set("a", "b", Rule::cut()));
    let mut cut = noted.dial("a", listen).await;
    cut.write_all(b"a").await.unwrap();
    for from in ["c", "b"] {
        let mut free = noted.dial(from, listen).await;
        free.write_all(from.as_bytes()).await.unwrap();
        let (mut at_node, _) = within(node.accept()).await.unwrap();
        expect(&mut at_node, from.as_bytes()).await;
        assert_eq!(fabric.counters(from, "b").opened, 1);
    }
    until(|| fabric.counters("a", "b").attempts_while_cut == 1).await;
    assert_eq!(fabric.counters("a", "b").opened, 0);
    fabric.clear("a", "b");
    let (mut at_node, _) = within(node.accept()).await.unwrap();
    expect(&mut at_node, b"a").await;
    // One of somebody who may not dial, and one of nobody.
    let mut strange = noted.dial("d", listen).await;
    assert_eq!(read_error(&mut strange).await, ErrorKind::ConnectionReset);
    let mut nobodys = TcpStream::connect(listen).await.unwrap();
    assert_eq!(read_error(&mut nobodys).await, ErrorKind::ConnectionReset);
    fabric.close().await;
}

#[tokio::test]
async fn what_is_no_link_has_no_address_no_rule_and_counts_nothing() {
    let net = Net::open("a", "b").await;
    assert_eq!(net.fabric.address("b", "a"), None, "nobody dials so");
    assert!(net.fabric.set("b", "a", Rule::default()), "but bytes flow");
    assert!(!net.fabric.set("a", "c", Rule::cut()));
    net.fabric.clear("a", "c");
    assert_eq!(net.fabric.counters("a", "c"), Counters::default());
    assert_eq!(net.fabric.since_set("a", "c"), Counters::default());
}

/// Numbers lines by what they say, and notes what becomes of them.
#[derive(Debug, Default)]
struct Notes(Mutex<Vec<String>>);

impl Notes {
    fn note(&self, text: String) {
        self.0.lock().unwrap().push(text);
    }

    fn taken(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl Tap for Notes {
    fn sent(&self, _: &NodeId, _: &NodeId, line: &[u8]) -> Option<u64> {
        let number = str::from_utf8(line).unwrap().parse().unwrap();
        self.note(format!("sent {number}"));
        Some(number)
    }

    fn delivered(&self, message: u64) {
        self.note(format!("delivered {message}"));
    }

    fn lost(&self, message: u64, why: &'static str) {
        self.note(format!("lost {message}: {why}"));
    }

    fn altered(&self, message: u64, how: &'static str) {
        self.note(format!("altered {message}: {how}"));
    }
}

#[tokio::test]
async fn whoever_listens_is_told_what_became_of_each_message() {
    let notes = Arc::new(Notes::default());
    let nature = Nature {
        is_framed: true,
        listener: Some(Listener {
            tap: Arc::clone(&notes) as Arc<dyn Tap>,
            nodes: vec!["a".into(), "b".into()],
        }),
        ..Nature::default()
    };
    let net = Net::open_as(nature, "a", "b").await;
    let (mut dialling, mut accepting) = net.connect().await;
    let set = |messages| net.fabric.set("a", "b", Rule::messages(messages));
    dialling.write_all(b"1\n2").await.unwrap();
    expect(&mut accepting, b"1\n2").await;
    set(Messages {
        omission: 1.0,
        ..Messages::default()
    });
    // The line that had begun passes, and the one that begins waits until it is whole.
    dialling.write_all(b"2\n3\n4").await.unwrap();
    expect(&mut accepting, b"2\n").await;
    until(|| net.count().omitted == 1).await;
    set(Messages {
        duplication: 1.0,
        ..Messages::default()
    });
    dialling.write_all(b"4\n").await.unwrap();
    expect(&mut accepting, b"44\n44\n").await;
    net.fabric.clear("a", "b");
    dialling.write_all(b"5\n").await.unwrap();
    expect(&mut accepting, b"5\n").await;
    until(|| net.count().bytes_forwarded == 13).await;
    let expected = [
        "sent 1",
        "delivered 1",
        "sent 22",
        "sent 3",
        "lost 3: it was omitted",
        "delivered 22",
        "sent 44",
        "altered 44: it was duplicated",
        "delivered 44",
        "sent 5",
        "delivered 5",
    ];
    assert_eq!(notes.taken(), expected);
}

#[tokio::test]
async fn a_message_that_is_held_back_when_its_connection_breaks_is_lost() {
    let notes = Arc::new(Notes::default());
    let nature = Nature {
        is_framed: true,
        listener: Some(Listener {
            tap: Arc::clone(&notes) as Arc<dyn Tap>,
            nodes: vec!["a".into(), "b".into()],
        }),
        ..Nature::default()
    };
    let net = Net::open_as(nature, "a", "b").await;
    let (mut dialling, _accepting) = net.connect().await;
    let reordering = Messages {
        reordering: 1.0,
        hold: PATIENCE * 100,
        ..Messages::default()
    };
    net.fabric.set("a", "b", Rule::messages(reordering));
    dialling.write_all(b"7\n").await.unwrap();
    until(|| notes.0.lock().unwrap().len() == 2).await;
    within(net.fabric.close()).await;
    let expected = [
        "sent 7",
        "altered 7: it was held back",
        "lost 7: its connection ended",
    ];
    assert_eq!(notes.taken(), expected);
}
