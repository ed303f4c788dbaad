package setup

import (
	"context"
	"fmt"
	"io"
	"os/signal"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/sealwright/sealwright/cmd/sealwright/internal/client"
	"github.com/sealwright/sealwright/cmd/sealwright/internal/terminal"
	"github.com/sealwright/sealwright/server"
)

// tried is one line of kms check as JSON.
type tried struct {
	Provider     string  `json:"provider"`
	Wraps        bool    `json:"wraps"`
	RootKey      string  `json:"root_key,omitempty"`
	Works        bool    `json:"works"`
	Error        string  `json:"error,omitempty"`
	Milliseconds float64 `json:"milliseconds"`
}

// NewRootKeyCheck returns the command check, which belongs below kms.
func NewRootKeyCheck(t Tools) *cobra.Command {
	var c server.Config
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Try the root keys that a configuration file names, without a server",
		Long: `Have every provider of root keys that a configuration file names wrap and unwrap
something, with the identity and from the place of this process. Nothing is
changed, and no store is opened: try new settings with it before a server is
started with them.`,
		Example: `  sealwright kms check --config /etc/sealwright.yaml
  sealwright kms check --data /var/lib/sealwright --json`,
		Args: t.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
			defer stop()
			list, err := server.CheckRootKeys(ctx, c)
			if err != nil {
				return err
			}
			out := make([]tried, len(list))
			failed := 0
			for i, r := range list {
				out[i] = tried{Provider: r.Provider, Wraps: r.Wraps, RootKey: r.RootKey, Works: r.Err == nil, Milliseconds: float64(r.Took.Microseconds()) / 1000}
				if r.Err != nil {
					out[i].Error = r.Err.Error()
					failed++
				}
			}
			if err := t.printTried(cmd.OutOrStdout(), out, asJSON); err != nil || failed == 0 {
				return err
			}
			return client.RefusedError{Err: fmt.Errorf("%d of %d providers of root keys do not work", failed, len(out))}
		},
	}
	cmd.Flags().StringVar(&c.ConfigFile, "config", "", "`FILE` with settings in YAML (default none: root.key in the data folder)")
	cmd.Flags().StringVar(&c.Data, "data", "", "`DIR` of the server's data (default that of the file, else ./data)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the answer as JSON")
	return cmd
}

func (t Tools) printTried(w io.Writer, list []tried, asJSON bool) error {
	if asJSON {
		return t.PrintJSON(w, list)
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprint(table, "PROVIDER\tWRAPS\tROOT KEY\tTIME\tRESULT\n")
	for _, r := range list {
		wraps, key, result := "no", "-", "works"
		if r.Wraps {
			wraps = "yes"
		}
		if r.RootKey != "" {
			key = terminal.Printable(r.RootKey)
		}
		if !r.Works {
			result = terminal.Printable(r.Error)
		}
		took := time.Duration(r.Milliseconds * float64(time.Millisecond)).Round(100 * time.Microsecond)
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", r.Provider, wraps, key, took, result)
	}
	return table.Flush()
}
