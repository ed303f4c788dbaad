package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/cmd/sealwright/internal/delivery"
	"github.com/sealwright/sealwright/cmd/sealwright/internal/terminal"
	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/scheme"
)

func newSend() *cobra.Command {
	var f sendFlags
	cmd := &cobra.Command{
		Use:   "send --scheme NAME --secret-file FILE --to URL",
		Short: "Send a signed example delivery to a URL",
		Long: `Send a delivery as the provider would, signed with your secret, to test a
receiver without the provider. It is the example of the scheme with a new time
and nonce; --event puts another body into it.

The request, the answer and the time it took are printed. Redirects are not
followed: providers do not follow them either.

Exit codes: 0 the answer is a 2xx, 1 it is another or there is none, 2 wrong usage
or input that cannot be read.`,
		Example: `  sealwright send --scheme github --secret-file secret.txt --to http://127.0.0.1:3000/hook
  sealwright send --scheme stripe --secret-file secret.txt --to https://staging.example/hook --event event.json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := f.sign(cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			return f.deliver(cmd.Context(), cmd.OutOrStdout(), r)
		},
	}
	f.add(cmd)
	return cmd
}

type sendFlags struct {
	library    libraryFlag
	scheme     string
	secretFile string
	keyID      string
	params     []string
	to         string
	event      string
	method     string
	timeout    time.Duration
	asJSON     bool
}

func (f *sendFlags) add(cmd *cobra.Command) {
	f.library.add(cmd)
	flags := cmd.Flags()
	flags.StringVar(&f.scheme, "scheme", "", "`NAME` of a scheme, or FILE.json with a definition")
	flags.StringVar(&f.secretFile, "secret-file", "", "`FILE` with the secret")
	flags.StringVar(&f.keyID, "key-id", "", "`ID` of the key, where the scheme carries one")
	flags.StringArrayVar(&f.params, "param", nil, "parameter of the scheme as `NAME=VALUE`; repeat it for more, also for a list")
	flags.StringVar(&f.to, "to", "", "`URL` to send to")
	flags.StringVar(&f.event, "event", "", "`FILE` with the body, as it is (default that of the scheme's example)")
	flags.StringVar(&f.method, "method", "", "`METHOD` of the request (default that of the scheme's example)")
	flags.DurationVar(&f.timeout, "timeout", 10*time.Second, "`DURATION` to wait for the answer")
	flags.BoolVar(&f.asJSON, "json", false, "print request and answer as JSON")
}

// sign reads everything that the flags name and returns the signed delivery.
func (f *sendFlags) sign(stderr io.Writer) (sealwright.Message, error) {
	var m sealwright.Message
	if f.timeout <= 0 {
		return m, fmt.Errorf("--timeout: got %v, want more than 0s", f.timeout)
	}
	d, err := f.library.definition(f.scheme)
	if err != nil {
		return m, err
	}
	params, err := parseParams(f.params)
	if err != nil {
		return m, err
	}
	s, err := d.New(params)
	if err != nil {
		return m, err
	}
	if f.secretFile == "" {
		return m, errors.New("no secret: put it in a file and give --secret-file FILE")
	}
	secret, err := readSecret(f.secretFile, stderr)
	if err != nil {
		return m, err
	}
	ring, err := keyring.New(keyring.Key{ID: f.keyID, Version: 1, Secret: secret})
	if err != nil {
		return m, err
	}
	signer := sealwright.Signer{Scheme: s, Ring: ring}
	m, err = f.signWith(&signer, d, params, false)
	if errors.Is(err, sealwright.ErrMalformed) { // there are values that only the sender can know
		m, err = f.signWith(&signer, d, params, true)
	}
	return m, err
}

func (f *sendFlags) signWith(signer *sealwright.Signer, d *scheme.Definition, params scheme.Params, whole bool) (sealwright.Message, error) {
	m, err := f.delivery(d, params, whole)
	if err != nil {
		return m, err
	}
	if m, err = signer.Sign(m, time.Now()); err != nil {
		return m, fmt.Errorf("sign the delivery: %w", err)
	}
	return m, nil
}

// delivery returns the unsigned request. The whole example has also the values
// that a signer makes anew where it can, and its query if the URL has none.
func (f *sendFlags) delivery(d *scheme.Definition, params scheme.Params, whole bool) (sealwright.Message, error) {
	m, err := delivery.Template(d, params, whole)
	if err != nil {
		return m, err
	}
	query := m.Query()
	if m.Scheme, m.Host, m.Target, err = splitTarget(f.to); err != nil {
		return m, fmt.Errorf("--to: %w", err)
	}
	if whole && query != "" && !strings.Contains(m.Target, "?") {
		m.Target += "?" + query
	}
	m.Method = strings.ToUpper(cmp.Or(f.method, m.Method))
	if f.event != "" {
		if m.Body, err = readFile("event", f.event, maxRequest); err != nil {
			return m, err
		}
		if json.Valid(m.Body) {
			m.Header["Content-Type"] = []string{"application/json"}
		}
	}
	m.Header["User-Agent"] = []string{"sealwright"}
	return m, nil
}

// splitTarget returns the parts of the URL of a receiver.
func splitTarget(text string) (scheme, host, target string, err error) {
	if text == "" {
		return "", "", "", errors.New("no URL: give that of the receiver, such as http://127.0.0.1:3000/hook")
	}
	u, err := url.Parse(text)
	if err != nil {
		return "", "", "", err
	}
	if u.User != nil || u.Fragment != "" {
		return "", "", "", fmt.Errorf("got %q, want a URL without user and fragment", u.Redacted())
	}
	scheme, host, target, err = sealwright.SplitURL(text)
	if err == nil && !strings.HasPrefix(target, "/") {
		target = "/" + target
	}
	return scheme, host, target, err
}

// deliver sends m, and prints it, the answer and the time it took.
func (f *sendFlags) deliver(ctx context.Context, stdout io.Writer, m sealwright.Message) error {
	out, failed := delivery.Send(ctx, m, f.timeout)
	if errors.Is(failed, delivery.ErrRequest) {
		return fmt.Errorf("send to %s: %w", m.Host, failed)
	}
	var err error
	switch {
	case f.asJSON:
		err = printJSON(stdout, out)
	case failed != nil:
		_, err = io.WriteString(stdout, terminal.Marked("> ", delivery.Text(m)))
	default:
		_, err = io.WriteString(stdout, terminal.Marked("> ", delivery.Text(m))+out.Text(terminal.Coloured(stdout)))
	}
	if err != nil {
		return err
	}
	if failed != nil {
		return refusedError{fmt.Errorf("send to %s: %w", m.Host, failed)}
	}
	if out.Response.Status/100 != 2 {
		return errNotValid
	}
	return nil
}
