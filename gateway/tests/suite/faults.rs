//! Servers that behave badly.
