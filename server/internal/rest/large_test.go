package rest_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/sealwright/sealwright/api"
)

// largeBody is a body of zero bytes, made while it is sent. It notes how much memory
// is in use on the way.
type largeBody struct {
	left int64
	sum  io.Writer // gets what is read
	most *atomic.Uint64
}

// largeStep is after how many bytes memory is looked at.
const largeStep = 64 << 20

func (z *largeBody) Read(p []byte) (int, error) {
	if z.left == 0 {
		return 0, io.EOF
	}
	n := int(min(int64(len(p)), z.left))
	clear(p[:n])
	if z.left/largeStep != (z.left-int64(n))/largeStep {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		z.most.Store(max(z.most.Load(), m.HeapAlloc))
	}
	z.left -= int64(n)
	_, _ = z.sum.Write(p[:n])
	return n, nil
}

// A message of a gigabyte is signed and verified, once more with an idempotency
// key, in memory that does not grow with it: client and server together, which
// are one process here.
func TestLargeMessage(t *testing.T) {
	if testing.Short() {
		t.Skip("sends 3 GiB")
	}
	const size, allowed = 1 << 30, 64 << 20
	f := start(t, nil)
	f.withJefe(t)
	runtime.GC()
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	var most atomic.Uint64
	sum := hmac.New(sha256.New, []byte("Jefe"))
	send := func(path string, w io.Writer, header ...string) answer {
		t.Helper()
		return f.send(t, "POST", path, &largeBody{size, w, &most}, append(header, "Content-Type", "application/octet-stream")...)
	}
	signed := send("/v1/keys/jefe/sign", sum)
	want := hex.EncodeToString(sum.Sum(nil))
	if signed.status != 200 || !strings.Contains(signed.body, want) {
		t.Fatalf("sign: got %d %s, want %s", signed.status, signed.body, want)
	}
	verified := send("/v1/keys/jefe/verify", io.Discard, "Sealwright-Tag", want)
	if verified.status != 200 || !decode[api.Verdict](t, verified).Valid {
		t.Errorf("verify: got %d %s", verified.status, verified.body)
	}
	if a := send("/v1/keys/jefe/sign", io.Discard, idempotencyKey, `"large"`); a.status != 200 || a.body != signed.body {
		t.Errorf("sign with an idempotency key: got %d %s", a.status, a.body)
	}
	if grown := int64(most.Load()) - int64(before.HeapAlloc); most.Load() == 0 || grown > allowed {
		t.Errorf("memory grew by %d bytes, want at most %d", grown, allowed)
	} else {
		t.Logf("memory grew by %d KiB at most", grown/1024)
	}
}

// What can be refused before a body was sent is refused without it, although
// the client waits for 100 Continue.
func TestLargeRefusedEarly(t *testing.T) {
	f := start(t, nil)
	f.withJefe(t)
	var most atomic.Uint64
	for _, tt := range []struct {
		path   string
		header []string
		status int
	}{
		{"/v1/keys/nobody/sign", nil, 404},
		{"/v1/keys/jefe/sign", []string{"Authorization", "Bearer wrong"}, 401},
		{"/v1/keys/jefe/verify", nil, 422}, // no tag
		{"/v1/keys/jefe/sign", []string{idempotencyKey, "bare"}, 400},
	} {
		body := &largeBody{1 << 30, io.Discard, &most}
		a := f.send(t, "POST", tt.path, body, append(tt.header, "Content-Type", "application/octet-stream", "Expect", "100-continue")...)
		if a.status != tt.status || body.left != 1<<30 {
			t.Errorf("POST %s: got %d after %d bytes, want %d after none", tt.path, a.status, 1<<30-body.left, tt.status)
		}
	}
}
