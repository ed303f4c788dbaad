package sealhttp_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/catalogue"
	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/replay"
	"github.com/sealwright/sealwright/sealhttp"
	"github.com/sealwright/sealwright/secret"
)

// A server takes deliveries of GitHub and nothing else.
func ExampleMiddleware() {
	ring := keyring.Must(keyring.Key{ID: "hook", Version: 1, Secret: secret.FromString("It's a Secret to Everybody")})
	hook := sealhttp.Middleware{
		Verifier: &sealwright.Verifier{Scheme: catalogue.Must("github"), Ring: ring},
		OnRefusal: func(_ *http.Request, _ sealwright.Verdict, err error) {
			fmt.Println("refused:", err) // for the log: the client learns nothing of it
		},
	}
	server := httptest.NewServer(hook.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		verdict, _ := sealhttp.VerdictFrom(r.Context())
		body, _ := io.ReadAll(r.Body)
		fmt.Printf("delivery by %s: %s\n", verdict.KeyID, body)
	})))
	defer server.Close()

	for _, body := range []string{"Hello, World!", "Hello, Mallory!"} {
		r, err := http.NewRequest("POST", server.URL, strings.NewReader(body))
		if err != nil {
			fmt.Println(err)
			return
		}
		r.Header.Set("X-Hub-Signature-256", "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17")
		resp, err := server.Client().Do(r)
		if err != nil {
			fmt.Println(err)
			return
		}
		resp.Body.Close()
		fmt.Println(resp.Status)
	}
	// Output:
	// delivery by hook: Hello, World!
	// 200 OK
	// refused: signature does not match
	// 401 Unauthorized
}

// A server takes each message once. One that signs again has another nonce.
func ExampleMemory() {
	ring := keyring.Must(keyring.Key{ID: "k1", Version: 1, Secret: secret.FromString("an example secret of 32 bytes...")})
	started := time.Date(2026, 11, 3, 12, 0, 0, 0, time.UTC)
	now := started.Add(time.Minute)
	window := replay.Options{Past: 5 * time.Minute, Future: 5 * time.Second}
	memory, err := sealhttp.NewMemory(window, started)
	if err != nil {
		fmt.Println(err)
		return
	}
	scheme := catalogue.Must("rfc9421")
	api := sealhttp.Middleware{
		Verifier: &sealwright.Verifier{Scheme: scheme, Ring: ring, Past: window.Past, Future: window.Future},
		Claims:   memory,
		Now:      func() time.Time { return now },
	}
	handler := api.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Println("paid") }))

	message := sealwright.Message{Method: "POST", Host: "example.com", Target: "/payments", Header: http.Header{}}
	signed, err := (&sealwright.Signer{Scheme: scheme, Ring: ring}).Sign(message, now)
	if err != nil {
		fmt.Println(err)
		return
	}
	for range 2 {
		r := httptest.NewRequest("POST", "https://example.com/payments", nil)
		r.Header = signed.Header
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		fmt.Println(w.Code)
	}
	// Output:
	// paid
	// 200
	// 409
}

// A client signs what it sends with HTTP Message Signatures.
func ExampleTransport() {
	ring := keyring.Must(keyring.Key{ID: "k1", Version: 1, Secret: secret.FromString("an example secret of 32 bytes...")})
	scheme := catalogue.Must("rfc9421")
	api := sealhttp.Middleware{Verifier: &sealwright.Verifier{Scheme: scheme, Ring: ring}}
	server := httptest.NewServer(api.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		verdict, _ := sealhttp.VerdictFrom(r.Context())
		fmt.Println(r.Method, r.RequestURI, "by", verdict.KeyID, "body covered:", verdict.Covers.Body)
	})))
	defer server.Close()

	client := http.Client{Transport: &sealhttp.Transport{
		Signer: &sealwright.Signer{Scheme: scheme, Ring: ring},
	}}
	resp, err := client.Post(server.URL+"/orders?x=1", "application/json", strings.NewReader(`{"id":7}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	resp.Body.Close()
	fmt.Println(resp.Status)
	// Output:
	// POST /orders?x=1 by k1 body covered: true
	// 200 OK
}
