package awssecrets_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	api "github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/sealwright/sealwright/internal/peer"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/source/awssecrets"
	"github.com/sealwright/sealwright/server/internal/source/sourcetest"
)

// against is what moto is not.
const against = "moto, a double of AWS Secrets Manager: no permissions, throttling, replicas or delay between a write and a read"

func open(t *testing.T, c awssecrets.Config) *awssecrets.Client {
	t.Helper()
	client, err := awssecrets.Open(t.Context(), c)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	return client
}

func manager(t *testing.T, m *peer.Moto) *api.Client {
	t.Helper()
	loaded, err := config.LoadDefaultConfig(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return api.NewFromConfig(loaded, func(o *api.Options) { o.BaseEndpoint = aws.String(m.URL) })
}

// set stores a text as the current version of a secret.
func set(t *testing.T, c *api.Client, name, text string) {
	t.Helper()
	_, err := c.PutSecretValue(t.Context(), &api.PutSecretValueInput{SecretId: &name, SecretString: &text})
	if err != nil {
		_, err = c.CreateSecret(t.Context(), &api.CreateSecretInput{Name: &name, SecretString: &text})
	}
	if err != nil {
		t.Fatalf("set %s: %v", name, err)
	}
}

func TestConformance(t *testing.T) {
	m := peer.StartMoto(t)
	manage := manager(t, m)
	var n atomic.Int32
	sourcetest.Run(t, func(t *testing.T) sourcetest.Subject {
		address, away := m.Proxy(t)
		prefix := fmt.Sprintf("team-%d/", n.Add(1))
		return sourcetest.Subject{
			Source: open(t, awssecrets.Config{Endpoint: address}), Against: against, Name: prefix + "a", Other: prefix + "b", Versions: true,
			Set: func(t *testing.T, name, text string) { set(t, manage, name, text) },
			Remove: func(t *testing.T, name string) {
				if _, err := manage.DeleteSecret(t.Context(), &api.DeleteSecretInput{SecretId: &name}); err != nil {
					t.Fatal(err)
				}
			},
			Break: away,
		}
	})
	t.Run("Binary", func(t *testing.T) {
		want, name := "\x00\xff\n", "binary"
		if _, err := manage.CreateSecret(t.Context(), &api.CreateSecretInput{Name: &name, SecretBinary: []byte(want)}); err != nil {
			t.Fatal(err)
		}
		p, err := open(t, awssecrets.Config{Endpoint: m.URL}).Fetch(t.Context(), name)
		if err != nil || string(p.Bytes.Expose()) != want {
			t.Errorf("Fetch: got %q, %v, want %q", p.Bytes.Expose(), err, want)
		}
	})
	t.Run("ARN", func(t *testing.T) {
		name, text := "named/by-arn", "secret"
		out, err := manage.CreateSecret(t.Context(), &api.CreateSecretInput{Name: &name, SecretString: &text})
		if err != nil {
			t.Fatal(err)
		}
		p, err := open(t, awssecrets.Config{Endpoint: m.URL}).Fetch(t.Context(), *out.ARN)
		if err != nil || string(p.Bytes.Expose()) != text || p.Version != *out.VersionId {
			t.Errorf("Fetch: got %q of version %s, %v, want %q of %s", p.Bytes.Expose(), p.Version, err, text, *out.VersionId)
		}
	})
}

// Answers of AWS that moto does not give. Source: the API reference of
// GetSecretValue, section Errors.
func TestErrors(t *testing.T) {
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_MAX_ATTEMPTS": "1",
		"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull,
	} {
		t.Setenv(name, value)
	}
	for code, want := range map[string]fault.Kind{
		"ResourceNotFoundException": fault.Invalid, "InvalidRequestException": fault.Invalid,
		"AccessDeniedException": fault.Unavailable, "DecryptionFailure": fault.Unavailable,
		"ThrottlingException": fault.Unavailable, "InternalServiceError": fault.Unavailable,
	} {
		t.Run(code, func(t *testing.T) {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if got := r.Header.Get("X-Amz-Target"); got != "secretsmanager.GetSecretValue" {
					t.Errorf("operation: got %q", got)
				}
				w.Header().Set("Content-Type", "application/x-amz-json-1.1")
				w.WriteHeader(http.StatusBadRequest)
				fmt.Fprintf(w, `{"__type":%q,"Message":"about it"}`, code)
			}))
			defer s.Close()
			c := open(t, awssecrets.Config{Region: "eu-central-1", Endpoint: s.URL})
			_, err := c.Fetch(t.Context(), "a")
			if fault.KindOf(err) != want || !strings.Contains(fault.Public(err), "secret a") {
				t.Errorf("Fetch: got %v, want kind %v", err, want)
			}
			if want == fault.Unavailable && !strings.Contains(fault.Public(err), code) {
				t.Errorf("Fetch: got %q, want the code", fault.Public(err))
			}
		})
	}
}

func TestOpenNeedsRegion(t *testing.T) {
	for _, name := range []string{"AWS_REGION", "AWS_DEFAULT_REGION"} {
		t.Setenv(name, "")
	}
	for _, name := range []string{"AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"} {
		t.Setenv(name, os.DevNull)
	}
	if _, err := awssecrets.Open(t.Context(), awssecrets.Config{}); fault.KindOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "region") {
		t.Errorf("Open: got %v", err)
	}
}
