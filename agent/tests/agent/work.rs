//! Short ways to write work down.

use std::collections::BTreeMap;

use types::{ActionWork, ContainerWork, Network, Object, OutputDecl, OutputFrom, Resources, Work, WorkBody};

/// A script of bash on the host's network, with ten seconds.
pub(crate) fn script(text: &str) -> Work {
    work(WorkBody::Container(container(text)))
}

pub(crate) fn container(text: &str) -> ContainerWork {
    ContainerWork {
        image: "host".to_owned(),
        pull: types::Pull::default(),
        argv: ["/bin/bash", "-e", "-c", text].map(str::to_owned).to_vec(),
        env: BTreeMap::new(),
        secrets: BTreeMap::new(),
        secret_files: std::collections::BTreeSet::new(),
        files: BTreeMap::new(),
        artifacts: BTreeMap::new(),
        resources: Resources::default(),
        network: Network::Host,
        host_view: std::collections::BTreeSet::new(),
        workdir: None,
        user: None,
        output_from: OutputFrom::File,
        runtime: None,
        services: BTreeMap::new(),
    }
}

pub(crate) fn work(body: WorkBody) -> Work {
    Work {
        body,
        outputs: BTreeMap::new(),
        timeout_ms: 20_000,
        grace_ms: 500,
        disconnect_ms: 20_000,
    }
}

pub(crate) fn output(work: &mut Work, name: &str, ty: &str) {
    work.outputs.insert(
        name.to_owned(),
        OutputDecl {
            ty: ty.parse().unwrap(),
            optional: false,
        },
    );
}

/// A built-in action of the registry.
pub(crate) fn action(registry: &actions::Registry, name: &str, params: Object) -> Work {
    let signature = registry.get(name).unwrap().signature();
    work(WorkBody::Action(ActionWork {
        action: name.to_owned(),
        major: signature.major,
        digest: signature.digest(),
        params,
    }))
}
