// Package floors holds the module to its architecture: which package may import
// which, who may see key material, where tags are compared, and how large and
// how well described things are.
//
// The rules are in [House], with every exception and its reason. They are
// checked by the test of this package, so a change that breaks one does not
// pass "go test".
//
// It reads syntax only, with go/parser, and therefore sees names and not types:
// a call of any method named Expose counts. Test files may import and call what
// they like; only tests that count allocations have a rule.
package floors

// Group is a floor of the house, or several that may use each other. A package
// imports only from lower groups; of ground, doors, nouns and top also from its
// own. Go itself forbids cycles.
type Group int

// The groups from the bottom up.
const (
	Ground   Group = iota + 1 // public and pure: standard library only, no I/O, no clock
	Doors                     // public: what users plug in, standard library only
	Nouns                     // nouns and rules of the server, pure
	Services                  // decide; do not know each other
	Adapters                  // translate; do not know each other
	Top                       // joins adapters to services; commands
)

var groupNames = [...]string{Ground: "ground", Doors: "doors", Nouns: "nouns", Services: "services", Adapters: "adapters", Top: "top"}

// String returns the name of the group.
func (g Group) String() string { return groupNames[g] }

// mayImport reports whether a package of g may import one of h.
func (g Group) mayImport(h Group) bool {
	return h < g || h == g && g != Services && g != Adapters
}

// Rules say what a module allows. Packages are named by their path below the
// module, its root by ".". Every exception has its reason as the value; one
// that is not needed is reported, so that the lists stay true.
type Rules struct {
	Module string // import path
	Groups map[string]Group

	Imports    map[string]string // "package import": imports that the group forbids
	Expose     map[string]string // package: may call secret.Bytes.Expose
	Tags       map[string]string // package: may compute and compare tags with the standard library
	Inits      map[string]string // package: may have func init
	Vars       map[string]string // "package.Name": package variables that change
	Interfaces map[string]string // "package.Name": interfaces of more than 4 methods
	Large      map[string]string // package: may have more than 2,000 lines of code
	Generated  map[string]string // package: has files that a generator wrote, which keep to no rule but that of the floor
}

// Budgets of the house, in lines and methods. Lines of a package are those of
// code: comments are wanted.
const (
	maxFunction  = 100  // lines from func to the closing brace
	p90Function  = 40   // nine of ten functions have at most as many
	maxPackage   = 2000 // lines of code of a package without its tests
	maxInterface = 4    // methods
)

// forbiddenNames are package names that say nothing about what is inside.
var forbiddenNames = []string{"util", "utils", "common", "type", "types", "manager", "managers", "helper", "helpers", "misc", "base"}

// House returns the rules of this module. A new package gets a line in groups.
func House() Rules {
	return Rules{
		Module: "github.com/sealwright/sealwright",
		Groups: groups(),
		Imports: map[string]string{
			"secret log/slog": "implements slog.LogValuer, so that loggers print no secret; it logs nothing",
		},
		Expose: map[string]string{
			"secret":                            "is the package itself",
			"mac":                               "gives the key to HMAC",
			"scheme":                            "decodes and derives keys, and writes the secret where a wire format signs it",
			"scheme/jws":                        "decodes keys",
			"scheme/oauth1":                     "joins the secret with that of the token",
			"scheme/rfc9421":                    "decodes keys",
			"scheme/sharedkey":                  "decodes keys",
			"scheme/sigv4":                      "derives the key of the day from prefix and secret",
			"doctor":                            "tries other readings of a secret",
			"server/internal/custody":           "encrypts key versions",
			"server/internal/tenant":            "makes tokens and hashes them",
			"server/internal/idempotency":       "encrypts answers",
			"server/internal/kms/awskms":        "sends data keys to be wrapped",
			"server/internal/kms/transit":       "sends data keys to be wrapped, and the token",
			"server/internal/kms/gcpkms":        "sends data keys to be wrapped",
			"server/internal/kms/kmstest":       "compares what was unwrapped",
			"server/internal/kms":               "compares what was unwrapped",
			"server/internal/kms/pkcs11":        "wraps data keys, and logs in with the PIN",
			"server/internal/kms/local":         "wraps data keys, and writes the root key to its file",
			"server/internal/source":            "decodes secrets as they are kept elsewhere",
			"server/internal/source/sourcetest": "compares what was read",
			"server/internal/source/vaultkv":    "sends the token",
			"server/internal/inventory":         "sends the token",
			"server/internal/cluster/redis":     "sends the password",
			"server/internal/session":           "sets the cookies of sessions",
			"server/internal/oidc":              "sends the secret of the client",
			"server/internal/rest":              "reveals keys that were created as exportable, and shows new credentials once",
			"server":                            "prints the admin token once, and answers with exchanged tokens",
			"server/internal/authn":             "hashes the admin token and writes it to its file",
			"server/servertest":                 "sends the admin token",
			"client":                            "sends the token or signs with the credential, and imports the material of a key",
			"cmd/sealwright":                    "imports the material of a key",
			"cmd/sealwright/internal/client":    "writes a new credential to its file",
			"internal/floors":                   "has a list of this name",
		},
		Tags: map[string]string{
			"mac": "the one place that computes and compares tags, in constant time (A04)",
		},
		Inits: map[string]string{},
		Vars:  map[string]string{},
		Interfaces: map[string]string{
			"server/internal/store/storetest.Store": "is what one database promises to all services together; each of them declares the part that it uses",
		},
		Large: map[string]string{
			"scheme":                  "is one compiler, whose parts share the compiled form",
			"server/internal/custody": "is one life, of which every step is one commit of the same document",
			"doctor":                  "is one search, whose hypotheses share what was tried",
			"server":                  "reads every setting with its place, and joins all adapters",
			"server/internal/rest":    "has its own decoder and encoder beside the standard ones",
		},
		Generated: map[string]string{
			"proto/sealwright/v1": "is the code that protoc-gen-go and protoc-gen-go-grpc write, with the modules that it needs",
		},
	}
}

// groups says where each package stands.
func groups() map[string]Group {
	return map[string]Group{
		"secret":           Ground,
		"mac":              Ground,
		"canon":            Ground,
		"keyring":          Ground,
		".":                Ground,
		"replay":           Ground,
		"scheme":           Ground,
		"scheme/jws":       Ground,
		"scheme/oauth1":    Ground,
		"scheme/rfc9421":   Ground,
		"scheme/sharedkey": Ground,
		"scheme/sigv4":     Ground,
		"doctor":           Ground,
		"catalogue":        Ground,

		"proto/sealwright/v1": Doors,

		"sealhttp": Doors,
		"api":      Doors,
		"client":   Doors,

		"server/internal/fault":             Nouns,
		"server/internal/access":            Nouns,
		"server/internal/operation":         Nouns,
		"server/internal/cursor":            Nouns,
		"server/internal/store":             Nouns,
		"server/internal/store/storetest":   Nouns,
		"server/internal/kms":               Nouns,
		"server/internal/limit":             Nouns,
		"server/internal/reference":         Nouns,
		"server/internal/limit/limittest":   Nouns,
		"server/internal/kms/kmstest":       Nouns,
		"server/internal/source":            Nouns,
		"server/internal/source/sourcetest": Nouns,
		"server/internal/oidc/oidctest":     Nouns,
		"server/internal/tlsfiles/tlstest":  Nouns,
		"internal/peer":                     Nouns,
		"internal/compat":                   Nouns,
		"cmd/sealwright/internal/rawhttp":   Nouns,
		"cmd/sealwright/internal/terminal":  Nouns,
		"cmd/sealwright/internal/finding":   Nouns,
		"cmd/sealwright/internal/draft":     Nouns,

		"server/internal/custody":     Services,
		"server/internal/quota":       Services,
		"server/internal/policy":      Services,
		"server/internal/follow":      Services,
		"server/internal/gate":        Services,
		"server/internal/tenant":      Services,
		"server/internal/idempotency": Services,
		"server/internal/pass":        Services,

		"server/internal/store/memory":      Adapters,
		"server/internal/store/sqlite":      Adapters,
		"server/internal/store/postgres":    Adapters,
		"server/internal/kms/local":         Adapters,
		"server/internal/kms/awskms":        Adapters,
		"server/internal/kms/transit":       Adapters,
		"server/internal/kms/gcpkms":        Adapters,
		"server/internal/kms/pkcs11":        Adapters,
		"server/internal/source/awssecrets": Adapters,
		"server/internal/source/gcpsecrets": Adapters,
		"server/internal/source/vaultkv":    Adapters,
		"server/internal/cluster/redis":     Adapters,
		"server/internal/overload":          Adapters,
		"server/internal/inventory":         Adapters,
		"server/internal/rest":              Adapters,
		"server/internal/rpc":               Adapters,
		"server/internal/authn":             Adapters,
		"server/internal/oidc":              Adapters,
		"server/internal/session":           Adapters,
		"server/internal/tlsfiles":          Adapters,
		"server/internal/telemetry":         Adapters,
		"server/internal/journal":           Adapters,

		"cmd/sealwright/internal/client":   Adapters,
		"cmd/sealwright/internal/delivery": Adapters,
		"cmd/sealwright/internal/keys":     Adapters,
		"cmd/sealwright/internal/callers":  Adapters,
		"cmd/sealwright/internal/limits":   Adapters,
		"cmd/sealwright/internal/policies": Adapters,

		"server":                        Top,
		"server/servertest":             Top,
		"cmd/sealwright":                Top,
		"cmd/sealwright/internal/setup": Top,
		"internal/floors":               Top,
	}
}
