//! Fences for other processes: those who are about to sleep pay for those who bring news.
//!
//! The kernel's membarrier runs a full fence in every thread, of any process, that asked to take part.
//! So a producer need not fence after each publish, nor a member after each acknowledgement; whoever
//! goes to sleep has it done for them, and a sleep costs far more anyway. Where the kernel, or a filter
//! of system calls, has none of it, each fences for itself.

use std::sync::OnceLock;

use rustix::thread::{MembarrierCommand, membarrier};

/// Has this process take part, once; whether it does.
pub(crate) fn joined() -> bool {
    static JOINED: OnceLock<bool> = OnceLock::new();
    *JOINED.get_or_init(|| {
        // Who may not call the barrier is told so now: it must not rely on those who may.
        membarrier(MembarrierCommand::RegisterGlobalExpedited).is_ok() && everywhere()
    })
}

/// Fences in every thread that takes part.
pub(crate) fn everywhere() -> bool {
    membarrier(MembarrierCommand::GlobalExpedited).is_ok()
}
