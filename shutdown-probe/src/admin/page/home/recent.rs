//! The terminations themselves, newest first, a page at a time.

use crate::admin::page::asked::Asked;
use crate::admin::page::text::{Shown, duration, encoded, moment, words};
use crate::admin::query::Window;
use crate::output::console::name;
use maud::{Markup, html};
use shutdown_probe_core::report::{State, Termination};
use std::sync::Arc;

/// The table and the way to its other parts.
pub fn section(chosen: &[Arc<Termination>], asked: &Asked, now: f64) -> Markup {
    let Window { skip, limit } = asked.window();
    let shown: Vec<_> = chosen.iter().skip(skip).take(limit).collect();
    html! {
        section aria-labelledby="terminations" {
            h2 id="terminations" { "Last terminations" }
            @if shown.is_empty() {
                p { "The list ends before this page. " a href=(asked.at_page(1)) { "Go to its beginning" } "." }
            } @else {
                div.scroll tabindex="0" role="group" aria-labelledby="terminations" { table {
                    thead { tr {
                        th scope="col" { "Began (UTC)" }
                        th scope="col" { "Container" }
                        th.number scope="col" { "Severed" }
                        th.number scope="col" { "Drained" }
                        th scope="col" { "Trigger" }
                        th scope="col" { "Cause" }
                        th.number scope="col" { "Took" }
                    } }
                    tbody { @for it in shown { (row(it, now)) } }
                } }
                (pager(chosen.len(), asked))
            }
            p.note { "The same as JSON: " a href=(asked.to_api()) { (Shown(&asked.to_api())) } }
        }
    }
}

fn row(it: &Termination, now: f64) -> Markup {
    let doubt = !it.measured.complete;
    html! {
        tr {
            td.when { (moment(it.began_at, now)) }
            th scope="row" {
                a href={ "terminations/" (encoded(&it.id)) } { (Shown(&name(it))) }
                @if it.state == State::InProgress { " " span.tag { "in progress" } }
            }
            td.number.lost[it.severed_total > 0] {
                (it.severed_total)
                @if doubt { " " abbr title="not everything could be measured: there may be more" { "?" } }
            }
            td.number { (it.drained_total) }
            td { (words(it.trigger.as_str())) }
            td { (words(it.cause.as_str())) }
            td.number { @match it.grace.used_seconds { Some(used) => { (duration(used)) }, None => "–" } }
        }
    }
}

fn pager(total: usize, asked: &Asked) -> Markup {
    let Window { skip, limit } = asked.window();
    let (page, pages) = (skip / limit + 1, total.div_ceil(limit));
    html! {
        @if pages > 1 {
            nav.pager aria-label="Pages of terminations" {
                @if page > 1 { a rel="prev" href={ (asked.at_page(page - 1)) "#terminations" } { "Newer" } }
                span { "Page " (page) " of " (pages) ", " (total) " terminations" }
                @if page < pages { a rel="next" href={ (asked.at_page(page + 1)) "#terminations" } { "Older" } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::sample;

    fn shown(total: usize, page: &str) -> String {
        let all: Vec<_> = (0..total)
            .map(|n| Arc::new(Termination { id: format!("id-{n}"), ..sample::termination() }))
            .collect();
        let asked = Asked::new(vec![("page".to_owned(), page.to_owned())]);
        section(&all, &asked, 1_790_000_060.0).into_string()
    }

    #[test]
    fn a_list_is_cut_into_pages() {
        let first = shown(60, "1");
        assert!(first.contains("Page 1 of 3, 60 terminations") && !first.contains("rel=\"prev\""), "{first}");
        assert!(first.contains("terminations/id-24") && !first.contains("terminations/id-25"));
        let last = shown(60, "3");
        assert!(last.contains("terminations/id-59") && !last.contains("rel=\"next\""), "{last}");
        assert!(shown(60, "4").contains("The list ends before this page"));
        assert!(!shown(25, "1").contains("class=\"pager\""));
    }

    #[test]
    fn a_row_says_when_what_and_why() {
        let row = shown(1, "1");
        for part in [
            "2026-09-21T14:13:20.000Z",
            "60 s ago",
            "web.service",
            "container stopped",
            "exited without drain",
            "3 ms",
        ] {
            assert!(row.contains(part), "no {part} in {row}");
        }
    }
}
