//go:build unix

package server_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"sync"
	"testing"

	"github.com/sealwright/sealwright/api"
)

const leasesOfOrders = "/v1/keys/orders/leases"

// testNodesOnce sends requests with idempotency keys to two nodes, at once and
// when one of them was killed: nothing is done twice.
func testNodesOnce(t *testing.T, store string) {
	g := startNodes(t, store, 2)
	g.create(t, "orders")
	const parallel, rounds = 4, 5
	for round := range rounds {
		var mu sync.Mutex
		answers := map[string]int{}
		var group sync.WaitGroup
		for i := range parallel {
			group.Go(func() {
				r := g.call(g.nodes[i%2], "POST", leasesOfOrders, `{"ttl":"1h"}`, "Idempotency-Key", fmt.Sprintf(`"round %d"`, round))
				mu.Lock()
				defer mu.Unlock()
				answers[r.String()]++
			})
		}
		group.Wait()
		if len(answers) != 1 {
			t.Errorf("round %d: got answers %v, want one", round, answers)
		}
	}
	if n := g.leases(t); n != rounds {
		t.Errorf("%d leases were made, want %d", n, rounds)
	}
	g.testLimitEverywhere(t)
	g.testKilledOnce(t, rounds)
}

// testLimitEverywhere sets a limit at one node.
func (g *group) testLimitEverywhere(t *testing.T) {
	g.create(t, "limited")
	g.must(t, g.nodes[0], "PUT", "/v1/limits/limited", `{"scope":"key","match":"limited","rate":1,"per":"hour"}`)
	g.everywhere(t, "the limit holds", func(p *process) bool {
		_, r := g.sign(p, "limited", "a")
		return r.status == 429
	})
}

// leases counts those of the key orders.
func (g *group) leases(t *testing.T) int {
	t.Helper()
	n := 0
	for cursor := ""; ; {
		var page api.LeaseList
		if err := json.Unmarshal([]byte(g.must(t, g.nodes[1], "GET", leasesOfOrders+"?limit=500&cursor="+url.QueryEscape(cursor), "")), &page); err != nil {
			t.Fatal(err)
		}
		n += len(page.Items)
		if cursor = page.NextCursor; cursor == "" {
			return n
		}
	}
}

// testKilledOnce kills the first node while it works, and sends everything again
// to the other one.
func (g *group) testKilledOnce(t *testing.T, before int) {
	var mu sync.Mutex
	answers := map[string]reply{} // by idempotency key
	var group sync.WaitGroup
	started := make(chan struct{})
	var once sync.Once
	for worker := range 4 {
		group.Go(func() {
			for i := range 10_000 {
				key := fmt.Sprintf(`"%d-%d"`, worker, i)
				r := g.call(g.nodes[0], "POST", leasesOfOrders, `{"ttl":"1h"}`, "Idempotency-Key", key)
				mu.Lock()
				answers[key] = r
				mu.Unlock()
				if r.status == 0 {
					return
				}
				if i == 10 {
					once.Do(func() { close(started) })
				}
			}
		})
	}
	<-started
	if err := g.nodes[0].Process.Kill(); err != nil {
		t.Fatal(err)
	}
	group.Wait()
	_ = g.nodes[0].Wait()
	done, unknown := 0, 0
	for key, again := range g.repeat(answers) {
		switch first := answers[key]; {
		case first.status == 201 && again.String() == first.String():
			done++
		case first.status == 0 && again.status == 201:
			done++
		case first.status == 0 && again.status == 409: // its node died while it worked
			unknown++
		default:
			t.Errorf("got %v, and from the other node %v", first, again)
		}
	}
	t.Logf("%d done, %d of which the node died between the claim and the answer", done, unknown)
	if n := g.leases(t) - before; n < done || n > done+unknown {
		t.Errorf("%d leases were made by %d requests, and %d that are not known", n, done, unknown)
	}
}

// repeat sends everything again to the second node, at once, since what is not
// known is waited for.
func (g *group) repeat(answers map[string]reply) map[string]reply {
	var mu sync.Mutex
	again := map[string]reply{}
	var group sync.WaitGroup
	for key := range answers {
		group.Go(func() {
			r := g.call(g.nodes[1], "POST", leasesOfOrders, `{"ttl":"1h"}`, "Idempotency-Key", key)
			mu.Lock()
			defer mu.Unlock()
			again[key] = r
		})
	}
	group.Wait()
	return again
}
