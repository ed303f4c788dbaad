package sealhttp_test

import (
	"bufio"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

// raw sends the text of a request and returns the status of the response.
func raw(t *testing.T, server *httptest.Server, text string) int {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(server.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

// lines returns headers as they stand on the wire.
func lines(h map[string][]string) string {
	var out []string
	for name, values := range h {
		for _, v := range values {
			out = append(out, name+": "+v+"\r\n")
		}
	}
	slices.Sort(out)
	return strings.Join(out, "")
}
