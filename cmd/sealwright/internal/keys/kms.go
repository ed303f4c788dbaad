package keys

import (
	"fmt"
	"io"
	"net/http"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/cmd/sealwright/internal/terminal"
)

// NewKMS returns the command kms.
func NewKMS(t Tools) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "kms",
		Short: "Show, check and change the root keys, under which all keys are encrypted",
		Long: `Show the root keys of a running server, wrap everything under the newest one,
and check the settings of a key service before a server uses them.

Exit codes: 0 done, 1 something is left or does not work, 2 wrong usage or input
that cannot be read.`,
		Example: `  sealwright kms status
  sealwright kms rewrap
  sealwright kms check --config /etc/sealwright.yaml`,
		Args: t.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(t.rootStatus(), t.rewrap())
	return cmd
}

func (t Tools) rootStatus() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "status",
		Short:   "Show where the root keys are, what is wrapped under each, and since when a key service is away",
		Example: "  sealwright kms status --json",
		Args:    t.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var s api.RootKeys
			if err := t.Call(cmd.Context(), http.MethodGet, "/v1/kms", nil, &s); err != nil {
				return err
			}
			if asJSON {
				return t.PrintJSON(cmd.OutOrStdout(), s)
			}
			return printRootKeys(cmd.OutOrStdout(), s)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the answer as JSON")
	return cmd
}

func printRootKeys(w io.Writer, s api.RootKeys) error {
	fmt.Fprintf(w, "root key %s of %s wraps\n", terminal.Printable(s.RootKey), terminal.Printable(s.Provider))
	if s.AwaySince != nil {
		fmt.Fprintf(w, "the key service is away since %s, keys in memory are used until %s\n", instant(s.AwaySince), instant(s.UsedUntil))
	}
	return printUses(w, s.DataKeys, s.RootKey)
}

func printUses(w io.Writer, uses []api.RootKeyUse, newest string) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprint(t, "ROOT KEY\tDATA KEYS\tWRAPS\n")
	for _, u := range uses {
		wraps := "no"
		if u.RootKey == newest {
			wraps = "yes"
		}
		fmt.Fprintf(t, "%s\t%d\t%s\n", terminal.Printable(u.RootKey), u.DataKeys, wraps)
	}
	return t.Flush()
}

func (t Tools) rewrap() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "rewrap",
		Short: "Read the root keys again and wrap all data keys under the newest one",
		Long: `Read the root keys again and wrap all data keys under the newest one, while keys
go on signing. It may be repeated, and goes on where it was interrupted. The
code is 0 only if the store has no data key that is under another root key.`,
		Example: "  sealwright kms rewrap",
		Args:    t.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var r api.Rewrapped
			if err := t.Call(cmd.Context(), http.MethodPost, "/v1/kms/rewrap", nil, &r); err != nil {
				return err
			}
			if err := t.printRewrapped(cmd.OutOrStdout(), r, asJSON); err != nil {
				return err
			}
			if r.Remaining > 0 {
				return RemainingError{r.Remaining}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the answer as JSON")
	return cmd
}

func (t Tools) printRewrapped(w io.Writer, r api.Rewrapped, asJSON bool) error {
	if asJSON {
		return t.PrintJSON(w, r)
	}
	fmt.Fprintf(w, "wrapped %d data keys under root key %s, %d remain under others\n", r.Rewrapped, terminal.Printable(r.RootKey), r.Remaining)
	return printUses(w, r.DataKeys, r.RootKey)
}

// RemainingError is the error of kms rewrap if there are data keys under other
// root keys at its end.
type RemainingError struct{ DataKeys int }

// Error says how many there are and what to do.
func (e RemainingError) Error() string {
	return fmt.Sprintf("%d data keys are under other root keys: ask again, or look for another node that has older root keys", e.DataKeys)
}
