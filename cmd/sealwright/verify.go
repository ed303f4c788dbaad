package main

import (
	"encoding/json"
	"errors"
	"io"

	"github.com/spf13/cobra"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/cmd/sealwright/internal/finding"
	"github.com/sealwright/sealwright/cmd/sealwright/internal/terminal"
	"github.com/sealwright/sealwright/keyring"
)

func newVerify() *cobra.Command {
	var flags jobFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "verify --scheme NAME --secret-file FILE --request FILE",
		Short: "Verify the signature of a raw HTTP request",
		Long: `Verify the signature of a raw HTTP request and print the verdict: whether it is
valid, and what the signature covers and what it leaves open.

Give --secret-file once for each live version of the key, the newest first. One
final newline of a secret file is dropped. Replays are not noticed: nothing is
remembered between two runs.

Exit codes: 0 valid, 1 not valid, 2 wrong usage or input that cannot be read.`,
		Example: `  sealwright verify --scheme github --secret-file secret.txt --request delivery.http
  sealwright verify --scheme stripe --secret-file new.txt --secret-file old.txt \
    --now 2026-01-01T00:00:00Z --request delivery.http --json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			j, err := flags.load(cmd.InOrStdin(), cmd.ErrOrStderr(), keyring.MaxCandidates)
			if err != nil {
				return err
			}
			return verify(cmd.OutOrStdout(), j, asJSON)
		},
	}
	flags.add(cmd, "`FILE` with the secret; repeat it for more live versions")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the verdict as JSON")
	return cmd
}

func verify(stdout io.Writer, j job, asJSON bool) error {
	verifier := sealwright.Verifier{Scheme: j.scheme, Ring: j.ring}
	verdict, err := verifier.Verify(j.request.Message, j.now)
	if errors.Is(err, sealwright.ErrConfig) {
		return err
	}
	if asJSON {
		if err := printJSON(stdout, verdict); err != nil {
			return err
		}
	} else if _, err := io.WriteString(stdout, finding.DescribeVerdict(verdict, finding.Hint(verdict, j.request), terminal.Coloured(stdout))); err != nil {
		return err
	}
	if !verdict.Valid {
		return errNotValid
	}
	return nil
}

func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
