//! What becomes of the token when the process dies (P9).
//!
//! The token is in many places of memory: the environment, the file's text, each IDENTIFY, buffers of TLS and of
//! the kernel's. So no single place can be kept out of a core dump (`MADV_DONTDUMP`), and `RLIMIT_CORE` does not hold
//! where the system pipes dumps to a program, as systemd-coredump and apport have it. A process that is not *dumpable*
//! leaves none, however it dies and whoever collects them, and no other process of its user can read its memory
//! or its environment. The price: a debugger needs root.

use nix::sys::prctl::set_dumpable;

/// From now on the process leaves no core dump.
///
/// # Errors
/// What the system says.
pub fn keep() -> nix::Result<()> {
    set_dumpable(false)
}
