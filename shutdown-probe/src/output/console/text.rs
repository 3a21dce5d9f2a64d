//! Times, widths and wrapping.

use super::escape::escape;
use jiff::Timestamp;
use std::fmt::Write;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// The width everything is made for, in columns.
pub const WIDTH: usize = 80;

/// Seconds since the epoch as a UTC time of this strftime(3) format; `?` for what is no date.
pub fn time(format: &str, seconds: f64) -> String {
    let micros = (seconds * 1e6).round();
    // A float beyond i64's range saturates, and jiff refuses the result.
    Timestamp::from_microsecond(micros as i64)
        .map_or_else(|_| "?".into(), |at| at.strftime(format).to_string())
}

/// The text escaped, and cut to this many columns with an ellipsis where it is longer.
pub fn fitted(text: &str, columns: usize) -> String {
    let safe = escape(text);
    if safe.width() <= columns {
        return safe.into_owned();
    }
    let mut cut = String::new();
    let mut used = 0;
    for c in safe.chars() {
        used += c.width().unwrap_or(0);
        if used >= columns {
            break;
        }
        cut.push(c);
    }
    cut + "…"
}

/// [`fitted`], and filled up with spaces.
pub fn cell(text: &str, columns: usize) -> String {
    filled(fitted(text, columns), columns)
}

/// The same for a name, of which both ends tell it from others: cut in the middle.
pub fn name_cell(text: &str, columns: usize) -> String {
    let safe = escape(text);
    if safe.width() <= columns {
        return filled(safe.into_owned(), columns);
    }
    let head = fitted(&safe, columns / 2);
    let room = columns - head.width();
    let mut used = 0;
    let fits = |c: &char| {
        used += c.width().unwrap_or(0);
        used <= room
    };
    let tail: String = safe.chars().rev().take_while(fits).collect();
    filled(head + &tail.chars().rev().collect::<String>(), columns)
}

fn filled(text: String, columns: usize) -> String {
    let missing = columns.saturating_sub(text.width());
    text + &" ".repeat(missing)
}

/// The text escaped and broken between words, each line after the first indented like `first`. A word that is
/// longer than a line stands on one of its own, uncut.
pub fn wrapped(first: &str, text: &str) -> String {
    let indent = " ".repeat(first.width());
    let mut lines = first.to_owned();
    let mut used = first.width();
    let mut fresh = true;
    for word in escape(text).split(' ').filter(|word| !word.is_empty()) {
        if !fresh && used + 1 + word.width() > WIDTH {
            let _ = write!(lines, "\n{indent}");
            (used, fresh) = (indent.len(), true);
        }
        let space = if fresh { "" } else { " " };
        let _ = write!(lines, "{space}{word}");
        used += space.len() + word.width();
        fresh = false;
    }
    lines + "\n"
}

/// A number and what it counts.
pub fn counted(count: u64, one: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {one}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_utc_and_never_panic() {
        assert_eq!(time("%H:%M:%S%.3f", 1_790_000_000.003), "14:13:20.003");
        for absurd in [f64::NAN, f64::INFINITY, -1e300, 1e18] {
            assert!(!time("%Y", absurd).is_empty());
        }
    }

    #[test]
    fn cells_are_as_wide_as_they_say() {
        assert_eq!(cell("web", 5), "web  ");
        assert_eq!(cell("webserver", 5), "webs…");
        assert_eq!(cell("数据数据", 5), "数据…");
        assert_eq!(cell("a\nb", 5), "a\\nb ");
        assert_eq!(name_cell("shop/web-7b9b8c764d-v9mdb app", 21), "shop/web-…d-v9mdb app");
        assert_eq!(name_cell("数据数据", 5), "…数据");
        for width in 1..12 {
            assert_eq!(cell("数据-data-\x1b[0m", width).width(), width, "{width}");
            assert_eq!(name_cell("数据-data-\x1b[0m", width).width(), width, "{width}");
        }
    }

    #[test]
    fn lines_break_between_words() {
        let text = "word ".repeat(40);
        let lines = wrapped("  1. ", &text);
        assert!(lines.lines().all(|line| line.width() <= WIDTH));
        assert!(lines.lines().skip(1).all(|line| line.starts_with("     word")));
        assert_eq!(lines.matches("word").count(), 40);
        assert_eq!(wrapped("x: ", ""), "x: \n");
    }
}
