//! What is where in a vDSO: an ELF shared object of a page or two (System V ABI, chapter 4).

/// Kinds of section headers: dynamic symbols.
const SHT_DYNSYM: u32 = 11;
const SECTION_BYTES: usize = 64;
const SYMBOL_BYTES: usize = 24;
/// The fewest bytes that a function must have to begin with a jump.
const JUMP_BYTES: u64 = 5;

/// A vDSO as it lies in memory.
#[derive(Debug)]
pub(super) struct Image<'a>(pub(super) &'a [u8]);

struct Section {
    kind: u32,
    offset: usize,
    size: usize,
    link: usize,
}

impl Image<'_> {
    /// Where the function begins, from the start of the image.
    pub(super) fn function(&self, name: &str) -> Option<usize> {
        let symbols = self.sections()?.find(|it| it.kind == SHT_DYNSYM)?;
        let names = self.sections()?.nth(symbols.link)?;
        let names = self
            .0
            .get(names.offset..names.offset.checked_add(names.size)?)?;
        let symbols = self
            .0
            .get(symbols.offset..symbols.offset.checked_add(symbols.size)?)?;
        let symbol = symbols.chunks_exact(SYMBOL_BYTES).find(|symbol| {
            let at = number(symbol, 0, 4).unwrap_or(0) as usize;
            names
                .get(at..)
                .and_then(|rest| rest.split(|byte| *byte == 0).next())
                == Some(name.as_bytes())
        })?;
        let (value, size) = (number(symbol, 8, 8)?, number(symbol, 16, 8)?);
        let at = usize::try_from(value.checked_sub(self.lowest_address()?)?).ok()?;
        (size >= JUMP_BYTES && at < self.0.len()).then_some(at)
    }

    /// Where so many zeros begin that nothing uses: the padding at the end, from an address that
    /// is a multiple of 16 on, some way behind the last byte that is used.
    pub(super) fn room(&self, bytes: usize) -> Option<usize> {
        let used = self.0.iter().rposition(|byte| *byte != 0)? + 1;
        let from = used.checked_add(16)?.next_multiple_of(16);
        (from.checked_add(bytes)? <= self.0.len()).then_some(from)
    }

    fn sections(&self) -> Option<impl Iterator<Item = Section>> {
        let from = usize::try_from(number(self.0, 0x28, 8)?).ok()?;
        let count = number(self.0, 0x3c, 2)? as usize;
        let headers = self.0.get(from..from.checked_add(count * SECTION_BYTES)?)?;
        (self.0.starts_with(b"\x7fELF\x02\x01")).then(|| {
            headers.chunks_exact(SECTION_BYTES).map(|header| {
                let field = |at, bytes| number(header, at, bytes).unwrap_or(0) as usize;
                Section {
                    kind: field(4, 4) as u32,
                    offset: field(24, 8),
                    size: field(32, 8),
                    link: field(40, 4),
                }
            })
        })
    }

    /// The address that symbols take the image to begin at: that of the first program header,
    /// which loads it.
    fn lowest_address(&self) -> Option<u64> {
        let header = usize::try_from(number(self.0, 0x20, 8)?).ok()?;
        number(self.0, header.checked_add(16)?, 8)
    }
}

/// A little-endian number.
fn number(bytes: &[u8], at: usize, size: usize) -> Option<u64> {
    let bytes = bytes.get(at..at.checked_add(size)?)?;
    Some(
        bytes
            .iter()
            .rev()
            .fold(0, |number, byte| number << 8 | u64::from(*byte)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_found_in_what_is_no_image() {
        for bytes in [&[][..], &[0; 8192], &[0xff; 8192], b"\x7fELF\x02\x01"] {
            assert_eq!(Image(bytes).function("__vdso_time"), None);
        }
        assert_eq!(Image(&[0; 64]).room(1), None);
        assert_eq!(Image(&[1; 64]).room(1), None);
    }

    #[test]
    fn room_is_behind_all_that_is_used_and_nowhere_if_it_is_too_small() {
        let mut bytes = [0; 256];
        bytes[100] = 1;
        assert_eq!(Image(&bytes).room(128), Some(128));
        assert_eq!(Image(&bytes).room(129), None);
    }
}
