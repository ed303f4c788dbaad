package scheme

// Weakness says in a few words what the class of attack is that the finding
// allows, "" if it names none. docs/design/attacks.md lists the classes.
func (f Finding) Weakness() string { return attacks[f.Attack] }

// attacks are the classes that findings name.
var attacks = map[string]string{
	"A03": "prefix of a tag, tag of another length",
	"A06": "algorithm from the request",
	"A07": "fields whose borders can move",
	"A09": "unsigned timestamp",
	"A10": "either of two clocks",
	"A11": "replay of a message without a nonce",
	"A13": "replay after the nonce is forgotten",
	"A15": "body not bound",
	"A16": "target not bound",
	"A25": "wrong binding of keys",
	"A27": "leaks in logs and errors",
	"A29": "secret in the wrong form",
	"A30": "malleable tags",
	"A35": "window chosen by the client",
}

// Mend says how to take the weakness out of a scheme of one's own, or how to
// live with it where a provider has made the rules.
func (f Finding) Mend() string {
	if text, ok := mends[f.Rule+" "+f.Attack]; ok {
		return text
	}
	return mends[f.Rule]
}

// mends are by rule, and by rule and class where a rule finds several.
var mends = map[string]string{
	"unsigned-time":   `put {time} into message; if the provider does not sign the time, say "unsigned_time": "accepted-risk", and it counts for nothing`,
	"unsigned-nonce":  "put {nonce} into message; if the provider does not sign it, leave it out, or remember tags with \"from\": \"tag\"",
	"unsigned-window": "put the source of the window into message, or leave window out and set past",
	"absent":          "say where it stands, or leave it out of message",
	"clocks":          "have the sender write one of the places only, and leave out also",
	"coverage A15":    "put {body} into message, or a header with a digest of the body that checks compares; else believe nothing in the body",
	"coverage A16":    "put {method}, {host} and {target} into message if one secret serves several endpoints; else give every endpoint a secret of its own",
	"coverage A25":    "put {keyid} into message, or give no two key IDs the same secret",
	"borders":         "put a literal between the two fields that the left one cannot hold, such as a line feed, sign a digest of the field, or forbid the separator in it",
	"places":          "sign the query and the form apart, or read parameters from one of them only",
	"replay":          `put a time with a window into the message, or a nonce; at the least remember tags with "nonce": {"from": "tag", "keep": "72h"}`,
	"retention":       "set nonce.keep to at least time.past and time.future together, or leave it out",
	"algorithm":       "use hmac-sha256 in a scheme of your own; HMAC with SHA-1 or MD5 has no practical break, so a provider's can stay",
	"truncated":       "send the whole tag in a scheme of your own",
	"lenient":         "use one strict encoding, such as hex, unless senders differ; never take the tag as the identity of a message",
	"secret":          "leave {secret} out of message: it is the key; where a provider wants it, never log signed strings",
	"secret-length":   "make secrets of 32 random bytes: openssl rand -hex 32",
	"code":            "see the page of the canonicaliser in docs/schemes, and its parameters",
}
