package bench_test

import (
	"net/http"
	"testing"

	"github.com/google/go-github/v74/github"
	"github.com/slack-go/slack"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stripe/stripe-go/v82/webhook"

	"github.com/sealwright/sealwright/scheme"
)

// webhookSecret is what each provider shares with the receiver.
const webhookSecret = "c2VhbHdyaWdodC1iZW5jaG1hcmsta2V5LTAwMDEtMDEyMzQ1Njc4OS1hYmNkZWYw"

// A provider is a webhook format with the provider's own library for it.
type provider struct {
	preset string
	params scheme.Params
	field  string // of the tag
	theirs func(tb testing.TB) impl
}

var providers = []provider{
	{preset: "standard-webhooks", field: "Webhook-Signature", theirs: standardWebhooks},
	{preset: "stripe", field: "Stripe-Signature", theirs: stripe},
	{preset: "github", field: "X-Hub-Signature-256", theirs: gitHub},
	{preset: "slack", field: "X-Slack-Signature", theirs: slackVerifier},
}

func (p *provider) impls(tb testing.TB) []impl {
	return []impl{ours(tb, p.preset, p.params, newRing(webhookSecret)), p.theirs(tb)}
}

// request returns a signed delivery with a body of 1 KiB.
func (p *provider) request(tb testing.TB) (*http.Request, []byte) {
	body := jsonBody()
	r := newRequest(http.MethodPost, "https://hooks.example.com/in", body)
	return signed(tb, newScheme(tb, p.preset, p.params), newRing(webhookSecret), r, body), body
}

func standardWebhooks(tb testing.TB) impl {
	w, err := standardwebhooks.NewWebhook(webhookSecret)
	if err != nil {
		tb.Fatal(err)
	}
	return impl{"library", func(r *http.Request, body []byte) error { return w.Verify(body, r.Header) }}
}

// stripe verifies without decoding the event, as ours does.
func stripe(testing.TB) impl {
	return impl{"library", func(r *http.Request, body []byte) error {
		return webhook.ValidatePayload(body, r.Header.Get("Stripe-Signature"), webhookSecret)
	}}
}

func gitHub(testing.TB) impl {
	key := []byte(webhookSecret)
	return impl{"library", func(r *http.Request, body []byte) error {
		return github.ValidateSignature(r.Header.Get(github.SHA256SignatureHeader), body, key)
	}}
}

func slackVerifier(testing.TB) impl {
	return impl{"library", func(r *http.Request, body []byte) error {
		v, err := slack.NewSecretsVerifier(r.Header, webhookSecret)
		if err != nil {
			return err
		}
		if _, err := v.Write(body); err != nil {
			return err
		}
		return v.Ensure()
	}}
}

// TestWebhooks holds that ours and the provider's library accept the same
// delivery and refuse it changed.
func TestWebhooks(t *testing.T) {
	for _, p := range providers {
		r, body := p.request(t)
		for _, i := range p.impls(t) {
			t.Run("preset="+p.preset+"/impl="+i.name, func(t *testing.T) { testImpl(t, i, r, body, p.field) })
		}
	}
}

// BenchmarkWebhookVerify verifies a delivery of 1 KiB.
func BenchmarkWebhookVerify(b *testing.B) {
	for _, p := range providers {
		b.Run("preset="+p.preset, func(b *testing.B) {
			r, body := p.request(b)
			verifyAll(b, p.impls(b), r, body)
		})
	}
}
