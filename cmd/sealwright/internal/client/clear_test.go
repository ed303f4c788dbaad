package client_test

import (
	"strings"
	"testing"

	"github.com/sealwright/sealwright/cmd/sealwright/internal/client"
	"github.com/sealwright/sealwright/secret"
)

// A token never crosses a network in clear: that the server refuses it would
// come too late.
func TestTokenInClear(t *testing.T) {
	token, signs := secret.FromString("swt_x"), secret.FromString("5f1c0b0a9d2e4c7788aa:sws_x")
	for _, tt := range []struct {
		name, url  string
		credential secret.Bytes
		refused    bool
	}{
		{"Clear", "http://seal.example.com:8470", token, true},
		{"ClearAddress", "http://192.0.2.1", token, true},
		{"LooksLocal", "http://localhost.example.com", token, true},
		{"TLS", "https://seal.example.com", token, false},
		{"ThisMachine", "http://127.0.0.1:8470", token, false},
		{"ThisMachineIPv6", "http://[::1]:8470", token, false},
		{"Localhost", "http://localhost:8470", token, false},
		{"Signs", "http://seal.example.com:8470", signs, false},
		{"NothingYet", "http://seal.example.com:8470", secret.Bytes{}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := client.New(tt.url, "", tt.credential)
			if tt.refused != (err != nil) || err != nil && (!strings.Contains(err.Error(), "in clear") || strings.Contains(err.Error(), "swt_")) {
				t.Errorf("got %v, want refused: %t", err, tt.refused)
			}
		})
	}
}
