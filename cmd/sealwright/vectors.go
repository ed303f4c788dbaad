package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/sealwright/sealwright/cmd/sealwright/internal/terminal"
	"github.com/sealwright/sealwright/scheme"
)

// maxVector is the length in bytes of the longest line of a vector file.
const maxVector = 64 << 20

func newSchemesTest(own *libraryFlag) *cobra.Command {
	return &cobra.Command{
		Use:   "test FILE...",
		Short: "Run request vectors and report the failures",
		Long: `Run files of request vectors, one JSON object on each line, - for standard input.

Each vector names its preset, or a scheme of yours if --schemes gives its folder.
A valid one must verify, cover the bytes that it
says and give the same signature when it is signed again; an invalid one must
be refused. A line that cannot be read and a preset that does not exist are
failures. A valid vector that is marked lenient_target counts as skipped, not
as a failure, if its request is refused.

Exit codes: 0 all passed, 1 some failed, 2 a file cannot be read or is empty.`,
		Example: `  sealwright schemes test vectors.jsonl
  sealwright schemes test catalogue/vectors/*.jsonl
  sealwright schemes test --schemes my-schemes my-vectors.jsonl`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return fmt.Errorf("no file of vectors; see '%s --help'", cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			l, err := own.load()
			if err != nil {
				return err
			}
			t := vectorTest{stdout: cmd.OutOrStdout(), library: l, names: l.names(), presets: map[string]*scheme.Definition{}}
			for _, name := range args {
				if err := t.file(name, cmd.InOrStdin()); err != nil {
					return err
				}
			}
			return t.sum()
		},
	}
}

// vectorTest runs vectors and counts what became of them.
type vectorTest struct {
	stdout  io.Writer
	library *library
	names   []string
	presets map[string]*scheme.Definition // loaded so far

	passed, failed, skipped int

	err error // of the first write that failed
}

func (t *vectorTest) print(format string, args ...any) {
	if _, err := fmt.Fprintf(t.stdout, format, args...); t.err == nil {
		t.err = err
	}
}

func (t *vectorTest) file(name string, stdin io.Reader) error {
	if name == "-" {
		return t.lines("standard input", stdin)
	}
	f, err := os.Open(name)
	if err != nil {
		return fmt.Errorf("read vectors: %w", err)
	}
	defer f.Close()
	return t.lines(name, f)
}

// lines runs the vectors of one file. Empty lines are ignored.
func (t *vectorTest) lines(name string, r io.Reader) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxVector)
	n, found := 0, false
	for lines.Scan() {
		n++
		if line := bytes.TrimSpace(lines.Bytes()); len(line) > 0 {
			found = true
			t.count(fmt.Sprintf("%s:%d", name, n), line)
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read vectors in %s after line %d: %w", name, n, err)
	}
	if !found {
		return fmt.Errorf("no vectors in %s", name)
	}
	return nil
}

func (t *vectorTest) count(place string, line []byte) {
	v, err := scheme.ParseVector(line)
	if v.ID != "" {
		place += ": " + v.ID
	}
	if err == nil {
		err = t.run(&v)
	}
	var skip skipError
	switch {
	case err == nil:
		t.passed++
		return
	case errors.As(err, &skip):
		t.skipped++
		place += ": skipped"
	default:
		t.failed++
	}
	t.print("%s\n", terminal.Printable(place+": "+err.Error()))
}

// skipError says why a vector with an unusual target was refused.
type skipError struct{ error }

func (t *vectorTest) run(v *scheme.Vector) error {
	d, err := t.preset(v.Preset)
	if err != nil {
		return err
	}
	s, err := d.New(v.Params)
	if err != nil {
		return err
	}
	err = v.Run(s)
	if err != nil && v.LenientTarget && v.Expect == "valid" {
		return skipError{err}
	}
	return err
}

func (t *vectorTest) preset(name string) (*scheme.Definition, error) {
	if d := t.presets[name]; d != nil {
		return d, nil
	}
	if !slices.Contains(t.names, name) {
		return nil, fmt.Errorf("unknown preset %q", name)
	}
	d, err := t.library.named(name)
	if err != nil {
		return nil, err
	}
	t.presets[name] = d
	return d, nil
}

// sum prints the counts. It returns [errNotValid] if a vector failed.
func (t *vectorTest) sum() error {
	t.print("%d passed, %d failed", t.passed, t.failed)
	if t.skipped > 0 {
		t.print(", %d skipped", t.skipped)
	}
	t.print("\n")
	if t.err == nil && t.failed > 0 {
		return errNotValid
	}
	return t.err
}
