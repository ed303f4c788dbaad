package gcpkms_test

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"hash/crc32"
	"net"
	"strings"
	"sync"
	"testing"

	"cloud.google.com/go/kms/apiv1/kmspb"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// against says what the tests do not show.
const against = "a fake of Google Cloud KMS over gRPC: no permissions, credentials, TLS, quotas, key states or protection levels"

const ring = "projects/p/locations/l/keyRings/r/cryptoKeys/"

// fake answers as Cloud KMS does to Encrypt, Decrypt, MacSign and MacVerify,
// with its checksums and status codes. Source: the comments of the messages
// in google/cloud/kms/v1/service.proto (Apache-2.0) and
// https://cloud.google.com/kms/docs/data-integrity-guidelines. It is not Cloud
// KMS: see against.
type fake struct {
	kmspb.UnimplementedKeyManagementServiceServer
	address string
	server  *grpc.Server
	damage  string // name of a method that answers with something damaged

	mu   sync.Mutex
	keys map[string][][]byte // by resource name; the last version is the primary one
}

func newFake(t *testing.T) *fake {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{address: l.Addr().String(), server: grpc.NewServer(), keys: map[string][][]byte{}}
	kmspb.RegisterKeyManagementServiceServer(f.server, f)
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

// options make a client connect to f.
func (f *fake) options() []option.ClientOption {
	return []option.ClientOption{
		option.WithEndpoint(f.address), option.WithoutAuthentication(),
		option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())),
	}
}

// add adds a version with this material, or a random one for nil.
func (f *fake) add(name string, material []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if material == nil {
		material = make([]byte, 32)
		rand.Read(material)
	}
	f.keys[ring+name] = append(f.keys[ring+name], material)
}

func (f *fake) versions(name string) ([][]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.keys[name] == nil {
		return nil, status.Errorf(codes.NotFound, "CryptoKey %s not found.", name)
	}
	return f.keys[name], nil
}

// material returns that of a version by its resource name.
func (f *fake) material(name string) ([]byte, error) {
	key, number, _ := strings.Cut(name, "/cryptoKeyVersions/")
	versions, err := f.versions(key)
	if err != nil {
		return nil, err
	}
	for i := range versions {
		if fmt.Sprint(i+1) == number {
			return versions[i], nil
		}
	}
	return nil, status.Errorf(codes.NotFound, "CryptoKeyVersion %s not found.", name)
}

func (f *fake) Encrypt(_ context.Context, r *kmspb.EncryptRequest) (*kmspb.EncryptResponse, error) {
	versions, err := f.versions(r.Name)
	if err != nil {
		return nil, err
	}
	aead := gcm(versions[len(versions)-1])
	nonce := make([]byte, aead.NonceSize())
	rand.Read(nonce)
	sealed := append([]byte{byte(len(versions))}, aead.Seal(nonce, nonce, r.Plaintext, r.AdditionalAuthenticatedData)...)
	return &kmspb.EncryptResponse{
		Name: fmt.Sprintf("%s/cryptoKeyVersions/%d", r.Name, len(versions)), Ciphertext: sealed,
		CiphertextCrc32C:                          sum(sealed, f.damage == "Ciphertext"),
		VerifiedPlaintextCrc32C:                   matches(r.Plaintext, r.PlaintextCrc32C) && f.damage != "Plaintext",
		VerifiedAdditionalAuthenticatedDataCrc32C: matches(r.AdditionalAuthenticatedData, r.AdditionalAuthenticatedDataCrc32C) && f.damage != "AAD",
	}, nil
}

func (f *fake) Decrypt(_ context.Context, r *kmspb.DecryptRequest) (*kmspb.DecryptResponse, error) {
	versions, err := f.versions(r.Name)
	if err != nil {
		return nil, err
	}
	if !matches(r.Ciphertext, r.CiphertextCrc32C) || !matches(r.AdditionalAuthenticatedData, r.AdditionalAuthenticatedDataCrc32C) {
		return nil, status.Error(codes.InvalidArgument, "The checksum does not match.")
	}
	refused := status.Error(codes.InvalidArgument, "Decryption failed: verify that 'name' refers to the correct CryptoKey.")
	if len(r.Ciphertext) < 1+12 || int(r.Ciphertext[0]) > len(versions) || r.Ciphertext[0] == 0 {
		return nil, refused
	}
	plain, err := gcm(versions[r.Ciphertext[0]-1]).Open(nil, r.Ciphertext[1:13], r.Ciphertext[13:], r.AdditionalAuthenticatedData)
	if err != nil {
		return nil, refused
	}
	return &kmspb.DecryptResponse{Plaintext: plain, PlaintextCrc32C: sum(plain, f.damage == "Decrypted")}, nil
}

func (f *fake) MacSign(_ context.Context, r *kmspb.MacSignRequest) (*kmspb.MacSignResponse, error) {
	material, err := f.material(r.Name)
	if err != nil {
		return nil, err
	}
	tag := tagOf(material, r.Data)
	name := r.Name
	if f.damage == "Name" {
		name += "0"
	}
	return &kmspb.MacSignResponse{
		Name: name, Mac: tag, MacCrc32C: sum(tag, f.damage == "Mac"),
		VerifiedDataCrc32C: matches(r.Data, r.DataCrc32C) && f.damage != "Data",
	}, nil
}

func (f *fake) MacVerify(_ context.Context, r *kmspb.MacVerifyRequest) (*kmspb.MacVerifyResponse, error) {
	material, err := f.material(r.Name)
	if err != nil {
		return nil, err
	}
	success := subtle.ConstantTimeCompare(tagOf(material, r.Data), r.Mac) == 1
	return &kmspb.MacVerifyResponse{
		Name: r.Name, Success: success, VerifiedSuccessIntegrity: success != (f.damage == "Success"),
		VerifiedDataCrc32C: matches(r.Data, r.DataCrc32C) && f.damage != "Data",
		VerifiedMacCrc32C:  matches(r.Mac, r.MacCrc32C) && f.damage != "Mac",
	}, nil
}

func tagOf(key, data []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(data)
	return h.Sum(nil)
}

func sum(b []byte, wrong bool) *wrapperspb.Int64Value {
	n := int64(crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)))
	if wrong {
		n ^= 1
	}
	return wrapperspb.Int64(n)
}

func matches(b []byte, want *wrapperspb.Int64Value) bool {
	return want != nil && want.Value == sum(b, false).Value
}

func gcm(key []byte) cipher.AEAD {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return aead
}
