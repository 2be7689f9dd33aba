//! What every process of Mixcord does alike, and what is no part of rings or events.
//!
//! * `command_line`: options, variables, a file, and what is said of wrong ones.
//! * [`files`]: how many may be open.
//! * [`log`]: lines on standard error, which never hold up whoever has something to say.
//! * [`secrecy`]: what becomes of the token when the process dies.
//! * `service`: what is told to the service manager that started the process.
//! * [`signals`]: SIGTERM and SIGINT, and an end in time whatever the rest of the process does.

#[cfg(feature = "options")]
pub mod command_line;
pub mod files;
pub mod log;
pub mod secrecy;
#[cfg(feature = "service")]
pub mod service;
pub mod signals;
