package rpc

import (
	"io"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"

	pb "github.com/sealwright/sealwright/proto/sealwright/v1"
)

// lookEvery is how often Watch looks whether the server still serves.
const lookEvery = time.Second

// health is the service grpc.health.v1.Health. It needs no token, as /readyz of
// the HTTP API.
func (s *Server) health() grpc.ServiceDesc {
	return grpc.ServiceDesc{
		ServiceName: healthpb.Health_ServiceDesc.ServiceName,
		Metadata:    healthpb.Health_ServiceDesc.Metadata,
		Streams: []grpc.StreamDesc{
			{StreamName: "Check", Handler: s.checkHealth},
			{StreamName: "Watch", Handler: s.watchHealth, ServerStreams: true},
			{StreamName: "List", Handler: s.listHealth},
		},
	}
}

// healthy are the services that have a state: all together, and each.
func healthy() []string {
	return []string{"", pb.Signatures_ServiceDesc.ServiceName, pb.Keys_ServiceDesc.ServiceName}
}

// serving returns the state of all services: it is one.
func (s *Server) serving() healthpb.HealthCheckResponse_ServingStatus {
	select {
	case <-s.stopping:
		return healthpb.HealthCheckResponse_NOT_SERVING
	default:
	}
	if s.o.Ready != nil && !s.o.Ready() || s.o.Usable != nil && s.o.Usable() != nil {
		return healthpb.HealthCheckResponse_NOT_SERVING
	}
	return healthpb.HealthCheckResponse_SERVING
}

// askedFor reads a request about one service, and reports whether it is one.
func (s *Server) askedFor(stream grpc.ServerStream) (bool, error) {
	q := new(healthpb.HealthCheckRequest)
	if err := s.receiveOpen(stream, q); err != nil {
		return false, err
	}
	return slices.Contains(healthy(), q.Service), nil
}

// receiveOpen reads a request of a call that needs no token.
func (s *Server) receiveOpen(stream grpc.ServerStream, m any) error {
	err := receive(stream, m, min(s.o.Limits.Progress, 5*time.Second))
	if err == nil || err == io.EOF {
		return err
	}
	return problemOf(err).status()
}

func (s *Server) checkHealth(_ any, stream grpc.ServerStream) error {
	known, err := s.askedFor(stream)
	if err != nil {
		return err
	}
	if !known {
		return status.Error(codes.NotFound, "no such service")
	}
	return stream.SendMsg(&healthpb.HealthCheckResponse{Status: s.serving()})
}

func (s *Server) watchHealth(_ any, stream grpc.ServerStream) error {
	known, err := s.askedFor(stream)
	if err != nil {
		return err
	}
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	last := healthpb.HealthCheckResponse_ServingStatus(-1)
	for {
		now := healthpb.HealthCheckResponse_SERVICE_UNKNOWN
		if known {
			now = s.serving()
		}
		if now != last {
			if err := stream.SendMsg(&healthpb.HealthCheckResponse{Status: now}); err != nil {
				return err
			}
			last = now
		}
		select {
		case <-look.C:
		case <-stream.Context().Done():
			return status.FromContextError(stream.Context().Err()).Err()
		case <-s.stopping:
			return status.Error(codes.Unavailable, "the server is stopping")
		}
	}
}

func (s *Server) listHealth(_ any, stream grpc.ServerStream) error {
	if err := s.receiveOpen(stream, new(healthpb.HealthListRequest)); err != nil {
		return err
	}
	all := map[string]*healthpb.HealthCheckResponse{}
	for _, name := range healthy() {
		all[name] = &healthpb.HealthCheckResponse{Status: s.serving()}
	}
	return stream.SendMsg(&healthpb.HealthListResponse{Statuses: all})
}

// registerReflection adds the service grpc.reflection.v1.ServerReflection. It
// needs no token, as /openapi.json of the HTTP API.
func (s *Server) registerReflection() {
	impl := reflection.NewServerV1(reflection.ServerOptions{Services: s.grpc})
	s.grpc.RegisterService(&grpc.ServiceDesc{
		ServiceName: reflectionpb.ServerReflection_ServiceDesc.ServiceName,
		Metadata:    reflectionpb.ServerReflection_ServiceDesc.Metadata,
		Streams: []grpc.StreamDesc{{
			StreamName: reflectionpb.ServerReflection_ServiceDesc.Streams[0].StreamName, ClientStreams: true, ServerStreams: true,
			Handler: func(_ any, stream grpc.ServerStream) error {
				return reflectionpb.ServerReflection_ServiceDesc.Streams[0].Handler(impl, impatient{stream, s})
			},
		}},
	}, nil)
}

// impatient is a stream that waits for its next request as long as calls without
// a token may.
type impatient struct {
	grpc.ServerStream
	s *Server
}

// RecvMsg implements grpc.ServerStream.
func (i impatient) RecvMsg(m any) error { return i.s.receiveOpen(i.ServerStream, m) }
