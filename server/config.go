package server

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/server/internal/inventory"
	"github.com/sealwright/sealwright/server/internal/oidc"
	"github.com/sealwright/sealwright/server/internal/tlsfiles"
)

// Config says how a server runs. The zero value works: it serves on
// 127.0.0.1:8470 with its data in ./data. A field that is set here counts more
// than the same field of the file.
type Config struct {
	ConfigFile string // YAML, see [File]; empty means none

	Listen     string // host:port; port 0 takes a free one; default 127.0.0.1:8470
	GRPCListen string // as Listen, of the gRPC API; empty (default) for none
	Data       string // folder, made if it is not there; default ./data
	Store      string // sqlite (default) in Data, sqlite:PATH, postgres://HOST/DATABASE, or memory, which forgets all keys at the end
	Schemes    string // folder of schemes beside the presets; empty means none

	LogLevel  string // debug, info (default), warn or error
	LogFormat string // json, text, or auto (default): text on a terminal
	Body      int64  // bytes of the body of a control operation; default 1 MiB
	BatchBody int64  // bytes of the JSON body of sign, verify and requests; default 16 MiB
	Items     int    // of a batch; default 1,000

	Diagnosis    time.Duration // how long one may take, 10 ms to 30 s; default 2 s
	Rejections   int           // rejected requests that are kept in memory; default 0: none
	RejectedBody int64         // bytes of their bodies; default 64 KiB

	Version string            // of the program; default devel
	Stdout  io.Writer         // for the person who starts it; nil means os.Stdout
	Stderr  io.Writer         // for the log; nil means os.Stderr
	Ready   func(addr string) // called once with the address when requests are answered; nil means nothing

	// GRPCReady is Ready of the gRPC API, and is called before it.
	GRPCReady func(addr string)

	kms     kmsConfig // of the file only, like the next
	keys    keysConfig
	cluster clusterConfig
	sources sourcesConfig
	limits  limitsConfig
	redis   redisConfig
	data    inventory.Options
	replay  replayConfig
	proxies []netip.Prefix
	issuers []oidc.Config
	login   *loginConfig    // nil if nobody can log in
	tls     tlsfiles.Config // without Cert it is off
	secure  secure          // of tls, once Run has opened it
}

// Bounds and defaults of the settings.
const (
	defaultListen = "127.0.0.1:8470"
	defaultData   = "./data"
	minBody       = 1 << 10
	maxBody       = 64 << 20
	maxItems      = 10_000

	minDiagnosis     = 10 * time.Millisecond
	maxDiagnosis     = 30 * time.Second
	maxRejections    = 10_000
	maxRejectedBody  = 1 << 20
	maxRejectedBytes = 1 << 30 // of all rejections together
)

// File is the form of the configuration file. Every member may be missing or
// empty.
// Sizes are bytes, or a number with KiB or MiB; times are those of
// [api.ParseDuration].
//
//	listen: 127.0.0.1:8470
//	grpc_listen: 127.0.0.1:8471
//	data: ./data
//	store: sqlite
//	schemes: ./schemes
//	trusted_proxies: 127.0.0.1, 10.1.0.0/16
//	log:
//	  level: info
//	  format: auto
//	limits:
//	  body: 1MiB
//	  batch_body: 16MiB
//	  items: 1000
//	  diagnosis: 2s
//	  concurrency: 1024
//	  queue: 1024
//	  connections: 200
//	rejections:
//	  keep: 0
//	  body: 64KiB
//	keys:
//	  grace: 7d
//	  destroy_wait: 7d
//	  promote_after: 5m
//	  serve_without_kms: 24h
//	cluster:
//	  stale_after: 15m
//	replay:
//	  mode: barrier
//	  past: 5m
type File struct {
	Listen     Setting `yaml:"listen"`
	GRPCListen Setting `yaml:"grpc_listen"`
	Data       Setting `yaml:"data"`
	Store      Setting `yaml:"store"`
	Schemes    Setting `yaml:"schemes"`
	Proxies    Setting `yaml:"trusted_proxies"` // addresses and networks, with commas between them
	Log        struct {
		Level  Setting `yaml:"level"`
		Format Setting `yaml:"format"`
	} `yaml:"log"`
	Limits     LimitsFile `yaml:"limits"`
	Rejections struct {
		Keep Setting `yaml:"keep"`
		Body Setting `yaml:"body"`
	} `yaml:"rejections"`
	Keys    KeysFile     `yaml:"keys"`
	Cluster ClusterFile  `yaml:"cluster"`
	KMS     KMSFile      `yaml:"kms"`
	Sources SourcesFile  `yaml:"sources"`
	Redis   RedisFile    `yaml:"redis"`
	Replay  ReplayFile   `yaml:"replay"`
	OIDC    []IssuerFile `yaml:"oidc"`
	Login   LoginFile    `yaml:"login"`
	TLS     TLSFile      `yaml:"tls"`

	Catalogue CatalogueFile `yaml:"data_catalogue"`
}

// Setting is one value of a [File] with the line where it stands, 0 if it is
// missing.
type Setting struct {
	Text string
	Line int
}

// UnmarshalYAML reads a text or a number. YAML leaves it out for null.
func (s *Setting) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind != yaml.ScalarNode {
		return &yaml.TypeError{Errors: []string{fmt.Sprintf("line %d: want a text or a number", n.Line)}}
	}
	s.Text, s.Line = n.Value, n.Line
	return nil
}

// resolve fills in the file and the defaults, and checks every setting. The
// error has all faults, one a line.
func (c Config) resolve() (Config, error) { return c.resolveInto(new(settings)) }

func (c Config) resolveInto(s *settings) (Config, error) {
	s.file = c.ConfigFile
	f, err := s.read()
	if err != nil {
		return c, err
	}
	c.Listen = s.text("listen", c.Listen, f.Listen, defaultListen)
	s.check("listen", f.Listen, checkAddress(c.Listen))
	if c.GRPCListen = s.text("grpc_listen", c.GRPCListen, f.GRPCListen, ""); c.GRPCListen != "" {
		s.check("grpc_listen", f.GRPCListen, checkAddress(c.GRPCListen))
	}
	c.Data = s.text("data", c.Data, f.Data, defaultData)
	c.Store = s.text("store", c.Store, f.Store, "sqlite")
	_, err = parsePlace(c.Store, c.Data)
	s.check("store", f.Store, err)
	c.Schemes = s.text("schemes", c.Schemes, f.Schemes, "")
	c.proxies, err = parseProxies(s.text("trusted_proxies", "", f.Proxies, ""))
	s.check("trusted_proxies", f.Proxies, err)
	c.LogLevel = s.choice("log.level", c.LogLevel, f.Log.Level, "info", "debug", "warn", "error")
	c.LogFormat = s.choice("log.format", c.LogFormat, f.Log.Format, "auto", "json", "text")
	c.Body = s.number("limits.body", c.Body, f.Limits.Body, 1<<20, minBody, maxBody)
	c.BatchBody = s.number("limits.batch_body", c.BatchBody, f.Limits.BatchBody, 16<<20, minBody, maxBody)
	c.Items = int(s.number("limits.items", int64(c.Items), f.Limits.Items, 1000, 1, maxItems))
	c.Diagnosis = s.duration("limits.diagnosis", c.Diagnosis, f.Limits.Diagnosis, 2*time.Second, minDiagnosis, maxDiagnosis)
	c.Rejections = int(s.number("rejections.keep", int64(c.Rejections), f.Rejections.Keep, 0, 0, maxRejections))
	c.RejectedBody = s.number("rejections.body", c.RejectedBody, f.Rejections.Body, 64<<10, minBody, maxRejectedBody)
	if total := int64(c.Rejections) * c.RejectedBody; total > maxRejectedBytes {
		s.check("rejections.keep", f.Rejections.Keep, fmt.Errorf("got %d of %d bytes, want at most %d bytes together", c.Rejections, c.RejectedBody, maxRejectedBytes))
	}
	c.keys = s.keys(c.keys, f.Keys)
	c.cluster = s.cluster(c.cluster, f.Cluster)
	c.limits = s.limits(f.Limits)
	c.redis = s.redis(f.Redis)
	c.data = s.catalogue(f.Catalogue)
	c.replay = s.replay(f.Replay, c.redis.url != "")
	c.kms = s.kms(f.KMS)
	c.sources = s.sources(f.Sources)
	c.issuers = s.issuers(f.OIDC)
	c.login = s.login(f.Login)
	c.tls = s.tls(f.TLS)
	if c.kms.watch > c.keys.kmsAway && len(s.errs) == 0 {
		s.check("kms.watch", f.KMS.Watch, fmt.Errorf("got %s, want at most keys.serve_without_kms, %s",
			api.FormatDuration(c.kms.watch), api.FormatDuration(c.keys.kmsAway)))
	}
	if c.Version == "" {
		c.Version = "devel"
	}
	if c.Stdout == nil {
		c.Stdout = os.Stdout
	}
	if c.Stderr == nil {
		c.Stderr = os.Stderr
	}
	if len(s.errs) > 0 {
		return c, s.errs
	}
	return c, nil
}

// read reads the file, if there is one.
func (s *settings) read() (File, error) {
	if s.file == "" {
		return File{}, nil
	}
	text, err := os.ReadFile(s.file)
	if err != nil {
		return File{}, fmt.Errorf("read configuration: %w", err)
	}
	f, err := parseFile(text)
	if err == nil {
		return f, nil
	}
	for line := range strings.SplitSeq(err.Error(), "\n") {
		e := ConfigError{File: s.file, Err: errors.New(line)}
		if at := atLine.FindStringSubmatch(line); at != nil {
			e.Line, _ = strconv.Atoi(at[1]) // digits
			e.Err = errors.New(at[2])
		}
		s.errs = append(s.errs, e)
	}
	return File{}, s.errs
}

// atLine is how the decoder says where an error is.
var atLine = regexp.MustCompile(`^line ([0-9]{1,9}): (.*)$`)

// parseFile reads YAML strictly: unknown and repeated names are errors.
func parseFile(text []byte) (File, error) {
	var f File
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	err := d.Decode(&f)
	if err == io.EOF { // nothing but comments
		return f, nil
	}
	if err == nil {
		if err := d.Decode(new(yaml.Node)); err != io.EOF {
			return f, errors.New("more than one document")
		}
		return f, nil
	}
	var list *yaml.TypeError
	if !errors.As(err, &list) {
		return f, errors.New(strings.TrimPrefix(err.Error(), "yaml: "))
	}
	var errs []error
	for _, text := range list.Errors {
		errs = append(errs, errors.New(goType.ReplaceAllString(text, "")))
	}
	return f, errors.Join(errs...)
}

// goType is what the decoder tells of types of this program.
var goType = regexp.MustCompile(` (in type|into) .*$`)

// settings collects what holds and what is wrong.
type settings struct {
	file      string
	errs      ConfigErrors
	effective []EffectiveSetting
}

// check notes err, with the place of the setting if it came from the file.
func (s *settings) check(name string, from Setting, err error) {
	if err == nil {
		return
	}
	e := ConfigError{Setting: name, Err: err}
	if from.Line > 0 {
		e.File, e.Line = s.file, from.Line
	}
	s.errs = append(s.errs, e)
}

// holds notes what holds for a setting, unless that is nothing.
func (s *settings) holds(name, value string, from Setting) {
	if value == "" {
		return
	}
	e := EffectiveSetting{Name: name, Value: value, From: "default"}
	if from.Line > 0 {
		e.From = fmt.Sprintf("line %d", from.Line)
	}
	s.effective = append(s.effective, e)
}

// text returns the first value that is set: the caller's, the file's, the
// default.
func (s *settings) text(name, set string, from Setting, fallback string) string {
	v := from.Text
	switch {
	case set != "":
		v = set
	case from.Line == 0:
		v = fallback
	case from.Text == "":
		s.check(name, from, errors.New("is empty"))
	}
	s.holds(name, v, from)
	return v
}

// choice is text with one of a few values, the first of which is the default.
func (s *settings) choice(name, set string, from Setting, values ...string) string {
	v := s.text(name, set, from, values[0])
	if !slices.Contains(values, v) {
		s.check(name, from, fmt.Errorf("got %q, want one of %s", v, strings.Join(values, ", ")))
	}
	return v
}

func (s *settings) number(name string, set int64, from Setting, fallback, least, most int64) int64 {
	return bounded(s, name, set, from, fallback, least, most, parseSize, func(n int64) string { return strconv.FormatInt(n, 10) })
}

func (s *settings) duration(name string, set time.Duration, from Setting, fallback, least, most time.Duration) time.Duration {
	return bounded(s, name, set, from, fallback, least, most, func(text string) (time.Duration, error) {
		d, err := api.ParseDuration(text)
		if err != nil {
			return d, fmt.Errorf("got %q, %w", text, err)
		}
		return d, nil
	}, api.FormatDuration)
}

// bounded returns the caller's number, the file's, or the default, which must
// be from least to most.
func bounded[T int64 | time.Duration](s *settings, name string, set T, from Setting, fallback, least, most T,
	parse func(string) (T, error), format func(T) string,
) T {
	n := set
	switch {
	case set != 0:
	case from.Line == 0:
		n = fallback
	default:
		var err error
		if n, err = parse(from.Text); err != nil {
			s.check(name, from, err)
			return fallback
		}
	}
	if n < least || n > most {
		s.check(name, from, fmt.Errorf("got %s, want %s to %s", format(n), format(least), format(most)))
	}
	s.holds(name, format(n), from)
	return n
}

func parseSize(text string) (int64, error) {
	digits, factor := text, int64(1)
	for unit, f := range map[string]int64{"KiB": 1 << 10, "MiB": 1 << 20} {
		if d, ok := strings.CutSuffix(text, unit); ok {
			digits, factor = strings.TrimSpace(d), f
		}
	}
	n, err := strconv.ParseUint(digits, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("got %q, want a number, or one with KiB or MiB", text)
	}
	return int64(n) * factor, nil
}

func checkAddress(listen string) error {
	_, port, err := net.SplitHostPort(listen)
	if err != nil {
		return fmt.Errorf("got %q, want host:port", listen)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || strconv.FormatUint(n, 10) != port {
		return fmt.Errorf("got port %q, want 0 to 65535", port)
	}
	return nil
}

func (c Config) level() slog.Level {
	return map[string]slog.Level{
		"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError,
	}[c.LogLevel]
}

// text reports whether the log is for people.
func (c Config) text() bool {
	if c.LogFormat != "auto" {
		return c.LogFormat == "text"
	}
	f, ok := c.Stderr.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
