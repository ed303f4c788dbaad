// Package replay remembers which messages were seen, so that none is accepted
// twice.
//
// What is remembered is an [ID], made from what a verified message can be used
// for once: its nonce, or its tag if the scheme has no nonce. Claim after the
// tag was verified, never before: a guard that records first lets strangers
// fill it and use up the nonces of others.
package replay
