//! Contradictions in bounded memory.

use tribunal_results::Anomaly;
use tribunal_results::verdict::ANOMALIES_LISTED_MAX;

/// How many of one name are kept, to take the clearest of.
const KEPT_MAX: usize = 4 * ANOMALIES_LISTED_MAX;

/// Contradictions: of each name the first are kept, the rest are counted.
#[derive(Debug, Default)]
pub(crate) struct Collected {
    pub(crate) kept: Vec<Anomaly>,
    pub(crate) dropped: u64,
}

impl Collected {
    /// Takes one more.
    pub(crate) fn push(&mut self, anomaly: Anomaly) {
        let same = self.kept.iter().filter(|kept| kept.name == anomaly.name);
        if same.count() < KEPT_MAX {
            self.kept.push(anomaly);
        } else {
            self.dropped += 1;
        }
    }
}

impl Extend<Anomaly> for Collected {
    fn extend<I: IntoIterator<Item = Anomaly>>(&mut self, anomalies: I) {
        for anomaly in anomalies {
            self.push(anomaly);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Collected, KEPT_MAX};
    use crate::transactions::{Told, anomaly};

    #[test]
    fn no_name_crowds_out_another() {
        let named = |name| {
            anomaly(Told {
                name,
                key: None,
                sentence: String::new(),
                facts: Vec::new(),
                calls: &[],
            })
        };
        let mut collected = Collected::default();
        collected.extend((0..KEPT_MAX + 5).map(|_| named("G1a")));
        collected.push(named("G1b"));
        assert_eq!(collected.dropped, 5);
        assert_eq!(collected.kept.len(), KEPT_MAX + 1);
    }
}
