//! The page docs/agent-toml.md, from the tables that an agent reads.

use node::config::TableShape;

use super::{kind, put};

const HEAD: &str = "\
# agent.toml

What the operator of an agent lets a server ask for, where the agent takes secrets from, and how it logs in to registries. The
server cannot widen it: whatever it sends, the agent refuses what is not allowed, and the run says which rule refused it.

`firehall agent` reads `/etc/firehall/agent.toml`; the same tables may stand in any configuration file
([cli.md](cli.md#configuration)), of which a later one wins key by key, and a secret or a registry as a whole. The file belongs to
root or to the agent's user, and nobody else may write it. A file that cannot be understood keeps the agent from starting: each
error has its line, its reason and the way out. It is read at the start only: restart the agent after a change
(`systemctl restart firehall-agent`); steps that run go on, under the rules that they were started with.

`firehall agent check-config FILE` checks a file and prints what is in force; `firehall doctor` shows what differs from the
defaults.

```toml
[policy]
images = [\"host\", \"registry.example.com/team/*\"]
digest-only = true                       # images other than host by name@sha256:…
networks = [\"none\", \"egress\"]
host-views = [\"proc\"]
actions = [\"incident/*\", \"slack/*\"]
deny-actions = [\"slack/post\"]

[policy.limits]
memory = \"1GiB\"
timeout = \"30m\"

[secrets.DEPLOY_TOKEN]
file = \"/etc/firehall/deploy-token\"    # 0600, read for each attempt
workflows = [\"deploy-*\"]
images = [\"registry.example.com/team/deploy\"]

[secrets.SLACK_BOT_TOKEN]                # the agent's own: no step takes it
credential = \"slack-token\"             # LoadCredential= of the unit

[secrets.REGISTRY]
command = [\"/usr/bin/pass\", \"show\", \"registry\"]

[registries.\"registry.example.com\"]
username = \"firehall\"
password = \"REGISTRY\"                  # a name of [secrets.NAME], never a value
```

`--allow host-view:proc,network:host` is the short form of `host-views` and `networks`: what it gives is allowed beside what the
file allows. `--secret-env NAME` is the short form of `[secrets.NAME]` with `env = \"NAME\"`.

What nobody can allow, because no definition can ask for it: privileged containers, capabilities, devices, mounts of the host
other than `/host/proc` and `/host/sys`, other namespaces of the host than its network.

The agent tells the server its policy, so that work which it would refuse goes to another agent; it tells names and patterns,
never a value. Which workflow and which step asks for a secret is the server's word: where the server is not to be trusted, limit
a secret by `images` with digests, or give it to an agent of its own.

";

pub(super) fn page() -> String {
    let mut page = HEAD.to_owned();
    for shape in ::agent::TABLES {
        table(shape, &mut page);
    }
    format!("{}\n", page.trim_end())
}

fn table(shape: &TableShape, page: &mut String) {
    let path: Vec<&str> = shape
        .path
        .iter()
        .enumerate()
        .map(|(at, part)| match *part {
            "*" if shape.path[at - 1] == "registries" => "\"HOST\"",
            "*" => "NAME",
            part => part,
        })
        .collect();
    put(
        page,
        format_args!("## [{}]\n\n{}\n\n", path.join("."), shape.about),
    );
    page.push_str("| key | type | default | what |\n|---|---|---|---|\n");
    for key in shape.keys {
        let default = match key.default {
            "" => String::new(),
            text => format!("`{}`", text.replace('|', "\\|")),
        };
        let about = key.about.replace('|', "\\|");
        put(
            page,
            format_args!("| `{}` | {} | {default} | {about} |\n", key.name, kind(key.kind)),
        );
    }
    page.push('\n');
}
