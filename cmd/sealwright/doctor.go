package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/catalogue"
	"github.com/sealwright/sealwright/cmd/sealwright/internal/finding"
	"github.com/sealwright/sealwright/cmd/sealwright/internal/rawhttp"
	"github.com/sealwright/sealwright/cmd/sealwright/internal/terminal"
	"github.com/sealwright/sealwright/doctor"
	"github.com/sealwright/sealwright/scheme"
	"github.com/sealwright/sealwright/secret"
)

func newDoctor() *cobra.Command {
	var f doctorFlags
	var server clientFlags
	var asJSON, last bool
	cmd := &cobra.Command{
		Use:   "doctor --scheme NAME --secret-file NAME=FILE --request FILE",
		Short: "Say why the signature of a request does not verify",
		Long: `Say why the signature of a raw HTTP request does not verify: which secret and
which change of body, URL, signed string or signature explain what was received.

The first secret is the one that the receiver is configured with; give others
that may have signed, each under a name that is shown. Secret files are read
byte for byte: a newline at the end may be the very fault. The request is the
one that the receiver saw; a broken one is read as far as possible.

With --last, a server that keeps rejected requests diagnoses the newest one with
the keys that it stores.

The answer makes no request acceptable. It is for operators, not for the sender.

Exit codes: 0 proven, request_fine or time, 1 evidence or unknown, 2 wrong usage
or input that cannot be read.`,
		Example: `  sealwright doctor --scheme github --secret-file live=secret.txt --request delivery.http
  sealwright doctor --scheme square --secret-file live=live.txt --secret-file test=test.txt \
    --public-url https://shop.example/hook --request delivery.http --json
  sealwright doctor --last`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
			defer stop()
			start := time.Now()
			ask := f.diagnose
			if last {
				ask = server.diagnoseLast
			}
			d, name, err := ask(ctx, cmd, &f)
			if err != nil {
				return err
			}
			if asJSON {
				err = printJSON(cmd.OutOrStdout(), finding.NewDiagnosis(d))
			} else {
				_, err = io.WriteString(cmd.OutOrStdout(), finding.DescribeDiagnosis(d, name, time.Since(start), terminal.Coloured(cmd.OutOrStdout())))
			}
			if err == nil && !settled(d.Verdict) {
				return errNotValid
			}
			return err
		},
	}
	f.add(cmd)
	server.add(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the answer as JSON")
	cmd.Flags().BoolVar(&last, "last", false, "diagnose the request that the server rejected last")
	return cmd
}

// diagnose looks for the fault of the request that the flags name, and returns
// the name of its scheme too.
func (f *doctorFlags) diagnose(ctx context.Context, cmd *cobra.Command, _ *doctorFlags) (doctor.Diagnosis, string, error) {
	in, err := f.load(cmd.InOrStdin())
	if err != nil {
		return doctor.Diagnosis{}, "", err
	}
	d := doctor.Diagnose(ctx, in.Input)
	d.Notes = append(in.notes, d.Notes...)
	return d, in.Definition.ID, nil
}

// diagnoseLast asks the server.
func (s *clientFlags) diagnoseLast(ctx context.Context, _ *cobra.Command, f *doctorFlags) (doctor.Diagnosis, string, error) {
	if err := f.onlyLast(); err != nil {
		return doctor.Diagnosis{}, "", err
	}
	c, err := s.client()
	if err != nil {
		return doctor.Diagnosis{}, "", err
	}
	return lastRejected(ctx, c, f.publicURL, f.knownHosts)
}

// settled reports whether the question why is answered.
func settled(v doctor.Verdict) bool {
	return v == doctor.Proven || v == doctor.Fine || v == doctor.Time
}

type doctorFlags struct {
	library     libraryFlag
	scheme      string
	secretFiles []string
	keyID       string
	params      []string
	publicURL   string
	knownHosts  []string
	now         string
	request     string
}

func (f *doctorFlags) add(cmd *cobra.Command) {
	f.library.add(cmd)
	flags := cmd.Flags()
	flags.StringVar(&f.scheme, "scheme", "", "`NAME` of the scheme that the receiver is configured with, or FILE.json")
	flags.StringArrayVar(&f.secretFiles, "secret-file", nil, "`NAME=FILE` with a secret, the configured one first; repeat it for others that may have signed")
	flags.StringVar(&f.keyID, "key-id", "", "`ID` under which the configured secret is known, where the scheme carries one")
	flags.StringArrayVar(&f.params, "param", nil, "parameter of the scheme as `NAME=VALUE`; repeat it for more, also for a list")
	flags.StringVar(&f.publicURL, "public-url", "", "whole `URL` by which the sender knows the receiver")
	flags.StringArrayVar(&f.knownHosts, "known-host", nil, "`HOST` that is the receiver's own; repeat it for more")
	flags.StringVar(&f.now, "now", "", "`TIME` at which the request came, in Unix seconds or RFC 3339 (default the current time)")
	flags.StringVar(&f.request, "request", "", "`FILE` with the raw HTTP request, - for standard input")
}

// doctorInput is what doctor works with.
type doctorInput struct {
	doctor.Input
	notes []string // on the form of the request
}

func (f *doctorFlags) load(stdin io.Reader) (doctorInput, error) {
	var in doctorInput
	l, err := f.library.load()
	if err != nil {
		return in, err
	}
	if in.Definition, err = l.definition(f.scheme); err != nil {
		return in, err
	}
	if in.Params, err = f.parameters(in.Definition); err != nil {
		return in, err
	}
	if in.Now, err = parseInstant(f.now, time.Now()); err != nil {
		return in, err
	}
	if in.Secrets, err = namedSecrets(f.secretFiles); err != nil {
		return in, err
	}
	if in.Message, in.notes, err = readBroken(f.request, stdin); err != nil {
		return in, err
	}
	in.KeyID, in.PublicURL, in.KnownHosts = f.keyID, f.publicURL, f.knownHosts
	in.Others, err = l.all()
	return in, err
}

// parameters returns those of the flags. The doctor itself takes the public URL
// as one, where the scheme has it; here it is checked with them.
func (f *doctorFlags) parameters(d *scheme.Definition) (scheme.Params, error) {
	p, err := parseParams(f.params)
	if err != nil {
		return nil, err
	}
	whole := maps.Clone(p)
	const public = "public_url"
	if f.publicURL != "" {
		if _, _, _, err := sealwright.SplitURL(f.publicURL); err != nil {
			return nil, fmt.Errorf("--public-url: %w", err)
		}
		if _, ok := d.Params[public]; ok && len(p[public]) == 0 {
			whole[public] = []string{f.publicURL}
		}
	}
	_, err = d.New(whole)
	return p, err
}

// namedSecrets reads files byte for byte. Also an empty one is a secret here:
// that is what the doctor has to find.
func namedSecrets(pairs []string) ([]doctor.Secret, error) {
	if len(pairs) == 0 {
		return nil, errors.New("no secret: put it in a file and give --secret-file NAME=FILE")
	}
	var list []doctor.Secret
	for _, pair := range pairs {
		name, file, ok := strings.Cut(pair, "=")
		if !ok || name == "" || file == "" {
			return nil, fmt.Errorf("--secret-file: got %q, want NAME=FILE, such as live=secret.txt", pair)
		}
		if slices.ContainsFunc(list, func(s doctor.Secret) bool { return s.Name == name }) {
			return nil, fmt.Errorf("--secret-file: two secrets have the name %q", name)
		}
		data, err := readFile("secret", file, maxSecret)
		if err != nil {
			return nil, err
		}
		list = append(list, doctor.Secret{Name: name, Bytes: secret.New(data)})
		clear(data)
	}
	return list, nil
}

// readBroken reads a request as far as that is possible, and returns remarks on
// the rest.
func readBroken(name string, stdin io.Reader) (sealwright.Message, []string, error) {
	data, name, err := requestData(name, stdin)
	if err != nil {
		return sealwright.Message{}, nil, err
	}
	r, notes, err := rawhttp.Read(data)
	if err != nil {
		return sealwright.Message{}, nil, fmt.Errorf("request in %s: %w", name, err)
	}
	return r.Message, notes, nil
}

// all returns every scheme.
func (l *library) all() ([]*scheme.Definition, error) {
	var list []*scheme.Definition
	for _, name := range catalogue.Names() {
		d, err := catalogue.Definition(name)
		if err != nil {
			return nil, err
		}
		list = append(list, d)
	}
	for _, name := range sortedNames(l.own) {
		list = append(list, l.own[name])
	}
	return list, nil
}
