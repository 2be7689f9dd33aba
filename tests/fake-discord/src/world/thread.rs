//! Threads.

use super::guild::Guild;

/// A user left the guild: its threads forget it.
pub(crate) fn member_gone(guild: &mut Guild, user_id: u64) {
    for thread in &mut guild.threads {
        if let Some(at) = thread.members.iter().position(|member| *member == user_id) {
            thread.members.remove(at);
            let count = thread.members.len();
            thread.fields.set("member_count", count.min(50));
        }
    }
}
