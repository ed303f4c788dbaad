//go:build unix

package peer_test

import (
	"context"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sealwright/sealwright/internal/peer"
)

func redisClient(t *testing.T, p *peer.Redis, password string) *redis.Client {
	t.Helper()
	c := redis.NewClient(&redis.Options{Addr: p.Address(), Password: password, MaxRetries: -1, ReadTimeout: 200 * time.Millisecond})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// What is synced survives a crash of the server, and what is not kept does not.
func TestRedisRecovers(t *testing.T) {
	for name, keep := range map[string]bool{"Kept": true, "Lost": false} {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			p := peer.StartRedis(t, peer.RedisOptions{AppendOnly: keep, Password: "hush"})
			c := redisClient(t, p, "hush")
			if err := c.Set(ctx, "a", "1", 0).Err(); err != nil {
				t.Fatal(err)
			}
			p.Crash(t)
			if err := c.Ping(ctx).Err(); err == nil {
				t.Error("the server answers after a crash")
			}
			p.Start(t)
			if n, err := redisClient(t, p, "hush").Exists(ctx, "a").Result(); err != nil || (n == 1) != keep {
				t.Errorf("after the crash: got %d, %v, want kept: %t", n, err, keep)
			}
		})
	}
}

// A paused server keeps its connections and does not answer.
func TestRedisPauses(t *testing.T) {
	p := peer.StartRedis(t, peer.RedisOptions{})
	c := redisClient(t, p, "")
	if err := c.Ping(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	p.Pause(t)
	if err := c.Ping(t.Context()).Err(); err == nil {
		t.Error("a paused server answers")
	}
	p.Resume(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for c.Ping(ctx).Err() != nil {
		if ctx.Err() != nil {
			t.Fatal("the server does not go on")
		}
	}
	p.Pause(t) // and is killed so at the end
}

func TestRedisReplica(t *testing.T) {
	p := peer.StartRedis(t, peer.RedisOptions{})
	second := peer.StartRedis(t, peer.RedisOptions{Replica: p})
	c := redisClient(t, p, "")
	if err := c.Set(t.Context(), "a", "1", 0).Err(); err != nil {
		t.Fatal(err)
	}
	r := redisClient(t, second, "")
	for deadline := time.Now().Add(time.Minute); r.Get(t.Context(), "a").Val() != "1"; {
		if time.Now().After(deadline) {
			t.Fatal("the replica does not get what was written")
		}
		time.Sleep(10 * time.Millisecond)
	}
}
