package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/server"
	"github.com/sealwright/sealwright/server/servertest"
)

// TestDoctorLast has a server refuse a request and asks it why.
func TestDoctorLast(t *testing.T) {
	s := servertest.StartConfig(t, server.Config{Rejections: 5})
	flags := []string{"doctor", "--last", "--server", s.URL, "--token-file", filepath.Join(s.Data, "admin-token")}
	got := execute(strings.NewReader(""), flags...)
	if got.code == 0 || !strings.Contains(got.stderr, "rejected no request") {
		t.Errorf("without a rejection: %+v", got)
	}
	body := `{"name":"hook","material":"Z2gtd2ViaG9vay1zZWNyZXQtNGYxZDlhN2MyYg=="}`
	if status, _, answer := s.Do(t, "POST", "/v1/keys", body); status/100 != 2 {
		t.Fatalf("create: %d %s", status, answer)
	}
	request, err := os.ReadFile("../../examples/github.json")
	if err != nil {
		t.Fatal(err)
	}
	broken := strings.Replace(string(request), `"github-hook"`, `"hook"`, 1)
	broken = strings.Replace(broken, `{\"zen\":`, `{\"zen\": `, 1) // one blank more
	if status, _, answer := s.Do(t, "POST", "/v1/requests/verify", broken); status != 200 || !strings.Contains(answer, `"valid":false`) {
		t.Fatalf("verify: %d %s", status, answer)
	}
	got = execute(strings.NewReader(""), flags...)
	if got.code != 0 || !strings.Contains(got.stdout, "PROVEN: body.json_reserialized (github)") || !strings.Contains(got.stdout, "rejected at") {
		t.Errorf("the last rejection: %+v", got)
	}
	got = execute(strings.NewReader(""), append(flags, "--json")...)
	if got.code != 0 || !strings.Contains(got.stdout, `"cause": "body.json_reserialized"`) {
		t.Errorf("as JSON: %+v", got)
	}
	got = execute(strings.NewReader(""), append(flags, "--scheme", "github")...)
	if got.code != 2 || !strings.Contains(got.stderr, "--last takes scheme") {
		t.Errorf("with --scheme: %+v", got)
	}
}

// TestDoctorLastOff asks a server that keeps nothing.
func TestDoctorLastOff(t *testing.T) {
	s := servertest.Start(t)
	got := execute(strings.NewReader(""), "doctor", "--last", "--server", s.URL, "--token-file", filepath.Join(s.Data, "admin-token"))
	if got.code == 0 || !strings.Contains(got.stderr, "rejections.keep") {
		t.Errorf("result is %+v", got)
	}
}
