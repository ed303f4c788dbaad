package doctor_test

import (
	"crypto/md5"
	"crypto/sha512"
	"encoding/hex"
	"testing"
)

func TestConstructions(t *testing.T) {
	const body = `{"a":1}`
	h := func(tag []byte) want { return want{in: bodyHex(body, hex.EncodeToString(tag))} }
	named := func(name, cause string, danger bool, tag []byte) want {
		w := h(tag)
		w.name, w.cause, w.danger = name, cause, danger
		return w
	}
	md := md5.Sum([]byte(testSecret + body))
	check(t, []want{
		named("SHA1", "alg.wrong", false, mac1(testSecret, body)),
		named("SHA512", "alg.wrong", false, sum(sha512.New, testSecret, body)),
		named("SHA384", "alg.wrong", false, sum(sha512.New384, testSecret, body)),
		named("Swapped", "alg.args_swapped", false, mac256(body, testSecret)),
		named("Plain", "alg.not_hmac", true, hash256(body)),
		named("PlainSHA512", "alg.not_hmac", true, hash512(body)),
		named("SecretFirst", "alg.not_hmac", false, hash256(testSecret, body)),
		named("SecretLast", "alg.not_hmac", false, hash256(body, testSecret)),
		named("MD5", "alg.not_hmac", false, md[:]),
		named("Joined", "alg.not_hmac", false, hash256(testSecret, ":", body)),
		named("HashedTwice", "alg.not_hmac", false, mac256(testSecret, hex.EncodeToString(hash256(body)))),
		named("HashOfKey", "alg.not_hmac", false, mac256(string(hash256(testSecret)), body)),
		named("SumGivenTheMessage", "alg.not_hmac", true, append([]byte(body), mac256(testSecret, "")...)),
		named("HashGivenTheMessage", "alg.not_hmac", true, append([]byte(body), hash256()...)),
		named("PlainOfAnotherBody", "", false, hash256(body+"x")),
	})
}
