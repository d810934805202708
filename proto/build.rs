//! Generates the crate from the protos, without protoc.

use std::{env, fs, path::PathBuf};

use prost::Message;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files = [
        "firehall/v1/common.proto",
        "firehall/v1/agent.proto",
        "firehall/v1/api.proto",
    ];
    let descriptors = protox::compile(files, ["."])?;
    // For reflection.
    let out = PathBuf::from(env::var("OUT_DIR")?).join("descriptors.bin");
    fs::write(out, descriptors.encode_to_vec())?;
    tonic_prost_build::configure().compile_fds(descriptors)?;
    for file in files {
        println!("cargo::rerun-if-changed={file}");
    }
    Ok(())
}
