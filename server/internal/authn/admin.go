package authn

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sealwright/sealwright/canon"
	"github.com/sealwright/sealwright/mac"
	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/store"
)

const (
	tokenPrefix = "swt_"
	tokenBytes  = 32 // random ones, behind the prefix in base64url without padding
	kindToken   = "token"
	tokenFormat = 1
)

// tokenDoc is format 1 of the record of the admin token. The token itself is
// not in the store; a random one of 32 bytes cannot be found from its MAC.
type tokenDoc struct {
	MAC       []byte    `json:"mac"` // HMAC-SHA256 under a public key, a hash with a purpose
	CreatedAt time.Time `json:"created_at"`
}

// AdminToken is the token of the bootstrap operator. Get one from
// [OpenAdminToken]. It may be used by many goroutines.
type AdminToken struct {
	st  Store
	key *mac.Key
	mac atomic.Pointer[[]byte]
}

func (t *AdminToken) set(mac []byte) *AdminToken {
	t.mac.Store(&mac)
	return t
}

// Apply loads the token again if an entry says that it was replaced.
func (t *AdminToken) Apply(ctx context.Context, page []store.Entry) error {
	if !slices.ContainsFunc(page, func(e store.Entry) bool { return e.Kind == kindToken }) {
		return nil
	}
	known, doc, err := loadToken(ctx, t.st)
	if err != nil || known.Version == 0 {
		return err
	}
	t.set(doc.MAC)
	return nil
}

// Check returns the administrator for the admin token, and an error of kind
// [fault.Denied] for any other. It takes the same time for every wrong token of
// the same length.
func (t *AdminToken) Check(token string) (access.Caller, error) {
	s := t.key.State()
	defer s.Release()
	_, _ = s.WriteString(token)
	if !s.Verify(*t.mac.Load()) {
		return access.Caller{}, fault.New(fault.Denied, "not authenticated: the token is not the admin token")
	}
	return access.Administrator(), nil
}

// Store is what the admin token needs of a database. The rules of the methods
// are those of storetest.Store.
type Store interface {
	Load(ctx context.Context, tenant, kind, name string) (store.Record, error)
	Commit(ctx context.Context, c store.Change) (int64, error)
}

// OpenAdminToken returns the admin token of the store. The file at path, if it
// is there, says which token counts: an operator who writes another one into
// it and starts again has replaced the token. Without a file the token that
// the store knows still counts. On the first start there is neither: then a
// random token is written to the file and also returned.
//
// The file is written before the store. A crash between the two leaves a token
// that the next start takes. If another node stores its own at the same time,
// that one counts, and the file goes.
func OpenAdminToken(ctx context.Context, st Store, path string, now time.Time) (t *AdminToken, created secret.Bytes, err error) {
	key, err := mac.New(mac.SHA256, secret.FromString("sealwright admin token"))
	if err != nil {
		return nil, secret.Bytes{}, err
	}
	t = &AdminToken{st: st, key: key}
	known, doc, err := loadToken(ctx, st)
	if err != nil {
		return nil, secret.Bytes{}, err
	}
	token, err := readToken(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && known.Version > 0:
		return t.set(doc.MAC), secret.Bytes{}, nil
	case errors.Is(err, fs.ErrNotExist):
		token = secret.FromString(tokenPrefix + canon.Base64URLRaw.EncodeToString(secret.Random(tokenBytes).Expose()))
		if err := writeToken(path, token); err != nil {
			return nil, secret.Bytes{}, err
		}
		created = token
	case err != nil:
		return nil, secret.Bytes{}, err
	}
	sum, err := key.Sum(nil, token.Expose())
	if err != nil {
		return nil, secret.Bytes{}, err
	}
	if !mac.Equal(sum, doc.MAC) {
		err = storeToken(ctx, st, known, tokenDoc{MAC: sum, CreatedAt: now.UTC().Truncate(time.Microsecond)})
	}
	if fault.KindOf(err) == fault.Conflict && !created.IsZero() {
		if err := os.Remove(path); err != nil {
			return nil, secret.Bytes{}, fmt.Errorf("remove the token that another node was faster than: %w", err)
		}
		return OpenAdminToken(ctx, st, path, now)
	}
	return t.set(sum), created, err
}

// loadToken returns a record of version 0 if there is none.
func loadToken(ctx context.Context, st Store) (store.Record, tokenDoc, error) {
	r, err := st.Load(ctx, "", kindToken, "admin")
	if fault.KindOf(err) == fault.NotFound {
		return store.Record{Kind: kindToken, ID: "admin", Name: "admin"}, tokenDoc{}, nil
	}
	if err != nil {
		return r, tokenDoc{}, fmt.Errorf("load admin token: %w", err)
	}
	var doc tokenDoc
	if err := r.CheckFormat(tokenFormat); err != nil {
		return r, doc, err
	}
	if err := json.Unmarshal(r.Doc, &doc); err != nil || len(doc.MAC) != mac.SHA256.Size() {
		return r, doc, errors.New("load admin token: the record is damaged")
	}
	return r, doc, nil
}

func storeToken(ctx context.Context, st Store, r store.Record, doc tokenDoc) error {
	text, err := json.Marshal(doc)
	if err != nil {
		return fmt.Errorf("store admin token: %w", err)
	}
	action := "token.create"
	if r.Version > 0 {
		action = "token.replace"
	}
	r.Format, r.Doc = tokenFormat, text
	_, err = st.Commit(ctx, store.Change{Puts: []store.Record{r}, Entries: []store.Entry{{
		At: doc.CreatedAt, Caller: access.System("").ID, Action: action, Kind: kindToken, RecordID: r.ID, Name: r.Name,
	}}})
	if err != nil {
		return fmt.Errorf("store admin token: %w", err)
	}
	return nil
}

// readToken reads the file strictly, apart from one line end: a token that was
// cut or mistyped is told now, not with the first request.
func readToken(path string) (secret.Bytes, error) {
	f, err := os.Open(path)
	if err != nil {
		return secret.Bytes{}, fmt.Errorf("read admin token: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return secret.Bytes{}, fmt.Errorf("read admin token: %w", err)
	}
	if mode := info.Mode(); !mode.IsRegular() || mode.Perm()&0o007 != 0 {
		return secret.Bytes{}, fmt.Errorf("admin token file %s has mode %v, want a file closed to others, such as 0600", path, mode)
	}
	raw, err := io.ReadAll(io.LimitReader(f, 1024))
	if err != nil {
		return secret.Bytes{}, fmt.Errorf("read admin token: %w", err)
	}
	defer clear(raw)
	text := strings.TrimSuffix(strings.TrimSuffix(string(raw), "\n"), "\r")
	random, ok := strings.CutPrefix(text, tokenPrefix)
	if b, err := canon.Base64URLRaw.DecodeString(random); !ok || err != nil || len(b) != tokenBytes {
		return secret.Bytes{}, fmt.Errorf("admin token file %s: want %s and %d bytes in base64url without padding", path, tokenPrefix, tokenBytes)
	}
	return secret.FromString(text), nil
}

// writeToken makes the file with mode 0600. It has its whole content or is not
// there, and replaces nothing.
func writeToken(path string, token secret.Bytes) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("write admin token: %w", err)
		}
	}()
	f, err := os.CreateTemp(filepath.Dir(path), ".admin-token-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(append(token.Expose()[:token.Len():token.Len()], '\n'))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil {
		return err
	}
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
