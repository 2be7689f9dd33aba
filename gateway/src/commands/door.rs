//! The command socket.

use std::path::Path;
use std::sync::Arc;

use mixcord_event::command::PACKET_MAX;
use mixcord_event::topology;
use mixcord_process::packets::PacketServer;

use super::Front;
use crate::config::ShardSet;
use crate::failure::{Failure, foreign, foreign_owner};

/// Makes the socket for these shards of an instance. What it gives answers those who come, and does not end by itself.
///
/// # Errors
/// It cannot be made.
pub(crate) fn open(
    instance: &str,
    shards: &ShardSet,
    front: &Arc<Front>,
) -> Result<impl Future<Output = ()> + Send + use<>, Failure> {
    let socket = topology::command_socket(instance, shards.first, shards.count);
    let server = PacketServer::bind(socket.clone().into(), PACKET_MAX)
        .map_err(|error| refused(&socket, &error))?;
    let front = front.clone();
    Ok(server.serve(move |packet: Vec<u8>| {
        let front = front.clone();
        async move { front.answer(&packet).await }
    }))
}

fn refused(socket: &str, error: &std::io::Error) -> Failure {
    match foreign_owner(Path::new(socket)) {
        Some(owner) => Failure::configuration(foreign(socket, owner)),
        None => Failure::trouble(format!("command socket {socket}: {error}")),
    }
}
