// Takes a container through its life over the stubs that protoc generates from protos/.
//
//	go run . ADDRESS USERNAME IMAGE NAME
//
// The password is in PROA_PASSWORD.
package main

import (
	"context"
	"fmt"
	"log"
	"os"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	proav1 "proa.dev/go/proa/v1"
)

func main() {
	if len(os.Args) != 5 {
		log.Fatal("usage: stub ADDRESS USERNAME IMAGE NAME")
	}
	if err := run(context.Background(), os.Args[1], os.Args[2], os.Args[3], os.Args[4]); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, address, username, image, name string) error {
	connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer connection.Close()
	resources := proav1.NewResourceServiceClient(connection)

	login, err := proav1.NewAuthServiceClient(connection).CreateToken(ctx, &proav1.CreateTokenRequest{
		Username: username, Password: os.Getenv("PROA_PASSWORD"),
	})
	if err != nil {
		return err
	}
	ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+login.GetToken())

	list, err := resources.ListResources(ctx, &proav1.ListResourcesRequest{})
	if err != nil {
		return err
	}
	fmt.Println("listed", len(list.GetResources()))

	_, err = proav1.NewContainerServiceClient(connection).CreateContainer(ctx, &proav1.CreateContainerRequest{
		Spec:  &proav1.ContainerSpec{Image: image, Name: name, Command: []string{"sleep", "600"}},
		Start: true,
	})
	if err != nil {
		return err
	}
	watch := &proav1.WatchResourcesRequest{Filter: &proav1.ResourceFilter{NamePrefix: name}}
	running := func(change *proav1.ResourceChange) bool {
		return change.GetResource().GetState() == proav1.ResourceState_RESOURCE_STATE_RUNNING
	}
	if watch.ResumeToken, err = await(ctx, resources, watch, running); err != nil {
		return err
	}
	fmt.Println("running", name)

	_, err = resources.StartResource(ctx, &proav1.StartResourceRequest{Id: name})
	info := errorInfo(err)
	fmt.Println("refused", info.GetDomain(), info.GetReason())

	// Nobody watches during the delete: the resumed watch tells of it all the same.
	if _, err = resources.DeleteResource(ctx, &proav1.DeleteResourceRequest{Id: name, Force: true}); err != nil {
		return err
	}
	removed := func(change *proav1.ResourceChange) bool {
		return change.GetType() == proav1.ChangeType_CHANGE_TYPE_REMOVED
	}
	if _, err = await(ctx, resources, watch, removed); err != nil {
		return err
	}
	fmt.Println("removed", name)
	return nil
}

// await watches until the initial state is complete and a change is the wanted one, and returns
// the token to resume the watch after it.
func await(
	ctx context.Context,
	resources proav1.ResourceServiceClient,
	request *proav1.WatchResourcesRequest,
	wanted func(*proav1.ResourceChange) bool,
) (string, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	watch, err := resources.WatchResources(ctx, request)
	if err != nil {
		return "", err
	}
	for seen := false; ; {
		response, err := watch.Recv()
		if err != nil {
			return "", err
		}
		for _, event := range response.GetEvents() {
			seen = seen || event.GetChange() != nil && wanted(event.GetChange())
		}
		if token := response.GetResumeToken(); seen && token != "" {
			return token, nil
		}
	}
}

// errorInfo returns the part of an error that programs switch on.
func errorInfo(err error) *errdetails.ErrorInfo {
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			return info
		}
	}
	return nil
}
