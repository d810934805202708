//! Messages of the wire: decoding any bytes ends, within the depth that prost allows, and what is decoded is encoded to
//! something that decodes to the same.

use prost::Message;
use proto::v1;

/// # Panics
/// When a property does not hold.
pub fn check(data: &[u8]) {
    // From agents, who may lie.
    one::<v1::SessionUp>(data);
    one::<v1::LogChunk>(data);
    one::<v1::HeartbeatRequest>(data);
    // From programs.
    one::<v1::StartRunRequest>(data);
    one::<v1::ListRunsRequest>(data);
    one::<v1::SubscribeRequest>(data);
    one::<v1::OpenIncidentRequest>(data);
    // From a server that is newer.
    one::<v1::SessionDown>(data);
    one::<v1::Event>(data);
    one::<v1::Run>(data);
    one::<v1::IncidentInfo>(data);
    one::<v1::DefinitionErrors>(data);
}

fn one<M: Message + Default + PartialEq>(data: &[u8]) {
    let Ok(message) = M::decode(data) else { return };
    let bytes = message.encode_to_vec();
    assert_eq!(bytes.len(), message.encoded_len());
    let back = M::decode(&bytes[..]).expect("what is encoded is decoded");
    assert!(back == message, "the same message");
}
