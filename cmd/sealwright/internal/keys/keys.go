// Package keys has the commands for the keys of a server and their leases.
//
// It asks the server and prints its answers; it never prints the secret of a
// key, and that of a lease only when that is made.
package keys

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/cmd/sealwright/internal/terminal"
)

const keysPath = "/v1/keys"

// Tools are what the commands need of the program around them. None may be nil.
type Tools struct {
	// Call sends in as JSON to the server, nothing if it is nil, and reads the
	// answer into out, unless that is nil.
	Call func(ctx context.Context, method, path string, in, out any) error
	// Secret reads a secret from a file and returns it in padded base64. It
	// tells stderr what it changed.
	Secret    func(name string, stderr io.Writer) (string, error)
	PrintJSON func(w io.Writer, v any) error
	NotValid  error // of a command that has said itself that something is not valid
	NoArgs    cobra.PositionalArgs
	OneName   cobra.PositionalArgs // exactly one argument, a name
}

// New returns the command keys.
func New(t Tools) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "keys",
		Short: "Create, rotate, revoke, import, export and delete the keys of a server",
		Long: `Create, list, show, rotate and delete the keys of a running server, and decide
about their versions.

Exit codes: 0 done, 1 the server refused or cannot be reached, 2 wrong usage or
input that cannot be read.`,
		Example: `  sealwright keys create orders
  sealwright keys list --server https://seal.example.com --token-file ~/.seal-token`,
		Args: t.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(t.create(), t.list(), t.show(), t.sign(), t.verify(), t.rotate(), t.schedule(), t.delete(), t.restore(), t.export(), t.recipients())
	cmd.AddCommand(t.versionCommands()...)
	return cmd
}

func (t Tools) create() *cobra.Command {
	var k api.CreateKey
	var secretFile string
	var native nativeFlag
	var from sourceFlags
	var wrap bool
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Create a key, or import a secret as one",
		Long: `Create a key of 32 random bytes that never leave the server, or import a secret
from a file. One final newline of the file is dropped.

With --native the secret never leaves a key service or an HSM that the server
knows: the key signs a digest of the message, in a construction of its own, and
not under the schemes of others.

With --source the secret lives in a secret manager that the server knows: the
server takes a copy and follows its changes.`,
		Example: `  sealwright keys create orders
  sealwright keys create github --secret-file secret.txt
  sealwright keys create payments --native pkcs11
  sealwright keys create payments --native awskms:alias/payments
  sealwright keys create orders --source vaultkv:sealwright/orders --source-field hmac`,
		Args: t.OneName,
		RunE: func(cmd *cobra.Command, args []string) error {
			k.Name = args[0]
			var err error
			if k.Native, err = native.key(cmd); err != nil {
				return err
			}
			if k.Source, err = from.source(cmd); err != nil {
				return err
			}
			if secretFile != "" {
				material, err := t.Secret(secretFile, cmd.ErrOrStderr())
				if err != nil {
					return err
				}
				k.Material = &material
			}
			if wrap {
				if err := t.wrap(cmd.Context(), &k); err != nil {
					return err
				}
			}
			return t.change(cmd, "created", asJSON, http.MethodPost, keysPath, k)
		},
	}
	cmd.Flags().StringVar(&secretFile, "secret-file", "", "`FILE` with a secret to import (default a random one)")
	from.add(cmd)
	native.add(cmd, "`PROVIDER[:KEY]` that has the secret; without a key awskms and pkcs11 make one")
	cmd.Flags().BoolVar(&wrap, "wrap", false, "wrap the secret under a key of the server, so that who listens on the way does not see it")
	cmd.Flags().StringVar(&k.KeyID, "key-id", "", "`ID` that stands in signatures (default the name)")
	cmd.Flags().StringVar(&k.Algorithm, "algorithm", "", "`NAME` of the algorithm (default hmac-sha256)")
	cmd.Flags().BoolVar(&k.Exportable, "exportable", false, "let reveal return the secret; it cannot be changed later")
	cmd.Flags().StringVar(&k.Purpose, "purpose", "", "`WORD` for what it is used: webhook, api, artifact, event, audit or package (default everything)")
	cmd.Flags().BoolVar(&k.AllowWeak, "allow-weak", false, "import a secret of less than 14 bytes")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the key as JSON")
	return cmd
}

// change makes a call that answers with the changed key, and says so.
func (t Tools) change(cmd *cobra.Command, done string, asJSON bool, method, path string, in any) error {
	var k api.Key
	if err := t.Call(cmd.Context(), method, path, in, &k); err != nil {
		return err
	}
	if asJSON {
		return t.PrintJSON(cmd.OutOrStdout(), k)
	}
	for _, w := range k.Warnings {
		_, _ = fmt.Fprintf(cmd.ErrOrStderr(), "sealwright: warning: %s\n", terminal.Printable(w))
	}
	if k.Source != nil && k.Source.Unchanged {
		_, err := fmt.Fprintf(cmd.OutOrStdout(), "kept %s: version %d signs, its source has no other secret\n", terminal.Printable(k.Name), k.Version)
		return err
	}
	_, err := fmt.Fprintln(cmd.OutOrStdout(), changed(done, k))
	return err
}

// changed says what has become of k, and what is still to come.
func changed(done string, k api.Key) string {
	name := terminal.Printable(k.Name)
	if done == "scheduled" && k.Schedule != nil {
		return fmt.Sprintf("scheduled %s: %s", name, rotates(k.Schedule))
	}
	if n := pending(k); done == "rotated" && n != 0 {
		return fmt.Sprintf("added version %d of %s: version %d signs until all nodes have it", n, name, k.Version)
	}
	return fmt.Sprintf("%s %s: version %d signs, %s", done, name, k.Version, terminal.Printable(k.Algorithm))
}

// pending returns the version that waits to sign, 0 for none.
func pending(k api.Key) int {
	for _, v := range k.Versions {
		if v.State == "pending" {
			return v.Version
		}
	}
	return 0
}

// rotates says when a key is rotated.
func rotates(s *api.Schedule) string {
	text := "rotates at " + instant(s.At)
	if s.Every != "" {
		text += ", then every " + terminal.Printable(s.Every)
	}
	if s.Grace != "" {
		text += ", with a grace of " + terminal.Printable(s.Grace)
	}
	return text
}

func (t Tools) show() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "show NAME",
		Short:   "Show a key and its versions, never the secret",
		Example: "  sealwright keys show orders --json",
		Args:    t.OneName,
		RunE: func(cmd *cobra.Command, args []string) error {
			var k api.Key
			if err := t.Call(cmd.Context(), http.MethodGet, keyPath(args[0]), nil, &k); err != nil {
				return err
			}
			if asJSON {
				return t.PrintJSON(cmd.OutOrStdout(), k)
			}
			return printKey(cmd.OutOrStdout(), k)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the key as JSON")
	return cmd
}

func (t Tools) list() *cobra.Command {
	var asJSON, deleted bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the keys by name",
		Example: `  sealwright keys list
  sealwright keys list --deleted`,
		Args: t.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			keys, err := t.keys(cmd.Context(), deleted)
			if err != nil {
				return err
			}
			if asJSON {
				return t.PrintJSON(cmd.OutOrStdout(), keys)
			}
			return printKeys(cmd.OutOrStdout(), keys)
		},
	}
	cmd.Flags().BoolVar(&deleted, "deleted", false, "list the deleted keys instead, which restore brings back")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the keys as JSON")
	return cmd
}

func (t Tools) delete() *cobra.Command {
	return &cobra.Command{
		Use:   "delete NAME",
		Short: "Delete a key: it neither signs nor verifies any more",
		Long: `Delete a key: it neither signs nor verifies any more. Its name stays taken, and
the command does not ask.`,
		Example: "  sealwright keys delete orders",
		Args:    t.OneName,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := t.Call(cmd.Context(), http.MethodDelete, keyPath(args[0]), nil, nil); err != nil {
				return err
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "deleted %s\n", terminal.Printable(args[0]))
			return err
		},
	}
}

func keyPath(name string) string { return keysPath + "/" + url.PathEscape(name) }

// keys returns all keys, or all that are deleted, page by page.
func (t Tools) keys(ctx context.Context, deleted bool) ([]api.Key, error) {
	keys, more := []api.Key{}, ""
	if deleted {
		more = "&deleted=true"
	}
	for cursor := ""; ; {
		var page api.KeyList
		if err := t.Call(ctx, http.MethodGet, keysPath+"?limit=1000&cursor="+url.QueryEscape(cursor)+more, nil, &page); err != nil {
			return nil, err
		}
		keys = append(keys, page.Items...)
		if cursor = page.NextCursor; cursor == "" {
			return keys, nil
		}
	}
}

func printKeys(w io.Writer, keys []api.Key) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprint(t, "NAME\tKEY ID\tALGORITHM\tVERSION\tCREATED\tNOTES\n")
	for _, k := range keys {
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%s\t%s\n", terminal.Printable(k.Name), terminal.Printable(k.KeyID), terminal.Printable(k.Algorithm),
			k.Version, instant(&k.CreatedAt), notes(k))
	}
	return t.Flush()
}

// notes says what is special about a key, a hyphen for nothing.
func notes(k api.Key) string {
	var all []string
	if k.Construction != "" {
		provider := ""
		for _, v := range k.Versions {
			if v.Version == k.Version && v.Native != nil {
				provider = " " + terminal.Printable(v.Native.Provider)
			}
		}
		all = append(all, "native"+provider)
	}
	if k.Source != nil {
		all = append(all, "source "+terminal.Printable(k.Source.Provider))
	}
	if k.Exportable {
		all = append(all, "exportable")
	}
	if k.Purpose != "" {
		all = append(all, "for "+terminal.Printable(k.Purpose))
	}
	if n := pending(k); n != 0 {
		all = append(all, fmt.Sprintf("version %d pending", n))
	}
	if len(all) == 0 {
		return "-"
	}
	return strings.Join(all, ", ")
}

func printKey(w io.Writer, k api.Key) error {
	exportable := ""
	if k.Exportable {
		exportable = ", exportable"
	}
	purpose := ""
	if k.Purpose != "" {
		purpose = ", for " + terminal.Printable(k.Purpose)
	}
	native := ""
	if k.Construction != "" {
		native = ", native: signs a digest in the construction " + terminal.Printable(k.Construction)
	}
	fmt.Fprintf(w, "%s: key ID %s, %s%s%s%s\n", terminal.Printable(k.Name), terminal.Printable(k.KeyID), terminal.Printable(k.Algorithm), exportable, purpose, native)
	printSource(w, k.Source)
	if s := k.Schedule; s != nil {
		fmt.Fprintln(w, rotates(s))
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprint(t, "VERSION\tSTATE\tBYTES\tCREATED\tUNTIL\tLAST USED\tUSES")
	if native != "" {
		fmt.Fprint(t, "\tKEY SERVICE")
	}
	fmt.Fprintln(t)
	for _, v := range k.Versions {
		state, until := terminal.Printable(v.State), v.NotAfter
		if v.DestroyAt != nil {
			state, until = state+", then destroyed", v.DestroyAt
		}
		last, uses := instant(v.LastUsedAt), strconv.FormatInt(v.Uses, 10)
		if k.UsesUnknown {
			last, uses = "?", "?"
		}
		fmt.Fprintf(t, "%d\t%s\t%d\t%s\t%s\t%s\t%s",
			v.Version, state, v.Bytes, instant(&v.CreatedAt), instant(until), last, uses)
		if native != "" {
			fmt.Fprint(t, "\t", deviceKey(v.Native))
		}
		fmt.Fprintln(t)
	}
	return t.Flush()
}

// instant returns t in RFC 3339, a hyphen for no limit.
func instant(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return t.UTC().Format(time.RFC3339)
}
