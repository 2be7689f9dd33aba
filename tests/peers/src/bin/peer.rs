//! The peers without compression.

fn main() -> std::process::ExitCode {
    mixcord_peers::main()
}
