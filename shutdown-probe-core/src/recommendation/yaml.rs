//! YAML of nested mappings, as much as a patch needs.

use std::fmt::Write;

/// Lines of a block, to be indented by whoever nests it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Block(Vec<String>);

impl Block {
    /// One key and its value.
    pub fn entry(mut self, key: &str, value: impl std::fmt::Display) -> Self {
        self.0.push(format!("{key}: {value}"));
        self
    }

    /// A comment.
    pub fn comment(mut self, text: &str) -> Self {
        self.0.push(format!("# {text}"));
        self
    }

    /// A key with a block below it; none where that is empty.
    pub fn nested(mut self, key: &str, block: Self) -> Self {
        if !block.0.is_empty() {
            self.0.push(format!("{key}:"));
            self.0.extend(block.0.into_iter().map(|line| format!("  {line}")));
        }
        self
    }

    /// A key with a list of this one block below it; none where that is empty.
    pub fn listed(mut self, key: &str, block: Self) -> Self {
        if !block.0.is_empty() {
            self.0.push(format!("{key}:"));
            let item = block.0.into_iter().enumerate();
            self.0.extend(item.map(|(index, line)| format!("{} {line}", if index == 0 { "-" } else { " " })));
        }
        self
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All lines, indented by so many spaces.
    pub fn text(&self, indent: usize) -> String {
        self.0.iter().map(|line| format!("{:indent$}{line}\n", "")).collect()
    }
}

/// A text as a scalar: plain where every reader takes it for a text, else in double quotes.
pub(super) fn scalar(text: &str) -> String {
    let is_plain = text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.ends_with(|last: char| last.is_ascii_lowercase() || last.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.'))
        && !["true", "false", "yes", "no", "on", "off", "y", "n", "null"].contains(&text);
    if is_plain { text.to_owned() } else { quoted(text) }
}

/// In double quotes, with everything escaped that is not printable ASCII.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        // Writing to a String cannot fail.
        let _ = match c {
            '"' | '\\' => write!(quoted, "\\{c}"),
            ' '..='~' => write!(quoted, "{c}"),
            _ => write!(quoted, "\\U{:08x}", u32::from(c)),
        };
    }
    quoted + "\""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_nest() {
        let item = Block::default().entry("name", scalar("app")).nested("a", Block::default().entry("b", 1));
        let block = Block::default().listed("list", item).nested("empty", Block::default());
        assert_eq!(block.text(2), "  list:\n  - name: app\n    a:\n      b: 1\n");
    }

    #[test]
    fn texts_stay_texts() {
        for (text, expected) in [
            ("web-5d4f.shop", "web-5d4f.shop"),
            ("123", "\"123\""),
            ("1e5", "\"1e5\""),
            ("null", "\"null\""),
            ("on", "\"on\""),
            ("", "\"\""),
            ("a\n- b: \"c\"\u{85}", "\"a\\U0000000a- b: \\\"c\\\"\\U00000085\""),
        ] {
            assert_eq!(scalar(text), expected);
        }
    }
}
