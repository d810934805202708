//! Every method with a request that works, and what each of its fields is. A method without a row fails the test, and so
//! does a field that its row does not name.

/// What a field is, and so what can be wrong with it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Is {
    /// An id with this prefix that must exist.
    Id(&'static str),
    /// The same, which may be left out and need not exist.
    IdFilter(&'static str),
    /// A list of these.
    Ids(&'static str),
    /// Must exist; any text can be asked for, none cannot.
    Name,
    /// One of some words; empty when `true` too.
    Word(bool),
    /// At most so many bytes; must not be empty when `true`.
    Text(usize, bool),
    /// A JSON object.
    Json,
    /// A definition; an answer of diagnostics is a good one.
    Source,
    /// A definition that must compile.
    Compiles,
    /// An alert's body.
    Payload,
    /// An enum, or a list of one.
    Enum,
    /// A position that the server gave.
    Cursor,
    /// Whatever it is, it is no defect.
    Free,
}

pub(crate) struct Row {
    pub(crate) method: &'static str,
    pub(crate) good: &'static str,
    pub(crate) fields: &'static [(&'static str, Is)],
}

const KEY: Is = Is::Text(256, false);
const FILE: Is = Is::Text(1_024, false);

const fn row(method: &'static str, good: &'static str, fields: &'static [(&'static str, Is)]) -> Row {
    Row { method, good, fields }
}

/// `$RUN` has ended, `$INC` is there, `$AGENT` is connected, `bound` is kept, `$SOURCE` is a definition.
pub(crate) const ROWS: &[Row] = &[
    row(
        "firehall.v1.WorkflowService/Compile",
        r#"{"source": "$SOURCE"}"#,
        &[("file", FILE), ("source", Is::Source)],
    ),
    row(
        "firehall.v1.WorkflowService/Plan",
        r#"{"source": "$SOURCE"}"#,
        &[
            ("source", Is::Source),
            ("workflow", Is::Name),
            ("file", FILE),
            ("payload", Is::Payload),
            ("inputs_json", Is::Json),
        ],
    ),
    row(
        "firehall.v1.WorkflowService/Put",
        r#"{"source": "$SOURCE"}"#,
        &[("file", FILE), ("source", Is::Compiles)],
    ),
    row(
        "firehall.v1.WorkflowService/Get",
        r#"{"name": "bound"}"#,
        &[("name", Is::Name), ("version", Is::Free)],
    ),
    row(
        "firehall.v1.WorkflowService/List",
        "{}",
        &[("limit", Is::Free), ("page_token", Is::Free)],
    ),
    row(
        "firehall.v1.RunService/Start",
        r#"{"source": "$SOURCE"}"#,
        &[
            ("source", Is::Compiles),
            ("workflow", Is::Name),
            ("file", FILE),
            ("inputs_json", Is::Json),
            ("payload", Is::Payload),
            ("idempotency_key", KEY),
        ],
    ),
    row(
        "firehall.v1.RunService/Get",
        r#"{"run_id": "$RUN"}"#,
        &[("run_id", Is::Id("run"))],
    ),
    row(
        "firehall.v1.RunService/List",
        "{}",
        &[
            ("limit", Is::Free),
            ("before", Is::IdFilter("run")),
            ("workflow", Is::Free),
            ("outcomes", Is::Enum),
            ("live", Is::Free),
            ("incident_id", Is::IdFilter("inc")),
            ("started_from_ms", Is::Free),
            ("started_before_ms", Is::Free),
            ("page_token", Is::IdFilter("run")),
        ],
    ),
    row(
        "firehall.v1.RunService/Rerun",
        r#"{"run_id": "$RUN", "from": ["only"]}"#,
        &[
            ("run_id", Is::Id("run")),
            ("from", Is::Free),
            ("idempotency_key", KEY),
        ],
    ),
    row(
        "firehall.v1.RunService/Cancel",
        r#"{"run_id": "$RUN"}"#,
        &[("run_id", Is::Id("run")), ("reason", Is::Text(2_000, false))],
    ),
    row(
        "firehall.v1.RunService/Resolve",
        r#"{"run_id": "$RUN", "step": "only", "verdict": "failed"}"#,
        &[
            ("run_id", Is::Id("run")),
            ("step", Is::Free),
            ("index", Is::Free),
            ("verdict", Is::Word(false)),
        ],
    ),
    row(
        "firehall.v1.RunService/Watch",
        r#"{"run_id": "$RUN"}"#,
        &[("run_id", Is::Id("run")), ("after_seq", Is::Free)],
    ),
    row(
        "firehall.v1.RunService/Logs",
        r#"{"run_id": "$RUN", "step": "only"}"#,
        &[
            ("run_id", Is::Id("run")),
            ("step", Is::Free),
            ("index", Is::Free),
            ("attempt", Is::Free),
            ("service", Is::Free),
            ("stream", Is::Enum),
            ("follow", Is::Free),
            ("offset", Is::Free),
        ],
    ),
    row(
        "firehall.v1.RunService/ListArtifacts",
        r#"{"run_id": "$RUN"}"#,
        &[
            ("run_id", Is::Id("run")),
            ("limit", Is::Free),
            ("page_token", Is::Free),
        ],
    ),
    row(
        "firehall.v1.RunService/GetArtifact",
        r#"{"run_id": "$RUN", "step": "only", "name": "kept"}"#,
        &[
            ("run_id", Is::Id("run")),
            ("step", Is::Free),
            ("index", Is::Free),
            ("attempt", Is::Free),
            ("name", Is::Free),
            ("offset", Is::Free),
        ],
    ),
    row(
        "firehall.v1.EventService/Subscribe",
        "{}",
        &[
            ("cursor", Is::Cursor),
            ("from_start", Is::Free),
            ("kinds", Is::Free),
            ("run_ids", Is::Ids("run")),
            ("incident_ids", Is::Ids("inc")),
            ("workflows", Is::Free),
        ],
    ),
    row(
        "firehall.v1.IncidentService/Open",
        r#"{"external_id": "INC-1", "title": "it burns", "severity": "low"}"#,
        &[
            ("external_id", Is::Text(200, false)),
            ("title", Is::Text(1_000, true)),
            ("severity", Is::Word(false)),
            ("description", Is::Text(16 * 1024, false)),
            ("tags", Is::Free),
            ("inputs_json", Is::Json),
            ("test", Is::Free),
            ("idempotency_key", KEY),
        ],
    ),
    row(
        "firehall.v1.IncidentService/List",
        "{}",
        &[
            ("limit", Is::Free),
            ("page_token", Is::IdFilter("inc")),
            ("state", Is::Word(true)),
        ],
    ),
    row(
        "firehall.v1.IncidentService/Get",
        r#"{"incident_id": "$INC"}"#,
        &[("incident_id", Is::Id("inc"))],
    ),
    row(
        "firehall.v1.IncidentService/Watch",
        r#"{"incident_id": "$INC"}"#,
        &[("incident_id", Is::Id("inc")), ("cursor", Is::Cursor)],
    ),
    row(
        "firehall.v1.AdminService/ListAgents",
        "{}",
        &[("limit", Is::Free), ("page_token", Is::IdFilter("agt"))],
    ),
    row(
        "firehall.v1.AdminService/DrainAgent",
        r#"{"agent": "$AGENT", "undo": true}"#,
        &[
            ("agent", Is::Name),
            ("undo", Is::Free),
            ("reason", Is::Text(1_000, false)),
        ],
    ),
    row("firehall.v1.AdminService/ListSources", "{}", &[]),
    row("firehall.v1.AdminService/Diagnose", "{}", &[]),
    row(
        "firehall.v1.AgentService/Session",
        r#"{"hello": {"agent_id": "$AGENT", "name": "another", "protocol": 1}}"#,
        &[("hello", Is::Free), ("report", Is::Free), ("credits", Is::Free)],
    ),
    row(
        "firehall.v1.AgentService/Logs",
        r#"{"token": "lse_01j00000000000000000000000", "attempt": {"run_id": "$RUN", "step": "only", "attempt": 1}}"#,
        &[
            ("attempt", Is::Free),
            ("token", Is::Free),
            ("service", Is::Free),
            ("stream", Is::Free),
            ("offset", Is::Free),
            ("data", Is::Free),
            ("lost", Is::Free),
            ("end", Is::Free),
            ("end_unknown", Is::Free),
        ],
    ),
    row(
        "firehall.v1.AgentService/PutArtifact",
        r#"{"begin": {"token": "lse_01j00000000000000000000000", "attempt": {"run_id": "$RUN", "step": "only", "attempt": 1}, "name": "kept", "sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "media_type": "text/plain"}}"#,
        &[("begin", Is::Free), ("piece", Is::Free)],
    ),
    row(
        "firehall.v1.AgentService/GetAttemptArtifact",
        r#"{"token": "lse_01j00000000000000000000000", "attempt": {"run_id": "$RUN", "step": "only", "attempt": 1}, "sha256": "e3b0"}"#,
        &[
            ("attempt", Is::Free),
            ("token", Is::Free),
            ("sha256", Is::Free),
            ("offset", Is::Free),
        ],
    ),
    row(
        "firehall.v1.AgentService/Heartbeat",
        r#"{"agent_id": "$AGENT"}"#,
        &[
            ("agent_id", Is::IdFilter("agt")),
            ("tokens", Is::Ids("lse")),
            ("stats", Is::Free),
            ("instance", Is::Free),
        ],
    ),
    row("grpc.health.v1.Health/Check", "{}", &[("service", Is::Free)]),
    row("grpc.health.v1.Health/Watch", "{}", &[("service", Is::Free)]),
    row(
        "grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        r#"{"list_services": ""}"#,
        REFLECTION,
    ),
];

const REFLECTION: &[(&str, Is)] = &[
    ("host", Is::Free),
    ("file_by_filename", Is::Free),
    ("file_containing_symbol", Is::Free),
    ("file_containing_extension", Is::Free),
    ("all_extension_numbers_of_type", Is::Free),
    ("list_services", Is::Free),
];
