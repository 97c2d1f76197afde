module example.com/stub

go 1.25

require (
	google.golang.org/genproto/googleapis/rpc v0.0.0-20261110000943-09e21b237f2c
	google.golang.org/grpc v1.85.0
	google.golang.org/protobuf v1.36.12
	proa.dev/go v0.0.0
)

replace proa.dev/go => ./gen/proa.dev/go
