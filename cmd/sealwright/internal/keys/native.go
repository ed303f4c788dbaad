package keys

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/cmd/sealwright/internal/terminal"
)

// nativeFlag is the value of --native.
type nativeFlag struct{ text string }

func (f *nativeFlag) add(cmd *cobra.Command, usage string) {
	cmd.Flags().StringVar(&f.text, "native", "", usage)
}

// key returns what the flag names: a provider, and after a colon a key there. It
// is nil if the flag is not given.
func (f *nativeFlag) key(cmd *cobra.Command) (*api.NativeKey, error) {
	if !cmd.Flags().Changed("native") {
		return nil, nil
	}
	provider, key, named := strings.Cut(f.text, ":")
	if provider == "" || named && key == "" {
		return nil, fmt.Errorf("--native: got %q, want a provider such as pkcs11, and after a colon the name of a key there", f.text)
	}
	return &api.NativeKey{Provider: provider, Key: key}, nil
}

// deviceKey returns where the secret of a version is, a hyphen for nowhere.
func deviceKey(n *api.NativeKey) string {
	if n == nil {
		return "-"
	}
	return terminal.Printable(n.Provider + ":" + n.Key)
}
