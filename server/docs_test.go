//go:build unix

package server_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/server"
	"github.com/sealwright/sealwright/server/internal/oidc/oidctest"
	"github.com/sealwright/sealwright/server/servertest"
)

var fence = regexp.MustCompile("(?ms)^```([a-z]+)\n(.*?)^```$")

// blocks returns the blocks of a language in a page of docs/operate.
func blocks(t *testing.T, page, language string) (list []string) {
	t.Helper()
	text, err := os.ReadFile("../docs/operate/" + page)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range fence.FindAllStringSubmatch(string(text), -1) {
		if m[1] == language {
			list = append(list, m[2])
		}
	}
	if len(list) == 0 {
		t.Fatalf("%s has no block of %s", page, language)
	}
	return list
}

// needs skips a test of scripts where a program is missing.
func needs(t *testing.T, programs ...string) {
	t.Helper()
	for _, program := range programs {
		if _, err := exec.LookPath(program); err != nil {
			if os.Getenv("SEALWRIGHT_REQUIRE_PEERS") != "" {
				t.Fatalf("needs %s: %v", program, err)
			}
			t.Skipf("needs %s: %v", program, err)
		}
	}
}

// runIn runs a script and returns what it prints.
func runIn(t *testing.T, dir string, env []string, shell, script string) string {
	t.Helper()
	cmd := exec.Command(shell, "-c", script)
	var errs strings.Builder
	cmd.Dir, cmd.Env, cmd.Stderr = dir, append(os.Environ(), env...), &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", script, err, out, errs.String())
	}
	return string(out)
}

// guide is a page about a kind of callers, followed word by word against a real
// server and an issuer of the test.
type guide struct {
	*servertest.Server
	issuer *oidctest.Issuer
	page   string
	dir    string
	env    []string
}

// follow starts the server that the page configures, with the issuer of the test
// in place of the real one, and a caller that may use a key.
func follow(t *testing.T, page, caller, key string) *guide {
	t.Helper()
	needs(t, "bash", "curl", "jq")
	g := &guide{issuer: oidctest.New(t), page: page, dir: t.TempDir()}
	jwks := filepath.Join(g.dir, "jwks.json")
	if err := os.WriteFile(jwks, g.issuer.JWKS(), 0o600); err != nil {
		t.Fatal(err)
	}
	text := blocks(t, page, "yaml")[0]
	text = regexp.MustCompile(`(?m)^(    issuer:) \S+`).ReplaceAllString(text, "$1 "+g.issuer.URL)
	text = regexp.MustCompile(`(?m)^    ca_file: .*\n`).ReplaceAllString(text, "")
	text = strings.Replace(text, "/etc/sealwright/jwks.json", jwks, 1)
	g.Server = servertest.StartConfig(t, server.Config{ConfigFile: configFile(t, text)})
	must[api.Key](t, g.Server, "POST", "/v1/keys", `{"name":"`+key+`"}`)
	must[api.Caller](t, g.Server, "POST", "/v1/callers", `{"name":"`+caller+`","grants":[{"role":"signer","keys":["`+key+`"]}]}`)
	g.env = []string{"SEALWRIGHT=" + g.URL, "AUDIENCE=" + audience}
	return g
}

// run runs a script as the page has it.
func (g *guide) run(t *testing.T, shell, script string) string {
	t.Helper()
	return runIn(t, g.dir, g.env, shell, script)
}

// verifies checks a signature that a script has made.
func (g *guide) verifies(t *testing.T, key, content, answer string) {
	t.Helper()
	var signed api.Signed
	if err := json.Unmarshal([]byte(answer), &signed); err != nil {
		t.Fatalf("got %q: %v", answer, err)
	}
	body, err := json.Marshal(map[string]string{"text": content, "signature": signed.Signature})
	if err != nil {
		t.Fatal(err)
	}
	if v := must[api.Verdict](t, g.Server, "POST", "/v1/keys/"+key+"/verify", string(body)); !v.Valid {
		t.Errorf("the signature that the page makes: got %+v", v)
	}
}

func (g *guide) read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(g.dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func parseYAML(t *testing.T, text string, to any) {
	t.Helper()
	if err := yaml.Unmarshal([]byte(text), to); err != nil {
		t.Fatal(err)
	}
}

func TestGuideGitHubActions(t *testing.T) {
	g := follow(t, "github-actions.md", "release", "release")
	actions := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer of-the-runner" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]string{"value": g.issuer.Sign(g.issuer.GitHub(r.URL.Query().Get("audience"), time.Now()))})
	}))
	t.Cleanup(actions.Close)
	g.env = append(g.env, "ACTIONS_ID_TOKEN_REQUEST_URL="+actions.URL+"/token?api-version=2.0", "ACTIONS_ID_TOKEN_REQUEST_TOKEN=of-the-runner")
	var workflow struct {
		Permissions map[string]string
		Jobs        map[string]struct {
			Env   map[string]string
			Steps []struct{ Run string }
		}
	}
	parseYAML(t, blocks(t, g.page, "yaml")[1], &workflow)
	if workflow.Permissions["id-token"] != "write" || workflow.Jobs["sign"].Env["AUDIENCE"] != audience {
		t.Errorf("got %+v", workflow)
	}
	for _, step := range workflow.Jobs["sign"].Steps {
		g.run(t, "bash", step.Run)
	}
	g.verifies(t, "release", g.read(t, "artifact.bin"), g.read(t, "artifact.bin.sig.json"))
}

func TestGuideGitLab(t *testing.T) {
	g := follow(t, "gitlab.md", "release", "release")
	// As in https://docs.gitlab.com/ci/secrets/id_token_authentication/#token-payload
	now := time.Now()
	g.env = append(g.env, "SEALWRIGHT_JWT="+g.issuer.Sign(oidctest.Claims{
		"iss": g.issuer.URL, "aud": audience, "sub": "project_path:my-group/my-project:ref_type:branch:ref:main", "jti": "235b3a54",
		"iat": now.Unix(), "nbf": now.Unix() - 5, "exp": now.Unix() + 3600, "namespace_id": "72", "namespace_path": "my-group",
		"project_id": "20", "project_path": "my-group/my-project", "ref": "main", "ref_type": "branch", "ref_protected": "true",
	}))
	var pipeline struct {
		Sign struct {
			Tokens map[string]struct{ Aud string } `yaml:"id_tokens"`
			Script []string
		}
	}
	parseYAML(t, blocks(t, g.page, "yaml")[1], &pipeline)
	if pipeline.Sign.Tokens["SEALWRIGHT_JWT"].Aud != audience {
		t.Errorf("got %+v", pipeline)
	}
	g.run(t, "sh", strings.Join(pipeline.Sign.Script, "\n"))
	g.verifies(t, "release", g.read(t, "artifact.bin"), g.read(t, "artifact.bin.sig.json"))
}

func TestGuideKubernetes(t *testing.T) {
	g := follow(t, "kubernetes.md", "billing", "orders-eu")
	g.issuer.SetDown(true) // the keys are in the file
	var pod struct {
		Spec struct {
			Volumes []struct {
				Projected struct {
					Sources []struct {
						Token struct {
							Audience string
							Seconds  int `yaml:"expirationSeconds"`
						} `yaml:"serviceAccountToken"`
					}
				}
			}
		}
	}
	parseYAML(t, blocks(t, g.page, "yaml")[1], &pod)
	source := pod.Spec.Volumes[0].Projected.Sources[0].Token
	// As in https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/
	now := time.Now()
	token := g.issuer.Sign(oidctest.Claims{
		"iss": g.issuer.URL, "aud": []string{source.Audience}, "sub": "system:serviceaccount:prod:billing", "jti": "ed7b1f1c",
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Unix() + int64(source.Seconds),
		"kubernetes.io": map[string]any{
			"namespace": "prod", "serviceaccount": map[string]string{"name": "billing", "uid": "6d2b1f0a-93a1-4f5c-9f0e-2f3a8f1c7a11"},
			"pod": map[string]string{"name": "billing", "uid": "a0f2"},
		},
	})
	file := filepath.Join(g.dir, "token")
	if err := os.WriteFile(file, []byte(token), 0o600); err != nil { // the kubelet writes no line end
		t.Fatal(err)
	}
	g.env = append(g.env, "TOKEN_FILE="+file)
	scripts := blocks(t, g.page, "sh")
	g.verifies(t, "orders-eu", "hello", g.run(t, "sh", scripts[len(scripts)-1]))
}

func TestGuideCurl(t *testing.T) {
	g := follow(t, "curl.md", "nightly", "nightly")
	k := must[api.Credential](t, g.Server, "POST", "/v1/callers/nightly/credentials", `{"kind":"token"}`)
	for name, text := range map[string]string{"nightly.token": k.Secret + "\n", "backup.tar": "a backup"} {
		if err := os.WriteFile(filepath.Join(g.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	scripts := blocks(t, g.page, "bash")
	text, file, _ := strings.Cut(g.run(t, "bash", scripts[0]), "\n")
	g.verifies(t, "nightly", "hello", `{"signature":"`+text+`"}`)
	g.verifies(t, "nightly", "a backup", file)
	c := g.issuer.GitHub(audience, time.Now())
	c["sub"], c["azp"] = "nightly-export", "batch"
	g.env = append(g.env, "JWT="+g.issuer.Sign(c))
	g.verifies(t, "nightly", "hello", g.run(t, "bash", scripts[1]))
}
