//! Untrusted text made safe to print: process names, cgroup paths and labels are chosen by whoever
//! runs the workload, and a terminal obeys control characters.

use std::borrow::Cow;
use std::fmt::Write;

/// The text with everything escaped that would move a cursor, hide or reorder what is printed.
/// Newlines too: what this returns is one line.
pub fn escape(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            '\t' => escaped.push_str("\\t"),
            c if is_unsafe(c) && c.is_ascii() => {
                // Writing to a String cannot fail.
                let _ = write!(escaped, "\\x{:02x}", u32::from(c));
            }
            c if is_unsafe(c) => {
                let _ = write!(escaped, "\\u{{{:x}}}", u32::from(c));
            }
            c => escaped.push(c),
        }
    }
    Cow::Owned(escaped)
}

/// Whether a character moves a cursor, hides or reorders: C0, DEL and C1 control characters; marks that are invisible or reorder text (Unicode's bidirectional
/// controls and other default ignorables); line and paragraph separators.
pub fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_is_left_alone() {
        for text in ["", "nginx: worker", "größe-数据", "a\\b \"quoted\""] {
            assert!(matches!(escape(text), Cow::Borrowed(same) if same == text));
        }
    }

    #[test]
    fn what_a_terminal_obeys_is_shown() {
        assert_eq!(escape("\x1b[2J\r\nroot\t\x07\x7f"), "\\x1b[2J\\r\\nroot\\t\\x07\\x7f");
        assert_eq!(escape("\u{9b}31m"), "\\u{9b}31m");
        assert_eq!(escape("abc\u{202e}fed"), "abc\\u{202e}fed");
        assert_eq!(escape("a\u{200b}b\u{feff}"), "a\\u{200b}b\\u{feff}");
    }

    #[test]
    fn nothing_that_is_escaped_needs_escaping_again() {
        let every: String = (0..=0x10_ffff_u32).filter_map(char::from_u32).collect();
        let once = escape(&every);
        assert!(!once.chars().any(is_unsafe));
        assert_eq!(escape(&once), once);
    }
}
