//! `lin-kv`: what is read is what was written last.

use std::collections::HashMap;

use super::kv;
use super::value::Value;
use crate::wire::WireError;

/// The store.
#[derive(Debug, Default)]
pub(super) struct Store(HashMap<String, Value>);

impl kv::Store for Store {
    fn read(&mut self, _: &str, key: &str) -> Option<Value> {
        self.0.get(key).cloned()
    }

    fn update(
        &mut self,
        _: &str,
        key: String,
        change: &mut dyn FnMut(Option<&Value>) -> Result<Value, WireError>,
    ) -> Result<(), WireError> {
        let value = change(self.0.get(&key))?;
        self.0.insert(key, value);
        Ok(())
    }
}
