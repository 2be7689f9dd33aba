//! Lines that do not come from `tracing`: what is said of the log itself, and after it.

use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};

use super::Format;

/// A line with its end, alike in form to those of `tracing`.
pub(super) fn own(format: Format, level: &str, text: &str) -> String {
    let mut time = String::new();
    // A String takes everything.
    let _ = SystemTime.format_time(&mut Writer::new(&mut time));
    match format {
        Format::Text => format!("{time} {level:>5} {text}\n"),
        Format::Json => {
            let line = serde_json::json!({
                "timestamp": time,
                "level": level,
                "fields": {"message": text},
                "target": "mixcord_process",
            });
            format!("{line}\n")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_line_whatever_it_says() {
        let line = own(Format::Json, "WARN", "two\n\"lines\"");
        assert_eq!(line.lines().count(), 1);
        let read: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!(read["fields"]["message"], "two\n\"lines\"");
        assert!(own(Format::Text, "WARN", "so").ends_with("Z  WARN so\n"));
    }
}
