package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/catalogue"
	"github.com/sealwright/sealwright/cmd/sealwright/internal/finding"
	"github.com/sealwright/sealwright/cmd/sealwright/internal/terminal"
	"github.com/sealwright/sealwright/scheme"
)

func newSchemes() *cobra.Command {
	var own libraryFlag
	var asJSON, refused bool
	cmd := &cobra.Command{
		Use:   "schemes",
		Short: "List, explain, check, test and start schemes",
		Long: `List the schemes: the wire formats that sealwright signs and verifies.

A verified scheme passes a vector that its provider or an official library has
published; an unverified one was written from the documentation alone. With
--refused the list is that of formats which are asked for and are no HMAC.`,
		Example: `  sealwright schemes
  sealwright schemes --json
  sealwright schemes --refused
  sealwright schemes --schemes my-schemes`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if refused {
				return printRefusals(cmd.OutOrStdout(), asJSON)
			}
			l, err := own.load()
			if err != nil {
				return err
			}
			list, err := l.summaries()
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), list)
			}
			return printTable(cmd.OutOrStdout(), list)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the list as JSON")
	cmd.Flags().BoolVar(&refused, "refused", false, "list what is refused instead, with the reasons")
	own.add(cmd)
	cmd.AddCommand(newSchemesShow(&own), newSchemesExplain(&own), newSchemesDocs(), newSchemesLint(&own), newSchemesNew(), newSchemesTest(&own))
	return cmd
}

// summary is a scheme in a list.
type summary struct {
	Name      string              `json:"name"`
	Title     string              `json:"title,omitempty"`
	Tier      scheme.Tier         `json:"tier"`
	Direction string              `json:"direction"`
	Covers    sealwright.Coverage `json:"covers"`         // at its best
	File      string              `json:"file,omitempty"` // of a scheme of the user
}

func summarise(d *scheme.Definition) summary {
	return summary{Name: d.ID, Title: d.Title, Tier: d.Tier, Direction: d.Direction, Covers: d.Covers()}
}

func (l *library) summaries() ([]summary, error) {
	var list []summary
	for _, name := range l.names() {
		d, err := l.named(name)
		if err != nil {
			return nil, err
		}
		s := summarise(d)
		s.File = l.files[name]
		list = append(list, s)
	}
	return list, nil
}

func printTable(w io.Writer, list []summary) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprint(t, "NAME\tTIER\tCOVERS\n")
	for _, s := range list {
		fmt.Fprintf(t, "%s\t%s\t%s\n", s.Name, s.Tier, finding.Covered(s.Covers, 2))
	}
	return t.Flush()
}

func printRefusals(w io.Writer, asJSON bool) error {
	list := catalogue.Refusals()
	if asJSON {
		return printJSON(w, list)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprint(t, "NAME\tIS NO HMAC BUT\tINSTEAD\n")
	for _, r := range list {
		fmt.Fprintf(t, "%s\t%s\t%s\n", r.Name, r.Construction, r.Instead)
	}
	return t.Flush()
}

func newSchemesShow(own *libraryFlag) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "show NAME",
		Short: "Show one scheme: its rules, parameters and limits",
		Long: `Show one scheme: what it does, what it covers and leaves open, and which
parameters it takes. NAME may also be a FILE.json with a definition, which is
checked.`,
		Example: `  sealwright schemes show stripe
  sealwright schemes show hmac-auth --json`,
		Args: oneName,
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := own.definition(args[0])
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), struct {
					summary
					Warnings   []string           `json:"warnings,omitempty"`
					Definition *scheme.Definition `json:"definition"`
				}{summarise(d), d.Warnings(), d})
			}
			_, err = io.WriteString(cmd.OutOrStdout(), show(d))
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the scheme as JSON, with its whole definition")
	return cmd
}

// show returns the scheme for people.
func show(d *scheme.Definition) string {
	var b strings.Builder
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "  %-12s %s\n", name, terminal.Printable(value))
		}
	}
	fmt.Fprintf(&b, "%s (%s)\n", d.ID, d.Tier)
	line("title", d.Title)
	line("does", d.Doc)
	line("direction", d.Direction)
	line("source", d.Source)
	line("algorithm", d.Algorithm)
	line("covers", finding.Covered(d.Covers(), math.MaxInt))
	line("leaves open", finding.Open(d.Covers()))
	for _, l := range d.Limits {
		line("limit", l)
	}
	for _, w := range d.Warnings() {
		line("warning", w)
	}
	for _, name := range sortedNames(d.Params) {
		line("parameter", name+": "+describeParam(d.Params[name]))
	}
	return b.String()
}

func describeParam(p scheme.Param) string {
	var notes []string
	if p.Required {
		notes = append(notes, "required")
	}
	if p.List {
		notes = append(notes, "repeatable")
	}
	if p.Default != "" {
		notes = append(notes, fmt.Sprintf("default %q", p.Default))
	}
	if len(p.Values) > 0 {
		notes = append(notes, "one of "+strings.Join(p.Values, ", "))
	}
	if notes == nil {
		return p.Doc
	}
	return p.Doc + " (" + strings.Join(notes, "; ") + ")"
}

func sortedNames[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
