package source

import (
	"errors"
	"fmt"
	"net"
	"net/url"
)

// CheckURL returns an error if text is not the URL of a service, or secrets
// would cross a network in clear on the way from it. The error does not show
// text, in which there may be a password.
func CheckURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.User != nil:
		return errors.New("want a URL without a password")
	case u.Scheme == "https":
		return nil
	case u.Scheme == "http" && (u.Hostname() == "localhost" || net.ParseIP(u.Hostname()).IsLoopback()):
		return nil
	}
	return fmt.Errorf("got the scheme %q, want https; http only on this machine", u.Scheme)
}
