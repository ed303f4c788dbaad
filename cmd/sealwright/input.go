package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/sealwright/sealwright/cmd/sealwright/internal/rawhttp"
	"github.com/sealwright/sealwright/cmd/sealwright/internal/terminal"
	"github.com/sealwright/sealwright/secret"
)

// Greatest sizes of files in bytes.
const (
	maxRequest = 64 << 20
	maxSecret  = 64 << 10
	maxScheme  = 1 << 20
)

// readFile reads a file of at most limit bytes; what says in errors what it is.
func readFile(what, name string, limit int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", what, err)
	}
	defer f.Close()
	return readAll(what+" "+name, f, limit)
}

func readAll(what string, r io.Reader, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", what, err)
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("%s has more than %d bytes", what, limit)
	}
	return data, nil
}

// readRequest reads a raw HTTP request from the file, or from stdin for "-".
func readRequest(name string, stdin io.Reader) (rawhttp.Request, error) {
	data, name, err := requestData(name, stdin)
	if err != nil {
		return rawhttp.Request{}, err
	}
	r, err := rawhttp.Parse(data)
	if err != nil {
		return rawhttp.Request{}, fmt.Errorf("request in %s: %w", name, err)
	}
	return r, nil
}

// requestData returns what is in the file, or on stdin for "-", and how to call
// that in errors.
func requestData(name string, stdin io.Reader) (data []byte, place string, err error) {
	switch name {
	case "":
		return nil, "", errors.New("no request: give --request FILE, or --request - to read it from standard input")
	case "-":
		name = "standard input"
		data, err = readAll(name, stdin, maxRequest)
	default:
		data, err = readFile("request", name, maxRequest)
	}
	return data, name, err
}

// readSecret reads a secret from a file. It drops one final line end, which
// editors add, and says so on stderr. A file of nothing or of blanks holds no
// secret.
func readSecret(name string, stderr io.Writer) (secret.Bytes, error) {
	data, err := readFile("secret", name, maxSecret)
	if err != nil {
		return secret.Bytes{}, err
	}
	defer clear(data)
	text, dropped := cutLineEnd(data)
	if len(bytes.TrimSpace(text)) == 0 {
		return secret.Bytes{}, fmt.Errorf("secret in %s is empty", name)
	}
	if dropped {
		fmt.Fprintf(stderr, "sealwright: dropped the final newline of %s\n", terminal.Printable(name))
	}
	return secret.New(text), nil
}

// cutLineEnd returns b without one final line end, LF or CR LF.
func cutLineEnd(b []byte) ([]byte, bool) {
	text, dropped := bytes.CutSuffix(b, []byte("\n"))
	if dropped {
		text, _ = bytes.CutSuffix(text, []byte("\r"))
	}
	return text, dropped
}
