package main

import (
	"io"

	"github.com/spf13/cobra"

	"github.com/sealwright/sealwright/catalogue"
	"github.com/sealwright/sealwright/cmd/sealwright/internal/finding"
	"github.com/sealwright/sealwright/cmd/sealwright/internal/terminal"
	"github.com/sealwright/sealwright/scheme"
)

func newSchemesLint(own *libraryFlag) *cobra.Command {
	var pairs []string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "lint FILE",
		Short: "Say what is weak about a scheme, and how to mend it",
		Long: `Say what is weak about the scheme in a file: each weakness with the rule, the
class of attack that it allows, and how to mend it. FILE may also be the name of
a scheme. Parameters default to those of the first known answer.

A fatal weakness, and a known answer that fails, keep a scheme from loading.

Exit codes: 0 it loads, 1 it does not, 2 the file cannot be read.`,
		Example: `  sealwright schemes lint acme.json
  sealwright schemes lint template-hex --param template={id}{time} --param signature=sig --json`,
		Args: oneName,
		RunE: func(cmd *cobra.Command, args []string) error {
			params, err := parseParams(pairs)
			if err != nil {
				return err
			}
			r, err := lint(own, args[0], params)
			if err != nil {
				return err
			}
			if asJSON {
				err = printJSON(cmd.OutOrStdout(), r)
			} else {
				_, err = io.WriteString(cmd.OutOrStdout(), r.Text(terminal.Coloured(cmd.OutOrStdout())))
			}
			if err == nil && !r.Loads {
				return errNotValid
			}
			return err
		},
	}
	cmd.Flags().StringArrayVar(&pairs, "param", nil, "parameter of the scheme as `NAME=VALUE`; repeat it for more, also for a list")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the weaknesses as JSON")
	return cmd
}

// lint looks at the scheme of a file or of that name. Without params those of
// the first known answer count.
func lint(own *libraryFlag, name string, params scheme.Params) (*finding.Lint, error) {
	r := finding.NewLint(name)
	d, err := parseScheme(own, name)
	if err != nil {
		return nil, err
	}
	if d.definition == nil {
		r.Add(scheme.Finding{Rule: finding.RuleLoad, Text: d.err.Error(), Fatal: true})
		return r, nil
	}
	r.Scheme = d.definition.ID
	if len(params) == 0 && len(d.definition.Examples) > 0 {
		params = d.definition.Examples[0].Params
	}
	findings, err := d.definition.Lint(params)
	if err != nil {
		r.Add(scheme.Finding{Rule: finding.RuleLoad, Text: err.Error(), Fatal: true})
		return r, nil
	}
	for _, f := range findings {
		r.Add(f)
	}
	if err := d.definition.Check(); err != nil && r.Loads { // a fatal finding fails it too
		r.Add(scheme.Finding{Rule: finding.RuleKnownAnswer, Text: err.Error(), Fatal: true})
	}
	return r, nil
}

// parsed is a scheme whose rules and known answers were not checked, or why it
// is none.
type parsed struct {
	definition *scheme.Definition
	err        error
}

// parseScheme reads a scheme. Its error says that there is nothing to read.
func parseScheme(own *libraryFlag, name string) (parsed, error) {
	if !isFile(name) {
		d, err := own.definition(name)
		return parsed{definition: d}, err
	}
	data, err := readFile("scheme", name, maxScheme)
	if err != nil {
		return parsed{}, err
	}
	d, err := scheme.Parse(data, catalogue.Codes())
	return parsed{d, err}, nil
}
