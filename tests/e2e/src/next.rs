//! The next release: a copy of the workspace with what releases add, built beside this one (P11).
//!
//! The copy lies in the target folder and is built into it, so that only the workspace's own crates are
//! built twice: what comes from the registry is the same for both. Its programs have names of their own.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use nix::fcntl::{Flock, FlockArg};

/// What the names of its programs end with.
pub const SUFFIX: &str = "-next";
/// Its version.
pub const VERSION: &str = "0.2.0";
/// The kind that it has a constant for, and this release has not: of fake-discord's oddity `unknown`.
pub const KIND: &str = "GUILD_JOIN_REQUEST_UPDATE";
/// The keys that it has constants for, and this release has not: of the oddities `unknown` and `new-keys`.
pub const KEYS: [&str; 3] = ["something_new", "something_new_id id", "something_new_ids id"];
/// The programs, and the packages they are in.
const PROGRAMS: [(&str, &str); 3] =
    [("gateway", "mixcord-gateway"), ("cache", "mixcord-cache"), ("cli", "mixcord")];

/// Builds it, if that was not done yet.
///
/// # Errors
/// When the copy cannot be made or does not compile.
pub fn build() -> Result<()> {
    let test = std::env::current_exe()?;
    let profile = test.ancestors().nth(2).context("tests live in target/<profile>/deps")?;
    let target = profile.parent().context("a profile is a folder of target")?;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).context("the workspace")?;
    let copy = target.join("next-release");
    // One test at a time, in whatever process.
    let lock = fs::File::create(target.join("next-release.lock"))?;
    let _lock = Flock::lock(lock, FlockArg::LockExclusive).map_err(|(_, errno)| errno)?;
    copy_folder(root, root, &copy)?;

    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // What cargo says to a test is not meant for a build.
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if ["CARGO_PKG_", "CARGO_MANIFEST", "CARGO_BIN_", "CARGO_CRATE_", "NEXTEST"]
            .iter()
            .any(|prefix| name.starts_with(prefix))
        {
            command.env_remove(&*name);
        }
    }
    if profile.file_name() != Some(OsStr::new("debug")) {
        command.args(["build", "--release"]);
    } else {
        command.arg("build");
    }
    // With the same features as `cargo build` of the workspace, or the registry's crates would be built again.
    let built = command
        .args(["--bins", "--examples", "--quiet"])
        .arg("--manifest-path")
        .arg(copy.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(target)
        .output()
        .context("starting cargo")?;
    ensure!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    Ok(())
}

/// Makes `to` a copy of `from` as the next release has it. What is there already is left alone, so that
/// cargo sees that nothing changed.
fn copy_folder(root: &Path, from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (name, path) = (entry.file_name(), entry.path());
        if name.to_string_lossy().starts_with('.') || name == "target" {
            continue;
        }
        let copy = to.join(&name);
        names.insert(name);
        if entry.file_type()?.is_dir() {
            copy_folder(root, &path, &copy)?;
            continue;
        }
        let content = patched(path.strip_prefix(root)?, fs::read(&path)?)?;
        if fs::read(&copy).ok().as_ref() != Some(&content) {
            fs::write(copy, content)?;
        }
    }
    for entry in fs::read_dir(to)? {
        let entry = entry?;
        if names.contains(&entry.file_name()) {
            continue;
        }
        let path: PathBuf = entry.path();
        if path.is_dir() { fs::remove_dir_all(path)? } else { fs::remove_file(path)? }
    }
    Ok(())
}

/// A file as the next release has it.
fn patched(path: &Path, content: Vec<u8>) -> Result<Vec<u8>> {
    let Some(path) = path.to_str() else { return Ok(content) };
    let manifest = PROGRAMS.iter().find(|(folder, _)| path == format!("{folder}/Cargo.toml"));
    if !matches!(path, "Cargo.toml" | "event/keys.txt" | "event/kinds.txt" | "event/src/status.rs")
        && manifest.is_none()
    {
        return Ok(content);
    }
    let text = String::from_utf8(content)?;
    let replace = |text: &str, from: &str, to: &str| -> Result<String> {
        ensure!(text.matches(from).count() == 1, "{path} has not one {from:?} any more");
        Ok(text.replace(from, to))
    };
    let text = match path {
        "Cargo.toml" => {
            let now = concat!("version = \"", env!("CARGO_PKG_VERSION"), "\"\nedition");
            let text = replace(&text, now, &format!("version = \"{VERSION}\"\nedition"))?;
            // Its crates want one another in that version, too.
            let ours = concat!(", version = \"", env!("CARGO_PKG_VERSION"), "\" }");
            text.replace(ours, &format!(", version = \"{VERSION}\" }}"))
        }
        "event/keys.txt" => format!("{text}{}\n", KEYS.join("\n")),
        "event/kinds.txt" => format!("{text}{KIND}\n"),
        "event/src/status.rs" => {
            let end = "    pub stalled_since_us: Option<u64>,\n}\n\nimpl ShardStatus";
            let field = "    /// New.\n    pub novelty: u64,\n}\n\nimpl ShardStatus";
            let text = replace(&text, end, &end.replace("}\n\nimpl ShardStatus", field))?;
            let says = "encode_to_vec(Self { novelty: 7_000_000, ..self.clone() }, ";
            replace(&text, "encode_to_vec(self, ", says)?
        }
        _ => {
            let (_, program) = manifest.context("the manifest of a program")?;
            let named = format!("[[bin]]\nname = \"{program}{SUFFIX}\"");
            if text.contains("[[bin]]") {
                replace(&text, &format!("[[bin]]\nname = \"{program}\""), &named)?
            } else {
                let text = replace(&text, "\n[lints]\n", "autobins = false\n\n[lints]\n")?;
                format!("{text}\n{named}\npath = \"src/main.rs\"\n")
            }
        }
    };
    Ok(text.into_bytes())
}
