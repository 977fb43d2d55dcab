//! Why this machine does not let us have a switch, and what to set so that it does.

use std::fmt;
use std::io::{self, ErrorKind};

/// What was being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A network namespace, with a user namespace if need be, for the whole process.
    Enter,
    /// A network namespace for one node.
    NodeNamespace,
    /// `/dev/net/tun`.
    OpenTun,
    /// The TUN interface itself.
    MakeInterface,
    /// Its addresses and flags.
    SetUpInterface,
}

impl Step {
    /// Makes an error of this step into a refusal.
    pub(super) fn failed(self) -> impl Fn(io::Error) -> Refusal {
        move |cause| Refusal { step: self, cause }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::Enter => "cannot make a network namespace",
            Self::NodeNamespace => "cannot make a network namespace for a node",
            Self::OpenTun => "cannot open /dev/net/tun",
            Self::MakeInterface => "cannot make a TUN interface",
            Self::SetUpInterface => "cannot set up a TUN interface",
        }
    }
}

/// Why there can be no switch here. Displayed as a sentence that says what to do.
#[derive(Debug)]
pub struct Refusal {
    step: Step,
    cause: io::Error,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { step, cause } = self;
        let advice = advice(*step, cause.kind(), |name| {
            std::fs::read_to_string(format!("/proc/sys/{name}")).ok()
        });
        write!(
            f,
            "the network switch cannot be used here: {} ({cause}); {advice}, or use `fabric: proxy`",
            step.words()
        )
    }
}

impl std::error::Error for Refusal {}

/// The thread that makes a node's network does not come about.
pub(super) fn no_thread(cause: io::Error) -> Refusal {
    Step::NodeNamespace.failed()(cause)
}

/// What to set, given what the kernel's settings are.
fn advice(step: Step, cause: ErrorKind, setting: impl Fn(&str) -> Option<String>) -> &'static str {
    let is = |name: &str, value: &str| setting(name).is_some_and(|text| text.trim() == value);
    match step {
        Step::OpenTun if cause == ErrorKind::PermissionDenied => {
            "let everybody open it: `chmod 666 /dev/net/tun` as root"
        }
        Step::OpenTun => {
            "load the driver (`modprobe tun` as root), or give it to the container (`--device \
             /dev/net/tun`)"
        }
        _ if cause == ErrorKind::Unsupported => "only Linux has what it needs",
        _ if is("user/max_user_namespaces", "0") => {
            "allow user namespaces (`sysctl user.max_user_namespaces=10000`), run as root"
        }
        _ if is("kernel/unprivileged_userns_clone", "0") => {
            "allow user namespaces (`sysctl kernel.unprivileged_userns_clone=1`), run as root"
        }
        _ if is("kernel/apparmor_restrict_unprivileged_userns", "1") => {
            "allow user namespaces (`sysctl kernel.apparmor_restrict_unprivileged_userns=0`), run \
             as root"
        }
        _ => {
            "run as root, or let the container make namespaces (`--cap-add SYS_ADMIN --cap-add \
             NET_ADMIN`, or a seccomp profile that allows unshare)"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_advice_names_the_setting_that_stands_in_the_way() {
        let denied = ErrorKind::PermissionDenied;
        let with = |name: &'static str, value: &'static str| {
            move |asked: &str| (asked == name).then(|| format!("{value}\n"))
        };
        let restricted = with("kernel/apparmor_restrict_unprivileged_userns", "1");
        assert!(advice(Step::MakeInterface, denied, restricted).contains("apparmor"));
        let none = with("user/max_user_namespaces", "0");
        assert!(advice(Step::Enter, denied, none).contains("max_user_namespaces"));
        let allowed = with("user/max_user_namespaces", "96365");
        assert!(advice(Step::Enter, denied, allowed).contains("container"));
        assert!(advice(Step::OpenTun, denied, allowed).contains("chmod"));
        assert!(advice(Step::OpenTun, ErrorKind::NotFound, allowed).contains("modprobe"));
    }

    #[test]
    fn a_refusal_says_what_failed_why_and_what_to_do() {
        let error = io::Error::from(ErrorKind::PermissionDenied);
        let text = Step::OpenTun.failed()(error).to_string();
        assert!(
            text.contains("cannot open /dev/net/tun (permission denied)"),
            "{text}"
        );
        assert!(text.ends_with("or use `fabric: proxy`"), "{text}");
    }
}
