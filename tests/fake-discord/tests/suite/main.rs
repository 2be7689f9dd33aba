//! The server, seen by a client.

mod bot;
mod client;
mod closes;
mod etf;
mod faults;
mod follower;
mod hostile;
mod identify;
mod inflate;
mod model;
mod oddities;
mod replay;
mod requests;
mod resume;
mod routes;
mod sets;
mod stream;
mod trouble;
mod twilight;
mod typed;
