package keys

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
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
		Example: `  sealwright leases create orders --ttl 10m --max-uses 100
  sealwright leases list orders`,
		Args: t.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(t.createLease(), t.listLeases(), t.revokeLease())
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

func (t Tools) revokeLease() *cobra.Command {
	return &cobra.Command{
		Use:     "revoke KEY ID",
		Short:   "Refuse a lease from now on",
		Example: "  sealwright leases revoke orders 5c0e9f3a1b2d4e5f60718293a4b5c6d7",
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := t.Call(cmd.Context(), http.MethodDelete, keyPath(args[0])+"/leases/"+url.PathEscape(args[1]), nil, nil); err != nil {
				return err
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "revoked lease %s of %s\n", terminal.Printable(args[1]), terminal.Printable(args[0]))
			return err
		},
	}
}
