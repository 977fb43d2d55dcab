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
use crate::chance::stream;
use crate::process::fake::{Fake, field, field_of, names};
use crate::{Fault, delay::Delay, partition::Partition, refuse::Refuse, reset::Reset};

const FAULTS: [&dyn Fault; 4] = [&Delay, &Partition, &Refuse, &Reset];

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
    for fault in [&Delay as &dyn Fault, &Refuse, &Reset] {
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
