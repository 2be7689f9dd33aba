//! Delivery words: how the members of a group take records one by one and settle them in any order.
//!
//! A group that wants it has a word for every slot of the ring. The word of a record says who has it, and
//! how often it was given in vain; every change of it is one CAS from exactly the word that was looked at.
//!
//! ```text
//!            take                 settle: done
//!   free ──────────────▶ out ─────────────────────▶ done     the cursor passes it
//!    ▲ ▲                  │ │                         ▲
//!    │ │  its member died │ │ settle: retry           │
//!    │ └──────────────────┘ ▼                         │
//!    │      due           retry                       │
//!    └──────────────────────┘                         │
//!   free, retry or out, at the limit ──▶ dying ───────┘      when its letter is written
//!   free, retry or out, ring filling ──▶ aside               the cursor passes it; the file has it
//!   free ──▶ once ──▶ done                                   at most once: also when its member dies
//! ```
//!
//! * **Lap and epoch**: a word speaks of the record whose lap round the ring it names, in the epoch of the
//!   group it names. Any other word is free, and nothing was counted yet: so a slot needs no clearing when
//!   its record changes, and who makes a group anew or moves it raises the epoch first.
//! * **Order**: a member takes a record once every earlier record of its order key is done or aside.
//!   That is monotonic within an epoch, so what a member remembers of it is never wrong, only late.
//! * **Death**: words of the dead are taken one by one, by whoever comes to need them.
//!
//! [`letter`] an entry of the group's file, of records that are dead or were set aside.
//! [`word`] the bits; [`table`] the words of a group and every step one can make; [`cursor`] how far all is
//! done; [`lanes`] which record is next, a member's private memory; [`desk`] a member at work, and [`peers`] what it
//! has to know of others; [`early`] what comes of deaths of members that had settled nothing.

pub(crate) mod cursor;
pub(crate) mod desk;
pub(crate) mod early;
#[cfg(all(test, not(loom)))]
mod early_tests;
pub(crate) mod lanes;
pub(crate) mod letter;
#[cfg(all(test, loom))]
mod loom_tests;
#[cfg(all(test, not(loom)))]
mod model_tests;
pub(crate) mod peers;
pub(crate) mod table;
pub(crate) mod word;
