//! Agents of other versions on the wire.

use proto::v1::{self, session_down::Message as Down};

use crate::{agent::Agent, stack::Stack};

/// All that the first agents said.
fn of_old(agent: &Agent, protocol: u32) -> v1::Hello {
    v1::Hello {
        agent_id: agent.id.to_string(),
        name: "web-1".to_owned(),
        version: "0.0.9".to_owned(),
        protocol,
        dial: 1,
        ..v1::Hello::default()
    }
}

#[tokio::test]
async fn an_agent_that_says_less_is_welcome_and_one_of_another_protocol_is_told_so_by_name() {
    let stack = Stack::start().await;
    let agent = Agent::new(1);
    let (_session, first) = agent.say(&stack, of_old(&agent, 1)).await;
    assert!(matches!(first, Ok(Some(Down::Welcome(_)))), "{first:?}");
    for (protocol, update) in [(0, "update the agent"), (2, "update the server")] {
        let (_session, first) = agent.say(&stack, of_old(&agent, protocol)).await;
        let refused = first.unwrap_err();
        assert_eq!(refused.code(), tonic::Code::FailedPrecondition);
        for word in ["web-1", "Firehall 0.0.9", &format!("protocol {protocol}"), update] {
            assert!(refused.message().contains(word), "{word}: {refused}");
        }
    }
}
