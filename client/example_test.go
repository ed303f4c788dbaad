package client_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/client"
	"github.com/sealwright/sealwright/secret"
)

// A client needs the URL of the server and a credential.
func Example() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, `{"valid":false,"reason":"wrong-signature","key":"orders"}`) // stands for a real one
	}))
	defer server.Close()

	c := &client.Client{URL: server.URL, Credential: client.Static(secret.FromString("swt_example"))} // or client.File("billing.cred")
	signature := "HMAC-SHA256=…, keyId=orders, version=1"
	_, err := c.Verify(context.Background(), "orders", api.Verify{Message: []byte("hello"), Signature: &signature})
	switch {
	case err == nil:
		fmt.Println("authentic")
	case errors.Is(err, client.ErrNotValid):
		fmt.Println("not authentic:", err)
	default:
		fmt.Println("not known:", err)
	}
	// Output: not authentic: message is not authentic: wrong-signature
}
