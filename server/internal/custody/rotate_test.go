package custody_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/custody"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/store/memory"
)

// nodes answers as a cluster would.
type nodes struct {
	have  bool // they have applied everything
	err   error
	heads int // calls of Head
}

func (n *nodes) Head(context.Context) (int64, error) { n.heads++; return 1000, n.err }

func (n *nodes) Applied(context.Context) (int64, error) {
	if n.have {
		return 1000, n.err
	}
	return 0, n.err
}

// with opens the service again with other options.
func (h *house) with(t *testing.T, change func(*custody.Options)) {
	t.Helper()
	o := h.options(h.store)
	change(&o)
	s, err := custody.Open(t.Context(), o)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	h.Service = s
}

func (h *house) states(t *testing.T, name string) string {
	t.Helper()
	k, err := h.Get(tenant, name)
	if err != nil {
		t.Fatalf("Get: %v", err)
	}
	var states []string
	for _, v := range k.Versions {
		states = append(states, string(k.State(v.Version)))
	}
	return strings.Join(states, " ")
}

func (h *house) wantStates(t *testing.T, what, want string) {
	t.Helper()
	if got := h.states(t, "a"); got != want {
		t.Errorf("%s: got %s, want %s", what, got, want)
	}
}

func (h *house) step(t *testing.T) {
	t.Helper()
	if err := h.Step(t.Context()); err != nil {
		t.Errorf("Step: %v", err)
	}
}

func grace(d time.Duration) *time.Duration { return &d }

// at is an operation on one version.
type at func(ctx context.Context, c access.Caller, name string, ifVersion int64, version int, why string) (*custody.Key, error)

func (h *house) operations() map[string]at {
	return map[string]at{
		"promote": h.Promote, "revoke": h.Revoke, "retire": h.Retire, "restore": h.RestoreVersion,
		"destroy": h.Destroy, "cancel": h.CancelDestroy,
	}
}

func (h *house) do(t *testing.T, operation string, version int) {
	t.Helper()
	if _, err := h.operations()[operation](t.Context(), admin, "a", 0, version, ""); err != nil {
		t.Fatalf("%s version %d: %v", operation, version, err)
	}
}

func TestGraceEnds(t *testing.T) {
	h := newHouse(t)
	before := h.create(t, "a")
	tag, _, err := before.Sign(nil, []byte("m"))
	if err != nil {
		t.Fatal(err)
	}
	k, err := h.Rotate(t.Context(), admin, "a", 0, custody.Rotation{Grace: grace(time.Hour)})
	if err != nil {
		t.Fatalf("Rotate: %v", err)
	}
	end := h.now.Truncate(time.Microsecond).Add(time.Hour)
	for _, tt := range []struct {
		name  string
		now   time.Time
		valid bool
		state keyring.State
	}{{"Last", end.Add(-1), true, keyring.Grace}, {"End", end, false, keyring.Retired}, {"After", end.Add(time.Hour), false, keyring.Retired}} {
		h.now = tt.now
		if _, ok := k.Verify(tag, 0, []byte("m")); ok != tt.valid {
			t.Errorf("%s: Verify: got %v", tt.name, ok)
		}
		if got := k.State(1); got != tt.state {
			t.Errorf("%s: got state %s, want %s", tt.name, got, tt.state)
		}
	}
	h.step(t)
	log := h.log(t)
	last := log[len(log)-1]
	if last.Action != "version.expire" || last.Caller != "system" || string(last.Detail) != `{"from":"grace","to":"retired","version":1}` {
		t.Errorf("last entry: got %+v", last)
	}
	if k, _ := h.Get(tenant, "a"); !k.Versions[0].RetiredAt.Equal(end) {
		t.Errorf("retired at %v, want %v", k.Versions[0].RetiredAt, end)
	}
	n := len(log)
	h.step(t)
	if log := h.log(t); len(log) != n {
		t.Errorf("a second Step stored %d entries", len(log)-n)
	}
}

func TestRotateWithoutGrace(t *testing.T) {
	h := newHouse(t)
	h.create(t, "a")
	if _, err := h.Rotate(t.Context(), admin, "a", 0, custody.Rotation{Grace: grace(0)}); err != nil {
		t.Fatalf("Rotate: %v", err)
	}
	h.wantStates(t, "after Rotate", "retired active")
	h.checkStored(t)
}

// checkStored compares states with what another service reads.
func (h *house) checkStored(t *testing.T) {
	t.Helper()
	fresh := &house{Service: h.open(t, h.store)}
	if got, want := fresh.states(t, "a"), h.states(t, "a"); got != want {
		t.Errorf("stored are %s, shown %s", got, want)
	}
}

func TestEmergency(t *testing.T) {
	h := newHouse(t)
	before := h.create(t, "a")
	tag, _, err := before.Sign(nil, []byte("m"))
	if err != nil {
		t.Fatal(err)
	}
	n := len(h.log(t))
	k, err := h.Rotate(t.Context(), admin, "a", 1, custody.Rotation{RevokeCurrent: true, Why: "leaked"})
	if err != nil || k.ETagVersion != 2 {
		t.Fatalf("Rotate: got %v, want one commit", err)
	}
	h.wantStates(t, "after Rotate", "revoked active")
	if _, ok := k.Verify(tag, 0, []byte("m")); ok {
		t.Error("a tag by the revoked version is valid")
	}
	if v, ok := k.RevokedBy(tag, []byte("m")); !ok || v != 1 {
		t.Errorf("RevokedBy: got %d, %v", v, ok)
	}
	if _, ok := k.RevokedBy(tag, []byte("other")); ok {
		t.Error("RevokedBy takes another message")
	}
	err = k.VerifySignature(before.Signature(tag, 1), []byte("m"))
	if !errors.Is(err, custody.ErrRevoked) || !errors.Is(err, sealwright.ErrUnknownKey) {
		t.Errorf("VerifySignature: got %v, want ErrRevoked", err)
	}
	var why []string
	for _, e := range h.log(t)[n:] {
		why = append(why, e.Action+" "+string(e.Detail))
	}
	want := []string{
		`version.add {"to":"pending","version":2,"why":"leaked"}`,
		`version.promote {"from":"pending","to":"active","version":2,"why":"leaked"}`,
		`version.revoke {"from":"active","to":"revoked","version":1,"why":"leaked"}`,
	}
	if diff := cmp.Diff(want, why); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
	h.checkStored(t)
}

func TestPromotionWaits(t *testing.T) {
	h := newHouse(t)
	cluster := &nodes{}
	h.with(t, func(o *custody.Options) { o.Nodes, o.PromoteAfter = cluster, time.Minute })
	h.create(t, "a")
	k := h.rotate(t, "a")
	h.wantStates(t, "after Rotate", "active pending")
	if tag, version, err := k.Sign(nil, []byte("m")); err != nil || version != 1 {
		t.Errorf("Sign: got version %d, %v, tag %x", version, err, tag)
	}
	m, err := k.MAC(2) // as if another node had promoted it
	if err != nil {
		t.Fatalf("MAC of the pending version: %v", err)
	}
	tag, _ := m.Sum(nil, []byte("m"))
	if v, ok := k.Verify(tag, 0, []byte("m")); !ok || v != 2 {
		t.Errorf("Verify by the pending version: got %d, %v", v, ok)
	}
	h.step(t)
	h.wantStates(t, "while a node lacks it", "active pending")
	_, err = h.Rotate(t.Context(), admin, "a", 0, custody.Rotation{})
	wantKind(t, "Rotate while one is pending", err, fault.Conflict)
	if !strings.Contains(fault.Public(err), "version 2") || !strings.Contains(fault.Public(err), "pending") {
		t.Errorf("got %v", fault.Public(err))
	}
	cluster.err = errLost
	if err := h.Step(t.Context()); !errors.Is(err, errLost) {
		t.Errorf("Step: got %v", err)
	}
	cluster.err, cluster.have = nil, true
	h.step(t)
	h.wantStates(t, "when all have it", "grace active")

	cluster.have = false
	h.rotate(t, "a")
	h.now = h.now.Add(time.Minute - time.Microsecond)
	h.step(t)
	h.wantStates(t, "before the delay", "grace active pending")
	h.now = h.now.Add(time.Microsecond)
	h.step(t)
	h.wantStates(t, "after the delay", "grace grace active")

	h.rotate(t, "a")
	h.do(t, "promote", 4)
	h.wantStates(t, "by hand", "grace grace grace active")
	h.rotate(t, "a")
	if _, err := h.Rotate(t.Context(), admin, "a", 0, custody.Rotation{RevokeCurrent: true}); err != nil {
		t.Errorf("emergency while one is pending: %v", err)
	}
	h.wantStates(t, "emergency", "grace grace grace revoked active")
	h.checkStored(t)
}

// A pending version that a process left behind is promoted by the next one.
func TestHalfFinishedRotation(t *testing.T) {
	h := newHouse(t)
	h.create(t, "a")
	h.with(t, func(o *custody.Options) { o.Nodes = &nodes{} })
	if _, err := h.Rotate(t.Context(), admin, "a", 0, custody.Rotation{Grace: grace(time.Hour)}); err != nil {
		t.Fatalf("Rotate: %v", err)
	}
	h.Service = h.open(t, h.store) // alone
	h.wantStates(t, "after the restart", "active pending")
	h.step(t)
	h.wantStates(t, "after Step", "grace active")
	if k, _ := h.Get(tenant, "a"); !k.Versions[0].NotAfter.Equal(h.now.Truncate(time.Microsecond).Add(time.Hour)) {
		t.Errorf("the grace of the rotation is lost: %v", k.Versions[0].NotAfter)
	}
}

// TestVersionOperations has every operation on a version in every state.
func TestVersionOperations(t *testing.T) {
	prepare := map[string][]string{ // version 2 of a cluster, whose version 1 signs
		"pending": {}, "retired": {"retire"}, "revoked": {"revoke"}, "active": {"promote"}, "dying": {"revoke", "destroy"},
		"destroyed": {"revoke", "destroy", "wait", "destroy"}, "grace": {"retire", "restore"},
	}
	want := map[string]string{
		"pending promote": "active", "pending retire": "retired", "pending revoke": "revoked",
		"grace retire": "retired", "grace revoke": "revoked",
		"retired restore": "grace", "retired revoke": "revoked", "retired destroy": "retired",
		"revoked destroy": "revoked", "dying cancel": "revoked",
	}
	for state, steps := range prepare {
		for operation := range newHouse(t).operations() {
			t.Run(state+"/"+operation, func(t *testing.T) {
				h := newHouse(t)
				h.create(t, "a")
				h.with(t, func(o *custody.Options) { o.Nodes = &nodes{} })
				h.rotate(t, "a")
				for _, s := range steps {
					if s == "wait" {
						h.now = h.now.Add(custody.DefaultDestroyWait)
						continue
					}
					h.do(t, s, 2)
				}
				before := h.dump(t)
				k, err := h.operations()[operation](t.Context(), admin, "a", 0, 2, "because")
				next, ok := want[state+" "+operation]
				if !ok {
					wantKind(t, operation, err, fault.Conflict)
					if !errors.Is(err, keyring.ErrTransition) || !strings.Contains(fault.Public(err), "version 2") {
						t.Errorf("got %v", err)
					}
					if diff := cmp.Diff(before, h.dump(t)); diff != "" {
						t.Errorf("a refusal changed the store:\n%s", diff)
					}
					return
				}
				if err != nil || string(k.State(2)) != next {
					t.Fatalf("got %v, %v, want %s", k, err, next)
				}
				log := h.log(t)
				if e := log[len(log)-1]; !strings.Contains(string(log[len(log)-1].Detail)+string(log[len(log)-2].Detail), `"why":"because"`) || e.Caller != "admin" {
					t.Errorf("last entry: got %+v", e)
				}
				h.checkStored(t)
			})
		}
	}
}

func TestVersionOperationsRefuse(t *testing.T) {
	h := newHouse(t)
	h.create(t, "a")
	for name, run := range h.operations() {
		_, err := run(t.Context(), admin, "a", 0, 2, "")
		wantKind(t, name+" of no version", err, fault.NotFound)
		_, err = run(t.Context(), admin, "b", 0, 1, "")
		wantKind(t, name+" of no key", err, fault.NotFound)
		_, err = run(t.Context(), access.Caller{ID: "c", Tenant: tenant}, "a", 0, 1, "")
		wantKind(t, name+" without role", err, fault.Denied)
		_, err = run(t.Context(), admin, "a", 0, 1, strings.Repeat("w", custody.MaxWhy+1))
		wantKind(t, name+" with a long reason", err, fault.Invalid)
		_, err = run(t.Context(), admin, "a", 9, 1, "")
		if !errors.Is(err, custody.ErrPrecondition) {
			t.Errorf("%s of another version of the key: got %v", name, err)
		}
	}
	h.wantStates(t, "after refusals", "active")
}

func TestDestroy(t *testing.T) {
	h := newHouse(t)
	h.create(t, "a")
	h.rotate(t, "a")
	h.do(t, "retire", 1)
	h.do(t, "destroy", 1)
	h.now = h.now.Add(custody.DefaultDestroyWait - time.Second)
	h.step(t)
	h.wantStates(t, "in the waiting period", "retired active")
	h.do(t, "cancel", 1)
	h.now = h.now.Add(time.Minute)
	h.step(t)
	h.wantStates(t, "after the operator cancelled", "retired active")
	h.do(t, "restore", 1)
	h.wantStates(t, "restored", "grace active")
	h.do(t, "retire", 1)
	h.do(t, "destroy", 1)
	h.now = h.now.Add(custody.DefaultDestroyWait)
	h.step(t)
	h.wantStates(t, "after the waiting period", "destroyed active")
	if doc := versionOf(document(t, h.record(t, tenant, "key", "a")), 0); doc["ciphertext"] != nil {
		t.Errorf("the material is still stored: %v", doc)
	}
	k, _ := h.Get(tenant, "a")
	if v := k.Versions[0]; v.Bytes != 0 || v.DestroyedAt.IsZero() || !v.DestroyAt.IsZero() || v.CreatedAt.IsZero() {
		t.Errorf("got %+v", v)
	}
	if _, err := k.MAC(1); fault.KindOf(err) != fault.NotFound || !strings.Contains(fault.Public(err), "destroyed") {
		t.Errorf("MAC: got %v", err)
	}
	h.checkStored(t)
	if k := h.rotate(t, "a"); k.Signing != 3 {
		t.Errorf("the number of a destroyed version is used again: %d", k.Signing)
	}
}

func TestSchedule(t *testing.T) {
	h := newHouse(t)
	h.create(t, "a")
	if _, err := h.SetSchedule(t.Context(), admin, "a", 0, &custody.Schedule{Every: 24 * time.Hour, Grace: -1}); err != nil {
		t.Fatalf("SetSchedule: %v", err)
	}
	h.now = h.now.Truncate(time.Microsecond).Add(24*time.Hour - time.Microsecond)
	h.step(t)
	h.wantStates(t, "before the time", "active")
	h.now = h.now.Add(time.Microsecond)
	h.Service = h.open(t, h.store) // the schedule is stored
	h.step(t)
	h.wantStates(t, "at the time", "grace active")
	h.now = h.now.Add(5 * 24 * time.Hour) // the server was off
	h.step(t)
	h.step(t)
	h.wantStates(t, "missed rotations are one", "grace grace active")
	k, _ := h.Get(tenant, "a")
	if want := h.now.Add(24 * time.Hour); !k.Schedule.At.Equal(want) {
		t.Errorf("next rotation: got %v, want %v", k.Schedule.At, want)
	}
	if _, err := h.Rotate(t.Context(), admin, "a", 0, custody.Rotation{At: h.now.Add(time.Hour), Grace: grace(0)}); err != nil {
		t.Fatalf("Rotate at: %v", err)
	}
	h.now = h.now.Add(time.Hour)
	h.step(t)
	h.wantStates(t, "a rotation at a time", "grace grace retired active")
	if _, err := h.SetSchedule(t.Context(), admin, "a", 0, nil); err != nil {
		t.Fatalf("SetSchedule: %v", err)
	}
	h.now = h.now.Add(48 * time.Hour)
	h.step(t)
	if k, _ := h.Get(tenant, "a"); k.Schedule != nil || k.Signing != 4 {
		t.Errorf("after the end of the schedule: got %v, version %d", k.Schedule, k.Signing)
	}
	if _, err := h.Rotate(t.Context(), admin, "a", 0, custody.Rotation{At: h.now.Add(time.Hour)}); err != nil {
		t.Fatalf("Rotate at: %v", err)
	}
	h.now = h.now.Add(time.Hour)
	h.step(t)
	if k, _ := h.Get(tenant, "a"); k.Schedule != nil || k.Signing != 5 {
		t.Errorf("once: got %v, version %d", k.Schedule, k.Signing)
	}
}

// A schedule that fills its key ends instead of failing every second.
func TestScheduleOfAFullKey(t *testing.T) {
	h := newHouse(t)
	h.create(t, "a")
	for range custody.MaxVersions - 1 {
		h.rotate(t, "a")
	}
	if _, err := h.SetSchedule(t.Context(), admin, "a", 0, &custody.Schedule{Every: time.Hour}); err != nil {
		t.Fatalf("SetSchedule: %v", err)
	}
	h.now = h.now.Add(time.Hour)
	h.step(t)
	if k, _ := h.Get(tenant, "a"); k.Schedule != nil || k.Signing != custody.MaxVersions {
		t.Errorf("got %v, version %d", k.Schedule, k.Signing)
	}
}

func TestRotationRefuses(t *testing.T) {
	h := newHouse(t)
	h.create(t, "a")
	for name, r := range map[string]custody.Rotation{
		"NegativeGrace":   {Grace: grace(-1)},
		"EndlessGrace":    {Grace: grace(custody.MaxGrace + 1)},
		"GraceOfRevoked":  {Grace: grace(0), RevokeCurrent: true},
		"EmergencyLater":  {At: h.now.Add(time.Hour), RevokeCurrent: true},
		"InThePast":       {At: h.now},
		"LongExplanation": {Why: strings.Repeat("w", custody.MaxWhy+1)},
	} {
		_, err := h.Rotate(t.Context(), admin, "a", 0, r)
		wantKind(t, name, err, fault.Invalid)
	}
	for name, s := range map[string]custody.Schedule{
		"Never":          {},
		"TooOften":       {Every: custody.MinEvery - 1},
		"Backwards":      {Every: -time.Hour},
		"InThePast":      {At: h.now, Every: time.Hour},
		"EndlessGrace":   {Every: time.Hour, Grace: custody.MaxGrace + 1},
		"TooManyInGrace": {Every: time.Hour, Grace: 6*time.Hour + 1},
	} {
		_, err := h.SetSchedule(t.Context(), admin, "a", 0, &s)
		wantKind(t, name, err, fault.Invalid)
	}
	h.wantStates(t, "after refusals", "active")
	if n := len(h.log(t)); n != 2 {
		t.Errorf("got %d entries", n)
	}
}

// The next rotation of a schedule can be moved: the others follow from there,
// with the grace of the schedule, unless another one is given.
func TestMoveSchedule(t *testing.T) {
	h := newHouse(t)
	h.create(t, "a")
	if _, err := h.SetSchedule(t.Context(), admin, "a", 0, &custody.Schedule{Every: time.Hour, Grace: 2 * time.Hour}); err != nil {
		t.Fatalf("SetSchedule: %v", err)
	}
	at := h.now.Add(10 * time.Minute).UTC().Truncate(time.Microsecond)
	for _, tt := range []struct {
		grace *time.Duration
		want  time.Duration
	}{{nil, 2 * time.Hour}, {grace(3 * time.Hour), 3 * time.Hour}} {
		k, err := h.Rotate(t.Context(), admin, "a", 0, custody.Rotation{At: at, Grace: tt.grace})
		if err != nil {
			t.Fatalf("Rotate: %v", err)
		}
		if want := (custody.Schedule{At: at, Every: time.Hour, Grace: tt.want}); *k.Schedule != want {
			t.Errorf("got %+v, want %+v", *k.Schedule, want)
		}
	}
	_, err := h.Rotate(t.Context(), admin, "a", 0, custody.Rotation{At: at, Grace: grace(6*time.Hour + 1)})
	wantKind(t, "Rotate with a grace of too many versions", err, fault.Invalid)
}

// Whatever a schedule allows, a tag by each version in grace is taken.
func TestScheduledVersionsAreAllTried(t *testing.T) {
	h := newHouse(t)
	k := h.create(t, "a")
	if _, err := h.SetSchedule(t.Context(), admin, "a", 0, &custody.Schedule{Every: time.Hour, Grace: 6 * time.Hour}); err != nil {
		t.Fatalf("SetSchedule: %v", err)
	}
	tags := map[int][]byte{}
	for range 10 {
		tag, version, err := k.Sign(nil, []byte("m"))
		if err != nil {
			t.Fatal(err)
		}
		tags[version] = tag
		h.now = h.now.Add(time.Hour)
		h.step(t)
		k, _ = h.Get(tenant, "a")
		for version, tag := range tags {
			if _, ok := k.Verify(tag, 0, []byte("m")); ok != (k.State(version) == keyring.Grace) {
				t.Errorf("version %d, which is %s while %d signs: verifies %t", version, k.State(version), k.Signing, ok)
			}
		}
	}
	if k.Signing != 11 || k.State(5) != keyring.Grace || k.State(4) != keyring.Retired {
		t.Errorf("got versions %+v", k.Versions)
	}
}

func TestRestoreKey(t *testing.T) {
	h := newHouse(t)
	k := h.create(t, "a")
	tag, _, _ := k.Sign(nil, []byte("m"))
	h.rotate(t, "a")
	_, err := h.Restore(t.Context(), admin, "a", "")
	wantKind(t, "Restore of a living key", err, fault.Conflict)
	if err := h.Delete(t.Context(), admin, "a", 0); err != nil {
		t.Fatalf("Delete: %v", err)
	}
	for name, run := range h.operations() {
		_, err := run(t.Context(), admin, "a", 0, 1, "")
		wantKind(t, name+" of a deleted key", err, fault.NotFound)
	}
	h.now = h.now.Add(custody.DefaultGrace)
	h.step(t) // leaves it alone
	k, err = h.Restore(t.Context(), admin, "a", "by mistake")
	if err != nil {
		t.Fatalf("Restore: %v", err)
	}
	h.wantStates(t, "restored after the grace", "retired active")
	if _, ok := k.Verify(tag, 0, []byte("m")); ok {
		t.Error("a version whose grace was over verifies again")
	}
	if _, _, err := k.Sign(nil, []byte("m")); err != nil {
		t.Errorf("Sign: %v", err)
	}
	_, err = h.Restore(t.Context(), admin, "none", "")
	wantKind(t, "Restore of no key", err, fault.NotFound)
	h.checkReopenedSigning(t)
}

func (h *house) checkReopenedSigning(t *testing.T) {
	t.Helper()
	fresh := h.open(t, h.store)
	if a, b := fresh.Count(), h.Count(); a != b {
		t.Errorf("the store has %d keys, shown are %d", a, b)
	}
	h.checkStored(t)
}

// Records of format 1 load as what they were: the signing version is active,
// the others verify without end.
func TestFormat1Loads(t *testing.T) {
	h := newHouse(t)
	k := h.create(t, "a")
	tag, _, _ := k.Sign(nil, []byte("m"))
	h.rotate(t, "a")
	r := h.record(t, tenant, "key", "a")
	doc := document(t, r)
	for i := range 2 {
		v := versionOf(doc, i)
		for _, name := range []string{"state", "activated_at", "grace_until"} {
			delete(v, name)
		}
	}
	old := newHouse(t)
	old.root, old.wrapper = h.root, h.wrapper
	old.put(t, without(h.record(t, "", "datakey", tenant)))
	r.Format, r.Version = 1, 0
	r.Doc = marshal(t, doc)
	old.put(t, r)
	old.Service = old.open(t, old.store)
	old.wantStates(t, "format 1", "grace active")
	old.now = old.now.Add(10 * 365 * 24 * time.Hour)
	got, _ := old.Get(tenant, "a")
	if v, ok := got.Verify(tag, 0, []byte("m")); !ok || v != 1 {
		t.Errorf("Verify: got %d, %v", v, ok)
	}
	old.rotate(t, "a")
	if r := old.record(t, tenant, "key", "a"); r.Format != 2 {
		t.Errorf("stored with format %d", r.Format)
	}
	old.wantStates(t, "rotated", "grace grace active")
}

func TestStepBroken(t *testing.T) {
	for _, apply := range []bool{false, true} {
		t.Run(fmt.Sprintf("apply=%v", apply), func(t *testing.T) {
			h := newHouse(t)
			h.create(t, "a")
			if _, err := h.SetSchedule(t.Context(), admin, "a", 0, &custody.Schedule{Every: time.Hour}); err != nil {
				t.Fatalf("SetSchedule: %v", err)
			}
			h.now = h.now.Add(time.Hour)
			h.store.Fail(memory.Fault{Err: errLost, Apply: apply})
			if err := h.Step(t.Context()); errors.Is(err, errLost) == apply {
				t.Errorf("Step: got %v", err)
			}
			h.step(t)
			h.wantStates(t, "in the end", "retired active")
			h.checkStored(t)
		})
	}
}

// A clock that was an hour ahead and is set right stops nothing: what was made
// meanwhile signs and verifies, rotations go on, and grace lasts longer.
func TestClockSetBack(t *testing.T) {
	h := newHouse(t)
	right := h.now
	h.now = right.Add(time.Hour)
	k := h.create(t, "a")
	old, _, err := k.Sign(nil, []byte("m"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Rotate(t.Context(), admin, "a", 0, custody.Rotation{Grace: grace(time.Hour)}); err != nil {
		t.Fatalf("Rotate: %v", err)
	}
	h.now = right
	h.step(t)
	h.Service = h.open(t, h.store)
	k, _ = h.Get(tenant, "a")
	tag, version, err := k.Sign(nil, []byte("m"))
	if err != nil || version != 2 {
		t.Fatalf("Sign: got version %d, %v", version, err)
	}
	for version, tag := range map[int][]byte{1: old, 2: tag} {
		if got, ok := k.Verify(tag, 0, []byte("m")); !ok || got != version {
			t.Errorf("Verify a tag by version %d: got %d, %t", version, got, ok)
		}
	}
	if k = h.rotate(t, "a"); k.Signing != 3 {
		t.Errorf("Rotate: got version %d", k.Signing)
	}
	h.now = right.Add(2*time.Hour - time.Microsecond)
	if got := k.State(1); got != keyring.Grace {
		t.Errorf("before the end of grace: got %s", got)
	}
	h.now = right.Add(2 * time.Hour)
	if got := k.State(1); got != keyring.Retired {
		t.Errorf("at the end of grace: got %s", got)
	}
}
