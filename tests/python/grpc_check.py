"""Does the whole work of a program by reflection alone, in both versions of reflection. Argument: host:port of a server with
an agent and nothing else in it. Every failed check ends it with a traceback."""

import json
import sys
import time

import grpc

from reflected import VERSIONS, Reflection, bad_fields, status_of

Code = grpc.StatusCode
HELLO = "name: py\ninputs:\n  who: { type: string, default: nobody }\nsteps:\n  only:\n    image: host\n"
HELLO += '    env: { WHO: "${{ inputs.who }}" }\n    run: echo "hello $WHO"; echo done >&2\n'
# Nobody takes it: it waits until it is cancelled.
WAITS = "name: waits\nsteps:\n  only:\n    image: host\n    runs-on: { host: nowhere }\n    run: echo never\n"
FAILS = "name: fails\nsteps:\n  good:\n    image: host\n    run: echo good\n  bad:\n    needs: good\n    image: host\n    run: exit 3\n"
BOUND = "name: bound\non:\n  alert:\n    when: alert.severity == \"critical\"\ninputs:\n  users: { type: list<string>, default: [] }\n"
BOUND += "steps:\n  only:\n    image: host\n    run: echo burning\n"


class Api:
    def __init__(self, channel, version):
        self.reflection = Reflection(channel, version)

    def call(self, name, /, timeout=30, **fields):
        """`RunService.Start`: the answer, or an iterator of answers."""
        service, method = name.split(".")
        rpc = self.reflection.method(f"firehall.v1.{service}", method)
        request = self.reflection.message(rpc.input_type.full_name)(**fields)
        return self.reflection.stub(rpc)(request, timeout=timeout)

    def refused(self, code, name, /, **fields):
        """The google.rpc.Status of a call that must be refused."""
        try:
            answer = self.call(name, **fields)
            if hasattr(answer, "__next__"):
                list(answer)
        except grpc.RpcError as error:
            assert error.code() == code, f"{name} {fields}: {error}"
            return status_of(error)
        raise AssertionError(f"{name} {fields} was not refused")

    def invalid(self, field, name, /, **fields):
        status = self.refused(Code.INVALID_ARGUMENT, name, **fields)
        assert field in bad_fields(status), f"{name} {fields}: {status}"
        return status

    def ended(self, run):
        """A run's history to its end, without a gap."""
        events = list(self.call("RunService.Watch", run_id=run))
        assert [event.seq for event in events] == list(range(1, len(events) + 1)), events
        assert events[-1].kind == "run.ended", events[-1]
        return events

    def detail(self, status, kind):
        """A detail of a status as a message of the server's own schema."""
        found = self.reflection.message(kind)()
        assert any(detail.Unpack(found) for detail in status.details), status
        return found


def workflows(api):
    assert not api.call("WorkflowService.Compile", source=HELLO).diagnostics
    wrong = api.call("WorkflowService.Compile", source="name: 1\nsteps: 3\n")
    assert [one.code for one in wrong.diagnostics] == ["FH0203", "FH0203"] and not wrong.plan_json, wrong
    put = api.call("WorkflowService.Put", file="py.yaml", source=HELLO)
    assert put.name == "py" and len(put.version) == 64, put
    assert not api.call("WorkflowService.Put", file="py.yaml", source=HELLO).changed
    kept = api.call("WorkflowService.Get", name="py", version=put.version)
    assert kept.source == HELLO and json.loads(kept.plan_json)["name"] == "py"
    api.refused(Code.NOT_FOUND, "WorkflowService.Get", name="py", version="0" * 64)
    status = api.invalid("source", "WorkflowService.Put", source="name: 1\nsteps: 3\n")
    errors = api.detail(status, "firehall.v1.DefinitionErrors")
    assert [one.line for one in errors.diagnostics] == [1, 2], errors
    outlook = api.call("WorkflowService.Plan", source=HELLO)
    assert json.loads(outlook.outlook_json)["name"] == "py", outlook
    api.call("WorkflowService.Put", file="bound.yaml", source=BOUND)
    names, token = [], ""
    while True:
        page = api.call("WorkflowService.List", limit=1, page_token=token)
        names += [one.name for one in page.workflows]
        token = page.next_page_token
        if not token:
            break
    assert {"py", "bound"} <= set(names) and names == sorted(names), names


def runs(api):
    key = f"key-{time.monotonic_ns()}"
    asked = {"workflow": "py", "inputs_json": '{"who": "ada"}', "idempotency_key": key}
    run = api.call("RunService.Start", **asked).run_id
    assert api.call("RunService.Start", **asked).run_id == run, "the same key and request, the same run"
    asked["inputs_json"] = '{"who": "bob"}'
    api.refused(Code.ALREADY_EXISTS, "RunService.Start", **asked)
    events = api.ended(run)
    assert [event.seq for event in api.call("RunService.Watch", run_id=run, after_seq=3)] == [
        event.seq for event in events[3:]
    ]
    view = api.call("RunService.Get", run_id=run)
    outcome = view.DESCRIPTOR.fields_by_name["outcome"].enum_type.values_by_number[view.outcome].name
    assert (outcome, view.seq, view.steps[0].attempts[0].exit_code) == ("OUTCOME_SUCCEEDED", len(events), 0), view
    log = b"".join(piece.data for piece in api.call("RunService.Logs", run_id=run, step="only", follow=True))
    assert log == b"hello ada\n", log
    rest = api.call("RunService.Logs", run_id=run, step="only", offset=6)
    assert b"".join(piece.data for piece in rest) == b"ada\n"
    errors = api.call("RunService.Logs", run_id=run, step="only", stream="LOG_STREAM_STDERR")
    assert b"".join(piece.data for piece in errors) == b"done\n"
    api.invalid("inputs_json.whom", "RunService.Start", workflow="py", inputs_json='{"whom": "ada"}')
    api.invalid("payload", "RunService.Start", workflow="bound")
    api.invalid("run_id", "RunService.Get", run_id="x")
    status = api.refused(Code.NOT_FOUND, "RunService.Get", run_id="run_01j0000000000000000000000z")
    assert api.detail(status, "google.rpc.ResourceInfo").resource_type == "run"
    api.refused(Code.NOT_FOUND, "RunService.Logs", run_id=run, step="only", attempt=9)
    verdict = {"run_id": run, "step": "only", "verdict": "failed"}
    status = api.refused(Code.FAILED_PRECONDITION, "RunService.Resolve", **verdict)
    assert api.detail(status, "google.rpc.PreconditionFailure").violations, status
    return run


def cancelled_and_repeated(api):
    run = api.call("RunService.Start", source=WAITS).run_id
    waits = api.call("RunService.Get", run_id=run).steps[0].waits_for
    assert "agent" in waits, waits
    assert api.call("RunService.Cancel", run_id=run, reason="enough").accepted
    assert json.loads(api.ended(run)[-1].body_json)["outcome"] == "cancelled"
    assert not api.call("RunService.Cancel", run_id=run).accepted, "it had ended"
    run = api.call("RunService.Start", source=FAILS).run_id
    api.ended(run)
    again = api.call("RunService.Rerun", run_id=run).run_id
    api.ended(again)
    view = api.call("RunService.Get", run_id=again)
    assert view.rerun_of == run and view.steps[0].reused_from == run and not view.steps[1].reused_from, view
    api.invalid("from[0]", "RunService.Rerun", run_id=run, **{"from": ["bda"]})


def lists(api):
    ids = [api.call("RunService.Start", source=HELLO).run_id for _ in range(3)]
    for run in ids:
        api.ended(run)
    seen, token = [], ""
    while True:
        page = api.call("RunService.List", limit=2, page_token=token, workflow="py", outcomes=["OUTCOME_SUCCEEDED"])
        assert len(page.runs) <= 2
        seen += [run.id for run in page.runs]
        token = page.next_page_token
        if not token:
            break
    assert seen == sorted(seen, reverse=True) and len(seen) == len(set(seen)) and set(ids) <= set(seen), seen
    assert not api.call("RunService.List", live=True, workflow="py").runs
    api.invalid("outcomes[0]", "RunService.List", outcomes=[99])
    api.invalid("page_token", "RunService.List", page_token="next")


def incidents(api):
    name = f"INC-{time.monotonic_ns()}"
    asked = {"external_id": name, "title": "it burns", "severity": "critical", "inputs_json": '{"users": ["a@x"]}'}
    asked["idempotency_key"] = name
    opened = api.call("IncidentService.Open", **asked)
    started = {api.call("RunService.Get", run_id=run).workflow: run for run in opened.run_ids}
    assert opened.opened and "bound" in started, opened
    assert api.call("IncidentService.Open", **asked) == opened, "the same key and request, the same answer"
    api.ended(started["bound"])
    got = api.call("IncidentService.Get", incident_id=opened.incident_id)
    assert (got.external_id, got.source, got.state) == (name, "manual", "open"), got
    assert json.loads(got.history_json), got
    assert name in [one.external_id for one in api.call("IncidentService.List", state="open", limit=500).incidents]
    events = []
    for event in api.call("IncidentService.Watch", incident_id=opened.incident_id):
        events.append(event)
        if event.kind == "run.ended":
            break
    assert events[0].kind == "opened" and all(event.incident_id == opened.incident_id for event in events), events
    rest = api.call("IncidentService.Watch", incident_id=opened.incident_id, cursor=events[2].cursor)
    assert next(rest) == events[3]
    rest.cancel()
    api.invalid("severity", "IncidentService.Open", title="x", severity="sev1")
    api.refused(Code.NOT_FOUND, "IncidentService.Get", incident_id="inc_01j0000000000000000000000z")


def events(api, run):
    """What happens on the server, over an interruption."""
    first = []
    stream = api.call("EventService.Subscribe", from_start=True, kinds=["run.*"])
    for event in stream:
        first.append(event)
        if len(first) == 3:
            break
    stream.cancel()
    began = api.call("RunService.Start", source=HELLO).run_id
    resumed = api.call("EventService.Subscribe", cursor=first[-1].cursor, kinds=["run.*"])
    for event in resumed:
        first.append(event)
        if (event.run_id, event.kind) == (began, "run.ended"):
            break
    resumed.cancel()
    cursors = [int(event.cursor) for event in first]
    assert cursors == sorted(set(cursors)), "in order, each once"
    kinds = {event.kind for event in first}
    assert kinds <= {"run.started", "run.ended", "run.cancel_requested"} and {"run.started", "run.ended"} <= kinds, kinds
    one = api.call("EventService.Subscribe", from_start=True, run_ids=[run])
    assert next(one).run_id == run
    one.cancel()
    api.invalid("cursor", "EventService.Subscribe", cursor="99999999999")
    api.invalid("run_ids[0]", "EventService.Subscribe", run_ids=["x"])


def operators(api):
    agents = api.call("AdminService.ListAgents").agents
    assert len(agents) == 1 and agents[0].state == "connected", agents
    drained = api.call("AdminService.DrainAgent", agent=agents[0].name, reason="kernel").agent
    assert drained.draining
    assert not api.call("AdminService.DrainAgent", agent=agents[0].id, undo=True).agent.draining
    status = api.refused(Code.NOT_FOUND, "AdminService.DrainAgent", agent="nobody")
    assert api.detail(status, "google.rpc.ResourceInfo").resource_name == "nobody"
    sources = {source.name: source for source in api.call("AdminService.ListSources").sources}
    assert {"datadog", "generic"} <= set(sources) and "bound" in sources["generic"].bound_workflows, sources
    findings = {one.check: one for one in api.call("AdminService.Diagnose").findings}
    assert findings["store.write"].level == "ok" and findings["agents.connected"].level == "ok", findings


def deadlines(api):
    """A deadline ends a call in time, a cancelled call is gone, and neither leaves half of anything."""
    began = time.monotonic()
    try:
        for _ in api.call("EventService.Subscribe", timeout=0.5):
            pass
        raise AssertionError("a subscription has no end of its own")
    except grpc.RpcError as error:
        assert error.code() == Code.DEADLINE_EXCEEDED, error
    assert 0.4 < time.monotonic() - began < 5
    keys = [f"gone-{n}-{began}" for n in range(10)]
    rpc = api.reflection.method("firehall.v1.RunService", "Start")
    start = api.reflection.stub(rpc)
    request = api.reflection.message(rpc.input_type.full_name)
    for n, key in enumerate(keys):
        future = start.future(request(source=HELLO, idempotency_key=key), timeout=30)
        time.sleep(n * 0.001)
        future.cancel()
    ids = [api.call("RunService.Start", source=HELLO, idempotency_key=key).run_id for key in keys]
    assert len(set(ids)) == len(keys), "each key has its one run"
    listed = {run.id for run in api.call("RunService.List", limit=500, started_from_ms=1).runs}
    assert set(ids) <= listed
    for run in ids:
        api.ended(run)


def health(api):
    rpc = api.reflection.method("grpc.health.v1.Health", "Check")
    request = api.reflection.message(rpc.input_type.full_name)
    for service in ["", *(name for name in api.reflection.services() if name.startswith("firehall."))]:
        answer = api.reflection.stub(rpc)(request(service=service), timeout=20)
        assert answer.status == 1, f"{service}: {answer}"


def main(address):
    newest, older = VERSIONS
    with grpc.insecure_channel(address) as channel:
        api = Api(channel, newest)
        workflows(api)
        run = runs(api)
        cancelled_and_repeated(api)
        lists(api)
        incidents(api)
        events(api, run)
        operators(api)
        deadlines(api)
        health(api)
    with grpc.insecure_channel(address) as channel:
        api = Api(channel, older)
        workflows(api)
        runs(api)
        health(api)
    print("ok")


if __name__ == "__main__":
    main(sys.argv[1])
