package keys_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/sealwright/sealwright/cmd/sealwright/internal/keys"
)

// run runs a command against a server that gives one answer, and returns what
// it prints.
func run(t *testing.T, answer string, args ...string) string {
	t.Helper()
	tools := keys.Tools{
		Call: func(_ context.Context, _, _ string, _, out any) error {
			return json.Unmarshal([]byte(answer), out)
		},
		Secret:    func(string, io.Writer) (string, error) { return "", nil },
		PrintJSON: func(io.Writer, any) error { return nil },
		NoArgs:    cobra.NoArgs, OneName: cobra.ExactArgs(1),
	}
	for _, cmd := range []*cobra.Command{keys.New(tools), keys.NewLeases(tools)} {
		if cmd.Name() != args[0] {
			continue
		}
		var out strings.Builder
		cmd.SetOut(&out)
		cmd.SetErr(&out)
		cmd.SetArgs(args[1:])
		if err := cmd.Execute(); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	t.Fatalf("no command %s", args[0])
	return ""
}

const created = `"created_at":"2026-01-01T00:00:00Z"`

func version(n int, state, more string) string {
	return fmt.Sprintf(`{"version":%d,"state":%q,%s,"bytes":32%s}`, n, state, created, more)
}

func key(signs int, more string, versions ...string) string {
	return fmt.Sprintf(`{"name":"orders","key_id":"orders","algorithm":"hmac-sha256","version":%d,%s%s,"versions":[%s]}`,
		signs, created, more, strings.Join(versions, ","))
}

// What a command says is what has happened, and what is still to come.
func TestOneLine(t *testing.T) {
	tests := []struct {
		name, command, answer, want string
	}{
		{"Rotated", "keys rotate orders", key(2, "", version(1, "grace", ""), version(2, "active", "")),
			"rotated orders: version 2 signs, hmac-sha256\n"},
		{"PendingOnOtherNodes", "keys rotate orders", key(1, "", version(1, "active", ""), version(2, "pending", "")),
			"added version 2 of orders: version 1 signs until all nodes have it\n"},
		{"Once", "keys rotate orders --at 2026-12-24T03:00:00Z", key(1, `,"schedule":{"at":"2026-12-24T03:00:00Z"}`, version(1, "active", "")),
			"scheduled orders: rotates at 2026-12-24T03:00:00Z\n"},
		{"Every", "keys schedule orders --every 30d", key(1, `,"schedule":{"at":"2026-12-24T03:00:00Z","every":"30d","grace":"3d"}`, version(1, "active", "")),
			"scheduled orders: rotates at 2026-12-24T03:00:00Z, then every 30d, with a grace of 3d\n"},
		{"DestroyLater", "keys destroy orders 1", key(2, "", version(1, "revoked", `,"destroy_at":"2026-01-08T00:00:00Z"`), version(2, "active", "")),
			"destroys version 1 of orders at 2026-01-08T00:00:00Z; until then 'sealwright keys cancel-destroy orders 1' breaks it off\n"},
		{"BrokenOff", "keys cancel-destroy orders 1", key(2, "", version(1, "retired", ""), version(2, "active", "")),
			"keeps version 1 of orders: retired\n"},
		{"BackInGrace", "keys unretire orders 1", key(2, "", version(1, "grace", `,"not_after":"2026-01-08T00:00:00Z"`), version(2, "active", "")),
			"restored version 1 of orders: grace until 2026-01-08T00:00:00Z\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := run(t, tt.answer, strings.Fields(tt.command)...); got != tt.want {
				t.Errorf("%s: got %q, want %q", tt.command, got, tt.want)
			}
		})
	}
}

// The list tells keys apart that are not like the others.
func TestList(t *testing.T) {
	item := func(name, more, versions string) string {
		return `{"name":"` + name + `","key_id":"` + name + `","algorithm":"hmac-sha256","version":1,` + created + more + `,"versions":[` + versions + `]}`
	}
	one := version(1, "active", "")
	got := run(t, `{"items":[`+strings.Join([]string{
		item("plain", "", one),
		item("device", `,"construction":"sealwright-native-mac-v1","purpose":"api"`, version(1, "active", `,"native":{"provider":"pkcs11","key":"k"}`)),
		item("copied", `,"exportable":true,"source":{"provider":"vaultkv","name":"a/b","every":"1h"}`, one),
		item("waits", "", one+","+version(2, "pending", "")),
	}, ",")+`]}`, "keys", "list")
	want := `NAME    KEY ID  ALGORITHM    VERSION  CREATED               NOTES
plain   plain   hmac-sha256  1        2026-01-01T00:00:00Z  -
device  device  hmac-sha256  1        2026-01-01T00:00:00Z  native pkcs11, for api
copied  copied  hmac-sha256  1        2026-01-01T00:00:00Z  source vaultkv, exportable
waits   waits   hmac-sha256  1        2026-01-01T00:00:00Z  version 2 pending
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// A version that waits to be destroyed does not look like one that is kept.
func TestShowDestruction(t *testing.T) {
	got := run(t, key(2, "", version(1, "retired", `,"destroy_at":"2026-01-08T00:00:00Z"`), version(2, "active", "")), "keys", "show", "orders")
	if want := "\n1        retired, then destroyed  32     2026-01-01T00:00:00Z  2026-01-08T00:00:00Z  -          0\n"; !strings.Contains(got, want) {
		t.Errorf("got\n%s\nwant a line\n%s", got, want)
	}
}

// Uses that are not known are not none.
func TestShowUnknownUses(t *testing.T) {
	got := run(t, key(1, `,"uses_unknown":true`, version(1, "active", "")), "keys", "show", "orders")
	if want := "\n1        active  32     2026-01-01T00:00:00Z  -      ?          ?\n"; !strings.Contains(got, want) {
		t.Errorf("got\n%s\nwant a line\n%s", got, want)
	}
}

func TestLeasesWithoutPurpose(t *testing.T) {
	got := run(t, `{"items":[{"id":"1f","key":"orders","version":1,"algorithm":"hmac-sha256","state":"valid",`+created+`,"expires_at":"2026-01-01T00:10:00Z"}]}`,
		"leases", "list", "orders")
	want := "ID  STATE  VERSION  UNTIL                 USED  PURPOSE\n1f  valid  1        2026-01-01T00:10:00Z  -     -\n"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
