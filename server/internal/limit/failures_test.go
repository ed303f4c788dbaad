package limit_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/sealwright/sealwright/server/internal/limit"
)

func TestA38_Failures(t *testing.T) {
	f := limit.NewFailures(limit.NewMap(epoch, 0))
	other, near := netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2")
	for range 50 {
		if wait := f.Allowed(home, "", epoch); wait > 0 {
			t.Fatalf("got %v before 50 failures", wait)
		}
		f.Failed(home, "", epoch)
	}
	if wait := f.Allowed(home, "", epoch); wait != 100*time.Millisecond {
		t.Errorf("after 50: got %v, want 100ms", wait)
	}
	for range 1000 { // while refused, nothing gets longer
		f.Failed(home, "", epoch)
	}
	if wait := f.Allowed(home, "", epoch.Add(100*time.Millisecond)); wait > 0 {
		t.Errorf("after 100ms: got %v", wait)
	}
	if wait := f.Allowed(other, "", epoch); wait > 0 {
		t.Errorf("another address: got %v", wait)
	}
	for range 50 {
		f.Failed(other, "", epoch)
	}
	if wait := f.Allowed(near, "", epoch); wait == 0 {
		t.Error("the next address of the same 64 bits is not counted with it")
	}
}

// Nobody locks the caller of another.
func TestA38_FailuresOfACaller(t *testing.T) {
	f := limit.NewFailures(limit.NewMap(epoch, 0))
	for i := range 10_000 {
		f.Failed(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), "victim", epoch)
	}
	for range 10 {
		f.Failed(netip.MustParseAddr("192.0.2.2"), "victim", epoch)
	}
	tests := []struct {
		from, caller string
		want         time.Duration
	}{
		{"192.0.2.1", "victim", 0},
		{"192.0.2.2", "victim", time.Second},
		{"192.0.2.2", "other", 0},
		{"192.0.2.2", "", 0},
	}
	for _, tt := range tests {
		if got := f.Allowed(netip.MustParseAddr(tt.from), tt.caller, epoch); got != tt.want {
			t.Errorf("%s as %q: got %v, want %v", tt.from, tt.caller, got, tt.want)
		}
	}
}

// A full map lets new addresses be looked at: it grows nothing and locks nobody.
func TestA38_FailuresFull(t *testing.T) {
	m := limit.NewMap(epoch, 256)
	f := limit.NewFailures(m)
	for i := range 10_000 {
		f.Failed(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), fmt.Sprint(i), epoch)
	}
	if wait := f.Allowed(home, "", epoch); wait > 0 || m.Len() > 256 {
		t.Errorf("got %v, %d entries", wait, m.Len())
	}
}
