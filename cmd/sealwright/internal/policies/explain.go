package policies

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/cmd/sealwright/internal/terminal"
)

func (t Tools) explain() *cobra.Command {
	var in api.PolicyInput
	var file, at string
	var labels []string
	var asJSON bool
	cmd := &cobra.Command{
		Use: "explain ID | explain --file FILE", Short: "Say what a policy says about an operation, and what each rule did",
		Long: `Say what a policy, on a server or in a file, says about an operation: whether it
is allowed, which rule refuses it and why, and what each rule did. With
--algorithm, that of the key, the demands on the key are checked too.`,
		Example: `  sealwright policy explain company --key orders --class financial --algorithm hmac-sha256
  sealwright policy explain --file company.yaml --environment test --label team=red`,
		Args: func(cmd *cobra.Command, args []string) error {
			if (file == "") == (len(args) == 0) || len(args) > 1 {
				return fmt.Errorf("want either the ID of a policy or --file; see '%s --help'", cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := complete(&in, at, labels); err != nil {
				return err
			}
			var out api.PolicyExplanation
			if file == "" {
				if err := t.Call(cmd.Context(), http.MethodPost, policyPath(args[0])+"/explain", in, &out); err != nil {
					return err
				}
			} else {
				f, err := t.read(cmd, file)
				if err != nil {
					return err
				}
				if in.Time == nil {
					now := time.Now()
					in.Time = &now
				}
				out = f.Explain(in)
			}
			if asJSON {
				return t.PrintJSON(cmd.OutOrStdout(), out)
			}
			return printExplanation(cmd.OutOrStdout(), out)
		},
	}
	f := cmd.Flags()
	f.StringVar(&file, "file", "", "`FILE` with a policy; needs no server")
	f.StringVar(&in.Action, "action", "key.sign", "`ACTION` key.sign, key.verify or lease.create")
	f.StringVar(&in.Caller, "caller", "", "`ID` of the caller")
	f.StringVar(&in.Key, "key", "", "`NAME` of the key, as the caller says it")
	f.StringVar(&in.Purpose, "purpose", "", "`WORD` for the purpose")
	f.StringVar(&in.Algorithm, "algorithm", "", "`NAME` of the algorithm of the key")
	f.StringVar(&in.Environment, "environment", "", "`NAME` of the environment")
	f.StringVar(&in.Source, "source", "", "`NAME` of the system that the message comes from")
	f.StringVar(&in.Target, "target", "", "`NAME` of the system that it goes to")
	f.StringVar(&in.Resource, "resource", "", "`NAME` of the data; the data catalogue is not asked")
	f.StringSliceVar(&in.Classes, "class", nil, "`NAME` of a class of the data, several with commas")
	f.StringArrayVar(&labels, "label", nil, "`NAME=VALUE` of a label, may stand several times")
	f.StringVar(&in.Address, "address", "", "`ADDRESS` of the caller")
	f.StringVar(&at, "time", "", "`TIME` in RFC 3339 (default now)")
	f.BoolVar(&asJSON, "json", false, "print the explanation as JSON")
	return cmd
}

// complete reads what is no plain text.
func complete(in *api.PolicyInput, at string, labels []string) error {
	if at != "" {
		parsed, err := time.Parse(time.RFC3339, at)
		if err != nil {
			return errors.New("time: want RFC 3339, such as 2026-01-02T15:04:05Z")
		}
		in.Time = &parsed
	}
	for _, text := range labels {
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" {
			return fmt.Errorf("label: got %q, want NAME=VALUE", text)
		}
		if in.Labels == nil {
			in.Labels = map[string]string{}
		}
		in.Labels[name] = value
	}
	return nil
}

func printExplanation(w io.Writer, e api.PolicyExplanation) error {
	switch {
	case e.Allowed:
		fmt.Fprintln(w, "allowed")
	case e.Rule == "":
		fmt.Fprintf(w, "denied: %s\n", terminal.Printable(e.Reason))
	case e.Reason == "":
		fmt.Fprintf(w, "denied by rule %s\n", terminal.Printable(e.Rule))
	default:
		fmt.Fprintf(w, "denied by rule %s: %s\n", terminal.Printable(e.Rule), terminal.Printable(e.Reason))
	}
	if e.Key != "" {
		fmt.Fprintf(w, "with key %s\n", terminal.Printable(e.Key))
	}
	if e.Audit != "" {
		fmt.Fprintf(w, "audit %s\n", terminal.Printable(e.Audit))
	}
	for _, d := range e.Demands {
		fmt.Fprintf(w, "the key must fulfil %s: %s\n", terminal.Printable(d.Rule), demanded(d))
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprint(t, "RULE\tMATCH\tWHEN\tEFFECT\n")
	for _, o := range e.Outcomes {
		match, when := "no", "-"
		if o.Matches {
			match = "yes"
		}
		switch {
		case o.Error != "":
			when = o.Error
		case o.When != nil:
			when = fmt.Sprint(*o.When)
		}
		effect := o.Effect
		if effect == "" {
			effect = "-"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", terminal.Printable(o.Rule), match, terminal.Printable(when), terminal.Printable(effect))
	}
	return t.Flush()
}

func demanded(d api.PolicyDemand) string {
	var parts []string
	if len(d.Algorithm) > 0 {
		parts = append(parts, "algorithm "+strings.Join(d.Algorithm, " or "))
	}
	if d.MinStrength > 0 {
		parts = append(parts, fmt.Sprintf("%d bits", d.MinStrength))
	}
	return terminal.Printable(strings.Join(parts, ", "))
}
