package authn

import "github.com/sealwright/sealwright"

// CountedSignature is [Signature] and a function that says how many MACs were
// computed until now.
func CountedSignature(o Signatures) (Method, func() int, error) {
	s, err := newSignatures(o)
	if err != nil {
		return Method{}, nil, err
	}
	n := 0
	for _, v := range s.verifiers {
		v.Scheme = counted{v.Scheme, &n}
	}
	return s.method(), func() int { return n }, nil
}

type counted struct {
	sealwright.Scheme
	n *int
}

func (c counted) Write(w sealwright.Sink, m *sealwright.Message, claim *sealwright.Claim, n int) error {
	*c.n++
	return c.Scheme.Write(w, m, claim, n)
}
