//! The frame around every page.

use super::text::Shown;
use maud::{DOCTYPE, Markup, html};

/// Where a page stands, seen from the home page: its links go out from there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// At `/`.
    Home,
    /// At `/terminations/{id}`.
    Termination,
}

impl Place {
    /// The way to the home page's folder.
    pub const fn root(self) -> &'static str {
        match self {
            Self::Home => "./",
            Self::Termination => "../",
        }
    }
}

/// A whole document.
pub fn document(place: Place, title: &str, body: &Markup) -> Markup {
    let root = place.root();
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (Shown(title)) }
                link rel="icon" href={ (root) "icon.svg" };
                link rel="stylesheet" href={ (root) "page.css" };
            }
            body {
                a.skip href="#main" { "Skip to the content" }
                header {
                    a.brand href=(root) { "shutdown-probe" }
                    nav aria-label="Site" {
                        a href={ (root) "#terminations" } { "Terminations" }
                        a href={ (root) "#health" } { "Node health" }
                        a href={ (root) "metrics" } { "Metrics" }
                        a href={ (root) "api/v1/terminations" } { "API" }
                    }
                }
                main id="main" { (body) }
                footer { "shutdown-probe " (env!("CARGO_PKG_VERSION")) ". Times are UTC." }
            }
        }
    }
}
