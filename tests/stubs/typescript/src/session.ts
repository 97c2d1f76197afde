// Takes a container through its life, over clients of either library.

import type { DescService, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import type { ErrorInfo } from "../gen/google/rpc/error_details_pb";
import type { AuthService } from "../gen/proa/v1/auth_service_pb";
import type { ContainerService } from "../gen/proa/v1/container_service_pb";
import { ResourceState } from "../gen/proa/v1/resource_pb";
import type { ResourceService } from "../gen/proa/v1/resource_service_pb";
import { ChangeType, type ResourceChange } from "../gen/proa/v1/watch_pb";

/** Options of a call. */
export interface CallOptions {
  /** Ends the call. */
  signal?: AbortSignal;
}

/** The methods of a service: promises, and for streams of responses asynchronous iterables. */
export type Client<Service extends DescService> = {
  [Name in keyof Service["method"]]: (
    request: MessageInitShape<Service["method"][Name]["input"]>,
    options?: CallOptions,
  ) => Service["method"][Name] extends { methodKind: "unary" }
    ? Promise<MessageShape<Service["method"][Name]["output"]>>
    : AsyncIterable<MessageShape<Service["method"][Name]["output"]>>;
};

/** What a library gives for a connection to one daemon. */
export interface Library {
  auth: Client<typeof AuthService>;
  containers: Client<typeof ContainerService>;
  resources: Client<typeof ResourceService>;
  /** Sends a token with all later calls. */
  authorize(token: string): void;
  /** Returns the part of an error that programs switch on. */
  errorInfo(error: unknown): ErrorInfo | undefined;
  /** Closes the connection, without which Node does not end. */
  close(): void;
}

export async function main(connect: (address: string) => Library): Promise<void> {
  const [address, username, image, name] = process.argv.slice(2);
  const password = process.env["PROA_PASSWORD"];
  if (!address || !username || !image || !name || !password) {
    throw new Error("usage: PROA_PASSWORD=… node FILE ADDRESS USERNAME IMAGE NAME");
  }
  const library = connect(address);
  try {
    library.authorize((await library.auth.createToken({ username, password })).token);
    await run(library, image, name);
  } finally {
    library.close();
  }
}

async function run(
  { containers, resources, errorInfo }: Library,
  image: string,
  name: string,
): Promise<void> {
  const list = await resources.listResources({});
  console.log("listed", list.resources.length);

  await containers.createContainer({
    spec: { image, name, command: ["sleep", "600"] },
    start: true,
  });
  const watch = { filter: { namePrefix: name } };
  const resumeToken = await waitUntil(
    resources,
    watch,
    (change) => change.resource?.state === ResourceState.RUNNING,
  );
  console.log("running", name);

  try {
    await resources.startResource({ id: name });
  } catch (error) {
    const info = errorInfo(error);
    console.log("refused", info?.domain, info?.reason);
  }

  // Nobody watches during the delete: the resumed watch tells of it all the same.
  await resources.deleteResource({ id: name, force: true });
  await waitUntil(
    resources,
    { ...watch, resumeToken },
    (change) => change.type === ChangeType.REMOVED,
  );
  console.log("removed", name);
}

/**
 * Watches until the initial state is complete and a change is the wanted one. Returns the token
 * to resume the watch after it.
 */
async function waitUntil(
  resources: Client<typeof ResourceService>,
  request: Parameters<typeof resources.watchResources>[0],
  wanted: (change: ResourceChange) => boolean,
): Promise<string> {
  const ending = new AbortController();
  try {
    let seen = false;
    for await (const response of resources.watchResources(request, { signal: ending.signal })) {
      seen ||= response.events.some(({ event }) => event.case === "change" && wanted(event.value));
      if (seen && response.resumeToken) {
        return response.resumeToken;
      }
    }
    throw new Error("the watch ended");
  } finally {
    ending.abort();
  }
}
