package api

// SignatureTag is the value of the parameter tag of signatures that
// authenticate requests to the API.
const SignatureTag = "sealwright"

// SignatureParams returns the parameters of the scheme rfc9421 with which
// requests to the API are signed (RFC 9421), with a body or without one.
//
// A signature with the label sealwright covers the method, the target URI and,
// if there is a body, Content-Digest with sha-256; its parameters created,
// nonce, keyid and tag are required. It is good for 300 seconds, and may be
// 5 seconds ahead of the server's clock. The key is the text of the secret.
// The result belongs to the caller.
func SignatureParams(body bool) map[string][]string {
	p := map[string][]string{
		"label": {SignatureTag}, "tag": {SignatureTag}, "required": {"@method", "@target-uri"},
		"require_created": {"true"}, "require_nonce": {"true"}, "require_keyid": {"true"}, "max_age": {"300"}, "skew": {"5"},
	}
	if body {
		p["required"] = append(p["required"], "content-digest")
	}
	return p
}

// TenantHeader names the tenant in which an operator acts.
const TenantHeader = "Sealwright-Tenant"
