//! Words, times and addresses as the page writes them.

use crate::output::console::escape::{escape, is_unsafe};
use crate::output::console::{counted, time};
use maud::{Markup, Render, html};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// All but what RFC 3986 calls unreserved.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Text from outside: what would break, hide or reorder the page is shown instead of obeyed.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a>(pub &'a str);

impl Render for Shown<'_> {
    fn render_to(&self, buffer: &mut String) {
        escape(self.0).as_ref().render_to(buffer);
    }
}

/// JSON with what is unsafe to show written as JSON writes it: the meaning stays the same.
pub fn json(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if c == '\n' || !is_unsafe(c) {
            safe.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            safe.push_str(&format!("\\u{unit:04x}"));
        }
    }
    safe
}

/// A name of a closed set, for reading: `unanswered_request` is two words.
pub fn words(name: &str) -> String {
    name.replace('_', " ")
}

/// A number and what it counts.
pub fn count(number: u64, one: &str) -> String {
    counted(number, one)
}

/// A part of an address.
pub fn encoded(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// A length of time with as many digits as anybody reads: `3.2 ms`, `140 ms`, `2.5 s`, `3 min 20 s`, `5 h 20 min`.
pub fn duration(seconds: f64) -> String {
    let whole = |seconds: f64| seconds.round() as u64;
    let pair = |large: u64, unit: &str, small: u64, part: &str| match small {
        0 => format!("{large} {unit}"),
        small => format!("{large} {unit} {small} {part}"),
    };
    match seconds {
        s if s < 0.0 => format!("−{}", duration(-s)),
        0.0 => "0 s".to_owned(),
        s if s < 0.009_95 => format!("{} ms", trimmed(s * 1e3, 1)),
        s if s < 0.999_5 => format!("{:.0} ms", s * 1e3),
        s if s < 59.95 => format!("{} s", trimmed(s, 1)),
        s if s < 3_570.0 => pair(whole(s) / 60, "min", whole(s) % 60, "s"),
        s if s < 85_000.0 => pair(whole(s / 60.0) / 60, "h", whole(s / 60.0) % 60, "min"),
        s => pair(whole(s / 3_600.0) / 24, "d", whole(s / 3_600.0) % 24, "h"),
    }
}

/// So long after a moment: `+140 ms`, `−2 s`, `0`.
pub fn after(seconds: f64) -> String {
    match seconds {
        s if s.abs() < 5e-7 => "0".to_owned(),
        s if s > 0.0 => format!("+{}", duration(s)),
        s => duration(s),
    }
}

/// At most so many decimals, and no zeros at their end.
pub fn trimmed(number: f64, decimals: usize) -> String {
    let text = format!("{number:.decimals$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// How old something is, in the unit that matters: `40 s`, `3 min`, `5 h`, `2 d`.
pub fn age(seconds: f64) -> String {
    match seconds {
        s if s < 90.0 => format!("{s:.0} s"),
        s if s < 5_400.0 => format!("{:.0} min", s / 60.0),
        s if s < 129_600.0 => format!("{:.0} h", s / 3_600.0),
        s => format!("{:.0} d", s / 86_400.0),
    }
}

/// A moment in UTC, and how long ago it was.
pub fn moment(at: f64, now: f64) -> Markup {
    html! {
        time datetime=(time("%Y-%m-%dT%H:%M:%S%.3fZ", at)) { (time("%m-%d %H:%M:%S", at)) }
        @if now >= at { " " span.ago { (age(now - at)) " ago" } }
    }
}

/// A sentence begins with a capital letter.
pub fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_harm_is_shown() {
        let hostile = "<b onclick='x'>&\"\u{202e}\u{1b}[2J\n";
        let shown = html! { p title=(Shown(hostile)) { (Shown(hostile)) } }.into_string();
        let harmless = "&lt;b onclick='x'&gt;&amp;&quot;\\u{202e}\\x1b[2J\\n";
        assert_eq!(shown, format!("<p title=\"{harmless}\">{harmless}</p>"));
    }

    #[test]
    fn json_says_the_same_and_hides_nothing() {
        let hostile = "a\u{202e}b\u{7f}\u{e0001}\n";
        let text = json(&serde_json::to_string(hostile).expect("JSON"));
        assert_eq!(text, "\"a\\u202eb\\u007f\\udb40\\udc01\\n\"");
        assert_eq!(serde_json::from_str::<String>(&text).expect("JSON"), hostile);
    }

    #[test]
    fn durations_have_the_digits_that_matter() {
        for (seconds, text) in [
            (0.0, "0 s"),
            (0.003_24, "3.2 ms"),
            (0.009_96, "10 ms"),
            (0.140_4, "140 ms"),
            (0.999_7, "1 s"),
            (2.54, "2.5 s"),
            (30.0, "30 s"),
            (59.96, "1 min"),
            (200.0, "3 min 20 s"),
            (3_580.0, "1 h"),
            (19_200.0, "5 h 20 min"),
            (180_000.0, "2 d 2 h"),
            (-0.5, "−500 ms"),
        ] {
            assert_eq!(duration(seconds), text);
        }
        assert_eq!([after(0.0), after(1.5), after(-1.5)], ["0", "+1.5 s", "−1.5 s"]);
    }

    #[test]
    fn absurd_times_do_no_harm() {
        for absurd in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300, -1e300] {
            assert!(!duration(absurd).is_empty() && !after(absurd).is_empty());
            assert!(!moment(absurd, 0.0).into_string().is_empty());
        }
    }
}
