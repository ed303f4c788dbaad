package server_test

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/sealwright/sealwright/server"
)

// A server runs until its context ends.
func ExampleRun() {
	data, err := os.MkdirTemp("", "sealwright-*")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(data)
	ctx, stop := context.WithCancel(context.Background())
	err = server.Run(ctx, server.Config{
		Listen: "127.0.0.1:0", Data: data, Stdout: io.Discard, Stderr: io.Discard,
		Ready: func(string) {
			fmt.Println("ready")
			stop()
		},
	})
	fmt.Println("stopped:", err)
	// Output:
	// ready
	// stopped: <nil>
}
