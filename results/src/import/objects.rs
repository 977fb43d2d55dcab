//! Which kind of object each key is: `:read` and `:add` are asked of several.
//!
//! Whatever is asked of a key or read from it rules kinds out. A file must leave one; where it
//! leaves more, the other keys of the file decide, and then the order of [`Object`].

use rustc_hash::FxHashMap;

use crate::Scalar;

/// A kind of object, in the order in which they are preferred.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Object {
    /// Read, written, compared and set.
    Register,
    /// Elements are added, or written as *causal-reverse* does, removed, and read all at once.
    Set,
    /// Numbers are added to it.
    Counter,
    /// Elements are appended.
    List,
    /// Money moves between accounts, which are read all at once.
    Bank,
    /// The largest value plus one is inserted, with a timestamp.
    Table,
}

impl Object {
    /// Every kind.
    pub const ALL: [Self; 6] = [
        Self::Register,
        Self::Set,
        Self::Counter,
        Self::List,
        Self::Bank,
        Self::Table,
    ];

    /// Its name on the command line, and that of the only object of a file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Register => "register",
            Self::Set => "set",
            Self::Counter => "counter",
            Self::List => "list",
            Self::Bank => "bank",
            Self::Table => "table",
        }
    }

    /// The kind of that name.
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|object| object.name() == name)
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// Something that not every kind of object has: what is asked, or what a read returns.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sign {
    /// In words, for an error.
    pub(super) what: &'static str,
    fits: u8,
}

impl Sign {
    const fn new(what: &'static str, objects: &[Object]) -> Self {
        let (mut fits, mut at) = (0, 0);
        while at < objects.len() {
            fits |= objects[at].bit();
            at += 1;
        }
        Self { what, fits }
    }

    pub(super) const WRITTEN: Self = Self::new("a write", &[Object::Register, Object::Set]);
    pub(super) const COMPARED: Self = Self::new("a cas", &[Object::Register]);
    pub(super) const APPENDED: Self = Self::new("an append", &[Object::List]);
    pub(super) const COUNTED: Self = Self::new("an increment", &[Object::Counter]);
    pub(super) const ELEMENT: Self = Self::new("an element of a set", &[Object::Set]);
    pub(super) const ADDED: Self = Self::new("an add of a number", &[Object::Set, Object::Counter]);
    pub(super) const TRANSFERRED: Self = Self::new("a transfer", &[Object::Bank]);
    pub(super) const ADVANCED: Self = Self::new("an add without value", &[Object::Table]);
    pub(super) const NUMBER: Self =
        Self::new("a read of a number", &[Object::Register, Object::Counter]);
    pub(super) const TEXT: Self = Self::new("a read of a text", &[Object::Register]);
    pub(super) const NOTHING: Self = Self::new(
        "a read of nil",
        &[Object::Register, Object::Set, Object::List],
    );
    pub(super) const LIST: Self = Self::new("a read of a list", &[Object::Set, Object::List]);
    pub(super) const EMPTY: Self = Self::new(
        "a read of an empty list",
        &[Object::Set, Object::List, Object::Table],
    );
    pub(super) const ACCOUNTS: Self = Self::new("a read of a map", &[Object::Bank]);
    pub(super) const ROWS: Self = Self::new("a read of rows", &[Object::Table]);
}

/// What is known of the objects of a file.
#[derive(Debug)]
pub(crate) struct Objects {
    known: FxHashMap<Scalar, u8>,
    possible: u8,
}

impl Objects {
    /// Nothing is known yet, but what the user says all objects are.
    pub(crate) fn new(given: Option<Object>) -> Self {
        let all = Object::ALL
            .iter()
            .fold(0, |bits, object| bits | object.bit());
        Self {
            known: FxHashMap::default(),
            possible: given.map_or(all, Object::bit),
        }
    }

    /// Takes a sign of what a key is.
    pub(crate) fn see(&mut self, key: &Scalar, sign: Sign) -> Result<(), String> {
        if !self.known.contains_key(key) {
            self.known.insert(key.clone(), self.possible);
        }
        let Some(bits) = self.known.get_mut(key) else {
            return Ok(());
        };
        if *bits & sign.fits == 0 {
            let names = Object::ALL
                .iter()
                .filter(|object| *bits & object.bit() != 0);
            let names: Vec<&str> = names.map(|object| object.name()).collect();
            return Err(format!(
                "{} does not fit {key}, which must be a {} by what comes before",
                sign.what,
                names.join(" or a ")
            ));
        }
        *bits &= sign.fits;
        Ok(())
    }

    /// What all keys can be, if they can all be the same.
    pub(crate) fn common(&self) -> u8 {
        self.known
            .values()
            .fold(self.possible, |common, bits| common & bits)
    }

    /// What a key is, given what all keys can be.
    pub(crate) fn of(&self, key: &Scalar, common: u8) -> Object {
        let bits = self.known.get(key).copied().unwrap_or(self.possible);
        let bits = if bits & common == 0 {
            bits
        } else {
            bits & common
        };
        let fits = |object: &Object| bits & object.bit() != 0;
        Object::ALL
            .into_iter()
            .find(fits)
            .unwrap_or(Object::Register)
    }
}
