package custody_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/custody"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/store"
	"github.com/sealwright/sealwright/server/internal/store/memory"
)

// aKey is one RSA key, and a short one, for the offers of all tests but one:
// work with those of 4,096 bits takes a second.
var aKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

// wrapFor wraps a secret as a client does.
func wrapFor(t *testing.T, o custody.ImportOffer, s string) []byte {
	t.Helper()
	block, _ := pem.Decode([]byte(o.PublicKey))
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	wrapped, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, key.(*rsa.PublicKey), []byte(s), nil)
	if err != nil {
		t.Fatal(err)
	}
	return wrapped
}

func (h *house) offer(t *testing.T) custody.ImportOffer {
	t.Helper()
	o, err := h.OfferImport(t.Context(), admin)
	if err != nil {
		t.Fatalf("OfferImport: %v", err)
	}
	return o
}

// imported makes a key of what came in under an offer.
func imported(t *testing.T, s *custody.Service, name string, given custody.Import) error {
	t.Helper()
	_, err := s.Create(t.Context(), admin, custody.CreateKey{Name: name, Exportable: true, Imported: true, Material: given.Material, Offer: given.Offer})
	return err
}

const importText = "a secret of another system"

// A client wraps an import with openssl alone, under a key that the server has
// made.
func TestImportWrappedByOpenSSL(t *testing.T) {
	dir, run := openssl(t)
	h := newHouse(t)
	options := h.options(h.store)
	options.ImportKey = nil
	var err error
	if h.Service, err = custody.Open(t.Context(), options); err != nil {
		t.Fatal(err)
	}
	o := h.offer(t)
	block, _ := pem.Decode([]byte(o.PublicKey))
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if bits := key.(*rsa.PublicKey).N.BitLen(); bits != 4096 {
		t.Errorf("the key has %d bits, want 4096", bits)
	}
	write(t, dir, "import.pub", []byte(o.PublicKey))
	write(t, dir, "secret.bin", []byte(importText))
	run("pkeyutl", "-encrypt", "-pubin", "-inkey", "import.pub", "-in", "secret.bin", "-out", "wrapped.bin",
		"-pkeyopt", "rsa_padding_mode:oaep", "-pkeyopt", "rsa_oaep_md:sha256")
	given, err := h.OpenImport(t.Context(), admin, o.ID, read(t, dir, "wrapped.bin"))
	if err != nil || string(given.Material.Expose()) != importText {
		t.Fatalf("OpenImport: got %d bytes, %v", given.Material.Len(), err)
	}
	if err := imported(t, h.Service, "a", given); err != nil {
		t.Errorf("Create: %v", err)
	}
}

func TestImportOnce(t *testing.T) {
	h := newHouse(t)
	ctx := t.Context()
	o := h.offer(t)
	wrapped := wrapFor(t, o, importText)
	_, err := h.OpenImport(ctx, other, o.ID, wrapped)
	wantKind(t, "by another tenant", err, fault.NotFound)
	_, err = h.OpenImport(ctx, access.Caller{ID: "c", Tenant: tenant}, o.ID, wrapped)
	wantKind(t, "without role", err, fault.Denied)
	_, err = h.OpenImport(ctx, admin, "", wrapped)
	wantKind(t, "without an ID", err, fault.NotFound)
	open := func() custody.Import {
		t.Helper()
		given, err := h.OpenImport(ctx, admin, o.ID, wrapped)
		if err != nil || string(given.Material.Expose()) != importText {
			t.Fatalf("OpenImport: got %d bytes, %v", given.Material.Len(), err)
		}
		return given
	}
	h.create(t, "taken")
	wantKind(t, "under a name that is taken", imported(t, h.Service, "taken", open()), fault.Conflict)
	late := open() // the offer still stands
	if err := imported(t, h.Service, "a", open()); err != nil {
		t.Fatalf("Create: %v", err)
	}
	if r, err := h.Reveal(ctx, admin, "a"); err != nil || string(r[0].Material.Expose()) != importText {
		t.Errorf("Reveal: %v", err)
	}
	_, err = h.OpenImport(ctx, admin, o.ID, wrapped)
	wantKind(t, "a second time", err, fault.NotFound)
	wantKind(t, "a second key", imported(t, h.Service, "b", late), fault.NotFound)
	_, err = h.Get(tenant, "b")
	wantKind(t, "Get of the second key", err, fault.NotFound)

	o = h.offer(t)
	wrapped = wrapFor(t, o, importText)
	bad := bytes.Clone(wrapped)
	bad[100] ^= 1
	_, err = h.OpenImport(ctx, admin, o.ID, bad)
	wantKind(t, "changed on the way", err, fault.Invalid)
	_, err = h.OpenImport(ctx, admin, o.ID, wrapped)
	wantKind(t, "after a wrong one", err, fault.NotFound)

	o = h.offer(t)
	h.now = o.ExpiresAt
	_, err = h.OpenImport(ctx, admin, o.ID, wrapFor(t, o, importText))
	wantKind(t, "expired", err, fault.NotFound)

	var actions []string
	for _, e := range h.log(t) {
		if actions = append(actions, e.Action); strings.Contains(string(e.Detail), importText) {
			t.Errorf("the entry %s has the secret", e.Action)
		}
	}
	want := []string{"datakey.create", "import.offer", "key.import", "key.create", "key.create", "key.reveal", "import.offer", "import.use", "import.offer"}
	if diff := cmp.Diff(want, actions); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
	h.checkReopened(t)
}

// An offer that one node makes is opened at another one, also after a restart,
// and used once by all of them together.
func TestImportAtOtherNodes(t *testing.T) {
	h := newHouse(t)
	o := h.offer(t)
	nodes := []*custody.Service{h.open(t, h.store), h.open(t, h.store), h.open(t, h.store)}
	wrapped := wrapFor(t, o, importText)
	var done, gone atomic.Int32
	var group sync.WaitGroup
	for i := range 12 {
		group.Go(func() {
			node := nodes[i%len(nodes)]
			given, err := node.OpenImport(t.Context(), admin, o.ID, wrapped)
			if err == nil {
				err = imported(t, node, fmt.Sprint("key-", i), given)
			}
			switch fault.KindOf(err) {
			case 0:
				done.Add(1)
			case fault.NotFound:
				gone.Add(1)
			default:
				t.Errorf("import %d: %v", i, err)
			}
		})
	}
	group.Wait()
	if done.Load() != 1 || gone.Load() != 11 {
		t.Errorf("got %d keys and %d refusals, want 1 and 11", done.Load(), gone.Load())
	}
	if n := h.open(t, h.store).Count(); n != 1 {
		t.Errorf("the store has %d keys, want 1", n)
	}
}

// Of many texts that do not open, one is told so: an offer says one thing.
func TestImportAnswersOnce(t *testing.T) {
	h := newHouse(t)
	o := h.offer(t)
	nodes := []*custody.Service{h.open(t, h.store), h.open(t, h.store)}
	var told, gone atomic.Int32
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			_, err := nodes[i%2].OpenImport(t.Context(), admin, o.ID, bytes.Repeat([]byte{byte(i)}, 256))
			switch fault.KindOf(err) {
			case fault.Invalid:
				told.Add(1)
			case fault.NotFound:
				gone.Add(1)
			default:
				t.Errorf("text %d: %v", i, err)
			}
		})
	}
	group.Wait()
	if told.Load() != 1 || gone.Load() != 7 {
		t.Errorf("got %d and %d answers, want 1 and 7", told.Load(), gone.Load())
	}
}

// The key and the end of its offer are one commit: both are stored or none.
func TestImportBreaks(t *testing.T) {
	for name, c := range map[string]struct {
		fault memory.Fault
		kind  fault.Kind // of the error
	}{
		"NotStored":     {memory.Fault{Err: errLost}, fault.Internal},
		"StoredButLost": {memory.Fault{Err: errLost, Apply: true}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			o := h.offer(t)
			wrapped := wrapFor(t, o, importText)
			given, err := h.OpenImport(t.Context(), admin, o.ID, wrapped)
			if err != nil {
				t.Fatal(err)
			}
			h.store.Fail(c.fault)
			wantKind(t, "Create", imported(t, h.Service, "a", given), c.kind)
			fresh := h.open(t, h.store) // after a crash
			_, getErr := fresh.Get(tenant, "a")
			given, openErr := fresh.OpenImport(t.Context(), admin, o.ID, wrapped)
			if (getErr == nil) == (openErr == nil) {
				t.Errorf("the key: %v, the offer: %v", getErr, openErr)
			}
			if c.kind != 0 {
				if err := imported(t, fresh, "a", given); err != nil {
					t.Errorf("Create again: %v", err)
				}
			}
		})
	}
	t.Run("Offer", func(t *testing.T) {
		h := newHouse(t)
		h.create(t, "first") // makes the data key
		h.store.Fail(memory.Fault{Err: errLost})
		_, err := h.OfferImport(t.Context(), admin)
		wantKind(t, "not stored", err, fault.Internal)
		h.store.Fail(memory.Fault{Err: errLost, Apply: true})
		o := h.offer(t)
		if _, err := h.OpenImport(t.Context(), admin, o.ID, wrapFor(t, o, importText)); err != nil {
			t.Errorf("OpenImport of an offer whose answer was lost: %v", err)
		}
	})
	t.Run("Spoiled", func(t *testing.T) {
		h := newHouse(t)
		o := h.offer(t)
		h.store.Fail(memory.Fault{Err: errLost})
		_, err := h.OpenImport(t.Context(), admin, o.ID, make([]byte, 256))
		if err == nil || fault.KindOf(err) == fault.Invalid || !errors.Is(err, errLost) {
			t.Errorf("a wrong text that is not noted: got %v, want that it could not be", err)
		}
	})
}

// Offers stand in 16 records of each tenant, which are used again.
func TestImportPlaces(t *testing.T) {
	h := newHouse(t)
	ctx := t.Context()
	records := func() int {
		t.Helper()
		list, err := h.store.List(ctx, tenant, "import-offer", "", store.MaxList)
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	var offers []custody.ImportOffer
	for range custody.MaxImports {
		offers = append(offers, h.offer(t))
	}
	_, err := h.OfferImport(ctx, admin)
	wantKind(t, "one too many", err, fault.Unavailable)
	if _, err := h.OfferImport(ctx, other); err != nil {
		t.Errorf("OfferImport of another tenant: %v", err)
	}
	for i, o := range offers { // all of them stand
		given, err := h.OpenImport(ctx, admin, o.ID, wrapFor(t, o, importText))
		if err != nil {
			t.Fatalf("OpenImport %d: %v", i, err)
		}
		if i != 7 {
			continue
		}
		if err := imported(t, h.Service, "a", given); err != nil {
			t.Fatal(err)
		}
	}
	h.offer(t) // in the place of the one that was used
	_, err = h.OfferImport(ctx, admin)
	wantKind(t, "one too many again", err, fault.Unavailable)
	h.now = h.now.Add(custody.ImportTTL)
	for range custody.MaxImports {
		h.offer(t)
	}
	if n := records(); n != custody.MaxImports {
		t.Errorf("got %d records, want %d", n, custody.MaxImports)
	}
}

// A process makes two keys at a time, and refuses at once beyond that.
func TestImportKeysAtATime(t *testing.T) {
	h := newHouse(t)
	begun, release := make(chan bool), make(chan bool)
	o := h.options(h.store)
	o.ImportKey = func() (*rsa.PrivateKey, error) {
		begun <- true
		<-release
		return aKey()
	}
	s, err := custody.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for range custody.MaxMaking {
		group.Go(func() {
			if _, err := s.OfferImport(t.Context(), admin); err != nil {
				t.Errorf("OfferImport: %v", err)
			}
		})
	}
	for range custody.MaxMaking {
		<-begun
	}
	_, err = s.OfferImport(t.Context(), admin)
	wantKind(t, "one too many", err, fault.Unavailable)
	if _, err := s.Create(t.Context(), admin, custody.CreateKey{Name: "a"}); err != nil { // others do not wait
		t.Errorf("Create: %v", err)
	}
	close(release)
	group.Wait()
	group.Go(func() { <-begun })
	if _, err := s.OfferImport(t.Context(), admin); err != nil {
		t.Errorf("OfferImport afterwards: %v", err)
	}
	group.Wait()
}

// A private key in the store is encrypted, for its offer and tenant only.
func TestImportOfferIsSealed(t *testing.T) {
	h := newHouse(t)
	key, err := aKey()
	if err != nil {
		t.Fatal(err)
	}
	one, two := h.offer(t), h.offer(t)
	list, err := h.store.List(t.Context(), tenant, "import-offer", "", store.MaxList)
	if err != nil || len(list) != 2 {
		t.Fatalf("List: got %d, %v", len(list), err)
	}
	docs := []map[string]any{document(t, list[0]), document(t, list[1])}
	for i, d := range docs {
		if bytes.Contains(list[i].Doc, key.Primes[0].Bytes()) || len(d["private_key"].(string)) < 1000 {
			t.Errorf("record %d: %s", i, list[i].Doc)
		}
	}
	h.edit(t, tenant, "import-offer", list[0].Name, func(d map[string]any) { d["private_key"] = docs[1]["private_key"] })
	swapped := one
	if docs[0]["offer"] == two.ID {
		swapped = two
	}
	_, err = h.OpenImport(t.Context(), admin, swapped.ID, wrapFor(t, swapped, importText))
	wantKind(t, "with the private key of another offer", err, fault.Internal)
	h.edit(t, tenant, "import-offer", list[0].Name, func(d map[string]any) { d["more"] = 1 })
	_, err = h.OpenImport(t.Context(), admin, swapped.ID, nil)
	wantKind(t, "damaged", err, fault.Internal)
}
