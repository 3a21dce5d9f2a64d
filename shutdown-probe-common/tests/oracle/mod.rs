//! What other parsers make of the same bytes. Shared by the fuzz targets and the tests of their corpus.

pub mod any;
pub mod http1;
pub mod http2;
