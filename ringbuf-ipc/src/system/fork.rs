//! Children without exec: they have copies of everything, and no say in any of it.

use std::sync::Once;

use crate::core::reader::seat::forked;

/// Has every child of this process know that it is one.
pub(crate) fn watch() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: the handler only adds to an atomic, which a child may do between its fork and its exec.
        #[allow(unsafe_code)]
        let _ = unsafe { nix::libc::pthread_atfork(None, None, Some(forked)) };
    });
}
