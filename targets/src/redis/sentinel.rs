//! Sentinel: who the master is, as the Sentinel beside one node sees it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use tribunal_results::{NodeId, Reason};

use super::connection::{Connection, Failure};
use super::resp::Value;
use crate::ClientSpec;

/// Where Sentinels listen.
pub(super) const PORT: u16 = 26_379;
/// What they call the master.
pub(super) const NAME: &str = "tribunal";

/// The Sentinel of a client's own node.
#[derive(Debug)]
pub(super) struct Watch {
    connection: Connection,
    nodes: Arc<[(NodeId, SocketAddr)]>,
}

impl Watch {
    /// Connects to the Sentinel beside the client's node.
    ///
    /// # Errors
    /// Why there is no connection.
    pub(super) async fn open(spec: &ClientSpec) -> Result<Self, Reason> {
        let address = SocketAddr::new(spec.address.ip(), PORT);
        let lost = |e| Reason::new("no-connection", format!("Sentinel at {address}: {e}"));
        Ok(Self {
            connection: Connection::open(address).await.map_err(lost)?,
            nodes: Arc::clone(&spec.nodes),
        })
    }

    /// Where the master is, as this Sentinel sees it.
    ///
    /// # Errors
    /// Why it is not known. Nothing was asked of any Redis.
    pub(super) async fn master(&mut self) -> Result<SocketAddr, Reason> {
        let words = [
            b"SENTINEL".as_slice(),
            b"GET-MASTER-ADDR-BY-NAME",
            NAME.as_bytes(),
        ];
        let said = self.connection.ask(&words).await.map_err(Failure::reason)?;
        let ip = said
            .items()
            .and_then(|items| items.first()?.text()?.parse().ok());
        let at = |ip: IpAddr| self.nodes.iter().find(|(_, address)| address.ip() == ip);
        match ip.and_then(at) {
            Some((_, address)) => Ok(*address),
            None => Err(Reason::new("no-master", format!("Sentinel says {said:?}"))),
        }
    }

    /// Whether it can be asked again.
    pub(super) fn is_usable(&mut self) -> bool {
        self.connection.is_usable()
    }
}

/// What a Sentinel says of the master and of those who watch it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct View {
    /// The master's address.
    pub(super) master: IpAddr,
    /// What is wrong with it, besides that it is a master.
    pub(super) flags: String,
    /// How many replicas it has.
    pub(super) replicas: usize,
    /// How many other Sentinels there are.
    pub(super) others: usize,
}

impl View {
    /// Of the answer to `SENTINEL MASTER`: names and values in turn.
    pub(super) fn of(said: &Value) -> Option<Self> {
        let items = said.items()?;
        let field = |name: &str| {
            let mut pairs = items.chunks(2);
            let pair = pairs.find(|pair| pair.first().and_then(Value::text) == Some(name));
            pair?.get(1)?.text()
        };
        Some(Self {
            master: field("ip")?.parse().ok()?,
            flags: field("flags")?.to_owned(),
            replicas: field("num-slaves")?.parse().ok()?,
            others: field("num-other-sentinels")?.parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_is_read_from_names_and_values_in_turn() {
        let text = |text: &str| Value::Text(Some(text.into()));
        let words = [
            "name",
            "tribunal",
            "ip",
            "10.0.0.3",
            "port",
            "21000",
            "flags",
            "s_down,master",
            "num-slaves",
            "4",
            "num-other-sentinels",
            "3",
        ];
        let view = View::of(&Value::Array(Some(words.map(text).into()))).unwrap();
        assert_eq!(view.master, IpAddr::from([10, 0, 0, 3]));
        assert_eq!(
            (view.flags.as_str(), view.replicas, view.others),
            ("s_down,master", 4, 3)
        );
        assert_eq!(
            View::of(&Value::Array(Some(
                words[..4].iter().copied().map(text).collect()
            ))),
            None
        );
        assert_eq!(View::of(&Value::Error("ERR No such master".into())), None);
    }
}
