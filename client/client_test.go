package client_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/client"
	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server/servertest"
)

// start starts a server and returns it with a client of its administrator.
func start(t testing.TB) (*servertest.Server, *client.Client) {
	t.Helper()
	s := servertest.Start(t)
	return s, &client.Client{URL: s.URL, Credential: client.Static(s.Token)}
}

func create(t testing.TB, c *client.Client, in api.CreateKey) api.Key {
	t.Helper()
	k, err := c.Keys().Create(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestSignAndVerify(t *testing.T) {
	_, c := start(t)
	ctx := t.Context()
	create(t, c, api.CreateKey{Name: "a", Purpose: "api"})
	text := "hello"
	for _, tt := range []struct {
		name string
		in   api.Sign
	}{
		{"Bytes", api.Sign{Message: []byte("hello")}},
		{"Text", api.Sign{Text: &text}},
		{"EmptyMessage", api.Sign{Message: []byte{}}},
		{"Context", api.Sign{Message: []byte("hello"), Context: "customer-1"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			signed, err := c.Sign(ctx, "a", tt.in)
			if err != nil {
				t.Fatal(err)
			}
			v, err := c.Verify(ctx, "a", api.Verify{Message: tt.in.Message, Text: tt.in.Text, Context: tt.in.Context, Signature: &signed.Signature})
			if err != nil || !v.Valid || v.Version != 1 || v.State != "active" {
				t.Errorf("got %+v, %v", v, err)
			}
			v, err = c.Verify(ctx, "a", api.Verify{Message: []byte("hellO"), Context: tt.in.Context, Signature: &signed.Signature})
			if !errors.Is(err, client.ErrNotValid) || v.Valid || v.Reason != "wrong-signature" {
				t.Errorf("another message: got %+v, %v", v, err)
			}
		})
	}
	for _, tt := range []struct {
		name string
		in   api.Sign
		key  string
		want error
	}{
		{"NoMessage", api.Sign{}, "a", client.ErrInvalid},
		{"OtherPurpose", api.Sign{Text: &text, Purpose: "event"}, "a", client.ErrDenied},
		{"NoSuchKey", api.Sign{Text: &text}, "b", client.ErrNotFound},
		{"NoName", api.Sign{Text: &text}, "", client.ErrInvalid},
		{"NameThatLeadsElsewhere", api.Sign{Text: &text}, "..", client.ErrInvalid},
		{"NameWithSlash", api.Sign{Text: &text}, "a/../a", client.ErrNotFound},
		{"NameWithQuery", api.Sign{Text: &text}, "a?x=1", client.ErrNotFound},
		{"Items", api.Sign{Items: []api.SignItem{{Text: &text}}}, "a", client.ErrInvalid},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := c.Sign(ctx, tt.key, tt.in); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

func TestBatch(t *testing.T) {
	_, c := start(t)
	create(t, c, api.CreateKey{Name: "a"})
	bad := "base32"
	signed, err := c.SignBatch(t.Context(), "a", api.Sign{Items: []api.SignItem{{Message: []byte("x")}, {Message: []byte("y"), Encoding: bad}, {Message: []byte{}}}})
	if err != nil || len(signed) != 3 || signed[0].Signature == "" || signed[1].Error == nil || signed[2].Signature == "" {
		t.Fatalf("got %+v, %v", signed, err)
	}
	verdicts, err := c.VerifyBatch(t.Context(), "a", api.Verify{Items: []api.VerifyItem{
		{Message: []byte("x"), Signature: &signed[0].Signature}, {Message: []byte("x"), Signature: &signed[2].Signature}, {Message: []byte{}, Signature: &signed[2].Signature},
	}})
	if err != nil || len(verdicts) != 3 || !verdicts[0].Valid || verdicts[1].Valid || !verdicts[2].Valid {
		t.Errorf("got %+v, %v", verdicts, err)
	}
	if _, err := c.SignBatch(t.Context(), "a", api.Sign{}); !errors.Is(err, client.ErrInvalid) {
		t.Errorf("no items: got %v", err)
	}
	if _, err := c.SignBatch(t.Context(), "a", api.Sign{Items: make([]api.SignItem, 1001)}); !errors.Is(err, client.ErrInvalid) {
		t.Errorf("too many items: got %v", err)
	}
	short := wired(&wire{answers: []answer{{status: 200, body: `{"items":[{"valid":true}]}`}}})
	if v, err := short.VerifyBatch(t.Context(), "a", api.Verify{Items: make([]api.VerifyItem, 2)}); err == nil {
		t.Errorf("one result for two items: got %+v", v)
	}
}

// TestStream signs 8 MiB, which is more than a body that is held in memory may
// have.
func TestStream(t *testing.T) {
	_, c := start(t)
	create(t, c, api.CreateKey{Name: "a"})
	large := bytes.Repeat([]byte("sealwright"), 8<<20/10)
	for _, tt := range []struct {
		name string
		body func() io.Reader
	}{
		{"Large", func() io.Reader { return onlyReader{bytes.NewReader(large)} }},
		{"Empty", func() io.Reader { return strings.NewReader("") }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			signed, err := c.SignStream(t.Context(), "a", tt.body())
			if err != nil {
				t.Fatal(err)
			}
			if v, err := c.VerifyStream(t.Context(), "a", tt.body(), signed.Signature); err != nil || !v.Valid {
				t.Errorf("got %+v, %v", v, err)
			}
			if v, err := c.VerifyStream(t.Context(), "a", strings.NewReader("other"), signed.Signature); !errors.Is(err, client.ErrNotValid) || v.Valid {
				t.Errorf("another stream: got %+v, %v", v, err)
			}
		})
	}
	if v, err := c.VerifyStream(t.Context(), "a", strings.NewReader("x"), "a\r\nX: y"); !errors.Is(err, client.ErrNotValid) || v.Valid {
		t.Errorf("line break in a signature: got %+v, %v", v, err)
	}
	broken := io.MultiReader(strings.NewReader("half"), onlyReader{failing{}})
	if signed, err := c.SignStream(t.Context(), "a", broken); err == nil || signed.Signature != "" {
		t.Errorf("a stream that breaks: got %+v, %v", signed, err)
	}
	if _, err := c.SignStream(t.Context(), "a", nil); !errors.Is(err, client.ErrInvalid) {
		t.Errorf("no stream: got %v", err)
	}
}

type onlyReader struct{ io.Reader }

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("disk is broken") }

func TestWholeRequests(t *testing.T) {
	_, c := start(t)
	create(t, c, api.CreateKey{Name: "hook"})
	request := api.HTTPRequest{Scheme: "github", Key: "hook", Request: api.Request{Method: "POST", URL: "https://example.com/hook", Body: "{}"}}
	signed, err := c.SignRequest(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	request.Request = signed.Request
	if v, err := c.VerifyRequest(t.Context(), request); err != nil || !v.Valid {
		t.Errorf("got %+v, %v", v, err)
	}
	request.Request.Body = "[]"
	if v, err := c.VerifyRequest(t.Context(), request); !errors.Is(err, client.ErrNotValid) || v.Valid {
		t.Errorf("another body: got %+v, %v", v, err)
	}
}

// TestKeys walks through the life of a key.
func TestKeys(t *testing.T) {
	_, c := start(t)
	ctx, keys := t.Context(), c.Keys()
	create(t, c, api.CreateKey{Name: "a", Exportable: true})
	if _, err := keys.Create(ctx, api.CreateKey{Name: "a"}); !errors.Is(err, client.ErrConflict) {
		t.Errorf("the same name: got %v", err)
	}
	hour := "1h"
	k, err := keys.Rotate(ctx, "a", api.RotateKey{Grace: &hour})
	if err != nil || len(k.Versions) != 2 {
		t.Fatalf("rotate: got %+v, %v", k, err)
	}
	if k, err = keys.Get(ctx, "a"); err != nil || len(k.Versions) != 2 || k.Version != 2 {
		t.Fatalf("get: got %+v, %v", k, err)
	}
	states := []string{}
	for _, step := range []func() (api.Key, error){
		func() (api.Key, error) { return keys.Retire(ctx, "a", 1, "test") },
		func() (api.Key, error) { return keys.RestoreVersion(ctx, "a", 1, "") },
		func() (api.Key, error) { return keys.Revoke(ctx, "a", 1, "leaked") },
		func() (api.Key, error) { return keys.Destroy(ctx, "a", 1, "") },
		func() (api.Key, error) { return keys.CancelDestroy(ctx, "a", 1, "") },
		func() (api.Key, error) { return keys.Schedule(ctx, "a", api.Schedule{Every: "30d"}) },
	} {
		k, err := step()
		if err != nil {
			t.Fatal(err)
		}
		states = append(states, k.Versions[0].State)
	}
	if want := []string{"retired", "grace", "revoked", "revoked", "revoked", "revoked"}; !slices.Equal(states, want) {
		t.Errorf("states: got %v, want %v", states, want)
	}
	revealed, err := keys.Reveal(ctx, "a")
	if err != nil || len(revealed) == 0 || revealed[len(revealed)-1].Secret.Len() != 32 {
		t.Errorf("reveal: got %v, %v", revealed, err)
	}
	if err := keys.Delete(ctx, "a"); err != nil {
		t.Error(err)
	}
	if _, err := keys.Get(ctx, "a"); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("deleted: got %v", err)
	}
	if _, err := keys.Restore(ctx, "a", ""); err != nil {
		t.Error(err)
	}
	imported, err := keys.Import(ctx, api.CreateKey{Name: "b"}, secret.FromString("It's a Secret to Everybody"))
	if err != nil || imported.Versions[0].Bytes != 26 {
		t.Errorf("import: got %+v, %v", imported, err)
	}
	if _, err := keys.Reveal(ctx, "b"); !errors.Is(err, client.ErrDenied) {
		t.Errorf("reveal of a key that is not exportable: got %v", err)
	}
}

func TestListReadsAllPages(t *testing.T) {
	_, c := start(t)
	want := []string{}
	for i := range 101 {
		name := fmt.Sprintf("k%03d", i)
		want = append(want, name)
		create(t, c, api.CreateKey{Name: name})
	}
	got := []string{}
	for k, err := range c.Keys().List(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, k.Name)
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %d names: %v", len(got), got)
	}
	failed := 0
	for _, err := range wired(&wire{answers: []answer{{status: 200, body: `{"items":[{"name":"a"}],"next_cursor":"x"}`}}}).Keys().List(t.Context()) {
		if err != nil {
			failed++
		}
	}
	if failed != 1 {
		t.Errorf("the same page for ever: %d errors, want 1", failed)
	}
}

func TestLeases(t *testing.T) {
	_, c := start(t)
	ctx, leases := t.Context(), c.Leases()
	create(t, c, api.CreateKey{Name: "a"})
	l, s, err := leases.Create(ctx, "a", api.CreateLease{TTL: "10m"})
	if err != nil || s.Len() != 32 || l.Material != nil {
		t.Fatalf("got %+v, %d bytes, %v", l, s.Len(), err)
	}
	if got, err := leases.Get(ctx, "a", l.ID); err != nil || got.State != "valid" {
		t.Errorf("get: got %+v, %v", got, err)
	}
	if err := leases.Revoke(ctx, "a", l.ID); err != nil {
		t.Error(err)
	}
	count := 0
	for got, err := range leases.List(ctx, "a") {
		if err != nil || got.State != "revoked" {
			t.Errorf("list: got %+v, %v", got, err)
		}
		count++
	}
	if count != 1 {
		t.Errorf("%d leases, want 1", count)
	}
}

// credential makes a caller and returns the text of a credential of this kind.
func credential(t *testing.T, c *client.Client, name, role, kind string) secret.Bytes {
	t.Helper()
	if err := c.Do(t.Context(), "POST", "/v1/callers", api.CreateCaller{Name: name, Grants: []api.Grant{{Role: role}}}, nil); err != nil {
		t.Fatal(err)
	}
	var k api.Credential
	if err := c.Do(t.Context(), "POST", "/v1/callers/"+name+"/credentials", api.CreateCredential{Kind: kind}, &k); err != nil {
		t.Fatal(err)
	}
	return client.CredentialText(k)
}

// TestCredentials calls with a token and with signed requests, with bodies,
// without, and with streams.
func TestCredentials(t *testing.T) {
	s, admin := start(t)
	create(t, admin, api.CreateKey{Name: "a"})
	for _, kind := range []string{"token", "signature"} {
		t.Run(kind, func(t *testing.T) {
			text := credential(t, admin, kind, "signer", kind)
			// After a start signed requests are refused for some seconds, with 503 and
			// Retry-After.
			c := &client.Client{URL: s.URL, Credential: client.Static(text), Retry: client.Retry{Attempts: 10}}
			if _, err := c.Keys().Get(t.Context(), "a"); err != nil {
				t.Fatal(err)
			}
			for range 3 {
				if _, err := c.Sign(t.Context(), "a", api.Sign{Message: []byte("x")}); err != nil {
					t.Error(err)
				}
			}
			large := strings.NewReader(strings.Repeat("x", 3<<20))
			_, _ = large.Seek(5, io.SeekStart)
			signed, err := c.SignStream(t.Context(), "a", large)
			if err != nil {
				t.Fatal(err)
			}
			if want, err := admin.SignStream(t.Context(), "a", strings.NewReader(strings.Repeat("x", 3<<20-5))); err != nil || want.Signature != signed.Signature {
				t.Errorf("the stream was not signed from where it stood: %v", err)
			}
			if _, err := c.SignStream(t.Context(), "a", strings.NewReader("")); err != nil {
				t.Errorf("empty stream: %v", err)
			}
			_, err = c.SignStream(t.Context(), "a", onlyReader{strings.NewReader("x")})
			if (kind == "signature") != errors.Is(err, client.ErrInvalid) {
				t.Errorf("a stream that is read once: got %v", err)
			}
			if _, err := c.Keys().Rotate(t.Context(), "a", api.RotateKey{}); !errors.Is(err, client.ErrDenied) {
				t.Errorf("what the role does not allow: got %v", err)
			}
			for name, wrong := range map[string]secret.Bytes{
				"Changed": secret.FromString(string(text.Expose()[:len(text.Expose())-1]) + "~"), "Unknown": secret.FromString("00000000000000000000:sws_x"),
			} {
				bad := &client.Client{URL: s.URL, Credential: client.Static(wrong)}
				if _, err := bad.Keys().Get(t.Context(), "a"); !errors.Is(err, client.ErrUnauthenticated) {
					t.Errorf("%s: got %v", name, err)
				}
			}
		})
	}
	t.Run("EveryFieldIsSigned", func(t *testing.T) {
		create(t, admin, api.CreateKey{Name: "b", Exportable: true})
		c := &client.Client{URL: s.URL, Tenant: "default", Credential: client.Static(credential(t, admin, "boss", "tenant-admin", "signature"))}
		cache := &client.KeyCache{Client: c, Key: "b"}
		for range 2 { // the second with If-None-Match
			if err := cache.Refresh(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		text, err := cache.Sign([]byte("x"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.VerifyStream(t.Context(), "b", strings.NewReader("x"), text.String()); err != nil {
			t.Error(err)
		}
		if _, err := c.Keys().Rotate(t.Context(), "b", api.RotateKey{}); err != nil {
			t.Error(err)
		}
	})
	if _, err := (&client.Client{URL: s.URL}).Keys().Get(t.Context(), "a"); !errors.Is(err, client.ErrUnauthenticated) {
		t.Errorf("no credential: got %v", err)
	}
}

func TestFile(t *testing.T) {
	s, _ := start(t)
	name := filepath.Join(t.TempDir(), "token")
	c := &client.Client{URL: s.URL, Credential: client.File(name)}
	write := func(text string) {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	list := func() error {
		for _, err := range c.Keys().List(t.Context()) {
			return err
		}
		return nil
	}
	if err := list(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: got %v", err)
	}
	for _, text := range []string{"", " \n", "a\nb", strings.Repeat("x", 4097)} {
		write(text)
		if err := list(); err == nil || strings.Contains(err.Error(), "a\nb") {
			t.Errorf("%.9q: got %v", text, err)
		}
	}
	write("swt_wrong")
	if err := list(); !errors.Is(err, client.ErrUnauthenticated) {
		t.Errorf("wrong token: got %v", err)
	}
	write(string(s.Token.Expose()) + "\n")
	if err := list(); err != nil {
		t.Errorf("replaced by the right one: got %v", err)
	}
}

// TestPlaintext holds that no secret goes to or comes from another machine in
// clear, unless that is wanted.
func TestPlaintext(t *testing.T) {
	token, signing := secret.FromString("swt_x"), secret.FromString("id:sws_x")
	tests := []struct {
		name, url  string
		plaintext  bool
		credential secret.Bytes
		sends      bool // a token or a signature
		reveals    bool
	}{
		{"TokenHTTPS", "https://sealwright.example", false, token, true, true},
		{"TokenLoopback4", "http://127.0.0.2:8470", false, token, true, true},
		{"TokenLoopback6", "http://[::1]:8470/", false, token, true, true},
		{"TokenLocalhost", "http://localhost:8470", false, token, true, true},
		{"TokenRemote", "http://sealwright.example", false, token, false, false},
		{"TokenNotLocalhost", "http://localhost.example", false, token, false, false},
		{"TokenPrivateAddress", "http://10.0.0.1", false, token, false, false},
		{"TokenRemoteAllowed", "http://sealwright.example", true, token, true, true},
		{"SignatureRemote", "http://sealwright.example", false, signing, true, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := &wire{answers: []answer{good}}
			c := wired(w)
			c.URL, c.Plaintext, c.Credential = tt.url, tt.plaintext, client.Static(tt.credential)
			if err := c.Check(t.Context()); errors.Is(err, client.ErrPlaintext) == tt.sends || len(w.requests) > 0 {
				t.Errorf("check: got %v and %d requests", err, len(w.requests))
			}
			_, err := c.Keys().Get(t.Context(), "a")
			if errors.Is(err, client.ErrPlaintext) == tt.sends || len(w.requests) > 0 != tt.sends {
				t.Errorf("get: got %v and %d requests", err, len(w.requests))
			}
			for name, do := range map[string]func() error{
				"reveal": func() error { _, err := c.Keys().Reveal(t.Context(), "a"); return err },
				"lease":  func() error { _, _, err := c.Leases().Create(t.Context(), "a", api.CreateLease{}); return err },
				"import": func() error {
					_, err := c.Keys().Import(t.Context(), api.CreateKey{Name: "a"}, secret.Random(16))
					return err
				},
			} {
				before := len(w.requests)
				if err := do(); errors.Is(err, client.ErrPlaintext) == tt.reveals || len(w.requests) > before != tt.reveals {
					t.Errorf("%s: got %v and %d requests", name, err, len(w.requests)-before)
				}
			}
		})
	}
}

func TestURL(t *testing.T) {
	for _, url := range []string{"", "sealwright.example", "ftp://sealwright.example", "https://", "https://:8470", "https://u:p@sealwright.example", "https://sealwright.example?x", "https://sealwright.example#x", "http://a b"} {
		w := &wire{answers: []answer{good}}
		c := wired(w)
		c.URL = url
		if err := c.Check(t.Context()); !errors.Is(err, client.ErrInvalid) {
			t.Errorf("check %q: got %v", url, err)
		}
		if _, err := c.Keys().Get(t.Context(), "a"); !errors.Is(err, client.ErrInvalid) || len(w.requests) > 0 || strings.Contains(err.Error(), "u:p") {
			t.Errorf("%q: got %v", url, err)
		}
	}
	w := &wire{answers: []answer{good}}
	c := wired(w)
	c.URL, c.Tenant = "https://example.com/sealwright/", "payments"
	if _, err := c.Keys().Get(t.Context(), "a"); err != nil || w.requests[0].URL.String() != "https://example.com/sealwright/v1/keys/a" || w.requests[0].Header.Get("Sealwright-Tenant") != "payments" {
		t.Errorf("got %v, %v", w.requests[0].URL, err)
	}
}

// TestNothingIsPrinted looks for secrets in everything that can be printed.
func TestNothingIsPrinted(t *testing.T) {
	_, c := start(t)
	create(t, c, api.CreateKey{Name: "a", Exportable: true})
	const text = "It's a Secret to Everybody"
	if _, err := c.Keys().Import(t.Context(), api.CreateKey{Name: "b", Exportable: true}, secret.FromString(text)); err != nil {
		t.Fatal(err)
	}
	revealed, err := c.Keys().Reveal(t.Context(), "b")
	if err != nil || string(revealed[0].Secret.Expose()) != text {
		t.Fatal(err)
	}
	cache := &client.KeyCache{Client: c, Key: "b"}
	if err := cache.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "revealed", revealed, "ring", cache.Ring())
	out := fmt.Sprintf("%v %+v %#v %+v", revealed, revealed, revealed, cache.Ring()) + log.String()
	for _, leak := range []string{text, "SXQncyBh", "4974277320", "73 32 97 32"} {
		if strings.Contains(out, leak) {
			t.Errorf("found %q in %s", leak, out)
		}
	}
}
