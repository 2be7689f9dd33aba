//! `mixcord cache copy`: the whole state, for another machine or to keep.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, IsTerminal, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use mixcord::State;
use mixcord_copy::{Copied, Progress, write};
use nix::libc;

use crate::terminal::{bytes, thousands};

pub(super) const HELP: &str = "\
The copy is of one moment, taken while the cache goes on at its own pace, or after it was stopped. It is compressed and \
checked, and has everything the cache knows, messages of people too: keep it as you keep those. Nobody else may read the \
file.\n\
\n\
`mixcord-cache --state-from FILE` begins with it, in an instance that has no state yet. From one machine to another:\n\
  mixcord cache copy --to - | ssh OTHER mixcord-cache --instance NAME --state-from -\n\
Copy and load with the same release.";

/// How often it is told how far it is.
const TELL: Duration = Duration::from_millis(200);

#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    instance: crate::Instance,
    /// The file, which must not be there yet; - is standard output.
    #[arg(long, value_name = "FILE|-", env = "MIXCORD_TO")]
    to: PathBuf,
}

pub(super) fn run(options: &Options) -> Result<ExitCode> {
    let state = State::attach(&options.instance.name)?;
    let dir = state.directory()?;
    let copied = if options.to.as_os_str() == "-" {
        if io::stdout().is_terminal() {
            bail!("a copy is nothing to look at: say --to FILE, or pipe it into something");
        }
        let (mut out, copied) = write(&dir, io::stdout().lock(), &mut Bar::new().show())?;
        out.flush().context("writing the copy")?;
        copied
    } else {
        to_file(&dir, &options.to)?
    };
    eprintln!(
        "mixcord: {} values, {}, up to position {} of ring {:016x}",
        thousands(copied.values),
        bytes(copied.bytes),
        thousands(copied.position),
        copied.ring
    );
    Ok(ExitCode::SUCCESS)
}

/// Under another name until it is whole.
fn to_file(dir: &Path, path: &Path) -> Result<Copied> {
    if fs::symlink_metadata(path).is_ok() {
        bail!("{} is there already", path.display());
    }
    let mut name = path.file_name().context("--to needs the name of a file")?.to_owned();
    name.push(".part");
    let part = Part::open(path.with_file_name(name))?;
    let (out, copied) = write(dir, BufWriter::new(&part.file), &mut Bar::new().show())?;
    out.into_inner().map_err(io::IntoInnerError::into_error)?;
    part.file.sync_all().context("writing the copy")?;
    part.name(path)?;
    Ok(copied)
}

/// A file that nobody else writes or may read; gone once it has its own name, or was given up.
struct Part {
    path: PathBuf,
    /// Locked.
    file: File,
    renamed: bool,
}

impl Part {
    /// What an earlier copy that was killed left is written over.
    fn open(path: PathBuf) -> Result<Self> {
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true).mode(0o600);
        // Neither somebody else's file nor a pipe behind a link.
        options.custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
        let file = options.open(&path).with_context(|| format!("making {}", path.display()))?;
        if file.try_lock().is_err() {
            bail!("{} is being written: another copy goes there", path.display());
        }
        let (ours, there) = (file.metadata()?, fs::symlink_metadata(&path)?);
        let is_there = (ours.dev(), ours.ino()) == (there.dev(), there.ino());
        let is_ours = ours.is_file() && ours.uid() == nix::unistd::geteuid().as_raw();
        if !is_there || !is_ours || ours.mode() & 0o077 != 0 {
            bail!("{} is there already, and not this user's alone: remove it", path.display());
        }
        file.set_len(0).with_context(|| format!("emptying {}", path.display()))?;
        Ok(Self { path, file, renamed: false })
    }

    /// Gives it its own name, which nobody may have taken meanwhile.
    fn name(mut self, path: &Path) -> Result<()> {
        match fs::hard_link(&self.path, path) {
            Ok(()) => return Ok(()),
            // Not every file system has links.
            Err(_) if fs::symlink_metadata(path).is_err() => fs::rename(&self.path, path),
            Err(error) => Err(error),
        }
        .with_context(|| format!("making {}", path.display()))?;
        self.renamed = true;
        Ok(())
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.renamed {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// How far it is, for whoever waits at a terminal.
struct Bar {
    shown: bool,
    told: Instant,
}

impl Bar {
    fn new() -> Self {
        Self { shown: io::stderr().is_terminal(), told: Instant::now() }
    }

    fn show(mut self) -> impl FnMut(Progress) {
        move |Progress { values, expected, bytes: size }| {
            if self.shown && self.told.elapsed() >= TELL {
                self.told = Instant::now();
                let (values, expected) = (thousands(values), thousands(expected));
                eprint!("\r{values} of about {expected} values, {}\x1b[K", bytes(size));
            }
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if self.shown {
            eprint!("\r\x1b[K");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn says(opened: Result<Part>) -> String {
        opened.err().expect("refused").to_string()
    }

    #[test]
    fn two_copies_to_one_file_are_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, named) = (folder.path().join("it.part"), folder.path().join("it"));
        fs::write(&path, "left by one that was killed").expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("set");
        let one = Part::open(path.clone()).expect("ours");
        assert!(says(Part::open(path.clone())).contains("another copy"));
        (&one.file).write_all(b"whole").expect("written");
        one.name(&named).expect("free");
        assert_eq!(fs::read(&named).expect("there"), b"whole");
        assert!(!path.exists());
        let late = Part::open(path.clone()).expect("ours");
        late.name(&named).expect_err("somebody has it");
        assert_eq!(fs::read(&named).expect("there"), b"whole");
        assert!(!path.exists());
    }

    #[test]
    fn what_others_may_read_or_put_there_is_not_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, other) = (folder.path().join("it.part"), folder.path().join("theirs"));
        fs::write(&other, "theirs").expect("written");
        symlink(&other, &path).expect("made");
        says(Part::open(path.clone()));
        fs::remove_file(&path).expect("there");
        fs::rename(&other, &path).expect("renamed");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("set");
        assert!(says(Part::open(path.clone())).contains("not this user's alone"));
        assert_eq!(fs::read(&path).expect("there"), b"theirs");
    }
}
