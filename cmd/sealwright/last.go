package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/cmd/sealwright/internal/client"
	"github.com/sealwright/sealwright/doctor"
)

// lastRejected has the server diagnose the request that it refused last. It
// returns the diagnosis and the name of the request's scheme.
func lastRejected(ctx context.Context, c *client.Client, publicURL string, hosts []string) (doctor.Diagnosis, string, error) {
	var d doctor.Diagnosis
	var list api.RejectionList
	if err := c.Call(ctx, http.MethodGet, "/v1/rejections?limit=1", nil, &list); err != nil {
		return d, "", err
	}
	switch {
	case list.Keep == 0:
		return d, "", errors.New("the server keeps no rejected requests: set rejections.keep in its configuration file")
	case len(list.Items) == 0:
		return d, "", errors.New("the server has rejected no request since it started")
	}
	last := list.Items[0]
	var answer json.RawMessage
	in := api.Diagnose{Rejection: last.ID, PublicURL: publicURL, KnownHosts: hosts}
	if err := c.Call(ctx, http.MethodPost, "/v1/doctor", in, &answer); err != nil {
		return d, "", err
	}
	if err := json.Unmarshal(answer, &d); err != nil {
		return d, "", fmt.Errorf("answer of the server: %w", err)
	}
	d.Notes = append([]string{fmt.Sprintf("request %s, rejected at %s as %s under the key %s", last.ID, last.At.UTC().Format("2006-01-02T15:04:05Z"), last.Reason, last.Key)}, d.Notes...)
	return d, last.Scheme, nil
}

// onlyLast returns an error for flags that have no meaning beside --last.
func (f *doctorFlags) onlyLast() error {
	if f.scheme != "" || f.request != "" || len(f.secretFiles) > 0 || f.keyID != "" || len(f.params) > 0 || f.now != "" {
		return errors.New("--last takes scheme, keys, time and request from the server: give it with --public-url, --known-host, --server and --token-file only")
	}
	return nil
}
