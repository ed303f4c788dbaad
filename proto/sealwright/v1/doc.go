// Package sealwrightv1 is the gRPC API of the server in Go: its messages, and
// clients for its services [SignaturesClient] and [KeysClient].
//
// All but this comment is made from sealwright.proto with "make proto". How to
// call it, its errors and its limits are in docs/operate/grpc.md.
package sealwrightv1
