"""Calls a server by reflection alone. Argument: host:port. Every failed check ends it with a traceback."""

import sys

import grpc
from google.protobuf import descriptor_pool, message_factory
from google.rpc import error_details_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from grpc_status import rpc_status

DEFINITION = "name: py\nsteps:\n  only:\n    image: host\n    run: echo hello\n"


def caller(channel):
    database = ProtoReflectionDescriptorDatabase(channel)
    pool = descriptor_pool.DescriptorPool(database)
    assert "firehall.v1.RunService" in database.get_services(), database.get_services()

    def call(service, method, **fields):
        rpc = pool.FindServiceByName(f"firehall.v1.{service}").methods_by_name[method]
        request = message_factory.GetMessageClass(rpc.input_type)
        answer = message_factory.GetMessageClass(rpc.output_type)
        path = f"/{rpc.containing_service.full_name}/{method}"
        kind = channel.unary_stream if rpc.server_streaming else channel.unary_unary
        stub = kind(path, request_serializer=request.SerializeToString, response_deserializer=answer.FromString)
        return stub(request(**fields), timeout=20)

    return call


def refused(call, code, *args, **fields):
    try:
        call(*args, **fields)
    except grpc.RpcError as error:
        assert error.code() == code, error
        return rpc_status.from_call(error).details
    raise AssertionError(f"{args} was not refused")


def bad_request(details):
    bad = error_details_pb2.BadRequest()
    assert details[0].Unpack(bad), details
    return [violation.field for violation in bad.field_violations]


def main(address):
    with grpc.insecure_channel(address) as channel:
        call = caller(channel)
        assert not call("WorkflowService", "Compile", source=DEFINITION).diagnostics
        assert call("WorkflowService", "Put", file="py.yaml", source=DEFINITION).name == "py"
        run = call("RunService", "Start", workflow="py").run_id
        assert call("RunService", "Get", run_id=run).workflow == "py"
        first = next(iter(call("RunService", "Watch", run_id=run)))
        assert (first.seq, first.kind) == (1, "run.started"), first
        event = next(iter(call("EventService", "Subscribe", from_start=True, run_ids=[run])))
        assert (event.run_id, event.kind) == (run, "run.started"), event
        invalid = grpc.StatusCode.INVALID_ARGUMENT
        assert bad_request(refused(call, invalid, "RunService", "Get", run_id="x")) == ["run_id"]
        details = refused(call, invalid, "WorkflowService", "Put", source="name: 1\nsteps: 3\n")
        assert bad_request(details) == ["source"], details
        assert details[1].type_url == "type.googleapis.com/firehall.v1.DefinitionErrors", details
    print("ok")


if __name__ == "__main__":
    main(sys.argv[1])
