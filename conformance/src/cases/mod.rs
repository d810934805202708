//! The cases, a file for each thing they look at.

mod artifacts;
mod beside;
mod ends;
mod environment;
mod escapes;
mod files;
mod hardening;
mod images;
mod inside;
mod life;
mod limits;
mod network;
mod outputs;
mod processes;
mod secrets;
mod stops;
mod streams;

use crate::Case;

pub(crate) const ALL: &[&[Case]] = &[
    artifacts::CASES,
    beside::CASES,
    ends::CASES,
    environment::CASES,
    escapes::CASES,
    files::CASES,
    hardening::CASES,
    images::CASES,
    inside::CASES,
    life::CASES,
    limits::CASES,
    network::CASES,
    outputs::CASES,
    processes::CASES,
    secrets::CASES,
    stops::CASES,
    streams::CASES,
];
