//! Generates the crate from the protos, without protoc.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files = [
        "firehall/v1/common.proto",
        "firehall/v1/agent.proto",
        "firehall/v1/api.proto",
    ];
    let descriptors = protox::compile(files, ["."])?;
    tonic_prost_build::configure().compile_fds(descriptors)?;
    for file in files {
        println!("cargo::rerun-if-changed={file}");
    }
    Ok(())
}
