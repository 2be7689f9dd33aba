//! Everything that has already arrived is taken at once, but not more than a bounded part of it: heartbeats
//! are looked at in between (G-6).

use super::context::ShardError;

/// A burst ends with the message that passes this many bytes.
const BURST_BYTES: usize = 512 << 10;
/// What a message counts at least, or a flood of empty ones would never end.
const MESSAGE_BYTES_MIN: usize = 64;

/// Where messages come from, and who handles them.
pub(super) trait Feed {
    /// A message, or the end of all.
    type Received;

    /// Handles one; gives its size in bytes.
    fn handle(&mut self, received: Self::Received) -> Result<usize, ShardError>;

    /// The next one, if it has already arrived and may be handled now.
    fn ready(&mut self) -> Option<Self::Received>;
}

/// Handles `first` and what has arrived behind it; says how many that were.
pub(super) fn take_burst<F: Feed>(feed: &mut F, first: F::Received) -> Result<u64, ShardError> {
    let (mut bytes, mut messages) = (0, 0);
    let mut next = Some(first);
    while let Some(received) = next {
        bytes += feed.handle(received)?.max(MESSAGE_BYTES_MIN);
        messages += 1;
        next = if bytes < BURST_BYTES { feed.ready() } else { None };
    }
    Ok(messages)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A socket with `left` more messages of one size.
    struct Flood {
        size: usize,
        left: usize,
        handled: usize,
    }

    impl Feed for Flood {
        type Received = usize;

        fn handle(&mut self, received: usize) -> Result<usize, ShardError> {
            self.handled += 1;
            Ok(received)
        }

        fn ready(&mut self) -> Option<usize> {
            self.left = self.left.checked_sub(1)?;
            Some(self.size)
        }
    }

    #[test]
    fn g6_a_burst_ends_however_much_has_arrived() {
        for (size, handled) in [(0, 8_192), (64, 8_192), (1_000, 525), (1 << 20, 1)] {
            let mut flood = Flood { size, left: 1_000_000, handled: 0 };
            take_burst(&mut flood, size).expect("handled");
            assert_eq!(flood.handled, handled, "of {size} bytes");
        }
        let mut flood = Flood { size: 10, left: 3, handled: 0 };
        take_burst(&mut flood, 10).expect("handled");
        assert_eq!(flood.handled, 4, "all there is");
    }
}
