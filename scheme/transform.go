package scheme

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/canon"
)

// transformWith returns a transform that takes an argument: strip:PREFIX drops
// a prefix that is there, first:N keeps the first N bytes, decode-ENCODING
// reads an encoding of package canon.
func transformWith(name string) (transform, error) {
	if encoding, ok := strings.CutPrefix(name, "decode-"); ok {
		if e, err := canon.ParseEncoding(encoding); err == nil {
			return decoder(e), nil
		}
	}
	verb, arg, _ := strings.Cut(name, ":")
	switch verb {
	case "strip":
		return func(dst, src []byte) ([]byte, error) {
			return append(dst, strings.TrimPrefix(string(src), arg)...), nil
		}, nil
	case "first":
		n, err := firstBytes(arg)
		return func(dst, src []byte) ([]byte, error) { return append(dst, src[:min(n, len(src))]...), nil }, err
	}
	return nil, fmt.Errorf("unknown transform %q", name)
}

// firstBytes reads the argument of the transform first.
func firstBytes(arg string) (int, error) {
	n, err := strconv.Atoi(arg)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("transform first: got %q, want a number of bytes above 0", arg)
	}
	return n, nil
}

func decoder(e canon.Encoding) transform {
	return func(dst, src []byte) ([]byte, error) {
		out, err := e.DecodeString(string(src))
		if err != nil {
			return nil, sealwright.Refusef(sealwright.ErrMalformed, "%v", err)
		}
		return append(dst, out...), nil
	}
}

// replace returns a transform that writes with[i+1] for each byte with[i].
func replace(with ...string) transform {
	r := strings.NewReplacer(with...)
	return func(dst, src []byte) ([]byte, error) { return append(dst, r.Replace(string(src))...), nil }
}

// appendMediaType appends the media type of a Content-Type value.
func appendMediaType(dst []byte, s string) []byte { return append(dst, canon.MediaType(s)...) }

// checked makes a transform of a function whose errors say what is wrong with
// the text.
func checked(sentinel error, f func(dst []byte, s string) ([]byte, error)) transform {
	return func(dst, src []byte) ([]byte, error) {
		out, err := f(dst, string(src))
		if err != nil {
			return nil, sealwright.Refusef(sentinel, "%v", err)
		}
		return out, nil
	}
}

// hubspotChars are the characters whose escapes HubSpot decodes before signing.
const hubspotChars = ":/?@!$'()*,;"

// decodeHubspot appends src with the escapes of [hubspotChars] decoded, and no
// others.
func decodeHubspot(dst, src []byte) ([]byte, error) {
	for i := 0; i < len(src); i++ {
		if src[i] == '%' && i+2 < len(src) {
			c, err := canon.Unescape(string(src[i:i+3]), false)
			if err == nil && strings.Contains(hubspotChars, c) {
				dst = append(dst, c...)
				i += 2
				continue
			}
		}
		dst = append(dst, src[i])
	}
	return dst, nil
}

func findTransforms(names []string) ([]transform, error) {
	var out []transform
	for _, name := range names {
		t, err := findTransform(name)
		if err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	return out, nil
}
