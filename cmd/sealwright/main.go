// Command sealwright signs and verifies HTTP requests with HMAC under many wire
// formats, and serves the same over an API.
//
// docs/use/cli.md explains it by example.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sealwright/sealwright/cmd/sealwright/internal/client"
	"github.com/sealwright/sealwright/cmd/sealwright/internal/keys"
	"github.com/sealwright/sealwright/cmd/sealwright/internal/setup"
	"github.com/sealwright/sealwright/cmd/sealwright/internal/terminal"
	"github.com/sealwright/sealwright/mac"
)

// Exit codes. They are part of the interface.
const (
	exitOK       = 0 // valid, or done
	exitNotValid = 1 // not valid, or a server did not do it
	exitUsage    = 2 // wrong usage, or input that cannot be read
)

// errNotValid ends a command with [exitNotValid]. Everything to say is printed
// already.
var errNotValid = errors.New("not valid")

// refusedError is an error of a command that was used rightly: a server did
// not do what was asked, or could not be reached. It ends with [exitNotValid].
type refusedError struct{ error }

func (e refusedError) Unwrap() error { return e.error }

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run executes one command line and returns the exit code.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if err := mac.SelfTest(); err != nil {
		fmt.Fprintf(stderr, "sealwright: %v\n", err)
		return exitUsage
	}
	root := newRoot()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	return report(root.Execute(), stderr)
}

// report prints what there is to say about err and returns the exit code.
func report(err error, stderr io.Writer) int {
	if err == nil {
		return exitOK
	}
	if errors.Is(err, errNotValid) {
		return exitNotValid
	}
	if errors.Is(err, setup.ErrUnusable) {
		return exitUsage
	}
	prefix := "sealwright: "
	for line := range strings.SplitSeq(err.Error(), "\n") {
		fmt.Fprintf(stderr, "%s%s\n", prefix, terminal.Printable(line))
		prefix = "  "
	}
	if errors.As(err, new(refusedError)) || errors.As(err, new(client.RefusedError)) || errors.As(err, new(keys.RemainingError)) {
		return exitNotValid
	}
	return exitUsage
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "sealwright",
		Short: "Sign and verify HTTP requests with HMAC",
		Long: "Sign and verify HTTP requests with HMAC, in the formats of many providers.\n\n" +
			"Exit codes: 0 valid or done, 1 not valid, 2 wrong usage or input that cannot be read.",
		Example: `  sealwright schemes
  sealwright verify --scheme github --secret-file secret.txt --request delivery.http`,
		Args:          noArgs,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(flagError)
	root.AddCommand(newSchemes(), newSign(), newVerify(), newDoctor(), newSend(), newServe(), newStore(), newKeys(), newLeases(), newCallers(), newTenants(), newRoles(), newPolicy(), newLimits(), newKMS(), setup.NewConfig(setupTools()), newVersion())
	return root
}

// flagError says what to do about a wrong flag.
func flagError(cmd *cobra.Command, err error) error {
	if err.Error() == "unknown flag: --secret" {
		return errors.New("there is no --secret, since others can read command lines: put the secret in a file and name that with --secret-file")
	}
	return fmt.Errorf("%w; see '%s --help'", err, cmd.CommandPath())
}

// noArgs refuses arguments. Of a command with commands of its own it says which
// of them was likely meant.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if !cmd.HasSubCommands() {
		return fmt.Errorf("unexpected argument %q; see '%s --help'", args[0], cmd.CommandPath())
	}
	cmd.SuggestionsMinimumDistance = 2
	hint := ""
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		hint = "did you mean " + strings.Join(near, " or ") + "? "
	}
	return fmt.Errorf("unknown command %q; %ssee '%s --help'", args[0], hint, cmd.CommandPath())
}

// oneName demands exactly one argument, a name.
func oneName(cmd *cobra.Command, args []string) error {
	if len(args) == 1 && args[0] != "" {
		return nil
	}
	return fmt.Errorf("got %d arguments, want one name; see '%s --help'", len(args), cmd.CommandPath())
}
