// The session over Connect, which speaks gRPC to the daemon.

import { ConnectError, createClient, type Interceptor } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { ErrorInfoSchema } from "../gen/google/rpc/error_details_pb";
import { AuthService } from "../gen/proa/v1/auth_service_pb";
import { ContainerService } from "../gen/proa/v1/container_service_pb";
import { ResourceService } from "../gen/proa/v1/resource_service_pb";
import { main, type Library } from "./session";

function connect(address: string): Library {
  let token = "";
  const bearer: Interceptor = (next) => (request) => {
    if (token) {
      request.header.set("authorization", `Bearer ${token}`);
    }
    return next(request);
  };
  const baseUrl = `http://${address}`;
  const sessionManager = new Http2SessionManager(baseUrl);
  const transport = createGrpcTransport({ baseUrl, sessionManager, interceptors: [bearer] });
  return {
    auth: createClient(AuthService, transport),
    containers: createClient(ContainerService, transport),
    resources: createClient(ResourceService, transport),
    authorize: (given) => {
      token = given;
    },
    errorInfo: (error) => ConnectError.from(error).findDetails(ErrorInfoSchema)[0],
    close: () => sessionManager.abort(),
  };
}

await main(connect);
