//! The wire: messages and services of `firehall.v1`, generated from `firehall/v1/*.proto`.
//! Conversions to the domain stand at the edges: `server/api`, `agent`, `sdk`.

#![allow(
    missing_docs,
    clippy::all,
    unreachable_pub,
    unused_qualifications,
    reason = "generated"
)]

/// Package `firehall.v1`.
pub mod v1 {
    tonic::include_proto!("firehall.v1");
}

/// All of it as an encoded `FileDescriptorSet`, for reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
