package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/cmd/sealwright/internal/rawhttp"
	"github.com/sealwright/sealwright/keyring"
)

// jobFlags are the flags that sign and verify share.
type jobFlags struct {
	library     libraryFlag
	scheme      string
	secretFiles []string
	keyID       string
	params      []string
	now         string
	request     string
}

// job is what sign and verify work with.
type job struct {
	scheme  sealwright.Scheme
	ring    *keyring.Ring
	now     time.Time
	request rawhttp.Request
}

func (f *jobFlags) add(cmd *cobra.Command, secretFile string) {
	flags := cmd.Flags()
	f.library.add(cmd)
	flags.StringVar(&f.scheme, "scheme", "", "`NAME` of a scheme, or FILE.json with a definition")
	flags.StringArrayVar(&f.secretFiles, "secret-file", nil, secretFile)
	flags.StringVar(&f.keyID, "key-id", "", "`ID` under which the secret is known, where the scheme carries one")
	flags.StringArrayVar(&f.params, "param", nil, "parameter of the scheme as `NAME=VALUE`; repeat it for more, also for a list")
	flags.StringVar(&f.now, "now", "", "`TIME` to work at, in Unix seconds or RFC 3339 (default the current time)")
	flags.StringVar(&f.request, "request", "", "`FILE` with the raw HTTP request, - for standard input")
}

// load reads everything that the flags name. The secrets become the versions
// 1 to n of one key, of which at most most are allowed.
func (f *jobFlags) load(stdin io.Reader, stderr io.Writer, most int) (job, error) {
	var j job
	definition, err := f.library.definition(f.scheme)
	if err != nil {
		return j, err
	}
	params, err := parseParams(f.params)
	if err != nil {
		return j, err
	}
	if j.scheme, err = definition.New(params); err != nil {
		return j, err
	}
	if j.now, err = parseInstant(f.now, time.Now()); err != nil {
		return j, err
	}
	if j.ring, err = f.ring(stderr, most); err != nil {
		return j, err
	}
	j.request, err = readRequest(f.request, stdin)
	return j, err
}

func (f *jobFlags) ring(stderr io.Writer, most int) (*keyring.Ring, error) {
	if len(f.secretFiles) == 0 {
		return nil, errors.New("no secret: put it in a file and give --secret-file FILE")
	}
	if len(f.secretFiles) > most {
		return nil, fmt.Errorf("--secret-file: got %d, want at most %d", len(f.secretFiles), most)
	}
	var keys []keyring.Key
	for i, name := range f.secretFiles {
		s, err := readSecret(name, stderr)
		if err != nil {
			return nil, err
		}
		keys = append(keys, keyring.Key{ID: f.keyID, Version: i + 1, Secret: s})
	}
	return keyring.New(keys...)
}
