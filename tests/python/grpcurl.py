"""The part of grpcurl's command line that the documents use, for machines without it: `-plaintext` only, schemas by
reflection only. Flags, output, errors and exit codes are those of github.com/fullstorydev/grpcurl (cmd/grpcurl, format.go):
0 well, 64 + gRPC's code for a call that failed, 1 for what kept it from being made, 2 for a wrong command line."""

import json
import sys

import grpc
from google.protobuf import json_format, symbol_database

from described import describe
from reflected import VERSIONS, Reflection, status_of

# Go's names of the codes.
CODES = (
    "OK Canceled Unknown InvalidArgument DeadlineExceeded NotFound AlreadyExists PermissionDenied ResourceExhausted "
    "FailedPrecondition Aborted OutOfRange Unimplemented Internal Unavailable DataLoss Unauthenticated"
).split()
OFFSET = 64

USAGE = """Usage:
	grpcurl [flags] [address] [list|describe] [symbol]

A subset: schemas come by reflection, connections are plaintext.

Available flags:
"""
# Whether each flag takes a value, and what it is.
FLAGS = {
    "H": (True, "Additional headers in 'name: value' format."),
    "allow-unknown-fields": (False, "Ignore unknown fields in request data."),
    "connect-timeout": (True, "Seconds to wait for a connection. Defaults to 10."),
    "d": (True, "Data for request contents; '@' reads standard input."),
    "emit-defaults": (False, "Emit default values for JSON-encoded responses."),
    "help": (False, "Print usage instructions and exit."),
    "keep-proto-names": (False, "Use the original protobuf name for fields in responses."),
    "max-msg-sz": (True, "The largest response, bytes. Defaults to 4,194,304."),
    "max-time": (True, "Seconds that the operation can take in all."),
    "plaintext": (False, "Use plain-text HTTP/2 when connecting to server (no TLS)."),
}


class Failed(Exception):
    """Ends the program; `usage` when the command line is wrong."""

    def __init__(self, text, usage=False):
        super().__init__(text)
        self.usage = usage


def usage():
    lines = [f"  -{name}{' value' if takes else ''}\n    \t{text}" for name, (takes, text) in sorted(FLAGS.items())]
    return USAGE + "\n".join(lines)


def parse(words):
    """Go's flag package: flags come first, with one dash or two, `-d X` or `-d=X`; `--` ends them."""
    flags = {"H": []}
    words = list(words)
    while words and words[0].startswith("-") and words[0] != "-":
        word = words.pop(0)
        if word == "--":
            break
        name, equals, value = word.lstrip("-").partition("=")
        if name not in FLAGS:
            raise Failed(f"flag provided but not defined: -{name}\n{usage()}", usage=True)
        takes, _ = FLAGS[name]
        if takes and not equals:
            if not words:
                raise Failed(f"flag needs an argument: -{name}\n{usage()}", usage=True)
            value = words.pop(0)
        if name == "H":
            flags["H"].append(value)
        else:
            flags[name] = value if takes else value in ("", "1", "t", "T", "true", "TRUE", "True")
    return flags, words


def number(flags, name, kind=float):
    if name not in flags:
        return None
    try:
        found = kind(flags[name])
    except ValueError:
        raise Failed(f'invalid value "{flags[name]}" for flag -{name}: parse error\n{usage()}', usage=True) from None
    if found < 0:
        raise Failed(f"The -{name} argument must not be negative.", usage=True)
    return found or None


def requests(text):
    """JSON objects one behind the other."""
    decoder, at = json.JSONDecoder(), 0
    while text[at:].strip():
        at += len(text[at:]) - len(text[at:].lstrip())
        found, at = decoder.raw_decode(text, at)
        yield found


def as_json(message, flags, pool):
    found = json_format.MessageToDict(
        message,
        always_print_fields_with_no_presence=bool(flags.get("emit-defaults")),
        preserving_proto_field_name=bool(flags.get("keep-proto-names")),
        descriptor_pool=pool,
    )
    text = json.dumps(found, indent=2, ensure_ascii=False)
    # As Go's encoding/json writes them.
    for char in "<>&\u2028\u2029":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text


def print_status(error, flags, reflection):
    """A failed call, as PrintStatus of grpcurl does; the exit code."""
    status = status_of(error)
    print(f"ERROR:\n  Code: {CODES[status.code]}\n  Message: {status.message}", file=sys.stderr)
    for n, detail in enumerate(status.details, 1):
        if n == 1:
            print("  Details:", file=sys.stderr)
        try:
            reflection.message(detail.type_url.rsplit("/", 1)[-1])
            text = as_json(detail, flags, reflection.pool)
        except (LookupError, TypeError) as why:
            text = f"Error parsing detail message: {why}"
        lines = text.split("\n")
        rest = [f"    \t{line}" for line in lines[1:]]
        print("\n".join([f"  {n})\t{lines[0]}", *rest]), file=sys.stderr)
    return OFFSET + status.code


def invoke(reflection, flags, symbol, timeout, metadata):
    service, _, name = symbol.rpartition("/" if "/" in symbol else ".")
    try:
        if service not in reflection.services():
            raise LookupError(f'target server does not expose service "{service}"')
        rpc = reflection.method(service, name)
        text = sys.stdin.read() if flags.get("d") == "@" else flags.get("d", "")
        kind = reflection.message(rpc.input_type.full_name)
        messages = [
            json_format.ParseDict(
                found,
                kind(),
                ignore_unknown_fields=bool(flags.get("allow-unknown-fields")),
                descriptor_pool=reflection.pool,
            )
            for found in requests(text)
        ]
    except LookupError as why:
        raise Failed(f'Error invoking method "{symbol}": {why}') from None
    except (json_format.ParseError, json.JSONDecodeError) as why:
        raise Failed(f'Error invoking method "{symbol}": error getting request data: {why}') from None
    if not rpc.client_streaming:
        if len(messages) > 1:
            raise Failed(
                f'Error invoking method "{symbol}": method "{rpc.full_name}" is a unary RPC, but request data contained more '
                "than 1 message"
            )
        messages = messages or [kind()]
    sent = iter(messages) if rpc.client_streaming else messages[0]
    try:
        answer = reflection.stub(rpc)(sent, timeout=timeout, metadata=metadata)
        for message in answer if rpc.server_streaming else [answer]:
            print(as_json(message, flags, reflection.pool), flush=True)
    except grpc.RpcError as error:
        return print_status(error, flags, reflection)
    return 0


def connect(flags, address, timeout):
    if not flags.get("plaintext"):
        raise Failed(f'Failed to dial target host "{address}": tls: this subset of grpcurl has no TLS: give -plaintext')
    size = number(flags, "max-msg-sz", int) or 4 * 1024 * 1024
    channel = grpc.insecure_channel(address, options=[("grpc.max_receive_message_length", size)])
    wait = min(number(flags, "connect-timeout") or 10, timeout or 10)
    try:
        grpc.channel_ready_future(channel).result(timeout=wait)
    except grpc.FutureTimeoutError:
        channel.close()
        raise Failed(f'Failed to dial target host "{address}": context deadline exceeded') from None
    return channel


def reflection_of(channel, timeout, metadata):
    """The newest version that the server has."""
    for version in VERSIONS:
        reflection = Reflection(channel, version, timeout, metadata)
        try:
            reflection.services()
            return reflection
        except grpc.RpcError as error:
            if error.code() != grpc.StatusCode.UNIMPLEMENTED:
                raise Failed(f"Failed to list services: {error.details()}") from None
    raise Failed("Failed to list services: server does not support the reflection API")


def run(flags, words):
    if flags.get("help"):
        print(usage(), file=sys.stderr)
        return 0
    address = words.pop(0) if words and words[0] not in ("list", "describe") else None
    if not words:
        raise Failed("Too few arguments.", usage=True)
    verb = words.pop(0) if words[0] in ("list", "describe") else "invoke"
    if verb == "invoke" and not address:
        raise Failed("No host:port specified.", usage=True)
    symbol = words.pop(0) if words else None
    if words:
        raise Failed("Too many arguments.", usage=True)
    if not address:
        raise Failed("No host:port specified, no protoset specified, and no proto sources specified.", usage=True)
    timeout = number(flags, "max-time")
    headers = [header.partition(":") for header in flags["H"]]
    metadata = [(name.strip().lower(), value.strip()) for name, _, value in headers]
    with connect(flags, address, timeout) as channel:
        reflection = reflection_of(channel, timeout, metadata)
        if verb == "invoke":
            return invoke(reflection, flags, symbol, timeout, metadata)
        try:
            if verb == "describe":
                for one in [symbol.lstrip(".")] if symbol else reflection.services():
                    print(describe(reflection, one))
            else:
                found = reflection.services()
                if symbol:
                    found = sorted(method.full_name for method in reflection.service(symbol).methods)
                print("\n".join(found))
        except LookupError:
            what = f'resolve symbol "{symbol}"' if verb == "describe" else f'list methods for service "{symbol}"'
            raise Failed(f"Failed to {what}: Symbol not found: {symbol}") from None
    return 0


def main(words):
    try:
        return run(*parse(words))
    except Failed as why:
        print(why, file=sys.stderr)
        if not why.usage:
            return 1
        print("Try 'grpcurl -help' for more details.", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
