//! The server's services as it tells them itself.

use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, MethodDescriptor};
use serde_json::Value;
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, ServerReflectionResponse, server_reflection_request::MessageRequest,
    server_reflection_response::MessageResponse,
};

use super::raw::{self, Wire};

const REFLECTION: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";

async fn ask(wire: &Wire, what: MessageRequest) -> MessageResponse {
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(what),
    };
    let answer = raw::call(wire, REFLECTION, raw::frame(&request.encode_to_vec())).await;
    let message = ServerReflectionResponse::decode(&answer.body[5..]).unwrap();
    message.message_response.unwrap()
}

/// All methods of all services that it lists.
pub(crate) async fn methods(wire: &Wire) -> Vec<MethodDescriptor> {
    let MessageResponse::ListServicesResponse(listed) =
        ask(wire, MessageRequest::ListServices(String::new())).await
    else {
        panic!("no list of services");
    };
    let mut pool = DescriptorPool::new();
    let mut found = Vec::new();
    for service in listed.service {
        let symbol = MessageRequest::FileContainingSymbol(service.name.clone());
        let MessageResponse::FileDescriptorResponse(files) = ask(wire, symbol).await else {
            panic!("no file for {}", service.name);
        };
        for file in files.file_descriptor_proto {
            let file = prost_types::FileDescriptorProto::decode(&file[..]).unwrap();
            with_imports(wire, &mut pool, file).await;
        }
        found.extend(pool.get_service_by_name(&service.name).unwrap().methods());
    }
    found
}

async fn with_imports(wire: &Wire, pool: &mut DescriptorPool, file: prost_types::FileDescriptorProto) {
    for name in &file.dependency {
        if pool.get_file_by_name(name).is_none() {
            let wanted = MessageRequest::FileByFilename(name.clone());
            let MessageResponse::FileDescriptorResponse(files) = ask(wire, wanted).await else {
                panic!("no file {name}");
            };
            let file = prost_types::FileDescriptorProto::decode(&files.file_descriptor_proto[0][..]).unwrap();
            Box::pin(with_imports(wire, pool, file)).await;
        }
    }
    pool.add_file_descriptor_proto(file).unwrap();
}

pub(crate) fn path(method: &MethodDescriptor) -> String {
    format!("/{}/{}", method.parent_service().full_name(), method.name())
}

/// A request from its JSON, with names as in the proto.
pub(crate) fn encode(kind: MessageDescriptor, json: &Value) -> Vec<u8> {
    DynamicMessage::deserialize(kind, json)
        .unwrap_or_else(|error| panic!("{error}: {json}"))
        .encode_to_vec()
}
