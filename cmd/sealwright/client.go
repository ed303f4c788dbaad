package main

import (
	"bytes"
	"cmp"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/sealwright/sealwright/cmd/sealwright/internal/client"
	"github.com/sealwright/sealwright/cmd/sealwright/internal/terminal"
	"github.com/sealwright/sealwright/secret"
)

// maxToken bounds the file of a token or credential in bytes.
const maxToken = 4 << 10

// clientFlags say which server a command talks to.
type clientFlags struct {
	server    string
	tokenFile string
	tenant    string
}

func (f *clientFlags) add(cmd *cobra.Command) {
	flags := cmd.PersistentFlags()
	flags.StringVar(&f.server, "server", "", "`URL` of the server (default $SEALWRIGHT_SERVER, else http://127.0.0.1:8470)")
	flags.StringVar(&f.tokenFile, "token-file", "", "`FILE` with a token, or a credential that signs requests (default $SEALWRIGHT_TOKEN_FILE, else ./data/admin-token)")
	flags.StringVar(&f.tenant, "tenant", "", "`NAME` of the tenant in which an operator acts (default $SEALWRIGHT_TENANT, else that of the caller)")
}

func (f *clientFlags) client() (*client.Client, error) {
	base := cmp.Or(f.server, os.Getenv("SEALWRIGHT_SERVER"), "http://127.0.0.1:8470")
	tenant := cmp.Or(f.tenant, os.Getenv("SEALWRIGHT_TENANT"))
	if _, err := client.New(base, tenant, secret.Bytes{}); err != nil {
		return nil, err // before the token is read
	}
	name := cmp.Or(f.tokenFile, os.Getenv("SEALWRIGHT_TOKEN_FILE"), "./data/admin-token")
	token, err := readFile("token", name, maxToken)
	if err != nil {
		return nil, fmt.Errorf("%w; name the file that 'sealwright serve' has written with --token-file", err)
	}
	defer clear(token)
	text := bytes.TrimSpace(token)
	if len(text) == 0 || bytes.ContainsFunc(text, terminal.Steers) {
		return nil, fmt.Errorf("token in %s is empty or has more than one line", name)
	}
	return client.New(base, tenant, secret.New(text))
}
