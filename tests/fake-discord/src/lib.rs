//! tests/fake-discord
