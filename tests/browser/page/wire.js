// gRPC-Web by hand over fetch: frames as they arrive, trailers, the status.
// https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-WEB.md

const TRAILERS = 0x80;

// Calls a method with one encoded message; yields { message } for each that arrives and { trailers } at the end.
export async function* call(path, message, signal) {
  const response = await fetch(path, {
    method: 'POST',
    headers: { 'content-type': 'application/grpc-web+proto', 'x-grpc-web': '1' },
    body: frame(message),
    signal,
  });
  if (response.status !== 200) throw new Error(`${path}: HTTP ${response.status} ${await response.text()}`);
  const type = response.headers.get('content-type');
  if (type !== 'application/grpc-web+proto') throw new Error(`${path}: content-type ${type}`);
  // An error before the first message comes as headers, without a body.
  if (response.headers.has('grpc-status')) {
    yield { trailers: Object.fromEntries(response.headers) };
    return;
  }
  for await (const { flags, body } of frames(response.body.getReader())) {
    if (flags & TRAILERS) {
      yield { trailers: trailers(new TextDecoder().decode(body)) };
    } else {
      yield { message: body };
    }
  }
}

function frame(message) {
  const framed = new Uint8Array(5 + message.length);
  new DataView(framed.buffer).setUint32(1, message.length);
  framed.set(message, 5);
  return framed;
}

async function* frames(reader) {
  let held = new Uint8Array(0);
  for (;;) {
    while (held.length >= 5) {
      const length = new DataView(held.buffer, held.byteOffset).getUint32(1);
      if (held.length < 5 + length) break;
      yield { flags: held[0], body: held.slice(5, 5 + length) };
      held = held.slice(5 + length);
    }
    const { done, value } = await reader.read();
    if (done) break;
    held = Uint8Array.from([...held, ...value]);
  }
  if (held.length > 0) throw new Error(`${held.length} bytes after the last frame`);
}

function trailers(text) {
  return Object.fromEntries(text.split('\r\n').filter(Boolean).map((line) => {
    const colon = line.indexOf(':');
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
  }));
}
