//! Rows of different lengths in one piece of memory.

/// Items in numbered rows.
#[derive(Debug)]
pub(crate) struct Rows<T> {
    /// Where each row begins; one more than there are rows.
    starts: Vec<u32>,
    items: Vec<T>,
}

impl<T: Copy> Rows<T> {
    /// No rows yet.
    pub(crate) fn new() -> Self {
        Self {
            starts: vec![0],
            items: Vec::new(),
        }
    }

    /// Adds an item to the row that is being written.
    pub(crate) fn push(&mut self, item: T) {
        self.items.push(item);
    }

    /// Ends the row that is being written.
    pub(crate) fn end_row(&mut self) {
        self.starts.push(self.items.len() as u32);
    }

    /// Sorts items into rows by number, keeping their order (a counting sort).
    pub(crate) fn sorted(rows: usize, items: impl Iterator<Item = (u32, T)> + Clone) -> Self {
        let mut starts = vec![0_u32; rows + 1];
        let mut filler = None;
        for (row, item) in items.clone() {
            filler.get_or_insert(item);
            if let Some(count) = starts.get_mut(row as usize + 1) {
                *count += 1;
            }
        }
        let mut sum = 0;
        for start in &mut starts {
            sum += *start;
            *start = sum;
        }
        let mut next = starts.clone();
        let mut sorted = filler.map_or_else(Vec::new, |item| vec![item; sum as usize]);
        for (row, item) in items {
            let Some(at) = next.get_mut(row as usize) else {
                continue;
            };
            if let Some(place) = sorted.get_mut(*at as usize) {
                *place = item;
            }
            *at += 1;
        }
        Self {
            starts,
            items: sorted,
        }
    }

    /// A row; empty if there is none of that number.
    pub(crate) fn row(&self, row: u32) -> &[T] {
        let at = row as usize;
        match (self.starts.get(at), self.starts.get(at + 1)) {
            (Some(&from), Some(&to)) => self.items.get(from as usize..to as usize).unwrap_or(&[]),
            _ => &[],
        }
    }

    /// Every item, row after row.
    pub(crate) fn items(&self) -> &[T] {
        &self.items
    }

    /// How many rows there are.
    pub(crate) fn len(&self) -> u32 {
        self.starts.len().saturating_sub(1) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::Rows;

    #[test]
    fn sorting_by_row_keeps_the_order_within_a_row() {
        let items = [(2, 'a'), (0, 'b'), (2, 'c'), (1, 'd')];
        let rows = Rows::sorted(4, items.into_iter());
        assert_eq!(rows.row(0), ['b']);
        assert_eq!(rows.row(1), ['d']);
        assert_eq!(rows.row(2), ['a', 'c']);
        assert!(rows.row(3).is_empty() && rows.row(9).is_empty());
        assert_eq!(rows.len(), 4);
    }
}
