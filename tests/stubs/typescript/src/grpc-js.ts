// The session over @grpc/grpc-js, with the messages that protoc-gen-es generates.

import {
  create,
  fromBinary,
  toBinary,
  type DescMethod,
  type DescService,
  type MessageInitShape,
} from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import * as grpc from "@grpc/grpc-js";
import { ErrorInfoSchema } from "../gen/google/rpc/error_details_pb";
import { StatusSchema } from "../gen/google/rpc/status_pb";
import { AuthService } from "../gen/proa/v1/auth_service_pb";
import { ContainerService } from "../gen/proa/v1/container_service_pb";
import { ResourceService } from "../gen/proa/v1/resource_service_pb";
import { main, type CallOptions, type Client, type Library } from "./session";

/** Binds the methods of a service to a channel. */
function bind<Service extends DescService>(
  service: Service,
  channel: grpc.Client,
  metadata: grpc.Metadata,
): Client<Service> {
  const methods = service.methods.map((method) => [method.localName, bindMethod(method)]);
  return Object.fromEntries(methods) as Client<Service>;

  function bindMethod(method: DescMethod) {
    type Input = MessageInitShape<typeof method.input>;
    const path = `/${method.parent.typeName}/${method.name}`;
    const encode = (request: Input) =>
      Buffer.from(toBinary(method.input, create(method.input, request)));
    const decode = (bytes: Uint8Array) => fromBinary(method.output, bytes);
    if (method.methodKind === "server_streaming") {
      return (request: Input, { signal }: CallOptions = {}) => {
        const stream = channel.makeServerStreamRequest(path, encode, decode, request, metadata);
        signal?.addEventListener("abort", () => {
          // The reader has left: the status of the cancelled call is told to nobody.
          stream.on("error", () => {}).cancel();
        });
        return stream;
      };
    }
    return (request: Input) =>
      new Promise((resolve, reject) => {
        channel.makeUnaryRequest(path, encode, decode, request, metadata, (error, response) =>
          error ? reject(error) : resolve(response),
        );
      });
  }
}

function connect(address: string): Library {
  const channel = new grpc.Client(address, grpc.credentials.createInsecure());
  const metadata = new grpc.Metadata();
  return {
    auth: bind(AuthService, channel, metadata),
    containers: bind(ContainerService, channel, metadata),
    resources: bind(ResourceService, channel, metadata),
    authorize: (token) => metadata.set("authorization", `Bearer ${token}`),
    errorInfo: (error) => {
      const [bytes] = (error as grpc.ServiceError).metadata.get("grpc-status-details-bin");
      const details = bytes instanceof Buffer ? fromBinary(StatusSchema, bytes).details : [];
      return details.map((any) => anyUnpack(any, ErrorInfoSchema)).find((info) => info);
    },
    close: () => channel.close(),
  };
}

await main(connect);
