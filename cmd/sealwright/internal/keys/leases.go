package keys

import (
	"encoding/base64"
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

// NewLeases returns the command leases.
func NewLeases(t Tools) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "leases",
		Short: "Lease short-lived keys of a server, and revoke them",
		Long: `Lease short-lived keys of a server, with which others sign on their own, verify
what they have signed, and revoke them.

Exit codes: 0 valid or done, 1 not valid, or the server refused or cannot be
reached, 2 wrong usage or input that cannot be read.`,
		Example: `  sealwright leases create orders --ttl 10m --max-uses 100
  sealwright leases list orders
  sealwright leases verify orders 5c0e9f3a1b2d4e5f60718293a4b5c6d7 --tag 3f1c… --message message.txt`,
		Args: t.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(t.createLease(), t.listLeases(), t.verifyLease(), t.revokeLease())
	return cmd
}

func (t Tools) createLease() *cobra.Command {
	var in api.CreateLease
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "create KEY",
		Short:   "Lease a key, and print its secret once, in base64",
		Example: "  sealwright leases create orders --ttl 10m --max-uses 100 --purpose api",
		Args:    t.OneName,
		RunE: func(cmd *cobra.Command, args []string) error {
			if in.TTL == "" {
				return fmt.Errorf("want --ttl, such as --ttl 10m")
			}
			var l api.Lease
			if err := t.Call(cmd.Context(), http.MethodPost, keyPath(args[0])+"/leases", in, &l); err != nil {
				return err
			}
			if asJSON {
				return t.PrintJSON(cmd.OutOrStdout(), l)
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "lease %s of %s, %s, until %s\nsecret %s\n", terminal.Printable(l.ID), terminal.Printable(l.Key),
				terminal.Printable(l.Algorithm), instant(&l.ExpiresAt), base64.StdEncoding.EncodeToString(l.Material))
			return err
		},
	}
	cmd.Flags().StringVar(&in.TTL, "ttl", "", "`DURATION` for which it is good, 1s to 168h")
	cmd.Flags().Int64Var(&in.MaxUses, "max-uses", 0, "`NUMBER` of tags that are verified (default no limit)")
	cmd.Flags().StringVar(&in.Purpose, "purpose", "", "`WORD` for what it is used (default that of the key)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the lease as JSON")
	return cmd
}

func (t Tools) listLeases() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "list KEY",
		Short:   "List the leases of a key, without their secrets",
		Example: "  sealwright leases list orders",
		Args:    t.OneName,
		RunE: func(cmd *cobra.Command, args []string) error {
			leases := []api.Lease{}
			for cursor, more := "", true; more; more = cursor != "" {
				var page api.LeaseList
				path := keyPath(args[0]) + "/leases?limit=999&cursor=" + url.QueryEscape(cursor)
				if err := t.Call(cmd.Context(), http.MethodGet, path, nil, &page); err != nil {
					return err
				}
				leases, cursor = append(leases, page.Items...), page.NextCursor
			}
			if asJSON {
				return t.PrintJSON(cmd.OutOrStdout(), leases)
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprint(w, "ID\tSTATE\tVERSION\tUNTIL\tUSED\tPURPOSE\n")
			for _, l := range leases {
				used := "-"
				if l.MaxUses > 0 {
					used = fmt.Sprintf("%d of %d", l.Used, l.MaxUses)
				}
				purpose := "-"
				if l.Purpose != "" {
					purpose = terminal.Printable(l.Purpose)
				}
				fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\t%s\n", terminal.Printable(l.ID), terminal.Printable(l.State), l.Version, instant(&l.ExpiresAt), used, purpose)
			}
			return w.Flush()
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the leases as JSON")
	return cmd
}

// maxMessage is the most that a message of [Tools.verifyLease] may have, in
// bytes; the server takes less unless it is configured so.
const maxMessage = 64 << 20

func (t Tools) verifyLease() *cobra.Command {
	var in api.VerifyLease
	var message string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "verify KEY ID",
		Short: "Verify a tag that the holder of a lease has made",
		Long: `Verify a tag that the holder of a lease has made. Of a lease with a limit this
is a use, if the tag is right.`,
		Example: "  sealwright leases verify orders 5c0e9f3a1b2d4e5f60718293a4b5c6d7 --tag 3f1c… --message message.txt",
		Args:    keyAndLease,
		RunE: func(cmd *cobra.Command, args []string) error {
			if in.Tag == "" || message == "" {
				return fmt.Errorf("want --tag and --message; see '%s --help'", cmd.CommandPath())
			}
			var err error
			if in.Message, err = readMessage(message, cmd.InOrStdin()); err != nil {
				return err
			}
			var v api.LeaseVerdict
			if err := t.Call(cmd.Context(), http.MethodPost, keyPath(args[0])+"/leases/"+url.PathEscape(args[1])+"/verify", in, &v); err != nil {
				return err
			}
			if asJSON {
				err = t.PrintJSON(cmd.OutOrStdout(), v)
			} else {
				_, err = fmt.Fprintln(cmd.OutOrStdout(), leaseVerdict(v))
			}
			if err == nil && !v.Valid {
				return t.NotValid
			}
			return err
		},
	}
	cmd.Flags().StringVar(&in.Tag, "tag", "", "full tag in `HEX`, lower case")
	cmd.Flags().StringVar(&message, "message", "", "`FILE` with the message, byte for byte; - reads standard input")
	cmd.Flags().StringVar(&in.Purpose, "purpose", "", "`WORD` for what the message is; a lease for another purpose refuses")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the verdict as JSON")
	return cmd
}

// readMessage returns what is in the file, or on stdin for "-", never nil.
func readMessage(name string, stdin io.Reader) ([]byte, error) {
	in := stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, fmt.Errorf("read message: %w", err)
		}
		defer f.Close()
		in = f
	}
	data, err := io.ReadAll(io.LimitReader(in, maxMessage+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read message: %w", err)
	case len(data) > maxMessage:
		return nil, fmt.Errorf("message in %s has more than %d bytes", terminal.Printable(name), maxMessage)
	}
	return data, nil
}

// leaseVerdict says v in a line.
func leaseVerdict(v api.LeaseVerdict) string {
	l := v.Lease
	if !v.Valid {
		return fmt.Sprintf("NOT VALID by lease %s of %s: %s: %s", terminal.Printable(l.ID), terminal.Printable(l.Key),
			terminal.Printable(v.Reason), terminal.Printable(v.Detail))
	}
	text := fmt.Sprintf("valid by lease %s of %s, version %d, until %s", terminal.Printable(l.ID), terminal.Printable(l.Key), l.Version, instant(&l.ExpiresAt))
	if l.MaxUses > 0 {
		text += fmt.Sprintf(", %d of %d uses", l.Used, l.MaxUses)
	}
	return text
}

// keyAndLease wants the name of a key and the ID of a lease.
func keyAndLease(cmd *cobra.Command, args []string) error {
	if len(args) != 2 || args[0] == "" || args[1] == "" {
		return fmt.Errorf("got %d arguments, want a key and the ID of a lease; see '%s --help'", len(args), cmd.CommandPath())
	}
	return nil
}

func (t Tools) revokeLease() *cobra.Command {
	return &cobra.Command{
		Use:     "revoke KEY ID",
		Short:   "Refuse a lease from now on",
		Example: "  sealwright leases revoke orders 5c0e9f3a1b2d4e5f60718293a4b5c6d7",
		Args:    keyAndLease,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := t.Call(cmd.Context(), http.MethodDelete, keyPath(args[0])+"/leases/"+url.PathEscape(args[1]), nil, nil); err != nil {
				return err
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "revoked lease %s of %s\n", terminal.Printable(args[1]), terminal.Printable(args[0]))
			return err
		},
	}
}
