//! ringbuf-ipc
