// Package bench compares sealwright with other Go libraries for the same wire
// formats, and with the bare cryptography. It is a module of its own, so that
// no dependency of theirs is one of ours. Its benchmarks are in its tests:
//
//	go test -run '^$' -bench . -count 10 | benchstat -col /impl -
//
// Every library verifies the same request, is set up once where its API allows
// that, and is called as its documentation says. The tests hold that each
// accepts the request and refuses a changed one, so that no side is measured
// doing less.
package bench
