//! What a ring is made of: counts and sizes, all bounded.

/// Why a [`Geometry`] was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("ring geometry: {what} is {value}, must be {rule}")]
pub struct GeometryError {
    /// Which number.
    pub what: &'static str,
    /// What it was.
    pub value: u64,
    /// What it must be.
    pub rule: &'static str,
}

/// The most groups.
pub(crate) const GROUPS_MAX: u16 = 1024;
const PARTITIONS_MAX: u16 = 1024;
const CHECKPOINT_MAX: u32 = 1 << 20;

/// Size of a ring, chosen at its creation and never changed.
///
/// Memory is [`segment_bytes`](Self::segment_bytes), all of it reserved at creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    /// Descriptors, so the most records the ring holds; a power of two, 2 to 2²⁴.
    pub slots: u32,
    /// Bytes for payloads (each rounded up to 64); a power of two, 256 B to 64 GiB.
    pub payload_bytes: u64,
    /// Reader groups at a time, 1 to 1,024.
    pub groups: u16,
    /// Partitions of each group, so the most members that work at a time; a power of two, 1 to 1,024.
    pub partitions: u16,
    /// Members of each group at a time, 1 to 64.
    pub members: u16,
    /// The longest checkpoint, in bytes; 64 B to 1 MiB.
    pub checkpoint_bytes: u32,
}

impl Geometry {
    /// Checks every number.
    ///
    /// # Errors
    /// The first number that is outside its range.
    pub fn new(
        slots: u32,
        payload_bytes: u64,
        groups: u16,
        partitions: u16,
        members: u16,
    ) -> Result<Self, GeometryError> {
        let checkpoint_bytes = Self::CHECKPOINT_BYTES;
        let geometry = Self { slots, payload_bytes, groups, partitions, members, checkpoint_bytes };
        geometry.validate()?;
        Ok(geometry)
    }

    /// The longest checkpoint where nothing else is asked for: two slots then take two pages.
    pub const CHECKPOINT_BYTES: u32 = 4032;

    /// Room for checkpoints of so many bytes.
    ///
    /// # Errors
    /// More or less than there may be.
    pub fn checkpoints(self, bytes: u32) -> Result<Self, GeometryError> {
        let geometry = Self { checkpoint_bytes: bytes, ..self };
        geometry.validate()?;
        Ok(geometry)
    }

    /// Bytes of /dev/shm that the ring takes. A group whose members settle in any order takes 8 bytes a slot
    /// more while it is there.
    ///
    /// # Panics
    /// Never for a geometry made by [`new`](Self::new).
    pub fn segment_bytes(&self) -> u64 {
        super::layout::Layout::new(*self).reserved_bytes()
    }

    /// The longest record kept in the ring itself; a longer one travels in a file of its own.
    pub const fn inline_bytes(&self) -> u64 {
        self.payload_bytes / 4
    }

    /// The most bytes of a group's file of dead letters and records set aside: what the ring itself holds,
    /// within 64 KiB and 64 MiB.
    pub const fn letters_bytes(&self) -> u64 {
        let bytes = self.payload_bytes;
        if bytes < 64 << 10 {
            64 << 10
        } else if bytes > 64 << 20 {
            64 << 20
        } else {
            bytes
        }
    }

    pub(crate) fn validate(&self) -> Result<(), GeometryError> {
        let fail = |what, value, rule| Err(GeometryError { what, value, rule });
        if !self.slots.is_power_of_two() || !(2..=1 << 24).contains(&self.slots) {
            return fail("slots", self.slots.into(), "a power of two from 2 to 2^24");
        }
        if !self.payload_bytes.is_power_of_two() || !(256..=1 << 36).contains(&self.payload_bytes) {
            return fail("payload_bytes", self.payload_bytes, "a power of two from 256 to 2^36");
        }
        if !(1..=GROUPS_MAX).contains(&self.groups) {
            return fail("groups", self.groups.into(), "1 to 1024");
        }
        if !self.partitions.is_power_of_two() || self.partitions > PARTITIONS_MAX {
            return fail("partitions", self.partitions.into(), "a power of two from 1 to 1024");
        }
        if !(64..=CHECKPOINT_MAX).contains(&self.checkpoint_bytes) {
            return fail("checkpoint_bytes", self.checkpoint_bytes.into(), "64 to 2^20");
        }
        if !(1..=64).contains(&self.members) {
            return fail("members", self.members.into(), "1 to 64");
        }
        Ok(())
    }
}

/// The hash of a key beside the descriptors: 30 bits, of which the low ones are its partition.
#[inline]
pub(crate) const fn hash_of(key: u64) -> u32 {
    (mix(key) >> 32) as u32 & 0x3FFF_FFFF
}

/// The partition of a key: a fixed mix, the same in every process and version of this layout.
#[inline]
pub(crate) const fn partition_of(key: u64, partitions: u16) -> u16 {
    (mix(key) >> 32) as u16 & (partitions - 1)
}

/// A bijective mix of 64 bits (the finaliser of splitmix64).
#[inline]
pub(crate) const fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_kept() {
        assert!(Geometry::new(2, 256, 1, 1, 1).is_ok());
        assert!(Geometry::new(1 << 24, 1 << 36, 1024, 1024, 64).is_ok());
        for bad in [0, 63, (1 << 20) + 1] {
            assert!(Geometry::new(2, 256, 1, 1, 1).unwrap().checkpoints(bad).is_err());
        }
        for bad in [
            Geometry::new(3, 256, 1, 1, 1),
            Geometry::new(1, 256, 1, 1, 1),
            Geometry::new(2, 128, 1, 1, 1),
            Geometry::new(2, 300, 1, 1, 1),
            Geometry::new(2, 256, 0, 1, 1),
            Geometry::new(2, 256, 1025, 1, 1),
            Geometry::new(2, 256, 1, 3, 1),
            Geometry::new(2, 256, 1, 2048, 1),
            Geometry::new(2, 256, 1, 1, 0),
            Geometry::new(2, 256, 1, 1, 65),
        ] {
            assert!(bad.is_err());
        }
    }

    #[test]
    fn snowflakes_spread_over_all_partitions() {
        let mut seen = [0u32; 64];
        for i in 0..64_000u64 {
            // Guild ids differ in time (high bits) far more than in their low 22 bits.
            seen[usize::from(partition_of((i * 977) << 22, 64))] += 1;
        }
        assert!(seen.iter().all(|&n| (800..1200).contains(&n)), "{seen:?}");
    }
}
