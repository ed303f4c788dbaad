package server

import (
	"fmt"
	"strings"
)

// ConfigError is one fault of a configuration.
type ConfigError struct {
	File    string // empty if it is of no file
	Line    int    // 0 if there is none
	Setting string // such as kms.provider; empty if it is of none
	Err     error  // holds no secret
}

// Error returns the place, the setting and what is wrong.
func (e ConfigError) Error() string {
	var b strings.Builder
	if e.Line > 0 {
		fmt.Fprintf(&b, "%s line %d: ", e.File, e.Line)
	} else if e.Setting == "" && e.File != "" {
		fmt.Fprintf(&b, "%s: ", e.File)
	}
	if e.Setting != "" {
		b.WriteString(e.Setting + ": ")
	}
	b.WriteString(e.Err.Error())
	return b.String()
}

// Unwrap returns what is wrong.
func (e ConfigError) Unwrap() error { return e.Err }

// ConfigErrors are all faults of a configuration, one or more.
type ConfigErrors []ConfigError

// Error returns the faults, one a line.
func (list ConfigErrors) Error() string {
	lines := make([]string, len(list))
	for i, e := range list {
		lines[i] = e.Error()
	}
	return strings.Join(lines, "\n")
}

// EffectiveSetting is what holds for one setting.
type EffectiveSetting struct {
	Name  string `json:"name"`  // such as keys.grace
	Value string `json:"value"` // as a file has it; of a secret its name
	From  string `json:"from"`  // default, or line 7
}

// CheckFile returns nil if the configuration file at path can be used. The
// error is a [ConfigErrors] with all faults of the file, unless it cannot be
// read.
func CheckFile(path string) error {
	_, err := ReadFile(path)
	return err
}

// ReadFile is [CheckFile] that returns what holds with the file at path and no
// flags, in the order of the documentation. It opens nothing that the file
// names. An empty path is a server without a file.
func ReadFile(path string) ([]EffectiveSetting, error) {
	var s settings
	_, err := Config{ConfigFile: path}.resolveInto(&s)
	return s.effective, err
}
