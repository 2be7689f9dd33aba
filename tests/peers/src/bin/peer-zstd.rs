//! The peers with zstd-stream.

fn main() -> std::process::ExitCode {
    mixcord_peers::main()
}
