package main

import (
	"context"
	"encoding/base64"
	"io"

	"github.com/spf13/cobra"

	"github.com/sealwright/sealwright/cmd/sealwright/internal/callers"
	"github.com/sealwright/sealwright/cmd/sealwright/internal/client"
	"github.com/sealwright/sealwright/cmd/sealwright/internal/keys"
	"github.com/sealwright/sealwright/cmd/sealwright/internal/limits"
	"github.com/sealwright/sealwright/cmd/sealwright/internal/policies"
	"github.com/sealwright/sealwright/cmd/sealwright/internal/setup"
	"github.com/sealwright/sealwright/server"
)

// newKeys and newLeases have the commands of package keys with the flags that
// name a server.
func newKeys() *cobra.Command { return ofServer(keys.New) }

func newLeases() *cobra.Command { return ofServer(keys.NewLeases) }

// newKMS has beside them the command that needs no server.
func newKMS() *cobra.Command {
	cmd := ofServer(keys.NewKMS)
	cmd.AddCommand(setup.NewRootKeyCheck(setupTools()))
	return cmd
}

// newCallers, newTenants and newRoles have the commands of package callers.
func newCallers() *cobra.Command { return ofCallers(callers.New) }

func newTenants() *cobra.Command { return ofCallers(callers.NewTenants) }

func newRoles() *cobra.Command { return ofCallers(callers.NewRoles) }

func ofCallers(commands func(callers.Tools) *cobra.Command) *cobra.Command {
	return ofServer(func(t keys.Tools) *cobra.Command {
		return commands(callers.Tools{Call: t.Call, Text: client.CredentialText, PrintJSON: t.PrintJSON, NoArgs: t.NoArgs, OneName: t.OneName})
	})
}

// newLimits has the commands of package limits.
func newLimits() *cobra.Command {
	return ofServer(func(t keys.Tools) *cobra.Command {
		return limits.New(limits.Tools{Call: t.Call, PrintJSON: t.PrintJSON, NoArgs: t.NoArgs, OneName: t.OneName})
	})
}

// newPolicy has the commands of package policies.
func newPolicy() *cobra.Command {
	return ofServer(func(t keys.Tools) *cobra.Command {
		return policies.New(policies.Tools{
			Call: t.Call, PrintJSON: t.PrintJSON, NotValid: t.NotValid, NoArgs: t.NoArgs, OneName: t.OneName,
			Parse: func(text []byte) (policies.File, error) {
				f, err := server.ParsePolicyFile(text)
				if err != nil {
					return nil, err // and no File that holds nothing
				}
				return f, nil
			},
		})
	})
}

func setupTools() setup.Tools { return setup.Tools{PrintJSON: printJSON, NoArgs: noArgs} }

func ofServer(commands func(keys.Tools) *cobra.Command) *cobra.Command {
	var flags clientFlags
	cmd := commands(keys.Tools{
		Call: func(ctx context.Context, method, path string, in, out any) error {
			c, err := flags.client()
			if err != nil {
				return err
			}
			return c.Call(ctx, method, path, in, out)
		},
		Secret: func(name string, stderr io.Writer) (string, error) {
			s, err := readSecret(name, stderr)
			if err != nil {
				return "", err
			}
			return base64.StdEncoding.EncodeToString(s.Expose()), nil
		},
		PrintJSON: printJSON, NotValid: errNotValid, NoArgs: noArgs, OneName: oneName,
	})
	flags.add(cmd)
	return cmd
}
