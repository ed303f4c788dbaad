package floors_test

import (
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/sealwright/sealwright/internal/floors"
)

// TestHouse checks the source of this module. With -v it shows the sizes.
func TestHouse(t *testing.T) {
	tree, err := floors.Load(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	for _, finding := range floors.Check(floors.House(), tree) {
		t.Error(finding)
	}
	for group, m := range floors.Measure(floors.House(), tree) {
		t.Logf("%v: %d packages, %d lines of code, %.2f lines of tests for each, %.1f imports within the module for each package",
			group, m.Packages, m.Code, float64(m.Tests)/float64(m.Code), float64(m.Imports)/float64(m.Packages))
	}
}

// TestArchitecturePage holds the table of packages in the documentation.
func TestArchitecturePage(t *testing.T) {
	page, err := os.ReadFile("../../docs/design/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	for pkg := range floors.House().Groups {
		if !strings.Contains(string(page), "`"+pkg+"`") {
			t.Errorf("docs/design/architecture.md does not name %s", pkg)
		}
	}
}

// rules are those of a small house for the tests.
func rules() floors.Rules {
	return floors.Rules{
		Module: "example.org/house",
		Groups: map[string]floors.Group{
			".": floors.Ground, "secret": floors.Ground, "mac": floors.Ground, "util": floors.Ground,
			"door": floors.Doors, "door2": floors.Doors, "noun": floors.Nouns, "noun2": floors.Nouns,
			"service": floors.Services, "service2": floors.Services, "adapter": floors.Adapters, "adapter2": floors.Adapters,
			"server": floors.Top, "cmd": floors.Top,
		},
	}
}

// check returns the findings for files, given as name and source in turn. Each
// source gets a package clause with a comment, unless it has one.
func check(t *testing.T, r floors.Rules, files ...string) []string {
	t.Helper()
	fsys := fstest.MapFS{}
	for i := 0; i < len(files); i += 2 {
		src := files[i+1]
		if !strings.Contains(src, "package ") {
			src = "// Package p is for a test.\npackage p\n" + src
		}
		fsys[files[i]] = &fstest.MapFile{Data: []byte(src)}
	}
	tree, err := floors.Load(fsys)
	if err != nil {
		t.Fatal(err)
	}
	return floors.Check(r, tree)
}

// TestRules shows that each rule sees what it is for and nothing else.
func TestRules(t *testing.T) {
	long := func(lines int) string { return "func f() {" + strings.Repeat("\n", lines-1) + "}\n" }
	const noRace = "//go:build !race\n\n// Package p is for a test.\npackage p\n"
	short := strings.Repeat("func _() {}\n", 20) // so that one long function is not one of ten
	tests := []struct {
		name string
		file string // with what is checked
		src  string
		want string // part of the one finding; empty for none
	}{
		{"UnknownPackage", "new/x.go", ``, "new/x.go:2:1: package new has no floor: add it to Groups in internal/floors/floors.go"},
		{"NameSaysNothing", "util/x.go", "// Package util is for a test.\npackage util", "package name util says nothing"},
		{"PackageClauseSaysNothing", "door/x.go", "// Package helpers is for a test.\npackage helpers", "package name helpers says nothing"},
		{"NothingWrong", "door/x.go", ``, ""},

		{"Down", "cmd/x.go", `import ("example.org/house"; "example.org/house/adapter"; "example.org/house/service"; "example.org/house/server")`, ""},
		{"GroundInGround", "mac/x.go", `import "example.org/house/secret"`, ""},
		{"GroundOfRoot", "mac/x.go", `import "example.org/house"`, ""},
		{"RootUp", "x.go", `import "example.org/house/door"`, "package . (ground) imports example.org/house/door: that is doors"},
		{"GroundUp", "mac/x.go", `import "example.org/house/noun"`, "that is nouns, and imports go down"},
		{"DoorInDoor", "door/x.go", `import "example.org/house/door2"`, ""},
		{"DoorUp", "door/x.go", `import "example.org/house/server"`, "that is top"},
		{"NounInNoun", "noun/x.go", `import "example.org/house/noun2"`, ""},
		{"NounUp", "noun/x.go", `import "example.org/house/service"`, "that is services"},
		{"ServiceDown", "service/x.go", `import ("example.org/house/noun"; "example.org/house/door"; "example.org/house/mac")`, ""},
		{"ServiceInService", "service/x.go", `import "example.org/house/service2"`, "that is services"},
		{"ServiceUp", "service/x.go", `import "example.org/house/adapter"`, "that is adapters"},
		{"AdapterInAdapter", "adapter/x.go", `import "example.org/house/adapter2"`, "that is adapters"},
		{"AdapterOfService", "adapter/x.go", `import "example.org/house/service"`, ""},
		{"TopInTop", "cmd/x.go", `import "example.org/house/server"`, ""},
		{"ImportOfUnknown", "cmd/x.go", `import "example.org/house/new"`, "it has no floor"},
		{"OtherModuleOfLikeName", "cmd/x.go", `import "example.org/houses/util"`, ""},
		{"RenamedImport", "mac/x.go", `import n "example.org/house/noun"`, "that is nouns"},
		{"BlankImport", "mac/x.go", `import _ "example.org/house/noun"`, "that is nouns"},
		{"UpInTest", "mac/x_test.go", `import "example.org/house/noun"`, ""},

		{"GroundOther", "mac/x.go", `import "example.com/lib"`, "only the standard library"},
		{"DoorOther", "door/x.go", `import "golang.org/x/sync/errgroup"`, "only the standard library"},
		{"NounOther", "noun/x.go", `import "example.com/lib"`, ""},
		{"GroundOtherInTest", "mac/x_test.go", `import "github.com/google/go-cmp/cmp"`, ""},
		{"GroundNet", "mac/x.go", `import "net"`, "ground does no I/O"},
		{"GroundHTTP", "mac/x.go", `import "net/http"`, "ground does no I/O"},
		{"GroundURL", "mac/x.go", `import "net/url"`, "ground does no I/O"},
		{"GroundOS", "mac/x.go", `import "os"`, "ground does no I/O"},
		{"GroundExec", "mac/x.go", `import "os/exec"`, "ground does no I/O"},
		{"GroundLog", "mac/x.go", `import "log"`, "ground does no I/O"},
		{"GroundSlog", "mac/x.go", `import "log/slog"`, "ground does no I/O"},
		{"GroundSQL", "mac/x.go", `import "database/sql"`, "ground does no I/O"},
		{"GroundSyscall", "mac/x.go", `import "syscall"`, "ground does no I/O"},
		{"GroundPure", "mac/x.go", `import ("embed"; "io"; "io/fs"; "encoding/json"; "crypto/sha256"; "path")`, ""},
		{"DoorHTTP", "door/x.go", `import "net/http"`, ""},

		{"A04Subtle", "server/x.go", `import "crypto/subtle"`, "tags are computed and compared in package mac only"},
		{"A04HMAC", "service/x.go", `import "crypto/hmac"`, "tags are computed and compared in package mac only"},
		{"A04Renamed", "door/x.go", `import h "crypto/hmac"`, "tags are computed and compared in package mac only"},
		{"A04OtherHash", "server/x.go", `import "crypto/sha256"`, ""},
		{"A04InTest", "server/x_test.go", `import "crypto/hmac"`, ""},

		{"Expose", "door/x.go", `func f(s interface{ Expose() []byte }) { _ = s.Expose() }`, "package door calls Expose"},
		{"ExposeAsValue", "door/x.go", `func f(s S) { g := s.Expose; g() }`, "package door calls Expose"},
		{"ExposeAsExpression", "door/x.go", `var f = secret.Bytes.Expose`, "package door calls Expose"},
		{"ExposeOfField", "door/x.go", `func f(s S) { s.a.b[1].Expose() }`, "package door calls Expose"},
		{"ExposeInTest", "door/x_test.go", `func f(s S) { s.Expose() }`, ""},
		{"OtherName", "door/x.go", `func f(s S) { s.Exposed() }`, ""},

		{"Clock", "mac/x.go", "import \"time\"\nfunc f() { _ = time.Now() }", "calls time.Now: the time is an argument"},
		{"ClockAsValue", "mac/x.go", "import \"time\"\nvar now = time.Now", "calls time.Now"},
		{"ClockRenamed", "mac/x.go", "import clock \"time\"\nfunc f() { clock.Sleep(1) }", "calls time.Sleep"},
		{"ClockAbove", "service/x.go", "import \"time\"\nfunc f() { _ = time.Now() }", ""},
		{"TimeIsNoClock", "mac/x.go", "import \"time\"\nfunc f(t time.Time) { _ = t.Add(time.Hour); _ = time.Unix(0, 0) }", ""},
		{"VariableCalledTime", "mac/x.go", "import \"time\"\nvar d time.Duration\nfunc f(time T) { time.Now() }", ""},

		{"Init", "service/x.go", `func init() {}`, "package service has func init"},
		{"MethodInit", "service/x.go", `func (t t) init() {}`, ""},
		{"InitInTest", "service/x_test.go", `func init() {}`, ""},

		{"VarSet", "service/x.go", "var a = 1\nfunc f() { a = 2 }", "x.go:4:12: package variable a is changed"},
		{"VarAdded", "service/x.go", "var a = 1\nfunc f() { a += 2 }", "package variable a is changed"},
		{"VarIncremented", "service/x.go", "var a = 1\nfunc f() { a++ }", "package variable a is changed"},
		{"VarInGroup", "service/x.go", "var (\n\ta = 1\n\tb, c int\n)\nfunc f() { c-- }", "package variable c is changed"},
		{"VarElement", "service/x.go", "var a = map[int]int{}\nfunc f() { a[1] = 2 }", "package variable a is changed"},
		{"VarField", "service/x.go", "var a struct{ b struct{ c int } }\nfunc f() { a.b.c = 2 }", "package variable a is changed"},
		{"VarThroughPointer", "service/x.go", "var a = new(int)\nfunc f() { *a = 2 }", "package variable a is changed"},
		{"VarSlice", "service/x.go", "var a [4]byte\nfunc f() { copy(a[1:], \"x\") }", "package variable a is changed"},
		{"VarCleared", "service/x.go", "var a = map[int]int{}\nfunc f() { clear(a) }", "package variable a is changed"},
		{"VarDeleted", "service/x.go", "var a = map[int]int{}\nfunc f() { delete(a, 1) }", "package variable a is changed"},
		{"VarByRange", "service/x.go", "var a int\nfunc f() { for a = range 3 {} }", "package variable a is changed"},
		{"VarByRangeValue", "service/x.go", "var a int\nfunc f() { for _, a = range []int{1} {} }", "package variable a is changed"},
		{"VarInClosure", "service/x.go", "var a = 1\nvar f = func() { a = 2 }", "package variable a is changed"},
		{"VarInMethod", "service/x.go", "var a = 1\nfunc (t t) f() { if true { a = 2 } }", "package variable a is changed"},
		{"VarOfOther", "service/x.go", "import \"net/http\"\nfunc f() { http.DefaultClient.Timeout = 1 }", "package variable http is changed"},
		{"VarMadeToChange", "service/x.go", "import \"sync\"\nvar mu sync.Mutex", "package variable mu is made to change"},
		{"VarAtomic", "service/x.go", "import \"sync/atomic\"\nvar n atomic.Pointer[int]", "package variable n is made to change"},
		{"VarRead", "service/x.go", "var a = 1\nfunc f() int { b := a; b = 2; return b }", ""},
		{"VarShadowed", "service/x.go", "var a = 1\nfunc f() { a := 2; a = 3; _ = a }", ""},
		{"VarShadowedByParameter", "service/x.go", "var a = 1\nfunc f(a int) { a++ }", ""},
		{"VarShadowedByResult", "service/x.go", "var a = 1\nfunc f() (a int) { a = 1; return }", ""},
		{"FieldOfSameName", "service/x.go", "var a = 1\nfunc f(t *t) { t.a = 2 }", ""},
		{"Blank", "service/x.go", "var _ = 1\nfunc f() { _ = 2 }", ""},
		{"ParameterLikeImport", "service/x.go", "import \"net/http\"\nvar _ http.Header\nfunc f(http *t) { http.a = 1 }", ""},
		{"MutexInStruct", "service/x.go", "import \"sync\"\ntype t struct{ mu sync.Mutex }", ""},
		{"VarInTest", "service/x_test.go", "var a = 1\nfunc f() { a = 2 }", ""},

		{"NoPackageComment", "service/x.go", "package service", "package service has no package comment"},
		{"FuncNotDescribed", "service/x.go", `func F() {}`, "F is exported and not described"},
		{"MethodNotDescribed", "service/x.go", "// T is.\ntype T int\nfunc (t *T) F() {}", "F is exported and not described"},
		{"MethodOfGeneric", "service/x.go", "// T is.\ntype T[K any] int\nfunc (t *T[K]) F() {}", "F is exported and not described"},
		{"MethodOfUnexported", "service/x.go", "type t int\nfunc (t t) F() {}", ""},
		{"TypeNotDescribed", "service/x.go", `type T int`, "T is exported and not described"},
		{"ConstNotDescribed", "service/x.go", `const C = 1`, "C is exported and not described"},
		{"VarNotDescribed", "service/x.go", "var (\n\ta, V int\n)", "V is exported and not described"},
		{"GroupDescribed", "service/x.go", "// The numbers.\nconst (\n\tA = 1\n\tB = 2\n)", ""},
		{"LineDescribed", "service/x.go", "const (\n\tA = 1 // one\n\t// B is two.\n\tB = 2\n)", ""},
		{"InterfaceDescribedAsAWhole", "service/x.go", "// I is.\ntype I interface {\n\tM()\n}", ""},
		{"NotDescribedInTest", "service/x_test.go", `func F() {}`, ""},

		{"Allocs", "service/x_test.go", noRace + "func TestAllocs() { testing.AllocsPerRun() }", ""},
		{"AllocsOfSomething", "service/x_test.go", noRace + "func TestAllocationsOfSign() { testing.AllocsPerRun() }", ""},
		{"AllocsUnderRace", "service/x_test.go", "func TestAllocs() { testing.AllocsPerRun() }", "TestAllocs counts allocations: put it into a file with //go:build !race"},
		{"AllocsUnderRaceInHelper", "service/x_test.go", "func helper() { testing.AllocsPerRun() }", "helper counts allocations"},
		{"AllocsOtherConstraint", "service/x_test.go", "//go:build linux\n\n// Package p is.\npackage p\nfunc TestAllocs() { testing.AllocsPerRun() }", "TestAllocs counts allocations"},
		{"TestOfOtherBuild", "service/x_test.go", "//go:build !cgo\n\n// Package p is.\npackage p\nfunc TestAbsent() {}", ""},
		{"AllocsNeverRun", "service/x_test.go", noRace + "func TestBudget() { testing.AllocsPerRun() }", "TestBudget is not built under the race detector: call it TestAlloc"},
		{"NeverRun", "service/x_test.go", noRace + "func TestX() {}", "TestX is not built under the race detector"},
		{"HelperOfAllocs", "service/x_test.go", noRace + "func helper() {}\nfunc (t T) TestX() {}", ""},

		{"LongFunction", "service/x.go", short + long(101), "func f has 101 lines, want at most 100"},
		{"LongestFunction", "service/x.go", short + long(100), ""},
		{"LongFunctionInTest", "service/x_test.go", long(101), ""},
		{"ManyLongFunctions", "service/x.go", strings.Repeat(long(41), 2) + strings.Repeat("func _() {}\n", 17), "nine of ten have up to 41 lines, want 40"},
		{"FewLongFunctions", "service/x.go", strings.Repeat(long(41), 2) + strings.Repeat("func _() {}\n", 19), ""},
		{"LargePackage", "service/x.go", strings.Repeat("var _ = 1\n", 2000), "package service has 2001 lines of code, want at most 2000"},
		{"LargestPackage", "service/x.go", strings.Repeat("// A comment.\n\nvar _ = 1\n", 1999), ""},
		{"LargeText", "service/x.go", "var _ = `" + strings.Repeat("\n", 1999) + "`", "package service has 2001 lines"},
		{"LargeInterface", "service/x.go", "type i interface { a(); b(); c(); d(); e() }", "interface i has 5 methods, want at most 4"},
		{"LargestInterface", "service/x.go", "type i interface { a(); b(); c(); d(); error }", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := check(t, rules(), tt.file, tt.src, "tools/go.mod", "module example.org/tools", "tools/x.go", "package main")
			if tt.want == "" {
				if len(got) != 0 {
					t.Errorf("got %q, want nothing", got)
				}
				return
			}
			if len(got) != 1 || !strings.Contains(got[0], tt.want) {
				t.Errorf("got %q, want one finding with %q", got, tt.want)
			}
		})
	}
}

// TestVarOfOtherFile: a variable of the package is known in all its files.
func TestVarOfOtherFile(t *testing.T) {
	got := check(t, rules(), "service/a.go", "var a = 1", "service/b.go", "func f() { a = 2 }")
	if len(got) != 1 || !strings.Contains(got[0], "service/b.go:3:12: package variable a is changed") {
		t.Errorf("got %q", got)
	}
}

func TestExceptions(t *testing.T) {
	const reason = "has a reason"
	tests := []struct {
		name   string
		except func(*floors.Rules, map[string]string)
		key    string
		src    string // of service/x.go, needs the exception
	}{
		{"Expose", func(r *floors.Rules, m map[string]string) { r.Expose = m }, "service", "func f(s S) { s.Expose() }"},
		{"Tags", func(r *floors.Rules, m map[string]string) { r.Tags = m }, "service", `import "crypto/subtle"`},
		{"Inits", func(r *floors.Rules, m map[string]string) { r.Inits = m }, "service", "func init() {}"},
		{"Imports", func(r *floors.Rules, m map[string]string) { r.Imports = m }, "service example.org/house/service2", `import "example.org/house/service2"`},
		{"Vars", func(r *floors.Rules, m map[string]string) { r.Vars = m }, "service.a", "var a = 1\nfunc f() { a = 2 }"},
		{"Interfaces", func(r *floors.Rules, m map[string]string) { r.Interfaces = m }, "service.i", "type i interface { a(); b(); c(); d(); e() }"},
		{"Large", func(r *floors.Rules, m map[string]string) { r.Large = m }, "service", strings.Repeat("var _ = 1\n", 2000)},
	}
	generated := "// Code generated by x. DO NOT EDIT.\n\n// Package p is for a test.\npackage p\n"
	tests = append(tests, struct {
		name   string
		except func(*floors.Rules, map[string]string)
		key    string
		src    string
	}{"Generated", func(r *floors.Rules, m map[string]string) { r.Generated = m }, "service", generated + "func init() {}"})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			run := func(key, reason, src string) []string {
				r := rules()
				tt.except(&r, map[string]string{key: reason})
				return check(t, r, "service/x.go", src)
			}
			if got := run(tt.key, reason, tt.src); len(got) != 0 {
				t.Errorf("with the exception: %q", got)
			}
			if got := run(strings.Replace(tt.key, "service", "other", 1), reason, tt.src); len(got) != 1 {
				t.Errorf("with an exception for another package: %q, want one finding", got)
			}
			if got := run(tt.key, " ", tt.src); len(got) != 1 || !strings.Contains(got[0], "has no reason") {
				t.Errorf("without a reason: %q", got)
			}
			if got := run(tt.key, reason, ""); len(got) != 1 || !strings.Contains(got[0], "is not needed") {
				t.Errorf("not needed: %q", got)
			}
		})
	}
}

func TestLoad(t *testing.T) {
	tree, err := floors.Load(fstest.MapFS{
		"b/x.go":                {Data: []byte("package b")},
		"a/x.go":                {Data: []byte("//go:build windows\n\npackage a\n\n// f is.\nfunc f() {\n}\n")},
		"a/x_test.go":           {Data: []byte("package a_test\nvar a = `\n\n`\n")},
		"a/testdata/bad.go":     {Data: []byte("not Go")},
		".cache/bad.go":         {Data: []byte("not Go")},
		"_old/bad.go":           {Data: []byte("not Go")},
		"tools/go.mod":          {Data: []byte("module tools")},
		"tools/cmd/bad.go":      {Data: []byte("not Go")},
		"a/readme.md":           {Data: []byte("# not Go")},
		"go.mod":                {Data: []byte("module x")},
		"z.go":                  {Data: []byte("package z")},
		"deep/er/and/deeper.go": {Data: []byte("package and")},
	})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range tree.Packages {
		got = append(got, p.Path)
	}
	if want := ". a b deep/er/and"; strings.Join(got, " ") != want {
		t.Fatalf("packages %q, want %s", got, want)
	}
	a := tree.Packages[1]
	if len(a.Files) != 2 || a.Files[0].Test || !a.Files[1].Test || a.Files[0].Lines != 3 || a.Files[1].Lines != 4 {
		t.Errorf("files of a: %+v %+v", a.Files[0], a.Files[1])
	}
	if _, err := floors.Load(fstest.MapFS{"a/x.go": {Data: []byte("package")}}); err == nil || !strings.Contains(err.Error(), "a/x.go:1") {
		t.Errorf("Load of a broken file: %v", err)
	}
}

func TestMeasure(t *testing.T) {
	tree, err := floors.Load(fstest.MapFS{
		"mac/x.go":      {Data: []byte("package mac\nimport \"example.org/house/secret\"\n")},
		"mac/y.go":      {Data: []byte("package mac\nimport \"example.org/house/secret\"\nimport \"io\"\n")},
		"mac/x_test.go": {Data: []byte("package mac\nimport \"example.org/house\"\n\n// comment\nvar a = 1\n")},
		"secret/x.go":   {Data: []byte("package secret\n")},
		"noun/x.go":     {Data: []byte("package noun\n")},
	})
	if err != nil {
		t.Fatal(err)
	}
	got := floors.Measure(rules(), tree)
	if want := (floors.Measures{Packages: 2, Code: 6, Tests: 3, Imports: 1}); got[floors.Ground] != want || len(got) != 2 {
		t.Errorf("Measure = %+v, want %+v for ground and one other", got, want)
	}
}
