package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/sealwright/sealwright"
)

func newSign() *cobra.Command {
	var flags jobFlags
	var curl bool
	cmd := &cobra.Command{
		Use:   "sign --scheme NAME --secret-file FILE --request FILE",
		Short: "Sign a raw HTTP request",
		Long: `Sign a raw HTTP request and print it with its signature.

A time, nonce or message ID that the request has already is kept, the time only
while it is fresh. One final newline of the secret file is dropped.`,
		Example: `  sealwright sign --scheme github --secret-file secret.txt --request delivery.http
  sealwright sign --scheme stripe --secret-file secret.txt --request - --curl < delivery.http
  sealwright sign --scheme rfc9421 --secret-file secret.bin --key-id key-1 \
    --param required=@method --param required=@target-uri --request call.http`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			j, err := flags.load(cmd.InOrStdin(), cmd.ErrOrStderr(), 1)
			if err != nil {
				return err
			}
			return sign(cmd.OutOrStdout(), j, curl)
		},
	}
	flags.add(cmd, "`FILE` with the secret")
	cmd.Flags().BoolVar(&curl, "curl", false, "print a curl command that sends the signed request")
	return cmd
}

func sign(stdout io.Writer, j job, curl bool) error {
	signer := sealwright.Signer{Scheme: j.scheme, Ring: j.ring}
	m, err := signer.Sign(j.request.Message, j.now)
	if errors.Is(err, sealwright.ErrCannotSign) {
		return err
	}
	if err != nil {
		return fmt.Errorf("sign the request: %w", err)
	}
	signed := j.request.With(m)
	if curl {
		_, err = io.WriteString(stdout, signed.Curl())
	} else {
		_, err = stdout.Write(signed.Append(nil))
	}
	return err
}
