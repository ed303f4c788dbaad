//go:build pkcs11 && cgo

package pkcs11_test

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/custody"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/kms"
	"github.com/sealwright/sealwright/server/internal/kms/local"
	"github.com/sealwright/sealwright/server/internal/store/memory"
)

func admin(tenant string) access.Caller {
	return access.TenantAdministrator("admin", tenant)
}

// interrupted is a wrapper that fails once it has wrapped left times.
type interrupted struct {
	kms.Wrapper
	left int
}

func (w *interrupted) Wrap(ctx context.Context, plain secret.Bytes, aad []byte) ([]byte, string, error) {
	if w.left == 0 {
		return nil, "", errors.New("interrupted")
	}
	w.left--
	return w.Wrapper.Wrap(ctx, plain, aad)
}

// checkRootKeys checks which providers the data keys of db are wrapped with.
func checkRootKeys(t *testing.T, db *memory.Store, want ...string) {
	t.Helper()
	uses, err := custody.CountRootKeys(t.Context(), db)
	check(t, err)
	var got []string
	for _, u := range uses {
		got = append(got, kms.Provider(u.RootKeyID))
	}
	if strings.Join(got, ",") != strings.Join(want, ",") {
		t.Errorf("root keys: got %v, want those of %q", uses, want)
	}
}

// TestMove moves the data keys of two tenants from a root key in a file to the
// token and back, with an interruption on the way: keys sign the same all the
// time, and in the end only the new provider is needed.
func TestMove(t *testing.T) {
	file, err := local.LoadOrCreate(filepath.Join(t.TempDir(), "root.key"), nil)
	check(t, err)
	token := open(t, newToken(t, twoOfEach))
	db := memory.New()
	both := map[string]kms.Wrapper{"": file, "pkcs11": token}
	tags := map[string][]byte{}

	// use opens db with w, compares what its keys sign, and wraps again.
	use := func(w custody.Wrapper, wantError string) {
		t.Helper()
		s, err := custody.Open(t.Context(), custody.Options{Store: db, Wrapper: w})
		check(t, err)
		for _, tenant := range []string{access.DefaultTenant, "other"} {
			if tags[tenant] == nil {
				_, err := s.Create(t.Context(), admin(tenant), custody.CreateKey{Name: "a"})
				check(t, err)
			}
			k, err := s.Get(tenant, "a")
			check(t, err)
			tag, _, err := k.Sign(nil, []byte("message"))
			check(t, err)
			if tags[tenant] != nil && !bytes.Equal(tag, tags[tenant]) {
				t.Errorf("the key of %s signs in another way than before", tenant)
			}
			tags[tenant] = tag
		}
		_, err = s.Rewrap(t.Context(), access.Administrator())
		if (err != nil) != (wantError != "") || err != nil && !strings.Contains(err.Error(), wantError) {
			t.Fatalf("Rewrap: got %v, want %q", err, wantError)
		}
	}
	use(file, "")
	checkRootKeys(t, db, "")
	use(&interrupted{kms.Chain{Primary: token, ByName: both}, 1}, "interrupted")
	checkRootKeys(t, db, "", "pkcs11")
	use(kms.Chain{Primary: token, ByName: both}, "") // goes on
	checkRootKeys(t, db, "pkcs11")
	use(token, "") // needs the file no more
	if _, err := custody.Open(t.Context(), custody.Options{Store: db, Wrapper: file}); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("Open with the file alone: got %v, want kind %v", err, fault.Unavailable)
	}
	use(kms.Chain{Primary: file, ByName: both}, "")
	checkRootKeys(t, db, "")
	use(file, "")
}
