//! When an object is settled, and what its nodes showed then.
//!
//! An object is settled from `settle_ms` after the latest of: the cure of the last fault that was
//! injected, and the end of the object's last update that did not fail. An update of unknown end
//! is over, for this, when its client gave up; that it may land later all the same is allowed for
//! where final reads are compared. A fault that is never cured, or an update that is still open
//! at the record's end, leaves nothing settled. The final read of a node is the last that was
//! answered by it and invoked when the object was settled.

use std::collections::BTreeMap;

use tribunal_results::{Call, History, Nanos};

use super::{Object, State};

/// When all faults were over; 0 if there was none.
///
/// # Errors
/// The first fault that never was.
pub(crate) fn cured(history: &History) -> Result<Nanos, String> {
    let mut last = 0;
    for span in history.fault_spans() {
        match span.to {
            _ if span.skipped.is_some() => {}
            Some(to) => last = last.max(to),
            None => {
                return Err(format!(
                    "the fault {} of {} was never healed",
                    span.fault,
                    crate::explain::seconds(span.from)
                ));
            }
        }
    }
    Ok(last)
}

/// The time from which the object is settled; `None` if it never is.
pub(crate) fn settled(object: &Object<'_>, cured: Nanos, settle: Nanos) -> Option<Nanos> {
    let mut last = cured;
    for update in object.updates.iter().filter(|update| !update.is_fail()) {
        last = last.max(update.completed?.time);
    }
    Some(last.saturating_add(settle))
}

/// The final reads of an object, by node.
pub(crate) fn finals<'o, 'a>(
    object: &'o Object<'a>,
    settled: Nanos,
) -> BTreeMap<&'a str, (&'a Call, &'o State<'a>)> {
    let mut finals = BTreeMap::new();
    let updated = object.updates.iter().filter(|update| !update.is_fail());
    let last = updated
        .filter_map(|update| update.completed.map(|stamp| stamp.index))
        .max();
    for (call, state) in &object.reads {
        let after = last.is_none_or(|last| call.invoked.index > last);
        if let Some(node) = call.node.as_deref()
            && call.invoked.time >= settled
            && after
        {
            finals.insert(node, (*call, state));
        }
    }
    finals
}
