// Package policies has the commands for the policies of a tenant.
//
// Checking, testing and explaining a file needs no server; everything else asks
// one and prints its answers.
package policies

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/cmd/sealwright/internal/terminal"
)

// File is a policy in a file, with its tests.
type File interface {
	Rules() []api.PolicyRule
	Tests() int
	Run() (failed []string) // one text for each test that failed
	Explain(api.PolicyInput) api.PolicyExplanation
}

// Tools are what the commands need of the program around them. None may be nil.
type Tools struct {
	// Call sends in as JSON to the server, nothing if it is nil, and reads the
	// answer into out, unless that is nil.
	Call      func(ctx context.Context, method, path string, in, out any) error
	Parse     func(text []byte) (File, error)
	PrintJSON func(w io.Writer, v any) error
	NotValid  error // ends a command with exit code 1 when everything is said
	NoArgs    cobra.PositionalArgs
	OneName   cobra.PositionalArgs // exactly one argument, a name
}

// New returns the command policy.
func New(t Tools) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "policy",
		Short: "Say what signing must fulfil: which data, which algorithm, which key",
		Long: `Check and test policies in files, and bring them into force on a server. A
policy has ordered rules that refuse operations, demand an algorithm or metadata,
choose the key, or set how an operation is audited.

Exit codes: 0 done, 1 a test failed, or the server refused or cannot be reached,
2 wrong usage or a file that cannot be used.`,
		Example: `  sealwright policy test company.yaml
  sealwright policy apply company company.yaml
  sealwright policy explain company --key orders --class financial`,
		Args: t.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(t.check(), t.test(), t.explain(), t.apply(), t.list(), t.show(), t.versions(), t.rollback(), t.delete())
	return cmd
}

func policyPath(id string) string { return "/v1/policies/" + url.PathEscape(id) }

// maxFile bounds what is read of a file, in bytes.
const maxFile = 4 << 20

// read reads and compiles a file, a hyphen for standard input.
func (t Tools) read(cmd *cobra.Command, name string) (File, error) {
	in := cmd.InOrStdin()
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxFile {
		return nil, fmt.Errorf("%s has more than %d bytes", name, maxFile)
	}
	f, err := t.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be used:\n%w", name, err)
	}
	return f, nil
}

func (t Tools) check() *cobra.Command {
	return &cobra.Command{
		Use: "check FILE", Short: "Say what is wrong with a policy in a file, with lines; needs no server",
		Example: "  sealwright policy check company.yaml",
		Args:    t.OneName,
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := t.read(cmd, args[0])
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: %d rules, %d tests\n", terminal.Printable(args[0]), len(f.Rules()), f.Tests())
			return err
		},
	}
}

// result is the JSON of test.
type result struct {
	Tests  int      `json:"tests"`
	Failed []string `json:"failed"`
}

func (t Tools) test() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "test FILE", Short: "Run the tests of a policy in a file; needs no server",
		Long: `Run the tests that stand in a file beside the rules: each has an input and the
decision that is expected. A file without tests is wrong usage.`,
		Example: "  sealwright policy test company.yaml",
		Args:    t.OneName,
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := t.read(cmd, args[0])
			if err != nil {
				return err
			}
			if f.Tests() == 0 {
				return fmt.Errorf("%s has no tests", args[0])
			}
			r := result{Tests: f.Tests(), Failed: f.Run()}
			if r.Failed == nil {
				r.Failed = []string{}
			}
			if asJSON {
				err = t.PrintJSON(cmd.OutOrStdout(), r)
			} else {
				err = printResult(cmd.OutOrStdout(), r)
			}
			if err == nil && len(r.Failed) > 0 {
				err = t.NotValid
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the result as JSON")
	return cmd
}

func printResult(w io.Writer, r result) error {
	for _, text := range r.Failed {
		fmt.Fprintf(w, "FAIL %s\n", terminal.Printable(text))
	}
	_, err := fmt.Fprintf(w, "%d tests, %d failed\n", r.Tests, len(r.Failed))
	return err
}

func (t Tools) apply() *cobra.Command {
	var dry, asJSON bool
	cmd := &cobra.Command{
		Use: "apply ID FILE", Short: "Bring the policy in a file into force on a server",
		Long: `Bring the policy in a file into force on a server, in place of the one with this
ID. The tests of the file run first: if one fails nothing is sent. Policies of a
tenant are asked in the order of their IDs.`,
		Example: `  sealwright policy apply company company.yaml --dry-run
  sealwright policy apply company company.yaml`,
		Args: twoArgs("the ID of a policy and a file"),
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := t.read(cmd, args[1])
			if err != nil {
				return err
			}
			if failed := f.Run(); len(failed) > 0 {
				if err := printResult(cmd.ErrOrStderr(), result{f.Tests(), failed}); err != nil {
					return err
				}
				return t.NotValid
			}
			return t.change(cmd, "applied", asJSON, http.MethodPut, policyPath(args[0])+"?dry_run="+strconv.FormatBool(dry), api.SetPolicy{Rules: f.Rules()})
		},
	}
	cmd.Flags().BoolVar(&dry, "dry-run", false, "let the server check everything, and store nothing")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the policy as JSON")
	return cmd
}

func twoArgs(want string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 2 && args[0] != "" && args[1] != "" {
			return nil
		}
		return fmt.Errorf("got %d arguments, want %s; see '%s --help'", len(args), want, cmd.CommandPath())
	}
}

// change makes a call that answers with the changed policy, and says so.
func (t Tools) change(cmd *cobra.Command, done string, asJSON bool, method, path string, in any) error {
	var p api.Policy
	if err := t.Call(cmd.Context(), method, path, in, &p); err != nil {
		return err
	}
	if asJSON {
		return t.PrintJSON(cmd.OutOrStdout(), p)
	}
	if p.DryRun {
		done = "in order, nothing is stored:"
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s %s, version %d with %d rules\n", done, terminal.Printable(p.ID), p.Version, p.Count)
	return err
}

func (t Tools) list() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "list", Short: "List the policies in the order in which they are asked",
		Example: "  sealwright policy list",
		Args:    t.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return t.table(cmd, "/v1/policies", asJSON) },
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the policies as JSON")
	return cmd
}

func (t Tools) versions() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "versions ID", Short: "List the versions of a policy that are kept, the newest first",
		Example: "  sealwright policy versions company",
		Args:    t.OneName,
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.table(cmd, policyPath(args[0])+"/versions", asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the versions as JSON")
	return cmd
}

// table prints a list of policies.
func (t Tools) table(cmd *cobra.Command, path string, asJSON bool) error {
	var list api.PolicyList
	if err := t.Call(cmd.Context(), http.MethodGet, path, nil, &list); err != nil {
		return err
	}
	if asJSON {
		return t.PrintJSON(cmd.OutOrStdout(), list.Items)
	}
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprint(w, "ID\tVERSION\tRULES\tUPDATED\tBY\n")
	for _, p := range list.Items {
		rules := strconv.Itoa(p.Count)
		switch {
		case p.Trouble != "":
			rules = "cannot be used"
		case p.Deleted:
			rules = "deleted"
		}
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\n", terminal.Printable(p.ID), p.Version, rules, p.UpdatedAt.UTC().Format(time.RFC3339), terminal.Printable(p.UpdatedBy))
	}
	return w.Flush()
}

func (t Tools) show() *cobra.Command {
	var version int64
	var asJSON bool
	cmd := &cobra.Command{
		Use: "show ID", Short: "Print the rules of a policy as a file that can be applied",
		Example: `  sealwright policy show company > company.yaml
  sealwright policy show company --version 3`,
		Args: t.OneName,
		RunE: func(cmd *cobra.Command, args []string) error {
			path := policyPath(args[0])
			if version != 0 {
				path += "?version=" + strconv.FormatInt(version, 10)
			}
			var p api.Policy
			if err := t.Call(cmd.Context(), http.MethodGet, path, nil, &p); err != nil {
				return err
			}
			if asJSON {
				return t.PrintJSON(cmd.OutOrStdout(), p)
			}
			if p.Trouble != "" {
				fmt.Fprintf(cmd.ErrOrStderr(), "sealwright: the newest version is not in force: %s\n", terminal.Printable(p.Trouble))
			}
			text, err := asYAML(p.Rules)
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(text)
			return err
		},
	}
	cmd.Flags().Int64Var(&version, "version", 0, "`NUMBER` of a version (default the one in force)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the policy as JSON")
	return cmd
}

// asYAML returns rules as a file of policy.
func asYAML(rules []api.PolicyRule) ([]byte, error) {
	if rules == nil {
		rules = []api.PolicyRule{}
	}
	text, err := json.Marshal(map[string]any{"rules": rules})
	if err != nil {
		return nil, err
	}
	var n yaml.Node
	if err := yaml.Unmarshal(text, &n); err != nil { // JSON is YAML in another style
		return nil, err
	}
	plain(&n)
	var out bytes.Buffer
	e := yaml.NewEncoder(&out)
	e.SetIndent(2)
	if err := errors.Join(e.Encode(&n), e.Close()); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func plain(n *yaml.Node) {
	n.Style = 0
	for _, c := range n.Content {
		plain(c)
	}
}

func (t Tools) rollback() *cobra.Command {
	var dry, asJSON bool
	cmd := &cobra.Command{
		Use: "rollback ID VERSION", Short: "Bring an earlier version of a policy back into force, as a new version",
		Example: "  sealwright policy rollback company 3",
		Args:    twoArgs("the ID of a policy and a version"),
		RunE: func(cmd *cobra.Command, args []string) error {
			n, err := strconv.ParseInt(args[1], 10, 64)
			if err != nil || n < 1 {
				return fmt.Errorf("got version %q, want a number; see 'sealwright policy versions'", args[1])
			}
			return t.change(cmd, "rolled back", asJSON, http.MethodPost, policyPath(args[0])+"/rollback?dry_run="+strconv.FormatBool(dry), api.RollbackPolicy{Version: n})
		},
	}
	cmd.Flags().BoolVar(&dry, "dry-run", false, "check everything, and store nothing")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the policy as JSON")
	return cmd
}

func (t Tools) delete() *cobra.Command {
	return &cobra.Command{
		Use: "delete ID", Short: "Take a policy out of force",
		Long:    "Take a policy out of force, at once; the command does not ask. Its versions are kept: rollback brings one back.",
		Example: "  sealwright policy delete company",
		Args:    t.OneName,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := t.Call(cmd.Context(), http.MethodDelete, policyPath(args[0]), nil, nil); err != nil {
				return err
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "deleted %s\n", terminal.Printable(args[0]))
			return err
		},
	}
}
