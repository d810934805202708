// The calls that grpc_web.mjs makes from this page: by hand over fetch, and with the client of connect-web.

import { create, fromBinary, toBinary, toJson } from '@bufbuild/protobuf';
import { Code, ConnectError, createClient } from '@connectrpc/connect';
import { createGrpcWebTransport } from '@connectrpc/connect-web';
import { call } from './wire.js';
import { reflect } from './reflection.js';

const registry = await reflect([
  'firehall.v1.RunService', 'google.rpc.BadRequest', 'firehall.v1.DefinitionErrors',
]);
const transport = createGrpcWebTransport({ baseUrl: location.origin, useBinaryFormat: true });

// By hand: all messages and the trailers; `each` sees a message when it arrives.
async function byHand(service, name, request, { signal, each = () => {} } = {}) {
  const method = registry.getService(`firehall.v1.${service}`).methods.find((one) => one.name === name);
  const encoded = toBinary(method.input, create(method.input, request));
  const answer = { messages: [], trailers: null };
  for await (const part of call(`/${method.parent.typeName}/${method.name}`, encoded, signal)) {
    if (answer.trailers) throw new Error(`${name}: a frame after the trailers`);
    if (part.trailers) {
      answer.trailers = part.trailers;
    } else {
      const message = fromBinary(method.output, part.message);
      answer.messages.push(plain(method.output, message));
      each(plain(method.output, message), answer.messages.length);
    }
  }
  if (!answer.trailers) throw new Error(`${name}: the body ended without trailers`);
  return answer;
}

function plain(schema, message) {
  return toJson(schema, message, { alwaysEmitImplicit: true });
}

// By connect-web: the messages, or the error as { code, message, details }.
async function byClient(service, name, request) {
  const described = registry.getService(`firehall.v1.${service}`);
  const method = described.methods.find((one) => one.name === name);
  const client = createClient(described, transport);
  try {
    if (method.methodKind === 'unary') {
      return { messages: [plain(method.output, await client[method.localName](request))] };
    }
    const messages = [];
    for await (const message of client[method.localName](request)) messages.push(plain(method.output, message));
    return { messages };
  } catch (error) {
    const refused = ConnectError.from(error);
    const details = ['google.rpc.BadRequest', 'firehall.v1.DefinitionErrors'].flatMap((type) => {
      const schema = registry.getMessage(type);
      return refused.findDetails(schema).map((detail) => ({ type, ...plain(schema, detail) }));
    });
    return { code: Code[refused.code], message: refused.rawMessage, details };
  }
}

// Watches a run until `count` events have come, then cancels; answers what the reader saw of it.
async function watchAndCancel(runId, count) {
  const control = new AbortController();
  const kinds = [];
  try {
    await byHand('RunService', 'Watch', { runId }, {
      signal: control.signal,
      each: (event) => {
        kinds.push(event.kind);
        if (kinds.length === count) control.abort();
      },
    });
  } catch (error) {
    return { ended: error.name, kinds };
  }
  return { ended: 'by the server', kinds };
}

Object.assign(window, { byHand, byClient, watchAndCancel, seen: [] });
document.documentElement.dataset.ready = 'yes';
