//! Objects of a user's own type.

use rustc_hash::FxHashMap;
use tribunal_results::{Call, History, Scalar};

use super::{Object, entry};
use crate::model::Model;

/// The objects of a history as `read` tells them, in the order of their keys.
pub(crate) fn objects<'m, 'h, M: Model>(
    model: &'m M,
    history: &'h History,
    read: impl Fn(&'h Call) -> Option<(Scalar, M::Step)>,
) -> Vec<Object<'h, &'m M>> {
    let mut places: FxHashMap<Scalar, usize> = FxHashMap::default();
    let mut objects: Vec<Object<'h, &'m M>> = Vec::new();
    for call in history.calls() {
        let Some((key, step)) = read(call) else {
            continue;
        };
        let place = *places.entry(key.clone()).or_insert(objects.len());
        if place == objects.len() {
            objects.push(Object {
                name: key.to_string(),
                key: Some(key),
                model,
                entries: Vec::new(),
                scale: 1,
                tells: |_| true,
            });
        }
        if let Some(object) = objects.get_mut(place) {
            object.entries.push(entry(call, step, 1));
        }
    }
    objects.sort_by(|one, other| one.key.cmp(&other.key));
    objects
}
