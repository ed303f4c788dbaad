package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sealwright/sealwright/catalogue"
	"github.com/sealwright/sealwright/cmd/sealwright/internal/finding"
	"github.com/sealwright/sealwright/cmd/sealwright/internal/terminal"
	"github.com/sealwright/sealwright/scheme"
)

func newSchemesExplain(own *libraryFlag) *cobra.Command {
	return &cobra.Command{
		Use:   "explain NAME",
		Short: "Explain one scheme: the signed string in words, and an example",
		Long: `Explain one scheme in Markdown: what is signed, in words, where everything
stands, what the signature protects, and an example with its signed string. NAME
may also be a FILE.json with a definition.`,
		Example: `  sealwright schemes explain stripe
  sealwright schemes explain acme.json`,
		Args: oneName,
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := own.definition(args[0])
			if err != nil {
				return err
			}
			_, err = io.WriteString(cmd.OutOrStdout(), terminal.Lines(d.Explain()))
			return err
		},
	}
}

func newSchemesDocs() *cobra.Command {
	return &cobra.Command{
		Use:   "docs DIR",
		Short: "Write a page about every preset, and an index",
		Long: `Write the page of 'schemes explain' for every preset to DIR/NAME.md, and a table
of all presets to DIR/README.md. Files that are there are overwritten; pages of
presets that are gone stay.`,
		Example: `  sealwright schemes docs docs/schemes/presets`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("got %d arguments, want one folder; see '%s --help'", len(args), cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			all, err := pages()
			if err != nil {
				return err
			}
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return fmt.Errorf("write pages: %w", err)
			}
			for _, name := range sortedNames(all) {
				if err := os.WriteFile(filepath.Join(args[0], name), []byte(all[name]), 0o644); err != nil {
					return fmt.Errorf("write pages: %w", err)
				}
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "wrote %d pages to %s\n", len(all), terminal.Printable(args[0]))
			return err
		},
	}
}

// pages returns the page of every preset and the index, by file name.
func pages() (map[string]string, error) {
	all := map[string]string{}
	var list []*scheme.Definition
	for _, name := range catalogue.Names() {
		d, err := catalogue.Definition(name)
		if err != nil {
			return nil, err
		}
		list = append(list, d)
		all[name+".md"] = "<!-- Written by make docs from catalogue/" + name + ".json: change that. -->\n\n" + d.Explain()
	}
	all["README.md"] = index(list)
	return all, nil
}

// index returns the table of all presets.
func index(list []*scheme.Definition) string {
	verified := 0
	var rows strings.Builder
	for _, d := range list {
		if d.Tier == scheme.Verified {
			verified++
		}
		covers := strings.ReplaceAll(finding.Covered(d.Covers(), 2), "|", `\|`)
		fmt.Fprintf(&rows, "| [%s](%s.md) | %s | %s | %s | %s |\n", d.ID, d.ID, d.Title, d.Direction, d.Tier, covers)
	}
	return fmt.Sprintf(`<!-- Written by make docs from catalogue/*.json: change those. -->

# Presets

%d presets: %d verified, so a published vector passes, and %d unverified, so they
are written from the documentation alone. "Covers" is what a signature protects
at its best. What is not here and why says %[4]ssealwright schemes --refused%[4]s; your own
schemes are explained in [schemes.md](../../use/schemes.md).

| preset | title | direction | tier | covers |
|---|---|---|---|---|
%s`, len(list), verified, len(list)-verified, "`", rows.String())
}
