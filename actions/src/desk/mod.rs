//! The actions `incident/…`: they compute only.

mod findings;
mod parse;
mod summary;

pub(crate) use findings::Findings;
pub(crate) use parse::Parse;
pub(crate) use summary::Summary;
