//! Why an image is not to be had, told apart: each has another way out.

use std::io;

use crate::{Digest, LayerError};

/// Why an image is not to be had. Each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The name is none.
    #[error("{reference:?} is no image's name: {why}; it is written [registry/]repository[:tag][@digest]")]
    Reference {
        /// What was given.
        reference: String,
        /// What is wrong.
        why: String,
    },
    /// The registry has no such image.
    #[error(
        "image {reference}: registry {registry} has no such image: check its name, and its tag or digest"
    )]
    NotFound {
        /// The image.
        reference: String,
        /// Who was asked.
        registry: String,
    },
    /// The registry wants to know who asks, or refuses who asked.
    #[error("image {reference}: registry {registry} refuses {who}: {remedy}")]
    Unauthorized {
        /// The image.
        reference: String,
        /// Who was asked.
        registry: String,
        /// Who asked, for people.
        who: &'static str,
        /// What to do.
        remedy: String,
    },
    /// The registry's credentials cannot be read.
    #[error("image {reference}: the credentials for registry {registry} cannot be had: {why}")]
    Credentials {
        /// The image.
        reference: String,
        /// Whose credentials.
        registry: String,
        /// Why not.
        why: String,
    },
    /// No connection, or it broke.
    #[error(
        "image {reference}: registry {registry} cannot be reached: {why}; check the name and that this host reaches it, or load the image with `firehall images load`"
    )]
    Unreachable {
        /// The image.
        reference: String,
        /// Who was asked.
        registry: String,
        /// Why.
        why: String,
    },
    /// The registry answered with something else.
    #[error("image {reference}: registry {registry} answered: {why}")]
    Registry {
        /// The image.
        reference: String,
        /// Who was asked.
        registry: String,
        /// What.
        why: String,
    },
    /// What came is not what its name says.
    #[error(
        "image {reference}: {what} is {found}, not {expected}: the registry or something on the way changed it"
    )]
    Digest {
        /// The image.
        reference: String,
        /// Which part.
        what: &'static str,
        /// By name.
        expected: Digest,
        /// By content.
        found: Digest,
    },
    /// The image is for other machines.
    #[error("image {reference} is not for {wanted}: it is for {}", found.join(", "))]
    Platform {
        /// The image.
        reference: String,
        /// This machine.
        wanted: String,
        /// What there is.
        found: Vec<String>,
    },
    /// A part is larger than we take.
    #[error("image {reference}: {what} is larger than {limit} bytes, the most that is taken")]
    TooLarge {
        /// The image.
        reference: String,
        /// Which part.
        what: &'static str,
        /// In bytes.
        limit: u64,
    },
    /// It took too long.
    #[error(
        "image {reference}: not here after {seconds} s; what was fetched is kept, and the next try goes on from there"
    )]
    TimedOut {
        /// The image.
        reference: String,
        /// How long we waited.
        seconds: u64,
    },
    /// It may not be fetched, and is not here.
    #[error(
        "image {reference} is not on this host, and pull: never forbids to fetch it: load it with `firehall images load`"
    )]
    NotPresent {
        /// The image.
        reference: String,
    },
    /// The image is none, or of a kind that we do not run.
    #[error("image {reference}: {why}")]
    Malformed {
        /// The image.
        reference: String,
        /// What is wrong.
        why: String,
    },
    /// A layer cannot be unpacked.
    #[error("image {reference}: layer {layer}: {cause}")]
    Layer {
        /// The image.
        reference: String,
        /// Which.
        layer: Digest,
        /// Why.
        #[source]
        cause: LayerError,
    },
    /// The store's disk.
    #[error("image store: {what}: {cause}")]
    Io {
        /// What was tried.
        what: String,
        /// The cause.
        #[source]
        cause: io::Error,
    },
}

pub(crate) fn tried(what: impl Into<String>) -> impl FnOnce(io::Error) -> ImageError {
    move |cause| ImageError::Io {
        what: what.into(),
        cause,
    }
}
