package draft_test

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/catalogue"
	"github.com/sealwright/sealwright/cmd/sealwright/internal/draft"
	"github.com/sealwright/sealwright/scheme"
)

// answer returns answers in which the questions with these flags are answered.
func answer(t *testing.T, pairs ...string) *draft.Answers {
	t.Helper()
	a := &draft.Answers{File: "dir/Acme Hooks_v2.json"}
	for _, pair := range pairs {
		flag, value, _ := strings.Cut(pair, "=")
		found := false
		for _, q := range a.Questions() {
			if q.Flag == flag {
				*q.Value, found = value, true
			}
		}
		if !found {
			t.Fatalf("no question has the flag %q", flag)
		}
	}
	return a
}

func TestDefinition(t *testing.T) {
	tests := []struct {
		name    string
		answers []string
		want    string // a part of the file
	}{
		{"Nothing", nil, `"id": "acme-hooks-v2"`},
		{"BareNameIsAHeader", []string{"tag=X-Sig"}, `"from": "header:X-Sig"`},
		{"TagIsRememberedWithoutTime", nil, `"keep": "72h"`},
		{"LineFeedsOfTheMessage", []string{`message={method}\n{body}`}, `"{method}\n{body}"`},
		{"WindowBothWays", []string{"time=X-T", "window=90s"}, `"future": "90s"`},
		{"KeyIDIsInTheExample", []string{"key-id=X-Key"}, `"key_id": "key-1"`},
		{"NonceIsInTheExample", []string{"nonce=X-Id", "message={nonce}.{body}"}, `"msg_0001"`},
		{"HexSecret", []string{"key-encoding=hex"}, `"secret": "616e2d`},
		{"QueryPlaces", []string{"tag=query:sig", "time=query:t", "message={time}{query:a b?}{body}"}, `hook?`},
		{"JSONPlaces", []string{"tag=json:sig", "time=json:/at", "message={time}.{json:id}"}, `\"sig\":`},
		{"FormPlaces", []string{"tag=form:sig", "message={form:a}"}, "application/x-www-form-urlencoded"},
		{"SHA1", []string{"algorithm=hmac-sha1"}, `"hmac-sha1"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := answer(t, tt.answers...)
			if err := a.Fill(false, nil, io.Discard); err != nil {
				t.Fatal(err)
			}
			text, err := a.Definition()
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(text), tt.want) {
				t.Errorf("got\n%s\nwant %s in it", text, tt.want)
			}
			if _, err := scheme.Load(text, catalogue.Codes()); err != nil {
				t.Errorf("does not load: %v", err)
			}
		})
	}
}

func TestDefinitionRefuses(t *testing.T) {
	tests := []struct {
		name    string
		answers []string
		want    string // a part of the error
	}{
		{"TimeNotSigned", []string{"time=X-T", "message={body}"}, "A09"},
		{"TimeNotThere", []string{"message={time}"}, "the scheme has no time"},
		{"UnknownSource", []string{"message={bdy}"}, `unknown source "bdy"`},
		{"NoID", []string{"id=-"}, `id: got "-"`},
		{"UnknownTimeFormat", []string{"time=X-T", "time-format=noon"}, "noon"},
		{"OpenBrace", []string{"message={body"}, "message"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := answer(t, tt.answers...)
			if err := a.Fill(false, nil, io.Discard); err != nil {
				t.Fatal(err)
			}
			if text, err := a.Definition(); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v and\n%s\nwant an error with %q", err, text, tt.want)
			}
		})
	}
}

func TestFillRefuses(t *testing.T) {
	for _, pair := range []string{
		"tag=body:x", "tag=header:", "tag=header:a b", "tag=json:a|b", "tag={x}", "encoding=hexx", "encoding=utf8", "key-encoding=text", "algorithm=sha256",
		"direction=up", "window=300", "window=0s", "window=-1s", "nonce=tag:x", "key-id={x}",
	} {
		flag, _, _ := strings.Cut(pair, "=")
		a := answer(t, "time=X-T", pair)
		if err := a.Fill(false, nil, io.Discard); err == nil || !strings.HasPrefix(err.Error(), "--"+flag+": ") {
			t.Errorf("%s: error is %v, want one of --%s", pair, err, flag)
		}
	}
}

// TestFillAsks answers the questions one by one, with a wrong answer first
// wherever there is one.
func TestFillAsks(t *testing.T) {
	var stderr strings.Builder
	a := &draft.Answers{File: "mine.json"}
	lines := "\nMine\nsideways\nwebhook\n\nbody:x\nX-Sig\n\nrot13\nhex\nmd5\n\n\nX-Time\n\nsoon\n1m\n\n\n\n"
	if err := a.Fill(true, strings.NewReader(lines), &stderr); err != nil {
		t.Fatalf("%v after %s", err, stderr.String())
	}
	text, err := a.Definition()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"id": "mine"`, `"title": "Mine"`, `"header:X-Sig"`, `"past": "1m"`, `"{time}.{body}"`} {
		if !strings.Contains(string(text), want) {
			t.Errorf("got\n%s\nwant %s in it", text, want)
		}
	}
	for _, want := range []string{`got "sideways"`, `got "body:x"`, "rot13", "md5", `got "soon"`} {
		if !strings.Contains(stderr.String(), want) {
			t.Errorf("said\n%s\nwant %s in it", stderr.String(), want)
		}
	}
}

func TestFillEnds(t *testing.T) {
	tests := []struct {
		name  string
		stdin io.Reader
		want  error
	}{
		{"Nothing", strings.NewReader(""), io.ErrUnexpectedEOF},
		{"OneAnswer", strings.NewReader("mine\n"), io.ErrUnexpectedEOF},
		{"WrongAnswerForEver", io.MultiReader(strings.NewReader("\n\nup\n"), strings.NewReader("down\n")), io.ErrUnexpectedEOF},
		{"Broken", broken{}, errBroken},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := &draft.Answers{File: "mine.json"}
			if err := a.Fill(true, tt.stdin, io.Discard); !errors.Is(err, tt.want) {
				t.Errorf("error is %v, want %v", err, tt.want)
			}
		})
	}
}

var errBroken = errors.New("broken")

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errBroken }

// TestHelp checks that every question explains itself with an example, and
// that its example is an answer.
func TestHelp(t *testing.T) {
	for _, q := range new(draft.Answers).Questions() {
		help, example, ok := strings.Cut(q.Help(), ", such as ")
		if !ok || help == "" {
			t.Errorf("--%s: help is %q", q.Flag, help)
		}
		a := answer(t, q.Flag+"="+example, "time=X-T")
		if err := a.Fill(false, nil, io.Discard); err != nil {
			t.Errorf("--%s: the example is refused: %v", q.Flag, err)
		}
	}
}
