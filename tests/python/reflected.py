"""What a server says of itself: services and messages by reflection, v1 or v1alpha, and calls made with nothing else."""

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.rpc import error_details_pb2, status_pb2
from grpc_reflection.v1alpha import reflection_pb2

# The two versions have the same messages, in packages of their own.
VERSIONS = ("grpc.reflection.v1", "grpc.reflection.v1alpha")


class Reflection:
    """One version of a channel's reflection. Descriptors are fetched as they are needed, with their comments."""

    def __init__(self, channel, version=VERSIONS[0], timeout=20, metadata=()):
        self.channel = channel
        self.timeout = timeout
        self.metadata = metadata
        path = f"/{version}.ServerReflection/ServerReflectionInfo"
        self.ask_ = channel.stream_stream(
            path,
            request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
            response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
        )
        self.files = {}
        self.pool = descriptor_pool.DescriptorPool()

    def ask(self, **what):
        requests = iter([reflection_pb2.ServerReflectionRequest(**what)])
        try:
            answer = next(iter(self.ask_(requests, timeout=self.timeout, metadata=self.metadata)))
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.NOT_FOUND:
                raise LookupError(error.details()) from None
            raise
        if answer.HasField("error_response"):
            raise LookupError(answer.error_response.error_message)
        return answer

    def services(self):
        listed = self.ask(list_services="").list_services_response.service
        return sorted(service.name for service in listed)

    def file_of(self, symbol):
        """The file that declares a symbol, as the server gives it; it and its imports are in the pool then."""
        answer = self.ask(file_containing_symbol=symbol).file_descriptor_response.file_descriptor_proto
        files = [descriptor_pb2.FileDescriptorProto.FromString(one) for one in answer]
        self.keep(files)
        package = symbol.rsplit(".", 1)[0]
        return next(file for file in files if package.startswith(file.package))

    def keep(self, files):
        given = {file.name: file for file in files}
        for file in files:
            self.keep_one(file, given)

    def keep_one(self, file, given):
        if file.name in self.files:
            return
        self.files[file.name] = file
        for name in file.dependency:
            if name in given:
                self.keep_one(given[name], given)
            elif name not in self.files:
                answer = self.ask(file_by_filename=name).file_descriptor_response.file_descriptor_proto
                self.keep([descriptor_pb2.FileDescriptorProto.FromString(one) for one in answer])
        self.pool.AddSerializedFile(file.SerializeToString())

    def service(self, name):
        self.file_of(name)
        return self.pool.FindServiceByName(name)

    def message(self, name):
        """The class of a message."""
        try:
            found = self.pool.FindMessageTypeByName(name)
        except KeyError:
            self.file_of(name)
            found = self.pool.FindMessageTypeByName(name)
        return message_factory.GetMessageClass(found)

    def method(self, service, name):
        rpc = self.service(service).methods_by_name.get(name)
        if rpc is None:
            raise LookupError(f'service "{service}" does not include a method named "{name}"')
        return rpc

    def stub(self, rpc):
        """A callable for a method of any kind."""
        kinds = {
            (False, False): self.channel.unary_unary,
            (False, True): self.channel.unary_stream,
            (True, False): self.channel.stream_unary,
            (True, True): self.channel.stream_stream,
        }
        answer = message_factory.GetMessageClass(rpc.output_type)
        return kinds[rpc.client_streaming, rpc.server_streaming](
            f"/{rpc.containing_service.full_name}/{rpc.name}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=answer.FromString,
        )


def status_of(error):
    """A failed call as google.rpc.Status, its details included."""
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            return status_pb2.Status.FromString(value)
    return status_pb2.Status(code=error.code().value[0], message=error.details())


def bad_fields(status):
    """The field paths of a google.rpc.BadRequest."""
    bad = error_details_pb2.BadRequest()
    for detail in status.details:
        if detail.Unpack(bad):
            return [violation.field for violation in bad.field_violations]
    return []
