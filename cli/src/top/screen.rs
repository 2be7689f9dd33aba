use std::io::Write as _;

/// The terminal while it shows the picture; as it was before afterwards.
pub(super) struct Screen(());

impl Screen {
    pub(super) fn open() -> std::io::Result<Self> {
        // Long lines are cut, not wrapped; the cursor is hidden; all is cleared once.
        Self::write("\x1b[?7l\x1b[?25l\x1b[H\x1b[2J")?;
        Ok(Self(()))
    }

    #[allow(clippy::unused_self, reason = "only an open screen can be drawn on")]
    pub(super) fn show(&mut self, text: &str) -> std::io::Result<()> {
        let lines = text.replace('\n', "\x1b[K\n");
        Self::write(&format!("\x1b[H{lines}\x1b[J"))
    }

    fn write(text: &str) -> std::io::Result<()> {
        let mut output = std::io::stdout().lock();
        output.write_all(text.as_bytes())?;
        output.flush()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = Self::write("\x1b[?7h\x1b[?25h");
    }
}
