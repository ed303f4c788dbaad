package sigv4_test

import (
	"testing"

	"github.com/sealwright/sealwright"
)

// benchmarkRequest is what clients of AWS send most: a JSON call, with the hash
// of its body declared or not.
func benchmarkRequest(declared bool) sealwright.Message {
	m := sealwright.Message{
		Method: "POST", Host: "dynamodb.us-east-1.amazonaws.com", Target: "/",
		Header: map[string][]string{
			"Content-Type": {"application/x-amz-json-1.0"}, "X-Amz-Target": {"DynamoDB_20120810.GetItem"},
			"X-Amz-Security-Token": {"AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSP"},
		},
		Body: []byte(`{"TableName":"orders","Key":{"id":{"S":"4711"}}}`),
	}
	if declared {
		m.Header["X-Amz-Content-Sha256"] = []string{""} // signing writes the hash
	}
	return m
}

func BenchmarkVerify(b *testing.B) {
	for _, bench := range []struct {
		name     string
		service  string
		declared bool
		query    bool
	}{
		{"payload=given", "dynamodb", true, false},
		{"payload=hashed", "dynamodb", false, false},
		{"form=query", "dynamodb", false, true},
	} {
		b.Run(bench.name, func(b *testing.B) {
			s := aws(b, bench.service)
			if bench.query {
				s = awsQuery(b, bench.service)
			}
			m := signed(b, s, benchmarkRequest(bench.declared))
			v := sealwright.Verifier{Scheme: s, Ring: ring(keyID)}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := v.Verify(m, now); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkSign(b *testing.B) {
	s := aws(b, "dynamodb")
	signer := sealwright.Signer{Scheme: s, Ring: ring(keyID)}
	m := benchmarkRequest(true)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := signer.Sign(m, now); err != nil {
			b.Fatal(err)
		}
	}
}
