//! Every table and key of an agent's file, with what it means: it is read by this, and docs/agent-toml.md is made of it.

use node::config::{KeyShape, Kind, TableShape};

const fn key(name: &'static str, kind: Kind, default: &'static str, about: &'static str) -> KeyShape {
    KeyShape {
        name,
        kind,
        about,
        default,
    }
}

/// The tables of an agent's file that no flag stands for.
pub const TABLES: &[TableShape] = &[
    TableShape {
        path: &["policy"],
        about: "What steps may ask for. In patterns `*` stands for any characters.",
        keys: &[
            key(
                "images",
                Kind::List,
                "[\"*\"]",
                "Images by pattern; `host` is the agent's own system. Names are completed as Docker does (`alpine` is \
                 `docker.io/library/alpine`); a pattern without a tag and a digest is for all of them",
            ),
            key(
                "digest-only",
                Kind::Bool,
                "false",
                "Whether images other than `host` must be named by digest (`name@sha256:…`)",
            ),
            key(
                "registries",
                Kind::List,
                "",
                "Registries that images may come from, by pattern; any when it is absent",
            ),
            key(
                "networks",
                Kind::List,
                "[\"none\", \"egress\"]",
                "Networks: `none`, `egress`, `host`",
            ),
            key(
                "host-views",
                Kind::List,
                "[]",
                "The host's own trees, read-only under `/host`: `proc`, `sys`",
            ),
            key(
                "users",
                Kind::List,
                "[\"1-65534\"]",
                "Users inside a container, numbers and ranges; 0 is root. A step that names none is the image's own user, else 1000",
            ),
            key(
                "actions",
                Kind::List,
                "[\"*\"]",
                "Built-in actions by pattern, such as `slack/*`",
            ),
            key(
                "deny-actions",
                Kind::List,
                "[]",
                "Actions that are refused although `actions` allows them",
            ),
        ],
    },
    TableShape {
        path: &["policy", "limits"],
        about: "The most that one step may ask for. How many run at once is `capacity` of `[agent]`.",
        keys: &[
            key(
                "memory",
                Kind::Text,
                "",
                "Memory and swap together: `512MiB`, `2GiB`; any when it is absent",
            ),
            key("pids", Kind::Integer, "65536", "Processes and threads"),
            key(
                "cpu",
                Kind::Text,
                "",
                "Cores: `0.5`, `2`, `500m`; a step that names none gets this; any when it is absent",
            ),
            key(
                "timeout",
                Kind::Text,
                "\"24h\"",
                "An attempt's time: `30s`, `10m`, `2h`",
            ),
            key(
                "artifacts",
                Kind::Text,
                "\"1GiB\"",
                "All artifacts of one attempt together: `100MiB`; with `0B` steps that keep any are refused",
            ),
            key(
                "tmp",
                Kind::Text,
                "\"64MiB\"",
                "The size of `/tmp` and of `/dev/shm`, each; never more than a quarter of the step's memory",
            ),
        ],
    },
    TableShape {
        path: &["secrets", "*"],
        about: "A secret that steps may name. It has exactly one source: `env`, `file`, `command`, `credential` or \
                `vault`. Its value is at most 8 KiB of UTF-8; a line break at its end is taken off. One that is named as \
                a vendor's variable (`SLACK_BOT_TOKEN`, `DD_API_KEY`, `GITHUB_TOKEN` …) is what the agent's own actions use; \
                that one, and one that `[vault]` or `[registries]` names, goes to steps only when a list below says so.",
        keys: &[
            key(
                "env",
                Kind::Text,
                "",
                "The environment variable of the agent that holds it; taken out at the start",
            ),
            key(
                "file",
                Kind::Path,
                "",
                "The file that holds it, read for each attempt: of root or of the agent's user, and not readable by others",
            ),
            key(
                "command",
                Kind::List,
                "",
                "A program and its arguments, without a shell; its standard output is the secret. 10 seconds",
            ),
            key(
                "credential",
                Kind::Text,
                "",
                "A credential of the systemd unit (`LoadCredential=`), by its name",
            ),
            key(
                "cache",
                Kind::Text,
                "\"1m\"",
                "How long a value of `command` or `vault` is used before it is asked for again; `0s` for each attempt",
            ),
            key(
                "workflows",
                Kind::List,
                "",
                "The workflows whose steps may take it, by pattern; `[]` is none",
            ),
            key("steps", Kind::List, "", "The steps that may take it, by pattern"),
            key(
                "images",
                Kind::List,
                "",
                "The images that may take it, as in `[policy]`",
            ),
        ],
    },
    TableShape {
        path: &["secrets", "*", "vault"],
        about: "A key of HashiCorp Vault's key-value engine, version 2.",
        keys: &[
            key(
                "path",
                Kind::Text,
                "",
                "The secret's path in the engine: `team/deploy`",
            ),
            key("key", Kind::Text, "", "The key in it whose text is the value"),
        ],
    },
    TableShape {
        path: &["vault"],
        about: "Where Vault is, and how the agent logs in.",
        keys: &[
            key(
                "address",
                Kind::Text,
                "",
                "Its URL: `https://vault.example.com:8200`",
            ),
            key(
                "ca",
                Kind::Path,
                "",
                "PEM file of the authorities that its certificate may come from; the system's when absent",
            ),
            key("namespace", Kind::Text, "", "The namespace (Vault Enterprise)"),
            key(
                "mount",
                Kind::Text,
                "\"secret\"",
                "Where the key-value engine is mounted",
            ),
            key(
                "auth-mount",
                Kind::Text,
                "\"approle\"",
                "Where AppRole is mounted",
            ),
            key("role-id", Kind::Text, "", "The role's id"),
            key(
                "secret-id",
                Kind::Text,
                "",
                "The secret of this file that is the role's secret id",
            ),
        ],
    },
    TableShape {
        path: &["registries", "*"],
        about: "How to log in to a registry, by its host, with the port where it has one; `docker.io` is Docker Hub. It comes before what \
                `docker login` wrote.",
        keys: &[
            key("username", Kind::Text, "", "The user"),
            key(
                "password",
                Kind::Text,
                "",
                "The secret of this file that is the password or token",
            ),
        ],
    },
    TableShape {
        path: &["images"],
        about: "What stays of images that nothing uses, on the native runtime; looked at each hour. What a container runs on stays \
                in any case.",
        keys: &[
            key(
                "size",
                Kind::Text,
                "\"20GiB\"",
                "All of them together; beyond it those go first that were not used for longest",
            ),
            key(
                "age",
                Kind::Text,
                "\"14d\"",
                "How long one stays since it was last started or fetched; `0s` for no longer than the next look",
            ),
        ],
    },
    TableShape {
        path: &["logs"],
        about: "What logs take of the agent's disk while the server does not have them. Those of steps that run, and of steps whose \
                result the server does not have, are bounded by `capacity` and 64 MiB a stream.",
        keys: &[key(
            "waiting",
            Kind::Text,
            "\"8GiB\"",
            "All logs together of attempts whose result is acknowledged; beyond it the oldest are given up, and each says how \
             many bytes it lacks",
        )],
    },
];
