package local

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server/internal/fault"
)

const maxFile = 64 << 10 // bytes

const header = "# Root keys of sealwright: 32 bytes in base64 a line, the last one wraps. Losing them loses every key.\n"

// Load reads the root keys of the file at path, which nobody but its owner and
// group may read or change. The chain of the error has [fs.ErrNotExist] if
// there is no file.
func Load(path string) (*Wrapper, error) {
	w := &Wrapper{path: path}
	if err := w.Reload(); err != nil {
		return nil, err
	}
	return w, nil
}

// Parse returns a wrapper with the root keys in text, which has the form of the
// file. It does not change: [Wrapper.Reload] does nothing. In errors place says
// where the text is from.
func Parse(place string, text secret.Bytes) (*Wrapper, error) {
	keys, err := parse(text.Expose())
	if err != nil {
		return nil, fault.New(fault.Unavailable, "root key in %s: %v", place, err)
	}
	w := &Wrapper{path: place, fixed: true}
	w.keys.Store(&keys)
	return w, nil
}

// Reload reads the file again. On an error the wrapper keeps the keys it has.
func (w *Wrapper) Reload() error {
	if w.fixed {
		return nil
	}
	text, err := read(w.path)
	if err != nil {
		return err
	}
	defer clear(text)
	keys, err := parse(text)
	if err != nil {
		return fault.New(fault.Unavailable, "root key file %s: %v", w.path, err)
	}
	w.keys.Store(&keys)
	return nil
}

func read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fault.New(fault.Unavailable, "root key file %s cannot be read", path).Because(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fault.New(fault.Unavailable, "root key file %s cannot be read", path).Because(err)
	}
	if mode := info.Mode(); !mode.IsRegular() || mode.Perm()&0o007 != 0 {
		return nil, fault.New(fault.Unavailable, "root key file %s has mode %v, want a file closed to others, such as 0600", path, mode)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fault.New(fault.Unavailable, "root key file %s cannot be read", path).Because(err)
	}
	if len(text) > maxFile {
		return nil, fault.New(fault.Unavailable, "root key file %s has more than %d bytes", path, maxFile)
	}
	return text, nil
}

// LoadOrCreate is [Load], but makes a file with one random root key if there
// is none and used is empty. used holds the IDs of the root keys that the
// store was made with; while it has any, a missing file is an error, since a
// new root key would open nothing.
func LoadOrCreate(path string, used []string) (*Wrapper, error) {
	w, err := Load(path)
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return w, err
	}
	if len(used) > 0 {
		return nil, fault.New(fault.Unavailable, "root key file %s is missing, the store was made with root key %s: put the file back",
			path, strings.Join(used, " and ")).Because(fs.ErrNotExist)
	}
	if err := create(path); err != nil {
		return nil, err
	}
	return Load(path)
}

// create links the complete file to its name, so that it replaces nothing.
func create(path string) error {
	temp, err := writeTemp(path, append([]byte(header), randomLine()...))
	if err != nil {
		return err
	}
	defer os.Remove(temp)
	if err := os.Link(temp, path); err != nil {
		return fmt.Errorf("create root key file: %w", err)
	}
	return syncDir(path)
}

// Add appends a random root key to the file at path and returns its ID. The
// file has either its old or its new content, also after a crash. Two Adds at
// the same time may lose one of the two keys: only one may run.
func Add(path string) (keyID string, err error) {
	text, err := read(path)
	if err != nil {
		return "", err
	}
	defer clear(text)
	if _, err := parse(text); err != nil {
		return "", fault.New(fault.Unavailable, "root key file %s: %v", path, err)
	}
	if text[len(text)-1] != '\n' {
		text = append(text, '\n')
	}
	text = append(text, randomLine()...)
	keys, err := parse(text)
	if err != nil {
		return "", fault.New(fault.Unavailable, "root key file %s cannot take another key: %v", path, err)
	}
	temp, err := writeTemp(path, text)
	if err != nil {
		return "", err
	}
	if err := os.Rename(temp, path); err != nil {
		return "", fmt.Errorf("replace root key file: %w", errors.Join(err, os.Remove(temp)))
	}
	return keys[len(keys)-1].id, syncDir(path)
}

func randomLine() []byte {
	line := base64.StdEncoding.AppendEncode(nil, secret.Random(KeySize).Expose())
	return append(line, '\n')
}

// writeTemp stores text in a new file beside path, with mode 0600, and waits
// until it is on the disk.
func writeTemp(path string, text []byte) (name string, err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".root-key-*")
	if err != nil {
		return "", fmt.Errorf("write root key file: %w", err)
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return "", fmt.Errorf("write root key file: %w", errors.Join(err, os.Remove(f.Name())))
	}
	return f.Name(), nil
}

// syncDir waits until the name of the file at path is on the disk.
func syncDir(path string) error {
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("sync folder of root key file: %w", err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("sync folder of root key file: %w", err)
	}
	return nil
}
