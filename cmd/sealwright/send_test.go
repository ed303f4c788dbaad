package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/catalogue"
	"github.com/sealwright/sealwright/cmd/sealwright/internal/delivery"
	"github.com/sealwright/sealwright/scheme"
)

// receiver is a server for deliveries. It answers by the path: /ok, /refused,
// /moved, /long, and /never until the sender hangs up.
func receiver(t *testing.T) *httptest.Server {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/ok", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("X-Request-Type", r.Header.Get("Content-Type"))
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("/refused", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, "no:\x1b[2J\xff\nreally")
	})
	mux.Handle("/moved", http.RedirectHandler("/ok", http.StatusTemporaryRedirect))
	mux.HandleFunc("/long", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, strings.Repeat("long line\n", delivery.MaxShown))
	})
	mux.HandleFunc("/never", func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // else the end of the request is not noticed
		<-r.Context().Done()
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

// TestSendEveryPreset sends a delivery of every preset that can sign to a
// receiver that verifies it.
func TestSendEveryPreset(t *testing.T) {
	var mu sync.Mutex
	var got sealwright.Message
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			t.Error(err)
		}
		got = sealwright.Message{Method: r.Method, Scheme: "http", Host: r.Host, Target: r.RequestURI, Header: r.Header, Body: body}
	}))
	t.Cleanup(server.Close)
	sent := 0
	for _, name := range catalogue.Names() {
		d, err := catalogue.Definition(name)
		if err != nil {
			t.Fatal(err)
		}
		v := d.Examples[0]
		if v.Response != nil {
			continue // it signs responses
		}
		t.Run(name, func(t *testing.T) {
			to := server.URL + deliveryPath(t, &v)
			args := []string{"send", "--scheme", name, "--secret-file", writeFile(t, "secret.txt", v.Secret), "--key-id", v.KeyID, "--to", to}
			params := scheme.Params{}
			for p, values := range v.Params {
				if p == "public_url" {
					continue // the receiver is known by its own URL here
				}
				params[p] = values
				for _, value := range values {
					args = append(args, "--param", p+"="+value)
				}
			}
			out := execute(nil, args...)
			if strings.Contains(out.stderr, sealwright.ErrCannotSign.Error()) {
				t.Skip("it cannot sign")
			}
			if out.code != exitOK || out.stderr != "" {
				t.Fatalf("got %+v", out)
			}
			sent++
			if len(v.Secret) > 8 && strings.Contains(out.stdout, v.Secret) { // attack A27
				t.Errorf("the secret is shown in %s", out.stdout)
			}
			s, err := d.New(params)
			if err != nil {
				t.Fatal(err)
			}
			ring, err := v.Ring()
			if err != nil {
				t.Fatal(err)
			}
			mu.Lock()
			defer mu.Unlock()
			verifier := sealwright.Verifier{Scheme: s, Ring: ring}
			if _, err := verifier.Verify(got, time.Now()); err != nil {
				t.Errorf("%v\n%s", err, out.stdout)
			}
		})
	}
	if sent < 100 {
		t.Errorf("sent %d deliveries, want most presets", sent)
	}
}

// deliveryPath returns the target of the vector, which some schemes demand.
func deliveryPath(t *testing.T, v *scheme.Vector) string {
	t.Helper()
	_, _, target, err := sealwright.SplitURL(v.Request.URL)
	if err != nil {
		t.Fatal(err)
	}
	path, _, _ := strings.Cut(target, "?")
	return path
}
