//! A node is taken out of the system while it runs, and in again to heal.

use crate::members::MemberFault;

/// The fault `remove-node`.
pub static REMOVE_NODE: MemberFault = MemberFault {
    name: "remove-node",
    about: "takes a node out of the system; heals by taking it in again",
    colour: "#5f9ea0",
    adds: false,
    removes: true,
};
