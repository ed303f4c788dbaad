package main

import (
	"context"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/sealwright/sealwright/server"
)

func newServe() *cobra.Command {
	var c server.Config
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve keys, sign and verify over an HTTP API",
		Long: `Serve keys, sign and verify over an HTTP API, until the process gets SIGTERM or
SIGINT; what is in flight is then finished.

The first start makes the data folder, a root key and an admin token, and prints
the token once. Flags count more than the same settings of the configuration
file.`,
		Example: `  sealwright serve
  sealwright serve --listen 127.0.0.1:9000 --data /var/lib/sealwright --config sealwright.yaml`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if c.ConfigFile != "" {
				if err := server.CheckFile(c.ConfigFile); err != nil {
					return err
				}
			}
			c.Stdout, c.Stderr = cmd.OutOrStdout(), cmd.ErrOrStderr()
			if info, ok := debug.ReadBuildInfo(); ok {
				c.Version = version(info)
			}
			ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
			defer stop()
			// The second signal ends the process at once.
			context.AfterFunc(ctx, stop)
			if err := server.Run(ctx, c); err != nil {
				return refusedError{err}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&c.Listen, "listen", "", "`HOST:PORT` to listen on, port 0 for a free one (default 127.0.0.1:8470)")
	cmd.Flags().StringVar(&c.GRPCListen, "grpc-listen", "", "`HOST:PORT` of the gRPC API (default none)")
	cmd.Flags().StringVar(&c.Data, "data", "", "`DIR` for the store, the root key and the admin token (default ./data)")
	cmd.Flags().StringVar(&c.Store, "store", "", "`STORE`: sqlite:PATH, postgres://HOST/DATABASE or memory (default sealwright.db in the data folder)")
	cmd.Flags().StringVar(&c.ConfigFile, "config", "", "`FILE` with settings in YAML")
	return cmd
}
