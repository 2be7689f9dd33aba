//! What every process of Mixcord does alike, and what is no part of rings or events.
//!
//! * `board`: a file in which a process says how it is.
//! * `command_line`: options, variables, a file, and what is said of wrong ones.
//! * [`files`]: how many may be open.
//! * `folder`: folders of this user's alone, in a place where everybody may make files.
//! * [`loopback`]: which names of this machine a server answers to.
//! * [`log`]: lines on standard error, which never hold up whoever has something to say.
//! * `packets`: questions and answers between processes of one user.
//! * [`secrecy`]: what becomes of the token when the process dies.
//! * `service`: what is told to the service manager that started the process.
//! * [`signals`]: SIGTERM and SIGINT, and an end in time whatever the rest of the process does.
//! * `sole`: roles that one process of several may have.

#[cfg(feature = "board")]
pub mod board;
#[cfg(feature = "options")]
pub mod command_line;
pub mod files;
#[cfg(feature = "board")]
pub mod folder;
pub mod log;
pub mod loopback;
#[cfg(feature = "packets")]
pub mod packets;
pub mod secrecy;
#[cfg(feature = "service")]
pub mod service;
pub mod signals;
#[cfg(feature = "sole")]
pub mod sole;
