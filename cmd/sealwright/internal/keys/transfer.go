package keys

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/cmd/sealwright/internal/terminal"
)

// maxPublicKey bounds the file of a recipient's public key in bytes.
const maxPublicKey = 16 << 10

// wrap asks the server for a public key and puts the material of k under it.
func (t Tools) wrap(ctx context.Context, k *api.CreateKey) error {
	if k.Material == nil {
		return errors.New("--wrap is for a secret to import: give --secret-file FILE")
	}
	var params api.ImportParams
	if err := t.Call(ctx, http.MethodPost, "/v1/import-params", nil, &params); err != nil {
		return err
	}
	material, err := base64.StdEncoding.DecodeString(*k.Material)
	if err != nil {
		return err
	}
	defer clear(material)
	block, _ := pem.Decode([]byte(params.PublicKey))
	if block == nil {
		return errors.New("the public key of the server is no PEM")
	}
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return fmt.Errorf("public key of the server: %w", err)
	}
	public, ok := parsed.(*rsa.PublicKey)
	if !ok {
		return fmt.Errorf("public key of the server: got a %T, want RSA", parsed)
	}
	wrapped, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, public, material, nil)
	if err != nil {
		return fmt.Errorf("wrap a secret of %d bytes: %w", len(material), err)
	}
	text := base64.StdEncoding.EncodeToString(wrapped)
	k.Material, k.ImportID, k.Wrapped = nil, params.ID, &text
	return nil
}

// recipients returns the command for those to whom keys may be exported.
func (t Tools) recipients() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "recipients",
		Short: "Register, list and remove those to whom keys may be exported",
		Example: `  sealwright keys recipients add partner --public-key partner.pub
  sealwright keys recipients list`,
		Args: t.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(t.addRecipient(), t.listRecipients(), t.removeRecipient())
	return cmd
}

func (t Tools) addRecipient() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:     "add NAME",
		Short:   "Register the RSA public key of a recipient",
		Example: "  sealwright keys recipients add partner --public-key partner.pub",
		Args:    t.OneName,
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := readPublicKey(file)
			if err != nil {
				return err
			}
			var r api.Recipient
			if err := t.Call(cmd.Context(), http.MethodPost, "/v1/recipients", api.AddRecipient{Name: args[0], PublicKey: text}, &r); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "added %s: RSA of %d bits, fingerprint %s\n", terminal.Printable(r.Name), r.Bits, terminal.Printable(r.Fingerprint))
			return err
		},
	}
	cmd.Flags().StringVar(&file, "public-key", "", "`FILE` with the public key in PEM")
	return cmd
}

func readPublicKey(name string) (string, error) {
	if name == "" {
		return "", errors.New("want --public-key FILE")
	}
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxPublicKey+1))
	if err == nil && len(text) > maxPublicKey {
		err = fmt.Errorf("public key in %s has more than %d bytes", name, maxPublicKey)
	}
	return string(text), err
}

func (t Tools) listRecipients() *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List the recipients by name",
		Example: "  sealwright keys recipients list",
		Args:    t.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var list api.RecipientList
			if err := t.Call(cmd.Context(), http.MethodGet, "/v1/recipients", nil, &list); err != nil {
				return err
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprint(w, "NAME\tBITS\tCREATED\tFINGERPRINT\n")
			for _, r := range list.Items {
				fmt.Fprintf(w, "%s\t%d\t%s\t%s\n", terminal.Printable(r.Name), r.Bits, instant(&r.CreatedAt), terminal.Printable(r.Fingerprint))
			}
			return w.Flush()
		},
	}
}

func (t Tools) removeRecipient() *cobra.Command {
	return &cobra.Command{
		Use:     "remove NAME",
		Short:   "Forget the public key of a recipient",
		Example: "  sealwright keys recipients remove partner",
		Args:    t.OneName,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := t.Call(cmd.Context(), http.MethodDelete, "/v1/recipients/"+url.PathEscape(args[0]), nil, nil); err != nil {
				return err
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "removed %s\n", terminal.Printable(args[0]))
			return err
		},
	}
}
