//! What the address of the home page asks for: what its form was filled in with.
//!
//! Invariant: what holds for the API holds here too, [`Query`] reads both. A field that was left empty asks for nothing.

use super::text::encoded;
use crate::admin::query::{Query, Window};
use axum::extract::Query as Parameters;
use jiff::Timestamp;
use shutdown_probe_core::report::Termination;

/// How many terminations a page lists unless it is asked for more.
const LISTED: usize = 25;
/// The parameter that says which part of the list is shown.
const PAGE: &str = "page";

/// The parameters of the home page.
#[derive(Debug)]
pub struct Asked {
    pairs: Vec<(String, String)>,
    meant: Result<(Query, Window), String>,
}

impl Asked {
    /// What these parameters ask for.
    pub fn new(pairs: Vec<(String, String)>) -> Self {
        let pairs: Vec<_> = pairs.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        let meant = read(&pairs);
        Self { pairs, meant }
    }

    /// Why they cannot be answered, for whoever typed them.
    pub fn problem(&self) -> Option<&str> {
        self.meant.as_ref().err().map(String::as_str)
    }

    /// Whether they choose among the terminations.
    pub fn is_choosy(&self) -> bool {
        self.pairs.iter().any(|(name, _)| name != PAGE && name != "limit")
    }

    /// Whether this termination is asked for. Nothing is by what cannot be understood.
    pub fn fits(&self, termination: &Termination, now: Timestamp) -> bool {
        self.meant.as_ref().is_ok_and(|(query, _)| query.fits(termination, now))
    }

    /// Which part of the list is.
    pub fn window(&self) -> Window {
        self.meant.as_ref().map_or(Window { skip: 0, limit: LISTED }, |(_, window)| *window)
    }

    /// What this field was filled in with; nothing if it was not.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    /// The address of another part of the same list.
    pub fn at_page(&self, page: usize) -> String {
        let others = self.pairs.iter().filter(|(name, _)| name != PAGE);
        let others = others.map(|(name, value)| (name.as_str(), value.as_str()));
        address(others.chain([(PAGE, page.to_string().as_str())]))
    }

    /// The address of the same question to the API.
    pub fn to_api(&self) -> String {
        let pairs = self.pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        format!("api/v1/terminations{}", query_string(pairs))
    }
}

/// The address of the home page, as seen from there, that asks for this.
pub fn address<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    format!("./{}", query_string(pairs))
}

fn query_string<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let pairs: Vec<_> =
        pairs.into_iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect();
    if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) }
}

fn read(pairs: &[(String, String)]) -> Result<(Query, Window), String> {
    let text = query_string(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let uri = format!("/{text}").parse().map_err(|_| "the address is too long".to_owned())?;
    let Parameters(query) = Parameters::<Query>::try_from_uri(&uri).map_err(|error| error.body_text())?;
    let window = query.window(LISTED)?;
    Ok((query, window))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::sample;

    fn asked(pairs: &[(&str, &str)]) -> Asked {
        Asked::new(pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    #[test]
    fn fields_left_empty_ask_for_nothing() {
        let empty = asked(&[("namespace", ""), ("cause", ""), ("since", "")]);
        assert!(empty.problem().is_none() && !empty.is_choosy());
        assert!(empty.fits(&sample::termination(), Timestamp::now()));
        assert_eq!(empty.window(), Window { skip: 0, limit: LISTED });
    }

    #[test]
    fn what_is_wrong_is_said_and_finds_nothing() {
        for (name, value, said) in [
            ("since", "yesterday", "neither a date"),
            ("cause", "bad_luck", "unknown variant `bad_luck`"),
            ("page", "0", "counted from 1"),
            ("co&lour=", "red", "unknown field `co&lour=`"),
        ] {
            let asked = asked(&[(name, value)]);
            let problem = asked.problem().expect("a problem");
            assert!(problem.contains(said), "{name}={value} says {problem:?}");
            assert!(!asked.fits(&sample::termination(), Timestamp::now()));
        }
    }

    #[test]
    fn addresses_keep_what_was_asked_for() {
        let asked = asked(&[("cgroup", "/a b&c=ü"), ("page", "2"), ("severed", "true")]);
        assert_eq!(asked.at_page(3), "./?cgroup=%2Fa%20b%26c%3D%C3%BC&severed=true&page=3");
        assert_eq!(asked.value("cgroup"), Some("/a b&c=ü"));
        assert_eq!(asked.window().skip, LISTED);
        assert!(asked.to_api().starts_with("api/v1/terminations?cgroup=%2Fa%20b"));
    }
}
