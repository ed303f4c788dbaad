package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sealwright/sealwright/cmd/sealwright/internal/draft"
	"github.com/sealwright/sealwright/cmd/sealwright/internal/terminal"
)

func newSchemesNew() *cobra.Command {
	var a draft.Answers
	cmd := &cobra.Command{
		Use:   "new FILE",
		Short: "Start a scheme file from answers",
		Long: `Start a scheme file from answers. Without flags the questions are asked on
standard input, each with an example and a default, which an empty line takes;
with a flag none is asked, and what no flag says has its default.

A place is header:NAME, query:NAME or json:NAME; a bare NAME is a header. The
file gets a known answer of its own, so that it loads at once. A file that
exists is not overwritten.`,
		Example: `  sealwright schemes new acme.json
  sealwright schemes new acme.json --tag header:X-Acme-Signature --prefix sha256= \
    --time header:X-Acme-Timestamp --message '{time}.{body}'`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 || !strings.HasSuffix(args[0], ".json") {
				return fmt.Errorf("want one name of a file that ends with .json; see '%s --help'", cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			file := args[0]
			if _, err := os.Lstat(file); err == nil {
				return fmt.Errorf("%s exists; name another file", file)
			}
			a.File = file
			if err := a.Fill(asked(cmd), cmd.InOrStdin(), cmd.ErrOrStderr()); err != nil {
				return err
			}
			text, err := a.Definition()
			if err != nil {
				return fmt.Errorf("no scheme comes of these answers: %w", err)
			}
			if err := create(file, text); err != nil {
				return err
			}
			_, err = io.WriteString(cmd.OutOrStdout(), next(terminal.Printable(file)))
			return err
		},
	}
	for _, q := range a.Questions() {
		cmd.Flags().StringVar(q.Value, q.Flag, "", q.Help())
	}
	return cmd
}

// asked reports whether questions have to be asked: no answer came as a flag.
func asked(cmd *cobra.Command) bool {
	var a draft.Answers
	return !slices.ContainsFunc(a.Questions(), func(q draft.Question) bool { return cmd.Flags().Changed(q.Flag) })
}

// create writes a file that must not exist.
func create(name string, text []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return fmt.Errorf("write scheme: %w", err)
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write scheme: %w", err)
	}
	return nil
}

func next(file string) string {
	return fmt.Sprintf(`wrote %[1]s: it loads, and its known answer verifies
next:
  sealwright schemes lint %[1]s
  sealwright schemes explain %[1]s
  sealwright verify --scheme %[1]s --secret-file SECRET --request DELIVERY.http
Then replace the known answer in kat by a delivery that the sender has signed.
`, file)
}
