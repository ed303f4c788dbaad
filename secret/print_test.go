package secret_test

import (
	"bytes"
	"context"
	"encoding/asn1"
	"encoding/binary"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"errors"
	"expvar"
	"fmt"
	htmltemplate "html/template"
	"io"
	"log"
	"log/slog"
	"os"
	"os/exec"
	"reflect"
	"strings"
	"testing"
	"text/template"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/sealwright/sealwright/secret"
)

// holder holds a secret in every kind of field.
type holder struct {
	secret.Bytes
	Field   secret.Bytes
	Pointer *secret.Bytes
	Slice   []secret.Bytes
	Array   [2]secret.Bytes
	Map     map[string]secret.Bytes
	Any     any
	hidden  secret.Bytes
	hiddenP *secret.Bytes
	hiddenS []secret.Bytes
	hiddenM map[string]secret.Bytes
	hiddenA any
	inner   struct{ deep struct{ deeper secret.Bytes } }
}

func newHolder(b secret.Bytes) holder {
	h := holder{
		Bytes: b, Field: b, Pointer: &b, Slice: []secret.Bytes{b}, Array: [2]secret.Bytes{b, b},
		Map: map[string]secret.Bytes{"k": b}, Any: b,
		hidden: b, hiddenP: &b, hiddenS: []secret.Bytes{b}, hiddenM: map[string]secret.Bytes{"k": b}, hiddenA: b,
	}
	h.inner.deep.deeper = b
	return h
}

// plain is a holder that has no methods of its own.
type plain struct {
	Field   secret.Bytes
	Pointer *secret.Bytes
	hidden  secret.Bytes
	hiddenP *secret.Bytes
	hiddenA any
}

// failure is an error that carries a secret, by mistake.
type failure struct {
	Key    secret.Bytes
	hidden secret.Bytes
}

func (f failure) Error() string { return fmt.Sprintf("key %v, %+v", f.Key, f.hidden) }

// containers returns the values in which a secret may be handed to a printer.
func containers() map[string]any {
	b := secret.FromString(marker)
	p := &b
	h := newHolder(b)
	f := failure{b, b}
	return map[string]any{
		"Value":            b,
		"Pointer":          p,
		"PointerToPointer": &p,
		"Slice":            []secret.Bytes{b},
		"Array":            [1]secret.Bytes{b},
		"Map":              map[string]secret.Bytes{"k": b},
		"MapOfAny":         map[string]any{"k": b, "p": &b},
		"Any":              []any{b, &b},
		"Struct":           plain{Field: b, Pointer: &b, hidden: b, hiddenP: &b, hiddenA: b},
		"StructPointer":    &plain{Field: b, Pointer: &b, hidden: b, hiddenP: &b, hiddenA: b},
		"Embedding":        h,
		"EmbeddingPointer": &h,
		"Nested":           []map[string]*holder{{"k": &h}},
		"Func":             func() secret.Bytes { return b },
		"Reflected":        reflect.ValueOf(b),
		"Error":            f,
		"ErrorWrapped":     fmt.Errorf("sign with %v: %w", b, f),
		"ErrorJoined":      errors.Join(f, fmt.Errorf("%s", b)),
	}
}

// check runs a subtest for each container that prints it and looks for leaks.
func check(t *testing.T, print func(w io.Writer, v any) error) {
	t.Helper()
	for name, v := range containers() {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			if err := print(&out, v); err != nil {
				fmt.Fprint(&out, "\nerror: ", err) // the text of an error must not leak either
			}
			if found := leak(out.String()); found != "" {
				t.Errorf("%q leaks in:\n%s", found, out.String())
			}
		})
	}
}

// formats returns every verb with every set of flags and some sizes.
func formats() []string {
	var verbs []string
	for c := 'A'; c <= 'z'; c++ {
		if c <= 'Z' || c >= 'a' {
			verbs = append(verbs, string(c))
		}
	}
	var out []string
	for set := range 1 << 5 {
		flags := ""
		for i, f := range []string{"+", "-", "#", " ", "0"} {
			if set>>i&1 == 1 {
				flags += f
			}
		}
		for _, size := range []string{"", "3", ".2", "60.40"} {
			for _, verb := range verbs {
				out = append(out, "%"+flags+size+verb)
			}
		}
	}
	return append(out, "%!", "%", "%[1]*[1]d", "%z")
}

func TestPrintFmt(t *testing.T) {
	all := formats()
	check(t, func(w io.Writer, v any) error {
		for _, format := range all {
			fmt.Fprintf(w, format+"\n", v)
		}
		fmt.Fprint(w, v, " ")
		fmt.Fprintln(w, v, v)
		return fmt.Errorf("%w, %v", errors.New("x"), v)
	})
}

// TestPrintRedacted shows that something is printed in place of the secret.
func TestPrintRedacted(t *testing.T) {
	b := secret.FromString(marker)
	for _, format := range formats() {
		if !strings.ContainsAny(format[len(format)-1:], "Tpw%!*]z") && !strings.HasPrefix(format, "%[") {
			if got := fmt.Sprintf(format, b); got != secret.Redacted {
				t.Errorf("Sprintf(%q) = %q, want %q", format, got, secret.Redacted)
			}
		}
	}
	if got := fmt.Sprint(b, &b, []any{b}); got != "[secret] [secret] [[secret]]" {
		t.Errorf("Sprint = %q", got)
	}
	if got := fmt.Sprint(secret.Bytes{}); got != secret.Redacted {
		t.Errorf("Sprint of the zero value = %q, want the same as of any secret", got)
	}
}

func TestPrintSlog(t *testing.T) {
	handlers := map[string]func(io.Writer, *slog.HandlerOptions) slog.Handler{
		"Text": func(w io.Writer, o *slog.HandlerOptions) slog.Handler { return slog.NewTextHandler(w, o) },
		"JSON": func(w io.Writer, o *slog.HandlerOptions) slog.Handler { return slog.NewJSONHandler(w, o) },
	}
	for name, open := range handlers {
		t.Run(name, func(t *testing.T) {
			check(t, func(w io.Writer, v any) error {
				o := &slog.HandlerOptions{
					Level:       slog.LevelDebug,
					ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr { return a },
				}
				l := slog.New(open(w, o))
				l.Debug("attr", "v", v)
				l.With("v", v).WithGroup("g").Info("with", slog.Any("v", v))
				l.LogAttrs(context.Background(), slog.LevelError, "group", slog.Group("g", "v", v))
				l.Error("slice", "v", []any{v, &v})
				l.Error(fmt.Sprint(v), "!BADKEY", v, v, v)
				return nil
			})
		})
	}
}

func TestPrintLog(t *testing.T) {
	check(t, func(w io.Writer, v any) error {
		l := log.New(w, "", log.LstdFlags)
		l.Print(v)
		l.Println(v, v)
		l.Printf("%+v %#v %x", v, v, v)
		return nil
	})
}

func TestPrintJSON(t *testing.T) {
	check(t, func(w io.Writer, v any) error {
		e := json.NewEncoder(w)
		e.SetEscapeHTML(false)
		e.SetIndent(" ", "\t")
		return errors.Join(e.Encode(v), e.Encode(map[string]any{"v": v}))
	})
}

func TestPrintXML(t *testing.T) {
	check(t, func(w io.Writer, v any) error {
		e := xml.NewEncoder(w)
		err := e.Encode(v)
		type attribute struct {
			V     secret.Bytes `xml:"v,attr"`
			Chars secret.Bytes `xml:",chardata"`
		}
		b := secret.FromString(marker)
		return errors.Join(err, e.Encode(attribute{b, b}), e.Encode(struct {
			Comment secret.Bytes `xml:",comment"`
		}{b}))
	})
}

func TestPrintYAML(t *testing.T) {
	check(t, func(w io.Writer, v any) (err error) {
		defer func() {
			if r := recover(); r != nil { // this encoder panics for what it cannot write
				err = fmt.Errorf("panic: %v", r)
			}
		}()
		e := yaml.NewEncoder(w)
		return errors.Join(e.Encode(v), e.Encode(map[string]any{"v": v}))
	})
}

func TestPrintGob(t *testing.T) {
	gob.Register(secret.Bytes{})
	check(t, func(w io.Writer, v any) error {
		return errors.Join(gob.NewEncoder(w).Encode(v), gob.NewEncoder(w).Encode(struct{ V any }{v}))
	})
}

func TestPrintBinary(t *testing.T) {
	check(t, func(w io.Writer, v any) error {
		der, err := asn1.Marshal(v)
		fmt.Fprintf(w, "%s", der)
		return errors.Join(err, binary.Write(w, binary.BigEndian, v))
	})
}

func TestPrintTemplate(t *testing.T) {
	const text = `{{.}} {{printf "%v %s %x %q %#v" . . . . .}} {{print .}} {{println .}} {{html .}} {{js .}} {{urlquery .}}`
	check(t, func(w io.Writer, v any) error {
		err := template.Must(template.New("").Parse(text)).Execute(w, v)
		html := `<a href="/{{.}}" title="{{.}}" style="x: {{.}}">{{.}}</a><script>var v = {{.}}</script>`
		return errors.Join(err, htmltemplate.Must(htmltemplate.New("").Parse(html)).Execute(w, v))
	})
}

func TestPrintExpvar(t *testing.T) {
	check(t, func(w io.Writer, v any) error {
		_, err := io.WriteString(w, expvar.Func(func() any { return v }).String())
		return err
	})
}

// dump is a printer built on reflection: it walks also through unexported
// fields and writes whatever text and numbers it finds.
func dump(w io.Writer, v reflect.Value, depth int) {
	if depth > 12 {
		return
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			dump(w, v.Elem(), depth+1)
		}
	case reflect.Struct:
		for _, f := range v.Fields() {
			dump(w, f, depth+1)
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			dump(w, v.Index(i), depth+1)
		}
	case reflect.Map:
		for _, k := range v.MapKeys() {
			dump(w, k, depth+1)
			dump(w, v.MapIndex(k), depth+1)
		}
	case reflect.Uint8:
		fmt.Fprintf(w, "%c", rune(v.Uint()))
	default:
		fmt.Fprintf(w, "<%v>", v)
	}
}

func TestPrintReflect(t *testing.T) {
	var control bytes.Buffer
	dump(&control, reflect.ValueOf(struct{ b []byte }{[]byte(marker)}), 0)
	if leak(control.String()) == "" {
		t.Fatalf("dump shows %q of a plain slice of bytes", control.String())
	}
	check(t, func(w io.Writer, v any) error {
		dump(w, reflect.ValueOf(v), 0)
		return nil
	})
}

func TestPrintDiff(t *testing.T) {
	all := cmp.Exporter(func(reflect.Type) bool { return true })
	check(t, func(w io.Writer, v any) error {
		if reflect.TypeOf(v) == reflect.TypeFor[reflect.Value]() {
			return nil // cmp follows the runtime's own types without end
		}
		_, err := io.WriteString(w, cmp.Diff(v, nil, all)+cmp.Diff(nil, v, all)+cmp.Diff([]any{v, 1}, []any{v, 2}, all))
		return err
	})
	b, other := plain{Field: secret.FromString(marker)}, plain{Field: secret.FromString("other")}
	diff := cmp.Diff(b, other, all)
	if diff == "" {
		t.Error("cmp.Diff sees no difference between two secrets")
	}
	if found := leak(diff); found != "" {
		t.Errorf("%q leaks in:\n%s", found, diff)
	}
}

// TestPrintTest covers what a failing test prints, by the formats of testing.
func TestPrintTest(t *testing.T) {
	check(t, func(w io.Writer, v any) error {
		_, err := fmt.Fprintf(w, "got %v, want %+v (%#v) %q", v, v, v, v)
		return err
	})
}

// TestPanicText lets another process panic with each container and looks at
// what the runtime prints: the value and the traces with their arguments.
func TestPanicText(t *testing.T) {
	const env = "SEALWRIGHT_TEST_PANIC"
	if name := os.Getenv(env); name != "" {
		panicWith(containers()[name], secret.FromString(marker))
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"Value", "Pointer", "Struct", "Embedding", "Error", "ErrorWrapped", "ErrorJoined"} {
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command(self, "-test.run=^TestPanicText$")
			cmd.Env = append(os.Environ(), env+"="+name, "GOTRACEBACK=system")
			out, err := cmd.CombinedOutput()
			if err == nil || !strings.Contains(string(out), "panic:") {
				t.Fatalf("process did not panic: %v\n%s", err, out)
			}
			if found := leak(string(out)); found != "" {
				t.Errorf("%q leaks in:\n%s", found, out)
			}
		})
	}
}

//go:noinline
func panicWith(v any, _ secret.Bytes) { panic(v) }
