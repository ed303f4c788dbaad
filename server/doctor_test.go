package server_test

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/catalogue"
	"github.com/sealwright/sealwright/server"
	"github.com/sealwright/sealwright/server/servertest"
)

// TestA26_EveryPublishedSample imports the secret of every known answer in the
// catalogue: each is taken, and each with a warning.
func TestA26_EveryPublishedSample(t *testing.T) {
	s := servertest.StartConfig(t, server.Config{Store: "memory"})
	count := 0
	for _, id := range catalogue.Names() {
		d, err := catalogue.Definition(id)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range d.Examples {
			count++
			name := "k" + strings.Repeat("x", count%3) + "-" + strings.ToLower(id) + "-" + string(rune('a'+count%26))
			body, err := json.Marshal(map[string]any{"name": name, "material": base64.StdEncoding.EncodeToString([]byte(e.Secret)), "allow_weak": true})
			if err != nil {
				t.Fatal(err)
			}
			k := must[api.Key](t, s, "POST", "/v1/keys", string(body))
			if !strings.Contains(strings.Join(k.Warnings, "\n"), "published sample") {
				t.Errorf("%s: got %q", id, k.Warnings)
			}
		}
	}
	k := must[api.Key](t, s, "POST", "/v1/keys", `{"name":"own","material":"`+base64.StdEncoding.EncodeToString([]byte("not one of the samples"))+`"}`)
	if len(k.Warnings) != 0 {
		t.Errorf("got %q", k.Warnings)
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(s.Log.String(), "imported a weak secret"); n != count || count < 100 {
		t.Errorf("got %d lines of the log for %d secrets", n, count)
	}
}

// TestRejectionsStayInMemory keeps a rejected request, has it diagnosed, and
// looks for its body in the log and in every file.
func TestRejectionsStayInMemory(t *testing.T) {
	data := t.TempDir()
	s := servertest.StartConfig(t, server.Config{Data: data, Rejections: 2, LogLevel: "debug"})
	material, text := "the material of the key that signs", "a message that nobody else may read"
	must[api.Key](t, s, "POST", "/v1/keys", `{"name":"a","material":"`+base64.StdEncoding.EncodeToString([]byte(material))+`"}`)
	request := must[api.SignedRequest](t, s, "POST", "/v1/requests/sign", `{"scheme":"github","key":"a","request":{"method":"POST","url":"https://a/","body":"`+text+`"}}`).Request
	tag := strings.TrimPrefix(request.Headers["X-Hub-Signature-256"][0], "sha256=")
	request.Body += "\r\n"
	body, err := json.Marshal(api.HTTPRequest{Scheme: "github", Key: "a", Request: request})
	if err != nil {
		t.Fatal(err)
	}
	if v := must[api.RequestVerdict](t, s, "POST", "/v1/requests/verify", string(body)); v.Valid {
		t.Fatalf("got %+v", v)
	}
	list := must[api.RejectionList](t, s, "GET", "/v1/rejections?limit=1", "")
	if list.Keep != 2 || len(list.Items) != 1 {
		t.Fatalf("got %+v", list)
	}
	d := must[api.Diagnosis](t, s, "POST", "/v1/doctor", `{"rejection":"`+list.Items[0].ID+`"}`)
	if d.Verdict != "proven" || !strings.HasPrefix(d.Cause, "body.") || d.Secret != "a v1" {
		t.Errorf("got %+v", d)
	}
	_, _, metrics := s.Do(t, "GET", "/metrics", "")
	if !strings.Contains(metrics, `sealwright_operations_total{op="doctor",outcome="ok"} 1`) {
		t.Error("the diagnosis is not counted")
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	log := s.Log.String()
	if !strings.Contains(log, `"op":"doctor"`) || !strings.Contains(log, `"verdict":"proven","cause":"`+d.Cause+`","hypotheses":`) {
		t.Errorf("logged %s", log)
	}
	places := files(t, data)
	places["the log"] = log
	for name, content := range places {
		for _, hidden := range []string{material, base64.StdEncoding.EncodeToString([]byte(material)), text, tag} {
			if strings.Contains(content, hidden) {
				t.Errorf("%q is in %s", hidden, name)
			}
		}
	}
	s = servertest.StartConfig(t, server.Config{Data: data, Rejections: 2})
	if list := must[api.RejectionList](t, s, "GET", "/v1/rejections", ""); len(list.Items) != 0 {
		t.Errorf("after a restart: got %+v", list)
	}
}
