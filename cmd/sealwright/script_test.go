package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sealwright/sealwright/server/servertest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"sealwright": main, "curl": recordCurl})
}

// recordCurl stands in for curl in scripts: it prints its arguments, one on
// each line, and then its standard input.
func recordCurl() {
	for _, arg := range os.Args[1:] {
		fmt.Printf("%s\n", arg)
	}
	_, _ = io.Copy(os.Stdout, os.Stdin)
}

// TestScripts runs testdata/*.txt on the built binary. Beside the commands of
// testscript there are
//
//	code N PROGRAM ARG...  run a program that must end with the exit code N
//	chomp FILE...          drop the final line end of files, LF or CR LF
//	await FILE PATTERN     wait until the file matches
//
// $SERVER and $TOKENFILE name a server that runs meanwhile, $RECEIVER is the URL
// of one for deliveries, and $CATALOGUE the folder of the presets.
func TestScripts(t *testing.T) {
	server := servertest.Start(t)
	deliveries := receiver(t)
	presets, err := filepath.Abs("../../catalogue")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("SERVER", server.URL)
			e.Setenv("TOKENFILE", filepath.Join(server.Data, "admin-token"))
			e.Setenv("RECEIVER", deliveries.URL)
			e.Setenv("CATALOGUE", presets)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"code": runWithCode, "chomp": chomp, "await": await,
		},
	})
}

func runWithCode(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	var exit *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code is %d, want %d", got, want)
	}
}

func chomp(ts *testscript.TestScript, _ bool, args []string) {
	for _, name := range args {
		text, ok := strings.CutSuffix(ts.ReadFile(name), "\n")
		if !ok {
			ts.Fatalf("%s does not end with a newline", name)
		}
		ts.Check(os.WriteFile(ts.MkAbs(name), []byte(strings.TrimSuffix(text, "\r")), 0o600))
	}
}

// await looks at a file again and again, for at most a minute.
func await(ts *testscript.TestScript, _ bool, args []string) {
	pattern, err := regexp.Compile(args[1])
	ts.Check(err)
	for range 6000 {
		text, err := os.ReadFile(ts.MkAbs(args[0]))
		if err == nil && pattern.Match(text) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	ts.Fatalf("%s does not match %s", args[0], args[1])
}
