package catalogue_test

import (
	"maps"
	"runtime"
	"strings"
	"testing"
)

// TestA11_OptionalNonce leaves out the nonce where a preset demands one.
func TestA11_OptionalNonce(t *testing.T) {
	for _, tt := range []struct{ preset, header, old, new string }{
		{"standard-webhooks", "Webhook-Id", "", ""},
		{"svix", "Svix-Id", "", ""},
		{"plivo-v3", "X-Plivo-Signature-V3-Nonce", "", ""},
		{"nextcloud-talk", "X-Nextcloud-Talk-Random", "", ""},
		{"twitch", "Twitch-Eventsub-Message-Id", "", ""},
		{"hmac-auth", "Authorization", `, nonce="`, `, other="`},
		{"hawk", "Authorization", `nonce="`, `app="`},
		{"deribit", "Authorization", `nonce=`, `ignored=`},
	} {
		t.Run(tt.preset, func(t *testing.T) {
			s := sampleOf(t, tt.preset)
			m := s.message
			values := m.Header[tt.header]
			if len(values) != 1 {
				t.Fatalf("the example has %d headers %s", len(values), tt.header)
			}
			if tt.old == "" {
				m = with(m, tt.header)
			} else if changed := strings.Replace(values[0], tt.old, tt.new, 1); changed != values[0] {
				m = with(m, tt.header, changed)
			} else {
				t.Fatalf("%q has no %q", values[0], tt.old)
			}
			if verdict, err := s.verifier.Verify(m, s.now); err == nil {
				t.Errorf("verifies without its nonce: %+v", verdict)
			}
		})
	}
}

// sampleOf returns the first known answer of a preset.
func sampleOf(t *testing.T, preset string) sample {
	t.Helper()
	for _, s := range samples(t) {
		if s.preset == preset {
			return s
		}
	}
	t.Fatalf("no known answer of %s", preset)
	return sample{}
}

// maxAllocated is the most bytes that verifying one message of 256 KiB
// allocates, whatever its content and the preset.
const maxAllocated = 64 << 20

// TestA24_Memory feeds bodies, targets and headers that make parsers work.
func TestA24_Memory(t *testing.T) {
	const size = 256 << 10
	bodies := map[string]string{
		"ampersands": strings.Repeat("&", size), "fields": strings.Repeat("a=b&", size/4), "escapes": strings.Repeat("%41", size/3),
		"brackets": strings.Repeat("[", size), "members": "{" + strings.Repeat(`"a":1,`, size/6) + `"b":1}`,
		"elements": "<x>" + strings.Repeat("<a>b</a>", size/8) + "</x>", "lines": strings.Repeat("a=b\n", size/4),
	}
	types := []string{"application/x-www-form-urlencoded", "application/json", "text/xml"}
	long := strings.Repeat(`a="b",`, 10_000)
	for _, s := range samples(t) {
		for name, body := range bodies {
			m := s.message
			m.Body = []byte(body)
			m.Target = "/x?" + body[:16<<10]
			m.Header = maps.Clone(m.Header)
			if m.Header == nil {
				m.Header = map[string][]string{}
			}
			for h, v := range m.Header {
				if len(v) == 1 && h != "Content-Type" {
					m.Header[h] = []string{v[0] + "," + long}
				}
			}
			m.Header["Content-Type"] = []string{types[len(body)%len(types)]}
			for _, head := range []map[string][]string{m.Header, s.message.Header} {
				m.Header = head
				if n := allocated(func() { _, _ = s.verifier.Verify(m, s.now) }); n > maxAllocated {
					t.Errorf("%s: %s: %d MiB were allocated", s.preset, name, n>>20)
				}
			}
		}
	}
}

// allocated returns how many bytes f allocates.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}
