package custody_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/custody"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/source"
	"github.com/sealwright/sealwright/server/internal/store/memory"
)

const (
	secretA = "secret A of 32 bytes from there."
	secretB = "secret B of 32 bytes from there."
	secretC = "secret C of 32 bytes from there."
)

// elsewhere is a source in memory.
type elsewhere struct {
	mu      sync.Mutex
	kept    map[string]source.Payload // by name
	err     error                     // of every read
	tenants []string                  // of the reads
	during  func()                    // called once by the next read, after it has seen what is there
}

func (e *elsewhere) set(name, text, version string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.kept == nil {
		e.kept = map[string]source.Payload{}
	}
	e.kept[name] = source.Payload{Bytes: secretOf(text), Version: version}
}

func (e *elsewhere) fail(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.err = err
}

func (e *elsewhere) reads() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.tenants)
}

func (e *elsewhere) read(ctx context.Context, tenant string, ref source.Ref) (source.Payload, error) {
	e.mu.Lock()
	e.tenants = append(e.tenants, tenant)
	p, ok := e.kept[ref.Name]
	err, during := e.err, e.during
	e.during = nil
	e.mu.Unlock()
	if during != nil {
		during()
	}
	if err == nil && !ok {
		err = fault.New(fault.Invalid, "there is no secret %s", ref.Name)
	}
	if err != nil {
		return source.Payload{}, err
	}
	return p, ctx.Err()
}

var errAway = fault.New(fault.Unavailable, "the provider is away").Because(errors.New("no route: only for the log"))

// newSourced returns a house with a source in which "there" is secretA, and a
// key "a" of that.
func newSourced(t *testing.T) (*house, *elsewhere) {
	t.Helper()
	h, e := newHouse(t), &elsewhere{}
	e.set("there", secretA, "v1")
	h.Service = h.openSourced(t, h.store, e)
	h.createSourced(t, custody.CreateKey{Name: "a", Source: &custody.Source{Ref: ref("there")}})
	return h, e
}

func (h *house) openSourced(t *testing.T, st custody.Store, e *elsewhere) *custody.Service {
	t.Helper()
	o := h.options(st)
	o.ReadSource, o.Rand = e.read, func() float64 { return 0.5 }
	s, err := custody.Open(t.Context(), o)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	return s
}

func ref(name string) source.Ref { return source.Ref{Provider: "elsewhere", Name: name} }

func (h *house) createSourced(t *testing.T, in custody.CreateKey) *custody.Key {
	t.Helper()
	k, err := h.Create(t.Context(), admin, in)
	if err != nil {
		t.Fatalf("Create %q: %v", in.Name, err)
	}
	return k
}

func (h *house) refresh(t *testing.T) {
	t.Helper()
	if err := h.ReadSources(t.Context()); err != nil {
		t.Fatalf("ReadSources: %v", err)
	}
}

func get(t *testing.T, s *custody.Service) *custody.Key {
	t.Helper()
	k, err := s.Get(tenant, "a")
	if err != nil {
		t.Fatalf("Get: %v", err)
	}
	return k
}

// states returns the states of the versions of k, and of each its secret.
func states(k *custody.Key) (list []string) {
	for _, v := range k.Versions {
		text := string(k.State(v.Version))
		if own, err := k.Ring.Version(v.Version); err == nil {
			text += " " + string(own.Secret.Expose()[:8])
		}
		list = append(list, text)
	}
	return list
}

func wantStates(t *testing.T, s *custody.Service, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, states(get(t, s))); diff != "" {
		t.Errorf("versions (-want +got):\n%s", diff)
	}
}

func wantTrouble(t *testing.T, s *custody.Service, want string) {
	t.Helper()
	if _, got := get(t, s).Source.Checked(); !strings.Contains(got, want) || want == "" && got != "" {
		t.Errorf("trouble: got %q, want %q", got, want)
	}
}

// A key of a source has its secret, says where it is from, and shows it
// nowhere.
func TestSourceCreate(t *testing.T) {
	h, e := newSourced(t)
	wantStates(t, h.Service, "active secret A")
	k, at := get(t, h.Service), h.now.UTC().Truncate(time.Microsecond)
	if s := k.Source; s.Ref != ref("there") || s.Every != time.Hour || s.Version != "v1" || !s.ChangedAt.Equal(at) {
		t.Errorf("Source: got %+v", s)
	}
	if checked, trouble := k.Source.Checked(); !checked.Equal(at) || trouble != "" {
		t.Errorf("Checked: got %v, %q", checked, trouble)
	}
	entry := h.log(t)[1]
	want := `{"algorithm":"hmac-sha256","exportable":false,"key_id":"a","name":"there","origin":"sourced","provider":"elsewhere","source_version":"v1","version":1}`
	if string(entry.Detail) != want {
		t.Errorf("entry: got %s, want %s", entry.Detail, want)
	}
	if diff := cmp.Diff([]string{tenant}, e.tenants); diff != "" {
		t.Errorf("reads (-want +got):\n%s", diff)
	}
	for _, form := range forms(secretOf(secretA)) {
		for _, place := range h.log(t) {
			if bytes.Contains(place.Detail, form) {
				t.Errorf("an entry shows the secret: %s", place.Detail)
			}
		}
		if bytes.Contains(h.record(t, tenant, "key", "a").Doc, form) {
			t.Error("the record shows the secret")
		}
	}
	h.checkReopened(t)
}

// What cannot be a key is refused, and nothing is stored.
func TestSourceCreateRefused(t *testing.T) {
	from := func(change func(*custody.Source)) *custody.Source {
		s := &custody.Source{Ref: ref("there")}
		change(s)
		return s
	}
	tests := []struct {
		name   string
		secret string
		in     custody.CreateKey
		err    error // of the source
		want   fault.Kind
		about  string
	}{
		{name: "Away", in: custody.CreateKey{Source: from(func(*custody.Source) {})}, err: errAway, want: fault.Unavailable, about: "away"},
		{name: "NotThere", in: custody.CreateKey{Source: from(func(s *custody.Source) { s.Name = "not-there" })}, want: fault.Invalid, about: "no secret not-there"},
		{name: "Short", secret: "13 bytes long", in: custody.CreateKey{Source: from(func(*custody.Source) {})}, want: fault.Invalid, about: "got 13 bytes"},
		{name: "Long", secret: strings.Repeat("a", custody.MaxMaterial+1), in: custody.CreateKey{Source: from(func(*custody.Source) {})}, want: fault.Invalid, about: "got 4097 bytes"},
		{name: "Empty", secret: "\n", in: custody.CreateKey{AllowWeak: true, Source: from(func(s *custody.Source) { s.Encoding = source.Hex })}, want: fault.Invalid, about: "is empty"},
		{name: "NoField", secret: "{}", in: custody.CreateKey{Source: from(func(s *custody.Source) { s.Field = "f" })}, want: fault.Invalid, about: `no field "f"`},
		{name: "WrongEncoding", secret: "not hex, but long enough", in: custody.CreateKey{Source: from(func(s *custody.Source) { s.Encoding = source.Hex })}, want: fault.Invalid, about: "not hex"},
		{name: "NoProvider", in: custody.CreateKey{Source: from(func(s *custody.Source) { s.Provider = "" })}, want: fault.Invalid, about: "source.provider"},
		{name: "TooOften", in: custody.CreateKey{Source: from(func(s *custody.Source) { s.Every = time.Minute - 1 })}, want: fault.Invalid, about: "source.every"},
		{name: "TooSeldom", in: custody.CreateKey{Source: from(func(s *custody.Source) { s.Every = 30*24*time.Hour + 1 })}, want: fault.Invalid, about: "source.every"},
		{name: "WithMaterial", in: custody.CreateKey{Material: secretOf(secretB), Source: from(func(*custody.Source) {})}, want: fault.Invalid, about: "either"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h, e := newHouse(t), &elsewhere{err: tt.err}
			if tt.secret == "" {
				tt.secret = secretA
			}
			e.set("there", tt.secret, "1")
			h.Service = h.openSourced(t, h.store, e)
			tt.in.Name = "a"
			_, err := h.Create(t.Context(), admin, tt.in)
			if fault.KindOf(err) != tt.want || !strings.Contains(fault.Public(err), tt.about) {
				t.Errorf("Create: got %v, want kind %v about %q", err, tt.want, tt.about)
			}
			if n := len(h.log(t)); n != 0 {
				t.Errorf("log has %d entries, want 0", n)
			}
		})
	}
	t.Run("Bounds", func(t *testing.T) {
		h, e := newHouse(t), &elsewhere{}
		h.Service = h.openSourced(t, h.store, e)
		for text, in := range map[string]custody.CreateKey{
			"14 bytes long.": {Name: "a", Source: from(func(s *custody.Source) { s.Every = time.Minute })},
			"w":              {Name: "b", AllowWeak: true, Source: from(func(s *custody.Source) { s.Every = 30 * 24 * time.Hour })},
		} {
			e.set("there", text, "1")
			h.createSourced(t, in)
		}
	})
	t.Run("NoSources", func(t *testing.T) {
		h := newHouse(t)
		_, err := h.Create(t.Context(), admin, custody.CreateKey{Name: "a", Source: &custody.Source{Ref: ref("there")}})
		wantKind(t, "Create", err, fault.Invalid)
	})
	t.Run("NotAllowed", func(t *testing.T) {
		h, e := newHouse(t), &elsewhere{}
		h.Service = h.openSourced(t, h.store, e)
		_, err := h.Create(t.Context(), access.Caller{ID: "c", Tenant: tenant}, custody.CreateKey{Name: "a", Source: &custody.Source{Ref: ref("there")}})
		wantKind(t, "Create", err, fault.Denied)
		if e.reads() != 0 {
			t.Errorf("the source was read %d times for a caller that may not", e.reads())
		}
	})
}

// A change at the source is a rotation here: the old secret verifies for the
// grace period. Before it is due nothing is read, and without a change nothing
// is stored.
func TestSourceRefresh(t *testing.T) {
	h, e := newSourced(t)
	old, _, err := get(t, h.Service).Sign(nil, []byte("m"))
	if err != nil {
		t.Fatal(err)
	}
	entries := len(h.log(t))
	e.set("there", secretA, "v2") // another version of the same secret
	h.now = h.now.Add(time.Hour - time.Second)
	if h.refresh(t); e.reads() != 1 {
		t.Errorf("reads before the hour is over: got %d, want that of Create", e.reads())
	}
	h.now = h.now.Add(time.Second)
	if h.refresh(t); e.reads() != 2 {
		t.Errorf("reads after an hour: got %d, want 2", e.reads())
	}
	if h.refresh(t); e.reads() != 2 {
		t.Errorf("reads in the same second: got %d, want 2", e.reads())
	}
	if n := len(h.log(t)); n != entries {
		t.Errorf("log: got %d entries after a read without a change, want %d", n, entries)
	}
	if checked, _ := get(t, h.Service).Source.Checked(); !checked.Equal(h.now.UTC().Truncate(time.Microsecond)) {
		t.Errorf("Checked: got %v, want %v", checked, h.now)
	}

	e.set("there", secretB, "v3")
	h.now = h.now.Add(time.Hour - time.Second)
	h.refresh(t)
	wantStates(t, h.Service, "active secret A") // not due
	h.now = h.now.Add(time.Second)
	h.refresh(t)
	wantStates(t, h.Service, "grace secret A", "active secret B")
	k := get(t, h.Service)
	if k.Source.Version != "v3" || !k.Source.ChangedAt.Equal(h.now.UTC().Truncate(time.Microsecond)) {
		t.Errorf("Source: got %+v", k.Source)
	}
	if version, ok := k.Verify(old, 0, []byte("m")); !ok || version != 1 {
		t.Errorf("Verify of a tag of before: got %d, %t", version, ok)
	}
	log := h.log(t)[entries:]
	var actions []string
	for _, entry := range log {
		actions = append(actions, entry.Caller+" "+entry.Action)
	}
	if diff := cmp.Diff([]string{"system version.add", "system key.source", "system version.promote", "system version.supersede"}, actions); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
	if want := `{"name":"there","provider":"elsewhere","source_version":"v3","version":2}`; string(log[1].Detail) != want {
		t.Errorf("entry: got %s, want %s", log[1].Detail, want)
	}
	h.checkReopened(t)
	h.now = h.now.Add(custody.DefaultGrace)
	wantStates(t, h.Service, "retired secret A", "active secret B")
}

// A restart needs no source: the key signs, and the source is read within its
// period, at a random time.
func TestSourceRestart(t *testing.T) {
	h, e := newSourced(t)
	e.fail(errAway)
	e.tenants = nil
	h.Service = h.openSourced(t, h.store, e)
	wantStates(t, h.Service, "active secret A")
	if at, trouble := get(t, h.Service).Source.Checked(); !at.IsZero() || trouble != "" {
		t.Errorf("Checked after a restart: got %v, %q", at, trouble)
	}
	h.now = h.now.Add(30*time.Minute - 1)
	if h.refresh(t); e.reads() != 0 {
		t.Errorf("reads before half of the period: got %d, want 0", e.reads())
	}
	h.now = h.now.Add(1)
	if err := h.ReadSources(t.Context()); err == nil || e.reads() != 1 {
		t.Errorf("ReadSources at half of the period: got %d reads, %v, want 1 and an error", e.reads(), err)
	}
}

// A source that is away or gives something unusable leaves the key as it is.
// That is said once, stands in the key until it is over, and is tried again
// soon.
func TestSourceTrouble(t *testing.T) {
	breaks := map[string]struct {
		run   func(*elsewhere)
		about string
	}{
		"Away":    {func(e *elsewhere) { e.fail(errAway) }, "the provider is away"},
		"Removed": {func(e *elsewhere) { delete(e.kept, "there") }, "there is no secret"},
		"Empty":   {func(e *elsewhere) { e.set("there", "", "v2") }, "is empty"},
		"Short":   {func(e *elsewhere) { e.set("there", "13 bytes long", "v2") }, "got 13 bytes"},
		"Strange": {func(e *elsewhere) { e.fail(errors.New("TOPSECRET")) }, "internal error"},
	}
	for name, b := range breaks {
		t.Run(name, func(t *testing.T) {
			h, e := newSourced(t)
			before := h.dump(t)
			b.run(e)
			h.now = h.now.Add(time.Hour)
			if err := h.ReadSources(t.Context()); err == nil || !strings.Contains(err.Error(), `source of key "a"`) {
				t.Errorf("ReadSources: got %v", err)
			}
			wantTrouble(t, h.Service, b.about)
			wantStates(t, h.Service, "active secret A")
			if h.SourceTroubles() != 1 {
				t.Errorf("SourceTroubles: got %d, want 1", h.SourceTroubles())
			}
			if _, trouble := get(t, h.Service).Source.Checked(); strings.Contains(trouble, "for the log") || strings.Contains(trouble, "TOPSECRET") {
				t.Errorf("trouble shows the cause: %q", trouble)
			}
			reads := e.reads()
			h.now = h.now.Add(5 * time.Minute)
			if h.refresh(t); e.reads() != reads+1 { // the same again is no news
				t.Errorf("reads after 5 minutes: got %d, want %d", e.reads(), reads+1)
			}
			if diff := cmp.Diff(before, h.dump(t)); diff != "" {
				t.Errorf("the store (-before +after):\n%s", diff)
			}
			e.fail(nil)
			e.set("there", secretB, "v3")
			h.now = h.now.Add(5 * time.Minute)
			h.refresh(t)
			wantTrouble(t, h.Service, "")
			wantStates(t, h.Service, "grace secret A", "active secret B")
			if h.SourceTroubles() != 0 {
				t.Errorf("SourceTroubles: got %d, want 0", h.SourceTroubles())
			}
		})
	}
}

// Rotate reads now.
func TestSourceRotate(t *testing.T) {
	ctx, never := t.Context(), time.Duration(0)
	h, e := newSourced(t)
	entries := len(h.log(t))
	if k := h.rotate(t, "a"); k.ETagVersion != 1 || len(h.log(t)) != entries {
		t.Errorf("Rotate without a change: got ETag version %d and %d entries, want 1 and %d", k.ETagVersion, len(h.log(t)), entries)
	}
	_, err := h.Rotate(ctx, admin, "a", 0, custody.Rotation{At: h.now.Add(time.Hour)})
	wantKind(t, "Rotate at a time", err, fault.Invalid)
	_, err = h.SetSchedule(ctx, admin, "a", 0, &custody.Schedule{Every: time.Hour})
	wantKind(t, "SetSchedule", err, fault.Invalid)
	_, err = h.Rotate(ctx, admin, "a", 0, custody.Rotation{RevokeCurrent: true})
	wantKind(t, "emergency without a change", err, fault.Conflict)
	wantStates(t, h.Service, "active secret A")
	wantTrouble(t, h.Service, "")

	e.set("there", secretB, "v2")
	reads := e.reads()
	_, err = h.Rotate(ctx, admin, "a", 2, custody.Rotation{})
	if wantKind(t, "Rotate of another version", err, fault.Conflict); !errors.Is(err, custody.ErrPrecondition) {
		t.Errorf("Rotate of another version: got %v, want ErrPrecondition", err)
	}
	_, err = h.Rotate(ctx, access.Caller{ID: "c", Tenant: tenant}, "a", 0, custody.Rotation{})
	if wantKind(t, "Rotate not allowed", err, fault.Denied); e.reads() != reads {
		t.Errorf("the source was read %d times for what is refused", e.reads()-reads)
	}
	if _, err := h.Rotate(ctx, admin, "a", 1, custody.Rotation{Grace: &never, Why: "leaked"}); err != nil {
		t.Errorf("Rotate: %v", err)
	}
	wantStates(t, h.Service, "retired", "active secret B")
	if log := h.log(t); !bytes.Contains(log[len(log)-1].Detail, []byte("version")) || !bytes.Contains(log[len(log)-3].Detail, []byte(`"why":"leaked"`)) {
		t.Errorf("entries: got %s", log[len(log)-3].Detail)
	}

	e.set("there", secretC, "v3")
	if _, err := h.Rotate(ctx, admin, "a", 0, custody.Rotation{RevokeCurrent: true}); err != nil {
		t.Errorf("emergency: %v", err)
	}
	wantStates(t, h.Service, "retired", "revoked", "active secret C")

	// A secret that was revoked does not come back, an older one does.
	e.set("there", secretB, "v4")
	_, err = h.Rotate(ctx, admin, "a", 0, custody.Rotation{})
	wantKind(t, "Rotate to a revoked secret", err, fault.Invalid)
	wantTrouble(t, h.Service, "version 2 of key \"a\", which is revoked")
	e.set("there", secretA, "v5")
	h.rotate(t, "a")
	wantStates(t, h.Service, "retired", "revoked", "grace secret C", "active secret A")

	e.fail(errAway)
	_, err = h.Rotate(ctx, admin, "a", 0, custody.Rotation{})
	wantKind(t, "Rotate while the source is away", err, fault.Unavailable)
	wantTrouble(t, h.Service, "away")
	h.checkReopened(t)
}

// Deleted keys are not read, restored ones are.
func TestSourceDeleted(t *testing.T) {
	h, e := newSourced(t)
	if err := h.Delete(t.Context(), admin, "a", 0); err != nil {
		t.Fatal(err)
	}
	e.set("there", secretB, "v2")
	reads := e.reads()
	_, err := h.Rotate(t.Context(), admin, "a", 0, custody.Rotation{})
	wantKind(t, "Rotate of a deleted key", err, fault.NotFound)
	h.now = h.now.Add(2 * time.Hour)
	if h.refresh(t); e.reads() != reads {
		t.Errorf("reads of a deleted key: got %d", e.reads()-reads)
	}
	if _, err := h.Restore(t.Context(), admin, "a", ""); err != nil {
		t.Fatal(err)
	}
	h.refresh(t)
	wantStates(t, h.Service, "grace secret A", "active secret B")
}

// The node dies between the read and the commit, or the answer of the commit is
// lost: the next read makes of it the same.
func TestSourceWriteBroken(t *testing.T) {
	for name, tt := range map[string]struct {
		apply bool
		first []string
	}{
		"NotStored":     {false, []string{"active secret A"}},
		"StoredButLost": {true, []string{"grace secret A", "active secret B"}},
	} {
		t.Run(name, func(t *testing.T) {
			h, e := newSourced(t)
			e.set("there", secretB, "v2")
			h.now = h.now.Add(time.Hour)
			h.store.Fail(memory.Fault{Err: errLost, Apply: tt.apply})
			if err := h.ReadSources(t.Context()); tt.apply == (err != nil) {
				t.Errorf("ReadSources: got %v", err)
			}
			wantStates(t, h.Service, tt.first...)
			h.checkReopened(t)
			h.Service = h.openSourced(t, h.store, e) // after the crash
			h.now = h.now.Add(time.Hour)
			h.refresh(t)
			wantStates(t, h.Service, "grace secret A", "active secret B")
			h.checkReopened(t)
		})
	}
}

// A key that is made of a source is stored or not, like every other.
func TestSourceCreateBroken(t *testing.T) {
	for name, apply := range map[string]bool{"NotStored": false, "StoredButLost": true} {
		t.Run(name, func(t *testing.T) {
			h, e := newHouse(t), &elsewhere{}
			e.set("there", secretA, "v1")
			h.Service = h.openSourced(t, h.store, e)
			in := custody.CreateKey{Name: "a", Source: &custody.Source{Ref: ref("there")}}
			h.store.Fail(memory.Fault{Err: errLost, Apply: apply})
			_, err := h.Create(t.Context(), admin, in)
			if apply == (err != nil) {
				t.Errorf("Create: got %v", err)
			}
			h.checkReopened(t)
			if _, err = h.Create(t.Context(), admin, in); apply == (err == nil) {
				t.Errorf("Create again: got %v", err)
			}
			wantStates(t, h.Service, "active secret A")
			h.checkReopened(t)
		})
	}
}

// With other nodes the new version waits until they have it. The source is read
// in between without harm.
func TestSourceTwoSteps(t *testing.T) {
	h, e := newSourced(t)
	o := h.options(h.store)
	others := &nodes{}
	o.ReadSource, o.Rand, o.Nodes = e.read, func() float64 { return 0.5 }, others
	var err error
	if h.Service, err = custody.Open(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	e.set("there", secretB, "v2")
	h.rotate(t, "a")
	h.rotate(t, "a")
	wantStates(t, h.Service, "active secret A", "pending secret B")
	e.set("there", secretC, "v3") // before the rotation to B is over
	_, err = h.Rotate(t.Context(), admin, "a", 0, custody.Rotation{})
	if wantKind(t, "Rotate while one is pending", err, fault.Conflict); !errors.Is(err, keyring.ErrTransition) {
		t.Errorf("Rotate while one is pending: got %v", err)
	}
	others.have = true
	if err := h.Step(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantStates(t, h.Service, "grace secret A", "active secret B")
	h.now = h.now.Add(5 * time.Minute)
	h.refresh(t)
	wantStates(t, h.Service, "grace secret A", "active secret B", "pending secret C")
	if _, err := h.Rotate(t.Context(), admin, "a", 0, custody.Rotation{RevokeCurrent: true}); err != nil {
		t.Errorf("emergency: %v", err)
	}
	wantStates(t, h.Service, "grace secret A", "revoked", "active secret C")
	h.checkReopened(t)
}

// Two nodes read the same change: it is one rotation.
func TestSourceTwoNodes(t *testing.T) {
	h, e := newSourced(t)
	second := h.openSourced(t, h.store, e)
	e.set("there", secretB, "v2")
	h.now = h.now.Add(time.Hour)
	var group sync.WaitGroup
	for _, s := range []*custody.Service{h.Service, second} {
		group.Go(func() {
			if err := s.ReadSources(t.Context()); err != nil {
				t.Errorf("ReadSources: %v", err)
			}
		})
	}
	group.Wait()
	for _, s := range []*custody.Service{h.Service, second} {
		if _, err := s.Rotate(t.Context(), admin, "a", 0, custody.Rotation{}); err != nil { // shows it what the other did
			t.Errorf("Rotate: %v", err)
		}
		wantStates(t, s, "grace secret A", "active secret B")
	}
	h.checkReopened(t)
}

// While one read is slow, the secret changes and another read, here or on
// another node, takes the new one: the slow one does not bring the old one back.
func TestSourceSlowRead(t *testing.T) {
	for _, elsewhereToo := range []bool{false, true} {
		h, e := newSourced(t)
		fast := h.Service
		if elsewhereToo {
			fast = h.openSourced(t, h.store, e)
		}
		e.set("there", secretB, "v2")
		e.during = func() {
			e.set("there", secretC, "v3")
			if _, err := fast.Rotate(t.Context(), admin, "a", 0, custody.Rotation{}); err != nil {
				t.Errorf("Rotate: %v", err)
			}
		}
		if _, err := h.Rotate(t.Context(), admin, "a", 0, custody.Rotation{}); err != nil {
			t.Errorf("Rotate: %v", err)
		}
		wantStates(t, h.Service, "grace secret A", "active secret C")
		h.checkReopened(t)
	}
}

// A provider that is away holds up neither the others nor the end of the
// process.
func TestSourceManyAway(t *testing.T) {
	h := newHouse(t)
	e := &elsewhere{}
	e.set("there", secretA, "v1")
	o := h.options(h.store)
	var mu sync.Mutex
	asked := map[string]int{}
	hang := false
	o.ReadSource = func(ctx context.Context, tenant string, r source.Ref) (source.Payload, error) {
		mu.Lock()
		asked[r.Provider]++
		stuck := hang && r.Provider == "stuck"
		mu.Unlock()
		if stuck {
			return source.Payload{}, errAway
		}
		return e.read(ctx, tenant, r)
	}
	var err error
	if h.Service, err = custody.Open(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	const keys = 50
	for i := range keys {
		for _, provider := range []string{"stuck", "good"} {
			from := &custody.Source{Ref: source.Ref{Provider: provider, Name: "there"}}
			h.createSourced(t, custody.CreateKey{Name: provider + "-" + string(rune('a'+i/26)) + string(rune('a'+i%26)), Source: from})
		}
	}
	hang, asked = true, map[string]int{}
	h.now = h.now.Add(2 * time.Hour)
	if err := h.ReadSources(t.Context()); err == nil {
		t.Error("ReadSources: got no error")
	}
	if asked["good"] != keys || asked["stuck"] == 0 || asked["stuck"] >= keys {
		t.Errorf("reads: got %v, want %d good ones and few of the stuck", asked, keys)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	h.now = h.now.Add(2 * time.Hour)
	before := asked["good"]
	if err := h.ReadSources(ctx); err != nil || asked["good"] != before {
		t.Errorf("ReadSources with an ended context: got %v after %d reads", err, asked["good"]-before)
	}
}

// A record whose source cannot be is damaged.
func TestSourceDamaged(t *testing.T) {
	for name, change := range map[string]func(map[string]any){
		"Provider": func(s map[string]any) { s["provider"] = "" },
		"Name":     func(s map[string]any) { s["name"] = "../a" },
		"Every":    func(s map[string]any) { s["every_ns"] = 1 },
		"Unknown":  func(s map[string]any) { s["more"] = 1 },
	} {
		t.Run(name, func(t *testing.T) {
			h, _ := newSourced(t)
			h.edit(t, tenant, "key", "a", func(doc map[string]any) { change(doc["source"].(map[string]any)) })
			_, err := custody.Open(t.Context(), h.options(h.store))
			wantKind(t, "Open", err, fault.Internal)
		})
	}
}

// Run follows the source. A read that hangs delays nothing else, and Run ends
// after it has ended.
func TestSourceRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, e := newHouse(t), &elsewhere{}
		e.set("there", secretA, "v1")
		var hanging atomic.Bool
		h.with(t, func(o *custody.Options) {
			o.Now = time.Now
			o.ReadSource = func(ctx context.Context, tenant string, r source.Ref) (source.Payload, error) {
				if hanging.Load() {
					<-ctx.Done()
				}
				return e.read(ctx, tenant, r)
			}
		})
		h.createSourced(t, custody.CreateKey{Name: "a", Source: &custody.Source{Ref: ref("there")}})
		h.create(t, "b")
		if _, err := h.SetSchedule(t.Context(), admin, "b", 0, &custody.Schedule{Every: 4 * time.Hour}); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- h.Run(ctx, func(err error) { t.Errorf("was told %v", err) }) }()
		e.set("there", secretB, "v2")
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		wantStates(t, h.Service, "grace secret A", "active secret B")
		hanging.Store(true)
		time.Sleep(3 * time.Hour)
		synctest.Wait()
		if k, err := h.Get(tenant, "b"); err != nil || k.Signing != 2 {
			t.Errorf("the schedule of another key waits for the source: %v", err)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
		wantTrouble(t, h.Service, "")
	})
}

// A node whose keys must not be used reads nothing.
func TestSourceNotUsable(t *testing.T) {
	h, e := newSourced(t)
	h.with(t, func(o *custody.Options) { o.ReadSource, o.Usable = e.read, func() error { return errAway } })
	reads := e.reads()
	h.now = h.now.Add(2 * time.Hour)
	if h.refresh(t); e.reads() != reads {
		t.Errorf("reads: got %d, want 0", e.reads()-reads)
	}
}
