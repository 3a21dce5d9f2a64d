//! The report as JUnit XML, which most pipelines show.

use super::document::Document;
use super::text::text;
use std::fmt::Write;

/// One test suite with one test case for each run.
pub fn junit(document: &Document) -> String {
    let failures = document.runs.iter().filter(|run| run.verdict != "clean").count();
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(
        xml,
        "<testsuite name=\"shutdown-probe check\" tests=\"{}\" failures=\"{failures}\" errors=\"0\">",
        document.runs.len()
    );
    for (number, run) in (1..).zip(&document.runs) {
        let seconds = document.service.ready_after_seconds + run.ended_after_seconds;
        let name = escaped(&format!("{} shuts down properly, run {number}", document.command));
        let _ = write!(xml, "  <testcase classname=\"shutdown\" name=\"{name}\" time=\"{seconds:.3}\"");
        if run.verdict == "clean" {
            xml.push_str("/>\n");
            continue;
        }
        let message = escaped(&document.summary);
        let _ = writeln!(xml, ">\n    <failure type=\"{}\" message=\"{message}\">", run.cause.as_str());
        let _ = writeln!(xml, "{}</failure>\n  </testcase>", escaped(&text(document, false)));
    }
    xml + "</testsuite>\n"
}

/// A check that could not measure, as an error.
pub fn error(command: &str, message: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"shutdown-probe check\" tests=\"1\" \
         failures=\"0\" errors=\"1\">\n  <testcase classname=\"shutdown\" name=\"{} shuts down properly\">\n    \
         <error type=\"not_measured\" message=\"{}\"/>\n  </testcase>\n</testsuite>\n",
        escaped(command),
        escaped(message)
    )
}

/// For text and for attributes; what XML cannot hold is replaced.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\n' | '\t' => safe.push(c),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => safe.push('\u{fffd}'),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_breaks_out_of_its_attribute() {
        let xml = error("node \"<&>\"\x1b", "it's\x07 a \"message\"");
        assert!(xml.contains("name=\"node &quot;&lt;&amp;&gt;&quot;\u{fffd} shuts"), "{xml}");
        assert!(xml.contains("message=\"it's\u{fffd} a &quot;message&quot;\""), "{xml}");
    }
}
