//! In place of the switch where the system has no network namespaces: there can be none.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use tribunal_results::NodeId;

use super::lane::Lane;

/// Shows that this process has a network namespace of its own: never, here.
#[derive(Clone, Copy, Debug)]
pub enum Private {}

/// Why there can be no switch here.
#[derive(Debug)]
pub struct Refusal;

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the network switch cannot be used here: only Linux has network namespaces; use \
             `fabric: proxy`",
        )
    }
}

impl std::error::Error for Refusal {}

/// Refuses.
///
/// # Errors
/// Always.
pub const fn enter() -> Result<Private, Refusal> {
    Err(Refusal)
}

/// A network namespace of a node.
#[derive(Debug)]
pub enum Namespace {}

impl Namespace {
    /// Moves this thread there.
    ///
    /// # Errors
    /// There is none to move to.
    pub fn enter(&self) -> std::io::Result<()> {
        match *self {}
    }
}

/// Where a node lives.
#[derive(Clone, Debug)]
pub struct Home {
    /// Where it is to listen, and where others reach it.
    pub listen: SocketAddr,
    /// Where the controller reaches it whatever rules are in force.
    pub probe: SocketAddr,
    /// Its network.
    pub namespace: Arc<Namespace>,
}

/// A switch at work.
#[derive(Debug)]
pub(super) struct Switch {
    pub(super) homes: BTreeMap<NodeId, Home>,
}

impl Switch {
    pub(super) fn start(
        private: Private,
        _: &[NodeId],
        _: impl Fn(Option<&NodeId>, Option<&NodeId>) -> Option<Arc<Lane>>,
    ) -> std::io::Result<Self> {
        match private {}
    }

    pub(super) const fn wake(&self) {}

    pub(super) async fn close(&self) {}
}
