package mac_test

import (
	"bytes"
	"crypto/hmac"
	"fmt"
	"testing"

	"github.com/sealwright/sealwright/mac"
	"github.com/sealwright/sealwright/secret"
)

// BenchmarkVerify verifies a tag (impl=mac) beside one plain Sum of crypto/hmac
// with a reused state (impl=hmac). To see the ratio:
//
//	go test -run '^$' -bench Verify -count 10 ./mac | benchstat -col /impl -
func BenchmarkVerify(b *testing.B) {
	key := pseudo(32)
	for _, a := range []mac.Algorithm{mac.SHA256, mac.SHA512} {
		for _, size := range []int{64, 1 << 10, 64 << 10} {
			message := pseudo(size)
			tag := oracle(a, key, message)
			name := fmt.Sprintf("algorithm=%v/size=%d", a, size)
			b.Run(name+"/impl=hmac", func(b *testing.B) {
				h := hmac.New(hashes[a], key)
				var buf [mac.MaxSize]byte
				b.SetBytes(int64(size))
				b.ReportAllocs()
				var sum []byte
				for b.Loop() {
					h.Reset()
					h.Write(message)
					sum = h.Sum(buf[:0])
				}
				if !bytes.Equal(sum, tag) {
					b.Fatal("another tag")
				}
			})
			b.Run(name+"/impl=mac", func(b *testing.B) {
				k, err := mac.New(a, secret.New(key))
				if err != nil {
					b.Fatal(err)
				}
				b.SetBytes(int64(size))
				b.ReportAllocs()
				for b.Loop() {
					if !k.Verify(tag, message) {
						b.Fatal("does not verify")
					}
				}
			})
		}
	}
}

// BenchmarkSum signs 1 KiB with each algorithm.
func BenchmarkSum(b *testing.B) {
	message := pseudo(1 << 10)
	for _, a := range mac.Algorithms() {
		b.Run(fmt.Sprintf("algorithm=%v", a), func(b *testing.B) {
			k := mustKey(b, a, "a key of thirty-two bytes, or so")
			var buf [mac.MaxSize]byte
			b.SetBytes(int64(len(message)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := k.Sum(buf[:0], message); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkNew prepares a key, which schemes do once for each secret.
func BenchmarkNew(b *testing.B) {
	key := secret.New(pseudo(32))
	b.ReportAllocs()
	for b.Loop() {
		k, err := mac.New(mac.SHA256, key)
		if err != nil {
			b.Fatal(err)
		}
		k.State().Release()
	}
}
