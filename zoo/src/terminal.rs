//! Text for people: 80 columns, and colours only on a terminal.

use std::io::IsTerminal;

const WIDTH: usize = 80;

/// How a piece of text is shown on a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Good news.
    Good,
    /// Bad news.
    Bad,
    /// A heading.
    Strong,
}

/// Colours the text if standard output is a terminal.
pub fn styled(style: Style, text: &str) -> String {
    if !std::io::stdout().is_terminal() {
        return text.to_string();
    }
    let code = match style {
        Style::Good => 32,
        Style::Bad => 31,
        Style::Strong => 1,
    };
    format!("\x1b[{code}m{text}\x1b[0m")
}

/// Breaks the text into lines; the first begins with `first`, the others are indented as far.
pub fn wrapped(first: &str, text: &str) -> String {
    let indent = first.chars().count();
    let mut lines = vec![first.to_string()];
    let mut column = indent;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if column > indent && column + 1 + length > WIDTH {
            lines.push(" ".repeat(indent));
            column = indent;
        }
        if let Some(line) = lines.last_mut() {
            if column > indent {
                line.push(' ');
                column += 1;
            }
            line.push_str(word);
            column += length;
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_fit_and_hang() {
        let text = wrapped("  why  ", &"word ".repeat(40));
        assert!(text.lines().all(|line| line.len() <= WIDTH));
        assert!(text.lines().skip(1).all(|line| line.starts_with("       word")));
        assert_eq!(text.matches("word").count(), 40);
    }
}
