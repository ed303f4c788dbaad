package source_test

import (
	"strings"
	"testing"

	"github.com/sealwright/sealwright/server/internal/source"
)

func TestCheckURL(t *testing.T) {
	for text, want := range map[string]string{
		"https://kv.example": "", "https://192.0.2.1:8200/path": "", "http://127.0.0.1:1": "", "http://[::1]:1": "", "http://localhost": "",
		"http://kv.example": "want https", "http://192.0.2.1": "want https", "http://localhost.example": "want https", "ftp://a": "want https",
		"": "want a URL", "kv.example": "want a URL", "https://": "want a URL", "https://u:hunter2@a": "without a password", "http://a b": "want a URL",
	} {
		err := source.CheckURL(text)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the error shows the password: %v", err)
		}
	}
}
