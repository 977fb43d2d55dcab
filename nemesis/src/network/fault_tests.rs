//! The network faults on a real fabric, each with traffic that proves it and without.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value as Json, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, timeout};
use tribunal_targets::Router;

use super::*;
use crate::Fault;
use crate::chance::stream;
use crate::corruption::Corruption;
use crate::delay::Delay;
use crate::duplication::Duplication;
use crate::fabric::{Fabric, LinkSpec};
use crate::half_open::HalfOpen;
use crate::omission::Omission;
use crate::partition::Partition;
use crate::process::fake::{Fake, field, field_of, names};
use crate::refuse::Refuse;
use crate::reordering::Reordering;
use crate::reset::Reset;
use crate::slow_close::SlowClose;
use crate::stall::Stall;
use crate::throttle::Throttle;

/// Those about bytes and connections, and those about single messages.
const FAULTS: [&dyn Fault; 12] = [
    &Delay,
    &Partition,
    &Refuse,
    &Reset,
    &Throttle,
    &HalfOpen,
    &SlowClose,
    &Stall,
    &Omission,
    &Duplication,
    &Reordering,
    &Corruption,
];

/// Three nodes, each of which echoes.
async fn echoing() -> Field {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut reader, mut writer) = stream.split();
                tokio::io::copy(&mut reader, &mut writer).await
            });
        }
    });
    let nodes = names(3);
    let fake = Arc::new(Fake::new(&nodes));
    field_of(nodes, fake, address).await
}

async fn dial(field: &Field, from: &str, to: &str) -> TcpStream {
    let address = field.fabric.address(from, to).unwrap();
    TcpStream::connect(address).await.unwrap()
}

/// One byte there and back.
async fn echo(stream: &mut TcpStream) -> std::io::Result<()> {
    let both = async {
        stream.write_all(b"x").await?;
        stream.read_u8().await.map(drop)
    };
    timeout(Duration::from_secs(20), both).await.unwrap()
}

async fn inject(fault: &dyn Fault, options: Json, field: &Field) -> Injection {
    let injection = fault.resolve(&options, field, &mut stream(1, &[])).unwrap();
    let injected = fault.inject(&injection, field).await;
    assert!(matches!(injected, Injected::Installed(_)), "{injected:?}");
    injection
}

#[tokio::test]
async fn a_partition_silences_only_what_it_parts_and_is_proved_by_what_it_held() {
    let field = echoing().await;
    let mut parted = dial(&field, "n1", "n2").await;
    echo(&mut parted).await.unwrap();
    let options = json!({ "shape": [["n1"], ["n2", "n3"]] });
    let injection = inject(&Partition, options, &field).await;
    assert_eq!(injection.what, "partition {n1} | {n2,n3}");
    assert_eq!(injection.links.len(), 4);
    echo(&mut dial(&field, "n2", "n3").await).await.unwrap();
    parted.write_all(b"x").await.unwrap();
    while field.fabric.counters("n1", "n2").bytes_held == 0 {
        sleep(Duration::from_millis(1)).await;
    }
    for _ in 0..2 {
        let healed = Partition.heal(&injection, &field).await;
        assert!(healed.bit);
        assert_eq!(healed.proof["total"]["bytes_held"], 1);
    }
    parted.read_u8().await.unwrap();
    echo(&mut dial(&field, "n1", "n3").await).await.unwrap();
}

#[tokio::test]
async fn a_delay_is_proved_by_what_came_late() {
    let field = echoing().await;
    let options = json!({ "nodes": ["n1"], "direction": "both", "by": "30ms..40ms" });
    let injection = inject(&Delay, options, &field).await;
    let start = Instant::now();
    echo(&mut dial(&field, "n1", "n2").await).await.unwrap();
    assert!(start.elapsed() >= Duration::from_millis(60));
    let healed = Delay.heal(&injection, &field).await;
    assert!(healed.bit);
    assert_eq!(healed.proof["total"]["bytes_delayed"], 2);
    let lateness = healed.proof["mean_lateness_us"].as_u64().unwrap();
    assert!(lateness >= 30_000, "{lateness}");
}

#[tokio::test]
async fn a_delay_of_given_links_leaves_the_others() {
    let field = echoing().await;
    let options = json!({ "links": [["n1", "n2"]], "by": "10ms" });
    let injection = inject(&Delay, options, &field).await;
    assert_eq!(injection.nodes.join(","), "n1,n2");
    echo(&mut dial(&field, "n1", "n3").await).await.unwrap();
    assert!(!Delay.heal(&injection, &field).await.bit);
}

#[tokio::test]
async fn a_reset_is_proved_by_what_broke() {
    let field = echoing().await;
    let mut broken = dial(&field, "n1", "n2").await;
    let mut other = dial(&field, "n2", "n3").await;
    echo(&mut broken).await.unwrap();
    echo(&mut other).await.unwrap();
    let injection = inject(&Reset, json!({ "nodes": ["n1"], "after": "20s" }), &field).await;
    let error = broken.read_u8().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    echo(&mut other).await.unwrap();
    let healed = Reset.heal(&injection, &field).await;
    assert!(healed.bit);
    assert_eq!(healed.proof["total"]["reset"], 1);
}

#[tokio::test]
async fn refusing_breaks_what_exists_and_is_proved_by_who_came_back() {
    let field = echoing().await;
    let mut broken = dial(&field, "n2", "n1").await;
    echo(&mut broken).await.unwrap();
    let injection = inject(&Refuse, json!({ "nodes": ["n1"] }), &field).await;
    assert!(broken.read_u8().await.is_err());
    assert!(dial(&field, "n2", "n1").await.read_u8().await.is_err());
    echo(&mut dial(&field, "n2", "n3").await).await.unwrap();
    let healed = Refuse.heal(&injection, &field).await;
    assert!(healed.bit);
    assert_eq!(healed.proof["total"]["refused"], 1);
    echo(&mut dial(&field, "n2", "n1").await).await.unwrap();
}

#[tokio::test]
async fn a_throttle_is_proved_by_what_had_to_wait_and_takes_its_time() {
    let field = echoing().await;
    let mut stream = dial(&field, "n1", "n2").await;
    let options = json!({ "nodes": ["n1"], "direction": "out", "rate": "20kB/s" });
    let injection = inject(&Throttle, options, &field).await;
    assert_eq!(injection.what, "throttle to 20kB/s at n1 (2 links)");
    let start = Instant::now();
    stream.write_all(&[7; 6_000]).await.unwrap();
    let mut back = vec![0; 6_000];
    stream.read_exact(&mut back).await.unwrap();
    assert!(start.elapsed() >= Duration::from_millis(290));
    let healed = Throttle.heal(&injection, &field).await;
    assert!(healed.bit);
    assert_eq!(healed.proof["total"]["bytes_throttled"], 6_000);
    let start = Instant::now();
    stream.write_all(&[7; 6_000]).await.unwrap();
    stream.read_exact(&mut back).await.unwrap();
    assert!(start.elapsed() < Duration::from_millis(290), "healed");
}

#[tokio::test]
async fn half_open_leaves_one_end_in_the_dark_until_it_is_healed() {
    let field = echoing().await;
    let mut stream = dial(&field, "n1", "n2").await;
    echo(&mut stream).await.unwrap();
    let injection = inject(&HalfOpen, json!({ "nodes": ["n1"] }), &field).await;
    stream.write_all(b"into the void").await.unwrap();
    while field.fabric.counters("n1", "n2").bytes_swallowed < 13 {
        sleep(Duration::from_millis(1)).await;
    }
    let silence = timeout(Duration::from_millis(50), stream.read_u8()).await;
    assert!(silence.is_err(), "nothing comes, not even an end");
    echo(&mut dial(&field, "n1", "n2").await).await.unwrap();
    let healed = HalfOpen.heal(&injection, &field).await;
    assert!(healed.bit);
    assert_eq!(healed.proof["total"]["half_opened"], 1);
    let error = stream.read_u8().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_slow_close_ends_one_side_at_once_and_the_other_late() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nodes = names(2);
    let fake = Arc::new(Fake::new(&nodes));
    let field = field_of(nodes, fake, listener.local_addr().unwrap()).await;
    let mut sender = dial(&field, "n1", "n2").await;
    let (mut receiver, _) = listener.accept().await.unwrap();
    let options = json!({ "links": [["n1", "n2"]], "by": "150ms" });
    let start = Instant::now();
    let injection = inject(&SlowClose, options, &field).await;
    let told = timeout(Duration::from_secs(20), sender.read_u8()).await;
    assert!(told.unwrap().is_err());
    assert!(start.elapsed() < Duration::from_millis(140));
    assert_eq!(receiver.read(&mut [0; 1]).await.unwrap(), 0);
    assert!(start.elapsed() >= Duration::from_millis(150));
    // One that closes by itself is as slow.
    let closing = dial(&field, "n1", "n2").await;
    let (mut receiver, _) = listener.accept().await.unwrap();
    let start = Instant::now();
    drop(closing);
    assert_eq!(receiver.read(&mut [0; 1]).await.unwrap(), 0);
    assert!(start.elapsed() >= Duration::from_millis(149));
    let healed = SlowClose.heal(&injection, &field).await;
    assert_eq!(healed.proof["total"]["slowly_closed"], 2);
    assert!(healed.bit);
}

#[tokio::test]
async fn a_stall_stops_a_message_in_its_middle() {
    let field = echoing().await;
    let mut stream = dial(&field, "n1", "n2").await;
    echo(&mut stream).await.unwrap();
    let options = json!({ "links": [["n2", "n1"]], "probability": 1, "time": "120ms" });
    let injection = inject(&Stall, options, &field).await;
    let start = Instant::now();
    stream.write_all(b"in two halves").await.unwrap();
    let mut half = [0; 6];
    stream.read_exact(&mut half).await.unwrap();
    assert_eq!(&half, b"in two");
    assert!(start.elapsed() < Duration::from_millis(110));
    let mut rest = [0; 7];
    stream.read_exact(&mut rest).await.unwrap();
    assert_eq!(&rest, b" halves");
    assert!(start.elapsed() >= Duration::from_millis(120));
    let healed = Stall.heal(&injection, &field).await;
    assert!(healed.bit);
    assert_eq!(healed.proof["total"]["stalls"], 1);
}

/// Sends numbered messages over a link, one every so many microseconds, and says in which order
/// the numbers come back; `None` for what is not as it was sent.
async fn messages(field: &Field, count: u64, links: &str) -> Vec<Option<u64>> {
    let (from, to) = links.split_once('>').unwrap();
    let stream = dial(field, from, to).await;
    let line = |slot: u64| {
        let body = tribunal_targets::wire::Body::new("accept").with("slot", slot);
        let (src, dest) = (from.into(), to.into());
        tribunal_targets::wire::Message { src, dest, body }
    };
    let (reader, mut writer) = stream.into_split();
    let writing = async {
        for slot in 0..count {
            writer
                .write_all(&line(slot).encode().unwrap())
                .await
                .unwrap();
            sleep(Duration::from_millis(1)).await;
        }
        writer.shutdown().await.unwrap();
    };
    let reading = async {
        let mut lines = tribunal_targets::wire::LineReader::new(reader);
        let mut slots = Vec::new();
        while let Ok(tribunal_targets::wire::Line::Whole(text)) = lines.next().await {
            let message = tribunal_targets::wire::Message::decode(text).unwrap();
            let slot: Option<u64> = message.body.field("slot").ok();
            slots.push(slot.filter(|slot| message == line(*slot)));
        }
        slots
    };
    let both = async { tokio::join!(writing, reading).1 };
    timeout(Duration::from_secs(20), both).await.unwrap()
}

/// Injects on the link from n1 to n2, sends two hundred messages, and heals; then all is well.
async fn with_messages(fault: &dyn Fault, mut options: Json) -> (Vec<Option<u64>>, Healed) {
    let field = echoing().await;
    options["links"] = json!([["n1", "n2"]]);
    let injection = inject(fault, options, &field).await;
    let came = messages(&field, 200, "n1>n2").await;
    let healed = fault.heal(&injection, &field).await;
    let whole: Vec<_> = (0..20).map(Some).collect();
    assert_eq!(messages(&field, 20, "n1>n2").await, whole, "healed");
    (came, healed)
}

fn total(healed: &Healed, counter: &str) -> usize {
    assert!(healed.bit, "{healed:?}");
    healed.proof["total"][counter].as_u64().unwrap() as usize
}

#[tokio::test]
async fn omitted_messages_never_come_and_the_others_in_order() {
    let (came, healed) = with_messages(&Omission, json!({ "probability": 0.2 })).await;
    let omitted = total(&healed, "omitted");
    assert!((10..100).contains(&omitted), "{omitted}");
    assert_eq!(came.len() + omitted, 200);
    assert!(came.iter().all(Option::is_some) && came.is_sorted());
}

#[tokio::test]
async fn duplicated_messages_come_twice() {
    let (mut came, healed) = with_messages(&Duplication, json!({ "probability": 0.2 })).await;
    let duplicated = total(&healed, "duplicated");
    assert!((10..100).contains(&duplicated), "{duplicated}");
    assert_eq!(came.len(), 200 + duplicated);
    came.sort();
    came.dedup();
    assert_eq!(came, (0..200).map(Some).collect::<Vec<_>>());
}

#[tokio::test]
async fn reordered_messages_really_overtake_and_none_is_missing() {
    let (mut came, healed) = with_messages(&Reordering, json!({ "by": "30ms" })).await;
    assert!(total(&healed, "overtook") > 10);
    assert!(!came.is_sorted(), "{came:?}");
    came.sort();
    assert_eq!(came, (0..200).map(Some).collect::<Vec<_>>());
}

#[tokio::test]
async fn corrupted_messages_come_changed() {
    let (came, healed) = with_messages(&Corruption, json!({ "probability": 0.2 })).await;
    assert_eq!(came.len(), 200);
    let changed = (0..200)
        .zip(&came)
        .filter(|(sent, came)| Some(*sent) != **came);
    let changed = changed.count();
    assert_eq!(total(&healed, "corrupted"), changed);
    assert!((10..150).contains(&changed), "{changed}");
}

#[tokio::test]
async fn where_the_fabric_can_t_read_messages_faults_of_messages_are_a_skip() {
    let nodes = names(2);
    let processes = Arc::new(Fake::new(&nodes));
    let link = LinkSpec {
        from: "n1".into(),
        to: "n2".into(),
        listen: ([127, 0, 0, 1], 0).into(),
        dial: ([127, 0, 0, 1], 1).into(),
    };
    let fabric = Fabric::open(vec![link], 1).await.unwrap();
    let field = Field {
        nodes,
        processes,
        fabric,
    };
    for fault in &FAULTS[8..] {
        let injection = fault.resolve(&Json::Null, &field, &mut stream(1, &[]));
        let injected = fault.inject(&injection.unwrap(), &field).await;
        assert!(matches!(injected, Injected::Skipped(_)), "{injected:?}");
    }
}

#[test]
fn wrong_options_are_refused_by_their_path() {
    let refused = |fault: &dyn Fault, options: Json| {
        let error = fault.check_options(&options).unwrap_err();
        (error.path, error.message)
    };
    let path = |fault: &dyn Fault, options: Json| refused(fault, options).0;
    assert_eq!(path(&Delay, json!({ "correlation": 2 })), "correlation");
    assert_eq!(
        path(&Delay, json!({ "distribution": "odd" })),
        "distribution"
    );
    assert_eq!(path(&Throttle, json!({ "rate": "0B/s" })), "rate");
    assert_eq!(path(&Stall, json!({ "probability": 0 })), "probability");
    assert_eq!(
        path(&Omission, json!({ "probability": 1.5 })),
        "probability"
    );
    assert_eq!(path(&Reordering, json!({ "by": "0s" })), "by");
    assert_eq!(path(&Corruption, json!({ "lies": ["white"] })), "lies[0]");
    assert_eq!(path(&Corruption, json!({ "direction": "up" })), "direction");
    let (path, message) = refused(&SlowClose, json!({ "node": "n1" }));
    assert_eq!(path, "node");
    assert!(message.contains("`by`; besides nodes"), "{message}");
}

#[tokio::test]
async fn without_traffic_none_of_them_bit() {
    let (field, _) = field(3).await;
    for fault in FAULTS {
        let injection = inject(fault, Json::Null, &field).await;
        assert!(
            !fault.heal(&injection, &field).await.bit,
            "{}",
            fault.name()
        );
    }
}

#[tokio::test]
async fn a_node_alone_has_no_link_to_break() {
    let (field, _) = field(1).await;
    for fault in FAULTS {
        let injection = fault.resolve(&Json::Null, &field, &mut stream(1, &[]));
        assert_eq!(injection, None, "{}", fault.name());
    }
}

#[tokio::test]
async fn links_that_bypass_the_fabric_are_a_skip() {
    let (field, _) = field(1).await;
    for fault in FAULTS
        .into_iter()
        .filter(|fault| fault.name() != "partition")
    {
        let options = json!({ "clients": true });
        let injection = fault
            .resolve(&options, &field, &mut stream(1, &[]))
            .unwrap();
        let injected = fault.inject(&injection, &field).await;
        assert!(matches!(injected, Injected::Skipped(_)), "{injected:?}");
    }
}

#[tokio::test]
async fn every_injection_survives_being_stored() {
    let (field, _) = field(5).await;
    for fault in crate::ALL {
        let injection = fault
            .resolve(&Json::Null, &field, &mut stream(3, &[]))
            .unwrap();
        let stored = serde_json::to_string(&injection).unwrap();
        assert_eq!(
            serde_json::from_str::<Injection>(&stored).unwrap(),
            injection
        );
    }
}
