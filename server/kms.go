package server

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server/internal/custody"
	"github.com/sealwright/sealwright/server/internal/kms"
	"github.com/sealwright/sealwright/server/internal/kms/awskms"
	"github.com/sealwright/sealwright/server/internal/kms/gcpkms"
	"github.com/sealwright/sealwright/server/internal/kms/local"
	"github.com/sealwright/sealwright/server/internal/kms/pkcs11"
	"github.com/sealwright/sealwright/server/internal/kms/transit"
)

// localProvider is the root key in a file, which has no name in key IDs.
const localProvider = "local"

// KMSFile says where the root keys and native keys are. Provider wraps; the
// sections of others are needed while there are data keys that they have
// wrapped, and for native keys, for which they need no key. Secrets are named,
// as env:NAME, file:PATH or cred:NAME.
type KMSFile struct {
	Provider Setting `yaml:"provider"`
	Watch    Setting `yaml:"watch"` // how often the provider is tried
	Local    struct {
		File Setting `yaml:"file"` // path or cred:NAME; missing means root.key in the data folder, made if it is not there
		Key  Setting `yaml:"key"`  // env:NAME with what would be in the file
	} `yaml:"local"`
	AWS struct {
		Key      Setting `yaml:"key"`
		Region   Setting `yaml:"region"`
		Endpoint Setting `yaml:"endpoint"`
	} `yaml:"awskms"`
	GCP struct {
		Key Setting `yaml:"key"`
	} `yaml:"gcpkms"`
	Transit struct {
		Address   Setting `yaml:"address"`
		Namespace Setting `yaml:"namespace"`
		Mount     Setting `yaml:"mount"`
		Key       Setting `yaml:"key"`
		CAFile    Setting `yaml:"ca_file"`
		Token     Setting `yaml:"token"`
	} `yaml:"transit"`
	PKCS11 struct {
		Module Setting `yaml:"module"`
		Token  Setting `yaml:"token"`
		PIN    Setting `yaml:"pin"`
		Key    Setting `yaml:"key"`
	} `yaml:"pkcs11"`
}

// kmsConfig is a KMSFile that was checked.
type kmsConfig struct {
	provider string
	watch    time.Duration
	file     string          // of root keys; empty means that of the data folder
	variable string          // of the environment, with root keys instead of a file; empty means none
	sections map[string]bool // that are there
	aws      awskms.Config
	gcp      gcpkms.Config
	transit  transit.Config
	pkcs11   pkcs11.Config // without the PIN
	pin      func() (secret.Bytes, error)
}

// kms checks the settings of the key services.
func (s *settings) kms(f KMSFile) kmsConfig {
	c := kmsConfig{sections: map[string]bool{localProvider: true}}
	need := func(section, name string, from Setting) string {
		v := s.text("kms."+section+"."+name, "", from, "")
		if v == "" && from.Line == 0 && c.sections[section] {
			s.check("kms."+section+"."+name, from, errors.New("is missing"))
		}
		return v
	}
	wraps := func(section string, from Setting) string {
		if c.provider != section {
			return s.text("kms."+section+".key", "", from, "")
		}
		return need(section, "key", from)
	}
	may := func(name string, from Setting) string { return s.text("kms."+name, "", from, "") }
	secretAt := func(section, name string, from Setting) func() (secret.Bytes, error) {
		text := need(section, name, from)
		if text == "" {
			return nil
		}
		read, err := reference(text)
		s.check("kms."+section+"."+name, from, err)
		return read
	}
	c.provider = s.choice("kms.provider", "", f.Provider, localProvider, awskms.Name, gcpkms.Name, transit.Name, pkcs11.Name)
	var err error
	c.file, err = credential(may("local.file", f.Local.File))
	s.check("kms.local.file", f.Local.File, err)
	c.variable, err = variable(may("local.key", f.Local.Key))
	if err == nil && c.variable != "" && f.Local.File.Line > 0 {
		err = errors.New("want either this or kms.local.file")
	}
	s.check("kms.local.key", f.Local.Key, err)
	c.watch = s.duration("kms.watch", 0, f.Watch, defaultWatch, minWatch, maxWatch)
	for name, isThere := range map[string]bool{
		awskms.Name: f.AWS != KMSFile{}.AWS, gcpkms.Name: f.GCP != KMSFile{}.GCP,
		transit.Name: f.Transit != KMSFile{}.Transit, pkcs11.Name: f.PKCS11 != KMSFile{}.PKCS11,
	} {
		c.sections[name] = isThere || c.provider == name
	}
	c.aws = awskms.Config{Key: wraps(awskms.Name, f.AWS.Key), Region: may("awskms.region", f.AWS.Region), Endpoint: may("awskms.endpoint", f.AWS.Endpoint)}
	c.gcp = gcpkms.Config{Key: wraps(gcpkms.Name, f.GCP.Key)}
	c.transit = transit.Config{
		Address: need(transit.Name, "address", f.Transit.Address), Key: wraps(transit.Name, f.Transit.Key),
		Namespace: may("transit.namespace", f.Transit.Namespace), Mount: may("transit.mount", f.Transit.Mount),
		CAFile: may("transit.ca_file", f.Transit.CAFile), Token: secretAt(transit.Name, "token", f.Transit.Token),
	}
	c.pkcs11 = pkcs11.Config{
		Module: need(pkcs11.Name, "module", f.PKCS11.Module), Token: need(pkcs11.Name, "token", f.PKCS11.Token),
		Key: wraps(pkcs11.Name, f.PKCS11.Key),
	}
	c.pin = secretAt(pkcs11.Name, "pin", f.PKCS11.PIN)
	return c
}

// credential returns the path of the file that text names: itself, or that of a
// systemd credential.
func credential(text string) (path string, err error) {
	name, ok := strings.CutPrefix(text, "cred:")
	switch dir := os.Getenv("CREDENTIALS_DIRECTORY"); {
	case !ok:
		return text, nil
	case name == "" || name != filepath.Base(name):
		return "", errors.New("want cred: and a name without slashes")
	case dir == "":
		return "", fmt.Errorf("credential %s: CREDENTIALS_DIRECTORY is not set", name)
	default:
		return filepath.Join(dir, name), nil
	}
}

// variable returns the name of the environment variable that text names.
func variable(text string) (name string, err error) {
	name, ok := strings.CutPrefix(text, "env:")
	if text != "" && (!ok || name == "") {
		return "", errors.New("want env:NAME; a file or a credential is named by kms.local.file") // and do not show it
	}
	return name, nil
}

// rootKeyFile returns the path of the file of root keys, empty if there is none.
func (c Config) rootKeyFile() string {
	switch {
	case c.kms.variable != "":
		return ""
	case c.kms.file != "":
		return c.kms.file
	}
	return filepath.Join(c.Data, rootKeyFile)
}

// takeVariable returns the root keys in an environment variable and removes it,
// so that no process that this one starts inherits them.
func takeVariable(name string) (*local.Wrapper, error) {
	text := os.Getenv(name)
	if err := os.Unsetenv(name); err != nil {
		return nil, fmt.Errorf("remove environment variable %s: %w", name, err)
	}
	if text == "" {
		return nil, fmt.Errorf("environment variable %s, which kms.local.key names, is empty", name)
	}
	return local.Parse("env:"+name, secret.FromString(text))
}

// openFile opens the root keys in a file or in the environment. Only the file in
// the data folder is made if it is not there.
func openFile(c Config, used []string) (*local.Wrapper, error) {
	if c.kms.variable != "" {
		return takeVariable(c.kms.variable)
	}
	if c.kms.file != "" {
		return local.Load(c.kms.file)
	}
	return local.LoadOrCreate(c.rootKeyFile(), used)
}

// reference returns what reads the secret that text names. One line feed at
// the end of a file is left out.
func reference(text string) (func() (secret.Bytes, error), error) {
	kind, name, _ := strings.Cut(text, ":")
	if name == "" {
		kind = ""
	}
	switch kind {
	case "env":
		return func() (secret.Bytes, error) {
			value := os.Getenv(name)
			if value == "" {
				return secret.Bytes{}, fmt.Errorf("environment variable %s is empty", name)
			}
			return secret.FromString(value), nil
		}, nil
	case "file":
		return func() (secret.Bytes, error) { return readSecret(name) }, nil
	case "cred":
		path, err := credential(text)
		return func() (secret.Bytes, error) { return readSecret(path) }, err
	}
	return nil, errors.New("want the name of a secret: env:NAME, file:PATH or cred:NAME") // and do not show it
}

func readSecret(path string) (secret.Bytes, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return secret.Bytes{}, fmt.Errorf("read secret: %w", err)
	}
	defer clear(text)
	s := secret.New(trimLine(text))
	if s.IsZero() {
		return s, fmt.Errorf("read secret: %s is empty", path)
	}
	return s, nil
}

func trimLine(text []byte) []byte {
	if n := len(text); n > 0 && text[n-1] == '\n' {
		return text[:n-1]
	}
	return text
}

// rootKeys are the open key services.
type rootKeys struct {
	kms.Chain
	file  *local.Wrapper // nil if no data key is or will be wrapped by it
	watch *kms.Watch     // of the primary; nil if that is the file

	mu    sync.Mutex // key services for native keys are opened while the server runs
	close []func() error
}

// openRootKeys opens the provider of the configuration and those that the data
// keys with these root key IDs need, and has the former wrap something, so that
// a key service that does not work stops the start.
func openRootKeys(ctx context.Context, c Config, used []string) (*rootKeys, error) {
	r := &rootKeys{Chain: kms.Chain{ByName: map[string]kms.Wrapper{}}}
	names := []string{c.kms.provider}
	for _, id := range used {
		name := kms.Provider(id)
		if name == "" {
			name = localProvider
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	for _, name := range names {
		w, err := r.open(ctx, c, name, used)
		if err != nil {
			return nil, errors.Join(err, r.Close())
		}
		if r.Primary == nil {
			r.Primary = w
		}
		if name == localProvider {
			name = ""
		}
		r.ByName[name] = w
	}
	if c.kms.provider != localProvider {
		r.watch = &kms.Watch{Name: c.kms.provider, Wrapper: r.Chain, Every: c.kms.watch, Limit: c.keys.kmsAway}
		if err := r.watch.Try(ctx); err != nil {
			return nil, errors.Join(fmt.Errorf("try the key service %s: %w", c.kms.provider, err), r.Close())
		}
	}
	return r, nil
}

// open opens one provider.
func (r *rootKeys) open(ctx context.Context, c Config, name string, used []string) (kms.Wrapper, error) {
	if !c.kms.sections[name] {
		return nil, fmt.Errorf("the store has data keys that %s has wrapped: the configuration needs kms.%s for them", name, name)
	}
	switch name {
	case localProvider:
		file, err := openFile(c, ofFile(used))
		r.file = file
		return file, err
	case awskms.Name:
		return awskms.Open(ctx, c.kms.aws)
	case gcpkms.Name:
		w, err := gcpkms.Open(ctx, c.kms.gcp)
		if err == nil {
			r.closeLater(w.Close)
		}
		return w, err
	case transit.Name:
		return transit.Open(c.kms.transit)
	default:
		pin, err := c.kms.pin()
		if err != nil {
			return nil, err
		}
		config := c.kms.pkcs11
		config.PIN = pin
		w, err := pkcs11.Open(ctx, config)
		if err == nil {
			r.closeLater(w.Close)
		}
		return w, err
	}
}

func idsOf(uses []custody.RootKeyUse) []string {
	ids := make([]string, len(uses))
	for i, u := range uses {
		ids[i] = u.RootKeyID
	}
	return ids
}

func (r *rootKeys) closeLater(f func() error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.close = append(r.close, f)
}

// ofFile returns the IDs of root keys in a file.
func ofFile(ids []string) []string {
	return slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return kms.Provider(id) != "" })
}

// with returns the chain of r with another file.
func (r *rootKeys) with(file *local.Wrapper) kms.Chain {
	c := kms.Chain{Primary: r.Primary, ByName: map[string]kms.Wrapper{}}
	for name, w := range r.ByName {
		c.ByName[name] = w
	}
	c.ByName[""] = file
	if c.Primary == kms.Wrapper(r.file) {
		c.Primary = file
	}
	return c
}

// Wrap is that of the chain. While the key service is known to be away it fails
// at once.
func (r *rootKeys) Wrap(ctx context.Context, plain secret.Bytes, aad []byte) (blob []byte, keyID string, err error) {
	if r.watch != nil {
		return r.watch.Wrap(ctx, plain, aad)
	}
	return r.Chain.Wrap(ctx, plain, aad)
}

// Close closes the providers.
func (r *rootKeys) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var errs []error
	for _, f := range r.close {
		errs = append(errs, f())
	}
	return errors.Join(errs...)
}
