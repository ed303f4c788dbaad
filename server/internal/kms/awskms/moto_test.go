package awskms_test

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	api "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/sealwright/sealwright/internal/peer"
)

// against is what moto is not: its ciphertexts are its own, it lets everybody
// do everything, takes messages of any length, and answers AccessDenied to a
// blob of another key, where AWS answers IncorrectKey.
const against = "moto, a double of AWS KMS: no permissions, no limit of 4,096 bytes for MACs"

// server is a moto with keys.
type server struct {
	url                   string
	root, mac, mac2, gone string // ARNs; gone does not exist
}

// findMoto returns moto_server as make test installs it, or that of PATH.
func findMoto(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs("../../../../.cache/moto/bin/moto_server")
	if err == nil {
		if _, err = os.Stat(path); err == nil {
			return path
		}
	}
	if path, err = exec.LookPath("moto_server"); err != nil {
		peer.Missing(t, "needs moto_server (Python package moto[server]), which make test installs in .cache/moto")
	}
	return path
}

// start starts moto on a free port until the test ends.
func start(t *testing.T) *server {
	t.Helper()
	path := findMoto(t)
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "eu-central-1",
		"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull,
	} {
		t.Setenv(name, value)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	_, port, err := net.SplitHostPort(l.Addr().String())
	check(t, err)
	check(t, l.Close())
	var output bytes.Buffer
	cmd := exec.Command(path, "-H", "127.0.0.1", "-p", port)
	cmd.Stdout, cmd.Stderr = &output, &output
	check(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // says that it was killed
		if t.Failed() {
			t.Logf("moto: %s", &output)
		}
	})
	s := &server{url: "http://127.0.0.1:" + port}
	s.wait(t)
	s.makeKeys(t)
	return s
}

// wait waits until moto answers.
func (s *server) wait(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		r, err := http.NewRequestWithContext(ctx, "GET", s.url+"/moto-api/", nil)
		check(t, err)
		resp, err := http.DefaultClient.Do(r)
		if err == nil {
			check(t, resp.Body.Close())
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("moto does not answer: %v", err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (s *server) makeKeys(t *testing.T) {
	t.Helper()
	loaded, err := config.LoadDefaultConfig(t.Context())
	check(t, err)
	client := api.NewFromConfig(loaded, func(o *api.Options) { o.BaseEndpoint = aws.String(s.url) })
	create := func(spec types.KeySpec, usage types.KeyUsageType) string {
		out, err := client.CreateKey(t.Context(), &api.CreateKeyInput{KeySpec: spec, KeyUsage: usage})
		check(t, err)
		return *out.KeyMetadata.Arn
	}
	s.root = create(types.KeySpecSymmetricDefault, types.KeyUsageTypeEncryptDecrypt)
	s.mac = create(types.KeySpecHmac256, types.KeyUsageTypeGenerateVerifyMac)
	s.mac2 = create(types.KeySpecHmac256, types.KeyUsageTypeGenerateVerifyMac)
	s.gone = s.root[:len(s.root)-12] + "000000000000"
	_, err = client.CreateAlias(t.Context(), &api.CreateAliasInput{AliasName: aws.String("alias/root"), TargetKeyId: aws.String(s.root)})
	check(t, err)
}

// proxy returns the URL of a proxy in front of s, and what takes it away.
func (s *server) proxy(t *testing.T) (address string, away func()) {
	t.Helper()
	target, err := url.Parse(s.url)
	check(t, err)
	p := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }})
	t.Cleanup(p.Close)
	return p.URL, func() {
		p.CloseClientConnections()
		p.Close()
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
