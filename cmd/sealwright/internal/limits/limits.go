// Package limits has the commands for the limits of a tenant.
package limits

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/cmd/sealwright/internal/terminal"
)

// Tools are what the commands need of the program around them. None may be nil.
type Tools struct {
	// Call sends in as JSON to the server, nothing if it is nil, and reads the
	// answer into out, unless that is nil.
	Call      func(ctx context.Context, method, path string, in, out any) error
	PrintJSON func(w io.Writer, v any) error
	NoArgs    cobra.PositionalArgs
	OneName   cobra.PositionalArgs // exactly one argument, a name
}

// New returns the command limits.
func New(t Tools) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "limits",
		Short: "Say how fast callers, keys and the tenant may ask",
		Long: `List and change the limits of a tenant on a server. They hold beside those of the
platform, which stand in the configuration of the server and cannot be changed
here.

Exit codes: 0 done, 1 the server refused or cannot be reached, 2 wrong usage.`,
		Example: `  sealwright limits set per-caller --scope caller --rate 100 --per second --burst 200
  sealwright limits show per-caller --subject nightly-1`,
		Args: t.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(t.list(), t.show(), t.set(), t.delete())
	return cmd
}

func path(name string) string { return "/v1/limits/" + url.PathEscape(name) }

func (t Tools) list() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "list", Short: "List the limits that hold in the tenant",
		Example: "  sealwright limits list",
		Args:    t.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var list api.LimitList
			if err := t.Call(cmd.Context(), http.MethodGet, "/v1/limits", nil, &list); err != nil {
				return err
			}
			if asJSON {
				return t.PrintJSON(cmd.OutOrStdout(), list.Items)
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprint(w, "NAME\tSCOPE\tMATCH\tRATE\tBURST\tOF\n")
			for _, l := range list.Items {
				of := "tenant"
				if l.Platform {
					of = "platform"
				}
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%s\n", terminal.Printable(l.Name), l.Scope, match(l), rate(l), l.Burst, of)
			}
			return w.Flush()
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the limits as JSON")
	return cmd
}

func match(l api.Limit) string {
	if l.Match == "" {
		return "*"
	}
	return terminal.Printable(l.Match)
}

func rate(l api.Limit) string { return fmt.Sprintf("%d a %s", l.Rate, l.Per) }

func (t Tools) show() *cobra.Command {
	var subject string
	var asJSON bool
	cmd := &cobra.Command{
		Use: "show NAME", Short: "Show a limit, and how much of it a caller, a key or an address has used",
		Example: `  sealwright limits show per-caller --subject nightly-1
  sealwright limits show monthly`,
		Args: t.OneName,
		RunE: func(cmd *cobra.Command, args []string) error {
			query := ""
			if subject != "" {
				query = "?subject=" + url.QueryEscape(subject)
			}
			var l api.Limit
			if err := t.Call(cmd.Context(), http.MethodGet, path(args[0])+query, nil, &l); err != nil {
				return err
			}
			return t.print(cmd, l, asJSON)
		},
	}
	cmd.Flags().StringVar(&subject, "subject", "", "`NAME` of a caller or key, or an address, whose use is shown")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the limit as JSON")
	return cmd
}

func (t Tools) print(cmd *cobra.Command, l api.Limit, asJSON bool) error {
	if asJSON {
		return t.PrintJSON(cmd.OutOrStdout(), l)
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s: each %s %s: %s, %d at once\n", terminal.Printable(l.Name), l.Scope, match(l), rate(l), l.Burst)
	if u := l.Usage; u != nil && err == nil {
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: %d used, %d left, one more in %gs\n", terminal.Printable(u.Subject), u.Used, u.Remaining, u.Reset)
	}
	return err
}

func (t Tools) set() *cobra.Command {
	var in api.SetLimit
	var asJSON bool
	cmd := &cobra.Command{
		Use: "set NAME", Short: "Make a limit of the tenant, or put another in its place",
		Example: "  sealwright limits set per-caller --scope caller --rate 100 --per second --burst 200",
		Args:    t.OneName,
		RunE: func(cmd *cobra.Command, args []string) error {
			var missing []string
			for _, name := range []string{"scope", "rate", "per"} {
				if !cmd.Flags().Changed(name) {
					missing = append(missing, "--"+name)
				}
			}
			if len(missing) > 0 {
				return fmt.Errorf("a limit needs %s", strings.Join(missing, ", "))
			}
			var l api.Limit
			if err := t.Call(cmd.Context(), http.MethodPut, path(args[0]), in, &l); err != nil {
				return err
			}
			return t.print(cmd, l, asJSON)
		},
	}
	cmd.Flags().StringVar(&in.Scope, "scope", "", "whom it counts: caller, key or tenant")
	cmd.Flags().StringVar(&in.Match, "match", "", "`NAME` of one subject, or its beginning and an asterisk (default every one)")
	cmd.Flags().IntVar(&in.Rate, "rate", 0, "`UNITS` a period")
	cmd.Flags().StringVar(&in.Per, "per", "", "second, minute, hour, day or month")
	cmd.Flags().IntVar(&in.Burst, "burst", 0, "`UNITS` at once (default the rate)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the limit as JSON")
	return cmd
}

func (t Tools) delete() *cobra.Command {
	return &cobra.Command{
		Use: "delete NAME", Short: "Take a limit of the tenant out of force",
		Long:    "Take a limit of the tenant out of force, at once; the command does not ask.",
		Example: "  sealwright limits delete per-caller",
		Args:    t.OneName,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := t.Call(cmd.Context(), http.MethodDelete, path(args[0]), nil, nil); err != nil {
				return err
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "deleted %s\n", terminal.Printable(args[0]))
			return err
		},
	}
}
