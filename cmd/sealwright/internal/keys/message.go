package keys

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/cmd/sealwright/internal/terminal"
)

// given are the flags that sign and verify share.
type given struct {
	message, metadata, encoding, purpose, context string
	bind, asJSON                                  bool
}

func (g *given) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&g.message, "message", "", "`FILE` with the message, byte for byte; - reads standard input")
	f.StringVar(&g.encoding, "encoding", "", "hex, base64 or base64url `ENCODING` of the tag (default hex)")
	f.StringVar(&g.purpose, "purpose", "", "`WORD` for what the message is; a key for another purpose refuses")
	f.StringVar(&g.context, "context", "", "`TEXT` for which a key is derived, such as the ID of a customer")
	f.StringVar(&g.metadata, "metadata", "", "`FILE` with what the message is about, in JSON, for the policy")
	f.BoolVar(&g.bind, "bind-metadata", false, "sign the metadata too")
	f.BoolVar(&g.asJSON, "json", false, "print the answer as JSON")
}

// read returns the message and the metadata, nil for none.
func (g *given) read(cmd *cobra.Command) ([]byte, *api.Metadata, error) {
	if g.message == "" {
		return nil, nil, fmt.Errorf("want --message FILE; see '%s --help'", cmd.CommandPath())
	}
	message, err := readMessage(g.message, cmd.InOrStdin())
	if err != nil || g.metadata == "" {
		return message, nil, err
	}
	text, err := os.ReadFile(g.metadata)
	if err != nil {
		return nil, nil, fmt.Errorf("read metadata: %w", err)
	}
	var m api.Metadata
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&m); err != nil {
		return nil, nil, fmt.Errorf("metadata in %s: %w", terminal.Printable(g.metadata), err)
	}
	return message, &m, nil
}

func (t Tools) sign() *cobra.Command {
	var g given
	cmd := &cobra.Command{
		Use:   "sign NAME",
		Short: "Sign a message with a key of the server, and print the signature",
		Long: `Sign a message with a key of the server, and print the signature in the standard
form, which names algorithm, key ID and version.`,
		Example: `  sealwright keys sign orders --message invoice.pdf
  sealwright keys sign orders --message - --json < message.txt`,
		Args: t.OneName,
		RunE: func(cmd *cobra.Command, args []string) error {
			message, metadata, err := g.read(cmd)
			if err != nil {
				return err
			}
			in := api.Sign{Message: message, Encoding: g.encoding, Purpose: g.purpose, Context: g.context, Metadata: metadata, Bind: g.bind}
			if len(message) == 0 {
				in.Text = new(string) // an empty message in base64 is left out
			}
			var s api.Signed
			if err := t.Call(cmd.Context(), http.MethodPost, keyPath(args[0])+"/sign", in, &s); err != nil {
				return err
			}
			if g.asJSON {
				return t.PrintJSON(cmd.OutOrStdout(), s)
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), terminal.Printable(s.Signature))
			return err
		},
	}
	g.flags(cmd)
	return cmd
}

func (t Tools) verify() *cobra.Command {
	var g given
	var tag, signature string
	cmd := &cobra.Command{
		Use:   "verify NAME",
		Short: "Verify a message with a key of the server",
		Long: `Verify a message with a key of the server, against a signature in the standard
form or a tag.

Exit codes: 0 valid, 1 not valid, or the server refused or cannot be reached,
2 wrong usage or input that cannot be read.`,
		Example: `  sealwright keys verify orders --message invoice.pdf --signature "$SIGNATURE"
  sealwright keys verify orders --message invoice.pdf --tag 3f1c…`,
		Args: t.OneName,
		RunE: func(cmd *cobra.Command, args []string) error {
			f := cmd.Flags()
			if f.Changed("tag") == f.Changed("signature") {
				return fmt.Errorf("want either --signature or --tag; see '%s --help'", cmd.CommandPath())
			}
			message, metadata, err := g.read(cmd)
			if err != nil {
				return err
			}
			in := api.Verify{Message: message, Encoding: g.encoding, Purpose: g.purpose, Context: g.context, Metadata: metadata, Bind: g.bind}
			if len(message) == 0 {
				in.Text = new(string)
			}
			if f.Changed("tag") {
				in.Tag = &tag
			} else {
				in.Signature = &signature
			}
			var v api.Verdict
			if err := t.Call(cmd.Context(), http.MethodPost, keyPath(args[0])+"/verify", in, &v); err != nil {
				return err
			}
			if g.asJSON {
				err = t.PrintJSON(cmd.OutOrStdout(), v)
			} else {
				_, err = fmt.Fprintln(cmd.OutOrStdout(), verdictLine(v))
			}
			if err == nil && !v.Valid {
				return t.NotValid
			}
			return err
		},
	}
	g.flags(cmd)
	cmd.Flags().StringVar(&tag, "tag", "", "full `TAG` of the message")
	cmd.Flags().StringVar(&signature, "signature", "", "`SIGNATURE` in the standard form")
	return cmd
}

// verdictLine says v in a line.
func verdictLine(v api.Verdict) string {
	if !v.Valid {
		return fmt.Sprintf("NOT VALID by %s: %s: %s", terminal.Printable(v.Key), terminal.Printable(v.Reason), terminal.Printable(v.Detail))
	}
	parts := []string{fmt.Sprintf("valid by %s, version %d, %s", terminal.Printable(v.Key), v.Version, terminal.Printable(v.Algorithm))}
	if v.State != "active" {
		parts = append(parts, terminal.Printable(v.State))
	}
	if v.NotAfter != nil {
		parts = append(parts, "until "+instant(v.NotAfter))
	}
	return strings.Join(parts, ", ")
}
