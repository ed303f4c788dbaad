package keys

import (
	"fmt"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/cmd/sealwright/internal/terminal"
)

func (t Tools) rotate() *cobra.Command {
	var in api.RotateKey
	var grace, at string
	var native nativeFlag
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "rotate NAME",
		Short: "Add a version that signs; the one before it verifies for a grace period",
		Example: `  sealwright keys rotate orders --grace 72h
  sealwright keys rotate orders --revoke-current --why "leaked in a build log"
  sealwright keys rotate payments --native transit:payments/2`,
		Args: t.OneName,
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("grace") {
				in.Grace = &grace
			}
			var err error
			if in.At, err = parseAt(at); err != nil {
				return err
			}
			if in.Native, err = native.key(cmd); err != nil {
				return err
			}
			done := "rotated"
			if in.At != nil {
				done = "scheduled"
			}
			return t.change(cmd, done, asJSON, http.MethodPost, keyPath(args[0])+"/rotate", in)
		},
	}
	cmd.Flags().StringVar(&grace, "grace", "", "`DURATION` for which the old version verifies, such as 72h (default that of the server)")
	cmd.Flags().StringVar(&at, "at", "", "`TIME` to rotate at, in RFC 3339 (default now)")
	native.add(cmd, "`PROVIDER[:KEY]` of the new version of a native key (default one that its key service makes)")
	cmd.Flags().BoolVar(&in.RevokeCurrent, "revoke-current", false, "the secret is known to others: revoke the old version at once")
	cmd.Flags().StringVar(&in.Why, "why", "", "`TEXT` for the log")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the key as JSON")
	return cmd
}

// parseAt returns nil for nothing.
func parseAt(text string) (*time.Time, error) {
	if text == "" {
		return nil, nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return nil, fmt.Errorf("--at: got %q, want a time such as 2026-01-02T15:04:05Z", text)
	}
	return &at, nil
}

func (t Tools) schedule() *cobra.Command {
	var in api.Schedule
	var at string
	var end, asJSON bool
	cmd := &cobra.Command{
		Use:   "schedule NAME",
		Short: "Rotate a key at times",
		Example: `  sealwright keys schedule orders --every 30d --grace 72h
  sealwright keys schedule orders --end`,
		Args: t.OneName,
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			if in.At, err = parseAt(at); err != nil {
				return err
			}
			if end == (in != api.Schedule{}) {
				return fmt.Errorf("want either --end, or --every or --at")
			}
			done := "scheduled"
			if end {
				done = "ended the schedule of"
			}
			return t.change(cmd, done, asJSON, http.MethodPost, keyPath(args[0])+"/schedule", in)
		},
	}
	cmd.Flags().StringVar(&in.Every, "every", "", "`DURATION` between two rotations, 1h or more, such as 30d")
	cmd.Flags().StringVar(&at, "at", "", "`TIME` of the next rotation, in RFC 3339 (default after --every)")
	cmd.Flags().StringVar(&in.Grace, "grace", "", "`DURATION` for which the old version verifies (default that of the server)")
	cmd.Flags().BoolVar(&end, "end", false, "rotate no more")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the key as JSON")
	return cmd
}

func (t Tools) restore() *cobra.Command {
	var in api.ChangeVersion
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "restore NAME",
		Short:   "Bring a deleted key back",
		Example: "  sealwright keys restore orders",
		Args:    t.OneName,
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.change(cmd, "restored", asJSON, http.MethodPost, keyPath(args[0])+"/restore", in)
		},
	}
	cmd.Flags().StringVar(&in.Why, "why", "", "`TEXT` for the log")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the key as JSON")
	return cmd
}

// versionCommands are what can be done to one version.
func (t Tools) versionCommands() []*cobra.Command {
	return []*cobra.Command{
		t.version("promote", "promote", "promoted", "Let a pending version sign before all nodes are known to have it"),
		t.version("revoke", "revoke", "revoked", "Refuse a version for good, at once"),
		t.version("retire", "retire", "retired", "Archive a version: it verifies nothing until it is restored"),
		t.version("unretire", "restore", "restored", "Let a retired version verify for another grace period"),
		t.version("destroy", "destroy", "destroys", "Remove the secret of a retired or revoked version after a waiting period"),
		t.version("cancel-destroy", "destroy/cancel", "keeps", "Break off the waiting period of destroy"),
	}
}

func (t Tools) version(use, path, done, short string) *cobra.Command {
	var in api.ChangeVersion
	var asJSON bool
	cmd := &cobra.Command{
		Use:     use + " NAME VERSION",
		Short:   short,
		Example: "  sealwright keys " + use + " orders 1",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 2 || args[0] == "" {
				return fmt.Errorf("got %d arguments, want a name and a version; see '%s --help'", len(args), cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			n, err := strconv.Atoi(args[1])
			if err != nil || n < 1 {
				return fmt.Errorf("version: got %q, want a number from 1 on", args[1])
			}
			var k api.Key
			if err := t.Call(cmd.Context(), http.MethodPost, fmt.Sprintf("%s/versions/%d/%s", keyPath(args[0]), n, path), in, &k); err != nil {
				return err
			}
			if asJSON {
				return t.PrintJSON(cmd.OutOrStdout(), k)
			}
			for _, v := range k.Versions {
				if v.Version == n {
					_, err = fmt.Fprintln(cmd.OutOrStdout(), happened(done, k.Name, v))
				}
			}
			return err
		},
	}
	cmd.Flags().StringVar(&in.Why, "why", "", "`TEXT` for the log")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the key as JSON")
	return cmd
}

// happened says what has become of a version, and what is still to come.
func happened(done, name string, v api.KeyVersion) string {
	name = terminal.Printable(name)
	text := fmt.Sprintf("%s version %d of %s", done, v.Version, name)
	switch {
	case v.DestroyAt != nil:
		return fmt.Sprintf("%s at %s; until then 'sealwright keys cancel-destroy %s %d' breaks it off", text, instant(v.DestroyAt), name, v.Version)
	case v.State == "grace" && v.NotAfter != nil:
		return fmt.Sprintf("%s: grace until %s", text, instant(v.NotAfter))
	}
	return text + ": " + terminal.Printable(v.State)
}

func (t Tools) export() *cobra.Command {
	var in api.ExportKey
	var out string
	cmd := &cobra.Command{
		Use:   "export NAME",
		Short: "Wrap the secret of an exportable key to a registered recipient",
		Long: `Wrap the secret of an exportable key to a recipient, whose public key was
registered with 'keys recipients add'. The recipient opens the file with

  openssl pkeyutl -decrypt -inkey partner.key -in wrapped.bin \
    -pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:sha256`,
		Example: "  sealwright keys export orders --to partner --out wrapped.bin",
		Args:    t.OneName,
		RunE: func(cmd *cobra.Command, args []string) error {
			if in.Recipient == "" || out == "" {
				return fmt.Errorf("want --to and --out; see '%s --help'", cmd.CommandPath())
			}
			var e api.ExportedKey
			if err := t.Call(cmd.Context(), http.MethodPost, keyPath(args[0])+"/export", in, &e); err != nil {
				return err
			}
			if err := os.WriteFile(out, e.Wrapped, 0o600); err != nil {
				return err
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "wrapped version %d of %s to %s, whose key has the fingerprint %s\n",
				e.Version, terminal.Printable(e.Key), terminal.Printable(e.Recipient), terminal.Printable(e.Fingerprint))
			return err
		},
	}
	cmd.Flags().StringVar(&in.Recipient, "to", "", "`NAME` of the recipient")
	cmd.Flags().StringVar(&out, "out", "", "`FILE` to write")
	cmd.Flags().IntVar(&in.Version, "version", 0, "`NUMBER` of the version (default the one that signs)")
	cmd.Flags().StringVar(&in.Context, "context", "", "export the key that is derived for this `TEXT`, such as the ID of a customer")
	return cmd
}
