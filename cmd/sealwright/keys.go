package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/cmd/sealwright/internal/terminal"
)

const keysPath = "/v1/keys"

func newKeys() *cobra.Command {
	var flags clientFlags
	cmd := &cobra.Command{
		Use:   "keys",
		Short: "Create, list, show, rotate and delete the keys of a server",
		Long: `Create, list, show, rotate and delete the keys of a running server.

Exit codes: 0 done, 1 the server refused or cannot be reached, 2 wrong usage or
input that cannot be read.`,
		Example: `  sealwright keys create orders
  sealwright keys list --server https://seal.example.com --token-file ~/.seal-token`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	flags.add(cmd)
	cmd.AddCommand(newKeysCreate(&flags), newKeysList(&flags), newKeysShow(&flags), newKeysRotate(&flags), newKeysDelete(&flags))
	return cmd
}

func newKeysCreate(flags *clientFlags) *cobra.Command {
	var k api.CreateKey
	var secretFile string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Create a key, or import a secret as one",
		Long: `Create a key of 32 random bytes that never leave the server, or import a secret
from a file. One final newline of the file is dropped.`,
		Example: `  sealwright keys create orders
  sealwright keys create github --secret-file secret.txt`,
		Args: oneName,
		RunE: func(cmd *cobra.Command, args []string) error {
			k.Name = args[0]
			if secretFile != "" {
				s, err := readSecret(secretFile, cmd.ErrOrStderr())
				if err != nil {
					return err
				}
				material := base64.StdEncoding.EncodeToString(s.Expose())
				k.Material = &material
			}
			return changeKey(cmd, flags, "created", asJSON, http.MethodPost, keysPath, k)
		},
	}
	cmd.Flags().StringVar(&secretFile, "secret-file", "", "`FILE` with a secret to import (default a random one)")
	cmd.Flags().StringVar(&k.KeyID, "key-id", "", "`ID` that stands in signatures (default the name)")
	cmd.Flags().StringVar(&k.Algorithm, "algorithm", "", "`NAME` of the algorithm (default hmac-sha256)")
	cmd.Flags().BoolVar(&k.Exportable, "exportable", false, "let reveal return the secret; it cannot be changed later")
	cmd.Flags().BoolVar(&k.AllowWeak, "allow-weak", false, "import a secret of less than 14 bytes")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the key as JSON")
	return cmd
}

func newKeysRotate(flags *clientFlags) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "rotate NAME",
		Short:   "Add a version that signs; the older ones still verify",
		Example: "  sealwright keys rotate orders",
		Args:    oneName,
		RunE: func(cmd *cobra.Command, args []string) error {
			return changeKey(cmd, flags, "rotated", asJSON, http.MethodPost, keyPath(args[0])+"/rotate", nil)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the key as JSON")
	return cmd
}

// changeKey makes a call that answers with the changed key, and says so.
func changeKey(cmd *cobra.Command, flags *clientFlags, done string, asJSON bool, method, path string, in any) error {
	c, err := flags.client()
	if err != nil {
		return err
	}
	var k api.Key
	if err := c.call(cmd.Context(), method, path, in, &k); err != nil {
		return err
	}
	if asJSON {
		return printJSON(cmd.OutOrStdout(), k)
	}
	for _, w := range k.Warnings {
		_, _ = fmt.Fprintf(cmd.ErrOrStderr(), "sealwright: warning: %s\n", terminal.Printable(w))
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s %s: version %d signs, %s\n", done, terminal.Printable(k.Name), k.Version, terminal.Printable(k.Algorithm))
	return err
}

func newKeysShow(flags *clientFlags) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "show NAME",
		Short:   "Show a key and its versions, never the secret",
		Example: "  sealwright keys show orders --json",
		Args:    oneName,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := flags.client()
			if err != nil {
				return err
			}
			var k api.Key
			if err := c.call(cmd.Context(), http.MethodGet, keyPath(args[0]), nil, &k); err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), k)
			}
			return printKey(cmd.OutOrStdout(), k)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the key as JSON")
	return cmd
}

func newKeysList(flags *clientFlags) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the keys by name",
		Example: "  sealwright keys list",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := flags.client()
			if err != nil {
				return err
			}
			keys, err := c.keys(cmd.Context())
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), keys)
			}
			return printKeys(cmd.OutOrStdout(), keys)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the keys as JSON")
	return cmd
}

func newKeysDelete(flags *clientFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "delete NAME",
		Short: "Delete a key: it neither signs nor verifies any more",
		Long: `Delete a key: it neither signs nor verifies any more. Its name stays taken, and
the command does not ask.`,
		Example: "  sealwright keys delete orders",
		Args:    oneName,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := flags.client()
			if err != nil {
				return err
			}
			if err := c.call(cmd.Context(), http.MethodDelete, keyPath(args[0]), nil, nil); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "deleted %s\n", terminal.Printable(args[0]))
			return err
		},
	}
}

func keyPath(name string) string { return keysPath + "/" + url.PathEscape(name) }

// keys returns all keys, page by page.
func (c *client) keys(ctx context.Context) ([]api.Key, error) {
	keys := []api.Key{}
	for cursor := ""; ; {
		var page api.KeyList
		if err := c.call(ctx, http.MethodGet, keysPath+"?limit=1000&cursor="+url.QueryEscape(cursor), nil, &page); err != nil {
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
	fmt.Fprint(t, "NAME\tKEY ID\tALGORITHM\tVERSION\tCREATED\n")
	for _, k := range keys {
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%s\n", terminal.Printable(k.Name), terminal.Printable(k.KeyID), terminal.Printable(k.Algorithm), k.Version, instant(&k.CreatedAt))
	}
	return t.Flush()
}

func printKey(w io.Writer, k api.Key) error {
	exportable := ""
	if k.Exportable {
		exportable = ", exportable"
	}
	fmt.Fprintf(w, "%s: key ID %s, %s%s\n", terminal.Printable(k.Name), terminal.Printable(k.KeyID), terminal.Printable(k.Algorithm), exportable)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprint(t, "VERSION\tSIGNS\tBYTES\tCREATED\tFROM\tUNTIL\n")
	for _, v := range k.Versions {
		signs := "no"
		if v.Signs {
			signs = "yes"
		}
		fmt.Fprintf(t, "%d\t%s\t%d\t%s\t%s\t%s\n", v.Version, signs, v.Bytes, instant(&v.CreatedAt), instant(v.NotBefore), instant(v.NotAfter))
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
