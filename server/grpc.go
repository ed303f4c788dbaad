package server

import (
	"context"
	"fmt"
	"log/slog"
	"net"

	"github.com/sealwright/sealwright/server/internal/overload"
	"github.com/sealwright/sealwright/server/internal/rpc"
)

// grpcListener is where the gRPC API is served; the zero value is nowhere.
type grpcListener struct{ net.Listener }

// listenGRPC opens the listener of the gRPC API, if there is one.
func listenGRPC(c Config) (grpcListener, error) {
	if c.GRPCListen == "" {
		return grpcListener{}, nil
	}
	l, err := net.Listen("tcp", c.GRPCListen)
	if err != nil {
		return grpcListener{}, fmt.Errorf("listen for gRPC: %w", err)
	}
	return grpcListener{l}, nil
}

// close closes it, again if it has served.
func (g grpcListener) close() {
	if g.Listener != nil {
		_ = g.Close()
	}
}

// grpcServer is the gRPC API. A nil one does nothing.
type grpcServer struct {
	listener net.Listener
	server   *rpc.Server
	secure   bool
}

// newGRPCServer returns nil without a listener.
func newGRPCServer(c Config, g grpcListener, o rpc.Options) (*grpcServer, error) {
	if g.Listener == nil {
		return nil, nil
	}
	if c.secure.files != nil {
		o.TLS = c.secure.files.Server()
	}
	o.Limits = rpc.Limits{Message: int(min(c.BatchBody, rpc.MaxMessage)), Items: c.Items, Progress: progressTimeout}
	api, err := rpc.New(o)
	if err != nil {
		return nil, err
	}
	s := &grpcServer{listener: g.Listener, server: api, secure: o.TLS != nil}
	if rate := c.limits.connections; rate > 0 {
		s.listener = overload.LimitConnections(g.Listener, rate, true, o.Log) // what is refused is only closed: it speaks no HTTP/1.1
	}
	return s, nil
}

// start answers calls. The channel has an error when that ends by itself.
func (s *grpcServer) start() <-chan error {
	if s == nil {
		return nil
	}
	ended := make(chan error, 1)
	go func() {
		if err := s.server.Serve(s.listener); err != nil {
			ended <- err
		}
	}()
	return ended
}

// announce says where it is.
func (s *grpcServer) announce(c Config, log *slog.Logger) {
	if s == nil {
		return
	}
	address := s.listener.Addr().String()
	fmt.Fprintf(c.Stdout, "gRPC is ready on %s\n", address)
	if exposed(s.listener.Addr()) && !s.secure {
		log.Warn(msgExposed, "grpc_address", address)
	}
	log.Info("ready for gRPC", "address", address)
	if c.GRPCReady != nil {
		c.GRPCReady(address)
	}
}

// stop finishes what is in flight, for up to stopTimeout.
func (s *grpcServer) stop(ctx context.Context) {
	if s == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	s.server.Stop(ctx)
}
