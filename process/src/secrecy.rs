//! What becomes of secrets when the process dies: the token, the password of a broker (P9).
//!
//! The token is in many places of memory: the environment, the file's text, each IDENTIFY, each header of a request,
//! buffers of TLS and of the kernel's. So no single place can be kept out of a core dump (`MADV_DONTDUMP`), and `RLIMIT_CORE` does not hold
//! where the system pipes dumps to a program, as systemd-coredump and apport have it. A process that is not *dumpable*
//! leaves none, however it dies and whoever collects them, and no other process of its user can read its memory
//! or its environment. The price: a debugger needs root.

use nix::sys::prctl::set_dumpable;

/// From now on the process leaves no core dump. To be called before the first secret is read.
///
/// # Errors
/// What the system says.
pub fn keep() -> nix::Result<()> {
    set_dumpable(false)
}

#[cfg(test)]
mod tests {
    #[test]
    fn p9_who_keeps_secrets_is_not_dumpable() {
        super::keep().expect("allowed");
        assert_eq!(nix::sys::prctl::get_dumpable(), Ok(false));
    }
}
