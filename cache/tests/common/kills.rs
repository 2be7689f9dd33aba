//! A cache that is killed at a point of its own: this program again, whose instance the parent sets up and judges.

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

const CHILD: &str = "MIXCORD_KILL_CHILD";
const SIGKILL: i32 = 9;

/// What the child is to do; `None` in the parent.
pub(crate) fn order() -> Option<String> {
    std::env::var(CHILD).ok()
}

/// Runs the test `the_child` with an order; whether it lived to the end. Nothing but the kill may end it before.
pub(crate) fn survives(order: &str) -> bool {
    let status = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "the_child"])
        .env(CHILD, order)
        .stdout(Stdio::null())
        .status()
        .expect("a child");
    assert!(status.success() || status.signal() == Some(SIGKILL), "{order}: {status}");
    status.success()
}
