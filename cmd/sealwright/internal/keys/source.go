package keys

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/cmd/sealwright/internal/terminal"
)

// sourceFlags are the values of --source and its companions.
type sourceFlags struct {
	text string
	from api.CreateSource
}

func (f *sourceFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.text, "source", "", "`PROVIDER:NAME` of a secret in awssecrets, gcpsecrets or vaultkv that the server copies and follows")
	cmd.Flags().StringVar(&f.from.Field, "source-field", "", "`FIELD` of the JSON object that is kept there (default all of what is kept)")
	cmd.Flags().StringVar(&f.from.Encoding, "source-encoding", "", "`WORD` for how the secret is written there: raw, base64 or hex (default raw)")
	cmd.Flags().StringVar(&f.from.Every, "source-every", "", "`DURATION` between two reads, 1m to 30d (default 1h)")
}

// source returns what the flags name, nil for nothing.
func (f *sourceFlags) source(cmd *cobra.Command) (*api.CreateSource, error) {
	if !cmd.Flags().Changed("source") {
		if f.from != (api.CreateSource{}) {
			return nil, fmt.Errorf("want --source with --source-field, --source-encoding and --source-every")
		}
		return nil, nil
	}
	var named bool
	f.from.Provider, f.from.Name, named = strings.Cut(f.text, ":")
	if !named || f.from.Provider == "" || f.from.Name == "" {
		return nil, fmt.Errorf("--source: got %q, want a provider, a colon and a name, such as vaultkv:sealwright/orders", f.text)
	}
	return &f.from, nil
}

// printSource says where the secret of a key lives, and what is wrong there.
func printSource(w io.Writer, s *api.KeySource) {
	if s == nil {
		return
	}
	field, version := "", ""
	if s.Field != "" {
		field = ", field " + terminal.Printable(s.Field)
	}
	if s.Version != "" {
		version = " to " + terminal.Printable(s.Version)
	}
	fmt.Fprintf(w, "secret of %s:%s%s, read every %s, changed at %s%s\n", terminal.Printable(s.Provider), terminal.Printable(s.Name), field,
		terminal.Printable(s.Every), instant(&s.ChangedAt), version)
	if s.Error != "" {
		fmt.Fprintf(w, "cannot be used since the last read, at %s: %s\n", instant(s.CheckedAt), terminal.Printable(s.Error))
	}
}
