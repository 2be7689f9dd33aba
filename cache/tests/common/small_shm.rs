//! A /dev/shm that is soon full.

/// Runs a test again with a /dev/shm of 24 MiB, in a mount namespace of its own; whether this is that run.
pub(crate) fn in_a_small_shm(test: &str) -> bool {
    const CHILD: &str = "MIXCORD_SMALL_SHM";
    if std::env::var_os(CHILD).is_some() {
        println!("small shm");
        return true;
    }
    let program = std::env::current_exe().unwrap();
    let script = format!(
        "mount -t tmpfs -o size=24m none /dev/shm && exec \"$0\" --exact {test} --nocapture"
    );
    let child = std::process::Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", &script])
        .arg(program)
        .env(CHILD, "1")
        .output();
    match child {
        Ok(output) if output.status.success() => {}
        Ok(output) if String::from_utf8_lossy(&output.stdout).contains("small shm") => {
            panic!("{}", String::from_utf8_lossy(&output.stderr));
        }
        _ => eprintln!("skipped: no mount namespace can be had here"),
    }
    false
}

/// Nothing free is left in /dev/shm, for as long as the file is there.
pub(crate) fn fill_shm() -> std::fs::File {
    let hog = std::fs::File::create("/dev/shm/hog").unwrap();
    loop {
        let free = nix::sys::statvfs::statvfs("/dev/shm").unwrap();
        let bytes = (free.blocks_available() - 1) * free.fragment_size();
        match nix::fcntl::posix_fallocate(&hog, 0, bytes as i64) {
            Ok(()) => return hog,
            // A store that grows ahead of need took some meanwhile; it soon has enough.
            Err(nix::errno::Errno::ENOSPC) => {}
            Err(error) => panic!("{error}"),
        }
    }
}
