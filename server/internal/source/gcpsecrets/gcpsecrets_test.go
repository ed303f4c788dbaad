package gcpsecrets_test

import (
	"context"
	"fmt"
	"hash/crc32"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/source/gcpsecrets"
	"github.com/sealwright/sealwright/server/internal/source/sourcetest"
)

// against says what the tests do not show.
const against = "a fake of Google Secret Manager over gRPC: no permissions, credentials, TLS, quotas, aliases, replication or rotation"

const secrets = "projects/p/secrets/"

// fake answers as Secret Manager does to AccessSecretVersion. Source: the
// comments of google/cloud/secretmanager/v1/service.proto (Apache-2.0). It is
// not Secret Manager: see against.
type fake struct {
	secretmanagerpb.UnimplementedSecretManagerServiceServer
	address string
	server  *grpc.Server

	mu     sync.Mutex
	damage func(*secretmanagerpb.SecretPayload)
	code   codes.Code          // answers with it; 0 means what is right
	kept   map[string][]string // versions by resource name
	gone   map[string]bool     // their newest version is destroyed
}

func newFake(t *testing.T) *fake {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{address: l.Addr().String(), server: grpc.NewServer(), kept: map[string][]string{}, gone: map[string]bool{}}
	secretmanagerpb.RegisterSecretManagerServiceServer(f.server, f)
	var group sync.WaitGroup
	group.Go(func() {
		if err := f.server.Serve(l); err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	t.Cleanup(func() {
		f.server.Stop()
		group.Wait()
	})
	return f
}

func (f *fake) set(name, text string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.kept[name] = append(f.kept[name], text)
}

func (f *fake) remove(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.gone[name] = true
}

func (f *fake) AccessSecretVersion(_ context.Context, r *secretmanagerpb.AccessSecretVersionRequest) (*secretmanagerpb.AccessSecretVersionResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.code != 0 {
		return nil, status.Error(f.code, "about it")
	}
	name, version, _ := strings.Cut(r.Name, "/versions/")
	n := len(f.kept[name])
	if version != "latest" {
		fmt.Sscan(version, &n)
	}
	switch {
	case n == 0 || n > len(f.kept[name]):
		return nil, status.Errorf(codes.NotFound, "Secret Version [%s] not found.", r.Name)
	case f.gone[name]:
		return nil, status.Errorf(codes.FailedPrecondition, "Secret Version [%s] is in DESTROYED state.", r.Name)
	}
	text := []byte(f.kept[name][n-1])
	sum := int64(crc32.Checksum(text, crc32.MakeTable(crc32.Castagnoli)))
	payload := &secretmanagerpb.SecretPayload{Data: text, DataCrc32C: &sum}
	if f.damage != nil {
		f.damage(payload)
	}
	return &secretmanagerpb.AccessSecretVersionResponse{Name: fmt.Sprintf("%s/versions/%d", name, n), Payload: payload}, nil
}

func (f *fake) open(t *testing.T) *gcpsecrets.Client {
	t.Helper()
	c, err := gcpsecrets.Open(t.Context(), gcpsecrets.Config{Endpoint: f.address, Timeout: 5 * time.Second, Options: []option.ClientOption{
		option.WithoutAuthentication(), option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())),
	}})
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return c
}

func TestConformance(t *testing.T) {
	sourcetest.Run(t, func(t *testing.T) sourcetest.Subject {
		f := newFake(t)
		return sourcetest.Subject{
			Source: f.open(t), Against: against, Name: secrets + "a", Other: secrets + "b", Versions: true,
			Set:     func(_ *testing.T, name, text string) { f.set(name, text) },
			Remove:  func(_ *testing.T, name string) { f.remove(name) },
			Strange: []string{"a", "projects/p/secrets", "projects/p/secrets/a/b", "projects/p/secrets/a/versions", "projects/p/topics/a"},
			Break:   f.server.Stop,
		}
	})
}

// A reference may name a version, and the secret of a region.
func TestNames(t *testing.T) {
	f := newFake(t)
	c := f.open(t)
	f.set(secrets+"a", "one")
	f.set(secrets+"a", "two")
	f.set("projects/p/locations/europe-west3/secrets/a", "there")
	for name, want := range map[string]string{
		secrets + "a": "two", secrets + "a/versions/latest": "two", secrets + "a/versions/1": "one",
		"projects/p/locations/europe-west3/secrets/a": "there",
	} {
		if p, err := c.Fetch(t.Context(), name); err != nil || string(p.Bytes.Expose()) != want {
			t.Errorf("Fetch %s: got %q, %v, want %q", name, p.Bytes.Expose(), err, want)
		}
	}
}

// What is damaged on the way is not taken.
func TestDamage(t *testing.T) {
	for name, damage := range map[string]func(*secretmanagerpb.SecretPayload){
		"Data":       func(p *secretmanagerpb.SecretPayload) { p.Data[0] ^= 1 },
		"NoChecksum": func(p *secretmanagerpb.SecretPayload) { p.DataCrc32C = nil },
		"NoData":     func(p *secretmanagerpb.SecretPayload) { p.Data = nil },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t)
			f.set(secrets+"a", "TOPSECRET")
			f.damage = damage
			p, err := f.open(t).Fetch(t.Context(), secrets+"a")
			if fault.KindOf(err) != fault.Unavailable || p.Bytes.Len() != 0 || !strings.Contains(err.Error(), "damaged") {
				t.Errorf("Fetch: got %d bytes, %v, want kind %v", p.Bytes.Len(), err, fault.Unavailable)
			}
		})
	}
}

func TestErrors(t *testing.T) {
	for code, want := range map[codes.Code]fault.Kind{
		codes.NotFound: fault.Invalid, codes.FailedPrecondition: fault.Invalid,
		codes.PermissionDenied: fault.Unavailable, codes.Unauthenticated: fault.Unavailable, codes.Internal: fault.Unavailable,
	} {
		f := newFake(t)
		f.code = code
		_, err := f.open(t).Fetch(t.Context(), secrets+"a")
		if fault.KindOf(err) != want || want == fault.Unavailable && !strings.Contains(fault.Public(err), code.String()) {
			t.Errorf("Fetch with %v: got %v, want kind %v", code, err, want)
		}
	}
}
