//! The contract: everything in it is documented, and what is on the wire does not change unnoticed.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::{collections::BTreeSet, fs};

use prost::Message;
use prost_types::{
    DescriptorProto, FileDescriptorProto, FileDescriptorSet,
    field_descriptor_proto::{Label, Type},
};

fn files() -> Vec<FileDescriptorProto> {
    let set = FileDescriptorSet::decode(proto::DESCRIPTORS).unwrap();
    let ours = set
        .file
        .into_iter()
        .filter(|file| file.package().starts_with("firehall."));
    ours.collect()
}

/// The paths (see `google/protobuf/descriptor.proto`, `SourceCodeInfo`) that have a comment before them.
fn commented(file: &FileDescriptorProto) -> BTreeSet<Vec<i32>> {
    let places = file.source_code_info.as_ref().unwrap().location.iter();
    let told = places.filter(|place| !place.leading_comments().trim().is_empty());
    told.map(|place| place.path.clone()).collect()
}

#[test]
fn every_service_method_field_and_value_says_what_it_is() {
    let mut missing = Vec::new();
    for file in files() {
        let told = commented(&file);
        let mut look = |path: &[usize], name: String| {
            let path: Vec<i32> = path.iter().map(|n| i32::try_from(*n).unwrap()).collect();
            if !told.contains(&path) {
                missing.push(name);
            }
        };
        for (n, message) in file.message_type.iter().enumerate() {
            let name = message.name();
            // What a request or an answer is, its call says.
            if !name.ends_with("Request") && !name.ends_with("Response") {
                look(&[4, n], name.to_owned());
            }
            for (m, field) in message.field.iter().enumerate() {
                look(&[4, n, 2, m], format!("{name}.{}", field.name()));
            }
        }
        for (n, one) in file.enum_type.iter().enumerate() {
            look(&[5, n], one.name().to_owned());
            for (m, value) in one.value.iter().enumerate() {
                look(&[5, n, 2, m], format!("{}.{}", one.name(), value.name()));
            }
        }
        for (n, service) in file.service.iter().enumerate() {
            look(&[6, n], service.name().to_owned());
            for (m, method) in service.method.iter().enumerate() {
                look(&[6, n, 2, m], format!("{}.{}", service.name(), method.name()));
            }
        }
    }
    assert!(
        missing.is_empty(),
        "without a comment in proto/firehall/v1: {missing:#?}"
    );
}

/// What a peer depends on, a line each: names, numbers, types.
fn wire() -> BTreeSet<String> {
    let mut lines = BTreeSet::new();
    for file in files() {
        let package = file.package().to_owned();
        for message in &file.message_type {
            lines.extend(message_lines(&package, message));
        }
        for one in &file.enum_type {
            let values = one.value.iter();
            lines.extend(values.map(|value| {
                format!(
                    "enum {package}.{} {} = {}",
                    one.name(),
                    value.name(),
                    value.number()
                )
            }));
        }
        for service in &file.service {
            lines.extend(service.method.iter().map(|method| {
                let stream = |streams: bool| if streams { "stream " } else { "" };
                format!(
                    "rpc {package}.{}/{} ({}{}) returns ({}{})",
                    service.name(),
                    method.name(),
                    stream(method.client_streaming()),
                    method.input_type(),
                    stream(method.server_streaming()),
                    method.output_type()
                )
            }));
        }
    }
    lines
}

fn message_lines(package: &str, message: &DescriptorProto) -> Vec<String> {
    let field = |field: &prost_types::FieldDescriptorProto| {
        let label = match field.label() {
            Label::Repeated => "repeated ",
            _ if field.proto3_optional() => "optional ",
            Label::Optional | Label::Required => "",
        };
        let kind = match field.r#type() {
            Type::Message | Type::Enum => field.type_name().to_owned(),
            plain => plain.as_str_name().trim_start_matches("TYPE_").to_lowercase(),
        };
        let oneof = field.oneof_index.filter(|_| !field.proto3_optional());
        let oneof = oneof.map(|n| format!(" in {}", message.oneof_decl[usize::try_from(n).unwrap()].name()));
        format!(
            "field {package}.{}.{} = {} {label}{kind}{}",
            message.name(),
            field.name(),
            field.number(),
            oneof.unwrap_or_default()
        )
    };
    message.field.iter().map(field).collect()
}

#[test]
fn the_wire_is_what_it_was() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/wire.txt");
    let text: String = wire().into_iter().map(|line| line + "\n").collect();
    if std::env::var_os("WRITE_WIRE").is_some() {
        fs::write(path, &text).unwrap();
    }
    let kept = fs::read_to_string(path).unwrap();
    let (kept, now): (BTreeSet<&str>, BTreeSet<&str>) = (kept.lines().collect(), text.lines().collect());
    let gone: Vec<_> = kept.difference(&now).collect();
    let new: Vec<_> = now.difference(&kept).collect();
    assert!(
        gone.is_empty() && new.is_empty(),
        "proto/wire.txt tells what peers depend on.\ngone or changed, which breaks them: {gone:#?}\nnew: {new:#?}\n\
         What is meant is written by `WRITE_WIRE=1 cargo nextest run -p proto`."
    );
}
