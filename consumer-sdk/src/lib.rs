//! consumer-sdk
