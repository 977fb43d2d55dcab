//! The normal form: the calls on one object as columns of small numbers.
//!
//! What a checker of one object needs of a history takes 25 bytes an operation here, and no
//! pointers: [`Columns`]. [`by_object`] makes them of a history in one pass; generators fill them
//! directly. The rules, which all checkers of objects share:
//!
//! - An operation that *failed* had no effect, but its value is remembered
//!   ([`Columns::refused`]): who sees it has seen an aborted value. A compare-and-set that was
//!   refused for that reason says too which value was *not* there ([`Refused::other`]). A refused
//!   dequeue or acquire perhaps says that nothing was: that is not used, since a refusal may have
//!   other reasons.
//! - An *unknown* observer (a read, a count, …) says nothing and is left out. An unknown mutator
//!   has no return ([`OPEN`]): it may take effect at any time after its call, or never.
//! - An unknown mutator that nobody needs is left out where that loses nothing: a value that no
//!   answer shows was never put or appended ([`Columns::drop_unneeded`]). Taking it out of any
//!   explanation leaves an explanation. Not so of a register: a write that nobody saw may have
//!   taken away the value that a refused compare-and-set did not find. All of them are kept.
//! - An unknown dequeue or pop took one element, or none, at any time after its call. It is kept.
//! - A *drain* is not atomic: it is as many dequeues as it has elements, in that order, and a last
//!   one that found nothing. An unknown drain took any number of elements, each at any time.
//! - An *add* or *remove* answered without a flag says only that the element was there, or not,
//!   afterwards. A set never lists an element twice.
//! - An *acquire* of permits that failed is no statement about how many were free. One that was
//!   granted with a lease is marked ([`YES`]): the permit may fall back by itself.
//! - A count that is not an integer says nothing and is left out.
//! - Objects of different families may share a name: a queue `x` is not a set `x`.
//!
//! Transactions have columns of their own, over all keys: [`Transactions`].

mod columns;
mod group;
mod origins;
mod timeline;
mod transactions;
mod unneeded;

pub use columns::{Columns, DONE, NO, NONE, OPEN, OUTSIDE, Refused, Row, YES};
pub use group::{Family, by_object};
pub(crate) use group::{Object, Placed, has_form, of_calls, placed, says_other};
pub(crate) use origins::Origin;
pub use timeline::Event;
pub(crate) use transactions::{Did, Ended, Step, Transactions};
