package doctor

import "strings"

// explain says in a sentence what the sender did.
func explain(faults []fault, danger bool) string {
	var parts []string
	for _, f := range faults {
		parts = append(parts, sentence(f))
	}
	text := "Proven: " + strings.Join(parts, ", and ") + "."
	if danger {
		text += " DANGER: a signature like this does not protect what arrived; never accept it."
	}
	return text
}

func sentence(f fault) string {
	for _, verb := range []string{"signed ", "signs ", "used ", "swapped ", "computed ", "gave "} {
		if strings.HasPrefix(f.text, verb) {
			return "the sender " + f.text
		}
	}
	return f.text
}

// rawBody is how common stacks hand out the bytes as they were received.
const rawBody = `Verify the raw bytes, before anything parses them:
  Express            app.use('/hooks', express.raw({type: '*/*'}))  // req.body is a Buffer
  Next.js            const raw = Buffer.from(await req.arrayBuffer())  // App Router; Pages Router: export const config = {api: {bodyParser: false}}
  NestJS             NestFactory.create(AppModule, {rawBody: true}), then req.rawBody
  FastAPI            raw = await request.body()
  Django             raw = request.body  # before request.POST
  Flask              raw = request.get_data(cache=True)  # before request.form or request.json
  Rails              raw = request.raw_post
  Laravel            $raw = $request->getContent();
  Spring             @RequestBody byte[] raw
  Go                 raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20)); or sealhttp.Middleware
  Lambda/API Gateway raw = Buffer.from(event.body, event.isBase64Encoded ? 'base64' : 'utf8')
  Cloudflare         const raw = await request.clone().arrayBuffer()`

// fixes says for each cause what to do.
var fixes = map[string]string{
	"body.json_reserialized": rawBody,
	"body.json_escaping":     rawBody,
	"body.json_number":       rawBody,
	"body.form_reencoded":    rawBody,
	"body.charset":           rawBody,
	"body.newlines":          rawBody,
	"body.params_trimmed":    "Take the values before the framework trims them (Laravel: except the route from TrimStrings and ConvertEmptyStringsToNull).\n" + rawBody,
	"body.empty_or_consumed": "Read the body once and keep the bytes; middleware that runs earlier has taken them, or the sender signs nothing.\n" + rawBody,
	"body.form_content_type": "Agree on what is signed: the form as sent (payload=…) or the JSON inside it.\n" + rawBody,
	"body.bom":               "Send and sign the same bytes: write the body without a byte order mark.",
	"body.trailing_newline":  "Sign exactly the bytes that are sent: echo and editors add a line feed (printf '%s', curl --data-binary @file).",
	"body.base64_wrapped":    "Decode the body before it is verified (API Gateway: event.isBase64Encoded).\n" + rawBody,
	"body.compressed":        "Verify at the place where the sender signs: before or after Content-Encoding, not on both sides differently.",
	"body.multipart":         "Verify before the multipart parser runs, or sign a digest of the parts in a header.",
	"body.partial":           "Sign the whole body: a part leaves the rest open to change.",
	"body.str_repr":          "Serialise the body once (json.dumps, JSON.stringify), sign that text, and send the same text.",
	"secret.wrong_endpoint":  "Configure the secret of this endpoint; each endpoint, app and subscriber has its own.",
	"secret.wrong_kind":      "Configure the signing secret, not an API key or a verification token.",
	"secret.wrong_env":       "Configure the secret of the environment that sends: test and live have different ones.",
	"secret.stale_version":   "Bring both sides to the same version; keep the old one verifying until the sender has the new one.",
	"secret.whitespace":      "Remove the white space: printf '%s' \"$SECRET\" > file instead of echo; kubectl create secret --from-literal; trim values of .env files.",
	"secret.encoding":        "Use the secret as the scheme says on both sides: as text, or decoded from base64 or hex.",
	"secret.prefix":          "Keep or drop the prefix as the scheme says (Stripe: whsec_ is part of the key; Standard Webhooks: it is dropped and the rest decoded).",
	"secret.mangled":         "Configure the secret without quotes or escapes; quote values with #, $ and & in .env files and shells.",
	"secret.missing":         "Configure the real secret, and let the program stop when it is missing.",
	"url.scheme":             "Configure the public URL, or trust the proxy's X-Forwarded-Proto (Express: app.set('trust proxy', 1); Django: SECURE_PROXY_SSL_HEADER; Rails: config.assume_ssl; Spring: server.forward-headers-strategy=framework).",
	"url.host_port":          "Configure the public URL, or let the proxy hand on the original Host (nginx: proxy_set_header Host $http_host).",
	"url.path_rewritten":     "Verify before the gateway rewrites the path, or give the verifier the original one (X-Original-URI, X-Forwarded-Prefix).",
	"url.trailing_slash":     "Register and serve the same URL, with or without the slash at its end.",
	"url.configured":         "Configure exactly the URL that is registered with the provider.",
	"url.percent_encoding":   "Sign the target as it goes over the wire; do not decode or encode it again.",
	"url.query":              "Sign the query as it is sent: same parameters, same order, same empty ones.",
	"url.redirect":           "Register the final URL: clients turn a redirected POST into a GET without a body.",
	"msg.format":             "Build the signed string exactly as the scheme says; `sealwright schemes explain NAME` shows it with an example.",
	"msg.header_modified":    "Sign headers that proxies leave alone, or verify before the proxy.",
	"msg.timestamp_format":   "Sign the timestamp as the text that is sent, character for character; make the text once and use it twice.",
	"msg.scope":              "Configure the region and service that the client signs for.",
	"sig.hex_vs_base64":      "Write the signature in the encoding of the scheme (openssl dgst -binary | base64, or -hex).",
	"sig.base64_of_hex":      "Encode the raw bytes of the MAC, not its hex text (digest('base64') instead of btoa(hex)).",
	"sig.base64url":          "Use standard base64 with padding, or what the scheme says.",
	"sig.case":               "Write hex digits in the case of the scheme, lower in most.",
	"sig.prefix":             "Write the label of the signature as the scheme has it.",
	"sig.mangled":            "Send the signature as it is: no blanks or quotes, percent-encoded in URLs (+ becomes a blank there).",
	"sig.truncated":          "Send the whole signature; look for a column or log field that cuts it.",
	"header.name_case":       "Send the signature under the header of the scheme; nginx drops names with underscores, CGI turns hyphens into them.",
	"header.missing":         "Have the sender sign, and the proxies hand the header on.",
	"alg.wrong":              "Use the hash function of the scheme.",
	"alg.args_swapped":       "Swap key and message: the secret is the key.",
	"alg.not_hmac":           "Use HMAC: hmac.new(key, message, sha256) and its relatives, not a hash of secret and message.",
	"time.clock_skew":        "Set both clocks by NTP, sign each attempt anew, and send times in UTC.",
	"time.unit":              "Send the time in the unit of the scheme.",
	"scheme.wrong":           "Configure the scheme that the sender uses.",
	"scheme.version":         "Configure the version of the scheme that the sender uses.",
}

func fix(cause string) string { return fixes[cause] }
