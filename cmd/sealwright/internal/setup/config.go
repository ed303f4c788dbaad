// Package setup has the commands that look at the settings of a server without
// one: they read its configuration file and try what that names.
package setup

import (
	"errors"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/sealwright/sealwright/cmd/sealwright/internal/terminal"
	"github.com/sealwright/sealwright/server"
)

// configFile is the file that the commands below config read without an
// argument.
const configFile = "sealwright.yaml"

// ErrUnusable ends a command whose answer says already what cannot be used.
var ErrUnusable = errors.New("cannot be used")

// Tools are what the commands need of the program around them. None may be nil.
type Tools struct {
	PrintJSON func(w io.Writer, v any) error
	NoArgs    cobra.PositionalArgs
}

// NewConfig returns the command config.
func NewConfig(t Tools) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Check and show the configuration file of a server",
		Long: `Check and show the configuration file of a server, ` + configFile + ` unless FILE says
otherwise. Nothing that it names is opened; for the root key see
'sealwright kms check'.

Exit codes: 0 it can be used, 2 it cannot.`,
		Example: `  sealwright config check /etc/sealwright.yaml
  sealwright config show`,
		Args: t.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(t.check(), t.show())
	return cmd
}

// checked is the answer of config check as JSON.
type checked struct {
	File   string   `json:"file"`
	Valid  bool     `json:"valid"`
	Errors []faulty `json:"errors"`
}

type faulty struct {
	Line    int    `json:"line,omitempty"`
	Setting string `json:"setting,omitempty"`
	Detail  string `json:"detail"`
}

func (t Tools) check() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "check [FILE]",
		Short: "Say everything that is wrong with a configuration file, with its lines",
		Example: `  sealwright config check /etc/sealwright.yaml
  sealwright config check --json`,
		Args: oneFile,
		RunE: func(cmd *cobra.Command, args []string) error {
			file := fileOf(args)
			err := server.CheckFile(file)
			if !asJSON {
				if err == nil {
					_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s can be used\n", terminal.Printable(file))
				}
				return err
			}
			var list server.ConfigErrors
			if err != nil && !errors.As(err, &list) {
				return err // there is no file
			}
			out := checked{File: file, Valid: err == nil, Errors: make([]faulty, len(list))}
			for i, e := range list {
				out.Errors[i] = faulty{Line: e.Line, Setting: e.Setting, Detail: e.Err.Error()}
			}
			if err := t.PrintJSON(cmd.OutOrStdout(), out); err != nil || out.Valid {
				return err
			}
			return ErrUnusable
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the answer as JSON")
	return cmd
}

func (t Tools) show() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "show [FILE]",
		Short: "Show every setting that holds, and where it comes from; of secrets their names",
		Example: `  sealwright config show /etc/sealwright.yaml
  sealwright config show --json`,
		Args: oneFile,
		RunE: func(cmd *cobra.Command, args []string) error {
			settings, err := server.ReadFile(fileOf(args))
			if err != nil {
				return err
			}
			if asJSON {
				return t.PrintJSON(cmd.OutOrStdout(), settings)
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprint(w, "SETTING\tVALUE\tFROM\n")
			for _, s := range settings {
				fmt.Fprintf(w, "%s\t%s\t%s\n", s.Name, terminal.Printable(s.Value), s.From)
			}
			return w.Flush()
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the settings as JSON")
	return cmd
}

// oneFile allows one argument, a file.
func oneFile(cmd *cobra.Command, args []string) error {
	if len(args) > 1 {
		return fmt.Errorf("got %d arguments, want at most one file; see '%s --help'", len(args), cmd.CommandPath())
	}
	return nil
}

func fileOf(args []string) string {
	if len(args) == 0 {
		return configFile
	}
	return args[0]
}
