package doctor

import (
	"fmt"
	pathpkg "path"
	"slices"
	"strings"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/canon"
)

// address is another URL that may have been signed.
type address struct {
	cause, text string
	also        fault // where two changes make the address
	weight      int
	scheme      string
	host        string
	target      string
}

// addresses returns URLs that may have been signed instead of the one of m.
func addresses(m *sealwright.Message, received *sealwright.Message, publicURL string, hosts []string) []address {
	a := &addressList{m: m, known: map[string]int{}}
	a.known[m.URLScheme()+"://"+m.Host+m.Target] = -1
	if m.URL() != received.URL() {
		a.registered(received)
	}
	if scheme, host, target, err := sealwright.SplitURL(publicURL); err == nil {
		a.hint("the public URL", scheme, host, target)
		a.hint("the public URL before the path", scheme, host, strings.TrimSuffix(pathOf(target), "/")+m.Target)
		a.hint("the public URL with the query", scheme, host, pathOf(target)+"?"+m.Query())
	}
	a.forwarded()
	a.schemes()
	a.hosts(hosts)
	a.paths()
	a.queries()
	a.escapes()
	slices.SortStableFunc(a.list, func(x, y address) int { return x.weight - y.weight })
	return a.list
}

// registered covers a configured URL that is not the one registered with the
// sender, where the request still shows the registered one.
func (a *addressList) registered(received *sealwright.Message) {
	a.add(2, "url.configured", "signed the URL as it was received, not the configured one", received.URLScheme(), received.Host, received.Target)
	r := &addressList{m: received, known: map[string]int{}}
	r.forwarded()
	r.schemes()
	for _, u := range r.list {
		a.add(3, "url.configured", "signed the URL that the request shows, not the configured one", u.scheme, u.host, u.target)
	}
}

// combined returns the addresses that two of the list make together: scheme or host
// of one, path or query of the other.
func combined(m *sealwright.Message, list []address) []address {
	a := &addressList{m: m, known: map[string]int{}}
	for _, x := range list {
		if x.target != m.Target || x.scheme == "" {
			continue
		}
		for _, y := range list {
			if y.scheme == m.URLScheme() && y.host == m.Host && y.target != m.Target {
				a.both(x, y, y.target)
			}
		}
	}
	for _, x := range list {
		for _, y := range list {
			xp, xq, _ := strings.Cut(x.target, "?")
			yp, yq, has := strings.Cut(y.target, "?")
			if x.host == m.Host && y.host == m.Host && x.scheme == y.scheme && has && xp != m.Path() && xq == m.Query() && yp == m.Path() && yq != m.Query() {
				a.both(x, y, xp+"?"+yq)
			}
		}
	}
	return a.list
}

// both adds a URL that x and y make together.
func (a *addressList) both(x, y address, target string) {
	if n := len(a.list); n < maxCombined {
		a.add(x.weight+y.weight, x.cause, x.text, x.scheme, x.host, target)
		if len(a.list) > n {
			a.list[n].also = fault{y.cause, y.text}
		}
	}
}

// maxCombined is the most URLs with two changes that are tried.
const maxCombined = 5000

type addressList struct {
	m     *sealwright.Message
	known map[string]int // URL to place in list; -1 for the one that was seen
	list  []address
}

// add adds a URL. Of two ways to the same URL the lighter one counts.
func (a *addressList) add(weight int, cause, text, scheme, host, target string) {
	url := scheme + "://" + host + target
	next := address{cause: cause, text: text, weight: weight, scheme: scheme, host: host, target: target}
	if at, ok := a.known[url]; ok {
		if at >= 0 && a.list[at].weight > weight {
			a.list[at] = next
		}
		return
	}
	a.known[url] = len(a.list)
	a.list = append(a.list, next)
}

// hint adds a URL that something in the request or the configuration names; the
// cause is the part that differs most.
func (a *addressList) hint(what, scheme, host, target string) {
	m := a.m
	cause := "url.scheme"
	switch {
	case host != m.Host:
		cause = "url.host_port"
	case pathOf(target) != m.Path():
		cause = "url.path_rewritten"
	case target != m.Target:
		cause = "url.query"
	}
	a.add(2, cause, "signed "+what, scheme, host, target)
}

func pathOf(target string) string {
	path, _, _ := strings.Cut(target, "?")
	return path
}

func (a *addressList) header(names ...string) string {
	for _, n := range names {
		if v := a.m.Header[n]; len(v) > 0 && v[0] != "" {
			first, _, _ := strings.Cut(v[0], ",")
			return strings.TrimSpace(first)
		}
	}
	return ""
}

// forwarded uses what proxies say of the original request.
func (a *addressList) forwarded() {
	m := a.m
	scheme, host, target := m.URLScheme(), m.Host, m.Target
	if p := a.header("X-Forwarded-Proto", "X-Forwarded-Scheme", "X-Scheme", "X-Url-Scheme", "Cloudfront-Forwarded-Proto"); p == "http" || p == "https" {
		scheme = p
	}
	if a.header("X-Forwarded-Ssl", "Front-End-Https") == "on" || strings.Contains(a.header("Cf-Visitor"), `"https"`) {
		scheme = "https"
	}
	if h := a.header("X-Forwarded-Host", "X-Original-Host", "X-Host", "Disguised-Host", "X-Forwarded-Server"); h != "" {
		host = h
	}
	if f := a.m.Header["Forwarded"]; len(f) > 0 {
		for pair := range strings.SplitSeq(strings.ReplaceAll(f[0], ",", ";"), ";") {
			name, value, _ := strings.Cut(strings.TrimSpace(pair), "=")
			value = strings.Trim(value, `"`)
			switch strings.ToLower(name) {
			case "proto":
				scheme = value
			case "host":
				host = value
			}
		}
	}
	ports := []string{""}
	if p := a.header("X-Forwarded-Port"); p != "" {
		ports = append(ports, ":"+p)
	}
	targets := []string{target}
	for _, t := range []string{a.header("X-Original-Uri"), a.header("X-Original-Url"), a.header("X-Rewrite-Url"), a.header("X-Forwarded-Uri"),
		a.header("X-Envoy-Original-Path"), a.header("X-Replaced-Path"), a.header("X-Forwarded-Path"), a.header("X-Request-Uri")} {
		if strings.HasPrefix(t, "/") {
			targets = append(targets, t)
			if !strings.Contains(t, "?") && m.Query() != "" {
				targets = append(targets, t+"?"+m.Query())
			}
		}
	}
	a.anyHint()
	if p := a.header("X-Forwarded-Prefix", "X-Script-Name", "X-Base-Path"); p != "" {
		targets = append(targets, strings.TrimSuffix(p, "/")+target)
	}
	for _, t := range targets {
		for _, p := range ports {
			h := host
			if p != "" {
				h = bareHost(host) + p
			}
			a.hint("the URL that the proxy's headers name", scheme, h, t)
			a.hint("the URL that the proxy's headers name", m.URLScheme(), h, t)
			a.hint("the URL that the proxy's headers name", scheme, m.Host, t)
		}
	}
}

// anyHint takes URLs and paths from any header.
func (a *addressList) anyHint() {
	m := a.m
	for _, name := range headerNames(m.Header) {
		v := a.header(name)
		if scheme, host, target, err := sealwright.SplitURL(v); err == nil && strings.Contains(v, "://") {
			a.hint("the URL in the header "+name, scheme, host, target)
			continue
		}
		if strings.HasPrefix(v, "/") && len(v) < 2048 {
			a.hint("the path in the header "+name, m.URLScheme(), m.Host, v)
			a.hint("the path in the header "+name+" with the query", m.URLScheme(), m.Host, pathOf(v)+"?"+m.Query())
			a.hint("the prefix in the header "+name, m.URLScheme(), m.Host, strings.TrimSuffix(v, "/")+m.Target)
		}
	}
}

func bareHost(host string) string {
	if i := strings.LastIndexByte(host, ':'); i > strings.LastIndexByte(host, ']') {
		return host[:i]
	}
	return host
}

func otherScheme(s string) string {
	if s == "http" {
		return "https"
	}
	return "http"
}

func (a *addressList) schemes() {
	m := a.m
	a.add(2, "url.scheme", "signed "+otherScheme(m.URLScheme())+":// instead of "+m.URLScheme()+"://", otherScheme(m.URLScheme()), m.Host, m.Target)
}

func (a *addressList) hosts(known []string) {
	m := a.m
	bare := bareHost(m.Host)
	try := func(weight int, host, text string) {
		a.add(weight, "url.host_port", text, m.URLScheme(), host, m.Target)
		a.add(weight+3, "url.host_port", text+" and the other scheme", otherScheme(m.URLScheme()), host, m.Target)
	}
	try(3, bare, "signed the host without its port")
	for _, p := range []string{":443", ":80", ":8443", ":8080", ":3000", ":5000", ":8000"} {
		try(4, bare+p, "signed the host with the port "+p[1:])
	}
	try(3, strings.ToLower(m.Host), "signed the host in lower case")
	for _, h := range known {
		try(3, h, "signed the host "+h)
		if i := strings.LastIndexByte(m.Host, ':'); i > 0 && !strings.Contains(h, ":") {
			try(4, h+m.Host[i:], "signed the host "+h)
		}
	}
	if w, ok := strings.CutPrefix(m.Host, "www."); ok {
		try(4, w, "signed the host without www.")
	} else {
		try(5, "www."+m.Host, "signed the host with www.")
	}
	if m.Target != "" {
		a.add(6, "url.host_port", "signed only path and query, without scheme and host", "", "", m.Target)
	}
}

// usualPrefixes are path prefixes that gateways add and strip.
var usualPrefixes = []string{"/api", "/v1", "/v2", "/api/v1", "/api/v2", "/prod", "/dev", "/stage", "/staging", "/test", "/default", "/webhooks", "/webhook",
	"/hooks", "/internal", "/public", "/app", "/gateway", "/service", "/backend", "/rest"}

func (a *addressList) paths() {
	m := a.m
	path, query := m.Path(), ""
	if strings.Contains(m.Target, "?") {
		query = "?" + m.Query()
	}
	try := func(weight int, cause, p, text string) { a.add(weight, cause, text, m.URLScheme(), m.Host, p+query) }
	if rest, ok := strings.CutSuffix(path, "/"); ok {
		try(3, "url.trailing_slash", rest, "signed the path without the slash at its end")
	} else {
		try(3, "url.trailing_slash", path+"/", "signed the path with a slash at its end")
	}
	segments := strings.Split(strings.TrimPrefix(path, "/"), "/")
	for i := 1; i < len(segments) && i <= 4; i++ {
		try(3+i, "url.path_rewritten", "/"+strings.Join(segments[i:], "/"), "signed the path without the prefix /"+strings.Join(segments[:i], "/"))
	}
	for i := range segments {
		try(6, "url.path_rewritten", "/"+strings.Join(segments[:i], "/")+"//"+strings.Join(segments[i:], "/"), "signed the path with two slashes in a row")
	}
	if clean := pathpkg.Clean(path); strings.HasPrefix(clean, "/") {
		try(4, "url.path_rewritten", clean, "signed the path without its dots")
	}
	for _, p := range usualPrefixes {
		try(6, "url.path_rewritten", p+path, "signed the path with the prefix "+p)
	}
	try(4, "url.path_rewritten", strings.ReplaceAll(path, "//", "/"), "signed the path with single slashes")
	try(5, "url.path_rewritten", "/"+path, "signed the path with two slashes at its beginning")
	try(5, "url.path_rewritten", strings.TrimPrefix(path, "/"), "signed the path without the slash at its beginning")
	try(5, "url.path_rewritten", strings.ToLower(path), "signed the path in lower case")
	try(6, "url.path_rewritten", "/", "signed the path / instead of the real one")
	try(6, "url.path_rewritten", "", "signed no path")
}

func (a *addressList) queries() {
	m := a.m
	path := m.Path()
	try := func(weight int, cause, query, text string) {
		target := path
		if query != "" {
			target += "?" + query
		}
		a.add(weight, cause, text, m.URLScheme(), m.Host, target)
	}
	if !strings.Contains(m.Target, "?") {
		a.add(4, "url.query", "signed a question mark without a query", m.URLScheme(), m.Host, path+"?")
		return
	}
	try(3, "url.query", "", "signed the URL without its query")
	pieces := strings.Split(m.Query(), "&")
	if len(pieces) > 40 {
		return
	}
	for i, p := range pieces {
		name, value, _ := strings.Cut(p, "=")
		weight, text := 4, "signed the query without the parameter "+name
		if value == "" {
			weight, text = 3, "signed the query without the empty parameter "+name
		}
		try(weight, "url.query", strings.Join(slices.Delete(slices.Clone(pieces), i, i+1), "&"), text)
		if value == "" {
			other := slices.Clone(pieces)
			if other[i] = name; p == name {
				other[i] = name + "="
			}
			try(4, "url.query", strings.Join(other, "&"), "signed the empty parameter "+name+" in another form")
		}
	}
	filled := slices.DeleteFunc(slices.Clone(pieces), func(p string) bool { _, v, _ := strings.Cut(p, "="); return v == "" })
	try(3, "url.query", strings.Join(filled, "&"), "signed the query without its empty parameters")
	sorted := slices.Sorted(slices.Values(pieces))
	try(3, "url.query", strings.Join(sorted, "&"), "signed the parameters in sorted order")
	slices.Reverse(sorted)
	try(5, "url.query", strings.Join(sorted, "&"), "signed the parameters in reverse order")
	for _, order := range permutations(len(pieces), maxOrdered+1) {
		p := make([]string, len(order))
		for i, at := range order {
			p[i] = pieces[at]
		}
		try(5, "url.query", strings.Join(p, "&"), "signed the parameters in another order")
	}
	try(4, "url.query", m.Query()+"&", "signed the query with an & at its end")
	try(4, "url.query", strings.Trim(m.Query(), "&"), "signed the query without the & at its ends")
	for i := range pieces {
		for j := i + 1; j < len(pieces) && len(pieces) <= 12; j++ {
			rest := slices.Delete(slices.Delete(slices.Clone(pieces), j, j+1), i, i+1)
			try(6, "url.query", strings.Join(rest, "&"), "signed the query without two of its parameters")
		}
		moved := slices.Delete(slices.Clone(pieces), i, i+1)
		try(5, "url.query", strings.Join(append(moved, pieces[i]), "&"), "signed the parameters in another order")
		try(5, "url.query", strings.Join(slices.Insert(moved, 0, pieces[i]), "&"), "signed the parameters in another order")
	}
	a.arrays(pieces, try)
}

// arrays tries other forms of repeated parameters.
func (a *addressList) arrays(pieces []string, try func(int, string, string, string)) {
	values := map[string][]string{}
	for _, p := range pieces {
		name, value, _ := strings.Cut(p, "=")
		plain := strings.NewReplacer("[]", "", "%5B%5D", "", "%5b%5d", "").Replace(name)
		values[plain] = append(values[plain], value)
	}
	forms := []struct {
		text string
		pair func(name string, list []string) string
	}{
		{"name[0]=a&name[1]=b", indexed("[%d]")},
		{"name%5B0%5D=a&name%5B1%5D=b", indexed("%%5B%d%%5D")},
		{"name0=a&name1=b", indexed("%d")},
		{"name=a,b", func(n string, l []string) string { return n + "=" + strings.Join(l, ",") }},
		{"name=a%2Cb", func(n string, l []string) string { return n + "=" + strings.Join(l, "%2C") }},
		{"the last value only", func(n string, l []string) string { return n + "=" + l[len(l)-1] }},
		{"the first value only", func(n string, l []string) string { return n + "=" + l[0] }},
		{`name=["a", "b"]`, func(n string, l []string) string { return n + `=["` + strings.Join(l, `", "`) + `"]` }},
		{`name=%5B%22a%22%2C%20%22b%22%5D`, func(n string, l []string) string {
			return n + "=%5B%22" + strings.Join(l, "%22%2C%20%22") + "%22%5D"
		}},
		{`name=["a","b"]`, func(n string, l []string) string { return n + `=["` + strings.Join(l, `","`) + `"]` }},
		{"name=a&name=b", func(n string, l []string) string { return n + "=" + strings.Join(l, "&"+n+"=") }},
		{"name[]=a&name[]=b", func(n string, l []string) string { return n + "[]=" + strings.Join(l, "&"+n+"[]=") }},
		{"name%5B%5D=a", func(n string, l []string) string { return n + "%5B%5D=" + strings.Join(l, "&"+n+"%5B%5D=") }},
	}
	for name, list := range values {
		if len(list) == 1 && strings.Contains(strings.ReplaceAll(list[0], "%2C", ","), ",") {
			values[name] = strings.Split(strings.ReplaceAll(list[0], "%2C", ","), ",")
		}
	}
	for _, f := range forms {
		var out []string
		done := map[string]bool{}
		for _, p := range pieces {
			name, _, _ := strings.Cut(p, "=")
			plain := strings.NewReplacer("[]", "", "%5B%5D", "", "%5b%5d", "").Replace(name)
			if len(values[plain]) < 2 && plain == name {
				out = append(out, p)
			} else if !done[plain] {
				done[plain] = true
				out = append(out, f.pair(plain, values[plain]))
			}
		}
		if len(done) > 0 {
			try(5, "url.query", strings.Join(out, "&"), "signed the repeated parameter as "+f.text)
		}
	}
}

// indexed numbers repeated names in a format.
func indexed(format string) func(string, []string) string {
	return func(name string, list []string) string {
		var out []string
		for i, v := range list {
			out = append(out, name+fmt.Sprintf(format, i)+"="+v)
		}
		return strings.Join(out, "&")
	}
}

// escapes tries other percent-encodings of path and query.
func (a *addressList) escapes() {
	m := a.m
	path, query, has := strings.Cut(m.Target, "?")
	queries := append(recoded(query, "&="), recoding{text: query})
	for _, p := range append(recoded(path, "/"), recoding{text: path}) {
		for _, q := range queries {
			if p.what == "" && q.what == "" {
				continue
			}
			target := p.text
			if has {
				target += "?" + q.text
			}
			weight, what := 3, strings.TrimSpace("the path "+p.what)
			switch {
			case p.what == "":
				what = "the query " + q.what
			case q.what != "" && q.what == p.what:
				what = "path and query " + p.what
			case q.what != "":
				continue
			}
			a.add(weight, "url.percent_encoding", "signed "+what, m.URLScheme(), m.Host, target)
		}
	}
}

type recoding struct{ what, text string }

// recoded returns the other percent-encodings of a path or query, whose parts the
// characters of seps separate.
func recoded(s, seps string) []recoding {
	if s == "" {
		return nil
	}
	out := []recoding{
		{"escaped twice", strings.ReplaceAll(s, "%", "%25")},
		{"escaped once, where it arrives escaped twice", strings.ReplaceAll(s, "%25", "%")},
		{"with + for blanks", strings.ReplaceAll(s, "%20", "+")},
		{"with %20 for blanks", strings.ReplaceAll(s, "+", "%20")},
		{"with %2B for +", strings.ReplaceAll(s, "+", "%2B")},
	}
	lower := []byte(s)
	lowerEscapes(lower)
	out = append(out, recoding{"with escapes in lower case", string(lower)}, recoding{"with escapes in upper case", upperEscapes(s)})
	if d, err := canon.Unescape(s, false); err == nil {
		out = append(out, recoding{"decoded", d})
	}
	if d, err := canon.Unescape(s, true); err == nil {
		out = append(out, recoding{"decoded, with + as blank", d})
	}
	for _, c := range []string{":", "@", "!", "$", "'", "(", ")", "*", ",", ";", "/", "?", "~", "[", "]", "|", "&", "=", "-", "_", "."} {
		escaped := string(canon.AppendPercent(nil, c, canon.Set{}))
		out = append(out, recoding{"with " + c + " escaped", strings.ReplaceAll(s, c, escaped)},
			recoding{"with " + c + " not escaped", strings.ReplaceAll(strings.ReplaceAll(s, escaped, c), strings.ToLower(escaped), c)})
	}
	out = append(out, reencoded(s, seps)...)
	return slices.DeleteFunc(out, func(r recoding) bool { return r.text == s })
}

// reencoded decodes the names and values of a path or query, and encodes them
// as common encoders do.
func reencoded(s, seps string) []recoding {
	var out []recoding
	for _, e := range encoders {
		for _, plus := range []bool{false, true} {
			var b []byte
			for _, piece := range pieces(s, seps) {
				if d, err := canon.Unescape(piece, plus); err == nil && len(piece) > 1 || piece != "" && !strings.Contains(seps, piece) {
					b = e.append(b, d)
				} else {
					b = append(b, piece...)
				}
			}
			lower := slices.Clone(b)
			lowerEscapes(lower)
			out = append(out, recoding{"encoded anew " + e.who, string(b)}, recoding{"encoded anew " + e.who + ", with escapes in lower case", string(lower)})
		}
	}
	if d, err := canon.Unescape(s, false); err == nil {
		if latin, ok := toLatin1([]byte(d)); ok {
			out = append(out, recoding{"with Latin-1 in its escapes", string(canon.AppendPercent(nil, string(latin), canon.NewSet("-._~/&=", true)))})
		}
	}
	return out
}

// pieces splits a path or query into texts and the separators between them.
func pieces(s, seps string) []string {
	var out []string
	start := 0
	for i := range len(s) {
		if strings.IndexByte(seps, s[i]) >= 0 {
			out = append(out, s[start:i], s[i:i+1])
			start = i + 1
		}
	}
	return append(out, s[start:])
}

func upperEscapes(s string) string {
	b := []byte(s)
	for i := 0; i+2 < len(b); i++ {
		if b[i] == '%' {
			copy(b[i+1:], strings.ToUpper(string(b[i+1:i+3])))
			i += 2
		}
	}
	return string(b)
}
