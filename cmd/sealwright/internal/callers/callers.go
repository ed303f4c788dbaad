// Package callers has the commands for the callers of a server, their
// credentials, roles and tenants.
//
// It asks the server and prints its answers. The secret of a credential is
// printed or written to a file once, when it is made.
package callers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/cmd/sealwright/internal/terminal"
)

// Tools are what the commands need of the program around them. None may be nil.
type Tools struct {
	// Call sends in as JSON to the server, nothing if it is nil, and reads the
	// answer into out, unless that is nil.
	Call      func(ctx context.Context, method, path string, in, out any) error
	Text      func(api.Credential) string // what is kept of a credential in a file
	PrintJSON func(w io.Writer, v any) error
	NoArgs    cobra.PositionalArgs
	OneName   cobra.PositionalArgs // exactly one argument, a name
}

// New returns the command callers.
func New(t Tools) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "callers",
		Short: "Say who may call a server, and what each may do",
		Long: `Create, list, show, disable and delete the callers of a running server, and
make and revoke their credentials.

Exit codes: 0 done, 1 the server refused or cannot be reached, 2 wrong usage or
input that cannot be read.`,
		Example: `  sealwright callers create billing --role signer --key 'orders-*'
  sealwright callers credentials create billing --out billing.cred
  sealwright keys list --token-file billing.cred`,
		Args: t.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(t.create(), t.list(), t.show(), t.grant(), t.delete(), t.credentials(),
		t.disable("disable", "Refuse a caller until it is enabled again", true), t.disable("enable", "Accept a caller again", false))
	return cmd
}

func callerPath(id string) string { return "/v1/callers/" + url.PathEscape(id) }

// grantFlags say what a caller may do.
type grantFlags struct{ roles, keys, purposes []string }

func (f *grantFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringSliceVar(&f.roles, "role", nil, "`NAME` of a role, several with commas; see 'sealwright roles list'")
	cmd.Flags().StringSliceVar(&f.keys, "key", nil, "`NAME` of a key for which the roles hold, or how names begin with * at the end (default all)")
	cmd.Flags().StringSliceVar(&f.purposes, "purpose", nil, "`WORD` for the purpose of the keys for which the roles hold (default all)")
}

func (f *grantFlags) grants() []api.Grant {
	grants := []api.Grant{}
	for _, r := range f.roles {
		grants = append(grants, api.Grant{Role: r, Keys: f.keys, Purposes: f.purposes})
	}
	return grants
}

func (t Tools) create() *cobra.Command {
	var f grantFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Create a caller; it has no credential yet",
		Example: `  sealwright callers create billing --role signer,verifier --key 'orders-*'
  sealwright callers create alice --role operator`,
		Args: t.OneName,
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.change(cmd, "created", asJSON, http.MethodPost, "/v1/callers", api.CreateCaller{Name: args[0], Grants: f.grants()})
		},
	}
	f.add(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the caller as JSON")
	return cmd
}

// change makes a call that answers with the changed caller, and says so.
func (t Tools) change(cmd *cobra.Command, done string, asJSON bool, method, path string, in any) error {
	var c api.Caller
	if err := t.Call(cmd.Context(), method, path, in, &c); err != nil {
		return err
	}
	if asJSON {
		return t.PrintJSON(cmd.OutOrStdout(), c)
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s %s: %s\n", done, terminal.Printable(c.ID), describe(c))
	return err
}

// describe says what a caller may do.
func describe(c api.Caller) string {
	var parts []string
	for _, g := range c.Grants {
		text := g.Role
		if len(g.Keys) > 0 {
			text += " of " + strings.Join(g.Keys, " ")
		}
		if len(g.Purposes) > 0 {
			text += " for " + strings.Join(g.Purposes, " ")
		}
		parts = append(parts, text)
	}
	if len(parts) == 0 {
		parts = []string{"no role"}
	}
	if c.Disabled {
		parts = append(parts, "disabled")
	}
	return terminal.Printable(strings.Join(parts, ", "))
}

func (t Tools) list() *cobra.Command {
	var operators, asJSON bool
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the callers by name",
		Example: "  sealwright callers list",
		Args:    t.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			list := []api.Caller{}
			for cursor := ""; ; {
				var page api.CallerList
				path := fmt.Sprintf("/v1/callers?limit=1000&operators=%v&cursor=%s", operators, url.QueryEscape(cursor))
				if err := t.Call(cmd.Context(), http.MethodGet, path, nil, &page); err != nil {
					return err
				}
				list = append(list, page.Items...)
				if cursor = page.NextCursor; cursor == "" {
					break
				}
			}
			if asJSON {
				return t.PrintJSON(cmd.OutOrStdout(), list)
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprint(w, "ID\tCREDENTIALS\tMAY\n")
			for _, c := range list {
				fmt.Fprintf(w, "%s\t%d\t%s\n", terminal.Printable(c.ID), valid(c), describe(c))
			}
			return w.Flush()
		},
	}
	cmd.Flags().BoolVar(&operators, "operators", false, "list operators instead of the callers of the tenant")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the callers as JSON")
	return cmd
}

func valid(c api.Caller) (n int) {
	for _, k := range c.Credentials {
		if k.State == "valid" {
			n++
		}
	}
	return n
}

func (t Tools) show() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "show ID",
		Short:   "Show a caller and its credentials, never a secret",
		Example: "  sealwright callers show billing",
		Args:    t.OneName,
		RunE: func(cmd *cobra.Command, args []string) error {
			var c api.Caller
			if err := t.Call(cmd.Context(), http.MethodGet, callerPath(args[0]), nil, &c); err != nil {
				return err
			}
			if asJSON {
				return t.PrintJSON(cmd.OutOrStdout(), c)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s: %s\n", terminal.Printable(c.ID), describe(c))
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprint(w, "CREDENTIAL\tKIND\tSTATE\tEXPIRES\tLAST USED\n")
			for _, k := range c.Credentials {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", terminal.Printable(k.ID), terminal.Printable(k.Kind), terminal.Printable(k.State), instant(&k.ExpiresAt), instant(k.LastUsedAt))
			}
			return w.Flush()
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the caller as JSON")
	return cmd
}

// instant returns t in RFC 3339, a hyphen for none.
func instant(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return t.UTC().Format(time.RFC3339)
}

func (t Tools) grant() *cobra.Command {
	var f grantFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "grant ID",
		Short: "Replace what a caller may do; without --role it may do nothing",
		Example: `  sealwright callers grant billing --role signer --key 'orders-*' --purpose webhook
  sealwright callers grant billing`,
		Args: t.OneName,
		RunE: func(cmd *cobra.Command, args []string) error {
			grants := f.grants()
			return t.change(cmd, "granted", asJSON, http.MethodPatch, callerPath(args[0]), api.ChangeCaller{Grants: &grants})
		},
	}
	f.add(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the caller as JSON")
	return cmd
}

func (t Tools) disable(use, short string, disabled bool) *cobra.Command {
	return &cobra.Command{
		Use: use + " ID", Short: short, Example: "  sealwright callers " + use + " billing", Args: t.OneName,
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.change(cmd, use+"d", false, http.MethodPatch, callerPath(args[0]), api.ChangeCaller{Disabled: &disabled})
		},
	}
}

func (t Tools) delete() *cobra.Command {
	return &cobra.Command{
		Use:   "delete ID",
		Short: "Delete a caller with its credentials",
		Long: `Delete a caller with its credentials, at once and for good. Its name stays
taken, and the command does not ask.`,
		Example: "  sealwright callers delete billing",
		Args:    t.OneName,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := t.Call(cmd.Context(), http.MethodDelete, callerPath(args[0]), nil, nil); err != nil {
				return err
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "deleted %s\n", terminal.Printable(args[0]))
			return err
		},
	}
}

func (t Tools) credentials() *cobra.Command {
	cmd := &cobra.Command{
		Use: "credentials", Short: "Make and revoke the credentials of a caller", Args: t.NoArgs,
		Example: "  sealwright callers credentials create billing --out billing.cred",
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(t.createCredential(), t.revokeCredential())
	return cmd
}

func (t Tools) createCredential() *cobra.Command {
	var in api.CreateCredential
	var out string
	cmd := &cobra.Command{
		Use:   "create ID",
		Short: "Make a credential; its secret is shown only now",
		Long: `Make a credential of a caller and write it to a file that --token-file takes, or
print it. One of kind signature signs requests and is never sent; a token is for
plain curl, over TLS or on one machine. One of kind certificate has no secret: it
names the client certificates that prove who the caller is.`,
		Example: `  sealwright callers credentials create billing --out billing.cred
  sealwright callers credentials create billing --kind token --ttl 720h
  sealwright callers credentials create billing --certificate uri:spiffe://example.com/billing`,
		Args: t.OneName,
		RunE: func(cmd *cobra.Command, args []string) error {
			if in.Certificate != "" {
				return t.createCertificate(cmd, args[0], in, out)
			}
			var file *os.File
			if out != "" { // before the credential is made: it could not be shown again
				var err error
				if file, err = os.OpenFile(out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600); err != nil {
					return err
				}
				defer file.Close()
			}
			var k api.Credential
			if err := t.Call(cmd.Context(), http.MethodPost, callerPath(args[0])+"/credentials", in, &k); err != nil {
				if file != nil {
					_ = os.Remove(out)
				}
				return err
			}
			if file == nil {
				_, err := fmt.Fprintln(cmd.OutOrStdout(), t.Text(k))
				return err
			}
			if _, err := fmt.Fprintln(file, t.Text(k)); err != nil {
				return err
			}
			if err := file.Close(); err != nil {
				return err
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "made credential %s of kind %s, good until %s, in %s\n",
				terminal.Printable(k.ID), terminal.Printable(k.Kind), instant(&k.ExpiresAt), terminal.Printable(out))
			return err
		},
	}
	cmd.Flags().StringVar(&in.Kind, "kind", "signature", "`KIND` signature or token")
	cmd.Flags().StringVar(&in.Certificate, "certificate", "", "`NAME` of client certificates: uri:URI, dns:NAME or spki-sha256:HEX")
	cmd.Flags().StringVar(&in.TTL, "ttl", "", "`DURATION` for which it is good, 1m to 43920h (default 8760h)")
	cmd.Flags().StringVar(&out, "out", "", "`FILE` to write, which must not be there (default standard output)")
	return cmd
}

// createCertificate makes a credential that has no secret.
func (t Tools) createCertificate(cmd *cobra.Command, id string, in api.CreateCredential, out string) error {
	if out != "" || cmd.Flags().Changed("kind") {
		return errors.New("--certificate has neither --kind nor --out: there is no secret")
	}
	in.Kind = "certificate"
	var k api.Credential
	if err := t.Call(cmd.Context(), http.MethodPost, callerPath(id)+"/credentials", in, &k); err != nil {
		return err
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "made credential %s of kind %s, good until %s\n", terminal.Printable(k.ID), terminal.Printable(k.Kind), instant(&k.ExpiresAt))
	return err
}

func (t Tools) revokeCredential() *cobra.Command {
	return &cobra.Command{
		Use:     "revoke ID CREDENTIAL",
		Short:   "Revoke a credential, at once and for good",
		Example: "  sealwright callers credentials revoke billing 5f1c0b0a9d2e4c7788aa",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 2 || args[0] == "" || args[1] == "" {
				return fmt.Errorf("got %d arguments, want the ID of a caller and that of a credential; see '%s --help'", len(args), cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := t.Call(cmd.Context(), http.MethodDelete, callerPath(args[0])+"/credentials/"+url.PathEscape(args[1]), nil, nil); err != nil {
				return err
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "revoked credential %s of %s\n", terminal.Printable(args[1]), terminal.Printable(args[0]))
			return err
		},
	}
}
