//! A fixed order of groups against real time.
//!
//! Groups of operations must take effect one group after the other; those of one group commute.
//! That is possible exactly if no operation returned before one of an earlier group was called:
//! one pass, with the latest call so far.

/// Takes operations group by group.
#[derive(Clone, Copy, Debug, Default)]
pub struct Preorder {
    /// The latest call of the groups before, and whose it is.
    latest: Option<(u32, usize)>,
    /// The same with the group that is open.
    open: Option<(u32, usize)>,
}

impl Preorder {
    /// Adds an operation to the open group.
    ///
    /// # Errors
    /// The operation of an earlier group that was called only after this one had returned.
    #[inline]
    pub fn add(&mut self, id: usize, call: u32, ret: u32) -> Result<(), usize> {
        if self.open.is_none_or(|(latest, _)| latest < call) {
            self.open = Some((call, id));
        }
        match self.latest {
            Some((latest, earlier)) if ret < latest => Err(earlier),
            _ => Ok(()),
        }
    }

    /// Closes the open group and opens the next.
    #[inline]
    pub fn next_group(&mut self) {
        self.latest = self.open;
    }
}
