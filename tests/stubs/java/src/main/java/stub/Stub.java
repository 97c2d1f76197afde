package stub;

import com.google.rpc.ErrorInfo;
import dev.proa.v1.AuthServiceGrpc;
import dev.proa.v1.ChangeType;
import dev.proa.v1.ContainerServiceGrpc;
import dev.proa.v1.ContainerSpec;
import dev.proa.v1.CreateContainerRequest;
import dev.proa.v1.CreateTokenRequest;
import dev.proa.v1.DeleteResourceRequest;
import dev.proa.v1.ListResourcesRequest;
import dev.proa.v1.ResourceChange;
import dev.proa.v1.ResourceFilter;
import dev.proa.v1.ResourceServiceGrpc;
import dev.proa.v1.ResourceServiceGrpc.ResourceServiceBlockingStub;
import dev.proa.v1.ResourceState;
import dev.proa.v1.StartResourceRequest;
import dev.proa.v1.WatchEvent;
import dev.proa.v1.WatchResourcesRequest;
import io.grpc.Channel;
import io.grpc.ClientInterceptors;
import io.grpc.Context;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import io.grpc.stub.MetadataUtils;
import java.util.List;
import java.util.function.Predicate;

/**
 * Takes a container through its life over the stubs that are generated from {@code protos/}.
 *
 * <p>Arguments: ADDRESS USERNAME IMAGE NAME. The password is in PROA_PASSWORD.
 */
public final class Stub {
  private static final Metadata.Key<String> AUTHORIZATION =
      Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);

  private Stub() {}

  public static void main(String[] arguments) throws Exception {
    ManagedChannel channel =
        Grpc.newChannelBuilder(arguments[0], InsecureChannelCredentials.create()).build();
    try {
      run(channel, arguments[1], arguments[2], arguments[3]);
    } finally {
      channel.shutdownNow();
    }
  }

  private static void run(Channel anonymous, String username, String image, String name)
      throws Exception {
    var credentials =
        CreateTokenRequest.newBuilder()
            .setUsername(username)
            .setPassword(System.getenv("PROA_PASSWORD"))
            .build();
    String token = AuthServiceGrpc.newBlockingStub(anonymous).createToken(credentials).getToken();
    var headers = new Metadata();
    headers.put(AUTHORIZATION, "Bearer " + token);
    Channel channel =
        ClientInterceptors.intercept(
            anonymous, MetadataUtils.newAttachHeadersInterceptor(headers));
    var resources = ResourceServiceGrpc.newBlockingStub(channel);

    var list = resources.listResources(ListResourcesRequest.getDefaultInstance());
    System.out.println("listed " + list.getResourcesCount());

    var spec =
        ContainerSpec.newBuilder()
            .setImage(image)
            .setName(name)
            .addAllCommand(List.of("sleep", "600"));
    ContainerServiceGrpc.newBlockingStub(channel)
        .createContainer(CreateContainerRequest.newBuilder().setSpec(spec).setStart(true).build());
    var watch =
        WatchResourcesRequest.newBuilder()
            .setFilter(ResourceFilter.newBuilder().setNamePrefix(name))
            .build();
    String resumeToken =
        await(
            resources,
            watch,
            change -> change.getResource().getState() == ResourceState.RESOURCE_STATE_RUNNING);
    System.out.println("running " + name);

    try {
      resources.startResource(StartResourceRequest.newBuilder().setId(name).build());
    } catch (StatusRuntimeException error) {
      ErrorInfo info = errorInfo(error);
      System.out.println("refused " + info.getDomain() + " " + info.getReason());
    }

    // Nobody watches during the delete: the resumed watch tells of it all the same.
    resources.deleteResource(
        DeleteResourceRequest.newBuilder().setId(name).setForce(true).build());
    await(
        resources,
        watch.toBuilder().setResumeToken(resumeToken).build(),
        change -> change.getType() == ChangeType.CHANGE_TYPE_REMOVED);
    System.out.println("removed " + name);
  }

  /**
   * Watches until the initial state is complete and a change is the wanted one.
   *
   * @return the token to resume the watch after it
   */
  private static String await(
      ResourceServiceBlockingStub resources,
      WatchResourcesRequest request,
      Predicate<ResourceChange> wanted)
      throws Exception {
    try (var context = Context.current().withCancellation()) {
      return context.call(
          () -> {
            boolean seen = false;
            for (var watch = resources.watchResources(request); watch.hasNext(); ) {
              var response = watch.next();
              seen |=
                  response.getEventsList().stream()
                      .filter(WatchEvent::hasChange)
                      .map(WatchEvent::getChange)
                      .anyMatch(wanted);
              if (seen && !response.getResumeToken().isEmpty()) {
                return response.getResumeToken();
              }
            }
            throw new IllegalStateException("the watch ended");
          });
    }
  }

  /** Returns the part of an error that programs switch on. */
  private static ErrorInfo errorInfo(StatusRuntimeException error) throws Exception {
    for (var detail : StatusProto.fromThrowable(error).getDetailsList()) {
      if (detail.is(ErrorInfo.class)) {
        return detail.unpack(ErrorInfo.class);
      }
    }
    throw error;
  }
}
