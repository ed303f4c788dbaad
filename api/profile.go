package api

import (
	"slices"
	"strings"
)

// SignatureTag is the value of the parameter tag of signatures that
// authenticate requests to the API.
const SignatureTag = "sealwright"

// SignatureParams returns the parameters of the scheme rfc9421 with which
// requests to the API are signed (RFC 9421), with a body or without one.
//
// A signature with the label sealwright covers the method, the target URI, if
// there is a body Content-Digest with sha-256, and all fields of
// [SignedHeaders], whose names are headers; its parameters created, nonce,
// keyid and tag are required. It is good for 300 seconds, and may be 5 seconds
// ahead of the server's clock. The key is the text of the secret. The result
// belongs to the caller.
func SignatureParams(body bool, headers ...string) map[string][]string {
	p := map[string][]string{
		"label": {SignatureTag}, "tag": {SignatureTag}, "required": {"@method", "@target-uri"},
		"require_created": {"true"}, "require_nonce": {"true"}, "require_keyid": {"true"}, "max_age": {"300"}, "skew": {"5"},
	}
	if body {
		p["required"] = append(p["required"], "content-digest")
	}
	p["required"] = append(p["required"], headers...)
	return p
}

// SignedHeaders returns the names of those fields of a header that say what a
// request to the API means, in lower case and sorted: Content-Type,
// Idempotency-Key, If-Match, If-None-Match, and all that begin with
// Sealwright-. A signature must cover each of them that the request has, or
// somebody on the way could change, add or take it away.
func SignedHeaders(header map[string][]string) []string {
	var names []string
	for name := range header {
		if IsSignedHeader(name) {
			names = append(names, strings.ToLower(name))
		}
	}
	slices.Sort(names)
	return names
}

// IsSignedHeader reports whether [SignedHeaders] has a field of this name.
func IsSignedHeader(name string) bool {
	const own = "Sealwright-"
	switch {
	case len(name) >= len(own) && strings.EqualFold(name[:len(own)], own):
		return true
	case strings.EqualFold(name, "Content-Type"), strings.EqualFold(name, "Idempotency-Key"),
		strings.EqualFold(name, "If-Match"), strings.EqualFold(name, "If-None-Match"):
		return true
	}
	return false
}

// TenantHeader names the tenant in which an operator acts.
const TenantHeader = "Sealwright-Tenant"
