//! The clocks of one process, moved without touching the machine's.
//!
//! Programs ask for the time through the *vDSO*, a small library that the kernel maps into every
//! process. At exec, before the first instruction of the new program, its private copy is patched:
//! a stub goes into the zero padding at the end, and `clock_gettime`, `gettimeofday` and `time`
//! begin with a jump to it. The stub asks the kernel, and moves the answer by what is written on a
//! page of its own ([`page`]), which the controller writes at any time through `/proc/PID/mem`.
//!
//! | module | what it does |
//! |---|---|
//! | [`stub`] | the machine code |
//! | [`image`] | finds functions and padding in a vDSO |
//! | [`patch`] | stops a process at its exec, patches it, and lets it go |
//! | [`page`] | what is written on the page, and read back |
//!
//! Limits: x86-64 Linux. A later `exec` gets a fresh vDSO, programs that make raw system calls
//! escape (both are seen: nobody was told another time), and kernel timers do not move.

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod image;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod page;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod patch;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod stub;
#[cfg(test)]
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod tests;

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub(super) use self::{page::Lever, patch::ask_to_be_traced, patch::lay};

/// Where it can't be done.
#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
mod elsewhere {
    use tribunal_nemesis::skew::{Skew, View};

    const WHY: &str = "clocks of single processes can be moved on x86-64 Linux only";

    /// A way into a process's clocks: there is none.
    #[derive(Debug)]
    pub(crate) struct Lever(std::convert::Infallible);

    impl Lever {
        pub(crate) fn pull(&self, _: Option<&Skew>) -> Result<View, String> {
            match self.0 {}
        }

        pub(crate) fn view(&self) -> Result<View, String> {
            match self.0 {}
        }
    }

    pub(crate) fn ask_to_be_traced() {}

    pub(crate) fn lay(_: u32, _: Option<&Skew>) -> Result<Lever, String> {
        Err(WHY.into())
    }
}
#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
pub(super) use self::elsewhere::{Lever, ask_to_be_traced, lay};
