// What the server says of itself (grpc.reflection.v1), as descriptors that messages are encoded with. Knows two messages
// of reflection by their field numbers and nothing of Firehall.

import { createFileRegistry, create, fromBinary } from '@bufbuild/protobuf';
import { BinaryReader, BinaryWriter } from '@bufbuild/protobuf/wire';
import { FileDescriptorProtoSchema, FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { call } from './wire.js';

const PATH = '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo';
// ServerReflectionRequest, ServerReflectionResponse and FileDescriptorResponse.
const FILE_BY_NAME = 3;
const FILE_BY_SYMBOL = 4;
const FILES = 4;
const FILE = 1;

// The registry of all files that define these symbols.
export async function reflect(symbols) {
  const files = new Map();
  for (const symbol of symbols) {
    for (const file of await ask(FILE_BY_SYMBOL, symbol)) await add(files, file);
  }
  return createFileRegistry(create(FileDescriptorSetSchema, { file: [...files.values()] }));
}

// What a file imports comes before it.
async function add(files, file) {
  if (files.has(file.name)) return;
  for (const name of file.dependency) {
    if (!files.has(name)) for (const imported of await ask(FILE_BY_NAME, name)) await add(files, imported);
  }
  files.set(file.name, file);
}

async function ask(field, value) {
  const request = new BinaryWriter().tag(field, 2).string(value).finish();
  const found = [];
  for await (const { message, trailers } of call(PATH, request)) {
    if (trailers && trailers['grpc-status'] !== '0') throw new Error(`${value}: ${JSON.stringify(trailers)}`);
    if (message) found.push(...each(message, FILES).flatMap((response) => each(response, FILE)));
  }
  if (found.length === 0) throw new Error(`reflection knows no ${value}`);
  return found.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes));
}

// The length-delimited fields of one number.
function each(bytes, wanted) {
  const reader = new BinaryReader(bytes);
  const found = [];
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag();
    if (field === wanted) found.push(reader.bytes());
    else reader.skip(type, field);
  }
  return found;
}
