//! A node takes the place of another while the system runs, and the other takes it back to heal.

use crate::members::MemberFault;

/// The fault `replace-node`.
pub static REPLACE_NODE: MemberFault = MemberFault {
    name: "replace-node",
    about: "takes another node in for one that is taken out; heals by changing back",
    colour: "#86a7d6",
    adds: true,
    removes: true,
};
