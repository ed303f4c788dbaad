package tenant

import (
	"errors"
	"net/url"
	"strings"

	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/fault"
)

// maxCertificate is the most bytes of the name of a certificate.
const maxCertificate = 2048

// CheckCertificate returns an error of kind [fault.Invalid] unless name says
// what client certificates are known by: uri: and a URI with a scheme and a
// host, dns: and a name in lower case, or spki-sha256: and the SHA-256 of the
// public key in lower-case hex. There are no patterns.
func CheckCertificate(name string) error {
	kind, text, _ := strings.Cut(name, ":")
	good := len(name) <= maxCertificate
	switch kind {
	case "uri":
		u, err := url.Parse(text)
		good = good && err == nil && u.Scheme != "" && u.Host != "" && u.String() == text && !strings.Contains(text, "*")
	case "dns":
		good = good && len(text) <= 253 && text != "" && strings.Trim(text, "abcdefghijklmnopqrstuvwxyz0123456789.-_") == "" && !strings.HasPrefix(text, ".") && !strings.HasSuffix(text, ".")
	case "spki-sha256":
		good = len(text) == 64 && strings.Trim(text, "0123456789abcdef") == ""
	default:
		good = false
	}
	if !good {
		return fault.New(fault.Invalid, "certificate: want uri:SCHEME://HOST/…, dns:NAME in lower case, or spki-sha256: and 64 digits of hex in lower case")
	}
	return nil
}

// checkCertificate also holds it for one caller only. The caller holds s.change.
func (s *Service) checkCertificate(at ref, name string) error {
	if err := CheckCertificate(name); err != nil {
		return err
	}
	for _, k := range s.snapshot().certificates[name] {
		if k.owner != at && s.now().Before(k.ExpiresAt) {
			return fault.New(fault.Conflict, "certificate: another caller is known by it")
		}
	}
	return nil
}

// ByCertificate returns the caller that is known by one of the names of a client
// certificate. If they are those of several callers it is nobody. Errors are
// those of [Service.ByToken].
func (s *Service) ByCertificate(names []string) (access.Caller, error) {
	snap := s.snapshot()
	var found access.Caller
	var by *Credential
	why := refusal("no credential names %q", names)
	for _, name := range names {
		for _, k := range snap.certificates[name] {
			_, c, err := s.good(k.ID, Certificate)
			switch {
			case errors.Is(err, fault.Unavailable):
				return access.Caller{}, err
			case err != nil:
				why = err
			case by != nil && by.owner != k.owner:
				return access.Caller{}, refusal("the certificate names %q and another caller", c.ID)
			default:
				found, by = c, k
			}
		}
	}
	switch {
	case by != nil:
		by.touch(s.now())
		return found, nil
	case s.usable != nil && s.usable() != nil:
		return access.Caller{}, s.usable()
	case s.current != nil && !s.current():
		return access.Caller{}, fault.New(fault.Unavailable, "this node does not know whether the certificate counts, since it does not reach the database")
	}
	return access.Caller{}, why
}
