package rawhttp_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/cmd/sealwright/internal/rawhttp"
)

func TestRead(t *testing.T) {
	message := func(change func(*sealwright.Message)) sealwright.Message {
		m := sealwright.Message{
			Method: "POST", Scheme: "https", Host: "h", Target: "/hook",
			Header: map[string][]string{"Host": {"h"}}, Body: []byte("body"),
		}
		if change != nil {
			change(&m)
		}
		return m
	}
	tests := []struct {
		name, data string
		want       sealwright.Message
		notes      []string // a part of each
	}{
		{"Whole", "POST /hook HTTP/1.1\nHost: h\n\nbody", message(nil), nil},
		{"NoVersion", "POST /hook\nHost: h\n\nbody", message(nil), []string{"line 1 of the request: got \"POST /hook\""}},
		{"OtherVersion", "POST /hook HTTP/2\nHost: h\n\nbody", message(nil), []string{"version: got \"HTTP/2\""}},
		{"TwoBlanks", "POST  /hook  HTTP/1.1\nHost: h\n\nbody", message(nil), []string{"one blank each"}},
		{"LowerCaseUnderscoreName", "POST /hook HTTP/1.1\nHost: h\nx_hub_signature_256: a\n\nbody", message(func(m *sealwright.Message) {
			m.Header["X_hub_signature_256"] = []string{"a"}
		}), nil},
		{"MangledName", "POST /hook HTTP/1.1\nHost: h\nX Sig(1): a\n\nbody", message(func(m *sealwright.Message) {
			m.Header["X Sig(1)"] = []string{"a"}
		}), []string{"line 3 of the request: header name \"X Sig(1)\" is no token"}},
		{"BlankBeforeColon", "POST /hook HTTP/1.1\nHost: h\nX-Sig : a\n\nbody", message(func(m *sealwright.Message) {
			m.Header["X-Sig"] = []string{"a"}
		}), []string{"blank before the colon"}},
		{"Folded", "POST /hook HTTP/1.1\nHost: h\nX-Sig: a\n  b\n\nbody", message(func(m *sealwright.Message) {
			m.Header["X-Sig"] = []string{"a b"}
		}), []string{"line 4 of the request: a folded header"}},
		{"ControlCharacter", "POST /hook HTTP/1.1\nHost: h\nX-Sig: a\x00b\n\nbody", message(func(m *sealwright.Message) {
			m.Header["X-Sig"] = []string{"a\x00b"}
		}), []string{"control character 0x00"}},
		{"NoColon", "POST /hook HTTP/1.1\nHost: h\nnonsense\n\nbody", message(nil), []string{"a header without a colon"}},
		{"PseudoHeader", "POST /hook HTTP/1.1\n:authority: h\nHost: h\n\nbody", message(nil), []string{"line 2"}},
		{"TwoHosts", "POST /hook HTTP/1.1\nHost: h\nHost: i\n\nbody", message(func(m *sealwright.Message) {
			m.Header["Host"] = []string{"h", "i"}
		}), []string{"2 Host headers; the first counts"}},
		{"StrangeHost", "POST /hook HTTP/1.1\nHost: h h\n\nbody", message(func(m *sealwright.Message) {
			m.Host, m.Header["Host"] = "h h", []string{"h h"}
		}), []string{"cannot stand in a host"}},
		{"NoHost", "POST /hook HTTP/1.1\nX-A: a\n\nbody", message(func(m *sealwright.Message) {
			m.Host, m.Header = "", map[string][]string{"X-A": {"a"}}
		}), []string{"the host is not known"}},
		{"NoEmptyLine", "POST /hook HTTP/1.1\nHost: h\nX-A: a", message(func(m *sealwright.Message) {
			m.Header["X-A"], m.Body = []string{"a"}, []byte{}
		}), []string{"line 3 of the request: no empty line"}},
		{"LineEndButNoEmptyLine", "POST /hook HTTP/1.1\nHost: h\n", message(func(m *sealwright.Message) { m.Body = []byte{} }), []string{"line 2 of the request: no empty line"}},
		{"CutInTheLineEnd", "POST /hook HTTP/1.1\r\nHost: h\r\n\r", message(func(m *sealwright.Message) { m.Body = []byte{} }), []string{"no empty line"}},
		{"AbsoluteWithStrangeHost", "POST http://h h/hook HTTP/1.1\n\nbody", message(func(m *sealwright.Message) {
			m.Scheme, m.Host, m.Header = "http", "h h", map[string][]string{}
		}), []string{"cannot stand in a host"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, notes, err := rawhttp.Read([]byte(tt.data))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got.Message); diff != "" {
				t.Errorf("message (-want +got):\n%s", diff)
			}
			if len(notes) != len(tt.notes) {
				t.Fatalf("notes are %q, want %d", notes, len(tt.notes))
			}
			for i, want := range tt.notes {
				if !strings.Contains(notes[i], want) {
					t.Errorf("note is %q, want %q in it", notes[i], want)
				}
			}
		})
	}
}

func TestReadRefuses(t *testing.T) {
	for _, data := range []string{"", "\n", "\r\n\r\n", "POST", "POST \n\n", "POST HTTP/1.1\n\n", " \n\nbody"} {
		if r, notes, err := rawhttp.Read([]byte(data)); err == nil {
			t.Errorf("%q gives %+v and %q, want an error", data, r, notes)
		}
	}
}

// TestReadBoundsNotes reads a head of nothing but nonsense.
func TestReadBoundsNotes(t *testing.T) {
	_, notes, err := rawhttp.Read([]byte("POST / HTTP/1.1\nHost: h\n" + strings.Repeat(strings.Repeat("(", 1000)+"\n", 10_000) + "\n"))
	if err != nil || len(notes) != 20 || len(fmt.Sprint(notes)) > 4000 {
		t.Errorf("got %d notes of %d bytes and %v", len(notes), len(fmt.Sprint(notes)), err)
	}
}

// FuzzRead checks that Read takes everything that Parse takes, as it is.
func FuzzRead(f *testing.F) {
	f.Add([]byte("POST /hook HTTP/1.1\r\nHost: h\r\nX-A: a\r\n b\r\n\r\nbody"))
	f.Add([]byte("GET https://h/ HTTP/1.1\n:a: b\n\r"))
	f.Add([]byte("A B C\n\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, notes, err := rawhttp.Read(data)
		want, strict := rawhttp.Parse(data)
		if strict != nil {
			if err == nil && notes == nil {
				t.Errorf("refused with %v, but read without a remark", strict)
			}
			return
		}
		if err != nil || notes != nil {
			t.Fatalf("got %q and %v of a whole request", notes, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("request (-parsed +read):\n%s", diff)
		}
	})
}
