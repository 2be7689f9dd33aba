//! The peers with zlib-stream.

fn main() -> std::process::ExitCode {
    mixcord_peers::main()
}
