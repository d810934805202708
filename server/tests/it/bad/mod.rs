//! Bad input on every call: whatever is wrong, the answer is a precise status, nothing is told of the inside, nothing is
//! lost, and the server goes on.

mod frames;
pub(crate) mod raw;
mod routes;
mod rows;
mod schema;
mod wrong;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use futures::{StreamExt, stream};
use prost_reflect::MethodDescriptor;
use proto::v1::{self, incident_service_client::IncidentServiceClient};
use serde_json::Value;
use tonic::Code;

use self::{
    raw::{Answer, Wire},
    rows::{ROWS, Row},
    wrong::Expect,
};
use crate::{
    agent::{Agent, Session, accepted, started, succeeded},
    stack::{ONE, Stack},
};

const BOUND: &str = "
name: bound
on:
  alert:
    when: alert.title == \"never\"
steps:
  only:
    image: host
    run: echo hello
";

/// Calls at once: streams end by their deadline only.
const AT_ONCE: usize = 24;

/// A server with something in it that must not be lost.
pub(crate) struct Scene {
    stack: Stack,
    agent: Agent,
    _session: Session,
    run: String,
    incident: String,
    history: Vec<String>,
}

impl Scene {
    async fn set() -> Self {
        raw::listen();
        let stack = Stack::start().await;
        stack.put(BOUND).await;
        let mut agent = Agent::new(1);
        let mut session = agent.connect(&stack, Vec::new(), 1).await;
        let run = stack.start_run(ONE).await;
        let offer = session.offer().await;
        for body in [accepted(), started(), succeeded()] {
            session.report(&offer, body).await;
        }
        session.ack(&offer.token).await;
        stack.outcome(&run).await;
        let opening = v1::OpenIncidentRequest {
            external_id: "kept".to_owned(),
            title: "kept".to_owned(),
            severity: "low".to_owned(),
            ..v1::OpenIncidentRequest::default()
        };
        let mut client = IncidentServiceClient::new(stack.channel().await);
        let incident = client.open(opening).await.unwrap().into_inner().incident_id;
        let history = stack.history(&run).await;
        Self {
            stack,
            agent,
            _session: session,
            run,
            incident,
            history,
        }
    }

    /// The good request of a row.
    fn good(&self, row: &Row) -> Value {
        let source = Value::from(ONE).to_string();
        let text = row
            .good
            .replace("$RUN", &self.run)
            .replace("$INC", &self.incident)
            .replace("$AGENT", self.agent.id.as_str())
            .replace("\"$SOURCE\"", &source);
        serde_json::from_str(&text).unwrap()
    }

    /// What was there is there, the log is quiet, and the server does new work.
    async fn assert_whole(self) {
        raw::a_moment().await;
        raw::assert_quiet("after all of it");
        assert_eq!(
            self.stack.history(&self.run).await,
            self.history,
            "the history of before"
        );
        let mut client = IncidentServiceClient::new(self.stack.channel().await);
        let get = v1::GetIncidentRequest {
            incident_id: self.incident.clone(),
        };
        assert_eq!(client.get(get).await.unwrap().into_inner().title, "kept");
        let store = self.stack.stop().await;
        // As another server would find it.
        let stack = Stack::on(Arc::clone(&store), None).await;
        assert_eq!(stack.history(&self.run).await, self.history);
        let mut agent = Agent::new(9);
        let mut session = agent.connect(&stack, Vec::new(), 1).await;
        let run = stack.start_run(ONE).await;
        // What some requests started, because it was good enough, may be offered first.
        for credits in 2.. {
            let offer = session.offer().await;
            for body in [accepted(), started(), succeeded()] {
                session.report(&offer, body).await;
            }
            session.ack(&offer.token).await;
            if offer.attempt.is_some_and(|attempt| attempt.run_id == run) {
                break;
            }
            session.credits(credits).await;
        }
        assert_eq!(stack.outcome(&run).await, v1::Outcome::Succeeded);
        stack.stop().await;
        raw::assert_quiet("after the end");
    }
}

/// Each method with its row.
async fn table(wire: &Wire) -> Vec<(MethodDescriptor, &'static Row)> {
    let methods = schema::methods(wire).await;
    assert!(methods.len() > 20, "reflection tells of {}", methods.len());
    let names: BTreeSet<String> = methods
        .iter()
        .map(|method| schema::path(method)[1..].to_owned())
        .collect();
    let rows: BTreeSet<String> = ROWS.iter().map(|row| row.method.to_owned()).collect();
    assert_eq!(
        names, rows,
        "each method has its row in server/tests/it/bad/rows.rs, and no other"
    );
    let find = |method: MethodDescriptor| {
        let row = ROWS
            .iter()
            .find(|row| schema::path(&method)[1..] == *row.method)
            .unwrap();
        let fields: BTreeSet<String> = method
            .input()
            .fields()
            .map(|field| field.name().to_owned())
            .collect();
        let told: BTreeSet<String> = row.fields.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(fields, told, "{}: each field has its kind in its row", row.method);
        (method, row)
    };
    methods.into_iter().map(find).collect()
}

fn assert_expected(what: &str, answer: &Answer, expect: &Expect) {
    answer.assert_decent(what);
    match expect {
        Expect::Bad(path) => {
            assert_eq!(answer.code(), Code::InvalidArgument, "{what}: {answer:?}");
            assert!(
                path.iter().all(|path| answer.fields().contains(path)),
                "{what}: not {path:?} in {:?}",
                answer.fields()
            );
        }
        Expect::Missing => assert_eq!(answer.code(), Code::NotFound, "{what}: {answer:?}"),
        Expect::Fine => {}
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_field_of_every_call_with_what_can_be_wrong_with_it() {
    let scene = Scene::set().await;
    let wire = raw::wire(&scene.stack).await;
    let mut sent = 0;
    for (method, row) in table(&wire).await {
        let path = schema::path(&method);
        let good = scene.good(row);
        let answer = raw::call(&wire, &path, raw::frame(&schema::encode(method.input(), &good))).await;
        answer.assert_decent(&path);
        let fine = [
            Code::Ok,
            Code::DeadlineExceeded,
            Code::FailedPrecondition,
            Code::NotFound,
            Code::PermissionDenied,
        ];
        assert!(
            fine.contains(&answer.code()),
            "{path} with what is right: {answer:?}"
        );
        let requests = wrong::requests(&method, row.fields, &good);
        sent += requests.len();
        let calls = requests.into_iter().map(|(what, body, expect)| {
            let (wire, path) = (wire.clone(), path.clone());
            async move {
                let answer = raw::call_within(&wire, &path, raw::frame(&body), expect.patience(&path)).await;
                assert_expected(&format!("{path} with {what}"), &answer, &expect);
            }
        });
        stream::iter(calls)
            .buffer_unordered(AT_ONCE)
            .collect::<Vec<()>>()
            .await;
        raw::assert_quiet(&path);
    }
    assert!(sent > 400, "{sent} requests");
    tokio::time::sleep(Duration::from_millis(50)).await;
    scene.assert_whole().await;
}
