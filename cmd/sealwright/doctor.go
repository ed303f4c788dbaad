package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/catalogue"
	"github.com/sealwright/sealwright/cmd/sealwright/internal/rawhttp"
	"github.com/sealwright/sealwright/doctor"
	"github.com/sealwright/sealwright/scheme"
	"github.com/sealwright/sealwright/secret"
)

func newDoctor() *cobra.Command {
	var f doctorFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "doctor --scheme NAME --secret-file NAME=FILE --request FILE",
		Short: "Say why the signature of a request does not verify",
		Long: `Say why the signature of a raw HTTP request does not verify: which secret and
which change of body, URL, signed string or signature explain what was received.

The first secret is the one that the receiver is configured with; give others
that may have signed, each under a name that is shown. Secret files are read
byte for byte: a newline at the end may be the very fault. The request is the
one that the receiver saw; a broken one is read as far as possible.

The answer makes no request acceptable. It is for operators, not for the sender.

Exit codes: 0 proven, request_fine or time, 1 evidence or unknown, 2 wrong usage
or input that cannot be read.`,
		Example: `  sealwright doctor --scheme github --secret-file live=secret.txt --request delivery.http
  sealwright doctor --scheme square --secret-file live=live.txt --secret-file test=test.txt \
    --public-url https://shop.example/hook --request delivery.http --json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			in, err := f.load(cmd.InOrStdin())
			if err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
			defer stop()
			start := time.Now()
			d := doctor.Diagnose(ctx, in.Input)
			d.Notes = append(in.notes, d.Notes...)
			if asJSON {
				err = printJSON(cmd.OutOrStdout(), newDiagnosis(d))
			} else {
				_, err = io.WriteString(cmd.OutOrStdout(), describeDiagnosis(d, in.Definition.ID, time.Since(start), coloured(cmd.OutOrStdout())))
			}
			if err == nil && !settled(d.Verdict) {
				return errNotValid
			}
			return err
		},
	}
	f.add(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the answer as JSON")
	return cmd
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

// parameters returns those of the flags. The public URL is one, where the
// scheme has it.
func (f *doctorFlags) parameters(d *scheme.Definition) (scheme.Params, error) {
	p, err := parseParams(f.params)
	if err != nil {
		return nil, err
	}
	const public = "public_url"
	if f.publicURL != "" {
		if _, _, _, err := sealwright.SplitURL(f.publicURL); err != nil {
			return nil, fmt.Errorf("--public-url: %w", err)
		}
		if _, ok := d.Params[public]; ok && len(p[public]) == 0 {
			p[public] = []string{f.publicURL}
		}
	}
	_, err = d.New(p)
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

// diagnosis is the answer as JSON has it.
type diagnosis struct {
	Verdict     doctor.Verdict `json:"verdict"`
	Cause       string         `json:"cause"` // "" if none is known
	Cause2      string         `json:"cause2,omitempty"`
	Secret      string         `json:"secret,omitempty"`
	Danger      bool           `json:"danger"`
	Explanation string         `json:"explanation"`
	Fix         string         `json:"fix"`
	Notes       []string       `json:"notes,omitempty"`
	Hypotheses  int            `json:"hypotheses"`
	Secrets     int            `json:"secrets"`
	Diff        *doctor.Diff   `json:"diff"` // null if there is none
}

func newDiagnosis(d doctor.Diagnosis) diagnosis {
	return diagnosis{
		Verdict: d.Verdict, Cause: d.Cause, Cause2: d.Cause2, Secret: d.Secret, Danger: d.Danger, Explanation: d.Explanation,
		Fix: d.Fix, Notes: d.Notes, Hypotheses: d.Hypotheses, Secrets: d.Secrets, Diff: d.Diff,
	}
}

// verdictWords are the headlines of the verdicts.
var verdictWords = map[doctor.Verdict]struct{ text, colour string }{
	doctor.Proven:   {"PROVEN", red},
	doctor.Fine:     {"REQUEST IS FINE", green},
	doctor.Time:     {"TIME", yellow},
	doctor.Evidence: {"EVIDENCE, NO PROOF", yellow},
	doctor.Unknown:  {"UNKNOWN", red},
}

// describeDiagnosis returns the answer for people.
func describeDiagnosis(d doctor.Diagnosis, name string, took time.Duration, colour bool) string {
	var b strings.Builder
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "  %-8s %s\n", name, strings.ReplaceAll(printableLines(value), "\n", "\n           "))
		}
	}
	words := verdictWords[d.Verdict]
	b.WriteString(paint(cmp.Or(words.text, string(d.Verdict)), words.colour, colour))
	if d.Cause != "" {
		b.WriteString(": " + printable(d.Cause))
	}
	if d.Cause2 != "" {
		b.WriteString(" and " + printable(d.Cause2))
	}
	b.WriteString(" (" + printable(name) + ")\n")
	if d.Danger {
		b.WriteString("  " + paint("DANGER", red, colour) + "   what was received authenticates nothing, or exposes a secret\n")
	}
	line("why", d.Explanation)
	line("secret", d.Secret)
	if d.Diff != nil {
		line("diff", describeDiff(d.Diff))
	}
	line("fix", d.Fix)
	for _, n := range d.Notes {
		line("note", n)
	}
	line("tried", fmt.Sprintf("%d hypotheses with %d secrets in %v", d.Hypotheses, d.Secrets, took.Round(100*time.Microsecond)))
	return b.String()
}

// describeDiff returns both texts, one above the other, with a mark below what
// differs.
func describeDiff(d *doctor.Diff) string {
	signed, seen := visible(d.Signed), visible(d.Seen)
	start, end := common(signed, seen)
	n := max(1, utf8.RuneCountInString(signed)-start-end, utf8.RuneCountInString(seen)-start-end)
	return fmt.Sprintf("at byte %d: %d bytes were signed, %d were seen\nsigned %s\nseen   %s\n       %s%s",
		d.Offset, d.SignedBytes, d.SeenBytes, signed, seen, strings.Repeat(" ", start), strings.Repeat("^", n))
}

// visible returns s on one line, with line ends and tabs that can be seen.
func visible(s string) string {
	return printable(strings.NewReplacer("\n", `\n`, "\r", `\r`, "\t", `\t`).Replace(s))
}

// common returns how many characters a and b have in common at their beginnings
// and, of the rest, at their ends.
func common(a, b string) (start, end int) {
	x, y := []rune(a), []rune(b)
	for start < len(x) && start < len(y) && x[start] == y[start] {
		start++
	}
	for end < len(x)-start && end < len(y)-start && x[len(x)-1-end] == y[len(y)-1-end] {
		end++
	}
	return start, end
}
