package keyring_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/secret"
)

// t0 is the time around which the tests place their windows.
var t0 = time.Date(2026, time.January, 2, 3, 4, 5, 0, time.UTC)

const tick = time.Nanosecond

// at returns the time h hours after t0.
func at(h int) time.Time { return t0.Add(time.Duration(h) * time.Hour) }

// key returns a key with a secret of its own and no window.
func key(id string, version int) keyring.Key {
	return keyring.Key{ID: id, Version: version, Secret: secret.FromString(fmt.Sprintf("secret of %s/%d", id, version))}
}

// window returns k with a window; a zero time is no limit.
func window(k keyring.Key, notBefore, notAfter time.Time) keyring.Key {
	k.NotBefore, k.NotAfter = notBefore, notAfter
	return k
}

// show writes a ring as text: keys in their order, a star before the one that
// signs, bounds of the window in hours from t0.
func show(r *keyring.Ring) string {
	signing := ""
	for _, k := range r.Keys() {
		when := t0 // Signing wants an instant at which the key is valid
		if !k.NotBefore.IsZero() {
			when = k.NotBefore
		} else if !k.NotAfter.IsZero() {
			when = k.NotAfter.Add(-tick)
		}
		if s, err := r.Signing(when); err == nil && s.ID == k.ID && s.Version == k.Version {
			signing = name(k)
		}
	}
	var out []string
	for _, k := range r.Keys() {
		text := name(k)
		if text == signing {
			text = "*" + text
		}
		if !k.NotBefore.IsZero() || !k.NotAfter.IsZero() {
			text += "[" + hours(k.NotBefore) + "," + hours(k.NotAfter) + ")"
		}
		out = append(out, text)
	}
	return strings.Join(out, " ")
}

func name(k keyring.Key) string { return fmt.Sprintf("%s/%d", k.ID, k.Version) }

func hours(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return fmt.Sprint(t.Sub(t0).Hours())
}

// names writes candidates as text.
func names(keys []*keyring.Key) string {
	var out []string
	for _, k := range keys {
		out = append(out, name(*k))
	}
	return strings.Join(out, " ")
}

func mustRing(tb testing.TB, keys ...keyring.Key) *keyring.Ring {
	tb.Helper()
	r, err := keyring.New(keys...)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}
