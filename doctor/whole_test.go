package doctor_test

import (
	"context"
	"encoding/hex"
	"testing"
	"time"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/catalogue"
	"github.com/sealwright/sealwright/doctor"
	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/scheme"
	"github.com/sealwright/sealwright/secret"
)

// others returns presets as alternatives.
func others(t *testing.T, ids ...string) []*scheme.Definition {
	t.Helper()
	var out []*scheme.Definition
	for _, id := range ids {
		d, err := catalogue.Definition(id)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, d)
	}
	return out
}

func TestOtherSchemes(t *testing.T) {
	const body = "{}"
	stripe := input("github", testSecret, "POST", "https://a.test/", body, "Stripe-Signature", "t="+testTime+",v1="+hexOf(mac256(testSecret, testTime+"."+body)))
	stripe.Others = others(t, "slack", "stripe")
	sha1 := input("github", testSecret, "POST", "https://a.test/", body, "X-Hub-Signature", "sha1="+hexOf(mac1(testSecret, body)))
	sha1.Others = others(t, "github-sha1")
	check(t, []want{
		{name: "Stripe", in: stripe, cause: "scheme.wrong", says: "stripe"},
		{name: "OlderVersion", in: sha1, cause: "scheme.version"},
		{name: "HubSpot1", in: input("hubspot-v3", testSecret, "POST", "https://a.test/", body, "X-HubSpot-Signature", hexOf(hash256(testSecret, body))), cause: "scheme.version"},
		{name: "HubSpot2", in: input("hubspot-v3", testSecret, "POST", "https://a.test/", body, "X-HubSpot-Signature", hexOf(hash256(testSecret, "POSThttps://a.test/", body))), cause: "scheme.version"},
		{name: "Square1", in: input("square", testSecret, "POST", "https://a.test/", body, "X-Square-Signature", base64Of(mac1(testSecret, "https://a.test/"+body))), cause: "scheme.version"},
	})
	stripe.Secrets[0].Bytes = secret.FromString("another secret")
	check(t, []want{{name: "StripeByAStranger", in: stripe}})
}

// TestCode tests schemes that are code, with requests that their signers made.
func TestCode(t *testing.T) {
	now := time.Unix(1785000000, 0)
	params := scheme.Params{"region": {"eu-central-1"}, "service": {"execute-api"}}
	d := others(t, "aws-sigv4")[0]
	for name := range params {
		if _, ok := d.Params[name]; !ok {
			delete(params, name)
		}
	}
	sch, err := d.New(params)
	if err != nil {
		t.Fatal(err)
	}
	ring, err := keyring.New(keyring.Key{ID: "AKIDEXAMPLE", Version: 1, Secret: secret.FromString(testSecret)})
	if err != nil {
		t.Fatal(err)
	}
	m := sealwright.Message{Method: "POST", Scheme: "https", Host: "api.acme.test", Target: "/v1/x?a=1",
		Header: map[string][]string{"Content-Type": {"application/json"}}, Body: []byte("{}")}
	if m, err = (&sealwright.Signer{Scheme: sch, Ring: ring}).Sign(m, now); err != nil {
		t.Fatal(err)
	}
	in := func(edit func(*doctor.Input)) doctor.Input {
		i := doctor.Input{Definition: d, Params: params, Message: m, Now: now, MaxTime: time.Minute, Secrets: []doctor.Secret{{Name: "configured", Bytes: secret.FromString(testSecret)}}}
		edit(&i)
		return i
	}
	if got := doctor.Diagnose(context.Background(), in(func(*doctor.Input) {})); got.Verdict != doctor.Fine {
		t.Fatalf("got %s %s, want a request that verifies: %s", got.Verdict, got.Cause, got.Explanation)
	}
	other := hex.EncodeToString([]byte("stranger"))
	check(t, []want{
		{name: "LineFeedAtSecret", in: in(func(i *doctor.Input) { i.Secrets[0].Bytes = secret.FromString(testSecret + "\n") }), cause: "secret.whitespace"},
		{name: "OtherSecret", in: in(func(i *doctor.Input) {
			i.Secrets = []doctor.Secret{{Name: "a", Bytes: secret.FromString(other)}, {Name: "b", Bytes: secret.FromString(testSecret)}}
		}), cause: "secret.wrong_endpoint"},
		{name: "Body", in: in(func(i *doctor.Input) { i.Message.Body = []byte("{}\n") }), cause: "body.trailing_newline"},
		{name: "Path", in: in(func(i *doctor.Input) { i.Message.Target = "/gw/v1/x?a=1" }), cause: "url.path_rewritten"},
		{name: "Stranger", in: in(func(i *doctor.Input) { i.Secrets[0].Bytes = secret.FromString(other) })},
	})
	late := in(func(i *doctor.Input) { i.Now = now.Add(24 * time.Hour) })
	if got := doctor.Diagnose(context.Background(), late); got.Verdict != doctor.Time {
		t.Errorf("got %s %s, want time: %s", got.Verdict, got.Cause, got.Explanation)
	}
}
