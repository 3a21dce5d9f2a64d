//! Annotations that GitHub Actions shows beside a build: workflow commands on standard output.

use super::document::Document;

/// One annotation: an error, or a notice where all is well.
pub fn annotations(document: &Document) -> String {
    let (level, title) = if document.passes() {
        ("notice", "shuts down properly")
    } else {
        ("error", "shutdown loses requests")
    };
    let mut message = document.summary.clone();
    let titles = document.fixes.iter().map(|fix| &fix.title);
    for (number, change) in (1..).zip(document.words.iter().chain(titles)) {
        message.push_str(&format!("\n{number}. {change}"));
    }
    command(level, title, &message)
}

/// A check that could not measure.
pub fn failure(message: &str) -> String {
    command("error", "shutdown could not be measured", message)
}

fn command(level: &str, title: &str, message: &str) -> String {
    format!("::{level} title={}::{}\n", property(title), data(message))
}

/// As the runner decodes it: percent signs and line ends, which would end the command.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_cannot_end_its_command() {
        let forged = failure("100 %\n::set-env name=X::y");
        assert_eq!(forged, "::error title=shutdown could not be measured::100 %25%0A::set-env name=X::y\n");
    }
}
