//! How many shards of the process are connected, as the service manager shows it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mixcord_process::service::Service;

/// The list of all shards of the process.
#[derive(Clone, Debug)]
pub struct Attendance {
    service: Service,
    shards: Arc<AtomicUsize>,
    connected: Arc<AtomicUsize>,
}

impl Attendance {
    /// Of so many shards, none of which is connected.
    pub fn new(service: Service, shards: usize) -> Self {
        Self { service, shards: Arc::new(shards.into()), connected: Arc::default() }
    }

    /// So many more shards run.
    pub fn expect(&self, shards: usize) {
        self.shards.fetch_add(shards, Ordering::Relaxed);
    }

    /// So many fewer.
    pub fn dismiss(&self, shards: usize) {
        self.shards.fetch_sub(shards, Ordering::Relaxed);
        self.tell(self.connected.load(Ordering::Relaxed));
    }

    /// Rings and sockets are there: whoever waits for this process may start. Not that Discord has
    /// answered: a slow Discord must not have us killed.
    pub fn begin(&self) {
        self.tell(self.connected.load(Ordering::Relaxed));
        self.service.ready();
    }

    /// Who hears of it.
    pub fn service(&self) -> &Service {
        &self.service
    }

    /// The entry of one shard, which is not connected.
    pub fn entry(&self) -> Entry {
        Entry { attendance: self.clone(), is_connected: false }
    }

    fn tell(&self, connected: usize) {
        if self.service.is_heard() {
            let shards = self.shards.load(Ordering::Relaxed);
            self.service.status(format!("{connected} of {shards} shards connected"));
        }
    }
}

/// One shard's entry; a run that ends, however it does, is not connected any more.
#[derive(Debug)]
pub struct Entry {
    attendance: Attendance,
    is_connected: bool,
}

impl Entry {
    /// Notes whether the shard is connected.
    pub fn note(&mut self, is_connected: bool) {
        if self.is_connected == is_connected {
            return;
        }
        self.is_connected = is_connected;
        let count = &self.attendance.connected;
        let connected = if is_connected {
            count.fetch_add(1, Ordering::Relaxed) + 1
        } else {
            count.fetch_sub(1, Ordering::Relaxed) - 1
        };
        self.attendance.tell(connected);
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.note(false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_ends_is_not_connected() {
        let attendance = Attendance::new(Service::default(), 2);
        let connected = || attendance.connected.load(Ordering::Relaxed);
        let (mut first, mut second) = (attendance.entry(), attendance.entry());
        first.note(true);
        first.note(true);
        second.note(true);
        assert_eq!(connected(), 2);
        second.note(false);
        assert_eq!(connected(), 1);
        drop(first);
        drop(second);
        assert_eq!(connected(), 0);
    }
}
