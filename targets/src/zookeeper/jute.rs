//! ZooKeeper's wire format: records of big-endian numbers and byte strings with their lengths
//! before them, in frames with theirs (`zookeeper.jute` of the ZooKeeper sources).

/// The longest frame that is accepted, in bytes; ZooKeeper's own limit is 1 MiB.
pub(super) const FRAME_MAX: usize = 4 << 20;

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    Create = 1,
    GetData = 4,
    SetData = 5,
    Sync = 9,
}

/// Errors that mean that the request was looked at and had no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    NoNode,
    BadVersion,
    NodeExists,
    SessionExpired,
    SessionMoved,
    Throttled,
}

impl Refusal {
    /// The refusal of that number. All other errors leave open what happened.
    pub(super) const fn of(error: i32) -> Option<Self> {
        Some(match error {
            -101 => Self::NoNode,
            -103 => Self::BadVersion,
            -110 => Self::NodeExists,
            -112 => Self::SessionExpired,
            -118 => Self::SessionMoved,
            -127 => Self::Throttled,
            _ => return None,
        })
    }

    /// A word for it, as in outcomes.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::NoNode => "no-node",
            Self::BadVersion => "bad-version",
            Self::NodeExists => "node-exists",
            Self::SessionExpired => "session-expired",
            Self::SessionMoved => "session-moved",
            Self::Throttled => "throttled",
        }
    }
}

/// A frame that is being written.
#[derive(Debug)]
pub(super) struct Writer(Vec<u8>);

impl Writer {
    /// An empty frame.
    pub(super) fn new() -> Self {
        Self(vec![0; 4])
    }

    /// A frame that begins as a request of that number.
    pub(super) fn request(xid: i32, code: Code) -> Self {
        Self::new().int(xid).int(code as i32)
    }

    pub(super) fn int(mut self, value: i32) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    pub(super) fn long(mut self, value: i64) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    pub(super) fn bool(mut self, value: bool) -> Self {
        self.0.push(value.into());
        self
    }

    /// Bytes, or a text, with their length.
    pub(super) fn bytes(self, bytes: &[u8]) -> Self {
        let length = i32::try_from(bytes.len()).unwrap_or(i32::MAX);
        let mut written = self.int(length);
        written.0.extend(bytes);
        written
    }

    /// The frame with its length.
    pub(super) fn frame(mut self) -> Vec<u8> {
        let length = u32::try_from(self.0.len().saturating_sub(4)).unwrap_or(u32::MAX);
        for (byte, of_length) in self.0.iter_mut().zip(length.to_be_bytes()) {
            *byte = of_length;
        }
        self.0
    }
}

/// What is left of a frame that is being read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let (taken, rest) = self.0.split_first_chunk().ok_or("the answer is cut off")?;
        self.0 = rest;
        Ok(*taken)
    }

    pub(super) fn int(&mut self) -> Result<i32, String> {
        self.take().map(i32::from_be_bytes)
    }

    pub(super) fn long(&mut self) -> Result<i64, String> {
        self.take().map(i64::from_be_bytes)
    }

    /// Bytes with their length; a length of -1, which stands for none, is none either.
    pub(super) fn bytes(&mut self) -> Result<&'a [u8], String> {
        let length = match self.int()? {
            -1 => 0,
            length => usize::try_from(length).map_err(|_| format!("a length of {length}"))?,
        };
        let (taken, rest) = (self.0.split_at_checked(length))
            .ok_or_else(|| format!("the answer ends before {length} bytes"))?;
        self.0 = rest;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_read_as_it_was_written() {
        let frame = Writer::request(7, Code::SetData)
            .bytes(b"/k")
            .long(-5)
            .bool(true)
            .frame();
        let (length, body) = frame.split_first_chunk().unwrap();
        assert_eq!(u32::from_be_bytes(*length) as usize, body.len());
        let mut reader = Reader(body);
        assert_eq!((reader.int(), reader.int()), (Ok(7), Ok(5)));
        assert_eq!((reader.bytes(), reader.long()), (Ok(&b"/k"[..]), Ok(-5)));
        assert_eq!(reader.0, [1]);
    }

    #[test]
    fn lengths_that_lie_are_refused() {
        let none = (-1i32).to_be_bytes();
        assert_eq!(Reader(&none).bytes(), Ok(&b""[..]));
        for length in [-2i32, 5, i32::MAX] {
            let bytes = [&length.to_be_bytes()[..], b"1234"].concat();
            assert!(Reader(&bytes).bytes().is_err(), "{length}");
        }
        assert!(Reader(&[0, 0]).int().is_err());
    }
}
