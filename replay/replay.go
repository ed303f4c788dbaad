// Package replay remembers which messages were seen, so that none is accepted
// twice.
//
// What is remembered is an [ID], made from what a verified message can be used
// for once: its nonce, or its tag if the scheme has no nonce. A [Guard] keeps
// it in memory for as long as the message could pass again. Claim after the tag
// was verified, never before: a guard that records first lets strangers fill it
// and use up the nonces of others.
//
// A guard forgets nothing to make room. When it is full it says so, and the
// caller refuses the message. It does forget everything when the process ends:
// who starts again bars what may have been accepted before, with [Guard.Bar],
// or loads it, with [Guard.Load]. It does no I/O and looks at no clock.
//
// The ID keeps 64 bits of an HMAC, so a message is taken for another one with a
// chance of n in 2⁶⁴, n being the number of claims in one bucket of time. That
// message is refused; its sender signs another.
package replay
