// Takes a container through its life over the stubs that protoc generates from protos/.
//
//     stub ADDRESS USERNAME IMAGE NAME
//
// The password is in PROA_PASSWORD.

#include <cstdlib>
#include <exception>
#include <functional>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>

#include <google/rpc/error_details.pb.h>
#include <google/rpc/status.pb.h>
#include <grpcpp/grpcpp.h>

#include "proa/v1/auth_service.grpc.pb.h"
#include "proa/v1/container_service.grpc.pb.h"
#include "proa/v1/resource_service.grpc.pb.h"

namespace {

namespace v1 = proa::v1;

// A call with a token, as metadata: call credentials would want TLS.
class Call : public grpc::ClientContext {
 public:
  explicit Call(const std::string& token) {
    AddMetadata("authorization", "Bearer " + token);
  }
};

void Check(const grpc::Status& status) {
  if (!status.ok()) throw std::runtime_error(status.error_message());
}

// Returns the part of an error that programs switch on.
google::rpc::ErrorInfo ErrorInfo(const grpc::Status& status) {
  google::rpc::Status details;
  google::rpc::ErrorInfo info;
  if (details.ParseFromString(status.error_details())) {
    for (const auto& detail : details.details()) {
      if (detail.UnpackTo(&info)) break;
    }
  }
  return info;
}

// Watches until the initial state is complete and a change is the wanted one. Returns the token
// to resume the watch after it.
std::string Await(v1::ResourceService::Stub& resources, const std::string& token,
                  const v1::WatchResourcesRequest& request,
                  const std::function<bool(const v1::ResourceChange&)>& wanted) {
  Call call(token);
  const auto watch = resources.WatchResources(&call, request);
  v1::WatchResourcesResponse response;
  for (bool seen = false; watch->Read(&response);) {
    for (const auto& event : response.events()) {
      seen = seen || (event.has_change() && wanted(event.change()));
    }
    if (seen && !response.resume_token().empty()) {
      call.TryCancel();
      return response.resume_token();
    }
  }
  Check(watch->Finish());
  throw std::runtime_error("the watch ended");
}

void Run(const std::string& address, const std::string& username, const std::string& image,
         const std::string& name) {
  const char* password = std::getenv("PROA_PASSWORD");
  if (password == nullptr) throw std::runtime_error("PROA_PASSWORD is not set");
  const auto channel = grpc::CreateChannel(address, grpc::InsecureChannelCredentials());
  const auto auth = v1::AuthService::NewStub(channel);
  const auto containers = v1::ContainerService::NewStub(channel);
  const auto resources = v1::ResourceService::NewStub(channel);

  v1::CreateTokenRequest credentials;
  credentials.set_username(username);
  credentials.set_password(password);
  v1::CreateTokenResponse login;
  grpc::ClientContext anonymous;
  Check(auth->CreateToken(&anonymous, credentials, &login));
  const std::string& token = login.token();

  v1::ListResourcesResponse list;
  Call listing(token);
  Check(resources->ListResources(&listing, {}, &list));
  std::cout << "listed " << list.resources_size() << '\n';

  v1::CreateContainerRequest create;
  create.mutable_spec()->set_image(image);
  create.mutable_spec()->set_name(name);
  for (const char* word : {"sleep", "600"}) create.mutable_spec()->add_command(word);
  create.set_start(true);
  v1::CreateContainerResponse created;
  Call creating(token);
  Check(containers->CreateContainer(&creating, create, &created));

  v1::WatchResourcesRequest watch;
  watch.mutable_filter()->set_name_prefix(name);
  watch.set_resume_token(Await(*resources, token, watch, [](const auto& change) {
    return change.resource().state() == v1::RESOURCE_STATE_RUNNING;
  }));
  std::cout << "running " << name << '\n';

  v1::StartResourceRequest start;
  start.set_id(name);
  v1::StartResourceResponse started;
  Call starting(token);
  const auto info = ErrorInfo(resources->StartResource(&starting, start, &started));
  std::cout << "refused " << info.domain() << ' ' << info.reason() << '\n';

  // Nobody watches during the delete: the resumed watch tells of it all the same.
  v1::DeleteResourceRequest remove;
  remove.set_id(name);
  remove.set_force(true);
  v1::DeleteResourceResponse deleted;
  Call deleting(token);
  Check(resources->DeleteResource(&deleting, remove, &deleted));
  Await(*resources, token, watch,
        [](const auto& change) { return change.type() == v1::CHANGE_TYPE_REMOVED; });
  std::cout << "removed " << name << '\n';
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) {
    std::cerr << "usage: stub ADDRESS USERNAME IMAGE NAME\n";
    return 2;
  }
  try {
    Run(argv[1], argv[2], argv[3], argv[4]);
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
