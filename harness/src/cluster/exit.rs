//! Exit statuses in words.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use nix::sys::signal::Signal;

/// `exit code 3`, `signal 9 (SIGKILL)`.
pub(super) fn words(status: ExitStatus) -> String {
    if let Some(code) = status.code() {
        return format!("exit code {code}");
    }
    let number = status.signal().unwrap_or_default();
    let name = Signal::try_from(number).map_or("unknown", Signal::as_str);
    let core = if status.core_dumped() {
        ", core dumped"
    } else {
        ""
    };
    format!("signal {number} ({name}){core}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_told_by_code_or_by_name() {
        assert_eq!(words(ExitStatus::from_raw(3 << 8)), "exit code 3");
        assert_eq!(words(ExitStatus::from_raw(9)), "signal 9 (SIGKILL)");
        assert_eq!(
            words(ExitStatus::from_raw(0x80 | 6)),
            "signal 6 (SIGABRT), core dumped"
        );
    }
}
