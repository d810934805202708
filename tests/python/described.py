"""A service, message, enum or method as grpcurl's `describe` prints it: as source, with its comments."""

from google.protobuf import descriptor_pb2

TYPES = {
    value.number: value.name.removeprefix("TYPE_").lower()
    for value in descriptor_pb2.FieldDescriptorProto.Type.DESCRIPTOR.values
}
REPEATED = descriptor_pb2.FieldDescriptorProto.LABEL_REPEATED


class File:
    def __init__(self, file):
        self.file = file
        self.comments = {
            tuple(place.path): place.leading_comments for place in file.source_code_info.location if place.leading_comments
        }

    def comment(self, path, indent):
        text = self.comments.get(path, "").rstrip("\n")
        return [f"{indent}//{line}" for line in text.split("\n")] if text else []

    def field(self, field, path, indent):
        kind = f"{field.type_name}" if field.type_name else TYPES[field.type]
        label = "repeated " if field.label == REPEATED else "optional " if field.proto3_optional else ""
        return [*self.comment(path, indent), f"{indent}{label}{kind} {field.name} = {field.number};"]

    def message(self, message, path):
        lines = [*self.comment(path, ""), f"message {message.name} {{"]
        told = set()
        fields = sorted(enumerate(message.field), key=lambda one: one[1].number)
        for n, field in fields:
            if not field.HasField("oneof_index") or field.proto3_optional:
                lines += self.field(field, (*path, 2, n), "  ")
            elif field.oneof_index not in told:
                told.add(field.oneof_index)
                lines += self.comment((*path, 8, field.oneof_index), "  ")
                lines.append(f"  oneof {message.oneof_decl[field.oneof_index].name} {{")
                for m, part in fields:
                    if part.HasField("oneof_index") and part.oneof_index == field.oneof_index:
                        lines += self.field(part, (*path, 2, m), "    ")
                lines.append("  }")
        lines += [f"  reserved {one.start};" for one in message.reserved_range]
        return [*lines, "}"]

    def enum(self, enum, path):
        lines = [*self.comment(path, ""), f"enum {enum.name} {{"]
        for n, value in sorted(enumerate(enum.value), key=lambda one: one[1].number):
            lines += [*self.comment((*path, 2, n), "  "), f"  {value.name} = {value.number};"]
        return [*lines, "}"]

    def method(self, method, path, indent=""):
        stream = ("stream " * method.client_streaming, "stream " * method.server_streaming)
        text = f"rpc {method.name} ( {stream[0]}{method.input_type} ) returns ( {stream[1]}{method.output_type} );"
        return [*self.comment(path, indent), indent + text]

    def service(self, service, path):
        lines = [*self.comment(path, ""), f"service {service.name} {{"]
        for n, method in sorted(enumerate(service.method), key=lambda one: one[1].name):
            lines += self.method(method, (*path, 2, n), "  ")
        return [*lines, "}"]


def describe(reflection, symbol):
    """Raises LookupError for what the server does not have."""
    file = File(reflection.file_of(symbol))
    package = f"{file.file.package}."
    # Each kind with its number in FileDescriptorProto.
    kinds = [
        ("a message", 4, file.file.message_type, file.message),
        ("an enum", 5, file.file.enum_type, file.enum),
        ("a service", 6, file.file.service, file.service),
    ]
    for what, tag, found, text in kinds:
        for n, one in enumerate(found):
            if package + one.name == symbol:
                return "\n".join([f"{symbol} is {what}:", *text(one, (tag, n))])
    for n, service in enumerate(file.file.service):
        for m, method in enumerate(service.method):
            if f"{package}{service.name}.{method.name}" == symbol:
                return "\n".join([f"{symbol} is a method:", *file.method(method, (6, n, 2, m))])
    raise LookupError(symbol)
