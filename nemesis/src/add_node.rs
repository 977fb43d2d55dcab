//! A node is taken into the system while it runs, and out again to heal.

use crate::members::MemberFault;

/// The fault `add-node`.
pub static ADD_NODE: MemberFault = MemberFault {
    name: "add-node",
    about: "takes a node into the system; heals by taking it out",
    colour: "#6fb38f",
    adds: true,
    removes: false,
};
