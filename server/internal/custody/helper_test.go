package custody_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/custody"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/kms"
	"github.com/sealwright/sealwright/server/internal/kms/local"
	"github.com/sealwright/sealwright/server/internal/store"
	"github.com/sealwright/sealwright/server/internal/store/memory"
)

var (
	start = time.Date(2026, 11, 3, 4, 5, 6, 789012345, time.UTC)
	admin = access.Administrator()
	other = access.TenantAdministrator("other", "other")
)

const tenant = access.DefaultTenant

// house is a service with what it stands on.
type house struct {
	*custody.Service
	store   *memory.Store
	root    string // file of the root keys
	wrapper *local.Wrapper
	now     time.Time
	devices map[string]kms.Device // for native keys
}

func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{store: memory.New(), root: filepath.Join(t.TempDir(), "root.key"), now: start}
	var err error
	if h.wrapper, err = local.LoadOrCreate(h.root, nil); err != nil {
		t.Fatalf("LoadOrCreate: %v", err)
	}
	h.Service = h.open(t, h.store)
	return h
}

func (h *house) options(st custody.Store) custody.Options {
	return custody.Options{
		Store: st, Wrapper: h.wrapper, Now: func() time.Time { return h.now }, Devices: h.devices, FirstDevice: "maker", ImportKey: aKey,
	}
}

func (h *house) open(t *testing.T, st custody.Store) *custody.Service {
	t.Helper()
	s, err := custody.Open(t.Context(), h.options(st))
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	return s
}

func (h *house) create(t *testing.T, name string) *custody.Key {
	t.Helper()
	k, err := h.Create(t.Context(), admin, custody.CreateKey{Name: name})
	if err != nil {
		t.Fatalf("Create %q: %v", name, err)
	}
	return k
}

func (h *house) rotate(t *testing.T, name string) *custody.Key {
	t.Helper()
	k, err := h.Rotate(t.Context(), admin, name, 0, custody.Rotation{})
	if err != nil {
		t.Fatalf("Rotate %q: %v", name, err)
	}
	return k
}

// checkReopened compares what the service shows with what another one reads
// from the store.
func (h *house) checkReopened(t *testing.T) {
	t.Helper()
	fresh := h.open(t, h.store)
	for _, tenant := range []string{tenant, other.Tenant} {
		if diff := cmp.Diff(describe(t, fresh, tenant), describe(t, h.Service, tenant)); diff != "" {
			t.Errorf("keys of %s in the service (-stored +shown):\n%s", tenant, diff)
		}
	}
	if fresh.Count() != h.Count() {
		t.Errorf("Count: got %d, the store has %d", h.Count(), fresh.Count())
	}
}

// description is a key with what its secrets do instead of the secrets.
type description struct {
	Tenant, Name, ID, Algorithm string
	Exportable, Deleted         bool
	CreatedAt                   time.Time
	ETag                        int64
	Versions                    []custody.VersionInfo
	Signing                     int
	Tags                        []string // of one message, by version
}

func describe(t *testing.T, s *custody.Service, tenant string) []description {
	t.Helper()
	keys, _, err := s.List(admin, access.KeyRead, "", custody.MaxList)
	if err != nil {
		t.Fatalf("List: %v", err)
	}
	var all []description
	for _, k := range keys {
		d := description{
			Tenant: k.Tenant, Name: k.Name, ID: k.ID, Algorithm: k.Algorithm.String(), Exportable: k.Exportable,
			Deleted: k.Deleted, CreatedAt: k.CreatedAt, ETag: k.ETagVersion, Versions: k.Versions, Signing: k.Signing,
		}
		for _, v := range k.Versions {
			if !v.State.Verifies() {
				continue
			}
			m, err := k.MAC(v.Version)
			if err != nil {
				t.Fatalf("MAC(%d) of %s: %v", v.Version, k.Name, err)
			}
			tag, err := m.Sum(nil, []byte("message"))
			if err != nil {
				t.Fatalf("Sum: %v", err)
			}
			d.Tags = append(d.Tags, hex.EncodeToString(tag))
		}
		all = append(all, d)
	}
	return all
}

// log returns all entries.
func (h *house) log(t *testing.T) []store.Entry {
	t.Helper()
	log, err := h.store.Tail(t.Context(), 0, store.MaxList)
	if err != nil {
		t.Fatalf("Tail: %v", err)
	}
	return log
}

func (h *house) record(t *testing.T, tenant, kind, name string) store.Record {
	t.Helper()
	r, err := h.store.Load(t.Context(), tenant, kind, name)
	if err != nil {
		t.Fatalf("Load %s %q: %v", kind, name, err)
	}
	return r
}

// put stores a record behind the back of the service.
func (h *house) put(t *testing.T, r store.Record) {
	t.Helper()
	_, err := h.store.Commit(t.Context(), store.Change{
		Puts: []store.Record{r}, Entries: []store.Entry{{At: start, Caller: "test", Action: "test"}},
	})
	if err != nil {
		t.Fatalf("Commit: %v", err)
	}
}

// edit changes the document of a stored record.
func (h *house) edit(t *testing.T, tenant, kind, name string, change func(map[string]any)) {
	t.Helper()
	r := h.record(t, tenant, kind, name)
	doc := document(t, r)
	change(doc)
	var err error
	if r.Doc, err = json.Marshal(doc); err != nil {
		t.Fatal(err)
	}
	h.put(t, r)
}

func document(t *testing.T, r store.Record) map[string]any {
	t.Helper()
	var doc map[string]any
	if err := json.Unmarshal(r.Doc, &doc); err != nil {
		t.Fatalf("document of %s: %v", r.Name, err)
	}
	return doc
}

func versionOf(doc map[string]any, i int) map[string]any {
	return doc["versions"].([]any)[i].(map[string]any)
}

func wantKind(t *testing.T, what string, err error, want fault.Kind) {
	t.Helper()
	if got := fault.KindOf(err); got != want {
		t.Errorf("%s: got error %v of kind %v, want kind %v", what, err, got, want)
	}
}

// forms returns the ways in which a secret could stand in a text.
func forms(s secret.Bytes) [][]byte {
	b := s.Expose()
	return [][]byte{
		b, []byte(hex.EncodeToString(b)), bytes.ToUpper([]byte(hex.EncodeToString(b))),
		[]byte(base64.RawStdEncoding.EncodeToString(b)), []byte(base64.RawURLEncoding.EncodeToString(b)),
		[]byte(fmt.Sprint(b)),
	}
}

// secrets returns the secrets of all versions of a key.
func secrets(k *custody.Key) []secret.Bytes {
	var all []secret.Bytes
	for _, v := range k.Ring.Keys() {
		all = append(all, v.Secret)
	}
	return all
}

// blind is a store that breaks as a test wants.
type blind struct {
	custody.Store
	load, commit error
	before       func() // each Commit; nil means nothing
	calls        int
}

func (b *blind) Load(ctx context.Context, tenant, kind, name string) (store.Record, error) {
	b.calls++
	if b.load != nil {
		return store.Record{}, b.load
	}
	return b.Store.Load(ctx, tenant, kind, name)
}

func (b *blind) List(ctx context.Context, tenant, kind, after string, limit int) ([]store.Record, error) {
	b.calls++
	return b.Store.List(ctx, tenant, kind, after, limit)
}

func (b *blind) Commit(ctx context.Context, c store.Change) (int64, error) {
	b.calls++
	if b.before != nil {
		b.before()
	}
	if b.commit != nil {
		return 0, b.commit
	}
	return b.Store.Commit(ctx, c)
}

func secretOf(s string) secret.Bytes { return secret.FromString(s) }

// dropOldRootKey leaves only the newest root key in the file.
func dropOldRootKey(t *testing.T, h *house) {
	t.Helper()
	text, err := os.ReadFile(h.root)
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfter(text, []byte("\n"))
	if err := os.WriteFile(h.root, lines[len(lines)-2], 0o600); err != nil {
		t.Fatal(err)
	}
	if err := h.wrapper.Reload(); err != nil {
		t.Fatalf("Reload: %v", err)
	}
}

// without returns r as one that is not stored yet.
func without(r store.Record) store.Record {
	r.Version = 0
	return r
}

func marshal(t *testing.T, v any) []byte {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

var lost = memory.Fault{Err: errLost}
