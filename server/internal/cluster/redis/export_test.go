package redis

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/sealwright/sealwright/server/internal/limit"
)

// TakeAt runs the script with a time of the test.
func (c *Client) TakeAt(t *testing.T, k limit.Key, l limit.Limit, cost int, now time.Time) limit.Use {
	t.Helper()
	_, use, err := run(t.Context(), c.db, k, l, cost, cost, strconv.FormatInt(now.UnixMicro(), 10))
	if err != nil {
		t.Fatal(err)
	}
	return use
}

// Do sends a command as an operator would.
func (c *Client) Do(t *testing.T, args ...any) any {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	v, err := c.db.Do(ctx, args...).Result()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// Check looks at the server as Run does.
func (c *Client) Check(ctx context.Context) error {
	err := c.check(ctx)
	c.note(err)
	return err
}

// Barrier returns until when signed times are refused.
func (c *Client) Barrier() time.Time { return c.epoch.Load().barrier }

// Leases returns of how many subjects something is known.
func (l *Limits) Leases() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.leases)
}

const MaxLeases = maxLeases
