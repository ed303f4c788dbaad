package server_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	pb "github.com/sealwright/sealwright/proto/sealwright/v1"
)

// bareGRPC reads requests and returns their HMAC, and does nothing else: no
// token, no key, no log.
type bareGRPC struct {
	pb.UnimplementedSignaturesServer
}

func bareTag(message []byte) []byte {
	m := hmac.New(sha256.New, []byte("0123456789abcdef0123456789abcdef"))
	m.Write(message)
	return m.Sum(nil)
}

func (bareGRPC) Sign(_ context.Context, q *pb.SignRequest) (*pb.Signed, error) {
	return &pb.Signed{Tag: bareTag(q.Message)}, nil
}

func (bareGRPC) SignBatch(_ context.Context, q *pb.SignBatchRequest) (*pb.SignedBatch, error) {
	answer := &pb.SignedBatch{Items: make([]*pb.Signed, len(q.Items))}
	for i, item := range q.Items {
		answer.Items[i] = &pb.Signed{Tag: bareTag(item.Message)}
	}
	return answer, nil
}

func (bareGRPC) Stream(stream grpc.BidiStreamingServer[pb.Operation, pb.Result]) error {
	for {
		op, err := stream.Recv()
		if err != nil {
			return nil
		}
		if err := stream.Send(&pb.Result{Result: &pb.Result_Signed{Signed: &pb.Signed{Tag: bareTag(op.GetSign().GetMessage())}}}); err != nil {
			return err
		}
	}
}

// serveBareGRPC is [serveBare] of gRPC.
func serveBareGRPC(ready func(addr string)) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s := grpc.NewServer()
	pb.RegisterSignaturesServer(s, bareGRPC{})
	ready(l.Addr().String())
	return s.Serve(l)
}

// grpcLoad calls one server on 32 connections.
type grpcLoad struct {
	ctx     context.Context
	clients []pb.SignaturesClient
}

func newGRPCLoad(b *testing.B, address, token string) *grpcLoad {
	b.Helper()
	l := &grpcLoad{ctx: metadata.AppendToOutgoingContext(b.Context(), "authorization", "Bearer "+token)}
	for range connections {
		conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = conn.Close() })
		l.clients = append(l.clients, pb.NewSignaturesClient(conn))
	}
	return l
}

// run does n operations, those of one connection by do, and returns how long that
// took.
func (l *grpcLoad) run(b *testing.B, n int, do func(l *grpcLoad, connection, n int) error) time.Duration {
	b.Helper()
	start := time.Now()
	var group sync.WaitGroup
	for i := range connections {
		group.Go(func() {
			if err := do(l, i, max(n/connections, 1)); err != nil {
				b.Error(err)
			}
		})
	}
	group.Wait()
	return time.Since(start)
}

// BenchmarkGRPC is [BenchmarkREST] of the gRPC API: each of its forms beside one
// of grpc-go that only computes the HMAC, with 1 KiB messages. What is reported
// are messages, also of batches.
func BenchmarkGRPC(b *testing.B) {
	data := b.TempDir()
	bare, ours := spawn(b, "bare-grpc"), spawn(b, data, "SEALWRIGHT_TEST_GRPC=1")
	b.Cleanup(func() {
		for _, p := range []*process{bare, ours} {
			_ = p.Process.Kill()
			_ = p.Wait()
		}
	})
	raw, err := os.ReadFile(filepath.Join(data, "admin-token"))
	if err != nil {
		b.Fatal(err)
	}
	address, err := os.ReadFile(filepath.Join(data, "grpc-address"))
	if err != nil {
		b.Fatal(err)
	}
	token := strings.TrimSpace(string(raw))
	newLoad(b, ours.url, "/v1/keys", "application/json", token, `{"name":"a"}`).create(b)
	x, y := newGRPCLoad(b, strings.TrimPrefix(bare.url, "http://"), token), newGRPCLoad(b, string(address), token)

	message := []byte(strings.Repeat("0123456789abcdef", 64)) // 1 KiB
	request := &pb.SignRequest{Key: "a", Message: message}
	batch := &pb.SignBatchRequest{Key: "a"}
	for range 100 {
		batch.Items = append(batch.Items, &pb.SignItem{Message: message})
	}
	op := &pb.Operation{Operation: &pb.Operation_Sign{Sign: request}}
	forms := []struct {
		name string
		do   func(l *grpcLoad, connection, n int) error
	}{
		{"unary", func(l *grpcLoad, i, n int) error {
			for range n {
				if _, err := l.clients[i].Sign(l.ctx, request); err != nil {
					return err
				}
			}
			return nil
		}},
		{"batch=100", func(l *grpcLoad, i, n int) error {
			for range max(n/len(batch.Items), 1) {
				if _, err := l.clients[i].SignBatch(l.ctx, batch); err != nil {
					return err
				}
			}
			return nil
		}},
		{"stream", func(l *grpcLoad, i, n int) error {
			stream, err := l.clients[i].Stream(l.ctx)
			if err != nil {
				return err
			}
			go func() {
				for range n {
					if stream.Send(op) != nil {
						break // Recv says why
					}
				}
				_ = stream.CloseSend()
			}()
			for range n {
				if r, err := stream.Recv(); err != nil {
					return err
				} else if r.GetSigned() == nil {
					return os.ErrInvalid
				}
			}
			return nil
		}},
	}
	for _, form := range forms {
		b.Run(form.name, func(b *testing.B) {
			each := 1
			if form.name == "batch=100" {
				each = len(batch.Items)
			}
			compareRuns(b, bare, ours, each*connections,
				func(n int) time.Duration { return x.run(b, n, form.do) }, func(n int) time.Duration { return y.run(b, n, form.do) })
		})
	}
}
