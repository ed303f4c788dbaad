package main

import (
	"context"
	"fmt"
	"io"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/sealwright/sealwright/server"
)

const storeForms = "sqlite:PATH or postgres://HOST/DATABASE"

func newStore() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "store",
		Short: "Migrate, back up, restore and copy the store of a server",
		Long: `Migrate, back up, restore and copy the store of a server.

A store is ` + storeForms + `. Each copy is read back before it
counts, and its counts and checksum are printed: equal contents have an equal
checksum in every kind of store. The root key is not in the store.`,
		Example: `  sealwright store backup --store sqlite:data/sealwright.db backup.db
  sealwright store copy --from sqlite:data/sealwright.db --to postgres://localhost/keys`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newStoreMigrate(), newStoreBackup(), newStoreRestore(), newStoreCopy())
	return cmd
}

func newStoreMigrate() *cobra.Command {
	var at string
	cmd := &cobra.Command{
		Use:     "migrate",
		Short:   "Bring the schema of a store up to date, or make it",
		Example: "  sealwright store migrate --store postgres://localhost/keys",
		Args:    noArgs,
		RunE: storeCommand(func(ctx context.Context, _ io.Writer, _ []string) error {
			return server.MigrateStore(ctx, at)
		}),
	}
	storeFlag(cmd, &at, "store")
	return cmd
}

func newStoreBackup() *cobra.Command {
	var at string
	cmd := &cobra.Command{
		Use:     "backup FILE",
		Short:   "Write all of a store to a new file, also while its server runs",
		Example: "  sealwright store backup --store sqlite:data/sealwright.db backup.db",
		Args:    oneName,
		RunE: storeCommand(func(ctx context.Context, out io.Writer, args []string) error {
			c, err := server.BackupStore(ctx, at, args[0])
			return tellContents(out, c, err)
		}),
	}
	storeFlag(cmd, &at, "store")
	return cmd
}

func newStoreRestore() *cobra.Command {
	var at string
	cmd := &cobra.Command{
		Use:     "restore FILE",
		Short:   "Store what is in a backup in a store that is empty or not there yet",
		Example: "  sealwright store restore --store postgres://localhost/keys backup.db",
		Args:    oneName,
		RunE: storeCommand(func(ctx context.Context, out io.Writer, args []string) error {
			c, err := server.RestoreStore(ctx, args[0], at)
			return tellContents(out, c, err)
		}),
	}
	storeFlag(cmd, &at, "store")
	return cmd
}

func newStoreCopy() *cobra.Command {
	var from, to string
	cmd := &cobra.Command{
		Use:     "copy",
		Short:   "Store what is in one store in another one that is empty or not there yet",
		Example: "  sealwright store copy --from sqlite:data/sealwright.db --to postgres://localhost/keys",
		Args:    noArgs,
		RunE: storeCommand(func(ctx context.Context, out io.Writer, _ []string) error {
			c, err := server.CopyStore(ctx, from, to)
			return tellContents(out, c, err)
		}),
	}
	storeFlag(cmd, &from, "from")
	storeFlag(cmd, &to, "to")
	return cmd
}

func storeFlag(cmd *cobra.Command, at *string, name string) {
	cmd.Flags().StringVar(at, name, "", "`STORE`, "+storeForms)
	_ = cmd.MarkFlagRequired(name) // it is there
}

// storeCommand runs do until a signal ends it; then nothing is stored.
func storeCommand(do func(ctx context.Context, out io.Writer, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
		defer stop()
		if err := do(ctx, cmd.OutOrStdout(), args); err != nil {
			return refusedError{err}
		}
		return nil
	}
}

func tellContents(out io.Writer, c server.StoreContents, err error) error {
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%d records, %d entries, %d uses, %d leases, %d nonces\nsha256 %s\n", c.Records, c.Entries, c.Uses, c.Leases, c.Nonces, c.Checksum)
	return err
}
